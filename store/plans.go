package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// PlanState is where a plan stands.
type PlanState string

// The states: making → ready → applying ⇄ paused or stopped → done; ready → stopped; dropped from any but applying.
const (
	PlanMaking   PlanState = "making"   // the walk runs, or was cut off
	PlanReady    PlanState = "ready"    // can be applied
	PlanApplying PlanState = "applying" // workers take its items
	PlanPaused   PlanState = "paused"   // by an admin
	PlanStopped  PlanState = "stopped"  // by itself, see Reason: an admin is asked
	PlanDone     PlanState = "done"     // no creation is open
	PlanDropped  PlanState = "dropped"  // never to be applied: another plan took its place
)

// Plan is a saved comparison of directory, mappings and ledger.
type Plan struct {
	ID         int64
	Kind       string // "admin" or "watch"
	State      PlanState
	Mappings   string // digest of the mappings it was made with
	People     int    // looked at
	Creations  int    // items of each kind
	Leavers    int
	Drifted    int
	Blocked    int
	MaxCreate  int // creations after which it stops and asks; 0: none set
	MaxSkipped int // skipped items after which it stops and asks; 0: none set
	Done       int // creations by how they ended
	Failed     int
	Skipped    int
	Reason     string // why it stopped, or was dropped while it was made: a fixed word
	Fault      string // why the making failed, for an administrator to read
	Groups     int    // of the directory, that were read
	AtSignIn   int    // users that are created at their first sign-in, and by no plan
	Maker      string // the process that makes it, as it calls itself
	CreatedAt  time.Time
	CreatedBy  string
	AppliedAt  time.Time
	AppliedBy  string
	FinishedAt time.Time
}

// Plans keeps the plans and hands out their items.
type Plans struct{ db *DB }

// Plans returns the plans of this database.
func (db *DB) Plans() *Plans { return &Plans{db} }

const planColumns = `id, kind, state, mappings, people, creations, leavers, drifted, blocked, max_create, max_skipped,
	done, failed, skipped, reason, created_at, created_by, applied_at, applied_by, finished_at,
	groups_read, at_sign_in, maker, fault`

func scanPlan(row scanner) (p Plan, err error) {
	var created, applied, finished int64
	err = row.Scan(&p.ID, &p.Kind, &p.State, &p.Mappings, &p.People, &p.Creations, &p.Leavers, &p.Drifted, &p.Blocked,
		&p.MaxCreate, &p.MaxSkipped, &p.Done, &p.Failed, &p.Skipped, &p.Reason, &created, &p.CreatedBy, &applied,
		&p.AppliedBy, &finished,
		&p.Groups, &p.AtSignIn, &p.Maker, &p.Fault)
	p.CreatedAt, p.AppliedAt, p.FinishedAt = fromMicros(created), fromMicros(applied), fromMicros(finished)
	return p, err
}

func getPlan(ctx context.Context, q querier, id int64) (Plan, error) {
	return scanPlan(q.QueryRowContext(ctx, `
		SELECT `+planColumns+` FROM plans WHERE id = $1`, id))
}

// elsewhere is the error of a change that found no plan in the state that it wants: ErrConflict if the plan is in
// another one.
func elsewhere(ctx context.Context, tx querier, id int64) error {
	if _, err := getPlan(ctx, tx, id); err != nil {
		return err
	}
	return ErrConflict
}

// Create stores a new plan (Kind, Mappings, CreatedBy) in state making and returns its id.
func (s *Plans) Create(ctx context.Context, p Plan) (int64, error) {
	var id int64
	err := s.db.write(ctx, "create plan", func(ctx context.Context, tx querier) error {
		return tx.QueryRowContext(ctx, `
			INSERT INTO plans (kind, mappings, created_at, created_by, state, people, creations, leavers, drifted, blocked,
			    max_create, max_skipped, done, failed, skipped, reason, applied_at, applied_by, finished_at)
			VALUES ($1, $2, $3, $4, 'making', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', 0, '', 0)
			RETURNING id`, p.Kind, p.Mappings, micros(s.db.now()), p.CreatedBy).Scan(&id)
	})
	return id, err
}

// plansKept is how many of the newest plans are never deleted.
const plansKept = 20

// Ready ends the making of a plan and stores the number of people, with an event; its items were counted by Add. Plans
// of this kind that were ready or making become dropped. All but the newest 20 plans are deleted, as far as they are
// done or dropped. ErrConflict: it is not being made any more. ErrNotFound.
func (s *Plans) Ready(ctx context.Context, id int64, people int, e Event) (Plan, error) {
	const what = "make plan ready"
	if people < 0 {
		return Plan{}, s.db.explain(what, fmt.Errorf("%d people", people))
	}
	if err := s.prune(ctx); err != nil {
		return Plan{}, err
	}
	var p Plan
	err := s.db.write(ctx, what, func(ctx context.Context, tx querier) (err error) {
		now := s.db.now()
		p, err = scanPlan(tx.QueryRowContext(ctx, `
			UPDATE plans SET state = 'ready', people = $1
			 WHERE id = $2 AND state = 'making'
			RETURNING `+planColumns, people, id))
		if errors.Is(err, sql.ErrNoRows) {
			return elsewhere(ctx, tx, id)
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE plans SET state = 'dropped', finished_at = $1
			 WHERE kind = $2 AND id <> $3 AND state IN ('making', 'ready')`, micros(now), p.Kind, id); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	return p, err
}

// prune deletes old plans. Their items go first and in batches: a hundred thousand in one transaction would keep all
// other writers waiting.
func (s *Plans) prune(ctx context.Context) error {
	const (
		what = "delete old plans"
		size = 2000
	)
	old, err := collect(ctx, s.db.engine.reader(), func(row scanner) (id int64, err error) {
		err = row.Scan(&id)
		return id, err
	}, `
		SELECT id FROM plans
		 WHERE state IN ('done', 'dropped') AND id NOT IN (SELECT id FROM plans ORDER BY id DESC LIMIT $1)
		 ORDER BY id`, plansKept)
	if err != nil {
		return s.db.explain(what, err)
	}
	for _, id := range old {
		if _, err := s.db.inBatches(ctx, what, size, func(ctx context.Context, tx querier) (int, error) {
			n, err := rowsAffected(ctx, tx, `
				DELETE FROM plan_items
				 WHERE plan = $1 AND position IN (SELECT position FROM plan_items WHERE plan = $1 ORDER BY position LIMIT $2)`, id, size)
			return int(n), err
		}); err != nil {
			return err
		}
		if err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM plans WHERE id = $1 AND state IN ('done', 'dropped')`, id)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Get returns a plan. ErrNotFound.
func (s *Plans) Get(ctx context.Context, id int64) (Plan, error) {
	p, err := getPlan(ctx, s.db.engine.reader(), id)
	return p, s.db.explain("get plan", err)
}

// List returns the newest plans, at most limit (1 to 1000).
func (s *Plans) List(ctx context.Context, limit int) ([]Plan, error) {
	const what = "list plans"
	if limit < 1 || limit > 1000 {
		return nil, s.db.explain(what, fmt.Errorf("limit %d: want 1 to 1000", limit))
	}
	all, err := collect(ctx, s.db.engine.reader(), scanPlan, `
		SELECT `+planColumns+` FROM plans ORDER BY id DESC LIMIT $1`, limit)
	return all, s.db.explain(what, err)
}

// Applying returns the plan that is being applied: at most one is. ErrNotFound.
func (s *Plans) Applying(ctx context.Context) (Plan, error) {
	p, err := scanPlan(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+planColumns+` FROM plans WHERE state = 'applying'`))
	return p, s.db.explain("get the plan that is being applied", err)
}

// PlanChange is what goes with a change of state.
type PlanChange struct {
	Reason                string // of stopped
	By                    string // who applies
	MaxCreate, MaxSkipped int
	Mappings              string // digest of the mappings with which it goes on; "": that of before
}

// planMoves are the changes of state that SetState makes. A plan becomes ready by Ready and done by Finish. One that is
// applied already may be applied anew, with other caps.
var planMoves = map[PlanState][]PlanState{
	PlanMaking:   {PlanDropped},
	PlanReady:    {PlanApplying, PlanStopped, PlanDropped},
	PlanApplying: {PlanApplying, PlanPaused, PlanStopped},
	PlanPaused:   {PlanApplying, PlanDropped},
	PlanStopped:  {PlanApplying, PlanDropped},
}

// SetState moves a plan along the states, with its event; maxCreate, maxSkipped and the mappings are stored when it
// begins applying. reason is kept for stopped. ErrConflict: it is in another state than from, or another plan is being
// applied. ErrNotFound.
func (s *Plans) SetState(ctx context.Context, id int64, from, to PlanState, change PlanChange, e Event) error {
	const what = "set state of a plan"
	switch {
	case !slices.Contains(planMoves[from], to):
		return s.db.explain(what, fmt.Errorf("no way from %.20q to %.20q", from, to))
	case change.MaxCreate < 0 || change.MaxSkipped < 0:
		return s.db.explain(what, fmt.Errorf("caps of %d creations and %d skipped items: want none below 0", change.MaxCreate,
			change.MaxSkipped))
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now := s.db.now()
		var (
			n   int64
			err error
		)
		switch to {
		case PlanApplying:
			// A unique index lets one plan be applied at a time: the second is an ErrConflict.
			n, err = rowsAffected(ctx, tx, `
				UPDATE plans SET state = 'applying', reason = '', max_create = $1, max_skipped = $2,
				       mappings = CASE WHEN $3 = '' THEN mappings ELSE $3 END, applied_at = $4, applied_by = $5
				 WHERE id = $6 AND state = $7`,
				change.MaxCreate, change.MaxSkipped, change.Mappings, micros(now), change.By, id, string(from))
		case PlanDropped:
			n, err = rowsAffected(ctx, tx, `
				UPDATE plans SET state = 'dropped', finished_at = $1 WHERE id = $2 AND state = $3`, micros(now), id, string(from))
		default:
			n, err = rowsAffected(ctx, tx, `
				UPDATE plans SET state = $1, reason = $2 WHERE id = $3 AND state = $4`, string(to), sanitize(change.Reason), id, string(from))
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return elsewhere(ctx, tx, id)
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}
