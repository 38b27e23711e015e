package storetest

import (
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// testHealth: what one replica stores, the others read, with its age by the database's clock.
func testHealth(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db := open(t, o)
	h, other := db.Health(), open(t, o).Health()
	read := func() store.HealthRecord {
		t.Helper()
		r, err := other.Read(ctx)
		must(t, err)
		return r
	}
	if r := read(); r != (store.HealthRecord{}) {
		t.Errorf("before the first: %+v", r)
	}
	must(t, h.Put(ctx, "one", `{"a":1}`))
	must(t, h.Put(ctx, "two", `{"a":2}`))
	if r := read(); r.Maker != "two" || r.Content != `{"a":2}` || r.At.IsZero() || r.Age < 0 || r.Age > time.Minute ||
		!r.SignedIn.IsZero() {
		t.Errorf("got %+v, want the second snapshot, just made", r)
	}
	_, err := rawDB(t, o).Exec(`UPDATE health SET at = at - $1`, time.Hour.Microseconds())
	must(t, err)
	if r := read(); r.Age < time.Hour || r.Age > time.Hour+time.Minute {
		t.Errorf("age %s, want an hour", r.Age)
	}
	if err := h.Put(ctx, "two", strings.Repeat("x", 300<<10)); err == nil {
		t.Error("a snapshot of 300 KiB was stored")
	}

	must(t, h.SignedIn(ctx, time.Minute))
	latest := read().SignedIn
	must(t, other.SignedIn(ctx, time.Hour)) // of another replica, and longer ago
	if r := read(); latest.IsZero() || !r.SignedIn.Equal(latest) || r.Content != `{"a":2}` {
		t.Errorf("the last sign-in %s, want %s, and the snapshot as it was: %+v", r.SignedIn, latest, r)
	}
	_, err = rawDB(t, o).Exec(`UPDATE health SET signed_in_at = $1`, time.Now().Add(time.Hour).UnixMicro())
	must(t, err)
	must(t, h.SignedIn(ctx, 0))
	if r := read(); r.SignedIn.After(time.Now().Add(time.Minute)) {
		t.Errorf("a mark that a wrong clock has left stays: %s", r.SignedIn)
	}

	limits := store.BudgetLimits{PerSecond: 100, PerDay: 100}
	works := func() {
		t.Helper()
		call, _, err := db.Budget(limits).Depart(ctx, time.Second)
		must(t, err)
		must(t, db.Budget(limits).Arrived(ctx, call, true))
	}
	must(t, h.CallFailed(ctx, "unknown"))
	must(t, other.CallFailed(ctx, "unauthorized"))
	if c := read().Calls; c.Failures != 2 || c.Why != "unauthorized" || c.FailedAt.IsZero() || !c.Worked.IsZero() {
		t.Errorf("after two failures: %+v", c)
	}
	works()
	if c := read().Calls; c.Failures != 0 || c.Why != "" || c.Worked.IsZero() || c.Ago > time.Minute {
		t.Errorf("after an answer: %+v", c)
	}
	must(t, h.CallFailed(ctx, "unknown"))
	if c := read().Calls; c.Failures != 1 || c.Why != "unknown" {
		t.Errorf("after another failure: %+v", c)
	}
}

// testUncovered: how old the oldest audit event is that no checkpoint covers.
func testUncovered(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	a := open(t, fresh(t)).Audit()
	want := func(what string, at time.Time) {
		t.Helper()
		if got, err := a.Uncovered(ctx); err != nil || !got.Equal(at) {
			t.Errorf("%s: got %s, %v, want %s", what, got, err, at)
		}
	}
	want("no event", time.Time{})
	first := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	must(t, a.Add(ctx, store.Event{At: first, Action: "a", Outcome: "ok"},
		store.Event{At: first.Add(time.Minute), Action: "b", Outcome: "ok"}))
	want("no checkpoint", first)
	key := auditKey(1)
	key.sealed(t, a)
	want("a checkpoint over all", time.Time{})
	later := first.Add(2 * time.Minute)
	must(t, a.Add(ctx, store.Event{At: later, Action: "c", Outcome: "ok"}))
	want("one more event", later)
	if _, err := a.Chain(ctx); err != nil {
		t.Fatal(err)
	}
	want("chained, and no checkpoint over it", later)
}
