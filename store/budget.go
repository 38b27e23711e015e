package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// BudgetLimits are the partner's, from configuration.
type BudgetLimits struct {
	PerSecond float64
	PerDay    int
	Reserve   float64 // share of the day kept for class "sign-in"
}

// Budget is the one row that all calls to Constant Contact pass. It fulfils
// partnerapi.Budget. Times are the database's, so that replicas agree.
//
// Constant Contact does not say how it counts its second. Under the strictest
// reading, any sliding second, calls evenly spaced never exceed the limit.
type Budget struct {
	db     *DB
	limits BudgetLimits
}

// Budget returns the budget under these limits.
func (db *DB) Budget(l BudgetLimits) *Budget { return &Budget{db, l} }

const (
	signInClass = "sign-in" // the one class that may use the whole day
	// spacingMargin makes up for calls that travel at different speeds.
	spacingMargin = 1.02
	throttlePause = time.Second
	day           = 24 * time.Hour
)

// budgetRow is the row, with its clock. A day is counted since 1970, in UTC:
// the daily limit is reset at 00:00:00 UTC.
type budgetRow struct {
	now       time.Time
	next      time.Time
	day       int64
	used      int
	exhausted int64
}

// Reserve takes the next free slot and counts the call; wait is how long until
// the slot. ok is false when the day's calls for this class are used up: wait is
// then the time until 00:00 UTC, and nothing is taken. A slot that its caller
// does not use is lost.
func (b *Budget) Reserve(ctx context.Context, class string) (wait time.Duration, ok bool, err error) {
	const what = "reserve a call in the budget"
	if b.limits.PerSecond <= 0 || b.limits.PerDay <= 0 || b.limits.Reserve < 0 || b.limits.Reserve >= 1 {
		return 0, false, fmt.Errorf("%s: limits %+v: want positive numbers and a reserve from 0 to below 1", what, b.limits)
	}
	spacing := time.Duration(float64(time.Second) / b.limits.PerSecond * spacingMargin)
	limit := b.limits.PerDay
	if class != signInClass {
		limit = int(float64(limit) * (1 - b.limits.Reserve))
	}
	err = b.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		slot := row.now
		if row.next.After(slot) {
			slot = row.next
		}
		// What counts is the day in which the call goes out.
		if d := dayOf(slot); d > row.day {
			row.day, row.used = d, 0
		}
		if ok = row.used < limit && row.exhausted < dayOf(slot); !ok {
			wait = startOf(dayOf(slot) + 1).Sub(row.now)
			return nil
		}
		wait = slot.Sub(row.now)
		row.used++
		row.next = slot.Add(spacing)
		return b.save(ctx, tx, row)
	})
	if err != nil {
		return 0, false, err
	}
	return wait, ok, nil
}

// Throttled records that Constant Contact said throttled: nobody calls for a second.
func (b *Budget) Throttled(ctx context.Context) error {
	return b.db.write(ctx, "record throttling in the budget", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		if pause := row.now.Add(throttlePause); pause.After(row.next) {
			row.next = pause
		}
		return b.save(ctx, tx, row)
	})
}

// Exhausted records that Constant Contact said quota_exceeded: nobody calls
// before 00:00 UTC.
func (b *Budget) Exhausted(ctx context.Context) error {
	return b.db.write(ctx, "record used-up day in the budget", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		row.exhausted = dayOf(row.now)
		return b.save(ctx, tx, row)
	})
}

// Used tells today's calls, those with a slot still to come included, and when
// the day ends. Once Constant Contact said quota_exceeded, all count as used.
func (b *Budget) Used(ctx context.Context) (used int, reset time.Time, err error) {
	const what = "read the budget"
	row, err := scanBudget(b.db.engine.reader().QueryRowContext(ctx, `
		SELECT next_slot, day, used, exhausted_day FROM budget WHERE id = 1`))
	if err != nil {
		return 0, time.Time{}, b.db.explain(what, err)
	}
	now, err := b.db.engine.clock(ctx, b.db.engine.reader())
	if err != nil {
		return 0, time.Time{}, b.db.explain(what, err)
	}
	today := dayOf(now)
	if row.day >= today {
		used = row.used
	}
	if row.exhausted >= today {
		used = max(used, b.limits.PerDay)
	}
	return used, startOf(today + 1), nil
}

// lock reads the row for writing, and then the clock: the time must be read
// after the wait for the row, or the slot of a caller that waited longer would
// lie before that of one who came later.
func (b *Budget) lock(ctx context.Context, tx querier) (budgetRow, error) {
	row, err := scanBudget(tx.QueryRowContext(ctx, `
		UPDATE budget SET used = used WHERE id = 1
		RETURNING next_slot, day, used, exhausted_day`))
	if err != nil {
		return row, err
	}
	if row.now, err = b.db.engine.clock(ctx, tx); err != nil {
		return row, err
	}
	if row.now.Unix() <= 0 {
		return row, errors.New("the clock stands before 1970")
	}
	// After a clock that ran ahead was put right, its marks would block all
	// calls until it is that late again. Nobody queues for a day in earnest.
	today := dayOf(row.now)
	if row.next.After(row.now.Add(day)) {
		row.next = row.now
	}
	if row.day > today+1 {
		row.day = today
	}
	if row.exhausted > today+1 {
		row.exhausted = today
	}
	return row, nil
}

func (b *Budget) save(ctx context.Context, tx querier, row budgetRow) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE budget SET next_slot = $1, day = $2, used = $3, exhausted_day = $4 WHERE id = 1`,
		micros(row.next), row.day, row.used, row.exhausted)
	return err
}

func scanBudget(r scanner) (row budgetRow, err error) {
	var next int64
	err = r.Scan(&next, &row.day, &row.used, &row.exhausted)
	row.next = fromMicros(next)
	return row, err
}

func dayOf(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

func startOf(d int64) time.Time { return time.Unix(d*int64(day/time.Second), 0).UTC() }
