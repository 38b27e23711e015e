package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Why a plan was dropped while it was made: the fixed words of Plan.Reason.
const (
	MakingCancelled   = "cancelled"   // by an administrator
	MakingInterrupted = "interrupted" // its process ended
	MakingFailed      = "failed"      // Fault says why
)

// Unmade tells of a plan that it is still being made, or that its making ended without one. Lines of it may be missing
// then.
func (p Plan) Unmade() bool {
	switch p.Reason {
	case MakingCancelled, MakingInterrupted, MakingFailed:
		return p.State == PlanDropped
	}
	return p.State == PlanMaking
}

// planLease is the lease of whoever makes a plan: one is made at a time, whichever replica or command does it.
const planLease = "plan"

// Start stores a new plan (Kind, Mappings, CreatedBy, Maker) in state making, with its event, if no other is being
// made; Maker has the lease to make plans for ttl then. What processes that died left in the making is dropped.
// ErrConflict: another process makes a plan.
func (s *Plans) Start(ctx context.Context, p Plan, ttl time.Duration, e func(id int64) Event) (int64, error) {
	const what = "start a plan"
	if p.Maker == "" || ttl <= 0 || ttl > longestLease {
		return 0, s.db.explain(what, fmt.Errorf("maker %.80q, for %v: want one, and more than 0, at most %v", p.Maker,
			ttl, longestLease))
	}
	var id int64
	err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		// Taken and the plan stored in one transaction: of two that start at once, one finds the lease taken.
		got, err := takeLease(ctx, s.db.engine, tx, planLease, p.Maker, ttl)
		if err != nil {
			return err
		}
		if !got {
			return ErrConflict
		}
		now := s.db.now()
		// Whoever made these had the lease that is ours now. Those without a maker are of the version before, which has none:
		// Ready drops them.
		if _, err := tx.ExecContext(ctx, `
			UPDATE plans SET state = 'dropped', reason = 'interrupted', finished_at = $1
			 WHERE state = 'making' AND maker <> ''`, micros(now)); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `
			INSERT INTO plans (kind, mappings, created_at, created_by, maker, state, people, creations, leavers, drifted, blocked,
			    max_create, max_skipped, done, failed, skipped, reason, applied_at, applied_by, finished_at)
			VALUES ($1, $2, $3, $4, $5, 'making', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', 0, '', 0)
			RETURNING id`, p.Kind, p.Mappings, micros(now), p.CreatedBy, p.Maker).Scan(&id); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e(id)})
	})
	return id, err
}

// PlanSeen is what was seen so far while a plan is made.
type PlanSeen struct{ People, Groups, AtSignIn int }

// Progress stores how far the making of a plan is, and prolongs its maker's lease. ErrConflict: it is not being made
// any more, or by another; so an administrator's cancellation reaches the process that makes it. ErrNotFound.
func (s *Plans) Progress(ctx context.Context, id int64, maker string, seen PlanSeen, ttl time.Duration) error {
	return s.db.write(ctx, "store the progress of a plan", func(ctx context.Context, tx querier) error {
		got, err := takeLease(ctx, s.db.engine, tx, planLease, maker, ttl)
		if err != nil {
			return err
		}
		if !got {
			return ErrConflict
		}
		n, err := rowsAffected(ctx, tx, `
			UPDATE plans SET people = $1, groups_read = $2, at_sign_in = $3
			 WHERE id = $4 AND state = 'making' AND maker = $5`, seen.People, seen.Groups, seen.AtSignIn, id, maker)
		if err == nil && n == 0 {
			err = elsewhere(ctx, tx, id)
		}
		return err
	})
}

// Drop ends the making of a plan without one, with its event: nothing of it can ever be applied. reason is one of the
// fixed words, fault what an administrator reads. ErrConflict: it is not being made any more. ErrNotFound.
func (s *Plans) Drop(ctx context.Context, id int64, reason, fault string, e Event) error {
	return s.db.write(ctx, "drop a plan that is being made", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := rowsAffected(ctx, tx, `
			UPDATE plans SET state = 'dropped', reason = $1, fault = $2, finished_at = $3
			 WHERE id = $4 AND state = 'making'`, reason, sanitize(fault), micros(now), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return elsewhere(ctx, tx, id)
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// ReleaseMaking gives the lease to make plans back; it does nothing where another has it.
func (s *Plans) ReleaseMaking(ctx context.Context, maker string) error {
	return (&Leases{s.db}).Release(ctx, planLease, maker)
}

// Making returns the plan whose maker has the lease to make plans; where none is made, or its process died,
// ErrNotFound.
func (s *Plans) Making(ctx context.Context) (Plan, error) {
	const what = "look which plan is being made"
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return Plan{}, s.db.explain(what, err)
	}
	p, err := scanPlan(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+planColumns+` FROM plans
		 WHERE state = 'making' AND maker = (SELECT holder FROM leases WHERE name = $1 AND held_until > $2)`, planLease, micros(now)))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return p, s.db.explain(what, err)
}
