package directory_test

import (
	"bytes"
	"net"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// LDAP-01, LDAP-02: what can't be a password or a login is refused before any network.
func TestLDAP01RefusedWithoutNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	accepted := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- struct{}{}
			_ = c.Close()
		}
	}()
	o := directory.Options{Preset: "active_directory", URLs: []string{"ldap://" + l.Addr().String()}, Insecure: true,
		BaseDN: "DC=ad,DC=example,DC=test", Domain: "EXAMPLE"}
	d := open(t, o)
	cases := []struct{ name, login, password string }{
		{"empty password", "alice", ""},
		{"NUL password", "alice", "\x00"},
		{"password with a NUL", "alice", "a\x00b"},
		{"password too long", "alice", strings.Repeat("a", 5000)},
		{"empty login", "", "secret"},
		{"blank login", "   ", "secret"},
		{"NUL login", "alice\x00", "secret"},
		{"control character", "ali\nce", "secret"},
		{"delete character", "alice\x7f", "secret"},
		{"invalid UTF-8", "alice\xff", "secret"},
		{"login too long", strings.Repeat("a", 257), "secret"},
		{"another domain", `OTHER\alice`, "secret"},
		{"no domain", `\alice`, "secret"},
		{"domain without user", `EXAMPLE\`, "secret"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.Authenticate(t.Context(), c.login, c.password)
			wantProblem(t, err, directory.BadCredentials)
			if strings.Contains(err.Error(), "secret") || c.login != "" && strings.TrimSpace(c.login) != "" &&
				strings.Contains(err.Error(), c.login) {
				t.Errorf("the error repeats what was typed: %v", err)
			}
		})
	}
	if len(accepted) != 0 {
		t.Errorf("the directory was contacted %d times", len(accepted))
	}
}

// LDAP-02: a login that is a piece of filter finds nobody.
func TestLDAP02FilterInjection(t *testing.T) {
	d := open(t, directorytest.SharedSlapd(t).Options())
	for _, login := range []string{"*", "a*", "alice)(uid=*", "*)(objectClass=*", "alice)", "(alice", `alice\2a`,
		"{login}", "al\\69ce", "alice)(|(uid=bob)"} {
		_, err := d.Authenticate(t.Context(), login, directorytest.Password)
		wantProblem(t, err, directory.BadCredentials)
		_, err = d.Find(t.Context(), login)
		wantProblem(t, err, directory.BadCredentials)
	}
}

// FuzzLogin: whatever is typed, the filter compiles, has the template's structure, and carries the login as one
// assertion value: byte for byte but for blanks at its ends, and composed for Active Directory (LDAP-02, REAL-42).
func FuzzLogin(f *testing.F) {
	for _, s := range []string{"alice", "*", ")(uid=*", `\2a`, "x", "zoë", `EXAMPLE\bob`, "bob@example.test", "{login}",
		"a\x00", " ", "(&(a=b))", ")(ui   ", "\u00a0bob\u200b", "zoe\u0308", "EXAMPLE\\ bob "} {
		f.Add(s)
	}
	const activeDirectory = 1
	var dirs []*directory.Directory
	for _, preset := range []string{"openldap", "active_directory"} {
		dirs = append(dirs, open(f, directory.Options{Preset: preset, URLs: []string{"ldaps://127.0.0.1:1"},
			BaseDN: "dc=example,dc=test"}))
	}
	dirs = append(dirs, open(f, directory.Options{
		Preset: "openldap", URLs: []string{"ldaps://127.0.0.1:1"}, BaseDN: "dc=x",
		LoginFilter: "(&(objectClass=person)(|(uid={login})(mail={login}))(!(cn={login})))",
	}))
	f.Fuzz(func(t *testing.T, login string) {
		for i, d := range dirs {
			filter, err := d.LoginFilter(login)
			if err != nil {
				continue
			}
			got, err := ldap.CompileFilter(filter)
			if err != nil {
				t.Fatalf("login %q: filter %q does not compile: %v", login, filter, err)
			}
			plain := "x"
			if strings.Contains(login, "@") {
				plain = "x@y"
			}
			reference, err := d.LoginFilter(plain)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ldap.CompileFilter(reference)
			if err != nil {
				t.Fatal(err)
			}
			value := directory.TrimTyped(login)
			if i == activeDirectory {
				value = norm.NFC.String(value)
				if _, user, found := strings.Cut(value, `\`); found {
					value = user // the domain was taken off
				}
			}
			sameStructure(t, login, got, want, plain, value)
		}
	})
}

// sameStructure compares two compiled filters node by node; where the reference has the plain value, got must have the
// login.
func sameStructure(t *testing.T, login string, got, want *ber.Packet, plain, value string) {
	t.Helper()
	if got.ClassType != want.ClassType || got.TagType != want.TagType || got.Tag != want.Tag ||
		len(got.Children) != len(want.Children) {
		t.Fatalf("login %q changes the filter's structure", login)
	}
	if len(want.Children) == 0 {
		expect := want.Data.Bytes()
		if string(expect) == plain {
			expect = []byte(value)
		}
		if !bytes.Equal(got.Data.Bytes(), expect) {
			t.Fatalf("login %q: got value %q, want %q", login, got.Data.Bytes(), expect)
		}
	}
	for i := range want.Children {
		sameStructure(t, login, got.Children[i], want.Children[i], plain, value)
	}
}
