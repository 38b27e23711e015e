package console

import (
	"net/http"
	"time"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
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
	plans, err := k.Plans.List(r.ctx(), r.scope(), 10)
	if err != nil {
		return err
	}
	making, err := k.Plans.Making(r.ctx(), r.scope())
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

// provisioningNow is how the creation of users stands, with what it comes to in a sentence.
type provisioningNow struct {
	admin.ProvisioningStatus

	Verdict callout
}

func (k *Console) provisioningNow(r *request) (v provisioningNow, err error) {
	v.ProvisioningStatus, err = k.Plans.Status(r.ctx(), r.scope())
	v.Verdict = k.judgeProvisioning(r, v.ProvisioningStatus)
	return v, err
}

// judgeProvisioning says whether users are created, and what stands against it. What stops all of it comes first.
func (k *Console) judgeProvisioning(r *request, now admin.ProvisioningStatus) callout {
	say := func(kind, title, text string, pairs ...any) callout {
		c := callout{Kind: kind, Verdict: true, Title: r.text("provisioning.verdict."+title, pairs...)}
		if text != "" {
			c.Text = text
		}
		return c
	}
	when := func(at time.Time) string { return relative(k.texts, at, k.now()) }
	waiting := now.Count(store.Wanted) + now.Count(store.Sending)
	attention := 0
	for _, state := range admin.AttentionStates() {
		attention += now.Count(state)
	}
	fault, fix := provisioning.UsedUp(now.Budget)
	switch {
	case now.Stopped.Cause != "":
		next := r.text("provisioning.verdict.next", "when", when(now.Stopped.Until))
		return say("bad", "stopped", sentence(r.said(admin.CallsStopped(now.Stopped.Cause)))+" "+next,
			"when", when(now.Stopped.OpenedAt))
	case !now.Pause.Since.IsZero():
		return say("warn", "paused", r.text("provisioning.heldby", "by", now.Pause.By, "reason", now.Pause.Reason),
			"when", when(now.Pause.Since))
	case fault != "":
		return say("warn", "usedup", sentence(r.said(fault+": "+fix)))
	case attention > 0:
		c := say("warn", "attention", "", "count", attention)
		c.Acts = []link{{r.text("provisioning.verdict.show"), provisioningPath + "/users"}}
		return c
	case waiting > 0:
		return say("ok", "waiting", "", "count", waiting)
	case now.Count(store.Active) > 0:
		return say("ok", "ok", "", "count", now.Count(store.Active))
	}
	return say("off", "none", r.text("provisioning.planslead"))
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
	if n.Plan, err = k.Plans.Get(r.ctx(), r.scope(), id); err != nil {
		return n, err
	}
	n.Ended = n.Plan.Done + n.Plan.Failed + n.Plan.Skipped
	n.Now, err = k.Plans.Status(r.ctx(), r.scope())
	return n, err
}
