package idp

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestID13Line: the tries of one address go one at a time, one a second, those first whom nobody has failed for; what
// waits is bounded, and another address waits for none of it.
func TestID13Line(t *testing.T) {
	t.Run("order and pace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newTurns()
			began := time.Now()
			var mu sync.Mutex
			var order []int
			var at []time.Duration
			run := func(class int) {
				done, err := q.take(t.Context(), "a", class)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order, at = append(order, class), append(at, time.Since(began))
				mu.Unlock()
				time.Sleep(300 * time.Millisecond)
				done()
			}
			go run(turnOthers)
			synctest.Wait()
			for _, class := range []int{turnOthers, turnFirst, turnOthers, turnKnown, turnFirst} {
				go run(class)
				synctest.Wait()
			}
			if _, err := q.take(t.Context(), "b", turnOthers); err != nil || time.Since(began) != 0 {
				t.Errorf("another address: %v after %v", err, time.Since(began))
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if want := []int{turnOthers, turnKnown, turnFirst, turnFirst, turnOthers, turnOthers}; !slices.Equal(order, want) {
				t.Errorf("order %v, want %v", order, want)
			}
			for i, d := range at {
				if d != time.Duration(i)*turnPace {
					t.Errorf("turn %d came after %v", i, d)
				}
			}
			if len(q.lines) != 1 || q.waiting != 0 { // b's, whose turn was never ended
				t.Errorf("%d lines and %d waiting are left", len(q.lines), q.waiting)
			}
		})
	})
	t.Run("bounds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newTurns()
			done, err := q.take(t.Context(), "a", turnOthers)
			if err != nil {
				t.Fatal(err)
			}
			refused, in := 0, 0
			var mu sync.Mutex // goroutines of one turn count at the same time; they are looked at after synctest.Wait
			wait := func(ctx context.Context, class int) {
				done, err := q.take(ctx, "a", class)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, errNoTurn):
					refused++
				case err == nil:
					in++
					done()
				}
			}
			gone, cancel := context.WithCancel(t.Context())
			for range turnsInLine {
				go wait(gone, turnOthers)
			}
			synctest.Wait()
			go wait(t.Context(), turnOthers)
			synctest.Wait()
			if refused != 1 {
				t.Errorf("%d refused past the bound, want 1", refused)
			}
			go wait(t.Context(), turnKnown) // takes the place of another one
			synctest.Wait()
			if refused != 2 || q.waiting != turnsInLine {
				t.Errorf("%d refused and %d waiting, want 2 and %d", refused, q.waiting, turnsInLine)
			}
			cancel()
			synctest.Wait()
			if q.waiting != 1 {
				t.Errorf("%d wait after the others gave up, want 1", q.waiting)
			}
			done()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if in != 1 || len(q.lines) != 0 {
				t.Errorf("%d are in, %d lines left; want 1 and none", in, len(q.lines))
			}
		})
	})
}

// TestID08Pace: when refused logins are answered. Of known ones a twentieth takes longer than the least drawn time, so
// the best single threshold on one answer tells them from unknown ones little better than a coin does.
func TestID08Pace(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	p := newPace(0, random)
	draw := func() time.Duration {
		d, err := p.draw()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for range 1000 {
		if d := draw(); d < defaultLoginFloor || d > defaultLoginFloor*5/4 {
			t.Fatalf("drew %v without any sample", d)
		}
	}
	for i := range paceSamples {
		p.record(time.Duration(i) * time.Millisecond)
	}
	if d := draw(); d < defaultLoginFloor {
		t.Errorf("drew %v, below the floor", d)
	}
	for range paceSamples {
		p.record(time.Hour)
	}
	if d := draw(); d < maxPace || d > maxPace*5/4 {
		t.Errorf("a slow directory: drew %v, want a bounded time", d)
	}
	source := rand.New(random)
	took := func() time.Duration { // what a known login takes: long tailed
		return time.Duration((400 + 100*source.ExpFloat64()) * float64(time.Millisecond))
	}
	for range paceSamples {
		p.record(took())
	}
	var known, unknown []time.Duration
	for range 4000 {
		d := draw()
		was := took()
		p.record(was)
		known, unknown = append(known, max(was, d)), append(unknown, draw())
	}
	if best := classify(known, unknown); best > 0.55 {
		t.Errorf("one answer tells known from unknown in %.1f %% of cases, want at most 55 %%", 100*best)
	}
	if _, err := newPace(0, bytes.NewReader(nil)).draw(); err == nil {
		t.Error("no error without randomness")
	}
}

// classify is the share that the best single threshold gets right, whichever side it takes for known.
func classify(known, unknown []time.Duration) float64 {
	type sample struct {
		d     time.Duration
		known bool
	}
	var all []sample
	for _, d := range known {
		all = append(all, sample{d, true})
	}
	for _, d := range unknown {
		all = append(all, sample{d, false})
	}
	slices.SortFunc(all, func(a, b sample) int { return int(a.d - b.d) })
	best, right := 0.5, len(known) // all are taken for known
	for _, s := range all {
		if s.known {
			right--
		} else {
			right++
		}
		share := float64(right) / float64(len(all))
		best = max(best, share, 1-share)
	}
	return best
}
