package directory_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

func TestActiveDirectorySignIn(t *testing.T) {
	s := directorytest.SharedSamba(t)
	d := open(t, s.Options())
	var id string
	for _, login := range []string{"alice", "ALICE", "alice@ad.example.test", "Alice@AD.example.test", `EXAMPLE\alice`,
		`example\Alice`, `ad.example.test\alice`} {
		e, err := d.Authenticate(t.Context(), login, directorytest.Password)
		if err != nil {
			t.Errorf("%s: %v", login, err)
			continue
		}
		if id == "" {
			id = e.ID
		}
		if e.ID != id || len(id) != 36 || e.Login != "alice" || e.Mail != "alice@example.test" || e.PasswordChanged.IsZero() {
			t.Errorf("%s: got %+v", login, e)
		}
		wantGroups(t, e.Groups, "ctct-a07e1lxqqqo0-account_manager", "ctct-a07e1lxqqqo1-campaign_creator", "everybody",
			"Domain Users", "Users")
	}
	for _, login := range []string{`OTHER\alice`, "alice@other.test", "alice@example.test", "*", `EXAMPLE\*`, "nobody",
		"nobody@ad.example.test"} {
		_, err := d.Authenticate(t.Context(), login, directorytest.Password)
		t.Run(login, func(t *testing.T) { wantProblem(t, err, directory.BadCredentials) })
	}
	e, err := d.Read(t.Context(), id)
	if err != nil || e.Login != "alice" || e.Problem != "" || len(e.Groups) != 5 {
		t.Errorf("Read by objectGUID: got %+v, %v", e, err)
	}
	if e, err := d.Read(t.Context(), strings.ToUpper(id)); err != nil || e.ID != id {
		t.Errorf("Read by objectGUID in upper case: got %+v, %v", e, err)
	}
	if e, err := d.Read(t.Context(), "00000000-0000-0000-0000-000000000001"); err != nil ||
		e.Problem != directory.Disabled {
		t.Errorf("Read of nobody: got %+v, %v", e, err)
	}
	_, err = d.Read(t.Context(), "alice")
	wantProblem(t, err, directory.BadData)
	for login, want := range map[string][2]string{"zoe": {"Zoë", "Żółć 山田"},
		"eve": {"<b>Eve</b>", "<script>alert(1)</script> & Co"}} {
		e, err := d.Authenticate(t.Context(), login, directorytest.Password)
		if err != nil || e.FirstName != want[0] || e.LastName != want[1] || len(e.Groups) == 0 {
			t.Errorf("%s: got %+v, %v", login, e, err)
		}
	}
}

// LDAP-05: the referrals of a search at the domain's root are counted and left alone.
func TestLDAP05ActiveDirectoryReferrals(t *testing.T) {
	d := open(t, directorytest.SharedSamba(t).Options())
	if _, err := d.Authenticate(t.Context(), "alice", directorytest.Password); err != nil {
		t.Fatal(err)
	}
	if d.Referrals() == 0 {
		t.Error("no referral was counted")
	}
}

// LDAP-05: a referral is not followed, neither as an entry of a search nor as an answer to one.
func TestLDAP05Referrals(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	followed := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			followed <- struct{}{}
			_ = c.Close()
		}
	}()
	s := directorytest.StartSlapd(t)
	away := "ou=away,ou=people," + s.BaseDN
	s.Apply(t, add(away, "objectClass: referral", "objectClass: extensibleObject", "ou: away", "ref: ldap://"+
		l.Addr().String()+"/ou=people,dc=other"))
	d := open(t, s.Options())
	if _, err := d.Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
		t.Error(err)
	}
	if d.Referrals() == 0 {
		t.Error("no referral was counted")
	}
	o := s.Options()
	o.BaseDN = away
	_, err = open(t, o).Authenticate(t.Context(), "carol", directorytest.Password)
	wantProblem(t, err, directory.Unavailable)
	_, err = d.Group(t.Context(), "cn=x,"+away)
	wantProblem(t, err, directory.BadData)
	if len(followed) != 0 {
		t.Error("a referral was followed")
	}
}

// LDAP-07: groups in groups by the matching rule in chain, with the path to each.
func TestLDAP07ActiveDirectoryNested(t *testing.T) {
	s := directorytest.SharedSamba(t)
	for _, mode := range []string{"ad", "search", "member_of"} {
		t.Run(mode, func(t *testing.T) {
			o := s.Options()
			o.GroupMode, o.Nested = mode, true
			d := open(t, o)
			e, err := d.Authenticate(t.Context(), "heidi", directorytest.Password)
			if err != nil {
				t.Fatal(err)
			}
			wantGroups(t, e.Groups, "emea", "sales", "staff", "Domain Users", "Users")
			for name, via := range map[string][]string{"emea": nil, "sales": {s.GroupDN("emea")}, "staff": {s.GroupDN("emea"),
				s.GroupDN("sales")}} {
				g := groupNamed(t, e.Groups, name)
				if !slices.Equal(g.Via, via) || len(g.ID) != 36 {
					t.Errorf("%s: got path %q and id %q, want path %q", name, g.Via, g.ID, via)
				}
				found, err := d.GroupByID(t.Context(), g.ID)
				if err != nil || found.DN != g.DN {
					t.Errorf("GroupByID of %s: got %+v, %v", name, found, err)
				}
			}
			e, err = d.Authenticate(t.Context(), "bob", directorytest.Password)
			if err != nil {
				t.Fatal(err)
			}
			wantGroups(t, e.Groups, "everybody", "sales", "staff", "ring-a", "ring-b", "ring-c", "Domain Users", "Users")
			o.MaxGroups = 2
			_, err = open(t, o).Authenticate(t.Context(), "bob", directorytest.Password)
			wantProblem(t, err, directory.BadData)
		})
	}
	d := open(t, s.Options())
	_, err := d.Group(t.Context(), s.PersonDN("alice"))
	wantProblem(t, err, directory.BadData)
	if g, err := d.Group(t.Context(), s.GroupDN("<i>Marketing</i> & Söhne")); err != nil ||
		g.Name != "<i>Marketing</i> & Söhne" {
		t.Errorf("got %+v, %v", g, err)
	}
}

// ID-04: distribution groups give nothing unless that is asked for, at a sign-in and in a walk, in every mode; nor do
// they lead on to what they are in where the bridge follows the nesting itself.
func TestID04DistributionGroups(t *testing.T) {
	s := directorytest.SharedSamba(t)
	const distribution = "2" // global, without the bit that marks a security group
	list, over := s.GroupDN("mailing list"), s.GroupDN("over the list")
	s.Apply(t, add(list, "objectClass: group", "sAMAccountName: mailinglist", "groupType: "+distribution, "member: "+
		s.PersonDN("heidi"))+
		add(over, "objectClass: group", "sAMAccountName: overthelist", "groupType: "+distribution, "member: "+list))
	t.Cleanup(func() { s.Apply(t, "dn: "+over+"\nchangetype: delete\n\ndn: "+list+"\nchangetype: delete\n\n") })
	for _, mode := range []string{"ad", "search", "member_of"} {
		t.Run(mode, func(t *testing.T) {
			o := s.Options()
			o.GroupMode, o.Nested = mode, true
			people, _ := walkAll(t, open(t, o), nil)
			e, err := open(t, o).Authenticate(t.Context(), "heidi", directorytest.Password)
			if err != nil {
				t.Fatal(err)
			}
			wantGroups(t, e.Groups, "emea", "sales", "staff", "Domain Users", "Users")
			wantGroups(t, people["heidi"].Groups, "emea", "sales", "staff", "Domain Users", "Users")
			_, err = open(t, o).Group(t.Context(), list)
			wantProblem(t, err, directory.BadData)
			if g, err := open(t, o).Group(t.Context(), "CN=Users,CN=Builtin,"+s.BaseDN); err != nil || g.Name != "Users" {
				t.Errorf("a security group of the system: got %+v, %v", g, err)
			}
			o.DistributionGroups = true
			if g, err := open(t, o).Group(t.Context(), list); err != nil || g.Name != "mailing list" {
				t.Errorf("where distribution groups count: got %+v, %v", g, err)
			}
			people, _ = walkAll(t, open(t, o), nil)
			if e, err = open(t, o).Authenticate(t.Context(), "heidi", directorytest.Password); err != nil {
				t.Fatal(err)
			}
			wantGroups(t, e.Groups, "emea", "sales", "staff", "mailing list", "over the list", "Domain Users", "Users")
			wantGroups(t, people["heidi"].Groups, "emea", "sales", "staff", "mailing list", "over the list",
				"Domain Users", "Users")
		})
	}
}

// ID-04: the base of a pattern is looked up, and none that holds all groups is taken.
func TestID04PatternBase(t *testing.T) {
	ad, slapd := directorytest.SharedSamba(t), directorytest.SharedSlapd(t)
	for _, c := range []struct {
		d       *directory.Directory
		dn      string
		problem directory.Problem
		want    string
	}{
		{open(t, ad.Options()), "ou=groups, " + strings.ToLower(ad.BaseDN), "", "OU=Groups," + ad.BaseDN},
		{open(t, ad.Options()), ad.BaseDN, directory.BadData, ""},
		{open(t, ad.Options()), "CN=Configuration," + ad.BaseDN, directory.BadData, ""}, // another naming context
		{open(t, slapd.Options()), "OU=Groups," + slapd.BaseDN, "", "ou=groups," + slapd.BaseDN},
		{open(t, slapd.Options()), "DC=Example, DC=test", directory.BadData, ""},
		{open(t, slapd.Options()), "dc=test", directory.BadData, ""},
		{open(t, slapd.Options()), "ou=nowhere," + slapd.BaseDN, directory.BadData, ""},
		{open(t, slapd.Options()), "", directory.BadData, ""},
		{open(t, slapd.Options()), "groups", directory.BadData, ""},
	} {
		got, err := c.d.PatternBase(t.Context(), c.dn)
		if problemOf(t, err) != c.problem || got != c.want {
			t.Errorf("%q: got %q, %v; want %q", c.dn, got, err, c.want)
		}
	}
	for name, want := range map[string]bool{"Mail": true, "departmentnumber": true, "telephoneNumber;lang-de": true,
		"employeeType": false, "": false} {
		if got := directory.SelfWritten(name); got != want {
			t.Errorf("SelfWritten(%q) = %v, want %v", name, got, want)
		}
	}
}

// LDAP-08: the states that a real Active Directory tells by its codes; a wrong password learns none of them.
func TestLDAP08ActiveDirectoryStates(t *testing.T) {
	s := directorytest.SharedSamba(t)
	d := open(t, s.Options())
	for login, want := range map[string]directory.Problem{
		"dave": directory.Disabled, "erin": directory.PasswordExpired, "frank": directory.MustChange,
		"grace": directory.Expired,
	} {
		t.Run(login, func(t *testing.T) {
			_, err := d.Authenticate(t.Context(), login, directorytest.Password)
			wantProblem(t, err, want)
			_, err = d.Authenticate(t.Context(), login, "wrong")
			wantProblem(t, err, directory.BadCredentials)
			e, err := d.Find(t.Context(), login)
			if err != nil || e.Problem != want || len(e.Groups) == 0 {
				t.Errorf("Find: got %q with %d groups, %v; want %q", e.Problem, len(e.Groups), err, want)
			}
			read, err := d.Read(t.Context(), e.ID)
			if err != nil || read.Problem != want {
				t.Errorf("Read: got %q, %v; want %q", read.Problem, err, want)
			}
		})
	}
	for range 3 {
		_, err := d.Authenticate(t.Context(), "mallory", "wrong")
		wantProblem(t, err, directory.BadCredentials)
	}
	_, err := d.Authenticate(t.Context(), "mallory", directorytest.Password)
	wantProblem(t, err, directory.Locked)
	e, err := d.Find(t.Context(), "mallory")
	if err != nil || e.Problem != directory.Locked {
		t.Errorf("Find: got %q, %v; want locked", e.Problem, err)
	}
	if e, err = d.Read(t.Context(), e.ID); err != nil || e.Problem != "" {
		t.Errorf("Read of somebody locked by others: got %q, %v; want no problem", e.Problem, err)
	}
}

// LDAP-03: StartTLS with a real Active Directory.
func TestLDAP03ActiveDirectoryStartTLS(t *testing.T) {
	s := directorytest.SharedSamba(t)
	o := s.Options()
	o.URLs, o.StartTLS = []string{s.PlainURL()}, true
	o.BindDN = "reader@" + s.DNSDomain
	if _, err := open(t, o).Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
		t.Error(err)
	}
}
