package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Approve stores the request of an order that waits, with the event, whose Subject is filled in. ErrNotFound;
// ErrConflict: it waits no more, or its login name was asked for meanwhile. ErrExpired: its time is over, and it is
// stored as expired. ErrRevoked: the person's access was revoked since, and it is stored as stopped.
func (s *SelfOrders) Approve(ctx context.Context, id int64, e Event) (o SelfOrder, err error) {
	var ended error
	err = s.db.write(ctx, "approve an order of a client account", func(ctx context.Context, tx querier) error {
		ended = nil
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		if o, err = s.waiting(ctx, tx, id); err != nil {
			return err
		}
		e.Subject = o.Name()
		switch revoked, err := selfRevoked(ctx, tx, o.ID); {
		case err != nil:
			return err
		case revoked:
			ended, e.Outcome, e.Reason = ErrRevoked, "refused", SelfOrderStopped
			return endSelf(ctx, tx, &o, SelfOrderStopped, "", "", now, e)
		case !now.Before(o.ExpiresAt):
			ended, e.Outcome, e.Reason = ErrExpired, "refused", SelfOrderExpired
			return endSelf(ctx, tx, &o, SelfOrderExpired, "", "", now, e)
		}
		if err := addEvents(ctx, tx, now, []Event{e}); err != nil {
			return err
		}
		o, err = orderSelf(ctx, tx, o, e.Actor, now)
		return err
	})
	if err == nil {
		err = ended
	}
	return o, err
}

// ErrExpired says that something was not done in time.
var ErrExpired = errors.New("not done in time")

// waiting is an order in the turn of those who change orders. ErrNotFound; ErrConflict: it does not wait for approval.
func (s *SelfOrders) waiting(ctx context.Context, tx querier, id int64) (SelfOrder, error) {
	if err := inTurnOfOrders(ctx, tx); err != nil {
		return SelfOrder{}, err
	}
	o, err := getSelfOrder(ctx, tx, id)
	if err == nil && o.State != SelfOrderWaiting {
		err = ErrConflict
	}
	return o, err
}

// Refuse ends an order that waits, with a reason for the person. ErrNotFound; ErrConflict: it waits no more.
func (s *SelfOrders) Refuse(ctx context.Context, id int64, reason string, e Event) (o SelfOrder, err error) {
	err = s.db.write(ctx, "refuse an order of a client account", func(ctx context.Context, tx querier) (err error) {
		if o, err = s.waiting(ctx, tx, id); err != nil {
			return err
		}
		e.Subject = o.Name()
		return endSelf(ctx, tx, &o, SelfOrderRefused, sanitize(reason), e.Actor, s.db.now(), e)
	})
	return o, err
}

// Stop ends an order whose person has lost the right to it, with its request if that was not sent yet. did is false
// where it was sent, or has ended.
func (s *SelfOrders) Stop(ctx context.Context, id int64, reason string, e Event) (did bool, err error) {
	err = s.db.write(ctx, "stop an order of a client account", func(ctx context.Context, tx querier) error {
		did = false
		if err := inTurnOfOrders(ctx, tx); err != nil {
			return err
		}
		now := s.db.now()
		o, err := getSelfOrder(ctx, tx, id)
		if err != nil || !o.Open() {
			return err
		}
		if o.State == SelfOrderOrdered {
			n, err := rowsAffected(ctx, tx, `
				UPDATE account_requests SET state = 'refused', error_key = 'stopped', error_text = $1, updated_at = $2
				 WHERE id = $3 AND state = 'wanted'`, sanitize(reason), micros(now), o.Request)
			if err != nil || n == 0 {
				return err // it was sent
			}
		}
		did = true
		e.Subject = o.Name()
		return endSelf(ctx, tx, &o, SelfOrderStopped, sanitize(reason), "", now, e)
	})
	return did, err
}

// endSelf stores the end of an order with its event.
func endSelf(ctx context.Context, tx querier, o *SelfOrder, state, reason, by string, now time.Time, e Event) error {
	decided := int64(0)
	if by != "" {
		decided = micros(now)
	}
	ended, err := scanSelfOrder(tx.QueryRowContext(ctx, `
		UPDATE self_orders SET state = $1, reason = $2, decided_at = $3, decided_by = $4 WHERE id = $5
		RETURNING `+selfOrderColumns, state, reason, decided, by, o.ID))
	if err != nil {
		return err
	}
	*o = ended
	return addEvents(ctx, tx, now, []Event{e})
}

// selfRevoked tells whether the person's access was revoked, or a user of theirs suspended, since they ordered.
func selfRevoked(ctx context.Context, tx querier, id int64) (revoked bool, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT COALESCE((SELECT epoch FROM person_epochs WHERE person_epochs.person_id = self_orders.person_id), 0) <> epoch
		    OR EXISTS (SELECT 1 FROM sso_users WHERE sso_users.person_id = self_orders.person_id AND state = 'suspended')
		    OR EXISTS (SELECT 1 FROM moved_people WHERE moved_people.person_id = self_orders.person_id)
		  FROM self_orders WHERE id = $1`, id).Scan(&revoked)
	return revoked, err
}

// carrySelfOrder takes a person's open order over to their next epoch, unless it was of an older one than before.
func carrySelfOrder(ctx context.Context, tx querier, p PersonID, before, epoch int64) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE self_orders SET epoch = $1 WHERE person_id = $2 AND state IN ('waiting', 'ordered') AND epoch = $3`,
		epoch, string(p), before)
	return err
}

// settleSelfOrder brings the order of a request that was settled along. ErrRevoked: it must not be sent. A request that
// was refused may be somebody else's by now, who ordered the same for the person.
func settleSelfOrder(ctx context.Context, tx querier, r AccountRequest, from string, now time.Time) error {
	switch r.State {
	case RequestSending, RequestCreated, RequestConflict, RequestRefused:
	default:
		return nil
	}
	var id int64
	err := tx.QueryRowContext(ctx, `
		SELECT id FROM self_orders
		 WHERE request = $1 AND request > 0 AND state IN ('ordered', 'failed')
		   AND EXISTS (SELECT 1 FROM account_requests
		                WHERE account_requests.id = self_orders.request AND created_by = 'self:' || self_orders.person_id)
		 ORDER BY id DESC LIMIT 1`, r.ID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	state, reason := SelfOrderFailed, r.ErrorText
	switch r.State {
	case RequestSending:
		if from != RequestWanted {
			return nil // it may have arrived: only asking again tells
		}
		revoked, err := selfRevoked(ctx, tx, id)
		if err == nil && revoked {
			err = ErrRevoked
		}
		return err
	case RequestCreated:
		state, reason = SelfOrderCreated, ""
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE self_orders SET state = $1, reason = $2,
		       plan_state = CASE WHEN $1 = 'created' AND plan <> '' THEN 'wanted' ELSE '' END, plan_at = $3
		 WHERE id = $4`, state, sanitize(reason), micros(now), id)
	return err
}

// Expire ends orders that nobody has approved in time, at most 100 at once, and tells how many.
func (s *SelfOrders) Expire(ctx context.Context) (n int, err error) {
	err = s.db.write(ctx, "end orders that nobody has approved", func(ctx context.Context, tx querier) error {
		n = 0
		if err := inTurnOfOrders(ctx, tx); err != nil {
			return err
		}
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		over, err := collect(ctx, tx, scanSelfOrder, `
			SELECT `+selfOrderColumns+` FROM self_orders
			 WHERE state = 'waiting' AND expires_at <= $1 ORDER BY expires_at, id LIMIT 100`, micros(now))
		if err != nil {
			return err
		}
		for _, o := range over {
			e := Event{At: now, Actor: "worker", Action: "self-order-expire", Subject: o.Name(), Outcome: "ok"}
			if err := endSelf(ctx, tx, &o, SelfOrderExpired, "", "", now, e); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// Purge deletes orders that led to nothing and are older than keep, in small batches; it returns how many. What was
// created stays: one person may order a number of client accounts in all.
func (s *SelfOrders) Purge(ctx context.Context, keep time.Duration) (int, error) {
	before := micros(s.db.now().Add(-keep))
	const what = "purge orders of client accounts"
	return s.db.inBatches(ctx, what, sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM self_orders WHERE state IN ('refused', 'expired', 'stopped', 'failed') AND id IN
			    (SELECT id FROM self_orders
			      WHERE state IN ('refused', 'expired', 'stopped', 'failed') AND created_at < $1
			      ORDER BY created_at LIMIT `+inSweep+`)`, before)
		return int(n), err
	})
}
