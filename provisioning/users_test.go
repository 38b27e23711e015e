package provisioning_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

func TestSuspendAndResume(t *testing.T) {
	w := newPlanWorld(t, nil)
	w.row("jane", harbour, store.Active)
	jane, nobody := store.UserKey{Person: "jane", Account: harbour}, store.UserKey{Person: "nobody", Account: harbour}
	if err := w.ResumeUser(t.Context(), jane, "admin:test"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("resume one who is not suspended: got %v", err)
	}
	if err := w.SuspendUser(t.Context(), jane, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if err := w.SuspendUser(t.Context(), jane, "admin:test"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("suspend twice: got %v", err)
	}
	if err := w.SuspendUser(t.Context(), nobody, "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("suspend nobody: got %v", err)
	}
	if err := w.ResumeUser(t.Context(), jane, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if err := w.ResumeUser(t.Context(), nobody, "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("resume nobody: got %v", err)
	}
	for _, action := range []string{"suspend-user", "resume-user"} {
		events := w.audited(action)
		if len(events) != 1 || events[0].Actor != "admin:test" || events[0].Subject != "jane" ||
			events[0].Account != harbour || events[0].Outcome != "ok" {
			t.Errorf("audit of %s: got %+v", action, events)
		}
	}
}

func (w *planWorld) audited(action string) []store.Event {
	w.tb.Helper()
	all, err := w.db.Audit().List(w.tb.Context(), store.Filter{Action: action, Limit: 1000})
	if err != nil {
		w.tb.Fatalf("audit: %v", err)
	}
	return all
}

func TestRetryUsers(t *testing.T) {
	w := newPlanWorld(t, nil)
	w.row("a-active", harbour, store.Active)
	w.row("b-refused", harbour, store.Refused)
	w.row("c-conflict", harbour, store.Conflict)
	w.row("d-unknown", harbour, store.Unknown)
	w.row("f-suspended", harbour, store.Suspended)
	w.row("e-wanted", harbour, store.Wanted, func(u *store.SSOUser) { u.Priority = store.PlanPriority })
	w.row("g-refused", juniper, store.Refused)
	n, err := w.RetryUsers(t.Context(), store.UserFilter{Account: harbour}, "admin:test")
	if err != nil || n != 4 {
		t.Errorf("RetryUsers: got %d, %v, want 4", n, err)
	}
	now := w.now()
	for person, want := range map[string]struct {
		state store.State
		class store.Priority
	}{
		"b-refused": {store.Wanted, store.RetryPriority}, "c-conflict": {store.Wanted, store.RetryPriority},
		"d-unknown": {store.Unknown, store.SignInPriority}, "e-wanted": {store.Wanted, store.RetryPriority},
	} {
		row := must(w.db.Ledger().Get(t.Context(), store.PersonID(person), harbour))(t)
		if row.State != want.state || row.Priority != want.class || row.NextAttempt.After(now) {
			t.Errorf("%s: got %s of class %s at %s, want %s of class %s at once", person, row.State, row.Priority,
				row.NextAttempt,
				want.state, want.class)
		}
	}
	for person, want := range map[string]store.State{"a-active": store.Active, "f-suspended": store.Suspended} {
		if row := must(w.db.Ledger().Get(t.Context(), store.PersonID(person), harbour))(t); row.State != want {
			t.Errorf("%s: got %s, want %s", person, row.State, want)
		}
	}
	if row := must(w.db.Ledger().Get(t.Context(), "g-refused", juniper))(t); row.State != store.Refused {
		t.Errorf("another account: got %s", row.State)
	}
	if got := w.audited("retry-user"); len(got) != 4 || got[0].Actor != "admin:test" {
		t.Errorf("audit: got %+v", got)
	}
	if n, err := w.RetryUsers(t.Context(), store.UserFilter{States: []store.State{store.Active}},
		"admin:test"); err != nil || n != 0 {
		t.Errorf("those who are there: got %d, %v, want none", n, err)
	}
}

// Assumed users are taken as there: nobody is doubted unasked.
func TestRetryAssumedUsers(t *testing.T) {
	w := newPlanWorld(t, nil)
	w.row("a-assumed", harbour, store.Assumed)
	w.row("b-active", harbour, store.Active)
	w.row("c-elsewhere", juniper, store.Assumed)
	if n, err := w.RetryUsers(t.Context(), store.UserFilter{Account: harbour}, "admin:test"); err != nil || n != 0 {
		t.Errorf("unasked: got %d, %v, want none", n, err)
	}
	var fault *provisioning.InputError
	if n, err := w.RetryUsers(t.Context(), store.UserFilter{States: []store.State{store.Assumed}},
		"admin:test"); !errors.As(err, &fault) || fault.Field != "state" || n != 0 {
		t.Errorf("of everybody: got %d, %v", n, err)
	}
	n, err := w.RetryUsers(t.Context(), store.UserFilter{Account: harbour, States: []store.State{store.Assumed}},
		"admin:test")
	if err != nil || n != 1 {
		t.Errorf("asked for: got %d, %v, want 1", n, err)
	}
	for _, c := range []struct {
		person  string
		account store.AccountID
		want    store.State
	}{{"a-assumed", harbour, store.Unknown}, {"b-active", harbour, store.Active}, {"c-elsewhere", juniper,
		store.Assumed}} {
		if row := must(w.db.Ledger().Get(t.Context(), store.PersonID(c.person), c.account))(t); row.State != c.want {
			t.Errorf("%s: got %s, want %s", c.person, row.State, c.want)
		}
	}
}

func TestSetHold(t *testing.T) {
	w := newPlanWorld(t, nil)
	for _, reason := range []string{"restore", "because", "ADMIN"} {
		if err := w.SetProvisioningPause(t.Context(), reason, "admin:test"); strings.Join(faultFields(err), "") != "reason" {
			t.Errorf("%s: got %v, want a fault of the reason", reason, err)
		}
	}
	if err := w.SetProvisioningPause(t.Context(), "admin", "admin:one"); err != nil {
		t.Fatal(err)
	}
	if err := w.SetProvisioningPause(t.Context(), "ledger-lost", "admin:two"); err != nil {
		t.Fatal(err)
	}
	hold := must(w.db.Ledger().ProvisioningPause(t.Context()))(t)
	if hold.Since.IsZero() || hold.Reason != "admin" || hold.By != "admin:one" {
		t.Errorf("got %+v, want the first one to go on", hold)
	}
	if err := w.SetProvisioningPause(t.Context(), "", "admin:two"); err != nil {
		t.Fatal(err)
	}
	if hold := must(w.db.Ledger().ProvisioningPause(t.Context()))(t); !hold.Since.IsZero() {
		t.Errorf("lifted: got %+v", hold)
	}
	if got := w.audited("release"); len(got) != 1 || got[0].Actor != "admin:two" {
		t.Errorf("audit: got %+v", got)
	}
}

func TestWorkDone(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{person("jane", group("sales")), person("mary", group("sales"))})
	w.maps("sales", harbour, store.AccountManager)
	w.row("left", harbour, store.Active)
	w.row("jane", harbour, store.Active, func(u *store.SSOUser) { u.Role = store.CampaignCreator })
	w.plan()
	same(t, "work", w.work(), "leaver left "+string(harbour), "drift jane "+string(harbour))
	left, jane := store.UserKey{Person: "left", Account: harbour}, store.UserKey{Person: "jane", Account: harbour}
	for _, bad := range []struct {
		key  store.UserKey
		kind string
	}{{left, "drift"}, {jane, "leaver"}, {store.UserKey{Person: "mary", Account: harbour}, "leaver"}} {
		if err := w.ManualTaskDone(t.Context(), bad.key, bad.kind, "admin:test"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of %s: got %v, want not found", bad.kind, bad.key.Person, err)
		}
	}
	if err := w.ManualTaskDone(t.Context(), left, "create", "admin:test"); strings.Join(faultFields(err), "") != "kind" {
		t.Errorf("another kind: got %v", err)
	}
	if err := w.ManualTaskDone(t.Context(), left, "leaver", "admin:test"); err != nil {
		t.Fatal(err)
	}
	if err := w.ManualTaskDone(t.Context(), jane, "drift", "admin:test"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Ledger().Get(t.Context(), "left", harbour); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the leaver's row: got %v, want it forgotten", err)
	}
	if row := must(w.db.Ledger().Get(t.Context(), "jane", harbour))(t); row.Role != store.AccountManager {
		t.Errorf("the drifted role: got %s", row.Role)
	}
	if got := w.audited("work-done"); len(got) != 2 || got[0].Actor != "admin:test" ||
		got[0].At.After(w.now().Add(time.Second)) {
		t.Errorf("audit: got %+v", got)
	}
}
