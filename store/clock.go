package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Clock keeps how late it was when a program that uses this database last looked. What is deleted for its age goes by it: a clock that
// jumps ahead makes everything old.
type Clock struct{ db *DB }

// Clock returns the clock of this database.
func (db *DB) Clock() *Clock { return &Clock{db} }

// clockSeen is the counter that holds the time, in microseconds.
const clockSeen = "clock_seen"

// Read returns the time by the database's clock, and the latest that was noted; zero: none yet.
func (c *Clock) Read(ctx context.Context) (database, seen time.Time, err error) {
	const what = "read the clock"
	if database, err = c.db.engine.clock(ctx, c.db.engine.reader()); err != nil {
		return database, seen, c.db.explain(what, err)
	}
	var at int64
	err = c.db.engine.reader().QueryRowContext(ctx, `
		SELECT value FROM counters WHERE name = $1`, clockSeen).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return database, seen, nil
	}
	return database, fromMicros(at), c.db.explain(what, err)
}

// Note notes a time, and the events of somebody who says that it is right.
func (c *Clock) Note(ctx context.Context, at time.Time, events ...Event) error {
	return c.db.write(ctx, "note the time", func(ctx context.Context, tx querier) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO counters (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, clockSeen, micros(at)); err != nil {
			return err
		}
		return addEvents(ctx, tx, c.db.now(), events)
	})
}
