package idp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/store"
)

// openID is the own sign-in of a source with an OpenID provider (OpenID Connect Core 1.0, authorization code flow). Its
// state is the request of ours that has to come back.
type openID struct {
	client *claims.Client
	source *claims.Source
	random io.Reader
}

// keptOpenID is what has to be known of a request when its answer comes. It is sealed, in the cookie of the browser
// that asks: whoever has a code from elsewhere has no verifier for it, and whose ID token it is shows the nonce.
type keptOpenID struct {
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Passive  bool   `json:"p,omitempty"`
}

// Begin asks the provider.
func (o openID) Begin(ctx context.Context, r UpstreamRequest) (address, keep string, err error) {
	kept := keptOpenID{Passive: r.Passive}
	if kept.Nonce, err = newToken(o.random); err != nil {
		return "", "", err
	}
	if kept.Verifier, err = newToken(o.random); err != nil {
		return "", "", err
	}
	address, bad := o.client.Address(ctx, o.source, claims.Ask{State: r.Request, Nonce: kept.Nonce,
		Verifier: kept.Verifier, Force: r.Force, Passive: r.Passive, Hint: r.Hint})
	if bad != nil {
		return "", "", bad
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return "", "", fmt.Errorf("encode what is kept of a request: %w", err)
	}
	return address, string(text), nil
}

// openIDUpstreams gives the sources with an OpenID provider their own sign-in.
func openIDUpstreams(o *Options) error {
	o.Sources = slices.Clone(o.Sources)
	for i, s := range o.Sources {
		if s.OpenID == nil {
			continue
		}
		if o.OpenID == nil {
			return errors.New("OpenID: missing, and a source has an OpenID provider")
		}
		o.Sources[i].Upstream = openID{client: o.OpenID, source: s.Source, random: o.Random}
	}
	return nil
}

// Quiet: a provider that knows prompt=none signs in without a page, or says that it can't.
func (o openID) Quiet() bool { return o.source.OpenID.Passive }

// ofDomain is the source that signs people of a login name's mail domain in (home realm discovery).
func (p *IdP) ofDomain(ctx context.Context, f *flow, login string) (Source, bool) {
	i := strings.LastIndexByte(login, '@')
	if i < 0 {
		return Source{}, false
	}
	domain := strings.ToLower(strings.TrimSpace(login[i+1:]))
	sources := p.sources(ctx, f)
	if at := slices.IndexFunc(sources, func(s Source) bool { return slices.Contains(s.Domains, domain) }); at >= 0 {
		return sources[at], true
	}
	return Source{}, false
}

// OpenIDReply is what a provider has sent a browser back with, to the callback of a source.
type OpenIDReply struct {
	Source string // whose callback it is
	State  string
	claims.Reply
}

// AnswerOpenID goes on with the sign-in that a provider has signed somebody in for. The code goes out only once it is
// known that this browser has asked, at this source, in the last ten minutes: so nobody's code signs anybody else in,
// and what strangers make up costs the provider nothing.
func (p *IdP) AnswerOpenID(ctx context.Context, r OpenIDReply, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "answer of an OpenID provider")
	defer func() { end(&a, &err) }()
	source, known := p.source(r.Source)
	if !known || source.OpenID == nil {
		return Answer{Page: Refusal{Reason: ReasonNoSources, Status: http.StatusNotFound}}, nil
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	// Sealed for one source: at another one's callback it opens nothing (mix-up).
	answers, late := p.openRequest(source.Name, r.State)
	if answers == nil {
		return Answer{Page: p.refuseState(ctx, v, source, late)}, nil
	}
	sp, page := p.askedBy(ctx, c, answers, v)
	if page != nil {
		return Answer{Page: page}, nil
	}
	f := &flow{config: c, sp: sp, v: v, data: pending{Launch: &pendingLaunch{Source: source.Name, Answers: answers}}}
	f.in.EntityID, f.in.Address, f.in.CreatedAt = sp.EntityID, addressBlock(v.Address), p.o.Now()
	w, refused, err := p.waiting(ctx, f)
	if err != nil {
		return Answer{}, err
	}
	if late != nil && (w == nil || !w.passive()) {
		return Answer{Page: p.refuseState(ctx, v, source, late)}, nil
	}
	if w == nil {
		return refused, nil
	}
	traceOf(ctx).about(w)
	w.data.Launch = nil // it has none yet
	refuse := func(why Why) (Answer, error) { return p.refuseWaiting(ctx, f, w, why) }
	if late != nil {
		return refuse(Why{Reason: late.Reason, Cause: late.Detail})
	}
	var kept keptOpenID
	if u := w.data.Upstream; u == nil || u.Source != source.Name || json.Unmarshal([]byte(u.Keep), &kept) != nil {
		return refuse(Why{Reason: ReasonRequest,
			Cause: "the browser was sent to another source after it was sent to " + source.Name})
	}
	if state := c.sources[source.Name]; state.Refuses(p.o.Now()) {
		return refuse(Why{Reason: claims.ReasonSourceOff})
	}
	p.distrust(c)
	// Before the code goes out: who signs out at the provider from here on has no session.
	came := arrival{answers: answers}
	if came.mark, err = p.o.Sessions.Mark(ctx); err != nil {
		return Answer{}, fmt.Errorf("answer of the provider of source %s: %w", source.Name, err)
	}
	checked, bad, err := p.redeemCode(ctx, source, claims.Ask{State: r.State, Nonce: kept.Nonce,
		Verifier: kept.Verifier, Passive: kept.Passive}, r.Reply, v)
	switch {
	case err != nil:
		return Answer{}, err
	case bad == nil:
		return p.launchChecked(ctx, c, sp, checked, came, TokenLaunch{}, v)
	case w.passive(), bad.Reason == ReasonRequestUsed, bad.Reason == claims.ReasonSourceOff:
		// No page may be shown, whatever it is; or nothing is left to go on with.
		return refuse(Why{Reason: bad.Reason, Cause: bad.Detail})
	}
	return p.notSignedIn(ctx, w, source, bad)
}

const (
	// redeemSlots bounds the sign-ins that wait for one provider: what a slow one can hold up here. Each provider has its
	// own, so that one that hangs holds up nobody of another one.
	redeemSlots    = 32
	redeemPatience = 5 * time.Second
)

// redeemingOf has slots for each source with an OpenID provider.
func redeemingOf(sources []Source) map[string]*slots {
	all := map[string]*slots{}
	for _, s := range sources {
		if s.OpenID != nil {
			all[s.Name] = newSlots(redeemSlots)
		}
	}
	return all
}

// redeemCode asks the provider what a code stands for. Whoever began a request can send any number of codes for it, so
// those who wait are served by turns of the addresses that they come from.
func (p *IdP) redeemCode(ctx context.Context, s Source, a claims.Ask, r claims.Reply, v Visitor) (*claims.Checked,
	*claims.Fault, error) {
	free, ok, err := p.redeeming[s.Name].take(ctx, addressBlock(v.Address), redeemPatience)
	if err != nil {
		return nil, nil, fmt.Errorf("wait for the provider of source %s: %w", s.Name, err)
	}
	if !ok {
		return nil, &claims.Fault{Reason: claims.ReasonProviderDown,
			Detail: fmt.Sprintf("%d sign-ins wait for the provider of source %s already", redeemSlots, s.Name)}, nil
	}
	defer free()
	if bad := p.o.OpenID.Check(ctx, s.Source, a, r); bad != nil {
		return nil, bad, nil
	}
	if bad, err := p.useState(ctx, s, a.State); bad != nil || err != nil {
		return nil, bad, err
	}
	checked, bad := p.o.OpenID.Redeem(ctx, s.Source, a, r)
	return checked, bad, nil
}

// refuseState refuses an answer whose state is none of ours, or over.
func (p *IdP) refuseState(ctx context.Context, v Visitor, source Source, bad *claims.Fault) Page {
	return p.naming(p.refuseToken(ctx, v, bad), source.Name)
}

// naming is a page that names the provider where it is a refusal, and an OpenID provider signs the people of the source
// in.
func (p *IdP) naming(page Page, name string) Page {
	refusal, is := page.(Refusal)
	source, known := p.source(name)
	if !is || !known || source.OpenID == nil {
		return page
	}
	refusal.Source = source.label()
	return refusal
}

// useState uses a state up, before its code goes out and whatever comes of that: one state makes one call.
func (p *IdP) useState(ctx context.Context, s Source, state string) (*claims.Fault, error) {
	now := p.o.Now()
	// Beside the request itself, which the session uses up. No jti has the same hash: none has a control character.
	sum := sha256.Sum256([]byte("code\x00" + state))
	err := p.o.SourceStates.Take(ctx, store.UsedToken{Source: s.Name, Token: sum[:], IssuedAt: now,
		EndsAt: now.Add(requestLife + replayMargin)})
	switch {
	case errors.Is(err, store.ErrTokenUsed):
		return &claims.Fault{Reason: ReasonRequestUsed,
			Detail: "an answer to the request was taken before, and its code went to the provider"}, nil
	case errors.Is(err, store.ErrRevoked):
		return &claims.Fault{Reason: claims.ReasonSourceOff, Detail: TextOf(claims.ReasonSourceOff).Cause}, nil
	case err != nil:
		return nil, fmt.Errorf("use up a request to source %s: %w", s.Name, err)
	}
	return nil, nil
}

// notSignedIn says why a provider has signed nobody in. The page leads on: to another way to sign in, and back. Where
// no page may be shown, the status is the same for each cause, whether the browser was to leave or has come back.
func (p *IdP) notSignedIn(ctx context.Context, w *flow, source Source, bad *claims.Fault) (Answer, error) {
	if w.passive() {
		p.logRefusal(ctx, w.v, w.sp.EntityID, Why{Reason: bad.Reason, Cause: bad.Detail})
		page, err := p.answerStatus(ctx, w, ReasonPassive, "")
		return Answer{Page: page}, err
	}
	status := http.StatusForbidden
	switch bad.Reason {
	case claims.ReasonProviderDown, claims.ReasonKeysDown, claims.ReasonUserinfo:
		status = http.StatusServiceUnavailable
	}
	w.data.Launch = nil
	page, err := p.refuse(ctx, w, refusal{status: status, retry: status == http.StatusServiceUnavailable,
		Why: Why{Reason: bad.Reason, Cause: bad.Detail}})
	return Answer{Page: p.naming(page, source.Name)}, err
}

// distrust has keys count no more that were fetched before a source's tokens were revoked: a key that was withdrawn for
// that verifies nothing here, either.
func (p *IdP) distrust(c *config) {
	for name, state := range c.sources {
		if !state.RevokedAt.IsZero() {
			p.o.SourceKeys.Distrust(name, state.RevokedAt)
		}
	}
}

// openIDSession begins the method of a session that names the person's session at the provider, by a hash.
const openIDSession = "oidc-session:"

// methods are those of the session that a launch begins.
func (l *pendingLaunch) methods() []string {
	all := []string{launchMethod + l.Source}
	if l.Session != "" {
		all = append(all, openIDSession+l.Session)
	}
	for _, proof := range l.Proofs {
		all = append(all, proofMethod+proof)
	}
	if l.AuthTime > 0 {
		all = append(all, authTimeMethod+strconv.FormatInt(l.AuthTime, 10))
	}
	return all
}

// sessionAtProvider is the person's session at the provider; "": it is not known.
func sessionAtProvider(s store.Session) string {
	for _, m := range s.Methods {
		if name, ok := strings.CutPrefix(m, openIDSession); ok {
			return name
		}
	}
	return ""
}

// LogoutOpenID ends the sessions that a source has begun for somebody, when they sign out at its provider (OpenID
// Connect Back-Channel Logout 1.0). A token that names a session of the provider ends those that came of it, and with a
// sub also those of the person of which that is not known. It holds for those who are between their code and their
// session, too. The token is used up in the transaction that ends them: what fails can be sent again, and what is sent
// again ends nothing that began since. The directory is not asked.
func (p *IdP) LogoutOpenID(ctx context.Context, name, token string, v Visitor) (bad *claims.Fault, err error) {
	ctx = asLogout(ctx)
	source, known := p.source(name)
	if !known || source.OpenID == nil {
		return &claims.Fault{Reason: ReasonNoSources, Detail: TextOf(ReasonNoSources).Cause}, nil
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	p.distrust(c)
	checked, bad := p.o.OpenID.LogoutToken(ctx, source.Source, token)
	if bad != nil {
		p.logRefusal(ctx, v, "", Why{Reason: bad.Reason, Cause: bad.Detail})
		return bad, nil
	}
	_, err = p.endLaunched(ctx, store.SourceLogout{Source: source.Name, Names: checked.Names, Disabled: true,
		Uses: &store.UsedToken{Source: source.Name, Token: checked.Used, IssuedAt: checked.IssuedAt,
			EndsAt: checked.Expires.Add(replayMargin)},
	}, func(s store.Session) bool {
		at := sessionAtProvider(s)
		return checked.Session == "" || at == checked.Session || at == "" && checked.Sub != ""
	}, v)
	if errors.Is(err, store.ErrTokenUsed) {
		bad = &claims.Fault{Reason: claims.ReasonUsed, Detail: "the logout token was used before"}
		p.logRefusal(ctx, v, "", Why{Reason: bad.Reason, Cause: bad.Detail})
		return bad, nil
	}
	return nil, err
}
