package provisioning

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode"

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

// RefreshAccounts reads GET /partner/accounts into the store. It does nothing if that was done less than a minute ago, by this
// process or another, and it never takes calls that are kept for sign-ins. Concurrent callers wait for one refresh.
func (s *Service) RefreshAccounts(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("refresh client accounts: %w", context.Cause(ctx))
	case <-s.refreshing:
	}
	defer func() { s.refreshing <- struct{}{} }()

	last, err := s.lastRefresh(ctx)
	if err != nil {
		return err
	}
	if age := s.now().Sub(last); age >= 0 && age < refreshAtAll {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	listed, err := s.client.Accounts(ctx, partnerapi.ClassPlan)
	if err != nil {
		return fmt.Errorf("refresh client accounts: %w", err)
	}
	now := s.now()
	all, odd := make([]store.Account, 0, len(listed)), 0
	for _, a := range listed {
		id, err := store.ParseAccountID(a.EncodedAccountID)
		if err != nil {
			odd++
			continue
		}
		all = append(all, store.Account{ID: id, Name: accountName(a), BillingStatus: printable(a.BillingStatus), SeenAt: now})
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
	return nil
}

// lastRefresh tells when the list was last read, by whomever. The caller holds the token of refreshing.
func (s *Service) lastRefresh(ctx context.Context) (time.Time, error) {
	known, err := s.accounts.List(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("list known client accounts: %w", err)
	}
	last := s.refreshedAt // for a list that came empty
	for _, a := range known {
		if a.SeenAt.After(last) {
			last = a.SeenAt
		}
	}
	return last, nil
}

// keepAccounts refreshes at the start, then every six hours; a failure is logged and tried again. Sign-ins do not depend on it.
func (s *Service) keepAccounts(ctx context.Context) {
	for {
		wait := refreshEvery
		if err := s.RefreshAccounts(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.log.Warn("list of client accounts could not be refreshed, the last one stays in use", "error", err, "again_in", refreshAgain)
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
		if name = printable(name); name != "" {
			return name
		}
	}
	return a.EncodedAccountID
}

// printable drops control characters and cuts to maxName characters: names come from outside and are shown on pages and terminals.
func printable(text string) string {
	out := make([]rune, 0, min(len(text), maxName))
	for _, r := range text {
		if len(out) == maxName {
			break
		}
		if !unicode.IsControl(r) {
			out = append(out, r)
		}
	}
	return string(out)
}
