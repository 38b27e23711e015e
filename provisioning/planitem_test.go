package provisioning_test

import (
	"fmt"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

// applies makes these people the directory and applies a plan for them.
func (w *world) applies(people ...directory.Entry) store.Plan {
	w.tb.Helper()
	w.people.set(people...)
	plan, _, err := w.MakePlan(w.tb.Context(), provisioning.PlanOptions{Kind: "admin", Actor: "admin:test"})
	if err != nil {
		w.tb.Fatalf("MakePlan: %v", err)
	}
	return w.goesOn(provisioning.ApplyOptions{ID: plan.ID})
}

func (w *world) goesOn(o provisioning.ApplyOptions) store.Plan {
	w.tb.Helper()
	o.Actor = "admin:test"
	plan, err := w.ApplyPlan(w.tb.Context(), o)
	if err != nil {
		w.tb.Fatalf("ApplyPlan: %v", err)
	}
	return plan
}

func (w *world) untilPlan(id int64, state store.PlanState) store.Plan {
	w.tb.Helper()
	w.until(fmt.Sprintf("plan %d is %s", id, state), func() bool { return w.plan(id).State == state })
	return w.plan(id)
}

func (w *world) plan(id int64) store.Plan {
	w.tb.Helper()
	plan, err := w.db.Plans().Get(w.tb.Context(), id)
	if err != nil {
		w.tb.Fatal(err)
	}
	return plan
}

// itemOf is the line of a plan about a person.
func (w *world) itemOf(plan int64, id string) store.PlanItem {
	w.tb.Helper()
	all, err := w.db.Plans().Items(w.tb.Context(), plan, store.ItemFilter{Limit: 1000})
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, i := range all {
		if i.Person == store.PersonID(id) {
			return i
		}
	}
	w.tb.Fatalf("plan %d has no item of %s", plan, id)
	return store.PlanItem{}
}

// crowd are so many people in group sales.
func crowd(n int) []directory.Entry {
	var all []directory.Entry
	for i := range n {
		all = append(all, person(fmt.Sprintf("p%03d", i), group("sales")))
	}
	return all
}

// A plan creates whom it names, each once, and ends; its rows say so.
func TestPlanIsApplied(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	plan := w.applies(crowd(60)...)
	w.run()
	done := w.untilPlan(plan.ID, store.PlanDone)
	if done.Done != 60 || done.Failed != 0 || done.Skipped != 0 || done.FinishedAt.IsZero() {
		t.Errorf("plan: got %+v, want 60 done", done)
	}
	if got := len(w.sandbox.Created()); got != 60 {
		t.Errorf("users at Constant Contact: got %d, want 60", got)
	}
	row := w.row("p007", harbour)
	if row.State != store.Active || row.Plan != plan.ID || row.ExternalID != "p007."+string(harbour) {
		t.Errorf("row: got %+v", row)
	}
	if got := w.events("create-user-wanted"); len(got) != 60 || got[0].Actor != "admin:test" || got[0].Reason != "plan" {
		t.Errorf("audit: got %d intentions, the last %+v", len(got), got[0])
	}
	if got := w.events("plan-done"); len(got) != 1 {
		t.Errorf("audit: got %d ends of plans, want 1", len(got))
	}
	if s := w.status(); s.UsedPlan < 60 {
		t.Errorf("calls of class plan: got %d, want at least 60", s.UsedPlan)
	}
}

// Each item is looked at again at its call. What has changed is skipped with a word, and the rest goes on.
func TestPlanItemIsSkipped(t *testing.T) {
	// odd is the person whose item is skipped.
	odd := func(change func(*directory.Entry)) func(*world) {
		return func(w *world) {
			people := crowd(30)
			change(&people[3])
			w.people.set(people...)
		}
	}
	cases := []struct {
		name, reason string
		change       func(*world)
	}{
		{"gone", provisioning.SkipGone, func(w *world) {
			people := crowd(30)
			w.people.set(append(people[:3], people[4:]...)...)
		}},
		{"disabled", provisioning.SkipDisabled, odd(func(p *directory.Entry) { p.Problem = directory.Disabled })},
		{"expired", provisioning.SkipDisabled, odd(func(p *directory.Entry) { p.Problem = directory.Expired })},
		{"must change the password", provisioning.SkipNotNow,
			odd(func(p *directory.Entry) { p.Problem = directory.MustChange })},
		{"left the group", provisioning.SkipNoAssignment, odd(func(p *directory.Entry) { p.Groups = nil })},
		{"another role", provisioning.SkipOtherRole,
			odd(func(p *directory.Entry) { p.Groups = []directory.Group{group("creators")} })},
		{"no last name", provisioning.SkipPersonData, odd(func(p *directory.Entry) { p.LastName = "" })},
		{"the id is taken in another case", provisioning.SkipTakenCase, func(w *world) {
			u := store.SSOUser{Person: "other", Account: juniper, ExternalID: "P003." + string(harbour),
				ExternalProvider: provider, Role: store.AccountManager, State: store.Active}
			if got, err := w.db.Ledger().Adopt(w.tb.Context(), []store.SSOUser{u}, store.Event{Action: "test"}); err != nil ||
				got[0] != store.Adopted {
				w.tb.Fatalf("Adopt: %v, %v", got, err)
			}
		}},
		{"the id is taken", provisioning.SkipTaken, func(w *world) {
			u := store.SSOUser{Person: "other", Account: juniper, ExternalID: "p003." + string(harbour),
				ExternalProvider: provider, Role: store.AccountManager, State: store.Active}
			if got, err := w.db.Ledger().Adopt(w.tb.Context(), []store.SSOUser{u}, store.Event{Action: "test"}); err != nil ||
				got[0] != store.Adopted {
				w.tb.Fatalf("Adopt: %v, %v", got, err)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, settings{})
			w.mapGroup(group("sales"), harbour)
			w.add(mapping.Spec{Group: group("creators"), Account: string(harbour), Role: "campaign_creator", Priority: 5})
			plan := w.applies(crowd(30)...)
			c.change(w)
			w.run()
			done := w.untilPlan(plan.ID, store.PlanDone)
			if done.Done != 29 || done.Skipped != 1 || done.Failed != 0 {
				t.Errorf("plan: got %d done, %d skipped, %d failed; want 29, 1, 0", done.Done, done.Skipped, done.Failed)
			}
			if item := w.itemOf(plan.ID, "p003"); item.State != store.ItemSkipped || item.Reason != c.reason {
				t.Errorf("item: got %s %q, want skipped %q", item.State, item.Reason, c.reason)
			}
		})
	}
	t.Run("the person has signed in meanwhile", func(t *testing.T) {
		w := newWorld(t, settings{})
		w.mapGroup(group("sales"), harbour)
		plan := w.applies(crowd(3)...)
		w.want("p001", store.SignInPriority)
		w.want("p002", store.SignInPriority)
		w.run()
		done := w.untilPlan(plan.ID, store.PlanDone)
		if done.Done != 3 || done.Skipped != 0 {
			t.Errorf("plan: got %d done, %d skipped; want 3, 0: nothing has changed for who came by themselves",
				done.Done, done.Skipped)
		}
		if n := len(w.posts()); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
	})
	t.Run("the account is closed", func(t *testing.T) {
		w := newWorld(t, settings{service: provisioning.Options{ClosedStatuses: []string{"canceled"}}})
		w.mapGroup(group("sales"), harbour)
		plan := w.applies(crowd(1)...)
		w.closes(harbour)
		w.run()
		w.untilPlan(plan.ID, store.PlanDone)
		if item := w.itemOf(plan.ID, "p000"); item.Reason != provisioning.SkipAccountClosed || len(w.posts()) != 0 {
			t.Errorf("item: got %s %q and %d calls, want skipped account_closed and none", item.State, item.Reason,
				len(w.posts()))
		}
	})
}

// closes stores that a client account is cancelled.
func (w *world) closes(closed ...store.AccountID) {
	w.tb.Helper()
	var all []store.Account
	for _, a := range sandbox.SampleAccounts() {
		one := store.Account{ID: store.AccountID(a.ID), Name: a.OrganizationName, BillingStatus: "Open", SeenAt: w.now()}
		for _, id := range closed {
			if id == one.ID {
				one.BillingStatus = "Canceled"
			}
		}
		all = append(all, one)
		if err := w.sandbox.SetBillingStatus(a.ID, one.BillingStatus); err != nil {
			w.tb.Fatal(err)
		}
	}
	if err := w.db.Accounts().ReplaceAll(w.tb.Context(), all, store.Event{Action: "test"}); err != nil {
		w.tb.Fatal(err)
	}
}

// More than 5 % of skipped items stop a plan; an admin who accepts it lets it go on.
func TestPlanStopsAtManyChanges(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
	w.mapGroup(group("sales"), harbour)
	people := crowd(40)
	plan := w.applies(people...)
	w.people.set(people[3:]...) // the first three are gone: 5 % are two
	w.run()
	stopped := w.untilPlan(plan.ID, store.PlanStopped)
	if stopped.Reason != provisioning.StopSkipped || stopped.Skipped != 3 || len(w.posts()) != 0 {
		t.Errorf("plan: got %q with %d skipped and %d calls, want many_changed with 3 and none", stopped.Reason,
			stopped.Skipped, len(w.posts()))
	}
	if got := w.events("plan-stop"); len(got) != 1 {
		t.Errorf("audit: got %d stops, want 1", len(got))
	}
	w.goesOn(provisioning.ApplyOptions{ID: plan.ID, Accept: true})
	if done := w.untilPlan(plan.ID, store.PlanDone); done.Done != 37 || done.Skipped != 3 {
		t.Errorf("after it was accepted: got %+v, want 37 done and 3 skipped", done)
	}
}

// A run never creates more than its cap, however many workers and replicas there are.
func TestPlanStopsAtTheCap(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		w := newWorld(t, settings{store: o, real: true, service: provisioning.Options{Workers: 8}})
		w.mapGroup(group("sales"), harbour)
		w.people.set(crowd(40)...)
		plan, _, err := w.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "admin", Actor: "admin:test"})
		if err != nil {
			t.Fatal(err)
		}
		w.run()
		w.runAlso(w.another(w.sandbox.TokenOptions()))
		for run, want := range []int{15, 30} {
			w.goesOn(provisioning.ApplyOptions{ID: plan.ID, MaxCreate: 15, Accept: run > 0})
			stopped := w.untilPlan(plan.ID, store.PlanStopped)
			w.until("those on their way are there", func() bool { return w.plan(plan.ID).Done == want })
			if got := len(w.sandbox.Created()); stopped.Reason != provisioning.StopCap || got != want {
				t.Fatalf("run %d: got %q with %d users, want cap_reached with %d", run, stopped.Reason, got, want)
			}
		}
		// The last run has a cap that it does not reach.
		w.goesOn(provisioning.ApplyOptions{ID: plan.ID, MaxCreate: 15, Accept: true})
		if done := w.untilPlan(plan.ID, store.PlanDone); done.Done != 40 {
			t.Errorf("at the end: got %+v, want 40 done", done)
		}
	})
}

// A change of mappings stops a plan, unless an admin has accepted it.
func TestPlanStopsAtChangedMappings(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	plan := w.applies(crowd(10)...)
	m := w.mapGroup(group("other"), juniper)
	w.run()
	if stopped := w.untilPlan(plan.ID, store.PlanStopped); stopped.Reason != provisioning.StopMappings ||
		stopped.Skipped != 0 || len(w.posts()) != 0 {
		t.Errorf("plan: got %q with %d skipped and %d calls, want mappings_changed and none", stopped.Reason, stopped.Skipped,
			len(w.posts()))
	}
	w.goesOn(provisioning.ApplyOptions{ID: plan.ID, Accept: true})
	w.untilPlan(plan.ID, store.PlanDone)
	if got := w.count(store.Active); got != 10 {
		t.Errorf("users after it was accepted: got %d, want 10", got)
	}
	if err := w.RemoveMapping(t.Context(), m.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
}

// While creations are held no plan creates anybody, and sign-ins go on.
func TestPlanWaitsForTheHold(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	plan := w.applies(crowd(10)...)
	hold := func(reason string) {
		t.Helper()
		if err := w.db.Ledger().SetProvisioningPause(t.Context(), reason, store.Event{Actor: "admin:test",
			Action: "hold"}); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * time.Second)
	}
	hold("admin")
	w.run()
	expect(t, w.decide(person("p004", group("sales"))), provisioning.Granted, "")
	expect(t, w.decide(person("new", group("sales"))), provisioning.Granted, "")
	w.advance(2 * time.Second)
	expect(t, w.decide(person("newer", group("sales"))), provisioning.Granted, "")
	if got := w.plan(plan.ID); got.State != store.PlanApplying || got.Done+got.Skipped != 0 || len(w.posts()) != 3 {
		t.Fatalf("while held: got %+v and %d calls, want it applying without a step, and 3", got, len(w.posts()))
	}
	hold("")
	if done := w.untilPlan(plan.ID, store.PlanDone); done.Done != 10 || done.Skipped != 0 {
		t.Errorf("after the hold: got %+v, want 10 done, the one who came by themselves among them", done)
	}
}

// A directory that is down uses up no items: the plan waits.
func TestPlanWaitsForTheDirectory(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Lease: time.Second}})
	w.mapGroup(group("sales"), harbour)
	plan := w.applies(crowd(30)...)
	w.people.down.Store(true)
	w.run()
	w.until("it has looked", func() bool {
		_, claimed, err := w.db.Plans().Begun(t.Context(), plan.ID)
		return err == nil && claimed > 0
	})
	expect(t, w.decide(person("new", group("sales"))), provisioning.Granted, "")
	if got := w.plan(plan.ID); got.State != store.PlanApplying || got.Skipped != 0 || got.Done != 0 {
		t.Errorf("with the directory down: got %+v, want it to wait", got)
	}
	w.people.down.Store(false)
	w.advance(6 * time.Second)
	if done := w.untilPlan(plan.ID, store.PlanDone); done.Done != 30 || done.Skipped != 0 {
		t.Errorf("with the directory back: got %+v, want 30 done", done)
	}
}

// A plan that is paused and applied again goes on where it was.
func TestPlanGoesOnAfterAPause(t *testing.T) {
	w := newWorld(t, settings{budget: store.BudgetLimits{PerSecond: 50, PerDay: 10_000, Reserve: 0.2}})
	w.mapGroup(group("sales"), harbour)
	plan := w.applies(crowd(60)...)
	stop := w.run()
	w.until("some are there", func() bool { return w.count(store.Active) > 5 })
	if err := w.PausePlan(t.Context(), plan.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	stop() // calls under way end
	before := len(w.posts())
	if before >= 60 {
		t.Fatal("the plan was over before it was paused")
	}
	stop = w.run()
	expect(t, w.decide(person("new", group("sales"))), provisioning.Granted, "")
	stop()
	if got := len(w.posts()); got != before+1 {
		t.Errorf("calls while paused: got %d, want that of the sign-in only", got-before)
	}
	w.goesOn(provisioning.ApplyOptions{ID: plan.ID})
	w.run()
	if done := w.untilPlan(plan.ID, store.PlanDone); done.Done != 60 || len(w.sandbox.Created()) != 61 {
		t.Errorf("at the end: got %+v and %d users, want 60 done and 61", done, len(w.sandbox.Created()))
	}
}

// Two replicas over one PostgreSQL share a plan, and each user is created once.
func TestTwoReplicasSharePlan(t *testing.T) {
	fresh := storetest.Postgres(t)
	w := newWorld(t, settings{store: fresh(t), real: true, budget: store.BudgetLimits{PerSecond: 80, PerDay: 10_000,
		Reserve: 0.2}})
	w.mapGroup(group("sales"), harbour)
	plan := w.applies(crowd(300)...)
	other := w.another(w.sandbox.TokenOptions())
	w.run()
	w.runAlso(other)
	w.untilLong("the plan is done", time.Minute, func() bool { return w.plan(plan.ID).State == store.PlanDone })
	if done := w.plan(plan.ID); done.Done != 300 || done.Failed+done.Skipped != 0 {
		t.Errorf("plan: got %+v, want 300 done", done)
	}
	if calls, made := len(w.posts()), len(w.sandbox.Created()); calls != 300 || made != 300 {
		t.Errorf("got %d calls and %d users, want 300 of each", calls, made)
	}
	if got := w.sandbox.CallsIn(time.Second); got > 100 {
		t.Errorf("calls within a second: got %d, want at most 100", got)
	}
}
