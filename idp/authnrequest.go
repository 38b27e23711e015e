package idp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/beevik/etree"
)

// authnRequest is what a samlp:AuthnRequest says (saml-core 3.4.1), as far as
// it matters here. Nothing in it is trusted yet.
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
	subject    bool // a Subject is named

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

// readAuthnRequest reads an AuthnRequest. Its form is checked here, what it
// asks for elsewhere.
func readAuthnRequest(data []byte) (*authnRequest, *fault) {
	root, err := parseXML(data, maxDepth, maxElements)
	if err != nil {
		return nil, badRequest("SAMLRequest: "+err.Error(), "send one samlp:AuthnRequest of SAML 2.0 as XML in UTF-8")
	}
	if !is(root, nsProtocol, "AuthnRequest") {
		return nil, badRequest(fmt.Sprintf("the root element is %.40q, not samlp:AuthnRequest", root.Tag), "send one samlp:AuthnRequest of SAML 2.0")
	}
	if hasSignature(root) {
		// Row REQ-11 comes later: then a verifier stands here, and what follows reads
		// from the element that it returns.
		return nil, signedRequest("the request has a ds:Signature")
	}
	r, err := authnRequestOf(root)
	if err != nil {
		return nil, badRequest("AuthnRequest: "+err.Error(), "send an AuthnRequest as saml-core 3.4.1 describes it")
	}
	return r, nil
}

// hasSignature looks for anything of XML Signature outside of Extensions as well as inside.
func hasSignature(el *etree.Element) bool {
	if el.NamespaceURI() == nsSignature {
		return true
	}
	for _, c := range el.ChildElements() {
		if hasSignature(c) {
			return true
		}
	}
	return false
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
		if c.NamespaceURI() == nsAssertion {
			name = "saml:" + c.Tag
		} else if c.NamespaceURI() != nsProtocol {
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
			r.subject = true
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
