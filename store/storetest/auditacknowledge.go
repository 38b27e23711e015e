package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ssobridge/store"
)

// acknowledge acknowledges what Verify finds, until it finds nothing; it returns the names of the breaks.
func (s signer) acknowledge(tb testing.TB, a *store.Audit, outside ...store.Checkpoint) (names []string) {
	tb.Helper()
	for range 50 {
		v, err := a.Verify(tb.Context(), outside, s.holds)
		b, found := store.FoundBreak(v, err)
		if !found {
			must(tb, err)
			if v.Foreign != 0 || v.Acknowledged < len(names) {
				tb.Errorf("verified: %+v, want %d acknowledged and nothing foreign", v, len(names))
			}
			return names
		}
		names = append(names, b.Name())
		must(tb, a.Acknowledge(tb.Context(), b, "admin:test", "the disk was restored", s.signing(), event("acknowledged")))
		if err := a.Acknowledge(tb.Context(), b, "admin:test", "again", s.signing(), event("acknowledged")); !errors.Is(err,
			store.ErrConflict) {
			tb.Errorf("acknowledged twice: %v, want ErrConflict", err)
		}
	}
	tb.Fatalf("acknowledged %v, and there is still more", names)
	return nil
}

// testAuditAcknowledge: what an administrator has acknowledged is gone past, as it stands there and no further: another
// break is found, and so is one in the same place. Nobody acknowledges anything without the key.
func testAuditAcknowledge(t *testing.T, fresh func(testing.TB) store.Options) {
	const again = "UPDATE audit_events SET outcome = 'unknown' WHERE id = 95"
	for _, c := range []struct {
		name, do string
		same     string // another break in the same place
		first    string
		others   int
	}{
		{"a field changed", "UPDATE audit_events SET outcome = 'ok' WHERE id = 40",
			"UPDATE audit_events SET outcome = 'failed' WHERE id = 40", "40", 0},
		{"an event removed", "DELETE FROM audit_events WHERE id = 40", "UPDATE audit_chain SET at = at + 1 WHERE seq = 40", "40",
			0},
		{"with its entry", "DELETE FROM audit_events WHERE id = 40; DELETE FROM audit_chain WHERE seq = 40",
			"DELETE FROM audit_events WHERE id = 41; DELETE FROM audit_chain WHERE seq = 41", "40", 0},
		{"an entry changed", "UPDATE audit_chain SET at = at + 1 WHERE seq = 40",
			"UPDATE audit_chain SET at = at + 1 WHERE seq = 40", "40", 1}, // the event does not fit it any more
		{"a hash of their own", "UPDATE audit_chain SET hash = content WHERE seq = 40",
			"UPDATE audit_chain SET hash = salt WHERE seq = 40", "40", 1}, // nor does the entry behind it
		{"the end cut off", "DELETE FROM audit_events WHERE id > 97; DELETE FROM audit_chain WHERE seq > 97",
			"UPDATE audit_seals SET signature = hash WHERE seq = 100", "98", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := fresh(t)
			a := open(t, o).Audit()
			key := auditKey(1)
			for range 100 {
				must(t, a.Add(t.Context(), store.Event{Actor: "p", Action: "test", Outcome: "refused"}))
			}
			seal := key.sealed(t, a)
			behind(t, o, c.do)
			names := key.acknowledge(t, a, seal)
			if len(names) != 1+c.others || names[0] != c.first {
				t.Errorf("acknowledged %v, want %s and %d others", names, c.first, c.others)
			}
			// The log goes on, and is sealed as before.
			must(t, a.Add(t.Context(), event("later")))
			if later, _, err := chain(t.Context(), a); err != nil || a.AddCheckpoint(t.Context(), key.seal(later)) != nil {
				t.Fatal(err)
			}
			if more := key.verified(t, a); more != len(names) {
				t.Errorf("later: %d acknowledged, want %d", more, len(names))
			}
			for _, do := range []string{again, c.same} {
				behind(t, o, do)
				v, err := a.Verify(t.Context(), nil, key.holds)
				if b, found := store.FoundBreak(v, err); !found {
					t.Errorf("%s: nothing is found: %+v, %v", do, b, err)
				}
				key.acknowledge(t, a)
			}
		})
	}
	t.Run("with another secret key for a while", func(t *testing.T) {
		o := fresh(t)
		a := open(t, o).Audit()
		key, wrong := auditKey(1), auditKey(2)
		must(t, a.Add(t.Context(), event("a")))
		key.sealed(t, a)
		var outside []store.Checkpoint
		for range 5 {
			must(t, a.Add(t.Context(), event("b")))
			outside = append(outside, wrong.sealed(t, a))
		}
		if names := key.acknowledge(t, a, outside...); len(names) != 1 || names[0] != "2" {
			t.Errorf("acknowledged %v, want those from entry 2 on at once", names)
		}
		// One of them is enough to be found again.
		must(t, a.Add(t.Context(), event("c")))
		wrong.sealed(t, a)
		if names := key.acknowledge(t, a); len(names) != 1 {
			t.Errorf("another one: %v", names)
		}
	})
	t.Run("foreign events", func(t *testing.T) {
		o := fresh(t)
		db := open(t, o)
		a, key := db.Audit(), auditKey(1)
		must(t, a.Add(t.Context(), event("a")))
		key.sealed(t, a)
		for range 3 {
			must(t, a.Add(t.Context(), event("b")))
		}
		behind(t, o, "UPDATE audit_events SET outcome = 'failed' WHERE id IN (2, 3, 4)") // before they are in the chain
		key.sealed(t, a)
		v, err := a.Verify(t.Context(), nil, key.holds)
		b, found := store.FoundBreak(v, err)
		if !found || b.Count() != 3 || b.Name() != "2" || !strings.Contains(b.What, "3 events") {
			t.Fatalf("found %t, %+v, %v", found, b, err)
		}
		key.acknowledge(t, a)
		must(t, a.Add(t.Context(), event("c")))
		behind(t, o, "UPDATE audit_events SET outcome = 'failed' WHERE ref = 'c'")
		key.sealed(t, a)
		if v, err := a.Verify(t.Context(), nil, key.holds); err != nil || v.Foreign != 1 || v.First.Action != "test" {
			t.Errorf("another one: %+v, %v", v, err)
		}
	})
	t.Run("forged and changed", func(t *testing.T) {
		o := fresh(t)
		a := open(t, o).Audit()
		key, other := auditKey(1), auditKey(2)
		for range 10 {
			must(t, a.Add(t.Context(), event("a")))
		}
		key.sealed(t, a)
		behind(t, o, "UPDATE audit_events SET outcome = 'failed' WHERE id = 5")
		v, err := a.Verify(t.Context(), nil, key.holds)
		b, _ := store.FoundBreak(v, err)
		must(t, a.Acknowledge(t.Context(), b, "admin:thief", "nothing to see", other.signing(), event("acknowledged")))
		broken := func(what string) {
			t.Helper()
			if v, err := a.Verify(t.Context(), nil, key.holds); err == nil {
				t.Errorf("%s: taken: %+v", what, v)
			}
		}
		broken("of another key")
		behind(t, o, "DELETE FROM audit_acknowledged")
		broken("removed")
		must(t, a.Acknowledge(t.Context(), b, "admin:test", "a trial", key.signing(), event("acknowledged")))
		if n := key.verified(t, a); n != 1 {
			t.Errorf("%d acknowledged", n)
		}
		for _, change := range []string{"reason = 'another'", "actor = 'admin:other'", "number = 7", "seq = 6"} {
			behind(t, o, "CREATE TABLE kept AS SELECT * FROM audit_acknowledged; UPDATE audit_acknowledged SET "+change)
			broken(change)
			behind(t, o, "DELETE FROM audit_acknowledged; INSERT INTO audit_acknowledged SELECT * FROM kept; DROP TABLE kept")
		}
		// Signed anew with another key, as when the secret key is replaced, the former one counts for nothing.
		n, err := a.Resign(t.Context(), store.Signing{Sign: other.signing().Sign, Holds: key.holds}, other.holds)
		must(t, err)
		if n != 1 {
			t.Errorf("signed anew: %d", n)
		}
		broken("of the former key")
		if v, err := a.Verify(t.Context(), nil, func(m, s []byte) bool {
			return other.holds(m, s) || bytes.HasPrefix(m, []byte("ssobridge audit seal")) && key.holds(m, s)
		}); err != nil || v.Acknowledged != 1 {
			t.Errorf("with the new key: %+v, %v", v, err)
		}
	})
}

// verified is how many acknowledgements Verify has needed.
func (s signer) verified(tb testing.TB, a *store.Audit) int {
	tb.Helper()
	v, err := a.Verify(tb.Context(), nil, s.holds)
	must(tb, err)
	return v.Acknowledged
}
