package provisioning

import (
	"context"
	"errors"
	"sync"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/store"
)

const (
	// settleLimit bounds storing an outcome. It is part of the time that Run may take to stop.
	settleLimit = 3 * time.Second
	// leaseMargin is how much longer a lease holds than a call and its settling may take: a lease that ends under a running
	// call would let another worker send the same data at the same time. That would do no harm, since the second one is told
	// 409 for a row that may have been sent; a longer one would only keep people waiting after a crash.
	leaseMargin = 5 * time.Second
	// shortestIdle keeps the worker from spinning while the database's clock is behind ours.
	shortestIdle = 20 * time.Millisecond
)

// Run is the worker: it claims due rows, calls Constant Contact within the budget, stores outcomes, and refreshes the list of client
// accounts. Several may run over one store. It returns nil when ctx has ended and running calls are settled; after Drain, calls that still
// run are cut short and stored as of unknown outcome.
func (s *Service) Run(ctx context.Context) error {
	// Two ends after ctx's: calls are cut short first, so that there is time left to store what is known of them.
	calls, cutCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer cutCalls()
	settling, cutSettling := context.WithCancel(context.WithoutCancel(ctx))
	defer cutSettling()

	var background, running sync.WaitGroup
	background.Go(func() { s.keepAccounts(ctx) })
	background.Go(func() { s.keepGroupNames(ctx) })

	slots := make(chan struct{}, s.workers)
	for s.claimNext(ctx, slots, func(row store.SSOUser) {
		running.Go(func() {
			defer func() { <-slots }()
			s.attempt(calls, settling, row)
		})
	}) {
	}

	finished := make(chan struct{})
	go func() {
		running.Wait()
		close(finished)
	}()
	cut := time.AfterFunc(max(s.drain-settleLimit, s.drain/2), cutCalls)
	defer cut.Stop()
	give := time.AfterFunc(s.drain, cutSettling)
	defer give.Stop()
	<-finished
	background.Wait()
	return nil
}

// claimNext waits for a free slot and a due row and starts it. It returns false once ctx has ended.
func (s *Service) claimNext(ctx context.Context, slots chan struct{}, start func(store.SSOUser)) bool {
	select {
	case <-ctx.Done():
		return false
	case slots <- struct{}{}:
	}
	for ctx.Err() == nil {
		row, err := s.ledger.Claim(ctx, s.callLimit+settleLimit+leaseMargin)
		if err == nil {
			start(row)
			return true
		}
		if !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			s.log.Error("claim of the next SSO user to create failed, trying again", "error", err)
		}
		s.idle(ctx)
	}
	<-slots
	return false
}

// idle waits until a row may be due. Looking costs a read; only Claim writes.
func (s *Service) idle(ctx context.Context) {
	for {
		wait := s.poll
		if due, err := s.ledger.NextDue(ctx); err == nil {
			wait = min(wait, due.Sub(s.now()))
		}
		timer := time.NewTimer(max(wait, shortestIdle))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
			return
		case <-timer.C:
		}
		due, err := s.ledger.NextDue(ctx)
		if err == nil && !due.After(s.now()) || err != nil && !errors.Is(err, store.ErrNotFound) {
			return
		}
	}
}

// attempt makes the call of one claimed row and stores its outcome.
func (s *Service) attempt(calls, settling context.Context, row store.SSOUser) {
	limited, cancel := context.WithTimeout(calls, s.callLimit)
	err := s.client.CreateSSOUser(limited, class(row), string(row.Account), stored(row))
	cancel()

	ctx, cancel := context.WithTimeout(settling, settleLimit)
	defer cancel()
	settled, event := s.outcome(row, err, partnerapi.KindOf(err) == partnerapi.Conflict && s.restored(ctx))
	if e := s.ledger.Settle(ctx, settled, event); e != nil {
		// Nothing is lost: the row stays in sending until its lease ends, is then taken as possibly sent, and sent again as it stands.
		s.log.Error("outcome of creating an SSO user could not be stored", "person", row.Person, "account", row.Account, "state", settled.State, "error", e)
		return
	}
	s.logOutcome(settled, err)
	s.waiters.notify(userID{row.Person, row.Account})
}

// restored tells whether the ledger may have forgotten users of ours. If that can't be read, a conflict is held for an admin.
func (s *Service) restored(ctx context.Context) bool {
	at, err := s.ledger.Restored(ctx)
	if err != nil {
		s.log.Warn("time of the last restore could not be read", "error", err)
		return false
	}
	return !at.IsZero()
}

func (s *Service) logOutcome(row store.SSOUser, err error) {
	fields := []any{"person", row.Person, "account", row.Account, "state", row.State, "attempts", row.Attempts}
	switch {
	case err == nil || row.State == store.Assumed:
		s.log.Info("SSO user is there", fields...)
	case row.State == store.Wanted || row.State == store.Unknown:
		s.log.Warn("SSO user is not created yet", append(fields, "next_attempt", row.NextAttempt, "error", err)...)
	default:
		s.log.Error("SSO user is not created, an admin is needed", append(fields, "error", err)...)
	}
}

// keepGroupNames stores the present DNs of mapped groups that were renamed.
func (s *Service) keepGroupNames(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.renamed:
			limited, cancel := context.WithTimeout(ctx, settleLimit)
			if err := s.mappings.SetGroupDN(limited, r.mapping, r.dn); err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
				s.log.Warn("new DN of a renamed group could not be stored", "mapping", r.mapping, "error", err)
			}
			cancel()
		}
	}
}
