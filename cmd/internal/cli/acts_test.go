package cli_test

import (
	"testing"

	"ssobridge/cmd/internal/cli"
	"ssobridge/web/admin"
)

// Each act that the rules ask for can be done by command, and says how.
func TestEachActHasACommand(t *testing.T) {
	for _, act := range admin.Acts() {
		if cli.ActHint(act, "https://sp.example/it's") == "" {
			t.Errorf("no command says how %s is done", act)
		}
	}
	if n := cli.ActHints(); n != len(admin.Acts()) {
		t.Errorf("%d hints for %d acts", n, len(admin.Acts()))
	}
	if got, want := cli.ActHint(admin.ReviewProvider, "https://sp.example/it's"),
		`ssobridge sp approve 'https://sp.example/it'\''s'`; got != want {
		t.Errorf("the hint is %s, want %s", got, want)
	}
}
