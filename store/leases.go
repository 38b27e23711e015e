package store

import (
	"context"
	"fmt"
	"time"
)

// Leases are work that one replica does for all. Times are the database's.
type Leases struct{ db *DB }

// Leases returns the leases of this database.
func (db *DB) Leases() *Leases { return &Leases{db} }

const longestLease = day

// Take gets or prolongs the lease name for holder, if nobody else has it. ttl is at most a day.
func (l *Leases) Take(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	const what = "take lease"
	if name == "" || holder == "" || ttl <= 0 || ttl > longestLease {
		return false, l.db.explain(what,
			fmt.Errorf("name %.80q, holder %.80q, for %v: want both, and more than 0, at most %v", name, holder,
				ttl, longestLease))
	}
	got := false
	err := l.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		var err error
		got, err = takeLease(ctx, l.db.engine, tx, name, holder, ttl)
		return err
	})
	return got && err == nil, err
}

// takeLease is Take within a transaction.
func takeLease(ctx context.Context, on engine, tx querier, name, holder string, ttl time.Duration) (bool, error) {
	now, err := on.clock(ctx, tx)
	if err != nil {
		return false, err
	}
	// One that lies further ahead than any is given was left by a clock that ran ahead and was put right.
	n, err := rowsAffected(ctx, tx, `
		INSERT INTO leases (name, holder, held_until) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
		 WHERE leases.holder = excluded.holder OR leases.held_until <= $4 OR leases.held_until > $5`,
		name, holder, micros(now.Add(ttl)), micros(now), micros(now.Add(longestLease)))
	return n == 1 && err == nil, err
}

// Release gives it back; it does nothing where another has it.
func (l *Leases) Release(ctx context.Context, name, holder string) error {
	return l.db.write(ctx, "release lease", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			DELETE FROM leases WHERE name = $1 AND holder = $2`, name, holder)
		return err
	})
}
