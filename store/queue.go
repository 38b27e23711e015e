package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// dueAt is when a worker may take a row in this state; 0 when none may.
func dueAt(s State, next, now time.Time) int64 {
	switch {
	case s != Wanted && s != Unknown:
		return 0
	case next.IsZero():
		return micros(now)
	}
	return micros(next)
}

// Claim takes a row that is due (wanted, unknown, or sending with an expired lease) in one of the classes up to upTo:
// in the lowest class that has one, the one that came first: who was throttled in between keeps their place. It marks
// it sending under a lease, raises its attempts and returns it so. MaybeSent of the returned row tells of earlier
// attempts: it is set for unknown, and for an expired lease, since its worker may have sent before it died. Several
// workers may claim at once; each row goes to one. ErrNotFound: nothing is due. The clock is the database's.
func (s *Ledger) Claim(ctx context.Context, lease time.Duration, upTo Priority) (SSOUser, error) {
	const what = "claim SSO user"
	// Nothing due is the usual answer and needs no writer.
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return SSOUser{}, s.db.explain(what, err)
	}
	if _, err := nextDue(ctx, s.db.engine.reader(), now, upTo); err != nil {
		return SSOUser{}, s.db.explain(what, err)
	}
	var u SSOUser
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		for {
			now, err := s.db.engine.clock(ctx, tx)
			if err != nil {
				return err
			}
			row, err := nextDue(ctx, tx, now, upTo)
			if err != nil {
				return err
			}
			// due_at is compared: on PostgreSQL another worker may have taken the
			// row since. Then the next one is looked for; each turn of the loop is
			// one claim by somebody, so it ends.
			u, err = scanUser(tx.QueryRowContext(ctx, `
				UPDATE sso_users SET
				       maybe_sent = maybe_sent OR state <> 'wanted', state = 'sending',
				       attempts = attempts + 1, lease_until = $1, due_at = $1, updated_at = $2
				 WHERE person_id = $3 AND account = $4 AND due_at = $5
				RETURNING `+userColumns,
				micros(now.Add(lease)), micros(now), row.person, row.account, row.due))
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
	})
	return u, err
}

type dueRow struct {
	person, account string
	due             int64
}

// nextDue finds the row to be claimed next.
func nextDue(ctx context.Context, q querier, now time.Time, upTo Priority) (r dueRow, err error) {
	err = q.QueryRowContext(ctx, nextDueQuery, micros(now), int(upTo)).Scan(&r.person, &r.account, &r.due)
	return r, err
}

// nextDueQuery searches each class by itself: in one search over all, rows of a low class that are due later would have
// to be walked through, and there can be thousands once the day's calls are used up. The index finds those that are
// due; the 500 that are it the longest, more than wait at a time while people come and go, are put into the order of
// their arrival.
const nextDueQuery = `
		SELECT person_id, account, due_at FROM (
		    SELECT * FROM (SELECT person_id, account, due_at, class FROM (
		                       SELECT person_id, account, due_at, created_at, class FROM sso_users
		                        WHERE class = 0 AND due_at > 0 AND due_at <= $1
		                        ORDER BY due_at, created_at LIMIT 500) AS aa
		                    ORDER BY created_at LIMIT 1) AS a
		    UNION ALL
		    SELECT * FROM (SELECT person_id, account, due_at, class FROM (
		                       SELECT person_id, account, due_at, created_at, class FROM sso_users
		                        WHERE class = 1 AND due_at > 0 AND due_at <= $1 AND $2 >= 1
		                        ORDER BY due_at, created_at LIMIT 500) AS bb
		                    ORDER BY created_at LIMIT 1) AS b
		    UNION ALL
		    SELECT * FROM (SELECT person_id, account, due_at, class FROM (
		                       SELECT person_id, account, due_at, created_at, class FROM sso_users
		                        WHERE class = 2 AND due_at > 0 AND due_at <= $1 AND $2 >= 2
		                        ORDER BY due_at, created_at LIMIT 500) AS cc
		                    ORDER BY created_at LIMIT 1) AS c) AS due
		 ORDER BY class LIMIT 1`

// NextDue tells when the next row of the classes up to upTo is due, which may be in the past; for a row
// that is being sent, when its lease ends. ErrNotFound: none waits.
func (s *Ledger) NextDue(ctx context.Context, upTo Priority) (time.Time, error) {
	var due int64
	err := s.db.engine.reader().QueryRowContext(ctx, earliestQuery, int(upTo)).Scan(&due)
	return fromMicros(due), s.db.explain("find next due SSO user", err)
}

const earliestQuery = `
		SELECT due_at FROM (
		    SELECT * FROM (SELECT due_at FROM sso_users WHERE class = 0 AND due_at > 0
		                    ORDER BY due_at, created_at LIMIT 1) AS a
		    UNION ALL
		    SELECT * FROM (SELECT due_at FROM sso_users WHERE class = 1 AND due_at > 0 AND $1 >= 1
		                    ORDER BY due_at, created_at LIMIT 1) AS b
		    UNION ALL
		    SELECT * FROM (SELECT due_at FROM sso_users WHERE class = 2 AND due_at > 0 AND $1 >= 2
		                    ORDER BY due_at, created_at LIMIT 1) AS c) AS next
		 ORDER BY due_at LIMIT 1`

// Renew prolongs the lease of a claimed row from now on and returns its new end, which Settle wants to see.
// ErrConflict: the claim is no longer this worker's, or an admin has suspended the row. The clock is the database's.
func (s *Ledger) Renew(ctx context.Context, u SSOUser, lease time.Duration) (time.Time, error) {
	var until time.Time
	err := s.db.write(ctx, "renew lease of SSO user", func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		until = now.Add(lease)
		n, err := rowsAffected(ctx, tx, `
			UPDATE sso_users SET lease_until = $1, due_at = $1
			 WHERE person_id = $2 AND account = $3 AND state = 'sending' AND attempts = $4 AND lease_until = $5`,
			micros(until), string(u.Person), string(u.Account), u.Attempts, micros(u.LeaseUntil))
		if err == nil && n == 0 {
			err = ErrConflict
		}
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	return until, nil
}

// Settle stores the outcome of a claimed row (State, MaybeSent, Failures, Throttles, NextAttempt, Earliest, ErrorKey,
// ErrorText, Cause, and the Priority in which it goes on), with its event, if Attempts and LeaseUntil are still those
// of this claim and the row is still being sent. A row that was suspended meanwhile stays so, and goes back to this
// outcome. An item of a plan ends with its row. ErrConflict: another worker has taken it over since, and its outcome
// counts.
func (s *Ledger) Settle(ctx context.Context, u SSOUser, e Event) error {
	const what = "settle SSO user"
	switch u.State {
	case Wanted, Unknown, Active, Assumed, Conflict, Refused:
	default:
		return s.db.explain(what, fmt.Errorf("state %q is no outcome", u.State))
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// No claim's lease ends at 0, which is that of a row without one.
		var (
			state State
			plan  int64
		)
		err = tx.QueryRowContext(ctx, `
			UPDATE sso_users SET
			       state = CASE WHEN state = 'suspended' THEN 'suspended' ELSE $1 END,
			       before_state = CASE WHEN state = 'suspended' THEN $1 ELSE '' END,
			       due_at = CASE WHEN state = 'suspended' THEN 0 ELSE CAST($2 AS BIGINT) END,
			       maybe_sent = $3, next_attempt = $4, lease_until = 0, error_key = $5, error_text = $6, updated_at = $7, class = $8,
			       failures = $9, earliest_attempt = $10, error_cause = $11, cause_at = $7,
			       throttles = $12
			 WHERE person_id = $13 AND account = $14 AND state IN ('sending', 'suspended')
			   AND attempts = $15 AND lease_until = $16 AND lease_until <> 0
			RETURNING state, plan`,
			string(u.State), dueAt(u.State, u.NextAttempt, now), u.MaybeSent, micros(u.NextAttempt),
			u.ErrorKey, u.ErrorText, micros(now), int(u.Priority), u.Failures, micros(u.Earliest), u.Cause, u.Throttles,
			string(u.Person), string(u.Account), u.Attempts, micros(u.LeaseUntil)).Scan(&state, &plan)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrConflict
		}
		if err != nil {
			return err
		}
		if err := endItem(ctx, tx, u, state, plan, now); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// endItem ends the plan item of a row that is now in this state. One that waits again, or is suspended, goes on being
// sent.
func endItem(ctx context.Context, tx querier, u SSOUser, s State, plan int64, now time.Time) error {
	var (
		ended        string
		done, failed int64
	)
	switch {
	case plan == 0:
		return nil
	case s == Active, s == Assumed:
		ended, done = ItemDone, 1
	case s == Conflict, s == Refused:
		ended, failed = ItemFailed, 1
	default:
		return nil
	}
	n, err := rowsAffected(ctx, tx, `
		UPDATE plan_items SET state = $1, updated_at = $2
		 WHERE person_id = $3 AND account = $4 AND plan = $5 AND kind = 'create' AND state = 'sending'`,
		ended, micros(now), string(u.Person), string(u.Account), plan)
	if err != nil || n == 0 {
		return err
	}
	return countItems(ctx, tx, plan, done, failed, 0)
}

// countedPlaces is how far Queue counts those ahead: a page asks for each person who waits.
const countedPlaces = 10_000

// Queue tells a waiting row's place (1 = first, at most 10,000) in the order of arrival in its class, behind all of
// lower classes; rows that are being sent wait too. ErrNotFound: this one does not wait.
func (s *Ledger) Queue(ctx context.Context, p PersonID, a AccountID) (place int, err error) {
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT (SELECT COUNT(*) FROM (
		            SELECT 1 FROM sso_users o
		             WHERE o.due_at > 0
		               AND (o.class < u.class OR (o.class = u.class AND o.created_at <= u.created_at)) LIMIT $1) AS ahead)
		  FROM sso_users u
		 WHERE u.person_id = $2 AND u.account = $3 AND u.due_at > 0`,
		countedPlaces, string(p), string(a)).Scan(&place)
	return place, s.db.explain("find place in the queue", err)
}

// prioritizePause is the least time between an outcome and an attempt that a waiting person brings forward. A page that
// is loaded again and again must not use up the calls of the day.
const prioritizePause = 10 * time.Second

// EarliestPriority is the earliest time to which Prioritize brings the next attempt of a waiting row forward, if that
// is ahead.
func (u SSOUser) EarliestPriority() time.Time {
	at := u.UpdatedAt.Add(prioritizePause)
	if u.Earliest.After(at) {
		return u.Earliest
	}
	return at
}

// Prioritize puts a row that waits (wanted, unknown) into a class that goes earlier, because a person waits for it now,
// and brings its next attempt forward: to now, but never to before EarliestPriority. It does nothing where the row is
// in that class and due by then. The clock is the database's.
func (s *Ledger) Prioritize(ctx context.Context, k UserKey, c Priority) error {
	return s.raise(ctx, k, c, SSOUser.EarliestPriority)
}

// PrioritizeNow is Prioritize that waits for no pause: what the row waited for is over.
func (s *Ledger) PrioritizeNow(ctx context.Context, k UserKey, c Priority) error {
	return s.raise(ctx, k, c, func(SSOUser) time.Time { return time.Time{} })
}

func (s *Ledger) raise(ctx context.Context, k UserKey, c Priority, least func(SSOUser) time.Time) error {
	const what = "raise SSO user"
	// A page that waits asks again and again; once is enough.
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return s.db.explain(what, err)
	}
	row, err := getUser(ctx, s.db.engine.reader(), k.Person, k.Account)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil || (row.State != Wanted && row.State != Unknown) {
		return s.db.explain(what, err)
	}
	at := now
	if least := least(row); least.After(at) {
		at = least
	}
	if row.Priority <= c && !row.NextAttempt.After(at) {
		return nil
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		// updated_at and earliest_attempt are compared: after another outcome, other times hold.
		_, err := tx.ExecContext(ctx, `
			UPDATE sso_users SET
			       class = CASE WHEN class > $1 THEN $1 ELSE class END,
			       due_at = CASE WHEN due_at > $2 THEN $2 ELSE due_at END,
			       next_attempt = CASE WHEN next_attempt > $2 THEN $2 ELSE next_attempt END
			 WHERE person_id = $3 AND account = $4 AND state IN ('wanted', 'unknown')
			   AND (class > $1 OR due_at > $2) AND updated_at = $5 AND earliest_attempt = $6`,
			int(c), micros(at), string(k.Person), string(k.Account), micros(row.UpdatedAt), micros(row.Earliest))
		return err
	})
}

// RequeueNow makes a row due at once in class c, with its event: wanted and unknown rows lose their back-off, refused
// and conflicting ones that surely were not created go back to wanted with the data that they have. A row that is due
// already keeps its place in the queue. It returns whether it did anything.
func (s *Ledger) RequeueNow(ctx context.Context, k UserKey, c Priority, e Event) (bool, error) {
	did := false
	err := s.db.write(ctx, "try SSO user again", func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// The attempts begin anew, since the back-off is reckoned from them. A claim is still told from all others by its
		// lease.
		n, err := rowsAffected(ctx, tx, `
			UPDATE sso_users SET
			       due_at = CASE WHEN due_at > 0 AND due_at < $1 THEN due_at ELSE $1 END,
			       state = CASE WHEN state = 'unknown' THEN 'unknown' ELSE 'wanted' END,
			       attempts = 0, failures = 0, throttles = 0, next_attempt = 0, earliest_attempt = 0, lease_until = 0,
			       error_key = '', error_text = '', updated_at = $1, class = $2
			 WHERE person_id = $3 AND account = $4
			   AND (state IN ('wanted', 'unknown') OR (state IN ('refused', 'conflict') AND NOT maybe_sent))`,
			micros(now), int(c), string(k.Person), string(k.Account))
		if did = n == 1; err != nil || !did {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	return did && err == nil, err
}

// Doubt makes an assumed row due at once in class c, with its event: it is unknown from then on whether the user
// exists, and the call is made that finds out. An owner's row, and one without the data that a creation sends, stay as
// they are: no call could be made for them. It returns whether it did anything.
func (s *Ledger) Doubt(ctx context.Context, k UserKey, c Priority, e Event) (bool, error) {
	did := false
	err := s.db.write(ctx, "doubt an assumed SSO user", func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// maybe_sent: that the user exists is what was assumed, so an answer that it does is no conflict.
		n, err := rowsAffected(ctx, tx, `
			UPDATE sso_users SET
			       due_at = $1, state = 'unknown', maybe_sent = TRUE, attempts = 0, failures = 0, throttles = 0,
			       next_attempt = 0, earliest_attempt = 0, lease_until = 0, error_key = '', error_text = '', updated_at = $1, class = $2
			 WHERE person_id = $3 AND account = $4
			   AND state = 'assumed' AND role <> 'owner' AND login_name <> '' AND contact_email <> ''`,
			micros(now), int(c), string(k.Person), string(k.Account))
		if did = n == 1; err != nil || !did {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	return did && err == nil, err
}

// CreateAgain puts the row of a user whom an admin misses at Constant Contact back into the queue, in class u.Priority
// and with its event: the user is created again under the same external id and, where there is one, the same login
// name, with u's mail address, names, role and mapping. Since when the row is there, and its attempts, stay. It returns
// whether it did anything: the row of an owner, and one that is neither active nor assumed, stays as it is.
// ErrConflict: a login name that the row had none of stands at another row.
func (s *Ledger) CreateAgain(ctx context.Context, u SSOUser, e Event) (bool, error) {
	did := false
	err := s.db.write(ctx, "create SSO user again", func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// With the role that was sent before, an answer that the user exists means that nobody was missing. With another one
		// it is a conflict: whoever is there has the role before, and no call could change it.
		n, err := rowsAffected(ctx, tx, `
			UPDATE sso_users SET
			       maybe_sent = (role = $1), state = CASE WHEN role = $1 THEN 'unknown' ELSE 'wanted' END, role = $1,
			       login_name = CASE WHEN login_name = '' THEN $2 ELSE login_name END, contact_email = $3, first_name = $4,
			       last_name = $5, mapping = $6, failures = 0, throttles = 0, next_attempt = 0, earliest_attempt = 0, lease_until = 0,
			       error_key = '', error_text = '', due_at = $7, updated_at = $7, class = $8
			 WHERE person_id = $9 AND account = $10 AND state IN ('active', 'assumed') AND role <> 'owner'`,
			string(u.Role), u.LoginName, u.ContactEmail, u.FirstName, u.LastName, u.Mapping, micros(now), int(u.Priority),
			string(u.Person), string(u.Account))
		if did = n == 1; err != nil || !did {
			return err
		}
		// It is created with the data of today.
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM changed_users WHERE person_id = $1 AND account = $2 AND done_at = 0`,
			string(u.Person), string(u.Account)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	return did && err == nil, err
}
