package admin

import (
	"context"
	"fmt"
	"time"

	"ssobridge/store"
)

// Clock is what can be done where the clock is in doubt: nothing is deleted for its age then. It serves all client
// accounts, so that everything here takes a scope of all.
type Clock struct {
	Store *store.DB
	Now   func() time.Time
	Look  func(ctx context.Context) (*ClockDoubt, error) // nil: the clock is believed
}

// ClockDoubt is why the clock is not believed.
type ClockDoubt struct {
	What   string // in a sentence without its full stop
	Hint   string
	Jumped bool // an administrator can say that it is as late as that
}

// Doubt says why the clock is not believed; nil: it is.
func (c Clock) Doubt(ctx context.Context, s Scope) (*ClockDoubt, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	return c.Look(ctx)
}

// Accept says that it is as late as the clock says: retention goes on from that time, which it returns. A clock that is
// believed has nothing to accept, and one that differs from the database's can't be accepted. e starts the audit event.
func (c Clock) Accept(ctx context.Context, s Scope, e store.Event) (time.Time, error) {
	doubt, err := c.Doubt(ctx, s)
	switch {
	case err != nil:
		return time.Time{}, err
	case doubt == nil:
		return time.Time{}, &Error{Kind: Changed, Fault: "the clock is believed: there is nothing to accept"}
	case !doubt.Jumped:
		return time.Time{}, &Error{Fault: doubt.What, Hint: doubt.Hint}
	}
	now := c.Now()
	e.Action, e.Subject = "clock-accept", "retention"
	e.Detail = store.DetailOf(map[string]any{"time": now.UTC()})
	if err := c.Store.Clock().Accept(ctx, now, e); err != nil {
		return time.Time{}, fmt.Errorf("accept the clock: %w", err)
	}
	return now, nil
}
