package partnerapi

import (
	"testing"
	"time"
)

// A caller that wakes late makes the next ones wait, so that no second has more calls than allowed.
func TestGate(t *testing.T) {
	g := newGate(4)
	start := time.Unix(1000, 0)
	var out []time.Time
	// Slots 255 ms apart; the third caller wakes 200 ms late.
	for i, late := range []int{0, 0, 200, 0, 0, 0, 0, 0} {
		ready := start.Add(time.Duration(i*255+late) * time.Millisecond)
		out = append(out, ready.Add(g.next(ready)))
	}
	for i := 4; i < len(out); i++ {
		if apart := out[i].Sub(out[i-4]); apart < time.Second {
			t.Errorf("calls %d and %d lie %v apart, want a second at least", i-4, i, apart)
		}
	}
	if delay := out[7].Sub(start.Add(7 * 255 * time.Millisecond)); delay > 200*time.Millisecond {
		t.Errorf("the last call is %v late, want no more than the late one was", delay)
	}
	if evenly := newGate(4); evenly.next(start) != 0 || evenly.next(start.Add(255*time.Millisecond)) != 0 {
		t.Error("calls in time have to wait")
	}
	var none *gate
	if none.next(start) != 0 {
		t.Error("without a rate somebody has to wait")
	}
}

// More calls at once than allowed, as from many workers: each waits its turn.
func TestGateBunch(t *testing.T) {
	g := newGate(2.5) // two calls in 0.8 s
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{0, 0, 800, 800, 1600} {
		if got := g.next(now); got != want*time.Millisecond {
			t.Errorf("call %d waits %v, want %v", i, got, want*time.Millisecond)
		}
	}
}
