package provisioning_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// toldFile reads a file that must be good.
func toldFile(tb testing.TB, lines ...string) []provisioning.KnownUser {
	tb.Helper()
	all, err := provisioning.ReadKnownUsers(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		tb.Fatalf("ReadKnownUsers: %v", err)
	}
	return all
}

func TestAdoptUsers(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{
		person("jane", group("sales")), person("mary", group("sales")), person("paul"), person("rita", group("sales")),
		person("olga"),
		problem("dora", directory.Disabled), person("john", group("sales")), person("kate", group("sales")),
		person("zoe", group("sales")),
	})
	m := w.maps("sales", harbour, store.AccountManager)
	w.row("kate", harbour, store.Active)
	w.row("john", harbour, store.Conflict)
	w.row("zoe", harbour, store.Sending)
	const h = string(harbour)
	previewed, err := w.PreviewAdoption(t.Context(), toldFile(t,
		"login,person_id,account,external_id,role,state",
		"jane,,"+h+",,,",                                   // 2: by the template
		"mary,,"+h+",crm-7,campaign_creator,assumed",       // 3: with a role of its own
		"paul,,"+h+",crm-8,,",                              // 4: no mapping, no role
		"paul,,"+string(juniper)+",crm-9,account_manager,", // 5: no mapping
		"nobody,,"+h+",,,",                                 // 6
		",gone,"+h+",crm-10,account_manager,",              // 7: has left
		",gone,"+string(juniper)+",crm-11,,",               // 8: has left, without a role
		"olga,,"+h+",,owner,",                              // 9: an owner without an id
		"olga,,"+string(juniper)+",boss,owner,",            // 10
		"dora,,"+h+",crm-12,account_manager,",              // 11: disabled
		"rita,,zzz9,crm-13,account_manager,",               // 12: no such account
		"kate,,"+h+",other,account_manager,",               // 13: has another user
		"john,,"+h+",crm-14,,",                             // 14: a conflict becomes the told one
		",jane,"+h+",crm-15,,",                             // 15: jane again, by id
		"zoe,,"+h+",crm-16,,",                              // 16: is being sent
	))
	if err != nil {
		t.Fatalf("PreviewAdoption: %v", err)
	}
	rows, err := w.db.Ledger().CountByState(t.Context())
	if err != nil || rows[store.Active] != 1 || rows[store.Assumed] != 0 {
		t.Errorf("after the preview the ledger has %v, %v: want nothing new", rows, err)
	}
	want := map[int]struct{ id, role, fault, note string }{
		2:  {"jane." + h, "account_manager", "", ""},
		3:  {"crm-7", "campaign_creator", "", fmt.Sprintf("mapping %d gives role account_manager", m.ID)},
		4:  {"crm-8", "", "no mapping tells the role", "no mapping gives"},
		5:  {"crm-9", "account_manager", "", "no mapping gives"},
		6:  {"", "", "nobody in the directory", ""},
		7:  {"crm-10", "account_manager", "", "is not in the directory"},
		8:  {"crm-11", "", "no mapping tells the role", "is not in the directory"},
		9:  {"", "owner", "an owner has an external_id of its own", "no mapping"},
		10: {"boss", "owner", "", "no mapping"},
		11: {"crm-12", "account_manager", "", "can't sign in at present: disabled"},
		12: {"crm-13", "account_manager", "", "not among those that Constant Contact lists"},
		13: {"other", "account_manager", "with external_id kate." + h, ""},
		14: {"crm-14", "account_manager", "", "has the person as conflict"},
		15: {"crm-15", "account_manager", "line 2 tells of the same person", ""},
		16: {"crm-16", "account_manager", "is being created", ""},
	}
	for _, got := range previewed {
		c := want[got.Known.Line]
		if got.User.ExternalID != c.id || string(got.User.Role) != c.role || got.Outcome != "" {
			t.Errorf("line %d: got %+v, want %q as %q", got.Known.Line, got.User, c.id, c.role)
		}
		if (c.fault == "") != (got.Fault == "") || !strings.Contains(got.Fault, c.fault) {
			t.Errorf("line %d: got fault %q, want %q", got.Known.Line, got.Fault, c.fault)
		}
		if (c.note == "") != (got.Note == "") || !strings.Contains(got.Note, c.note) {
			t.Errorf("line %d: got note %q, want %q", got.Known.Line, got.Note, c.note)
		}
	}

	done, err := w.AdoptUsers(t.Context(), previewed, "admin:test")
	if err != nil {
		t.Fatalf("AdoptUsers: %v", err)
	}
	for _, got := range done {
		if want[got.Known.Line].fault != "" {
			if got.Outcome != "" {
				t.Errorf("line %d has a fault and became %s", got.Known.Line, got.Outcome)
			}
			continue
		}
		outcome := store.Adopted
		if got.Known.Line == 14 {
			outcome = store.Changed
		}
		row, err := w.db.Ledger().Get(t.Context(), got.User.Person, got.User.Account)
		if err != nil || got.Outcome != outcome || row.ExternalID != got.User.ExternalID || row.State != got.User.State ||
			row.Role != got.User.Role {
			t.Errorf("line %d: got %s, row %+v, %v; want %s of %+v", got.Known.Line, got.Outcome, row, err, outcome, got.User)
		}
	}
	if row, _ := w.db.Ledger().Get(t.Context(), "mary", harbour); row.State != store.Assumed ||
		row.ExternalProvider != provider {
		t.Errorf("mary: got %+v, want assumed with our provider", row)
	}
	events, err := w.db.Audit().List(t.Context(), store.Filter{Action: "adopt-user", Limit: 100})
	if err != nil || len(events) != 8 {
		t.Errorf("audit: got %d events, %v, want one for each of 8", len(events), err)
	}
	for _, e := range events {
		if e.Actor != "admin:test" || e.Subject == "" || e.Account == "" {
			t.Errorf("audit: got %+v", e)
		}
	}
	// Imported once more, nothing changes.
	for _, again := range must(w.AdoptUsers(t.Context(), done, "admin:test"))(t) {
		if again.Fault == "" && again.Outcome != store.Unchanged {
			t.Errorf("line %d once more: got %s", again.Known.Line, again.Outcome)
		}
	}
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return value
	}
}

// Imported users sign in as whom they were imported as.
func TestAdoptedUserSignsIn(t *testing.T) {
	jane := person("jane", group("sales"))
	w := newPlanWorld(t, []directory.Entry{jane})
	w.maps("sales", harbour, store.AccountManager)
	previewed := must(w.PreviewAdoption(t.Context(), toldFile(t, "login,account,external_id", "jane,"+
		string(harbour)+",crm-7")))(t)
	must(w.AdoptUsers(t.Context(), previewed, "admin:test"))(t)
	d, err := w.Decide(t.Context(), provisioning.Question{Person: jane, MayCreate: false})
	if err != nil || d.Outcome != provisioning.Granted || d.User.ExternalID != "crm-7" {
		t.Errorf("got %s %+v, %v, want her granted as crm-7", d.Outcome, d.User, err)
	}
}

// Two people can't be told the same external_id, whoever comes first.
func TestAdoptTakenID(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{person("jane", group("sales")), person("mary", group("sales"))})
	w.maps("sales", harbour, store.AccountManager)
	one := must(w.PreviewAdoption(t.Context(), toldFile(t, "login,account,external_id", "jane,"+
		string(harbour)+",crm-7")))(t)
	two := must(w.PreviewAdoption(t.Context(), toldFile(t, "login,account,external_id", "mary,"+
		string(harbour)+",crm-7")))(t)
	must(w.AdoptUsers(t.Context(), one, "admin:test"))(t)
	if got := must(w.AdoptUsers(t.Context(), two, "admin:test"))(t); got[0].Outcome != store.TakenID {
		t.Errorf("got %s, want %s", got[0].Outcome, store.TakenID)
	}
	if _, err := w.db.Ledger().Get(t.Context(), "mary", harbour); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("mary's row: %v", err)
	}
}

// A directory that is down is no fault of a line.
func TestPreviewAdoptionDirectoryDown(t *testing.T) {
	w := newWorld(t, settings{})
	w.people.set(person("jane"))
	w.people.down.Store(true)
	lines := []string{"person_id,account,role"}
	for i := range 50 {
		lines = append(lines, fmt.Sprintf("p%d,%s,account_manager", i, harbour))
	}
	got, err := w.PreviewAdoption(t.Context(), toldFile(t, lines...))
	if err == nil || got != nil {
		t.Errorf("got %d tellings, %v, want an error alone", len(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.people.down.Store(false)
	if _, err := w.PreviewAdoption(ctx, toldFile(t, lines...)); err == nil {
		t.Error("cancelled: got no error")
	}
}

// An export that is told as users: those never created, and the suspended, are faults.
func TestPreviewAdoptionOfStates(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{person("jane", group("sales"))})
	w.maps("sales", harbour, store.AccountManager)
	for state, want := range map[store.State]store.State{
		store.Active: store.Active, store.Assumed: store.Assumed, store.Sending: store.Assumed, store.Unknown: store.Assumed,
		store.Wanted: "", store.Conflict: "", store.Refused: "", store.Suspended: "",
	} {
		got := must(w.PreviewAdoption(t.Context(), toldFile(t, "login,account,state", "jane,"+string(harbour)+","+
			string(state))))(t)[0]
		if got.User.State != want || (want == "") != (got.Fault != "") {
			t.Errorf("%s: got %s with fault %q, want %s", state, got.User.State, got.Fault, want)
		}
	}
}
