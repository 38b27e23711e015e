package storetest

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// testAuditPurge: what is older than the retention of its action goes, the chain stays
// whole, and nothing else can be passed off as purged.
func testAuditPurge(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	key, other := auditKey(1), auditKey(2)
	const hours = 500 // one event of each action an hour, up to noon
	monthly := map[string]time.Duration{"sign-in": 100 * time.Hour}
	// sealed has 500 sign-ins at odd and 500 key-adds at even entries.
	sealed := func(t *testing.T) (store.Options, *store.Audit) {
		o := fresh(t)
		a := open(t, o).Audit()
		var all []store.Event
		for i := range hours {
			at := noon.Add(time.Duration(i-hours+1) * time.Hour)
			all = append(all, store.Event{At: at, Actor: "p1", Action: "sign-in", Address: "192.0.2.1"},
				store.Event{At: at, Actor: "p2", Action: "key-add"})
		}
		must(t, a.Add(ctx, all...))
		key.sealed(t, a)
		return o, a
	}
	purge := func(t *testing.T, a *store.Audit, want int, r store.Retention) {
		t.Helper()
		if p, err := a.Purge(ctx, r); err != nil || p.Count != want {
			t.Errorf("purged %d events, %v, want %d", p.Count, err, want)
		}
	}
	whole := func(t *testing.T, a *store.Audit, chained, purged int64) store.Verified {
		t.Helper()
		v, err := a.Verify(ctx, nil, key.holds)
		if err != nil || v.Chained != chained || v.Purged != purged {
			t.Errorf("got %+v, %v, want %d events and %d purged ones", v, err, chained, purged)
		}
		return v
	}
	t.Run("by action", func(t *testing.T) {
		o, a := sealed(t)
		// 500 in all, and those of the last 99 hours stay: one exactly as old as it may be goes.
		purge(t, a, 400, key.retention(noon, monthly))
		v := whole(t, a, 600, 400)
		if want := noon.Add(-100 * time.Hour); !v.PurgedTo.Equal(want) {
			t.Errorf("purged up to %v, want %v", v.PurgedTo, want)
		}
		purge(t, a, 0, key.retention(noon, monthly))
		purge(t, a, 1, key.retention(noon.Add(time.Hour), monthly))
		left, err := a.List(ctx, store.Filter{Action: "sign-in", Limit: 1000})
		must(t, err)
		if len(left) != 99 {
			t.Errorf("%d sign-ins are left, want 99", len(left))
		}
		var salted int
		must(t, rawDB(t, o).QueryRow(`SELECT COUNT(*) FROM audit_chain WHERE LENGTH(salt) > 0`).Scan(&salted))
		if salted != 599 {
			t.Errorf("%d entries have a salt, want those 599 whose events are there", salted)
		}
		// A longer time later does not make the purged ones look removed.
		purge(t, a, 0, key.retention(noon.Add(2*time.Hour), map[string]time.Duration{"sign-in": 5000 * time.Hour}))
		whole(t, a, 599, 401)
	})
	t.Run("by default", func(t *testing.T) {
		_, a := sealed(t)
		r := key.retention(noon.Add(9000*time.Hour), map[string]time.Duration{store.KeepDefault: time.Hour, "sign-in": 0})
		purge(t, a, 499, r) // the newest event of all stays
		whole(t, a, 501, 499)
		purge(t, a, 500, key.retention(r.At, map[string]time.Duration{store.KeepDefault: time.Hour}))
		whole(t, a, 1, 999)
		must(t, a.Add(ctx, event("after"))) // it must not get a number that the chain knows
		key.sealed(t, a)
		whole(t, a, 2, 999)
	})
	t.Run("nothing that is not sealed", func(t *testing.T) {
		a := open(t, fresh(t)).Audit()
		must(t, a.Add(ctx, store.Event{At: noon, Actor: "p1", Action: "sign-in"}, store.Event{At: noon, Actor: "p1",
			Action: "sign-in"}, event("newest")))
		r := key.retention(noon.Add(9000*time.Hour), monthly)
		purge(t, a, 0, r)
		head, _, err := chain(ctx, a)
		must(t, err)
		purge(t, a, 0, r)
		must(t, a.AddCheckpoint(ctx, key.seal(head)))
		purge(t, a, 2, r)
		whole(t, a, 1, 2)
	})
	for _, c := range []struct {
		name, do string
		seq      int64
		what     string
	}{
		{"one that is too young", "DELETE FROM audit_events WHERE id = 803", 803, "missing"},
		{"one that is kept for ever", "DELETE FROM audit_events WHERE id = 2", 2, "missing"},
		{"made older", "DELETE FROM audit_events WHERE id = 803; UPDATE audit_chain SET at = 1 WHERE event = 803",
			803, "changed"},
		{"made another", "DELETE FROM audit_events WHERE id = 2; UPDATE audit_chain SET action = 'sign-in' WHERE event = 2",
			2, "changed"},
		{"the record of the purge moved on", "DELETE FROM audit_events WHERE id = 803; UPDATE audit_retention SET at = at " +
			"+ 86400000000", 0, "not ours"},
		{"the record of the purge for more",
			`DELETE FROM audit_events WHERE id = 2; UPDATE audit_retention SET keep = '{"default":1}'`, 0, "not ours"},
		{"the record of the purge removed", "DELETE FROM audit_retention", 1, "missing"},
		{"with a record that is nonsense", "INSERT INTO audit_retention SELECT 'x', at, signature FROM audit_retention",
			0, "not ours"},
	} {
		t.Run("passed off: "+c.name, func(t *testing.T) {
			o, a := sealed(t)
			purge(t, a, 400, key.retention(noon, monthly))
			behind(t, o, c.do)
			var broken *store.ChainError
			if _, err := a.Verify(ctx, nil, key.holds); !errors.As(err, &broken) || broken.Seq != c.seq ||
				!strings.Contains(err.Error(), c.what) {
				t.Errorf("got %v, want entry %d: %s", err, c.seq, c.what)
			}
		})
	}
	t.Run("signed by somebody else", func(t *testing.T) {
		_, a := sealed(t)
		purge(t, a, 400, other.retention(noon, monthly))
		var broken *store.ChainError
		if _, err := a.Verify(ctx, nil, key.holds); !errors.As(err, &broken) || !strings.Contains(err.Error(), "not ours") {
			t.Errorf("got %v, want that the record is not ours", err)
		}
	})
	t.Run("what was changed is not helped away", func(t *testing.T) {
		o, a := sealed(t)
		behind(t, o, "UPDATE audit_events SET at = 1 WHERE id = 803; UPDATE audit_events SET action = 'sign-in' WHERE id = 2")
		purge(t, a, 400, key.retention(noon, monthly))
		var broken *store.ChainError
		if _, err := a.Verify(ctx, nil, key.holds); !errors.As(err, &broken) || broken.Seq != 2 {
			t.Errorf("got %v, want entry 2", err)
		}
	})
}

// testAuditSeals: one seal a day stays, and all of the last day.
func testAuditSeals(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	now := time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	a, key := open(t, o).Audit(), auditKey(1)
	const hours = 240 // a seal each hour up to now: of eleven days, the first and the last are cut
	for i := range hours {
		must(t, a.Add(ctx, event("seal")))
		head, _, err := chain(ctx, a)
		must(t, err)
		s := store.Checkpoint{Seq: head.Seq, Hash: head.Hash, At: now.Add(time.Duration(i-hours+1) * time.Hour)}
		s.Signature = ed25519.Sign(key.key, s.Message())
		must(t, a.AddCheckpoint(ctx, s))
	}
	// Those from the day before at 12 on stay, 25 in all, and one of each of the nine days before that one.
	for _, want := range []int{hours - 25 - 9, 0} {
		if n, err := a.PurgeCheckpoints(ctx); err != nil || n != want {
			t.Errorf("purged %d seals, %v, want %d", n, err, want)
		}
	}
	v, err := a.Verify(ctx, nil, key.holds)
	if err != nil || v.Checkpoints != 34 || v.Unchecked != 0 || !v.LastCheckpoint.Equal(now) {
		t.Errorf("got %+v, %v, want 34 seals, the last of now", v, err)
	}
	now = now.AddDate(1, 0, 0)
	if n, err := a.PurgeCheckpoints(ctx); err != nil || n != 34-11 {
		t.Errorf("a year later: purged %d seals, %v, want all but one of each of eleven days", n, err)
	}
}
