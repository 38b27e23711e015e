package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// LDAP-07: nested groups by a bounded walk with cycle check, by group search and by memberOf.
func TestLDAP07Nested(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	for _, mode := range []string{"search", "member_of"} {
		t.Run(mode, func(t *testing.T) {
			o := s.Options()
			o.GroupMode, o.Nested = mode, true
			d := open(t, o)
			for range 2 { // the second time from the cache
				e, err := d.Authenticate(t.Context(), "heidi", directorytest.Password)
				if err != nil {
					t.Fatal(err)
				}
				wantGroups(t, e.Groups, "emea", "sales", "staff")
				for name, via := range map[string][]string{"emea": nil, "sales": {s.GroupDN("emea")}, "staff": {s.GroupDN("emea"),
					s.GroupDN("sales")}} {
					g := groupNamed(t, e.Groups, name)
					if !slices.Equal(g.Via, via) || len(g.ID) != 36 {
						t.Errorf("%s: got path %q and id %q, want path %q", name, g.Via, g.ID, via)
					}
				}
				e, err = d.Authenticate(t.Context(), "bob", directorytest.Password)
				if err != nil {
					t.Fatal(err)
				}
				wantGroups(t, e.Groups, "everybody", "sales", "staff", "ring-a", "ring-b", "ring-c")
			}
			o.Nested = false
			e, err := open(t, o).Authenticate(t.Context(), "heidi", directorytest.Password)
			if err != nil {
				t.Fatal(err)
			}
			wantGroups(t, e.Groups, "emea")

			o.Nested, o.MaxDepth = true, 2
			_, err = open(t, o).Authenticate(t.Context(), "heidi", directorytest.Password)
			wantProblem(t, err, directory.BadData)
			if err == nil || !strings.Contains(err.Error(), "max_depth") {
				t.Errorf("got %v, want an error that names max_depth", err)
			}
			if e, err := open(t, o).Authenticate(t.Context(), "alice", directorytest.Password); err != nil ||
				len(e.Groups) != 3 {
				t.Errorf("within the bound: got %v, %v", groupNames(e.Groups), err)
			}
			o.MaxDepth, o.MaxGroups = 10, 2
			_, err = open(t, o).Authenticate(t.Context(), "bob", directorytest.Password)
			wantProblem(t, err, directory.BadData)
			if err == nil || !strings.Contains(err.Error(), "max_groups") {
				t.Errorf("got %v, want an error that names max_groups", err)
			}
		})
	}
}

// The kinds of groups that OpenLDAP knows, and names that must be escaped.
func TestGroupKinds(t *testing.T) {
	s := directorytest.StartSlapd(t)
	s.Apply(t, add("cn=unique,ou=groups,"+s.BaseDN, "objectClass: groupOfUniqueNames", "cn: unique", "uniqueMember: "+
		s.PersonDN("carol"))+
		add("cn=posix,ou=groups,"+s.BaseDN, "objectClass: posixGroup", "cn: posix", "gidNumber: 1000", "memberUid: carol",
			"memberUid: zoe")+
		add("cn=posix2,ou=groups,"+s.BaseDN, "objectClass: posixGroup", "cn: posix2", "gidNumber: 1001",
			"memberUid: carolus")+
		add("cn=outer,ou=groups,"+s.BaseDN, "objectClass: groupOfNames", "cn: outer", "member: cn=posix,ou=groups,"+s.BaseDN)+
		add(`cn=odd (*) \\ name\, inc,ou=groups,`+s.BaseDN, "objectClass: groupOfNames", "cn: odd (*) \\ name, inc",
			`member: cn=posix,ou=groups,`+s.BaseDN))
	o := s.Options()
	o.Nested = true
	d := open(t, o)
	e, err := d.Authenticate(t.Context(), "carol", directorytest.Password)
	if err != nil {
		t.Fatal(err)
	}
	wantGroups(t, e.Groups, "unique", "posix", "outer", `odd (*) \ name, inc`)
	e, err = d.Authenticate(t.Context(), "eve", directorytest.Password)
	if err != nil {
		t.Fatal(err)
	}
	wantGroups(t, e.Groups, "ctct-a07e1lxqqqo0-account_manager", "<i>Marketing</i> & Söhne")

	// The base bounds what counts.
	s.Apply(t, add("ou=apps,ou=groups,"+s.BaseDN, "objectClass: organizationalUnit", "ou: apps")+
		add("cn=app,ou=apps,ou=groups,"+s.BaseDN, "objectClass: groupOfNames", "cn: app", "member: "+s.PersonDN("carol"),
			"member: "+s.GroupDN("emea")))
	for _, mode := range []string{"search", "member_of"} {
		o := s.Options()
		o.GroupMode, o.Nested, o.GroupBaseDN = mode, true, "OU=Apps,ou=groups,"+s.BaseDN
		e, err := open(t, o).Authenticate(t.Context(), "carol", directorytest.Password)
		if err != nil {
			t.Fatal(mode, err)
		}
		wantGroups(t, e.Groups, "app")
	}
}

// LDAP-07: searches that find many are paged.
func TestLDAP07Paging(t *testing.T) {
	s := directorytest.StartSlapd(t)
	var ldif strings.Builder
	for i := range 900 {
		ldif.WriteString(add(fmt.Sprintf("cn=many%03d,ou=groups,%s", i, s.BaseDN), "objectClass: groupOfNames", "member: "+
			s.PersonDN("carol")))
	}
	s.Apply(t, ldif.String())
	o := s.Options()
	e, err := open(t, o).Authenticate(t.Context(), "carol", directorytest.Password)
	if err != nil || len(e.Groups) != 900 {
		t.Errorf("got %d groups, %v; want 900", len(e.Groups), err)
	}
	o.MaxGroups = 500
	d := open(t, o)
	for range 2 {
		_, err = d.Authenticate(t.Context(), "carol", directorytest.Password)
		wantProblem(t, err, directory.BadData)
	}
	if e, err := d.Authenticate(t.Context(), "alice", directorytest.Password); err != nil || len(e.Groups) != 3 {
		t.Errorf("after a search that was given up: got %d groups, %v", len(e.Groups), err)
	}
	// An account that the server limits gets an error, not some of the groups.
	o.MaxGroups = 2000
	o.BindDN, o.BindPassword = s.PersonDN("bob"), directorytest.Password
	_, err = open(t, o).Authenticate(t.Context(), "carol", directorytest.Password)
	wantProblem(t, err, directory.Unavailable)
	if err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v, want an error that names the limit", err)
	}
}

func TestGroup(t *testing.T) {
	s := directorytest.StartSlapd(t)
	d := open(t, s.Options())
	g, err := d.Group(t.Context(), "CN=Staff , OU=groups,"+s.BaseDN)
	if err != nil || g.Name != "staff" || !directory.SameDN(g.DN, s.GroupDN("staff")) {
		t.Fatalf("got %+v, %v; want staff", g, err)
	}
	s.Apply(t, "dn: "+s.GroupDN("staff")+"\nchangetype: modrdn\nnewrdn: cn=crew\ndeleteoldrdn: 1\n\n")
	renamed, err := d.GroupByID(t.Context(), g.ID)
	if err != nil || renamed.Name != "crew" || renamed.ID != g.ID || !directory.SameDN(renamed.DN, s.GroupDN("crew")) {
		t.Errorf("renamed: got %+v, %v", renamed, err)
	}
	if upper, err := d.GroupByID(t.Context(), strings.ToUpper(g.ID)); err != nil || upper.ID != g.ID {
		t.Errorf("id in upper case: got %+v, %v", upper, err)
	}
	if g, err := d.Group(t.Context(), s.GroupDN("<i>Marketing</i> & Söhne")); err != nil ||
		g.Name != "<i>Marketing</i> & Söhne" {
		t.Errorf("HTML in the name: got %+v, %v", g, err)
	}
	_, err = d.Group(t.Context(), s.GroupDN("staff"))
	wantProblem(t, err, directory.BadData)
	if !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the old name: got %v, want ErrNotFound", err)
	}
	for name, dn := range map[string]string{"malformed": "staff", "empty": "", "a person": s.PersonDN("alice"),
		"unknown attribute": "nonsense=a," + s.BaseDN, "another tree": "cn=a,dc=other"} {
		_, err := d.Group(t.Context(), dn)
		t.Run(name, func(t *testing.T) { wantProblem(t, err, directory.BadData) })
	}
	_, err = d.GroupByID(t.Context(), "00000000-0000-0000-0000-000000000000")
	wantProblem(t, err, directory.BadData)
	if !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("unknown id: got %v, want ErrNotFound", err)
	}
	for _, id := range []string{"", "*", "a)(cn=*", strings.Repeat("9", 300)} {
		_, err := d.GroupByID(t.Context(), id)
		wantProblem(t, err, directory.BadData)
	}
}

// What is read about nested groups is used again for seconds only.
func TestGroupCacheEnds(t *testing.T) {
	for _, mode := range []string{"search", "member_of"} {
		t.Run(mode, func(t *testing.T) {
			s := directorytest.StartSlapd(t)
			c := newClock()
			o := s.Options()
			o.GroupMode, o.Nested, o.Now = mode, true, c.Now
			d := open(t, o)
			sign := func() []directory.Group {
				t.Helper()
				e, err := d.Authenticate(t.Context(), "heidi", directorytest.Password)
				if err != nil {
					t.Fatal(err)
				}
				return e.Groups
			}
			wantGroups(t, sign(), "emea", "sales", "staff")
			s.Apply(t, modify(s.GroupDN("staff"), "replace", "member", s.PersonDN("zoe")))
			c.Advance(11 * time.Second)
			wantGroups(t, sign(), "emea", "sales")
			// A renamed group is found under its new name.
			s.Apply(t, "dn: "+s.GroupDN("sales")+"\nchangetype: modrdn\nnewrdn: cn=trade\ndeleteoldrdn: 1\n\n"+
				modify(s.GroupDN("ring-a"), "add", "member", s.PersonDN("heidi")))
			c.Advance(2 * time.Minute)
			wantGroups(t, sign(), "emea", "trade", "ring-a", "ring-b", "ring-c")
		})
	}
}

// In mode member_of a group that can't be read stays a group of the person, without an id.
func TestUnreadableGroup(t *testing.T) {
	f := startFake(t)
	f.person("uid=alice,dc=fake", map[string][]string{"uid": {"alice"},
		"entryUUID": {"11111111-1111-1111-1111-111111111111"}, "memberOf": {"cn=Secret,dc=fake", "cn=known,dc=fake",
			"cn=elsewhere,dc=other"}})
	f.set(func() {
		f.entries["cn=known,dc=fake"] = fakeEntry{"cn=known,dc=fake", map[string][]string{"cn": {"known"},
			"entryUUID": {"22222222-2222-2222-2222-222222222222"}}}
	})
	o := f.options("openldap")
	o.Nested = true
	e, err := open(t, o).Authenticate(t.Context(), "alice", "right")
	if err != nil {
		t.Fatal(err)
	}
	wantGroups(t, e.Groups, "Secret", "known")
	if g := groupNamed(t, e.Groups, "Secret"); g.ID != "" || g.DN != "cn=Secret,dc=fake" {
		t.Errorf("got %+v, want the DN and no id", g)
	}
}

// REAL-50: the groups that following groups in groups would add, where they are not followed.
func TestREAL50Beyond(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	for _, mode := range []string{"search", "member_of"} {
		o := s.Options()
		o.GroupMode = mode
		for login, want := range map[string][]string{"heidi": {"sales", "staff"}, "bob": {"staff", "ring-b", "ring-c"},
			"carol": nil, "alice": nil} {
			d := open(t, o)
			e, err := d.Authenticate(t.Context(), login, directorytest.Password)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time from the cache
				beyond, err := d.Beyond(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				wantGroups(t, beyond, want...)
				for _, g := range beyond {
					if len(g.Via) == 0 || len(g.ID) != 36 {
						t.Errorf("%s, %s: %+v lacks its path or id", mode, login, g)
					}
				}
			}
			again, err := d.Read(t.Context(), e.ID)
			if err != nil || len(again.Groups) != len(e.Groups) {
				t.Errorf("%s, %s: looking beyond gave groups: %v, %v", mode, login, again.Groups, err)
			}
		}
		o.Nested = true
		d := open(t, o)
		e, err := d.Authenticate(t.Context(), "heidi", directorytest.Password)
		if err != nil {
			t.Fatal(err)
		}
		if beyond, err := d.Beyond(t.Context(), e); err != nil || len(beyond) != 0 {
			t.Errorf("%s: nothing is beyond where all is followed: %v, %v", mode, beyond, err)
		}
	}
}
