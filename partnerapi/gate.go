package partnerapi

import (
	"sync"
	"time"
)

// gate keeps the calls of this process apart a last time before they go out. The budget spaces slots, yet a busy machine may wake the
// caller of one slot late and that of the next in time, and then the two come too close to each other. Here nobody is let through until as
// many calls as a second allows lie a full second back. It takes no slot and loses none: who is late makes the next ones a little later.
type gate struct {
	mu   sync.Mutex
	span time.Duration
	last []time.Time // when calls went out or will, a ring
	at   int
}

// newGate returns one for so many calls a second; nil for 0, which lets everybody through.
func newGate(perSecond float64) *gate {
	if perSecond <= 0 {
		return nil
	}
	calls := max(1, int(perSecond))
	return &gate{span: time.Duration(float64(calls) / perSecond * float64(time.Second)), last: make([]time.Time, calls)}
}

// next is how long a call that is ready now has to wait; it counts as gone out then.
func (g *gate) next(now time.Time) time.Duration {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	goes := now
	if free := g.last[g.at].Add(g.span); free.After(goes) {
		goes = free
	}
	g.last[g.at] = goes
	g.at = (g.at + 1) % len(g.last)
	return goes.Sub(now)
}
