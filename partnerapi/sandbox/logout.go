package sandbox

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	xrv "github.com/mattermost/xml-roundtrip-validator"
	dsig "github.com/russellhaering/goxmldsig"
)

// SLOPath is the single logout service, of both bindings; it is there only where Options.SingleLogout is on.
const SLOPath = "/sso/slo"

// Logout is a message of single logout that the service provider has taken.
type Logout struct {
	At             time.Time `json:"at"`
	Kind           string    `json:"kind"`    // "request" or "response"
	Binding        string    `json:"binding"` // "redirect" or "post"
	IdP            string    `json:"idp"`
	NameID         string    `json:"name_id,omitempty"`
	SessionIndexes []string  `json:"session_indexes,omitempty"`
	Ended          int       `json:"ended"` // sign-ins that a request has ended
	InResponseTo   string    `json:"in_response_to,omitempty"`
	StatusCodes    []string  `json:"status_codes,omitempty"` // top level first
	RelayState     string    `json:"relay_state,omitempty"`
}

// Logouts is a copy of the messages of single logout that were taken, oldest first. Those that were refused
// are among the refusals.
func (s *Sandbox) Logouts() []Logout {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Logout{}, s.logouts...)
}

// SetSilentLogout switches answers to LogoutRequests off: the browser stays on a page of the sandbox.
func (s *Sandbox) SetSilentLogout(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silentLogout = on
}

// LogoutFault is how an answer to a LogoutRequest is spoilt.
type LogoutFault string

// What goes wrong with answers to LogoutRequests in practice. The sign-ins are ended all the same.
const (
	NoLogoutFault    LogoutFault = ""
	UnsignedLogout   LogoutFault = "unsigned"   // by HTTP-Redirect, without a signature
	UnreadableLogout LogoutFault = "unreadable" // what arrives is no SAML message
	BrokenLogout     LogoutFault = "broken"     // a page with status 500 in place of an answer
)

// SetLogoutFault spoils the answers to LogoutRequests from now on.
func (s *Sandbox) SetLogoutFault(f LogoutFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logoutFault = f
}

// spoilLogout answers a LogoutRequest wrongly. done is false where it is to be answered well.
func (s *Sandbox) spoilLogout(w http.ResponseWriter, r *http.Request, f LogoutFault, destination string,
	e *etree.Element) (done bool) {
	message := "!"
	switch f {
	case NoLogoutFault:
		return false
	case BrokenLogout:
		s.problem(w, http.StatusInternalServerError, "This service provider was told to fail at a LogoutRequest.")
		return true
	case UnreadableLogout:
	case UnsignedLogout:
		doc := etree.NewDocument()
		doc.SetRoot(e)
		data, err := doc.WriteToBytes()
		if err == nil {
			data, err = deflate(data)
		}
		if err != nil {
			s.problem(w, http.StatusInternalServerError, err.Error())
			return true
		}
		message = base64.StdEncoding.EncodeToString(data)
	}
	separator := "?"
	if strings.Contains(destination, "?") {
		separator = "&"
	}
	http.Redirect(w, r, destination+separator+"SAMLResponse="+url.QueryEscape(message), http.StatusSeeOther)
	return true
}

// TrustLogout adds the single logout addresses of an identity provider that Trust was told of. An address may be empty.
func (s *Sandbox) TrustLogout(entityID, redirectURL, postURL string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.idps[entityID]
	if p == nil {
		return fmt.Errorf("logout of %s: no such identity provider is trusted", entityID)
	}
	changed := *p
	changed.logoutRedirect, changed.logoutPost = redirectURL, postURL
	s.idps[entityID] = &changed
	return nil
}

// describeLogout adds what metadata says of single logout.
func (s *Sandbox) describeLogout(role *etree.Element) {
	if !s.o.SingleLogout {
		return
	}
	for _, binding := range []string{saml.HTTPRedirectBinding, saml.HTTPPostBinding} {
		e := role.CreateElement("md:SingleLogoutService")
		e.CreateAttr("Binding", binding)
		e.CreateAttr("Location", s.o.PublicURL+SLOPath)
	}
}

// serveEverywhere ends the sign-in here and sends a signed LogoutRequest to its identity provider, by
// the binding that the form names.
func (s *Sandbox) serveEverywhere(w http.ResponseWriter, r *http.Request) {
	if !s.o.SingleLogout {
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxResponse)
	login, ok := s.endByCookie(r)
	if !ok {
		s.page(w, http.StatusOK, "nobody", nil)
		return
	}
	http.SetCookie(w, s.cookie("", -1))
	p, err := s.identityProvider(r.Context(), login.IdP)
	if err != nil {
		s.problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	binding := cmp.Or(r.FormValue("binding"), "redirect")
	destination := p.logoutRedirect
	if binding == "post" {
		destination = p.logoutPost
	}
	if destination == "" {
		s.problem(w, http.StatusNotFound, "the identity provider offers no single logout by this binding")
		return
	}
	id := "id-" + s.random(20)
	e := s.logoutMessage("LogoutRequest", id, destination)
	e.CreateAttr("NotOnOrAfter", s.o.Now().Add(5*time.Minute).UTC().Format(time.RFC3339))
	name := e.CreateElement("saml:NameID")
	if login.NameIDFormat != "" {
		name.CreateAttr("Format", login.NameIDFormat)
	}
	name.SetText(login.NameID)
	e.CreateElement("samlp:SessionIndex").SetText(login.SessionIndex)
	s.mu.Lock()
	if len(s.logoutRequests) >= maxRequests {
		clear(s.logoutRequests)
	}
	s.logoutRequests[id] = s.o.Now()
	s.mu.Unlock()
	state := "logout " + login.ID
	s.carry(w, r, binding, destination, "SAMLRequest", e, &state)
}

// endByCookie ends the sign-in of this browser.
func (s *Sandbox) endByCookie(r *http.Request) (Login, bool) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return Login{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.sessions[c.Value]
	delete(s.sessions, c.Value)
	i := slices.IndexFunc(s.logins, func(l Login) bool { return l.ID == id && id != "" })
	if i < 0 {
		return Login{}, false
	}
	s.logins[i].EndedAt = s.o.Now()
	return s.logins[i], true
}

// logoutMessage starts a message (saml-core 3.2.1, 3.2.2).
func (s *Sandbox) logoutMessage(name, id, destination string) *etree.Element {
	e := etree.NewElement("samlp:" + name)
	e.CreateAttr("xmlns:samlp", protocolNS)
	e.CreateAttr("xmlns:saml", assertionNS)
	e.CreateAttr("ID", id)
	e.CreateAttr("Version", "2.0")
	e.CreateAttr("IssueInstant", s.o.Now().UTC().Format(time.RFC3339))
	e.CreateAttr("Destination", destination)
	e.CreateElement("saml:Issuer").SetText(s.o.EntityID)
	return e
}

// carry signs a message and sends the browser on with it.
func (s *Sandbox) carry(w http.ResponseWriter, r *http.Request, binding, destination, parameter string,
	e *etree.Element, relayState *string) {
	key, err := s.signing()
	if err == nil && binding == "post" {
		err = key.enveloped(e)
	}
	var data []byte
	if err == nil {
		doc := etree.NewDocument()
		doc.SetRoot(e)
		data, err = doc.WriteToBytes()
	}
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	if binding == "post" {
		form := map[string]any{"Action": destination, "Parameter": parameter,
			"Request": base64.StdEncoding.EncodeToString(data)}
		if relayState != nil {
			form["RelayState"] = *relayState
		}
		s.page(w, http.StatusOK, "post", form)
		return
	}
	text, err := key.query(parameter, data, relayState)
	if err != nil {
		s.problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	separator := "?"
	if strings.Contains(destination, "?") {
		separator = "&"
	}
	w.Header().Set("Cache-Control", "no-cache, no-store") // saml-bindings 3.4.5.1
	http.Redirect(w, r, destination+separator+text, http.StatusSeeOther)
}

// logoutIn is a message as it came in, verified.
type logoutIn struct {
	root       *etree.Element
	binding    string
	idp        *identityProvider
	relayState *string
}

// serveSLO takes LogoutRequests and LogoutResponses by both bindings.
func (s *Sandbox) serveSLO(w http.ResponseWriter, r *http.Request) {
	if !s.o.SingleLogout {
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxResponse)
	m, refusal := s.readLogout(r)
	if refusal != nil {
		s.deny(w, refusal)
		return
	}
	if m.root.Tag == "LogoutResponse" {
		s.takeLogoutResponse(w, m)
		return
	}
	s.takeLogoutRequest(w, r, m)
}

// readLogout reads and verifies a message.
func (s *Sandbox) readLogout(r *http.Request) (m logoutIn, _ *Refusal) {
	values := r.URL.Query()
	m.binding = "redirect"
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		if err := r.ParseForm(); err != nil {
			return m, refuse("malformed", "the form can't be read: %v", err)
		}
		values, m.binding = r.PostForm, "post"
	default:
		return m, refuse("malformed", "the method is %s", r.Method)
	}
	parameter := "SAMLRequest"
	if values.Has("SAMLResponse") {
		parameter = "SAMLResponse"
	}
	if len(values["SAMLRequest"])+len(values["SAMLResponse"]) != 1 {
		return m, refuse("malformed", "want one SAMLRequest or SAMLResponse")
	}
	if values.Has("RelayState") {
		state := values.Get("RelayState")
		m.relayState = &state
	}
	data, err := base64.StdEncoding.DecodeString(values.Get(parameter))
	if err == nil && m.binding == "redirect" {
		data, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxResponse))
	}
	if err != nil {
		return m, refuse("malformed", "the %s can't be unpacked: %v", parameter, err)
	}
	doc := etree.NewDocument()
	if err := errors.Join(xrv.Validate(bytes.NewReader(data)), doc.ReadFromBytes(data)); err != nil || doc.Root() == nil {
		return m, refuse("malformed", "the %s is no well-formed XML: %v", parameter, err)
	}
	m.root = doc.Root()
	if want := "Logout" + strings.TrimPrefix(parameter, "SAML"); m.root.Tag != want ||
		m.root.NamespaceURI() != protocolNS {
		return m, refuse("malformed", "the %s is no samlp:%s", parameter, want)
	}
	if why := s.wrapped(m.root); why != "" {
		return m, refuse("malformed", "%s", why)
	}
	return m, s.verifyLogout(r.Context(), &m, parameter, r.URL.RawQuery)
}

// verifyLogout checks sender, signature, Destination and time (saml-profiles 4.4.3, 4.4.4).
func (s *Sandbox) verifyLogout(ctx context.Context, m *logoutIn, parameter, rawQuery string) *Refusal {
	issuer := m.root.FindElement("./Issuer")
	if issuer == nil {
		return refuse("issuer", "the message has no Issuer")
	}
	p, err := s.identityProvider(ctx, issuer.Text())
	if err != nil {
		return refuse("issuer", "%v", err)
	}
	m.idp = p
	var cert *x509.Certificate
	if m.binding == "post" {
		cert, err = s.signature(m.root, p)
	} else {
		cert, err = querySignature(rawQuery, parameter, p)
	}
	switch {
	case err != nil:
		return refuse("signature", "the signature of the message: %v", err)
	case cert == nil:
		return refuse("unsigned", "the message is not signed")
	}
	if got := m.root.SelectAttrValue("Destination", ""); got != s.o.PublicURL+SLOPath {
		return refuse("destination", "the Destination is %q, want %q", got, s.o.PublicURL+SLOPath)
	}
	now := s.o.Now()
	at, err := time.Parse(time.RFC3339Nano, m.root.SelectAttrValue("IssueInstant", ""))
	if err != nil || at.After(now.Add(s.skew())) || at.Before(now.Add(-5*time.Minute)) {
		return refuse("time", "the message is of %q", m.root.SelectAttrValue("IssueInstant", ""))
	}
	if end := m.root.SelectAttrValue("NotOnOrAfter", ""); end != "" {
		if until, err := time.Parse(time.RFC3339Nano, end); err != nil || !now.Before(until.Add(s.skew())) {
			return refuse("time", "the message's NotOnOrAfter is %q", end)
		}
	}
	return nil
}

// querySignature verifies a query over its raw octets (saml-bindings 3.4.4.1); nil, nil says that it is not signed.
func querySignature(rawQuery, parameter string, p *identityProvider) (*x509.Certificate, error) {
	at := map[string]string{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, twice := at[name]; twice {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		at[name] = value
	}
	if at["Signature"] == "" {
		return nil, nil
	}
	text := parameter + "=" + at[parameter]
	if state, sent := at["RelayState"]; sent {
		text += "&RelayState=" + state
	}
	text += "&SigAlg=" + at["SigAlg"]
	algorithm, err := url.QueryUnescape(at["SigAlg"])
	if err != nil || !strong[algorithm] {
		return nil, fmt.Errorf("the algorithm %q is not SHA-256 or better", algorithm)
	}
	encoded, err := url.QueryUnescape(at["Signature"])
	if err != nil {
		return nil, err
	}
	value, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	h := map[string]crypto.Hash{
		dsig.RSASHA256SignatureMethod: crypto.SHA256, dsig.RSASHA384SignatureMethod: crypto.SHA384,
		dsig.RSASHA512SignatureMethod:   crypto.SHA512,
		dsig.ECDSASHA256SignatureMethod: crypto.SHA256, dsig.ECDSASHA384SignatureMethod: crypto.SHA384,
		dsig.ECDSASHA512SignatureMethod: crypto.SHA512,
	}[algorithm]
	if h == 0 {
		return nil, fmt.Errorf("the algorithm %q is no signature method", algorithm)
	}
	sum := h.New()
	sum.Write([]byte(text))
	for _, cert := range p.certificates {
		switch public := cert.PublicKey.(type) {
		case *rsa.PublicKey:
			if rsa.VerifyPKCS1v15(public, h, sum.Sum(nil), value) == nil {
				return cert, nil
			}
		case *ecdsa.PublicKey: // r and s, as in XML
			half := len(value) / 2
			if ecdsa.Verify(public, sum.Sum(nil), new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:])) {
				return cert, nil
			}
		}
	}
	return nil, errors.New("no certificate of the identity provider verifies it")
}

// takeLogoutRequest ends the sign-ins that the identity provider names, and answers.
func (s *Sandbox) takeLogoutRequest(w http.ResponseWriter, r *http.Request, m logoutIn) {
	id := m.root.SelectAttrValue("ID", "")
	record := Logout{At: s.o.Now(), Kind: "request", Binding: m.binding, IdP: m.idp.entityID}
	if name := m.root.FindElement("./NameID"); name != nil {
		record.NameID = name.Text()
	}
	for _, e := range m.root.FindElements("./SessionIndex") {
		record.SessionIndexes = append(record.SessionIndexes, e.Text())
	}
	s.mu.Lock()
	if _, used := s.assertions[id]; used { // message ids share one record
		s.mu.Unlock()
		s.deny(w, refuse("replayed", "the LogoutRequest %q has been used before", id))
		return
	}
	s.assertions[id] = record.At
	for i := range s.logins {
		l := &s.logins[i]
		if l.IdP == m.idp.entityID && l.NameID == record.NameID && l.EndedAt.IsZero() &&
			(len(record.SessionIndexes) == 0 || slices.Contains(record.SessionIndexes, l.SessionIndex)) {
			l.EndedAt = record.At
			record.Ended++
			for cookie, login := range s.sessions {
				if login == l.ID {
					delete(s.sessions, cookie)
				}
			}
		}
	}
	s.keepLogout(record)
	silent, fault := s.silentLogout, s.logoutFault
	s.mu.Unlock()
	if silent {
		s.problem(w, http.StatusOK, "This service provider was told not to answer a LogoutRequest.")
		return
	}
	destination := m.idp.logoutRedirect
	if m.binding == "post" {
		destination = m.idp.logoutPost
	}
	if destination == "" {
		s.problem(w, http.StatusOK, "You are signed out here. The identity provider has no address for the answer.")
		return
	}
	e := s.logoutMessage("LogoutResponse", "id-"+s.random(20), destination)
	e.CreateAttr("InResponseTo", id)
	e.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", saml.StatusSuccess)
	if s.spoilLogout(w, r, fault, destination, e) {
		return
	}
	s.carry(w, r, m.binding, destination, "SAMLResponse", e, m.relayState)
}

// takeLogoutResponse shows what the identity provider has answered.
func (s *Sandbox) takeLogoutResponse(w http.ResponseWriter, m logoutIn) {
	record := Logout{
		At: s.o.Now(), Kind: "response", Binding: m.binding, IdP: m.idp.entityID,
		InResponseTo: m.root.SelectAttrValue("InResponseTo", ""),
	}
	if m.relayState != nil {
		record.RelayState = *m.relayState
	}
	for _, code := range m.root.FindElements("./Status//StatusCode") {
		record.StatusCodes = append(record.StatusCodes, code.SelectAttrValue("Value", ""))
	}
	s.mu.Lock()
	_, sent := s.logoutRequests[record.InResponseTo]
	delete(s.logoutRequests, record.InResponseTo)
	if sent {
		s.keepLogout(record)
	}
	s.mu.Unlock()
	if !sent {
		s.deny(w, refuse("in_response_to", "InResponseTo %q names no LogoutRequest that was sent from here",
			record.InResponseTo))
		return
	}
	s.page(w, http.StatusOK, "loggedout", record)
}

// keepLogout needs the lock.
func (s *Sandbox) keepLogout(record Logout) {
	if len(s.logouts) >= maxLogins {
		s.logouts = slices.Delete(s.logouts, 0, maxLogins/10)
	}
	s.logouts = append(s.logouts, record)
}
