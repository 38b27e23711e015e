package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ID-16: a restore without the journal may bring a removed second factor back. Those of people with a role in the
// console stay good for client accounts, and open the console only after an invitation has confirmed them, and so do
// those of people of whom the directory can't say it now. Everybody else's stay confirmed where no console is meant,
// and would open it only after an invitation too, should their owner get a role (ID-33). With the journal nothing has
// to be confirmed again.
func TestRestoredFactorsAreConfirmed(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"second_factor.console": "required"}})
	r := &revoker{world: w, t: t}
	w.command(t, "accounts", "set-factor", books, "required")
	enrol := func(login string) (c *client, secret string) {
		t.Helper()
		c = newClient(t)
		p := c.login(c.get(w.url+"/admin/"), login, password)
		secret, kept := c.enrolApp(p, "invite", w.invite(t, login))
		kept.says("Keep these codes")
		c.get(w.url + "/admin/").says("Admin console")
		return c, secret
	}
	alice, secret := enrol(consoleAdmin)
	enrol(consoleOperator)
	backup := filepath.Join(t.TempDir(), "old.db")
	w.command(t, "backup", backup)
	r.arrives(alice, books)
	confirmed := func(login string, want bool) {
		t.Helper()
		if out := w.command(t, "admin", "factors", login); strings.Contains(out, "not confirmed") == want ||
			!strings.Contains(out, "totp") {
			t.Errorf("%s's factors, want them confirmed: %t\n%s", login, want, out)
		}
	}

	w.stop(t)
	out := w.command(t, "restore", backup)
	if strings.Contains(out, "after an invitation") {
		t.Errorf("with the journal:\n%s", out)
	}
	confirmed(consoleAdmin, true)
	confirmed(consoleOperator, true)

	// The operator has no role any more, and the journal is gone.
	file := filepath.Join(w.dir, "ssobridge.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(raw)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "operator_group:") {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.dir, "data", "revocations.jsonl")); err != nil {
		t.Fatal(err)
	}
	out, err = w.tryCommand("restore", backup)
	if err == nil || !strings.Contains(out, "alice") || strings.Contains(out, "bob") || !strings.Contains(out,
		"ssobridge admin invite") {
		t.Errorf("looking without the journal: %v\n%s", err, out)
	}
	// Of an account that is out of use the directory shows no groups. It may be back tomorrow, and so would its removed
	// factors.
	env := w.env
	w.env = append(slices.Clone(env), "SSOBRIDGE_DIRECTORY_LOGIN_FILTER=(&(uid={login})(!(uid=alice)))")
	out, err = w.tryCommand("restore", backup)
	w.env = env
	if err == nil || !strings.Contains(out, "does not say of 1 people") || !strings.Contains(out,
		"1 second factor opens the admin console only after an invitation") {
		t.Errorf("looking without the journal, with the administrator's account disabled: %v\n%s", err, out)
	}
	confirmed(consoleAdmin, true) // looking changes nothing
	out = w.command(t, "restore", backup, "--yes")
	if !strings.Contains(out, "1 second factor opens the admin console only after an invitation") {
		t.Errorf("restore --yes:\n%s", out)
	}
	confirmed(consoleAdmin, false)
	confirmed(consoleOperator, false) // for the console
	w.start(t)

	// A client account takes it.
	c := newClient(t)
	p := c.login(c.get(w.launch(books)), consoleAdmin, password)
	step := time.Now().Unix() / 30
	// the step that enrolled it
	if p = c.submit(p, "code", "code", appCode(t, secret, 0)); p.Status == http.StatusUnprocessableEntity {
		p = c.submit(p, "code", "code", appCode(t, secret, 1))
		step++
	}
	if !p.delivers() {
		p.says("Setting up your access")
	}
	r.arrives(c, books)
	// The console does not, in that session or in another one.
	for _, c := range []*client{c, newClient(t)} {
		p = c.get(w.url + "/admin/")
		if strings.Contains(p.Body, `name="password"`) {
			p = c.login(p, consoleAdmin, password)
		}
		p.says("Invitation code", "confirms this device for the console")
	}
	<-time.After(time.Until(time.Unix(step*30, 0))) // the code of the step after the next is taken a step early
	code := appCode(t, secret, 1)
	p = c.submit(c.get(w.url+"/admin/"), "code", "code", code, "invite", "00000-00000-00000-00000")
	p.status(http.StatusUnprocessableEntity).says("This invitation code is not right")
	c.submit(p, "code", "code", code, "invite", w.invite(t, consoleAdmin))
	c.get(w.url + "/admin/").says("Admin console")
	confirmed(consoleAdmin, true)
}
