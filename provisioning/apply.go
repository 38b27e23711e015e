package provisioning

import (
	"context"
	"fmt"
	"strings"

	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// ApplyOptions are for ApplyPlan.
type ApplyOptions struct {
	ID    int64 // 0: the newest plan that is ready, paused or stopped
	Actor string
	// MaxCreate is the cap of creations of this run: past it the plan stops and asks. 0: the configured one.
	MaxCreate int
	// Accept goes on although the plan is stopped, or the mappings have changed since it was made: each item is looked at
	// again in any case.
	Accept bool
}

// ApplyPlan makes a plan the one that workers apply, and returns it; one that is being applied already is returned as
// it is. It returns *StopError where an admin is to be asked first: the plan stopped, creations are held, its mappings
// have changed, or it has more creations than the cap. ErrConflict of the store: another plan is being applied.
// ErrNotFound: there is none that could be.
//
// A run never creates more than its cap, whatever is accepted: a number is raised only by a number. With MaxCreate the
// run makes that many and stops, if there are more, to be asked again. Without it, a plan with more open creations than
// the configured cap asks before the first; Accept makes as many as the configured cap and stops. Each further
// ApplyPlan is a run of its own.
//
// A plan stops when more than 5 % of its creations were skipped. Going on with Accept allows another 5 %; a pause does
// not. A hold is not overridden by Accept: to lift it is its own act.
func (s *Service) ApplyPlan(ctx context.Context, o ApplyOptions) (store.Plan, error) {
	plan, err := s.applicable(ctx, o.ID)
	if err != nil {
		return plan, fmt.Errorf("apply plan: %w", err)
	}
	if plan.State == store.PlanApplying {
		return plan, nil
	}
	if o.MaxCreate < 0 {
		return plan, fmt.Errorf("apply plan %d: a cap of %d creations: want more than 0", plan.ID, o.MaxCreate)
	}
	digest, err := s.storedDigest(ctx)
	if err != nil {
		return plan, fmt.Errorf("apply plan %d: %w", plan.ID, err)
	}
	// Of an earlier run, calls may be under way still.
	begun, _, err := s.plans.Begun(ctx, plan.ID)
	if err != nil {
		return plan, fmt.Errorf("apply plan %d: %w", plan.ID, err)
	}
	open := max(plan.Creations-plan.Skipped-begun, 0)
	hold, err := s.ledger.ProvisioningPause(ctx)
	if err != nil {
		return plan, fmt.Errorf("apply plan %d: %w", plan.ID, err)
	}
	if !hold.Since.IsZero() {
		since := plaintext.Minute(hold.Since)
		return plan, &StopError{plan.ID, StopHold, fmt.Sprintf("provisioning is paused since %s (%s, by %s)", since,
			hold.Reason, hold.By),
			"see what it is for, then resume it"}
	}
	if stop := s.stops(plan, open, o, digest); stop != nil && !o.Accept {
		return plan, stop
	}
	if plan.Reason == StopLeavers && plan.State == store.PlanStopped {
		if err := s.plans.SetManualTasks(ctx, plan.ID); err != nil {
			return plan, fmt.Errorf("apply plan %d: store its list of manual work: %w", plan.ID, err)
		}
	}
	change := store.PlanChange{By: o.Actor, MaxCreate: begun + s.runCap(o), MaxSkipped: allowedSkips(plan, o.Accept),
		Mappings: digest}
	event := s.planEvent("plan-apply", o.Actor, plan.ID, map[string]any{"creations": open, "max_create": s.runCap(o),
		"accepted": o.Accept})
	if err := s.plans.SetState(ctx, plan.ID, plan.State, store.PlanApplying, change, event); err != nil {
		return plan, fmt.Errorf("apply plan %d: %w", plan.ID, err)
	}
	s.forgetCapacity()
	s.poke()
	if plan, err = s.plans.Get(ctx, plan.ID); err != nil {
		return plan, fmt.Errorf("apply plan: %w", err)
	}
	return plan, nil
}

// applicable finds the plan that is meant.
func (s *Service) applicable(ctx context.Context, id int64) (store.Plan, error) {
	if id != 0 {
		plan, err := s.plans.Get(ctx, id)
		if err != nil {
			return plan, err
		}
		switch plan.State {
		case store.PlanReady, store.PlanPaused, store.PlanStopped, store.PlanApplying:
			return plan, nil
		}
		return plan, fmt.Errorf("plan %d is %s: %w", id, plan.State, store.ErrNotFound)
	}
	all, err := s.plans.List(ctx, 1000)
	if err != nil {
		return store.Plan{}, err
	}
	for _, plan := range all {
		switch plan.State {
		case store.PlanReady, store.PlanPaused, store.PlanStopped:
			return plan, nil
		}
	}
	return store.Plan{}, fmt.Errorf("none is ready, paused or stopped: %w", store.ErrNotFound)
}

// storedDigest is of the mappings as they are now.
func (s *Service) storedDigest(ctx context.Context) (string, error) {
	all, err := s.mappings.List(ctx)
	if err != nil {
		return "", fmt.Errorf("list mappings: %w", err)
	}
	ends, err := s.stopsOf(ctx)
	if err != nil {
		return "", err
	}
	stopped, _ := ends.Stopped(s.now())
	return mapping.Digest(stopped.Giving(all)), nil
}

// runCap is how many creations a run may make.
func (s *Service) runCap(o ApplyOptions) int {
	if o.MaxCreate > 0 {
		return o.MaxCreate
	}
	return s.maxCreate
}

// allowedSkips is how many items may be skipped in all before a plan stops: 5 % of its creations, counted anew where an
// admin has accepted what was skipped.
func allowedSkips(p store.Plan, accepted bool) int {
	few := max(1, p.Creations*5/100)
	switch {
	case accepted:
		return p.Skipped + few
	case p.MaxSkipped > 0:
		return p.MaxSkipped
	}
	return few
}

// stops collects all that an admin is to be asked, so that one answer answers all; nil: nothing.
func (s *Service) stops(p store.Plan, open int, o ApplyOptions, digest string) *StopError {
	var words []string
	stop := &StopError{Plan: p.ID}
	ask := func(reason, detail, fix string) {
		if stop.Reason == "" {
			stop.Reason, stop.Fix = reason, fix
		}
		words = append(words, detail)
	}
	const again = "look at the plan, or make a new one; to go on, accept it as it is"
	if p.State == store.PlanStopped {
		switch p.Reason {
		case StopLeavers:
			ask(StopLeavers, fmt.Sprintf("by this plan %d users have left, more than half of all", p.Leavers),
				"see whether directory.base_dn, the login filter and the mappings are as they should be, then make a new plan; "+
					"to accept it puts them all on the list of users to delete by hand")
		case StopSkipped:
			ask(StopSkipped, fmt.Sprintf("%d of %d creations were skipped, since people have changed after the plan was made",
				p.Skipped, p.Creations), again)
		case StopMappings, StopCap: // told below, as far as it is still so
		default:
			ask(p.Reason, "the plan has stopped: "+p.Reason, again)
		}
	}
	if p.Mappings != digest {
		ask(StopMappings, "the mappings have changed since the plan was made", again)
	}
	if o.MaxCreate == 0 && open > s.maxCreate {
		ask(StopCap, fmt.Sprintf("%d users are still to be created, more than the cap of %d for one run", open, s.maxCreate),
			fmt.Sprintf("give a cap of %d to create them all in one run; to go on without creates %d and stops again",
				open, s.maxCreate))
	}
	if len(words) == 0 {
		return nil
	}
	stop.Detail = strings.Join(words, "; ")
	return stop
}

// StopError says why a plan does not go on without an admin. With several reasons, Reason and Fix are of the first,
// Detail of all.
type StopError struct {
	Plan   int64
	Reason string // one of the Stop words
	Detail string // in words
	Fix    string
}

func (e *StopError) Error() string { return e.Detail }

// Why plans stop; also Plan.Reason.
const (
	StopMappings = "mappings_changed" // since the plan was made
	StopSkipped  = "many_changed"     // more than 5 % of its items
	StopCap      = "cap_reached"      // creations of this run
	StopHold     = "held"             // creations are on hold
	StopLeavers  = "many_leavers"     // more than half of the ledger's users would be leavers: see MakePlan
)

// PausePlan stops the plan that is being applied until ApplyPlan is called again. Calls under way end as they end.
// ErrConflict of the store: it is not being applied. ErrNotFound.
func (s *Service) PausePlan(ctx context.Context, id int64, actor string) error {
	err := s.plans.SetState(ctx, id, store.PlanApplying, store.PlanPaused, store.PlanChange{}, s.planEvent("plan-pause",
		actor, id, nil))
	s.forgetCapacity()
	if err != nil {
		return fmt.Errorf("pause plan %d: %w", id, err)
	}
	return nil
}
