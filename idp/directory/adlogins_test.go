package directory_test

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// REAL-39: everybody on Active Directory has the user principal name login@domain, unless it was given to somebody
// else; a foreign suffix is refused. REAL-40: accents of a login are composed.
func TestREAL39ImplicitUserPrincipalName(t *testing.T) {
	s := directorytest.SharedSamba(t)
	person := func(login string, more ...string) {
		dn := s.PersonDN(login)
		s.Apply(t, add(dn, append(append([]string{"objectClass: user", "sAMAccountName: " + login, "userAccountControl: 512",
			"givenName: " + login, "sn: Test"}, more...), strings.TrimSpace(s.Password(directorytest.Password)))...))
		t.Cleanup(func() { s.Apply(t, "dn: "+dn+"\nchangetype: delete\n\n") })
	}
	person("altupn", "userPrincipalName: alt.upn@corp.example")
	person("noupn")
	person("zoë-é")
	d := open(t, s.Options())
	for login, want := range map[string]string{
		"altupn@ad.example.test":                 "altupn",
		"ALTUPN@AD.Example.Test":                 "altupn",
		"alt.upn@corp.example":                   "altupn",
		"altupn":                                 "altupn",
		"noupn@ad.example.test":                  "noupn",
		"zoë-é":                                  "zoë-é",
		norm.NFD.String("zoë-é"):                 "zoë-é",
		norm.NFD.String("zoë-é@ad.example.test"): "zoë-é",
		`EXAMPLE\` + norm.NFD.String("zoë-é"):    "zoë-é",
	} {
		e, err := d.Authenticate(t.Context(), login, directorytest.Password)
		if err != nil || e.Login != want {
			t.Errorf("%s: got %q, %v; want %s", login, e.Login, err, want)
		}
		if e, err = d.Find(t.Context(), login); err != nil || e.Login != want {
			t.Errorf("find %s: got %q, %v; want %s", login, e.Login, err, want)
		}
	}
	for _, login := range []string{"altupn@other.example", "altupn@example.test", "altupn@test", "altupn@example",
		"altupn@EXAMPLE", "altupn@x.ad.example.test", "altupn@ad.example.test.", "altupn@", "@ad.example.test",
		"al*@ad.example.test", "noupn@corp.example", "alt.upn@ad.example.test", `EXAMPLE\altupn@ad.example.test`,
		"altupn@ad.example.test@other.example", "altupn@other.example@ad.example.test",
		"altupn)(objectClass=*@ad.example.test"} {
		_, err := d.Authenticate(t.Context(), login, directorytest.Password)
		t.Run(login, func(t *testing.T) { wantProblem(t, err, directory.BadCredentials) })
	}
	// A wrong password is one by every name.
	for _, login := range []string{"noupn@ad.example.test", "altupn@ad.example.test"} {
		_, err := d.Authenticate(t.Context(), login, "wrong")
		wantProblem(t, err, directory.BadCredentials)
	}
	// Below an organizational unit, the domain is the same.
	o := s.Options()
	o.BaseDN, o.Domain = "OU=People,"+s.BaseDN, ""
	if e, err := open(t, o).Authenticate(t.Context(), "noupn@ad.example.test", directorytest.Password); err != nil ||
		e.Login != "noupn" {
		t.Errorf("below an organizational unit: %+v, %v", e, err)
	}
	o = s.Options()
	o.Preset = "samba"
	if e, err := open(t, o).Authenticate(t.Context(), "noupn@ad.example.test", directorytest.Password); err != nil ||
		len(e.Groups) == 0 {
		t.Errorf("preset samba: %+v, %v", e, err)
	}
}

// REAL-39: an explicit user principal name goes first, which Samba does not let happen; and with the global catalog,
// the login name counts in the domain that the entry is in.
func TestREAL39DomainsOfAForest(t *testing.T) {
	f := startFake(t)
	f.set(func() { f.base, f.byLogin = "dc=example,dc=test", true })
	f.person("CN=Alice,OU=People,DC=child,DC=example,DC=test", adPerson(nil))
	f.person("CN=Taken,DC=example,DC=test", adPerson(map[string][]string{"sAMAccountName": {"taken"}}))
	f.person("CN=Taker,DC=example,DC=test", adPerson(map[string][]string{"sAMAccountName": {"taker"},
		"userPrincipalName": {"taken@example.test"}}))
	d := open(t, f.options("active_directory"))
	for login, want := range map[string]string{"alice@child.example.test": "alice", "taken@example.test": "taker",
		"taker@example.test": "taker", "taken": "taken"} {
		if e, err := d.Authenticate(t.Context(), login, "right"); err != nil || e.Login != want {
			t.Errorf("%s: got %q, %v; want %s", login, e.Login, err, want)
		}
	}
	for _, login := range []string{"alice@example.test", "alice@other.example.test", "alice@hild.example.test",
		"taken@child.example.test"} {
		_, err := d.Authenticate(t.Context(), login, "right")
		wantProblem(t, err, directory.BadCredentials)
	}
}
