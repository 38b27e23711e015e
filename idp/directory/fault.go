package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Fault is the very fault of a directory that does not answer, and what to do about it. Neither has a secret, or a name
// of a person.
type Fault struct {
	Text string // in a sentence without its full stop
	Fix  string
}

// serviceError says that a server refused the service account.
type serviceError struct {
	url, dn string
	err     error
}

func (e *serviceError) Error() string {
	text := fmt.Sprintf("bind to %s as the service account %q: ", e.url, e.dn)
	if hasCode(e.err, ldap.LDAPResultInvalidCredentials) {
		text += "the directory refuses bind_dn or bind_password: "
	}
	return text + e.err.Error()
}

func (e *serviceError) Unwrap() error { return e.err }

// baseError says that a search found nothing below a DN of the configuration.
type baseError struct {
	field, dn string
	err       error
}

func (e *baseError) Error() string {
	return fmt.Sprintf("%s %q does not exist, or the service account may not see it: %v", e.field, e.dn, e.err)
}

func (e *baseError) Unwrap() error { return e.err }

// Diagnose names what is behind an error with Problem Unavailable.
func Diagnose(err error) Fault {
	if e, ok := errors.AsType[*serviceError](err); ok {
		return serviceFault(e)
	}
	if e, ok := errors.AsType[*baseError](err); ok {
		fix := "set " + e.field + " to a DN that exists and that the service account may read"
		if there, ok := errors.AsType[*ldap.Error](err); ok && there.MatchedDN != "" {
			fix += fmt.Sprintf("; of this one, %q exists", there.MatchedDN)
		}
		return Fault{fmt.Sprintf("%s %q does not exist in the directory, or the service account may not see it", e.field,
			e.dn), fix}
	}
	for _, look := range []func(error) (Fault, bool){certificateFault, tlsFault, networkFault} {
		if f, ok := look(err); ok {
			return f
		}
	}
	if code, ok := resultCode(err); ok {
		return Fault{fmt.Sprintf("the directory answered with result code %d (%s)", code, ldap.LDAPResultCodeMap[code]),
			"look into the directory's log for this code"}
	}
	return Fault{"the directory does not answer",
		"check host and port in urls, and that the directory runs and is reachable from here"}
}

// serviceFault says why the service account was refused.
func serviceFault(e *serviceError) Fault {
	switch adProblem(e.err) {
	case Locked:
		return Fault{"the service account is locked in the directory",
			"unlock it, and look for what else still uses an old password of it"}
	case Disabled, Expired:
		return Fault{"the service account is disabled in the directory, or has expired",
			"enable it, or write another one into bind_dn and bind_password"}
	case PasswordExpired, MustChange:
		return Fault{"the password of the service account has expired, or must be changed",
			"give it a password that does not expire, and write that into bind_password"}
	default: // of no such code, or of one that says what the result code does
	}
	switch {
	case hasCode(e.err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject):
		return Fault{"the directory refuses the name or the password of the service account",
			"set bind_dn and bind_password to those of the service account"}
	case hasCode(e.err, ldap.LDAPResultInvalidDNSyntax):
		return Fault{"the directory does not take the name of the service account", "write bind_dn as a DN, such as " +
			"cn=reader,ou=services,dc=example,dc=com"}
	case hasCode(e.err, ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultStrongAuthRequired):
		return Fault{"the directory takes passwords over TLS only",
			"the server wants TLS: write ldaps:// or set start_tls"}
	case hasCode(e.err, ldap.LDAPResultConstraintViolation):
		return Fault{"the service account is locked after wrong passwords",
			"unlock it, and set bind_password to its password"}
	case hasCode(e.err, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultInsufficientAccessRights):
		return Fault{"the directory does not let the service account bind",
			"look whether the account named in bind_dn is disabled, and whether it may bind from here"}
	}
	// With TLS 1.3 a server says at the first answer alone that it wants a certificate.
	for _, look := range []func(error) (Fault, bool){tlsFault, networkFault} {
		if f, ok := look(e.err); ok {
			return f
		}
	}
	if strings.HasPrefix(e.url, "ldap://") && brokenOff(e.err) {
		return Fault{"the server closed the connection instead of answering: this may be the port that speaks TLS from the " +
			"start", tlsFromStart}
	}
	return Fault{"the directory can't bind the service account", "look into the directory's log for this bind"}
}

// certificateFault says why a server's certificate does not pass.
func certificateFault(err error) (Fault, bool) {
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if e.Cert != nil && e.Cert.Issuer.String() == e.Cert.Subject.String() {
			return Fault{"the directory's certificate is not signed by an authority that is trusted here: it signed itself",
				"set ca_file to the PEM file of that certificate, if it is the directory's"}, true
		}
		by := "the authority that signed the directory's certificate"
		if e.Cert != nil {
			by = fmt.Sprintf("the authority that signed the directory's certificate, %q", e.Cert.Issuer)
		}
		return Fault{"the directory's certificate is signed by an authority that is not trusted here",
			"set ca_file to the PEM file of " + by}, true
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return hostnameFault(e), true
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return invalidFault(e), true
	}
	if text := err.Error(); isNegativeSerial(text) {
		return Fault{"the directory's certificate, or one that signed it, has a negative serial number, " +
			"which RFC 5280 4.1.2.2 forbids",
			negativeSerialFix}, true
	} else if _, why, ok := strings.Cut(text, "failed to parse certificate from server: "); ok {
		return Fault{"the directory's certificate, or one that signed it, can't be read: " + firstLine(why),
			"have the certificate issued again"}, true
	}
	if e, ok := errors.AsType[x509.InsecureAlgorithmError](err); ok {
		return Fault{"the directory's certificate is signed by " + x509.SignatureAlgorithm(e).String() +
			", which is no longer safe",
			"have the certificate issued again with SHA-256"}, true
	}
	return startTLSFault(err.Error())
}

// startTLSFault reads the words of a handshake after StartTLS: the library keeps nothing else of its error.
func startTLSFault(text string) (Fault, bool) {
	_, text, ok := strings.Cut(text, "TLS handshake failed (")
	if !ok {
		return Fault{}, false
	}
	for _, known := range []struct {
		words string
		fault Fault
	}{
		{"certificate signed by unknown authority", Fault{
			"the directory's certificate is signed by an authority that is not trusted here",
			"set ca_file to the PEM file of the authority that signed the directory's certificate, or of that " +
				"certificate where it signed itself"}},
		{"doesn't contain any IP SANs", Fault{"the directory's certificate is not for the address that stands in urls",
			"write the name into urls that the directory's certificate is for"}},
		{"x509: certificate is valid for ", Fault{"the directory's certificate is for another name than the one in urls: " +
			firstLine(strings.TrimSuffix(text, ")")), "write a name into urls that the directory's certificate is for"}},
		{"x509: certificate is not valid for any names", Fault{"the directory's certificate has no subject alternative name",
			"have the certificate issued again with the name that stands in urls as subject alternative name"}},
		{"x509: certificate relies on legacy Common Name", Fault{
			"the directory's certificate has no subject alternative name",
			"have the certificate issued again with the name that stands in urls as subject alternative name"}},
		{" is before ", Fault{"the directory's certificate, or one that signed it, is not valid yet",
			"look whether this machine's clock is behind, and wait for that time or have the certificate issued again"}},
		{"has expired or is not yet valid", Fault{"the directory's certificate, or one that signed it, has expired",
			"have the directory's certificate renewed; if it was, look whether this machine's clock is ahead"}},
		{"incompatible key usage", Fault{"the directory's certificate is not for servers (extended key usage)",
			"have the certificate issued again for server authentication"}},
		{"not authorized to sign", Fault{"the authority of the directory's certificate may not sign for this name",
			"have the certificate issued again by an authority that may"}},
		{"is not permitted by any constraint", Fault{
			"the authority of the directory's certificate may not sign for this name",
			"have the certificate issued again by an authority that may"}},
		{"first record does not look like a TLS handshake", Fault{"the server agrees to StartTLS and then speaks no TLS",
			"write ldaps:// into urls, or have StartTLS set up at the directory"}},
	} {
		if strings.Contains(text, known.words) {
			return known.fault, true
		}
	}
	return Fault{}, false
}

const negativeSerialFix = "have the certificate issued again with a positive serial number; until then, put " +
	"GODEBUG=x509negativeserial=1 into the environment of the bridge"

// isNegativeSerial knows a fault that the standard library gives in words alone.
func isNegativeSerial(text string) bool { return strings.Contains(text, "negative serial number") }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func hostnameFault(e x509.HostnameError) Fault {
	var names []string
	if e.Certificate != nil {
		names = append(names, e.Certificate.DNSNames...)
		for _, ip := range e.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
	}
	if len(names) == 0 {
		return Fault{fmt.Sprintf("the directory's certificate has no subject alternative name, so it is not for %q", e.Host),
			"have the certificate issued again with the name that stands in urls as subject alternative name"}
	}
	const most = 10
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return Fault{fmt.Sprintf("the directory's certificate is for another name than %q", e.Host),
		"write a name into urls that the directory's certificate is for: " + strings.Join(names, ", ")}
}

func invalidFault(e x509.CertificateInvalidError) Fault {
	const again = "have the certificate issued again"
	switch e.Reason {
	case x509.Expired:
		// The reason is the same for a certificate that is not valid yet; the library's own text has the time it looked at.
		if strings.Contains(e.Detail, " is before ") {
			return Fault{"the directory's certificate, or one that signed it, is not valid yet: it is from " +
				day(e.Cert.NotBefore),
				"look whether this machine's clock is behind, and wait for that time or have the certificate issued again"}
		}
		return Fault{"the directory's certificate, or one that signed it, has expired on " + day(e.Cert.NotAfter),
			"have the directory's certificate renewed; if it was, look whether this machine's clock is ahead"}
	case x509.NotAuthorizedToSign:
		return Fault{"the directory's certificate is signed by a certificate that is no authority's",
			again + " by an authority"}
	case x509.IncompatibleUsage:
		return Fault{"the directory's certificate is not for servers (extended key usage)",
			again + " for server authentication"}
	case x509.CANotAuthorizedForThisName, x509.TooManyConstraints, x509.UnconstrainedName, x509.NameConstraintsWithoutSANs:
		return Fault{"the authority of the directory's certificate may not sign for this name",
			again + " by an authority that may"}
	default:
		return Fault{"the directory's certificate is not valid: " + e.Error(), again}
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// tlsFault says why TLS was not agreed upon. What a server refuses with an alert the library gives in words alone.
func tlsFault(err error) (Fault, bool) {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return Fault{"the server does not speak TLS at this port",
			"write the port for ldaps:// into urls (usually 636), or ldap:// with start_tls"}, true
	}
	text := err.Error()
	for _, words := range []string{"unsupported protocol version", "protocol version not supported"} {
		if strings.Contains(text, words) {
			return Fault{"the directory speaks no TLS that is still safe", "let it speak TLS 1.2 or 1.3"}, true
		}
	}
	switch {
	case strings.Contains(text, "remote error: tls: certificate required"),
		strings.Contains(text, "remote error: tls: bad certificate"): // of TLS 1.2; the bridge shows none
		return Fault{"the directory asks for a certificate of the client",
			"let it take clients without a certificate, which bind by password"}, true
	case strings.Contains(text, "remote error: tls: "):
		_, alert, _ := strings.Cut(text, "remote error: tls: ")
		return Fault{"the directory refused TLS: " + strings.TrimSuffix(firstLine(alert), ")"),
			"look into the directory's log for this handshake; it has to speak TLS 1.2 or 1.3 with a usual cipher, and to take " +
				"clients without a certificate"}, true
	case strings.Contains(text, "TLS with ") && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET)):
		return Fault{"the server closed the connection instead of agreeing on TLS: this may be a port without it",
			"write the port for ldaps:// into urls (usually 636), or ldap:// with start_tls"}, true
	case strings.Contains(text, "StartTLS with ") && brokenOff(err):
		return Fault{"the server closed the connection instead of answering StartTLS: this may be the port that speaks TLS " +
			"from the start", tlsFromStart}, true
	case strings.Contains(text, "StartTLS with "):
		if code, ok := resultCode(err); ok {
			return Fault{fmt.Sprintf("the directory refused StartTLS with result code %d (%s)", code,
				ldap.LDAPResultCodeMap[code]),
				"write ldaps:// into urls, or have StartTLS set up at the directory"}, true
		}
	}
	return Fault{}, false
}

const tlsFromStart = "write ldaps:// before this host and port in urls (without start_tls), or the port for ldap:// " +
	"(usually 389)"

// brokenOff tells whether a server ended the connection, or sent what is no LDAP, in place of an answer.
func brokenOff(err error) bool {
	return ldap.IsErrorWithCode(err, ldap.ErrorNetwork) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		strings.Contains(err.Error(), "unable to read LDAP response packet") // the library keeps nothing else of its cause
}

// networkFault says why no connection came about.
func networkFault(err error) (Fault, bool) {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return Fault{fmt.Sprintf("the name %q can't be found in DNS", e.Name),
			"check the host in urls, and the name servers of this machine"}, true
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Fault{"nothing listens at the directory's address and port",
			"check host and port in urls, and that the directory runs and is reachable from here"}, true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Fault{"there is no way to the directory's address",
			"check host and port in urls, and that the directory runs and is reachable from here"}, true
	case errors.Is(err, context.DeadlineExceeded):
		return Fault{"the directory does not answer in time",
			"check that the directory runs and is not overloaded, and that no firewall swallows what is sent to it"}, true
	}
	return Fault{}, false
}
