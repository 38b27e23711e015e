package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// countedFor is how long a large number is given out again: charts and metrics ask all the time. It is counted anew
// before that, see Recount.
const countedFor = 2 * time.Minute

// countBatch is how many rows one statement counts, and how far rows are counted anew each time somebody asks.
var countBatch = 10_000

// largeCounts remembers how many rows there were where these are many.
type largeCounts struct {
	counting chan struct{} // holds one while a large number is counted
	mu       sync.Mutex    // of what follows
	known    map[string]largeCount
}

type largeCount struct {
	sum any
	at  time.Time // monotonic; an age, not a rule about time
}

// tally counts rows: exactly while these are few, and where they were many, as they were at most two minutes ago. batch
// counts those behind a place in an index (nil: from its start), countBatch at most, and tells where these end if they
// are as many. So no statement is long.
func (db *DB) tally(ctx context.Context, what string, batch func(from any) (n int, to any, err error)) (int, error) {
	return tallyOf(ctx, db, what, func(from any, sum *int) (n int, to any, err error) {
		n, to, err = batch(from)
		*sum += n
		return n, to, err
	})
}

// tallyOf is tally of what batch adds up of the rows that it counts. Nobody changes a sum that was returned.
func tallyOf[T any](ctx context.Context, db *DB, what string,
	batch func(from any, sum *T) (n int, to any, err error)) (sum T, err error) {
	if known, ok := db.remembered(ctx, what).(T); ok {
		return known, nil
	}
	n, to, err := batch(nil, &sum)
	if errors.Is(err, sql.ErrNoRows) {
		return sum, nil // rows went between the count and the look for its end: what was counted was all
	}
	if err != nil || n < countBatch {
		return sum, err
	}
	// One counts, the others wait for its number, each as long as its own request lasts.
	select {
	case db.large.counting <- struct{}{}:
	case <-ctx.Done():
		return sum, ctx.Err()
	}
	defer func() { <-db.large.counting }()
	if known, ok := db.remembered(ctx, what).(T); ok {
		return known, nil
	}
	for n == countBatch {
		if n, to, err = batch(to, &sum); errors.Is(err, sql.ErrNoRows) {
			break // as above
		} else if err != nil {
			return sum, err
		}
	}
	db.large.put(what, sum)
	return sum, nil
}

// get is a sum that is remembered still; nil: none is.
func (l *largeCounts) get(what string) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.known[what]; ok && time.Since(c.at) < countedFor {
		return c.sum
	}
	return nil
}

func (l *largeCounts) put(what string, sum any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[string]largeCount{}
	}
	l.known[what] = largeCount{sum, time.Now()}
}

// CountByState tells how many rows of the ledger are in each state; a number of 10,000 and more may be two minutes old.
func (s *Ledger) CountByState(ctx context.Context) (map[State]int, error) {
	all := map[State]int{}
	for _, state := range []State{Wanted, Sending, Unknown, Active, Assumed, Conflict, Refused, Suspended} {
		n, err := s.db.tally(ctx, "users "+string(state), func(from any) (n int, to any, err error) {
			after, _ := from.(UserKey)
			q := s.db.engine.reader()
			// The index is walked from the state's place on. With state = $1, PostgreSQL, which knows for any state only how
			// many there are, would read the whole table for one that nobody is in.
			if err := q.QueryRowContext(ctx, `
				SELECT COUNT(*) FROM (
				    SELECT 1 FROM sso_users WHERE (state, person_id, account) > ($1, $2, $3) AND state <= $1
				     ORDER BY state, person_id, account LIMIT $4) AS few`,
				string(state), string(after.Person), string(after.Account), countBatch).Scan(&n); err != nil || n < countBatch {
				return n, nil, err
			}
			var end UserKey
			err = q.QueryRowContext(ctx, `
				SELECT person_id, account FROM sso_users WHERE (state, person_id, account) > ($1, $2, $3) AND state <= $1
				 ORDER BY state, person_id, account LIMIT 1 OFFSET $4`,
				string(state), string(after.Person), string(after.Account), countBatch-1).Scan(&end.Person, &end.Account)
			return n, end, err
		})
		if err != nil {
			return nil, s.db.explain("count SSO users", err)
		}
		if n > 0 {
			all[state] = n
		}
	}
	return all, nil
}

// Count tells how many sessions have not reached their absolute end; a number of 10,000 and more may be two minutes
// old.
func (s *Sessions) Count(ctx context.Context) (int, error) {
	n, err := s.db.tally(ctx, "sessions", func(from any) (n int, to any, err error) {
		after, ok := from.(int64)
		if !ok {
			after = micros(s.db.now())
		}
		q := s.db.engine.reader()
		if err := q.QueryRowContext(ctx, `
			SELECT COUNT(*) FROM (SELECT 1 FROM sessions WHERE ends_at > $1 ORDER BY ends_at LIMIT $2) AS few`, after, countBatch).Scan(&n); err != nil || n < countBatch {
			return n, nil, err
		}
		var end int64
		err = q.QueryRowContext(ctx, `
			SELECT ends_at FROM sessions WHERE ends_at > $1 ORDER BY ends_at LIMIT 1 OFFSET $2`, after, countBatch-1).Scan(&end)
		return n, end, err
	})
	return n, s.db.explain("count sessions", err)
}
