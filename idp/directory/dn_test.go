package directory_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory"
)

// LDAP-07: groups are compared by normalised DN, case-insensitively.
func TestLDAP07SameDN(t *testing.T) {
	cases := []struct {
		a, b string
		want bool
	}{
		{"cn=Staff,dc=example,dc=test", "CN=staff, DC=Example , DC=TEST", true},
		{`cn=a\,b,dc=x`, `cn=a\2cb,dc=x`, true},
		{`cn=\3Cb\3E,dc=x`, `cn=\<b\>,dc=x`, true},
		{"cn=Söhne,dc=x", `cn=s\c3\b6hne,dc=x`, true},
		{"cn=two  words,dc=x", "cn=Two words,dc=x", true},
		{"cn=a+sn=b,dc=x", "sn=B+cn=A,dc=x", true},
		{"cn=K,dc=x", "cn=\u212a,dc=x", false}, // the Kelvin sign is another entry for Active Directory
		{"cn=Söhne,dc=x", "cn=SÖHNE,dc=x", false},
		{"cn=sso-admins,dc=x", "cn=sso-admins\u1680,dc=x", false},
		{"cn=SSO Admins,dc=x", "cn=SSO\u00a0Admins,dc=x", false},
		{"cn=a b,dc=x", "cn=a\tb,dc=x", false},
		{`cn=a\ ,dc=x`, "cn=a,dc=x", true},
		{`cn=\ ,dc=x`, `cn=\ \ ,dc=x`, true},
		{`cn=\ ,dc=x`, "cn=,dc=x", false},
		{"cn=Hi,dc=x", "cn=#04024869,dc=x", false},
		{"cn=#04024869,dc=x", "cn=#04024869,dc=x", false}, // not taken at all
		{"labeledURI=http://x,dc=x", "labeledURI=HTTP://x,dc=x", false},
		{"labeledURI=http://x,dc=x", "LABELEDURI=http://x,dc=x", true},
		{"cn=a,dc=x", "cn=b,dc=x", false},
		{"cn=a,dc=x", "cn=a,dc=x,dc=y", false},
		{`cn=a\,dc\=y,dc=x`, "cn=a,dc=y,dc=x", false},
		{"", "", false},
		{"nonsense", "nonsense", false},
	}
	for _, c := range cases {
		if got := directory.SameDN(c.a, c.b); got != c.want {
			t.Errorf("SameDN(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// ID-03: a base of one part is not the end of a value with an escaped comma, whatever its attribute's name looks like.
func TestUnder(t *testing.T) {
	const dc = "0.9.2342.19200300.100.1.25"
	for _, c := range []struct {
		dn, base string
		want     bool
	}{
		{"cn=a,ou=g,dc=x", "OU=G, dc=x", true},
		{"ou=g,dc=x", "ou=g,dc=x", true},
		{"cn=a,ou=bigg,dc=x", "ou=g,dc=x", false},
		{"dc=x", "ou=g,dc=x", false},
		{`cn=a\,dc=x`, "dc=x", false},
		{`cn=a\,` + dc + `=x`, dc + "=x", false},
		{`cn=a\2c` + dc + `\3dx`, dc + "=x", false},
		{"cn=a," + dc + "=x", dc + "=x", true},
		{"cn=a+" + dc + "=x", dc + "=x", false},
		{"cn=a,ou=g\u00a0,dc=x", "ou=g,dc=x", false},
		{"cn=a,dc=x", "", false},
		{"", "dc=x", false},
	} {
		if got := directory.Under(c.dn, c.base); got != c.want {
			t.Errorf("Under(%q, %q) = %v, want %v", c.dn, c.base, got, c.want)
		}
	}
}

func TestNormalDN(t *testing.T) {
	for _, bad := range []string{"", "  ", "staff", "cn=a,,dc=x", `cn=a\`, "=a,dc=x", "cn=" + strings.Repeat("a", 5000)} {
		if got, err := directory.NormalDN(bad); err == nil {
			t.Errorf("NormalDN(%.20q) = %q, want an error", bad, got)
		}
	}
	got, err := directory.NormalDN("CN=Staff , OU=Groups,dc=X")
	if err != nil {
		t.Fatal(err)
	}
	again, err := directory.NormalDN(got)
	if err != nil || again != got {
		t.Errorf("NormalDN of %q is %q, %v; want the same", got, again, err)
	}
}

// LDAP-07: an escaped comma is part of a value and never ends an RDN, however short the base is and however its
// attribute is written.
func TestLDAP07Under(t *testing.T) {
	cases := []struct {
		dn, base string
		want     bool
	}{
		{"o=example", "O=Example", true},
		{"cn=x,o=example", "o=example", true},
		{"cn=x, 2.5.4.10=example", "2.5.4.10=Example", true},
		{`cn=x\\,2.5.4.10=example`, "2.5.4.10=example", true}, // the value ends with a backslash
		{`cn=a\,b,2.5.4.10=example`, "2.5.4.10=example", true},
		{"cn=x,2.5.4.10=example,dc=test", "2.5.4.10=example,dc=test", true},
		{`cn=x\,o=example`, "o=example", false},
		{`cn=x\,2.5.4.10=example`, "2.5.4.10=example", false},
		{`cn=x\2c2.5.4.10\3dexample`, "2.5.4.10=example", false},
		{`cn=x\\\,2.5.4.10=example`, "2.5.4.10=example", false},
		{`cn=x\,2.5.4.10=example,dc=test`, "2.5.4.10=example,dc=test", false},
		{"cn=x+2.5.4.10=example", "2.5.4.10=example", false},
		{"cn=x,1.2.5.4.10=example", "2.5.4.10=example", false},
		{"cn=x,2.5.4.10=example,dc=test", "2.5.4.10=example", false},
		{"cn=<x,2.5.4.10=example", "2.5.4.10=example", false}, // malformed
		{"", "2.5.4.10=example", false},
	}
	for _, c := range cases {
		if signIn, walk := directory.UnderBoth(c.dn, c.base); signIn != c.want || walk != c.want {
			t.Errorf("%s below %s: at a sign-in %v, in a walk %v, want %v", c.dn, c.base, signIn, walk, c.want)
		}
	}
}

func FuzzNormalDN(f *testing.F) {
	for _, s := range []string{"cn=a,dc=x", `cn=\3Cb\3E+sn=ö,dc=x`, "cn=#04024869", `cn=a\ `, "cn= ,dc=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dn string) {
		n, err := directory.NormalDN(dn)
		if err != nil {
			return
		}
		again, err := directory.NormalDN(n)
		if err != nil || again != n {
			t.Fatalf("NormalDN(%q) = %q, and of that %q, %v", dn, n, again, err)
		}
	})
}
