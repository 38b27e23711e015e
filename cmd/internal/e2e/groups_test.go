package e2e_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// ID-03: on the running program over a real OpenLDAP, a group that is called like the console's group opens nothing,
// and the group itself opens it under any name.
func TestID03LookAlikeGroup(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	entry := func(cn, login string) string {
		return "dn:: " + base64.StdEncoding.EncodeToString([]byte("cn="+cn+",ou=groups,"+slapd.BaseDN)) +
			"\nchangetype: add\nobjectClass: groupOfNames\ncn:: " + base64.StdEncoding.EncodeToString([]byte(cn)) +
			"\nmember: " + slapd.PersonDN(login) + "\n\n"
	}
	slapd.Apply(t, entry("sso-admins", "alice")+"dn: ou=any,"+slapd.BaseDN+
		"\nchangetype: add\nobjectClass: organizationalUnit\nou: any\n\n")
	// The DN is written in another way than the directory spells it.
	w := newWorld(t, setting{directory: slapdSettings(slapd), set: map[string]string{
		"console.admin_group": "CN=SSO-Admins, ou=groups," + slapd.BaseDN, "second_factor.console": "off",
	}})
	inside := func(login string) bool {
		t.Helper()
		c := newClient(t)
		p := c.login(c.get(w.url+"/admin/"), login, password)
		return strings.Contains(p.text(), "Admin console")
	}
	if !inside("alice") || inside("carol") {
		t.Fatal("the group does not open the console, or anybody may enter")
	}
	made := 0
	for _, cn := range []string{"sso-admins\u200b", "sso\u2010admins", "sso-admins\u1680", "\u017fso-admins",
		"sso-adm\u0131ns"} {
		if slapd.TryApply(entry(cn, "carol")) == nil {
			made++
		}
	}
	if made < 2 {
		t.Errorf("the directory took %d groups of such names", made)
	}
	if inside("carol") {
		t.Error("a group that is called alike opens the console")
	}
	// Renamed, it is the same group; somebody else's group of its old name is not.
	slapd.Apply(t, "dn: cn=sso-admins,ou=groups,"+slapd.BaseDN+
		"\nchangetype: modrdn\nnewrdn: cn=console people\ndeleteoldrdn: 1\n\n"+entry("sso-admins", "carol"))
	if !inside("alice") {
		t.Error("a renamed group lost its rights")
	}
	if inside("carol") {
		t.Error("another group of the old name has its rights")
	}
}
