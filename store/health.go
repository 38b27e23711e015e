package store

import (
	"context"
	"fmt"
	"time"
)

// Health keeps the last health snapshot, which one replica makes and all show, and what all replicas have seen that it
// goes by. Times are the database's.
type Health struct{ db *DB }

// Health returns the health snapshot of this database.
func (db *DB) Health() *Health { return &Health{db} }

// maxHealth bounds the content of a snapshot, in bytes: it is read every few seconds.
const maxHealth = 256 << 10

// HealthRecord is the stored snapshot.
type HealthRecord struct {
	At      time.Time     // when it was made; zero: none was made yet
	Age     time.Duration // how long ago that is
	Maker   string        // the replica that made it
	Content string        // JSON
	// SignedIn is when somebody last signed in at a service provider; zero: not known.
	SignedIn time.Time
	Calls    CallRecord
}

// CallRecord is what the last calls to Constant Contact came to.
type CallRecord struct {
	Worked   time.Time     // when it last answered as it should; zero: not known
	Ago      time.Duration // how long ago that is
	Failures int           // calls since then that failed, or had no answer of its own
	FailedAt time.Time     // the last of them
	Why      string        // a fixed word for why that one did
}

// Read reads the snapshot.
func (h *Health) Read(ctx context.Context) (r HealthRecord, err error) {
	const what = "read the health snapshot"
	now, err := h.db.engine.clock(ctx, h.db.engine.reader())
	if err != nil {
		return r, h.db.explain(what, err)
	}
	var at, signedIn, failed, worked int64
	c := &r.Calls
	if err := h.db.engine.reader().QueryRowContext(ctx, `
		SELECT h.at, h.maker, h.content, h.signed_in_at, h.call_failures, h.call_failed_at, h.call_why, b.worked_at
		  FROM health h JOIN budget b ON b.id = h.id WHERE h.id = 1`).Scan(&at, &r.Maker, &r.Content, &signedIn, &c.Failures,
		&failed, &c.Why, &worked); err != nil {
		return r, h.db.explain(what, err)
	}
	r.At, r.SignedIn, c.FailedAt, c.Worked = fromMicros(at), fromMicros(signedIn), fromMicros(failed), fromMicros(worked)
	if !r.At.IsZero() {
		r.Age = max(0, now.Sub(r.At))
	}
	if !c.Worked.IsZero() {
		c.Ago = max(0, now.Sub(c.Worked))
	}
	if c.FailedAt.Before(c.Worked) {
		c.Failures, c.FailedAt, c.Why = 0, time.Time{}, ""
	}
	return r, nil
}

// Put stores a snapshot that was made now.
func (h *Health) Put(ctx context.Context, maker, content string) error {
	const what = "store the health snapshot"
	if len(content) > maxHealth {
		return h.db.explain(what, fmt.Errorf("it has %d bytes, want at most %d", len(content), maxHealth))
	}
	return h.set(ctx, what, `
		UPDATE health SET at = $1, maker = $2, content = $3 WHERE id = 1`, func(now time.Time) []any {
		return []any{micros(now), maker, content}
	})
}

// SignedIn notes that somebody signed in so long ago.
func (h *Health) SignedIn(ctx context.Context, ago time.Duration) error {
	// A mark that lies ahead was left by a clock that ran ahead and was put right.
	return h.set(ctx, "note when somebody last signed in", `
		UPDATE health SET signed_in_at = $1 WHERE id = 1 AND (signed_in_at < $1 OR signed_in_at > $2)`,
		func(now time.Time) []any { return []any{micros(now.Add(-max(0, ago))), micros(now)} })
}

// CallFailed notes that a call to Constant Contact failed; why is a fixed word.
func (h *Health) CallFailed(ctx context.Context, why string) error {
	return h.set(ctx, "note that a call to Constant Contact failed", `
		UPDATE health SET call_failed_at = $1, call_why = $2,
		       call_failures = CASE WHEN call_failed_at < (SELECT worked_at FROM budget WHERE id = 1) THEN 1
		                            ELSE call_failures + 1 END
		 WHERE id = 1`,
		func(now time.Time) []any { return []any{micros(now), why} })
}

func (h *Health) set(ctx context.Context, what, statement string, args func(now time.Time) []any) error {
	return h.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := h.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, statement, args(now)...)
		return err
	})
}
