package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type provisionStatusCmd struct {
	asJSON
}

// Help is shown by provision status --help.
func (provisionStatusCmd) Help() string {
	return "Examples:\n\n    ssobridge provision status\n\n    ssobridge provision status --json"
}

// provisioningStatus is what provision status prints.
type provisioningStatus struct {
	Users    map[store.State]int `json:"users"`
	Hold     *heldStatus         `json:"hold,omitempty"`
	Stopped  *stoppedStatus      `json:"stopped,omitempty"`
	Budget   budgetStatus        `json:"budget"`
	Plans    []jsonPlan          `json:"plans"`
	OpenWork int                 `json:"open_work"` // at most 1000 are counted
	Clock    string              `json:"clock_jump,omitempty"`
}

type heldStatus struct {
	Since  time.Time `json:"since"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

type stoppedStatus struct {
	Cause string    `json:"cause"`
	Since time.Time `json:"since"`
	Next  time.Time `json:"next_try"`
}

// Run prints how provisioning stands.
func (c *provisionStatusCmd) Run(s *invocation, p *server.App) error {
	st, err := readProvisioningStatus(s, p)
	if err != nil {
		return fmt.Errorf("read how provisioning stands: %w", err)
	}
	if c.JSON {
		return s.object(st)
	}
	if st.Hold != nil {
		s.printf("PAUSED since %s by %s (%s): no plan creates anybody; ssobridge provision release ends it\n",
			st.Hold.Since.Format(time.DateTime+" MST"), st.Hold.By, st.Hold.Reason)
	}
	if st.Stopped != nil {
		s.printf("STOPPED since %s: %s; next try %s\n", st.Stopped.Since.Format(time.DateTime+" MST"),
			admin.CallsStopped(st.Stopped.Cause), st.Stopped.Next.Format(time.TimeOnly))
	}
	if st.Clock != "" {
		s.printf("CLOCK: %s\n", st.Clock)
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	for _, state := range admin.UserStates() {
		if n := st.Users[state]; n > 0 {
			fmt.Fprintf(w, "%s\t%d\t%s%s\n", state, n, admin.UserState(state), stateHints[state])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.printf("%s\n", st.Budget.text())
	for _, plan := range st.Plans {
		if plan.State == string(store.PlanMaking) {
			s.printf("plan %d: being made, %d groups and %d people read; ssobridge provision cancel ends it\n", plan.ID,
				plan.Groups, plan.People)
			continue
		}
		s.printf("plan %d: %s, %d created, %d failed, %d skipped of %d", plan.ID, plan.State, plan.Done, plan.Failed,
			plan.Skipped, plan.Creations)
		if plan.State == string(store.PlanStopped) || plan.State == string(store.PlanDropped) && plan.Reason != "" {
			s.printf("; %s", admin.PlanReason(plan.Reason))
		}
		s.printf("\n")
	}
	if st.OpenWork > 0 {
		s.printf("%d to be done by hand at Constant Contact: ssobridge users work\n", st.OpenWork)
	}
	return nil
}

// stateHints say by which command something is done about a state.
var stateHints = map[store.State]string{
	store.Conflict: "; look at them: ssobridge users list --state conflict",
	store.Refused:  "; look at them: ssobridge users list --state refused",
	store.Assumed:  "; ssobridge users confirm",
}

func readProvisioningStatus(s *invocation, p *server.App) (st provisioningStatus, err error) {
	plans := p.Plans()
	now, err := plans.Status(s.ctx, s.scope())
	if err != nil {
		return st, err
	}
	st.Users, st.Budget = map[store.State]int{}, toBudgetStatus(now.Budget)
	for _, u := range now.Users {
		if u.Count > 0 {
			st.Users[u.State] = u.Count
		}
	}
	if !now.Pause.Since.IsZero() {
		st.Hold = &heldStatus{now.Pause.Since, now.Pause.By, now.Pause.Reason}
	}
	if now.Stopped.Cause != "" {
		st.Stopped = &stoppedStatus{now.Stopped.Cause, now.Stopped.OpenedAt, now.Stopped.Until}
	}
	list, err := plans.List(s.ctx, s.scope(), 5)
	if err != nil {
		return st, err
	}
	for _, plan := range list {
		st.Plans = append(st.Plans, toJSONPlan(plan))
	}
	st.Clock = admin.ClockJump(now.Budget, p.Now())
	work, err := p.Users().Tasks(s.ctx, s.scope(), store.ManualTaskFilter{Limit: 1000})
	st.OpenWork = len(work)
	return st, err
}

type budgetCmd struct {
	asJSON
}

// Help is shown by budget --help.
func (budgetCmd) Help() string {
	return `The day is Constant Contact's: it begins at 00:00 UTC. Only calls of this bridge and its replicas are counted; those of other programs with the same API key are not known.

Example:

    ssobridge budget`
}

// budgetStatus is what budget prints.
type budgetStatus struct {
	Used       int       `json:"used"`
	UsedSignIn int       `json:"used_sign_in"`
	UsedRetry  int       `json:"used_retry"`
	UsedPlan   int       `json:"used_plan"`
	Limit      int       `json:"limit"`
	Background int       `json:"background_limit"`
	PerSecond  float64   `json:"per_second"`
	Rate       float64   `json:"rate"`
	Throttled  int       `json:"throttled"`
	Exhausted  bool      `json:"exhausted"` // Constant Contact itself said so
	UsedUp     string    `json:"used_up,omitempty"`
	Fix        string    `json:"fix,omitempty"`
	Reset      time.Time `json:"reset"`
}

func toBudgetStatus(b store.BudgetStatus) budgetStatus {
	fault, fix := provisioning.UsedUp(b)
	return budgetStatus{b.Used, b.Used - b.UsedRetry - b.UsedPlan, b.UsedRetry, b.UsedPlan, b.Limit, b.Background,
		b.PerSecond, b.Rate, b.Throttled, b.Exhausted, fault, fix, b.Reset}
}

func (b budgetStatus) text() string {
	text := fmt.Sprintf("budget: %d of %d calls used today (%d sign-ins, %d retries, %d plans), background work may use "+
		"%d; %.3g of %.3g a second; reset %s",
		b.Used, b.Limit, b.UsedSignIn, b.UsedRetry, b.UsedPlan, b.Background, b.Rate, b.PerSecond,
		b.Reset.Format("2006-01-02 15:04 MST"))
	if b.Throttled > 0 {
		text += fmt.Sprintf("; throttled %d times today", b.Throttled)
	}
	if b.Rate < b.PerSecond {
		text += ", so the rate is lowered for a while: does another program use this API key? Then set " +
			"constant_contact.limits.share"
	}
	if b.UsedUp != "" {
		text += "; " + b.UsedUp + ": " + b.Fix
	}
	return text
}

// Run prints the budget.
func (c *budgetCmd) Run(s *invocation, p *server.App) error {
	calls, err := p.Plans().Calls(s.ctx, s.scope())
	if err != nil {
		return err
	}
	b := toBudgetStatus(calls)
	if c.JSON {
		return s.object(b)
	}
	s.printf("%s\n", b.text())
	return nil
}

type provisionRetryCmd struct {
	asJSON

	State   []string `help:"Only users in this state: refused, conflict, unknown, wanted, or assumed. Can be given several times. Default: all of these but assumed." enum:"refused,conflict,unknown,wanted,assumed"`
	Account string   `placeholder:"ID" help:"Only in this client account."`
	unlistedFlag
	Person string `placeholder:"LOGIN" help:"Only this person: login name or person id."`
}

// Help is shown by provision retry --help.
func (provisionRetryCmd) Help() string {
	return `Refused and conflicting users are sent with the data that they have; data that changed in the directory are taken at the person's next sign-in or by a new plan. A user that may have been created before is only ever sent again as it was.

Assumed users are taken as there, so none is tried by default. Where one turns out to be missing at Constant Contact, --state assumed makes the call that finds out: a missing one is created, one that is there stays. It wants --person or --account.

Examples:

    ssobridge provision retry --state refused --account a07e1lxqqqo0

    ssobridge provision retry --person alice

    ssobridge provision retry --person alice --state assumed`
}

// Run puts users at the head of the queue.
func (c *provisionRetryCmd) Run(s *invocation, p *server.App) error {
	f := store.UserFilter{}
	var err error
	if f.Account, err = resolveAccount(s, p, c.Account, c.Unlisted); err != nil {
		return err
	}
	if c.Person != "" {
		if f.Person, err = personID(s.ctx, p, c.Person); err != nil {
			return err
		}
	}
	for _, state := range c.State {
		f.States = append(f.States, store.State(state))
	}
	n, err := p.Users().Retry(s.ctx, s.scope(), f, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("%s tried again; the running bridge makes the calls\n", plaintext.Count(n, "user is", "users are"))
	return s.object(struct {
		Tried int `json:"tried_again"`
	}{n})
}

type provisionReadinessCmd struct {
	asJSON
}

// Help is shown by provision readiness --help.
func (provisionReadinessCmd) Help() string { return "Example:\n\n    ssobridge provision readiness" }

// Run walks the directory and shows how far each mapping's people are.
func (c *provisionReadinessCmd) Run(s *invocation, p *server.App) error {
	list, forecast, err := p.Plans().Readiness(s.ctx, s.scope(), s.counter("people read"))
	if err != nil {
		return err
	}
	if c.JSON {
		return readinessJSON(s, list, forecast)
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MAPPING\tWHO\tPEOPLE\tREADY\tWAITING\tFAILING\tMISSING\tAT SIGN-IN")
	for _, r := range list {
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%d\t%d\t%d\t%d\n", r.Mapping.ID, mapping.Describe(r.Mapping), r.People,
			share(r.There, r.People),
			r.Waiting, r.Failing, r.Missing, r.Later)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if forecast.Calls > 0 {
		s.printf("%s\n", forecastText(forecast))
	}
	return nil
}

func readinessJSON(s *invocation, list []provisioning.GroupReadiness, f provisioning.Forecast) error {
	type group struct {
		Mapping int64  `json:"mapping"`
		Who     string `json:"who"`
		People  int    `json:"people"`
		There   int    `json:"there"`
		Waiting int    `json:"waiting"`
		Failing int    `json:"failing"`
		Missing int    `json:"missing"`
		Later   int    `json:"at_sign_in,omitempty"`
	}
	out := struct {
		Mappings []group      `json:"mappings"`
		Forecast jsonForecast `json:"forecast"`
	}{Forecast: toJSONForecast(f)}
	for _, r := range list {
		out.Mappings = append(out.Mappings, group{r.Mapping.ID, mapping.Describe(r.Mapping), r.People, r.There, r.Waiting,
			r.Failing, r.Missing, r.Later})
	}
	return s.object(out)
}

// share is a number with its percentage.
func share(part, whole int) string {
	if whole == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%d %%)", part, part*100/whole)
}

type provisionHoldCmd struct {
	asJSON

	LedgerLost bool `help:"The ledger was lost: users that exist at Constant Contact are not known here, and its answer that one exists counts as ours."`
}

// Help is shown by provision hold --help.
func (provisionHoldCmd) Help() string {
	return `While provisioning is paused, no plan creates anybody. Sign-ins go on: who is not known is created, and when Constant Contact answers that the user exists already, it counts as the person's own (state assumed). A restore pauses provisioning by itself.

Example:

    ssobridge provision hold --ledger-lost`
}

// Run pauses provisioning.
func (c *provisionHoldCmd) Run(s *invocation, p *server.App) error {
	if err := p.Plans().PauseAll(s.ctx, s.scope(), c.LedgerLost, actor(s.environ)); err != nil {
		return err
	}
	s.printf("provisioning is paused: no plan creates anybody until ssobridge provision release\n")
	return s.object(jsonHeld{true, c.LedgerLost})
}

// jsonHeld is whether plans create users, as JSON.
type jsonHeld struct {
	Held       bool `json:"held"`
	LedgerLost bool `json:"ledger_lost,omitempty"`
}

type provisionReleaseCmd struct{ asJSON }

// Help is shown by provision release --help.
func (provisionReleaseCmd) Help() string {
	return `Before you end a pause that a restore began, mark the users that the backup had forgotten: ssobridge provision plan, then ssobridge users adopt --plan. Afterwards Constant Contact's answer that a user exists already is a conflict again.

Example:

    ssobridge provision release`
}

// Run resumes provisioning.
func (provisionReleaseCmd) Run(s *invocation, p *server.App) error {
	if err := p.Plans().ResumeAll(s.ctx, s.scope(), actor(s.environ)); err != nil {
		return err
	}
	s.printf("provisioning is resumed: plans create users again\n")
	return s.object(jsonHeld{})
}
