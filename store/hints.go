package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// AccountChanged notes that Constant Contact said that an account changed. However many come, one reading is due: at
// once, or gap after the last one. An account that is not known is left out and ok is false. The clock is the
// database's.
func (s *Accounts) AccountChanged(ctx context.Context, id AccountID, event string,
	gap time.Duration) (ok bool, err error) {
	const what = "note a hint about a client account"
	if gap < 0 {
		return false, s.db.explain(what, fmt.Errorf("gap %v: want none below 0", gap))
	}
	// A stranger's guesses need no writer.
	switch _, err := s.Get(ctx, id); {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, s.db.explain(what, err)
	}
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// The last case is for a clock that was set back since the last reading.
		_, err = tx.ExecContext(ctx, `
			INSERT INTO account_hints (account, event, hints, hint_at, due_at, read_at) VALUES ($1, $2, 1, $3, $3, 0)
			ON CONFLICT (account) DO UPDATE SET
			       event = excluded.event, hints = account_hints.hints + 1, hint_at = excluded.hint_at,
			       due_at = CASE WHEN account_hints.due_at > 0 THEN account_hints.due_at
			                     WHEN account_hints.read_at + $4 <= excluded.hint_at THEN excluded.hint_at
			                     WHEN account_hints.read_at <= excluded.hint_at THEN account_hints.read_at + $4
			                     ELSE excluded.hint_at + $4 END`,
			string(id), sanitize(event), micros(now), gap.Microseconds())
		return err
	})
	return err == nil, err
}

// NextChanged takes the account whose reading is due the longest, unless perDay readings were taken today (UTC, the
// database's clock): they wait for tomorrow then. A reading that fails is asked for by AccountChanged again.
// ErrNotFound: none is due.
func (s *Accounts) NextChanged(ctx context.Context, perDay int) (AccountID, error) {
	const what = "take the next hint about a client account"
	// Nothing due is the usual answer and needs no writer.
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return "", s.db.explain(what, err)
	}
	if _, err := nextHint(ctx, s.db.engine.reader(), now); err != nil {
		return "", s.db.explain(what, err)
	}
	var id AccountID
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		// The counter's row lock comes first: who waits for it sees what the one before has taken.
		var used int64
		if err := tx.QueryRowContext(ctx, `
			UPDATE counters SET value = value WHERE name = 'hint_readings' RETURNING value`).Scan(&used); err != nil {
			return err
		}
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		today := dayOf(now)
		var day int64
		if err := tx.QueryRowContext(ctx, `
			SELECT value FROM counters WHERE name = 'hint_day'`).Scan(&day); err != nil {
			return err
		}
		if day != today {
			used = 0
		}
		if used >= int64(perDay) {
			return ErrNotFound
		}
		if id, err = nextHint(ctx, tx, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE account_hints SET due_at = 0, hints = 0, read_at = $1 WHERE account = $2`, micros(now), string(id)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE counters SET value = $1 WHERE name = 'hint_day'`, today); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE counters SET value = $1 WHERE name = 'hint_readings'`, used+1)
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// nextHint finds the account whose reading is due the longest by now.
func nextHint(ctx context.Context, q querier, now time.Time) (id AccountID, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT account FROM account_hints
		 WHERE due_at > 0 AND due_at <= $1 ORDER BY due_at, account LIMIT 1`, micros(now)).Scan(&id)
	return id, err
}
