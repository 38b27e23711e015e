package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ssobridge/internal/plaintext"
)

const (
	// clockJump is how far the clock may be apart from when it was last looked, and how far it may jump in all while a
	// program runs. Nothing that is kept for less is worth a question to an administrator after a longer stop.
	clockJump = 30 * 24 * time.Hour
	// clockApart is how far the clocks of this replica and of the database may be apart.
	clockApart = time.Hour
	// clockNoted is how often the time is noted.
	clockNoted = time.Hour
)

// ClockFault says why nothing is deleted for its age.
type ClockFault struct {
	What string
	Fix  string
	// jumped: an administrator can say that it is as late as that.
	Jumped bool
}

func (f *ClockFault) Error() string { return f.What }

// clockWatch compares the clock with the time that passes while this process runs.
type clockWatch struct {
	steady func() time.Duration // nil: the monotonic clock, which nobody sets

	mu       sync.Mutex
	began    time.Time // by the clock; zero: not yet
	at       time.Duration
	start    time.Time // has a monotonic reading
	accepted time.Time // what an administrator had last said when it began
}

// expected is how late it should be: the time when the watch began, or when an administrator last accepted one, and
// what has passed since. Each look alone sees a step, and many small ones erase as much as a large one.
func (w *clockWatch) expected(now, accepted time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.start.IsZero() {
		w.start = time.Now()
	}
	passed := time.Since(w.start)
	if w.steady != nil {
		passed = w.steady()
	}
	now = now.Round(0) // without its monotonic reading: only what the clock says counts
	if w.began.IsZero() || !w.accepted.Equal(accepted) {
		w.began, w.at, w.accepted = now, passed, accepted
	}
	return w.began.Add(passed - w.at)
}

// BelieveClock returns a *ClockFault where this replica's clock is not to be trusted with deleting what is old: audit
// events, traces, sessions and records of replays would all be gone after a jump of years, and an attacker who can move
// the clock could erase the audit. It notes the time where it is.
func (p *App) BelieveClock(ctx context.Context) error {
	c, err := p.Store.Clock().Read(ctx)
	if err != nil {
		return err
	}
	now := p.Now()
	const fix = "set the clock if it is wrong. If it is right, since nothing ran in between or an old backup was " +
		"restored: ssobridge clock accept. " +
		"Nothing is deleted for its age until then"
	switch {
	case now.Sub(c.Database).Abs() > clockApart:
		return &ClockFault{
			What: fmt.Sprintf("this computer's clock says %s, the database's %s", plaintext.Minute(now),
				plaintext.Minute(c.Database)),
			Fix: "set both clocks, for instance by NTP; nothing is deleted for its age meanwhile",
		}
	case !c.Seen.IsZero() && now.Sub(c.Seen).Abs() > clockJump: // back as well: noted, it would make the right time a jump
		return &ClockFault{What: fmt.Sprintf("the clock says %s, and it was %s when it was last looked",
			plaintext.Minute(now), plaintext.Minute(c.Seen)), Fix: fix, Jumped: true}
	}
	// A time that is in doubt begins no watch: it may yet be put right.
	switch expected := p.clock.expected(now, c.Accepted); {
	case now.Sub(expected).Abs() > clockJump:
		// Noted as it should be, it is a jump to every program, also to the one that accepts it and to this one after a
		// restart.
		if err := p.Store.Clock().Note(ctx, expected); err != nil {
			return err
		}
		return &ClockFault{
			What: fmt.Sprintf("the clock says %s, and by the time that has passed while this program ran it should be %s",
				plaintext.Minute(now), plaintext.Minute(expected)),
			Fix: fix, Jumped: true,
		}
	case c.Seen.IsZero(), now.Sub(c.Seen).Abs() >= clockNoted:
		return p.Store.Clock().Note(ctx, now) // back as well: a clock that was ahead for less than the bound is put right
	}
	return nil
}

// mayDelete tells whether what is old may be deleted now. It logs why not, once an hour.
func (p *App) mayDelete(ctx context.Context) bool {
	err := p.BelieveClock(ctx)
	var fault *ClockFault
	switch {
	case err == nil:
		if !p.clockDoubted.IsZero() {
			p.log.Info("the clock is believed again: what is older than it is kept for is deleted")
		}
		p.clockDoubted = time.Time{}
		return true
	case ctx.Err() != nil:
		return false
	case !errors.As(err, &fault):
		p.log.Warn("nothing was deleted for its age: the time last noted can't be read; tried again in a minute", "error",
			err)
		return false
	}
	// By the monotonic clock: the other one is in doubt.
	if p.clockDoubted.IsZero() || time.Since(p.clockDoubted) >= time.Hour {
		p.log.Error("NOTHING IS DELETED FOR ITS AGE: THE CLOCK MAY BE WRONG", "cause", fault.What, "hint", fault.Fix)
		p.clockDoubted = time.Now()
	}
	return false
}
