package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
	Level Level
	Count int    // how many, up to 100
	Text  string // a sentence without its full stop
	Act   Act
	About string

	Part    Part     // of the health snapshot, where it is a Finding of one
	Finding *Finding // nil: none
}

// countedNeeds bounds how many of one kind are counted.
const countedNeeds = 100

// List lists what waits, the most urgent first. now is the state of provisioning that the caller has read.
func (a Attention) List(ctx context.Context, s Scope, now ProvisioningStatus) (all []Need, err error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	// many has the number before it.
	add := func(n int, one, many string, act Act, about string) {
		if n > 0 {
			text := one
			if n > 1 {
				text = fmt.Sprintf("%d %s", n, many)
			}
			if n == countedNeeds {
				text = fmt.Sprintf("%d or more %s", n, many)
			}
			all = append(all, Need{Level: Warning, Count: n, Text: text, Act: act, About: about})
		}
	}
	health, err := a.Status.Health(ctx, s)
	if err != nil {
		return nil, err
	}
	all = append(all, healthNeeds(health)...)
	if any, err := a.Status.Store.Mappings().Any(ctx); err != nil {
		return nil, fmt.Errorf("look for a mapping: %w", err)
	} else if !any {
		add(1, "There is no mapping yet, so nobody can sign in to Constant Contact", "", AddMapping, "")
	}
	if now.Stopped.Cause != "" {
		add(1, "Calls to Constant Contact are stopped", "", ShowProvisioning, "")
	}
	if !now.Pause.Since.IsZero() {
		add(1, "Provisioning is paused", "", ResumeProvisioning, "")
	}
	add(now.Count(store.Conflict), "1 user is in conflict with another one", "users are in conflict with another one",
		ListUsersIn, string(store.Conflict))
	add(now.Count(store.Refused), "Constant Contact refuses the data of 1 user",
		"users have data that Constant Contact refuses", ListUsersIn, string(store.Refused))
	add(now.Count(store.Assumed), "1 user is assumed to exist and has to be confirmed",
		"users are assumed to exist and have to be confirmed", ListUsersIn, string(store.Assumed))
	for _, task := range []struct{ kind, one, many string }{
		{store.ItemLeaver, "1 person has left: delete their user at Constant Contact",
			"people have left: delete their users at Constant Contact"},
		{store.ItemDrift, "1 person has another role now: change it at Constant Contact",
			"people have another role now: change it at Constant Contact"},
		{store.ItemData, "1 person has another name or mail address now: change it at Constant Contact",
			"people have another name or mail address now: change it at Constant Contact"},
	} {
		list, err := a.Users.Tasks(ctx, s, store.ManualTaskFilter{Kind: task.kind, Limit: countedNeeds})
		if err != nil {
			return nil, err
		}
		add(len(list), task.one, task.many, ListTasks, task.kind)
	}
	orders, err := a.Accounts.Orders(ctx, s, store.RequestUnknown, store.RequestAccepted, store.RequestConflict,
		store.RequestRefused)
	if err != nil {
		return nil, err
	}
	add(len(orders), "1 order for a client account has no account yet",
		"orders for client accounts have no account yet", ListAccounts, "")
	plans, err := a.Plans.List(ctx, s, 1)
	if err != nil {
		return nil, fmt.Errorf("look for the newest plan: %w", err)
	}
	if len(plans) > 0 && plans[0].State == store.PlanStopped {
		add(1, "Provisioning is paused and needs your decision", "", ShowPlan, strconv.FormatInt(plans[0].ID, 10))
	}
	return all, nil
}

// healthNeeds are the findings of the health snapshot that somebody should see: all failures, and the warnings that an
// act fixes. What needs nobody's act is no work: a service provider that was switched off on purpose.
func healthNeeds(h Health) (all []Need) {
	for _, part := range h.Parts {
		for _, f := range part.Findings {
			if f.Detail == "" && explained(part.Findings) {
				continue // it is what another one has led to
			}
			actless := f.Act == NoAct || f.Act == TryLater || f.Act == RunCheck
			// That provisioning is paused is named by itself.
			if f.Level == Failure || !actless && f.Act != ResumeProvisioning {
				all = append(all, Need{Level: f.Level, Count: 1, Text: f.Name + ": " + f.Detail, Act: f.Act, About: f.About,
					Part: part.Part, Finding: &f})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Need) int { return cmp.Compare(b.Level, a.Level) })
	return all
}

// explained tells whether one of the findings of a part says what has failed.
func explained(all []Finding) bool {
	return slices.ContainsFunc(all, func(f Finding) bool { return f.Level == Failure && f.Detail != "" })
}
