package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
)

const (
	requestLife = time.Hour // how long an answer to an AuthnRequest is waited for
	maxRequests = 10_000
)

// sentRequest is an AuthnRequest of ours.
type sentRequest struct {
	at   time.Time
	used bool
}

// serveStart starts an SP-initiated sign-in. Without a binding it shows the choices; with one it sends
// an AuthnRequest:
//
//	binding=redirect|post    how it travels
//	force_authn=1            ForceAuthn="true"
//	is_passive=1             IsPassive="true"
//	allow_create=0           AllowCreate="false"
//	relay_state=TEXT         RelayState
//	sign=1                   signed, where Options.SignRequests has a key for it
//	name_id_format=URI       NameIDPolicy Format; default persistent
//	authn_context=URI        RequestedAuthnContext, exact
//	idp=ENTITYID             which identity provider, where there are several
func (s *Sandbox) serveStart(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	binding := q.Get("binding")
	if binding == "" {
		s.page(w, http.StatusOK, "start", nil)
		return
	}
	if binding != "redirect" && binding != "post" {
		s.problem(w, http.StatusBadRequest, "binding: want redirect or post")
		return
	}
	p, err := s.identityProvider(r.Context(), q.Get("idp"))
	if err != nil {
		s.problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	destination, wire := p.redirect, saml.HTTPRedirectBinding
	if binding == "post" {
		destination, wire = p.post, saml.HTTPPostBinding
	}
	if destination == "" {
		s.problem(w, http.StatusNotFound, "the identity provider offers no such binding")
		return
	}
	sp, err := s.serviceProvider(p, nil)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	req, err := s.authnRequest(sp, destination, wire, q)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err.Error())
		return
	}

	if q.Get("sign") == "1" || s.o.SignRequests == SigningAlways {
		if s.o.SignRequests == SigningOff {
			s.problem(w, http.StatusBadRequest, "sign: the metadata has no key for it; set the signing of requests to asked "+
				"or always")
			return
		}
		var relayState *string
		if state := q.Get("relay_state"); state != "" {
			relayState = &state
		}
		s.carry(w, r, binding, destination, "SAMLRequest", req.Element(), relayState)
		return
	}

	if binding == "redirect" {
		// The library puts the RelayState into the query as it is.
		u, err := req.Redirect(url.QueryEscape(q.Get("relay_state")), sp)
		if err != nil {
			s.problem(w, http.StatusInternalServerError, err.Error())
			return
		}
		w.Header().Set("Cache-Control", "no-cache, no-store") // saml-bindings 3.4.5.1
		http.Redirect(w, r, u.String(), http.StatusFound)
		return
	}
	doc := etree.NewDocument()
	doc.SetRoot(req.Element())
	xml, err := doc.WriteToBytes()
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.page(w, http.StatusOK, "post", map[string]any{
		"Action":     destination,
		"Request":    base64.StdEncoding.EncodeToString(xml),
		"RelayState": q.Get("relay_state"),
	})
}

// authnRequest makes an AuthnRequest (saml-core 3.4.1) and remembers that it was sent.
func (s *Sandbox) authnRequest(sp *saml.ServiceProvider, destination, binding string,
	q url.Values) (*saml.AuthnRequest, error) {
	req, err := sp.MakeAuthenticationRequest(destination, binding, saml.HTTPPostBinding)
	if err != nil {
		return nil, fmt.Errorf("make an AuthnRequest: %w", err)
	}
	yes := true
	now := s.o.Now().UTC()
	req.ID, req.IssueInstant = "id-"+s.random(20), now
	if q.Get("force_authn") == "1" {
		req.ForceAuthn = &yes
	}
	if q.Get("is_passive") == "1" {
		req.IsPassive = &yes
	}
	if q.Get("allow_create") == "0" {
		no := false
		req.NameIDPolicy.AllowCreate = &no
	}
	if format := q.Get("name_id_format"); format != "" {
		req.NameIDPolicy.Format = &format
	}
	if class := q.Get("authn_context"); class != "" {
		req.RequestedAuthnContext = &saml.RequestedAuthnContext{Comparison: "exact", AuthnContextClassRef: class}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for id, sent := range s.requests {
		if now.Sub(sent.at) > requestLife || len(s.requests) >= maxRequests {
			delete(s.requests, id)
		}
	}
	s.requests[req.ID] = &sentRequest{at: now}
	return req, nil
}

// serveMetadata serves the service provider's metadata.
func (s *Sandbox) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	data, err := s.Metadata()
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(data) // nobody is left to be told
}

// Metadata is the service provider's EntityDescriptor (saml-metadata 2.4.4): one ACS by POST,
// persistent NameIDs, AuthnRequests signed by Options.SignRequests.
func (s *Sandbox) Metadata() ([]byte, error) {
	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	root := doc.CreateElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", "urn:oasis:names:tc:SAML:2.0:metadata")
	root.CreateAttr("entityID", s.o.EntityID)
	sp := root.CreateElement("md:SPSSODescriptor")
	sp.CreateAttr("AuthnRequestsSigned", strconv.FormatBool(s.o.SignRequests == SigningAlways))
	sp.CreateAttr("WantAssertionsSigned", "true")
	sp.CreateAttr("protocolSupportEnumeration", "urn:oasis:names:tc:SAML:2.0:protocol")
	if s.o.SingleLogout || s.o.SignRequests != SigningOff {
		key, err := s.signing()
		if err != nil {
			return nil, err
		}
		key.describe(sp)
	}
	s.decrypter.describe(sp)
	s.describeLogout(sp)
	sp.CreateElement("md:NameIDFormat").SetText(string(saml.PersistentNameIDFormat))
	acs := sp.CreateElement("md:AssertionConsumerService")
	acs.CreateAttr("Binding", saml.HTTPPostBinding)
	acs.CreateAttr("Location", s.acs)
	acs.CreateAttr("index", "0")
	acs.CreateAttr("isDefault", "true")
	doc.Indent(2)
	return doc.WriteToBytes()
}
