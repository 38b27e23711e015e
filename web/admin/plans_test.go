package admin_test

import (
	"errors"
	"testing"

	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// A plan is made, looked at, applied, paused; what stands against each act says what to do, and nobody with a part of
// the client accounts may do any of it.
func TestPlans(t *testing.T) {
	w, users := newUsers(t)
	ctx, all, some := t.Context(), admin.Everything(), admin.Accounts(harbour)
	plans := admin.Plans{Store: w.db, Provisioning: w.rules, Budget: w.calls}

	_, err := plans.Get(ctx, all, 0)
	refused(t, "the newest of none", err, admin.Missing, "id", admin.PlanUsers, "there is no plan yet")
	_, err = plans.Get(ctx, all, 7)
	refused(t, "one that is not there", err, admin.Missing, "id", admin.ListPlans, "there is no plan 7")
	_, err = plans.Cancel(ctx, all, 0, "ann")
	refused(t, "cancel, with none being made", err, admin.Changed, "", admin.ListPlans, "no plan is being made")
	_, err = plans.Pause(ctx, all, 0, "ann")
	refused(t, "pause, with none being applied", err, admin.Missing, "", admin.ListPlans, "no plan is being applied")
	_, err = plans.Apply(ctx, all, provisioning.ApplyOptions{Actor: "ann"})
	refused(t, "apply, with none", err, admin.Missing, "id", admin.PlanUsers, "there is no plan that could be applied")

	w.give(t, users, "alice")
	plan, _, err := plans.Make(ctx, all, "ann", nil)
	if err != nil || plan.Creations != 1 {
		t.Fatalf("made: %+v, %v", plan, err)
	}
	if got, err := plans.Get(ctx, all, 0); err != nil || got.ID != plan.ID {
		t.Errorf("the newest: %+v, %v", got, err)
	}
	_, err = plans.Cancel(ctx, all, plan.ID, "ann")
	refused(t, "cancel of one that is made", err, admin.Changed, "", admin.ShowPlan, "is not being made any more")

	if err := plans.PauseAll(ctx, all, false, "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = plans.Apply(ctx, all, provisioning.ApplyOptions{ID: plan.ID, Actor: "ann", Accept: true})
	refused(t, "apply while provisioning is paused", err, admin.Changed, "", admin.ResumeProvisioning,
		"provisioning is paused")
	if err := plans.ResumeAll(ctx, all, "ann"); err != nil {
		t.Fatal(err)
	}
	w.give(t, users, "zoe") // other mappings than the plan was made by
	o := provisioning.ApplyOptions{ID: plan.ID, Actor: "ann"}
	_, err = plans.Apply(ctx, all, o)
	refused(t, "apply after a change of mappings", err, admin.Changed, "", admin.ShowPlan, "the mappings have changed")
	if stop, ok := errors.AsType[*provisioning.StopError](err); !ok || stop.Reason != provisioning.StopMappings {
		t.Errorf("it can't be told that it asks: %v", err)
	}
	o.Accept = true
	if plan, err = plans.Apply(ctx, all, o); err != nil || plan.State != store.PlanApplying {
		t.Fatalf("accepted: %+v, %v", plan, err)
	}
	if id, err := plans.Pause(ctx, all, 0, "ann"); err != nil || id != plan.ID {
		t.Errorf("paused: %d, %v", id, err)
	}
	_, err = plans.Pause(ctx, all, plan.ID, "ann")
	refused(t, "paused twice", err, admin.Missing, "", admin.ListPlans, "no plan is being applied")

	for what, err := range map[string]error{
		"get": second(plans.Get(ctx, some, plan.ID)), "start": second(plans.Start(ctx, some, "ann")),
		"cancel": second(plans.Cancel(ctx, some, plan.ID, "ann")), "apply": second(plans.Apply(ctx, some, o)),
		"pause": second(plans.Pause(ctx, some, plan.ID, "ann")), "adopt": second(plans.Adopt(ctx, some, plan.ID, "ann")),
		"pause all": plans.PauseAll(ctx, some, true, "ann"), "resume all": plans.ResumeAll(ctx, some, "ann"),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
	counts, err := plans.Adopt(ctx, all, plan.ID, "ann")
	if err != nil || counts[store.Adopted] != 1 {
		t.Errorf("adopted: %v, %v", counts, err)
	}
	_, err = plans.Adopt(ctx, all, 99, "ann")
	refused(t, "adopt of a plan that is not there", err, admin.Missing, "id", admin.ListPlans, "there is no plan 99")
}

// Each reason of a plan has a sentence, and an unknown one is shown as it is.
func TestPlanReasons(t *testing.T) {
	for _, reason := range []string{
		provisioning.StopMappings, provisioning.StopSkipped, provisioning.StopCap, provisioning.StopHold,
		provisioning.StopLeavers, store.MakingCancelled, store.MakingInterrupted, store.MakingFailed,
	} {
		if text := admin.PlanReason(reason); text == reason || text == "" {
			t.Errorf("%s has no sentence", reason)
		}
	}
	if got := admin.PlanReason("of-a-later-version"); got != "of-a-later-version" {
		t.Errorf("an unknown reason: %q", got)
	}
	if admin.CallsStopped("credentials") == admin.CallsStopped("outage") {
		t.Error("both causes of stopped calls have one sentence")
	}
}
