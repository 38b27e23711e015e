package storetest

import (
	"errors"
	"testing"
	"time"

	"ssobridge/store"
)

// testAuditResign: what an older key has signed of purges and cuts is signed by the one in use, and what neither has
// stays as it is (row ID-17).
func testAuditResign(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	old, current, other := auditKey(1), auditKey(2), auditKey(3)
	db := open(t, fresh(t))
	a := db.Audit()
	must(t, a.Add(ctx, store.Event{At: noon.Add(-9 * time.Hour), Action: "login", Outcome: "ok"}))
	old.sealed(t, a)
	must(t, a.Add(ctx, event("newest")))
	old.sealed(t, a)
	p, err := a.Purge(ctx, old.retention(noon, map[string]time.Duration{"login": time.Hour}))
	if err != nil || p.Count != 1 {
		t.Fatalf("purged %+v, %v", p, err)
	}
	if _, ok, err := a.Cut(ctx, old.signing(), event("cut")); !ok || err != nil {
		t.Fatalf("cut: %t, %v", ok, err)
	}
	// A key that is known to nobody is not made good.
	if n, err := a.Resign(ctx, store.Signing{Sign: current.signing().Sign, Holds: other.holds},
		current.holds); n != 0 || err != nil {
		t.Errorf("by a strange key: %d, %v", n, err)
	}
	// Of a removed key seals hold, and nothing else.
	removed := func(message, signature []byte) bool {
		return current.holds(message, signature) || store.OfCheckpoint(message) && old.holds(message, signature)
	}
	var broken *store.ChainError
	if _, err := a.Verify(ctx, nil, removed); !errors.As(err, &broken) {
		t.Errorf("before: %v, want a *ChainError", err)
	}
	both := store.Signing{Sign: current.signing().Sign, Holds: func(message, signature []byte) bool {
		return old.holds(message, signature) || current.holds(message, signature)
	}}
	for _, want := range []int{2, 0} {
		if n, err := a.Resign(ctx, both, current.holds); n != want || err != nil {
			t.Errorf("%d were signed anew, %v, want %d", n, err, want)
		}
	}
	if v, err := a.Verify(ctx, nil, removed); err != nil || v.Cut == nil || v.Cut.Entries() != 1 {
		t.Errorf("after: %+v, %v", v, err)
	}
}
