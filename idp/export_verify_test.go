package idp

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"

	"ssobridge/store"
)

// Fault is a fault as tests see it.
type Fault struct{ Reason, Detail, Mend string }

func exported(bad *fault) *Fault {
	if bad == nil {
		return nil
	}
	return &Fault{bad.reason, bad.detail, bad.mend}
}

// VerifyElement parses a document, verifies its signature and returns what the
// verified element says of its root: the content that may be read.
func VerifyElement(document []byte, certificates []*x509.Certificate, allowSHA1 bool) (content string, signed bool, bad *Fault) {
	root, err := parseXML(document, maxDepth, maxElements)
	if err != nil {
		return "", false, exported(badRequest(err.Error(), ""))
	}
	el, signed, fault := verifyElement(root, trust{certificates: certificates, allowSHA1: allowSHA1})
	if fault != nil || !signed {
		return "", signed, exported(fault)
	}
	content = el.Tag
	for _, a := range el.Attr {
		content += fmt.Sprintf(" %s=%q", a.FullKey(), a.Value)
	}
	for _, c := range el.ChildElements() {
		content += fmt.Sprintf(" <%s %q>", c.Tag, c.Text())
	}
	return content, true, nil
}

// VerifyQuery verifies the signature of a query.
func VerifyQuery(query, message string, certificates []*x509.Certificate, allowSHA1 bool) (signed bool, bad *Fault) {
	signed, fault := verifyQuery(query, message, trust{certificates: certificates, allowSHA1: allowSHA1})
	return signed, exported(fault)
}

// ReadRequest reads a request as SSO does, up to the point where its service
// provider is found and its signature is verified. read is what would be acted upon.
func ReadRequest(r *http.Request, record store.ServiceProvider) (read string, signed bool, bad *Fault) {
	q, m, signed, bad := readCompiled(r, newProvider(record))
	if bad != nil {
		return "", signed, bad
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%q %q %s %q %q %q %q", q.id, q.version, q.issueInstant, q.destination, q.issuer, q.acsURL, q.binding)
	if q.acsIndex != nil {
		fmt.Fprintf(&b, " index %d", *q.acsIndex)
	}
	fmt.Fprintf(&b, " %t %t %t %t %q %q", q.forceAuthn, q.isPassive, q.noCreate, q.noNameID, q.nameIDFormat, q.spNameQualifier)
	if q.subject != nil {
		fmt.Fprintf(&b, " subject %+v", *q.subject)
	}
	if q.context != nil {
		fmt.Fprintf(&b, " context %+v", *q.context)
	}
	if m.redirect && m.relayState != nil { // the HTTP-POST binding signs none
		fmt.Fprintf(&b, " state %q", *m.relayState)
	}
	return b.String(), signed, nil
}

// ReadCompiled is ReadRequest without the text, for the benchmark.
func ReadCompiled(r *http.Request, sp *Compiled) (id string, signed bool, bad *Fault) {
	q, _, signed, bad := readCompiled(r, sp)
	if bad != nil {
		return "", signed, bad
	}
	return q.id, signed, nil
}

func readCompiled(r *http.Request, sp *provider) (q *authnRequest, m message, signed bool, bad *Fault) {
	text, fault := raw(r)
	if fault != nil {
		return nil, message{}, false, exported(fault)
	}
	m, fault = unpack(text, r.Method, "SAMLRequest")
	if fault != nil {
		return nil, message{}, false, exported(fault)
	}
	root, q, fault := parseAuthnRequest(m)
	if fault != nil {
		return nil, message{}, false, exported(fault)
	}
	if q.issuer != sp.EntityID {
		return nil, message{}, false, &Fault{Reason: ReasonUnknownProvider}
	}
	if q, signed, fault = verified(sp, sp.trust, m, root, q); fault != nil {
		return nil, m, signed, exported(fault)
	}
	return q, m, signed, nil
}
