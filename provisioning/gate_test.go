package provisioning_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// A client account that is cancelled or disabled takes no sign-ins, whether the user is there or not, and nobody is
// created in it.
func TestClosedAccountRefuses(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{ClosedStatuses: []string{"CANCELED"}}})
	w.mapGroup(group("sales"), harbour)
	w.run()
	jane, john := person("jane", group("sales")), person("john", group("sales"))
	expect(t, w.decide(jane), provisioning.Granted, "")
	w.closes(harbour)
	for name, p := range map[string]directory.Entry{"known": jane, "new": john} {
		d := w.decide(p)
		if d.Outcome != provisioning.Denied || d.Reason != provisioning.AccountClosed || d.Assignment.Account != harbour ||
			!strings.Contains(d.Detail, "Canceled") {
			t.Errorf("%s person: got %s %q (%s), want denied for the closed account", name, d.Outcome, d.Reason, d.Detail)
		}
		expect(t, w.decide(p, wanting(harbour)), provisioning.Denied, provisioning.AccountClosed)
		seen, err := w.Preview(t.Context(), provisioning.Question{Person: p, MayCreate: true})
		if err != nil || seen.Reason != provisioning.AccountClosed {
			t.Errorf("preview for the %s person: got %q, %v; want account_closed", name, seen.Reason, err)
		}
	}
	if got := len(w.posts()); got != 1 || w.row("john", harbour).State != "" {
		t.Errorf("got %d calls and john %q, want nothing wanted in the closed account", got, w.row("john", harbour).State)
	}
	hits, err := w.Explain(t.Context(), jane)
	if err != nil || len(hits) != 1 || !hits[0].Hit || !strings.Contains(hits[0].Why,
		"closed at Constant Contact (Canceled)") {
		t.Errorf("explain: got %+v, %v; want a hit that tells of the closed account", hits, err)
	}
	// Open again: as before.
	w.closes()
	expect(t, w.decide(jane), provisioning.Granted, "")
	hits, err = w.Explain(t.Context(), jane)
	if err != nil || len(hits) != 1 || strings.Contains(hits[0].Why, "closed") {
		t.Errorf("explain of an open account: got %+v, %v", hits, err)
	}
}

// Closed accounts are left out of the choice, as long as others are open. An account that is not listed yet passes.
func TestClosedAccountsAreNoChoice(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{ClosedStatuses: []string{"canceled"}}})
	w.mapGroup(group("sales"), harbour)
	w.mapGroup(group("sales"), juniper)
	w.mapGroup(group("sales"), cycling)
	jane := person("jane", group("sales"))
	choices := func() (all []store.AccountID) {
		for _, c := range w.decide(jane, justLook).Choices {
			all = append(all, c.Account)
		}
		return all
	}
	if got := choices(); len(got) != 3 {
		t.Errorf("with a list that was never read: got %v, want all three", got)
	}
	w.closes(harbour)
	if got := choices(); len(got) != 2 || got[0] != juniper || got[1] != cycling {
		t.Errorf("choices: got %v, want the two open ones", got)
	}
	w.closes(harbour, juniper)
	d := w.decide(jane, justLook)
	if d.Outcome != provisioning.Wait || d.Assignment.Account != cycling {
		t.Errorf("one open: got %s in %s, want it without a question", d.Outcome, d.Assignment.Account)
	}
	expect(t, w.decide(jane, wanting(juniper)), provisioning.Denied, provisioning.AccountClosed)
	w.closes(harbour, juniper, cycling)
	expect(t, w.decide(jane), provisioning.Denied, provisioning.AccountClosed)
	expect(t, w.decide(person("nobody")), provisioning.Denied, provisioning.NoAssignment)
}

// A suspended user refuses sign-ins and is not sent; resumed, they go on where they were.
func TestSuspendedUserRefuses(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	jane, key := person("jane", group("sales")), store.UserKey{Person: "jane", Account: harbour}
	expect(t, w.decide(jane, justLook), provisioning.Wait, "")
	if err := w.db.Ledger().Suspend(t.Context(), key, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	w.run()
	expect(t, w.decide(jane), provisioning.Denied, provisioning.UserSuspended)
	expect(t, w.decide(person("john", group("sales"))), provisioning.Granted, "")
	if got := w.row("jane", harbour); got.Attempts != 0 {
		t.Errorf("a suspended row was sent %d times", got.Attempts)
	}
	if err := w.db.Ledger().Resume(t.Context(), key, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(jane), provisioning.Granted, "")
}

// A client account that Constant Contact does not know is told as such, and is not asked about again and again.
func TestUnknownAccountIsRefused(t *testing.T) {
	w := newWorld(t, settings{})
	w.add(mapping.Spec{Group: group("sales"), Account: "a07nosuchone", Role: "account_manager", Unchecked: true})
	w.run()
	d := w.decide(person("jane", group("sales")))
	expect(t, d, provisioning.Denied, provisioning.RefusedByPartner)
	if !strings.Contains(d.Detail, "does not know this client account") {
		t.Errorf("detail: got %q", d.Detail)
	}
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Denied, provisioning.RefusedByPartner)
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}
