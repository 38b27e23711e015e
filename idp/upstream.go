package idp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/store"
)

// Who signs a person in is one decision for each sign-in: the form that asks for a password of the directory, or the
// own sign-in of a source, to which the browser is sent. Both are asked for in askPassword.

// Upstream is the own sign-in of a source: where browsers go whose sign-in began here. What comes back names the
// request, and Returned goes on with the sign-in that waits.
type Upstream interface {
	// Begin says where the browser goes. keep is what has to be known of it when it comes back: it travels sealed with
	// the sign-in, in the browser's cookie, and comes back in Returned; "" for nothing. It is short: it shares a cookie.
	Begin(ctx context.Context, r UpstreamRequest) (address, keep string, err error)
	// Quiet tells whether somebody can be signed in there without being shown a page. A request with IsPassive goes
	// nowhere else.
	Quiet() bool
}

// UpstreamRequest is what a source's own sign-in gets to know of ours: nothing of who asks for it, and of the
// AuthnRequest no more than that a new login is wanted.
type UpstreamRequest struct {
	// Request has to come back. It says nothing to whoever reads it, is good in this browser, for this source and one
	// sign-in alone, for ten minutes, and once.
	Request string
	Force   bool // the person has to prove themselves anew
	Passive bool // without a page; only where Quiet
	// Hint is the login name by whose mail domain the person was led here, for a provider that asks for it again; "":
	// another way led here. An application of the partner's does not get it.
	Hint string
}

const (
	requestPurpose = "sign-in at a source"
	// requestLife is how long a source has to sign somebody in.
	requestLife = 10 * time.Minute
	maxRequest  = 1024
)

// MaxStartedText is how long the sealed text of a started sign-in may be to be kept in a cookie. A longer one has to be
// stored before the browser leaves for a source: a form of ours is gone then.
const MaxStartedText = 2 << 10

// passwordWord is the way by the form, beside the names of sources. No source has that name.
const passwordWord = "directory"

// Reasons of what comes back from a source's own sign-in, beside those of its token.
const (
	// ReasonRequest: what came back names no request of ours, or one of another service provider (403).
	ReasonRequest = "launch_request"
	// ReasonRequestSource: it names a request that another source got (403).
	ReasonRequestSource = "launch_request_source"
	// ReasonRequestBrowser: it came back in another browser than the one that was sent (403).
	ReasonRequestBrowser = "launch_request_browser"
	// ReasonRequestUsed: its request was used before (403).
	ReasonRequestUsed = "launch_request_used"
	// ReasonRequestLate: it came back after more than ten minutes (403).
	ReasonRequestLate = "launch_request_late"
)

// loginURL is the own sign-in of a source of signed launches: an address of the configuration, never of a request.
type loginURL string

// Begin names the request in the address, and nothing else but that a new login is wanted.
func (u loginURL) Begin(_ context.Context, r UpstreamRequest) (address, keep string, err error) {
	at, err := url.Parse(string(u))
	if err != nil {
		return "", "", fmt.Errorf("read login_url: %w", err)
	}
	q := at.Query()
	q.Set("request", r.Request)
	if r.Force {
		q.Set("force", "1")
	}
	at.RawQuery = q.Encode()
	return at.String(), "", nil
}

// Quiet: an application answers a person, and says nothing where there is none.
func (loginURL) Quiet() bool { return false }

// LoginURL is the own sign-in of a source of signed launches that has an address for it.
func LoginURL(address string) Upstream { return loginURL(address) }

// WayIn is a source that a person can choose on the login page.
type WayIn struct{ Source, Label string }

// LeaveFor sends the browser to a source's own sign-in. Address is the source's by configuration or discovery.
type LeaveFor struct{ SignIn, Source, Address string }

func (LeaveFor) page() {}

// upstreamRequest is what is sealed of a request.
type upstreamRequest struct {
	SignIn  string `json:"i"` // id of the sign-in that waits, stored or not
	Stored  bool   `json:"d,omitempty"`
	Source  string `json:"s"`
	Peer    []byte `json:"p"` // the service provider, by a hash
	Browser []byte `json:"b"`
	At      int64  `json:"t"` // microseconds
}

// pendingUpstream is what a sign-in that waits for a source keeps for it.
type pendingUpstream struct {
	Source string `json:"s"`
	Keep   string `json:"k,omitempty"`
}

// answered is the request that a launch answers. It travels with the launch to the page at which the browser's cookies
// are there.
type answered struct {
	upstreamRequest

	Used []byte `json:"j"` // names the request among what its source has used
}

func (a *answered) used() []byte {
	if a == nil {
		return nil
	}
	return a.Used
}

func peerHash(entityID string) []byte {
	sum := sha256.Sum256([]byte(entityID))
	return sum[:12]
}

// sources are those that can sign somebody in here: with a sign-in of their own, not disabled, and able to say what the
// service provider asks for. The console and the page of second factors know the directory alone: whoever has a
// partner's signing key must not get there.
func (p *IdP) sources(ctx context.Context, f *flow) (all []Source) {
	if len(p.o.Sources) == 0 || f.data.Console != nil || f.data.Own != nil || p.older(ctx) {
		return nil
	}
	for _, s := range p.o.Sources {
		if s.Upstream == nil || !f.config.sources[s.Name].DisabledAt.IsZero() || !p.meets(s, f) ||
			f.passive() && !s.Upstream.Quiet() {
			continue
		}
		all = append(all, s)
	}
	return all
}

// meets tells whether a launch of the source can be what a request demands, if the person proves themselves so there.
func (p *IdP) meets(s Source, f *flow) bool {
	if !f.fromSP() || len(f.data.Request.Classes) == 0 {
		return true
	}
	return slices.ContainsFunc(s.Trust, func(t claims.Trust) bool {
		return slices.ContainsFunc(t.For, func(word string) bool {
			return slices.Contains(f.data.Request.Classes, p.classes.uri(word))
		})
	})
}

// byPassword tells whether the directory signs people in at this target. As long as a replica of the version before is
// running, no source does, and so the form stays.
func (p *IdP) byPassword(ctx context.Context, f *flow) bool {
	if p.demanded(f) && !p.factorsOn(f.config) {
		return false // a source alone can prove the factor that is demanded
	}
	return !p.o.NoPassword || f.data.Console != nil || f.data.Own != nil || p.older(ctx)
}

// atOnce is the source to which a browser goes without a page of ours: the one that was chosen, the service provider's,
// that of the configuration, or the only way in. Nobody is sent twice by itself: the browser's way back leads to a page
// that says where one can go, and two that disagree don't play ball with a person.
func (p *IdP) atOnce(f *flow, sources []Source, password bool) (Source, bool) {
	find := func(is func(Source) bool) (Source, bool) {
		i := slices.IndexFunc(sources, is)
		if i < 0 {
			return Source{}, false
		}
		return sources[i], true
	}
	if f.way != "" {
		return find(func(s Source) bool { return s.Name == f.way })
	}
	if f.data.Sent {
		return Source{}, false
	}
	if s, ok := find(func(s Source) bool { return slices.Contains(s.Providers, f.sp.EntityID) }); ok {
		return s, true
	}
	if s, ok := find(func(s Source) bool { return s.Name == p.o.SignInSource }); ok {
		return s, true
	}
	if !password && len(sources) == 1 {
		return sources[0], true
	}
	return Source{}, false
}

// leave sends the browser to a source. Nothing is stored of the sign-in but where it is too long for a cookie.
func (p *IdP) leave(ctx context.Context, f *flow, s Source) (Answer, error) {
	if err := p.identify(f); err != nil {
		return Answer{}, err
	}
	f.data.Sent, f.data.Reason, f.sealed, f.changed = true, "", "", true
	// What it kept for a source before is of no use any more.
	f.data.Upstream = nil
	switch page, err := p.keepable(ctx, f); {
	case err != nil:
		return Answer{}, err
	case page != nil:
		return p.unseen(ctx, f, Answer{Page: page})
	}
	request, err := p.sealRequest(f, s)
	if err != nil {
		return Answer{}, err
	}
	address, keep, err := s.Upstream.Begin(ctx, UpstreamRequest{Request: request, Force: f.fresh(), Passive: f.passive(),
		Hint: f.hint})
	if bad, refused := errors.AsType[*claims.Fault](err); refused {
		return p.notSignedIn(ctx, f, s, bad)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("begin a sign-in at source %s: %w", s.Name, err)
	}
	f.data.Upstream, f.sealed = &pendingUpstream{Source: s.Name, Keep: keep}, ""
	if f.in.ID != "" {
		switch page, err := p.keep(ctx, f); {
		case err != nil:
			return Answer{}, err
		case page != nil:
			return p.unseen(ctx, f, Answer{Page: page})
		}
	} else if _, err := p.seal(f); err != nil {
		return Answer{}, err
	}
	traceOf(ctx).step(StepDirectory, traceOf(ctx).begin(), "", "sent to source %s", s.Name)
	return Answer{Page: LeaveFor{SignIn: f.at(), Source: s.Name, Address: address}}, nil
}

// keepable sees to it that the sign-in outlives the browser's way to a source and back. It returns the page to show
// instead, nil to go on.
func (p *IdP) keepable(ctx context.Context, f *flow) (Page, error) {
	if f.in.ID != "" {
		return nil, nil
	}
	if _, err := p.seal(f); err != nil {
		return nil, err
	}
	if _, text, _ := handleID(f.sealed); len(text) <= MaxStartedText-upstreamRoom {
		return nil, nil
	}
	return p.create(ctx, f) // within the bounds of an address and of all: strangers can have any number of them
}

// upstreamRoom is what a source may add to a sealed text.
const upstreamRoom = 600

func (p *IdP) sealRequest(f *flow, s Source) (string, error) {
	id := f.in.ID
	if id == "" {
		id = f.id
	}
	plain, err := encode(upstreamRequest{SignIn: id, Stored: f.in.ID != "", Source: s.Name, Peer: peerHash(f.in.EntityID),
		Browser: hash(f.v.Browser), At: p.o.Now().UnixMicro()})
	if err != nil {
		return "", err
	}
	text, err := p.o.Sealer.SealDay(plain, requestPurpose, s.Name, p.o.Now())
	if err != nil {
		return "", fmt.Errorf("seal a request to source %s: %w", s.Name, err)
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}

// openRequest reads the request that came back from a source. Whether it came to the right browser and was used is
// looked at where its cookies are there. One that comes too late is returned beside the fault: it says whose it was.
func (p *IdP) openRequest(source, request string) (*answered, *claims.Fault) {
	bad := func(reason, format string, args ...any) (*answered, *claims.Fault) {
		return nil, &claims.Fault{Reason: reason, Detail: fmt.Sprintf(format, args...)}
	}
	if len(request) > maxRequest {
		return bad(ReasonRequest, "the request that source %s names has more than %d bytes", source, maxRequest)
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(request)
	if err != nil {
		return bad(ReasonRequest, "source %s names a request that is not base64url", source)
	}
	// It is authenticated with the source that it was for. Which other one it is for is said, to whoever looks for the
	// fault: both are ours.
	now := p.o.Now()
	plain, err := p.o.Sealer.OpenDay(sealed, requestPurpose, source, now)
	if err != nil {
		for _, s := range p.o.Sources {
			if _, err := p.o.Sealer.OpenDay(sealed, requestPurpose, s.Name, now); err == nil {
				return bad(ReasonRequestSource, "source %s names a request that source %s got", source, s.Name)
			}
		}
		return bad(ReasonRequest, "source %s names a request that was not made here, or more than a day ago", source)
	}
	var r upstreamRequest
	if err := json.Unmarshal(plain, &r); err != nil || r.Source != source || len(r.Browser) == 0 || r.SignIn == "" {
		return bad(ReasonRequest, "source %s names a request of another form", source)
	}
	if age := now.Sub(time.UnixMicro(r.At)); age >= requestLife {
		_, late := bad(ReasonRequestLate, "source %s answers a request that is %s old, and %s are allowed", source,
			age.Round(time.Second), requestLife)
		return of(r, request), late
	}
	return of(r, request), nil
}

// of is a request that was opened.
func of(r upstreamRequest, request string) *answered {
	// No jti has the same hash: none has a control character.
	sum := sha256.Sum256([]byte("request\x00" + request))
	return &answered{upstreamRequest: r, Used: sum[:]}
}

// askedBy is the service provider that a request was made for.
func (p *IdP) askedBy(ctx context.Context, c *config, r *answered, v Visitor) (*serviceProvider, Page) {
	i := slices.IndexFunc(c.order, func(sp *serviceProvider) bool { return bytes.Equal(peerHash(sp.EntityID), r.Peer) })
	if i < 0 {
		p.logRefusal(ctx, v, "", Why{Reason: ReasonRequest,
			Cause: "the request was made for a service provider that is not registered any more"})
		return nil, Refusal{Reason: ReasonRequest, Status: http.StatusForbidden}
	}
	if page := p.usable(ctx, c.order[i], c.order[i].EntityID, http.StatusNotFound, v, c); page != nil {
		return nil, page
	}
	return c.order[i], nil
}

// waiting loads the sign-in that a launch goes on with. It takes the browser that was sent away, and the sealed text
// that this one has kept.
func (p *IdP) waiting(ctx context.Context, f *flow) (*flow, Answer, error) {
	r, v := f.data.Launch.Answers, f.v
	if browser := hash(v.Browser); browser == nil || subtle.ConstantTimeCompare(browser, r.Browser) != 1 {
		// Whoever brings their own answer into another browser would sign that one in as themselves.
		a, err := p.refuseLaunch(ctx, f, Why{Reason: ReasonRequestBrowser})
		return nil, a, err
	}
	handle := r.SignIn
	if !r.Stored && v.Started != nil {
		if text := v.Started(r.SignIn); text != "" {
			handle += "." + text
		}
	}
	v.Own = ""
	w, page, err := p.resume(ctx, handle, v, false)
	if err != nil {
		return nil, Answer{}, err
	}
	if _, over := page.(Finished); over {
		a, err := p.refuseFinished(ctx, f, handle)
		return nil, a, err
	}
	if w == nil {
		return nil, Answer{Page: page}, nil
	}
	if subtle.ConstantTimeCompare(peerHash(w.in.EntityID), r.Peer) != 1 || w.data.Console != nil || w.data.Own != nil {
		a, err := p.refuseLaunch(ctx, f, Why{Reason: ReasonRequest,
			Cause: "the request was made for another service provider"})
		return nil, a, err
	}
	w.data.Launch = f.data.Launch
	return w, Answer{}, nil
}

// refuseFinished refuses an answer for a sign-in that is finished. Where its text is still in the browser, and says
// that no page may be shown, the service provider is answered once more: a status lets nobody in.
func (p *IdP) refuseFinished(ctx context.Context, f *flow, handle string) (Answer, error) {
	w := f
	if id, text, sealed := handleID(handle); sealed {
		if s, ok := p.unseal(id, text); ok && s.EntityID == f.sp.EntityID &&
			subtle.ConstantTimeCompare(s.Browser, hash(f.v.Browser)) == 1 {
			w = &flow{config: f.config, sp: f.sp, v: f.v, data: s.Data, id: id}
			w.in.EntityID, w.in.RequestID, w.in.Address = s.EntityID, s.RequestID, f.in.Address
		}
	}
	return p.refuseWaiting(ctx, f, w, Why{Reason: ReasonRequestUsed,
		Cause: "the sign-in that the request is for is finished"})
}

// demands checks that a launch is what the waiting sign-in asks for. A page, or a status for the service provider, says
// that it is not.
func (p *IdP) demands(ctx context.Context, w *flow, source Source) (Answer, error) {
	l := w.data.Launch
	unmet := ""
	switch {
	case !p.satisfies(w, store.Session{Methods: l.methods()}):
		unmet = "the request asks for an authentication context that the token's acr and amr are not trusted for"
	case w.fresh() && l.AuthTime == 0:
		unmet = "the request asks for a new login (ForceAuthn), and the token has no auth_time"
	// Whole seconds on both sides: that is all that auth_time has.
	case w.fresh() && time.Unix(l.AuthTime, 0).Add(source.behind()).Unix() < w.in.CreatedAt.Unix():
		unmet = "the request asks for a new login (ForceAuthn), and the token's auth_time is before it by our clock"
	}
	if unmet == "" {
		return Answer{}, nil
	}
	p.logRefusal(ctx, w.v, w.sp.EntityID, Why{Reason: ReasonAuthnContext, Cause: unmet,
		Fix: "have the application ask the person as the request wants it, and say so in acr, amr and auth_time"})
	page, err := p.answerStatus(ctx, w, ReasonAuthnContext, "")
	return Answer{Page: page}, err
}

// behind is how far the source's clock may be behind ours where a new login was asked for. A provider was asked with
// prompt=login, which the person can take out of the address: a login from just before the request must not count then.
func (s Source) behind() time.Duration {
	if s.OpenID != nil {
		return 0
	}
	return s.Skew
}

// noWayIn answers a request that neither a source nor a password may satisfy here.
func (p *IdP) noWayIn(ctx context.Context, f *flow) (Answer, error) {
	if f.fromSP() {
		p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: ReasonAuthnContext, Act: actSeeSettings,
			Cause: "no source can assert what the request asks for, and sign_in.password is off",
			Fix:   "let the service provider ask for less, or set sign_in.password"})
		page, err := p.answerStatus(ctx, f, ReasonAuthnContext, "")
		return Answer{Page: page}, err
	}
	page, err := p.refuse(ctx, f, refusal{status: http.StatusServiceUnavailable, retry: true,
		Why: Why{Reason: claims.ReasonSourceOff}})
	return Answer{Page: page}, err
}

// SignInAt goes on with a sign-in by the way that the person has chosen on the login page: the name of a source, or
// "directory" for the form.
func (p *IdP) SignInAt(ctx context.Context, id, way string, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	f.choose(way)
	return p.proceed(ctx, f)
}

// IsWay tells whether a text can name a way to sign in: a source, or "directory".
func IsWay(text string) bool { return claims.ValidName(text) }

// choose notes a way that was asked for. One that is none is passed over: the page shows those that there are.
func (f *flow) choose(way string) {
	if way == passwordWord {
		f.data.Sent, f.changed, f.sealed = true, true, ""
		return
	}
	f.way = way
}

// checkUpstreams names what is wrong with the settings of sources' own sign-ins.
func checkUpstreams(o Options) error {
	var faults []error
	if o.SignInSource != "" {
		i := slices.IndexFunc(o.Sources, func(s Source) bool { return s.Name == o.SignInSource })
		if i < 0 || o.Sources[i].Upstream == nil {
			faults = append(faults, fmt.Errorf("SignInSource %.40q: no source with a sign-in of its own", o.SignInSource))
		}
	}
	if o.NoPassword && !slices.ContainsFunc(o.Sources, func(s Source) bool { return s.Upstream != nil }) {
		faults = append(faults, errors.New("NoPassword: no source has a sign-in of its own"))
	}
	taken := map[string]string{}
	for _, s := range o.Sources {
		for _, entityID := range s.Providers {
			if other, twice := taken[entityID]; twice {
				faults = append(faults, fmt.Errorf("sources %s and %s: both sign people in for %.200q", other, s.Name, entityID))
			}
			taken[entityID] = s.Name
		}
	}
	return errors.Join(faults...)
}
