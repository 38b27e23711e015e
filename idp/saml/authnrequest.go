package saml

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/beevik/etree"
)

// maxSubject bounds a requested NameID with its qualifiers, in bytes: it is kept
// with the pending sign-in, of which strangers can cause many (row WEB-09). A
// NameID has at most 256 characters (saml-core 8.3.7).
const maxSubject = 1 << 10

// AuthnRequest is what a samlp:AuthnRequest says (saml-core 3.4.1), as far as
// it matters here. Whether it is signed stands beside it.
type AuthnRequest struct {
	ID           string
	Version      string
	IssueInstant time.Time
	Destination  string
	Issuer       string

	ACSURL   string // "" where absent, as the next two
	Binding  string
	ACSIndex *int

	ForceAuthn bool
	IsPassive  bool
	Subject    *Subject // nil: no Subject is named
	NoNameID   bool     // a Subject is named, and not by a plain NameID

	NameIDFormat    string
	SPNameQualifier string
	NoCreate        bool // AllowCreate="false"

	Context *RequestedContext
}

// RequestedContext is a samlp:RequestedAuthnContext (saml-core 3.3.2.2.1).
type RequestedContext struct {
	Comparison   string
	Classes      []string
	Declarations bool
}

// Meets reports whether a class is what is asked for. order are the classes that can be compared, from weak to strong:
// a class that is not in it has no place in it, so it is only ever met exactly.
func (c *RequestedContext) Meets(class string, order []string) bool {
	if len(c.Classes) == 0 {
		return false // declarations alone: none are published
	}
	ours := slices.Index(order, class)
	better := true
	for _, asked := range c.Classes {
		place := slices.Index(order, asked)
		switch {
		case c.Comparison == "exact" && asked == class,
			c.Comparison == "minimum" && place >= 0 && ours >= place,
			c.Comparison == "maximum" && place >= 0 && ours <= place:
			return true
		}
		better = better && place >= 0 && ours > place // stronger than all that are named
	}
	return c.Comparison == "better" && better
}

// Subject is the NameID of a request's Subject. It is kept with the sign-in.
type Subject struct {
	NameID          string `json:"name_id"`
	Format          string `json:"format,omitempty"`
	NameQualifier   string `json:"name_qualifier,omitempty"`
	SPNameQualifier string `json:"sp_name_qualifier,omitempty"`
}

// Is reports whether the subject strongly matches the NameID that the service provider sp would get from idp (row
// REQ-19, saml-core 3.3.4). What is left out matches whatever it is; our NameIDs have no qualifiers, which stand for
// the two entityIDs.
func (s *Subject) Is(nameID, format, idp, sp string) bool {
	return s.NameID == nameID &&
		(s.Format == "" || Format(s.Format) == FormatUnspecified || Format(s.Format) == Format(format)) &&
		(s.NameQualifier == "" || s.NameQualifier == idp) &&
		(s.SPNameQualifier == "" || s.SPNameQualifier == sp)
}

// ReceivedRequest is an AuthnRequest as it came. What it says is had from Verify; Issuer only says whose keys to try.
type ReceivedRequest struct {
	message    message
	root       *etree.Element
	unverified *AuthnRequest
}

// ReadAuthnRequest unpacks and reads an AuthnRequest out of the parameters of a request with this method. Its form is
// checked here, what it asks for elsewhere. relayState is what a RelayState may have in bytes. What comes with a fault
// has an Issuer and nothing else.
func ReadAuthnRequest(parameters, method string, relayState int) (*ReceivedRequest, *Fault) {
	m, bad := unpack(parameters, method, "SAMLRequest", relayState)
	if bad != nil {
		// What came beside the message may be at fault, such as a RelayState: who sent it can still be named.
		if root := m.shown(); root != nil {
			return &ReceivedRequest{unverified: &AuthnRequest{Issuer: issuerIn(root)}}, bad
		}
		return nil, bad
	}
	root, err := parseXML(m.xml, maxDepth, maxElements)
	if err != nil {
		return nil, BadRequest("SAMLRequest: "+err.Error(), "send one samlp:AuthnRequest of SAML 2.0 as XML in UTF-8")
	}
	if bad := m.placed(root); bad != nil {
		return &ReceivedRequest{unverified: &AuthnRequest{Issuer: issuerIn(root)}}, bad
	}
	r, bad := readAuthnRequest(root)
	if bad != nil {
		return &ReceivedRequest{unverified: &AuthnRequest{Issuer: issuerIn(root)}}, bad
	}
	return &ReceivedRequest{m, root, r}, nil
}

// Issuer is who claims to have sent the request; "" where that could not be read.
func (r *ReceivedRequest) Issuer() string {
	if r == nil {
		return ""
	}
	return r.unverified.Issuer
}

// RelayState came beside the request; nil: none was sent.
func (r *ReceivedRequest) RelayState() *string { return r.message.relayState }

// Verify checks the request's signature against what is on record of its Issuer. The request that it returns is read
// from what the signature covers, where there is one. Whether a request that is not signed will do is the caller's to
// decide.
func (r *ReceivedRequest) Verify(t Trust) (request *AuthnRequest, signed bool, bad *Fault) {
	el, signed, bad := r.message.verify(r.root, t)
	switch {
	case bad != nil:
		return nil, true, bad
	case !signed:
		return r.unverified, false, nil
	}
	if request, bad = readAuthnRequest(el); bad != nil {
		return nil, true, bad
	}
	if request.Issuer != r.unverified.Issuer {
		// The keys were chosen by the Issuer as it stood before (row REQ-11).
		return nil, true, badForm("the signed Issuer is not the one that was read first", "sign the message as it is sent")
	}
	return request, true, nil
}

// readAuthnRequest reads a parsed AuthnRequest.
func readAuthnRequest(root *etree.Element) (*AuthnRequest, *Fault) {
	if Is(root, NSProtocol, "LogoutRequest") || Is(root, NSProtocol, "LogoutResponse") {
		return nil, BadRequest(fmt.Sprintf("a samlp:%s came to the address of single sign-on", root.Tag),
			"let the service provider send it to the address of single logout, which our metadata names as "+
				"SingleLogoutService: …/saml/slo")
	}
	if !Is(root, NSProtocol, "AuthnRequest") {
		return nil, BadRequest(fmt.Sprintf("the root element is %.40q, not samlp:AuthnRequest", root.Tag),
			"send one samlp:AuthnRequest of SAML 2.0")
	}
	r, err := authnRequestOf(root)
	if err != nil {
		return nil, BadRequest("AuthnRequest: "+err.Error(), "send an AuthnRequest as saml-core 3.4.1 describes it")
	}
	return r, nil
}

func authnRequestOf(root *etree.Element) (*AuthnRequest, error) {
	r := &AuthnRequest{}
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	r.ID = ValueOf(root, "ID")
	if !isID(r.ID) {
		// It goes back as InResponseTo, which must be an NCName as well.
		fail(errors.New("ID is missing or no xs:ID of at most 256 characters"))
	}
	r.Version = ValueOf(root, "Version")
	var err error
	r.IssueInstant, err = DateTime(ValueOf(root, "IssueInstant"))
	fail(err)
	r.Destination = ValueOf(root, "Destination")
	r.ACSURL = ValueOf(root, "AssertionConsumerServiceURL")
	r.Binding = ValueOf(root, "ProtocolBinding")
	if index := ValueOf(root, "AssertionConsumerServiceIndex"); index != "" {
		n, err := strconv.ParseUint(index, 10, 16) // xs:unsignedShort
		if err != nil {
			fail(errors.New("AssertionConsumerServiceIndex is no number from 0 to 65535"))
		}
		i := int(n)
		r.ACSIndex = &i
	}
	r.ForceAuthn, _, err = BooleanOf(root, "ForceAuthn")
	fail(err)
	r.IsPassive, _, err = BooleanOf(root, "IsPassive")
	fail(err)

	seen := map[string]bool{}
	for _, c := range root.ChildElements() {
		name := "samlp:" + c.Tag
		switch c.NamespaceURI() {
		case NSProtocol:
		case NSAssertion:
			name = "saml:" + c.Tag
		case NSSignature:
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
	if r.Issuer == "" {
		fail(errors.New("Issuer is missing or empty")) // saml-profiles 4.1.4.1
	}
	return r, errors.Join(errs...)
}

func (r *AuthnRequest) readIssuer(el *etree.Element) error {
	value, err := TextOf(el)
	if len(value) > 1024 { // saml-core 8.3.6
		return errors.New("Issuer has more than 1024 characters")
	}
	r.Issuer = value
	return errors.Join(err, checkIssuerFormat(el))
}

// issuerIn is the Issuer of a message that is refused, to name it in the log; "" where it can't be read.
func issuerIn(root *etree.Element) string {
	found := Children(root, NSAssertion, "Issuer")
	if len(found) != 1 {
		return ""
	}
	value, err := TextOf(found[0])
	if err != nil || len(value) > 1024 {
		return ""
	}
	return value
}

// checkIssuerFormat refuses an Issuer that says it is anything but an entityID (saml-profiles 4.1.4.1).
func checkIssuerFormat(el *etree.Element) error {
	if format := ValueOf(el, "Format"); format != "" && Format(format) != FormatEntity {
		return fmt.Errorf("the Issuer's Format is %.120q; it must be entity (%s) or left out", format, FormatEntity)
	}
	return nil
}

// readSubject reads whom the request is about (row REQ-19). A SubjectConfirmation
// must not stand there (saml-profiles 4.1.4.1).
func (r *AuthnRequest) readSubject(el *etree.Element) error {
	parts := el.ChildElements()
	if len(parts) == 0 {
		// Without an identifier it is whoever comes with the request (saml-core 3.4.1); a text would be meant as one.
		r.NoNameID = strings.Trim(el.Text(), blanks) != ""
		return nil
	}
	if len(parts) != 1 || !Is(parts[0], NSAssertion, "NameID") {
		r.NoNameID = true
		return nil
	}
	value, err := TextOf(parts[0])
	switch {
	case err != nil:
		return err
	case value == "":
		return nil // a field for the login that was left empty names nobody
	}
	s := &Subject{NameID: value, Format: Format(ValueOf(parts[0], "Format"))}
	s.NameQualifier, _ = AttributeOf(parts[0], "NameQualifier")
	s.SPNameQualifier, _ = AttributeOf(parts[0], "SPNameQualifier")
	if len(value)+len(s.Format)+len(s.NameQualifier)+len(s.SPNameQualifier) > maxSubject {
		return errors.New("the Subject's NameID is too long") // it is kept while the person logs in
	}
	r.Subject = s
	return nil
}

func (r *AuthnRequest) readPolicy(el *etree.Element) error {
	r.NameIDFormat = Format(ValueOf(el, "Format"))
	r.SPNameQualifier = ValueOf(el, "SPNameQualifier")
	allow, given, err := BooleanOf(el, "AllowCreate")
	// By the letter an absent AllowCreate means false (saml-core 3.4.1.1). Yet
	// erratum E14 lets an identity provider take it that the user was agreed on
	// beforehand, and that is the case here: the partner's mappings are that
	// agreement. Many service providers leave the attribute out and mean nothing by
	// it, so only one that says false is followed.
	r.NoCreate = given && !allow
	return err
}

func (r *AuthnRequest) readContext(el *etree.Element) error {
	c := &RequestedContext{Comparison: cmp.Or(strings.ToLower(ValueOf(el, "Comparison")), "exact")}
	switch c.Comparison {
	case "exact", "minimum", "maximum", "better":
	default:
		return errors.New("RequestedAuthnContext has an unknown Comparison")
	}
	anything := false
	for _, child := range el.ChildElements() {
		value, err := TextOf(child)
		switch {
		case err != nil:
			return err
		case Is(child, NSAssertion, "AuthnContextClassRef"):
			// "Unspecified" is any way at all (saml-authn-context 3.4.25): whatever was done meets it, but for a
			// request of something better than the others that it names.
			if anyClass.MatchString(value) {
				anything = anything || c.Comparison != "better"
			} else if value != "" {
				c.Classes = append(c.Classes, class(value))
			}
		case Is(child, NSAssertion, "AuthnContextDeclRef"):
			c.Declarations = c.Declarations || value != ""
		default:
			return errors.New("RequestedAuthnContext has an unknown element")
		}
	}
	if anything || len(c.Classes) == 0 && !c.Declarations {
		return nil // an empty one asks for nothing, as if it were absent
	}
	r.Context = c
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
