package directory_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// tokenWorld adds people and groups to the domain controller whose memberships only a token shows:
//
//	inprimary: primary group "prime", which is in "above prime"; prime lists no members
//	inlist:    in the distribution group "the list", which is in the security group "behind the list"
//	inouter:   in the security group "outer", which is not below the base of groups, and is in
//	           the security group "holds outer"
func tokenWorld(t *testing.T, s *directorytest.Samba) {
	t.Helper()
	person := func(login string) string {
		return add(s.PersonDN(login), "objectClass: user", "sAMAccountName: "+login, "givenName: In", "sn: "+login, "mail: "+
			login+"@example.test",
			"userAccountControl: 512", strings.TrimSpace(s.Password(directorytest.Password)))
	}
	prime, above, list, behind := s.GroupDN("prime"), s.GroupDN("above prime"), s.GroupDN("the list"),
		s.GroupDN("behind the list")
	outer, holds := "CN=outer,OU=People,"+s.BaseDN, s.GroupDN("holds outer")
	s.Apply(t, person("inprimary")+person("inlist")+person("inouter")+
		add(outer, "objectClass: group", "sAMAccountName: outer", "member: "+s.PersonDN("inouter"))+
		add(holds, "objectClass: group", "sAMAccountName: holdsouter", "member: "+outer)+
		add(prime, "objectClass: group", "sAMAccountName: prime", "member: "+s.PersonDN("inprimary"))+
		add(above, "objectClass: group", "sAMAccountName: aboveprime", "member: "+prime)+
		add(list, "objectClass: group", "sAMAccountName: thelist", "groupType: 2", "member: "+s.PersonDN("inlist"))+
		add(behind, "objectClass: group", "sAMAccountName: behindthelist", "member: "+list))
	t.Cleanup(func() {
		var ldif strings.Builder
		for _, dn := range []string{s.PersonDN("inprimary"), s.PersonDN("inlist"), s.PersonDN("inouter"), holds, outer,
			behind, list, above, prime} {
			ldif.WriteString("dn: " + dn + "\nchangetype: delete\n\n")
		}
		s.Apply(t, ldif.String())
	})
	// The last number of a security identifier is what primaryGroupID holds; the server then takes the person off the
	// member list.
	s.Apply(t, modify(s.PersonDN("inprimary"), "replace", "primaryGroupID", fmt.Sprint(s.RID(t, prime))))
}

// ID-04: on Active Directory a person has the groups of their token: nested ones and the primary group, at a sign-in
// and in a walk, in every mode, and none by way of a distribution group.
func TestID04TokenGroups(t *testing.T) {
	s := directorytest.SharedSamba(t)
	tokenWorld(t, s)
	for _, mode := range []string{"ad", "search", "member_of"} {
		for _, base := range []string{"", "OU=Groups," + s.BaseDN} {
			t.Run(mode+" "+base, func(t *testing.T) {
				o := s.Options()
				o.GroupMode, o.GroupBaseDN, o.Nested = mode, base, true
				everybody := []string{"Domain Users", "Users"} // Users holds Domain Users
				if base != "" {
					everybody = nil
				}
				outer := append([]string{"holds outer", "outer"}, everybody...)
				switch { // these modes follow groups below the base alone
				case base != "" && mode == "ad":
					outer = []string{"holds outer"}
				case base != "":
					outer = nil
				}
				people, walked := walkAll(t, open(t, o), nil)
				if walked.Skipped > 0 {
					t.Errorf("skipped: %q", walked.Why)
				}
				for login, want := range map[string][]string{
					"heidi": append([]string{"emea", "sales", "staff"}, everybody...),
					// the primary group before stays one by member
					"inprimary": append([]string{"prime", "above prime"}, everybody...),
					"inlist":    everybody,
					"inouter":   outer,
				} {
					e, err := open(t, o).Find(t.Context(), login)
					if err != nil {
						t.Fatal(login, err)
					}
					wantGroups(t, e.Groups, slices.Clone(want)...)
					wantGroups(t, people[login].Groups, slices.Clone(want)...)
				}
				e, err := open(t, o).Authenticate(t.Context(), "inprimary", directorytest.Password)
				if err != nil {
					t.Fatal(err)
				}
				if g := groupNamed(t, e.Groups, "prime"); len(g.Via) != 0 || len(g.ID) != 36 {
					t.Errorf("the primary group: got %+v", g)
				}
				if g := groupNamed(t, e.Groups, "above prime"); !slices.Equal(g.Via, []string{s.GroupDN("prime")}) {
					t.Errorf("above the primary group: got %+v", g)
				}
				members, total, err := open(t, o).Members(t.Context(), s.GroupDN("prime"), 10)
				if err != nil || total != 1 || members[0].DN != s.PersonDN("inprimary") {
					t.Errorf("members of prime: got %+v, %d, %v", members, total, err)
				}
				// A walk for one group alone finds the members by the primary group too.
				people, _ = walkAll(t, open(t, o), func(g directory.Group) bool { return g.Name == "above prime" })
				wantGroups(t, people["inprimary"].Groups, "above prime")
				wantGroups(t, people["heidi"].Groups)

				// Where distribution groups count, they lead on.
				o.DistributionGroups = true
				people, _ = walkAll(t, open(t, o), nil)
				if e, err = open(t, o).Find(t.Context(), "inlist"); err != nil {
					t.Fatal(err)
				}
				want := append([]string{"the list", "behind the list"}, everybody...)
				wantGroups(t, e.Groups, slices.Clone(want)...)
				wantGroups(t, people["inlist"].Groups, slices.Clone(want)...)
				if e, err = open(t, o).Find(t.Context(), "inprimary"); err != nil {
					t.Fatal(err)
				}
				want = append([]string{"prime", "above prime"}, everybody...)
				wantGroups(t, e.Groups, slices.Clone(want)...)
				wantGroups(t, people["inprimary"].Groups, slices.Clone(want)...)
			})
		}
	}
}

// denyToken takes the right to read a person's tokenGroups from everybody, as whoever may write the permissions of the
// entry can.
func denyToken(t *testing.T, s *directorytest.Samba, login string) {
	t.Helper()
	s.Deny(t, s.PersonDN(login), "b7c69e6d-2cc7-11d2-854e-00a0c983f608") // tokenGroups
}

// ID-31: where tokenGroups can't be read, by the service account or of one person alone, and with a filter of one's own
// for security groups, the rule in chain gives nobody a group by way of a distribution group, at a sign-in and in a
// walk.
func TestID31ChainWithoutToken(t *testing.T) {
	s := directorytest.SharedSamba(t)
	tokenWorld(t, s)
	const own = "(&(objectCategory=group)(groupType:1.2.840.113556.1.4.803:=2147483648)(cn=*)(member:1.2.840.113556.1.4.1941:={dn}))"
	for _, filter := range []string{own, ""} {
		if filter == "" {
			for _, login := range []string{"heidi", "inprimary", "inlist", "inouter"} {
				denyToken(t, s, login)
			}
		}
		for _, base := range []string{"", "OU=Groups," + s.BaseDN} {
			t.Run(filter+" "+base, func(t *testing.T) {
				var log strings.Builder
				o := s.Options()
				o.GroupFilter, o.GroupBaseDN, o.Logger = filter, base, slog.New(slog.NewTextHandler(&log, nil))
				everybody, outer := []string{"Domain Users", "Users"}, []string{"holds outer", "outer", "Domain Users", "Users"}
				if base != "" {
					everybody, outer = nil, []string{"holds outer"}
				}
				people, walked := walkAll(t, open(t, o), nil)
				if walked.Skipped > 0 {
					t.Errorf("skipped: %q", walked.Why)
				}
				d := open(t, o)
				for login, want := range map[string][]string{
					"heidi":     append([]string{"emea", "sales", "staff"}, everybody...),
					"inprimary": append([]string{"prime", "above prime"}, everybody...),
					"inlist":    everybody,
					"inouter":   outer,
				} {
					e, err := d.Find(t.Context(), login)
					if err != nil {
						t.Fatal(login, err)
					}
					wantGroups(t, e.Groups, slices.Clone(want)...)
					wantGroups(t, people[login].Groups, slices.Clone(want)...)
				}
				if filter == "" && !strings.Contains(log.String(), "can't read tokenGroups") {
					t.Error("tokenGroups was read")
				}
			})
		}
	}
}

// A primary group outside the group base leads to groups below it, as any other does.
func TestID04PrimaryOutsideBase(t *testing.T) {
	s := directorytest.SharedSamba(t)
	inside := s.GroupDN("holds domain users")
	s.Apply(t, add(inside, "objectClass: group", "sAMAccountName: holdsdomainusers",
		"member: CN=Domain Users,CN=Users,"+s.BaseDN))
	t.Cleanup(func() { s.Apply(t, "dn: "+inside+"\nchangetype: delete\n\n") })
	for _, filter := range []string{"", "(&(objectCategory=group)(member:1.2.840.113556.1.4.1941:={dn}))"} {
		o := s.Options()
		o.GroupBaseDN, o.GroupFilter = "OU=Groups,"+s.BaseDN, filter
		all := findAll(t, o)
		wantGroups(t, all["heidi"].Groups, "emea", "sales", "staff", "holds domain users")
		sameAsFind(t, o, all, nil)
	}
	// Who is in a group by other attributes than member is not in it by the primary group.
	o := s.Options()
	o.GroupMode, o.GroupFilter = "search", "(managedBy={dn})"
	all := findAll(t, o)
	wantGroups(t, all["heidi"].Groups)
	sameAsFind(t, o, all, nil)
}

// sidOf is a security identifier of a domain's object as the directory stores it.
func sidOf(domain, rid byte) string {
	return "\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00" + string([]byte{domain, 0, 0, 0}) +
		"\x02\x00\x00\x00\x03\x00\x00\x00" + string([]byte{rid, 0, 0, 0})
}

// Identifiers of another domain give nothing and are not asked for again; a sign-in reads no more than the search in
// chain did once its groups were met.
func TestTokenReads(t *testing.T) {
	f := startFake(t)
	group := func(name string, rid byte) fakeEntry {
		return fakeEntry{"CN=" + name + ",dc=fake", map[string][]string{"cn": {name},
			"objectGUID": {strings.Repeat(string(rune(rid)), 16)}, "objectSid": {sidOf(1, rid)}}}
	}
	token := []string{sidOf(1, 'a'), sidOf(1, 'b'), sidOf(7, 'z')}
	f.person("CN=Alice,dc=fake", adPerson(map[string][]string{"objectSid": {sidOf(1, 50)}, "primaryGroupID": {"97"},
		"tokenGroups": token,
		"memberOf":    {"CN=b,dc=fake"}}))
	f.set(func() { f.groups = []fakeEntry{group("a", 'a'), group("b", 'b'), group("c", 'c')} })
	var log strings.Builder
	c := newClock()
	o := f.options("active_directory")
	o.GroupMode, o.Now, o.Logger = "ad", c.Now, slog.New(slog.NewTextHandler(&log, nil))
	d := open(t, o)
	// A connection that was idle for a while is tried first, which is no read of a sign-in's.
	asked := func() (all []fakeSearch) {
		f.set(func() {
			all = slices.DeleteFunc(slices.Clone(f.searches), func(s fakeSearch) bool { return s.base == "" })
		})
		return all
	}
	sign := func(want int) {
		t.Helper()
		f.set(func() { f.searches = nil })
		e, err := d.Authenticate(t.Context(), "alice", "right")
		if err != nil {
			t.Fatal(err)
		}
		wantGroups(t, e.Groups, "a", "b")
		if got := asked(); len(got) != want {
			t.Errorf("got %d searches, want %d: %+v", len(got), want, got)
		}
	}
	sign(3) // the person, the token, its three identifiers at once
	sign(2) // as many as with the search in chain
	c.Advance(time.Minute)
	sign(3)
	if strings.Contains(log.String(), "tokenGroups") {
		t.Errorf("the log says: %s", log.String())
	}

	// Many identifiers are asked for in batches.
	f.set(func() {
		f.people[0].attributes["tokenGroups"] = nil
		for i := range 250 {
			f.people[0].attributes["tokenGroups"] = append(f.people[0].attributes["tokenGroups"], sidOf(1, byte(i)))
		}
	})
	c.Advance(time.Minute)
	f.set(func() { f.searches = nil })
	if e, err := d.Find(t.Context(), "alice"); err != nil || len(e.Groups) != 3 || len(asked()) != 2+3 {
		t.Errorf("got %d groups by %d searches, %v; want 3 by 5", len(e.Groups), len(asked()), err)
	}
	// What is no identifier is a fault, and too many groups are refused.
	f.set(func() { f.people[0].attributes["tokenGroups"] = []string{"S-1-5"} })
	_, err := d.Find(t.Context(), "alice")
	wantProblem(t, err, directory.BadData)
	f.set(func() { f.people[0].attributes["tokenGroups"] = token })
	o.MaxGroups = 1
	_, err = open(t, o).Find(t.Context(), "alice")
	wantProblem(t, err, directory.BadData)

	// Where the service account can't read tokenGroups, the chain is searched, and the log says so once.
	f.set(func() { delete(f.people[0].attributes, "tokenGroups"); f.searches = nil })
	for range 2 {
		_, _ = d.Find(t.Context(), "alice")
	}
	all := asked()
	last := all[len(all)-1].filter
	if !strings.Contains(last, ":1.2.840.113556.1.4.1941:=CN=Alice") || !strings.Contains(last, "objectSid") {
		t.Errorf("got the filter %s", last)
	}
	if n := strings.Count(log.String(), "can't read tokenGroups"); n != 1 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
	for steps := d.Check(t.Context()); ; steps = steps[1:] {
		if len(steps) == 0 {
			t.Fatal("Check does not say so")
		}
		if s := steps[0]; s.Err == nil && strings.Contains(s.Detail, "tokenGroups") && strings.Contains(s.Fix,
			"service account") {
			break
		}
	}
}
