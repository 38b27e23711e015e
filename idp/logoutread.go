package idp

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
)

// maxAskedIndexes bounds the SessionIndexes of one LogoutRequest.
const maxAskedIndexes = 1000

// unpackLogout reads a LogoutRequest or LogoutResponse out of the parameters of
// either binding. Nothing of root is to be trusted yet.
func unpackLogout(encoded, method string) (m message, root *etree.Element, bad *fault) {
	values, bad := parameters(encoded)
	if bad != nil {
		return m, nil, bad
	}
	_, request := values["SAMLRequest"]
	_, response := values["SAMLResponse"]
	name, want := "SAMLRequest", "LogoutRequest"
	switch {
	case request && response:
		return m, nil, badRequest("SAMLRequest and SAMLResponse are both sent", "send one message")
	case response:
		name, want = "SAMLResponse", "LogoutResponse"
	}
	if m, bad = unpack(encoded, method, name); bad != nil {
		return m, nil, bad
	}
	root, err := parseXML(m.xml, maxDepth, maxElements)
	if err != nil {
		return m, nil, badRequest(name+": "+err.Error(), "send one samlp:"+want+" of SAML 2.0 as XML in UTF-8")
	}
	if !is(root, nsProtocol, want) {
		return m, nil, badRequest(fmt.Sprintf("%s is %.40q, not samlp:%s", name, root.Tag, want), "send it to the endpoint that is meant for it, such as "+ssoPath+" for an AuthnRequest")
	}
	return m, root, m.placed(root)
}

// verifyLogout checks the signature, which must be there (row SLO-01,
// saml-profiles 4.4.3.1 and 4.4.4.1). What it returns is to be read, and nothing else.
func verifyLogout(m message, root *etree.Element, t trust) (*etree.Element, *fault) {
	verified, signed, bad := m.verify(root, t)
	if bad == nil && !signed {
		bad = &fault{ReasonUnsignedRequest, http.StatusBadRequest, "the message of single logout is not signed",
			"switch the signing of logout messages on at the service provider: anybody could sign people out otherwise"}
	}
	if bad != nil {
		return nil, bad
	}
	return verified, nil
}

// logoutHead is what requests and responses have in common (saml-core 3.2.1, 3.2.2).
type logoutHead struct {
	id, version  string
	issueInstant time.Time
	destination  string
	issuer       string
}

func (h *logoutHead) read(root *etree.Element) error {
	var err error
	h.id, _ = attribute(root, "ID")
	if !isID(h.id) {
		return errors.New("ID is missing or no xs:ID of at most 256 characters")
	}
	h.version, _ = attribute(root, "Version")
	h.destination, _ = attribute(root, "Destination")
	instant, _ := attribute(root, "IssueInstant")
	if h.issueInstant, err = dateTime(instant); err != nil {
		return err
	}
	h.issuer, err = issuerOf(root)
	return err
}

// issuerOf reads who sent the message. Until the signature is verified it only
// says whose keys to try.
func issuerOf(root *etree.Element) (string, error) {
	found := children(root, nsAssertion, "Issuer")
	if len(found) != 1 {
		return "", fmt.Errorf("it has %d Issuers, want one", len(found))
	}
	if format, ok := attribute(found[0], "Format"); ok && format != "urn:oasis:names:tc:SAML:2.0:nameid-format:entity" {
		return "", errors.New("the Issuer's Format is not entity")
	}
	value, err := text(found[0])
	switch {
	case err != nil:
		return "", err
	case value == "" || len(value) > 1024: // saml-core 8.3.6
		return "", errors.New("Issuer is empty or has more than 1024 characters")
	}
	return value, nil
}

// check holds a verified message against the clock and our address. A version
// that is not 2.0 is not checked here: it is answered by a status.
func (h *logoutHead) check(endpoint string, now time.Time) *fault {
	switch age := now.Sub(h.issueInstant); {
	case h.destination != endpoint: // required in a signed message (saml-bindings 3.4.5.2, 3.5.5.2)
		return &fault{ReasonWrongDestination, http.StatusBadRequest,
			fmt.Sprintf("Destination is %.200q, not %s", h.destination, endpoint),
			"import this identity provider's metadata again at the service provider"}
	case age > requestWindow:
		return &fault{ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the message is %s old, %s are allowed", age.Round(time.Second), requestWindow), "compare the clocks; the back button does it too"}
	case age < -requestWindow:
		return &fault{ReasonRequestTime, http.StatusBadRequest,
			fmt.Sprintf("the message is from %s in the future, %s are allowed", -age.Round(time.Second), requestWindow), "compare the clocks"}
	}
	return nil
}

// logoutRequest is a samlp:LogoutRequest (saml-core 3.7.1).
type logoutRequest struct {
	logoutHead
	notOnOrAfter time.Time // zero: without end
	unsupported  bool      // the person is named other than by a NameID in clear

	nameID, format, nameQualifier, spNameQualifier string

	indexes []string
}

func readLogoutRequest(root *etree.Element) (*logoutRequest, error) {
	r := &logoutRequest{}
	if err := r.read(root); err != nil {
		return nil, err
	}
	if end, ok := attribute(root, "NotOnOrAfter"); ok {
		at, err := dateTime(end)
		if err != nil {
			return nil, errors.New("NotOnOrAfter is no xs:dateTime")
		}
		r.notOnOrAfter = at
	}
	names := 0
	for _, c := range root.ChildElements() {
		switch {
		case is(c, nsAssertion, "Issuer"), is(c, nsProtocol, "Extensions"):
		case is(c, nsAssertion, "NameID"):
			names++
			value, err := text(c)
			if err != nil {
				return nil, err
			}
			r.nameID = value
			r.format, _ = attribute(c, "Format")
			r.nameQualifier, _ = attribute(c, "NameQualifier")
			r.spNameQualifier, _ = attribute(c, "SPNameQualifier")
		case is(c, nsAssertion, "EncryptedID"), is(c, nsAssertion, "BaseID"):
			names++
			r.unsupported = true
		case is(c, nsProtocol, "SessionIndex"):
			index, err := text(c)
			if err != nil {
				return nil, err
			}
			if len(r.indexes) == maxAskedIndexes {
				return nil, fmt.Errorf("it has more than %d SessionIndexes", maxAskedIndexes)
			}
			r.indexes = append(r.indexes, index)
		default:
			return nil, fmt.Errorf("unknown element %.40q", c.Tag)
		}
	}
	if names != 1 || !r.unsupported && (r.nameID == "" || len(r.nameID) > 4*maxValue) {
		return nil, errors.New("it does not name one person, by one NameID")
	}
	return r, nil
}

// names tells whether the request means a session in which its sender got this
// name (row SLO-02, saml-core 3.7.3.2).
func (r *logoutRequest) names(entityID, ours, format, index string) bool {
	const unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified" // also what an absent Format means (saml-core 2.2.2)
	switch {
	case r.format != "" && r.format != unspecified && r.format != format:
		return false
	// Our NameIDs have no qualifiers, which means these two (saml-core 8.3.7).
	case r.nameQualifier != "" && r.nameQualifier != ours, r.spNameQualifier != "" && r.spNameQualifier != entityID:
		return false
	case len(r.indexes) == 0: // all of this person's sessions there
		return true
	}
	for _, i := range r.indexes {
		if i == index {
			return true
		}
	}
	return false
}

// logoutResponse is a samlp:LogoutResponse (saml-core 3.7.2).
type logoutResponse struct {
	logoutHead
	inResponseTo string
	success      bool // of all that the service provider was to do
}

func readLogoutResponse(root *etree.Element) (*logoutResponse, error) {
	r := &logoutResponse{}
	if err := r.read(root); err != nil {
		return nil, err
	}
	r.inResponseTo, _ = attribute(root, "InResponseTo")
	found := children(root, nsProtocol, "Status")
	if len(found) != 1 {
		return nil, fmt.Errorf("it has %d Status elements, want one", len(found))
	}
	codes := children(found[0], nsProtocol, "StatusCode")
	if len(codes) != 1 {
		return nil, fmt.Errorf("its Status has %d StatusCodes, want one", len(codes))
	}
	top, _ := attribute(codes[0], "Value")
	r.success = top == saml.StatusSuccess
	for _, c := range children(codes[0], nsProtocol, "StatusCode") {
		if second, _ := attribute(c, "Value"); second == saml.StatusPartialLogout {
			r.success = false
		}
	}
	return r, nil
}
