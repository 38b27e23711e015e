package directorytest_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

func TestMain(m *testing.M) { os.Exit(directorytest.Main(m)) }

func signIn(t *testing.T, d *directory.Directory, login string) error {
	t.Helper()
	_, err := d.Authenticate(t.Context(), login, directorytest.Password)
	return err
}

func open(t *testing.T, o directory.Options) *directory.Directory {
	t.Helper()
	o.DialTimeout, o.OpTimeout, o.Timeout = 2*time.Second, 2*time.Second, 10*time.Second
	d, err := directory.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*directory.Error](err); !ok || e.Problem != directory.Unavailable {
		t.Errorf("%s: got %v, want unavailable", what, err)
	}
}

// The server can be stopped, started, frozen, thawed and changed, and keeps its data and its address.
func TestSlapd(t *testing.T) {
	s := directorytest.StartSlapd(t)
	d := open(t, s.Options())
	if err := signIn(t, d, "alice"); err != nil {
		t.Fatal(err)
	}
	s.Apply(t, "dn: "+s.PersonDN("newcomer")+"\nobjectClass: inetOrgPerson\nuid: newcomer\ncn: New\nsn: "+
		"Comer\nuserPassword: "+directorytest.Password+"\n\n")
	s.Stop(t)
	wantUnavailable(t, "stopped", signIn(t, d, "alice"))
	s.Start(t)
	if err := signIn(t, d, "newcomer"); err != nil {
		t.Error("started again:", err)
	}
	s.Freeze(t)
	wantUnavailable(t, "frozen", signIn(t, d, "alice"))
	s.Thaw(t)
	if err := signIn(t, d, "alice"); err != nil {
		t.Error("thawed:", err)
	}
	s.Restart(t)
	if err := signIn(t, d, "alice"); err != nil {
		t.Error("restarted:", err)
	}
}

func TestSlapdOptions(t *testing.T) {
	s := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Empty: true, People: 3, Plain: true})
	o := s.Options()
	o.URLs, o.Insecure, o.CAFile = []string{s.PlainURL()}, true, ""
	d := open(t, o)
	if err := signIn(t, d, directorytest.LoadLogin(2)); err != nil {
		t.Error(err)
	}
	for _, login := range []string{"alice", directorytest.LoadLogin(3)} {
		if err := signIn(t, d, login); err == nil {
			t.Errorf("%s is there, in an empty directory with three people", login)
		}
	}
}

// Each sample person without a special state can sign in at both servers.
func TestSamplePeople(t *testing.T) {
	slapd, samba := directorytest.SharedSlapd(t), directorytest.SharedSamba(t)
	for name, d := range map[string]*directory.Directory{"slapd": open(t, slapd.Options()),
		"samba": open(t, samba.Options())} {
		for _, p := range directorytest.People() {
			if err := signIn(t, d, p.Login); (err == nil) != (p.State == "" || p.State == "lockout") {
				t.Errorf("%s: %s with state %q: got %v", name, p.Login, p.State, err)
			}
		}
	}
}

func TestSamba(t *testing.T) {
	s := directorytest.SharedSamba(t)
	d := open(t, s.Options())
	s.Apply(t, "dn: CN=newcomer,OU=People,"+s.BaseDN+
		"\nobjectClass: user\nsAMAccountName: newcomer\nuserAccountControl: 512\n"+s.Password(directorytest.Password)+"\n")
	s.Stop(t)
	wantUnavailable(t, "stopped", signIn(t, d, "alice"))
	s.Start(t)
	if err := signIn(t, d, "newcomer"); err != nil {
		t.Error("started again:", err)
	}
}

// The groups for load have the members that LoadMembers says, and people have the memberOf that goes with it.
func TestSlapdLoad(t *testing.T) {
	load := directorytest.SlapdOptions{Empty: true, People: 50, Groups: 12, MembersPerGroup: 3, BigGroup: 20, NestDepth: 5}
	s := directorytest.StartSlapdWith(t, load)
	in := map[string]int{}
	for i := range load.Groups {
		people, _ := load.LoadMembers(i)
		for _, p := range people {
			in[directorytest.LoadLogin(p)]++
		}
	}
	for _, mode := range []string{"search", "member_of"} {
		for _, nested := range []bool{false, true} {
			o := s.Options()
			o.GroupMode, o.Nested = mode, nested
			d := open(t, o)
			for i := range load.People {
				login := directorytest.LoadLogin(i)
				e, err := d.Find(t.Context(), login)
				if err != nil || !nested && len(e.Groups) != in[login] {
					t.Errorf("%s, nested %v: %s: got %d groups, %v; want %d", mode, nested, login, len(e.Groups), err, in[login])
				}
				// Of the second five groups in a row, the last two are members of each other, and so both of all five.
				if nested && i >= 20 && (len(e.Groups) == 5) != (i >= 24 && i < 30) {
					t.Errorf("%s: %s: got %d groups", mode, login, len(e.Groups))
				}
			}
		}
	}
}
