package idp

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// Fault is a fault as tests see it.
type Fault struct{ Reason, Detail, Fix string }

func exported(bad *saml.Fault) *Fault {
	if bad == nil {
		return nil
	}
	return &Fault{bad.Reason, bad.Detail, bad.Fix}
}

func trusting(certificates []*x509.Certificate, allowSHA1 bool) saml.Trust {
	var all [][]byte
	for _, c := range certificates {
		all = append(all, c.Raw)
	}
	t, _ := saml.NewTrust(all, allowSHA1)
	return t
}

// VerifyElement parses a document, verifies its signature and returns what the
// verified element says of its root: the content that may be read.
func VerifyElement(document []byte, certificates []*x509.Certificate, allowSHA1 bool) (content string,
	signed bool, bad *Fault) {
	el, signed, fault := saml.VerifyDocument(document, trusting(certificates, allowSHA1))
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
	signed, fault := saml.VerifyQuery(query, message, trusting(certificates, allowSHA1))
	return signed, exported(fault)
}

// ReadRequest reads a request as SSO does, up to the point where its service
// provider is found and its signature is verified. read is what would be acted upon.
func ReadRequest(r *http.Request, record store.ServiceProvider) (read string, signed bool, bad *Fault) {
	q, m, signed, bad := readCompiled(r, newServiceProvider(record))
	if bad != nil {
		return "", signed, bad
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%q %q %s %q %q %q %q", q.ID, q.Version, q.IssueInstant, q.Destination, q.Issuer, q.ACSURL, q.Binding)
	if q.ACSIndex != nil {
		fmt.Fprintf(&b, " index %d", *q.ACSIndex)
	}
	fmt.Fprintf(&b, " %t %t %t %t %q %q", q.ForceAuthn, q.IsPassive, q.NoCreate, q.NoNameID, q.NameIDFormat,
		q.SPNameQualifier)
	if q.Subject != nil {
		fmt.Fprintf(&b, " subject %+v", *q.Subject)
	}
	if q.Context != nil {
		fmt.Fprintf(&b, " context %+v", *q.Context)
	}
	if r.Method == http.MethodGet && m.RelayState() != nil { // the HTTP-POST binding signs none
		fmt.Fprintf(&b, " state %q", *m.RelayState())
	}
	return b.String(), signed, nil
}

// ReadCompiled is ReadRequest without the text, for the benchmark.
func ReadCompiled(r *http.Request, sp *Compiled) (id string, signed bool, bad *Fault) {
	q, _, signed, bad := readCompiled(r, sp)
	if bad != nil {
		return "", signed, bad
	}
	return q.ID, signed, nil
}

func readCompiled(r *http.Request, sp *serviceProvider) (q *saml.AuthnRequest, m *saml.ReceivedRequest,
	signed bool, bad *Fault) {
	text, fault := saml.ReadParameters(r)
	if fault != nil {
		return nil, nil, false, exported(fault)
	}
	if m, fault = saml.ReadAuthnRequest(text, r.Method, saml.DefaultRelayState); fault != nil {
		return nil, nil, false, exported(fault)
	}
	if m.Issuer() != sp.EntityID {
		return nil, nil, false, &Fault{Reason: ReasonUnknownProvider}
	}
	if q, signed, fault = m.Verify(sp.trust); fault == nil && !signed {
		fault = unsigned(sp.ServiceProvider)
	}
	if fault != nil {
		return nil, m, signed, exported(fault)
	}
	return q, m, signed, nil
}
