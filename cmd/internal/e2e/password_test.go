package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// A password that must be changed is changed on the way of a sign-in, as the person. The new one works from then on; a
// wrong old one and a new one that the directory refuses change nothing.
func TestPasswordIsChangedOnTheWay(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	slapd.Apply(t, "dn: cn=default,ou=policies,"+slapd.BaseDN+"\nchangetype: modify\nadd: pwdCheckQuality\n"+
		"pwdCheckQuality: 2\n-\nadd: pwdMinLength\npwdMinLength: 10\n")
	w := newWorld(t, setting{directory: slapdSettings(slapd), set: map[string]string{"directory.password_change": "true"}})
	const fresh = "another-Passw0rd"
	c := newClient(t)
	p := c.login(c.get(w.launch("")), "frank", password)
	p.status(http.StatusUnprocessableEntity).says("password of your own")
	change := func(old, first, second string) *page {
		t.Helper()
		return c.submit(p, "new", "login", "frank", "password", old, "new", first, "again", second)
	}
	change("not-it", fresh, fresh).says("is not right")
	change(password, fresh, "typo").says("not the same")
	change(password, "short", "short").says("quality")
	// The sign-in goes on, as far as somebody without a mapping comes.
	change(password, fresh, fresh).status(http.StatusForbidden).says("nobody has given you access")
	again := newClient(t)
	again.login(again.get(w.launch("")), "frank", password).says("is not right")
	if out := again.login(again.get(w.launch("")), "frank", fresh); out.Status == http.StatusUnprocessableEntity {
		t.Errorf("the new password is refused:\n%s", out.text())
	}
	audit := w.command(t, "audit", "list")
	if !strings.Contains(audit, "password-change") {
		t.Errorf("the audit log has no change:\n%s", audit)
	}
	for _, secret := range []string{fresh, password} {
		if strings.Contains(w.out.String(), secret) || strings.Contains(audit, secret) {
			t.Error("a password stands in the log")
		}
	}
}
