package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// REAL-65: what the person page does with sessions is done by command too: they are listed without anything that would
// open one, and ended at once, also of somebody whom the directory has no more, and while it does not answer.
func TestSessionCommands(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	w := newWorld(t, setting{directory: slapdSettings(slapd),
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	if out := w.command(t, "sessions", "list", "alice"); !strings.Contains(out, "has no session") {
		t.Errorf("before the login:\n%s", out)
	}
	alice := newClient(t)
	login := func() {
		t.Helper()
		if p := alice.goOn(alice.login(alice.get(w.launch(books)), "alice", password)); !p.delivers() {
			t.Fatalf("alice is not signed in:\n%s", p.text())
		}
	}
	login()
	list := w.command(t, "sessions", "list", "alice")
	if !strings.Contains(list, "password") || strings.Count(list, "alice") != 1 {
		t.Errorf("sessions list:\n%s", list)
	}
	var one struct {
		Person  string   `json:"person_id"`
		Login   string   `json:"login"`
		Methods []string `json:"methods"`
	}
	out := w.command(t, "sessions", "list", "alice", "--json")
	if err := json.Unmarshal([]byte(out), &one); err != nil || one.Login != "alice" || one.Person == "" ||
		len(one.Methods) != 1 || strings.Contains(out, "token") {
		t.Fatalf("sessions list --json: %v\n%s", err, out)
	}
	if out := w.command(t, "sessions", "end", one.Person); !strings.Contains(out, "ended 1 session of person "+
		one.Person) {
		t.Errorf("sessions end:\n%s", out)
	}
	if p := alice.get(w.launch(books)); p.delivers() {
		t.Errorf("the session goes on:\n%s", p.text())
	}
	if out := w.command(t, "sessions", "end", "alice", "--json"); !strings.Contains(out, `"ended": 0`) {
		t.Errorf("end of none:\n%s", out)
	}
	if out := w.command(t, "audit", "list", "--action", "session-end"); strings.Count(out, "admin:") != 2 ||
		!strings.Contains(out, "by_admin") {
		t.Errorf("the audit has both:\n%s", out)
	}
	if out, err := w.tryCommand("sessions", "end", "nobody-there"); err == nil || !strings.Contains(out,
		"there is no person") {
		t.Errorf("ended nobody's: %v\n%s", err, out)
	}

	login()
	slapd.Stop(t)
	if out := w.command(t, "sessions", "end", one.Person); !strings.Contains(out, "ended 1 session") {
		t.Errorf("without the directory:\n%s", out)
	}
}
