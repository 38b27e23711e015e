package store

import (
	"context"
	"sync"
	"time"
)

// olderFresh is how long it is taken to be so whether a replica of the version before is running.
const olderFresh = 3 * time.Second

// olderReplicas keeps the last answer of whether a replica of the version before this one is running.
type olderReplicas struct {
	mu     sync.Mutex
	asked  time.Time // monotonic; an age, not a rule about time
	found  bool
	failed bool
}

// olderGrace is how long after the last one was seen replicas of the version before may come back: an upgrade that is taken back
// must not lose what people have started.
const olderGrace = time.Hour

// OlderReplicas tells whether a replica of the version before this one uses this database, or did within the last hour, which knows only
// what is stored. The answer may be a few seconds old. Where the database can't say, as some that speak PostgreSQL's protocol can't, there is none: whoever
// meets such a replica then starts again, and strangers store nothing.
func (db *DB) OlderReplicas(ctx context.Context) bool {
	o := &db.older
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.asked.IsZero() && time.Since(o.asked) < olderFresh {
		return o.found
	}
	found, err := db.engine.older(ctx)
	if err == nil {
		found, err = db.olderLately(ctx, found)
	}
	if ctx.Err() != nil {
		return o.found // the next one asks
	}
	if err != nil && !o.failed {
		db.log.WarnContext(ctx, "the database does not say whether an older version is running", "cause", err)
	}
	if found != o.found && err == nil {
		db.log.InfoContext(ctx, "replicas of the version before this one", "running", found)
	}
	o.found, o.failed, o.asked = found && err == nil, err != nil, time.Now()
	return o.found
}

// olderLately notes that one is running, for all replicas and for those that start later, or looks when one was seen.
func (db *DB) olderLately(ctx context.Context, running bool) (bool, error) {
	var seen int64
	if err := db.engine.reader().QueryRowContext(ctx, `
		SELECT value FROM counters WHERE name = 'older_seen'`).Scan(&seen); err != nil {
		return running, err
	}
	now := db.now()
	if !running {
		return now.Before(fromMicros(seen).Add(olderGrace)), nil
	}
	if now.Before(fromMicros(seen).Add(time.Minute)) {
		return true, nil
	}
	return true, db.write(ctx, "note an older replica", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE counters SET value = $1 WHERE name = 'older_seen'`, micros(now))
		return err
	})
}
