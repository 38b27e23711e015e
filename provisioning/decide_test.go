package provisioning_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

func expect(t *testing.T, d provisioning.Decision, outcome provisioning.Outcome, reason provisioning.Reason) {
	t.Helper()
	if d.Outcome != outcome || d.Reason != reason {
		t.Fatalf("decision: got %s %q (%s), want %s %q", d.Outcome, d.Reason, d.Detail, outcome, reason)
	}
}

// API-04: a missing SSO user is created before the person passes; one that is in the ledger costs no call.
func TestAPI04CreatesOnce(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	jane := person("jane", group("sales"))

	d := w.decide(jane)
	expect(t, d, provisioning.Granted, "")
	if d.User.ExternalID != "jane."+string(harbour) || d.User.ExternalProvider != provider {
		t.Errorf("user: got external id %q of %q", d.User.ExternalID, d.User.ExternalProvider)
	}
	if d.Assignment.Name != "Harbour Books" || d.Assignment.Role != store.AccountManager {
		t.Errorf("assignment: got %+v", d.Assignment)
	}
	expect(t, w.decide(jane), provisioning.Granted, "")
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
	created := w.sandbox.Created()
	if len(created) != 1 || created[0].ContactEmail != "jane@example.test" || !strings.HasPrefix(created[0].LoginName,
		"sso-") || len(created[0].LoginName) != 24 {
		t.Errorf("created: got %+v", created)
	}

	wanted, made := w.events("create-user-wanted"), w.events("create-user")
	if len(wanted) != 1 || wanted[0].Ref != "ref-1" || wanted[0].Address != "192.0.2.1" || wanted[0].Subject != "jane" {
		t.Errorf("audit of the intention: got %+v", wanted)
	}
	if wanted[0].Actor != "jane" {
		t.Errorf("audit of the intention names %q as who asked, want the person who signs in", wanted[0].Actor)
	}
	if len(made) != 1 || made[0].Outcome != "ok" || made[0].Reason != "created" || made[0].Account != harbour {
		t.Errorf("audit of the outcome: got %+v", made)
	}
	// Whoever asks for somebody else's user is who has done so.
	if _, err := w.Decide(t.Context(), provisioning.Question{Person: person("jim", group("sales")), MayCreate: true,
		Actor: "token:abc"}); err != nil {
		t.Fatal(err)
	}
	if wanted = w.events("create-user-wanted"); len(wanted) != 2 || wanted[0].Actor != "token:abc" ||
		wanted[0].Subject != "jim" {
		t.Errorf("audit of an intention of a program: got %+v", wanted)
	}
}

// API-03: however many sign-ins of one person run at once, one call is made.
func TestAPI03ConcurrentSignInsMakeOneCall(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	jane := person("jane", group("sales"))
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			d, err := w.Decide(t.Context(), provisioning.Question{Person: jane, MayCreate: true, Patience: 10 * time.Second})
			if err != nil || d.Outcome != provisioning.Granted {
				t.Errorf("got %s %s, %v; want granted", d.Outcome, d.Reason, err)
			}
		})
	}
	all.Wait()
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
	if got := len(w.events("create-user-wanted")); got != 1 {
		t.Errorf("intentions in the audit: got %d, want 1", got)
	}
}

func TestDecideWhichAccount(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), juniper)
	w.mapGroup(group("riders"), cycling)
	w.mapGroup(group("readers"), harbour)
	w.run()
	both := person("both", group("riders"), group("sales"))

	expect(t, w.decide(person("nobody", group("other"))), provisioning.Denied, provisioning.NoAssignment)
	expect(t, w.decide(person("nobody"), wanting(harbour)), provisioning.Denied, provisioning.NoAssignment)
	expect(t, w.decide(both, wanting(harbour)), provisioning.Denied, provisioning.NotThisAccount)
	expect(t, w.decide(directory.Entry{Groups: both.Groups}), provisioning.Denied, provisioning.PersonData)

	d := w.decide(both)
	expect(t, d, provisioning.Choose, "")
	if len(d.Choices) != 2 || d.Choices[0].Name != "Juniper Bakery" || d.Choices[1].Name != "Northside Cycling Club" {
		t.Errorf("choices: got %+v, want two by name", d.Choices)
	}
	if got := len(w.posts()); got != 0 {
		t.Fatalf("calls before a choice: got %d, want 0", got)
	}
	d = w.decide(both, wanting(cycling))
	expect(t, d, provisioning.Granted, "")
	if d.Assignment.Account != cycling || d.User.Account != cycling {
		t.Errorf("granted: got account %s, user in %s, want %s", d.Assignment.Account, d.User.Account, cycling)
	}
	// The ids are unique for (person, client account): the second account works too.
	expect(t, w.decide(both, wanting(juniper)), provisioning.Granted, "")
}

func TestAccessEndsWithItsMapping(t *testing.T) {
	w := newWorld(t, settings{})
	m := w.mapGroup(group("sales"), harbour)
	w.run()
	jane := person("jane", group("sales"))
	expect(t, w.decide(jane), provisioning.Granted, "")
	if err := w.RemoveMapping(t.Context(), m.ID, "admin:test"); err != nil {
		t.Fatalf("RemoveMapping: %v", err)
	}
	expect(t, w.decide(jane), provisioning.Denied, provisioning.NoAssignment)
}

// REQ-17: AllowCreate="false" never makes a user, and never takes part in making one.
func TestREQ17MayNotCreate(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	jane := person("jane", group("sales"))
	never := func(q *provisioning.Question) { q.MayCreate = false }

	expect(t, w.decide(jane, never), provisioning.Denied, provisioning.MayNotCreate)
	if got := w.row("jane", harbour); got.State != "" {
		t.Fatalf("row: got %+v, want none", got)
	}
	expect(t, w.decide(jane, justLook), provisioning.Wait, "")
	expect(t, w.decide(jane, never), provisioning.Denied, provisioning.MayNotCreate)
	w.run()
	expect(t, w.decide(jane), provisioning.Granted, "")
	expect(t, w.decide(jane, never), provisioning.Granted, "")
}

// API-01: what does not fit the limits is refused before any call, with the field's name.
func TestAPI01PersonData(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	cases := []struct {
		name   string
		change func(*directory.Entry)
		field  string
	}{
		{"no mail", func(p *directory.Entry) { p.Mail = "" }, "contact_email"},
		{"mail that is none", func(p *directory.Entry) { p.Mail = "jane at example" }, "contact_email"},
		{"no first name", func(p *directory.Entry) { p.FirstName = " " }, "first_name"},
		{"long last name", func(p *directory.Entry) { p.LastName = strings.Repeat("o", 81) }, "last_name"},
		{"control character", func(p *directory.Entry) { p.LastName = "Do\x00e" }, "last_name"},
		{"long id", func(p *directory.Entry) { p.ID = strings.Repeat("i", 255) }, "external_id"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := person("p", group("sales"))
			c.change(&p)
			d := w.decide(p)
			expect(t, d, provisioning.Denied, provisioning.PersonData)
			if !strings.HasPrefix(d.Detail, c.field+":") {
				t.Errorf("detail: got %q, want it to name %s", d.Detail, c.field)
			}
		})
	}
	if got := len(w.posts()); got != 0 {
		t.Errorf("calls: got %d, want 0", got)
	}
}

// API-04: with Constant Contact down, those who have their user pass; new ones wait, are told why, and go on by
// themselves.
func TestAPI04ConstantContactDown(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	expect(t, w.decide(person("known", group("sales"))), provisioning.Granted, "")

	w.offline.Store(true)
	expect(t, w.decide(person("known", group("sales"))), provisioning.Granted, "")
	fresh := person("fresh", group("sales"))
	expect(t, w.decide(fresh, justLook), provisioning.Wait, "")
	w.until("the failure is noted", func() bool { return w.row("fresh", harbour).ErrorText != "" })
	d := w.decide(fresh, justLook)
	expect(t, d, provisioning.Wait, "")
	if d.Progress.Cause != provisioning.CauseUnreachable || d.Progress.State != store.Wanted ||
		d.Progress.NextTry.IsZero() || d.Progress.Place != 1 || d.Progress.Expected <= 0 {
		t.Errorf("progress: got %+v", d.Progress)
	}

	w.offline.Store(false)
	w.advance(time.Minute)
	expect(t, w.decide(fresh), provisioning.Granted, "")
	if got := len(w.posts()); got != 2 {
		t.Errorf("calls that arrived: got %d, want 2", got)
	}
}

// API-03: a conflict from the first is held for an admin, and no second call is made by itself.
func TestAPI03ConflictIsHeld(t *testing.T) {
	w := newWorld(t, settings{
		sandbox: sandbox.Options{Users: []sandbox.User{{LoginName: "jane." + string(harbour),
			ContactEmail: "old@example.test", FirstName: "Old", LastName: "Trial", RoleName: "owner"}}},
		service: provisioning.Options{LoginName: "{login}.{account}"},
	})
	w.mapGroup(group("sales"), harbour)
	w.run()
	jane := person("jane", group("sales"))
	for range 3 {
		d := w.decide(jane)
		expect(t, d, provisioning.Denied, provisioning.HeldConflict)
		if !strings.Contains(d.Detail, "another Constant Contact user") {
			t.Errorf("detail: got %q, want the fault and its fix", d.Detail)
		}
	}
	w.advance(24 * time.Hour)
	expect(t, w.decide(jane), provisioning.Denied, provisioning.HeldConflict)
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
	if got := w.events("create-user"); len(got) != 1 || got[0].Outcome != "refused" || got[0].Reason != "conflict" {
		t.Errorf("audit: got %+v", got)
	}
}

// A refusal is not tried again with the same data, but at once with fixed ones.
func TestRefusedUntilDataChange(t *testing.T) {
	w := newWorld(t, settings{})
	// An account that the sandbox does not know: it refuses the data.
	w.add(mapping.Spec{Group: group("sales"), Account: "gone0000", Role: "account_manager", Unchecked: true})
	w.run()
	jane := person("jane", group("sales"))
	expect(t, w.decide(jane), provisioning.Denied, provisioning.RefusedByPartner)
	w.advance(time.Hour)
	expect(t, w.decide(jane), provisioning.Denied, provisioning.RefusedByPartner)
	if got := len(w.posts()); got != 1 {
		t.Fatalf("calls with the same data: got %d, want 1", got)
	}
	jane.LastName = "Doe-Smith"
	expect(t, w.decide(jane), provisioning.Denied, provisioning.RefusedByPartner)
	if got := w.posts(); len(got) != 2 || !strings.Contains(got[1].Body, "Doe-Smith") {
		t.Errorf("calls with new data: got %d, want a second one with them", len(got))
	}
	if got := w.events("create-user-wanted"); len(got) != 2 || got[0].Reason != "again" {
		t.Errorf("audit: got %+v, want a second intention", got)
	}
}

// A forbidden creation passes once SSO for all users is enabled, after a pause.
func TestForbiddenIsTriedAgainLater(t *testing.T) {
	w := newWorld(t, settings{sandbox: sandbox.Options{OwnersOnly: true}})
	w.mapGroup(group("sales"), harbour)
	w.run()
	jane := person("jane", group("sales"))
	expect(t, w.decide(jane), provisioning.Denied, provisioning.RefusedByPartner)
	expect(t, w.decide(jane), provisioning.Denied, provisioning.RefusedByPartner)
	if got := len(w.posts()); got != 1 {
		t.Fatalf("calls at once: got %d, want 1", got)
	}
	w.sandbox.SetOwnersOnly(false)
	w.advance(6 * time.Minute)
	expect(t, w.decide(jane), provisioning.Granted, "")
}

// An owner's user is told, never created; it serves the owner alone.
func TestOwner(t *testing.T) {
	w := newWorld(t, settings{})
	w.run()
	mina := person("mina", group("sales"))
	owner := w.add(mapping.Spec{Person: "mina", Account: string(harbour), Role: "owner",
		ExternalID: "owner-harbour", Priority: 10})
	d := w.decide(mina)
	expect(t, d, provisioning.Granted, "")
	if d.User.ExternalID != "owner-harbour" || d.Assignment.Role != store.Owner {
		t.Errorf("granted as %q with role %s, want the told external id and owner", d.User.ExternalID, d.Assignment.Role)
	}
	// A mapping that wins over the owner's gives less; the owner's user must not serve it.
	less := w.add(mapping.Spec{Group: group("sales"), Account: string(harbour), Role: "campaign_creator", Priority: 5})
	expect(t, w.decide(mina), provisioning.Denied, provisioning.HeldConflict)
	if err := w.RemoveMapping(t.Context(), less.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(mina), provisioning.Granted, "")

	// Untold with its mapping: nothing is left of it, and nothing was ever sent.
	if err := w.RemoveMapping(t.Context(), owner.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(mina), provisioning.Denied, provisioning.NoAssignment)
	if got := len(w.posts()); got != 0 {
		t.Errorf("calls: got %d, want 0", got)
	}
}

func TestOwnerUnknown(t *testing.T) {
	w := newWorld(t, settings{})
	w.run()
	// As a hand in the database could leave it: owner, and no external id told.
	_, err := w.db.Mappings().Add(t.Context(), store.Mapping{Kind: store.PersonMapping, Person: "mina", Account: harbour,
		Role: store.Owner, Priority: 1}, nil, store.Event{Action: "mapping-add"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(person("mina")), provisioning.Denied, provisioning.OwnerUnknown)
}

// A template that gives two people one name never makes the second one share the first one's user.
func TestTemplateCollisionIsHeld(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{ExternalID: "{attr:employeenumber}.{account}",
		AllowMutableExternalID: true}})
	w.mapGroup(group("sales"), harbour)
	w.run()
	one, two := person("one", group("sales")), person("two", group("sales"))
	one.Attributes = map[string][]string{"employeenumber": {"7"}}
	two.Attributes = one.Attributes
	expect(t, w.decide(one), provisioning.Granted, "")
	expect(t, w.decide(two), provisioning.Denied, provisioning.HeldConflict)
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}

// A role that the mappings give later does not stop a sign-in: no API could change it at Constant Contact.
func TestRoleDriftPasses(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	jane := person("jane", group("sales"), group("writers"))
	expect(t, w.decide(jane), provisioning.Granted, "")
	w.add(mapping.Spec{Group: group("writers"), Account: string(harbour), Role: "campaign_creator", Priority: 1})
	d := w.decide(jane)
	expect(t, d, provisioning.Granted, "")
	if d.Assignment.Role != store.CampaignCreator || d.User.Role != store.AccountManager {
		t.Errorf("roles: assigned %s, told %s; want campaign_creator and account_manager", d.Assignment.Role, d.User.Role)
	}
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}

// Preview shows what would be sent and leaves nothing behind.
func TestPreviewStoresNothing(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	d, err := w.Preview(t.Context(), provisioning.Question{Person: person("jane", group("sales")), MayCreate: true,
		Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, d, provisioning.Wait, "")
	if d.User.ExternalID == "" || d.Progress.State != "" {
		t.Errorf("got %+v, want the row that would be stored and no progress", d)
	}
	if row := w.row("jane", harbour); row.State != "" || len(w.events("create-user-wanted")) != 0 {
		t.Errorf("stored: row %+v", row)
	}
}

// Waiting ends with the caller's context, and with the store gone there is no decision at all.
func TestDecideFailsClosed(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	jane := person("jane", group("sales"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.Decide(ctx, provisioning.Question{Person: jane, MayCreate: true, Patience: time.Minute})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cut short: got %v, want the context's error", err)
	}
	if got := w.row("jane", harbour).State; got != store.Wanted {
		t.Errorf("the intention: got %q, want it kept", got)
	}
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err := w.Decide(t.Context(), provisioning.Question{Person: jane, MayCreate: true}); err == nil {
		t.Errorf("store closed: got %+v, want an error", d)
	}
}

// What stands in the audit is JSON without anything said from outside.
func TestAuditDetail(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.run()
	expect(t, w.decide(person("jane", group("sales"))), provisioning.Granted, "")
	var detail map[string]any
	if err := json.Unmarshal(w.events("create-user")[0].Detail, &detail); err != nil {
		t.Fatal(err)
	}
	if len(detail) != 3 || detail["role"] != "account_manager" || detail["attempts"] != 1.0 ||
		detail["state"] != "active" {
		t.Errorf("got %v", detail)
	}
}

// What an administrator sees of one client account is what a sign-in to it would meet: created first, refused as
// closed, refused without the owner's id, or who is there.
func TestPreviewAssignmentIsWhatPreviewSays(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{ClosedStatuses: []string{"Cancelled"}}})
	w.mapGroup(group("sales"), harbour)
	w.mapGroup(group("sales"), juniper)
	p := person("ann", group("sales"))
	compare := func(what string, want provisioning.Outcome, reason provisioning.Reason) {
		t.Helper()
		list, err := w.Assignments(t.Context(), p)
		if err != nil || len(list) != 2 {
			t.Fatalf("%s: %v, %v", what, list, err)
		}
		for _, a := range list {
			if a.Account != harbour {
				continue
			}
			row, err := w.db.Ledger().Get(t.Context(), "ann", harbour)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			got, err := w.PreviewAssignment(t.Context(), p, a, row)
			if err != nil || got.Outcome != want || got.Reason != reason {
				t.Errorf("%s: %s %s, %v; want %s %s", what, got.Outcome, got.Reason, err, want, reason)
			}
			whole, err := w.Preview(t.Context(), provisioning.Question{Person: p, Account: harbour, MayCreate: true})
			if err != nil || whole.Outcome != got.Outcome || whole.Reason != got.Reason ||
				whole.User.ExternalID != got.User.ExternalID {
				t.Errorf("%s: Preview says %s %s, %v", what, whole.Outcome, whole.Reason, err)
			}
		}
	}
	compare("nobody there", provisioning.Wait, "")
	if _, err := w.Decide(t.Context(), provisioning.Question{Person: p, Account: harbour, MayCreate: true}); err != nil {
		t.Fatal(err)
	}
	compare("being created", provisioning.Wait, "")
	if err := w.db.Accounts().ReplaceAll(t.Context(), []store.Account{
		{ID: harbour, Name: "Harbour", BillingStatus: "Cancelled"}, {ID: juniper, Name: "Juniper", BillingStatus: "Open"},
	}, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	compare("closed", provisioning.Denied, provisioning.AccountClosed)
}
