package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testForms: one of many who send a form at once is the first, and it is forgotten
// after a day.
func testForms(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	var (
		first atomic.Int64
		wait  sync.WaitGroup
	)
	for range 16 {
		wait.Go(func() {
			ok, err := db.Forms().Use(t.Context(), "one")
			if err != nil {
				t.Error(err)
			}
			if ok {
				first.Add(1)
			}
		})
	}
	wait.Wait()
	if first.Load() != 1 {
		t.Errorf("%d were the first to send a form, want 1", first.Load())
	}
	if ok, err := db.Forms().Use(t.Context(), "two"); !ok || err != nil {
		t.Errorf("another form: got %v, %v", ok, err)
	}
	if n, err := db.Forms().Purge(t.Context()); n != 0 || err != nil {
		t.Errorf("purge at once: got %d, %v, want 0", n, err)
	}
	ahead.Store(int64(25 * time.Hour))
	if n, err := db.Forms().Purge(t.Context()); n != 2 || err != nil {
		t.Errorf("purge a day later: got %d, %v, want 2", n, err)
	}
	if ok, err := db.Forms().Use(t.Context(), "two"); !ok || err != nil {
		t.Errorf("a form that was forgotten: got %v, %v", ok, err)
	}
}
