package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
)

// SourceLogout is a sign-out at a source.
type SourceLogout struct {
	Source string
	// Names are those under which the sessions that end have begun. A sign-in that came before begins none under them any
	// more: it may be between its token and its session.
	Names [][]byte
	// EndsAt lies behind the time until when such a sign-in could begin a session; it is remembered so long.
	EndsAt time.Time
	// Uses is the token that says so, which is used up with it; nil: it was used up before. With Disabled, one of a source
	// that is disabled or revoked ends sessions as well.
	Uses     *UsedToken
	Disabled bool
}

// SignOut ends the sessions of the people who came under the names, as far as ends says so, and records their
// events, in one transaction. It returns how many there were. ErrTokenUsed, ErrRevoked: so it is with the token,
// and nothing ended.
func (s *Sources) SignOut(ctx context.Context, o SourceLogout, ends func(Session) bool, event func(Session) Event) (
	ended int, err error) {
	err = s.db.write(ctx, "sign out at a source", func(ctx context.Context, tx querier) error {
		ended = 0
		if o.Uses != nil {
			if err := o.Uses.use(ctx, tx); err != nil && !(o.Disabled && errors.Is(err, ErrRevoked)) {
				return err
			}
		}
		// The names first, as whoever begins a session does: from here on either sees what the other has done.
		var people []PersonID
		for _, name := range inOrder(o.Names) {
			var p string
			if err := tx.QueryRowContext(ctx, `
				INSERT INTO source_sessions (source, name, person_id, ended, ends_at) VALUES ($1, $2, '', 0, $3)
				ON CONFLICT (source, name) DO UPDATE SET ends_at =
				    CASE WHEN source_sessions.ends_at < excluded.ends_at THEN excluded.ends_at ELSE source_sessions.ends_at END
				RETURNING person_id`, o.Source, blob(name), micros(o.EndsAt)).Scan(&p); err != nil {
				return err
			}
			if person := PersonID(p); p != "" && !slices.Contains(people, person) {
				people = append(people, person)
			}
		}
		var events []Event
		for _, p := range people {
			sessions, err := s.db.sessionsOf(ctx, tx, p)
			if err != nil {
				return err
			}
			for _, n := range sessions {
				if !ends(n) {
					continue
				}
				if _, err := endSession(ctx, tx, n.TokenHash); err != nil {
					return err
				}
				events = append(events, event(n))
				ended++
			}
		}
		// The counter last: others lock it behind sessions.
		var number int64
		if err := tx.QueryRowContext(ctx, `
			UPDATE counters SET value = value + 1 WHERE name = 'epochs' RETURNING value`).Scan(&number); err != nil {
			return err
		}
		for _, name := range o.Names {
			if _, err := tx.ExecContext(ctx, `
				UPDATE source_sessions SET ended = $1 WHERE source = $2 AND name = $3`, number, o.Source, blob(name)); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return ended, err
}

// inOrder puts names into the order in which everybody locks them.
func inOrder(names [][]byte) [][]byte { return slices.SortedFunc(slices.Values(names), bytes.Compare) }

// begins notes under which names a session begins. ErrSignedOut: the person has signed out at the source under one of
// them since n.Mark was read.
func (u UsedToken) begins(ctx context.Context, tx querier, n Session) error {
	var (
		all  []step
		last int64
	)
	for _, name := range inOrder(u.Names) {
		all = append(all, step{
			text: `
				INSERT INTO source_sessions (source, name, person_id, ended, ends_at) VALUES ($1, $2, $3, 0, $4)
				ON CONFLICT (source, name) DO UPDATE SET person_id = excluded.person_id, ends_at =
				    CASE WHEN source_sessions.ends_at < excluded.ends_at THEN excluded.ends_at ELSE source_sessions.ends_at END
				RETURNING ended`,
			args: []any{u.Source, blob(name), string(n.Person), micros(n.EndsAt)},
			row: func(row scanner) error {
				var ended int64
				err := row.Scan(&ended)
				last = max(last, ended)
				return err
			},
		})
	}
	if err := inSteps(ctx, tx, all...); err != nil {
		return err
	}
	if last > n.Mark {
		return ErrSignedOut
	}
	return nil
}

// purgeNames forgets names whose sessions are over.
func (s *Sources) purgeNames(ctx context.Context) (int, error) {
	return s.db.inBatches(ctx, "purge names of sessions", sweep, func(ctx context.Context, tx querier) (int, error) {
		// The condition stands outside again: a session may have begun under the name since the inner query read it.
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM source_sessions WHERE ends_at <= $1 AND (source, name) IN
			    (SELECT source, name FROM source_sessions WHERE ends_at <= $1 ORDER BY ends_at LIMIT `+inSweep+`)`,
			micros(s.db.now()))
		return int(n), err
	})
}
