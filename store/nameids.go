package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"
)

// NameID is a NameID that was issued at a service provider, and to whom.
type NameID struct {
	Name     []byte   // keyed hash of service provider and NameID, made by the caller
	Owner    []byte   // keyed hash of the person's id, made by the caller
	Person   PersonID // "" once the person was forgotten: the hashes stay
	EntityID string
	FirstAt  time.Time
	LastAt   time.Time // to a day
}

// NameIDs keeps which NameIDs were issued to whom. Who gets one that was another's gets into that person's account at
// the service provider, which knows people by it alone.
type NameIDs struct{ db *DB }

// NameIDs returns the issued NameIDs of this database.
func (db *DB) NameIDs() *NameIDs { return &NameIDs{db} }

// nameGrain is how exactly LastAt is kept: a launch writes nothing more on most days.
const nameGrain = 24 * time.Hour

// Key returns the sealed key of the hashes. The first caller's is stored, whoever asks.
func (s *NameIDs) Key(ctx context.Context, proposed []byte) (sealed []byte, err error) {
	const what = "read the key of NameIDs"
	sealed, err = nameKey(ctx, s.db.engine.reader())
	if !errors.Is(err, sql.ErrNoRows) || proposed == nil {
		return sealed, s.db.explain(what, err)
	}
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO name_id_key (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING`, blob(proposed)); err != nil {
			return err
		}
		sealed, err = nameKey(ctx, tx)
		return err
	})
	return sealed, err
}

func nameKey(ctx context.Context, q querier) (sealed []byte, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT sealed FROM name_id_key WHERE id = 1`).Scan(&sealed)
	return sealed, err
}

// SealKey replaces the sealed form of the key by one under another secret key. ErrConflict: it is no longer was.
func (s *NameIDs) SealKey(ctx context.Context, was, sealed []byte, events ...Event) error {
	return s.db.change(ctx, "seal the key of NameIDs", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE name_id_key SET sealed = $1 WHERE id = 1 AND sealed = $2`, blob(sealed), blob(was))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// Get tells to whom a NameID was issued. ErrNotFound: to nobody.
func (s *NameIDs) Get(ctx context.Context, name []byte) (NameID, error) {
	n, err := getNameID(ctx, s.db.engine.reader(), name)
	return n, s.db.explain("look up a NameID", err)
}

const nameIDStatement = `
		SELECT name, owner, person_id, entity_id, first_at, last_at FROM name_ids WHERE name = $1`

func scanNameID(row scanner) (n NameID, err error) {
	var first, last int64
	err = row.Scan(&n.Name, &n.Owner, &n.Person, &n.EntityID, &first, &last)
	n.FirstAt, n.LastAt = fromMicros(first), fromMicros(last)
	return n, err
}

func getNameID(ctx context.Context, q querier, name []byte) (NameID, error) {
	return scanNameID(q.QueryRowContext(ctx, nameIDStatement, blob(name)))
}

// Release forgets to whom a NameID was issued, so that the next person can get it. ErrConflict: it is no longer as was
// says.
func (s *NameIDs) Release(ctx context.Context, was NameID, e Event) error {
	return s.db.write(ctx, "release a NameID", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM name_ids WHERE name = $1 AND owner = $2`, blob(was.Name), blob(was.Owner))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// ReleaseAll forgets to whom any NameID was issued, and the key of the hashes.
func (s *NameIDs) ReleaseAll(ctx context.Context, e Event) error {
	return s.db.change(ctx, "release all NameIDs", func(ctx context.Context, tx querier) error {
		for _, statement := range []string{`DELETE FROM name_ids`, `DELETE FROM name_id_key`} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// nameIDLook is a look at whose a NameID is, in the transaction that issues it.
type nameIDLook struct {
	found bool
	was   NameID
}

func (l *nameIDLook) step(name []byte) step {
	return step{text: nameIDStatement, args: []any{blob(name)}, none: true, row: func(row scanner) (err error) {
		l.was, err = scanNameID(row)
		l.found = err == nil
		return err
	}}
}

// issueNameID notes that a person gets a NameID, in the transaction that issues it. ErrNameIDTaken: it is another's.
func issueNameID(ctx context.Context, tx querier, n NameID, at time.Time) error {
	var l nameIDLook
	if err := inSteps(ctx, tx, l.step(n.Name)); err != nil {
		return err
	}
	return l.issue(ctx, tx, n, at)
}

// issue is issueNameID after the look.
func (l *nameIDLook) issue(ctx context.Context, tx querier, n NameID, at time.Time) error {
	was := l.was
	if !l.found {
		added, err := rowsAffected(ctx, tx, `
			INSERT INTO name_ids (name, owner, person_id, entity_id, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $5)
			ON CONFLICT (name) DO NOTHING`,
			blob(n.Name), blob(n.Owner), string(n.Person), n.EntityID, micros(at))
		if err != nil || added == 1 {
			return err
		}
		// Another replica issued it between the two statements, and has committed.
		if was, err = getNameID(ctx, tx, n.Name); err != nil {
			return err
		}
	}
	switch {
	case !bytes.Equal(was.Owner, n.Owner):
		return ErrNameIDTaken
	case was.Person == n.Person && at.Sub(was.LastAt) < nameGrain:
		return nil
	}
	// Somebody who was forgotten and comes back is known again.
	_, err := tx.ExecContext(ctx, `
		UPDATE name_ids SET person_id = $1, last_at = $2 WHERE name = $3`, string(n.Person), micros(at), blob(n.Name))
	return err
}

// IssuedBefore is a NameID that was issued without being noted: by the version before, which may run beside this one.
type IssuedBefore struct {
	Participation
	Person PersonID
}

// TakeOver notes what the version before has issued and live sessions still tell, at most limit at a time; it returns
// how many were looked at. of makes the hashes; ok is false for what need not be noted. clash is told of one that two
// people got: the first keeps it.
func (s *NameIDs) TakeOver(ctx context.Context, limit int, of func(IssuedBefore) (n NameID, ok bool),
	clash func(IssuedBefore)) (int, error) {
	var clashes []IssuedBefore
	looked := 0
	err := s.db.write(ctx, "take over issued NameIDs", func(ctx context.Context, tx querier) error {
		clashes = nil
		all, err := collect(ctx, tx, func(row scanner) (b IssuedBefore, err error) {
			var issued int64
			err = row.Scan(&b.TokenHash, &b.EntityID, &b.NameID, &b.SessionIndex, &b.NameIDFormat, &issued, &b.Person)
			b.IssuedAt = fromMicros(issued)
			return b, err
		}, `
			SELECT p.token_hash, p.entity_id, p.name_id, p.session_index, p.name_id_format, p.issued_at, s.person_id
			  FROM participations p JOIN sessions s ON s.token_hash = p.token_hash
			 WHERE p.registered = 0
			 ORDER BY p.issued_at LIMIT $1`, limit)
		if err != nil {
			return err
		}
		looked = len(all)
		for _, b := range all {
			if _, err := tx.ExecContext(ctx, `
				UPDATE participations SET registered = 1
				 WHERE token_hash = $1 AND entity_id = $2 AND name_id = $3 AND session_index = $4`,
				blob(b.TokenHash), b.EntityID, b.NameID, b.SessionIndex); err != nil {
				return err
			}
			if n, ok := of(b); ok {
				switch err := issueNameID(ctx, tx, n, b.IssuedAt); {
				case errors.Is(err, ErrNameIDTaken):
					clashes = append(clashes, b)
				case err != nil:
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, b := range clashes {
		clash(b)
	}
	return looked, nil
}
