package provisioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/store"
)

// AccountPlan reads plan and billing status of an account and stores what it says.
func (s *Service) AccountPlan(ctx context.Context, id store.AccountID, actor string) (partnerapi.Plan, error) {
	return s.readPlan(ctx, loopClass, id, actor)
}

// readPlan reads as class, at most callLimit long.
func (s *Service) readPlan(ctx context.Context, class string, id store.AccountID,
	actor string) (partnerapi.Plan, error) {
	limited, cancel := context.WithTimeout(ctx, s.callLimit)
	defer cancel()
	plan, err := s.client.Plan(limited, class, string(id))
	if err != nil {
		return plan, fmt.Errorf("read the plan of client account %s: %w", id, err)
	}
	return plan, s.keepPlan(ctx, id, plan, actor)
}

// keepPlan stores what was read. A status that is left out is no news: the last one stays.
func (s *Service) keepPlan(ctx context.Context, id store.AccountID, plan partnerapi.Plan, actor string) error {
	known, err := s.accounts.Get(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("look up client account %s: %w", id, err)
	}
	now := s.now()
	a := store.Account{ID: id, BillingStatus: known.BillingStatus, PlanType: known.PlanType, CheckedAt: now}
	if status := plaintext.Line(plan.BillingStatus, maxName); status != "" {
		a.BillingStatus = status
	}
	if kind := plaintext.Line(plan.PlanType, maxName); kind != "" {
		a.PlanType = kind
	}
	event := store.Event{At: now, Actor: actor, Action: "account-read", Subject: "plan", Account: id, Outcome: "ok"}
	if a.BillingStatus != known.BillingStatus || a.PlanType != known.PlanType {
		event.Reason = "changed"
		s.log.Info("client account has changed", "account", id, "billing_status", a.BillingStatus, "plan", a.PlanType)
	}
	if err := s.accounts.Put(ctx, a, event); err != nil {
		return fmt.Errorf("store the plan of client account %s: %w", id, err)
	}
	return nil
}

// SetAccountPlan changes the plan, and reads it again: what stands there then is returned and stored. Faults of the
// change are *InputErrors.
func (s *Service) SetAccountPlan(ctx context.Context, id store.AccountID, c partnerapi.PlanChange,
	actor string) (partnerapi.Plan, error) {
	if err := errors.Join(fieldFaults(c.Validate(),
		"give BRONZE, SILVER or GOLD, and a day from 1 to 31")...); err != nil {
		return partnerapi.Plan{}, fmt.Errorf("change the plan of client account %s: %w", id, err)
	}
	var plan partnerapi.Plan
	detail := map[string]any{"plan": c.PlanType, "plan_group": c.PlanGroupID, "billing_day": c.BillingDayOfMonth}
	err := s.audited(ctx, act{"account-set-plan", "plan", id, actor, detail}, func(ctx context.Context) (err error) {
		plan, err = s.client.SetPlan(ctx, classOf(ctx), string(id), c)
		return err
	})
	return s.readAfter(ctx, id, plan, err, actor)
}

// readAfter reads an account again after it was changed, or may have been.
func (s *Service) readAfter(ctx context.Context, id store.AccountID, said partnerapi.Plan, err error,
	actor string) (partnerapi.Plan, error) {
	if err != nil && partnerapi.KindOf(err) != partnerapi.Unknown {
		return said, err
	}
	// Also for an admin who has given up: sign-ins depend on the status.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.callLimit)
	defer cancel()
	plan, readErr := s.readPlan(ctx, classOf(ctx), id, actor)
	if readErr == nil {
		return plan, err
	}
	s.log.Warn("client account could not be read again after a change", "account", id, "error", readErr)
	if err == nil && said.PlanType != "" {
		err = s.keepPlan(ctx, id, said, actor)
	}
	return said, err
}

// CancelAccount cancels a client account and reads its state again. Faults of the cancellation are *InputErrors.
func (s *Service) CancelAccount(ctx context.Context, id store.AccountID, o partnerapi.Cancellation,
	actor string) (partnerapi.Cancellation, error) {
	if !o.EffectiveDate.IsZero() && !o.EffectiveDate.After(s.now()) {
		return o, &InputError{Field: "effective_date", Fault: "is past", Fix: "give a time to come, or none for now"}
	}
	detail := map[string]any{"reason_id": o.ReasonID}
	if !o.EffectiveDate.IsZero() {
		detail["effective_date"] = o.EffectiveDate.UTC().Format(time.RFC3339)
	}
	var done partnerapi.Cancellation
	err := s.audited(ctx, act{"account-cancel", "account", id, actor, detail}, func(ctx context.Context) (err error) {
		done, err = s.client.CancelAccount(ctx, classOf(ctx), string(id), o)
		return err
	})
	if _, err = s.readAfter(ctx, id, partnerapi.Plan{}, err, actor); err != nil {
		return done, fmt.Errorf("cancel client account %s: %w", id, err)
	}
	return done, nil
}
