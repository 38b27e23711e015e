package directory_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// walkAll walks and gives everybody by login.
func walkAll(t *testing.T, d *directory.Directory, wanted func(directory.Group) bool) (map[string]directory.Entry,
	directory.Walked) {
	t.Helper()
	people := map[string]directory.Entry{}
	walked, err := d.Walk(t.Context(), directory.WalkOptions{Wanted: wanted}, func(e directory.Entry) error {
		if _, twice := people[e.Login]; twice {
			t.Errorf("%s is visited twice", e.Login)
		}
		people[e.Login] = e
		return nil
	})
	if err != nil {
		t.Fatal("Walk:", err)
	}
	if walked.People != len(people) {
		t.Errorf("got %d people by count, visited %d", walked.People, len(people))
	}
	return people, walked
}

// sorted is an entry in a form that can be compared: groups by DN, without the time.
func sorted(e directory.Entry) directory.Entry {
	e.Groups = slices.Clone(e.Groups)
	slices.SortFunc(e.Groups, func(a, b directory.Group) int { return cmp.Compare(a.DN, b.DN) })
	if len(e.Groups) == 0 {
		e.Groups = nil
	}
	e.ReadAt = time.Time{}
	return e
}

// findAll finds everybody whom a walk visits, each by login, with the state that Read tells: a passing lock, which
// another test may have caused, is told by Find alone.
func findAll(t *testing.T, o directory.Options) map[string]directory.Entry {
	t.Helper()
	d := open(t, o)
	logins, _ := walkAll(t, d, choices["none"])
	all := map[string]directory.Entry{}
	for login := range logins {
		e, err := d.Find(t.Context(), login)
		if err != nil {
			t.Fatalf("Find %s: %v", login, err)
		}
		if e.Problem == directory.Locked {
			read, err := d.Read(t.Context(), e.ID)
			if err != nil {
				t.Fatalf("Read %s: %v", login, err)
			}
			e.Problem = read.Problem
		}
		all[login] = e
	}
	return all
}

// sameAsFind checks for everybody that a walk gives what Find gave, as far as wanted lets it, and returns how many
// groups that were.
func sameAsFind(t *testing.T, o directory.Options, all map[string]directory.Entry,
	wanted func(directory.Group) bool) (people map[string]directory.Entry, groups int) {
	t.Helper()
	people, walked := walkAll(t, open(t, o), wanted)
	if walked.Skipped > 0 || len(people) != len(all) {
		t.Errorf("got %d people, want %d; %d are skipped: %q", len(people), len(all), walked.Skipped, walked.Why)
	}
	for login, got := range people {
		want := all[login]
		if wanted != nil {
			want.Groups = slices.DeleteFunc(slices.Clone(want.Groups), func(g directory.Group) bool { return !wanted(g) })
		}
		if !reflect.DeepEqual(sorted(got), sorted(want)) {
			t.Errorf("%s: got\n%+v, want\n%+v", login, sorted(got), sorted(want))
		}
		groups += len(got.Groups)
	}
	return people, groups
}

// choices are what a walk is asked to look at.
var choices = map[string]func(directory.Group) bool{
	"all":             nil,
	"none":            func(directory.Group) bool { return false },
	"one":             func(g directory.Group) bool { return g.Name == "sales" },
	"a nested parent": func(g directory.Group) bool { return g.Name == "staff" },
	"in a circle":     func(g directory.Group) bool { return g.Name == "ring-b" },
	"by DN":           func(g directory.Group) bool { return strings.HasPrefix(strings.ToLower(g.DN), "cn=ctct-") },
	"with an id":      func(g directory.Group) bool { return g.ID != "" && g.Name == "everybody" },
}

// eachChoice runs sameAsFind for all choices, with and without groups in groups.
func eachChoice(t *testing.T, o directory.Options, want map[string]int) {
	t.Helper()
	for _, nested := range []bool{true, false} {
		o.Nested = nested
		all := findAll(t, o)
		for name, wanted := range choices {
			if _, got := sameAsFind(t, o, all, wanted); nested && want[name] > 0 && got != want[name] {
				t.Errorf("wanted %s: got %d memberships, want %d", name, got, want[name])
			}
		}
	}
}

// The heart: a walk sees each person as a sign-in does.
func TestWalkIsLikeSignIn(t *testing.T) {
	s := directorytest.StartSlapd(t)
	s.Apply(t, add("cn=unique,ou=groups,"+s.BaseDN, "objectClass: groupOfUniqueNames", "cn: unique", "uniqueMember: "+
		s.PersonDN("carol"))+
		add("cn=posix,ou=groups,"+s.BaseDN, "objectClass: posixGroup", "cn: posix", "gidNumber: 1000", "memberUid: carol",
			"memberUid: zoe", "memberUid: ALICE")+
		add("cn=outer,ou=groups,"+s.BaseDN, "objectClass: groupOfNames", "cn: outer", "member: CN=Posix, OU=groups,"+s.BaseDN,
			"member: cn=unique,ou=groups,"+s.BaseDN)+
		// Two ways from emea to top, a long one and a short one, and a group that is a member of itself.
		add("cn=top,ou=groups,"+s.BaseDN, "objectClass: groupOfNames", "cn: top", "member: "+s.GroupDN("staff"), "member: "+
			s.GroupDN("sales"), "member: cn=top,ou=groups,"+s.BaseDN)+
		add(`cn=odd (*) \\ name\, inc,ou=groups,`+s.BaseDN, "objectClass: groupOfNames", "cn: odd (*) \\ name, inc",
			"member: UID=Heidi , ou=people,"+s.BaseDN)+
		add("ou=other,"+s.BaseDN, "objectClass: organizationalUnit", "ou: other")+
		add("cn=elsewhere,ou=other,"+s.BaseDN, "objectClass: groupOfNames", "cn: elsewhere", "member: "+s.PersonDN("carol")))
	for _, mode := range []string{"search", "member_of"} {
		for _, base := range []string{"", "OU=Groups , " + s.BaseDN} {
			t.Run(mode+" "+base, func(t *testing.T) {
				o := s.Options()
				o.GroupMode, o.GroupBaseDN = mode, base
				eachChoice(t, o, map[string]int{"one": 2, "a nested parent": 2, "in a circle": 1, "by DN": 4, "with an id": 2})
				o.Nested = true
				people, _ := walkAll(t, open(t, o), choices["a nested parent"])
				if len(people) != len(directorytest.People()) {
					t.Errorf("got %d people, want %d", len(people), len(directorytest.People()))
				}
				wantGroups(t, people["heidi"].Groups, "staff")
				if via, want := people["heidi"].Groups[0].Via, []string{s.GroupDN("emea"),
					s.GroupDN("sales")}; !slices.Equal(via, want) {
					t.Errorf("got path %q, want %q", via, want)
				}
				for login, want := range map[string]directory.Problem{"dave": directory.Disabled, "frank": directory.MustChange,
					"grace": directory.Expired, "alice": ""} {
					if got := people[login].Problem; got != want {
						t.Errorf("%s: got problem %q, want %q", login, got, want)
					}
				}
			})
		}
	}
}

// By group filters of all kinds, those that can be turned round and those that can't.
func TestWalkGroupFilters(t *testing.T) {
	s := directorytest.StartSlapd(t)
	s.Apply(t, add("cn=posix,ou=groups,"+s.BaseDN, "objectClass: posixGroup", "cn: posix", "gidNumber: 1000",
		"memberUid: carol", "memberUid: zoe", "memberUid: ALICE", "memberUid: x(bob)")+
		add("cn=outer,ou=groups,"+s.BaseDN, "objectClass: groupOfNames", "cn: outer", "member: cn=posix,ou=groups,"+s.BaseDN,
			"member: "+s.GroupDN("emea")))
	for filter, turns := range map[string]bool{
		"(member={dn})":                       true,
		"(memberUid={login})":                 true,
		"(|(member={dn})(memberUid={login}))": true,
		"(&(|(objectClass=groupOfNames)(cn=po*))(|(member={dn})(memberUid={login})))": true,
		"(&(objectClass=groupOfNames)(!(cn=s*))(member={dn}))":                        true,
		"(member=uid={login},ou=people," + s.BaseDN + ")":                             true,
		`(|(memberUid=x\28{login}\29)(member={dn}))`:                                  true,
		"(&(member={dn})(memberUid={login}))":                                         false,
		"(&(objectClass=groupOfNames)(!(member={dn})))":                               false,
		"(memberUid=*{login}*)":                                                       false,
		"(member:distinguishedNameMatch:={dn})":                                       false,
		"(|(member={dn})(cn=staff))":                                                  false,
		"(memberUid~={login})":                                                        false,
		"(|(member={dn})(description={dn} {login}))":                                  false,
	} {
		t.Run(filter, func(t *testing.T) {
			var log strings.Builder
			o := s.Options()
			o.GroupFilter, o.Logger = filter, slog.New(slog.NewTextHandler(&log, nil))
			for _, o.Nested = range []bool{true, false} {
				all := findAll(t, o)
				for _, wanted := range []string{"all", "a nested parent", "by DN"} {
					sameAsFind(t, o, all, choices[wanted])
				}
			}
			if told := strings.Contains(log.String(), "can't be turned round"); told == turns {
				t.Errorf("the log says: %s", log.String())
			}
		})
	}
}

func TestWalkActiveDirectory(t *testing.T) {
	s := directorytest.SharedSamba(t)
	// A chain from a person through a group that is not below the group base to one that is.
	other, person, inside, outside := "OU=Other,"+s.BaseDN, "CN=Chained,OU=Other,"+s.BaseDN, "CN=chain-inside,OU=Groups,"+
		s.BaseDN, "CN=chain-outside,OU=Other,"+s.BaseDN
	s.Apply(t, add(other, "objectClass: organizationalUnit")+add(person, "objectClass: user", "sAMAccountName: chained",
		"userAccountControl: 512", strings.TrimSpace(s.Password(directorytest.Password)))+
		add(outside, "objectClass: group", "sAMAccountName: chain-outside", "member: "+person)+add(inside,
		"objectClass: group", "sAMAccountName: chain-inside", "member: "+outside))
	t.Cleanup(func() {
		for _, dn := range []string{inside, outside, person, other} {
			s.Apply(t, "dn: "+dn+"\nchangetype: delete\n\n")
		}
	})
	for _, mode := range []string{"ad", "search", "member_of"} {
		for _, base := range []string{"", "OU=Groups," + s.BaseDN} {
			t.Run(mode+" "+base, func(t *testing.T) {
				o := s.Options()
				o.GroupMode, o.GroupBaseDN = mode, base
				eachChoice(t, o, map[string]int{"one": 2, "a nested parent": 2, "in a circle": 1, "by DN": 4, "with an id": 2})
			})
		}
	}
	t.Run("a filter with more conditions", func(t *testing.T) {
		for _, more := range []string{"(cn=s*)", "(!(cn=sales))"} {
			o := s.Options()
			o.GroupFilter = "(&(objectCategory=group)" + more + "(member:1.2.840.113556.1.4.1941:={dn}))"
			sameAsFind(t, o, findAll(t, o), nil)
		}
		var log strings.Builder
		o := s.Options()
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.GroupFilter = "(|(member:1.2.840.113556.1.4.1941:={dn})(cn=staff))"
		sameAsFind(t, o, findAll(t, o), choices["a nested parent"])
		if !strings.Contains(log.String(), "can't be turned round") {
			t.Errorf("the log says: %s", log.String())
		}
	})
}

// Member lists may spell a DN beyond ASCII otherwise than its entry does. The server's matching rule says whether it is
// the same.
func TestWalkOtherSpelling(t *testing.T) {
	s := directorytest.StartSlapd(t)
	groups, person := "ou=groups,"+s.BaseDN, "uid=jörg,ou=people,"+s.BaseDN
	s.Apply(t, add(person, "objectClass: inetOrgPerson", "uid: jörg", "cn: J", "sn: J", "mail: j@example.test")+
		add("cn=söhne,"+groups, "objectClass: groupOfNames", "cn: söhne", "member: uid=JÖRG,ou=people,"+s.BaseDN, "member: "+
			s.PersonDN("carol"))+
		add("cn=nested söhne,"+groups, "objectClass: groupOfNames", "cn: nested söhne", "member: cn=SÖHNE,"+groups))
	for _, mode := range []string{"search", "member_of"} {
		t.Run(mode, func(t *testing.T) {
			o := s.Options()
			o.GroupMode, o.Nested = mode, true
			people, _ := sameAsFind(t, o, findAll(t, o), nil)
			wantGroups(t, people["jörg"].Groups, "söhne", "nested söhne")
			for _, name := range []string{"söhne", "nested söhne"} {
				groupNamed(t, people["carol"].Groups, name)
			}
		})
	}
}

// People and groups that fill several pages.
func TestWalkPages(t *testing.T) {
	load := directorytest.SlapdOptions{Empty: true, People: 1300, Groups: 900, MembersPerGroup: 4,
		BigGroup: 1000, NestDepth: 5}
	s := directorytest.StartSlapdWith(t, load)
	last := directorytest.LoadGroup(4)
	first10 := func(g directory.Group) bool {
		return strings.HasPrefix(g.Name, "team") && g.Name < directorytest.LoadGroup(10)
	}
	for _, mode := range []string{"search", "member_of"} {
		t.Run(mode, func(t *testing.T) {
			o := s.Options()
			o.GroupMode, o.Nested = mode, true
			people, walked := walkAll(t, open(t, o), first10)
			if len(people) != load.People || walked.Wanted != 10 || walked.Groups < load.Groups {
				t.Errorf("got %+v", walked)
			}
			// team00005 and team00004 are members of each other at the end of a chain that begins at team00001.
			if got := people[directorytest.LoadLogin(4*load.MembersPerGroup)].Groups; len(got) != 5 || !slices.ContainsFunc(got,
				func(g directory.Group) bool { return g.Name == last }) {
				t.Errorf("in %s: got %q", last, groupNames(got))
			}
			if got := people[directorytest.LoadLogin(999)].Groups; len(got) != 1 || got[0].Name != directorytest.LoadGroup(0) {
				t.Errorf("the last of the big group: got %q", groupNames(got))
			}
			if got := people[directorytest.LoadLogin(1000)].Groups; len(got) != 0 {
				t.Errorf("nobody's: got %q", groupNames(got))
			}
			d, few := open(t, o), 0
			for login, got := range people {
				if few++; few > 50 {
					break
				}
				want, err := d.Find(t.Context(), login)
				want.Groups = slices.DeleteFunc(want.Groups, func(g directory.Group) bool { return !first10(g) })
				if err != nil || !reflect.DeepEqual(sorted(got), sorted(want)) {
					t.Errorf("%s: got\n%+v, want\n%+v, %v", login, got, want, err)
				}
			}
		})
	}
}

// Who can't sign in for what the directory holds is counted, and nobody else is lost for it.
func TestWalkSkips(t *testing.T) {
	s := directorytest.StartSlapd(t)
	s.Apply(t, modify(s.PersonDN("alice"), "add", "employeeNumber", "1")+modify(s.PersonDN("bob"), "add",
		"employeeNumber", "2")+
		modify(s.PersonDN("carol"), "add", "employeeNumber", "2")+modify(s.PersonDN("zoe"), "add", "employeeNumber", "3")+
		add("cn=nameless,ou=people,"+s.BaseDN, "objectClass: inetOrgPerson", "cn: nameless", "sn: x", "employeeNumber: 4"))
	o := s.Options()
	o.IDAttribute, o.LoginFilter, o.LoginAttribute = "employeeNumber",
		"(&(objectClass=person)(|(uid={login})(cn={login})))", "uid"
	people, walked := walkAll(t, open(t, o), nil)
	if len(people) != 2 || people["alice"].ID != "1" || people["zoe"].ID != "3" {
		t.Errorf("got %v", people)
	}
	// Bob and Carol share an id, the nameless one has no login, the others have no id.
	if want := len(directorytest.People()) - 2 + 1; walked.Skipped < want || len(walked.Why) != min(walked.Skipped, 20) {
		t.Errorf("got %d skipped with %d reasons, want at least %d", walked.Skipped, len(walked.Why), want)
	}
	why := strings.Join(walked.Why, "\n")
	for _, want := range []string{s.PersonDN("bob") + ": several entries have the employeeNumber 2", s.PersonDN("carol") +
		": several", "cn=nameless", "uid"} {
		if !strings.Contains(why, want) {
			t.Errorf("got reasons\n%s\nwant %q among them", why, want)
		}
	}
	_, err := open(t, o).Read(t.Context(), "2")
	wantProblem(t, err, directory.Ambiguous)

	for _, mode := range []string{"search", "member_of"} {
		for name, change := range map[string]func(*directory.Options){
			"max_depth":  func(o *directory.Options) { o.MaxDepth = 2 },
			"max_groups": func(o *directory.Options) { o.MaxGroups = 2 },
		} {
			t.Run(mode+" "+name, func(t *testing.T) {
				o := s.Options()
				o.GroupMode, o.Nested = mode, true
				change(&o)
				d := open(t, o)
				people, walked := walkAll(t, d, nil)
				if walked.Skipped == 0 || !strings.Contains(strings.Join(walked.Why, "\n"), name) {
					t.Errorf("got %+v, want a reason that names %s", walked, name)
				}
				for _, p := range directorytest.People() {
					_, err := d.Find(t.Context(), p.Login)
					if _, visited := people[p.Login]; visited != (err == nil) {
						t.Errorf("%s: visited %v, but Find says %v", p.Login, visited, err)
					}
				}
			})
		}
	}
}

// A walk that did not see everybody never looks like one that did.
func TestWalkRefusals(t *testing.T) {
	s := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{People: 1200, Groups: 20, MembersPerGroup: 10})
	refused := func(t *testing.T, o directory.Options, want string) {
		t.Helper()
		walked, err := open(t, o).Walk(t.Context(), directory.WalkOptions{}, func(directory.Entry) error { return nil })
		wantProblem(t, err, directory.Unavailable)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %+v, %v; want an error that names %q", walked, err, want)
		}
	}
	for _, mode := range []string{"search", "member_of"} {
		t.Run(mode, func(t *testing.T) {
			o := s.Options()
			o.GroupMode, o.GroupBaseDN = mode, "ou=groups,"+s.BaseDN
			o.BaseDN = "ou=gone," + s.BaseDN
			refused(t, o, "base_dn")
			o.BaseDN, o.GroupBaseDN = s.BaseDN, "ou=gone,"+s.BaseDN
			refused(t, o, "group_base_dn")
			o = s.Options()
			o.GroupMode = mode
			o.BindDN, o.BindPassword = s.PersonDN("bob"), directorytest.Password
			refused(t, o, "size limit")
			o = s.Options()
			o.GroupMode, o.BindPassword = mode, "wrong"
			refused(t, o, "bind_password")
		})
	}
	t.Run("visit", func(t *testing.T) {
		enough, seen := errors.New("enough"), 0
		d := open(t, s.Options())
		walked, err := d.Walk(t.Context(), directory.WalkOptions{}, func(directory.Entry) error {
			if seen++; seen == 3 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || seen != 3 || walked.People != 3 {
			t.Errorf("got %v after %d, %+v", err, seen, walked)
		}
		if _, err := d.Find(t.Context(), "alice"); err != nil {
			t.Error("afterwards:", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		_, err := open(t, s.Options()).Walk(ctx, directory.WalkOptions{}, func(directory.Entry) error {
			if seen++; seen == 3 {
				cancel()
			}
			return nil
		})
		wantProblem(t, err, directory.Unavailable)
		if !errors.Is(err, context.Canceled) || seen != 3 {
			t.Errorf("got %v after %d", err, seen)
		}
	})
	t.Run("closed", func(t *testing.T) {
		d, err := directory.New(s.Options())
		if err != nil {
			t.Fatal(err)
		}
		_ = d.Close()
		_, err = d.Walk(t.Context(), directory.WalkOptions{}, nil)
		wantProblem(t, err, directory.Unavailable)
	})
	for _, how := range []string{"cut", "stalled"} {
		t.Run(how, func(t *testing.T) {
			p := startProxy(t, s.Address())
			o := s.Options()
			o.URLs, o.OpTimeout = []string{"ldaps://" + p.address}, time.Second
			seen := 0
			walked, err := open(t, o).Walk(t.Context(), directory.WalkOptions{}, func(directory.Entry) error {
				if seen++; seen == 10 {
					if how == "cut" {
						p.cut()
					} else {
						p.stall()
					}
				}
				return nil
			})
			wantProblem(t, err, directory.Unavailable)
			if seen < 10 || walked.People != seen || seen >= 1200 {
				t.Errorf("got %d visited, %+v", seen, walked)
			}
		})
	}
}

// A directory whose first server is down is walked at the second; one with StartTLS and one in clear are walked too.
func TestWalkConnections(t *testing.T) {
	s := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{People: 900, Plain: true})
	p := startProxy(t, s.Address())
	p.refuse()
	two := s.Options()
	two.URLs = []string{"ldaps://" + p.address, s.URL()}
	startTLS := s.Options()
	startTLS.URLs, startTLS.StartTLS = []string{s.PlainURL()}, true
	plain := s.Options()
	plain.URLs, plain.Insecure, plain.CAFile = []string{s.PlainURL()}, true, ""
	for name, o := range map[string]directory.Options{"two servers": two, "StartTLS": startTLS, "plain": plain} {
		t.Run(name, func(t *testing.T) {
			people, _ := walkAll(t, open(t, o), nil)
			if len(people) != 900+len(directorytest.People()) || len(people["user00900"].Groups) != 1 ||
				len(people["alice"].Groups) != 3 {
				t.Errorf("got %d people", len(people))
			}
		})
	}
}

// Referrals are counted and left alone.
func TestWalkReferrals(t *testing.T) {
	s := directorytest.StartSlapd(t)
	s.Apply(t, add("ou=away,ou=people,"+s.BaseDN, "objectClass: referral", "objectClass: extensibleObject", "ou: away",
		"ref: ldap://127.0.0.1:1/ou=people,dc=other"))
	d := open(t, s.Options())
	people, _ := walkAll(t, d, nil)
	if len(people) != len(directorytest.People()) || d.Referrals() == 0 {
		t.Errorf("got %d people, %d referrals", len(people), d.Referrals())
	}
}
