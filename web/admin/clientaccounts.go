package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// ClientAccounts is what can be done with client accounts of Constant Contact, and with the orders for new ones.
type ClientAccounts struct {
	Store        *store.DB
	Provisioning *provisioning.Service
	IdP          *idp.IdP
	PublicURL    string // launch links begin with it
}

// ClientAccount is a client account with what the bridge asks for at it.
type ClientAccount struct {
	store.Account

	Factor    mfa.Policy // what is asked for beside the password
	OwnFactor bool       // by a policy of its own; false: as the configuration says
	Launch    string     // the link by which people launch it
}

// ClientAccountFilter chooses client accounts. The zero value is all of them.
type ClientAccountFilter struct {
	Find  string          // part of the name or the id, in any letter case
	After store.AccountID // those behind this one, by id
	Limit int             // 0: all
}

// Find is the recorded form of a client account that somebody wrote. unlisted takes one that no list knows in just the
// letters in which it is written: what was said of it before may stand under them.
func (a ClientAccounts) Find(ctx context.Context, s Scope, text string, unlisted bool) (store.AccountID, error) {
	id, err := a.Provisioning.Account(ctx, text)
	if unlisted && errors.Is(err, store.ErrUnlistedAccount) {
		err = nil
	}
	switch {
	case errors.Is(err, store.ErrAmbiguousAccount) && !s.Includes(id):
		return "", s.account(id) // its text names client accounts
	case err != nil:
		return "", accountError(err)
	}
	return id, s.account(id)
}

// accountError turns what stands against what was written as a client account.
func accountError(err error) error {
	e := &Error{Field: "account", Act: ListAccounts, Err: err}
	switch {
	case errors.Is(err, store.ErrUnlistedAccount):
		e.Kind, e.Act = Missing, RefreshAccounts
	case errors.Is(err, store.ErrAmbiguousAccount):
		e.Hint = "write it in the letters of the list"
	case !errors.Is(err, store.ErrBadAccount):
		return err
	}
	e.Fault = err.Error()
	if under := errors.Unwrap(err); under != nil {
		e.Fault = under.Error() // says it by itself
	}
	return e
}

// account refuses a client account outside the scope.
func (s Scope) account(id store.AccountID) error {
	if s.Includes(id) {
		return nil
	}
	return &Error{Kind: Forbidden, Field: "account", Fault: "this client account is not among those that you may see"}
}

// List lists client accounts by their ids, as Constant Contact last listed them. total is how many there are for this
// scope, before the filter.
func (a ClientAccounts) List(ctx context.Context, s Scope, f ClientAccountFilter) (all []store.Account,
	total int, err error) {
	list, err := a.Store.Accounts().List(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("list client accounts: %w", err)
	}
	list = slices.DeleteFunc(list, func(one store.Account) bool { return !s.Includes(one.ID) })
	find := strings.ToLower(f.Find)
	slices.SortFunc(list, func(a, b store.Account) int { return cmp.Compare(a.ID, b.ID) }) // not by a database's collation
	for _, one := range list {
		if one.ID <= f.After || find != "" && !strings.Contains(strings.ToLower(one.Name+" "+string(one.ID)), find) {
			continue
		}
		if all = append(all, one); len(all) == f.Limit {
			break
		}
	}
	return all, len(list), nil
}

// Get reads one client account.
func (a ClientAccounts) Get(ctx context.Context, s Scope, id store.AccountID) (ClientAccount, error) {
	if err := s.account(id); err != nil {
		return ClientAccount{}, err
	}
	one, err := a.Store.Accounts().Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return ClientAccount{}, &Error{Kind: Missing, Field: "account", Act: RefreshAccounts, Err: err,
			Fault: fmt.Sprintf("client account %s is not listed", id)}
	}
	if err != nil {
		return ClientAccount{}, fmt.Errorf("read client account %s: %w", id, err)
	}
	x := ClientAccount{Account: one}
	if x.Factor, x.OwnFactor, err = a.Factor(ctx, s, id); err != nil {
		return ClientAccount{}, err
	}
	public, err := url.Parse(a.PublicURL)
	if err != nil {
		return ClientAccount{}, fmt.Errorf("read public_url: %w", err)
	}
	x.Launch = public.JoinPath("launch", string(id)).String()
	return x, nil
}

// Factor says what is asked for beside the password at a client account, and whether by a policy of its own.
func (a ClientAccounts) Factor(ctx context.Context, s Scope, id store.AccountID) (policy mfa.Policy, own bool,
	err error) {
	if err := s.account(id); err != nil {
		return "", false, err
	}
	if policy, own, err = a.IdP.FactorPolicy(ctx, id); err != nil {
		return "", false, fmt.Errorf("read the second factor of client account %s: %w", id, err)
	}
	return policy, own, nil
}

// Refresh reads the list from Constant Contact, one call for each 50 client accounts, however fresh ours is. The
// running bridge does it every six hours.
func (a ClientAccounts) Refresh(ctx context.Context, s Scope) error {
	if err := s.whole(); err != nil {
		return err
	}
	return partnerRefusal("", a.Provisioning.ReadAccounts(ctx))
}

// partnerRefusal is refusal for an act about one client account; about none for "". That Constant Contact does not know
// it is a fault of the input.
func partnerRefusal(id store.AccountID, err error) error {
	if id != "" && partnerapi.KindOf(err) == partnerapi.NotFound {
		return &Error{Kind: Missing, Field: "account", Act: ListAccounts, Err: err,
			Fault: fmt.Sprintf("Constant Contact knows no client account %s of this partner", id)}
	}
	return refusal(err)
}
