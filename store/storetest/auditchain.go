package storetest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

// auditKey signs what the program signs.
func auditKey(n byte) signer {
	return signer{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))}
}

type signer struct{ key ed25519.PrivateKey }

func (s signer) holds(message, signature []byte) bool {
	return ed25519.Verify(s.key.Public().(ed25519.PublicKey), message, signature)
}

func (s signer) seal(l store.Link) store.Checkpoint {
	seal := store.Checkpoint{Seq: l.Seq, Hash: l.Hash, At: time.Now().UTC().Truncate(time.Microsecond)}
	seal.Signature = ed25519.Sign(s.key, seal.Message())
	return seal
}

func (s signer) retention(at time.Time, keep map[string]time.Duration) store.Retention {
	r := store.Retention{Keep: keep, At: at}
	r.Signature = ed25519.Sign(s.key, r.Message())
	return r
}

// sealed chains what there is and seals it.
func (s signer) sealed(tb testing.TB, a *store.Audit) store.Checkpoint {
	tb.Helper()
	head, more, err := chain(tb.Context(), a)
	for err == nil && more {
		head, more, err = chain(tb.Context(), a)
	}
	must(tb, err)
	seal := s.seal(head)
	must(tb, a.AddCheckpoint(tb.Context(), seal))
	return seal
}

// testAuditChain: events are bound to those before them; a seal of another key, or of
// another chain, and an end that is cut off are found out.
func testAuditChain(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	a := db.Audit()
	key, other := auditKey(1), auditKey(2)
	if head, more, err := chain(ctx, a); head.Seq != 0 || more || err != nil {
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
		head, more, err = chain(ctx, a)
		must(t, err)
	}
	if head.Seq != n || rounds != 3 {
		t.Errorf("%d entries in %d rounds, want %d in 3", head.Seq, rounds, n)
	}
	first := key.seal(head)
	must(t, a.AddCheckpoint(ctx, first))
	must(t, a.Add(ctx, store.Event{Actor: "late", Action: "test"}))
	v, err := a.Verify(ctx, []store.Checkpoint{first}, key.holds)
	if err != nil || v.Chained != n || v.Unchecked != 1 || v.Checkpoints != 1 || v.Outside != 1 {
		t.Errorf("whole: got %+v, %v", v, err)
	}
	var broken *store.ChainError
	for name, s := range map[string]store.Checkpoint{
		"of another key":   other.seal(head),
		"of another chain": key.seal(store.Link{Seq: head.Seq, Hash: bytes.Repeat([]byte{7}, 32)}),
		"of a longer one":  key.seal(store.Link{Seq: head.Seq + 5, Hash: head.Hash}),
	} {
		if _, err := a.Verify(ctx, []store.Checkpoint{s}, key.holds); !errors.As(err, &broken) {
			t.Errorf("a seal %s: got %v, want a *ChainError", name, err)
		}
	}
	if last, err := a.LastCheckpoint(ctx); err != nil || last.Seq != n || !key.holds(last.Message(), last.Signature) {
		t.Errorf("last seal: got %+v, %v", last, err)
	}
}

// behind does what somebody can who writes the database. The statements are parted by semicolons.
func behind(tb testing.TB, o store.Options, statements string) {
	tb.Helper()
	raw := rawDB(tb, o)
	for statement := range strings.SplitSeq(statements, ";") {
		_, err := raw.Exec(statement)
		must(tb, err)
	}
}

// writeEvent puts an event in by its number, which PostgreSQL gives unless it is told not to.
func writeEvent(tb testing.TB, o store.Options, id int64) {
	tb.Helper()
	overriding := " OVERRIDING SYSTEM VALUE"
	if strings.HasPrefix(o.DSN, "sqlite:") {
		overriding = ""
	}
	behind(tb, o, `INSERT INTO audit_events (id, at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)`+overriding+
		fmt.Sprintf(` VALUES (%d, 1, '', 'system', 'test', '', '', '', '', 'ok', '', '')`, id))
}

// testAuditChainLate: an event that is committed late, when a long round has gone past its number, comes into the chain
// in that round. Otherwise Verify would take it for one that somebody wrote into the past.
func testAuditChainLate(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	a := open(t, o).Audit()
	const n, late = 11_600, 100
	overriding := " OVERRIDING SYSTEM VALUE"
	if strings.HasPrefix(o.DSN, "sqlite:") {
		overriding = ""
	}
	behind(t, o, fmt.Sprintf(`
		INSERT INTO audit_events (id, at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)%s
		WITH RECURSIVE numbers (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < %d)
		SELECT id, id, '', 'system', 'test', '', '', '', '', 'ok', '', '' FROM numbers WHERE id <> %d`, overriding, n, late))
	head, more, err := chain(ctx, a)
	must(t, err)
	writeEvent(t, o, late)
	for more {
		head, more, err = chain(ctx, a)
		must(t, err)
	}
	key := auditKey(1)
	must(t, a.AddCheckpoint(ctx, key.seal(head)))
	if v, err := a.Verify(ctx, nil, key.holds); err != nil || v.Chained != n {
		t.Errorf("got %+v, %v, want %d events", v, err, n)
	}
}

// testAuditTampering: what somebody does who can write the database, and what Verify says of it.
func testAuditTampering(t *testing.T, fresh func(testing.TB) store.Options) {
	const removed = "DELETE FROM audit_events WHERE id = 50; "
	for _, c := range []struct {
		name, do string
		seq      int64 // that is named
		outside  bool  // found by a seal from outside alone
	}{
		{"a field changed", "UPDATE audit_events SET outcome = 'ok' WHERE id = 40", 40, false},
		{"a detail changed", "UPDATE audit_events SET detail = '{}' WHERE id = 100", 100, false},
		{"a time changed", "UPDATE audit_events SET at = at + 1 WHERE id = 1", 1, false},
		{"an action changed", "UPDATE audit_events SET action = 'tested' WHERE id = 9", 9, false},
		{"a time changed here and there", "UPDATE audit_events SET at = at - 1 WHERE id = 3; UPDATE audit_chain SET at = " +
			"at - 1 WHERE event = 3", 3, false},
		{"text moved to the next field", "UPDATE audit_events SET actor = 'p', subject = '7' WHERE id = 8", 8, false},
		{"an event removed", removed + "SELECT 1", 50, false},
		{"with its link", removed + "DELETE FROM audit_chain WHERE seq = 50", 50, false},
		{"and those behind it moved up", removed + "DELETE FROM audit_chain WHERE seq = 50; UPDATE audit_chain SET seq = " +
			"-(seq - 1) WHERE seq > 50; UPDATE audit_chain SET seq = -seq WHERE seq < 0", 50, false},
		{"removed as if it had been purged", removed + "UPDATE audit_chain SET salt = hash WHERE seq = 50", 50, false},
		{"two links swapped", "UPDATE audit_chain SET event = -event WHERE seq IN (10, 11); UPDATE audit_chain SET event = " +
			"CASE seq WHEN 10 THEN 11 ELSE 10 END WHERE seq IN (10, 11)", 10, false},
		{"two events swapped", "UPDATE audit_events SET actor = CASE id WHEN 20 THEN 'p' ELSE 'p7' END WHERE id IN (20, 21)",
			20, false},
		{"a link put in", "INSERT INTO audit_chain (seq, event, at, action, salt, content, hash) SELECT 101, 101, at, " +
			"action, salt, content, hash FROM audit_chain WHERE seq = 100", 101, false},
		{"the end cut off", "DELETE FROM audit_events WHERE id > 90; DELETE FROM audit_chain WHERE seq > 90; DELETE FROM " +
			"audit_seals", 91, true},
		{"everything removed", "DELETE FROM audit_events; DELETE FROM audit_chain; DELETE FROM audit_seals", 1, true},
		{"a hash of their own", "UPDATE audit_chain SET hash = content WHERE seq = 100", 100, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := fresh(t)
			a := open(t, o).Audit()
			key := auditKey(1)
			for i := range 100 {
				must(t, a.Add(t.Context(), store.Event{Actor: "p7"[:1+i%2], Action: "test", Outcome: "refused"}))
			}
			seal := key.sealed(t, a)
			if v, err := a.Verify(t.Context(), []store.Checkpoint{seal}, key.holds); err != nil || v.Chained != 100 {
				t.Fatalf("before: got %+v, %v", v, err)
			}
			behind(t, o, c.do)
			var broken *store.ChainError
			if _, err := a.Verify(t.Context(), nil, key.holds); errors.As(err, &broken) == c.outside {
				t.Errorf("without seals from outside: got %v", err)
			}
			if _, err := a.Verify(t.Context(), []store.Checkpoint{seal}, key.holds); !errors.As(err, &broken) ||
				broken.Seq != c.seq {
				t.Errorf("with a seal from outside: got %v, want entry %d", err, c.seq)
			}
		})
	}
	t.Run("an event put in the place of another", func(t *testing.T) {
		o := fresh(t)
		a := open(t, o).Audit()
		for range 10 {
			must(t, a.Add(t.Context(), event("put")))
		}
		key := auditKey(1)
		key.sealed(t, a)
		behind(t, o, "DELETE FROM audit_events WHERE id = 5")
		writeEvent(t, o, 5)
		var broken *store.ChainError
		if _, err := a.Verify(t.Context(), nil, key.holds); !errors.As(err, &broken) || broken.Seq != 5 {
			t.Errorf("got %v, want entry 5", err)
		}
	})
	t.Run("an event written into the past", func(t *testing.T) {
		o := fresh(t)
		a := open(t, o).Audit()
		holds := func(_, _ []byte) bool { return true }
		write := func(id int64) {
			t.Helper()
			writeEvent(t, o, id)
			_, err := a.Chain(t.Context())
			must(t, err)
		}
		write(1)
		write(20_000)
		write(15_000) // committed late: it is chained behind the newer one
		if v, err := a.Verify(t.Context(), nil, holds); err != nil || v.Chained != 3 {
			t.Errorf("a late event: got %+v, %v, want 3 chained", v, err)
		}
		write(9_999) // further back than a late commit can be
		var broken *store.ChainError
		if _, err := a.Verify(t.Context(), nil, holds); !errors.As(err, &broken) || broken.Event != 9_999 {
			t.Errorf("an event written into the past: got %v, want event 9999", err)
		}
	})
}

// testAuditContention: several replicas chain, seal, purge, cut and verify while events come in.
// Each event is chained once, and nothing ever looks tampered with.
func testAuditContention(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	key := auditKey(1)
	replicas := []*store.Audit{open(t, o).Audit(), open(t, o).Audit(), open(t, o).Audit()}
	const writers, each, old = 6, 60, 40
	began := time.Now().UTC()
	var writing, rest sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				e := store.Event{Actor: fmt.Sprint("p", w), Action: "new"}
				if i < old {
					e.Action, e.At = "old", began.Add(-time.Hour)
				}
				if err := replicas[w%3].Add(ctx, e); err != nil {
					t.Errorf("add: %v", err)
				}
			}
		})
	}
	until := func(what string, do func() error) {
		rest.Go(func() {
			for {
				if err := do(); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond): // leaves the others their turn
				}
			}
		})
	}
	for _, a := range replicas {
		until("chain", func() error {
			head, _, err := chain(ctx, a)
			if errors.Is(err, store.ErrConflict) {
				return nil // another was faster
			}
			if err == nil && head.Seq > 0 {
				err = a.AddCheckpoint(ctx, key.seal(head))
			}
			return err
		})
		until("purge", func() error {
			_, err := a.Purge(ctx, key.retention(began, map[string]time.Duration{"old": time.Minute}))
			return err
		})
	}
	until("cut", func() error {
		_, _, err := replicas[1].Cut(ctx, key.signing(), store.Event{})
		return err
	})
	until("cut, too", func() error {
		_, _, err := replicas[2].Cut(ctx, key.signing(), store.Event{})
		return err
	})
	until("verify", func() error {
		_, err := replicas[0].Verify(ctx, nil, key.holds)
		return err
	})
	writing.Wait()
	close(done)
	rest.Wait()
	seal := key.sealed(t, replicas[1])
	if _, err := replicas[1].Purge(ctx, key.retention(began, map[string]time.Duration{"old": time.Minute})); err != nil {
		t.Fatal(err)
	}
	v, err := replicas[2].Verify(ctx, []store.Checkpoint{seal}, key.holds)
	must(t, err)
	if v.Cut != nil {
		v.Purged += v.Cut.Entries()
	}
	if v.Chained+v.Purged != writers*each || v.Purged != writers*old || v.Unchecked != 0 {
		t.Errorf("got %+v, want %d events, %d of them purged", v, writers*each, writers*old)
	}
}

// chain adds one batch to the chain.
func chain(ctx context.Context, a *store.Audit) (head store.Link, more bool, err error) {
	c, err := a.Chain(ctx)
	return c.Head, c.More, err
}
