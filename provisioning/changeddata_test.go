package provisioning_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// dataTasks are the manual tasks about changed data, with what is to be changed.
func dataTasks(t *testing.T, db *store.DB, done bool) []string {
	t.Helper()
	list, err := db.Plans().ManualTasks(t.Context(), store.ManualTaskFilter{Kind: store.ItemData, Done: done})
	if err != nil {
		t.Fatalf("tasks: %v", err)
	}
	var all []string
	for _, w := range list {
		all = append(all, fmt.Sprintf("%s: %s %s %s -> %s %s %s", w.Person,
			w.Given.FirstName, w.Given.LastName, w.Given.ContactEmail, w.Now.FirstName, w.Now.LastName, w.Now.ContactEmail))
	}
	return all
}

func changedPerson(id, last, mail string, groups ...directory.Group) directory.Entry {
	return with(person(id, groups...), func(p *directory.Entry) { p.LastName, p.Mail = last, mail })
}

// A plan finds whose name or mail address is another one than Constant Contact was given, once, and takes the task away
// when there is nothing to change any more.
func TestPlanFindsChangedData(t *testing.T) {
	people := []directory.Entry{
		changedPerson("married", "Smith", "married@example.test", group("sales")),
		changedPerson("moved", "Doe", "moved@example.org", group("sales")),
		changedPerson("same", "Doe", "SAME@example.test", group("sales")), // mail addresses don't differ by letter case
		changedPerson("unusable", "Doe", "", group("sales")),
		changedPerson("imported", "Doe", "imported@example.org", group("sales")),
		changedPerson("waiting", "Smith", "waiting@example.test", group("sales")),
		changedPerson("left", "Smith", "left@example.test", group("other")),
		changedPerson("closed", "Smith", "closed@example.test", group("closed")),
		changedPerson("new", "Doe", "new@example.test", group("sales")),
	}
	w := newPlanWorld(t, people)
	w.maps("sales", harbour, store.AccountManager)
	w.maps("closed", juniper, store.AccountManager)
	w.accounts(store.Account{ID: juniper, Name: "Juniper", BillingStatus: "canceled"})
	for _, id := range []string{"married", "moved", "same", "unusable", "left"} {
		w.row(id, harbour, store.Active)
	}
	w.row("closed", juniper, store.Active)
	w.row("imported", harbour, store.Assumed, func(u *store.SSOUser) { u.FirstName, u.ContactEmail = "", "" })
	w.row("waiting", harbour, store.Unknown)
	first := []string{
		"married: Jane Doe married@example.test -> Jane Smith married@example.test",
		"moved: Jane Doe moved@example.test -> Jane Doe moved@example.org",
	}
	w.plan()
	same(t, "first plan", dataTasks(t, w.db, false), first...)
	w.plan()
	same(t, "second plan", dataTasks(t, w.db, false), first...)

	// Somebody who can't sign in at present was not compared: their task stays. Whoever left is a leaver.
	w.people.people[0].Problem = directory.MustChange
	w.people.people[1] = changedPerson("moved", "Doe", "moved@example.net", group("sales"))
	w.plan()
	same(t, "changed again", dataTasks(t, w.db, false), first[0],
		"moved: Jane Doe moved@example.test -> Jane Doe moved@example.net")
	w.people.people[0].Problem = directory.Disabled
	w.people.people[1] = changedPerson("moved", "Doe", "moved@example.test", group("sales"))
	w.plan()
	same(t, "gone back, and disabled", dataTasks(t, w.db, false))
}

// A task that was done is over, is listed as done, and a reading from before opens none again.
func TestChangedDataDone(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{changedPerson("jane", "Smith", "jane@example.org", group("sales"))})
	w.maps("sales", harbour, store.AccountManager)
	before := w.row("jane", harbour, store.Active)
	key := store.UserKey{Person: "jane", Account: harbour}
	if err := w.ManualTaskDone(t.Context(), key, store.ItemData, "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("done before there is any: %v, want ErrNotFound", err)
	}
	w.plan()
	if err := w.ManualTaskDone(t.Context(), key, store.ItemData, "admin:test"); err != nil {
		t.Fatal(err)
	}
	done := "jane: Jane Doe jane@example.test -> Jane Smith jane@example.org"
	same(t, "open", dataTasks(t, w.db, false))
	same(t, "done", dataTasks(t, w.db, true), done)
	row, err := w.db.Ledger().Get(t.Context(), key.Person, key.Account)
	if err != nil || row.LastName != "Smith" || row.ContactEmail != "jane@example.org" ||
		row.LoginName != before.LoginName {
		t.Errorf("row %+v, %v, want what Constant Contact has now", row, err)
	}
	w.plan()
	same(t, "next plan", dataTasks(t, w.db, false))
	if err := w.db.Plans().NoteChanged(t.Context(), []store.ChangedUser{{UserKey: key,
		Given: store.UserData{FirstName: "Jane", LastName: "Doe", ContactEmail: "jane@example.test"},
		Now:   store.UserData{FirstName: "Jane", LastName: "Smith", ContactEmail: "jane@example.org"}}}); err != nil {
		t.Fatal(err)
	}
	same(t, "found by who read the row before", dataTasks(t, w.db, false))
	list, err := w.db.Audit().List(t.Context(), store.Filter{Action: "work-done"})
	if err != nil || len(list) != 1 || list[0].Reason != store.ItemData || list[0].Actor != "admin:test" {
		t.Errorf("events %+v, %v", list, err)
	}
	if err := w.ManualTaskDone(t.Context(), key, "other", "admin:test"); err == nil {
		t.Error("a task of an unknown kind was taken")
	} else if _, ok := errors.AsType[*provisioning.InputError](err); !ok {
		t.Errorf("unknown kind: %v, want an InputError", err)
	}
}

// A sign-in finds it, too, and takes it away; a preview changes nothing.
func TestSignInFindsChangedData(t *testing.T) {
	w := newPlanWorld(t, nil)
	w.maps("sales", harbour, store.AccountManager)
	w.row("jane", harbour, store.Active)
	ask := func(p directory.Entry) provisioning.Question {
		return provisioning.Question{Person: p, Account: harbour, MayCreate: true, Patience: time.Second}
	}
	decide := func(p directory.Entry) {
		t.Helper()
		if d, err := w.Decide(t.Context(), ask(p)); err != nil || d.Outcome != provisioning.Granted {
			t.Fatalf("decision %+v, %v", d, err)
		}
	}
	now := changedPerson("jane", "Smith", "jane@example.org", group("sales"))
	if d, err := w.Preview(t.Context(), ask(now)); err != nil || d.Outcome != provisioning.Granted {
		t.Fatalf("preview %+v, %v", d, err)
	}
	same(t, "after a preview", dataTasks(t, w.db, false))
	want := "jane: Jane Doe jane@example.test -> Jane Smith jane@example.org"
	decide(now)
	same(t, "after a sign-in", dataTasks(t, w.db, false), want)
	decide(now)
	same(t, "after another", dataTasks(t, w.db, false), want)
	decide(person("jane", group("sales")))
	same(t, "gone back", dataTasks(t, w.db, false))
}
