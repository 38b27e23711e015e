package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// BudgetLimits are the partner's, from configuration.
type BudgetLimits struct {
	PerSecond float64
	PerDay    int
	Reserve   float64 // share of the day kept for class "sign-in"
	// of both limits that is ours, above 0 to 1; 0 means 1. The rest is for other programs with the same key.
	Share float64
}

// Budget is the one row that all calls to Constant Contact pass. It fulfils
// partnerapi.Budget. Times are the database's, so that replicas agree.
//
// Constant Contact does not say how it counts its second. Under the strictest
// reading, any sliding second, calls evenly spaced never exceed the limit. See pace
// for what is done once it says that they do.
type Budget struct {
	db     *DB
	limits BudgetLimits
}

// Budget returns the budget under these limits.
func (db *DB) Budget(l BudgetLimits) *Budget { return &Budget{db, l} }

// The classes that the row counts by themselves. The first may use the whole day.
const (
	signInClass = "sign-in"
	retryClass  = "retry"
	planClass   = "plan"
)

const (
	day = 24 * time.Hour
	// queueAhead is how long a line background work may make behind the next slots: what is in it goes before a sign-in
	// that comes then.
	queueAhead = 50 * time.Millisecond
	// clockSlack is how far the clock may go back without having been put right.
	clockSlack = time.Second
	// longestLine is how far ahead a slot lies at most: marks that lie further were left by a clock that ran ahead. It is
	// for what the version before writes, and for a row that nobody had written for long before.
	longestLine = 15 * time.Minute
	// shortestAhead leaves time to come back for the next slot when they follow each other fast.
	shortestAhead = 10 * time.Millisecond
)

// budgetRow is the row, with its clock. A day is counted since 1970, in UTC:
// the daily limit is reset at 00:00:00 UTC.
type budgetRow struct {
	now       time.Time
	next      time.Time
	round     int // slots taken of this round, see pace
	day       int64
	used      int
	exhausted int64
	factor    float64   // of the rate, as it was set by a throttling; 1: never throttled, or long ago
	factorAt  time.Time // from when on it recovers
	throttled int       // today's
	usedRetry int       // of used
	usedPlan  int       // of used
	seen      time.Time // when the row was last written
	token     time.Time // the next slot of a token request
	worked    time.Time // when Constant Contact last answered as it should
	departed  int64     // calls that have gone out
	jumpedAt  time.Time // when the clock was last seen to have been put back
	jumpedBy  time.Duration
	repaired  bool // by repair
}

// begin begins a day's counts, unless they are begun.
func (r *budgetRow) begin(d int64) {
	if d > r.day {
		r.day, r.used, r.usedRetry, r.usedPlan, r.throttled = d, 0, 0, 0, 0
	}
}

func (l BudgetLimits) share() float64 {
	if l.Share == 0 {
		return 1
	}
	return l.Share
}

// perSecond and perDay are our part of the limits; background is the part of that which class "sign-in" leaves to the
// others.
func (l BudgetLimits) perSecond() float64 { return l.PerSecond * l.share() }

func (l BudgetLimits) perDay() int { return int(float64(l.PerDay) * l.share()) }

func (l BudgetLimits) background() int {
	return int(float64(l.PerDay) * l.share() * (1 - l.Reserve))
}

func (l BudgetLimits) check() error {
	// So written, the comparisons refuse NaN too.
	if !(l.PerSecond > 0) || l.PerDay <= 0 || !(l.Reserve >= 0 && l.Reserve < 1) || !(l.share() > 0 && l.share() <= 1) {
		return fmt.Errorf("limits %+v: want positive numbers, a reserve from 0 to below 1 and a share above 0 to 1", l)
	}
	return nil
}

// Reserve takes the next free slot and counts the call: outcome is "taken", and wait is how long until the slot. A slot
// that its caller does not use is lost. "none": the day's calls for this class are used up, and wait is the time until
// 00:00 UTC. "busy", for background work only: so many wait in line already that a sign-in which came now would wait
// for this call; asked again after wait, it may get a slot. Nothing is taken with either.
func (b *Budget) Reserve(ctx context.Context, class string) (wait time.Duration, outcome string, err error) {
	const what = "reserve a call in the budget"
	if err := b.limits.check(); err != nil {
		return 0, "", fmt.Errorf("%s: %w", what, err)
	}
	limit := b.limits.perDay()
	if class != signInClass {
		limit = b.limits.background()
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
		row.begin(dayOf(slot))
		if row.used >= limit || row.exhausted >= dayOf(slot) {
			wait, outcome = startOf(dayOf(slot)+1).Sub(row.now), "none"
			if row.repaired {
				return b.save(ctx, tx, row) // or tomorrow the old marks would be moved to tomorrow's
			}
			return nil
		}
		apart, toNext := b.pace(&row, slot)
		wait = slot.Sub(row.now)
		if ahead := max(apart, shortestAhead); class != signInClass && wait > ahead+queueAhead {
			wait, outcome = wait-ahead, "busy"
			return nil
		}
		outcome = "taken"
		row.used++
		switch class {
		case retryClass:
			row.usedRetry++
		case planClass:
			row.usedPlan++
		}
		row.next = slot.Add(toNext)
		return b.save(ctx, tx, row)
	})
	if err != nil {
		return 0, "", err
	}
	return wait, outcome, nil
}

// Throttled records that Constant Contact said throttled: nobody calls for a second, and the rate falls, see pace.
func (b *Budget) Throttled(ctx context.Context) error {
	return b.db.write(ctx, "record throttling in the budget", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		row.begin(dayOf(row.now))
		row.throttled++
		// While the pause lasts no call goes out, so what is told in it was on its way when the rate was lowered, and is no
		// news.
		if !row.now.Before(row.factorAt) {
			row.lower()
			if pause := row.now.Add(throttlePause); pause.After(row.next) {
				row.next, row.round = pause, 0
			}
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
	row, err := b.read(ctx)
	if err != nil {
		return 0, time.Time{}, err
	}
	used = row.used
	if row.exhausted >= dayOf(row.now) {
		used = max(used, b.limits.perDay())
	}
	return used, startOf(dayOf(row.now) + 1), nil
}

// BudgetStatus is how the budget stands.
type BudgetStatus struct {
	Used       int // today's calls, those with a slot still to come included
	UsedRetry  int // of them
	UsedPlan   int
	Limit      int     // calls that we may make today
	Background int     // of them, for retries and plans
	PerSecond  float64 // calls a second that we may make at most
	Rate       float64 // and make at present: lower after Constant Contact throttled
	Throttled  int     // how often it did today
	Exhausted  bool    // Constant Contact said that the day is used up
	Reset      time.Time
	Worked     time.Time // when Constant Contact last answered a call as it should; zero: not known
	// When the clock was last seen to have been put back, and by how much (negative: it jumped ahead); zero: never. What
	// was reckoned from a clock that was put back was moved along.
	JumpedAt time.Time
	JumpedBy time.Duration
}

// Status reads the budget.
func (b *Budget) Status(ctx context.Context) (BudgetStatus, error) {
	row, err := b.read(ctx)
	if err != nil {
		return BudgetStatus{}, err
	}
	rate := b.limits.perSecond()
	return BudgetStatus{
		Used: row.used, UsedRetry: row.usedRetry, UsedPlan: row.usedPlan, Limit: b.limits.perDay(),
		Background: b.limits.background(),
		PerSecond:  rate, Rate: rate * row.recovered(row.now), Throttled: row.throttled,
		Exhausted: row.exhausted >= dayOf(row.now), Reset: startOf(dayOf(row.now) + 1),
		Worked: row.worked, JumpedAt: row.jumpedAt, JumpedBy: row.jumpedBy,
	}, nil
}

const budgetColumns = `next_slot, round, day, used, exhausted_day, factor, factor_at, throttled, used_retry, used_plan,
	seen_at, next_token, worked_at, departed, jumped_at, jumped_by`

// read reads the row as it counts today.
func (b *Budget) read(ctx context.Context) (budgetRow, error) {
	const what = "read the budget"
	if err := b.limits.check(); err != nil {
		return budgetRow{}, fmt.Errorf("%s: %w", what, err)
	}
	row, err := scanBudget(b.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+budgetColumns+` FROM budget WHERE id = 1`))
	if err != nil {
		return row, b.db.explain(what, err)
	}
	if row.now, err = b.db.engine.clock(ctx, b.db.engine.reader()); err != nil {
		return row, b.db.explain(what, err)
	}
	row.repair(b.longestLine())
	row.begin(dayOf(row.now))
	return row, nil
}

// lock reads the row for writing, and then the clock: the time must be read
// after the wait for the row, or the slot of a caller that waited longer would
// lie before that of one who came later.
func (b *Budget) lock(ctx context.Context, tx querier) (budgetRow, error) {
	row, err := scanBudget(tx.QueryRowContext(ctx, `
		UPDATE budget SET used = used WHERE id = 1
		RETURNING `+budgetColumns))
	if err != nil {
		return row, err
	}
	if row.now, err = b.db.engine.clock(ctx, tx); err != nil {
		return row, err
	}
	if row.now.Unix() <= 0 {
		return row, errors.New("the clock stands before 1970")
	}
	before := row.jumpedAt
	if row.repair(b.longestLine()); !row.repaired {
		return row, nil
	}
	if !row.jumpedAt.Equal(before) {
		// The clock was put back: as with the marks of the row.
		if _, err := tx.ExecContext(ctx, `
			UPDATE departures SET opens_at = opens_at - $1`, row.jumpedBy.Microseconds()); err != nil {
			return row, err
		}
	}
	// At once, whatever comes of the call: the next one must not move them again.
	return row, b.save(ctx, tx, row)
}

// longestLine is longestLine, or more where the rate is so low that many slots reach further.
func (b *Budget) longestLine() time.Duration {
	return max(longestLine, seconds(100*spacingMargin/(b.limits.perSecond()*lowestFactor)))
}

// repair corrects the marks that a clock left which ran ahead and was put right: they would block all calls, or keep
// the rate low, until it is that late again. Where the row says how late it was when it was written, they move back by
// as much as the clock did; others can't lie further ahead than the longest line.
func (r *budgetRow) repair(longest time.Duration) {
	today := dayOf(r.now)
	if back := r.seen.Sub(r.now); !r.seen.IsZero() && back > clockSlack {
		for _, mark := range []*time.Time{&r.next, &r.token, &r.worked, &r.factorAt} {
			if !mark.IsZero() {
				*mark = mark.Add(-back)
			}
		}
		// What Constant Contact counts is the true day: its limit was said, and the calls were made, in that.
		r.day, r.exhausted = min(r.day, today), min(r.exhausted, today)
		r.jumpedAt, r.jumpedBy, r.seen, r.repaired = r.now, back, r.now, true
	}
	fix := func(ahead bool, how func()) {
		if ahead {
			how()
			r.repaired = true
		}
	}
	fix(r.next.After(r.now.Add(longest)), func() { r.next, r.round = r.now, 0 })
	fix(r.day > today+1, func() { r.day = today })
	fix(r.exhausted > today+1, func() { r.exhausted = today })
	fix(r.factorAt.After(r.now.Add(throttlePause)), func() { r.factorAt = r.now })
	fix(r.token.After(r.now.Add(longestTokenLine)), func() { r.token = r.now })
	fix(r.worked.After(r.now.Add(clockSlack)), func() { r.worked = r.now })
}

func (b *Budget) save(ctx context.Context, tx querier, row budgetRow) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE budget SET next_slot = $1, round = $2, day = $3, used = $4, exhausted_day = $5, factor = $6, factor_at = $7,
		       throttled = $8, used_retry = $9, used_plan = $10, seen_at = $11, next_token = $12, worked_at = $13,
		       departed = $14, jumped_at = $15, jumped_by = $16
		 WHERE id = 1`,
		micros(row.next), row.round, row.day, row.used, row.exhausted, int64(math.Round(row.factor*1000)),
		micros(row.factorAt),
		row.throttled, row.usedRetry, row.usedPlan, micros(row.now), micros(row.token), micros(row.worked),
		row.departed, micros(row.jumpedAt), row.jumpedBy.Microseconds())
	return err
}

func scanBudget(r scanner) (row budgetRow, err error) {
	var next, factor, factorAt, seen, token, worked, jumpedAt, jumpedBy int64
	err = r.Scan(&next, &row.round, &row.day, &row.used, &row.exhausted, &factor, &factorAt, &row.throttled,
		&row.usedRetry, &row.usedPlan, &seen, &token, &worked, &row.departed, &jumpedAt, &jumpedBy)
	row.seen, row.token, row.worked = fromMicros(seen), fromMicros(token), fromMicros(worked)
	row.jumpedAt, row.jumpedBy = fromMicros(jumpedAt), time.Duration(jumpedBy)*time.Microsecond
	row.next, row.factor, row.factorAt = fromMicros(next), float64(factor)/1000, fromMicros(factorAt)
	return row, err
}

func dayOf(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

func startOf(d int64) time.Time { return time.Unix(d*int64(day/time.Second), 0).UTC() }
