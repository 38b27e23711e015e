package provisioning

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

const (
	planLimit = 2 * time.Hour   // for making one plan; a walk has no limit of its own
	beatEvery = 2 * time.Second // at most, between two notes of how far a plan is
)

var (
	// ErrPlanCancelled ends the making of a plan that an administrator has cancelled.
	ErrPlanCancelled = errors.New("the plan was cancelled")
	// errPlanLimit ends one that takes too long.
	errPlanLimit = fmt.Errorf("the plan was not made within %v", planLimit)
)

// PlanRunningError refuses a second plan while one is made. ID is 0 where the one before is just about to end.
type PlanRunningError struct {
	ID int64
	By string
}

// Error says which plan it is.
func (e *PlanRunningError) Error() string {
	if e.ID == 0 {
		return "another plan is about to end"
	}
	return fmt.Sprintf("plan %d is being made", e.ID)
}

// StartPlan begins to make a plan in the background of this process, and returns it while it is made: Run makes it,
// whatever becomes of ctx. What MakePlan says holds for it too. How far it is, and how it ended, stands in the store.
func (s *Service) StartPlan(ctx context.Context, o PlanOptions) (store.Plan, error) {
	d, err := s.startPlan(ctx, o)
	if err != nil {
		return store.Plan{}, fmt.Errorf("start a plan: %w", err)
	}
	select {
	case s.started <- d:
	default: // Run has not taken the one before: it does not run
		d.end(ctx, context.Canceled)
		return store.Plan{}, errors.New("start a plan: this process makes none")
	}
	plan, err := s.plans.Get(ctx, d.id)
	if err != nil {
		return plan, fmt.Errorf("start a plan: %w", err)
	}
	return plan, nil
}

// Making returns the plan that is being made. ErrNotFound of the store: none is. A plan that stands as being made and
// is another one was left behind by a process that died.
func (s *Service) Making(ctx context.Context) (store.Plan, error) {
	p, err := s.plans.Making(ctx)
	if err != nil {
		return p, fmt.Errorf("look which plan is being made: %w", err)
	}
	return p, nil
}

// CancelPlan ends the making of a plan, on whichever replica it is made. Nothing of it can be applied from then on; its
// process notices within seconds. ErrConflict of the store: it is not being made (any more). ErrNotFound.
func (s *Service) CancelPlan(ctx context.Context, id int64, actor string) error {
	if err := s.plans.Drop(ctx, id, store.MakingCancelled, "", s.planEvent("plan-cancel", actor, id, nil)); err != nil {
		return fmt.Errorf("cancel plan %d: %w", id, err)
	}
	return nil
}

// startPlan takes the lease and stores the plan.
func (s *Service) startPlan(ctx context.Context, o PlanOptions) (*planDraft, error) {
	if o.Kind != adminPlan && o.Kind != watchPlan {
		return nil, fmt.Errorf("kind %.40q: want %s or %s", o.Kind, adminPlan, watchPlan)
	}
	x, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	d := &planDraft{s: s, o: o, x: x, maker: rand.Text(), from: store.OriginOf(ctx), began: s.now(), seen: seen{},
		mapped: map[int64]int{}}
	for m := range x.Mappings() {
		d.mapped[m.ID] = 0
	}
	p := store.Plan{Kind: o.Kind, Mappings: x.Digest(), CreatedBy: o.Actor, Maker: d.maker}
	d.id, err = s.plans.Start(ctx, p, s.lease, func(id int64) store.Event {
		return s.planEvent("plan-start", o.Actor, id, map[string]any{"kind": o.Kind})
	})
	if errors.Is(err, store.ErrConflict) {
		running, err := s.plans.Making(ctx)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		return nil, &PlanRunningError{ID: running.ID, By: running.CreatedBy}
	}
	return d, err
}

// makeStarted makes the plans that StartPlan began, until ctx ends.
func (s *Service) makeStarted(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			select { // one that was started in the last moment
			case d := <-s.started:
				d.end(store.WithOrigin(ctx, d.from), ctx.Err())
			default:
			}
			return
		case d := <-s.started:
			plan, walked, err := d.run(store.WithOrigin(ctx, d.from))
			if err == nil {
				s.log.Info("plan made", "plan", plan.ID, "people", plan.People, "left_out", walked.Skipped, "creations",
					plan.Creations,
					"at_sign_in", plan.AtSignIn, "leavers", plan.Leavers, "drifted", plan.Drifted, "blocked", plan.Blocked)
			} else if !errors.Is(err, ErrPlanCancelled) && ctx.Err() == nil {
				s.log.Error("plan could not be made", "plan", d.id, "error", err)
			}
		}
	}
}

// run makes the plan, notes meanwhile how far it is, and ends when it was cancelled or the lease is another's.
func (d *planDraft) run(ctx context.Context) (plan store.Plan, walked directory.Walked, err error) {
	limited, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(planLimit, func() { cancel(errPlanLimit) })
	beaten := make(chan struct{})
	go func() {
		defer close(beaten)
		d.beat(limited, cancel)
	}()
	plan, walked, err = d.make(limited)
	if cause := context.Cause(limited); err != nil && cause != nil {
		err = cause // what a cut-off walk says of itself tells less
	}
	if errors.Is(err, store.ErrConflict) && d.gone(ctx) {
		err = ErrPlanCancelled
	}
	limit.Stop()
	cancel(nil)
	<-beaten
	d.end(ctx, err)
	return plan, walked, err
}

// beat prolongs the lease and stores the progress.
func (d *planDraft) beat(ctx context.Context, cancel context.CancelCauseFunc) {
	every := min(beatEvery, d.s.lease/3)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for failed := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch err := d.s.plans.Progress(ctx, d.id, d.maker, d.seenSoFar(), d.s.lease); {
		case err == nil:
			failed = 0
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
			if d.gone(ctx) {
				err = ErrPlanCancelled
			} else if ready, readErr := d.s.plans.Get(ctx, d.id); readErr == nil && ready.State != store.PlanMaking &&
				ready.State != store.PlanDropped {
				return // made meanwhile
			} else {
				err = errLostLease
			}
			cancel(err)
			return
		default:
			if failed += every; failed > d.s.lease/2 { // or another process would begin beside this one
				cancel(fmt.Errorf("prolong the lease to make plan %d: %w", d.id, err))
				return
			}
		}
	}
}

// gone tells whether an administrator has cancelled the plan.
func (d *planDraft) gone(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer stop()
	p, err := d.s.plans.Get(ctx, d.id)
	return err == nil && p.State == store.PlanDropped && p.Reason == store.MakingCancelled
}

// end stores why a plan was not made, if it was not, and gives the lease back.
func (d *planDraft) end(ctx context.Context, err error) {
	s := d.s
	// The making may have failed because ctx ended.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer stop()
	if err != nil && !errors.Is(err, ErrPlanCancelled) {
		reason, fault := d.why(err)
		event := s.planEvent("plan-drop", d.o.Actor, d.id, map[string]any{"people": d.people.Load()})
		event.Outcome, event.Reason = "failed", reason
		if err := s.plans.Drop(ctx, d.id, reason, fault, event); err != nil && !errors.Is(err, store.ErrConflict) {
			s.log.Warn("end of a plan could not be stored", "plan", d.id, "error", err)
		}
	}
	if err := s.plans.ReleaseMaking(ctx, d.maker); err != nil {
		s.log.Warn("lease to make plans could not be given back, it runs out", "error", err)
	}
}

// why says why a plan was not made: a fixed word, and a sentence for an administrator. What is not the directory's is
// in the log alone: errors of the program itself are nothing that a page shows.
func (d *planDraft) why(err error) (reason, fault string) {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, errLostLease):
		return store.MakingInterrupted, ""
	case errors.Is(err, errPlanLimit):
		return store.MakingFailed, fmt.Sprintf("It was not made within %.0f hours. Does the directory answer slowly? See "+
			"its log.", planLimit.Hours())
	}
	if text := d.s.directoryFault(err); text != "" {
		return store.MakingFailed, text
	}
	return store.MakingFailed, fmt.Sprintf("The log has the error, with plan=%d.", d.id)
}
