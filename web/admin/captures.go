package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// maxCapture is for how long a person's assertions can be captured.
const maxCapture = time.Hour

// Captures is what can be done with the capture of people's assertions: to look at what a service provider got. They
// are sealed, and kept for a day. People are not of one client account, so that everything here takes a scope of all.
type Captures struct {
	Store *store.DB
	IdP   *idp.IdP
}

// Begin captures the assertions of a person for a while, at most an hour, and returns until when. e starts the event
// that it leaves.
func (a Captures) Begin(ctx context.Context, s Scope, person store.PersonID, life time.Duration,
	e store.Event) (time.Time, error) {
	if err := s.whole(); err != nil {
		return time.Time{}, err
	}
	if life <= 0 || life > maxCapture {
		return time.Time{}, &Error{Field: "for", Fault: fmt.Sprintf("%s is out of range", life), Hint: "write at most 1h"}
	}
	until, err := a.IdP.CaptureFor(ctx, person, life, e)
	return until, refusal(err)
}

// End ends a capture. What was captured stays for its day.
func (a Captures) End(ctx context.Context, s Scope, person store.PersonID, e store.Event) error {
	if err := s.whole(); err != nil {
		return err
	}
	return refusal(a.IdP.EndCapture(ctx, person, e))
}

// List lists whose assertions are captured now.
func (a Captures) List(ctx context.Context, s Scope) ([]store.Capture, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	all, err := a.Store.Captures().Running(ctx)
	if err != nil {
		return nil, fmt.Errorf("list whose assertions are captured: %w", err)
	}
	return all, nil
}

// Has tells whether assertions were captured under a reference.
func (a Captures) Has(ctx context.Context, s Scope, ref string) (bool, error) {
	if err := s.whole(); err != nil {
		return false, err
	}
	has, err := a.Store.Captures().Has(ctx, ref)
	if err != nil {
		return false, fmt.Errorf("look for what was captured under %.40q: %w", ref, err)
	}
	return has, nil
}

// Read opens what was captured under a reference, without signatures as long as they could be used. e starts the event
// that each look leaves.
func (a Captures) Read(ctx context.Context, s Scope, ref string, e store.Event) ([]idp.CapturedAssertion, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	all, err := a.IdP.CapturedAssertions(ctx, ref, e)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &Error{Kind: Missing, Field: "ref", Act: CaptureAssertions, Err: err,
			Fault: "nothing was captured under the reference " + plaintext.Quote(ref),
			Hint:  "what is captured is kept for a day"}
	}
	return all, refusal(err)
}
