package store

import (
	"context"
)

// Invitation is one that can still be used.
type Invitation struct {
	Person PersonID
	Code   []byte // hash of its code
}

// Invitations lists those that can still be used. It reads a whole table: it is for commands.
func (s *SecondFactors) Invitations(ctx context.Context) ([]Invitation, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (i Invitation, err error) {
		return i, row.Scan(&i.Person, &i.Code)
	}, `
		SELECT person_id, invite FROM second_factor_people WHERE invite_ends_at > $1 ORDER BY person_id`, micros(s.db.now()))
	return all, s.db.explain("list invitations", err)
}

// VoidInvitation ends an invitation, with the events. done is false where it was used or replaced since it was read.
func (s *SecondFactors) VoidInvitation(ctx context.Context, i Invitation, events ...Event) (done bool, err error) {
	err = s.db.write(ctx, "void an invitation", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE second_factor_people SET invite = $1, invite_ends_at = 0 WHERE person_id = $2 AND invite = $3`,
			blob(nil), string(i.Person), i.Code)
		if done = n == 1; err != nil || !done {
			return err
		}
		note(ctx, InvitationObject, invitationObject(i.Code), Revoked)
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return done, err
}

// VoidCodes removes a set of recovery codes, with the events. It is no factor by itself, so nobody's sessions rest on
// it alone. done is false where it was used or replaced since it was read.
func (s *SecondFactors) VoidCodes(ctx context.Context, f SecondFactor, events ...Event) (done bool, err error) {
	err = s.db.write(ctx, "void recovery codes", func(ctx context.Context, tx querier) error {
		n, err := removeFactorRows(ctx, tx, `
			DELETE FROM second_factors WHERE id = $1 AND version = $2 RETURNING id`, f.ID, f.Version)
		if done = n == 1; err != nil || !done {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return done, err
}
