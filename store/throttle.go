package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
)

// Throttle counts failed logins (row LDAP-10) and remembers which browser each
// login was used from. Keys are hashes made by the caller, who decides what a
// limit hangs on: login, address, browser.
type Throttle struct{ db *DB }

// Throttle returns the counts of this database.
func (db *DB) Throttle() *Throttle { return &Throttle{db} }

// windowSlack is how much later than by one's own clock a window may end and still be today's: transactions that wait
// for one another were not begun in the order of their turns, and replicas have clocks of their own. Without it, one
// that comes late would take the window for another one, and begin to count anew.
const windowSlack = time.Minute

// browserMemory is how long a browser stays known to a login that is not used from it.
const browserMemory = 180 * 24 * time.Hour

// Failures returns the failures of each key in its running window, in the order
// of the keys. The window is the one that Fail was called with.
func (t *Throttle) Failures(ctx context.Context, window time.Duration, keys ...[]byte) ([]int, error) {
	counts := make([]int, len(keys))
	now := t.db.now()
	for i, key := range keys {
		// Bounded from above too: a window that was longer when it began counts as today's.
		if err := t.db.engine.reader().QueryRowContext(ctx, `
			SELECT COALESCE(SUM(failures), 0) FROM login_failures
			 WHERE key_hash = $1 AND ends_at > $2 AND ends_at <= $3`,
			blob(key), micros(now), micros(now.Add(window+windowSlack))).Scan(&counts[i]); err != nil {
			return nil, t.db.explain("read login failures", err)
		}
	}
	return counts, nil
}

// KnownBrowser tells whether this login succeeded from this browser before.
func (t *Throttle) KnownBrowser(ctx context.Context, login string, browser []byte) (known bool, err error) {
	err = t.db.engine.reader().QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM known_browsers WHERE login = $1 AND browser = $2)`,
		login, blob(browser)).Scan(&known)
	if err = t.db.explain("look up known browser", err); errors.Is(err, ErrNotFound) {
		return false, nil // a login that can't even be stored
	}
	return known, err
}

// Fail counts one failure for each key and records the event. A window begins
// with its first failure and is over after window, however many follow.
func (t *Throttle) Fail(ctx context.Context, window time.Duration, e Event, keys ...[]byte) error {
	// Sorted, so that two transactions lock shared keys in the same order.
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, bytes.Compare)
	return t.db.write(ctx, "record login failure", func(ctx context.Context, tx querier) error {
		now := t.db.now()
		for _, key := range sorted {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO login_failures (key_hash, failures, ends_at) VALUES ($1, 1, $2)
				ON CONFLICT (key_hash) DO UPDATE SET
				    failures = CASE WHEN login_failures.ends_at > $3 AND login_failures.ends_at <= $4
				                    THEN login_failures.failures + 1 ELSE 1 END,
				    ends_at  = CASE WHEN login_failures.ends_at > $3 AND login_failures.ends_at <= $4
				                    THEN login_failures.ends_at ELSE $2 END`,
				blob(key), micros(now.Add(window)), micros(now), micros(now.Add(window+windowSlack))); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Clear forgets the failures of the keys.
func (t *Throttle) Clear(ctx context.Context, keys ...[]byte) error {
	if len(keys) == 0 {
		return nil
	}
	return t.db.write(ctx, "clear login failures", func(ctx context.Context, tx querier) error {
		return clearFailures(ctx, tx, keys)
	})
}

func clearFailures(ctx context.Context, tx querier, keys [][]byte) error {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, bytes.Compare)
	for _, key := range sorted {
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM login_failures WHERE key_hash = $1`, blob(key)); err != nil {
			return err
		}
	}
	return nil
}

// Purge deletes counts whose window is over and browsers not used for half a
// year, in small bites; it returns how many.
func (t *Throttle) Purge(ctx context.Context) (int, error) {
	const bite = 200
	counts, err := t.db.inBites(ctx, "purge login failures", bite, func(ctx context.Context, tx querier) (int, error) {
		n, err := touched(ctx, tx, `
			DELETE FROM login_failures WHERE ends_at <= $1 AND key_hash IN
			    (SELECT key_hash FROM login_failures WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)`,
			micros(t.db.now()), bite)
		return int(n), err
	})
	if err != nil {
		return counts, err
	}
	browsers, err := t.db.inBites(ctx, "purge known browsers", bite, func(ctx context.Context, tx querier) (int, error) {
		n, err := touched(ctx, tx, `
			DELETE FROM known_browsers WHERE seen_at <= $1 AND (login, browser) IN
			    (SELECT login, browser FROM known_browsers WHERE seen_at <= $1 ORDER BY seen_at LIMIT $2)`,
			micros(t.db.now().Add(-browserMemory)), bite)
		return int(n), err
	})
	return counts + browsers, err
}

// Take counts a guess before it is looked at, and tells whether there was one left: of guesses
// that come together no more are looked at than limit. A right one is given back by Clear, or by
// Session.Clears. The window is as in Fail.
func (t *Throttle) Take(ctx context.Context, window time.Duration, limit int, key []byte) (left bool, err error) {
	err = t.db.write(ctx, "count a guess", func(ctx context.Context, tx querier) error {
		now := t.db.now()
		var n int
		err := tx.QueryRowContext(ctx, `
			INSERT INTO login_failures (key_hash, failures, ends_at) VALUES ($1, 1, $2)
			ON CONFLICT (key_hash) DO UPDATE SET
			    failures = CASE WHEN login_failures.ends_at > $3 AND login_failures.ends_at <= $4
			                    THEN login_failures.failures + 1 ELSE 1 END,
			    ends_at  = CASE WHEN login_failures.ends_at > $3 AND login_failures.ends_at <= $4
			                    THEN login_failures.ends_at ELSE $2 END
			RETURNING failures`, blob(key), micros(now.Add(window)), micros(now), micros(now.Add(window+windowSlack))).Scan(&n)
		left = n <= limit
		return err
	})
	return left, err
}
