package partnerapi

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// through is when a call goes out that is ready then, and is woken late after each wait.
func through(g *gate, ready time.Time, late time.Duration) time.Time {
	for {
		wait := g.next(ready)
		if wait == 0 {
			return ready
		}
		ready = ready.Add(wait + late)
	}
}

// API-02: a caller that wakes late makes the next ones wait, so that no second has more calls than allowed.
func TestGate(t *testing.T) {
	g := newGate(4)
	start := time.Unix(1000, 0)
	var out []time.Time
	// Slots 255 ms apart; the third caller wakes 200 ms late.
	for i, late := range []int{0, 0, 200, 0, 0, 0, 0, 0} {
		ready := start.Add(time.Duration(i*255+late) * time.Millisecond)
		out = append(out, through(g, ready, 0))
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
	none.pass(t.Context()) // without a rate nobody has to wait
}

// More calls at once than allowed, as from many workers: each waits its turn.
func TestGateBunch(t *testing.T) {
	g := newGate(2.5) // two calls in 0.8 s
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{0, 0, 800, 800, 1600} {
		if got := through(g, now, 0).Sub(now); got != want*time.Millisecond {
			t.Errorf("call %d waits %v, want %v", i, got, want*time.Millisecond)
		}
	}
}

// Who is woken late from the wait of the gate itself counts at the time at which the call goes out.
func TestGateWokenLate(t *testing.T) {
	g := newGate(4)
	start := time.Unix(1000, 0)
	var out []time.Time
	for i := range 24 {
		late := time.Duration(0)
		if i%5 == 4 {
			late = 700 * time.Millisecond
		}
		ready := start
		if i > 0 {
			ready = out[i-1] // all were ready at once, and come in their order
		}
		out = append(out, through(g, ready, late))
	}
	for i := 4; i < len(out); i++ {
		if apart := out[i].Sub(out[i-4]); apart < time.Second {
			t.Errorf("calls %d and %d lie %v apart, want a second at least", i-4, i, apart)
		}
	}
}

// Many at once, in real time: none is lost, and one whose time is over leaves the line to the others.
func TestGateLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4)
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex
			out []time.Time
		)
		for i := range 12 {
			wg.Go(func() {
				ctx := t.Context()
				if i%4 == 3 {
					limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
					defer cancel()
					ctx = limited
				}
				g.pass(ctx)
				if ctx.Err() == nil {
					mu.Lock()
					out = append(out, time.Now())
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(out) < 9 {
			t.Fatalf("%d calls went out, want those 9 at least that have time", len(out))
		}
		for i := 4; i < len(out); i++ {
			if apart := out[i].Sub(out[i-4]); apart < time.Second {
				t.Errorf("calls %d and %d lie %v apart, want a second at least", i-4, i, apart)
			}
		}
	})
}
