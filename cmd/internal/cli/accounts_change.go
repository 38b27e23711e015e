package cli

import (
	"fmt"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type accountsPlanCmd struct {
	unlistedFlag

	Account string `arg:"" help:"The client account."`
	asJSON
}

// Help is shown by accounts plan --help.
func (accountsPlanCmd) Help() string {
	return "It takes one call of the day's budget.\n\nExample:\n\n    ssobridge accounts plan a07e1lxqqqo0"
}

// Run reads the plan.
func (c *accountsPlanCmd) Run(s *invocation, p *server.App) error {
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		plan, err := p.ClientAccounts().ReadPlan(s.ctx, s.scope(), id, actor(s.environ))
		if err != nil {
			return err
		}
		return printPlan(s, plan, c.JSON)
	})
}

// jsonBilling is the plan of a client account as JSON.
type jsonBilling struct {
	PlanType   string     `json:"plan_type"`
	Status     string     `json:"billing_status"`
	BillingDay int        `json:"billing_day_of_month,omitempty"`
	Tiers      []jsonTier `json:"tiers"`
}

// jsonTier is what a client account uses of one kind, and what that costs.
type jsonTier struct {
	UsageType string  `json:"usage_type"`
	Usage     float64 `json:"current_usage"`
	Tier      int     `json:"tier"`
	Min       float64 `json:"tier_min"`
	Max       float64 `json:"tier_max"`
	Price     float64 `json:"price"`
	Currency  string  `json:"currency_code"`
}

func toJSONBilling(plan partnerapi.Plan) jsonBilling {
	j := jsonBilling{plan.PlanType, plan.BillingStatus, plan.BillingDayOfMonth, []jsonTier{}}
	for _, t := range plan.Tiers {
		j.Tiers = append(j.Tiers, jsonTier{t.UsageType, t.CurrentUsage, t.Tier, t.TierMin, t.TierMax, t.Price,
			t.CurrencyCode})
	}
	return j
}

func printPlan(s *invocation, plan partnerapi.Plan, asJSON bool) error {
	if asJSON {
		return s.object(toJSONBilling(plan))
	}
	s.printf("plan %s, billing status %s", plan.PlanType, plan.BillingStatus)
	if plan.BillingDayOfMonth > 0 {
		s.printf(", billed on day %d of the month", plan.BillingDayOfMonth)
	}
	s.printf("\n")
	for _, t := range plan.Tiers {
		s.printf("%s: %.0f used, tier %d (%.0f to %.0f), %.2f %s\n", t.UsageType, t.CurrentUsage, t.Tier, t.TierMin,
			t.TierMax, t.Price, t.CurrencyCode)
	}
	return nil
}

type accountsSetPlanCmd struct {
	asJSON

	unlistedFlag

	Account    string `arg:"" help:"The client account."`
	Plan       string `arg:"" enum:"BRONZE,SILVER,GOLD" help:"${enum}. There is no way back to TRIAL."`
	BillingDay int    `placeholder:"DAY" help:"Day of the month, 1 to 31; counts only when leaving TRIAL."`
	Yes        bool   `help:"Do not ask."`
}

// Help is shown by accounts set-plan --help.
func (accountsSetPlanCmd) Help() string {
	return "Example:\n\n    ssobridge accounts set-plan a07e1lxqqqo0 SILVER"
}

// Run changes the plan.
func (c *accountsSetPlanCmd) Run(s *invocation, p *server.App) error {
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		if err := s.confirm(c.Yes, false, fmt.Sprintf("Change the plan of account %s to %s?", id, c.Plan)); err != nil {
			return err
		}
		plan, err := p.ClientAccounts().SetPlan(s.ctx, s.scope(), id, admin.PlanInput{Plan: c.Plan,
			BillingDay: c.BillingDay}, actor(s.environ))
		if err != nil {
			return err
		}
		return printPlan(s, plan, c.JSON)
	})
}

type accountsSetFactorCmd struct {
	asJSON

	unlistedFlag

	Account string `arg:"" help:"The client account."`
	Policy  string `arg:"" enum:"off,offered,required,default" help:"${enum}. default: as second_factor.people says."`
}

// Help is shown by accounts set-factor --help.
func (accountsSetFactorCmd) Help() string {
	return `off: the password alone. offered: a second factor of those who have one; others are offered to enrol one. required: a second factor of everybody; who has none enrols one at the next sign-in. It holds from the next sign-in on.

Example:

    ssobridge accounts set-factor a07e1lxqqqo0 required`
}

// Run sets it.
func (c *accountsSetFactorCmd) Run(s *invocation, p *server.App) error {
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		now, err := p.ClientAccounts().SetFactor(s.ctx, s.scope(), id, c.Policy, s.event("", ""))
		if err != nil {
			return err
		}
		s.printf("second factor for account %s: %s\n", id, now)
		return s.object(struct {
			ID     store.AccountID `json:"account"`
			Factor string          `json:"second_factor"`
		}{id, fmt.Sprint(now)})
	})
}

type accountsCancelCmd struct {
	asJSON

	unlistedFlag

	Account string `arg:"" help:"The client account."`
	Reason  int    `placeholder:"ID" help:"One of the published reason ids 1, 2, 3, 11, 12, 14, 21, 27, 30."`
	Date    string `placeholder:"TIME" help:"When it takes effect, as 2026-12-31 or RFC 3339. Default: now."`
	Confirm string `placeholder:"ID" help:"The account once more, instead of typing it."`
}

// Help is shown by accounts cancel --help.
func (accountsCancelCmd) Help() string {
	return "Nobody can sign in to a cancelled account. It is confirmed by typing the account's id once " +
		"more.\n\nExample:\n\n    ssobridge accounts cancel a07e1lxqqqo0 --reason 1 --date 2026-12-31"
}

// Run cancels.
func (c *accountsCancelCmd) Run(s *invocation, p *server.App) error {
	in := admin.CancelInput{Typed: c.Confirm, ReasonID: c.Reason}
	if c.Date != "" {
		var err error
		if in.At, err = parseTime(c.Date); err != nil {
			return badInput(fmt.Errorf("--date %s is not a time", plaintext.Quote(c.Date)),
				"write 2026-12-31 or 2026-12-31T18:00:00Z")
		}
	}
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		if in.Typed == "" {
			in.Typed = s.ask(fmt.Sprintf("Cancel account %s? Type its id to confirm: ", id))
		}
		at, err := p.ClientAccounts().Cancel(s.ctx, s.scope(), id, in, actor(s.environ))
		if err != nil {
			return err
		}
		when := "now"
		if !at.IsZero() {
			when = at.Format(time.RFC3339)
		}
		s.printf("account %s is cancelled, effective %s\n", id, when)
		return s.object(struct {
			ID store.AccountID `json:"account"`
			At time.Time       `json:"cancelled_from,omitzero"` // none: now
		}{id, at})
	})
}

// parseTime reads a day (00:00 UTC) or a time.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}
