package provisioning_test

import (
	"errors"
	"strings"
	"testing"

	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// API-03: two people whose external ids differ in letter case only: Constant Contact may take them for one, so the
// second is refused, in words that name both; and so whichever way the second one comes.
func TestAPI03ExternalIDsInAnotherCase(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Granted, "")
	d := w.decide(person("JANE", group("sales")))
	expect(t, d, provisioning.Denied, provisioning.HeldConflict)
	for _, want := range []string{"JANE." + string(harbour), "only in letter case", "person jane"} {
		if !strings.Contains(d.Detail, want) {
			t.Errorf("detail %q does not name %q", d.Detail, want)
		}
	}
	if row := w.row("JANE", harbour); row.State != "" || len(w.posts()) != 1 {
		t.Errorf("row %+v and %d calls, want no row and one call", row, len(w.posts()))
	}
	// Whoever has the user goes on, and so does everybody else.
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Granted, "")
	expect(t, w.decide(person("john", group("sales"))), provisioning.Granted, "")

	_, err := w.AddMapping(t.Context(), mapping.Spec{
		Person: "olga", Account: string(juniper), Role: "owner", ExternalID: "Jane." + strings.ToUpper(string(harbour)),
		Actor: "admin:test",
	})
	var field *provisioning.InputError
	if !errors.As(err, &field) || field.Field != "external_id" || !strings.Contains(field.Fault, "only in letter case") {
		t.Errorf("an owner's: %v, want a fault of external_id", err)
	}

	people := []store.SSOUser{{Person: "mary", Account: juniper, ExternalID: "JOHN." + string(harbour),
		ExternalProvider: provider, Role: store.AccountManager, State: store.Active}}
	if got, err := w.db.Ledger().Adopt(t.Context(), people, store.Event{Action: "test"}); err != nil ||
		got[0] != store.TakenCase {
		t.Errorf("adopted: %v, %v, want %s", got, err, store.TakenCase)
	}
	counts, err := w.ImportUsers(t.Context(), strings.NewReader("person_id,account,external_id,role\nmary,"+
		string(juniper)+",JOHN."+string(harbour)+",account_manager\n"), "admin:test")
	if err != nil || counts[store.TakenCase] != 1 {
		t.Errorf("imported: %v, %v, want one %s", counts, err, store.TakenCase)
	}
	if row := w.row("mary", juniper); row.State != "" {
		t.Errorf("mary has the row %+v, want none", row)
	}
}
