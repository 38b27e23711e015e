package idp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/saml"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// pending is this package's part of a stored sign-in (store.SignIn.Data).
type pending struct {
	Request    *pendingRequest `json:"request,omitempty"` // nil: a launch
	RelayState *string         `json:"relay_state,omitempty"`
	Console    *pendingConsole `json:"console,omitempty"` // a sign-in to the console
	Own        *pendingOwn     `json:"own,omitempty"`     // the way to the person's own page
	Order      *pendingOrder   `json:"order,omitempty"`   // the way to the person's own order
	Launch     *pendingLaunch  `json:"launch,omitempty"`  // a signed launch
	// Sent says that the browser went to a source, or that the person wants the form: no page of ours sends it there by
	// itself again.
	Sent     bool             `json:"sent,omitempty"`
	Upstream *pendingUpstream `json:"upstream,omitempty"` // what the source that it went to needs again
	Noticed  bool             `json:"noticed,omitempty"`  // the person was shown which factors were added
	Reason   string           `json:"reason,omitempty"`   // of the page shown last; Cancel answers by its status
}

// pendingRequest is what has to be known of an AuthnRequest after it was
// checked. It is never read from the request again (row REQ-07).
type pendingRequest struct {
	ACS      string `json:"acs"`
	Force    bool   `json:"force,omitempty"`
	Passive  bool   `json:"passive,omitempty"`
	NoCreate bool   `json:"no_create,omitempty"`
	// Transient says that a NameID is asked for that is another one in each session.
	Transient bool `json:"transient,omitempty"`

	Subject *saml.Subject `json:"subject,omitempty"` // who must be the one who logs in; nil: anybody
	Classes []string      `json:"classes,omitempty"` // of ours that the requested context is content with; none: any
}

// flow is one sign-in while one HTTP request goes on with it.
type flow struct {
	config *config
	sp     *serviceProvider
	in     store.SignIn // ID "" as long as nothing is stored
	id     string       // of a sign-in that is not stored: the id under which it will be; "" as long as none was drawn
	sealed string       // handle of a sign-in that is not stored; "" where it is to be sealed anew
	data   pending
	chosen store.AccountID // by the person, in this HTTP request
	way    string          // the source that the person chose, in this HTTP request
	// clicked says that the person has said yes to what a launch does, in this HTTP request.
	clicked bool
	// hint is the login name by whose mail domain a source was chosen, in this HTTP request.
	hint string

	// What the steps have found so far, each for those after it.
	session  store.Session
	person   directory.Entry
	decision provisioning.Decision

	placed  *provisioning.SelfOrderInput // the form of an order, in this HTTP request
	ordered provisioning.SelfOrderState  // the person's order, if they have one

	// changed says that data holds what is not stored yet.
	changed bool
	v       Visitor
}

func (f *flow) fromSP() bool  { return f.data.Request != nil }
func (f *flow) passive() bool { return f.fromSP() && f.data.Request.Passive }

// fresh tells whether a login before this sign-in does not count (row REQ-15).
func (f *flow) fresh() bool { return f.target().fresh(f) }

// account is the client account that the sign-in leads to, as far as somebody has chosen one.
func (f *flow) account() store.AccountID { return cmp.Or(f.chosen, f.in.Account) }

// responseParams is where the Response of this sign-in goes.
func (f *flow) responseParams() (responseParams, error) {
	o := responseParams{sp: f.sp, inResponseTo: f.in.RequestID}
	if f.fromSP() {
		o.asked = f.data.Request.Classes
		o.to = f.sp.responseEndpoints(f.data.Request.ACS, f.data.RelayState, false)
		return o, nil
	}
	main, ok := f.sp.defaultACS()
	if !ok {
		return o, fmt.Errorf("service provider %s has no assertion consumer service with the HTTP-POST binding",
			f.sp.EntityID)
	}
	o.to = f.sp.responseEndpoints(main.URL, f.data.RelayState, true)
	return o, nil
}

// resume loads a sign-in for v by its handle. Where it can't go on, the page that says
// so is returned in place of the flow. With bind, a stored sign-in that belongs to no
// browser yet belongs to this one from now on: the version before this one stores such.
func (p *IdP) resume(ctx context.Context, id string, v Visitor, bind bool) (*flow, Page, error) {
	if id, text, sealed := handleID(id); sealed {
		return p.resumeStarted(ctx, id, text, v)
	}
	unknown := Refusal{Reason: ReasonUnknownSignIn, Status: http.StatusNotFound}
	if id == "" || len(id) > 128 {
		return nil, unknown, nil
	}
	in, err := p.o.SignIns.Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, unknown, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read pending sign-in: %w", err)
	}
	browser := hash(v.Browser)
	switch {
	case browser == nil:
		return nil, p.otherBrowser(ctx, in, v), nil
	case len(in.Browser) == 0 && bind && in.FinishedAt.IsZero():
		// A cross-site POST came without cookies (row WEB-03): the first browser that
		// shows the random id is the one that was redirected to it.
		err := p.o.SignIns.Bind(ctx, id, browser)
		switch {
		case errors.Is(err, store.ErrConflict):
			return nil, p.otherBrowser(ctx, in, v), nil
		case errors.Is(err, store.ErrNotFound):
			return nil, unknown, nil
		case err != nil:
			return nil, nil, fmt.Errorf("bind sign-in to browser: %w", err)
		}
		in.Browser = browser
	case subtle.ConstantTimeCompare(in.Browser, browser) != 1:
		return nil, p.otherBrowser(ctx, in, v), nil
	}

	f := &flow{in: in, v: v}
	if f.config, err = p.loadConfig(ctx); err != nil {
		return nil, nil, err
	}
	f.in.Account = f.config.forms.Stored(in.Account) // a replica of the version before stores what was typed
	f.sp = p.peer(f.config, in.EntityID)
	if !in.FinishedAt.IsZero() {
		return nil, f.finished(), nil // row SP-07
	}
	if err := json.Unmarshal(in.Data, &f.data); err != nil {
		return nil, nil, fmt.Errorf("read pending sign-in: %w", err)
	}
	if page, err := p.partner(ctx, f); page != nil || err != nil {
		return nil, page, err
	}
	return f, nil, nil
}

// otherBrowser refuses a sign-in that was begun elsewhere: who sends somebody
// a link to a pending sign-in must not get that person's Response for it.
func (p *IdP) otherBrowser(ctx context.Context, in store.SignIn, v Visitor) Page {
	p.logRefusal(ctx, v, in.EntityID, Why{Reason: ReasonOtherBrowser,
		Cause: "the browser cookie is not the one that the sign-in belongs to"})
	return Refusal{Reason: ReasonOtherBrowser, Status: http.StatusForbidden}
}

// usable returns the page that refuses an unknown or disabled service provider, and one that is not served where the
// visitor is; nil if there is none to refuse. Nothing is ever sent to such a one.
//
// near is one that may have been meant in the place of an unknown one; nil: nobody looks for it.
func (p *IdP) usable(ctx context.Context, sp *serviceProvider, entityID string, unknown int, v Visitor,
	near *config) Page {
	switch {
	case sp == nil:
		// Whom somebody may have meant is looked for in the few requests alone that leave a line.
		if FootprintOf(ctx).Refused(ReasonUnknownProvider); FootprintOf(ctx).Over() {
			near = nil
		}
		p.logRefusal(ctx, v, entityID, unknownProvider(entityID, near))
		return Refusal{Reason: ReasonUnknownProvider, Status: unknown}
	case sp == p.console && v.NoConsole, v.ConsoleSite && sp != p.console && sp != p.ownPage: // row ID-19
		return p.elsewhere(ctx, entityID, v)
	case !sp.Enabled:
		p.logRefusal(ctx, v, entityID, Why{Reason: ReasonProviderDisabled})
		return Refusal{Provider: sp.name(), Reason: ReasonProviderDisabled, Status: http.StatusForbidden}
	case sp.expired(p.o.Now()): // row MD-04
		p.logRefusal(ctx, v, entityID, Why{Reason: ReasonMetadataExpired,
			Cause: "the service provider's metadata was valid until " + sp.Source.ValidUntil.Format(time.RFC3339)})
		return Refusal{Provider: sp.name(), Reason: ReasonMetadataExpired, Status: http.StatusForbidden}
	}
	return nil
}

// expired tells whether the metadata that the record comes from may no longer be
// used (saml-metadata 2.3.2).
func (sp *serviceProvider) expired(now time.Time) bool {
	return sp.Source != nil && !sp.Source.ValidUntil.IsZero() && !now.Before(sp.Source.ValidUntil)
}

// create stores a sign-in that nobody has logged in for: see Options.Older. A page says why not.
func (p *IdP) create(ctx context.Context, f *flow) (Page, error) {
	if err := p.identify(f); err != nil {
		return nil, err
	}
	in, err := p.begins(f)
	if err != nil {
		return nil, err
	}
	err = p.o.SignIns.Create(ctx, *in, p.o.Caps)
	switch {
	case errors.Is(err, store.ErrConflict): // row REQ-08
		return p.replayed(ctx, f), nil
	case errors.Is(err, store.ErrLimit): // row WEB-09
		p.logRefusal(ctx, f.v, f.in.EntityID, Why{Reason: ReasonTooManySignIns,
			Cause: "a limit of started sign-ins is reached, that of this network address or that of all",
			Fix:   "look for a flood; if these are people, raise sign_in.pending_per_address or sign_in.pending_total"})
		return Refusal{Provider: f.sp.name(), Reason: ReasonTooManySignIns, Status: http.StatusTooManyRequests,
			Retry: true}, nil
	case err != nil:
		return nil, fmt.Errorf("store pending sign-in for %s: %w", f.in.EntityID, err)
	}
	f.in.ID, f.in.ExpiresAt, f.in.Data = in.ID, in.ExpiresAt, in.Data
	traceOf(ctx).about(f)
	return nil, nil
}

// ensureStored sees to it that the sign-in is stored before a page is shown that goes on with it, of somebody with a
// session, or of anybody as long as a replica of the version before is running. It returns the page to show instead,
// nil to go on showing.
func (p *IdP) ensureStored(ctx context.Context, f *flow) (Page, error) {
	if f.in.ID != "" {
		return nil, nil
	}
	var page Page
	var err error
	if len(f.in.Session) > 0 {
		page, err = p.begin(ctx, f)
	} else {
		page, err = p.create(ctx, f)
	}
	if page != nil || err != nil {
		return page, err
	}
	return GoOn{SignIn: f.in.ID}, nil
}

// saveProgress stores the account that was chosen and why the sign-in stands still,
// with events. It does nothing when all of it is known already.
func (p *IdP) saveProgress(ctx context.Context, f *flow, account store.AccountID, reason string, session []byte,
	events ...store.Event) (Page, error) {
	if f.in.Account == account && f.data.Reason == reason && len(events) == 0 && !f.changed {
		return nil, nil
	}
	f.in.Account, f.data.Reason = account, reason
	if session != nil && !bytes.Equal(f.in.Session, session) {
		f.in.Session = session
	}
	return p.keep(ctx, f, events...)
}

// keep stores a sign-in as it is now, with events.
func (p *IdP) keep(ctx context.Context, f *flow, events ...store.Event) (Page, error) {
	var err error
	if f.in.Data, err = encode(f.data); err != nil {
		return nil, err
	}
	err = p.o.SignIns.Update(ctx, f.in, events...)
	switch {
	case errors.Is(err, store.ErrFinished):
		return f.finished(), nil
	case errors.Is(err, store.ErrNotFound):
		return Refusal{Reason: ReasonUnknownSignIn, Status: http.StatusNotFound}, nil
	case err != nil:
		return nil, fmt.Errorf("store pending sign-in for %s: %w", f.in.EntityID, err)
	}
	return nil, nil
}

// encode keeps HTML characters as they are: as \u003c they would let a stranger
// fill six times the space.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// logRefusal writes why a request does not go on, under the reference id that the page shows, and notes it for the
// trace. more is for the log alone.
func (p *IdP) logRefusal(ctx context.Context, v Visitor, entityID string, w Why, more ...slog.Attr) {
	message := "sign-in refused"
	if ctx.Value(logoutKey{}) != nil {
		message = "sign-out refused"
	}
	p.refusedWith(ctx, message, v, entityID, w, more...)
}

// refusedWith is logRefusal with another message.
func (p *IdP) refusedWith(ctx context.Context, message string, v Visitor, entityID string, w Why, more ...slog.Attr) {
	entityID = plaintext.Line(entityID, 256) // it may be a stranger's: no line of a list of its own
	FootprintOf(ctx).Refused(w.Reason)       // before the line: past so many of a kind it is only counted
	w = traceOf(ctx).refused(entityID, w)
	p.logWhy(ctx, message, v, entityID, w, more...)
}

// logWhy writes the line of a Why that is complete.
func (p *IdP) logWhy(ctx context.Context, message string, v Visitor, entityID string, w Why, more ...slog.Attr) {
	how := ""
	if p.o.HowTo != nil && w.Act != NoAct {
		how = p.o.HowTo(w.Act, w.About)
	}
	p.o.Logger.LogAttrs(ctx, slog.LevelInfo, message, append([]slog.Attr{
		slog.String("ref", v.Ref), slog.String("reason", w.Reason), slog.String("cause", w.Cause),
		slog.String("fix", FixText(w.Fix, how)), slog.String("sp", entityID), slog.String("address", v.Address),
	}, more...)...)
}

// unknownProvider says which entityID is not registered, and which one may have been meant.
func unknownProvider(entityID string, near *config) Why {
	w := Why{Reason: ReasonUnknownProvider,
		Cause: fmt.Sprintf("no service provider with the entity ID %.200q is registered", entityID)}
	if near != nil {
		var all []store.ServiceProvider
		for _, sp := range near.order {
			all = append(all, sp.ServiceProvider)
		}
		if meant, ok := NearestProvider(all, entityID); ok {
			w.Cause += fmt.Sprintf("; %.200q is", meant)
			w.Act, w.About = actMeantProvider, meant
		}
	}
	return w
}

type logoutKey struct{}

// asLogout marks what is done for a single logout, so that its refusals are not told as those of sign-ins.
func asLogout(ctx context.Context) context.Context { return context.WithValue(ctx, logoutKey{}, true) }

// finished is the page of a sign-in that is used up. What it was may be gone: only the id of its target is left.
func (f *flow) finished() Page {
	switch f.in.EntityID {
	case consoleID:
		return Finished{consoleTarget{}.restart(f)}
	case ownID:
		return Finished{accountTarget{}.restart(f)}
	case orderID:
		return Finished{orderTarget{}.restart(f)}
	}
	return Finished{providerTarget{}.restart(f)}
}

// constantContact finds the enabled Constant Contact service provider, if there
// is exactly one, and how many there are.
func (c *config) constantContact() (one *serviceProvider, count int) {
	for _, sp := range c.order {
		if sp.Kind == store.ConstantContact && sp.Enabled {
			one = sp
			count++
		}
	}
	if count != 1 {
		return nil, count
	}
	return one, 1
}
