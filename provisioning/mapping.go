package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// AddMapping checks a mapping and stores it, with the owner's SSO user where it tells one. Faults of the input are
// returned joined, each a *InputError. An account that is not known is looked for at Constant Contact once.
func (s *Service) AddMapping(ctx context.Context, spec mapping.Spec) (store.Mapping, error) {
	m, faults := draft(spec)
	if m.Account != "" {
		id, err := s.knownAccount(ctx, m.Account, spec.Unchecked)
		if err != nil {
			faults = append(faults, err)
		}
		m.Account = id
	}
	if len(faults) > 0 {
		return store.Mapping{}, fmt.Errorf("add mapping: %w", errors.Join(faults...))
	}
	m.CreatedAt, m.CreatedBy = s.now(), spec.Actor
	var owner *store.SSOUser
	if m.Role == store.Owner {
		owner = s.ownersUser(m, spec.ExternalID)
	}
	// Somebody else may take the same free priority at the same moment; then the next one is tried.
	for tries := 3; ; tries-- {
		taken, err := s.mappings.List(ctx)
		if err != nil {
			return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
		}
		if spec.Priority == 0 {
			if m.Priority, err = mapping.NextPriority(mapping.LastPriority(taken)); err != nil {
				return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
			}
		}
		m.ID, err = s.mappings.Add(ctx, m, owner, s.mappingEvent("mapping-add", spec.Actor, m))
		clash, clashes := errors.AsType[*store.CaseClashError](err)
		switch {
		case err == nil:
			return m, nil
		case clashes:
			return store.Mapping{}, fmt.Errorf("add mapping: %w", &InputError{
				Field: "external_id", Fault: clash.Error(),
				Fix: "ask Constant Contact for the owner's external_id; it may not distinguish the two",
			})
		case errors.Is(err, store.ErrMovedAway):
			return store.Mapping{}, fmt.Errorf("add mapping: %w", movedOwner())
		case !errors.Is(err, store.ErrConflict):
			return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
		}
		if err = s.clash(ctx, m, owner, taken); err != nil || tries == 1 || spec.Priority != 0 {
			if err == nil {
				err = &InputError{
					Field: "priority", Fault: fmt.Sprintf("%d was just taken by another mapping", m.Priority),
					Fix: "try again, or give another priority",
				}
			}
			return store.Mapping{}, fmt.Errorf("add mapping: %w", err)
		}
	}
}

// movedOwner refuses a mapping that would give a user to somebody by an id that they come by no more.
func movedOwner() error {
	return &InputError{Field: "person", Fault: movedAway(""),
		Fix: "have the source give the role, or leave the mapping out"}
}

// ListMappings returns all mappings in the order in which they count: by priority, then id.
func (s *Service) ListMappings(ctx context.Context) ([]store.Mapping, error) {
	all, err := s.mappings.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Priority != all[j].Priority {
			return all[i].Priority < all[j].Priority
		}
		return all[i].ID < all[j].ID
	})
	return all, nil
}

// RemoveMapping removes a mapping; whom it gave access loses it with the next sign-in. An owner's user that was told
// with it is forgotten. Users that were created stay at Constant Contact and in the ledger. The error is
// store.ErrNotFound, wrapped, where there is none.
func (s *Service) RemoveMapping(ctx context.Context, id int64, actor string) error {
	was, err := s.Mapping(ctx, id)
	if err != nil {
		return fmt.Errorf("remove mapping: %w", err)
	}
	event := store.Event{
		At: s.now(), Actor: actor, Action: "mapping-remove", Subject: fmt.Sprintf("mapping %d", id), Outcome: "ok",
	}
	if err := s.mappings.Remove(ctx, was, event); err != nil {
		return fmt.Errorf("remove mapping %d: %w", id, err)
	}
	return nil
}

// badExternalID says what is wrong with a told external_id. The rest of the body is filled up with what is always
// right, so that one set of rules holds for all external ids.
func badExternalID(id string) string {
	var field *partnerapi.FieldError
	err := partnerapi.SSOUser{
		FirstName: "x", LastName: "x", RoleName: partnerapi.RoleAccountManager, ContactEmail: "x@example.com",
		LoginName: "x", ExternalID: id, ExternalProvider: "x",
	}.Validate()
	if errors.As(err, &field) {
		return field.Fault
	}
	return ""
}

// ownersUser is the row for a user that exists already. Only its external id is known to us, and only that is needed.
func (s *Service) ownersUser(m store.Mapping, externalID string) *store.SSOUser {
	now := s.now()
	return &store.SSOUser{
		Person: m.Person, Account: m.Account, ExternalID: externalID, ExternalProvider: s.provider,
		Role: store.Owner, State: store.Active, CreatedAt: now, UpdatedAt: now,
	}
}

// draft is mapping.Draft, and holds an owner's external_id against the limits of Constant Contact.
func draft(spec mapping.Spec) (store.Mapping, []error) {
	m, faults := mapping.Draft(spec)
	if m.Role == store.Owner && m.Kind == store.PersonMapping && !m.AtSignIn {
		if why := badExternalID(spec.ExternalID); why != "" {
			faults = append(faults, &InputError{
				Field: "external_id", Fault: why,
				Fix: "give the external_id under which the account owner's user is known at Constant Contact, at most 255 " +
					"characters",
			})
		}
	}
	return m, faults
}

// knownAccount returns the account's id as it is on record, after asking Constant Contact once where it is not.
// Unchecked, an account that is not known here is taken as it was given.
func (s *Service) knownAccount(ctx context.Context, wanted store.AccountID, unchecked bool) (store.AccountID, error) {
	x, err := s.current(ctx)
	if err != nil {
		return "", err
	}
	id, err := x.Forms().Resolve(string(wanted))
	if err == nil {
		return id, nil
	}
	if unchecked && errors.Is(err, store.ErrUnlistedAccount) {
		return wanted, nil
	}
	refreshed := s.RefreshAccounts(ctx)
	if refreshed == nil {
		if x, err = s.current(ctx); err != nil {
			return "", err
		}
		if id, err = x.Forms().Resolve(string(wanted)); err == nil {
			return id, nil
		}
	} else {
		s.log.Warn("client accounts could not be looked up for a mapping", "account", wanted, "error", refreshed)
	}
	return "", unknownAccount(x, wanted, err, refreshed)
}

// unknownAccount is the fault of an account that can't be resolved, after the list was read anew or that failed with
// refreshed.
func unknownAccount(x *mapping.Index, wanted store.AccountID, err, refreshed error) *InputError {
	switch {
	case errors.Is(err, store.ErrAmbiguousAccount):
		return &InputError{
			Field: "account", Fault: err.Error(),
			Fix: "write the account's id letter by letter, in its own case",
		}
	case refreshed != nil:
		return &InputError{
			Field: "account",
			Fault: fmt.Sprintf("%s is not among the %d client accounts known here, and the list could not be read anew",
				wanted, x.Accounts()),
			Fix: "see why Constant Contact does not answer, or add the mapping unchecked",
		}
	}
	return &InputError{
		Field: "account",
		Fault: fmt.Sprintf("%s is not among the %d client accounts that Constant Contact lists for the partner",
			wanted, x.Accounts()),
		Fix: "check the encoded_account_id, or add the mapping unchecked if the account is sure to come",
	}
}

// clash finds out why the store refused a mapping; nil means that it was the race for a free priority.
func (s *Service) clash(ctx context.Context, m store.Mapping, owner *store.SSOUser, taken []store.Mapping) error {
	if fault := mapping.Clash(m, taken); fault != nil {
		return fault
	}
	if owner == nil {
		return nil
	}
	row, err := s.ledger.Get(ctx, m.Person, m.Account)
	switch {
	case err == nil && row.ExternalID != owner.ExternalID:
		return &InputError{
			Field: "external_id",
			Fault: fmt.Sprintf("the person has an SSO user in account %s already, with another external_id (state %s)",
				m.Account, row.State),
			Fix: "sign the person in as that user; an owner is told for a person without one",
		}

	case err == nil:
		return &InputError{
			Field: "external_id",
			Fault: fmt.Sprintf("the person's SSO user in account %s is in state %s", m.Account, row.State),
			Fix:   "wait until its creation is decided",
		}
	case errors.Is(err, store.ErrNotFound):
		return &InputError{
			Field: "external_id", Fault: "it belongs to another person or client account in the ledger",
			Fix: "each external_id can be told once",
		}
	}
	return fmt.Errorf("look up SSO user in account %s: %w", m.Account, err)
}

func (s *Service) mappingEvent(action, actor string, m store.Mapping) store.Event {
	return s.mappingChange(action, actor, m, m)
}

// mappingChange is mappingEvent of a mapping that was another one before.
func (s *Service) mappingChange(action, actor string, was, m store.Mapping) store.Event {
	detail := map[string]any{"kind": m.Kind, "role": m.Role, "priority": m.Priority}
	if was.Role != m.Role {
		detail["was_role"] = was.Role
	}
	if was.Priority != m.Priority {
		detail["was_priority"] = was.Priority
	}
	if was.Account != m.Account {
		detail["was_account"] = was.Account
	}
	if m.AtSignIn {
		detail["create"] = mapping.CreateAtSignIn
	}
	for name, value := range map[string]string{
		"group": m.GroupDN, "group_id": m.GroupID, "pattern": m.Pattern, "attribute": m.Attribute, "person": string(m.Person),
	} {
		if value != "" {
			detail[name] = value
		}
	}
	raw, _ := json.Marshal(detail) // strings and numbers always encode
	return store.Event{At: s.now(), Actor: actor, Action: action, Subject: "mapping", Account: m.Account,
		Outcome: "ok", Detail: raw}
}
