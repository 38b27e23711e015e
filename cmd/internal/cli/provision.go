package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type provisionCmd struct {
	Plan      provisionPlanCmd      `cmd:"" help:"Compare directory, mappings and ledger, and save the difference as a plan. Creates nobody."`
	Cancel    provisionCancelCmd    `cmd:"" help:"End the making of a plan, wherever it is made."`
	Show      provisionShowCmd      `cmd:"" help:"Show the lines of a saved plan."`
	Apply     provisionApplyCmd     `cmd:"" help:"Create the users of a plan; goes on where it was interrupted."`
	Pause     provisionPauseCmd     `cmd:"" help:"Stop the plan that is being applied until apply is called again."`
	Status    provisionStatusCmd    `cmd:"" help:"Show the queue, the plan that is being applied, the budget and what is in the way."`
	Retry     provisionRetryCmd     `cmd:"" help:"Try failed or waiting users again now."`
	Readiness provisionReadinessCmd `cmd:"" help:"Show which share of each mapping's people has its user, and when all would."`
	Hold      provisionHoldCmd      `cmd:"" help:"Pause provisioning as a whole: no plan creates anybody."`
	Release   provisionReleaseCmd   `cmd:"" help:"Resume provisioning after provision hold or a restore."`
}

type provisionPlanCmd struct {
	asJSON
	All bool `help:"Print every line, not the first 20 of each kind."`
}

// Help is shown by provision plan --help.
func (provisionPlanCmd) Help() string {
	return `It reads the whole directory, page by page, and says who would be created where and why, who has left (their access has ended; delete their user at Constant Contact by hand), whose role has changed (change it there by hand: its API can't), and who can't be created. Nobody is created. The plan is saved for provision apply.

Examples:

    ssobridge provision plan

    ssobridge provision plan --json > plan.json`
}

// Run makes a plan and shows it.
func (c *provisionPlanCmd) Run(s *invocation, p *server.App) error {
	plan, walked, err := p.Plans().Make(s.ctx, s.scope(), actor(s.environ), s.planProgress())
	if err != nil {
		return fmt.Errorf("make a plan: %w", err)
	}
	forecast, err := p.Plans().Forecast(s.ctx, s.scope(), plan.Creations)
	if err != nil {
		return err
	}
	if c.JSON {
		return planJSON(s.ctx, p, s.data, plan, forecast, "")
	}
	for _, why := range walked.Why {
		s.printf("left out: %s\n", why)
	}
	if walked.Skipped > len(walked.Why) {
		s.printf("left out: %d more entries\n", walked.Skipped-len(walked.Why))
	}
	limit := 20
	if c.All {
		limit = 0
	}
	return planText(s.ctx, p, s.stdout, plan, forecast, limit, "")
}

// counter shows on a terminal how far a walk is; elsewhere nothing.
func (s *invocation) counter(what string) func(int) {
	if !s.interactive() {
		return nil
	}
	return func(n int) { fmt.Fprintf(s.terminal, "\r%d %s ", n, what) }
}

// planProgress shows on a terminal how far a plan is; elsewhere nothing.
func (s *invocation) planProgress() func(provisioning.PlanProgress) {
	if !s.interactive() {
		return nil
	}
	return func(p provisioning.PlanProgress) {
		fmt.Fprintf(s.terminal, "\r%d groups and %d people read, %d lines ", p.Groups, p.People, p.Items)
	}
}

type provisionCancelCmd struct {
	asJSON

	ID int64 `arg:"" optional:"" help:"The number of the plan. Default: the one that is being made."`
}

// Help is shown by provision cancel --help.
func (provisionCancelCmd) Help() string {
	return "Nothing of a plan that was cancelled while it was made can be applied. A plan that is being applied is " +
		"stopped by provision pause.\n\nExample:\n\n    ssobridge provision cancel"
}

// Run cancels it.
func (c *provisionCancelCmd) Run(s *invocation, p *server.App) error {
	id, err := p.Plans().Cancel(s.ctx, s.scope(), c.ID, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("plan %d is cancelled\n", id)
	return s.plan(p, id)
}

// plan prints how a plan stands now, as JSON.
func (s *invocation) plan(p *server.App, id int64) error {
	if !s.json {
		return nil
	}
	plan, err := p.Plans().Get(s.ctx, s.scope(), id)
	if err != nil {
		return err
	}
	return s.object(toJSONPlan(plan))
}

// planJSON writes one object whose items are streamed.
func planJSON(ctx context.Context, p *server.App, w io.Writer, plan store.Plan, f provisioning.Forecast,
	kind string) error {
	head, err := json.Marshal(struct {
		Plan     jsonPlan     `json:"plan"`
		Forecast jsonForecast `json:"forecast"`
	}{toJSONPlan(plan), toJSONForecast(f)})
	if err != nil {
		return fmt.Errorf("print plan %d: %w", plan.ID, err)
	}
	if _, err := fmt.Fprintf(w, "%s,\"items\":[", head[:len(head)-1]); err != nil {
		return err
	}
	first := true
	err = eachItem(ctx, p, plan.ID, store.ItemFilter{Kind: kind}, func(i store.PlanItem) error {
		line, err := json.Marshal(toJSONItem(i))
		if err != nil {
			return err
		}
		comma := ",\n"
		if first {
			comma, first = "\n", false
		}
		_, err = fmt.Fprintf(w, "%s%s", comma, line)
		return err
	})
	if err != nil {
		return fmt.Errorf("print plan %d: %w", plan.ID, err)
	}
	_, err = fmt.Fprintln(w, "\n]}")
	return err
}

// eachItem pages through the lines of a plan.
func eachItem(ctx context.Context, p *server.App, plan int64, f store.ItemFilter,
	visit func(store.PlanItem) error) error {
	for f.Limit = 1000; ; {
		items, err := p.Plans().Items(ctx, admin.Everything(), plan, f)
		if err != nil {
			return err
		}
		for _, i := range items {
			if err := visit(i); err != nil {
				return err
			}
		}
		if len(items) < f.Limit {
			return nil
		}
		f.After = items[len(items)-1].Position
	}
}

type jsonPlan struct {
	ID        int64     `json:"id"`
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	People    int       `json:"people"`
	Creations int       `json:"creations"`
	Leavers   int       `json:"leavers"`
	Drifted   int       `json:"drifted"`
	Blocked   int       `json:"blocked"`
	Done      int       `json:"done"`
	Failed    int       `json:"failed"`
	Skipped   int       `json:"skipped"`
	AtSignIn  int       `json:"at_sign_in"` // users that are created at their first sign-in, and by no plan
	Groups    int       `json:"groups"`
	Fault     string    `json:"fault,omitempty"` // why it was not made
}

func toJSONPlan(p store.Plan) jsonPlan {
	return jsonPlan{p.ID, string(p.State), p.Reason, p.CreatedAt, p.People, p.Creations, p.Leavers, p.Drifted, p.Blocked,
		p.Done, p.Failed, p.Skipped, p.AtSignIn, p.Groups, p.Fault}
}

type jsonForecast struct {
	Calls      int       `json:"calls"`
	PerSecond  float64   `json:"per_second"`
	Seconds    float64   `json:"seconds"`
	LeftToday  int       `json:"left_today"`
	TodayShare float64   `json:"today_share"`
	Days       int       `json:"days"`
	Ends       time.Time `json:"ends"`
	UsedUp     string    `json:"used_up,omitempty"`
}

func toJSONForecast(f provisioning.Forecast) jsonForecast {
	return jsonForecast{f.Calls, f.PerSecond, f.Takes.Seconds(), f.Left, f.TodayShare, f.Days, f.Ends, f.UsedUp}
}

type jsonItem struct {
	Kind    string          `json:"kind"`
	Person  store.PersonID  `json:"person_id"`
	Login   string          `json:"login"`
	Name    string          `json:"name"`
	Account store.AccountID `json:"account"`
	Role    store.Role      `json:"role,omitempty"`
	Current store.Role      `json:"told_role,omitempty"`
	Mapping int64           `json:"mapping,omitempty"`
	Why     string          `json:"why"`
	State   string          `json:"state,omitempty"`
	Reason  string          `json:"reason,omitempty"`
}

func toJSONItem(i store.PlanItem) jsonItem {
	j := jsonItem{i.Kind, i.Person, i.Login, i.Name, i.Account, i.Role, i.Current, i.Mapping, i.Why, "", i.Reason}
	if i.Kind == store.ItemCreate {
		j.State = i.State
	}
	return j
}

// planText prints a plan, the first limit lines of each kind (0: all), or of one kind alone.
func planText(ctx context.Context, p *server.App, w io.Writer, plan store.Plan, f provisioning.Forecast, limit int,
	kind string) error {
	fmt.Fprintf(w, "Plan %d of %s: %d people read, %d to be created, %d left, %d with another role, %d can't be created.\n",
		plan.ID, plan.CreatedAt.Format(time.DateTime+" MST"), plan.People, plan.Creations, plan.Leavers,
		plan.Drifted, plan.Blocked)
	if plan.AtSignIn > 0 {
		fmt.Fprintf(w, "%d more are left to the first sign-in, as their mappings say.\n", plan.AtSignIn)
	}
	if plan.Reason != "" {
		fmt.Fprintf(w, "Attention: %s\n", admin.PlanReason(plan.Reason))
	}
	if plan.Fault != "" {
		fmt.Fprintf(w, "Cause: %s\n", plan.Fault)
	}
	if f.Calls > 0 {
		fmt.Fprintln(w, forecastText(f))
	}
	for _, k := range []struct {
		kind, title string
		count       int
	}{
		{store.ItemCreate, "To be created", plan.Creations},
		{store.ItemLeaver, "Have left: delete them at Constant Contact by hand, then ssobridge users done", plan.Leavers},
		{store.ItemDrift, "Role has changed: change it at Constant Contact by hand, then ssobridge users done", plan.Drifted},
		{store.ItemBlocked, "Can't be created", plan.Blocked},
	} {
		if k.count == 0 || kind != "" && kind != k.kind {
			continue
		}
		fmt.Fprintf(w, "\n%s:\n", k.title)
		if err := planLines(ctx, p, w, plan.ID, k.kind, limit); err != nil {
			return fmt.Errorf("print plan %d: %w", plan.ID, err)
		}
		if more := k.count - limit; limit > 0 && more > 0 {
			fmt.Fprintf(w, "  and %d more: ssobridge provision show %d --kind %s --all\n", more, plan.ID, k.kind)
		}
	}
	return nil
}

// alignedLines is how many lines of a plan have the same columns: aligning all would hold all in memory.
const alignedLines = 1000

// planLines prints the first limit lines of one kind (0: all) as they are read.
func planLines(ctx context.Context, p *server.App, w io.Writer, plan int64, kind string, limit int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := 0
	err := eachItem(ctx, p, plan, store.ItemFilter{Kind: kind}, func(i store.PlanItem) error {
		if n++; limit > 0 && n > limit {
			return errEnough
		}
		role := string(i.Role)
		if i.Current != "" && i.Current != i.Role {
			role = string(i.Current) + " -> " + role
		}
		state := ""
		if i.Kind == store.ItemCreate && i.State != store.ItemOpen {
			state = i.State + " " + i.Reason
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", i.Login, i.Name, i.Account, role, i.Why, state)
		if n%alignedLines == 0 {
			return t.Flush()
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return t.Flush()
}

// errEnough ends the reading of lines of which no more are wanted.
var errEnough = errors.New("enough")

// forecastText says what calls take, in one sentence.
func forecastText(f provisioning.Forecast) string {
	text := fmt.Sprintf("%d calls take about %s at %.3g a second", f.Calls, max(f.Takes.Round(time.Second),
		time.Second), f.PerSecond)
	if f.Calls == 1 {
		text = "One call takes less than a second"
	}
	if f.Left > 0 {
		text += fmt.Sprintf(" and %.0f %% of the %d that background work may still make today", 100*f.TodayShare, f.Left)
	} else {
		text += "; background work may make none today any more"
		if f.UsedUp != "" {
			text += ", since " + f.UsedUp
		}
	}
	if f.Days > 1 {
		text += fmt.Sprintf(": over %d days, until about %s", f.Days, f.Ends.Format("2006-01-02 15:04 MST"))
	}
	return text + "."
}

type provisionShowCmd struct {
	ID   int64  `arg:"" optional:"" help:"The number of the plan. Default: the newest."`
	Kind string `help:"Only these lines: create, leaver, drift or blocked." enum:",create,leaver,drift,blocked" default:""`
	All  bool   `help:"Print every line, not the first 20 of each kind."`
	asJSON
}

// Help is shown by provision show --help.
func (provisionShowCmd) Help() string {
	return "Examples:\n\n    ssobridge provision show\n\n    ssobridge provision show 12 --json"
}

// Run shows a plan.
func (c *provisionShowCmd) Run(s *invocation, p *server.App) error {
	plan, err := p.Plans().Get(s.ctx, s.scope(), c.ID)
	if err != nil {
		return err
	}
	forecast, err := p.Plans().Forecast(s.ctx, s.scope(), max(0, plan.Creations-plan.Done-plan.Failed-plan.Skipped))
	if err != nil {
		return err
	}
	if c.JSON {
		return planJSON(s.ctx, p, s.data, plan, forecast, c.Kind)
	}
	limit := 20
	if c.All {
		limit = 0
	}
	return planText(s.ctx, p, s.stdout, plan, forecast, limit, c.Kind)
}
