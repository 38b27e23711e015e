package provisioning

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/store"
)

const (
	hintGap      = time.Minute // between two readings of one account
	hintPoll     = time.Second // how often due readings are looked for: one cheap read
	longestHint  = time.Hour   // between attempts
	hintAttempts = 8           // then the next reading of the whole list, or the next webhook, has to do
	hintAgain    = "read-again"
)

var hintEvent = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// HintAccount takes what a webhook's body named as a hint that the account's state has changed: it will be read again.
// known is false for an account that is none of ours.
//
// It stores and calls nobody. However many come, an account is read once a minute at most, and all of them HintsPerDay
// times a day.
func (s *Service) HintAccount(ctx context.Context, id store.AccountID, event string) (known bool, err error) {
	if !hintEvent.MatchString(event) {
		return false, &InputError{
			Field: "event_type", Fault: "has a form that is not known",
			Fix: "send a word of letters, digits and dots",
		}
	}
	known, err = s.accounts.AccountChanged(ctx, id, event, hintGap)
	if err != nil {
		return false, fmt.Errorf("note that client account %s has changed: %w", id, err)
	}
	return known, nil
}

// keepHints reads the accounts that webhooks named, one at a time. It needs no lease: the store gives each due reading
// to one replica, and counts the day's. A replica that dies with a reading loses it to the next reading of the whole
// list.
func (s *Service) keepHints(ctx context.Context) {
	failures := map[store.AccountID]int{}
	look := time.NewTicker(min(hintPoll, s.poll))
	defer look.Stop()
	for {
		for s.readHinted(ctx, failures) {
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// readHinted reads one due account and tells whether there was one.
func (s *Service) readHinted(ctx context.Context, failures map[store.AccountID]int) bool {
	if ctx.Err() != nil {
		return false
	}
	id, err := s.accounts.NextChanged(ctx, s.hintsPerDay)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			s.log.Warn("client accounts that webhooks named could not be looked for", "error", err)
		}
		return false
	}
	_, err = s.readPlan(ctx, partnerapi.PriorityPlan, id, "worker")
	if err == nil {
		delete(failures, id)
		return true
	}
	failures[id]++
	again := hintWait(err, failures[id])
	if again == 0 {
		delete(failures, id)
		s.log.Warn("client account that a webhook named could not be read, it is left to the next reading of the list",
			"account", id, "error", err)
		return true
	}
	// Also when the program is being stopped: the next start goes on with it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	s.log.Warn("client account that a webhook named could not be read, trying again", "account", id, "again_in",
		again, "error", err)
	if _, err := s.accounts.AccountChanged(ctx, id, hintAgain, again); err != nil {
		s.log.Warn("reading of a client account could not be asked for again", "account", id, "error", err)
	}
	return true
}

// hintWait is how long until a reading that failed for the nth time is tried again; 0: not at all.
func hintWait(err error, n int) time.Duration {
	var e *partnerapi.Error
	switch {
	case n >= hintAttempts:
		return 0
	case errors.As(err, &e) && (e.Kind == partnerapi.NotFound || e.Kind == partnerapi.BadRequest ||
		e.Kind == partnerapi.Forbidden):
		return 0 // another try would be told the same
	case errors.As(err, &e) && e.Kind == partnerapi.QuotaExceeded && e.Wait > 0:
		return max(e.Wait, hintGap)
	}
	return min(hintGap<<(n-1), longestHint)
}
