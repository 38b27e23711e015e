package directory_test

import (
	"testing"

	"ssobridge/idp/directory"
)

// samePlain checks that the fast way says what the slow one says, wherever it says anything.
func samePlain(t *testing.T, dn string) bool {
	t.Helper()
	fast, ok := directory.PlainDN(dn)
	if !ok {
		return false
	}
	if slow, err := directory.SlowDN(dn); err != nil || fast != slow {
		t.Errorf("%q: got %q, want %q, %v", dn, fast, slow, err)
	}
	return true
}

func TestPlainDN(t *testing.T) {
	for dn, plain := range map[string]bool{
		"uid=user00001,ou=people,dc=example,dc=test": true,
		"CN=O'Neil (Ltd.) & Sons / a_b, OU=x,DC=y":   true,
		"  cn =  two   words  ,  dc = x  ":           true,
		"2.5.4.3=a@b.test,dc=x":                      true,
		"cn=a!$%[]{}|~*?:-,dc=x":                     true,
		"":                                           false,
		" ":                                          false,
		"cn":                                         false,
		"cn=":                                        false,
		"cn= ,dc=x":                                  false,
		"=a":                                         false,
		"cn=a,":                                      false,
		"cn=a,,dc=x":                                 false,
		"cn=a,b,dc=x":                                false,
		"c n=a":                                      false,
		"cn=a+sn=b,dc=x":                             false,
		`cn=a\,b,dc=x`:                               false,
		"cn=#0401,dc=x":                              false,
		"cn=a=b,dc=x":                                false,
		"cn=a;dc=x":                                  false,
		"cn=Söhne,dc=x":                              false,
		"cn=a\tb,dc=x":                               false,
		"cn=a\x00,dc=x":                              false,
		"cn=\u212a,dc=x":                             false,
		"cn=a<b,dc=x":                                false,
	} {
		if got := samePlain(t, dn); got != plain {
			t.Errorf("%q: got plain %v, want %v", dn, got, plain)
		}
	}
}

func FuzzPlainDN(f *testing.F) {
	for _, s := range []string{"uid=a b,ou=People , dc=x", "cn=a*b,1.2=c", "cn =a,,", "cn=a\\20,dc= x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dn string) { samePlain(t, dn) })
}

func BenchmarkNormalDN(b *testing.B) {
	for name, dn := range map[string]string{"plain": "uid=user00001,ou=people,dc=example,dc=test",
		"other": "uid=üser00001,ou=people,dc=example,dc=test"} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if _, err := directory.NormalDN(dn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
