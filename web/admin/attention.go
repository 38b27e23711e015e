package admin

import (
	"context"
	"fmt"
	"strconv"

	"ssobridge/store"
)

// Attention is what waits for an administrator.
type Attention struct {
	Plans    Plans
	Users    Users
	Accounts ClientAccounts
	Status   Status
}

// Need is something that waits for an administrator.
type Need struct {
	Count int    // how many, up to 100
	Text  string // with Count before it where that is more than 1
	Act   Act
	About string

	Finding *Finding // that it is; nil: none
}

// countedNeeds bounds how many of one kind are counted.
const countedNeeds = 100

// List lists what waits, the most urgent first. now is the state of provisioning that the caller has read.
func (a Attention) List(ctx context.Context, s Scope, now ProvisioningStatus) (all []Need, err error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	add := func(n int, text string, act Act, about string) {
		if n > 0 {
			all = append(all, Need{Count: n, Text: text, Act: act, About: about})
		}
	}
	if now.Stopped.Cause != "" {
		add(1, "Calls to Constant Contact are stopped", ShowProvisioning, "")
	}
	if !now.Pause.Since.IsZero() {
		add(1, "Provisioning is paused", ResumeProvisioning, "")
	}
	add(now.Count(store.Conflict), "users in conflict with another one", ListUsersIn, string(store.Conflict))
	add(now.Count(store.Refused), "users whose data Constant Contact refuses", ListUsersIn, string(store.Refused))
	add(now.Count(store.Assumed), "users assumed to exist, to be confirmed", ListUsersIn, string(store.Assumed))
	for _, task := range []struct{ kind, text string }{
		{store.ItemLeaver, "people have left: delete their user at Constant Contact"},
		{store.ItemDrift, "people have another role now: change it at Constant Contact"},
	} {
		list, err := a.Users.Tasks(ctx, s, store.ManualTaskFilter{Kind: task.kind, Limit: countedNeeds})
		if err != nil {
			return nil, err
		}
		add(len(list), task.text, ListTasks, task.kind)
	}
	health, err := a.Status.Health(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, part := range health.Parts {
		for _, f := range part.Findings {
			// What needs nobody's act is no work: a service provider that was switched off on purpose. Provisioning is named
			// above.
			if f.Act != NoAct && f.Act != TryLater && f.Act != RunCheck && part.Part != PartProvisioning {
				all = append(all, Need{Count: 1, Text: f.Name + ": " + f.Detail, Act: f.Act, About: f.About, Finding: &f})
			}
		}
	}
	orders, err := a.Accounts.Orders(ctx, s, store.RequestUnknown, store.RequestAccepted, store.RequestConflict,
		store.RequestRefused)
	if err != nil {
		return nil, err
	}
	add(len(orders), "client account orders without an account", ListAccounts, "")
	plans, err := a.Plans.List(ctx, s, 1)
	if err != nil {
		return nil, fmt.Errorf("look for the newest plan: %w", err)
	}
	if len(plans) > 0 && plans[0].State == store.PlanStopped {
		add(1, "Provisioning is paused and needs your decision", ShowPlan, strconv.FormatInt(plans[0].ID, 10))
	}
	return all, nil
}
