package console

import (
	"errors"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// How a plan that is being made is followed: where no script runs, the page loads itself again.
const makingRefresh = 3 // seconds

// makePlan starts a plan in the background: it is made whatever becomes of this request and of the browser.
func (k *Console) makePlan(r *request) error {
	plan, err := k.Plans.Start(r.ctx(), r.scope(), r.actor())
	if running, ok := errors.AsType[*provisioning.PlanRunningError](err); ok && running.ID != 0 {
		return r.done(planPath(running.ID), "plan.running") // what the button asked for is under way: the page shows how far
	}
	if err != nil {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return k.showProvisioning(r, status, f)
	}
	return r.done(planPath(plan.ID), "planned")
}

// cancelPlan ends the making of a plan, on whichever replica it is made.
func (k *Console) cancelPlan(r *request) error {
	p, err := k.planOf(r)
	if err != nil {
		return err
	}
	if _, err := k.Plans.Cancel(r.ctx(), r.scope(), p.ID, r.actor()); err != nil {
		f, status, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		if p, err = k.planOf(r); err != nil { // as it is now
			return err
		}
		return k.showPlan(r, status, p, f)
	}
	return r.done(planPath(p.ID), "plan.cancelled")
}

// makingView is how far the making of a plan is, for the page and its stream.
type makingView struct {
	Form        form
	Own         string
	Plan        store.Plan
	Items       int  // lines that were found so far
	Running     bool // by a process that lives
	Interrupted bool // its process ended
	Made        bool
	Helps       bool
}

func (k *Console) makingView(r *request, id int64) (makingView, error) {
	// In this order: a plan that is made in between is not taken for one that was left behind.
	making, err := k.Plans.Making(r.ctx(), r.scope())
	if err != nil {
		return makingView{}, err
	}
	p, err := k.Plans.Get(r.ctx(), r.scope(), id)
	if err != nil {
		return makingView{}, err
	}
	open := p.State == store.PlanMaking
	return makingView{
		Own: planPath(id), Plan: p, Items: p.Creations + p.Leavers + p.Drifted + p.Blocked, Made: !p.Unmade(),
		Helps: r.may(idp.Operator),
		// One without a maker is made by a replica of the version before, which says no more.
		Running:     open && (making == id || p.Maker == ""),
		Interrupted: open && making != id && p.Maker != "" || p.Reason == store.MakingInterrupted,
	}, nil
}

// showMaking is the page of a plan that is being made, or never was.
func (k *Console) showMaking(r *request, status int, p store.Plan, f form) error {
	v, err := k.makingView(r, p.ID)
	if err != nil {
		return err
	}
	v.Form = f
	if v.Running {
		r.again, r.againAfter = v.Own, makingRefresh
	}
	return r.show(status, "provisioning-unmade", r.text("provisioning.plan.title", "id", p.ID), v)
}
