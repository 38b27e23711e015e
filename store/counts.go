package store

import (
	"context"
	"sync"
	"time"
)

// countedFor is how long a large number is given out again: charts and metrics ask all the time.
const countedFor = time.Minute

// countBatch is how many rows one statement counts, and how far rows are counted anew each time somebody asks.
var countBatch = 10_000

// largeCounts remembers how many rows there were where these are many.
type largeCounts struct {
	counting chan struct{} // holds one while a large number is counted
	mu       sync.Mutex    // of what follows
	known    map[string]largeCount
}

type largeCount struct {
	n  int
	at time.Time // monotonic; an age, not a rule about time
}

// tally counts rows: exactly while these are few, and where they were many, as they were at most a minute ago. batch
// counts those behind a place in an index (nil: from its start), countBatch at most, and tells where these end if they
// are as many. So no statement is long.
func (db *DB) tally(ctx context.Context, what string, batch func(from any) (n int, to any, err error)) (int, error) {
	if n, ok := db.large.get(what); ok {
		return n, nil
	}
	n, to, err := batch(nil)
	if err != nil || n < countBatch {
		return n, err
	}
	// One counts, the others wait for its number, each as long as its own request lasts.
	select {
	case db.large.counting <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-db.large.counting }()
	if n, ok := db.large.get(what); ok {
		return n, nil
	}
	for more := n; more == countBatch; n += more {
		if more, to, err = batch(to); err != nil {
			return 0, err
		}
	}
	db.large.put(what, n)
	return n, nil
}

// get is a number that is remembered still.
func (l *largeCounts) get(what string) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.known[what]
	return c.n, ok && time.Since(c.at) < countedFor
}

func (l *largeCounts) put(what string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[string]largeCount{}
	}
	l.known[what] = largeCount{n, time.Now()}
}

// CountByState tells how many rows of the ledger are in each state; a number of 10,000 and more may be a minute old.
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

// Count tells how many sessions have not reached their absolute end; a number of 10,000 and more may be a minute old.
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
