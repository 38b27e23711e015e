package directory_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

func TestAuthenticate(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	c := newClock()
	o := s.Options()
	o.Now = c.Now
	o.ExtraAttributes = []string{"CN", "objectClass", "telephoneNumber"}
	d := open(t, o)
	e, err := d.Authenticate(t.Context(), "ALICE", directorytest.Password)
	if err != nil {
		t.Fatal(err)
	}
	want := directory.Entry{
		DN: s.PersonDN("alice"), ID: e.ID, Login: "alice", FirstName: "Alice", LastName: "Anders", Mail: "alice@example.test",
		Attributes:      map[string][]string{"cn": {"Alice Anders"}, "objectclass": {"inetOrgPerson"}},
		Groups:          e.Groups,
		PasswordChanged: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		ReadAt:          c.Now(),
	}
	whole := cmp.AllowUnexported(directory.Group{}) // no group of an entry is marked as one that gives nothing
	if diff := cmp.Diff(want, e, whole); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if len(e.ID) != 36 {
		t.Errorf("id %q is no entryUUID", e.ID)
	}
	wantGroups(t, e.Groups, "ctct-a07e1lxqqqo0-account_manager", "ctct-a07e1lxqqqo1-campaign_creator", "everybody")
	for _, g := range e.Groups {
		if len(g.ID) != 36 || !directory.SameDN(g.DN, s.GroupDN(g.Name)) || len(g.Via) != 0 {
			t.Errorf("got group %+v, want an id, the DN %q and no path", g, s.GroupDN(g.Name))
		}
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back directory.Entry
	if err := json.Unmarshal(data, &back); err != nil || !cmp.Equal(e, back, whole) {
		t.Errorf("an entry does not survive JSON: %v\n%s", err, cmp.Diff(e, back, whole))
	}

	for login, want := range map[string][2]string{"zoe": {"Zoë", "Żółć 山田"},
		"eve": {"<b>Eve</b>", "<script>alert(1)</script> & Co"}} {
		e, err := d.Authenticate(t.Context(), login, directorytest.Password)
		if err != nil || e.FirstName != want[0] || e.LastName != want[1] {
			t.Errorf("%s: got %q %q, %v; want %q", login, e.FirstName, e.LastName, err, want)
		}
	}
	e, err = d.Authenticate(t.Context(), "carol", directorytest.Password)
	if err != nil || len(e.Groups) != 0 {
		t.Errorf("carol: got groups %v, %v; want none", e.Groups, err)
	}
}

// LDAP-08: the states of an account, by OpenLDAP's password policy control. Those that are told without the right
// password are generic.
func TestLDAP08OpenLDAPStates(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	d := open(t, s.Options())
	cases := []struct {
		login            string
		right, wrong     directory.Problem
		withoutBind      directory.Problem
		knownPersonNamed bool
	}{
		{"alice", "", directory.BadCredentials, "", true},
		{"dave", directory.Locked, directory.Locked, directory.Disabled, true},
		{"erin", directory.PasswordExpired, directory.BadCredentials, "", true},
		{"frank", directory.MustChange, directory.BadCredentials, directory.MustChange, true},
		{"grace", directory.Locked, directory.Locked, directory.Expired, true},
		{"nobody", directory.BadCredentials, directory.BadCredentials, "", false},
	}
	for _, c := range cases {
		t.Run(c.login, func(t *testing.T) {
			_, err := d.Authenticate(t.Context(), c.login, directorytest.Password)
			wantProblem(t, err, c.right)
			_, err = d.Authenticate(t.Context(), c.login, "wrong-"+c.login+"-pw")
			wantProblem(t, err, c.wrong)
			e, _ := errors.AsType[*directory.Error](err)
			if (e.PersonID != "") != c.knownPersonNamed {
				t.Errorf("got person id %q in %v", e.PersonID, err)
			}
			if strings.Contains(err.Error(), "wrong-") {
				t.Errorf("the error holds the password: %v", err)
			}
			if !c.knownPersonNamed {
				if strings.Contains(err.Error(), c.login) {
					t.Errorf("the error names an unknown login: %v", err)
				}
				return
			}
			entry, err := d.Read(t.Context(), e.PersonID)
			if err != nil || entry.Problem != c.withoutBind || entry.Login != c.login {
				t.Errorf("Read: got %q of %q, %v; want problem %q", entry.Problem, entry.Login, err, c.withoutBind)
			}
		})
	}
}

// LDAP-08: a lock after wrong passwords refuses the right one too; LDAP-11: it does not end a live session, since
// anybody can cause it.
func TestLDAP08LockAfterWrongPasswords(t *testing.T) {
	d := open(t, directorytest.StartSlapd(t).Options())
	e, err := d.Authenticate(t.Context(), "mallory", directorytest.Password)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := d.Authenticate(t.Context(), "mallory", "wrong")
		wantProblem(t, err, directory.BadCredentials)
	}
	_, err = d.Authenticate(t.Context(), "mallory", directorytest.Password)
	wantProblem(t, err, directory.Locked)
	read, err := d.Read(t.Context(), e.ID)
	if err != nil || read.Problem != "" {
		t.Errorf("Read of somebody locked by others: got %q, %v; want no problem", read.Problem, err)
	}
	found, err := d.Find(t.Context(), "mallory")
	if err != nil || found.Problem != directory.Locked {
		t.Errorf("Find: got %q, %v; want locked", found.Problem, err)
	}
}

// LDAP-11: what ends a live session is seen when the person is read again.
func TestLDAP11Read(t *testing.T) {
	s := directorytest.StartSlapd(t)
	o := s.Options()
	o.LoginFilter = "(&(objectClass=inetOrgPerson)(!(employeeType=former))(uid={login}))"
	d := open(t, o)
	ids := map[string]string{}
	for _, login := range []string{"alice", "bob", "carol", "zoe"} {
		e, err := d.Authenticate(t.Context(), login, directorytest.Password)
		if err != nil {
			t.Fatal(err)
		}
		ids[login] = e.ID
	}
	read := func(login string) directory.Entry {
		t.Helper()
		e, err := d.Read(t.Context(), ids[login])
		if err != nil {
			t.Fatalf("Read %s: %v", login, err)
		}
		return e
	}
	if e := read("alice"); e.Problem != "" || len(e.Groups) != 3 || e.Login != "alice" {
		t.Errorf("got %+v, want alice with 3 groups", e)
	}
	s.Apply(t, modify(s.GroupDN("ctct-a07e1lxqqqo0-account_manager"), "delete", "member", s.PersonDN("alice")))
	wantGroups(t, read("alice").Groups, "ctct-a07e1lxqqqo1-campaign_creator", "everybody")

	s.Apply(t, modify(s.PersonDN("bob"), "replace", "pwdAccountLockedTime", "000001010000Z"))
	if e := read("bob"); e.Problem != directory.Disabled || e.Groups != nil {
		t.Errorf("locked for good: got %q with groups %v, want disabled", e.Problem, e.Groups)
	}
	s.Apply(t, modify(s.PersonDN("carol"), "add", "employeeType", "former"))
	if e := read("carol"); e.Problem != directory.Disabled {
		t.Errorf("no longer taken by the login filter: got %q, want disabled", e.Problem)
	}
	// Moved and renamed, a person is still the same one; deleted, none.
	s.Apply(t, "dn: "+s.PersonDN("zoe")+"\nchangetype: modrdn\nnewrdn: uid=zora\ndeleteoldrdn: 1\nnewsuperior: "+
		"ou=services,"+s.BaseDN+"\n\n")
	if e := read("zoe"); e.Login != "zora" || e.ID != ids["zoe"] || e.Problem != "" {
		t.Errorf("renamed: got %+v", e)
	}
	s.Apply(t, "dn: uid=zora,ou=services,"+s.BaseDN+"\nchangetype: delete\n\n")
	if e := read("zoe"); e.Problem != directory.Disabled || e.ID != ids["zoe"] {
		t.Errorf("deleted: got %+v, want disabled", e)
	}
	// A new password shows in its time.
	before := read("alice").PasswordChanged
	s.Apply(t, modify(s.PersonDN("alice"), "replace", "userPassword", "another-Passw0rd"))
	if after := read("alice").PasswordChanged; !after.After(before) {
		t.Errorf("password changed at %v, before the change at %v", after, before)
	}
	for _, id := range []string{"", strings.Repeat("a", 300), "a\nb", "\xff"} {
		_, err := d.Read(t.Context(), id)
		wantProblem(t, err, directory.BadData)
	}
	if e, err := d.Read(t.Context(), "*"); err != nil || e.Problem != directory.Disabled {
		t.Errorf("an id that is a star: got %+v, %v; want nobody", e, err)
	}
}

// LDAP-02: the search must find exactly one entry.
func TestLDAP02Ambiguous(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	o := s.Options()
	o.LoginFilter = "(&(objectClass=inetOrgPerson)(mail=*{login}))"
	d := open(t, o)
	_, err := d.Authenticate(t.Context(), "example.test", directorytest.Password)
	wantProblem(t, err, directory.Ambiguous)
	_, err = d.Find(t.Context(), "example.test")
	wantProblem(t, err, directory.Ambiguous)
	if e, err := d.Authenticate(t.Context(), "carol@example.test", directorytest.Password); err != nil ||
		e.Login != "carol" {
		t.Errorf("got %q, %v; want carol", e.Login, err)
	}
}

func TestUnusableEntries(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	for name, change := range map[string]func(*directory.Options){
		"no id":        func(o *directory.Options) { o.IDAttribute = "employeeNumber" },
		"several ids":  func(o *directory.Options) { o.IDAttribute = "memberOf" },
		"no login":     func(o *directory.Options) { o.LoginAttribute = "employeeNumber" },
		"a wrong GUID": func(o *directory.Options) { o.IDAttribute = "objectGUID"; o.LoginFilter = "(uid={login})" },
	} {
		t.Run(name, func(t *testing.T) {
			o := s.Options()
			change(&o)
			d := open(t, o)
			_, err := d.Authenticate(t.Context(), "alice", directorytest.Password)
			wantProblem(t, err, directory.BadData)
			_, err = d.Authenticate(t.Context(), "alice", "wrong")
			wantProblem(t, err, directory.BadCredentials)
		})
	}
}

func TestAttributesAreBounded(t *testing.T) {
	s := directorytest.StartSlapd(t)
	change := "dn: " + s.PersonDN("carol") + "\nchangetype: modify\nadd: description\n"
	for i := range 250 {
		change += "description: value " + strings.Repeat("x", i) + "\n"
	}
	change += "-\nadd: departmentNumber\ndepartmentNumber: short\ndepartmentNumber: " + strings.Repeat("y", 5000) + "\n"
	change += "-\nadd: jpegPhoto\njpegPhoto:: /9j/4AD/\n"
	change += "-\nadd: uid\nuid: another\n\n"
	s.Apply(t, change)
	o := s.Options()
	o.ExtraAttributes = []string{"description", "departmentNumber", "jpegPhoto"}
	e, err := open(t, o).Authenticate(t.Context(), "another", directorytest.Password)
	if err != nil {
		t.Fatal(err)
	}
	if e.Login != "carol" {
		t.Errorf("got login %q, want the one in the entry's name, whichever was typed", e.Login)
	}
	if n := len(e.Attributes["description"]); n != 200 {
		t.Errorf("got %d descriptions, want 200", n)
	}
	if got := e.Attributes["departmentnumber"]; !slices.Equal(got, []string{"short"}) {
		t.Errorf("got %d department numbers, want the short one", len(got))
	}
	if _, has := e.Attributes["jpegphoto"]; has {
		t.Error("a binary value was taken for text")
	}
}

func TestManyAtOnce(t *testing.T) {
	d := open(t, directorytest.SharedSlapd(t).Options())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			login := []string{"alice", "bob", "carol", "heidi"}[i%4]
			for range 5 {
				e, err := d.Authenticate(t.Context(), login, directorytest.Password)
				if err != nil || e.Login != login {
					t.Errorf("got %q, %v; want %s", e.Login, err, login)
				}
				_, err = d.Authenticate(t.Context(), login+"-unknown", "wrong")
				wantProblem(t, err, directory.BadCredentials)
			}
		})
	}
	wg.Wait()
}
