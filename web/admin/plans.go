package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Plans is what can be done with plans of creations, and with creations by plans as a whole. A plan is about all client
// accounts, so that everything here takes a scope of all.
type Plans struct {
	Store        *store.DB
	Provisioning *provisioning.Service
	Budget       *store.Budget // of calls to Constant Contact
}

// Get reads a plan; the newest for 0.
func (p Plans) Get(ctx context.Context, s Scope, id int64) (store.Plan, error) {
	if err := s.whole(); err != nil {
		return store.Plan{}, err
	}
	if id != 0 {
		plan, err := p.Store.Plans().Get(ctx, id)
		return plan, planError(err, id)
	}
	list, err := p.Store.Plans().List(ctx, 1)
	switch {
	case err != nil:
		return store.Plan{}, fmt.Errorf("look for the newest plan: %w", err)
	case len(list) == 0:
		return store.Plan{}, &Error{Kind: Missing, Field: "id", Fault: "there is no plan yet", Act: PlanUsers}
	}
	return list[0], nil
}

// planError turns what stands against an act on one plan.
func planError(err error, id int64) error {
	if errors.Is(err, store.ErrNotFound) {
		return &Error{Kind: Missing, Field: "id", Fault: fmt.Sprintf("there is no plan %d", id), Act: ListPlans, Err: err}
	}
	return refusal(err)
}

// Start begins to make a plan in the background. Where one is made already, it is that one, and an Error.
func (p Plans) Start(ctx context.Context, s Scope, actor string) (store.Plan, error) {
	if err := s.whole(); err != nil {
		return store.Plan{}, err
	}
	plan, err := p.Provisioning.StartPlan(ctx, provisioning.PlanOptions{Kind: "admin", Actor: actor})
	return plan, refusal(err)
}

// Make makes a plan, and returns when it is made.
func (p Plans) Make(ctx context.Context, s Scope, actor string,
	progress func(provisioning.PlanProgress)) (store.Plan, directory.Walked, error) {
	if err := s.whole(); err != nil {
		return store.Plan{}, directory.Walked{}, err
	}
	plan, walked, err := p.Provisioning.MakePlan(ctx, provisioning.PlanOptions{Kind: "admin", Actor: actor,
		Progress: progress})
	return plan, walked, refusal(err)
}

// Cancel ends the making of a plan, wherever it is made; of the one that is being made for 0. It returns its number.
func (p Plans) Cancel(ctx context.Context, s Scope, id int64, actor string) (int64, error) {
	if err := s.whole(); err != nil {
		return 0, err
	}
	if id == 0 {
		plan, err := p.Provisioning.Making(ctx)
		if errors.Is(err, store.ErrNotFound) {
			return 0, &Error{Kind: Changed, Fault: "no plan is being made", Act: ListPlans, Err: err}
		}
		if err != nil {
			return 0, err
		}
		id = plan.ID
	}
	err := p.Provisioning.CancelPlan(ctx, id, actor)
	if errors.Is(err, store.ErrConflict) {
		return id, &Error{Kind: Changed, Fault: fmt.Sprintf("plan %d is not being made any more", id), Act: ShowPlan,
			About: strconv.FormatInt(id, 10), Err: err}
	}
	return id, planError(err, id)
}

// Apply begins or resumes a plan; see [provisioning.Service.ApplyPlan]. Where it would stop and ask, the Error wraps a
// *provisioning.StopError, and the same with Accept goes on, but for a pause of provisioning.
func (p Plans) Apply(ctx context.Context, s Scope, o provisioning.ApplyOptions) (store.Plan, error) {
	if err := s.whole(); err != nil {
		return store.Plan{}, err
	}
	plan, err := p.Provisioning.ApplyPlan(ctx, o)
	switch {
	case errors.Is(err, store.ErrConflict):
		return plan, &Error{Kind: Changed, Fault: "another plan is being applied", Act: PausePlan, Err: err}
	case errors.Is(err, store.ErrNotFound):
		return plan, &Error{Kind: Missing, Field: "id", Fault: "there is no plan that could be applied", Act: PlanUsers,
			Err: err}
	}
	return plan, refusal(err)
}

// Pause stops a plan until Apply is called again; the one that is being applied for 0. It returns its number.
func (p Plans) Pause(ctx context.Context, s Scope, id int64, actor string) (int64, error) {
	if err := s.whole(); err != nil {
		return 0, err
	}
	none := func(err error) error {
		return &Error{Kind: Missing, Fault: "no plan is being applied", Act: ListPlans, Err: err}
	}
	if id == 0 {
		plan, err := p.Store.Plans().Applying(ctx)
		if errors.Is(err, store.ErrNotFound) {
			return 0, none(err)
		}
		if err != nil {
			return 0, fmt.Errorf("look for the plan that is being applied: %w", err)
		}
		id = plan.ID
	}
	err := p.Provisioning.PausePlan(ctx, id, actor)
	if errors.Is(err, store.ErrConflict) {
		return id, none(err)
	}
	return id, planError(err, id)
}

// Adopt takes all whom a plan would create as created already; see [provisioning.Service.AdoptPlan].
func (p Plans) Adopt(ctx context.Context, s Scope, id int64, actor string) (map[store.Adoption]int, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	counts, err := p.Provisioning.AdoptPlan(ctx, id, actor)
	return counts, planError(err, id)
}

// PauseAll holds back creations by all plans. ledgerLost says that users may exist that the ledger does not know.
func (p Plans) PauseAll(ctx context.Context, s Scope, ledgerLost bool, actor string) error {
	if err := s.whole(); err != nil {
		return err
	}
	reason := "admin"
	if ledgerLost {
		reason = "ledger-lost"
	}
	return refusal(p.Provisioning.SetProvisioningPause(ctx, reason, actor))
}

// ResumeAll lets plans create again.
func (p Plans) ResumeAll(ctx context.Context, s Scope, actor string) error {
	if err := s.whole(); err != nil {
		return err
	}
	return refusal(p.Provisioning.SetProvisioningPause(ctx, "", actor))
}

// runError turns what stands against making, applying or adopting a plan.
func runError(err error) *Error {
	if running, ok := errors.AsType[*provisioning.PlanRunningError](err); ok {
		e := &Error{Kind: Changed, Fault: err.Error(), Act: WaitForPlan, About: strconv.FormatInt(running.ID, 10)}
		if running.ID == 0 {
			e.Hint, e.Act, e.About = "try again in some seconds", NoAct, ""
		}
		return e
	}
	if stop, ok := errors.AsType[*provisioning.StopError](err); ok {
		e := &Error{Kind: Changed, Fault: stop.Detail, Hint: stop.Fix, Act: ShowPlan, About: strconv.FormatInt(stop.Plan, 10)}
		if stop.Reason == provisioning.StopHold {
			e.Act, e.About = ResumeProvisioning, ""
		}
		return e
	}
	switch {
	case errors.Is(err, provisioning.ErrPlanCancelled):
		return &Error{Kind: Changed, Fault: err.Error(), Act: ReadAudit}
	case errors.Is(err, provisioning.ErrPlanUnmade):
		return &Error{Kind: Changed, Field: "id", Fault: err.Error(), Hint: "nobody was taken as created", Act: PlanUsers}
	}
	return nil
}

// PlanReason says why a plan has stopped or was not made, without its full stop; "" for no reason.
func PlanReason(reason string) string {
	if text, known := planReasons[reason]; known {
		return text
	}
	return reason
}

var planReasons = map[string]string{
	provisioning.StopMappings: "the mappings have changed since it was made",
	provisioning.StopSkipped:  "more than 5 % of its lines have changed since it was made",
	provisioning.StopCap:      "the cap of creations for one run is reached",
	provisioning.StopHold:     "creations are held back",
	provisioning.StopLeavers: "by it more than half of all users would have left; are base_dn, login filter and mappings " +
		"right?",
	store.MakingCancelled:   "it was cancelled while it was made",
	store.MakingInterrupted: "the process that made it has ended; make a new one",
	store.MakingFailed:      "it could not be made",
}

// CallsStopped says why calls to Constant Contact are stopped, without its full stop.
func CallsStopped(cause string) string {
	if cause == "credentials" {
		return "Constant Contact does not accept the partner's credentials"
	}
	return "Constant Contact does not answer as it should"
}
