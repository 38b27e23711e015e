package provisioning_test

import (
	"fmt"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// settledAt waits until a row has so many attempts and none is under way.
func (w *world) settledAt(id string, attempts int) store.SSOUser {
	w.tb.Helper()
	w.until(fmt.Sprintf("%s has %d attempts", id, attempts), func() bool {
		r := w.row(id, harbour)
		return r.Attempts == attempts && r.State != store.Sending
	})
	return w.row(id, harbour)
}

// API-03: a claim that died with its process says nothing about Constant Contact, however often it happened: one
// failure after it has the shortest pause.
func TestAPI03DeadClaimsDoNotBackOff(t *testing.T) {
	w := newWorld(t, settings{})
	w.want("jane", store.PlanPriority)
	for range 20 {
		if _, err := w.db.Ledger().Claim(t.Context(), -time.Second, store.PlanPriority); err != nil {
			t.Fatal(err)
		}
	}
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultFailAfter, Path: usersPath, Times: 1})
	w.run()
	row := w.settledAt("jane", 21)
	if pause := row.NextAttempt.Sub(row.UpdatedAt).Round(100 * time.Millisecond); pause != time.Second ||
		row.State != store.Unknown {
		t.Errorf("after 20 claims that died and one failure: %s, pause %s, want unknown and 1s", row.State, pause)
	}
	w.advance(2 * time.Second)
	w.untilState("jane", harbour, store.Assumed)
}

// API-03: nor do calls that we cut short ourselves to stop, nor answers that concern everybody: the rate, the day, the
// credentials.
func TestAPI03OnlyFailuresBackOff(t *testing.T) {
	for name, passing := range map[string]sandbox.FaultKind{"stopped": sandbox.FaultActAndHang,
		"throttled": sandbox.FaultThrottle} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, settings{service: provisioning.Options{Drain: 50 * time.Millisecond}})
			w.want("jane", store.SignInPriority)
			w.sandbox.Fault(sandbox.Fault{Kind: passing, Path: usersPath})
			const times = 14
			stop := w.run()
			for n := 1; n <= times; n++ {
				if name == "stopped" {
					w.until("the call has arrived", func() bool { return len(w.posts()) == n })
					stop()
				}
				if row := w.settledAt("jane", n); row.Failures != 0 {
					t.Fatalf("after %d attempts: %d failures, want none", n, row.Failures)
				}
				if n == times {
					w.sandbox.ClearFaults()
					w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Path: usersPath, Times: 1})
				}
				w.advance(70 * time.Second) // a row that is throttled again and again waits up to a minute
				if name == "stopped" {
					stop = w.run()
				}
			}
			row := w.settledAt("jane", times+1)
			if pause := row.NextAttempt.Sub(row.UpdatedAt).Round(100 * time.Millisecond); pause != time.Second ||
				row.Failures != 1 {
				t.Errorf("the first failure: pause %s, %d failures, want 1s and 1", pause, row.Failures)
			}
		})
	}
}

// A person who comes does not wait for the back-off of a row that nobody waited for.
func TestComingBringsTheTimeForward(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.fails("jane")
	w.want("jane", store.PlanPriority)
	w.run()
	for n := 1; n <= 13; n++ {
		w.settledAt("jane", n)
		if n < 13 {
			w.advance(time.Hour + time.Second)
		}
	}
	w.bad.Delete("jane")
	w.advance(6 * time.Minute) // of the hour
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Granted, "")
	if got := w.row("jane", harbour).Attempts; got != 14 {
		t.Errorf("attempts: got %d, want 14", got)
	}
}

// Who waits at the page, which asks every second, or starts again and again, does not use up the calls of the day.
func TestWaitingMakesFewCalls(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.fails("jane")
	jane := person("jane", group("sales"))
	w.run()
	poll := func(seconds int) {
		for range seconds {
			d := w.decide(jane, justLook)
			if d.Outcome != provisioning.Wait {
				t.Fatalf("got %s, want to wait", d.Outcome)
			}
			w.until("no attempt is due or under way", func() bool {
				r := w.row("jane", harbour)
				return r.State == store.Unknown && r.NextAttempt.After(w.now())
			})
			w.advance(time.Second)
		}
	}
	// 1, 2, 4, 8, 10, 10 and 10 seconds apart, from then a minute.
	poll(100)
	if got := w.failed("jane"); got < 8 || got > 9 {
		t.Errorf("calls in the first 100 seconds: got %d, want 8 or 9", got)
	}
	for w.failed("jane") < 12 {
		poll(10)
	}
	// From the twelfth on five minutes.
	before := w.failed("jane")
	poll(900)
	if got := w.failed("jane") - before; got < 2 || got > 3 {
		t.Errorf("calls in a quarter of an hour, after many failures: got %d, want 2 or 3", got)
	}
}

// What Constant Contact's state forbids, nobody who comes brings forward: the second after a throttling, the used-up
// day, refused credentials, an outage.
func TestComingKeepsWhatIsForbidden(t *testing.T) {
	for name, c := range map[string]struct {
		fault sandbox.FaultKind
		cause string
	}{
		"throttled": {sandbox.FaultThrottle, provisioning.CauseThrottled},
		"quota":     {sandbox.FaultQuota, provisioning.CauseQuota},
		"outage":    {sandbox.FaultFailBefore, provisioning.CauseUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
			w.mapGroup(group("sales"), harbour)
			w.sandbox.Fault(sandbox.Fault{Kind: c.fault, Path: usersPath})
			names := []string{"jane"}
			if name == "outage" {
				names = []string{"jane", "john", "jack", "jill", "june"} // so many fail that the breaker opens
			}
			for _, n := range names {
				w.want(n, store.SignInPriority)
			}
			stop := w.run()
			for _, n := range names {
				w.settledAt(n, 1)
			}
			if name == "outage" {
				w.until("the breaker is open", func() bool { return w.breaker().Cause != "" })
			}
			stop()
			before := w.row("jane", harbour)
			w.run()
			calls := len(w.posts())
			for range 50 {
				d := w.decide(person("jane", group("sales")), justLook)
				if d.Outcome != provisioning.Wait || d.Progress.Cause != c.cause {
					t.Fatalf("got %s %+v, want to wait: %s", d.Outcome, d.Progress, c.cause)
				}
			}
			if got := len(w.posts()); got != calls && before.NextAttempt.After(w.now()) {
				t.Errorf("%d calls more, want none", got-calls)
			}
			if got := w.row("jane", harbour); name != "outage" && got.Attempts == 1 &&
				!got.NextAttempt.Equal(before.NextAttempt) {
				t.Errorf("next attempt: got %s, want it to stay %s", got.NextAttempt, before.NextAttempt)
			}
		})
	}
}

// REAL-62: a row that backed off for an hour while Constant Contact was down is tried at once when its person comes and
// others were answered since; one that fails while others are answered is not.
func TestComingWhenItIsWellAgain(t *testing.T) {
	for name, others := range map[string]bool{"it was down for all": false, "others were answered meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, settings{})
			w.mapGroup(group("sales"), harbour)
			w.fails("jane")
			w.want("jane", store.PlanPriority)
			w.run()
			john := func(n int) {
				expect(t, w.decide(person(fmt.Sprintf("john%d", n), group("sales"))), provisioning.Granted, "")
				w.advance(2 * time.Second) // what is known of the budget is a second old
			}
			for n := 1; n <= 13; n++ {
				w.settledAt("jane", n)
				if n < 13 {
					// Others are answered just before the row is due, so that it is known when its answer comes.
					if due := w.row("jane", harbour).NextAttempt.Sub(w.now()); due > 2*time.Second {
						w.advance(due - time.Second)
					}
					if others {
						john(n)
					}
					w.advance(2 * time.Second)
				}
			}
			if row := w.row("jane", harbour); row.NextAttempt.Sub(row.UpdatedAt) < 59*time.Minute {
				t.Fatalf("the row is tried again after %v, want an hour", row.NextAttempt.Sub(row.UpdatedAt))
			}
			w.advance(2 * time.Second)
			john(100)
			if !others {
				w.bad.Delete("jane")
			}
			jane := person("jane", group("sales"))
			if !others {
				expect(t, w.decide(jane), provisioning.Granted, "")
				return
			}
			for range 5 {
				expect(t, w.decide(jane, justLook), provisioning.Wait, "")
				w.advance(20 * time.Second)
				w.decide(person("john100", group("sales")))
			}
			if got := w.failed("jane"); got != 13 {
				t.Errorf("calls for a row that is at fault itself: got %d, want 13", got)
			}
		})
	}
}
