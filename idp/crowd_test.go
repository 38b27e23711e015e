package idp_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/store/storetest"
)

// bound counts the binds that reach a real directory.
type bound struct {
	*directory.Directory
	n atomic.Int64
}

func (b *bound) Bind(ctx context.Context, f directory.Found, password string, slow bool) (directory.Entry, error) {
	b.n.Add(1)
	return b.Directory.Bind(ctx, f, password, slow)
}

// TestID08RealDirectories: 200 wrong passwords at once, from many addresses and browsers, by every spelling that the
// directory takes, through one replica and through two: no more than the limit reach it, and it does not lock the
// account, which it would at the next one: it still lets the owner in.
func TestID08RealDirectories(t *testing.T) {
	const limit = 5
	slapd := func(t *testing.T) (directory.Options, []string) {
		s := directorytest.StartSlapd(t)
		// carol has a second uid; one wrong password more than the limit locks her.
		s.Apply(t, "dn: "+s.PersonDN("carol")+"\nchangetype: modify\nadd: uid\nuid: carol.castle\n")
		s.Apply(t, "dn: cn=default,ou=policies,"+s.BaseDN+"\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: 6\n")
		o := s.Options()
		o.LoginFilter = "(&(objectClass=person)(|(uid={login})(mail={login})))"
		o.PasswordPolicyDN = "cn=default,ou=policies," + s.BaseDN
		return o, []string{"carol", "CAROL", "carol.castle", "carol@example.test", "Carol@Example.test", " carol "}
	}
	samba := func(t *testing.T) (directory.Options, []string) {
		s := directorytest.StartSamba(t)
		s.Apply(t, "dn: "+s.BaseDN+"\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 6\n")
		return s.Options(), []string{"carol", "CAROL", "carol@ad.example.test", "Carol@AD.example.test", `EXAMPLE\carol`,
			`ad.example.test\Carol`}
	}
	for name, server := range map[string]func(*testing.T) (directory.Options, []string){"OpenLDAP": slapd,
		"Active Directory": samba} {
		t.Run(name, func(t *testing.T) {
			o, spellings := server(t)
			for _, replicas := range []int{1, 2} {
				t.Run(fmt.Sprint(replicas, " replicas"), func(t *testing.T) {
					var d bound
					var err error
					if d.Directory, err = directory.New(o); err != nil {
						t.Fatal(err)
					}
					defer func() { _ = d.Close() }()
					crowd(t, &d, replicas, limit, spellings)
				})
			}
		})
	}
}

func crowd(t *testing.T, d *bound, replicas, limit int, spellings []string) {
	ctx := context.Background()
	change := func(o *idp.Options) { o.Directory, o.LoginFailures = d, limit }
	all := []*fixture{newFixture(t, "rsa-2048", change)}
	if replicas > 1 {
		dsn := storetest.Postgres(t)(t).DSN
		all = []*fixture{fixtureOn(t, dsn, "rsa-2048", change), fixtureOn(t, dsn, "", change)}
	}
	from := func(i int) idp.Visitor {
		v := visitor(fmt.Sprint("browser ", i))
		if i%4 == 0 {
			v.Browser = "home" // known: it has the last two as well
		}
		v.Address = fmt.Sprintf("192.0.2.%d", i+1)
		return v
	}
	login := func(f *fixture, id, name, password string, v idp.Visitor) string {
		a, err := f.Login(ctx, id, name, password, v)
		if err != nil {
			t.Error(err)
		}
		return a.NewSession
	}
	if login(all[0], pendingLogin(t, all[0], from(0)), "carol", directorytest.Password, from(0)) == "" {
		t.Fatal("carol can't sign in")
	}
	d.n.Store(0)
	const crowd = 200
	var ids [crowd]string
	for i := range ids {
		ids[i] = pendingLogin(t, all[i%replicas], from(i))
	}
	var wait sync.WaitGroup
	for i := range crowd {
		wait.Go(func() {
			if login(all[i%replicas], ids[i], spellings[i%len(spellings)], fmt.Sprint("wrong ", i), from(i)) != "" {
				t.Error("in with a wrong password")
			}
		})
	}
	wait.Wait()
	for _, f := range all {
		f.Drain()
	}
	if n := d.n.Load(); n > int64(limit) || n < int64(limit-2) {
		t.Errorf("%d binds reached the directory, want no more than %d", n, limit)
	}
	found, err := d.Lookup(ctx, "carol")
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Lockout(ctx, found.Entry.ID)
	if err != nil || l.Locked || l.Failures > limit || int64(l.Failures) != d.n.Load() || l.Policy == nil ||
		l.Policy.Threshold != limit+1 {
		t.Errorf("the directory has %+v, %+v, %v after %d binds", l, l.Policy, err, d.n.Load())
	}
	if _, err := d.Directory.Bind(ctx, found, directorytest.Password, false); err != nil {
		t.Errorf("the account is locked in the directory: %v", err)
	}
}
