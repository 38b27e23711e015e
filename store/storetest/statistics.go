package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

// testFigures: each quarter of an hour has its own numbers, counted again until it is
// over, and they go after a month (row COST-04).
func testFigures(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	began := time.Now().UTC().Truncate(store.StatisticStep).Add(time.Minute)
	o := fresh(t)
	o.Now = func() time.Time { return began.Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	ctx := t.Context()
	at := func(d time.Duration, action, outcome string) {
		t.Helper()
		must(t, db.Audit().Add(ctx, store.Event{At: began.Add(d), Actor: "p", Action: action, Outcome: outcome}))
	}
	at(0, "sign-in", "ok")
	at(time.Second, "sign-in", "failed") // an error Response: no sign-in
	at(time.Second, "refusal", "refused")
	count := func(used int) {
		t.Helper()
		_, err := db.Audit().Chain(ctx)
		must(t, err)
		must(t, db.Statistics().Count(ctx, used))
	}
	count(5)
	at(time.Minute, "sign-in", "ok") // counted when the quarter is over
	at(store.StatisticStep, "login", "refused")
	ahead.Store(int64(store.StatisticStep))
	count(7)
	count(8) // of another replica

	first := began.Truncate(store.StatisticStep)
	got, err := db.Statistics().Since(ctx, first)
	must(t, err)
	want := []store.Statistic{
		{Kind: store.StatisticCalls, At: first, Value: 5}, {Kind: store.StatisticLogins, At: first},
		{Kind: store.StatisticRefusals,
			At: first, Value: 1}, {Kind: store.StatisticSignIns, At: first, Value: 2},
		{Kind: store.StatisticCalls, At: first.Add(store.StatisticStep), Value: 8}, {Kind: store.StatisticLogins,
			At: first.Add(store.StatisticStep), Value: 1}, {Kind: store.StatisticRefusals, At: first.Add(store.StatisticStep)},
		{Kind: store.StatisticSignIns, At: first.Add(store.StatisticStep)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	must(t, db.Audit().Add(ctx, store.Event{
		At: began.Add(store.StatisticStep), Actor: "p", Subject: "p", SP: "https://sp.example", Action: "login",
		Outcome: "refused", Reason: "locked",
	}))
	// It is there at once, neither chained nor counted, then chained, and once when it is counted.
	logins := func(when string) {
		t.Helper()
		all, err := db.Statistics().Since(ctx, first)
		must(t, err)
		if i := len(all) - 3; len(all) != len(want) || all[i].Kind != store.StatisticLogins || all[i].Value != 2 {
			t.Errorf("%s: got %+v, want 2 logins that were refused in the last quarter", when, all)
		}
		refusals, err := db.Statistics().Refusals(ctx, first, 10)
		must(t, err)
		if len(refusals) != 3 || refusals[1].Reason != "locked" || refusals[1].Requests != 1 {
			t.Errorf("%s: got refusals %+v, want the locked one among them", when, refusals)
		}
		if one, err := db.Statistics().Refusals(ctx, first, 1); err != nil || len(one) != 1 {
			t.Errorf("%s: at most one: got %+v, %v", when, one, err)
		}
	}
	logins("neither chained nor counted")
	if _, err := db.Audit().Chain(ctx); err != nil {
		t.Fatal(err)
	}
	logins("chained and not counted")
	count(8)
	logins("counted")
	refusals, err := db.Statistics().Refusals(ctx, first, 10)
	must(t, err)
	if diff := cmp.Diff([]store.RefusalSum{
		{Action: "login", Requests: 1}, {Action: "login", Reason: "locked", SP: "https://sp.example", Requests: 1},
		{Action: "refusal", Requests: 1},
	}, refusals); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if later, err := db.Statistics().Refusals(ctx, first.Add(store.StatisticStep), 1); err != nil || len(later) != 1 ||
		later[0].Action != "login" {
		t.Errorf("the first of the second quarter: got %+v, %v", later, err)
	}
	ahead.Store(int64(32 * 24 * time.Hour))
	if n, err := db.Statistics().Purge(ctx); err != nil || n < len(want) {
		t.Errorf("purge: got %d, %v, want all %d or more", n, err, len(want))
	}
}
