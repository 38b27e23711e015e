package storetest

import (
	"testing"
	"time"

	"ssobridge/store"
)

// testClock: ID-30. The time that was last noted outlives the program, and can be set back.
func testClock(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db := open(t, o)
	database, seen, err := db.Clock().Read(ctx)
	must(t, err)
	if !seen.IsZero() || time.Since(database).Abs() > time.Minute {
		t.Errorf("the clock is %v, noted is %v", database, seen)
	}
	for _, at := range []time.Time{database.Add(time.Hour), database.Add(-time.Hour)} {
		at = at.UTC().Truncate(time.Microsecond)
		must(t, db.Clock().Note(ctx, at, event("noted")))
		if _, seen, err = open(t, o).Clock().Read(ctx); err != nil || !seen.Equal(at) {
			t.Errorf("noted is %v, %v, want %v", seen, err, at)
		}
	}
	if n := events(t, db, "noted"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}
