package storetest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// signing is what the program signs and checks the audit with.
func (s signer) signing() store.Signing {
	return store.Signing{Sign: func(message []byte) []byte { return ed25519.Sign(s.key, message) }, Holds: s.holds}
}

// testAuditOutcomes: outcomes of an action are kept for times of their own, and no event is passed off as one of
// another outcome (row ID-26).
func testAuditOutcomes(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	key := auditKey(1)
	const hours = 400
	// sealed has a login that went well at odd and a refused one at even entries, one of each an hour.
	sealed := func(t *testing.T) (store.Options, *store.Audit) {
		o := fresh(t)
		a := open(t, o).Audit()
		var all []store.Event
		for i := range hours {
			at := noon.Add(time.Duration(i-hours+1) * time.Hour)
			all = append(all, store.Event{At: at, Actor: "p1", Action: "login", Outcome: "ok"},
				store.Event{At: at, Action: "login", Outcome: "refused"})
		}
		must(t, a.Add(ctx, append(all, event("newest"))...))
		key.sealed(t, a)
		return o, a
	}
	left := func(t *testing.T, a *store.Audit, outcome string) int {
		t.Helper()
		all, err := a.List(ctx, store.Filter{Action: "login", Outcome: outcome, Limit: 1000})
		must(t, err)
		return len(all)
	}
	shortly := map[string]time.Duration{"login.refused": 100 * time.Hour, "login": 300 * time.Hour}
	for _, c := range []struct {
		name        string
		keep        map[string]time.Duration
		ok, refused int // that are left
	}{
		{"refused ones shorter", shortly, 300, 100},
		{"refused ones longer", map[string]time.Duration{"login": 100 * time.Hour, "login.refused": 300 * time.Hour}, 100,
			300},
		{"refused ones for ever", map[string]time.Duration{"login": 100 * time.Hour, "login.refused": 0}, 100, 400},
		{"refused ones alone", map[string]time.Duration{"login.refused": 100 * time.Hour}, 400, 100},
		{"beside the default", map[string]time.Duration{store.KeepDefault: 200 * time.Hour, "login.refused": 100 * time.Hour},
			200, 100},
		{"another outcome", map[string]time.Duration{"login.failed": 100 * time.Hour}, 400, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, a := sealed(t)
			r := key.retention(noon, c.keep)
			p, err := a.Purge(ctx, r)
			must(t, err)
			if want := 2*hours - c.ok - c.refused; p.Count != want || len(p.Changed) > 0 {
				t.Errorf("purged %+v, want %d", p, want)
			}
			if ok, refused := left(t, a, "ok"), left(t, a, "refused"); ok != c.ok || refused != c.refused {
				t.Errorf("%d and %d refused ones are left, want %d and %d", ok, refused, c.ok, c.refused)
			}
			if v, err := a.Verify(ctx, nil, key.holds); err != nil || v.Purged != int64(p.Count) {
				t.Errorf("verify: %+v, %v", v, err)
			}
			// Once more, past what has to stay; an hour later one more of each goes.
			if p, err = a.Purge(ctx, r); err != nil || p.Count != 0 {
				t.Errorf("again: %+v, %v", p, err)
			}
			kinds := 0
			for _, n := range []int{c.ok, c.refused} {
				if n < hours {
					kinds++
				}
			}
			if p, err = a.Purge(ctx, key.retention(noon.Add(time.Hour), c.keep)); err != nil || p.Count != kinds {
				t.Errorf("an hour later: %+v, %v, want %d", p, err, kinds)
			}
		})
	}
	// Entry 401 is a login of 199 hours ago.
	for name, do := range map[string]string{
		"removed": "DELETE FROM audit_events WHERE id = 401",
		"with another outcome": "DELETE FROM audit_events WHERE id = 401; UPDATE audit_chain SET outcome = " +
			"'refused' WHERE event = 401",
		"with what vouches for another one": "DELETE FROM audit_events WHERE id = 401; UPDATE audit_chain SET outcome = " +
			"'refused', purge_mac = (SELECT purge_mac FROM audit_chain WHERE event = 402) WHERE event = 401",
		"a refused one without its voucher":  "UPDATE audit_chain SET purge_mac = salt WHERE event = 402",
		"a refused one with another outcome": "UPDATE audit_chain SET outcome = 'ok' WHERE event = 402",
	} {
		t.Run("passed off: "+name, func(t *testing.T) {
			o, a := sealed(t)
			_, err := a.Purge(ctx, key.retention(noon, shortly))
			must(t, err)
			behind(t, o, do)
			var broken *store.ChainError
			if _, err := a.Verify(ctx, nil, key.holds); !errors.As(err, &broken) || broken.Seq != 401 && broken.Seq != 402 ||
				!strings.Contains(err.Error(), "missing") {
				t.Errorf("got %v, want that an event is missing", err)
			}
		})
	}
	t.Run("changed", func(t *testing.T) {
		o, a := sealed(t)
		behind(t, o, "UPDATE audit_events SET outcome = 'refused' WHERE id = 401; UPDATE audit_events SET actor = 'p9' "+
			"WHERE id = 402")
		p, err := a.Purge(ctx, key.retention(noon, shortly))
		if err != nil || len(p.Changed) != 2 || p.Changed[0].ID != 401 || p.Changed[1].ID != 402 {
			t.Errorf("got %+v, %v, want that events 401 and 402 were changed", p, err)
		}
		if _, err := a.Verify(ctx, nil, key.holds); err == nil {
			t.Error("what was changed is not found any more")
		}
	})
}

// testAuditCut: the chain is cut at a seal where all before it was purged, and verification begins there (row ID-26).
func testAuditCut(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	key := auditKey(1)
	const days, each = 10, 20 // a seal at the end of each day
	keep := map[string]time.Duration{store.KeepDefault: 6 * 24 * time.Hour, "login.refused": 24 * time.Hour}
	// daily returns the seals too. Each day has ten logins and ten refused ones.
	daily := func(t *testing.T) (store.Options, *store.Audit, []store.Checkpoint) {
		o := fresh(t)
		o.Now = func() time.Time { return noon }
		a := open(t, o).Audit()
		var seals []store.Checkpoint
		for day := range days {
			var all []store.Event
			for i := range each {
				all = append(all, store.Event{At: noon.AddDate(0, 0, day-days+1).Add(time.Duration(i-each) * time.Minute),
					Action: "login", Outcome: []string{"ok", "refused"}[i%2]})
			}
			must(t, a.Add(ctx, all...))
			seals = append(seals, key.sealed(t, a))
		}
		return o, a, seals
	}
	purge := func(t *testing.T, a *store.Audit, at time.Time, want int) {
		t.Helper()
		if p, err := a.Purge(ctx, key.retention(at, keep)); err != nil || p.Count != want {
			t.Fatalf("purged %+v, %v, want %d", p, err, want)
		}
	}
	cut := func(t *testing.T, a *store.Audit, want int64) store.Cut {
		t.Helper()
		c, ok, err := a.Cut(ctx, key.signing(), store.Event{Actor: "worker", Action: "audit-cut", Outcome: "ok"})
		if err != nil || ok != (want > 0) || c.Seq != want {
			t.Fatalf("cut at %d, %t, %v, want %d", c.Seq, ok, err, want)
		}
		return c
	}
	rows := func(t *testing.T, o store.Options, from string) (n int) {
		t.Helper()
		must(t, rawDB(t, o).QueryRow("SELECT COUNT(*) FROM "+from).Scan(&n))
		return n
	}
	t.Run("goes on", func(t *testing.T) {
		o, a, seals := daily(t)
		cut(t, a, 0) // nothing was purged
		// Of ten days the refused logins of nine, all others of four.
		purge(t, a, noon, 9*each/2+4*each/2)
		c := cut(t, a, 4*each)
		if c.Counts["login"] != 2*each || c.Counts["login.refused"] != 2*each || c.Entries() != 4*each ||
			!key.holds(c.Message(), c.Signature) {
			t.Errorf("cut %+v", c)
		}
		cut(t, a, 0)
		if n := rows(t, o, "audit_chain"); n != 6*each {
			t.Errorf("%d entries are left, want %d", n, 6*each)
		}
		if n := rows(t, o, "audit_seals"); n != 7 {
			t.Errorf("%d seals are left, want 7", n)
		}
		v, err := a.Verify(ctx, seals, key.holds)
		if err != nil || v.Cut == nil || v.Cut.Seq != c.Seq || v.BeforeCut != 3 || v.Outside != 7 || v.Checkpoints != 7 ||
			v.Purged != 5*each/2 || v.Chained != 7*each/2 || v.Unchecked != 1 {
			t.Errorf("verify: %+v, %v", v, err)
		}
		events, err := a.List(ctx, store.Filter{Action: "audit-cut"})
		if err != nil || len(events) != 1 || events[0].Actor != "worker" ||
			string(events[0].Detail) != `{"entries":80,"seq":80}` {
			t.Errorf("events %+v, %v", events, err)
		}
		// All has gone but the newest; the last entry of the chain stays, and the next ones follow it.
		key.sealed(t, a)
		purge(t, a, noon.AddDate(1, 0, 0), 7*each/2)
		c = cut(t, a, days*each)
		if c.Entries() != days*each || c.Counts["login"] != days*each/2 {
			t.Errorf("second cut %+v", c)
		}
		must(t, a.Add(ctx, event("after")))
		key.sealed(t, a)
		v, err = a.Verify(ctx, seals, key.holds)
		if err != nil || v.BeforeCut != days-1 || v.Chained != 3 || v.Purged != 0 {
			t.Errorf("verify after the second cut: %+v, %v", v, err)
		}
		if n := rows(t, o, "audit_cuts"); n != 1 {
			t.Errorf("%d cuts are kept, want the last one", n)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		o, a, seals := daily(t)
		raw := rawDB(t, o)
		purge(t, a, noon, 13*each/2)
		for _, table := range []string{"audit_chain", "audit_seals"} {
			_, err := raw.Exec("CREATE TABLE kept_" + table + " AS SELECT * FROM " + table)
			must(t, err)
		}
		cut(t, a, 4*each)
		// As if it had stopped halfway: the oldest entries and seals are there still.
		behind(t, o, "INSERT INTO audit_chain SELECT * FROM kept_audit_chain WHERE seq < 40; INSERT INTO audit_seals "+
			"SELECT * FROM kept_audit_seals WHERE seq < 60")
		if v, err := a.Verify(ctx, seals, key.holds); err != nil || v.Cut == nil || v.Purged != 5*each/2 {
			t.Errorf("verify: %+v, %v", v, err)
		}
		cut(t, a, 0)
		if n := rows(t, o, "audit_chain"); n != 6*each+1 && n != 6*each {
			t.Errorf("%d entries are left", n)
		}
		if n := rows(t, o, "audit_seals WHERE seq < 80"); n != 0 {
			t.Errorf("%d old seals are left", n)
		}
	})
	for _, c := range []struct {
		name, do string
		what     string
	}{
		{"the cut removed", "DELETE FROM audit_cuts", "entry 1 of the audit's chain: it is missing"},
		{"the cut moved on", "UPDATE audit_cuts SET seq = 100, hash = (SELECT hash FROM audit_chain WHERE seq = 100)",
			"not ours"},
		{"another cut by hand", "INSERT INTO audit_cuts SELECT seq, hash, at, '{}', signature FROM audit_seals WHERE seq = " +
			"120", "not ours"},
		{"with the signature of the first", "INSERT INTO audit_cuts SELECT 120, (SELECT hash FROM audit_chain WHERE seq = " +
			"120), at, counts, signature FROM audit_cuts", "not ours"},
		{"other counts", `UPDATE audit_cuts SET counts = '{"login":1}'`, "not ours"},
		{"the first entry removed", "DELETE FROM audit_chain WHERE seq = 81", "entry 81 of the audit's chain: it is missing"},
		{"the first entry changed", "UPDATE audit_chain SET at = at + 1 WHERE seq = 81", "entry 81 "},
	} {
		t.Run("forged: "+c.name, func(t *testing.T) {
			o, a, _ := daily(t)
			purge(t, a, noon, 13*each/2)
			cut(t, a, 4*each)
			behind(t, o, c.do)
			var broken *store.ChainError
			if _, err := a.Verify(ctx, nil, key.holds); !errors.As(err, &broken) || !strings.Contains(err.Error(), c.what) {
				t.Errorf("got %v, want %q", err, c.what)
			}
		})
	}
	t.Run("a seal from outside of another chain", func(t *testing.T) {
		_, a, seals := daily(t)
		purge(t, a, noon, 13*each/2)
		c := cut(t, a, 4*each)
		var broken *store.ChainError
		other := key.seal(store.Link{Seq: c.Seq, Hash: bytes.Repeat([]byte{7}, 32)})
		if _, err := a.Verify(ctx, []store.Checkpoint{other}, key.holds); !errors.As(err, &broken) {
			t.Errorf("at the cut: got %v", err)
		}
		seals[0].Hash = bytes.Repeat([]byte{7}, 32)
		if _, err := a.Verify(ctx, seals, key.holds); !errors.As(err, &broken) || !strings.Contains(err.Error(), "not ours") {
			t.Errorf("before the cut, with a signature that does not hold: got %v", err)
		}
	})
	t.Run("what somebody removed goes with no cut", func(t *testing.T) {
		o, a, seals := daily(t)
		purge(t, a, noon, 13*each/2)
		behind(t, o, "DELETE FROM audit_events WHERE id <= 130") // logins of five and six days ago too
		var broken *store.ChainError
		if c, ok, err := a.Cut(ctx, key.signing(), store.Event{}); !errors.As(err, &broken) || ok || broken.Seq != 81 {
			t.Errorf("cut at %d, %t, %v", c.Seq, ok, err)
		}
		if n := rows(t, o, "audit_chain"); n != days*each {
			t.Errorf("%d entries are left, want all", n)
		}
		if _, err := a.Verify(ctx, seals, key.holds); !errors.As(err, &broken) {
			t.Errorf("verify: %v", err)
		}
	})
	t.Run("an entry of another key's seal", func(t *testing.T) {
		o, a, _ := daily(t)
		purge(t, a, noon, 13*each/2)
		behind(t, o, fmt.Sprintf("DELETE FROM audit_seals WHERE seq < %d", 5*each))
		cut(t, a, 0) // there is no seal among what may go
	})
}
