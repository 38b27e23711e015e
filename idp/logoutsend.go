package idp

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

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
			if checkAddress(e.URL, true) == nil && checkAddress(cmp.Or(e.ResponseURL, e.URL), true) == nil {
				return e, true
			}
		}
	}
	return e, false
}

// takesLogout is the last look at an address before a message of single logout
// leaves: it must be registered for this. It works from the record alone.
func (sp *provider) takesLogout(address string) error {
	if err := checkAddress(address, true); err != nil {
		return fmt.Errorf("logout address of service provider %s: %w", sp.EntityID, err)
	}
	if !slices.ContainsFunc(sp.Logout, func(e store.LogoutEndpoint) bool { return address == e.URL || address == e.ResponseURL }) {
		return fmt.Errorf("logout address of service provider %s is not registered", sp.EntityID)
	}
	return nil
}

// logoutHeader starts a message of ours (saml-core 3.2.1, 3.2.2).
func (p *Provider) logoutHeader(name, id, destination string) *etree.Element {
	el := etree.NewElement("samlp:" + name)
	el.CreateAttr("xmlns:samlp", nsProtocol)
	el.CreateAttr("xmlns:saml", nsAssertion)
	el.CreateAttr("ID", id)
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", xmlTime(p.o.Now()))
	el.CreateAttr("Destination", destination)
	el.CreateElement("saml:Issuer").SetText(p.o.EntityID)
	return el
}

// xmlTime is in UTC and no finer than milliseconds (saml-core 1.3.3).
func xmlTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// askLogout is the LogoutRequest for a participant (saml-core 3.7.1). The NameID
// is, letter by letter, the one that the assertion had.
func (p *Provider) askLogout(by *signer, sp *provider, part store.Participant) (Page, error) {
	wanted := saml.HTTPRedirectBinding
	if len(part.SessionIndexes) > 4 {
		wanted = saml.HTTPPostBinding // a URL has no room for many
	}
	e, ok := sp.logoutEndpoint(wanted)
	if !ok {
		return nil, fmt.Errorf("service provider %s has no logout endpoint", part.EntityID)
	}
	el := p.logoutHeader("LogoutRequest", part.Request, e.URL)
	el.CreateAttr("NotOnOrAfter", xmlTime(p.o.Now().Add(requestLife)))
	el.CreateAttr("Reason", "urn:oasis:names:tc:SAML:2.0:logout:user")
	nameID := el.CreateElement("saml:NameID")
	if part.NameIDFormat != "" {
		nameID.CreateAttr("Format", part.NameIDFormat)
	}
	nameID.SetText(part.NameID)
	for _, index := range part.SessionIndexes {
		el.CreateElement("samlp:SessionIndex").SetText(index)
	}
	return by.carry(sp, e.Binding, e.URL, "SAMLRequest", el, nil)
}

// answerLogout is the LogoutResponse to the service provider that asked (saml-core 3.7.2).
func (p *Provider) answerLogout(by *signer, sp *provider, wanted, id, inResponseTo string, relayState *string, st status) (Page, error) {
	e, ok := sp.logoutEndpoint(wanted)
	if !ok {
		return nil, fmt.Errorf("service provider %s has no logout endpoint", sp.EntityID)
	}
	address := cmp.Or(e.ResponseURL, e.URL)
	el := p.logoutHeader("LogoutResponse", id, address)
	el.CreateAttr("InResponseTo", inResponseTo)
	s := el.CreateElement("samlp:Status")
	code := s.CreateElement("samlp:StatusCode")
	code.CreateAttr("Value", st.top)
	if st.second != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", st.second)
	}
	if st.message != "" {
		s.CreateElement("samlp:StatusMessage").SetText(st.message)
	}
	return by.carry(sp, e.Binding, address, "SAMLResponse", el, relayState)
}

// carry signs a message of single logout in the way of its binding, and is the
// one door through which it leaves.
func (s *signer) carry(sp *provider, binding, address, parameter string, el *etree.Element, relayState *string) (Page, error) {
	if err := sp.takesLogout(address); err != nil {
		return nil, err
	}
	if binding == saml.HTTPPostBinding {
		if err := s.sign(el); err != nil {
			return nil, err
		}
	}
	data, err := writeXML(el)
	if err != nil {
		return nil, fmt.Errorf("write %s for %s: %w", el.Tag, sp.EntityID, err)
	}
	if binding == saml.HTTPPostBinding {
		return CarryMessage{Action: address, Parameter: parameter, Message: base64.StdEncoding.EncodeToString(data), RelayState: relayState, Provider: sp.name()}, nil
	}
	query, err := s.signedQuery(parameter, data, relayState)
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
func (s *signer) signedQuery(parameter string, data []byte, relayState *string) (string, error) {
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
	query += "&SigAlg=" + url.QueryEscape(s.context.GetSignatureMethodIdentifier())
	signature, err := s.context.SignString(query)
	switch {
	case err != nil:
		return "", fmt.Errorf("sign a query with key %s: %w", s.key.ID, err)
	case len(signature) == 0:
		return "", errors.New("sign a query: the key gave no signature")
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}
