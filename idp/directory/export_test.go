package directory

import (
	"io"
	"net"

	"github.com/go-ldap/ldap/v3"
)

// LoginFilter is the filter by which a login is searched, for the fuzz test of its structure.
func (d *Directory) LoginFilter(login string) (string, error) { return d.loginFilter(login) }

// TrimTyped is what a login and the values of an entry go through.
func TrimTyped(v string) string { return trimInvisible(v) }

// PlainDN and SlowDN are the two halves of NormalDN, for the test that they agree.
func PlainDN(dn string) (string, bool) { return plainDN(dn) }

func SlowDN(dn string) (string, error) { return normalDN(dn) }

// UnderBoth reports whether dn is base or below it, as a sign-in sees it and as a walk over the directory does.
func UnderBoth(dn, base string) (signIn, walk bool) {
	return under(dn, base), keyUnder(dnKey(dn), dnKey(base))
}

// Taken reads a stream of LDAP messages to its end: the DNs and values of the entries that are taken out of it, and
// what goes through.
func Taken(c net.Conn) (taken []*ldap.Entry, through []byte, err error) {
	s := newEntryStream(c)
	s.give(func(e *ldap.Entry) { taken = append(taken, e) })
	through, err = io.ReadAll(s)
	return taken, through, err
}
