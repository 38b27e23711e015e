package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"ssobridge/store"
)

// Names returns how people are called, by their ids, at most 1000: by the directory at their last login, or by the user
// that they have at Constant Contact. People of whom neither is known, or who are in none of the caller's client
// accounts, are left out.
func (a People) Names(ctx context.Context, s Scope, ids []store.PersonID) (map[store.PersonID]string, error) {
	names := map[store.PersonID]string{}
	users, err := a.Store.Ledger().People(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up the names of people: %w", err)
	}
	seen := map[store.PersonID]bool{}
	for _, u := range users {
		if s.Includes(u.Account) {
			seen[u.Person] = true
			if name := UserName(u); name != "" {
				names[u.Person] = name
			}
		}
	}
	called, err := a.Store.People().Called(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up the names of people: %w", err)
	}
	for id, c := range called {
		if s.everything || seen[id] {
			names[id] = cmp.Or(strings.TrimSpace(c.Name), c.Login)
		}
	}
	return names, nil
}

// Names returns how client accounts are called, by their ids. Those that no list knows, and those that the caller may
// not see, are left out. Each costs a look by its key: it is for the accounts of one page.
func (a ClientAccounts) Names(ctx context.Context, s Scope, ids []store.AccountID) (map[store.AccountID]string, error) {
	at, names := newPlaces(a.Store), map[store.AccountID]string{}
	for _, id := range ids {
		if id == "" || !s.Includes(id) {
			continue
		}
		if err := at.look(ctx, id, ""); err != nil {
			return nil, err
		}
		if name := at.accounts[id]; name != "" {
			names[id] = name
		}
	}
	return names, nil
}

// UserName is how a user at Constant Contact is called; "" where the ledger has nothing but ids of them.
func UserName(u store.SSOUser) string {
	return cmp.Or(strings.TrimSpace(u.FirstName+" "+u.LastName), u.ContactEmail)
}

// places are the names of client accounts and service providers, each looked up once.
type places struct {
	store     *store.DB
	accounts  map[store.AccountID]string
	providers map[string]string // by entity ID; its entity ID where it has no name, "" where it is not registered
}

func newPlaces(db *store.DB) places {
	return places{db, map[store.AccountID]string{}, map[string]string{}}
}

// look makes sure that the names of a client account and of a service provider are there, "" for none.
func (p places) look(ctx context.Context, account store.AccountID, entityID string) error {
	if _, seen := p.accounts[account]; !seen && account != "" {
		one, err := p.store.Accounts().Get(ctx, account)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("look up the client account %s: %w", account, err)
		}
		p.accounts[account] = one.Name
	}
	if _, seen := p.providers[entityID]; !seen && entityID != "" {
		one, err := p.store.ServiceProviders().Get(ctx, entityID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("look up the service provider %.300q: %w", entityID, err)
		}
		p.providers[entityID] = cmp.Or(one.Name, one.EntityID)
	}
	return nil
}
