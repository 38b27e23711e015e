package sandbox

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	xrv "github.com/mattermost/xml-roundtrip-validator"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

const (
	protocolNS  = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertionNS = "urn:oasis:names:tc:SAML:2.0:assertion"
	signatureNS = "http://www.w3.org/2000/09/xmldsig#"
	bearer      = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

	strictSkew  = 60 * time.Second
	lenientSkew = 180 * time.Second // the most that crewjam's library takes
)

// strong are the signature and digest methods of SHA-256 or better.
var strong = map[string]bool{
	dsig.RSASHA256SignatureMethod:                   true,
	dsig.RSASHA384SignatureMethod:                   true,
	dsig.RSASHA512SignatureMethod:                   true,
	dsig.ECDSASHA256SignatureMethod:                 true,
	dsig.ECDSASHA384SignatureMethod:                 true,
	dsig.ECDSASHA512SignatureMethod:                 true,
	"http://www.w3.org/2001/04/xmlenc#sha256":       true,
	"http://www.w3.org/2001/04/xmldsig-more#sha384": true,
	"http://www.w3.org/2001/04/xmlenc#sha512":       true,
}

// verdict is what a Response was found to say.
type verdict struct {
	idp       *identityProvider
	response  saml.Response
	assertion *saml.Assertion
	encrypted string // the algorithm
}

// verify checks a decoded Response in full. A refusal says exactly why.
func (s *Sandbox) verify(ctx context.Context, data []byte) (verdict, *Refusal) {
	var v verdict
	doc := etree.NewDocument()
	if err := errors.Join(xrv.Validate(bytes.NewReader(data)), doc.ReadFromBytes(data)); err != nil {
		return v, refuse("malformed", "the SAMLResponse is no well-formed XML: %v", err)
	}
	root := doc.Root()
	if root == nil || root.Tag != "Response" || root.NamespaceURI() != protocolNS {
		return v, refuse("malformed", "the SAMLResponse is no samlp:Response")
	}
	if err := xml.Unmarshal(data, &v.response); err != nil {
		return v, refuse("malformed", "the SAMLResponse can't be read: %v", err)
	}
	if v.response.Version != "2.0" {
		return v, refuse("malformed", "the Version is %q, want 2.0", v.response.Version)
	}
	if why := s.wrapped(root); why != "" {
		return v, refuse("malformed", "%s", why)
	}

	// With a shared ACS the Issuer alone selects the identity provider (SP-02).
	if v.response.Issuer == nil {
		return v, refuse("issuer", "the Response has no Issuer")
	}
	idp, err := s.identityProvider(ctx, v.response.Issuer.Value)
	if err != nil {
		return v, refuse("issuer", "%v", err)
	}
	v.idp = idp

	// The order is the reverse of how it was made (saml-core 6.2): the Response's signature is over what
	// was sent, the assertion's over what comes out of the decryption.
	cert, err := s.signature(root, idp)
	if err != nil {
		return v, refuse("signature", "the signature of the Response: %v", err)
	}
	var why *Refusal
	if v.encrypted, why = s.open(root); why != nil {
		return v, why
	}
	if v.encrypted != "" {
		if data, err = doc.WriteToBytes(); err == nil {
			err = xml.Unmarshal(data, &v.response)
		}
		if err != nil {
			return v, refuse("malformed", "the decrypted assertion can't be read: %v", err)
		}
		if why := s.wrapped(root); why != "" {
			return v, refuse("malformed", "%s", why)
		}
	}
	if cert, why = s.signatures(root, idp, cert); why != nil {
		return v, why
	}
	if why := s.checkRequest(v.response.InResponseTo); why != nil {
		return v, why
	}
	if v.response.Destination != s.acs {
		return v, refuse("destination", "the Destination is %q, want %q", v.response.Destination, s.acs)
	}
	if late := s.o.Now().Sub(v.response.IssueInstant); late < -s.skew() {
		return v, refuse("time", "the Response is issued %v in the future", -late)
	}
	if v.response.Status.StatusCode.Value != saml.StatusSuccess {
		return v, statusRefusal(v.response.Status)
	}
	if why := s.checkAssertion(v.response, idp); why != nil {
		return v, why
	}

	sp, err := s.serviceProvider(idp, cert)
	if err != nil {
		return v, refuse("malformed", "%v", err)
	}
	// The library looks at InResponseTo only for those who expect one; without one there was
	// nothing to compare above.
	sp.AllowIDPInitiated = v.response.InResponseTo == ""
	sp.SignatureVerifier = libraryVerifier{s, idp, v.encrypted != ""}
	sp.ValidateAudienceRestriction = func(*saml.Assertion) error { return nil } // done, more strictly, by checkAssertion
	assertion, err := sp.ParseXMLResponse(data, []string{v.response.InResponseTo}, sp.AcsURL)
	if err != nil {
		var invalid *saml.InvalidResponseError
		if errors.As(err, &invalid) {
			err = invalid.PrivateErr
		}
		return v, refuse("library", "%v", err)
	}
	v.assertion = assertion
	return v, nil
}

// skew is how far clocks may differ (SP-08).
func (s *Sandbox) skew() time.Duration {
	if s.o.Profile == Lenient {
		return lenientSkew
	}
	return strictSkew
}

// wrapped looks for what signature wrapping needs: more than one assertion, assertions or signatures in
// odd places, an ID twice, a ds:Object.
func (s *Sandbox) wrapped(root *etree.Element) string {
	ids := map[string]bool{}
	assertions := 0
	var walk func(e *etree.Element, depth int) string
	walk = func(e *etree.Element, depth int) string {
		if depth > 64 {
			return "the Response is nested too deeply"
		}
		if id := e.SelectAttrValue("ID", ""); id != "" {
			if ids[id] {
				return fmt.Sprintf("the ID %q is there twice", id)
			}
			ids[id] = true
		}
		switch space := e.NamespaceURI(); {
		case space == assertionNS && e.Tag == "EncryptedAssertion":
			if s.decrypter == nil {
				return "the assertion is encrypted, and this service provider has published no encryption key"
			}
			assertions++
			if e.Parent() != root {
				return "an encrypted assertion is not directly below the Response"
			}
		case space == assertionNS && e.Tag == "Assertion":
			assertions++
			if e.Parent() != root {
				return "an assertion is not directly below the Response"
			}
		case space == signatureNS && e.Tag == "Object":
			return "a signature has a ds:Object"
		case space == signatureNS && e.Tag == "Signature":
			if p := e.Parent(); p != root && (p.Tag != "Assertion" || p.NamespaceURI() != assertionNS) {
				return "a signature is neither the Response's nor the assertion's"
			}
		}
		for _, child := range e.ChildElements() {
			if why := walk(child, depth+1); why != "" {
				return why
			}
		}
		return ""
	}
	if why := walk(root, 0); why != "" {
		return why
	}
	if assertions > 1 {
		return fmt.Sprintf("the Response has %d assertions", assertions)
	}
	return ""
}

// signatures verifies the signature of the assertion, if there is one, and asks for those that the profile
// wants. response is the certificate with which the Response was signed, or nil. It returns the certificate
// that the Response, or else the assertion, was signed with.
func (s *Sandbox) signatures(root *etree.Element, p *identityProvider,
	response *x509.Certificate) (*x509.Certificate, *Refusal) {
	var assertion *x509.Certificate
	var err error
	for _, child := range root.ChildElements() {
		if child.Tag == "Assertion" && child.NamespaceURI() == assertionNS {
			if assertion, err = s.signature(child, p); err != nil {
				return nil, refuse("signature", "the signature of the assertion: %v", err)
			}
		}
	}
	switch {
	case response != nil:
		return response, nil
	case s.o.Profile == OktaStrict:
		return nil, refuse("unsigned", "the Response is not signed")
	case assertion == nil:
		return nil, refuse("unsigned", "neither the Response nor the assertion is signed")
	}
	return assertion, nil
}

// signature verifies the signature that is directly below an element; nil, nil says that there is none.
func (s *Sandbox) signature(e *etree.Element, p *identityProvider) (*x509.Certificate, error) {
	var found *etree.Element
	for _, child := range e.ChildElements() {
		if child.Tag == "Signature" && child.NamespaceURI() == signatureNS {
			if found != nil {
				return nil, errors.New("there are two")
			}
			found = child
		}
	}
	if found == nil {
		return nil, nil
	}
	for _, path := range []string{"./SignedInfo/SignatureMethod", "./SignedInfo/Reference/DigestMethod"} {
		methods := found.FindElements(path)
		if len(methods) != 1 {
			return nil, fmt.Errorf("%d of %s, want one", len(methods), strings.TrimPrefix(path, "./"))
		}
		if name := methods[0].SelectAttrValue("Algorithm", ""); !strong[name] {
			return nil, fmt.Errorf("the algorithm %q is not SHA-256 or better", name)
		}
	}

	parent, err := etreeutils.NSBuildParentContext(e)
	if err != nil {
		return nil, err
	}
	detached, err := etreeutils.NSDetatch(parent, e)
	if err != nil {
		return nil, err
	}
	// One by one: the library can't choose among several certificates when the signature names none.
	for _, cert := range p.certificates {
		validation := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
		validation.IdAttribute = "ID"
		validation.Clock = dsig.NewFakeClockAt(s.o.Now())
		var readable *etree.Element
		if readable, err = asLibraryReads(detached, cert); err != nil {
			continue
		}
		if _, err = validation.Validate(readable); err == nil {
			return cert, nil
		}
	}
	return nil, err
}

// asLibraryReads puts an ECDSA signature into the form that goxmldsig reads. In XML it is the numbers r and s one
// after the other, each as long as the curve's order (xmldsig-core1 6.4.3); the library reads ASN.1. ASN.1
// from outside is refused, as by every service provider that keeps to the standard.
func asLibraryReads(e *etree.Element, cert *x509.Certificate) (*etree.Element, error) {
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return e, nil
	}
	e = e.Copy()
	value := e.FindElement("./Signature/SignatureValue")
	if value == nil {
		return nil, errors.New("there is no SignatureValue")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value.Text()), ""))
	size := (public.Curve.Params().N.BitLen() + 7) / 8
	if err != nil || len(raw) != 2*size {
		return nil, fmt.Errorf("the SignatureValue has %d bytes, want r and s of %d bytes each", len(raw), size)
	}
	pair := struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])}
	der, err := asn1.Marshal(pair)
	if err != nil {
		return nil, err
	}
	value.SetText(base64.StdEncoding.EncodeToString(der))
	return e, nil
}

// libraryVerifier verifies signatures for crewjam's library, which reads neither the standard's ECDSA nor, once
// the assertion is decrypted, a Response as it was signed.
type libraryVerifier struct {
	s         *Sandbox
	p         *identityProvider
	decrypted bool
}

func (l libraryVerifier) VerifySignature(_ *dsig.ValidationContext, e *etree.Element) error {
	if l.decrypted && e.Tag == "Response" {
		return nil // verified over what was sent, before the decryption
	}
	cert, err := l.s.signature(e, l.p)
	if err == nil && cert == nil {
		err = errors.New("there is no signature")
	}
	return err
}

// checkRequest uses up the AuthnRequest that a Response answers (SP-06). An unsolicited Response
// answers none (saml-profiles 4.1.5).
func (s *Sandbox) checkRequest(id string) *Refusal {
	if id == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.requests[id]
	switch {
	case sent == nil || s.o.Now().Sub(sent.at) > requestLife:
		return refuse("in_response_to", "InResponseTo %q names no AuthnRequest that was sent from here", id)
	case sent.used:
		return refuse("in_response_to", "the AuthnRequest %q has been answered before", id)
	}
	sent.used = true
	return nil
}

// checkAssertion checks the assertion where the library is laxer than a strict service provider, and
// where it would stumble over what is missing. What it reads is verified already.
func (s *Sandbox) checkAssertion(r saml.Response, p *identityProvider) *Refusal {
	a, now, skew := r.Assertion, s.o.Now(), s.skew()
	switch {
	case a == nil:
		return refuse("malformed", "the Response has no assertion")
	case a.ID == "":
		return refuse("malformed", "the assertion has no ID")
	case a.Issuer.Value != p.entityID:
		return refuse("issuer", "the assertion's Issuer is %q, want %q", a.Issuer.Value, p.entityID)
	case a.IssueInstant.After(now.Add(skew)):
		return refuse("time", "the assertion is issued %v in the future", a.IssueInstant.Sub(now))
	case a.Subject == nil || a.Subject.NameID == nil || a.Subject.NameID.Value == "":
		return refuse("name_id", "the assertion has no NameID")
	case a.Conditions == nil:
		return refuse("audience", "the assertion has no Conditions")
	case len(a.AuthnStatements) == 0:
		return refuse("authn_statement", "the assertion has no AuthnStatement") // SP-05
	}
	switch format := a.Subject.NameID.Format; {
	case format == string(saml.PersistentNameIDFormat):
	case s.o.Profile == Lenient && (format == "" || format == string(saml.UnspecifiedNameIDFormat)):
	default:
		return refuse("name_id", "the NameID's Format is %q, want persistent", format)
	}

	confirmed := false
	for _, c := range a.Subject.SubjectConfirmations {
		if c.SubjectConfirmationData == nil {
			return refuse("confirmation", "a SubjectConfirmation has no data")
		}
		if c.Method != bearer {
			continue
		}
		// saml-profiles 4.1.4.2 and 4.1.4.3
		d := c.SubjectConfirmationData
		switch {
		case d.Recipient != s.acs:
			return refuse("recipient", "the Recipient is %q, want %q", d.Recipient, s.acs)
		case d.NotOnOrAfter.IsZero():
			return refuse("confirmation", "the SubjectConfirmationData has no NotOnOrAfter")
		case !now.Before(d.NotOnOrAfter.Add(skew)):
			return refuse("time", "the SubjectConfirmationData ended %v ago", now.Sub(d.NotOnOrAfter))
		case !d.NotBefore.IsZero():
			return refuse("confirmation", "the SubjectConfirmationData has a NotBefore")
		case d.InResponseTo != r.InResponseTo:
			return refuse("in_response_to", "InResponseTo is %q on the SubjectConfirmationData and %q on the Response",
				d.InResponseTo, r.InResponseTo)
		}
		confirmed = true
	}
	if !confirmed {
		return refuse("confirmation", "there is no bearer SubjectConfirmation")
	}

	switch c := a.Conditions; {
	case c.NotBefore.After(now.Add(skew)):
		return refuse("time", "the assertion is valid only in %v", c.NotBefore.Sub(now))
	case c.NotOnOrAfter.IsZero():
		return refuse("time", "the Conditions have no NotOnOrAfter")
	case !now.Before(c.NotOnOrAfter.Add(skew)):
		return refuse("time", "the assertion ended %v ago", now.Sub(c.NotOnOrAfter))
	case len(c.AudienceRestrictions) == 0:
		return refuse("audience", "the assertion has no AudienceRestriction")
	}
	// Each restriction must hold (saml-core 2.5.1.4).
	for _, restriction := range a.Conditions.AudienceRestrictions {
		if restriction.Audience.Value != s.o.Audience {
			return refuse("audience", "the Audience is %q, want %q", restriction.Audience.Value, s.o.Audience)
		}
	}
	for _, st := range a.AuthnStatements {
		switch {
		case st.AuthnContext.AuthnContextClassRef == nil || st.AuthnContext.AuthnContextClassRef.Value == "":
			return refuse("authn_statement", "the AuthnStatement says no AuthnContextClassRef")
		case st.AuthnInstant.IsZero() || st.AuthnInstant.After(now.Add(skew)):
			return refuse("authn_statement", "the AuthnInstant is missing or in the future")
		case st.SessionNotOnOrAfter != nil && !now.Before(st.SessionNotOnOrAfter.Add(skew)):
			return refuse("time", "the session at the identity provider has ended")
		}
	}
	return nil
}

// statusRefusal is an identity provider's answer other than Success.
func statusRefusal(st saml.Status) *Refusal {
	r := refuse("status", "the identity provider answered with an error status")
	for code := &st.StatusCode; code != nil && len(r.StatusCodes) < 5; code = code.StatusCode {
		r.StatusCodes = append(r.StatusCodes, code.Value)
	}
	if st.StatusMessage != nil {
		r.StatusMessage = st.StatusMessage.Value
	}
	return r
}
