package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// RequestCounts keeps how many requests were only counted: those that left neither trace nor log line of their own,
// since there were more of their kind than is kept. There is one row for a reason and a quarter of an hour, so a flood
// of any size and length has few.
type RequestCounts struct{ db *DB }

// RequestCounts returns the counts of this database.
func (db *DB) RequestCounts() *RequestCounts { return &RequestCounts{db} }

// RequestCount is how many requests of one reason were counted between two moments.
type RequestCount struct {
	Reason   string    `json:"reason"` // a fixed word
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Requests int64     `json:"requests"`
}

// floodGap is how far apart two requests of a reason are at most that belong together. Counts are written in batches,
// and carry the times of the requests, so the gap is one between requests.
const floodGap = 2 * time.Minute

// floodReach bounds how far Around looks before and after a moment, and so how many rows it reads.
const floodReach = 24 * time.Hour

// Add adds to the counts, in one transaction. Replicas add up. A count may not reach over the end of a quarter of an
// hour: its first moment says where it belongs.
func (c *RequestCounts) Add(ctx context.Context, all ...RequestCount) error {
	if len(all) == 0 {
		return nil
	}
	// One order for all replicas: two that write at the same time must not wait for each other's rows in a circle.
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b RequestCount) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), a.First.Compare(b.First))
	})
	return c.db.write(ctx, "store counts of requests", func(ctx context.Context, tx querier) error {
		for _, one := range all {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO request_counts (reason, at, first_at, last_at, requests) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (reason, at) DO UPDATE
				   SET first_at = CASE WHEN excluded.first_at < request_counts.first_at THEN excluded.first_at ELSE request_counts.first_at END,
				       last_at  = CASE WHEN excluded.last_at > request_counts.last_at THEN excluded.last_at ELSE request_counts.last_at END,
				       requests = request_counts.requests + excluded.requests`,
				sanitize(one.Reason), micros(one.First.Truncate(StatisticStep)), micros(one.First), micros(one.Last),
				one.Requests); err != nil {
				return err
			}
		}
		return nil
	})
}

const requestCountColumns = `reason, first_at, last_at, requests`

func scanRequestCount(row scanner) (c RequestCount, err error) {
	var first, last int64
	err = row.Scan(&c.Reason, &first, &last, &c.Requests)
	c.First, c.Last = fromMicros(first), fromMicros(last)
	return c, err
}

// Around returns the count of the requests of a reason that were counted at a minute, and before and after it without a
// gap of more than two minutes. ErrNotFound: none were, or their count was not written yet.
func (c *RequestCounts) Around(ctx context.Context, reason string, minute time.Time) (RequestCount, error) {
	const what = "read a count of requests"
	all, err := collect(ctx, c.db.engine.reader(), scanRequestCount, `
		SELECT `+requestCountColumns+` FROM request_counts
		 WHERE reason = $1 AND at >= $2 AND at <= $3
		 ORDER BY at`, reason, micros(minute.Truncate(StatisticStep).Add(-floodReach)), micros(minute.Truncate(StatisticStep).Add(floodReach)))
	if err != nil {
		return RequestCount{}, c.db.explain(what, err)
	}
	one := slices.IndexFunc(all, func(n RequestCount) bool {
		return !n.Last.Before(minute) && n.First.Before(minute.Add(time.Minute))
	})
	if one < 0 {
		return RequestCount{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	sum := all[one]
	for i := one - 1; i >= 0 && sum.First.Sub(all[i].Last) <= floodGap; i-- {
		sum.First = all[i].First
		sum.Requests += all[i].Requests
	}
	for i := one + 1; i < len(all) && all[i].First.Sub(sum.Last) <= floodGap; i++ {
		sum.Last = all[i].Last
		sum.Requests += all[i].Requests
	}
	return sum, nil
}

// Since returns the counts of each reason and quarter of an hour from a time on, the newest first, at most limit.
func (c *RequestCounts) Since(ctx context.Context, since time.Time, limit int) ([]RequestCount, error) {
	all, err := collect(ctx, c.db.engine.reader(), scanRequestCount, `
		SELECT `+requestCountColumns+` FROM request_counts
		 WHERE at >= $1
		 ORDER BY at DESC, reason LIMIT $2`, micros(since.Truncate(StatisticStep)), limit)
	return all, c.db.explain("list counts of requests", err)
}

// Purge deletes counts older than keep, in small batches; it returns how many.
func (c *RequestCounts) Purge(ctx context.Context, keep time.Duration) (int, error) {
	return c.db.inBatches(ctx, "purge counts of requests", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM request_counts
			 WHERE (reason, at) IN (SELECT reason, at FROM request_counts WHERE at < $1 ORDER BY at LIMIT `+inSweep+`)`,
			micros(c.db.now().Add(-keep)))
		return int(n), err
	})
}
