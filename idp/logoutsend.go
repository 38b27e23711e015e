package idp

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"

	"ssobridge/idp/netname"
	"ssobridge/store"
)

// requestLife is how long a LogoutRequest of ours is good for.
const requestLife = 5 * time.Minute

// logoutEndpoint finds where a service provider takes messages of single logout,
// of the bindings that go through the browser; the wanted one first, then HTTP-Redirect,
// which needs no form. ok is false for one that can't be reached.
func (sp *provider) logoutEndpoint(wanted string) (e store.LogoutEndpoint, ok bool) {
	if sp == nil || !sp.Enabled {
		return e, false
	}
	for _, binding := range []string{wanted, saml.HTTPRedirectBinding, saml.HTTPPostBinding} {
		for _, e := range sp.Logout {
			if e.Binding != binding || binding != saml.HTTPRedirectBinding && binding != saml.HTTPPostBinding {
				continue
			}
			// Checked on the way out as well, whatever is on record (CVE-2023-45683).
			if netname.CheckAddress(e.URL, true) == nil && netname.CheckAddress(cmp.Or(e.ResponseURL, e.URL), true) == nil {
				return e, true
			}
		}
	}
	return e, false
}

// takesLogout is the last look at an address before a message of single logout
// leaves: it must be registered for this. It works from the record alone.
func (sp *provider) takesLogout(address string) error {
	if err := netname.CheckAddress(address, true); err != nil {
		return fmt.Errorf("logout address of service provider %s: %w", sp.EntityID, err)
	}
	if !slices.ContainsFunc(sp.Logout, func(e store.LogoutEndpoint) bool { return address == e.URL || address == e.ResponseURL }) {
		return fmt.Errorf("logout address of service provider %s is not registered", sp.EntityID)
	}
	return nil
}

// logoutHeader is what stands at the start of a message of single logout. The second line can be empty.
type logoutHeader struct {
	name, id, destination               string
	inResponseTo, notOnOrAfter, because string
}

// logout writes the start of a message of single logout, its Issuer included (saml-core 3.2.1, 3.2.2).
func (p *Provider) logout(h logoutHeader) written {
	head := make(octets, 0, headRoom)
	head.markup("<samlp:" + h.name + declareProtocol)
	head.attribute("Destination", h.destination)
	head.attribute("ID", h.id)
	head.optional("InResponseTo", h.inResponseTo)
	head.attribute("IssueInstant", xmlTime(p.o.Now()))
	head.optional("NotOnOrAfter", h.notOnOrAfter)
	head.optional("Reason", h.because)
	head.attribute("Version", "2.0")
	head.markup("><saml:Issuer" + declareAssertion + ">")
	head.text(p.o.EntityID)
	head.markup("</saml:Issuer>")
	return written{name: h.name, id: h.id, head: head}
}

// xmlTime is in UTC and no finer than milliseconds (saml-core 1.3.3).
func xmlTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// askLogout is the LogoutRequest for a participant (saml-core 3.7.1). The NameID
// is, letter by letter, the one that the assertion had.
func (p *Provider) askLogout(ctx context.Context, by *signer, sp *provider, part store.Participant) (Page, error) {
	wanted := saml.HTTPRedirectBinding
	if len(part.SessionIndexes) > 4 {
		wanted = saml.HTTPPostBinding // a URL has no room for many
	}
	e, ok := sp.logoutEndpoint(wanted)
	if !ok {
		return nil, fmt.Errorf("service provider %s has no logout endpoint", part.EntityID)
	}
	w := p.logout(logoutHeader{
		name: "LogoutRequest", id: part.Request, destination: e.URL,
		notOnOrAfter: xmlTime(p.o.Now().Add(requestLife)), because: "urn:oasis:names:tc:SAML:2.0:logout:user",
	})
	w.rest.markup("<saml:NameID" + declareAssertion)
	w.rest.optional("Format", part.NameIDFormat)
	w.rest.markup(">")
	w.rest.text(part.NameID)
	w.rest.markup("</saml:NameID>")
	for _, index := range part.SessionIndexes {
		w.rest.markup("<samlp:SessionIndex>")
		w.rest.text(index)
		w.rest.markup("</samlp:SessionIndex>")
	}
	w.rest.markup("</samlp:LogoutRequest>")
	return by.carry(ctx, sp, e.Binding, e.URL, "SAMLRequest", w, nil)
}

// answerLogout is the LogoutResponse to the service provider that asked (saml-core 3.7.2).
func (p *Provider) answerLogout(ctx context.Context, by *signer, sp *provider, wanted, id, inResponseTo string, relayState *string, st status) (Page, error) {
	e, ok := sp.logoutEndpoint(wanted)
	if !ok {
		return nil, fmt.Errorf("service provider %s has no logout endpoint", sp.EntityID)
	}
	address := cmp.Or(e.ResponseURL, e.URL)
	w := p.logout(logoutHeader{name: "LogoutResponse", id: id, destination: address, inResponseTo: inResponseTo})
	w.rest = st.write(w.rest)
	w.rest.markup("</samlp:LogoutResponse>")
	return by.carry(ctx, sp, e.Binding, address, "SAMLResponse", w, relayState)
}

// carry signs a message of single logout in the way of its binding, and is the
// one door through which it leaves.
func (s *signer) carry(ctx context.Context, sp *provider, binding, address, parameter string, w written, relayState *string) (Page, error) {
	if err := sp.takesLogout(address); err != nil {
		return nil, err
	}
	if binding == saml.HTTPPostBinding {
		if err := s.sign(ctx, &w); err != nil {
			return nil, err
		}
		return CarryMessage{Action: address, Parameter: parameter, Message: w.base64(), RelayState: relayState, Provider: sp.name()}, nil
	}
	query, err := s.signedQuery(ctx, parameter, w.bytes(), relayState)
	if err != nil {
		return nil, err
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return LeaveFor{URL: address + separator + query}, nil
}

// signedQuery is the message in the HTTP-Redirect binding with its signature over
// the query (saml-bindings 3.4.4.1).
func (s *signer) signedQuery(ctx context.Context, parameter string, data []byte, relayState *string) (string, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", fmt.Errorf("compress a message: %w", err)
	}
	query := parameter + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
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
