package provisioning

import (
	"context"
	"errors"
	"fmt"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// ErrPlanUnmade refuses a plan that was not made to its end: whoever is missing in it would be taken for somebody who
// has no user.
var ErrPlanUnmade = errors.New("it is still being made, or was not made to its end")

// AdoptPlan marks everybody whom a plan would create as assumed, without any call: after the ledger was lost, or
// restored from an old copy. It begins a hold on creations if none runs. counts says how many had which outcome.
//
// Those whom the plan holds back for a conflict are among them, with the data that they conflicted by: they are ours,
// and forgotten. Who can't sign in any more since the plan was made is left out, as NotAdoptable. It can be called
// again after an error.
func (s *Service) AdoptPlan(ctx context.Context, plan int64, actor string) (counts map[store.Adoption]int, err error) {
	counts = map[store.Adoption]int{}
	p, err := s.plans.Get(ctx, plan)
	if err != nil {
		return counts, fmt.Errorf("adopt the users of plan %d: %w", plan, err)
	}
	if p.Unmade() {
		return counts, fmt.Errorf("adopt the users of plan %d: %w", plan, ErrPlanUnmade)
	}
	// The hold comes first: no worker is to create somebody who is about to be assumed.
	if err := s.SetProvisioningPause(ctx, holdLost, actor); err != nil {
		return counts, fmt.Errorf("adopt the users of plan %d: %w", plan, err)
	}
	for _, kind := range []string{store.ItemCreate, store.ItemBlocked} {
		if err := s.adoptItems(ctx, plan, kind, actor, counts); err != nil {
			return counts, fmt.Errorf("adopt the users of plan %d: %w", plan, err)
		}
	}
	s.log.Info("users of a plan are assumed", "plan", plan, "counts", counts)
	return counts, nil
}

// adoptItems pages through the items of one kind.
func (s *Service) adoptItems(ctx context.Context, plan int64, kind, actor string, counts map[store.Adoption]int) error {
	f := store.ItemFilter{Kind: kind, Limit: adoptAtOnce}
	for seen := 0; ; {
		items, err := s.plans.Items(ctx, plan, f)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return nil
		}
		f.After = items[len(items)-1].Position
		find := s.plannedUsers
		if kind == store.ItemBlocked {
			find = s.conflictingUsers
		}
		users, left, err := find(ctx, items)
		if err != nil {
			return err
		}
		if left > 0 {
			counts[store.NotAdoptable] += left
		}
		if err := s.adoptInto(ctx, users, s.adoptEvent(actor, "plan"), counts); err != nil {
			return err
		}
		if seen += len(items); seen%(10*adoptAtOnce) == 0 {
			s.log.Info("users of a plan are being assumed", "plan", plan, "kind", kind, "items", seen)
		}
	}
}

func (s *Service) adoptInto(ctx context.Context, users []store.SSOUser, e store.Event,
	counts map[store.Adoption]int) error {
	if len(users) == 0 {
		return nil
	}
	outcomes, err := s.ledger.Adopt(ctx, users, e)
	if err != nil {
		return fmt.Errorf("store %d users: %w", len(users), err)
	}
	for _, o := range outcomes {
		counts[o]++
	}
	return nil
}

// plannedUsers are the rows of creations, with names as the templates give them now: a template that was changed since
// a user was created gives another external_id than Constant Contact has, which nothing here can know.
func (s *Service) plannedUsers(ctx context.Context, items []store.PlanItem) (users []store.SSOUser,
	left int, err error) {
	all := make([]store.SSOUser, len(items))
	err = inParallel(ctx, len(items), func(ctx context.Context, i int) (err error) {
		all[i], err = s.plannedUser(ctx, items[i])
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for _, u := range all {
		if u.ExternalID == "" {
			left++
			continue
		}
		users = append(users, u)
	}
	return users, left, nil
}

// plannedUser is the row of one creation, without an external_id where there can be none.
func (s *Service) plannedUser(ctx context.Context, i store.PlanItem) (store.SSOUser, error) {
	p, fault, err := s.knownPerson(ctx, KnownUser{Person: string(i.Person)})
	if err != nil {
		return store.SSOUser{}, fmt.Errorf("read person %s: %w", i.Person, err)
	}
	u := store.SSOUser{
		Person: i.Person, Account: i.Account, ExternalProvider: s.provider, FirstName: p.FirstName, LastName: p.LastName,
		Role: i.Role, Mapping: i.Mapping, State: store.Assumed,
	}
	if fault != "" || p.Problem != "" {
		return u, nil
	}
	id, login, err := s.derivedNames(p, i.Account)
	if err != nil || badExternalID(id) != "" {
		return u, nil //nolint:nilerr // such a user could not have been created either
	}
	u.ExternalID, u.LoginName = id, login
	u.ContactEmail, _ = s.contactEmail.Render(mapping.Values{Person: p, Account: i.Account, ExternalID: id,
		LoginName: login})
	return u, nil
}

// conflictingUsers are the rows that Constant Contact refused because the user exists, as they stand in the ledger.
// What else is blocked is left alone.
func (s *Service) conflictingUsers(ctx context.Context, items []store.PlanItem) (users []store.SSOUser,
	left int, err error) {
	ids, blocked := make([]store.PersonID, len(items)), map[userID]bool{}
	for i, item := range items {
		ids[i] = item.Person
		blocked[userID{item.Person, item.Account}] = true
	}
	rows, err := s.ledger.People(ctx, ids)
	if err != nil {
		return nil, 0, fmt.Errorf("read the SSO users of %d people: %w", len(ids), err)
	}
	for _, row := range rows {
		if row.State == store.Conflict && blocked[userID{row.Person, row.Account}] {
			row.State = store.Assumed
			users = append(users, row)
		}
	}
	return users, 0, nil
}
