package partnerapi

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"ssobridge/internal/plaintext"
)

// Unreached says why Constant Contact was not reached, in a sentence, and what to do about it. The fixes name settings
// of the configuration (constant_contact.…) and of the environment. ok is false where the network is not at fault.
func Unreached(err error) (fault, fix string, ok bool) {
	var status *Error
	if errors.As(err, &status) && status.Status != 0 {
		return "", "", false // it was reached, and answered
	}
	host := "Constant Contact"
	if u, ok := errors.AsType[*url.Error](err); ok {
		if at, err := url.Parse(u.URL); err == nil && at.Hostname() != "" {
			host = at.Hostname()
		}
	}
	const proxied = "set HTTPS_PROXY to the proxy that leads there, or name the host in NO_PROXY; both are read from the " +
		"environment of the bridge"
	// A fault of the proxy's own connection comes first: names and certificates are then the proxy's.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" || fromProxy(err) {
		return "the proxy of HTTPS_PROXY does not let us through to " + host,
			"look whether HTTPS_PROXY names the right proxy, with name and password if it wants them, and whether it allows " +
				"this host; NO_PROXY names hosts that are reached without it", true
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "the name " + dns.Name + " can't be resolved",
			"look after DNS on this machine, and at constant_contact.base_url and token_url for a wrong name; where only a " +
				"proxy resolves names, " + proxied, true
	}
	if fault, fix := certificateFault(err, host); fault != "" {
		return fault, fix, true
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return host + " can't be connected to", "look whether a firewall stands in the way and port 443 is open; where the " +
			"way out is by a proxy, " + proxied, true
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return host + " does not answer in time", "look whether a firewall drops the packets; where the way out is by a " +
			"proxy, " + proxied, true
	case errors.Is(err, syscall.ECONNRESET):
		return "the connection to " + host + " is cut", "look for a firewall or a proxy that cuts it; " + proxied, true
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"),
		strings.Contains(err.Error(), "first record does not look like a TLS handshake"):
		return host + " speaks no TLS at this port", "look at the port in constant_contact.base_url and token_url, and at " +
			"HTTPS_PROXY, which has to begin with http:// for most proxies", true
	}
	return "", "", false
}

// hintOf is what to do about an error, for the log; "" where the network is not at fault.
func hintOf(err error) string {
	_, fix, _ := Unreached(err)
	return fix
}

// fromProxy tells an answer of a proxy to CONNECT, which the standard library gives as the bare status text.
func fromProxy(err error) bool {
	u, ok := errors.AsType[*url.Error](err)
	if !ok {
		return false
	}
	switch u.Err.Error() {
	case "Proxy Authentication Required", "Forbidden", "Bad Gateway", "Service Unavailable", "Gateway Timeout",
		"Method Not Allowed", "Not Found", "Bad Request":
		return true
	}
	return false
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// certificateFault says why the certificate of a host does not pass.
func certificateFault(err error, host string) (fault, fix string) {
	const own = "a proxy that opens TLS has an authority of its own: write its PEM file into constant_contact.ca_file, or " +
		"into SSL_CERT_FILE in the environment of the bridge"
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		roots   x509.SystemRootsError
	)
	switch {
	case errors.As(err, &unknown):
		by := ""
		if unknown.Cert != nil {
			by = ", " + plaintext.Line(unknown.Cert.Issuer.String(), maxKey)
		}
		return "the certificate of " + host + " is signed by an authority that is not trusted here" + by, own
	case errors.As(err, &roots):
		return "this machine trusts no authorities at all", "install the package ca-certificates, or set SSL_CERT_FILE or " +
			"constant_contact.ca_file"
	case errors.As(err, &name):
		return "the certificate is not for " + host, "look at constant_contact.base_url and token_url, and whether a proxy or " +
			"DNS leads somewhere else"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate of " + host + " has expired, or is not valid yet",
			"look at this machine's clock first; " + own
	case errors.As(err, &invalid):
		return "the certificate of " + host + " can't be used: " + plaintext.Line(invalid.Error(), maxKey), own
	}
	return "", ""
}
