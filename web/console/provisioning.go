package console

import (
	"net/http"

	"ssobridge/idp"
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
	now, err := k.Plans.Status(r.ctx(), r.scope())
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
		Now          admin.ProvisioningStatus
		Plans        []store.Plan
		Making       int64 // the plan that is being made
		Admin, Helps bool
	}{f, now, plans, making, r.may(idp.Admin), r.may(idp.Operator)})
}

func (k *Console) provisioningLive(r *request) error {
	return r.stream("provisioning-now", func() (any, error) { return k.Plans.Status(r.ctx(), r.scope()) })
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
