package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// taken are the tries of a person and of the first block.
func taken(tb testing.TB, th *store.Throttle, person string, blocks []store.Block) (n [2]int) {
	tb.Helper()
	all, err := th.Counters(tb.Context(), person, blocks)
	must(tb, err)
	for _, c := range all {
		switch {
		case c.Kind == store.TryPerson:
			n[0] = c.Taken
		case c.Subject == blocks[0].Name:
			n[1] = c.Taken
		}
	}
	return n
}

// testThrottle: LDAP-10, ID-08. What is counted is counted before it is judged.
func testThrottle(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	var ahead atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	th := db.Throttle()
	block := []store.Block{{Name: "192.0.2.1", Limit: 1000}}
	try := func(person string, limit int) store.TakeTry {
		return store.TakeTry{Person: person, Limit: limit, Window: 15 * time.Minute, Blocks: block, BlockWindow: time.Hour,
			Pace: time.Second}
	}
	take := func(t *testing.T, k store.TakeTry, want store.TryOutcome) {
		t.Helper()
		if got, _, err := th.Take(ctx, k); err != nil || got != want {
			t.Errorf("a try of %s: %v, %v, want %v", k.Person, got, err, want)
		}
	}
	end := func(t *testing.T, person string, r store.TryResult) {
		t.Helper()
		must(t, th.Settle(ctx, store.EndedTry{Person: person, Blocks: block, Result: r}, event("end")))
	}
	counts := func(t *testing.T, person string, blocks []store.Block, want ...int) {
		t.Helper()
		if got := taken(t, th, person, blocks); !slices.Equal(got[:len(want)], want) {
			t.Errorf("%s: %v tries of the person and the address, want %v", person, got, want)
		}
	}

	t.Run("of many at once no more than the limit", func(t *testing.T) {
		var got [4]atomic.Int64
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				outcome, _, err := th.Take(ctx, try("crowd", 5))
				if err != nil {
					t.Error(err)
				}
				got[outcome].Add(1)
			})
		}
		wait.Wait()
		if n := got[store.TryTaken].Load(); n != 5 {
			t.Errorf("%d tries were taken, want 5", n)
		}
		if n := got[store.TryWait].Load(); n != 45 {
			t.Errorf("%d wait for those in flight, want 45", n)
		}
		for range 5 {
			end(t, "crowd", store.TryFailed)
		}
		take(t, try("crowd", 5), store.TrySpent)
		counts(t, "crowd", block, 5, 5)
		if n := events(t, db, "end"); n != 5 {
			t.Errorf("%d events, want 5", n)
		}
		take(t, try("crowd", 7), store.TryTaken) // a known browser has two more
		end(t, "crowd", store.TryFailed)
		take(t, try("nobody else", 5), store.TryTaken)
	})
	t.Run("what is given back", func(t *testing.T) {
		blocks := []store.Block{{Name: "192.0.2.2", Limit: 1000}}
		k := try("back", 3)
		k.Blocks = blocks
		for range 3 {
			take(t, k, store.TryTaken)
		}
		take(t, k, store.TryWait)
		settle := func(r store.TryResult) {
			must(t, th.Settle(ctx, store.EndedTry{Person: "back", Blocks: blocks, Result: r}))
		}
		settle(store.TryReturned)
		counts(t, "back", blocks, 2, 2)
		settle(store.TrySucceeded) // one is still in flight: its password may be wrong
		counts(t, "back", blocks, 1, 1)
		settle(store.TryFailed)
		counts(t, "back", blocks, 1, 1)
		settle(store.TryReturned) // once too often
		settle(store.TryReturned)
		settle(store.TryReturned)
		counts(t, "back", blocks, 0, 0)
		must(t, th.Settle(ctx, store.EndedTry{}))
	})
	t.Run("a program that died gives nothing back, and is waited for no longer than a while", func(t *testing.T) {
		take(t, try("died", 1), store.TryTaken)
		take(t, try("died", 1), store.TryWait)
		ahead.Add(int64(2 * time.Minute))
		take(t, try("died", 1), store.TrySpent)
	})
	t.Run("the window begins again with each try", func(t *testing.T) {
		for range 2 {
			take(t, try("window", 3), store.TryTaken)
			end(t, "window", store.TryFailed)
			ahead.Add(int64(14 * time.Minute))
		}
		take(t, try("window", 3), store.TryTaken)
		end(t, "window", store.TryFailed)
		take(t, try("window", 3), store.TrySpent)
		ahead.Add(int64(16 * time.Minute))
		counts(t, "window", block, 0)
		take(t, try("window", 3), store.TryTaken)
		counts(t, "window", block, 1)
		// One that was begun when the setting was longer is over as well.
		long := try("window", 1)
		long.Window = time.Minute
		take(t, long, store.TryTaken)
	})
	// Whoever comes late, or has a clock that is behind, counts on in the window of the others.
	t.Run("two clocks", func(t *testing.T) {
		behind := o
		behind.Now = func() time.Time { return o.Now().Add(-10 * time.Second) }
		late := open(t, behind).Throttle()
		for _, clock := range []*store.Throttle{th, late, th} {
			if got, _, err := clock.Take(ctx, try("late", 3)); err != nil || got != store.TryTaken {
				t.Errorf("%v, %v", got, err)
			}
		}
		if got, _, err := late.Take(ctx, try("late", 3)); err != nil || got != store.TryWait {
			t.Errorf("a fourth by the late clock: %v, %v", got, err)
		}
		if got := taken(t, late, "late", block); got[0] != 3 {
			t.Errorf("by the late clock: %d", got[0])
		}
	})
	t.Run("an address past its limit goes by turns", func(t *testing.T) {
		k := try("a", 100)
		k.Blocks = []store.Block{{Name: "2001:db8::/64", Limit: 2}, {Name: "2001:db8::/56", Limit: 8}}
		take(t, k, store.TryTaken)
		take(t, k, store.TryTaken)
		take(t, k, store.TrySlow)
		counts(t, "a", k.Blocks, 2, 2) // nothing was counted
		k.Turn = true
		take(t, k, store.TryTaken)
		got, at, err := th.Take(ctx, k)
		if wait := at.Sub(o.Now()); err != nil || got != store.TrySlow || wait <= 0 || wait > time.Second {
			t.Errorf("a second within the pace: %v, %v, next in %v", got, err, wait)
		}
		ahead.Add(int64(2 * time.Second))
		take(t, k, store.TryTaken)
		// The wider block has a limit of its own.
		other := k
		other.Turn, other.Blocks = false, []store.Block{{Name: "2001:db8:0:1::/64", Limit: 1000}, k.Blocks[1]}
		for range 4 {
			take(t, other, store.TryTaken)
		}
		take(t, other, store.TrySlow)
		take(t, try("a", 100), store.TryTaken) // another address
		ahead.Add(int64(2 * time.Hour))
		k.Turn = false
		take(t, k, store.TryTaken)
	})
	t.Run("purge", func(t *testing.T) {
		ahead.Add(int64(3 * time.Hour))
		if n, err := th.Purge(ctx); err != nil || n == 0 {
			t.Errorf("purged %d, %v", n, err)
		}
		counts(t, "window", block, 0, 0)
		take(t, try("kept", 3), store.TryTaken)
		if n, err := th.Purge(ctx); err != nil || n != 0 {
			t.Errorf("purged %d running windows, %v", n, err)
		}
	})
}

// testGuesses: ID-09. Of guesses that come together no more are looked at than there may be; a browser that proved a
// factor has a limit of its own, and its owner sees what others tried.
func testGuesses(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	th := db.Throttle()
	guess := func(browser string) store.Guess {
		return store.Guess{Person: "p", Browser: hash(browser), Limit: 5, Window: time.Minute}
	}
	left := func(t *testing.T, browser string, want bool) {
		t.Helper()
		if ok, err := th.TakeGuess(ctx, guess(browser)); err != nil || ok != want {
			t.Errorf("a guess in the browser %s: %t, %v, want %t", browser, ok, err, want)
		}
	}
	sessions := 0
	prove := func(t *testing.T, browser string) {
		t.Helper()
		sessions++
		must(t, db.Sessions().Create(ctx, store.Session{
			TokenHash: hash(fmt.Sprint("proved ", sessions)), Person: "p", Login: "p", EndsAt: time.Now().Add(time.Hour),
			Browser: hash(browser),
			Proof:   store.Proof{Person: "p", Browser: hash(browser)},
		}, nil))
	}
	var (
		wait   sync.WaitGroup
		looked atomic.Int64
	)
	for range 20 {
		wait.Go(func() {
			ok, err := th.TakeGuess(ctx, guess("anywhere"))
			if err != nil {
				t.Error(err)
			}
			if ok {
				looked.Add(1)
			}
		})
	}
	wait.Wait()
	if looked.Load() != 5 {
		t.Errorf("%d guesses were looked at, want 5", looked.Load())
	}
	left(t, "home", false) // not known yet
	// as if the proof had come before: the guesses of all browsers without a limit of their own are given back
	prove(t, "home")
	left(t, "anywhere", true)
	for range 4 {
		left(t, "anywhere", true)
	}
	left(t, "anywhere", false)
	left(t, "another", false)
	for range 5 {
		left(t, "home", true)
	}
	left(t, "home", false)
	prove(t, "home")
	left(t, "home", true)
	left(t, "anywhere", false) // the owner's success gives nothing to others

	for range 3 {
		must(t, th.WrongCode(ctx, "p", hash("anywhere"), event("wrong")))
	}
	must(t, th.WrongCode(ctx, "p", hash("another"), event("wrong")))
	must(t, th.WrongCode(ctx, "p", hash("home"), event("wrong")))
	must(t, th.WrongCode(ctx, "q", hash("home"), event("wrong")))
	if w, err := th.WrongCodes(ctx, "p", hash("home")); err != nil || w.Count != 4 || w.Last.IsZero() {
		t.Errorf("got %+v, %v, want the four of other browsers", w, err)
	}
	if n := events(t, db, "wrong"); n != 6 {
		t.Errorf("%d events, want 6", n)
	}
	prove(t, "home")
	if w, err := th.WrongCodes(ctx, "p", hash("home")); err != nil || w.Count != 0 || !w.Last.IsZero() {
		t.Errorf("after the proof: %+v, %v", w, err)
	}
	if w, err := th.WrongCodes(ctx, "q", hash("elsewhere")); err != nil || w.Count != 1 {
		t.Errorf("another person's: %+v, %v", w, err)
	}

	// All factors of the person are reset: nothing of what was counted for them is left, and no browser is known by them.
	must(t, th.WrongCode(ctx, "p", hash("anywhere"), event("wrong")))
	for range 5 {
		_, err := th.TakeGuess(ctx, guess("home"))
		must(t, err)
	}
	left(t, "home", false)
	_, err := db.SecondFactors().RemoveAll(ctx, "p")
	must(t, err)
	if w, err := th.WrongCodes(ctx, "p", hash("home")); err != nil || w.Count != 0 {
		t.Errorf("after the reset: %+v, %v", w, err)
	}
	for range 5 {
		left(t, "home", true)
	}
	left(t, "home", false)
	left(t, "anywhere", false) // they share one limit again
	if w, err := th.WrongCodes(ctx, "q", hash("elsewhere")); err != nil || w.Count != 1 {
		t.Errorf("another person's after the reset: %+v, %v", w, err)
	}
}
