package store_test

import (
	"runtime"
	"testing"

	"ssobridge/store"
)

// COST-83: what a process remembers of its own events costs each sign-in the same, however many there were since they
// were last compared, and never more than a few megabytes.
func TestOwnEventsCost(t *testing.T) {
	cost := func(events int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if kept := store.RememberOwn(events); kept > store.MaxOwnEvents {
			t.Errorf("%d of %d events are remembered, want at most %d", kept, events, store.MaxOwnEvents)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if all := cost(100_000); all > 50<<20 {
		t.Errorf("100,000 events, one at a time, allocate %d MB", all>>20)
	}
}
