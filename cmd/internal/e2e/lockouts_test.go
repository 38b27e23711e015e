package e2e_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// ID-21: a lockout is seen in the console, by lockouts list and by explain, and is lifted by button and by command, as
// far as the directory leaves tries; check compares the limits.
func TestLockouts(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	policy := "cn=default,ou=policies," + slapd.BaseDN
	limit := func(n string) {
		slapd.Apply(t, "dn: "+policy+"\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: "+n+"\n")
	}
	set := map[string]string{"console.admin_group": slapd.GroupDN("ring-a"), "second_factor.console": "off",
		"directory.password_policy_dn": policy}
	w := newWorld(t, setting{directory: slapdSettings(slapd), set: set,
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	alice := newClient(t)
	lockOut := func() {
		t.Helper()
		for range 3 {
			alice.login(alice.get(w.launch(books)), "alice", "not-it").says("is not right")
		}
		if p := alice.login(alice.get(w.launch(books)), "alice", password); p.delivers() {
			t.Fatal("not locked out")
		}
	}
	if out := w.command(t, "lockouts", "list"); !strings.Contains(out, "nobody is locked out") {
		t.Errorf("before:\n%s", out)
	}
	lockOut()
	list := w.command(t, "lockouts", "list")
	if !strings.Contains(list, "alice") || !strings.Contains(list, "did not use before") {
		t.Errorf("lockouts list:\n%s", list)
	}
	if out := w.command(t, "lockouts", "list", "--json"); !strings.Contains(out, `"kind":"person"`) ||
		!strings.Contains(out, `"login":"alice"`) {
		t.Errorf("lockouts list --json:\n%s", out)
	}
	if out := w.command(t, "explain", "--user", "alice"); !strings.Contains(out, "locked") || !strings.Contains(out,
		"lockouts lift") {
		t.Errorf("explain:\n%s", out)
	}

	// The directory locks at four: it leaves none.
	limit("4")
	if out, err := w.tryCommand("lockouts", "lift", "alice"); err == nil || !strings.Contains(out,
		"counts 3 wrong passwords and locks the account at 4") {
		t.Errorf("lift against the directory's limit: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("check"); err == nil || !strings.Contains(out, "locks an account at 4 wrong passwords") {
		t.Errorf("check: %v\n%s", err, out)
	}
	limit("20")
	if out := w.command(t, "lockouts", "lift", "alice"); !strings.Contains(out, "gave back 3 tries") {
		t.Errorf("lift:\n%s", out)
	}
	if p := alice.goOn(alice.login(alice.get(w.launch(books)), "alice", password)); !p.delivers() {
		t.Errorf("still locked out:\n%s", p.text())
	}
	for range 3 {
		stranger := newClient(t)
		stranger.login(stranger.get(w.launch(books)), "alice", "not-it").says("is not right")
	}
	lifted := w.object(t, "lockouts", "lift", "alice")
	if counted, ok := lifted["directory"].(map[string]any); !ok || lifted["given_back"] != 3.0 ||
		counted["locked"] != false || counted["threshold"] != 20.0 {
		t.Errorf("lockouts lift --json: %v", lifted)
	}
	if out, err := w.tryCommand("lockouts", "lift", "nobody-there"); err == nil {
		t.Errorf("lifted nobody's:\n%s", out)
	}

	// By button: on the list, and on the person's page.
	admin := newClient(t)
	admin.goOn(admin.login(admin.get(w.url+"/admin/"), "bob", password))
	alice = newClient(t)
	lockOut()
	p := admin.get(w.url + "/admin/people/lockouts")
	p.says("alice", "in browsers that the person did not use before", "3 of 5")
	if p = admin.submitForm(p, "/admin/people/lockouts", "", ""); !strings.Contains(p.text(), "The lockout was lifted") {
		t.Errorf("lift in the list: %d\n%s", p.Status, p.text())
	}
	lockOut()
	link := strings.SplitN(strings.SplitN(admin.get(w.url+"/admin/people?find=alice").Body, `href="/admin/people/of/`,
		2)[1], `"`, 2)[0]
	p = admin.get(w.url + "/admin/people/of/" + link)
	p.says("Locked", "in browsers that the person did not use before", "only browsers used before are accepted")
	if p = admin.submitForm(p, "/admin/people/lockouts", "", ""); !strings.Contains(p.text(), "The lockout was lifted") {
		t.Errorf("lift on the person's page: %d\n%s", p.Status, p.text())
	}
	if out := w.command(t, "audit", "list", "--action", "lockout-lift"); strings.Count(out, "lockout-lift") != 4 {
		t.Errorf("the audit:\n%s", out)
	}
	// The directory itself has locked.
	limit("1")
	if _, err := w.tryCommand("explain", "--user", "alice"); err != nil {
		t.Error(err)
	}
	alice.login(alice.get(w.launch(books)), "alice", "not-it")
	if out, err := w.tryCommand("lockouts", "lift", "alice"); err == nil || !strings.Contains(out,
		"the directory itself has locked") {
		t.Errorf("lift of an account that the directory has locked: %v\n%s", err, out)
	}
	if out := w.command(t, "explain", "--user", "alice"); !strings.Contains(out, "by the directory itself") {
		t.Errorf("explain:\n%s", out)
	}
}
