package provisioning

import (
	"context"
	"errors"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// attempt makes the call of one claimed row and stores its outcome.
func (w *worker) attempt(j job) {
	s := w.s
	stop := w.keepLease(j.row)
	calls, end := s.beginSpan.begin(w.calls, spanCreate)
	limited, cancel := context.WithTimeout(calls, s.callLimit)
	err := s.client.CreateSSOUser(limited, j.row.Priority.String(), string(j.row.Account), stored(j.row))
	cut := limited.Err() != nil
	cancel()
	row, doubt := stop()

	// Of the same span, and it outlives the calls.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(calls), settleLimit)
	defer cancel()
	defer context.AfterFunc(w.settling, cancel)()
	c := circumstances{cut: cut, stopped: cut && w.calls.Err() != nil, outage: w.report(ctx, j, find(err, cut))}
	if known, err := s.capacity(ctx); err == nil {
		c.others = !known.budget.Worked.IsZero() && s.now().Sub(known.budget.Worked) < sameTime
	}
	switch partnerapi.KindOf(err) {
	case partnerapi.Conflict:
		former, err := s.ledger.MovedFrom(ctx, row.Person)
		if err != nil {
			s.log.Warn("it could not be read whether a person was moved to a source", "person", row.Person, "error", err)
		}
		c.former, c.forgotten = former, s.forgotten(ctx, row, former)
	case partnerapi.QuotaExceeded:
		s.forgetCapacity() // background work stops at once
	}
	settled, event := s.outcome(row, err, c)
	if end != nil {
		defer end(j.row.Priority.String(), string(settled.State), err)
	}
	if e := w.settle(ctx, settled, event, doubt); e != nil {
		// Nothing is lost: the row stays in sending until its lease ends, is then taken as possibly sent, and sent again as
		// it stands.
		s.log.Error("outcome of creating an SSO user could not be stored", "person", row.Person, "account", row.Account,
			"state", settled.State, "error", e)
		return
	}
	s.logOutcome(settled, err)
	s.waiters.notify(userID{row.Person, row.Account})
}

// keepLease renews the lease of a claimed row until stop is called, which returns the row as Settle wants it; doubt: a
// renewal may have been stored that is not in it. A call whose lease is lost goes on: it can't be taken back, and who
// has taken the row over is told 409 for the same data.
func (w *worker) keepLease(row store.SSOUser) (stop func() (_ store.SSOUser, doubt bool)) {
	doubt := false
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		third := w.s.lease / 3
		tick := time.NewTicker(third)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			// It is not cut short by done: a renewal that was cut may have been stored, and Settle would not know the lease.
			ctx, cancel := context.WithTimeout(w.settling, third)
			until, err := w.s.ledger.Renew(ctx, row, w.s.lease)
			cancel()
			switch {
			case err == nil:
				row.LeaseUntil, doubt = until, false
			case errors.Is(err, store.ErrConflict):
				w.s.log.Warn("lease of an SSO user that is being created was lost, or it was suspended", "person", row.Person,
					"account", row.Account)
				return
			default:
				doubt = true
				w.s.log.Warn("lease of an SSO user that is being created could not be renewed, trying again", "person", row.Person,
					"account", row.Account, "error", err)
			}
		}
	}()
	return func() (store.SSOUser, bool) {
		close(done)
		<-ended
		return row, doubt
	}
}

// settle stores an outcome. With a doubt about the lease it takes the row's own: attempts are counted by claims, so the
// same number means that the claim is still ours.
func (w *worker) settle(ctx context.Context, row store.SSOUser, e store.Event, doubt bool) error {
	err := w.s.ledger.Settle(ctx, row, e)
	if !doubt || !errors.Is(err, store.ErrConflict) {
		return err
	}
	now, lookErr := w.s.ledger.Get(ctx, row.Person, row.Account)
	if lookErr != nil || now.Attempts != row.Attempts || now.LeaseUntil.IsZero() {
		return err
	}
	row.LeaseUntil = now.LeaseUntil
	return w.s.ledger.Settle(ctx, row, e)
}

// forgotten tells whether the ledger may have forgotten that this row's user is ours. That is so while creations are
// held, since a hold begins when a copy is restored or the ledger was lost; and only for an external id that our
// templates give this person, which nobody else's user can have: by the id that they have, or by the former one, under
// which the user of somebody who was moved to a source was made. If the hold can't be read, a conflict is kept for an
// admin.
func (s *Service) forgotten(ctx context.Context, row store.SSOUser, former store.PersonID) bool {
	hold, err := s.ledger.ProvisioningPause(ctx)
	if err != nil {
		s.log.Warn("hold on creations could not be read", "error", err)
		return false
	}
	if former != "" {
		was := row
		was.Person = former
		return !hold.Since.IsZero() && (s.derived(row) || s.derived(was))
	}
	return !hold.Since.IsZero() && s.derived(row)
}

// derived tells whether a row's external id is the one that the template gives its person in its account.
func (s *Service) derived(row store.SSOUser) bool {
	if !s.externalID.Uses("person_id", "key") {
		// A login, a name or an attribute can be given to another person, whose user would then be taken for this one's: of
		// an external id without the immutable id a conflict is kept for an admin.
		return false
	}
	if s.externalID.Uses("login", "mail", "first_name", "last_name", "attr") {
		// It can't be rendered from the row alone. But what is sent was rendered by us when it was wanted: what an admin
		// tells is never sent.
		return row.Attempts > 0
	}
	v := mapping.Values{Account: row.Account}
	v.Person.ID = string(row.Person)
	id, err := s.externalID.Render(v)
	return err == nil && id == row.ExternalID && row.ExternalProvider == s.provider
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
