package provisioning_test

import (
	"errors"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// moveJane moves jane, who has a user in harbour, to a source.
func moveJane(w *world, to store.PersonID) {
	w.tb.Helper()
	did, err := w.db.Ledger().MoveToSource(w.tb.Context(), store.SourceMove{From: "jane",
		To:    store.SourcePerson{Person: to, Source: "portal", Login: "portal:jane"},
		Users: map[store.AccountID]store.Role{harbour: store.AccountManager}}, store.Event{Action: "test"})
	if !did || err != nil {
		w.tb.Fatalf("move: %v, %v", did, err)
	}
}

// TestMovedPerson: whoever was moved to a source is refused by the former id with a reason of its own, at a sign-in and
// as the owner of an order; who comes by the new id has the user.
func TestMovedPerson(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	stop := w.run()
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Granted, "")
	stop()
	moveJane(w, "source-portal.jane")
	d := w.decide(person("jane", group("sales")))
	expect(t, d, provisioning.Denied, provisioning.MovedAway)
	if !strings.Contains(d.Detail, "source portal") || !strings.Contains(d.Detail, "source-portal.jane") {
		t.Errorf("detail %q, want the source and the new id", d.Detail)
	}
	expect(t, w.decide(person("source-portal.jane", group("sales"))), provisioning.Granted, "")
}

// TestMovedOwner: an order that was checked before its owner was moved to a source, and is stored after it, is refused.
func TestMovedOwner(t *testing.T) {
	w := accountWorld(t, settings{})
	order := w.order()
	u := store.SSOUser{Person: order.Person, Account: harbour, ExternalID: "alice", ExternalProvider: provider,
		LoginName: "alice-at-harbour", Role: store.AccountManager}
	if _, _, err := w.db.Ledger().Enqueue(t.Context(), u, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	m := store.SourceMove{From: order.Person,
		To:    store.SourcePerson{Person: "source-portal.alice", Source: "portal", Login: "portal:alice"},
		Users: map[store.AccountID]store.Role{harbour: store.AccountManager}}
	if did, err := w.db.Ledger().MoveToSource(t.Context(), m, store.Event{Action: "test"}); !did || err != nil {
		t.Fatalf("move: %v, %v", did, err)
	}
	_, err := w.StoreOrder(t.Context(), order, "admin:test")
	if wrong, ok := errors.AsType[*provisioning.InputError](err); !ok || wrong.Field != "owner" {
		t.Errorf("order for the former id: %v, want a fault of the owner", err)
	}
}

// TestMoveLost: of a move that a restored backup does not have nobody is created, by either id.
func TestMoveLost(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	stop := w.run()
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Granted, "")
	stop()
	moveJane(w, "source-portal.jane")
	words, err := w.db.Revocations().After(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	r := newWorld(t, settings{})
	r.mapGroup(group("sales"), harbour)
	if _, err := r.db.Revocations().Settle(t.Context(), store.Settlement{Words: words, Restored: true,
		Event: store.Event{Action: "test"}}); err != nil {
		t.Fatal(err)
	}
	r.run()
	for _, id := range []string{"jane", "source-portal.jane"} {
		expect(t, r.decide(person(id, group("sales"))), provisioning.Denied, provisioning.MoveLost)
	}
	expect(t, r.decide(person("john", group("sales"))), provisioning.Granted, "")
	if n := len(r.posts()); n != 1 {
		t.Errorf("%d calls, want john's alone", n)
	}
}

// TestPlanOfLostMove: while a move is lost, the users of the former id are no leavers, whom an administrator would
// delete, and nobody is planned anew.
func TestPlanOfLostMove(t *testing.T) {
	from := newWorld(t, settings{})
	from.mapGroup(group("sales"), harbour)
	stop := from.run()
	expect(t, from.decide(person("jane", group("sales"))), provisioning.Granted, "")
	stop()
	moveJane(from, "source-portal.jane")
	words, err := from.db.Revocations().After(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	disabled := person("jane", group("sales"))
	disabled.Problem = directory.Disabled
	for name, former := range map[string][]directory.Entry{
		"in the directory as before": {person("jane", group("sales"))}, "in no group any more": {person("jane")},
		"disabled": {disabled}, "not in the directory any more": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newPlanWorld(t, append(former, person("john", group("sales")), person("source-portal.jane", group("sales"))))
			w.maps("sales", harbour, store.AccountManager)
			w.row("jane", harbour, store.Active)
			w.row("leo", harbour, store.Active)
			if _, err := w.db.Revocations().Settle(t.Context(), store.Settlement{Words: words,
				Event: store.Event{Action: "test"}}); err != nil {
				t.Fatal(err)
			}
			p := w.plan()
			same(t, "plan", w.lines(p.ID), "create john "+string(harbour)+" account_manager", "leaver leo "+string(harbour)+" ")
			if p.Leavers != 1 {
				t.Errorf("%d leavers, want leo alone", p.Leavers)
			}
		})
	}
}

// TestMovedConflict: the user that Constant Contact has already is the moved person's own, made under their former id.
// While the ledger may have forgotten that, it is taken as theirs; else an administrator is told whose it may be.
func TestMovedConflict(t *testing.T) {
	for name, paused := range map[string]bool{"as ever": false, "after a restore": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, settings{})
			w.mapGroup(group("sales"), harbour)
			jane := person("jane", group("sales"))
			body, err := w.Body(jane, provisioning.Assignment{Account: harbour, Role: store.AccountManager})
			if err != nil {
				t.Fatal(err)
			}
			// As a ledger that has lost the outcome: the row waits, and its user is there.
			w.there(t, jane, body)
			moveJane(w, "source-portal.jane")
			if paused {
				if err := w.db.Ledger().SetProvisioningPause(t.Context(), "restore",
					store.Event{Actor: "admin:test", Action: "hold"}); err != nil {
					t.Fatal(err)
				}
			}
			w.run()
			d := w.decide(person("source-portal.jane", group("sales")))
			if paused {
				expect(t, d, provisioning.Granted, "")
				return
			}
			expect(t, d, provisioning.Denied, provisioning.MovedConflict)
			if cause, _ := d.Why(); !strings.Contains(cause, "former id jane") {
				t.Errorf("cause %q, want the former id", cause)
			}
		})
	}
}

// there makes a user at Constant Contact, and a row that was never sent.
func (w *world) there(t *testing.T, p directory.Entry, body partnerapi.SSOUser) {
	t.Helper()
	stop := w.run()
	expect(t, w.decide(p), provisioning.Granted, "")
	stop()
	ctx, ledger := t.Context(), w.db.Ledger()
	if err := ledger.Forget(ctx, store.UserKey{Person: store.PersonID(p.ID), Account: harbour},
		store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ledger.Enqueue(ctx, store.SSOUser{
		Person: store.PersonID(p.ID), Account: harbour, ExternalID: body.ExternalID, ExternalProvider: provider,
		LoginName: body.LoginName, ContactEmail: body.ContactEmail, FirstName: body.FirstName, LastName: body.LastName,
		Role: store.AccountManager,
	}, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
}
