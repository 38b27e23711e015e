package provisioning_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// newApplyWorld has a plan of so many creations, and a cap of 10.
func newApplyWorld(t *testing.T, creations int) (*planWorld, store.Plan) {
	t.Helper()
	var people []directory.Entry
	for i := range creations {
		people = append(people, person(fmt.Sprintf("p%03d", i), group("sales")))
	}
	w := newPlanWorld(t, people, func(o *provisioning.Options) { o.MaxCreate = 10 })
	w.maps("sales", harbour, store.AccountManager)
	return w, w.plan()
}

func (w *planWorld) apply(o provisioning.ApplyOptions) (store.Plan, error) {
	o.Actor = "admin:test"
	return w.ApplyPlan(w.tb.Context(), o)
}

func (w *planWorld) mustApply(o provisioning.ApplyOptions) store.Plan {
	w.tb.Helper()
	p, err := w.apply(o)
	if err != nil {
		w.tb.Fatalf("ApplyPlan(%+v): %v", o, err)
	}
	return p
}

// stopsFor wants a StopError with this reason, and the plan as it was.
func (w *planWorld) stopsFor(o provisioning.ApplyOptions, plan store.Plan, reason string) *provisioning.StopError {
	w.tb.Helper()
	_, err := w.apply(o)
	stop, ok := errors.AsType[*provisioning.StopError](err)
	if !ok || stop.Reason != reason || stop.Plan != plan.ID || stop.Detail == "" || stop.Fix == "" {
		w.tb.Fatalf("ApplyPlan(%+v): got %v, want a StopError for %s with detail and fix", o, err, reason)
	}
	if now := w.get(plan.ID); now != plan {
		w.tb.Errorf("plan after it was refused: got %+v, want %+v", now, plan)
	}
	return stop
}

func (w *planWorld) stop(plan store.Plan, reason string) store.Plan {
	w.tb.Helper()
	if err := w.db.Plans().SetState(w.tb.Context(), plan.ID, store.PlanApplying, store.PlanStopped,
		store.PlanChange{Reason: reason}, store.Event{Action: "test"}); err != nil {
		w.tb.Fatal(err)
	}
	return w.get(plan.ID)
}

// skip ends the next item as a worker does that finds it changed.
func (w *planWorld) skip(n int) {
	w.tb.Helper()
	for range n {
		i, err := w.db.Plans().Claim(w.tb.Context(), time.Minute)
		if err == nil {
			err = w.db.Plans().Skip(w.tb.Context(), i, "changed")
		}
		if err != nil {
			w.tb.Fatalf("skip an item: %v", err)
		}
	}
}

// begin begins the next item as a worker does.
func (w *planWorld) begin() store.SSOUser {
	w.tb.Helper()
	i, err := w.db.Plans().Claim(w.tb.Context(), time.Minute)
	if err != nil {
		w.tb.Fatalf("claim an item: %v", err)
	}
	row, err := w.db.Plans().Begin(w.tb.Context(), i, store.SSOUser{
		Person: i.Person, Account: i.Account, ExternalID: string(i.Person) + "." + string(i.Account),
		ExternalProvider: provider, LoginName: string(i.Person), Role: i.Role,
	}, time.Minute, store.Event{Action: "test", Outcome: "ok"})
	if err != nil {
		w.tb.Fatalf("begin %s: %v", i.Person, err)
	}
	return row
}

// create ends the next items as a worker does that has created their users.
func (w *planWorld) create(n int) {
	w.tb.Helper()
	for range n {
		row := w.begin()
		row.State = store.Active
		if err := w.db.Ledger().Settle(w.tb.Context(), row, store.Event{Action: "test", Outcome: "ok"}); err != nil {
			w.tb.Fatalf("create %s: %v", row.Person, err)
		}
	}
}

func TestApplyPlan(t *testing.T) {
	w, plan := newApplyWorld(t, 10)
	got := w.mustApply(provisioning.ApplyOptions{})
	if got.ID != plan.ID || got.State != store.PlanApplying || got.AppliedBy != "admin:test" || got.MaxCreate != 10 ||
		got.MaxSkipped != 1 {
		t.Errorf("got %+v, want it applying under the configured cap, with one skip allowed", got)
	}
	if again := w.mustApply(provisioning.ApplyOptions{ID: plan.ID, MaxCreate: 3}); again != got {
		t.Errorf("applied once more: got %+v, want it as it is", again)
	}
	events, err := w.db.Audit().List(t.Context(), store.Filter{Action: "plan-apply", Limit: 10})
	if err != nil || len(events) != 1 || events[0].Actor != "admin:test" ||
		events[0].Subject != fmt.Sprintf("plan %d", plan.ID) {
		t.Errorf("audit: got %+v, %v", events, err)
	}
	// Another plan has to wait.
	other := w.plan()
	if _, err := w.apply(provisioning.ApplyOptions{}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second plan: got %v, want ErrConflict", err)
	}
	if got := w.get(other.ID); got.State != store.PlanReady {
		t.Errorf("the second plan: got %s, want it ready", got.State)
	}
}

func TestApplyPlanThatIsNone(t *testing.T) {
	w := newPlanWorld(t, nil)
	for _, id := range []int64{0, 99} {
		if _, err := w.apply(provisioning.ApplyOptions{ID: id}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("plan %d: got %v, want ErrNotFound", id, err)
		}
	}
	old := w.plan()
	w.plan()
	if _, err := w.apply(provisioning.ApplyOptions{ID: old.ID, Accept: true}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a dropped plan: got %v, want ErrNotFound", err)
	}
	if _, err := w.apply(provisioning.ApplyOptions{MaxCreate: -1}); err == nil {
		t.Error("a negative cap: got none, want an error")
	}
}

// A run creates no more than its cap: a number is raised by a number only.
func TestApplyPlanAsksAboveTheCap(t *testing.T) {
	cases := []struct {
		name string
		o    provisioning.ApplyOptions
		asks bool
		cap  int
	}{
		{"the configured one", provisioning.ApplyOptions{}, true, 0},
		{"accepted", provisioning.ApplyOptions{Accept: true}, false, 10},
		{"a higher number", provisioning.ApplyOptions{MaxCreate: 11}, false, 11},
		{"a lower number", provisioning.ApplyOptions{MaxCreate: 4}, false, 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, plan := newApplyWorld(t, 11)
			if c.asks {
				w.stopsFor(c.o, plan, provisioning.StopCap)
				return
			}
			if got := w.mustApply(c.o); got.MaxCreate != c.cap {
				t.Errorf("cap: got %d, want %d", got.MaxCreate, c.cap)
			}
		})
	}
}

// A plan that stopped at its cap goes on with what is left, under a new cap on top of what was done.
func TestApplyPlanGoesOnAfterTheCap(t *testing.T) {
	w, plan := newApplyWorld(t, 14)
	w.mustApply(provisioning.ApplyOptions{MaxCreate: 2})
	w.create(2)
	w.skip(1)
	plan = w.stop(plan, provisioning.StopCap)
	w.stopsFor(provisioning.ApplyOptions{}, plan, provisioning.StopCap) // 11 are left
	if got := w.mustApply(provisioning.ApplyOptions{MaxCreate: 1}); got.MaxCreate != 3 || got.MaxSkipped != 1 ||
		got.Done != 2 || got.Skipped != 1 {
		t.Errorf("got %+v, want a cap of 1 on top of the 2 that are done, and no new allowance to skip", got)
	}
	w.create(1)
	w.stop(plan, provisioning.StopCap)
	// 10 are left, no more than the configured cap.
	if got := w.mustApply(provisioning.ApplyOptions{}); got.MaxCreate != 13 {
		t.Errorf("cap: got %d, want 13", got.MaxCreate)
	}
	// A call that is under way counts to the run that began it.
	w.begin()
	w.stop(plan, provisioning.StopCap)
	if got := w.mustApply(provisioning.ApplyOptions{MaxCreate: 1}); got.MaxCreate != 5 || got.Done != 3 {
		t.Errorf("cap: got %+v, want 1 on top of 3 done and 1 sending", got)
	}
}

func TestApplyPlanAsksAfterManySkipped(t *testing.T) {
	w, plan := newApplyWorld(t, 10)
	w.mustApply(provisioning.ApplyOptions{})
	w.skip(2)
	plan = w.stop(plan, provisioning.StopSkipped)
	w.stopsFor(provisioning.ApplyOptions{}, plan, provisioning.StopSkipped)
	w.stopsFor(provisioning.ApplyOptions{ID: plan.ID, MaxCreate: 100}, plan, provisioning.StopSkipped)
	if got := w.mustApply(provisioning.ApplyOptions{Accept: true}); got.MaxSkipped != 3 || got.Reason != "" {
		t.Errorf("accepted: got %+v, want one more skip allowed and no reason to stop", got)
	}
	if err := w.PausePlan(t.Context(), plan.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if got := w.mustApply(provisioning.ApplyOptions{}); got.MaxSkipped != 3 {
		t.Errorf("after a pause: got %d skips allowed, want the 3 that were accepted", got.MaxSkipped)
	}
}

// A plan is of the mappings that it was made with; going on with others is an admin's decision.
func TestApplyPlanAsksWhenMappingsHaveChanged(t *testing.T) {
	w, plan := newApplyWorld(t, 11)
	w.maps("riders", cycling, store.AccountManager)
	stop := w.stopsFor(provisioning.ApplyOptions{}, plan, provisioning.StopMappings)
	if want := "the mappings have changed since the plan was made; 11 users are still to be created, more than the cap " +
		"of 10 for one run"; stop.Detail != want {
		t.Errorf("detail: got %q, want both reasons", stop.Detail)
	}
	w.stopsFor(provisioning.ApplyOptions{MaxCreate: 20}, plan, provisioning.StopMappings)
	got := w.mustApply(provisioning.ApplyOptions{Accept: true, MaxCreate: 20})
	all, err := w.ListMappings(t.Context())
	if err != nil || got.Mappings != mapping.Digest(all) || got.Mappings == plan.Mappings {
		t.Errorf("accepted: got the digest %s, %v; want that of the mappings as they are", got.Mappings, err)
	}
	if err := w.PausePlan(t.Context(), plan.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	w.mustApply(provisioning.ApplyOptions{MaxCreate: 20}) // what was accepted is not asked again
}

// A hold is lifted by its own act, not by accepting a plan.
func TestApplyPlanOnHold(t *testing.T) {
	w, plan := newApplyWorld(t, 3)
	if err := w.db.Ledger().SetProvisioningPause(t.Context(), "admin", store.Event{Actor: "admin:test",
		Action: "hold"}); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []bool{false, true} {
		w.stopsFor(provisioning.ApplyOptions{Accept: accept}, plan, provisioning.StopHold)
	}
	if err := w.db.Ledger().SetProvisioningPause(t.Context(), "", store.Event{Actor: "admin:test",
		Action: "hold"}); err != nil {
		t.Fatal(err)
	}
	w.mustApply(provisioning.ApplyOptions{})
}

func TestPausePlan(t *testing.T) {
	w, plan := newApplyWorld(t, 10)
	if err := w.PausePlan(t.Context(), plan.ID, "admin:test"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("pause of a plan that is not applied: got %v, want ErrConflict", err)
	}
	if err := w.PausePlan(t.Context(), 99, "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("pause of no plan: got %v, want ErrNotFound", err)
	}
	w.mustApply(provisioning.ApplyOptions{})
	w.skip(1)
	if err := w.PausePlan(t.Context(), plan.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if got := w.get(plan.ID); got.State != store.PlanPaused {
		t.Errorf("got %s, want it paused", got.State)
	}
	// A pause asks nothing, keeps what was counted, and allows no further skips.
	got := w.mustApply(provisioning.ApplyOptions{})
	if got.State != store.PlanApplying || got.Skipped != 1 || got.MaxSkipped != 1 {
		t.Errorf("resumed: got %+v", got)
	}
}
