package cli_test

import (
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ssobridge/cmd/internal/cli"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/testkind"
	"ssobridge/web/admin"
	"ssobridge/web/console"
)

// Each act that the rules ask for can be done by command, and says how.
func TestEachActHasACommand(t *testing.T) {
	for _, act := range admin.Acts() {
		if cli.ActHint(act, "https://sp.example/metadata") == "" {
			t.Errorf("no command says how %s is done", act)
		}
		if hint := cli.ActHint(act, ""); strings.Contains(hint, "''") || strings.Contains(hint, "  ") {
			t.Errorf("%s without what it is about: %q", act, hint)
		}
	}
	if n := cli.ActHints(); n != len(admin.Acts()) {
		t.Errorf("%d hints for %d acts", n, len(admin.Acts()))
	}
	for about, want := range map[string]string{
		"https://sp.example/metadata": "ssobridge sp approve https://sp.example/metadata",
		"the mail of José (test)":     "ssobridge sp approve 'the mail of José (test)'",
		"https://sp.example/it's":     "ssobridge sp approve ENTITY_ID",
		"--config=/tmp/other.yaml":    "ssobridge sp approve ENTITY_ID",
		"red\x1b[31m":                 "ssobridge sp approve ENTITY_ID",
	} {
		if got := cli.ActHint(admin.ReviewProvider, about); got != want {
			t.Errorf("the hint of %q is %s, want %s", about, got, want)
		}
	}
}

// A stranger's request has any Issuer, and the log says how the service provider of that name is looked at. Whoever
// copies such a command from a line of the log, of either format, runs nothing that the stranger wrote.
func TestCopiedCommandsRunNothingElse(t *testing.T) {
	testkind.Starts(t, "sh")
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, about := range []string{
		"$(touch ran)", "`touch ran`", "a; touch ran", "a && touch ran", "a\ntouch ran\n", "a | touch ran", "#touch",
		"a'$(touch ran)'b", "a'; touch ran; 'b", "a\"$(touch ran)\"b", `a\$(touch ran)`, `a\'$(touch ran)\'b`,
		`a'"$(touch ran)"'b`, "a'\n touch ran\n'b", "> ran", "é'$(touch ran)'é", "\u2028touch ran",
	} {
		for name, handler := range map[string]func(io.Writer) slog.Handler{
			"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
			"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		} {
			var line strings.Builder
			slog.New(handler(&line)).Info("sign-in refused", "fix", cli.ActHint(admin.ShowProvider, about))
			at := strings.Index(line.String(), "ssobridge sp show")
			if at < 0 {
				t.Fatalf("%s: no command in %s", name, &line)
			}
			// The end of the value is the quote that ends the line, or the brace behind it.
			command := strings.TrimSuffix(strings.TrimRight(line.String()[at:], "}\n"), `"`)
			folder := t.TempDir()
			run := exec.CommandContext(t.Context(), shell, "-c", "ssobridge() { :; }\n"+command) //nolint:gosec // G204: that is the test
			run.Dir = folder
			out, _ := run.CombinedOutput() // a word that is cut off is an error, and runs nothing
			if made, err := os.ReadDir(folder); err != nil || len(made) > 0 {
				t.Errorf("%s, %q: %s ran what it names: %s", name, about, command, out)
			}
		}
	}
}

// The log and trace show say of each act how it is done by command, and on which page of the console, as the faces
// themselves do. Where nobody has a role in the console, they say nothing of it.
func TestEachActInTheLog(t *testing.T) {
	const about = "https://sp.example/metadata"
	app := &server.App{Commands: cli.ActHint}
	for _, act := range admin.Acts() {
		if got, want := app.HowTo(act, about), "(command: "+cli.ActHint(act, about)+")"; got != want {
			t.Errorf("without a console, %s: %s, want %s", act, got, want)
		}
	}
	app.Config.Console.AdminGroup = "cn=admins,dc=example,dc=com"
	pages := 0
	for _, act := range admin.Acts() {
		want := "(command: " + cli.ActHint(act, about)
		if path := console.ActPath(act, about); path != "" {
			want += "; console: " + path
			pages++
		}
		if got := app.HowTo(act, about); got != want+")" {
			t.Errorf("%s: %s, want %s)", act, got, want)
		}
	}
	if pages < len(admin.Acts())/2 {
		t.Errorf("%d of %d acts have a page", pages, len(admin.Acts()))
	}
	if got := app.HowTo(admin.NoAct, ""); got != "" {
		t.Errorf("no act is done by %s", got)
	}
}
