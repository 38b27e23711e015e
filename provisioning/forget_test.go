package provisioning_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Whoever may have a user at Constant Contact is forgotten only after an admin's word. Where the word was wrong and the
// person comes back, nobody is created a second time.
func TestForgetPerson(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	jane := person("jane", group("sales"))
	w.people.set(jane)
	stop := w.run()
	expect(t, w.decide(jane), provisioning.Granted, "")

	_, err := w.ForgetPerson(t.Context(), "jane", false, "admin:test")
	faults := provisioning.FieldErrors(err)
	if len(faults) != 1 || !strings.Contains(faults["person"], "may have a user at Constant Contact in "+
		string(harbour)) || !strings.Contains(faults["person"], "delete it there by hand") {
		t.Fatalf("got %v, want that she may have a user", err)
	}
	if w.row("jane", harbour).State != store.Active {
		t.Error("a refusal has changed the ledger")
	}
	f, err := w.ForgetPerson(t.Context(), "jane", true, "admin:test")
	if err != nil || f.Users != 1 || !f.Known {
		t.Fatalf("got %+v, %v, want one user forgotten, and that the directory knows her", f, err)
	}
	events := w.events("forget-person")
	if len(events) != 1 || events[0].Actor != "admin:test" || events[0].Subject != "jane" || events[0].Outcome != "ok" {
		t.Errorf("audit: got %+v", events)
	}
	// She was not deleted there after all.
	expect(t, w.decide(jane), provisioning.Denied, provisioning.HeldConflict)
	stop()
	created := 0
	for _, call := range w.posts() {
		if call.Status == http.StatusCreated {
			created++
		}
	}
	if created != 1 {
		t.Errorf("%d users were created for her, want 1", created)
	}
	w.people.set()
	if f, err = w.ForgetPerson(t.Context(), "jane", false, "admin:test"); err != nil || f.Users != 1 || f.Known {
		t.Errorf("a row in conflict, gone from the directory: got %+v, %v", f, err)
	}
	if _, err = w.ForgetPerson(t.Context(), "jane", false, "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("forgotten twice: got %v", err)
	}
}

// Everything that stands against it is told at once.
func TestForgetPersonFaults(t *testing.T) {
	w := newPlanWorld(t, nil)
	w.row("jane", harbour, store.Active)
	w.row("jane", cycling, store.Suspended)
	w.add(mapping.Spec{Person: "jane", Account: string(juniper), Role: "account_manager", Unchecked: true})
	w.people.fail(errors.New("the directory is down")) // which does not matter
	_, err := w.ForgetPerson(t.Context(), "jane", false, "admin:test")
	text := provisioning.FieldErrors(err)["person"]
	for _, want := range []string{string(harbour) + ", " + string(cycling), "is named by mapping 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if _, err := w.ForgetPerson(t.Context(), "", true, "admin:test"); err == nil {
		t.Error("nobody was forgotten")
	}
}
