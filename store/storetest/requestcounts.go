package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

// testRequestCounts: what was only counted is found again by reason and minute, with its number and its window, whoever
// counted it (row COST-03).
func testRequestCounts(t *testing.T, fresh func(testing.TB) store.Options) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := day.Add(10 * time.Hour)
	o := fresh(t)
	o.Now = func() time.Time { return now }
	db, ctx := open(t, o), t.Context()
	replica := open(t, o)
	at := func(clock string) time.Time {
		t.Helper()
		d, err := time.Parse(time.TimeOnly, clock)
		must(t, err)
		return day.Add(time.Duration(d.Hour())*time.Hour + time.Duration(d.Minute())*time.Minute +
			time.Duration(d.Second())*time.Second)
	}
	count := func(reason, first, last string, n int64) store.RequestCount {
		return store.RequestCount{Reason: reason, First: at(first), Last: at(last), Requests: n}
	}
	add := func(db *store.DB, all ...store.RequestCount) {
		t.Helper()
		must(t, db.RequestCounts().Add(ctx, all...))
	}
	must(t, db.RequestCounts().Add(ctx))
	// A flood over the end of a quarter, written in batches by two replicas, not in the order of time; another kind beside
	// it.
	add(db, count("bad_link", "10:14:40", "10:14:58", 30_000), count("unknown_acs", "10:14:00", "10:14:01", 7))
	add(replica, count("bad_link", "10:13:07", "10:13:59", 1_000), count("bad_link", "10:15:00", "10:15:30", 200))
	add(db, count("bad_link", "10:15:10", "10:16:20", 10_000))
	// The same kind an hour before, and a moment after that is too far off to be of it.
	add(db, count("bad_link", "09:10:00", "09:11:00", 5))
	add(db, count("bad_link", "10:30:00", "10:30:10", 3))

	for name, c := range map[string]struct {
		reason, minute string
		want           store.RequestCount
	}{
		"its first minute":     {"bad_link", "10:13:00", count("bad_link", "10:13:07", "10:16:20", 41_200)},
		"within":               {"bad_link", "10:14:00", count("bad_link", "10:13:07", "10:16:20", 41_200)},
		"the next quarter":     {"bad_link", "10:15:00", count("bad_link", "10:13:07", "10:16:20", 41_200)},
		"its last minute":      {"bad_link", "10:16:00", count("bad_link", "10:13:07", "10:16:20", 41_200)},
		"the other kind":       {"unknown_acs", "10:14:00", count("unknown_acs", "10:14:00", "10:14:01", 7)},
		"the one before":       {"bad_link", "09:10:00", count("bad_link", "09:10:00", "09:11:00", 5)},
		"the one after":        {"bad_link", "10:30:00", count("bad_link", "10:30:00", "10:30:10", 3)},
		"before it":            {"bad_link", "10:12:00", store.RequestCount{}},
		"after it":             {"bad_link", "10:17:00", store.RequestCount{}},
		"a reason without any": {"busy", "10:14:00", store.RequestCount{}},
	} {
		got, err := db.RequestCounts().Around(ctx, c.reason, at(c.minute))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if missing := c.want.Requests == 0; missing != errors.Is(err, store.ErrNotFound) || !missing && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}

	list, err := db.RequestCounts().Since(ctx, at("10:16:00"), 10)
	must(t, err)
	if diff := cmp.Diff([]store.RequestCount{count("bad_link", "10:30:00", "10:30:10", 3), count("bad_link", "10:15:00",
		"10:16:20", 10_200)}, list); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if list, err := db.RequestCounts().Since(ctx, day, 2); err != nil || len(list) != 2 {
		t.Errorf("list: got %d, %v, want 2", len(list), err)
	}

	// Replicas that write the same rows at the same time lose nothing and stop nobody.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			on := []*store.DB{db, replica}[i%2]
			batch := []store.RequestCount{count("a", "11:00:00", "11:00:01", 1), count("b", "11:00:00", "11:00:01", 1)}
			if i%2 == 1 {
				batch[0], batch[1] = batch[1], batch[0]
			}
			if err := on.RequestCounts().Add(ctx, batch...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, reason := range []string{"a", "b"} {
		if got, err := db.RequestCounts().Around(ctx, reason, at("11:00:00")); err != nil || got.Requests != 8 {
			t.Errorf("%s: got %+v, %v, want 8 requests", reason, got, err)
		}
	}

	now = at("11:00:00")
	if n, err := db.RequestCounts().Purge(ctx, time.Hour); err != nil || n != 1 {
		t.Errorf("purge: got %d, %v, want the one of 09:00", n, err)
	}
	if _, err := db.RequestCounts().Around(ctx, "bad_link", at("10:14:00")); err != nil {
		t.Error(fmt.Errorf("what is younger went: %w", err))
	}
}
