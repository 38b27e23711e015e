package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testBreaker: calls stop on all replicas, and one finds out.
func testBreaker(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	allow := func(tb testing.TB, b *store.Breaker, want bool, atLeast, atMost time.Duration) {
		tb.Helper()
		ok, wait, err := b.Allow(ctx, time.Minute)
		must(tb, err)
		if ok != want || wait < atLeast || wait > atMost {
			tb.Errorf("allowed %t, wait %v, want %t and %v to %v", ok, wait, want, atLeast, atMost)
		}
	}
	// due lets the time until the next probe pass.
	due := func(tb testing.TB, o store.Options) {
		tb.Helper()
		_, err := rawDB(tb, o).Exec(`UPDATE breaker SET open_until = $1`, time.Now().Add(-time.Second).UnixMicro())
		must(tb, err)
	}
	t.Run("opens, probes, closes", func(t *testing.T) {
		o := fresh(t)
		db := open(t, o)
		b, other := db.Breaker(), open(t, o).Breaker()
		allow(t, b, true, 0, 0)
		must(t, b.Close(ctx, event("close"))) // nothing to close
		for range 3 {
			must(t, b.Trip(ctx, "outage", event("trip"))) // calls that were on their way together
		}
		state, err := other.State(ctx)
		must(t, err)
		if state.Cause != "outage" || state.Trips != 1 || state.OpenedAt.IsZero() || time.Until(state.Until) > 5*time.Second {
			t.Errorf("state %+v, want it open for 5 s after one trip", state)
		}
		allow(t, other, false, 3*time.Second, 5*time.Second)
		due(t, o)
		allow(t, other, true, 0, 0)
		allow(t, b, false, 50*time.Second, time.Minute) // another finds out
		allow(t, other, false, 50*time.Second, time.Minute)
		must(t, other.Trip(ctx, "credentials", event("trip")))
		allow(t, b, false, 8*time.Second, 10*time.Second)
		if state, err := b.State(ctx); err != nil || state.Cause != "credentials" || state.Trips != 2 ||
			!state.OpenedAt.Before(state.Until.Add(-10*time.Second)) {
			t.Errorf("state %+v, %v, want it open since the first trip", state, err)
		}
		if n := events(t, db, "trip"); n != 1 {
			t.Errorf("%d events of opening, want 1", n)
		}
		must(t, b.Close(ctx, event("close")))
		must(t, b.Close(ctx, event("close")))
		if n := events(t, db, "close"); n != 1 {
			t.Errorf("%d events of closing, want 1", n)
		}
		allow(t, other, true, 0, 0)
		if state, err := other.State(ctx); err != nil || state != (store.BreakerState{}) {
			t.Errorf("state %+v, %v, want nothing", state, err)
		}
	})
	t.Run("doubles up to 5 minutes", func(t *testing.T) {
		o := fresh(t)
		b := open(t, o).Breaker()
		for _, want := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
			must(t, b.Trip(ctx, "outage", event("x")))
			allow(t, b, false, time.Duration(want-3)*time.Second, time.Duration(want)*time.Second)
			due(t, o)
		}
	})
	t.Run("one probe at a time", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.Breaker{open(t, o).Breaker(), open(t, o).Breaker()}
		must(t, replicas[0].Trip(ctx, "outage", event("x")))
		due(t, o)
		var allowed atomic.Int64
		for _, err := range all(20, func(i int) error {
			ok, wait, err := replicas[i%2].Allow(ctx, time.Minute)
			if ok {
				allowed.Add(1)
			} else if wait <= 0 {
				t.Errorf("refused, wait %v", wait)
			}
			return err
		}) {
			must(t, err)
		}
		if allowed.Load() != 1 {
			t.Errorf("%d were allowed, want 1", allowed.Load())
		}
		// The one that found out died: after its time another does.
		_, err := rawDB(t, o).Exec(`UPDATE breaker SET probing = $1`, time.Now().Add(-time.Second).UnixMicro())
		must(t, err)
		allow(t, replicas[1], true, 0, 0)
	})
	t.Run("clock that ran ahead", func(t *testing.T) {
		o := fresh(t)
		b := open(t, o).Breaker()
		must(t, b.Trip(ctx, "outage", event("x")))
		ahead := time.Now().AddDate(1, 0, 0).UnixMicro()
		_, err := rawDB(t, o).Exec(`UPDATE breaker SET open_until = $1, probing = $2`, ahead, ahead)
		must(t, err)
		allow(t, b, true, 0, 0)
		allow(t, b, false, 0, time.Minute)
	})
	t.Run("refused", func(t *testing.T) {
		b := open(t, fresh(t)).Breaker()
		if err := b.Trip(ctx, "", event("x")); err == nil {
			t.Error("no cause: accepted")
		}
		for _, d := range []time.Duration{0, -1, time.Hour} {
			if ok, _, err := b.Allow(ctx, d); err == nil || ok {
				t.Errorf("probe of %v: accepted", d)
			}
		}
	})
}

// testLeases: work that one replica does for all.
func testLeases(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	one, two := open(t, o).Leases(), open(t, o).Leases()
	take := func(l *store.Leases, name, holder string, want bool) {
		t.Helper()
		if got, err := l.Take(ctx, name, holder, time.Minute); err != nil || got != want {
			t.Errorf("%s takes %s: %t, %v, want %t", holder, name, got, err, want)
		}
	}
	take(one, "watch", "one", true)
	take(one, "watch", "one", true) // prolonged
	take(two, "watch", "two", false)
	take(two, "hints", "two", true) // another work
	must(t, two.Release(ctx, "watch", "two"))
	take(two, "watch", "two", false)
	must(t, one.Release(ctx, "watch", "one"))
	must(t, one.Release(ctx, "watch", "one"))
	take(two, "watch", "two", true)
	// it died; its clock ran ahead
	for _, until := range []time.Time{time.Now().Add(-time.Second), time.Now().AddDate(1, 0, 0)} {
		_, err := rawDB(t, o).Exec(`UPDATE leases SET held_until = $1, holder = 'dead'`, until.UnixMicro())
		must(t, err)
		take(one, "watch", "one", true)
	}
	var got atomic.Int64
	for _, err := range all(20, func(i int) error {
		ok, err := []*store.Leases{one, two}[i%2].Take(ctx, "new", string(rune('a'+i)), time.Minute)
		if ok {
			got.Add(1)
		}
		return err
	}) {
		must(t, err)
	}
	if got.Load() != 1 {
		t.Errorf("%d holders of one lease", got.Load())
	}
	for _, c := range []struct {
		name, holder string
		ttl          time.Duration
	}{{"", "one", time.Minute}, {"watch", "", time.Minute}, {"watch", "one", 0}, {"watch", "one", 25 * time.Hour}} {
		if ok, err := one.Take(ctx, c.name, c.holder, c.ttl); ok || err == nil {
			t.Errorf("%+v: accepted", c)
		}
	}
}
