package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testCaptures: a capture runs until its end and raises the change counter, what was captured is
// there for a day, and each look at it leaves an event.
func testCaptures(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	ctx, s := t.Context(), db.Captures()
	before, err := db.Changes(ctx)
	must(t, err)
	must(t, s.Set(ctx, store.Capture{Person: "p", Until: time.Now().Add(time.Minute), By: "admin:x"},
		event("capture-begin")))
	must(t, s.Set(ctx, store.Capture{Person: "p", Until: time.Now().Add(time.Hour), By: "admin:y"},
		event("capture-begin")))
	must(t, s.Set(ctx, store.Capture{Person: "q", Until: time.Now().Add(time.Hour), By: "admin:x"},
		event("capture-begin")))
	must(t, s.End(ctx, "q", event("capture-end")))
	must(t, s.End(ctx, "nobody", event("capture-end")))
	after, err := db.Changes(ctx)
	must(t, err)
	running, err := s.Running(ctx)
	if err != nil || len(running) != 1 || running[0].Person != "p" || running[0].By != "admin:y" || after != before+5 {
		t.Errorf("running %+v, %v, after %d changes", running, err, after-before)
	}

	must(t, s.Keep(ctx, store.Captured{Person: "p", Ref: "R1", At: time.Now(), Sealed: []byte{1}}))
	if has, err := s.Has(ctx, "R1"); !has || err != nil {
		t.Errorf("has: %t, %v", has, err)
	}
	n := 0
	if err := s.Each(ctx, func(c store.Captured) { n += len(c.Sealed) }); err != nil || n != 1 {
		t.Errorf("walked through %d bytes, %v, want 1", n, err)
	}
	if has, err := s.Has(ctx, "R2"); has || err != nil {
		t.Errorf("has another: %t, %v", has, err)
	}
	all, err := s.Of(ctx, "R1", event("capture-read"))
	if err != nil || len(all) != 1 || all[0].Person != "p" || string(all[0].Sealed) != "\x01" ||
		events(t, db, "capture-read") != 1 {
		t.Errorf("captured %+v, %v, %d events", all, err, events(t, db, "capture-read"))
	}
	if _, err := s.Of(ctx, "R2", event("capture-read")); !errors.Is(err, store.ErrNotFound) ||
		events(t, db, "capture-read") != 1 {
		t.Errorf("of another: %v, %d events", err, events(t, db, "capture-read"))
	}
	if n, err := s.Purge(ctx); n != 0 || err != nil {
		t.Errorf("purged %d, %v at once", n, err)
	}

	ahead.Store(int64(61 * time.Minute))
	if running, err := s.Running(ctx); len(running) != 0 || err != nil {
		t.Errorf("after its end: %+v, %v", running, err)
	}
	ahead.Store(int64(25 * time.Hour))
	if has, err := s.Has(ctx, "R1"); has || err != nil {
		t.Errorf("a day later: %t, %v", has, err)
	}
	if _, err := s.Of(ctx, "R1", event("capture-read")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a day later: %v", err)
	}
	if n, err := s.Purge(ctx); n != 2 || err != nil {
		t.Errorf("purged %d, %v, want 2", n, err)
	}
}
