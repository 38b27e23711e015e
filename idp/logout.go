package idp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// Single logout (saml-profiles 4.4). A service provider asks by a signed
// LogoutRequest, or a person on our own page. Our sessions end first, in the
// transaction that stores the logout with all that took part in them. Then the
// person's browser goes from one participant to the next, by top-level
// navigations: in frames, browsers withhold the participants' cookies. Each step is
// in the store, so that a reload, the back button, a restart or another replica
// goes on where it stands, and a participant that never answers holds up nobody.

// logoutData is this package's part of a stored logout (store.Logout.Data).
type logoutData struct {
	Binding    string  `json:"binding,omitempty"` // by which the request came
	RelayState *string `json:"relay_state,omitempty"`
	Reason     string  `json:"reason,omitempty"` // why nothing was ended; its status is the answer
	// Last are the service providers that gave no answer the last time: each of them may keep the browser for good, so the
	// others are asked first.
	Last []string `json:"last,omitempty"`
	// Source is the one with an OpenID provider that had signed the person in who signs out here; "": none had.
	Source string `json:"source,omitempty"`
}

// SLO takes a message of single logout: by GET in the HTTP-Redirect binding, by
// POST in the HTTP-POST binding. It reads the body itself, bounded. Nothing of a
// message is acted upon before its signature is verified (row SLO-01). A
// LogoutRequest ends our sessions that it names at once, also where a cross-site
// POST comes without cookies; LogoutGoOn then leads to the page of the logout. An answer that can't be used is none: it
// leads on to the logout that the browser is on (row REAL-08).
func (p *IdP) SLO(ctx context.Context, r *http.Request, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(asLogout(ctx), v, "message of single logout")
	defer func() { end(&a, &err) }()
	a, err = p.slo(ctx, r, v)
	if refusal, ok := a.Page.(Refusal); ok {
		refusal.SignOut = true
		a.Page = refusal
	}
	return a, err
}

func (p *IdP) slo(ctx context.Context, r *http.Request, v Visitor) (Answer, error) {
	if !p.o.SingleLogout {
		p.logRefusal(ctx, v, "", Why{Reason: ReasonNoSingleLogout})
		return Answer{Page: Refusal{Reason: ReasonNoSingleLogout, Status: http.StatusNotFound}}, nil
	}
	text, bad := saml.ReadParameters(r)
	if bad != nil {
		return Answer{Page: p.refuseRequest(ctx, v, "", bad)}, nil
	}
	free, bad, err := p.parsingSlot(ctx, v)
	if err != nil {
		return Answer{}, err
	}
	if bad != nil {
		return Answer{Page: p.refuseRequest(ctx, v, "", bad)}, nil
	}
	defer free()
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	received, bad := saml.ReadLogout(text, r.Method, p.o.MaxRelayState)
	if bad != nil {
		return p.passOver(ctx, received, p.refuseMessage(ctx, v, c, received.Issuer(), bad), r.Method, v)
	}
	sp := c.providers[received.Issuer()]
	if page := p.usable(ctx, sp, received.Issuer(), http.StatusBadRequest, v, c); page != nil {
		return p.passOver(ctx, received, page, r.Method, v)
	}
	verified, bad := received.Verify(p.trust(ctx, sp, v))
	if bad != nil {
		return p.passOver(ctx, received, p.refuseMessage(ctx, v, c, sp.EntityID, bad), r.Method, v)
	}
	if !verified.IsResponse() {
		return p.takeLogoutRequest(ctx, c, sp, verified, v)
	}
	page, err := p.takeLogoutResponse(ctx, c, sp, verified, v)
	if err != nil {
		return Answer{}, err
	}
	return p.passOver(ctx, received, page, r.Method, v)
}

// passOver leads a person on to the running logout whose answer was refused: it counts as no answer, for which the page
// of the logout sees. Without one, and for a request, the refusal stays. Nothing that the message says is believed:
// InResponseTo only finds a page, which opens in the browser that it belongs to and in no other.
func (p *IdP) passOver(ctx context.Context, received *saml.ReceivedLogout, page Page, method string,
	v Visitor) (Answer, error) {
	if _, refused := page.(Refusal); !refused || !received.IsResponse() {
		return Answer{Page: page}, nil
	}
	if id, _, ok := splitRequestID(received.InResponseTo()); ok {
		switch l, err := p.o.Logouts.Get(ctx, id); {
		case err == nil && l.FinishedAt.IsZero():
			return Answer{Page: LogoutGoOn{id}}, nil
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return Answer{}, fmt.Errorf("look for the logout of an answer: %w", err)
		}
	}
	if method == http.MethodPost && v.Browser == "" {
		return Answer{Page: LogoutGoOn{}}, nil // a cross-site POST carries no cookies: the next request says whose it is
	}
	running, err := p.RunningLogout(ctx, v)
	if err != nil {
		return Answer{}, err
	}
	if running != "" {
		page = LogoutGoOn{running}
	}
	return Answer{Page: page}, nil
}

// takeLogoutRequest ends the sessions that a verified LogoutRequest names.
func (p *IdP) takeLogoutRequest(ctx context.Context, c *config, sp *serviceProvider, m *saml.VerifiedLogout,
	v Visitor) (Answer, error) {
	r, bad := m.Request()
	if bad != nil {
		return Answer{Page: p.refuseMessage(ctx, v, c, sp.EntityID, bad)}, nil
	}
	now := p.o.Now()
	bad = r.Check(p.logoutEndpoint, now)
	switch {
	case bad != nil:
	case r.Issuer != sp.EntityID:
		bad = saml.BadRequest("the signed Issuer is another than the message's", "send one message from one sender")
	case !r.NotOnOrAfter.IsZero() && !now.Before(r.NotOnOrAfter.Add(max(sp.Skew, 0))):
		bad = newFault(ReasonRequestTime, http.StatusBadRequest, "the request's NotOnOrAfter has passed",
			"compare the clocks; the back button does it too")
	}
	if bad != nil {
		return Answer{Page: p.refuseMessage(ctx, v, c, sp.EntityID, bad)}, nil
	}

	data := logoutData{Binding: m.Binding(), RelayState: m.RelayState()}
	var sessions []store.NamedSession
	switch above, known := versionAbove(r.Version); {
	case r.Version == "2.0" && r.Unsupported:
		data.Reason = ReasonEncryptedName
	case r.Version == "2.0":
		var err error
		if sessions, err = p.named(ctx, sp, r); err != nil {
			return Answer{}, err
		}
		if len(sessions) == 0 {
			data.Reason = ReasonUnknownSession
		}
	case !known:
		return Answer{Page: p.refuseMessage(ctx, v, c, sp.EntityID, saml.BadRequest("Version is missing or no version",
			"send Version=\"2.0\""))}, nil
	case above:
		data.Reason = ReasonVersionHigh
	default:
		data.Reason = ReasonVersionLow
	}

	l := store.Logout{EntityID: sp.EntityID, RequestID: r.ID, Browser: hash(v.Browser)}
	var ends [][]byte
	var events []store.Event
	for _, s := range sessions {
		ends = append(ends, s.TokenHash)
		events = append(events, p.logoutEvent(v, s.Person, sp.EntityID))
	}
	if data.Reason != "" {
		p.logRefusal(ctx, v, sp.EntityID, Why{Reason: data.Reason})
		event := p.logoutEvent(v, "", sp.EntityID)
		event.Outcome, event.Reason = "refused", data.Reason
		events = append(events, event)
	}
	return p.startLogout(ctx, l, data, ends, events, v)
}

// named finds the sessions that a request means, each once.
func (p *IdP) named(ctx context.Context, sp *serviceProvider, r *saml.LogoutRequest) ([]store.NamedSession, error) {
	all, err := p.o.Sessions.Named(ctx, sp.EntityID, r.NameID)
	if err != nil {
		return nil, fmt.Errorf("find the sessions that %s names: %w", sp.EntityID, err)
	}
	var found []store.NamedSession
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[string(s.TokenHash)] && r.Names(sp.EntityID, p.o.EntityID, s.NameIDFormat, s.SessionIndex) {
			seen[string(s.TokenHash)] = true
			found = append(found, s)
		}
	}
	return found, nil
}

// LogoutEverywhere ends the visitor's session and leads on to the service
// providers that took part in it. The page behind the last of them offers to sign out at the OpenID provider too.
func (p *IdP) LogoutEverywhere(ctx context.Context, v Visitor) (Answer, error) {
	s, known, err := p.liveSession(ctx, v)
	if err != nil {
		return Answer{}, err
	}
	if !known || !p.o.SingleLogout {
		return p.Logout(ctx, v)
	}
	l := store.Logout{Browser: hash(v.Browser)}
	var data logoutData
	if source, ok := p.source(launchedBy(s)); ok && source.OpenID != nil {
		data.Source = source.Name
	}
	answer, err := p.startLogout(ctx, l, data, [][]byte{s.TokenHash},
		[]store.Event{p.logoutEvent(v, s.Person, "")}, v)
	answer.EndSession = true
	return answer, err
}

// startLogout ends the sessions and stores the logout.
func (p *IdP) startLogout(ctx context.Context, l store.Logout, data logoutData, ends [][]byte, events []store.Event,
	v Visitor) (Answer, error) {
	var err error
	if l.ID, err = p.token(); err != nil {
		return Answer{}, err
	}
	if data.Last, err = p.silent(ctx); err != nil {
		return Answer{}, err
	}
	if l.Data, err = encode(data); err != nil {
		return Answer{}, err
	}
	l.CreatedAt = p.o.Now()
	l.ExpiresAt = l.CreatedAt.Add(p.o.SignInLife)
	l, err = p.o.Logouts.Start(ctx, l, ends, events...)
	switch {
	case errors.Is(err, store.ErrConflict):
		p.logRefusal(ctx, v, l.EntityID, Why{Reason: ReasonReplayed, Cause: "this LogoutRequest was used before"})
		return Answer{Page: Refusal{Provider: p.nameOf(ctx, l.EntityID), Reason: ReasonReplayed,
			Status: http.StatusBadRequest}}, nil
	case err != nil:
		return Answer{}, fmt.Errorf("start logout: %w", err)
	}
	p.o.Logger.LogAttrs(ctx, slog.LevelInfo, "single logout", slog.String("ref", v.Ref), slog.String("sp", l.EntityID),
		slog.Int("sessions", len(ends)), slog.Int("participants", len(l.Participants)))
	answer := Answer{Page: LogoutGoOn{l.ID}}
	for _, h := range ends {
		answer.EndSession = answer.EndSession || bytes.Equal(h, hash(v.Session))
	}
	return answer, nil
}

// silent are the service providers that gave no answer when they were asked last, as far back as the latest answers go.
func (p *IdP) silent(ctx context.Context) (entityIDs []string, err error) {
	events, err := p.o.Audit.List(ctx, store.Filter{Action: partAction, Limit: 500})
	if err != nil {
		return nil, fmt.Errorf("look who answered the last logouts: %w", err)
	}
	seen := map[string]bool{}
	for _, e := range events { // the newest first
		if !seen[e.SP] && e.Reason == partNoAnswer {
			entityIDs = append(entityIDs, e.SP)
		}
		seen[e.SP] = true
	}
	return entityIDs, nil
}

// nameOf is what people call a service provider; "" for one that is not registered.
func (p *IdP) nameOf(ctx context.Context, entityID string) string {
	if c, err := p.loadConfig(ctx); err == nil && c.providers[entityID] != nil {
		return c.providers[entityID].name()
	}
	return ""
}

// logoutEvent says that a person was signed out here; sp is who asked for it, ""
// for the person.
func (p *IdP) logoutEvent(v Visitor, person store.PersonID, sp string) store.Event {
	return store.Event{
		At: p.o.Now(), Ref: v.Ref, Actor: string(person), Action: "logout", Subject: string(person),
		SP: sp, Address: v.Address, Outcome: "ok",
	}
}

// takeLogoutResponse notes what a participant has answered. It may come twice, or
// late: it then changes nothing, or for the better.
func (p *IdP) takeLogoutResponse(ctx context.Context, c *config, sp *serviceProvider, m *saml.VerifiedLogout,
	v Visitor) (Page, error) {
	r, bad := m.Response()
	if bad != nil {
		return p.refuseMessage(ctx, v, c, sp.EntityID, bad), nil
	}
	bad = r.Check(p.logoutEndpoint, p.o.Now())
	switch {
	case bad != nil:
	case r.Issuer != sp.EntityID:
		bad = saml.BadRequest("the signed Issuer is another than the message's", "send one message from one sender")
	case r.Version != "2.0":
		bad = saml.BadRequest("Version is not 2.0", "send Version=\"2.0\"")
	}
	if bad != nil {
		return p.refuseMessage(ctx, v, c, sp.EntityID, bad), nil
	}
	id, n, ok := splitRequestID(r.InResponseTo)
	if !ok {
		return p.refuseMessage(ctx, v, c, sp.EntityID, unknownRequest()), nil
	}
	var page Page = LogoutGoOn{id}
	err := p.changeLogout(ctx, id, func(l *store.Logout) ([]store.Event, error) {
		page = LogoutGoOn{id}
		// The answer must be to the request that was sent, and from whom it was sent to.
		if n >= len(l.Participants) || l.Participants[n].EntityID != sp.EntityID ||
			l.Participants[n].Request != r.InResponseTo {
			page = p.refuseMessage(ctx, v, c, sp.EntityID, unknownRequest())
			return nil, nil
		}
		part := &l.Participants[n]
		if !l.FinishedAt.IsZero() || part.State != partAsked && part.State != partNoAnswer {
			return nil, nil
		}
		part.State = partDone
		if !r.Success {
			part.State = partFailed
		}
		return []store.Event{p.partEvent(v, *part)}, nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return p.refuseMessage(ctx, v, c, sp.EntityID, unknownRequest()), nil
	}
	return page, err
}

func unknownRequest() *saml.Fault {
	return newFault(ReasonUnknownLogout, http.StatusNotFound,
		"InResponseTo names no LogoutRequest that is on its way to this service provider",
		"nothing, if the logout was finished or given up meanwhile")
}

// partAction is the event of what came of a participant.
const partAction = "logout-participant"

// partEvent says what came of a participant.
func (p *IdP) partEvent(v Visitor, part store.Participant) store.Event {
	e := store.Event{At: p.o.Now(), Ref: v.Ref, Action: partAction, SP: part.EntityID, Address: v.Address,
		Outcome: "failed", Reason: part.State}
	if part.State == partDone {
		e.Outcome, e.Reason = "ok", ""
	}
	e.Detail, _ = json.Marshal(struct {
		Request string `json:"request,omitempty"`
	}{part.Request}) // a string always encodes
	return e
}
