package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// A call arrives at Constant Contact some time after it went out, and nobody here sees when: only that it had arrived
// when it was answered, or when its time was over. So that no second there has more calls than it may, a call goes out
// no sooner than a second after the answer to the one that went out as many calls before it as a second allows. A
// process that is killed says nothing of its calls any more; then the time that they can have taken counts.

const (
	// departMargin is for clocks that are slewed, and for what counts to the microsecond.
	departMargin = 2 * time.Millisecond
	// DepartGrace is how long after Depart a call may be sent. Whoever is later departs again.
	DepartGrace = 2 * time.Second
	// keptDepartures are kept beside those that count, for a program with higher limits.
	keptDepartures = 64
	// unansweredPoll is how often a call is looked for that has no answer yet.
	unansweredPoll = 100 * time.Millisecond
)

// calls go out in span at most.
func (l BudgetLimits) calls() (calls int64, span time.Duration) {
	calls = max(1, int64(l.perSecond()))
	return calls, seconds(float64(calls)/l.perSecond()) + departMargin
}

// Depart says that a call goes out now, which has its slot and takes at most so long once it is sent. call is its
// number, for Arrived. 0: it must not go yet, ask again after wait.
func (b *Budget) Depart(ctx context.Context, atMost time.Duration) (call int64, wait time.Duration, err error) {
	const what = "let a call go out"
	calls, span := b.limits.calls()
	// Whoever has to wait looks again and again, and needs no writer.
	if wait, err = b.departsIn(ctx, calls, span); err != nil || wait > 0 {
		return 0, wait, b.db.explain(what, err)
	}
	err = b.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		call, wait = 0, 0
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		var opens int64
		err = tx.QueryRowContext(ctx, `
			SELECT opens_at FROM departures WHERE n = $1`, row.departed+1-calls).Scan(&opens)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if wait = opensIn(fromMicros(opens).Sub(row.now), span); wait > 0 {
			return nil
		}
		row.departed++
		call = row.departed
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO departures (n, opens_at) VALUES ($1, $2)`,
			call, micros(row.now.Add(DepartGrace+atMost+span))); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM departures WHERE n <= $1`, call-calls-keptDepartures); err != nil {
			return err
		}
		return b.save(ctx, tx, row)
	})
	if err != nil {
		return 0, 0, err
	}
	return call, wait, nil
}

// departsIn is how long the next call has to wait, by what can be read; 0 also where the writer has to look.
func (b *Budget) departsIn(ctx context.Context, calls int64, span time.Duration) (time.Duration, error) {
	var opens, seen int64
	err := b.db.engine.reader().QueryRowContext(ctx, `
		SELECT d.opens_at, b.seen_at FROM budget b JOIN departures d ON d.n = b.departed + 1 - $1 WHERE b.id = 1`,
		calls).Scan(&opens, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	now, err := b.db.engine.clock(ctx, b.db.engine.reader())
	if err != nil || fromMicros(seen).Sub(now) > clockSlack {
		return 0, err // the clock was put back: whoever writes moves the marks along
	}
	return opensIn(fromMicros(opens).Sub(now), span), nil
}

// opensIn is after which time it is worth asking again. Within a span the call is answered already, or its time is
// nearly over: then nothing changes any more.
func opensIn(left, span time.Duration) time.Duration {
	switch {
	case left <= 0:
		return 0
	case left <= span:
		return left
	}
	return min(left-span, unansweredPoll)
}

// Arrived says that a call was answered, or was not sent after all; works: Constant Contact answered as it should.
func (b *Budget) Arrived(ctx context.Context, call int64, works bool) error {
	_, span := b.limits.calls()
	return b.db.write(ctx, "note that a call was answered", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		// Never later than without an answer: it had arrived by then in any case.
		if _, err := tx.ExecContext(ctx, `
			UPDATE departures SET opens_at = $1 WHERE n = $2 AND opens_at > $1`, micros(row.now.Add(span)), call); err != nil {
			return err
		}
		if works {
			row.worked = row.now
		}
		return b.save(ctx, tx, row)
	})
}

// GiveBack takes back a slot that its caller gave up: nothing was sent. left is how long it would still have been until
// the slot. The call counts no more; the slot itself is free again where it is the last one of the line.
func (b *Budget) GiveBack(ctx context.Context, class string, left time.Duration) error {
	return b.db.write(ctx, "give a slot of the budget back", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		slot := row.now.Add(max(0, left))
		if row.day != dayOf(slot) || row.used == 0 {
			return nil // of a day that is over
		}
		row.used--
		switch {
		case class == retryClass && row.usedRetry > 0:
			row.usedRetry--
		case class == planClass && row.usedPlan > 0:
			row.usedPlan--
		}
		even := seconds(spacingMargin / (b.limits.perSecond() * row.recovered(row.now)))
		// Half a spacing is more than the caller's clock and ours can be apart.
		if line := row.next.Sub(slot); left > 0 && row.round == 0 && line > even/2 && line < even+even/2 {
			row.next = slot
		}
		return b.save(ctx, tx, row)
	})
}

const (
	// tokenSpacing keeps token requests of all processes apart: Constant Contact takes one a second. It counts from the
	// answer, as with calls: when a request arrived there, nobody here sees.
	tokenSpacing = 1100 * time.Millisecond
	// tokenFlight is for a request that nobody says to be answered, since its process was killed or its answer is slow.
	tokenFlight = 3 * time.Second
	// longestTokenPause bounds what one refusal makes everybody wait, and longestTokenLine what can be true of a mark.
	longestTokenPause = time.Minute
	longestTokenLine  = 2 * time.Minute
)

// ReserveToken takes the slot for a token request: it goes now, and TokenAnswered follows. Where wait is not 0 the slot
// is not free and not taken: the caller asks again after wait, or sooner, since the one before it may be answered.
func (b *Budget) ReserveToken(ctx context.Context) (wait time.Duration, err error) {
	err = b.db.write(ctx, "reserve a token request", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		if wait = max(0, row.token.Sub(row.now)); wait > 0 {
			return nil
		}
		row.token = row.now.Add(tokenFlight)
		return b.save(ctx, tx, row)
	})
	return wait, err
}

// TokenAnswered says that the token request is answered, or was given up, for which ReserveToken took the slot.
func (b *Budget) TokenAnswered(ctx context.Context) error {
	return b.db.write(ctx, "record the answer of a token request", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		if row.token.Sub(row.now) > tokenFlight {
			return nil // the token server wants to be left alone for longer
		}
		row.token = row.now.Add(tokenSpacing)
		return b.save(ctx, tx, row)
	})
}

// TokenThrottled notes that the token server wants to be left alone for so long: nobody asks before, at most a minute.
func (b *Budget) TokenThrottled(ctx context.Context, wait time.Duration) error {
	return b.db.write(ctx, "record throttling of token requests", func(ctx context.Context, tx querier) error {
		row, err := b.lock(ctx, tx)
		if err != nil {
			return err
		}
		if until := row.now.Add(min(wait, longestTokenPause)); until.After(row.token) {
			row.token = until
		}
		return b.save(ctx, tx, row)
	})
}
