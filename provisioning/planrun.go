package provisioning

import (
	"context"
	"errors"
	"math"
	"time"

	"ssobridge/store"
)

// finishEvery is how often a plan without open items is looked at for its end.
const finishEvery = time.Second

// takeItem claims the next item of the plan that is being applied. ErrNotFound of the store: there is none at present.
func (w *worker) takeItem(ctx context.Context, plan store.Plan) (store.PlanItem, error) {
	// The loop takes one item after the other, so within a process the cap is kept here. mayBegin looks again, for other
	// replicas.
	room, err := w.room(ctx, plan)
	if err != nil {
		return store.PlanItem{}, err
	}
	if room <= 0 {
		w.finish(ctx, plan)
		return store.PlanItem{}, store.ErrNotFound
	}
	item, err := w.s.plans.Claim(ctx, w.s.lease)
	if errors.Is(err, store.ErrNotFound) {
		w.finish(ctx, plan)
	}
	return item, err
}

// room is how many more items may be claimed before the cap of this run. It is below 0 where replicas that did not see
// each other have claimed too many.
func (w *worker) room(ctx context.Context, plan store.Plan) (int, error) {
	if plan.MaxCreate == 0 || plan.Creations-plan.Skipped <= plan.MaxCreate {
		return math.MaxInt, nil // the cap can't be reached
	}
	// Each worker counts after its claim is stored: of two that come to the last place at once, one at least sees the
	// other.
	begun, claimed, err := w.s.plans.Begun(ctx, plan.ID)
	return plan.MaxCreate - begun - claimed, err
}

// finish ends a plan of which nothing is left to be done, or nothing in this run.
func (w *worker) finish(ctx context.Context, plan store.Plan) {
	now := w.s.now()
	if now.Before(w.finishAfter) {
		return
	}
	w.finishAfter = now.Add(finishEvery)
	done, err := w.s.plans.Finish(ctx, plan.ID, w.s.planEvent("plan-done", "worker", plan.ID, nil))
	if err == nil && done {
		w.s.log.Info("plan is done", "plan", plan.ID)
		w.s.forgetCapacity()
		return
	}
	if err == nil {
		err = w.stopAtCap(ctx, plan.ID)
	}
	if err != nil && ctx.Err() == nil {
		w.s.log.Warn("end of a plan could not be stored, trying again", "plan", plan.ID, "error", err)
	}
}

// stopAtCap stops a plan that has made as many creations as it may, if there are more.
func (w *worker) stopAtCap(ctx context.Context, id int64) error {
	plan, err := w.s.plans.Get(ctx, id)
	if err != nil || plan.MaxCreate == 0 || plan.Creations-plan.Skipped <= plan.MaxCreate {
		return err
	}
	begun, _, err := w.s.plans.Begun(ctx, id)
	if err == nil && begun >= plan.MaxCreate && plan.State == store.PlanApplying {
		w.stop(ctx, plan, StopCap)
	}
	return err
}

// skip ends an item that has changed, and stops a plan of which too many have.
func (w *worker) skip(ctx context.Context, item store.PlanItem, reason string) {
	err := w.s.plans.Skip(ctx, item, reason)
	if errors.Is(err, store.ErrConflict) {
		return // another worker has it
	}
	if err != nil {
		w.s.log.Warn("item of a plan could not be skipped, it is looked at again", "plan", item.Plan, "position",
			item.Position, "error", err)
		return
	}
	w.s.log.Info("item of a plan is skipped", "plan", item.Plan, "person", item.Person, "account", item.Account,
		"reason", reason)
	plan, err := w.s.plans.Get(ctx, item.Plan)
	if err != nil {
		w.s.log.Warn("skipped items of a plan could not be counted, the next one is", "plan", item.Plan, "error", err)
		return
	}
	if plan.State == store.PlanApplying && plan.MaxSkipped > 0 && plan.Skipped > plan.MaxSkipped {
		w.stop(ctx, plan, StopSkipped)
	}
}

// stop ends the applying of a plan until an admin says how to go on. Where it fails, the next item tries again.
func (w *worker) stop(ctx context.Context, plan store.Plan, reason string) {
	w.s.forgetCapacity()
	event := w.s.planEvent("plan-stop", "worker", plan.ID, map[string]any{"reason": reason, "done": plan.Done,
		"failed": plan.Failed, "skipped": plan.Skipped})
	err := w.s.plans.SetState(ctx, plan.ID, store.PlanApplying, store.PlanStopped, store.PlanChange{Reason: reason}, event)
	switch {
	case errors.Is(err, store.ErrConflict): // stopped, paused or done by others
	case err != nil:
		w.pauseItems(itemPause)
		w.s.log.Error("plan could not be stopped, trying again", "plan", plan.ID, "reason", reason, "error", err)
	default:
		w.s.log.Warn("plan has stopped, an admin is asked how to go on", "plan", plan.ID, "reason", reason, "done", plan.Done,
			"failed", plan.Failed, "skipped", plan.Skipped)
	}
}

// pauseItems takes no items for a while. Rows of the ledger go on.
func (w *worker) pauseItems(d time.Duration) {
	w.itemsAfter.Store(w.s.now().Add(d).UnixNano())
}
