package partnerapi

import (
	"context"
	"net/http"

	"ssobridge/internal/plaintext"
)

// The billing plans.
const (
	PlanTrial  = "TRIAL"
	PlanBronze = "BRONZE"
	PlanSilver = "SILVER"
	PlanGold   = "GOLD"
)

// Plan is a client account's billing plan.
type Plan struct {
	PlanType          string
	BillingStatus     string // Trial, Open, Canceled, Trial End, Active; others may come
	BillingDayOfMonth int    // 0: not told
	Tiers             []Tier
}

// Tier is how much of the plan is used.
type Tier struct {
	UsageType    string
	CurrentUsage float64
	Tier         int
	TierMin      float64
	TierMax      float64
	Price        float64
	CurrencyCode string
}

// planAnswer is a Plan on the wire.
type planAnswer struct {
	PlanType          string       `json:"plan_type"`
	BillingStatus     string       `json:"billing_status"`
	BillingDayOfMonth number       `json:"billing_day_of_month"`
	CurrentTiers      []tierAnswer `json:"current_tiers"`
}

type tierAnswer struct {
	UsageType    text   `json:"usage_type"`
	CurrentUsage number `json:"current_usage"`
	Tier         number `json:"tier"`
	TierMin      number `json:"tier_min"`
	TierMax      number `json:"tier_max"`
	Price        number `json:"price"`
	CurrencyCode text   `json:"currency_code"`
}

// Plan reads the billing plan of a client account, which also tells its billing status.
func (c *Client) Plan(ctx context.Context, class, account string) (Plan, error) {
	k := get("read plan of client account", class)
	if err := c.inAccount(&k, account, "plan"); err != nil {
		return Plan{}, err
	}
	return c.plan(ctx, k)
}

// PlanChange is the body of PUT …/plan. A day of the month counts only when leaving TRIAL.
type PlanChange struct {
	PlanType          string `json:"plan_type"`
	PlanGroupID       int    `json:"plan_group_id,omitempty"`
	BillingDayOfMonth int    `json:"billing_day_of_month,omitempty"`
}

// Validate refuses TRIAL, to which there is no way back, unknown plans and days out of 1 to 31; 0 is none. All faults
// are joined, each a *FieldError.
func (p PlanChange) Validate() error {
	var f faults
	switch p.PlanType {
	case PlanBronze, PlanSilver, PlanGold:
	case PlanTrial:
		f.add("plan_type", "is TRIAL, to which there is no way back")
	default:
		f.add("plan_type", "is none of BRONZE, SILVER, GOLD")
	}
	if p.PlanGroupID < 0 || p.PlanGroupID > 1<<31-1 { // published as int32
		f.add("plan_group_id", "is no positive number of 32 bits")
	}
	if p.BillingDayOfMonth < 0 || p.BillingDayOfMonth > 31 {
		f.add("billing_day_of_month", "is not 1 to 31")
	}
	return f.err()
}

// SetPlan changes the billing plan and returns the new one. It may be sent again: it says what shall be, not what shall
// be done.
func (c *Client) SetPlan(ctx context.Context, class, account string, p PlanChange) (Plan, error) {
	k := call{op: "change plan of client account", class: class, method: http.MethodPut, want: http.StatusOK}
	if err := c.inAccount(&k, account, "plan"); err != nil {
		return Plan{}, err
	}
	if err := k.setBody(p, p.Validate()); err != nil {
		return Plan{}, err
	}
	return c.plan(ctx, k)
}

// plan makes a call that is answered by a plan.
func (c *Client) plan(ctx context.Context, k call) (Plan, error) {
	var a planAnswer
	if err := c.ask(ctx, k, &a, jsonObject); err != nil {
		return Plan{}, err
	}
	// Nothing in it is required by the published contract, yet with neither of these it is another answer.
	if a.PlanType == "" && a.BillingStatus == "" {
		return Plan{}, k.unreadable(untold("plan_type and no billing_status"))
	}
	p := Plan{
		PlanType: plaintext.Line(a.PlanType, maxKey), BillingStatus: plaintext.Line(a.BillingStatus, maxKey),
		BillingDayOfMonth: int(a.BillingDayOfMonth.whole()),
	}
	for _, t := range a.CurrentTiers {
		p.Tiers = append(p.Tiers, Tier{
			UsageType: plaintext.Line(string(t.UsageType), maxKey), CurrentUsage: t.CurrentUsage.value,
			Tier:    int(t.Tier.whole()),
			TierMin: t.TierMin.value, TierMax: t.TierMax.value, Price: t.Price.value,
			CurrencyCode: plaintext.Line(string(t.CurrencyCode), maxKey),
		})
	}
	return p, nil
}
