package saml

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// logoutLife is how long a LogoutRequest of ours is good for.
const logoutLife = 5 * time.Minute

// LogoutParams is what a message of single logout says at its start.
type LogoutParams struct {
	Issuer      string // our entityID
	ID          string
	At          time.Time
	Destination string
}

// LogoutMessage is a LogoutRequest or LogoutResponse of ours. It leaves by Form or Query, which sign it.
type LogoutMessage struct {
	// Parameter is what the bindings call it: SAMLRequest or SAMLResponse.
	Parameter string
	w         written
}

// NewLogoutRequest builds a samlp:LogoutRequest (saml-core 3.7.1). The NameID is, letter by letter, the one that the
// assertions with these session indexes had.
func NewLogoutRequest(p LogoutParams, nameID, format string, indexes []string) LogoutMessage {
	w := p.start("LogoutRequest", logoutAttributes{notOnOrAfter: logoutTime(p.At.Add(logoutLife)),
		because: "urn:oasis:names:tc:SAML:2.0:logout:user"})
	w.rest.markup("<saml:NameID" + declareAssertion)
	w.rest.optional("Format", format)
	w.rest.markup(">")
	w.rest.text(nameID)
	w.rest.markup("</saml:NameID>")
	for _, index := range indexes {
		w.rest.markup("<samlp:SessionIndex>")
		w.rest.text(index)
		w.rest.markup("</samlp:SessionIndex>")
	}
	w.rest.markup("</samlp:LogoutRequest>")
	return LogoutMessage{"SAMLRequest", w}
}

// NewLogoutResponse builds a samlp:LogoutResponse (saml-core 3.7.2).
func NewLogoutResponse(p LogoutParams, inResponseTo string, st Status) LogoutMessage {
	w := p.start("LogoutResponse", logoutAttributes{inResponseTo: inResponseTo})
	w.rest = st.write(w.rest)
	w.rest.markup("</samlp:LogoutResponse>")
	return LogoutMessage{"SAMLResponse", w}
}

// logoutAttributes are those that one of the two messages has alone.
type logoutAttributes struct{ inResponseTo, notOnOrAfter, because string }

// start writes a message of single logout, its Issuer included (saml-core 3.2.1, 3.2.2).
func (p LogoutParams) start(name string, a logoutAttributes) written {
	head := make(octets, 0, headRoom)
	head.markup("<samlp:" + name + declareProtocol)
	head.attribute("Destination", p.Destination)
	head.attribute("ID", p.ID)
	head.optional("InResponseTo", a.inResponseTo)
	head.attribute("IssueInstant", logoutTime(p.At))
	head.optional("NotOnOrAfter", a.notOnOrAfter)
	head.optional("Reason", a.because)
	head.attribute("Version", "2.0")
	head.markup("><saml:Issuer" + declareAssertion + ">")
	head.text(p.Issuer)
	head.markup("</saml:Issuer>")
	return written{name: name, id: p.ID, head: head}
}

// logoutTime is in UTC and no finer than milliseconds (saml-core 1.3.3).
func logoutTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Form signs a message as the HTTP-POST binding has it: inside the XML. It is returned in base64.
func (s *Signer) Form(ctx context.Context, m LogoutMessage) (string, error) {
	if err := s.sign(ctx, &m.w); err != nil {
		return "", err
	}
	return m.w.base64(), nil
}

// Query signs a message as the HTTP-Redirect binding has it: over the query, which is
// returned (saml-bindings 3.4.4.1).
func (s *Signer) Query(ctx context.Context, m LogoutMessage, relayState *string) (string, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = w.Write(m.w.bytes())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", fmt.Errorf("compress a message: %w", err)
	}
	query := m.Parameter + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relayState != nil {
		query += "&RelayState=" + url.QueryEscape(*relayState)
	}
	query += "&SigAlg=" + url.QueryEscape(s.method)
	digest := s.hash.New()
	digest.Write([]byte(query))
	signature, err := s.raw(ctx, digest.Sum(nil))
	switch {
	case err != nil:
		return "", fmt.Errorf("sign a query with key %s: %w", s.key.ID, err)
	case len(signature) == 0:
		return "", errors.New("sign a query: the key gave no signature")
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}
