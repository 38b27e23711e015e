package idp

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/beevik/etree"

	"ssobridge/store"
)

// maxSubject bounds a requested NameID with its qualifiers, in bytes: it is kept
// with the pending sign-in, of which strangers can cause many (row WEB-09). A
// NameID has at most 256 characters (saml-core 8.3.7).
const maxSubject = 1 << 10

// authnRequest is what a samlp:AuthnRequest says (saml-core 3.4.1), as far as
// it matters here. Whether it is signed stands beside it.
type authnRequest struct {
	id           string
	version      string
	issueInstant time.Time
	destination  string
	issuer       string

	acsURL   string // "" where absent, as the next two
	binding  string
	acsIndex *int

	forceAuthn bool
	isPassive  bool
	subject    *pendingSubject // nil: no Subject is named
	noNameID   bool            // a Subject is named, and not by a plain NameID

	nameIDFormat    string
	spNameQualifier string
	noCreate        bool // AllowCreate="false"

	context *requestedContext
}

// requestedContext is a samlp:RequestedAuthnContext (saml-core 3.3.2.2.1).
type requestedContext struct {
	comparison   string
	classes      []string
	declarations bool
}

// parseAuthnRequest parses an AuthnRequest and reads it. Its form is checked
// here, what it asks for elsewhere. What is read serves to find the service
// provider; whoever acts on it calls verified first.
func parseAuthnRequest(m message) (root *etree.Element, r *authnRequest, bad *fault) {
	root, err := parseXML(m.xml, maxDepth, maxElements)
	if err != nil {
		return nil, nil, badRequest("SAMLRequest: "+err.Error(), "send one samlp:AuthnRequest of SAML 2.0 as XML in UTF-8")
	}
	if bad := m.placed(root); bad != nil {
		return nil, nil, bad
	}
	r, bad = readAuthnRequest(root)
	return root, r, bad
}

// verified holds a request's signature against what is on record of sp, and
// against its policy (row REQ-09). The request that it returns is read from what
// the signature covers, where there is one.
func verified(sp *provider, t trust, m message, root *etree.Element, unverified *authnRequest) (r *authnRequest, signed bool, bad *fault) {
	el, signed, bad := m.verify(root, t)
	switch {
	case bad != nil:
		return nil, true, bad
	case !signed:
		return unverified, false, unsigned(sp.ServiceProvider)
	}
	if r, bad = readAuthnRequest(el); bad != nil {
		return nil, true, bad
	}
	if r.issuer != sp.EntityID {
		// The keys were chosen by the Issuer as it stood before (row REQ-11).
		return nil, true, badForm("the signed Issuer is not the one that was read first", "sign the message as it is sent")
	}
	return r, true, nil
}

// wantsSigned tells whether a service provider's requests must be signed: who
// promises to sign is never believed unsigned (row REQ-09).
func wantsSigned(sp store.ServiceProvider) bool {
	return sp.AuthnRequestsSigned || sp.RequestSignatures == "required"
}

func unsigned(sp store.ServiceProvider) *fault {
	switch {
	case sp.AuthnRequestsSigned:
		return &fault{ReasonUnsignedRequest, http.StatusBadRequest, "the service provider's metadata says AuthnRequestsSigned and the request is not signed",
			"switch the signing of AuthnRequests on at the service provider, or import metadata without AuthnRequestsSigned"}
	case wantsSigned(sp):
		return &fault{ReasonUnsignedRequest, http.StatusBadRequest, "request_signatures is required for this service provider and the request is not signed",
			"switch the signing of AuthnRequests on at the service provider, or set request_signatures to if-present"}
	}
	return nil
}

// readAuthnRequest reads a parsed AuthnRequest.
func readAuthnRequest(root *etree.Element) (*authnRequest, *fault) {
	if !is(root, nsProtocol, "AuthnRequest") {
		return nil, badRequest(fmt.Sprintf("the root element is %.40q, not samlp:AuthnRequest", root.Tag), "send one samlp:AuthnRequest of SAML 2.0")
	}
	r, err := authnRequestOf(root)
	if err != nil {
		return nil, badRequest("AuthnRequest: "+err.Error(), "send an AuthnRequest as saml-core 3.4.1 describes it")
	}
	return r, nil
}

func authnRequestOf(root *etree.Element) (*authnRequest, error) {
	r := &authnRequest{}
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	r.id, _ = attribute(root, "ID")
	if !isID(r.id) {
		// It goes back as InResponseTo, which must be an NCName as well.
		fail(errors.New("ID is missing or no xs:ID of at most 256 characters"))
	}
	r.version, _ = attribute(root, "Version")
	instant, _ := attribute(root, "IssueInstant")
	var err error
	r.issueInstant, err = dateTime(instant)
	fail(err)
	r.destination, _ = attribute(root, "Destination")
	r.acsURL, _ = attribute(root, "AssertionConsumerServiceURL")
	r.binding, _ = attribute(root, "ProtocolBinding")
	if index, ok := attribute(root, "AssertionConsumerServiceIndex"); ok {
		n, err := strconv.ParseUint(strings.TrimSpace(index), 10, 16) // xs:unsignedShort
		if err != nil {
			fail(errors.New("AssertionConsumerServiceIndex is no number from 0 to 65535"))
		}
		i := int(n)
		r.acsIndex = &i
	}
	r.forceAuthn, _, err = boolean(root, "ForceAuthn")
	fail(err)
	r.isPassive, _, err = boolean(root, "IsPassive")
	fail(err)

	seen := map[string]bool{}
	for _, c := range root.ChildElements() {
		name := "samlp:" + c.Tag
		switch c.NamespaceURI() {
		case nsProtocol:
		case nsAssertion:
			name = "saml:" + c.Tag
		case nsSignature:
			name = "ds:" + c.Tag
		default:
			return nil, fmt.Errorf("unknown element %.40q outside of samlp:Extensions", c.Tag)
		}
		if seen[name] {
			return nil, fmt.Errorf("%.60s is given twice", name)
		}
		seen[name] = true
		switch name {
		case "saml:Issuer":
			fail(r.readIssuer(c))
		case "samlp:NameIDPolicy":
			fail(r.readPolicy(c))
		case "samlp:RequestedAuthnContext":
			fail(r.readContext(c))
		case "saml:Subject":
			fail(r.readSubject(c))
		case "ds:Signature":
			// Checked where the request is verified, and gone from what is read then.
		case "samlp:Extensions", "saml:Conditions", "samlp:Scoping":
			// Extensions may hold anything (saml-core 3.2.1). Conditions and Scoping are
			// wishes that a responder need not follow (saml-core 3.4.1, 3.4.1.2).
		default:
			fail(fmt.Errorf("unknown element %.60s", name))
		}
	}
	if r.issuer == "" {
		fail(errors.New("Issuer is missing or empty")) // saml-profiles 4.1.4.1
	}
	return r, errors.Join(errs...)
}

func (r *authnRequest) readIssuer(el *etree.Element) error {
	if format, ok := attribute(el, "Format"); ok && format != "urn:oasis:names:tc:SAML:2.0:nameid-format:entity" {
		return errors.New("the Issuer's Format is not entity") // saml-profiles 4.1.4.1
	}
	value, err := text(el)
	if len(value) > 1024 { // saml-core 8.3.6
		return errors.New("Issuer has more than 1024 characters")
	}
	r.issuer = value
	return err
}

// readSubject reads whom the request is about (row REQ-19). A SubjectConfirmation
// must not stand there (saml-profiles 4.1.4.1).
func (r *authnRequest) readSubject(el *etree.Element) error {
	parts := el.ChildElements()
	if len(parts) != 1 || !is(parts[0], nsAssertion, "NameID") {
		r.noNameID = true
		return nil
	}
	value, err := text(parts[0])
	switch {
	case err != nil:
		return err
	case value == "":
		return errors.New("the Subject's NameID is empty")
	}
	s := &pendingSubject{NameID: value}
	s.Format, _ = attribute(parts[0], "Format")
	s.NameQualifier, _ = attribute(parts[0], "NameQualifier")
	s.SPNameQualifier, _ = attribute(parts[0], "SPNameQualifier")
	if len(value)+len(s.Format)+len(s.NameQualifier)+len(s.SPNameQualifier) > maxSubject {
		return errors.New("the Subject's NameID is too long") // it is kept while the person logs in
	}
	r.subject = s
	return nil
}

func (r *authnRequest) readPolicy(el *etree.Element) error {
	r.nameIDFormat, _ = attribute(el, "Format")
	r.spNameQualifier, _ = attribute(el, "SPNameQualifier")
	allow, given, err := boolean(el, "AllowCreate")
	// By the letter an absent AllowCreate means false (saml-core 3.4.1.1). Yet
	// erratum E14 lets an identity provider take it that the user was agreed on
	// beforehand, and that is the case here: the partner's mappings are that
	// agreement. Many service providers leave the attribute out and mean nothing by
	// it, so only one that says false is followed.
	r.noCreate = given && !allow
	return err
}

func (r *authnRequest) readContext(el *etree.Element) error {
	c := &requestedContext{comparison: "exact"}
	if v, ok := attribute(el, "Comparison"); ok {
		c.comparison = v
	}
	switch c.comparison {
	case "exact", "minimum", "maximum", "better":
	default:
		return errors.New("RequestedAuthnContext has an unknown Comparison")
	}
	for _, child := range el.ChildElements() {
		switch {
		case is(child, nsAssertion, "AuthnContextClassRef"):
			class, err := text(child)
			if err != nil {
				return err
			}
			c.classes = append(c.classes, class)
		case is(child, nsAssertion, "AuthnContextDeclRef"):
			c.declarations = true
		default:
			return errors.New("RequestedAuthnContext has an unknown element")
		}
	}
	if len(c.classes) == 0 && !c.declarations {
		return errors.New("RequestedAuthnContext is empty")
	}
	r.context = c
	return nil
}

// isID tells whether s is an xs:ID: an NCName, here of at most 256 bytes.
func isID(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i, c := range s {
		switch {
		case c == '_' || unicode.IsLetter(c):
		case i > 0 && (c == '-' || c == '.' || c == '\u00b7' || unicode.IsDigit(c) || unicode.Is(unicode.M, c)):
		default:
			return false
		}
	}
	return true
}

// dateTime reads an xs:dateTime. SAML's are in UTC (saml-core 1.3.3); an offset
// is understood nonetheless, and none at all means UTC.
func dateTime(s string) (time.Time, error) {
	s = strings.Trim(s, " \t\r\n")
	if len(s) > 64 {
		return time.Time{}, errors.New("IssueInstant is too long")
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse("2006-01-02T15:04:05.999999999", s); err == nil {
		return t, nil
	}
	return time.Time{}, errors.New("IssueInstant is missing or no xs:dateTime")
}
