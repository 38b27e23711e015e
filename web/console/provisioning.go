package console

import (
	"fmt"
	"net/http"

	"ssobridge/idp"
	"ssobridge/store"
)

const provisioningPath = "/admin/provisioning"

func (k *Console) provisioningRoutes() []route {
	return []route{
		get(provisioningPath, idp.Viewer, k.provisioning),
		get(provisioningPath+"/live", idp.Viewer, k.provisioningLive).stream(),
		post(provisioningPath+"/plan", idp.Operator, k.makePlan),
		post(provisioningPath+"/plans/:plan/cancel", idp.Operator, k.cancelPlan),
		post(provisioningPath+"/hold", idp.Operator, k.hold),
		post(provisioningPath+"/release", idp.Admin, k.release).fresh(),
		get(provisioningPath+"/plans/:plan", idp.Viewer, k.plan),
		get(provisioningPath+"/plans/:plan/live", idp.Viewer, k.planLive).stream(),
		post(provisioningPath+"/plans/:plan/apply", idp.Operator, k.applyPlan).fresh(),
		post(provisioningPath+"/plans/:plan/pause", idp.Operator, k.pausePlan),
		get(provisioningPath+"/users", idp.Viewer, k.users),
		post(provisioningPath+"/users", idp.Operator, k.changeUsers),
		get(provisioningPath+"/users/export.csv", idp.Operator, k.exportUsers),
		get(tellPath, idp.Admin, k.tellPage),
		post(tellPath, idp.Admin, k.tellUsers).fresh().long(),
		post(provisioningPath+"/plans/:plan/adopt", idp.Admin, k.adoptPlan).fresh(),
		get(provisioningPath+"/work", idp.Viewer, k.work),
		post(provisioningPath+"/work", idp.Operator, k.workDone),
	}
}

// userStates are the states of SSO users, those first that want a hand.
var userStates = []store.State{store.Conflict, store.Refused, store.Unknown, store.Assumed, store.Suspended,
	store.Wanted, store.Sending, store.Active}

type stateCount struct {
	State store.State
	Count int
}

// provisioningNow is how everything stands, for the page and its stream.
type provisioningNow struct {
	Users   []stateCount
	Hold    store.ProvisioningPause
	Stopped store.BreakerState
	Budget  store.BudgetStatus
	Left    int // calls that background work may still make today
}

func (k *Console) provisioningNow(r *request) (now provisioningNow, err error) {
	counts, err := k.Store.Ledger().CountByState(r.ctx())
	if err != nil {
		return now, fmt.Errorf("count SSO users: %w", err)
	}
	for _, s := range userStates {
		now.Users = append(now.Users, stateCount{s, counts[s]})
	}
	if now.Hold, err = k.Store.Ledger().ProvisioningPause(r.ctx()); err != nil {
		return now, fmt.Errorf("read the hold: %w", err)
	}
	if now.Stopped, err = k.Store.Breaker().State(r.ctx()); err != nil {
		return now, fmt.Errorf("read the breaker: %w", err)
	}
	if now.Budget, err = k.Budget.Status(r.ctx()); err != nil {
		return now, fmt.Errorf("read the budget: %w", err)
	}
	now.Left = max(now.Budget.Background-now.Budget.Used, 0)
	if now.Budget.Exhausted {
		now.Left = 0
	}
	return now, nil
}

func (k *Console) provisioning(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showProvisioning(r, http.StatusOK, f)
}

func (k *Console) showProvisioning(r *request, status int, f form) error {
	now, err := k.provisioningNow(r)
	if err != nil {
		return err
	}
	plans, err := k.Store.Plans().List(r.ctx(), 10)
	if err != nil {
		return fmt.Errorf("list plans: %w", err)
	}
	making, err := k.makingNow(r)
	if err != nil {
		return err
	}
	return r.show(status, "provisioning", r.text("area.provisioning"), struct {
		Form         form
		Now          provisioningNow
		Plans        []store.Plan
		Making       int64 // the plan that is being made
		Admin, Helps bool
	}{f, now, plans, making, r.may(idp.Admin), r.may(idp.Operator)})
}

func (k *Console) provisioningLive(r *request) error {
	return r.stream("provisioning-now", func() (any, error) { return k.provisioningNow(r) })
}

func (k *Console) hold(r *request) error {
	if err := k.Plans.PauseAll(r.ctx(), r.scope(), r.Form["lost"] == "1", r.actor()); err != nil {
		return err
	}
	return r.done(provisioningPath, "held")
}

func (k *Console) release(r *request) error {
	if err := k.Plans.ResumeAll(r.ctx(), r.scope(), r.actor()); err != nil {
		return err
	}
	return r.done(provisioningPath, "released")
}

func (k *Console) planNow(r *request, id int64) (n planNow, err error) {
	if n.Plan, err = k.Store.Plans().Get(r.ctx(), id); err != nil {
		return n, fmt.Errorf("read plan %d: %w", id, err)
	}
	n.Ended = n.Plan.Done + n.Plan.Failed + n.Plan.Skipped
	n.Now, err = k.provisioningNow(r)
	return n, err
}
