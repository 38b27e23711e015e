package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Claim takes the next open creation of the plan that is being applied, or one whose claim has run out, for so long.
// Those come behind the open ones: an item that can't be looked at does not hold up the rest. Several workers may claim
// at once; each item goes to one. The clock is the database's. ErrNotFound: there is none, or no plan is being applied.
func (s *Plans) Claim(ctx context.Context, lease time.Duration) (PlanItem, error) {
	const what = "claim plan item"
	// Nothing to claim is the usual answer and needs no writer.
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return PlanItem{}, s.db.explain(what, err)
	}
	if _, err := nextItem(ctx, s.db.engine.reader(), now); err != nil {
		return PlanItem{}, s.db.explain(what, err)
	}
	var i PlanItem
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		for {
			now, err := s.db.engine.clock(ctx, tx)
			if err != nil {
				return err
			}
			next, err := nextItem(ctx, tx, now)
			if err != nil {
				return err
			}
			// due_at tells one claim from the next: it is compared, since on PostgreSQL another worker may have taken the item
			// since, and it grows with each claim. Each turn of the loop is one claim by somebody, so it ends.
			i, err = scanItem(tx.QueryRowContext(ctx, `
				UPDATE plan_items SET state = 'claimed', due_at = $1, updated_at = $2
				 WHERE plan = $3 AND position = $4 AND due_at = $5 AND state IN ('open', 'claimed')
				RETURNING `+itemColumns,
				max(micros(now.Add(lease)), next.due+1), micros(now), next.plan, next.position, next.due))
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
	})
	return i, err
}

type dueItem struct{ plan, position, due int64 }

// nextItem finds the creation to be claimed next: of those that are open, due_at is 0; of those that are claimed, the
// end of the lease.
func nextItem(ctx context.Context, q querier, now time.Time) (i dueItem, err error) {
	// Two statements: in one, PostgreSQL can't know that there is one plan, and would sort what the index has sorted
	// already.
	if err := q.QueryRowContext(ctx, `
		SELECT id FROM plans WHERE state = 'applying'`).Scan(&i.plan); err != nil {
		return i, err
	}
	err = q.QueryRowContext(ctx, nextItemQuery, i.plan, micros(now)).Scan(&i.position, &i.due)
	return i, err
}

// nextItemQuery stands apart for the test that it is a search of the index, however many items are done.
const nextItemQuery = `
		SELECT position, due_at FROM plan_items
		 WHERE plan = $1 AND kind = 'create' AND state IN ('open', 'claimed') AND due_at <= $2
		 ORDER BY due_at, position LIMIT 1`

// Begin stores the intention of a claimed item: the ledger row u (state sending, one attempt, class plan, under a
// lease), and the item is sending, in one transaction, with the event. ErrConflict: the item is no longer claimed, its
// plan no longer applying, or (person, account), the external id (in any letter case, see CaseClashError) or the login
// name has a row already; nothing is changed then.
func (s *Plans) Begin(ctx context.Context, i PlanItem, u SSOUser, lease time.Duration, e Event) (SSOUser, error) {
	const what = "begin plan item"
	if u.Person != i.Person || u.Account != i.Account {
		return SSOUser{}, s.db.explain(what, fmt.Errorf("item %d of plan %d is another person or client account than the row",
			i.Position, i.Plan))
	}
	var row SSOUser
	err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		created := u.CreatedAt
		if created.IsZero() {
			created = now
		}
		if err := checkExternalID(ctx, tx, u); err != nil {
			return err
		}
		// The ledger's row first, then the item, as Settle does: the same order of locks.
		row, err = scanUser(tx.QueryRowContext(ctx, `
			INSERT INTO sso_users (person_id, account, external_id, external_provider, login_name, contact_email, first_name, last_name,
			    role, mapping, class, plan, lease_until, due_at, created_at, updated_at,
			    state, maybe_sent, attempts, next_attempt, error_key, error_text, before_state)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15, 'sending', FALSE, 1, 0, '', '', '')
			ON CONFLICT (person_id, account) DO NOTHING
			RETURNING `+userColumns,
			string(u.Person), string(u.Account), u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail,
			u.FirstName, u.LastName,
			string(u.Role), u.Mapping, int64(PlanPriority), i.Plan, micros(now.Add(lease)), micros(created), micros(now)))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrConflict
		}
		if err != nil {
			return err
		}
		n, err := rowsAffected(ctx, tx, `
			UPDATE plan_items SET state = 'sending', due_at = 0, updated_at = $1
			 WHERE plan = $2 AND position = $3 AND state = 'claimed' AND due_at = $4 AND person_id = $5 AND account = $6
			   AND EXISTS (SELECT 1 FROM plans p WHERE p.id = plan_items.plan AND p.state = 'applying')`,
			micros(now), i.Plan, i.Position, micros(i.LeaseUntil), string(i.Person), string(i.Account))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	if err != nil {
		return SSOUser{}, err
	}
	return row, nil
}

// Skip ends a claimed item that has changed since the plan was made. reason is a fixed word. ErrConflict: the item is
// no longer claimed, or by another worker.
func (s *Plans) Skip(ctx context.Context, i PlanItem, reason string) error {
	return s.db.write(ctx, "skip plan item", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE plan_items SET state = 'skipped', due_at = 0, reason = $1, updated_at = $2
			 WHERE plan = $3 AND position = $4 AND state = 'claimed' AND due_at = $5`,
			sanitize(reason), micros(s.db.now()), i.Plan, i.Position, micros(i.LeaseUntil))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return countItems(ctx, tx, i.Plan, 0, 0, n)
	})
}

// countItems adds to a plan's counters.
func countItems(ctx context.Context, tx querier, plan, done, failed, skipped int64) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE plans SET done = done + $1, failed = failed + $2, skipped = skipped + $3 WHERE id = $4`, done, failed, skipped, plan)
	return err
}
