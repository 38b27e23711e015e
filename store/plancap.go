package store

import "context"

// Begun counts the creations of a plan that were begun (ended or sending, those of earlier runs included), and those
// that are under a claim at present. Both are of one moment.
func (s *Plans) Begun(ctx context.Context, id int64) (begun, claimed int, err error) {
	const what = "count the begun creations of a plan"
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return 0, 0, s.db.explain(what, err)
	}
	// By the conditions of the two indexes: claimed items are those of the open ones whose due_at is not 0.
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT p.done + p.failed + (SELECT COUNT(*) FROM plan_items i WHERE i.plan = p.id AND i.state = 'sending'),
		       (SELECT COUNT(*) FROM plan_items i
		         WHERE i.plan = p.id AND i.kind = 'create' AND i.state IN ('open', 'claimed') AND i.due_at > $1)
		  FROM plans p WHERE p.id = $2`, micros(now), id).Scan(&begun, &claimed)
	return begun, claimed, s.db.explain(what, err)
}

// Release gives a claimed item back: it is open again, in its place. It does nothing where the claim is another's by
// now.
func (s *Plans) Release(ctx context.Context, i PlanItem) error {
	return s.db.write(ctx, "release plan item", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE plan_items SET state = 'open', due_at = 0, updated_at = $1
			 WHERE plan = $2 AND position = $3 AND state = 'claimed' AND due_at = $4`,
			micros(s.db.now()), i.Plan, i.Position, micros(i.LeaseUntil))
		return err
	})
}

// Follow lets a claimed item end as the row of its person ends, who got one otherwise: by signing in. Finish looks for
// it. ErrConflict: the claim is another's by now.
func (s *Plans) Follow(ctx context.Context, i PlanItem) error {
	return s.db.write(ctx, "follow the row of a plan item", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE plan_items SET state = 'sending', due_at = 0, updated_at = $1
			 WHERE plan = $2 AND position = $3 AND state = 'claimed' AND due_at = $4`,
			micros(s.db.now()), i.Plan, i.Position, micros(i.LeaseUntil))
		if err == nil && n == 0 {
			err = ErrConflict
		}
		return err
	})
}
