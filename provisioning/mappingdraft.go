package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// DraftMapping checks one mapping as AddMapping would, its priority included, and returns it without storing it.
func (s *Service) DraftMapping(ctx context.Context, spec mapping.Spec) (store.Mapping, error) {
	m, faults := draft(spec)
	if m.Account != "" {
		id, err := s.knownAccount(ctx, m.Account, spec.Unchecked)
		if err != nil {
			faults = append(faults, err)
		}
		m.Account = id
	}
	if len(faults) > 0 {
		return store.Mapping{}, fmt.Errorf("draft mapping: %w", errors.Join(faults...))
	}
	taken, err := s.ListMappings(ctx)
	if err != nil {
		return store.Mapping{}, fmt.Errorf("draft mapping: %w", err)
	}
	if m.Priority == 0 {
		if m.Priority, err = mapping.NextPriority(mapping.LastPriority(taken)); err != nil {
			return store.Mapping{}, fmt.Errorf("draft mapping: %w", err)
		}
	}
	m.CreatedAt, m.CreatedBy = s.now(), spec.Actor
	if err := s.draftClash(ctx, m, spec, taken); err != nil {
		return store.Mapping{}, fmt.Errorf("draft mapping: %w", err)
	}
	return m, nil
}

// draftClash foresees why the store would refuse a mapping. That an owner's external_id is somebody else's is seen only
// then.
func (s *Service) draftClash(ctx context.Context, m store.Mapping, spec mapping.Spec, taken []store.Mapping) error {
	var owner *store.SSOUser
	if m.Role == store.Owner {
		owner = s.ownersUser(m, spec.ExternalID)
		row, err := s.ledger.Get(ctx, m.Person, m.Account)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("look up SSO user in account %s: %w", m.Account, err)
		}
		if err == nil && (row.ExternalID != owner.ExternalID || !usable(row)) {
			return s.clash(ctx, m, owner, nil)
		}
	}
	if slices.ContainsFunc(taken, func(t store.Mapping) bool {
		return mapping.Identical(t, m) ||
			mapping.Contradict(t, m)
	}) {
		return s.clash(ctx, m, owner, slices.DeleteFunc(slices.Clone(taken),
			func(t store.Mapping) bool { return !mapping.Identical(t, m) && !mapping.Contradict(t, m) }))
	}
	return nil
}
