package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// CompareMappings checks a whole set of mappings as AddMapping would and tells how it differs from the stored one. A
// mapping whose priority alone differs is removed and added. One without a priority keeps the stored one, or goes
// behind all others, in the order of the set: the same set twice makes no difference. A group given by its DN alone is
// the stored one of that DN, whose id is known. Faults are joined *InputErrors, whose Field begins with "mapping N: ",
// counted from 1, or with the line of a file (mapping.Place); after 100 the last one says how many more there are.
//
// Those that are off are part of the set where it says so. One that it does not name, neither on nor off, stays as it
// is: it gives nobody anything.
//
// Mappings of owners (kind person with role owner) are kept when the set does not name them, since an owner's
// external_id goes from the ledger together with the mapping: RemoveMapping does that. The set can tell new ones, and
// can't change those that are stored.
func (s *Service) CompareMappings(ctx context.Context, wanted []mapping.Spec) (mapping.Change, error) {
	if len(wanted) > mapping.MaxSet {
		fault := &InputError{
			Field: "mappings", Fault: fmt.Sprintf("there are %d", len(wanted)),
			Fix: fmt.Sprintf("write at most %d; a pattern does for many", mapping.MaxSet),
		}
		return mapping.Change{}, fmt.Errorf("compare mappings: %w", fault)
	}
	set := mapping.NewSet(len(wanted))
	for i, spec := range wanted {
		m, faults := draft(spec)
		m.Off = spec.Off
		set.Put(i, spec.Line, m, faults...)
	}
	if err := s.setAccounts(ctx, wanted, set); err != nil {
		return mapping.Change{}, fmt.Errorf("compare mappings: %w", err)
	}
	stored, err := s.ListMappings(ctx)
	if err != nil {
		return mapping.Change{}, fmt.Errorf("compare mappings: %w", err)
	}
	if err := s.setOwners(ctx, wanted, stored, set); err != nil {
		return mapping.Change{}, fmt.Errorf("compare mappings: %w", err)
	}
	off, err := s.mappings.ListOff(ctx)
	if err != nil {
		return mapping.Change{}, fmt.Errorf("compare mappings: %w", err)
	}
	change, err := set.Compare(stored, off)
	if err != nil {
		return mapping.Change{}, fmt.Errorf("compare mappings: %w", err)
	}
	for i, m := range set.Drafts {
		same := func(t store.Mapping) bool { return mapping.SameRule(t, m) }
		if m.Role == store.Owner && !slices.ContainsFunc(stored, same) {
			change.Owners = append(change.Owners, mapping.Owner{Person: m.Person, Account: m.Account,
				ExternalID: wanted[i].ExternalID})
		}
	}
	return change, nil
}

// setAccounts finds the client accounts of a set as they are listed. However many are unknown, the list is read anew
// once.
func (s *Service) setAccounts(ctx context.Context, wanted []mapping.Spec, set *mapping.Set) error {
	x, err := s.current(ctx)
	if err != nil {
		return err
	}
	var refreshed error
	for asked := false; ; {
		var unknown []int
		var why []error
		for i, m := range set.Drafts {
			if m.Account == "" {
				continue
			}
			if id, err := x.Forms().Resolve(string(m.Account)); err == nil {
				set.Drafts[i].Account = id
			} else if !wanted[i].Unchecked || !errors.Is(err, store.ErrUnlistedAccount) {
				unknown, why = append(unknown, i), append(why, err)
			}
		}
		if len(unknown) == 0 {
			return nil
		}
		if asked {
			for n, i := range unknown {
				set.Fault(i, unknownAccount(x, set.Drafts[i].Account, why[n], refreshed))
			}
			return nil
		}
		asked = true
		if refreshed = s.RefreshAccounts(ctx); refreshed != nil {
			s.log.Warn("client accounts could not be looked up for a set of mappings", "unknown", len(unknown),
				"error", refreshed)
		}
		if x, err = s.current(ctx); err != nil {
			return err
		}
	}
}

// OwnersID is the external_id that was told with an owner's mapping; "" where the ledger has none any more.
func (s *Service) OwnersID(ctx context.Context, m store.Mapping) (string, error) {
	row, err := s.ledger.Get(ctx, m.Person, m.Account)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("look up the owner of account %s: %w", m.Account, err)
	}
	return row.ExternalID, nil
}

// setOwners refuses owners whom the set would change, and new ones whose user could not be stored.
func (s *Service) setOwners(ctx context.Context, wanted []mapping.Spec, stored []store.Mapping,
	set *mapping.Set) error {
	const fix = "leave the owner out of the set, where owners that are stored are kept; change and remove them one by one"
	given := map[string]int{} // external_ids of new owners, without their case, by position
	for i, m := range set.Drafts {
		if m.Role != store.Owner || set.Faulty(i) {
			continue
		}
		if m.Off {
			set.Fault(i, &InputError{Field: "switched_off", Fault: "an owner's mapping can't be off",
				Fix: "leave it out, or switched_off: true"})
			continue
		}
		at := slices.IndexFunc(stored, func(t store.Mapping) bool { return mapping.SameRule(t, m) })
		if at < 0 {
			fault, err := s.newOwner(ctx, m, wanted[i].ExternalID)
			if err != nil {
				return err
			}
			id := strings.ToLower(wanted[i].ExternalID)
			if before, again := given[id]; again && fault == nil {
				fault = &InputError{Field: "external_id", Fault: mapping.Place(before+1, wanted[before].Line) +
					" has the same, or one that differs in letter case only", Fix: "each owner's user has an external_id of its own"}
			}
			given[id] = i
			if fault != nil {
				set.Fault(i, fault)
			}
			continue
		}
		if m.Priority != 0 && m.Priority != stored[at].Priority {
			set.Fault(i, &InputError{
				Field: "priority",
				Fault: fmt.Sprintf("%d differs from the stored %d, and a set of mappings can't change an owner", m.Priority,
					stored[at].Priority),
				Fix: fix,
			})
		}
		row, err := s.ledger.Get(ctx, m.Person, m.Account)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("look up SSO user in account %s: %w", m.Account, err)
		}
		if row.ExternalID != wanted[i].ExternalID {
			set.Fault(i, &InputError{
				Field: "external_id",
				Fault: "it differs from the stored one, and a set of mappings can't change an owner",
				Fix:   fix,
			})
		}
	}
	return nil
}

// newOwner says why the user of a new owner could not be stored.
func (s *Service) newOwner(ctx context.Context, m store.Mapping, externalID string) (fault, err error) {
	err = s.draftClash(ctx, m, mapping.Spec{ExternalID: externalID}, nil)
	if _, is := errors.AsType[*InputError](err); is {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	owner := s.ownersUser(m, externalID)
	other, err := s.ledger.ExternalID(ctx, owner.ExternalProvider, externalID)
	if err != nil {
		return nil, fmt.Errorf("look up external_id of an owner: %w", err)
	}
	for _, k := range other {
		if k != (store.UserKey{Person: m.Person, Account: m.Account}) {
			return &InputError{Field: "external_id",
				Fault: fmt.Sprintf("it is that of person %s in account %s in the ledger, or differs from it in letter case only",
					k.Person, k.Account),
				Fix: "ask Constant Contact for the owner's external_id; each user has one of its own"}, nil
		}
	}
	return nil, nil
}

// ApplyMappings stores a change in one transaction, with the users of new owners. ErrConflict of the store: the
// mappings have changed since it was compared, or the ledger has what an owner's user would have. It changes and
// removes no mappings of owners, see CompareMappings.
func (s *Service) ApplyMappings(ctx context.Context, c mapping.Change, actor string) error {
	var owners []store.SSOUser
	for _, m := range slices.Concat(c.Add, c.Remove) {
		if m.Role != store.Owner || m.Kind != store.PersonMapping {
			continue
		}
		at := slices.IndexFunc(c.Owners, func(o mapping.Owner) bool { return o.Person == m.Person && o.Account == m.Account })
		if at < 0 || m.ID != 0 {
			return fmt.Errorf("apply mappings: %w", &InputError{
				Field: "role", Fault: "a set of mappings can't change an owner",
				Fix: "change and remove owners one by one",
			})
		}
		owners = append(owners, *s.ownersUser(m, c.Owners[at].ExternalID))
	}
	stored, err := s.mappings.List(ctx)
	if err != nil {
		return fmt.Errorf("apply mappings: %w", err)
	}
	// One that is added between here and the transaction stays beside the set, as if it had been added right after.
	if !mapping.SameState(stored, slices.Concat(c.Keep, mapping.SwitchedOn(c.Remove))) {
		return fmt.Errorf("apply mappings: they have changed since they were compared: %w", store.ErrConflict)
	}
	if c.Empty() {
		return nil
	}
	var (
		remove []store.Mapping
		add    []store.Mapping
		events []store.Event
	)
	for _, m := range c.Remove {
		remove = append(remove, m)
		e := s.mappingEvent("mapping-remove", actor, m)
		e.Subject = fmt.Sprintf("mapping %d", m.ID)
		events = append(events, e)
	}
	for _, m := range c.Add {
		m.ID, m.CreatedAt, m.CreatedBy = 0, s.now(), actor
		add = append(add, m)
		events = append(events, s.mappingEvent("mapping-add", actor, m))
	}
	err = s.mappings.Replace(ctx, remove, add, owners, events)
	if errors.Is(err, store.ErrMovedAway) {
		err = movedOwner()
	}
	if err != nil {
		return fmt.Errorf("apply mappings: %w", err)
	}
	return nil
}
