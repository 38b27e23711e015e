package store

import (
	"context"
	"sync"
	"time"
)

// Changes is the counter that each change of configuration raises (service
// providers, keys, mappings, accounts); caches compare it. A change made through
// this DB is seen at once. One made by another process is seen at once on
// SQLite and after at most 250 ms on PostgreSQL, where each look costs a round trip.
//
// Within a context of OneReading it is read once.
func (db *DB) Changes(ctx context.Context) (int64, error) {
	if n, ok := readingOf(ctx).get(); ok {
		return n, nil
	}
	n, err := db.changes.get(db.engine.staleness(), func() (n int64, err error) {
		err = db.engine.reader().QueryRowContext(ctx, `
			SELECT value FROM counters WHERE name = 'changes'`).Scan(&n)
		return n, err
	})
	if err == nil {
		readingOf(ctx).set(n)
	}
	return n, db.explain("read the change counter", err)
}

// oneReading keeps the change counter for one request.
type oneReading struct {
	mu    sync.Mutex
	value int64
	read  time.Time // monotonic; zero: not yet
}

type oneReadingKey struct{}

// readingFor is how long a reading serves its request: caches may be a second old, however long somebody waits.
const readingFor = time.Second

// OneReading is for one request that only reads configuration: the parts that it passes compare their caches with the
// same reading of the change counter.
func OneReading(ctx context.Context) context.Context {
	return context.WithValue(ctx, oneReadingKey{}, &oneReading{})
}

// NewReading has the change counter read anew, for who found that a cache has been overtaken.
func NewReading(ctx context.Context) context.Context {
	if readingOf(ctx) == nil {
		return ctx
	}
	return OneReading(ctx)
}

func readingOf(ctx context.Context) *oneReading {
	r, _ := ctx.Value(oneReadingKey{}).(*oneReading)
	return r
}

func (r *oneReading) get() (int64, bool) {
	if r == nil {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value, !r.read.IsZero() && time.Since(r.read) < readingFor
}

func (r *oneReading) forget() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = time.Time{}
}

func (r *oneReading) set(n int64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value, r.read = n, time.Now()
}

// raise counts one change of configuration, in the transaction that makes it.
func raise(ctx context.Context, tx querier) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE counters SET value = value + 1 WHERE name = 'changes'`)
	return err
}

// counterCache keeps the change counter for a moment. Its age is measured on
// the machine's monotonic clock: it bounds a delay, no rule hangs on it.
type counterCache struct {
	mu    sync.Mutex
	value int64
	read  time.Time
	epoch int64 // raised by forget, so that a read that began before is not kept
}

func (c *counterCache) get(staleness time.Duration, read func() (int64, error)) (int64, error) {
	if staleness == 0 {
		return read()
	}
	c.mu.Lock()
	if !c.read.IsZero() && time.Since(c.read) < staleness {
		defer c.mu.Unlock()
		return c.value, nil
	}
	epoch := c.epoch
	c.mu.Unlock()

	began := time.Now()
	value, err := read()
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch && began.After(c.read) {
		c.value, c.read = value, began
	}
	return value, nil
}

func (c *counterCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.read = time.Time{}
}
