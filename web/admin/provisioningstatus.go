package admin

import (
	"context"
	"errors"
	"fmt"

	"ssobridge/provisioning"
	"ssobridge/store"
)

// StateCount is how many users are in a state.
type StateCount struct {
	State store.State
	Count int
}

// ProvisioningStatus is how the creation of users stands.
type ProvisioningStatus struct {
	Users   []StateCount // in the order of UserStates
	Pause   store.ProvisioningPause
	Stopped store.BreakerState // Cause "": calls to Constant Contact are made
	Budget  store.BudgetStatus
	Left    int // calls that background work may still make today
}

// Count is how many users are in a state.
func (p ProvisioningStatus) Count(s store.State) int {
	for _, one := range p.Users {
		if one.State == s {
			return one.Count
		}
	}
	return 0
}

// Status reads how the creation of users stands.
func (p Plans) Status(ctx context.Context, s Scope) (now ProvisioningStatus, err error) {
	if err := s.whole(); err != nil {
		return now, err
	}
	counts, err := p.Store.Ledger().CountByState(ctx)
	if err != nil {
		return now, fmt.Errorf("count users: %w", err)
	}
	for _, state := range UserStates() {
		now.Users = append(now.Users, StateCount{state, counts[state]})
	}
	if now.Pause, err = p.Store.Ledger().ProvisioningPause(ctx); err != nil {
		return now, fmt.Errorf("read whether provisioning is paused: %w", err)
	}
	if now.Stopped, err = p.Store.Breaker().State(ctx); err != nil {
		return now, fmt.Errorf("read whether calls are stopped: %w", err)
	}
	now.Budget, err = p.Calls(ctx, s)
	if !now.Budget.Exhausted {
		now.Left = max(now.Budget.Background-now.Budget.Used, 0)
	}
	return now, err
}

// Calls says how many calls to Constant Contact today still allows.
func (p Plans) Calls(ctx context.Context, s Scope) (store.BudgetStatus, error) {
	if err := s.whole(); err != nil {
		return store.BudgetStatus{}, err
	}
	b, err := p.Budget.Status(ctx)
	if err != nil {
		return b, fmt.Errorf("read the budget: %w", err)
	}
	return b, nil
}

// Making is the number of the plan that is being made by a process that lives; 0: none is.
func (p Plans) Making(ctx context.Context, s Scope) (int64, error) {
	if err := s.whole(); err != nil {
		return 0, err
	}
	plan, err := p.Provisioning.Making(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return plan.ID, err
}

// List lists the newest plans. One whose process ended while it made it is dropped, for MakingInterrupted: the next
// plan that is made says so in the database.
func (p Plans) List(ctx context.Context, s Scope, limit int) ([]store.Plan, error) {
	making, err := p.Making(ctx, s)
	if err != nil {
		return nil, err
	}
	list, err := p.Store.Plans().List(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	for i := range list {
		// One without a maker is made by a replica of the version before, which says no more.
		if one := &list[i]; one.State == store.PlanMaking && one.Maker != "" && one.ID != making {
			one.State, one.Reason = store.PlanDropped, store.MakingInterrupted
		}
	}
	return list, nil
}

// Items lists lines of a plan, by their position.
func (p Plans) Items(ctx context.Context, s Scope, plan int64, f store.ItemFilter) ([]store.PlanItem, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	items, err := p.Store.Plans().Items(ctx, plan, f)
	if err != nil {
		return nil, fmt.Errorf("list the lines of plan %d: %w", plan, err)
	}
	return items, nil
}

// Forecast says what so many creations take of time and calls.
func (p Plans) Forecast(ctx context.Context, s Scope, creations int) (provisioning.Forecast, error) {
	if err := s.whole(); err != nil {
		return provisioning.Forecast{}, err
	}
	f, err := p.Provisioning.Forecast(ctx, creations)
	if err != nil {
		return f, fmt.Errorf("reckon what %d creations take: %w", creations, err)
	}
	return f, nil
}

// Readiness walks the directory and says how far the people of each mapping are. progress is called with how many were
// read; nil: nobody is.
func (p Plans) Readiness(ctx context.Context, s Scope, progress func(int)) ([]provisioning.GroupReadiness,
	provisioning.Forecast, error) {
	if err := s.whole(); err != nil {
		return nil, provisioning.Forecast{}, err
	}
	list, forecast, err := p.Provisioning.Readiness(ctx, progress)
	return list, forecast, refusal(err)
}
