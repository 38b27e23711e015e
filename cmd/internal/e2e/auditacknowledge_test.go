package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// REAL-94: a break of the audit log that is understood is acknowledged, by command and in the console, with a second
// factor of an administrator; verification goes on past it, and finds every other one.
func TestAuditAcknowledged(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"second_factor.console": "required"}})
	c := newClient(t)
	enrol := c.login(c.get(w.url+"/admin/"), consoleAdmin, password)
	secret, kept := c.enrolApp(enrol, "invite", w.invite(t, consoleAdmin))
	kept.says("Keep these codes")
	for range 3 {
		stranger := newClient(t)
		stranger.login(stranger.get(w.launch(club)), "bob", "wrong")
	}
	w.stop(t) // with a last checkpoint
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tamper := func(n int) {
		t.Helper()
		if _, err := db.Exec("UPDATE audit_events SET address = '192.0.2.66' WHERE id = (SELECT id FROM audit_events WHERE "+
			"action = 'login' AND outcome = 'refused' ORDER BY id LIMIT 1 OFFSET $1)", n); err != nil {
			t.Fatal(err)
		}
	}
	broken := func() string {
		t.Helper()
		out, err := w.tryCommand("audit", "verify")
		found := regexp.MustCompile(`ssobridge audit acknowledge ([0-9]+) --reason`).FindStringSubmatch(out)
		if err == nil || !strings.Contains(err.Error(), "exit code 3") || found == nil {
			t.Fatalf("audit verify: %v\n%s", err, out)
		}
		return found[1]
	}
	if out := w.command(t, "audit", "verify"); strings.Contains(out, "acknowledged") {
		t.Errorf("before: %s", out)
	}
	tamper(0)
	entry := broken()
	acknowledge := []string{"audit", "acknowledge", entry, "--reason", "a trial by the operator"}
	for _, refused := range []struct {
		more []string
		says string
	}{
		{nil, "requires a second factor"},
		{[]string{"--login", consoleAdmin}, "no code was given"},
		{[]string{"--login", consoleAdmin, "--code", "000000"}, "takes this code"},
		{[]string{"--login", consoleViewer, "--code", appCode(t, secret, 1)}, "no administrator"},
		{[]string{"--login", "nobody-of-that-name", "--code", "000000"}, "find"},
	} {
		if out, err := w.tryCommand(append(acknowledge, refused.more...)...); err == nil || !strings.Contains(out,
			refused.says) {
			t.Errorf("%v: %v\n%s", refused.more, err, out)
		}
	}
	with := []string{"--login", consoleAdmin, "--code", appCode(t, secret, 1)}
	if out := w.command(t, append(acknowledge, append(with, "--json")...)...); !strings.Contains(out,
		`"break": "`+entry) {
		t.Errorf("acknowledged: %s", out)
	}
	if out, err := w.tryCommand(append(acknowledge, with...)...); err == nil {
		t.Errorf("the same code again: %s", out)
	}
	if out := w.command(t, "audit", "verify"); !strings.Contains(out, "1 acknowledged break:") {
		t.Errorf("after: %s", out)
	}
	if out := w.command(t, "audit", "list", "--json", "--action", "audit-acknowledge"); strings.Count(out, "\n") != 1 ||
		!strings.Contains(out, "a trial by the operator") || !strings.Contains(out, "confirmed_by") {
		t.Errorf("in the audit log: %s", out)
	}
	// The same event again, and another one: each is a break of its own.
	if _, err := db.Exec("UPDATE audit_events SET address = '192.0.2.67' WHERE address = '192.0.2.66'"); err != nil {
		t.Fatal(err)
	}
	if again := broken(); again != entry {
		t.Errorf("changed again: entry %s, want %s", again, entry)
	}
	w.start(t)
	for n := 1; ; n++ {
		p := c.submitForm(c.get(w.url+"/admin/audit"), "/admin/audit/verify").status(http.StatusOK).says(
			"The audit log has been tampered with", "Acknowledge "+broken())
		if p = c.submitForm(p, "/admin/audit/acknowledge"); p.Status != http.StatusUnprocessableEntity ||
			!strings.Contains(p.text(), "the reason is missing") {
			t.Errorf("without a reason: %d\n%s", p.Status, p.text())
		}
		if n == 1 { // what is acknowledged is what was shown
			if _, err := db.Exec("UPDATE audit_events SET address = '192.0.2.68' WHERE address = '192.0.2.67'"); err != nil {
				t.Fatal(err)
			}
			c.submitForm(p, "/admin/audit/acknowledge", "reason", "stale").status(http.StatusConflict).says("another one")
			continue
		}
		c.submitForm(p, "/admin/audit/acknowledge", "reason", fmt.Sprint("trial ", n)).says("The break is acknowledged")
		if n == 3 {
			break
		}
		tamper(1)
	}
	p := c.submitForm(c.get(w.url+"/admin/audit"), "/admin/audit/verify").says("no event was changed",
		"Acknowledged breaks 2")
	if strings.Contains(p.Body, "/admin/audit/acknowledge") {
		t.Errorf("there is nothing to acknowledge:\n%s", p.text())
	}
}
