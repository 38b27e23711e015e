package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

func planPath(id int64) string { return provisioningPath + "/plans/" + strconv.FormatInt(id, 10) }

// planOf is the plan that a path names.
func (k *Console) planOf(r *request) (store.Plan, error) {
	id, err := strconv.ParseInt(r.Param("plan"), 10, 64)
	if err != nil {
		return store.Plan{}, r.Missing("plan")
	}
	p, err := k.Plans.Get(r.ctx(), r.scope(), id)
	if errors.Is(err, store.ErrNotFound) {
		return p, r.Missing("plan")
	}
	return p, err
}

// planNow is how far a plan is, for the page and its stream.
type planNow struct {
	Plan  store.Plan
	Ended int // creations that are decided
	Now   admin.ProvisioningStatus
}

func (k *Console) plan(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	p, err := k.planOf(r)
	if err != nil {
		return err
	}
	return k.showPlan(r, http.StatusOK, p, f)
}

var (
	itemKinds  = []string{store.ItemCreate, store.ItemLeaver, store.ItemDrift, store.ItemBlocked}
	itemStates = []string{store.ItemOpen, store.ItemSending, store.ItemDone, store.ItemFailed, store.ItemSkipped}
)

func (k *Console) showPlan(r *request, status int, p store.Plan, f form) error {
	if p.Unmade() {
		return k.showMaking(r, status, p, f)
	}
	now, err := k.planNow(r, p.ID)
	if err != nil {
		return err
	}
	forecast, err := k.Plans.Forecast(r.ctx(), r.scope(), max(0, p.Creations-now.Ended))
	if err != nil {
		return err
	}
	q := r.QueryParams()
	filter := store.ItemFilter{Limit: pageSize}
	if kind := q.Get("kind"); slices.Contains(itemKinds, kind) {
		filter.Kind = kind
	}
	if state := q.Get("state"); slices.Contains(itemStates, state) {
		filter.State = state
	}
	if filter.Account, err = k.accountFiltered(r, q.Get("account")); err != nil {
		return err
	}
	if after, err := strconv.ParseInt(q.Get("after"), 10, 64); err == nil && after > 0 {
		filter.After = after
	}
	items, err := k.Plans.Items(r.ctx(), r.scope(), p.ID, filter)
	if err != nil {
		return err
	}
	own := planPath(p.ID)
	same := url.Values{"kind": {filter.Kind}, "state": {filter.State}, "account": {string(filter.Account)}}
	view := struct {
		Form          form
		Own           string
		Now           planNow
		Plan          store.Plan
		Forecast      provisioning.Forecast
		Share         int // of what is left of today, in percent
		Filter        store.ItemFilter
		Kinds, States []string
		Items         []store.PlanItem
		First, Next   string
		Admin, Helps  bool
		Open          bool // can be applied
	}{
		Form: f, Own: own, Now: now, Plan: p, Forecast: forecast, Share: int(100 * forecast.TodayShare), Filter: filter,
		Kinds: itemKinds, States: itemStates, Items: items, Admin: r.may(idp.Admin), Helps: r.may(idp.Operator),
		Open: p.State == store.PlanReady || p.State == store.PlanPaused || p.State == store.PlanStopped,
	}
	if filter.After > 0 {
		view.First = own + "?" + same.Encode()
	}
	if len(items) == pageSize {
		same.Set("after", strconv.FormatInt(items[pageSize-1].Position, 10))
		view.Next = own + "?" + same.Encode()
	}
	return r.show(status, "provisioning-plan", r.text("provisioning.plan.title", "id", p.ID), view)
}

func (k *Console) planLive(r *request) error {
	p, err := k.planOf(r)
	if err != nil {
		return err
	}
	if r.QueryParam("making") == "1" {
		return r.stream("provisioning-making", func() (any, error) { return k.makingView(r, p.ID) })
	}
	return r.stream("provisioning-progress", func() (any, error) { return k.planNow(r, p.ID) })
}

// applyPlan begins or resumes a plan. Where it would stop and ask, the page says why,
// and its next form accepts that.
func (k *Console) applyPlan(r *request) error {
	p, err := k.planOf(r)
	if err != nil {
		return err
	}
	o := provisioning.ApplyOptions{ID: p.ID, Actor: r.actor(), Accept: r.Form["accept"] == "1"}
	faults := map[string]string{}
	if text := r.Form["max_create"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1_000_000 {
			faults["max_create"] = r.text("provisioning.max.range")
		}
		o.MaxCreate = n
	}
	if len(faults) > 0 {
		f, err := r.newForm(r.Form, faults)
		if err != nil {
			return err
		}
		return k.showPlan(r, http.StatusConflict, p, f)
	}
	_, applied := k.Plans.Apply(r.ctx(), r.scope(), o)
	if applied == nil {
		return r.done(planPath(p.ID), "applying")
	}
	f, _, err := r.refusedForm(applied, nil)
	if err != nil {
		return err
	}
	if stop, ok := errors.AsType[*provisioning.StopError](applied); ok && stop.Reason != provisioning.StopHold {
		f.Errors["accept"] = r.text("provisioning.accept")
	}
	return k.showPlan(r, http.StatusConflict, p, f)
}

func (k *Console) pausePlan(r *request) error {
	p, err := k.planOf(r)
	if err != nil {
		return err
	}
	if _, err := k.Plans.Pause(r.ctx(), r.scope(), p.ID, r.actor()); err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	return r.done(planPath(p.ID), "paused")
}

// adoptPlan takes all whom a plan would create as created already: for a ledger that was
// lost, or restored from an old backup. It wants the plan's number typed.
func (k *Console) adoptPlan(r *request) error {
	p, err := k.planOf(r)
	if err != nil {
		return err
	}
	if strings.TrimSpace(r.Form["typed"]) != strconv.FormatInt(p.ID, 10) {
		f, err := r.newForm(r.Form, map[string]string{"typed": r.text("provisioning.adopt.typed")})
		if err != nil {
			return err
		}
		return k.showPlan(r, http.StatusUnprocessableEntity, p, f)
	}
	counts, err := k.Plans.Adopt(r.ctx(), r.scope(), p.ID, r.actor())
	if err != nil {
		f, _, err := r.refusedForm(err, nil)
		if err != nil {
			return err
		}
		return k.showPlan(r, http.StatusConflict, p, f)
	}
	return k.showAdopted(r, counts)
}
