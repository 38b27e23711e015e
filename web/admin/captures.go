package admin

import (
	"context"
	"fmt"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// maxCapture is for how long a person's assertions can be captured.
const maxCapture = time.Hour

// Captures is what can be done with the capture of people's assertions: to look at what a service provider got. They
// are sealed, and kept for a day. People are not of one client account, so that everything here takes a scope of all.
type Captures struct {
	IdP *idp.IdP
}

// Begin captures the assertions of a person for a while, at most an hour, and returns until when. e starts the event
// that it leaves.
func (a Captures) Begin(ctx context.Context, s Scope, person store.PersonID, life time.Duration,
	e store.Event) (time.Time, error) {
	if err := s.whole(); err != nil {
		return time.Time{}, err
	}
	if life <= 0 || life > maxCapture {
		return time.Time{}, &Error{Field: "for", Fault: fmt.Sprintf("%s is out of range", life), Hint: "take at most an hour"}
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
