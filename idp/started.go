package idp

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ssobridge/store"
)

// A sign-in is started by anybody. Until the right password, nothing is stored of it: it travels with the browser,
// sealed, and is stored in the transaction that stores the session (startSession), or that records its Response
// (deliver).
//
// Pages and callers name a sign-in by its handle. The handle of a stored sign-in is its id. The handle of one that is
// only started is its id, a dot and the sealed text. Once it is stored, both name it.

// started is what is sealed of a sign-in.
type started struct {
	ID        string          `json:"i"` // of the stored sign-in that it may become
	EntityID  string          `json:"e"`
	RequestID string          `json:"r,omitempty"`
	Account   store.AccountID `json:"a,omitempty"`
	// Browser is the hash of the cookie that binds it: the browser's own one, or, where that is not known, one that was
	// made for this sign-in alone.
	Browser []byte  `json:"b"`
	At      int64   `json:"t"` // when it was started, in microseconds
	Data    pending `json:"d"`
}

// startedPurpose names the keys that seal started sign-ins. They are made anew for each day: strangers can have any
// number sealed.
const startedPurpose = "started sign-in"

const (
	startedIDSize = 16       // bytes of randomness
	maxHandle     = 48 << 10 // characters: the longest request, its RelayState and the sealing stay below
)

// replayMargin is how long a record against replays outlives the started sign-in that it is about: the clocks of
// replicas differ.
const replayMargin = 10 * time.Minute

// at is the handle of the sign-in; "" as long as it is neither stored nor sealed.
func (f *flow) at() string {
	if f.in.ID != "" {
		return f.in.ID
	}
	return f.sealed
}

// identify gives a sign-in that is not stored the id under which it will be.
func (p *IdP) identify(f *flow) error {
	if f.id != "" {
		return nil
	}
	var b [startedIDSize]byte
	if _, err := io.ReadFull(p.o.Random, b[:]); err != nil {
		return fmt.Errorf("read randomness for a sign-in: %w", err)
	}
	f.id = base64.RawURLEncoding.EncodeToString(b[:])
	return nil
}

// seal makes the handle of a sign-in that is not stored. own is the token of the cookie to which it is bound, "" where
// it is the browser's own cookie.
func (p *IdP) seal(f *flow) (own string, err error) {
	if f.in.ID != "" || f.sealed != "" {
		return "", nil
	}
	if err := p.identify(f); err != nil {
		return "", err
	}
	browser := hash(f.v.Browser)
	if browser == nil {
		// A cross-site POST comes without cookies (row WEB-03), and the answer must not replace the browser's own one. So
		// this sign-in gets one of its own: without it, whoever brought another browser to this page would get their
		// Response.
		if own, err = p.token(); err != nil {
			return "", err
		}
		browser = hash(own)
	}
	plain, err := encode(started{
		ID: f.id, EntityID: f.in.EntityID, RequestID: f.in.RequestID, Account: f.in.Account,
		Browser: browser, At: f.in.CreatedAt.UnixMicro(), Data: f.data,
	})
	if err != nil {
		return "", err
	}
	// The id is authenticated with it: a text is good for the sign-in that the handle names and for no other.
	text, err := p.o.Sealer.SealDay(plain, startedPurpose, f.id, p.o.Now())
	if err != nil {
		return "", fmt.Errorf("seal a started sign-in: %w", err)
	}
	f.sealed = f.id + "." + base64.RawURLEncoding.EncodeToString(text)
	return own, nil
}

// unseal reads a sealed text. ok is false for everything that was not sealed here for this id, and for what is too old.
func (p *IdP) unseal(id, text string) (s started, ok bool) {
	if id == "" || len(id) > 128 || len(text) > maxHandle {
		return s, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return s, false
	}
	now := p.o.Now()
	plain, err := p.o.Sealer.OpenDay(sealed, startedPurpose, id, now)
	if err != nil {
		return s, false
	}
	if err := json.Unmarshal(plain, &s); err != nil || s.ID != id {
		return s, false
	}
	// Past its life it is none, as a stored one is none: the records against replays are kept for so long.
	return s, now.Before(time.UnixMicro(s.At).Add(p.o.SignInLife))
}

// resumeStarted is resume for the handle of a sign-in that may not be stored.
func (p *IdP) resumeStarted(ctx context.Context, id, text string, v Visitor) (*flow, Page, error) {
	s, ok := p.unseal(id, text)
	if !ok {
		return nil, Refusal{Reason: ReasonUnknownSignIn, Status: http.StatusNotFound}, nil
	}
	in := store.SignIn{
		EntityID: s.EntityID, RequestID: s.RequestID, Account: s.Account, Browser: hash(v.Browser),
		Address: addressBlock(v.Address), CreatedAt: time.UnixMicro(s.At).UTC(),
	}
	f := &flow{in: in, data: s.Data, id: id, v: v}
	switch browser := hash(v.Browser); {
	case browser == nil:
		return nil, p.otherBrowser(ctx, in, v), nil
	case subtle.ConstantTimeCompare(s.Browser, browser) == 1:
		f.sealed = id + "." + text
	case v.Own != "" && subtle.ConstantTimeCompare(s.Browser, hash(v.Own)) == 1:
		// Now that the browser's own cookie is known, what is sealed next is bound to it.
	default:
		return nil, p.otherBrowser(ctx, in, v), nil
	}
	stored, used, err := p.o.SignIns.Find(ctx, id, s.EntityID, s.RequestID)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("look for a started sign-in: %w", err)
	case stored:
		return p.resume(ctx, id, v, false)
	}
	if f.config, err = p.loadConfig(ctx); err != nil {
		return nil, nil, err
	}
	if page, err := p.partner(ctx, f); page != nil || err != nil {
		return nil, page, err
	}
	if used {
		return nil, p.replayed(ctx, f), nil
	}
	return f, nil, nil
}

// partner finds the service provider of a sign-in that goes on. A page says why it can't.
func (p *IdP) partner(ctx context.Context, f *flow) (Page, error) {
	f.sp = p.peer(f.config, f.in.EntityID)
	traceOf(ctx).about(f)
	if (f.data.Console != nil) != (f.in.EntityID == consoleID) || (f.data.Own != nil) != (f.in.EntityID == ownID) ||
		(f.data.Order != nil) != (f.in.EntityID == orderID) {
		return nil, errors.New("read pending sign-in: it is half one to the console or an own page")
	}
	return p.usable(ctx, f.sp, f.in.EntityID, http.StatusNotFound, f.v, nil), nil
}

// peer is who a sign-in is for, nil if unknown.
func (p *IdP) peer(c *config, entityID string) *serviceProvider {
	switch entityID {
	case consoleID:
		return p.console
	case ownID:
		return p.ownPage
	case orderID:
		return p.orderPage
	}
	return c.providers[entityID]
}

// replayed refuses a request that was answered, or is about to be, in another sign-in (row REQ-08).
func (p *IdP) replayed(ctx context.Context, f *flow) Page {
	p.logRefusal(ctx, f.v, f.in.EntityID, Why{Reason: ReasonReplayed})
	return Refusal{Provider: f.sp.name(), Reason: ReasonReplayed, Status: http.StatusBadRequest}
}

// begins is the record of a sign-in that was only started, to be stored with the session or the Response that it leads
// to. It is also the record against replays: of its request, and of the page whose form began it (row SP-07). It is nil
// for one that is stored, and for a launch that never left its own address, which a reload begins anew.
func (p *IdP) begins(f *flow) (*store.SignIn, error) {
	if f.in.ID != "" || f.id == "" {
		return nil, nil
	}
	in := f.in
	in.ID = f.id
	in.ExpiresAt = in.CreatedAt.Add(p.o.SignInLife + replayMargin)
	var err error
	in.Data, err = encode(f.data)
	return &in, err
}

// begin stores a sign-in that somebody with a session goes on with, and events. It returns the page to show instead,
// nil to go on.
func (p *IdP) begin(ctx context.Context, f *flow, events ...store.Event) (Page, error) {
	if err := p.identify(f); err != nil {
		return nil, err
	}
	in, err := p.begins(f)
	if err != nil {
		return nil, err
	}
	err = p.o.SignIns.Begin(ctx, *in, events...)
	switch {
	case errors.Is(err, store.ErrConflict): // row REQ-08
		return p.replayed(ctx, f), nil
	case err != nil:
		return nil, fmt.Errorf("store sign-in for %s: %w", f.in.EntityID, err)
	}
	f.in.ID, f.in.ExpiresAt, f.in.Data = in.ID, in.ExpiresAt, in.Data
	traceOf(ctx).about(f)
	return nil, nil
}

// because notes why the sign-in stands still, for Cancel.
func (f *flow) because(reason string) {
	if f.data.Reason != reason {
		f.data.Reason, f.sealed = reason, ""
	}
}

// handleID is the id in a handle.
func handleID(handle string) (id, text string, sealed bool) { return strings.Cut(handle, ".") }
