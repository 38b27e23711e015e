package partnerapi

import (
	"context"
	"time"
)

// gate keeps the calls of this process apart a last time, directly before they go out. The budget spaces slots, yet a
// busy machine may wake the caller of one slot late and that of the next in time, and who waits for a token waits past
// its slot; then calls come too close to each other. Here nobody is let through until as many calls as a second allows
// lie a full second back. It takes no slot and loses none: who is late makes the next ones a little later.
type gate struct {
	line chan struct{} // who holds it is the next; the others come in their order
	span time.Duration
	last []time.Time // when calls went out, a ring
	at   int
}

// newGate returns one for so many calls a second; nil for 0, which lets everybody through.
func newGate(perSecond float64) *gate {
	if perSecond <= 0 {
		return nil
	}
	calls := max(1, int(perSecond))
	return &gate{
		line: make(chan struct{}, 1),
		span: time.Duration(float64(calls) / perSecond * float64(time.Second)), last: make([]time.Time, calls),
	}
}

// pass waits until a call may go out, or until ctx ends.
func (g *gate) pass(ctx context.Context) {
	if g == nil {
		return
	}
	select {
	case g.line <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-g.line }()
	// Asked again after each wait: who was woken late is counted at the time at which it really goes.
	for ctx.Err() == nil {
		wait := g.next(time.Now())
		if wait == 0 {
			return
		}
		pause(ctx, wait)
	}
}

// next is how long a call that is ready now has to wait. 0: it goes now, and is counted. The caller holds line.
func (g *gate) next(now time.Time) time.Duration {
	if wait := g.last[g.at].Add(g.span).Sub(now); wait > 0 {
		return wait
	}
	g.last[g.at] = now
	g.at = (g.at + 1) % len(g.last)
	return 0
}
