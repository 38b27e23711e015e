package store

import (
	"context"
	"time"
)

// Clock keeps how late it was when a program that uses this database last looked. What is deleted for its age goes by
// it: a clock that jumps ahead makes everything old.
type Clock struct{ db *DB }

// Clock returns the clock of this database.
func (db *DB) Clock() *Clock { return &Clock{db} }

// clockSeen is the counter that holds the time, in microseconds.
const clockSeen = "clock_seen"

// clockAccepted is the counter that holds the last time that an administrator accepted.
const clockAccepted = "clock_accepted"

// ClockReading is how late it is, and was.
type ClockReading struct {
	Database time.Time // by the database's clock
	Seen     time.Time // the last that was noted; zero: none yet
	Accepted time.Time // the last that an administrator accepted; zero: none yet
}

// Read reads the clock.
func (c *Clock) Read(ctx context.Context) (r ClockReading, err error) {
	const what = "read the clock"
	if r.Database, err = c.db.engine.clock(ctx, c.db.engine.reader()); err != nil {
		return r, c.db.explain(what, err)
	}
	_, err = collect(ctx, c.db.engine.reader(), func(row scanner) (struct{}, error) {
		var name string
		var at int64
		err := row.Scan(&name, &at)
		switch name {
		case clockSeen:
			r.Seen = fromMicros(at)
		case clockAccepted:
			r.Accepted = fromMicros(at)
		}
		return struct{}{}, err
	}, `
		SELECT name, value FROM counters WHERE name IN ($1, $2)`, clockSeen, clockAccepted)
	return r, c.db.explain(what, err)
}

// longestWork is for how long the leases of work are taken at most, which their holders renew.
const longestWork = 10 * time.Minute

// PutRight makes due what a clock that ran ahead and was put right has left for later: users who wait to be created,
// by what was reckoned from the wrong time. With leases, also what was being done by processes that died meanwhile:
// those that live have renewed theirs once a lease has passed. back is how far the caller saw the clock go back; 0: it
// did not see it. It returns how many rows were moved, and moves none where all is well.
func (c *Clock) PutRight(ctx context.Context, back, lease time.Duration, leases bool) (moved int64, err error) {
	err = c.db.write(ctx, "make due what a wrong clock left for later", func(ctx context.Context, tx querier) error {
		moved = 0
		b := Budget{c.db, BudgetLimits{PerSecond: 1, PerDay: 1}} // only its marks are looked at
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		if back > 0 && row.now.Sub(row.jumpedAt) > time.Minute {
			row.jumpedAt, row.jumpedBy = row.now, back
			if err := b.save(ctx, tx, row); err != nil {
				return err
			}
		}
		now, late := micros(row.now), micros(row.now.Add(clockSlack))
		if moved, err = rowsAffected(ctx, tx, `
			UPDATE sso_users SET
			       due_at = $1, next_attempt = $1, earliest_attempt = 0,
			       created_at = CASE WHEN created_at > $1 THEN $1 ELSE created_at END,
			       cause_at = CASE WHEN cause_at = updated_at THEN $1 ELSE cause_at END, updated_at = $1
			 WHERE class IN (0, 1, 2) AND due_at > 0 AND due_at > $2 AND updated_at > $2 AND state IN ('wanted', 'unknown')`,
			now, late); err != nil || !leases {
			return err
		}
		// Nobody holds a lease for longer: its holder died while the clock was ahead.
		dead := micros(row.now.Add(2 * lease))
		n, err := rowsAffected(ctx, tx, `
			UPDATE sso_users SET due_at = $1, lease_until = $1
			 WHERE class IN (0, 1, 2) AND due_at > 0 AND due_at > $2 AND state = 'sending'`, now, dead)
		if err != nil {
			return err
		}
		moved += n
		n, err = rowsAffected(ctx, tx, `
			UPDATE plan_items SET due_at = $1
			 WHERE plan IN (SELECT id FROM plans WHERE state = 'applying') AND kind = 'create' AND state IN ('open', 'claimed')
			   AND due_at > $2`, now, dead)
		if err != nil {
			return err
		}
		moved += n
		// The same of work that one replica does for all.
		n, err = rowsAffected(ctx, tx, `
			DELETE FROM leases WHERE held_until > $1`, micros(row.now.Add(max(2*lease, longestWork))))
		moved += n
		return err
	})
	return moved, err
}

// JumpedAhead notes that the clock was seen to jump ahead, for whoever looks how the bridge stands.
func (c *Clock) JumpedAhead(ctx context.Context, by time.Duration) error {
	return c.db.write(ctx, "note a jump of the clock", func(ctx context.Context, tx querier) error {
		b := Budget{c.db, BudgetLimits{PerSecond: 1, PerDay: 1}}
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		row.jumpedAt, row.jumpedBy = row.now, -by
		return b.save(ctx, tx, row)
	})
}

// Note notes a time.
func (c *Clock) Note(ctx context.Context, at time.Time) error {
	return c.note(ctx, at, []string{clockSeen}, nil)
}

// Accept notes a time that an administrator says is right, with the event: all replicas go on from it.
func (c *Clock) Accept(ctx context.Context, at time.Time, e Event) error {
	return c.note(ctx, at, []string{clockSeen, clockAccepted}, []Event{e})
}

func (c *Clock) note(ctx context.Context, at time.Time, names []string, events []Event) error {
	return c.db.write(ctx, "note the time", func(ctx context.Context, tx querier) error {
		for _, name := range names {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO counters (name, value) VALUES ($1, $2)
				ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, micros(at)); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, c.db.now(), events)
	})
}
