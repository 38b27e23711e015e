package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type provisionApplyCmd struct {
	asJSON

	ID     int64 `arg:"" optional:"" help:"The number of the plan. Default: the newest that is not done."`
	Max    int   `placeholder:"N" help:"Stop and ask after so many creations. Default: provisioning.max_create."`
	Yes    bool  `help:"Do not ask."`
	Detach bool  `help:"Leave the work to the running bridge and return at once."`
}

// Help is shown by provision apply --help.
func (provisionApplyCmd) Help() string {
	return `Each person is looked at again right before their call: who has changed since the plan was made is skipped and listed. The plan stops and asks when the mappings have changed, when more than 5 % of its lines were skipped, and at the cap of creations. The budget of calls keeps a reserve for sign-ins; what does not fit into today goes on after 00:00 UTC, as long as this command or the bridge runs.

Exit code 1 says that the plan did not come to its end, or that a user could not be created.

Ctrl-C pauses the plan; the same command resumes it. A plan whose command was killed is taken up by the running bridge.

Examples:

    ssobridge provision apply

    ssobridge provision apply 12 --max 5000 --yes --detach`
}

const applyPoll = 500 * time.Millisecond

// Run applies a plan.
func (c *provisionApplyCmd) Run(s *invocation, p *server.App) error {
	if c.Max < 0 {
		return badInput(fmt.Errorf("--max %d is out of range", c.Max), "write a number over 0")
	}
	plan, err := c.begin(s, p)
	if err != nil {
		return err
	}
	if c.Detach && c.JSON {
		return s.object(toJSONPlan(plan))
	}
	if c.Detach {
		s.printf("plan %d is being applied by the running bridge: ssobridge provision status\n", plan.ID)
		return nil
	}
	return watchPlan(p, s, c.asJSON, plan)
}

// begin makes the plan the one that is applied, and asks where it would stop.
func (c *provisionApplyCmd) begin(s *invocation, p *server.App) (store.Plan, error) {
	plan, err := p.Plans().Get(s.ctx, s.scope(), c.ID)
	if err != nil {
		return plan, err
	}
	if plan.State == store.PlanApplying {
		return plan, nil // one more who looks on, and works
	}
	o := provisioning.ApplyOptions{ID: c.ID, Actor: actor(s.environ), MaxCreate: c.Max}
	plan, err = p.Plans().Apply(s.ctx, s.scope(), o)
	var stop *provisioning.StopError
	if errors.As(err, &stop) && stop.Reason != provisioning.StopHold {
		fmt.Fprintf(s.stderr, "%s (%s)\n", stop.Detail, stop.Fix)
		if err := s.confirm(c.Yes, false, "Go on all the same?"); err != nil {
			return plan, err
		}
		o.Accept = true
		plan, err = p.Plans().Apply(s.ctx, s.scope(), o)
	}
	return plan, err
}

// watchPlan works at the plan and shows how far it is, until it ends or the command is interrupted: that pauses it.
func watchPlan(p *server.App, s *invocation, c asJSON, plan store.Plan) error {
	work, stop := context.WithCancel(s.ctx)
	defer stop()
	g, work := errgroup.WithContext(work)
	g.Go(func() error { return p.Provisioning.Run(work) })
	g.Go(func() (err error) {
		defer stop()
		plan, err = followPlan(work, p, s, plan)
		return err
	})
	err := g.Wait()
	if s.ctx.Err() != nil {
		// The command's context has ended; the pause must be stored all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 5*time.Second)
		defer cancel()
		if _, err := p.Plans().Pause(ctx, s.scope(), plan.ID, actor(s.environ)); err != nil &&
			!errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("pause plan %d: %w", plan.ID, err)
		}
		return failed(fmt.Errorf("plan %d is paused, %d of %d created", plan.ID, plan.Done, plan.Creations),
			fmt.Sprintf("go on with: ssobridge provision apply %d", plan.ID))
	}
	if err != nil {
		return err
	}
	if err := printApplied(s, c, plan); err != nil {
		return err
	}
	switch plan.State {
	case store.PlanStopped:
		return failed(fmt.Errorf("plan %d has stopped: %s", plan.ID, admin.PlanReason(plan.Reason)),
			fmt.Sprintf("look at it, then: ssobridge provision apply %d", plan.ID))
	case store.PlanPaused:
		return failed(fmt.Errorf("plan %d was paused by an admin", plan.ID),
			fmt.Sprintf("go on with: ssobridge provision apply %d", plan.ID))
	}
	if plan.Failed > 0 {
		return failed(fmt.Errorf("plan %d: %s could not be created", plan.ID, plaintext.Count(plan.Failed, "user", "users")),
			fmt.Sprintf("ssobridge provision show %d shows the cause of each; ssobridge provision retry tries them again",
				plan.ID))
	}
	return nil
}

// printApplied prints what has become of a plan.
func printApplied(s *invocation, c asJSON, plan store.Plan) error {
	if c.JSON {
		return s.object(toJSONPlan(plan))
	}
	s.printf("plan %d: %d created, %d failed, %d skipped of %d\n", plan.ID, plan.Done, plan.Failed, plan.Skipped,
		plan.Creations)
	if plan.Failed+plan.Skipped > 0 {
		s.printf("ssobridge provision show %d tells why\n", plan.ID)
	}
	return nil
}

// followPlan shows the progress until the plan is not applied any more.
func followPlan(ctx context.Context, p *server.App, s *invocation, plan store.Plan) (store.Plan, error) {
	bar := progressbar.NewOptions(plan.Creations,
		progressbar.OptionSetWriter(s.terminal), progressbar.OptionSetVisibility(s.interactive()),
		progressbar.OptionShowCount(), progressbar.OptionSetWidth(20),
		progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(false), progressbar.OptionFullWidth())
	defer func() { _ = bar.Finish() }()
	tick := time.NewTicker(applyPoll)
	defer tick.Stop()
	began, before := s.now(), ended(plan)
	for told := began; ; {
		now, err := p.Plans().Get(ctx, s.scope(), plan.ID)
		if err != nil {
			if ctx.Err() != nil {
				return plan, nil
			}
			return plan, fmt.Errorf("follow plan %d: %w", plan.ID, err)
		}
		plan = now
		line := progressText(ctx, p, plan, float64(ended(plan)-before)/max(s.now().Sub(began).Seconds(), 1))
		bar.Describe(line)
		_ = bar.Set(min(ended(plan), plan.Creations)) // a bar that can't be drawn stops nobody
		if !s.interactive() && s.now().Sub(told) >= 10*time.Second {
			told = s.now()
			fmt.Fprintf(s.stderr, "%d of %d, %s\n", ended(plan), plan.Creations, line)
		}
		if plan.State != store.PlanApplying {
			return plan, nil
		}
		select {
		case <-ctx.Done():
			return plan, nil
		case <-tick.C:
		}
	}
}

// ended counts the creations of a plan that are decided.
func ended(p store.Plan) int { return p.Done + p.Failed + p.Skipped }

// progressText is what stands at the bar: rate, failures, budget, and what is in the way.
func progressText(ctx context.Context, p *server.App, plan store.Plan, rate float64) string {
	text := fmt.Sprintf("%.1f/s", rate)
	if plan.Failed+plan.Skipped > 0 {
		text += fmt.Sprintf(", %d failed, %d skipped", plan.Failed, plan.Skipped)
	}
	b, err := p.Budget.Status(ctx)
	if err != nil {
		return text
	}
	fault, _ := provisioning.UsedUp(b)
	switch left := b.Background - b.Used; {
	case fault != "":
		text += ", " + fault + ": goes on at 00:00 UTC"
	case left > 0:
		text += fmt.Sprintf(", %d calls left today", left)
	default:
		text += ", the day's calls for plans are used up: goes on at 00:00 UTC"
	}
	if state, err := p.Store.Breaker().State(ctx); err == nil && state.Cause != "" {
		text += ", stopped: " + admin.CallsStopped(state.Cause)
	}
	return text
}

type provisionPauseCmd struct{ asJSON }

// Help is shown by provision pause --help.
func (provisionPauseCmd) Help() string { return "Example:\n\n    ssobridge provision pause" }

// Run pauses the plan that is being applied.
func (provisionPauseCmd) Run(s *invocation, p *server.App) error {
	id, err := p.Plans().Pause(s.ctx, s.scope(), 0, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("plan %d is paused; go on with ssobridge provision apply %d\n", id, id)
	return s.plan(p, id)
}
