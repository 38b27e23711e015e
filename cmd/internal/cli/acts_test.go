package cli_test

import (
	"strings"
	"testing"

	"ssobridge/cmd/internal/cli"
	"ssobridge/cmd/internal/server"
	"ssobridge/web/admin"
	"ssobridge/web/console"
)

// Each act that the rules ask for can be done by command, and says how.
func TestEachActHasACommand(t *testing.T) {
	for _, act := range admin.Acts() {
		if cli.ActHint(act, "https://sp.example/it's") == "" {
			t.Errorf("no command says how %s is done", act)
		}
		if hint := cli.ActHint(act, ""); strings.Contains(hint, "''") || strings.Contains(hint, "  ") {
			t.Errorf("%s without what it is about: %q", act, hint)
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
