package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// SourceState is what administrators have done with a source of people.
type SourceState struct {
	Name       string
	DisabledAt time.Time // zero: it is in use
	RevokedAt  time.Time // tokens and sessions that are not younger are refused; zero: none are
}

// UsedToken is a token of a source that begins a session.
type UsedToken struct {
	Source   string
	Token    []byte    // names it among those of its source: a hash
	IssuedAt time.Time // by the source's clock
	// EndsAt lies behind the time until when it could be used again; it is remembered so long.
	EndsAt time.Time
	// Request names the request that the token answers, among what its source has used: it is used up with it, and
	// remembered until RequestEndsAt. nil: it answers none.
	Request       []byte
	RequestEndsAt time.Time
	// Names are those by which the source can end the session that the token begins, as hashes: see SourceLogout.
	Names [][]byte
}

// KnownByToken is what the browser of somebody who comes by a token is known as (see Session.KnownAs): it is no login
// name, and is found again when the person is forgotten.
func KnownByToken(p PersonID) string { return "launch:" + string(p) }

// Sources keeps the state of sources, and which of their tokens were used.
type Sources struct{ db *DB }

// Sources returns those of this database.
func (db *DB) Sources() *Sources { return &Sources{db} }

const sourceColumns = `name, disabled_at, revoked_at`

func scanSource(row scanner) (s SourceState, err error) {
	var disabled, revoked int64
	err = row.Scan(&s.Name, &disabled, &revoked)
	s.DisabledAt, s.RevokedAt = fromMicros(disabled), fromMicros(revoked)
	return s, err
}

// List returns the states that are not the initial one, by name.
func (s *Sources) List(ctx context.Context) ([]SourceState, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanSource, `
		SELECT `+sourceColumns+` FROM sources ORDER BY name`)
	return all, s.db.explain("list the states of sources", err)
}

// SetEnabled disables a source, or enables it again.
func (s *Sources) SetEnabled(ctx context.Context, name string, enabled bool, e Event) error {
	return s.db.write(ctx, "enable or disable a source", func(ctx context.Context, tx querier) error {
		now, word := s.db.now(), SwitchedOff
		at := micros(now)
		if enabled {
			at, word = 0, Allowed
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO sources (name, disabled_at, revoked_at) VALUES ($1, $2, 0)
			ON CONFLICT (name) DO UPDATE SET disabled_at = excluded.disabled_at`, name, at); err != nil {
			return err
		}
		note(ctx, SourceObject, name, word)
		if err := raise(ctx, tx); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Revoke refuses the tokens that a source has made until now, and the sessions that came of them.
func (s *Sources) Revoke(ctx context.Context, name string, e Event) error {
	return s.db.write(ctx, "revoke the tokens of a source", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := revokeSource(ctx, tx, name, now); err != nil {
			return err
		}
		note(ctx, SourceTokensObject, name, Revoked)
		if err := raise(ctx, tx); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

func revokeSource(ctx context.Context, tx querier, name string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO sources (name, disabled_at, revoked_at) VALUES ($1, 0, $2)
		ON CONFLICT (name) DO UPDATE SET revoked_at = excluded.revoked_at`, name, micros(now))
	return err
}

// use takes a token in the transaction that stores the session it begins. ErrTokenUsed: it was used before. ErrRevoked:
// its source was disabled, or its tokens were revoked, since it was checked.
func (u UsedToken) use(ctx context.Context, tx querier) error {
	var (
		state SourceState
		first bool
		asked = true
	)
	all := []step{{
		text: `SELECT ` + sourceColumns + ` FROM sources WHERE name = $1`, args: []any{u.Source}, none: true,
		row: func(row scanner) (err error) {
			state, err = scanSource(row)
			return err
		},
	}, useToken(&first, u.Source, u.Token, u.EndsAt)}
	if len(u.Request) > 0 {
		all = append(all, useToken(&asked, u.Source, u.Request, u.RequestEndsAt))
	}
	if err := inSteps(ctx, tx, all...); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	switch {
	case !first: // also where the source is off: SignOut takes a token of one
		return ErrTokenUsed
	case state.Refuses(u.IssuedAt):
		return ErrRevoked
	case !asked:
		return ErrRequestUsed
	}
	return nil
}

// useToken takes a token, or a request, of a source. Of many at once one does.
func useToken(first *bool, source string, token []byte, ends time.Time) step {
	return hit(first, `
		INSERT INTO used_tokens (source, token, ends_at) VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING
		RETURNING ends_at`, source, blob(token), micros(ends))
}

// Take uses up a token that begins no session. ErrTokenUsed: it was used before. ErrRevoked: its source was disabled,
// or its tokens were revoked.
func (s *Sources) Take(ctx context.Context, u UsedToken) error {
	return s.db.write(ctx, "use up a token of a source", u.use)
}

// Refuses tells whether a token, or a session, of that time is refused.
func (s SourceState) Refuses(issued time.Time) bool {
	return !s.DisabledAt.IsZero() || !s.RevokedAt.IsZero() && !issued.After(s.RevokedAt)
}

// Purge forgets tokens that nobody can use again, and names of sessions that are over, in small batches; it returns how
// many.
func (s *Sources) Purge(ctx context.Context) (int, error) {
	used, err := s.db.inBatches(ctx, "purge used tokens", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM used_tokens WHERE ends_at <= $1 AND (source, token) IN
			    (SELECT source, token FROM used_tokens WHERE ends_at <= $1 ORDER BY ends_at LIMIT `+inSweep+`)`,
			micros(s.db.now()))
		return int(n), err
	})
	if err != nil {
		return used, err
	}
	names, err := s.purgeNames(ctx)
	return used + names, err
}

// sources disables again, and revokes again, what was before the copy. The words name sources by their names, since a
// copy may have no row of them.
func (r *replay) sources(ctx context.Context, tx querier, done *Settled, now time.Time) error {
	for _, w := range r.missing {
		if r.word(w.Kind, w.Object) != w.Word {
			continue
		}
		switch {
		case w.Kind == SourceObject && w.Word == SwitchedOff:
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO sources (name, disabled_at, revoked_at) VALUES ($1, $2, 0)
				ON CONFLICT (name) DO UPDATE SET disabled_at = excluded.disabled_at`, w.Object, micros(now)); err != nil {
				return err
			}
		case w.Kind == SourceTokensObject && w.Word == Revoked:
			if err := revokeSource(ctx, tx, w.Object, now); err != nil {
				return err
			}
		default:
			continue
		}
		done.Sources++
	}
	return nil
}
