package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Billing statuses. Disabled is a guess: the documents name an event for it, not the status.
const (
	statusTrial    = "Trial"
	statusOpen     = "Open"
	statusCanceled = "Canceled"
	statusTrialEnd = "Trial End"
	statusDisabled = "Disabled"
)

const planTrial = "TRIAL"

var (
	planTypes     = []string{planTrial, "BRONZE", "SILVER", "GOLD"}
	cancelReasons = []int{1, 2, 3, 11, 12, 14, 21, 27, 30}
	// tierEnds are the most contacts of each tier. The true tiers and prices are not published.
	tierEnds = []int64{500, 2_500, 5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 35_000, 40_000, 50_000, 1_000_000}
)

const tierPrice = 20 // of a pretended price list, for each tier

// complete fills in what a seeded account leaves out, and names what can't be.
func (a *Account) complete(now time.Time) error {
	if a.BillingStatus == "" {
		a.BillingStatus = statusOpen
	}
	trial := a.BillingStatus == statusTrial || a.BillingStatus == statusTrialEnd
	switch {
	case a.PlanType == "" && trial:
		a.PlanType = planTrial
	case a.PlanType == "":
		a.PlanType = "BRONZE"
	}
	if a.BillingDay == 0 && a.PlanType != planTrial {
		a.BillingDay = 1
	}
	if a.BillingStatus == statusCanceled && a.EndsAt.IsZero() {
		a.EndsAt = now
	}
	switch {
	case !slices.Contains(planTypes, a.PlanType):
		return fmt.Errorf("account %s: plan_type %.20q: want one of %v", a.ID, a.PlanType, planTypes)
	case a.BillingDay < 0 || a.BillingDay > 31:
		return fmt.Errorf("account %s: billing_day_of_month %d: want 1 to 31", a.ID, a.BillingDay)
	case a.SubscriberCount < 0:
		return fmt.Errorf("account %s: subscriber_count must not be negative", a.ID)
	}
	return nil
}

// ended tells whether nothing can be done with the account any more, nor anybody sign in to it.
func (a *Account) ended() bool {
	return a.BillingStatus == statusCanceled || a.BillingStatus == statusDisabled
}

// tier is the account's, from 1 on.
func (a *Account) tier() int {
	for i, end := range tierEnds {
		if a.SubscriberCount <= end {
			return i + 1
		}
	}
	return len(tierEnds)
}

// plan is the answer to a read or a change of the plan.
func (a *Account) plan() map[string]any {
	tier := a.tier()
	least := int64(0)
	if tier > 1 {
		least = tierEnds[tier-2] + 1
	}
	plan := map[string]any{
		"plan_type": a.PlanType, "billing_status": a.BillingStatus,
		"current_tiers": []map[string]any{{
			"usage_type": "CONTACTS", "current_usage": a.SubscriberCount, "tier": tier,
			"tier_min": least, "tier_max": tierEnds[tier-1], "price": tierPrice * tier, "currency_code": "USD",
		}},
	}
	if a.BillingDay > 0 {
		plan["billing_day_of_month"] = a.BillingDay
	}
	return plan
}

// own finds the partner's account, or gives the refusal. s.mu is held.
func (s *Sandbox) own(id string) (*Account, []apiError, int) {
	a := s.people.account(id)
	switch {
	case a == nil:
		return nil, []apiError{{"account.not_found", "there is no such account"}}, http.StatusNotFound
	case a.OtherPartner:
		return nil, []apiError{{"account.not_yours", "the account belongs to another partner"}}, http.StatusBadRequest
	}
	return a, nil, 0
}

// active likewise, and the account has not ended. That an ended one is answered by 400 is a guess. s.mu is held.
func (s *Sandbox) active(id string) (*Account, []apiError, int) {
	a, faults, status := s.own(id)
	switch {
	case a == nil:
	case a.BillingStatus == statusCanceled:
		return nil, []apiError{{"account.canceled", "the account has been cancelled"}}, http.StatusBadRequest
	case a.BillingStatus == statusDisabled:
		return nil, []apiError{{"account.disabled", "the account is disabled"}}, http.StatusBadRequest
	}
	return a, faults, status
}

// readPlan is GET …/plan. A cancelled account still has one.
func (s *Sandbox) readPlan(c apiCall) reply {
	s.mu.Lock()
	a, faults, status := s.own(c.account)
	var plan map[string]any
	if a != nil {
		plan = a.plan()
	}
	s.mu.Unlock()
	if plan == nil {
		return s.refuse(status, faults...)
	}
	return jsonReply(http.StatusOK, plan, "plan of "+c.account)
}

// planInfo is the body of PUT …/plan.
type planInfo struct {
	PlanType   *string `json:"plan_type"`
	PlanGroup  *int    `json:"plan_group_id"`
	BillingDay *int    `json:"billing_day_of_month"`
}

// changePlan is PUT …/plan.
func (s *Sandbox) changePlan(c apiCall) reply {
	var in planInfo
	f := readBody(c.body, &in)
	if len(f.list) == 0 {
		switch {
		case in.PlanType == nil:
			f.add("plan_type", "is required") // a change that changes nothing can't be meant
		case !slices.Contains(planTypes, *in.PlanType):
			f.add("plan_type", fmt.Sprintf("must be one of %v", planTypes[1:]))
		case *in.PlanType == planTrial:
			f.add("plan_type", "can't go back to TRIAL")
		}
		if in.PlanGroup != nil && *in.PlanGroup < 1 {
			f.add("plan_group_id", "must be positive")
		}
		if in.BillingDay != nil && (*in.BillingDay < 1 || *in.BillingDay > 31) {
			f.add("billing_day_of_month", "must be 1 to 31")
		}
	}
	if len(f.list) > 0 {
		return s.refuse(http.StatusBadRequest, f.list...)
	}
	s.mu.Lock()
	a, faults, status := s.active(c.account)
	var plan map[string]any
	if a != nil {
		if a.PlanType == planTrial {
			// The day counts only here; without one it is today's.
			a.BillingStatus, a.BillingDay = statusOpen, s.o.Now().UTC().Day()
			if in.BillingDay != nil {
				a.BillingDay = *in.BillingDay
			}
		}
		a.PlanType = *in.PlanType
		plan = a.plan()
	}
	s.mu.Unlock()
	if plan == nil {
		return s.refuse(status, faults...)
	}
	return jsonReply(http.StatusOK, plan, "plan of "+c.account+" is "+*in.PlanType)
}

// SetBillingStatus changes an account's billing status as Constant Contact would. Canceled and Disabled are told to who
// has subscribed.
func (s *Sandbox) SetBillingStatus(id, status string) error {
	if !slices.Contains([]string{statusTrial, statusOpen, statusCanceled, statusTrialEnd, statusDisabled,
		"Active"}, status) {
		return fmt.Errorf("billing status %.40q: want Trial, Open, Active, Canceled, Trial End or Disabled", status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.people.account(id)
	if a == nil {
		return fmt.Errorf("there is no account %.80q", id)
	}
	if a.BillingStatus == status {
		return nil
	}
	a.BillingStatus, a.EndsAt, a.CancelReason = status, time.Time{}, 0
	switch status {
	case statusCanceled:
		a.EndsAt = s.o.Now()
		s.announce(topicCancelled, id)
	case statusDisabled:
		s.announce(topicDisabled, id)
	}
	return nil
}

// SetTier gives an account as many contacts as it takes to be in a tier, from 1 on, and tells who has subscribed when
// that is a change.
func (s *Sandbox) SetTier(id string, tier int) error {
	if tier < 1 || tier > len(tierEnds) {
		return fmt.Errorf("tier %d: want 1 to %d", tier, len(tierEnds))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.people.account(id)
	if a == nil {
		return fmt.Errorf("there is no account %.80q", id)
	}
	before := a.tier()
	a.SubscriberCount = tierEnds[tier-1]
	switch {
	case tier > before:
		s.announce(topicTierUp, id)
	case tier < before:
		s.announce(topicTierDown, id)
	}
	return nil
}
