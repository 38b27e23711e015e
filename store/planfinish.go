package store

import "context"

// Finish makes the plan that is being applied done, with its event, if none of its creations is open, claimed or
// sending; it tells whether it did. Items that are sending although their row in the ledger is settled or gone, by an
// admin's doing, are ended first.
func (s *Plans) Finish(ctx context.Context, id int64, e Event) (bool, error) {
	const what = "finish plan"
	// Not yet is the usual answer and needs no writer.
	var open, astray bool
	if err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM plan_items WHERE plan = $1 AND kind = 'create' AND state IN ('open', 'claimed')),
		       EXISTS (SELECT 1 FROM plan_items WHERE plan = $1 AND state = 'sending' AND NOT `+onItsWay+`)`,
		id).Scan(&open, &astray); err != nil {
		return false, s.db.explain(what, err)
	}
	if open && !astray {
		return false, nil
	}
	var finished bool
	err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := reconcile(ctx, tx, id, micros(now)); err != nil {
			return err
		}
		n, err := rowsAffected(ctx, tx, `
			UPDATE plans SET state = 'done', finished_at = $1
			 WHERE id = $2 AND state = 'applying'
			   AND NOT EXISTS (SELECT 1 FROM plan_items i WHERE i.plan = plans.id AND i.kind = 'create' AND i.state IN ('open', 'claimed'))
			   AND NOT EXISTS (SELECT 1 FROM plan_items i WHERE i.plan = plans.id AND i.state = 'sending')`, micros(now), id)
		if finished = n == 1; err != nil || !finished {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	return finished && err == nil, err
}

// Conditions on an item: in which states its row in the ledger is.
const (
	itsRow   = `EXISTS (SELECT 1 FROM sso_users u WHERE u.person_id = plan_items.person_id AND u.account = plan_items.account`
	onItsWay = itsRow + ` AND u.state IN ('wanted', 'sending', 'unknown'))` // a worker will settle it
)

// reconcile ends the items of a plan that Settle will not end: their row was adopted, told, suspended or forgotten
// while it was on its way.
func reconcile(ctx context.Context, tx querier, id, now int64) error {
	var done, failed, skipped int64
	for _, c := range []struct {
		condition, state, reason string
		count                    *int64
	}{
		{itsRow + ` AND u.state IN ('active', 'assumed'))`, ItemDone, "", &done},
		{itsRow + ` AND u.state IN ('conflict', 'refused'))`, ItemFailed, "", &failed},
		{itsRow + ` AND u.state = 'suspended')`, ItemSkipped, "suspended", &skipped},
		{`NOT ` + itsRow + `)`, ItemSkipped, "gone", &skipped},
	} {
		n, err := rowsAffected(ctx, tx, `
			UPDATE plan_items SET state = $1, reason = $2, updated_at = $3
			 WHERE plan = $4 AND state = 'sending' AND `+c.condition, c.state, c.reason, now, id)
		if err != nil {
			return err
		}
		*c.count += n
	}
	if done+failed+skipped == 0 {
		return nil
	}
	return countItems(ctx, tx, id, done, failed, skipped)
}
