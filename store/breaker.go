package store

import (
	"context"
	"fmt"
	"time"
)

// Breaker stops all calls to Constant Contact, on all replicas, while they can't work: its credentials are refused, or
// it is down. One call at a time then finds out whether it works again. Times are the database's.
type Breaker struct{ db *DB }

// Breaker returns the breaker of this database.
func (db *DB) Breaker() *Breaker { return &Breaker{db} }

// BreakerState is whether calls are stopped.
type BreakerState struct {
	Cause    string // "" while calls go on; else a fixed word: "credentials" or "outage"
	OpenedAt time.Time
	Until    time.Time // when the next call finds out
	Trips    int       // how often it opened without a success between
}

const (
	shortestOpen = 5 * time.Second
	longestOpen  = 5 * time.Minute
)

// breakerRow is the row. probing is until when the one caller that may find out has time for it.
type breakerRow struct {
	BreakerState
	probing time.Time
}

const breakerColumns = `cause, opened_at, open_until, trips, probing`

func scanBreaker(r scanner, now time.Time) (row breakerRow, err error) {
	var opened, until, probing int64
	err = r.Scan(&row.Cause, &opened, &until, &row.Trips, &probing)
	row.OpenedAt, row.Until, row.probing = fromMicros(opened), fromMicros(until), fromMicros(probing)
	// Marks that lie further ahead than any is set were left by a clock that ran ahead and was put right.
	if row.Until.After(now.Add(longestOpen)) {
		row.Until = now
	}
	// Nor is it opened later than now.
	if row.Cause != "" && row.OpenedAt.After(now.Add(clockSlack)) {
		row.OpenedAt, row.Until = now, now
	}
	if row.probing.After(now.Add(longestOpen)) {
		row.probing = time.Time{}
	}
	return row, err
}

// closedFor is how long no call may be made; 0: one may, or may find out.
func (r breakerRow) closedFor(now time.Time) time.Duration {
	switch {
	case r.Cause == "":
		return 0
	case now.Before(r.Until):
		return r.Until.Sub(now)
	}
	return max(0, r.probing.Sub(now))
}

// Allow tells whether a call may be made now. Open and due, exactly one caller is allowed for probe, at most 5 minutes;
// the others get ok false and how long to wait.
func (b *Breaker) Allow(ctx context.Context, probe time.Duration) (ok bool, wait time.Duration, err error) {
	const what = "ask the breaker"
	if probe <= 0 || probe > longestOpen {
		return false, 0, b.db.explain(what, fmt.Errorf("probe of %v: want more than 0, at most %v", probe, longestOpen))
	}
	// Closed is the usual answer and needs neither clock nor writer.
	row, now, err := b.read(ctx)
	if err != nil {
		return false, 0, b.db.explain(what, err)
	}
	if wait = row.closedFor(now); row.Cause == "" || wait > 0 {
		return wait == 0, wait, nil
	}
	err = b.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		row, now, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		if wait = row.closedFor(now); wait > 0 {
			ok = false
			return nil
		}
		ok = true
		if row.Cause == "" {
			return nil
		}
		row.probing = now.Add(probe)
		return b.save(ctx, tx, row)
	})
	if err != nil {
		return false, 0, err
	}
	return ok, wait, nil
}

// Trip opens the breaker: for 5 s at first, twice as long each time, at most 5 minutes. While it is open and nobody
// finds out, it does nothing: calls that were on their way together count once. The event is recorded when it was
// closed before.
func (b *Breaker) Trip(ctx context.Context, cause string, e Event) error {
	const what = "open the breaker"
	if cause == "" {
		return b.db.explain(what, fmt.Errorf("no cause"))
	}
	return b.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		row, now, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		closed := row.Cause == ""
		if !closed && now.Before(row.Until) {
			return nil
		}
		if closed {
			row.Trips, row.OpenedAt = 0, now
		}
		open := longestOpen
		if row.Trips < 6 { // 5 s, 10 s, … 160 s
			open = shortestOpen << row.Trips
		}
		row.Cause, row.Trips, row.Until, row.probing = sanitize(cause), row.Trips+1, now.Add(open), time.Time{}
		if err := b.save(ctx, tx, row); err != nil || !closed {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Close lets calls go on, with the event where it was open. It writes nothing where it was closed.
func (b *Breaker) Close(ctx context.Context, e Event) error {
	const what = "close the breaker"
	if row, _, err := b.read(ctx); err != nil || row.Cause == "" {
		return b.db.explain(what, err)
	}
	return b.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		row, now, err := b.lock(ctx, tx)
		if err != nil || row.Cause == "" {
			return err
		}
		if err := b.save(ctx, tx, breakerRow{}); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// State tells how it stands.
func (b *Breaker) State(ctx context.Context) (BreakerState, error) {
	row, _, err := b.read(ctx)
	return row.BreakerState, b.db.explain("read the breaker", err)
}

func (b *Breaker) read(ctx context.Context) (row breakerRow, now time.Time, err error) {
	if now, err = b.db.engine.clock(ctx, b.db.engine.reader()); err != nil {
		return row, now, err
	}
	row, err = scanBreaker(b.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+breakerColumns+` FROM breaker WHERE id = 1`), now)
	return row, now, err
}

// lock holds the row for writing before it reads it, and the clock after the wait for it.
func (b *Breaker) lock(ctx context.Context, tx querier) (row breakerRow, now time.Time, err error) {
	if _, err := tx.ExecContext(ctx, `
		UPDATE breaker SET trips = trips WHERE id = 1`); err != nil {
		return row, now, err
	}
	if now, err = b.db.engine.clock(ctx, tx); err != nil {
		return row, now, err
	}
	row, err = scanBreaker(tx.QueryRowContext(ctx, `
		SELECT `+breakerColumns+` FROM breaker WHERE id = 1`), now)
	return row, now, err
}

func (b *Breaker) save(ctx context.Context, tx querier, row breakerRow) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE breaker SET cause = $1, opened_at = $2, open_until = $3, trips = $4, probing = $5 WHERE id = 1`,
		row.Cause, micros(row.OpenedAt), micros(row.Until), row.Trips, micros(row.probing))
	return err
}
