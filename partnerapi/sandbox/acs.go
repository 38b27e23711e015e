package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"
)

const (
	maxResponse    = 256 << 10
	maxRelayState  = 2 << 10
	maxLogins      = 20_000
	sessionCookie  = "sandbox_session"
	assertionsKept = 24 * time.Hour
)

// Login is a sign-in that the service provider has accepted.
type Login struct {
	ID           string              `json:"id"` // unguessable; the landing page is asked for it
	At           time.Time           `json:"at"`
	User         User                `json:"user"`
	AccountName  string              `json:"organization_name"`
	IdP          string              `json:"idp"`
	NameID       string              `json:"name_id"`
	NameIDFormat string              `json:"name_id_format"`
	AuthnContext string              `json:"authn_context"`
	AuthnInstant time.Time           `json:"authn_instant"`
	SessionIndex string              `json:"session_index"`
	ResponseID   string              `json:"response_id"`
	AssertionID  string              `json:"assertion_id"`
	InResponseTo string              `json:"in_response_to"` // empty: IdP-initiated
	RelayState   string              `json:"relay_state"`
	EndedAt      time.Time           `json:"ended_at,omitzero"` // by single logout
	Attributes   map[string][]string `json:"attributes"`
	// the algorithm by which the assertion was; empty: it came in clear
	Encrypted string `json:"encrypted,omitempty"`
}

// Refusal is a Response that was not accepted. Reason is a word: malformed, issuer, unsigned, signature, encryption,
// in_response_to, destination, recipient, audience, time, name_id, confirmation, authn_statement, replayed,
// unknown_user, account_ended, owners_only, library (the SAML library's own check), or status for an answer of the
// identity provider that is an error itself.
type Refusal struct {
	At            time.Time `json:"at"`
	Reason        string    `json:"reason"`
	Detail        string    `json:"detail"`
	StatusCodes   []string  `json:"status_codes,omitempty"` // top level first
	StatusMessage string    `json:"status_message,omitempty"`
	InResponseTo  string    `json:"in_response_to,omitempty"`
	RelayState    string    `json:"relay_state,omitempty"`
}

func refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Logins is a copy of the accepted sign-ins, oldest first.
func (s *Sandbox) Logins() []Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Login{}, s.logins...)
}

// Refusals is a copy of the refused ones, oldest first.
func (s *Sandbox) Refusals() []Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Refusal{}, s.refusals...)
}

// serveACS is the assertion consumer service: HTTP-POST binding (saml-bindings 3.5), solicited or not.
func (s *Sandbox) serveACS(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.problem(w, http.StatusMethodNotAllowed, "The assertion consumer service takes a SAMLResponse by POST.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxResponse)
	if err := r.ParseForm(); err != nil {
		s.deny(w, refuse("malformed", "the form can't be read: %v", err))
		return
	}
	// A RelayState may come as a field or, as Constant Contact's documents write it, in the query.
	relayState := r.PostForm.Get("RelayState")
	if !r.PostForm.Has("RelayState") {
		relayState = r.URL.Query().Get("RelayState")
	}
	responses := r.PostForm["SAMLResponse"]
	login, refusal := Login{}, (*Refusal)(nil)
	switch {
	case len(responses) != 1:
		refusal = refuse("malformed", "%d SAMLResponse fields, want one", len(responses))
	case len(relayState) > maxRelayState || len(r.PostForm["RelayState"]) > 1:
		refusal = refuse("malformed", "the RelayState is there twice or too long")
	default:
		login, refusal = s.signIn(r, responses[0], relayState)
	}
	if refusal != nil {
		refusal.RelayState = relayState
		s.deny(w, refusal)
		return
	}

	// A new sign-in always gets a new session: that is how somebody changes from one client account
	// to another, and a session id from before is worth nothing after.
	token := s.random(32)
	s.mu.Lock()
	if len(s.logins) >= maxLogins {
		s.logins = slices.Delete(s.logins, 0, maxLogins/10)
	}
	s.logins = append(s.logins, login)
	if c, err := r.Cookie(sessionCookie); err == nil {
		delete(s.sessions, c.Value)
	}
	if len(s.sessions) >= maxLogins {
		clear(s.sessions)
	}
	s.sessions[token] = login.ID
	s.mu.Unlock()
	s.o.Logger.Info("signed in", "login_name", login.User.LoginName, "account", login.User.Account)

	http.SetCookie(w, s.cookie(token, 0))
	target := *s.landing
	q := target.Query()
	q.Set("login", login.ID)
	target.RawQuery = q.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

// cookie is the service provider's session cookie; a negative maxAge deletes it.
func (s *Sandbox) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(s.o.PublicURL, "https:"),
	}
}

// signIn verifies a Response and finds the user that it is about.
func (s *Sandbox) signIn(r *http.Request, encoded, relayState string) (Login, *Refusal) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Login{}, refuse("malformed", "the SAMLResponse is no base64: %v", err)
	}
	v, refusal := s.verify(r.Context(), data)
	if refusal != nil {
		refusal.InResponseTo = v.response.InResponseTo
		return Login{}, refusal
	}
	a := v.assertion
	now := s.o.Now()

	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.assertions {
		if now.Sub(at) > assertionsKept {
			delete(s.assertions, id)
		}
	}
	// An assertion is accepted once (SP-06), whether its user is known or not.
	if _, used := s.assertions[a.ID]; used {
		return Login{}, refuse("replayed", "the assertion %q has been used before", a.ID)
	}
	s.assertions[a.ID] = now

	// The pair of external_provider and external_id ties the person to the user, byte for byte.
	s.ripen()
	u, known := s.people.byExternalID(s.o.ExternalProvider, a.Subject.NameID.Value)
	if !known && !s.o.AnyUser {
		return Login{}, refuse("unknown_user", "no user of %s has the external_id %q", s.o.ExternalProvider,
			a.Subject.NameID.Value)
	}
	if !known {
		u = User{FirstName: a.Subject.NameID.Value, LoginName: a.Subject.NameID.Value, ExternalID: a.Subject.NameID.Value,
			RoleName: RoleOwner}
	}
	account := s.people.account(u.Account)
	if account != nil && account.ended() {
		return Login{}, refuse("account_ended", "the client account %s is %s", u.Account, account.BillingStatus)
	}
	if s.o.OwnersOnly && u.RoleName != RoleOwner {
		return Login{}, refuse("owners_only", "SSO for all users is not enabled: only account owners may sign in")
	}
	login := Login{
		ID: s.random(16), At: now, User: u, IdP: v.idp.entityID, RelayState: relayState,
		NameID: a.Subject.NameID.Value, NameIDFormat: a.Subject.NameID.Format,
		AuthnContext: a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value,
		AuthnInstant: a.AuthnStatements[0].AuthnInstant, SessionIndex: a.AuthnStatements[0].SessionIndex,
		ResponseID: v.response.ID, AssertionID: a.ID, InResponseTo: v.response.InResponseTo, Attributes: attributes(a),
		Encrypted: v.encrypted,
	}
	if account != nil {
		login.AccountName = account.OrganizationName
	}
	return login, nil
}

// attributes are the assertion's, by name.
func attributes(a *saml.Assertion) map[string][]string {
	list := map[string][]string{}
	for _, statement := range a.AttributeStatements {
		for _, attribute := range statement.Attributes {
			for _, value := range attribute.Values {
				list[attribute.Name] = append(list[attribute.Name], value.Value)
			}
		}
	}
	return list
}

// deny records a refusal and shows it.
func (s *Sandbox) deny(w http.ResponseWriter, refusal *Refusal) {
	refusal.At = s.o.Now()
	s.mu.Lock()
	if len(s.refusals) >= maxLogins {
		s.refusals = slices.Delete(s.refusals, 0, maxLogins/10)
	}
	s.refusals = append(s.refusals, *refusal)
	s.mu.Unlock()
	s.o.Logger.Info("sign-in refused", "reason", refusal.Reason, "detail", refusal.Detail)
	status := http.StatusForbidden
	if refusal.Reason == "status" {
		status = http.StatusOK // the identity provider's word, well received
	}
	s.page(w, status, "refusal", refusal)
}

// serveLanding shows who is signed in.
func (s *Sandbox) serveLanding(w http.ResponseWriter, r *http.Request) {
	// The id of a sign-in is good for a landing page on another origin, which has no cookie of ours. It
	// can't be guessed, and what it shows is pretended.
	id := r.URL.Query().Get("login")
	s.mu.Lock()
	if c, err := r.Cookie(sessionCookie); err == nil && s.sessions[c.Value] != "" {
		id = s.sessions[c.Value]
	}
	i := slices.IndexFunc(s.logins, func(l Login) bool { return l.ID == id && l.EndedAt.IsZero() })
	var login Login
	if i >= 0 {
		login = s.logins[i]
	}
	s.mu.Unlock()
	if i < 0 {
		s.page(w, http.StatusOK, "nobody", nil)
		return
	}
	s.page(w, http.StatusOK, "landing", struct {
		Login
		SingleLogout bool
	}{login, s.o.SingleLogout})
}

// serveLogout ends the service provider's session.
func (s *Sandbox) serveLogout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		delete(s.sessions, c.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, s.cookie("", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
