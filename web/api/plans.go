package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type creationPlan struct {
	ID         int64           `json:"id" doc:"Its number."`
	State      store.PlanState `json:"state" doc:"Such as making, ready, applying, paused or done; more can be added."`
	People     int             `json:"people" doc:"People who were looked at."`
	Creations  int             `json:"creations" doc:"Users to create."`
	Leavers    int             `json:"leavers" doc:"Users whose person has no access any more."`
	Drifted    int             `json:"drifted" doc:"Users whose role differs from what the mappings give."`
	Blocked    int             `json:"blocked" doc:"People whose user can't be created."`
	AtSignIn   int             `json:"at_sign_in" doc:"Users that are left to the first sign-in."`
	Done       int             `json:"done" doc:"Creations that succeeded."`
	Failed     int             `json:"failed" doc:"Creations that failed."`
	Skipped    int             `json:"skipped" doc:"Creations that were not needed any more."`
	Reason     string          `json:"reason,omitempty" doc:"Why it stopped, in one word."`
	CreatedAt  time.Time       `json:"created_at" doc:"When it was begun."`
	CreatedBy  string          `json:"created_by" doc:"By whom, as audit events name them."`
	AppliedAt  *time.Time      `json:"applied_at,omitempty" doc:"When it was last applied."`
	FinishedAt *time.Time      `json:"finished_at,omitempty" doc:"When it came to its end."`
}

func planOf(p store.Plan) creationPlan {
	return creationPlan{ID: p.ID, State: p.State, People: p.People, Creations: p.Creations, Leavers: p.Leavers,
		Drifted: p.Drifted, Blocked: p.Blocked, AtSignIn: p.AtSignIn, Done: p.Done, Failed: p.Failed, Skipped: p.Skipped,
		Reason: p.Reason, CreatedAt: p.CreatedAt.UTC(), CreatedBy: p.CreatedBy, AppliedAt: optional(p.AppliedAt),
		FinishedAt: optional(p.FinishedAt)}
}

type planItem struct {
	Position int64           `json:"position" doc:"Its place in the order of applying."`
	Kind     string          `json:"kind" doc:"Such as create, leaver, drift or blocked; more can be added."`
	Person   store.PersonID  `json:"person_id" doc:"The person."`
	Login    string          `json:"login,omitempty" doc:"Their login name."`
	Name     string          `json:"name,omitempty" doc:"How they are called."`
	Account  store.AccountID `json:"account,omitempty" doc:"The client account."`
	Role     store.Role      `json:"role,omitempty" doc:"The role that the mappings give."`
	Mapping  int64           `json:"mapping,omitzero" doc:"The mapping that decides."`
	Why      string          `json:"why,omitempty" doc:"Why, in words."`
	State    string          `json:"state" doc:"How it stands."`
	Reason   string          `json:"reason,omitempty" doc:"Why it stands so, in one word."`
}

type manualTask struct {
	Person  store.PersonID  `json:"person_id" doc:"The person."`
	Account store.AccountID `json:"account" doc:"The client account."`
	Kind    string          `json:"kind" doc:"leaver: delete the user. drift: change the role. More can be added."`
	Login   string          `json:"login,omitempty" doc:"Their login name."`
	Name    string          `json:"name,omitempty" doc:"How they are called."`
	Current store.Role      `json:"current_role,omitempty" doc:"The role at Constant Contact."`
	Role    store.Role      `json:"role,omitempty" doc:"The role that the mappings give."`
	Why     string          `json:"why,omitempty" doc:"Why, in words."`
	Since   time.Time       `json:"since" doc:"When it was first seen."`
	DoneAt  *time.Time      `json:"done_at,omitempty" doc:"When it was noted as done."`
	DoneBy  string          `json:"done_by,omitempty" doc:"By whom."`
}

func taskOf(t store.ManualTask) manualTask {
	return manualTask{t.Person, t.Account, t.Kind, t.Login, t.Name, t.Current, t.Role, t.Why, t.Since.UTC(),
		optional(t.DoneAt), t.DoneBy}
}

type planID struct {
	ID int64 `path:"id" min:"1" doc:"The plan's number."`
}

type applyInput struct {
	MaxCreate int  `json:"max_create,omitempty" min:"1" max:"1000000" doc:"Most creations of this run; past it the plan stops. Left out: as configured."`
	Accept    bool `json:"accept,omitempty" doc:"Go on although it would stop and ask."`
}

// maxPlans is how many plans are listed: they are few, and the newest count.
const maxPlans = 100

// plan answers with a plan as it stands.
func (c *call) plan(id int64) (creationPlan, error) {
	p, err := c.api.o.Plans.Get(c.ctx, c.scope(), id)
	return planOf(p), err
}

func planOperations() []operation {
	const area, tasks = "Plans of creations", "Manual tasks"
	return []operation{
		serves(operation{
			id: "listPlans", method: http.MethodGet, path: "/plans", area: area, scope: admin.PlansRead,
			summary: "List plans", doc: "The newest 100, the newest first.",
		}, func(c *call, _ none) (list[creationPlan], error) {
			all, err := c.api.o.Plans.List(c.ctx, c.scope(), maxPlans)
			out := list[creationPlan]{Items: []creationPlan{}}
			for _, p := range all {
				out.Items = append(out.Items, planOf(p))
			}
			return out, err
		}),
		serves(operation{
			id: "getPlan", method: http.MethodGet, path: "/plans/{id}", area: area, scope: admin.PlansRead,
			summary: "Read a plan",
		}, func(c *call, in struct {
			ID int64 `path:"id" min:"1" doc:"The plan's number."`
		}) (creationPlan, error) {
			return c.plan(in.ID)
		}),
		serves(operation{
			id: "listPlanItems", method: http.MethodGet, path: "/plans/{id}/items", area: area, scope: admin.PlansRead,
			summary: "List the lines of a plan", doc: "By their position.",
		}, func(c *call, in struct {
			paged
			ID int64 `path:"id" min:"1" doc:"The plan's number."`
		}) (list[planItem], error) {
			f := store.ItemFilter{Limit: in.size() + 1}
			if err := c.from(in.paged, &f.After); err != nil {
				return list[planItem]{}, err
			}
			if _, err := c.api.o.Plans.Get(c.ctx, c.scope(), in.ID); err != nil {
				return list[planItem]{}, err
			}
			rows, err := c.api.o.Plans.Items(c.ctx, c.scope(), in.ID, f)
			if err != nil {
				return list[planItem]{}, err
			}
			return pageOf(c, in.paged, rows, func(i store.PlanItem) planItem {
				return planItem{i.Position, i.Kind, i.Person, i.Login, i.Name, i.Account, i.Role, i.Mapping, i.Why,
					i.State, i.Reason}
			}, func(i store.PlanItem) any { return i.Position })
		}),
		serves(operation{
			id: "makePlan", method: http.MethodPost, path: "/plans", area: area, scope: admin.PlansWrite, keyed: true,
			act: "plan-start", status: http.StatusAccepted, summary: "Make a plan",
			doc: "It is made in the background: read it until its state is ready. Nothing is created before it is applied. " +
				"While another one is made this is refused.",
		}, func(c *call, _ none) (creationPlan, error) {
			if id, err := strconv.ParseInt(strings.TrimPrefix(c.made, "plan "), 10, 64); err == nil {
				c.header.Set("Location", fmt.Sprintf("%s/plans/%d", Path, id))
				return c.plan(id) // begun by a process that has died since, whose plan may have been dropped
			}
			p, err := c.api.o.Plans.Start(c.ctx, c.scope(), c.caller.Actor())
			if err != nil {
				return creationPlan{}, err
			}
			c.header.Set("Location", fmt.Sprintf("%s/plans/%d", Path, p.ID))
			return planOf(p), nil
		}),
		serves(operation{
			id: "applyPlan", method: http.MethodPost, path: "/plans/{id}/apply", area: area, scope: admin.PlansWrite,
			keyed: true, act: "plan-apply", status: http.StatusAccepted, summary: "Apply a plan, or go on with one",
			doc: "The users are created in the background. Where it would stop and ask, for example since the mappings have " +
				"changed, it is refused (409) with why; accept=true goes on all the same.",
		}, func(c *call, in struct {
			ID   int64      `path:"id" min:"1" doc:"The plan's number."`
			Body applyInput `body:"json"`
		}) (creationPlan, error) {
			if c.made != "" {
				return c.plan(in.ID)
			}
			p, err := c.api.o.Plans.Apply(c.ctx, c.scope(), provisioning.ApplyOptions{ID: in.ID, Actor: c.caller.Actor(),
				MaxCreate: in.Body.MaxCreate, Accept: in.Body.Accept})
			return planOf(p), err
		}),
		serves(operation{
			id: "pausePlan", method: http.MethodPost, path: "/plans/{id}/pause", area: area, scope: admin.PlansWrite,
			keyed: true, act: "plan-pause", summary: "Pause a plan that is being applied", doc: "Until it is applied again.",
		}, func(c *call, in planID) (creationPlan, error) {
			if c.made == "" {
				if _, err := c.api.o.Plans.Pause(c.ctx, c.scope(), in.ID, c.caller.Actor()); err != nil {
					return creationPlan{}, err
				}
			}
			return c.plan(in.ID)
		}),
		serves(operation{
			id: "cancelPlan", method: http.MethodPost, path: "/plans/{id}/cancel", area: area, scope: admin.PlansWrite,
			keyed: true, act: "plan-cancel", summary: "Cancel a plan that is being made", doc: "Nothing of it was created.",
		}, func(c *call, in planID) (creationPlan, error) {
			if c.made == "" {
				if _, err := c.api.o.Plans.Cancel(c.ctx, c.scope(), in.ID, c.caller.Actor()); err != nil {
					return creationPlan{}, err
				}
			}
			return c.plan(in.ID)
		}),
		serves(operation{
			id: "listTasks", method: http.MethodGet, path: "/tasks", area: tasks, scope: admin.TasksRead,
			summary: "List manual tasks",
			doc:     "What is to be done by hand at Constant Contact, the oldest first.",
		}, func(c *call, in struct {
			paged
			Kind string `query:"kind" maxlen:"30" doc:"Only of this kind."`
			Done bool   `query:"done" doc:"true: those that were done, in place of those open."`
		}) (list[manualTask], error) {
			f := store.ManualTaskFilter{Kind: in.Kind, Done: in.Done, Limit: in.size() + 1}
			if err := c.from(in.paged, &f.After); err != nil {
				return list[manualTask]{}, err
			}
			rows, err := c.api.o.Users.Tasks(c.ctx, c.scope(), f)
			if err != nil {
				return list[manualTask]{}, err
			}
			return pageOf(c, in.paged, rows, taskOf, func(t store.ManualTask) any {
				return store.ManualTask{Person: t.Person, Account: t.Account, Kind: t.Kind, Since: t.Since}
			})
		}),
		serves(operation{
			id: "finishTask", method: http.MethodPost, path: "/accounts/{id}/users/{who}/tasks/{kind}/done", area: tasks,
			scope: admin.TasksWrite, confined: true, keyed: true, act: "work-done", summary: "Note a manual task as done",
			doc: "leaver: the user was deleted at Constant Contact. drift: the role was changed there.",
		}, func(c *call, in struct {
			userKey
			Kind string `path:"kind" maxlen:"30" doc:"leaver or drift."`
		}) (none, error) {
			k, err := c.user(in.userKey)
			if err != nil {
				return none{}, err
			}
			if c.made != "" {
				return none{}, nil
			}
			return none{}, c.api.o.Users.TaskDone(c.ctx, c.scope(), k, in.Kind, c.caller.Actor())
		}),
	}
}
