package directory_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// REAL-43: whoever has the number of a POSIX group as gidNumber is in it, though it does not list them: at a sign-in,
// in a reading, in a walk, and where the members of the group are shown. Nested groups and filters of one's own
// included.
func TestREAL43PosixPrimaryGroup(t *testing.T) {
	s := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Empty: true})
	posix := func(login, gid string) {
		s.Apply(t, add(s.PersonDN(login), "objectClass: inetOrgPerson", "objectClass: posixAccount", "cn: "+login, "sn: Test",
			"uidNumber: 1000", "gidNumber: "+gid, "homeDirectory: /", "userPassword: "+directorytest.Password))
	}
	posix("ann", "5000")
	posix("ben", "5001")
	posix("cat", "7000") // of no group
	s.Apply(t, add(s.PersonDN("dan"), "objectClass: inetOrgPerson", "cn: dan", "sn: Test",
		"userPassword: "+directorytest.Password))
	group := func(name, gid string, members ...string) {
		lines := []string{"objectClass: posixGroup", "cn: " + name, "gidNumber: " + gid}
		for _, m := range members {
			lines = append(lines, "memberUid: "+m)
		}
		s.Apply(t, add(s.GroupDN(name), lines...))
	}
	group("editors", "5000", "dan")
	group("silent", "5001")
	group("twin", "5001", "ann")
	s.Apply(t, add(s.GroupDN("above"), "objectClass: groupOfNames", "cn: above", "member: "+s.GroupDN("silent")))
	s.Apply(t, add(s.GroupDN("numbered"), "objectClass: groupOfNames", "objectClass: extensibleObject", "cn: numbered",
		"gidNumber: 7000", "member: "+s.PersonDN("dan"))) // not a POSIX group: the number means nothing

	want := map[string][]string{"ann": {"editors*", "twin"}, "ben": {"above", "silent*", "twin*"}, "cat": {},
		"dan": {"editors", "numbered"}}
	byMemberOf := map[string][]string{"ann": {"editors*"}, "ben": {"above", "silent*", "twin*"}, "cat": {},
		"dan": {"numbered"}}
	flat := map[string][]string{"ann": {"editors*", "twin"}, "ben": {"silent*", "twin*"}, "cat": {},
		"dan": {"editors", "numbered"}}
	names := map[string][]string{"ann": {"editors*", "twin"}, "ben": {"silent*", "twin*"}, "cat": {}, "dan": {"editors"}}
	none := map[string][]string{"ann": {"twin"}, "ben": {}, "cat": {}, "dan": {"editors"}}
	for name, c := range map[string]struct {
		change func(*directory.Options)
		want   map[string][]string
	}{
		"preset":     {func(o *directory.Options) { o.Nested = true }, want},
		"not nested": {func(*directory.Options) {}, flat},
		"member_of":  {func(o *directory.Options) { o.Nested, o.GroupMode = true, "member_of" }, byMemberOf},
		"memberUid":  {func(o *directory.Options) { o.GroupFilter = "(memberUid={login})" }, names},
		"posix groups": {func(o *directory.Options) {
			o.GroupFilter = "(&(objectClass=posixGroup)(memberUid={login}))"
		}, names},
		"another way": {func(o *directory.Options) {
			o.GroupFilter = "(&(objectClass=posixGroup)(|(memberUid={login})(description={login})))"
		}, names},
		"a filter that lists nobody": {func(o *directory.Options) {
			o.GroupFilter = "(&(objectClass=posixGroup)(memberUid={login})(!(description={login})))"
		}, none},
		"one group": {func(o *directory.Options) {
			o.GroupFilter = "(&(objectClass=posixGroup)(memberUid={login})(!(cn=silent)))"
		}, map[string][]string{"ann": {"editors*", "twin"}, "ben": {"twin*"}, "cat": {}, "dan": {"editors"}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := s.Options()
			c.change(&o)
			d := open(t, o)
			shown := func(groups []directory.Group) []string {
				list := []string{}
				for _, g := range groups {
					if g.Primary {
						g.Name += "*"
					}
					list = append(list, g.Name)
				}
				slices.Sort(list)
				return list
			}
			signedIn := map[string]directory.Entry{}
			for login, groups := range c.want {
				for range 2 { // the second time from the cache, where there is one
					e, err := d.Authenticate(t.Context(), login, directorytest.Password)
					if err != nil {
						t.Fatal(err)
					}
					if got := shown(e.Groups); !slices.Equal(got, groups) {
						t.Errorf("%s: got %q, want %q", login, got, groups)
					}
					signedIn[e.ID] = e
				}
			}
			seen := 0
			_, err := d.Walk(t.Context(), directory.WalkOptions{}, func(e directory.Entry) error {
				was, ok := signedIn[e.ID]
				if seen++; !ok {
					return fmt.Errorf("%s is nobody who signed in", e.DN)
				}
				if diff := cmp.Diff(was.Groups, e.Groups, cmp.AllowUnexported(directory.Group{}), cmpopts.EquateEmpty(),
					cmpopts.SortSlices(func(a, b directory.Group) bool { return a.DN < b.DN })); diff != "" {
					t.Errorf("%s: a walk differs from a sign-in:\n%s", e.Login, diff)
				}
				return nil
			})
			if err != nil || seen != len(c.want) {
				t.Errorf("walk: %d people, %v", seen, err)
			}
		})
	}
	d := open(t, s.Options())
	for name, want := range map[string]int{"editors": 1, "silent": 1, "twin": 1, "above": 0, "numbered": 0} {
		if n, more, err := d.PrimaryMembers(t.Context(), s.GroupDN(name), 10); n != want || more || err != nil {
			t.Errorf("%s is the primary group of %d, %v, %v; want %d", name, n, more, err, want)
		}
	}
	if members, total, err := d.Members(t.Context(), s.GroupDN("silent"), 10); err != nil || total != 1 ||
		members[0].DN != s.PersonDN("ben") {
		t.Errorf("members of silent: %+v, %d, %v", members, total, err)
	}
}

// REAL-44: Active Directory's primary group is marked as one, by each way of reading groups.
func TestREAL44ActiveDirectoryPrimaryGroup(t *testing.T) {
	s := directorytest.SharedSamba(t)
	users := "CN=Domain Users,CN=Users," + s.BaseDN
	for _, mode := range []string{"ad", "search", "member_of"} {
		o := s.Options()
		o.GroupMode = mode
		d := open(t, o)
		e, err := d.Authenticate(t.Context(), "alice", directorytest.Password)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, groups []directory.Group) {
			for _, g := range groups {
				if g.Primary != directory.SameDN(g.DN, users) {
					t.Errorf("%s, %s: %s is marked %v", mode, what, g.DN, g.Primary)
				}
			}
		}
		groupNamed(t, e.Groups, "Domain Users")
		check("sign-in", e.Groups)
		_, err = d.Walk(t.Context(), directory.WalkOptions{}, func(p directory.Entry) error {
			if p.ID == e.ID {
				groupNamed(t, p.Groups, "Domain Users")
				check("walk", p.Groups)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if n, more, err := d.PrimaryMembers(t.Context(), users, 3); n != 3 || !more || err != nil {
			t.Errorf("Domain Users is the primary group of %d, %v, %v; want 3 and more", n, more, err)
		}
	}
}
