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
