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
	r, err := db.Clock().Read(ctx)
	must(t, err)
	if !r.Seen.IsZero() || !r.Accepted.IsZero() || time.Since(r.Database).Abs() > time.Minute {
		t.Errorf("%+v", r)
	}
	now := r.Database.UTC().Truncate(time.Microsecond)
	for _, at := range []time.Time{now.Add(time.Hour), now.Add(-time.Hour)} {
		must(t, db.Clock().Accept(ctx, at, event("noted")))
		must(t, db.Clock().Note(ctx, at.Add(time.Minute)))
		if r, err = open(t, o).Clock().Read(ctx); err != nil || !r.Seen.Equal(at.Add(time.Minute)) || !r.Accepted.Equal(at) {
			t.Errorf("noted is %+v, %v, want %v", r, err, at)
		}
	}
	if n := events(t, db, "noted"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}
