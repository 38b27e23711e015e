package storetest

import (
	"testing"

	"ssobridge/store"
)

// testAuditOwn: who changes an event before it is chained is found out by the one that wrote it.
func testAuditOwn(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db := open(t, o)
	a := db.Audit()
	own := func(want ...store.ChangedEvent) {
		t.Helper()
		changed, err := a.OwnChanged(ctx)
		must(t, err)
		ok := len(changed) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = changed[i].ID == want[i].ID && changed[i].Gone == want[i].Gone && changed[i].Action == "test"
		}
		if !ok {
			t.Errorf("changed: %v, want %v", changed, want)
		}
	}
	own()
	for range 5 {
		must(t, a.Add(ctx, store.Event{Actor: "p", Action: "test", Outcome: "refused", Address: "192.0.2.1\x00",
			Detail: []byte(`{"b": 1,  "a":[2]}`)}))
	}
	// What was rolled back was never written.
	if err := db.Mappings().Remove(ctx, store.Mapping{ID: 4711}, event("none")); err == nil {
		t.Fatal("a mapping that never was is removed")
	}
	own()
	behind(t, o, "UPDATE audit_events SET outcome = 'ok' WHERE id = 2; DELETE FROM audit_events WHERE id = 4")
	own(store.ChangedEvent{ID: 2}, store.ChangedEvent{ID: 4, Gone: true})
	// The chain believes the database. An event that was changed while it was chained, and changed back, is found too.
	behind(t, o, "UPDATE audit_events SET subject = 'q' WHERE id = 5")
	_, err := a.Chain(ctx)
	must(t, err)
	behind(t, o, "UPDATE audit_events SET subject = '' WHERE id = 5")
	own(store.ChangedEvent{ID: 5})
	own() // the others stand in the chain, and are remembered no longer
	behind(t, o, "UPDATE audit_events SET outcome = 'ok' WHERE id = 1")
	own()
	if v, err := a.Verify(ctx, nil, auditKey(1).holds); err == nil {
		t.Errorf("the chain holds after that: %+v", v)
	}

	// Another process remembers its own.
	other := open(t, o).Audit()
	must(t, other.Add(ctx, store.Event{Actor: "p", Action: "test"}))
	behind(t, o, "DELETE FROM audit_events WHERE id = (SELECT MAX(id) FROM audit_events)")
	own()
	if changed, err := other.OwnChanged(ctx); err != nil || len(changed) != 1 || !changed[0].Gone {
		t.Errorf("the other one: %v, %v", changed, err)
	}
}

// testAuditChainShort: sign-ins wait for none of the reading, MACs and hashes by which events come into the chain, and
// never for more than 50 entries being stored (row COST-85).
func testAuditChainShort(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	a := db.Audit()
	const events = 250
	all := make([]store.Event, events)
	for i := range all {
		all[i] = event("many")
	}
	must(t, a.Add(ctx, all...))
	before := db.Usage()
	c, err := a.Chain(ctx)
	must(t, err)
	after := db.Usage()
	if n := after.Transactions - before.Transactions; c.Head.Seq != events || n != 5 {
		t.Errorf("%d events came into the chain in %d transactions, want %d in 5", c.Head.Seq, n, events)
	}
	// In its transaction each entry is one statement, beside a look at the head.
	if n := after.Statements - before.Statements; n > events+15 {
		t.Errorf("it took %d statements, want few beside the %d entries", n, events)
	}
	if c, err = a.Chain(ctx); err != nil || c.Head.Seq != events || c.More {
		t.Errorf("with nothing new: %+v, %v", c, err)
	}
	if v, err := a.Verify(ctx, nil, auditKey(1).holds); err != nil || v.Chained != events {
		t.Errorf("verified: %+v, %v", v, err)
	}
}
