package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// maxSecondFactors is how many factors one person can have.
const maxSecondFactors = 20

// SecondFactor is something by which a person proves themselves beside the password.
type SecondFactor struct {
	ID        string
	Person    PersonID
	Kind      string // the caller's word
	Sealed    []byte // what it is proved by, sealed by the caller
	Version   int    // counts the changes of Sealed
	CreatedAt time.Time
	UsedAt    time.Time // zero: never
	Spent     string    // for Use: the object (CodeObject) of the recovery code that was used up; "": none
}

// SecondFactors keeps what people prove themselves by beside the password, and which
// client accounts ask for that.
type SecondFactors struct{ db *DB }

// SecondFactors returns the second factors of this database.
func (db *DB) SecondFactors() *SecondFactors { return &SecondFactors{db} }

// OfPerson lists a person's factors, the oldest first.
func (s *SecondFactors) OfPerson(ctx context.Context, p PersonID) ([]SecondFactor, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanSecondFactor, `
		SELECT id, person_id, kind, sealed, version, created_at, used_at
		  FROM second_factors WHERE person_id = $1 ORDER BY created_at, id`, string(p))
	return all, s.db.explain("list second factors", err)
}

func scanSecondFactor(row scanner) (f SecondFactor, err error) {
	var created, used int64
	err = row.Scan(&f.ID, &f.Person, &f.Kind, &f.Sealed, &f.Version, &created, &used)
	f.CreatedAt, f.UsedAt = fromMicros(created), fromMicros(used)
	return f, err
}

// Enrolment is a factor to add.
type Enrolment struct {
	Factors  []SecondFactor // of one person
	Replaces string         // the kind of which all that the person had is removed; "" for none
	First    bool           // only as the person's first one
	Invite   []byte         // hash of the code without which it is not added; nil: none is needed
}

// Enrol adds factors, all or none. A zero CreatedAt becomes the present.
//
// ErrConflict: it was to be the first, and there is one. ErrNotFound: the invitation is not
// this one, or over. ErrLimit: the person has as many as anybody can have. The invitation
// is used up.
func (s *SecondFactors) Enrol(ctx context.Context, person PersonID, e Enrolment, events ...Event) error {
	return s.db.write(ctx, "enrol second factor", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		// The row's lock puts those who enrol for one person one after the other.
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		if e.Replaces != "" {
			if _, err := removeFactorRows(ctx, tx, `
				DELETE FROM second_factors WHERE person_id = $1 AND kind = $2 RETURNING id`, string(person), e.Replaces); err != nil {
				return err
			}
		}
		var has int
		if err := tx.QueryRowContext(ctx, `
			SELECT COUNT(*) FROM second_factors WHERE person_id = $1`, string(person)).Scan(&has); err != nil {
			return err
		}
		switch {
		case e.First && has > 0:
			return ErrConflict
		case has+len(e.Factors) > maxSecondFactors:
			return ErrLimit
		}
		if e.Invite != nil {
			n, err := touched(ctx, tx, `
				UPDATE second_factor_people SET invite = $1, invite_ends_at = 0
				 WHERE person_id = $2 AND invite = $3 AND invite_ends_at > $4`,
				blob(nil), string(person), e.Invite, micros(now))
			if err != nil {
				return err
			}
			if n == 0 {
				return ErrNotFound
			}
			note(ctx, InvitationObject, invitationObject(e.Invite), Revoked) // it is used up
		}
		for _, f := range e.Factors {
			if f.CreatedAt.IsZero() {
				f.CreatedAt = now
			}
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO second_factors (id, person_id, kind, sealed, version, created_at, used_at)
				VALUES ($1, $2, $3, $4, 1, $5, $6)`,
				f.ID, string(person), f.Kind, blob(f.Sealed), micros(f.CreatedAt), micros(f.UsedAt)); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, events)
	})
}

// aboutPerson takes the lock on a person's factors.
func aboutPerson(ctx context.Context, tx querier, person PersonID) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO second_factor_people (person_id, invite, invite_ends_at, delayed_at) VALUES ($1, $2, 0, 0)
		ON CONFLICT (person_id) DO UPDATE SET delayed_at = second_factor_people.delayed_at`, string(person), blob(nil))
	return err
}

// Use stores what a factor is proved by from now on, after it was proved. ErrConflict:
// it was changed since f was read, by somebody who proved it at the same time, or is
// gone.
func (s *SecondFactors) Use(ctx context.Context, f SecondFactor) error {
	return s.db.write(ctx, "use second factor", func(ctx context.Context, tx querier) error {
		n, err := touched(ctx, tx, `
			UPDATE second_factors SET sealed = $1, version = version + 1, used_at = $2
			 WHERE id = $3 AND person_id = $4 AND version = $5`,
			blob(f.Sealed), micros(s.db.now()), f.ID, string(f.Person), f.Version)
		if err == nil && n == 0 {
			return ErrConflict
		}
		note(ctx, RecoveryCodeObject, f.Spent, Revoked)
		return err
	})
}

// Remove removes one of a person's factors; with it, where it was the last of any kind
// but the one that alone is none, that one too. ErrNotFound.
func (s *SecondFactors) Remove(ctx context.Context, person PersonID, id, alone string, events ...Event) error {
	return s.db.write(ctx, "remove second factor", func(ctx context.Context, tx querier) error {
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		n, err := removeFactorRows(ctx, tx, `
			DELETE FROM second_factors WHERE id = $1 AND person_id = $2 RETURNING id`, id, string(person))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		if _, err := removeFactorRows(ctx, tx, `
			DELETE FROM second_factors WHERE person_id = $1 AND NOT EXISTS
			    (SELECT 1 FROM second_factors other WHERE other.person_id = $1 AND other.kind <> $2)
			RETURNING id`, string(person), alone); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// RemoveAll removes all factors of a person, and ends their sessions, which may rest on
// one. It returns how many factors there were.
func (s *SecondFactors) RemoveAll(ctx context.Context, person PersonID, events ...Event) (int, error) {
	var n int64
	err := s.db.write(ctx, "remove second factors", func(ctx context.Context, tx querier) (err error) {
		n, err = removeFactors(ctx, tx, person)
		if err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return int(n), err
}

func removeFactors(ctx context.Context, tx querier, person PersonID) (int64, error) {
	if err := aboutPerson(ctx, tx, person); err != nil {
		return 0, err
	}
	n, err := removeFactorRows(ctx, tx, `
		DELETE FROM second_factors WHERE person_id = $1 RETURNING id`, string(person))
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `
		DELETE FROM sessions WHERE person_id = $1`, string(person))
	return n, err
}

// Invite stores an invitation to enrol a person's first factor, in place of any other:
// the hash of its code, and its end. With again, the person's factors are removed and
// their sessions ended. ErrConflict: without it, and there is a factor.
func (s *SecondFactors) Invite(ctx context.Context, person PersonID, code []byte, life time.Duration, again bool, events ...Event) error {
	return s.db.write(ctx, "invite to enrol a second factor", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		if again {
			if _, err := removeFactors(ctx, tx, person); err != nil {
				return err
			}
		}
		var has bool
		if err := tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM second_factors WHERE person_id = $1)`, string(person)).Scan(&has); err != nil {
			return err
		}
		if has {
			return ErrConflict
		}
		if err := revokeInvitation(ctx, tx, person); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE second_factor_people SET invite = $1, invite_ends_at = $2 WHERE person_id = $3`,
			blob(code), micros(now.Add(life)), string(person)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// revokeInvitation notes that the invitation of a person, if there is one, holds no more.
func revokeInvitation(ctx context.Context, tx querier, person PersonID) error {
	codes, err := collect(ctx, tx, func(row scanner) (code []byte, err error) { return code, row.Scan(&code) }, `
		SELECT invite FROM second_factor_people WHERE person_id = $1`, string(person))
	for _, code := range codes {
		if len(code) > 0 {
			note(ctx, InvitationObject, invitationObject(code), Revoked)
		}
	}
	return err
}

// Delay notes that a person put the offer of a factor off.
func (s *SecondFactors) Delay(ctx context.Context, person PersonID, events ...Event) error {
	return s.db.write(ctx, "put a second factor off", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE second_factor_people SET delayed_at = $1 WHERE person_id = $2`, micros(now), string(person)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// Delayed tells when a person last put the offer of a factor off; zero: never.
func (s *SecondFactors) Delayed(ctx context.Context, person PersonID) (time.Time, error) {
	var at int64
	err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT delayed_at FROM second_factor_people WHERE person_id = $1`, string(person)).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromMicros(at), s.db.explain("read when a second factor was put off", err)
}

// Policies tells what the client accounts ask for that have a setting of their own.
func (s *SecondFactors) Policies(ctx context.Context) (map[AccountID]string, error) {
	type row struct {
		account AccountID
		policy  string
	}
	all, err := collect(ctx, s.db.engine.reader(), func(r scanner) (p row, err error) {
		return p, r.Scan(&p.account, &p.policy)
	}, `SELECT account, policy FROM second_factor_policies`)
	if err != nil {
		return nil, s.db.explain("read what accounts ask for", err)
	}
	policies := make(map[AccountID]string, len(all))
	for _, r := range all {
		policies[r.account] = r.policy
	}
	return policies, nil
}

// SetPolicy sets what a client account asks for; "" takes its own setting away. What stands under another spelling of the
// account goes with it, else it could never be lowered; the policies of two accounts that differ in case stay apart.
func (s *SecondFactors) SetPolicy(ctx context.Context, account AccountID, policy string, e Event) error {
	return s.db.change(ctx, "set what an account asks for", func(ctx context.Context, tx querier) error {
		forms, err := accountForms(ctx, tx)
		if err != nil {
			return err
		}
		spellings, err := collect(ctx, tx, scanText, `
			SELECT account FROM second_factor_policies`)
		if err != nil {
			return err
		}
		for _, spelling := range spellings {
			if AccountID(spelling) != account && (!forms.Lists(account) || forms.Stored(AccountID(spelling)) != account) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `
				DELETE FROM second_factor_policies WHERE account = $1`, spelling); err != nil {
				return err
			}
		}
		if policy != "" {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO second_factor_policies (account, policy) VALUES ($1, $2)`, string(account), policy); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}
