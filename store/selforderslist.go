package store

import (
	"context"
	"math"
	"time"
)

// Get returns one. ErrNotFound.
func (s *SelfOrders) Get(ctx context.Context, id int64) (SelfOrder, error) {
	o, err := getSelfOrder(ctx, s.db.engine.reader(), id)
	return o, s.db.explain("get an order of a client account", err)
}

func getSelfOrder(ctx context.Context, q querier, id int64) (SelfOrder, error) {
	return scanSelfOrder(q.QueryRowContext(ctx, `
		SELECT `+selfOrderColumns+` FROM self_orders WHERE id = $1`, id))
}

// ByRequest returns the order that became a request, the newest. ErrNotFound.
func (s *SelfOrders) ByRequest(ctx context.Context, request int64) (SelfOrder, error) {
	o, err := scanSelfOrder(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+selfOrderColumns+` FROM self_orders WHERE request = $1 AND request > 0 ORDER BY id DESC LIMIT 1`, request))
	return o, s.db.explain("get the order of a request", err)
}

// Newest returns a person's open order, or else the last one. ErrNotFound.
func (s *SelfOrders) Newest(ctx context.Context, p PersonID) (SelfOrder, error) {
	o, err := scanSelfOrder(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+selfOrderColumns+` FROM self_orders WHERE person_id = $1 ORDER BY id DESC LIMIT 1`, string(p)))
	return o, s.db.explain("get a person's order of a client account", err)
}

// Waiting lists those that wait for approval, the oldest first, at most limit.
func (s *SelfOrders) Waiting(ctx context.Context, limit int) ([]SelfOrder, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanSelfOrder, `
		SELECT `+selfOrderColumns+` FROM self_orders WHERE state = 'waiting' ORDER BY expires_at, id LIMIT $1`, limit)
	return all, s.db.explain("list orders that wait for approval", err)
}

// List lists orders by their numbers, the newest first: those before a number (0: from the newest), at most limit.
func (s *SelfOrders) List(ctx context.Context, before int64, limit int) ([]SelfOrder, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	all, err := collect(ctx, s.db.engine.reader(), scanSelfOrder, `
		SELECT `+selfOrderColumns+` FROM self_orders WHERE id < $1 ORDER BY id DESC LIMIT $2`, before, limit)
	return all, s.db.explain("list orders of client accounts by people", err)
}

// AnyDue tells whether there is an order to expire, or a plan to set, now.
func (s *SelfOrders) AnyDue(ctx context.Context) (due bool, err error) {
	const what = "look for orders that are due"
	now := micros(s.db.now())
	over, err := collect(ctx, s.db.engine.reader(), scanID, `
		SELECT id FROM self_orders WHERE state = 'waiting' AND expires_at <= $1 ORDER BY expires_at, id LIMIT 1`, now)
	if err != nil || len(over) > 0 {
		return len(over) > 0, s.db.explain(what, err)
	}
	plans, err := collect(ctx, s.db.engine.reader(), scanID, `
		SELECT id FROM self_orders WHERE plan_state = 'wanted' AND plan_at <= $1 ORDER BY plan_at, id LIMIT 1`, now)
	return len(plans) > 0, s.db.explain(what, err)
}

// PlansDue lists orders whose client account is to get its plan now, at most limit.
func (s *SelfOrders) PlansDue(ctx context.Context, limit int) ([]SelfOrder, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanSelfOrder, `
		SELECT `+selfOrderColumns+` FROM self_orders WHERE plan_state = 'wanted' AND plan_at <= $1 ORDER BY plan_at, id LIMIT $2`,
		micros(s.db.now()), limit)
	return all, s.db.explain("list orders whose plan is to be set", err)
}

// TakePlan moves the next try of a plan to a later time, so that of several replicas one makes it. ok is false where
// another was faster.
func (s *SelfOrders) TakePlan(ctx context.Context, id int64, until time.Time) (ok bool, err error) {
	err = s.db.write(ctx, "take a plan that is to be set", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE self_orders SET plan_at = $1 WHERE id = $2 AND plan_state = 'wanted' AND plan_at <= $3`,
			micros(until), id, micros(s.db.now()))
		ok = n > 0
		return err
	})
	return ok, err
}

// EndPlan stores that a plan was set, or is not tried any more.
func (s *SelfOrders) EndPlan(ctx context.Context, id int64, state string) error {
	return s.db.write(ctx, "store that a plan is set", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE self_orders SET plan_state = $1 WHERE id = $2 AND plan_state = 'wanted'`, state, id)
		return err
	})
}
