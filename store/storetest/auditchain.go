package storetest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	"ssobridge/store"
)

// testAuditChain: events are bound to those before them; a seal of another key, or of
// another chain, and an end that is cut off are found out. What is changed behind the
// store's back is tried by the tests of each database.
func testAuditChain(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	a := db.Audit()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	holds := func(s store.Seal) bool {
		return ed25519.Verify(key.Public().(ed25519.PublicKey), s.Message(), s.Signature)
	}
	seal := func(l store.Link, by ed25519.PrivateKey) store.Seal {
		s := store.Seal{Seq: l.Seq, Hash: l.Hash, At: time.Now().UTC().Truncate(time.Microsecond)}
		s.Signature = ed25519.Sign(by, s.Message())
		return s
	}
	if head, more, err := a.Chain(ctx); head.Seq != 0 || more || err != nil {
		t.Errorf("an empty audit: got %+v, %v, %v", head, more, err)
	}
	const n = 1201
	var all []store.Event
	for i := range n {
		all = append(all, store.Event{Actor: fmt.Sprint("p", i), Action: "test", Outcome: "ok"})
	}
	must(t, a.Add(ctx, all...))
	var head store.Link
	rounds := 0
	for more := true; more; rounds++ {
		var err error
		head, more, err = a.Chain(ctx)
		must(t, err)
	}
	if head.Seq != n || rounds != 3 {
		t.Errorf("%d entries in %d rounds, want %d in 3", head.Seq, rounds, n)
	}
	first := seal(head, key)
	must(t, a.AddSeal(ctx, first))
	must(t, a.Add(ctx, store.Event{Actor: "late", Action: "test"}))
	v, err := a.Verify(ctx, []store.Seal{first}, holds)
	if err != nil || v.Chained != n || v.Unsealed != 1 || v.Seals != 1 || v.Outside != 1 {
		t.Errorf("whole: got %+v, %v", v, err)
	}
	var broken *store.ChainError
	for name, s := range map[string]store.Seal{
		"of another key":   seal(head, other),
		"of another chain": seal(store.Link{Seq: head.Seq, Hash: bytes.Repeat([]byte{7}, 32)}, key),
		"of a longer one":  seal(store.Link{Seq: head.Seq + 5, Hash: head.Hash}, key),
	} {
		if _, err := a.Verify(ctx, []store.Seal{s}, holds); !errors.As(err, &broken) {
			t.Errorf("a seal %s: got %v, want a *ChainError", name, err)
		}
	}
	if last, err := a.LastSeal(ctx); err != nil || last.Seq != n || !holds(last) {
		t.Errorf("last seal: got %+v, %v", last, err)
	}
}
