package sample_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"ssobridge/cmd/internal/sample"
	"ssobridge/idp/directory"
)

func start(t *testing.T) (*sample.Directory, *directory.Directory) {
	t.Helper()
	s, err := sample.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := directory.New(directory.Options{
		Preset: "openldap", URLs: []string{s.URL}, CAFile: ca, BindDN: sample.BindDN, BindPassword: sample.BindPassword,
		BaseDN: sample.PeopleDN, GroupBaseDN: sample.GroupsDN, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return s, d
}

// TestPeople signs everybody in through the bridge's own directory room.
func TestPeople(t *testing.T) {
	_, d := start(t)
	for _, step := range d.Check(t.Context()) {
		if step.Err != nil {
			t.Errorf("%s: %v", step.Name, step.Err)
		}
	}
	for _, p := range sample.People() {
		t.Run(p.Login, func(t *testing.T) {
			entry, err := d.Authenticate(t.Context(), p.Login, p.Password)
			var problem *directory.Error
			if p.Locked {
				if !errors.As(err, &problem) || problem.Problem == directory.Unavailable {
					t.Fatalf("a closed account: got %v, want a refusal", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if entry.ID != p.ID || entry.FirstName != p.FirstName || entry.LastName != p.LastName || entry.Mail != p.Mail ||
				len(entry.Groups) != len(p.Groups) {
				t.Errorf("got %+v\nwant %+v", entry, p)
			}
			for _, g := range entry.Groups {
				if g.ID == "" || g.Name == "" {
					t.Errorf("group %+v has no id or name", g)
				}
			}
			if _, err := d.Authenticate(t.Context(), p.Login, p.Password+"x"); !errors.As(err, &problem) ||
				problem.Problem != directory.BadCredentials {
				t.Errorf("a wrong password: got %v, want %s", err, directory.BadCredentials)
			}
			if again, err := d.Read(t.Context(), p.ID); err != nil || again.Login != p.Login {
				t.Errorf("read by id: %+v, %v", again, err)
			}
		})
	}
	var problem *directory.Error
	if _, err := d.Authenticate(t.Context(), "nobody", "password"); !errors.As(err, &problem) ||
		problem.Problem != directory.BadCredentials {
		t.Errorf("nobody: got %v, want %s", err, directory.BadCredentials)
	}
}

// TestFilters holds answers against what a real server would give.
func TestFilters(t *testing.T) {
	s, _ := start(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	conn, err := ldap.DialURL(s.URL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: roots}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	search := func(base string, scope int, filter string) (int, error) {
		res, err := conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 5, false, filter, nil, nil))
		if err != nil {
			return 0, err
		}
		return len(res.Entries), nil
	}
	all := len(sample.People())
	for _, tc := range []struct {
		base   string
		scope  int
		filter string
		want   int
	}{
		{sample.BaseDN, ldap.ScopeWholeSubtree, "(objectClass=inetOrgPerson)", all},
		{sample.BaseDN, ldap.ScopeSingleLevel, "(objectClass=inetOrgPerson)", 0},
		{sample.PeopleDN, ldap.ScopeSingleLevel, "(uid=*)", all},
		{"uid=alice," + sample.PeopleDN, ldap.ScopeBaseObject, "(objectClass=*)", 1},
		{sample.PeopleDN, ldap.ScopeWholeSubtree, "(|(uid=ALICE)(uid=bob))", 2},
		{sample.PeopleDN, ldap.ScopeWholeSubtree, "(&(objectClass=inetOrgPerson)(!(uid=alice)))", all - 1},
		{sample.PeopleDN, ldap.ScopeWholeSubtree, "(mail=*@example.test)", all},
		{sample.PeopleDN, ldap.ScopeWholeSubtree, "(mail=al*ce@*test)", 1},
		{sample.PeopleDN, ldap.ScopeWholeSubtree, "(mail=lice*)", 0},
		{sample.PeopleDN, ldap.ScopeWholeSubtree, `(uid=a\2a)`, 0},
		{sample.PeopleDN, ldap.ScopeWholeSubtree, `(sn=\c4\8capkov\c3\a1)`, 1},
	} {
		got, err := search(tc.base, tc.scope, tc.filter)
		if err != nil || got != tc.want {
			t.Errorf("%s scope %d %s: got %d, %v; want %d", tc.base, tc.scope, tc.filter, got, err, tc.want)
		}
	}
	if _, err := search("dc=other,dc=test", ldap.ScopeWholeSubtree, "(uid=*)"); !ldap.IsErrorWithCode(err,
		ldap.LDAPResultNoSuchObject) {
		t.Errorf("another base: got %v, want no such object", err)
	}
	if err := conn.UnauthenticatedBind(sample.BindDN); err == nil {
		t.Error("a bind without a password succeeds")
	}
}
