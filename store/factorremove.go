package store

import (
	"context"
	"slices"
)

// Removal is a factor to remove.
type Removal struct {
	Act
	ID    string
	Alone string // the kind that is none by itself: it goes with the last of any other
	Keep  bool   // the person has to keep one, and a confirmed one if this one is confirmed
}

// Remove removes one of a person's factors; with it, where it was the last of any kind
// but the one that alone is none, that one too. ErrNotFound. ErrLast: it has to be kept. ErrRevoked, ErrStale: see Act.
func (s *SecondFactors) Remove(ctx context.Context, person PersonID, r Removal, events ...Event) error {
	return s.db.write(ctx, "remove second factor", func(ctx context.Context, tx querier) error {
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		session, err := s.db.allowed(ctx, tx, person, r.Act, s.db.now())
		if err != nil {
			return err
		}
		all, err := s.db.factorsOf(ctx, tx, person)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(f SecondFactor) bool { return f.ID == r.ID })
		if i < 0 {
			return ErrNotFound
		}
		gone := all[i]
		left := slices.DeleteFunc(slices.Clone(all), func(f SecondFactor) bool {
			return f.ID == r.ID ||
				f.Kind == r.Alone || f.Foreign
		})
		confirmed := slices.ContainsFunc(left, SecondFactor.OpensConsole)
		if r.Keep && (len(left) == 0 || gone.OpensConsole() && !confirmed) {
			return ErrLast
		}
		if _, err := removeFactorRows(ctx, tx, `
			DELETE FROM second_factors WHERE id = $1 AND person_id = $2 RETURNING id`, r.ID, string(person)); err != nil {
			return err
		}
		if _, err := removeFactorRows(ctx, tx, `
			DELETE FROM second_factors WHERE person_id = $1 AND NOT EXISTS
			    (SELECT 1 FROM second_factors other WHERE other.person_id = $1 AND other.kind <> $2)
			RETURNING id`, string(person), r.Alone); err != nil {
			return err
		}
		if _, err := s.db.afterChange(ctx, tx, person, session, r.KeepOthers, true); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// RemoveAll removes all factors of a person and an invitation that was not used, and ends their sessions, which may
// rest on one. It returns how many factors there were.
func (s *SecondFactors) RemoveAll(ctx context.Context, person PersonID, events ...Event) (int, error) {
	var n int64
	err := s.db.write(ctx, "remove second factors", func(ctx context.Context, tx querier) (err error) {
		n, err = s.db.removeFactors(ctx, tx, person)
		if err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return int(n), err
}

func (db *DB) removeFactors(ctx context.Context, tx querier, person PersonID) (int64, error) {
	if err := aboutPerson(ctx, tx, person); err != nil {
		return 0, err
	}
	n, err := removeFactorRows(ctx, tx, `
		DELETE FROM second_factors WHERE person_id = $1 RETURNING id`, string(person))
	if err != nil {
		return 0, err
	}
	// What nobody has used yet would let somebody enrol who found it.
	if err := revokeInvitation(ctx, tx, person); err != nil {
		return n, err
	}
	if _, err := tx.ExecContext(ctx, `
		UPDATE second_factor_people SET invite = $1, invite_ends_at = 0 WHERE person_id = $2`, blob(nil), string(person)); err != nil {
		return n, err
	}
	if _, _, err = db.revoke(ctx, tx, person); err != nil {
		return n, err
	}
	// Sessions first, as where a factor is proved.
	return n, forgetGuesses(ctx, tx, person)
}
