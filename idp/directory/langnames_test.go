package directory_test

import (
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// REAL-42: names that a directory has by language alone (RFC 3866) are names. A plain one goes first, and no login or
// mail address is known by a language.
func TestREAL42NamesByLanguage(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	dn := "uid=lang1,ou=people," + s.BaseDN
	s.Apply(t, add(dn, "objectClass: inetOrgPerson", "uid: lang1", "cn: x", "sn: Plain", "sn;lang-en: Tagged",
		"givenName;lang-es: Pedro", "givenName;lang-EN: Peter", "mail;lang-en: tagged@example.test",
		"userPassword: "+directorytest.Password))
	t.Cleanup(func() { s.Apply(t, "dn: "+dn+"\nchangetype: delete\n\n") })
	e, err := open(t, s.Options()).Authenticate(t.Context(), "lang1", directorytest.Password)
	if err != nil || e.FirstName != "Peter" || e.LastName != "Plain" || e.Mail != "" {
		t.Errorf("%+v, %v", e, err)
	}
}
