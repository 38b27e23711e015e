package provisioning

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/store"
)

const (
	refreshEvery = 6 * time.Hour
	refreshAgain = 5 * time.Minute // after a failure
	refreshAtAll = time.Minute     // never twice within it, whoever asks
	refreshLimit = 5 * time.Minute // one refresh: up to hundreds of pages at the pace of the budget
	maxName      = 200             // characters of a client account's name
)

// RefreshAccounts reads GET /partner/accounts into the store. It does nothing if that was done less than a minute ago,
// by this process or another, and it never takes calls that are kept for sign-ins. Concurrent callers wait for one
// refresh. Requests for client accounts whose account the list shows for the first time are finished.
func (s *Service) RefreshAccounts(ctx context.Context) error { return s.refreshAccounts(ctx, false) }

// ReadAccounts is RefreshAccounts that asks Constant Contact in any case: an administrator wants to know what it says
// now.
func (s *Service) ReadAccounts(ctx context.Context) error { return s.refreshAccounts(ctx, true) }

// refreshAccounts reads the list, however fresh it is where anyway is true.
func (s *Service) refreshAccounts(ctx context.Context, anyway bool) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("refresh client accounts: %w", context.Cause(ctx))
	case <-s.refreshing:
	}
	defer func() { s.refreshing <- struct{}{} }()

	began := s.now()
	known, last, err := s.lastRefresh(ctx)
	if err != nil {
		return err
	}
	if age := began.Sub(last); age >= 0 && age < refreshAtAll && !anyway {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	listed, err := s.client.Accounts(ctx, partnerapi.PriorityPlan)
	if err != nil {
		return fmt.Errorf("refresh client accounts: %w", err)
	}
	// What was read of one account by itself while the pages came is newer than its page.
	newer, err := s.accounts.List(ctx)
	if err != nil {
		return fmt.Errorf("list known client accounts: %w", err)
	}
	status := map[store.AccountID]string{}
	for _, a := range newer {
		if a.CheckedAt.After(began) {
			status[a.ID] = a.BillingStatus
		}
	}
	now := s.now()
	all, odd := make([]store.Account, 0, len(listed)), 0
	for _, a := range listed {
		id, err := store.ParseAccountID(a.EncodedAccountID)
		if err != nil {
			odd++
			continue
		}
		all = append(all, store.Account{ID: id, Name: accountName(a), BillingStatus: cmp.Or(status[id],
			plaintext.Line(a.BillingStatus, maxName)), SeenAt: now})
	}
	if odd > 0 {
		s.log.Warn("some listed client accounts have ids of a form that is not known, they are left out", "count", odd)
	}
	detail, _ := json.Marshal(map[string]int{"accounts": len(all), "left_out": odd}) // numbers always encode
	event := store.Event{At: now, Actor: "worker", Action: "accounts-refresh", Outcome: "ok", Detail: detail}
	if err := s.accounts.ReplaceAll(ctx, all, event); err != nil {
		return fmt.Errorf("store %d client accounts: %w", len(all), err)
	}
	s.refreshedAt = now
	s.linkListed(ctx, newlyListed(known, listed))
	return nil
}

// newlyListed are the accounts that were not known before. Without any known there was no list before, and so nothing
// can be said to be new.
func newlyListed(known []store.Account, listed []partnerapi.Account) (fresh []partnerapi.Account) {
	if len(known) == 0 {
		return nil
	}
	before := make(map[string]bool, len(known))
	for _, a := range known {
		before[string(a.ID)] = true
	}
	for _, a := range listed {
		if !before[a.EncodedAccountID] {
			fresh = append(fresh, a)
		}
	}
	return fresh
}

// lastRefresh tells which accounts are known and when the list was last read, by whomever. The caller holds the token
// of refreshing.
func (s *Service) lastRefresh(ctx context.Context) (known []store.Account, last time.Time, err error) {
	known, err = s.accounts.List(ctx)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("list known client accounts: %w", err)
	}
	last = s.refreshedAt // for a list that came empty
	for _, a := range known {
		if a.SeenAt.After(last) {
			last = a.SeenAt
		}
	}
	return known, last, nil
}

// keepAccounts refreshes at the start, then every six hours; a failure is logged and tried again. Sign-ins do not
// depend on it.
func (s *Service) keepAccounts(ctx context.Context) {
	for {
		wait := refreshEvery
		if err := s.RefreshAccounts(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.log.Warn("list of client accounts could not be refreshed, the last one stays in use", "error", err,
				"again_in", refreshAgain)
			wait = refreshAgain
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// accountName is what people know the account by.
func accountName(a partnerapi.Account) string {
	for _, name := range []string{a.OrganizationName, a.SiteOwnerName} {
		if name = plaintext.Line(name, maxName); name != "" {
			return name
		}
	}
	return a.EncodedAccountID
}
