package web_test

import (
	"crypto/rand"
	"testing"
	"testing/iotest"
	"time"

	"ssobridge/web"
)

// COST-84: reference ids of one time stand together in their order, so that a sign-in writes to pages of the indexes
// that the ones before it have written to; two of one moment differ, and without randomness there is none.
func TestReferencesInOrder(t *testing.T) {
	ref := func(at time.Time) string {
		t.Helper()
		ref, err := web.NewRef(rand.Reader, at)
		if err != nil || len(ref) != 10 {
			t.Fatalf("%q, %v, want ten characters", ref, err)
		}
		return ref
	}
	const unit = 4 * time.Second
	began := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	last, wraps := "", 0
	for i := range 60 * 24 {
		one := ref(began.Add(time.Duration(i) * time.Hour))
		if one < last {
			wraps++
		}
		last = one
	}
	if wraps < 1 || wraps > 2 { // each 48 days
		t.Errorf("in 60 days the order began anew %d times", wraps)
	}
	seen := map[string]bool{}
	for range 1000 {
		one := ref(began)
		if one[:4] != ref(began.Add(unit - 1))[:4] {
			t.Fatalf("%s is of another time than one of the same 4 seconds", one)
		}
		seen[one] = true
	}
	if len(seen) < 999 {
		t.Errorf("of 1000 at the same moment, %d differ", len(seen))
	}
	if next := ref(began.Add(unit)); next[:4] == ref(began)[:4] {
		t.Errorf("%s: 4 seconds later nothing has changed", next)
	}
	if ref, err := web.NewRef(iotest.ErrReader(iotest.ErrTimeout), began); err == nil {
		t.Errorf("without randomness: %q", ref)
	}
}
