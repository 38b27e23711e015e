// Package netname says what host names and URLs mean: which hosts are this machine, what a public URL looks like, and
// to which addresses a browser may be sent. Every package may import it; it imports none of ours and connects to
// nothing.
//
// It must never accept a URL whose scheme is neither https nor http, and never http for a host that others may reach.
package netname

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAddress bounds an address to which browsers are sent, in bytes.
const maxAddress = 2048

// Loopback reports whether browsers take a URL's host for the machine that they run on: an address of its loopback
// network, localhost, or a name below localhost, whatever a DNS server says of it (RFC 6761 6.3).
func Loopback(host string) bool {
	return strings.HasSuffix(strings.ToLower(host), ".localhost") || LoopbackPeer(host)
}

// LoopbackPeer reports whether a connection that this program opens to a host stays on this machine. Names below
// localhost are not among them: unlike browsers, resolvers may ask a DNS server for those.
func LoopbackPeer(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// What is wrong with a public URL. Callers add the setting, its value and what to write instead.
var (
	ErrNoSite     = errors.New("it is not the address of a web site")
	ErrMoreThan   = errors.New("it has more than scheme, host and port")
	ErrPublicHTTP = errors.New("it is http for a host that others reach")
)

// ParsePublicURL reads the address at which browsers reach us: scheme, host and perhaps a port, with or without a
// slash behind. The scheme is https, or http on a loopback host, where browsers keep Secure cookies and passwords stay
// on the machine. The result has the host in small letters and no path. An error is one of ErrNoSite, ErrMoreThan
// and ErrPublicHTTP; with the last two the URL is returned beside it, for the message.
func ParsePublicURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || strings.ContainsFunc(text, NotInURI) || u.Hostname() == "" || u.Opaque != "" ||
		u.Scheme != "https" && u.Scheme != "http" {
		return nil, ErrNoSite
	}
	u.Host = strings.ToLower(u.Host)
	switch {
	case !portNumber(u):
		return nil, ErrNoSite
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") || u.User != nil:
		return u, ErrMoreThan
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return u, ErrPublicHTTP
	}
	return u, nil
}

// Origin is a URL's scheme and host as browsers write them in Origin and Host: small letters, and no port that is the
// scheme's own.
func Origin(u *url.URL) string { return u.Scheme + "://" + HostPort(u) }

// HostPort is the host part of Origin.
func HostPort(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Port() == DefaultPort(u.Scheme) {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return host
}

// DefaultPort is the port that a scheme has where a URL names none.
func DefaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// portNumber reports whether a URL's port is absent, or a number from 1 to 65535 as browsers write it.
func portNumber(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(u.Port())
	return err == nil && n > 0 && n < 1<<16 && strconv.Itoa(n) == u.Port()
}

// foreignLetter reports letters past ASCII, which names of hosts have in texts alone.
func foreignLetter(r rune) bool { return r >= utf8.RuneSelf && unicode.IsLetter(r) }

// NotInURI reports the characters that no URI has: blanks, controls, and everything past ASCII.
func NotInURI(r rune) bool { return r <= ' ' || r >= 0x7f }

// CheckAddress accepts the addresses to which a browser may be sent with a SAML message: https, or http on a loopback
// host where that is allowed. Everything else, javascript: above all (CVE-2023-45683), is refused when a record is made
// and again on the way out.
func CheckAddress(address string, allowLoopbackHTTP bool) error {
	u, err := url.Parse(address)
	switch {
	case err == nil && strings.ContainsFunc(u.Host, foreignLetter):
		return errors.New("its host has letters beyond ASCII: write it as certificates do, such as xn--mller-kva.example")
	case err != nil, strings.ContainsFunc(address, NotInURI), strings.Contains(address, `\`):
		return errors.New("it is not a URL")
	case len(address) > maxAddress:
		return fmt.Errorf("it has more than %d characters", maxAddress)
	case u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return errors.New("it is not a complete URL: want https://HOST/PATH")
	case u.User != nil:
		return errors.New("it has a user name or password in it: leave that out")
	case u.Fragment != "" || strings.Contains(address, "#"):
		return errors.New("it has a #fragment: leave that out")
	case !portNumber(u):
		return errors.New("its port is no number from 1 to 65535")
	case u.Scheme == "https", u.Scheme == "http" && allowLoopbackHTTP && Loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("http would send the Response in clear: use https")
	}
	return fmt.Errorf("its scheme is %.20q: use https", u.Scheme)
}
