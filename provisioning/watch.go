package provisioning

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

const (
	watchLease = "watch"
	watchAgain = 15 * time.Minute // after a failure, unless the interval is shorter
	watchLimit = planLimit + time.Minute
)

// errLostLease ends work that another replica has taken over.
var errLostLease = errors.New("the lease was lost to another replica")

// keepWatch makes a plan every WatchEvery, on one replica for all, and with WatchApply applies it. When the last one
// was made is read from the store, so that restarts make no more of them.
func (s *Service) keepWatch(ctx context.Context) {
	if s.watchEvery == 0 {
		return
	}
	w := watch{s: s, holder: rand.Text(), notBefore: s.now().Add(time.Duration(s.random() * float64(s.watchEvery) / 10))}
	// Replicas that start together, on a day without any plan, do not all ask for the lease at once.
	w.first = s.now().Add(time.Duration(s.random() * float64(s.watchEvery)))
	look := time.NewTicker(s.poll)
	defer look.Stop()
	for due := w.notBefore; ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if s.now().Before(due) {
			continue
		}
		var err error
		if due, err = w.turn(ctx); err != nil && ctx.Err() == nil {
			again := min(s.watchEvery, watchAgain)
			s.log.Warn("directory watch failed, trying again", "error", err, "again_in", again)
			w.notBefore = s.now().Add(again)
			due = w.notBefore
		}
	}
}

// watch is the state of keepWatch.
type watch struct {
	s         *Service
	holder    string    // of the lease
	first     time.Time // when to begin where no plan was ever made
	notBefore time.Time // soon after the start, later after a failure
}

// turn makes a plan if one is due and no other replica makes it, and tells when to look again.
func (w *watch) turn(ctx context.Context) (time.Time, error) {
	due, err := w.due(ctx)
	if err != nil || w.s.now().Before(due) {
		return due, err
	}
	ok, err := w.s.leases.Take(ctx, watchLease, w.holder, w.s.lease)
	if err != nil {
		return due, fmt.Errorf("take the lease of the watch: %w", err)
	}
	if !ok {
		return w.s.now().Add(w.s.lease), nil
	}
	defer w.release(ctx)
	// Another replica may have made it between the look and the lease.
	if due, err = w.due(ctx); err != nil || w.s.now().Before(due) {
		return due, err
	}
	err = w.underLease(ctx, w.once)
	if _, running := errors.AsType[*PlanRunningError](err); running {
		return w.s.now().Add(w.s.lease), nil // an administrator's plan: the watch comes after it
	}
	if err != nil {
		return due, err
	}
	return w.due(ctx)
}

// due tells when the next plan is to be made. One that failed or was cut off is dropped or still in the making, and
// does not count.
func (w *watch) due(ctx context.Context) (time.Time, error) {
	all, err := w.s.plans.List(ctx, 1000)
	if err != nil {
		return time.Time{}, fmt.Errorf("look when the last plan of the watch was made: %w", err)
	}
	due := w.first
	for _, p := range all {
		if p.Kind == watchPlan && p.State != store.PlanMaking && p.State != store.PlanDropped {
			due = p.CreatedAt.Add(w.s.watchEvery)
			break
		}
	}
	if due.Before(w.notBefore) {
		due = w.notBefore
	}
	return due, nil
}

// underLease runs do and prolongs the lease meanwhile; it ends do's context once the lease may be another's.
func (w *watch) underLease(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limited, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- do(limited) }()
	renew := time.NewTicker(w.s.lease / 3)
	defer renew.Stop()
	for failures := 0; ; {
		select {
		case err := <-done:
			return err
		case <-renew.C:
		}
		switch ok, err := w.s.leases.Take(ctx, watchLease, w.holder, w.s.lease); {
		case err == nil && ok:
			failures = 0
		case err == nil:
			cancel(errLostLease)
		default:
			if failures++; failures == 2 { // two thirds of it have passed
				cancel(fmt.Errorf("prolong the lease of the watch: %w", err))
			}
		}
	}
}

func (w *watch) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if err := w.s.leases.Release(ctx, watchLease, w.holder); err != nil {
		w.s.log.Warn("lease of the directory watch could not be given back, it runs out", "error", err)
	}
}

// once makes one plan, says what it found, and applies it where it may.
func (w *watch) once(ctx context.Context) error {
	s := w.s
	plan, walked, err := s.MakePlan(ctx, PlanOptions{Kind: watchPlan, Actor: watchPlan})
	if err != nil {
		return err
	}
	fields := []any{
		"plan", plan.ID, "people", plan.People, "left_out", walked.Skipped,
		"creations", plan.Creations, "leavers", plan.Leavers, "drifted", plan.Drifted, "blocked", plan.Blocked,
	}
	if plan.State == store.PlanStopped {
		s.log.Warn("directory watch: more than half of all users would have left, so the plan and its list of leavers are "+
			"put aside; "+
			"are base_dn, login filter and mappings right?", fields...)
		return nil
	}
	s.log.Info("directory watch: plan made", fields...)
	if !s.watchApply || plan.Creations == 0 {
		return nil
	}
	why, err := w.apply(ctx, plan)
	if err != nil {
		return err
	}
	if why != "" {
		s.log.Warn("directory watch: plan is not applied by itself", "plan", plan.ID, "creations", plan.Creations, "why", why)
	}
	return nil
}

// apply applies a plan of the watch, or says why not.
func (w *watch) apply(ctx context.Context, plan store.Plan) (why string, err error) {
	s := w.s
	if plan.Creations > s.maxCreate {
		return fmt.Sprintf("it has more creations than the cap of %d", s.maxCreate), nil
	}
	// What the watch began and an admin has paused is not begun again behind their back.
	all, err := s.plans.List(ctx, 1000)
	if err != nil {
		return "", fmt.Errorf("look for paused plans: %w", err)
	}
	for _, p := range all {
		if p.Kind == watchPlan && p.State == store.PlanPaused {
			return fmt.Sprintf("an admin has paused plan %d of the watch", p.ID), nil
		}
	}
	_, err = s.ApplyPlan(ctx, ApplyOptions{ID: plan.ID, Actor: watchPlan})
	var stop *StopError
	switch {
	case errors.As(err, &stop):
		return stop.Detail, nil
	case errors.Is(err, store.ErrConflict):
		return "another plan is being applied", nil
	}
	return "", err
}
