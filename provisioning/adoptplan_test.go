package provisioning_test

import (
	"errors"
	"fmt"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// API-03: with the ledger lost, everybody who would be created is taken as created, and nothing is sent.
func TestAPI03AdoptPlan(t *testing.T) {
	w := newWorld(t, settings{})
	var people []directory.Entry
	const n = 1203 // more than two batches
	for i := range n {
		people = append(people, person(fmt.Sprintf("p%04d", i), group("sales")))
	}
	people = append(people, person("left", group("sales")))
	w.people.set(people...)
	w.mapGroup(group("sales"), harbour)
	plan, _, err := w.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "admin", Actor: "admin:test"})
	if err != nil || plan.Creations != n+1 {
		t.Fatalf("MakePlan: %+v, %v", plan, err)
	}
	w.people.set(people[:n]...)

	calls := len(w.sandbox.Calls())
	w.people.down.Store(true)
	if _, err := w.AdoptPlan(t.Context(), plan.ID, "admin:test"); err == nil {
		t.Fatal("with the directory down: got no error")
	}
	w.people.down.Store(false)
	counts, err := w.AdoptPlan(t.Context(), plan.ID, "admin:test")
	if err != nil || counts[store.Adopted] != n || counts[store.NotAdoptable] != 1 {
		t.Fatalf("AdoptPlan: got %v, %v, want %d adopted and one left out", counts, err, n)
	}
	hold, err := w.db.Ledger().ProvisioningPause(t.Context())
	if err != nil || hold.Reason != "ledger-lost" || hold.By != "admin:test" {
		t.Errorf("hold: got %+v, %v", hold, err)
	}
	d := w.decide(people[7], justLook)
	expect(t, d, provisioning.Granted, "")
	body, err := w.Body(people[7], provisioning.Assignment{Account: harbour, Role: store.AccountManager})
	if err != nil || d.User.State != store.Assumed || d.User.ExternalID != body.ExternalID ||
		d.User.LoginName != body.LoginName {
		t.Errorf("user: got %+v, %v, want assumed with external_id %s and login_name %s", d.User, err, body.ExternalID,
			body.LoginName)
	}
	if got := len(w.sandbox.Calls()) - calls; got != 0 {
		t.Errorf("calls: got %d, want none", got)
	}
	if counts, err = w.AdoptPlan(t.Context(), plan.ID, "admin:test"); err != nil || counts[store.Unchanged] != n ||
		counts[store.Adopted] != 0 {
		t.Errorf("once more: got %v, %v, want all unchanged", counts, err)
	}
	confirmed, err := w.ConfirmUsers(t.Context(), nil, "admin:test")
	if err != nil || confirmed != n {
		t.Errorf("ConfirmUsers: got %d, %v, want %d", confirmed, err, n)
	}
	if got := w.events("confirm-user"); len(got) != 1000 || got[0].Actor != "admin:test" {
		t.Errorf("audit: got %d events", len(got))
	}
}

// Who stands as a conflict is ours and forgotten; who was refused is not there.
func TestAdoptPlanTakesConflicts(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{person("john", group("sales")), person("ruth", group("sales")),
		person("jane", group("sales"))})
	w.maps("sales", harbour, store.AccountManager)
	before := w.row("john", harbour, store.Conflict)
	w.row("ruth", harbour, store.Refused)
	p := w.plan()
	counts, err := w.AdoptPlan(t.Context(), p.ID, "admin:test")
	if err != nil || counts[store.Changed] != 1 || counts[store.Adopted] != 1 {
		t.Fatalf("got %v, %v, want one changed, one new", counts, err)
	}
	john, err := w.db.Ledger().Get(t.Context(), "john", harbour)
	if err != nil || john.State != store.Assumed || john.ExternalID != before.ExternalID ||
		john.LoginName != before.LoginName {
		t.Errorf("john: got %+v, %v, want assumed as he was sent", john, err)
	}
	if ruth, err := w.db.Ledger().Get(t.Context(), "ruth", harbour); err != nil || ruth.State != store.Refused {
		t.Errorf("ruth: got %+v, %v, want refused", ruth, err)
	}
}

func TestAdoptPlanRefusals(t *testing.T) {
	w := newPlanWorld(t, nil)
	if _, err := w.AdoptPlan(t.Context(), 99, "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no such plan: got %v", err)
	}
	id, err := w.db.Plans().Create(t.Context(), store.Plan{Kind: "admin", Mappings: "x", CreatedBy: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AdoptPlan(t.Context(), id, "admin:test"); err == nil {
		t.Error("a plan that is being made: got no error")
	}
	if hold, err := w.db.Ledger().ProvisioningPause(t.Context()); err != nil || !hold.Since.IsZero() {
		t.Errorf("hold: got %+v, %v, want none", hold, err)
	}
}
