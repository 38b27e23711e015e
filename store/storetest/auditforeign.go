package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// keyed gives options another key to vouch with; "" is none.
func keyed(o store.Options, key string) store.Options {
	if o.Voucher = nil; key != "" {
		o.Voucher = Voucher(key)
	}
	return o
}

// testAuditForeign: an event that somebody writes into the database is chained as what it is, marked, counted by
// Verify, and stays so (row ID-18). Events of ours and of the version before are none.
func testAuditForeign(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	key := auditKey(1)
	insert := func(id int, mac string) string {
		return fmt.Sprintf(`
			INSERT INTO audit_events (id, at, ref, actor, action, subject, account, sp, address, outcome, reason, detail, mac) %%s
			SELECT %d, at, ref, actor, action, subject, account, sp, address, outcome, reason, detail, %s FROM audit_events WHERE id = 2`, id, mac)
	}
	for _, c := range []struct {
		name, do string
		foreign  int64 // how many Verify counts
		why      string
	}{
		{"none", "SELECT 1", 0, ""},
		{"without a MAC", insert(9, "EMPTY"), 1, "it carries no MAC"},
		{"with a MAC of another event", insert(9, "(SELECT mac FROM audit_events WHERE id = 1)"), 1, "its MAC does not hold"},
		{"a copy of an event", insert(9, "mac"), 1, "it is a copy of another one"},
		{"a changed event", "UPDATE audit_events SET outcome = 'ok' WHERE id = 4", 1, "its MAC does not hold"},
		{"a MAC removed", "UPDATE audit_events SET mac = EMPTY WHERE id = 4", 1, "it carries no MAC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Now().UTC()
			o := keyed(fresh(t), "ours")
			o.Now = func() time.Time { return now }
			file := strings.HasPrefix(o.DSN, "sqlite:")
			do := strings.ReplaceAll(c.do, "%s", map[bool]string{true: "", false: "OVERRIDING SYSTEM VALUE"}[file])
			do = strings.ReplaceAll(do, "EMPTY", map[bool]string{true: "x''", false: "''::bytea"}[file])
			a := open(t, o).Audit()
			must(t, a.Add(ctx, event("one"), event("two"), event("two"))) // equal events are no copies
			key.sealed(t, a)
			now = now.Add(2 * time.Minute)
			must(t, a.Add(ctx, store.Event{Actor: "p", Action: "test", Outcome: "refused"}))
			behind(t, o, do)
			r, err := a.Chain(ctx)
			must(t, err)
			if len(r.Foreign) != int(c.foreign) || r.Before != 0 || c.foreign == 1 && r.Foreign[0].Why != c.why {
				t.Errorf("chained: got %+v, want %d foreign events because %q", r, c.foreign, c.why)
			}
			must(t, a.AddCheckpoint(ctx, key.seal(r.Head)))
			v, err := a.Verify(ctx, nil, key.holds)
			if err != nil || v.Foreign != c.foreign || v.NoMAC != 0 || (v.First == nil) != (c.foreign == 0) {
				t.Errorf("verified: got %+v, %v, want %d foreign events", v, err, c.foreign)
			}
			list, err := a.List(ctx, store.Filter{})
			must(t, err)
			marked := int64(0)
			for _, e := range list {
				if e.Foreign {
					marked++
				}
			}
			if marked != c.foreign {
				t.Errorf("%d events of the list are marked, want %d", marked, c.foreign)
			}
			// Whoever looks twice a minute sees them until they are acknowledged by our key.
			standing := func(what string, holds func(message, signature []byte) bool, wantOpen, wantKnown bool) {
				t.Helper()
				if open, last, err := a.ForeignEvents(ctx, holds); err != nil || open != wantOpen || last.IsZero() == wantKnown {
					t.Errorf("%s: open %t, acknowledged at %s, %v", what, open, last, err)
				}
			}
			standing("found", key.holds, c.foreign > 0, false)
			if b, ok := store.FoundBreak(v, nil); ok {
				must(t, a.Acknowledge(ctx, b, "admin:test", "a trial", key.signing(), event("acknowledged")))
				standing("acknowledged by another key", auditKey(2).holds, true, false)
				standing("acknowledged", key.holds, false, true)
				behind(t, o, "DELETE FROM audit_acknowledged")
				standing("the acknowledgement is gone", key.holds, true, false)
			}
			// The mark is only for the eye: who takes it away changes nothing of what Verify finds.
			behind(t, o, "UPDATE audit_chain SET foreign_event = 0")
			if v, err := a.Verify(ctx, nil, key.holds); err != nil || v.Foreign != c.foreign {
				t.Errorf("without the mark: got %+v, %v", v, err)
			}
		})
	}
	t.Run("of the version before", func(t *testing.T) {
		o := fresh(t)
		must(t, open(t, keyed(o, "")).Audit().Add(ctx, event("old"), event("old")))
		a := open(t, keyed(o, "ours")).Audit()
		must(t, a.Add(ctx, event("new")))
		r, err := a.Chain(ctx)
		if err != nil || len(r.Foreign) != 0 || r.Before != 2 {
			t.Errorf("got %+v, %v, want two of the version before", r, err)
		}
		if v, err := a.Verify(ctx, nil, key.holds); err != nil || v.NoMAC != 2 || v.Foreign != 0 || v.Chained != 3 {
			t.Errorf("verified: got %+v, %v", v, err)
		}
	})
	t.Run("of another secret key", func(t *testing.T) {
		o := fresh(t)
		a := open(t, keyed(o, "ours")).Audit()
		must(t, a.Add(ctx, event("one")))
		must(t, open(t, keyed(o, "theirs")).Audit().Add(ctx, event("two")))
		if r, err := a.Chain(ctx); err != nil || len(r.Foreign) != 1 {
			t.Errorf("got %+v, %v, want one foreign event", r, err)
		}
	})
}

// testAuditOrigin: events of a context with an origin name it, whatever function of the store writes them.
func testAuditOrigin(t *testing.T, fresh func(testing.TB) store.Options) {
	db := open(t, fresh(t))
	ctx := store.WithOrigin(context.Background(), store.Origin{Ref: "REF0000001", Address: "192.0.2.7"})
	must(t, db.Audit().Add(ctx, store.Event{Actor: "p", Action: "test"}))
	must(t, db.Keys().Add(ctx, store.SigningKey{ID: "k", Use: "signing", State: "active"},
		store.Event{Actor: "p", Action: "key-add"}))
	must(t, db.Audit().Add(ctx, store.Event{Actor: "p", Action: "own", Ref: "OWN", Address: "192.0.2.8"}))
	must(t, db.Audit().Add(context.Background(), store.Event{Actor: "p", Action: "none"}))
	list, err := db.Audit().List(ctx, store.Filter{})
	must(t, err)
	for _, e := range list {
		want := map[string]string{"own": "OWN 192.0.2.8", "none": " "}[e.Action]
		if want == "" {
			want = "REF0000001 192.0.2.7"
		}
		if got := e.Ref + " " + e.Address; got != want {
			t.Errorf("%s comes from %q, want %q", e.Action, got, want)
		}
	}
}
