package saml

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// maxAskedIndexes bounds the SessionIndexes of one LogoutRequest.
const maxAskedIndexes = 1000

// maxNameID bounds the NameID of a LogoutRequest, in bytes: one has at most 256 characters (saml-core 8.3.7).
const maxNameID = 4 * 256

// unpackLogout reads a LogoutRequest or LogoutResponse out of the parameters of
// either binding. Nothing of root is to be trusted yet.
func unpackLogout(encoded, method string, relayState int) (m message, root *etree.Element, bad *Fault) {
	values, bad := parameters(encoded)
	if bad != nil {
		if strings.Contains(encoded, "SAMLResponse=") && !strings.Contains(encoded, "SAMLRequest=") {
			m.name = "SAMLResponse" // it was to be an answer, to lead on the person who brought it
		}
		return m, nil, bad
	}
	_, request := values["SAMLRequest"]
	_, response := values["SAMLResponse"]
	name, want := "SAMLRequest", "LogoutRequest"
	switch {
	case request && response:
		return m, nil, BadRequest("SAMLRequest and SAMLResponse are both sent", "send one message")
	case response:
		name, want = "SAMLResponse", "LogoutResponse"
	}
	if m, bad = unpack(encoded, method, name, relayState); bad != nil {
		m.name = name
		return m, m.shown(), bad
	}
	root, err := parseXML(m.xml, maxDepth, maxElements)
	if err != nil {
		return m, nil, BadRequest(name+": "+err.Error(), "send one samlp:"+want+" of SAML 2.0 as XML in UTF-8")
	}
	if Is(root, NSProtocol, "AuthnRequest") {
		return m, root, BadRequest("a samlp:AuthnRequest came to the address of single logout",
			"let the service provider send it to the address of single sign-on, which our metadata names as "+
				"SingleSignOnService: …/saml/sso")
	}
	if !Is(root, NSProtocol, want) {
		return m, root, BadRequest(fmt.Sprintf("%s is %.40q, not samlp:%s", name, root.Tag, want),
			"send it to the endpoint that is meant for it, such as that of single sign-on for an AuthnRequest")
	}
	return m, root, m.placed(root)
}

// ReceivedLogout is a LogoutRequest or LogoutResponse as it came. What it says is had from Verify; the rest only says
// whose keys to try, and where to lead the person whose message is refused.
type ReceivedLogout struct {
	message message
	root    *etree.Element
	issuer  string
}

// ReadLogout unpacks a message of single logout out of the parameters of a request with this method. What comes
// with a fault is for naming the sender and leading the person on, as far as it could be read.
func ReadLogout(parameters, method string, relayState int) (*ReceivedLogout, *Fault) {
	m, root, bad := unpackLogout(parameters, method, relayState)
	if bad != nil {
		received := &ReceivedLogout{message: m, root: root}
		if root != nil {
			received.issuer = issuerIn(root)
		}
		return received, bad
	}
	issuer, err := issuerOf(root)
	if err != nil {
		return &ReceivedLogout{m, root, issuerIn(root)}, BadRequest(root.Tag+": "+err.Error(),
			"name the sender as saml-profiles 4.4.4.1 describes it")
	}
	return &ReceivedLogout{m, root, issuer}, nil
}

// IsResponse tells a LogoutResponse from a LogoutRequest, by the parameter that it came as.
func (l *ReceivedLogout) IsResponse() bool { return l.message.name == "SAMLResponse" }

// Issuer is who claims to have sent the message; "" where that could not be read.
func (l *ReceivedLogout) Issuer() string { return l.issuer }

// InResponseTo is the request that a LogoutResponse claims to answer; "" of a LogoutRequest, and where it could not be
// read.
func (l *ReceivedLogout) InResponseTo() string {
	if l.root == nil {
		return ""
	}
	return ValueOf(l.root, "InResponseTo")
}

// Verify checks the signature, which must be there (row SLO-01, saml-profiles 4.4.3.1 and 4.4.4.1).
func (l *ReceivedLogout) Verify(t Trust) (*VerifiedLogout, *Fault) {
	el, signed, bad := l.message.verify(l.root, t)
	if bad == nil && !signed {
		bad = &Fault{ReasonUnsigned, http.StatusBadRequest, "the message of single logout is not signed",
			"switch the signing of logout messages on at the service provider: anybody could sign people out otherwise"}
	}
	if bad != nil {
		return nil, bad
	}
	return &VerifiedLogout{l.message, el}, nil
}

// VerifiedLogout is what a signature of single logout covers.
type VerifiedLogout struct {
	message message
	el      *etree.Element
}

// IsResponse tells a LogoutResponse from a LogoutRequest.
func (l *VerifiedLogout) IsResponse() bool { return l.message.name == "SAMLResponse" }

// Binding is how the message came.
func (l *VerifiedLogout) Binding() string { return l.message.binding() }

// RelayState came beside the message; nil: none was sent.
func (l *VerifiedLogout) RelayState() *string { return l.message.relayState }

// Request reads the LogoutRequest.
func (l *VerifiedLogout) Request() (*LogoutRequest, *Fault) {
	r, err := readLogoutRequest(l.el)
	if err != nil {
		return nil, BadRequest("LogoutRequest: "+err.Error(), "send a LogoutRequest as saml-core 3.7.1 describes it")
	}
	return r, nil
}

// Response reads the LogoutResponse.
func (l *VerifiedLogout) Response() (*LogoutResponse, *Fault) {
	r, err := readLogoutResponse(l.el)
	if err != nil {
		return nil, BadRequest("LogoutResponse: "+err.Error(), "send a LogoutResponse as saml-core 3.7.2 describes it")
	}
	return r, nil
}

// LogoutHead is what requests and responses have in common (saml-core 3.2.1, 3.2.2).
type LogoutHead struct {
	ID, Version  string
	IssueInstant time.Time
	Destination  string
	Issuer       string
}

func (h *LogoutHead) read(root *etree.Element) error {
	var err error
	h.ID = ValueOf(root, "ID")
	if !isID(h.ID) {
		return errors.New("ID is missing or no xs:ID of at most 256 characters")
	}
	h.Version = ValueOf(root, "Version")
	h.Destination = ValueOf(root, "Destination")
	if h.IssueInstant, err = DateTime(ValueOf(root, "IssueInstant")); err != nil {
		return err
	}
	h.Issuer, err = issuerOf(root)
	return err
}

// issuerOf reads who sent the message. Until the signature is verified it only
// says whose keys to try.
func issuerOf(root *etree.Element) (string, error) {
	found := Children(root, NSAssertion, "Issuer")
	if len(found) != 1 {
		return "", fmt.Errorf("it has %d Issuers, want one", len(found))
	}
	value, err := TextOf(found[0])
	switch {
	case err != nil:
		return "", err
	case value == "" || len(value) > 1024: // saml-core 8.3.6
		return "", errors.New("Issuer is empty or has more than 1024 characters")
	}
	return value, checkIssuerFormat(found[0])
}

// Check compares a verified message with the clock and our address. A version
// that is not 2.0 is not checked here: it is answered by a status.
func (h *LogoutHead) Check(endpoint string, now time.Time) *Fault {
	switch age := now.Sub(h.IssueInstant); {
	case !SameAddress(h.Destination, endpoint): // required in a signed message (saml-bindings 3.4.5.2, 3.5.5.2)
		return &Fault{ReasonWrongDestination, http.StatusBadRequest,
			fmt.Sprintf("Destination is %.200q, not %s", h.Destination, endpoint),
			"import this identity provider's metadata again at the service provider"}
	case age > RequestWindow:
		return &Fault{ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the message is %s old, %s are allowed", age.Round(time.Second), RequestWindow),
			"compare the clocks; the back button does it too"}
	case age < -RequestWindow:
		return &Fault{ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the message is from %s in the future, %s are allowed", -age.Round(time.Second), RequestWindow),
			"compare the clocks"}
	}
	return nil
}

// LogoutRequest is a samlp:LogoutRequest (saml-core 3.7.1).
type LogoutRequest struct {
	LogoutHead
	NotOnOrAfter time.Time // zero: without end
	Unsupported  bool      // the person is named other than by a NameID in clear

	NameID, Format, NameQualifier, SPNameQualifier string

	Indexes []string
}

func readLogoutRequest(root *etree.Element) (*LogoutRequest, error) {
	r := &LogoutRequest{}
	if err := r.read(root); err != nil {
		return nil, err
	}
	if end := ValueOf(root, "NotOnOrAfter"); end != "" {
		at, err := DateTime(end)
		if err != nil {
			return nil, errors.New("NotOnOrAfter is no xs:dateTime")
		}
		r.NotOnOrAfter = at
	}
	names := 0
	for _, c := range root.ChildElements() {
		switch {
		case Is(c, NSAssertion, "Issuer"), Is(c, NSProtocol, "Extensions"):
		case Is(c, NSAssertion, "NameID"):
			names++
			value, err := TextOf(c)
			if err != nil {
				return nil, err
			}
			r.NameID = value
			r.Format = Format(ValueOf(c, "Format"))
			r.NameQualifier, _ = AttributeOf(c, "NameQualifier")
			r.SPNameQualifier, _ = AttributeOf(c, "SPNameQualifier")
		case Is(c, NSAssertion, "EncryptedID"), Is(c, NSAssertion, "BaseID"):
			names++
			r.Unsupported = true
		case Is(c, NSProtocol, "SessionIndex"):
			index, err := TextOf(c)
			if err != nil {
				return nil, err
			}
			if len(r.Indexes) == maxAskedIndexes {
				return nil, fmt.Errorf("it has more than %d SessionIndexes", maxAskedIndexes)
			}
			r.Indexes = append(r.Indexes, index)
		default:
			return nil, fmt.Errorf("unknown element %.40q", c.Tag)
		}
	}
	if names != 1 || !r.Unsupported && (r.NameID == "" || len(r.NameID) > maxNameID) {
		return nil, errors.New("it does not name one person, by one NameID")
	}
	return r, nil
}

// Names reports whether the request means a session in which its sender got this
// name (row SLO-02, saml-core 3.7.3.2).
func (r *LogoutRequest) Names(entityID, ours, format, index string) bool {
	switch {
	// An absent Format means unspecified (saml-core 2.2.2).
	case r.Format != "" && r.Format != FormatUnspecified && r.Format != Format(format):
		return false
	// Our NameIDs have no qualifiers, which means these two (saml-core 8.3.7).
	case r.NameQualifier != "" && r.NameQualifier != ours, r.SPNameQualifier != "" && r.SPNameQualifier != entityID:
		return false
	case len(r.Indexes) == 0: // all of this person's sessions there
		return true
	}
	for _, i := range r.Indexes {
		if i == index {
			return true
		}
	}
	return false
}

// LogoutResponse is a samlp:LogoutResponse (saml-core 3.7.2).
type LogoutResponse struct {
	LogoutHead
	InResponseTo string
	Success      bool // of all that the service provider was to do
}

func readLogoutResponse(root *etree.Element) (*LogoutResponse, error) {
	r := &LogoutResponse{}
	if err := r.read(root); err != nil {
		return nil, err
	}
	r.InResponseTo = ValueOf(root, "InResponseTo")
	found := Children(root, NSProtocol, "Status")
	if len(found) != 1 {
		return nil, fmt.Errorf("it has %d Status elements, want one", len(found))
	}
	codes := Children(found[0], NSProtocol, "StatusCode")
	if len(codes) != 1 {
		return nil, fmt.Errorf("its Status has %d StatusCodes, want one", len(codes))
	}
	r.Success = ValueOf(codes[0], "Value") == StatusSuccess
	for _, c := range Children(codes[0], NSProtocol, "StatusCode") {
		if ValueOf(c, "Value") == StatusPartialLogout {
			r.Success = false
		}
	}
	return r, nil
}
