package store

import (
	"context"
	"slices"
	"time"
)

// Enrolment is a factor to add.
type Enrolment struct {
	Act
	Factors  []SecondFactor // of one person; the first is the one that was proved
	By       string         // ByPassword or ByDemand, where neither an invitation nor a factor stands for it
	Replaces string         // the kind of which all that the person had is removed; "" for none
	First    bool           // only as the person's first one
	Invite   []byte         // hash of the code without which it is not added; nil: none is needed
	Former   [][]byte       // what Invite would be by each secret key but the one in use
	// takes the place of the act's, as one in which the first factor was proved; nil: the act's stays
	Session *Session
}

// Enrol adds factors, all or none. A zero CreatedAt becomes the present. An invitation confirms them, and so does a
// confirmed factor that was proved in the act's session.
//
// ErrConflict: it was to be the first, and there is one. ErrNotFound: the invitation is not this one, or over.
// ErrLimit: the person has as many as anybody can have. ErrRevoked, ErrStale: see Act. The invitation is used up.
func (s *SecondFactors) Enrol(ctx context.Context, person PersonID, e Enrolment, events ...Event) error {
	return s.db.write(ctx, "enrol second factor", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		// The row's lock puts those who enrol for one person one after the other.
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		session, err := s.db.allowed(ctx, tx, person, e.Act, now)
		if err != nil {
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
		by, confirmed := e.By, time.Time{}
		switch {
		case e.Invite != nil:
			if err := useInvitation(ctx, tx, person, append([][]byte{e.Invite}, e.Former...), now); err != nil {
				return err
			}
			by, confirmed = ByInvitation, now
		case session.Proved.ID != "":
			// One factor stands for the next as far as it was confirmed itself.
			switch by = ByFactor; {
			case session.Proved.OpensConsole():
				confirmed = now
			case session.Proved.By == ByRestored && !session.Proved.ConfirmedAt.IsZero():
				by, confirmed = ByRestored, now
			}
		}
		if session.Proved.ID != "" && session.Proved.Kind == e.Replaces && len(e.Factors) > 0 {
			session.Factor = e.Factors[0].ID // what was proved lives on in what replaces it
		}
		epoch, err := s.db.afterChange(ctx, tx, person, session, e.KeepOthers, false)
		if err != nil {
			return err
		}
		for _, f := range e.Factors {
			if f.CreatedAt.IsZero() {
				f.CreatedAt = now
			}
			f.Person, f.By, f.ConfirmedAt, f.NoticedAt, f.Epoch = person, by, confirmed, time.Time{}, epoch
			if err := s.db.insertFactor(ctx, tx, f); err != nil {
				return err
			}
		}
		if e.Session != nil {
			n := *e.Session
			n.Epoch, n.Factor = epoch, e.Factors[0].ID
			if err := s.db.follow(ctx, tx, n, e.Act.Session, now, nil); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, events)
	})
}

func (db *DB) insertFactor(ctx context.Context, tx querier, f SecondFactor) error {
	mac, err := db.vouch(factorPurpose, f.fields()...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO second_factors (id, person_id, kind, sealed, version, created_at, used_at,
		    enrolled_by, confirmed_at, noticed_at, epoch, mac)
		VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11)`,
		f.ID, string(f.Person), f.Kind, blob(f.Sealed), micros(f.CreatedAt), micros(f.UsedAt),
		f.By, micros(f.ConfirmedAt), micros(f.NoticedAt), f.Epoch, mac)
	return err
}

// useInvitation uses an invitation up. ErrNotFound: it is not this one, or over.
func useInvitation(ctx context.Context, tx querier, person PersonID, hashes [][]byte, now time.Time) error {
	for _, invite := range hashes {
		n, err := rowsAffected(ctx, tx, `
			UPDATE second_factor_people SET invite = $1, invite_ends_at = 0
			 WHERE person_id = $2 AND invite = $3 AND invite_ends_at > $4`,
			blob(nil), string(person), invite, micros(now))
		if err != nil {
			return err
		}
		if n > 0 {
			note(ctx, InvitationObject, invitationObject(invite), Revoked) // it is used up
			return nil
		}
	}
	return ErrNotFound
}

// aboutPerson takes the lock on a person's factors.
func aboutPerson(ctx context.Context, tx querier, person PersonID) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO second_factor_people (person_id, invite, invite_ends_at, delayed_at) VALUES ($1, $2, 0, 0)
		ON CONFLICT (person_id) DO UPDATE SET delayed_at = second_factor_people.delayed_at`, string(person), blob(nil))
	return err
}

// Invite stores an invitation to enrol a person's first factor, or to confirm one of those that are not, in place of
// any other: the hash of its code, and its end. With again, the person's factors are removed and their sessions ended.
// ErrConflict: without it, and there is a confirmed factor.
func (s *SecondFactors) Invite(ctx context.Context, person PersonID, code []byte, life time.Duration, again bool,
	events ...Event) error {
	return s.db.write(ctx, "invite to enrol a second factor", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		if again {
			if _, err := s.db.removeFactors(ctx, tx, person); err != nil {
				return err
			}
		}
		all, err := s.db.factorsOf(ctx, tx, person)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, SecondFactor.OpensConsole) {
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
