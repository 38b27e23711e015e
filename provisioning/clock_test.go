package provisioning_test

import (
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// REAL-59: a clock that ran an hour ahead and was put right: who came meanwhile and who comes then gets their user
// within seconds, calls that were not sent are not counted, and it is told that the clock jumped.
func TestClockThatRanAhead(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Lease: time.Second},
		budget: store.BudgetLimits{PerSecond: 4, PerDay: 1000, Reserve: 0.2}, sandbox: sandbox.Options{PerSecond: 4}})
	w.mapGroup(group("sales"), harbour)
	w.run()
	expect(t, w.decide(person("anna", group("sales"))), provisioning.Granted, "")
	w.advance(time.Hour)
	expect(t, w.decide(person("bert", group("sales"))), provisioning.Granted, "")
	// One who got no answer, one whose worker was killed, and the breaker is open.
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath})
	w.decide(person("carl", group("sales")), justLook)
	w.untilState("carl", harbour, store.Unknown)
	w.want("dora", store.SignInPriority)
	w.until("dora was tried", func() bool { return w.row("dora", harbour).Attempts > 0 })
	if err := w.db.Breaker().Trip(t.Context(), "outage", store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	w.sandbox.ClearFaults()
	w.advance(-time.Hour)
	began := time.Now()
	expect(t, w.decide(person("emil", group("sales"))), provisioning.Granted, "")
	for _, p := range []string{"carl", "dora"} {
		w.until(p+" is there", func() bool {
			s := w.row(p, harbour).State
			return s == store.Active || s == store.Assumed
		})
	}
	t.Logf("all went on after %v", time.Since(began))
	s := w.status()
	if s.JumpedBy < 59*time.Minute || s.JumpedBy > time.Hour+time.Minute || s.JumpedAt.After(w.now()) {
		t.Errorf("jump of %v at %v, want an hour", s.JumpedBy, s.JumpedAt)
	}
	calls := 0
	for _, c := range w.sandbox.Calls() {
		if c.Counted || c.Status == 502 {
			calls++
		}
	}
	if s.Used > calls {
		t.Errorf("%d calls of the day are counted, and %d were sent", s.Used, calls)
	}
}

// REAL-59: a lease of a process that died while the clock was ahead holds nobody up; one of a living process stays.
func TestLeaseOfAClockAhead(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Lease: 2 * time.Second}})
	w.mapGroup(group("sales"), harbour)
	w.want("jane", store.SignInPriority)
	w.advance(time.Hour)
	if _, err := w.db.Ledger().Claim(t.Context(), 2*time.Second, store.PlanPriority); err != nil {
		t.Fatal(err)
	}
	w.advance(-time.Hour)
	if n, err := w.db.Clock().PutRight(t.Context(), time.Hour, 2*time.Second, false); err != nil || n != 0 {
		t.Errorf("before a lease has passed: %d rows moved, %v; want none", n, err)
	}
	w.run()
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Granted, "")
}
