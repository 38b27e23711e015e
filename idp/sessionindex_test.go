package idp_test

import (
	"crypto/rand"
	"testing"
	"testing/iotest"
	"time"

	"ssobridge/idp"
)

// COST-84: the sign-ins of a session stand in the store in their order; two of one moment differ, and without
// randomness there is none.
func TestSessionIndexInOrder(t *testing.T) {
	index := func(at time.Time) string {
		t.Helper()
		index, err := idp.NewSessionIndex(rand.Reader, at)
		if err != nil || len(index) != 32 {
			t.Fatalf("%q, %v, want 32 characters", index, err)
		}
		return index
	}
	at := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	for range 1000 {
		before, after := index(at), index(at.Add(time.Second))
		if before >= after {
			t.Fatalf("%s is not before %s", before, after)
		}
		seen[before[8:]], seen[after[8:]] = true, true
	}
	if len(seen) != 2000 {
		t.Errorf("of 2000, %d differ behind the time", len(seen))
	}
	if index, err := idp.NewSessionIndex(iotest.ErrReader(iotest.ErrTimeout), at); err == nil {
		t.Errorf("without randomness: %q", index)
	}
}
