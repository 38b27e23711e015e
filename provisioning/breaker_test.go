package provisioning_test

import (
	"fmt"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

func (w *world) breaker() store.BreakerState {
	w.tb.Helper()
	state, err := w.db.Breaker().State(w.tb.Context())
	if err != nil {
		w.tb.Fatal(err)
	}
	return state
}

// Refused credentials stop all calls at once, on all replicas; one call at a time finds out, and when it works the rest
// goes on.
func TestBreakerForCredentials(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
	w.mapGroup(group("sales"), harbour)
	for i := range 10 {
		w.want(fmt.Sprintf("p%d", i), store.SignInPriority)
	}
	right := w.Service
	wrong := w.sandbox.TokenOptions()
	wrong.ClientSecret = "wrong"
	w.Service = w.another(wrong)
	stop := w.run()
	w.until("the breaker is open", func() bool { return w.breaker().Cause == "credentials" })
	if got := len(w.events("breaker-open")); got != 1 {
		t.Errorf("audit: got %d openings, want 1", got)
	}
	// A person who comes is told why; those who come and poll do not make calls.
	w.until("people are told", func() bool {
		return w.decide(person("jane", group("sales")), justLook).Progress.Cause == provisioning.CauseCredentials
	})
	for range 50 {
		d := w.decide(person("jane", group("sales")), justLook)
		if d.Outcome != provisioning.Wait || d.Progress.Cause != provisioning.CauseCredentials ||
			!d.Progress.NextTry.After(w.now()) {
			t.Fatalf("while open: got %s %+v, want to wait for the credentials", d.Outcome, d.Progress)
		}
	}
	tried := 0
	for i := range 10 {
		tried += w.row(fmt.Sprintf("p%d", i), harbour).Attempts
	}
	if tried != 1 || w.row("jane", harbour).Attempts != 0 {
		t.Errorf("attempts: got %d and %d, want 1 and none", tried, w.row("jane", harbour).Attempts)
	}
	// The call that finds out fails too: it stays open, twice as long.
	w.advance(6 * time.Second)
	w.until("it has opened again", func() bool { return w.breaker().Trips == 2 })
	stop()
	w.Service = right
	w.run()
	if got := len(w.posts()); got != 0 {
		t.Errorf("calls with wrong credentials: got %d", got)
	}
	w.advance(11 * time.Second)
	w.until("it is closed", func() bool { return w.breaker().Cause == "" })
	w.advance(10 * time.Second)
	w.until("all are there", func() bool { return w.count(store.Active) == 11 })
	if got := len(w.events("breaker-close")); got != 1 {
		t.Errorf("audit: got %d closings, want 1", got)
	}
}

// An outage stops calls after five failures of at least three people. Rows keep their attempts, and are all due soon
// after it.
func TestBreakerForOutage(t *testing.T) {
	for _, c := range []struct {
		name      string
		fail, fix func(*world)
	}{
		{"no connection", func(w *world) { w.offline.Store(true) }, func(w *world) { w.offline.Store(false) }},
		{"500 for everybody", func(w *world) {
			w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore,
				Path: usersPath})
		}, func(w *world) { w.sandbox.ClearFaults() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
			w.mapGroup(group("sales"), harbour)
			for i := range 20 {
				w.want(fmt.Sprintf("p%02d", i), store.SignInPriority)
			}
			c.fail(w)
			w.run()
			w.until("the breaker is open", func() bool { return w.breaker().Cause == "outage" })
			attempts := func() (n int) {
				for i := range 20 {
					n += w.row(fmt.Sprintf("p%02d", i), harbour).Attempts
				}
				return n
			}
			if got := attempts(); got != 5 {
				t.Errorf("attempts before it opened: got %d, want 5", got)
			}
			w.until("people are told", func() bool {
				p := w.decide(person("p19", group("sales")), justLook).Progress
				return p.Cause == provisioning.CauseUnreachable && p.NextTry.After(w.now())
			})
			// For hours, one call at a time: five seconds, ten, … five minutes.
			for trips := 2; trips <= 9; trips++ {
				w.advance(max(0, w.breaker().Until.Sub(w.now())) + time.Second)
				w.until("one has found out", func() bool { return w.breaker().Trips == trips })
			}
			if got := attempts(); got != 13 {
				t.Errorf("attempts after eight tries to find out: got %d, want 13", got)
			}
			for i := range 20 {
				row := w.row(fmt.Sprintf("p%02d", i), harbour)
				if back := row.NextAttempt.Sub(w.now()); back > 61*time.Second {
					t.Errorf("%s is backed off for %s, want at most a minute", row.Person, back)
				}
			}
			c.fix(w)
			w.advance(max(0, w.breaker().Until.Sub(w.now())) + time.Second)
			w.until("it is closed", func() bool { return w.breaker().Cause == "" })
			w.advance(61 * time.Second)
			w.until("all are there", func() bool { return w.count(store.Active)+w.count(store.Assumed) == 20 })
			if got := len(w.sandbox.Created()); got != 20 {
				t.Errorf("users at Constant Contact: got %d, want 20", got)
			}
		})
	}
}

// Rows that fail often because of an outage are not taken for rows at fault: when it is over they are due within a
// minute.
func TestLongOutageBacksNobodyOff(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
	people := []string{"a", "b", "c"}
	for _, p := range people {
		w.want(p, store.SignInPriority)
	}
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Path: usersPath})
	w.run()
	most := func() (n int) {
		for _, p := range people {
			n = max(n, w.row(p, harbour).Attempts)
		}
		return n
	}
	for trips := 1; most() < 13; trips++ {
		w.until("it has opened once more", func() bool {
			if w.breaker().Trips == 0 {
				w.advance(100 * time.Millisecond) // to the five failures
			}
			return w.breaker().Trips >= trips
		})
		for _, p := range people {
			row := w.row(p, harbour)
			if back := row.NextAttempt.Sub(w.now()); back > 61*time.Second {
				t.Fatalf("after %d attempts %s is backed off for %s, want at most a minute", row.Attempts, p, back)
			}
		}
		w.advance(5*time.Minute + time.Second)
	}
	w.sandbox.ClearFaults()
	w.until("all are there", func() bool {
		w.advance(5 * time.Second) // a probe that was under way has opened it once more
		return w.count(store.Active) == 3
	})
}

// Three people whose data make Constant Contact fail do not stop the other 97, who are created at the full rate; nor,
// later, anybody who comes while only those three are tried.
func TestBadUsersStopNobody(t *testing.T) {
	const perSecond = 50
	w := newWorld(t, settings{budget: store.BudgetLimits{PerSecond: perSecond, PerDay: 10_000, Reserve: 0.2}})
	w.mapGroup(group("sales"), harbour)
	w.fails("p010", "p011", "p012")
	for i := range 100 {
		w.want(fmt.Sprintf("p%03d", i), store.SignInPriority)
	}
	began := time.Now()
	w.run()
	w.until("the others are there", func() bool { return w.count(store.Active) == 97 })
	// The calls at 50 a second less its margin, and some time for a busy test machine; to open the breaker once would cost
	// 5 s more.
	calls := 97 + w.failed("p010") + w.failed("p011") + w.failed("p012")
	if took, most := time.Since(began), time.Duration(float64(calls)/perSecond*float64(time.Second))+
		3*time.Second; took > most {
		t.Errorf("97 of 100 took %s, want at most %s", took, most)
	}
	if got := len(w.events("breaker-open")); got != 0 {
		t.Errorf("the breaker opened %d times, want never", got)
	}
	for attempt := 2; attempt <= 14; attempt++ {
		w.advance(61 * time.Minute)
		w.until("the three were tried again", func() bool {
			return w.failed("p010") >= attempt && w.failed("p011") >= attempt && w.failed("p012") >= attempt &&
				w.count(store.Unknown) == 3
		})
		if got := w.breaker(); got.Cause != "" {
			t.Fatalf("the breaker is open after attempt %d of the three: %+v", attempt, got)
		}
	}
	row := w.row("p010", harbour)
	if back := row.NextAttempt.Sub(row.UpdatedAt).Round(time.Second); back != time.Hour {
		t.Errorf("after %d attempts it waits %s, want an hour", row.Attempts, back)
	}
	expect(t, w.decide(person("new", group("sales"))), provisioning.Granted, "")
}

// The pauses of a row at fault: up to a minute, then five, then an hour, so that it does not eat the day.
func TestBackOffOfABadUser(t *testing.T) {
	w := newWorld(t, settings{})
	w.want("bad", store.SignInPriority)
	w.fails("bad")
	w.run()
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 300, 300, 300, 300, 3600, 3600}
	for i, seconds := range want {
		w.until("it has failed", func() bool {
			r := w.row("bad", harbour)
			return r.Attempts == i+1 &&
				r.State == store.Unknown
		})
		row := w.row("bad", harbour)
		if got := row.NextAttempt.Sub(row.UpdatedAt).Round(time.Second); got != seconds*time.Second {
			t.Errorf("pause after attempt %d: got %s, want %s", i+1, got, seconds*time.Second)
		}
		w.advance(seconds*time.Second + time.Second)
	}
}
