package console

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
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
	Hold    store.Hold
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
	if now.Hold, err = k.Store.Ledger().Hold(r.ctx()); err != nil {
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

func planPath(id int64) string { return provisioningPath + "/plans/" + strconv.FormatInt(id, 10) }

func (k *Console) hold(r *request) error {
	reason := "admin"
	if r.Form["lost"] == "1" {
		reason = "ledger-lost"
	}
	if err := k.Provisioning.SetHold(r.ctx(), reason, r.actor()); err != nil {
		return err
	}
	return r.done(provisioningPath, "held")
}

func (k *Console) release(r *request) error {
	if err := k.Provisioning.SetHold(r.ctx(), "", r.actor()); err != nil {
		return err
	}
	return r.done(provisioningPath, "released")
}

// planOf is the plan that a path names.
func (k *Console) planOf(r *request) (store.Plan, error) {
	id, err := strconv.ParseInt(r.Param("plan"), 10, 64)
	if err != nil {
		return store.Plan{}, r.Missing("plan")
	}
	p, err := k.Store.Plans().Get(r.ctx(), id)
	if errors.Is(err, store.ErrNotFound) {
		return p, r.Missing("plan")
	}
	if err != nil {
		return p, fmt.Errorf("read plan %d: %w", id, err)
	}
	return p, nil
}

// planNow is how far a plan is, for the page and its stream.
type planNow struct {
	Plan  store.Plan
	Ended int // creations that are decided
	Now   provisioningNow
}

func (k *Console) planNow(r *request, id int64) (n planNow, err error) {
	if n.Plan, err = k.Store.Plans().Get(r.ctx(), id); err != nil {
		return n, fmt.Errorf("read plan %d: %w", id, err)
	}
	n.Ended = n.Plan.Done + n.Plan.Failed + n.Plan.Skipped
	n.Now, err = k.provisioningNow(r)
	return n, err
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
	forecast, err := k.Provisioning.Forecast(r.ctx(), max(0, p.Creations-now.Ended))
	if err != nil {
		return fmt.Errorf("reckon what plan %d takes: %w", p.ID, err)
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
	items, err := k.Store.Plans().Items(r.ctx(), p.ID, filter)
	if err != nil {
		return fmt.Errorf("list the lines of plan %d: %w", p.ID, err)
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
	if len(faults) == 0 {
		_, err = k.Provisioning.ApplyPlan(r.ctx(), o)
		var stop *provisioning.StopError
		switch {
		case err == nil:
			return r.done(planPath(p.ID), "applying")
		case errors.As(err, &stop):
			faults[""] = stop.Detail
			if stop.Reason != provisioning.StopHold {
				faults["accept"] = r.text("provisioning.accept")
			}
		case errors.Is(err, store.ErrConflict):
			faults[""] = r.text("provisioning.other")
		case errors.Is(err, store.ErrNotFound):
			faults[""] = r.text("provisioning.notnow")
		default:
			return err
		}
	}
	f, err := r.newForm(r.Form, faults)
	if err != nil {
		return err
	}
	return k.showPlan(r, http.StatusConflict, p, f)
}

func (k *Console) pausePlan(r *request) error {
	p, err := k.planOf(r)
	if err != nil {
		return err
	}
	if err := k.Provisioning.PausePlan(r.ctx(), p.ID, r.actor()); err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	return r.done(planPath(p.ID), "paused")
}

// usersFilter is what a query chooses of the ledger; all that want a hand by default.
func (k *Console) usersFilter(r *request) (f store.UserFilter, err error) {
	q := r.QueryParams()
	f = store.UserFilter{Limit: pageSize}
	for _, s := range userStates {
		if q.Get("state") == string(s) {
			f.States = []store.State{s}
		}
	}
	if len(f.States) == 0 {
		f.States = userStates[:4]
	}
	if f.Account, err = k.accountFiltered(r, q.Get("account")); err != nil {
		return f, err
	}
	if person := personNamed(q.Get("after")); person != "" {
		f.After = store.UserKey{Person: person, Account: store.AccountID(web.Cut(q.Get("after_account"), 100))}
	}
	return f, nil
}

func (k *Console) users(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return k.showUsers(r, http.StatusOK, f)
}

func (k *Console) showUsers(r *request, status int, f form) error {
	filter, err := k.usersFilter(r)
	if err != nil {
		return err
	}
	list, err := k.Store.Ledger().List(r.ctx(), filter)
	if err != nil {
		return fmt.Errorf("list SSO users: %w", err)
	}
	state := ""
	if len(filter.States) == 1 {
		state = string(filter.States[0])
	}
	same := url.Values{"state": {state}, "account": {string(filter.Account)}}
	view := struct {
		Form        form
		States      []store.State
		State       string
		Account     store.AccountID
		Users       []store.SSOUser
		First, Next string
		Helps       bool
	}{Form: f, States: userStates, State: state, Account: filter.Account, Users: list, Helps: r.may(idp.Operator)}
	if filter.After.Person != "" {
		view.First = provisioningPath + "/users?" + same.Encode()
	}
	if len(list) == pageSize {
		last := list[pageSize-1]
		same.Set("after", string(last.Person))
		same.Set("after_account", string(last.Account))
		view.Next = provisioningPath + "/users?" + same.Encode()
	}
	return r.show(status, "provisioning-users", r.text("provisioning.users"), view)
}

// chosen are the users whose boxes were ticked: each box has the name of its row.
func (r *request) chosen() []store.UserKey {
	var keys []store.UserKey
	for name := range r.Form {
		person, account, ok := strings.Cut(strings.TrimPrefix(name, "user:"), " ")
		if !ok || !strings.HasPrefix(name, "user:") {
			continue
		}
		if id, err := r.k.accountNamed(r, account); err == nil {
			keys = append(keys, store.UserKey{Person: personNamed(person), Account: id})
		}
	}
	return keys
}

// changeUsers tries the chosen users again, or confirms those that are assumed.
func (k *Console) changeUsers(r *request) error {
	keys := r.chosen()
	if len(keys) == 0 {
		f, err := r.newForm(nil, map[string]string{"": r.text("provisioning.choose")})
		if err != nil {
			return err
		}
		return k.showUsers(r, http.StatusUnprocessableEntity, f)
	}
	if r.Form["do"] == "confirm" {
		if _, err := k.Provisioning.ConfirmUsers(r.ctx(), keys, r.actor()); err != nil {
			return err
		}
		return r.done(provisioningPath+"/users", "confirmed")
	}
	for _, key := range keys {
		if _, err := k.Provisioning.RetryUsers(r.ctx(), store.UserFilter{Person: key.Person, Account: key.Account},
			r.actor()); err != nil {
			return err
		}
	}
	return r.done(provisioningPath+"/users", "retried")
}

func (k *Console) work(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	q := r.QueryParams()
	filter := store.WorkFilter{Limit: pageSize, Done: q.Get("done_work") == "1"}
	if kind := q.Get("kind"); kind == store.ItemLeaver || kind == store.ItemDrift {
		filter.Kind = kind
	}
	if after, err := parseMicros(q.Get("since")); err == nil {
		filter.After = store.Work{Since: after, Person: personNamed(q.Get("person")),
			Account: store.AccountID(web.Cut(q.Get("account"), 100)), Kind: web.Cut(q.Get("after_kind"), 20)}
	}
	list, err := k.Store.Plans().Work(r.ctx(), filter)
	if err != nil {
		return fmt.Errorf("list manual work: %w", err)
	}
	view := struct {
		Form   form
		Filter store.WorkFilter
		Kinds  []string
		Work   []store.Work
		First  string
		Next   string
		Helps  bool
	}{Form: f, Filter: filter, Kinds: []string{store.ItemLeaver, store.ItemDrift}, Work: list, Helps: r.may(idp.Operator)}
	if len(list) == pageSize {
		last := list[pageSize-1]
		view.Next = provisioningPath + "/work?" + url.Values{
			"kind": {filter.Kind}, "since": {strconv.FormatInt(last.Since.UnixMicro(), 10)}, "person": {string(last.Person)},
			"account": {string(last.Account)}, "after_kind": {last.Kind}, "done_work": {q.Get("done_work")},
		}.Encode()
	}
	return r.show(http.StatusOK, "provisioning-work", r.text("provisioning.work"), view)
}

// workDone ticks off what an admin did at Constant Contact.
func (k *Console) workDone(r *request) error {
	account, err := k.accountNamed(r, r.Form["account"])
	if err != nil {
		r.Log(err)
		return r.Missing("work")
	}
	err = k.Provisioning.WorkDone(r.ctx(), store.UserKey{Person: personNamed(r.Form["person"]), Account: account},
		r.Form["kind"], r.actor())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r.Missing("work")
	case err != nil:
		return err
	}
	return r.done(provisioningPath+"/work", "ticked")
}

// exportUsers writes the whole ledger, names and mail addresses of people among it.
func (k *Console) exportUsers(r *request) error {
	if err := k.Store.Audit().Add(r.ctx(), r.event("users-export", "ledger")); err != nil {
		return fmt.Errorf("record an export of users: %w", err)
	}
	r.Response().Header().Set("Content-Disposition", `attachment; filename="users.csv"`)
	r.Response().Header().Set("Content-Type", "text/csv; charset=utf-8")
	if err := k.Provisioning.ExportUsers(r.ctx(), r.Response(), store.UserFilter{}, "csv"); err != nil {
		return fmt.Errorf("export users: %w", err)
	}
	return nil
}

const tellPath = provisioningPath + "/users/tell"

// tellView is the page on which users are told that exist already.
type tellView struct {
	Form   form
	Seen   []provisioning.Telling // what would become of each line
	More   int
	Faults int
	Counts []tellCount // what became of all
}

type tellCount struct {
	Outcome store.Adoption
	Count   int
}

// shownTellings is how many lines of a file a page shows.
const shownTellings = 200

func (k *Console) tellPage(r *request) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	return r.show(http.StatusOK, "provisioning-tell", r.text("provisioning.tell"), tellView{Form: f})
}

// tellUsers takes a CSV file of users that exist already: what would become of each line
// is shown first. An export of the ledger is imported at once, as by the command.
func (k *Console) tellUsers(r *request) error {
	refuse := func(err error) error {
		faults := provisioning.FieldErrors(err)
		if text := admin.DirectoryFault(err); text != "" {
			faults[""] = text
		}
		if len(faults) == 0 {
			return err
		}
		all := ""
		for _, field := range slices.Sorted(maps.Keys(faults)) {
			all += strings.TrimPrefix(field+": "+faults[field]+"\n", ": ")
		}
		f, ferr := r.newForm(web.Fields{"file": r.Form["file"]}, map[string]string{"": all})
		if ferr != nil {
			return ferr
		}
		return r.show(http.StatusUnprocessableEntity, "provisioning-tell", r.text("provisioning.tell"), tellView{Form: f})
	}
	counts := map[store.Adoption]int{}
	if r.Form["do"] == "import" {
		done, err := k.Provisioning.ImportUsers(r.ctx(), strings.NewReader(r.Form["file"]), r.actor())
		if err != nil {
			return refuse(err)
		}
		counts = done
	} else {
		told, err := provisioning.ReadTold(strings.NewReader(r.Form["file"]))
		if err != nil {
			return refuse(err)
		}
		seen, err := k.Provisioning.PreviewAdoption(r.ctx(), told)
		if err != nil {
			return refuse(err)
		}
		if r.Form["do"] != "tell" || r.Form["seen"] != fingerprint(fmt.Appendf(nil, "%+v", seen)) {
			return k.previewTold(r, seen)
		}
		done, err := k.Provisioning.AdoptUsers(r.ctx(), seen, r.actor())
		if err != nil {
			return err
		}
		for _, t := range done {
			if t.Fault == "" {
				counts[t.Outcome]++
			}
		}
	}
	return k.showTold(r, counts)
}

func (k *Console) previewTold(r *request, seen []provisioning.Telling) error {
	f, err := r.newForm(web.Fields{"file": r.Form["file"], "seen": fingerprint(fmt.Appendf(nil, "%+v", seen))}, nil)
	if err != nil {
		return err
	}
	v := tellView{Form: f, Seen: seen}
	for _, t := range seen {
		if t.Fault != "" {
			v.Faults++
		}
	}
	if len(v.Seen) > shownTellings {
		v.Seen, v.More = v.Seen[:shownTellings], len(v.Seen)-shownTellings
	}
	return r.show(http.StatusOK, "provisioning-tell", r.text("provisioning.tell"), v)
}

func (k *Console) showTold(r *request, counts map[store.Adoption]int) error {
	f, err := r.newForm(nil, nil)
	if err != nil {
		return err
	}
	v := tellView{Form: f}
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		v.Counts = append(v.Counts, tellCount{outcome, counts[outcome]})
	}
	return r.show(http.StatusOK, "provisioning-tell", r.text("provisioning.tell"), v)
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
	counts, err := k.Provisioning.AdoptPlan(r.ctx(), p.ID, r.actor())
	if errors.Is(err, provisioning.ErrPlanUnmade) {
		r.Log(err)
		f, ferr := r.newForm(nil, map[string]string{"": r.text("provisioning.notadopted")})
		if ferr != nil {
			return ferr
		}
		return k.showPlan(r, http.StatusConflict, p, f)
	}
	if err != nil {
		return fmt.Errorf("adopt plan %d: %w", p.ID, err)
	}
	return k.showTold(r, counts)
}
