package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// finishAccount stores what goes with an account whose id is known: the account, the owner's SSO user and mapping, and
// that the request is done. Each is looked for first, since a crash may have come between.
func (s *Service) finishAccount(ctx context.Context, r store.AccountRequest,
	actor string) (store.AccountRequest, error) {
	switch _, err := s.accounts.Get(ctx, r.Account); {
	case errors.Is(err, store.ErrNotFound):
		a := store.Account{ID: r.Account, Name: plaintext.Line(r.OrganizationName, maxName)}
		if err := s.accounts.Put(ctx, a, s.requestEvent(r, "account-add", actor)); err != nil {
			return r, fmt.Errorf("store client account %s: %w", r.Account, err)
		}
	case err != nil:
		return r, fmt.Errorf("look up client account %s: %w", r.Account, err)
	}
	if err := s.mapOwner(ctx, r, actor); err != nil {
		return r, fmt.Errorf("client account %s is there, but its owner could not be mapped: %w", r.Account, err)
	}
	r.ErrorKey, r.ErrorText = "", ""
	if err := s.moveAccount(ctx, &r, store.RequestCreated, s.requestEvent(r, "account-created", actor)); err != nil {
		return r, err
	}
	s.log.Info("client account is there", "account", r.Account, "request", r.ID)
	return r, nil
}

// mapOwner adds the owner's mapping with the owner's SSO user, unless they are there.
func (s *Service) mapOwner(ctx context.Context, r store.AccountRequest, actor string) error {
	all, err := s.mappings.List(ctx)
	if err != nil {
		return fmt.Errorf("list mappings: %w", err)
	}
	if slices.ContainsFunc(all, func(m store.Mapping) bool {
		return m.Kind == store.PersonMapping && m.Role == store.Owner && m.Person == r.Person && m.Account == r.Account
	}) {
		row, err := s.ledger.Get(ctx, r.Person, r.Account)
		if err != nil {
			return fmt.Errorf("look up the owner's SSO user: %w", err)
		}
		if row.ExternalID != r.ExternalID {
			return &InputError{
				Field: "external_id",
				Fault: fmt.Sprintf("the person is mapped as owner with external_id %s, the account was created with %s",
					row.ExternalID, r.ExternalID),
				Fix: "remove that mapping, and go on with this request",
			}
		}
		return nil
	}
	_, err = s.AddMapping(ctx, mapping.Spec{
		Person: r.Person, Account: string(r.Account), Role: string(store.Owner), Priority: frontPriority(all),
		ExternalID: r.ExternalID, Actor: actor,
		Unchecked: true, // it was created, or is in the list
	})
	return err
}

// frontPriority stands before all mappings that give another role: a pattern over group names may give the owner a
// lesser one in the new account, and the owner could not sign in then. Owners' mappings may share a priority. 0, behind
// all, where there is no room.
func frontPriority(all []store.Mapping) int {
	first := 0
	for _, m := range all {
		if m.Role != store.Owner && (first == 0 || m.Priority < first) {
			first = m.Priority
		}
	}
	if first == 0 {
		return mapping.PriorityStep
	}
	return first - 1
}

// nameAccount takes an admin's word for which account a request became.
func (s *Service) nameAccount(ctx context.Context, r store.AccountRequest, account store.AccountID,
	actor string) (store.AccountRequest, error) {
	_, err := s.accounts.Get(ctx, account)
	if errors.Is(err, store.ErrNotFound) {
		if err := s.refreshAccounts(ctx, true); err != nil {
			return r, err
		}
		_, err = s.accounts.Get(ctx, account)
	}
	if errors.Is(err, store.ErrNotFound) {
		return r, &InputError{
			Field: "account",
			Fault: fmt.Sprintf("%s is not among the client accounts that Constant Contact lists", account),
			Fix:   "name one of the list",
		}
	}
	if err != nil {
		return r, fmt.Errorf("look up client account %s: %w", account, err)
	}
	all, err := s.accounts.AccountRequests(ctx, maxRequests)
	if err != nil {
		return r, fmt.Errorf("list requests: %w", err)
	}
	for _, other := range all {
		if other.Account == account && other.ID != r.ID {
			return r, &InputError{
				Field: "account", Fault: fmt.Sprintf("%s is what request %d became", account, other.ID),
				Fix: "name another one",
			}
		}
	}
	return s.linkAccount(ctx, r, account, "named", actor)
}

// linkAccount notes which account a request became, and finishes it.
func (s *Service) linkAccount(ctx context.Context, r store.AccountRequest, account store.AccountID, how,
	actor string) (store.AccountRequest, error) {
	r.Account = account
	event := s.requestEvent(r, "account-link", actor)
	event.Reason = how
	if err := s.moveAccount(ctx, &r, store.RequestAccepted, event); err != nil {
		return r, err
	}
	return s.finishAccount(ctx, r, actor)
}

// findAccount reads the list anew, which links what it can, and says how the request stands then.
func (s *Service) findAccount(ctx context.Context, r store.AccountRequest, actor string) (store.AccountRequest, error) {
	if err := s.refreshAccounts(ctx, true); err != nil {
		return r, err
	}
	r, err := s.accounts.AccountRequest(ctx, r.ID)
	switch {
	case err != nil || r.State == store.RequestCreated:
		return r, err
	case r.Account != "":
		return s.finishAccount(ctx, r, actor) // for its error
	}
	known, err := s.accounts.List(ctx)
	if err != nil {
		return r, fmt.Errorf("list client accounts: %w", err)
	}
	var same []string
	for _, a := range known {
		if sameOrganization(a.Name, r.OrganizationName) {
			same = append(same, string(a.ID))
		}
	}
	switch {
	case len(same) > 0:
		return r, &InputError{
			Field: "account",
			Fault: fmt.Sprintf("the list shows %s by the name %q, and it can't be told whether one is this request's",
				strings.Join(same[:min(len(same), 10)], ", "), r.OrganizationName),
			Fix: "name the one that it became",
		}

	case r.ErrorKey != "":
		return r, &InputError{
			Field: "account", Fault: "the list shows none by this name: " + r.ErrorText,
			Fix: "if it is there by another name, name it",
		}
	}
	return r, nil // still to come
}

// selfLinkLife is for how long a new client account is taken for what somebody has ordered for themselves. They have
// chosen the name, and get whatever comes by it.
const selfLinkLife = 24 * time.Hour

// linkListed looks for the accounts of open requests among those that a reading of the list showed for the first time.
// A request is linked if exactly one new account has its organisation's name, and no other open request has. In doubt
// an admin is asked, by RetryAccount. Creations whose outcome is not known are among them: they are what the list was
// read for.
func (s *Service) linkListed(ctx context.Context, fresh []partnerapi.Account) {
	open, err := s.accounts.AccountRequests(ctx, maxRequests, store.RequestAccepted, store.RequestUnknown,
		store.RequestSending)
	if err != nil {
		s.log.Warn("open requests for client accounts could not be listed", "error", err)
		return
	}
	if fresh, err = s.unclaimed(ctx, open, fresh); err != nil {
		s.log.Warn("client accounts of earlier requests could not be listed", "error", err)
		return
	}
	for _, r := range open {
		var err error
		switch {
		case r.State == store.RequestSending && s.now().Sub(r.UpdatedAt) < s.callLimit+settleLimit+leaseMargin:
			continue // its call may still run
		case r.Account != "":
			_, err = s.finishAccount(ctx, r, "worker")
		case strings.HasPrefix(r.CreatedBy, store.SelfOrderPrefix) && s.now().Sub(r.CreatedAt) > selfLinkLife:
			continue // an administrator says which it became
		default:
			account, ok := listedFor(r, open, fresh)
			if !ok {
				continue
			}
			_, err = s.linkAccount(ctx, r, account, "listed", "worker")
		}
		if err != nil && !errors.Is(err, store.ErrConflict) { // a command has gone on with it
			s.log.Warn("request for a client account could not be finished", "request", r.ID, "account", r.Account, "error", err)
		}
	}
}

// unclaimed leaves out accounts that are known to be a request's. One that came to its end while the list was read is
// not among those that are open any more, and its account can be new in the list.
func (s *Service) unclaimed(ctx context.Context, open []store.AccountRequest,
	fresh []partnerapi.Account) ([]partnerapi.Account, error) {
	if len(open) == 0 || len(fresh) == 0 {
		return fresh, nil
	}
	created, err := s.accounts.AccountRequests(ctx, maxRequests, store.RequestCreated)
	if err != nil {
		return nil, err
	}
	claimed := map[store.AccountID]bool{}
	for _, r := range slices.Concat(open, created) {
		claimed[r.Account] = true
	}
	return slices.DeleteFunc(fresh, func(a partnerapi.Account) bool {
		id, err := store.ParseAccountID(a.EncodedAccountID)
		return err == nil && claimed[id]
	}), nil
}

// listedFor finds the one new account that must be a request's.
func listedFor(r store.AccountRequest, open []store.AccountRequest,
	fresh []partnerapi.Account) (id store.AccountID, ok bool) {
	for _, other := range open {
		if other.ID != r.ID && sameOrganization(other.OrganizationName, r.OrganizationName) {
			return "", false
		}
	}
	for _, a := range fresh {
		if !sameOrganization(a.OrganizationName, r.OrganizationName) {
			continue
		}
		if id != "" {
			return "", false
		}
		var err error
		if id, err = store.ParseAccountID(a.EncodedAccountID); err != nil {
			return "", false
		}
	}
	return id, id != ""
}

func sameOrganization(a, b string) bool {
	a, b = oneSpaced(a), oneSpaced(b)
	return a != "" && strings.EqualFold(a, b)
}

func oneSpaced(name string) string {
	return strings.Join(strings.Fields(plaintext.Line(name, maxName)), " ")
}
