package cli_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"ssobridge/cmd/internal/cli"
	"ssobridge/idp"
	"ssobridge/web/admin"
	"ssobridge/web/console"
)

// Whoever searches the documentation for a reason finds what the log, the trace and the console say of it.
func TestReasonsAreDocumented(t *testing.T) {
	const file = "../../../docs/troubleshooting.md"
	const begin, end = "<!-- reasons: written by go test ./cmd/internal/cli -run Documented -update -->\n", "<!-- end of reasons -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table of reasons", file)
	}
	want := before + begin + reasonTable() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil { // #nosec G306 -- documentation
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("the table of reasons in %s is not that of the code: go test ./cmd/internal/cli -run %s -update", file,
			t.Name())
	}
}

func reasonTable() string {
	var b strings.Builder
	b.WriteString("| reason | what happened | what to do | command; console |\n|---|---|---|---|\n")
	all := idp.ReasonWords()
	slices.Sort(all)
	cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
	for _, reason := range all {
		text := idp.TextOf(reason)
		act := admin.Act(text.Act)
		how := cli.ActHint(act, "")
		if path := console.ActPath(act, ""); path != "" {
			how += "; `" + path + "`"
		}
		b.WriteString("| `" + reason + "` | " + cell(text.Cause) + " | " + cell(text.Fix) + " | " + cell(how) + " |\n")
	}
	return b.String()
}
