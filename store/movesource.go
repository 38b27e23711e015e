package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// SourceMove takes a person of the directory to a source of people: whoever comes from there by that id is the same at
// Constant Contact.
type SourceMove struct {
	From PersonID
	To   SourcePerson
	// Owner is the keyed hash of To's id by which NameIDs are theirs, see NameID; nil: no NameID was issued yet.
	Owner []byte
	// Users are the roles of the users that were shown, by client account: the move is refused where they are others now.
	Users map[AccountID]Role
}

// ErrBusy says that a call to Constant Contact is under way.
var ErrBusy = errors.New("a call is under way")

// ErrOrdered says that the person is to own a client account that is being ordered.
var ErrOrdered = errors.New("is to own a client account that is being ordered")

// ErrMovedAway says that the person was moved to a source of people, by which they come from now on.
var ErrMovedAway = errors.New("moved to a source")

// MoveToSource moves a person's users to the id that they have at a source, in one transaction with its events: the
// ledger's rows keep external id, login name and state, manual tasks and issued NameIDs go along, and sessions of the
// former id end. Nobody is created under the former id any more. did is false where that move was made before.
// A move that a restored backup has lost is made again, also where the person has come from the source since, and where
// users of other client accounts were adopted by the new id; then the former one need have none.
//
// ErrNotFound: the person has no users. ErrConflict: they were moved elsewhere, or To is known already. ErrStale: their
// users are others than Users says. ErrBusy: a call for one of them is under way. ErrOrdered.
func (s *Ledger) MoveToSource(ctx context.Context, m SourceMove, events ...Event) (did bool, err error) {
	err = s.db.write(ctx, "move person to a source", func(ctx context.Context, tx querier) error {
		did = false
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// Who is about to store a user or an order of either waits, and so does who makes manual tasks of a plan.
		if err := lockExternalIDs(ctx, tx, personLock(m.From), personLock(m.To.Person), tasksLock); err != nil {
			return err
		}
		to, err := movedTo(ctx, tx, m.From)
		lost := to == LostMove(m.To.Person)
		switch {
		case err != nil:
			return err
		case to == m.To.Person:
			return nil
		case to != "" && !lost:
			return ErrConflict
		}
		if err := s.movable(ctx, tx, m, lost, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM moved_people WHERE person_id = $1`, string(LostMove(m.From))); err != nil {
			return err
		}
		for _, one := range []step{
			{text: `
				INSERT INTO moved_people (person_id, moved_to, moved_at) VALUES ($1, $2, $3)`,
				args: []any{string(m.From), string(m.To.Person), micros(now)}},
			// updated_at stays: nothing of the user has changed at Constant Contact. Tasks about their data follow by foreign
			// key. An owner's user no longer goes with the mapping of the former id, which gives the new one nothing.
			{text: `
				UPDATE sso_users SET person_id = $1, mapping = CASE WHEN role = 'owner' THEN 0 ELSE mapping END
				 WHERE person_id = $2`,
				args: []any{string(m.To.Person), string(m.From)}},
			{text: `
				UPDATE manual_work SET person_id = $1 WHERE person_id = $2`,
				args: []any{string(m.To.Person), string(m.From)}},
			m.To.expected(now),
		} {
			if err := one.run(ctx, tx); err != nil {
				return err
			}
		}
		// Before the NameIDs: a Response that is on its way holds its session, and its NameID is seen below.
		if _, _, err := s.db.revoke(ctx, tx, m.From); err != nil {
			return err
		}
		if m.Owner != nil {
			if _, err := tx.ExecContext(ctx, `
				UPDATE name_ids SET person_id = $1, owner = $2 WHERE person_id = $3 AND person_id <> ''`,
				string(m.To.Person), blob(m.Owner), string(m.From)); err != nil {
				return err
			}
		}
		if lost {
			if err := suspendAgain(ctx, tx, m, now); err != nil {
				return err
			}
		}
		note(ctx, MoveObject, moveObject(m.From, m.To.Person), Revoked)
		did = true
		return addEvents(ctx, tx, now, events)
	})
	return did, err
}

// suspendAgain suspends those users that were suspended after a move which a restored backup has lost. It resumes those
// that were resumed after it, unless somebody has suspended them by the former id since.
func suspendAgain(ctx context.Context, tx querier, m SourceMove, now time.Time) error {
	for account := range m.Users {
		k := UserKey{Person: m.To.Person, Account: account}
		word, err := lastWord(ctx, tx, UserObject, userObject(k))
		if err != nil {
			return err
		}
		switch word {
		case SwitchedOff:
			_, err = suspendUser(ctx, tx, k, micros(now))
		case Allowed:
			var after bool
			former := userObject(UserKey{Person: m.From, Account: account})
			if err := tx.QueryRowContext(ctx, `
				SELECT COALESCE((SELECT MAX(id) FROM revocations WHERE kind = $1 AND object = $2), 0) >
				       COALESCE((SELECT MAX(id) FROM revocations WHERE kind = $1 AND object = $3), 0)`,
				UserObject, userObject(k), former).Scan(&after); err != nil {
				return err
			}
			if after {
				_, err = resumeUser(ctx, tx, k, micros(now))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// movable tells by its error whether a move can be made. Where it was made before and lost, To may be known.
func (s *Ledger) movable(ctx context.Context, tx querier, m SourceMove, lost bool, now time.Time) error {
	// Whoever takes a row to send it, or settles it, waits.
	if _, err := tx.ExecContext(ctx, `
		UPDATE sso_users SET person_id = person_id WHERE person_id = $1`, string(m.From)); err != nil {
		return err
	}
	was, err := usersOf(ctx, tx, m.From)
	if err != nil {
		return err
	}
	there, err := usersOf(ctx, tx, m.To.Person)
	if err != nil {
		return err
	}
	// While a move is lost, the new id gets users by adoption alone: those that are younger than the backup.
	if len(was) == 0 && (!lost || len(there) == 0) {
		return ErrNotFound
	}
	roles := map[AccountID]Role{}
	for _, u := range was {
		if (u.State == Sending || u.State == Suspended) && u.LeaseUntil.After(now) {
			return ErrBusy
		}
		roles[u.Account] = u.Role
	}
	if !maps.Equal(roles, m.Users) {
		return ErrStale
	}
	// The order's end stores its owner by the id that it was given with.
	if orders, err := ordered(ctx, tx, m.From); err != nil || len(orders) > 0 {
		return cmp.Or(err, ErrOrdered)
	}
	both := func(u SSOUser) bool { return !lost || roles[u.Account] != "" }
	known, err := collect(ctx, tx, scanText, `
		SELECT person_id FROM source_people WHERE person_id = $1 AND claims <> '' AND NOT $2
		UNION SELECT moved_to FROM moved_people WHERE moved_to = $1
		UNION SELECT moved_to FROM moved_people WHERE moved_to = $3 AND person_id <> $4`,
		string(m.To.Person), lost, string(LostMove(m.To.Person)), string(LostMove(m.From)))
	if err == nil && (len(known) > 0 || slices.ContainsFunc(there, both)) {
		err = ErrConflict
	}
	return err
}

// tasksLock is a text that lockExternalIDs locks for those who make manual tasks.
const tasksLock = "\x00manual tasks"

// personLock is a text that lockExternalIDs locks for a person: no external id begins like it.
func personLock(p PersonID) string { return "\x00person " + string(p) }

// movedTo returns whom a person was moved to, as MovedTo does.
func movedTo(ctx context.Context, q querier, p PersonID) (to PersonID, err error) {
	err = inSteps(ctx, q, step{text: `
		SELECT moved_to FROM moved_people WHERE person_id = $1
		UNION ALL SELECT moved_to FROM moved_people WHERE person_id = $2
		UNION ALL SELECT '` + string(MoveLost) + `' FROM moved_people WHERE moved_to = $2`,
		args: []any{string(p), string(LostMove(p))},
		each: func(row scanner) error {
			var one PersonID
			err := row.Scan(&one)
			to = cmp.Or(to, one)
			return err
		}})
	return to, err
}

// Ordered are the open orders of client accounts that a person is to own.
func (s *Ledger) Ordered(ctx context.Context, p PersonID) ([]int64, error) {
	all, err := ordered(ctx, s.db.engine.reader(), p)
	return all, s.db.explain("look for orders of a person", err)
}

// MovedTo returns whom people were taken to by MoveToSource, at most 1000; who was not is left out. With a move that a
// restored backup has lost it is LostMove of the person's id at the source, and MoveLost for who has that id.
func (s *Ledger) MovedTo(ctx context.Context, people ...PersonID) (map[PersonID]PersonID, error) {
	const what = "look which people were moved to a source"
	if len(people) == 0 {
		return nil, nil
	}
	if len(people) > 1000 {
		return nil, s.db.explain(what, errors.New("want at most 1000 people"))
	}
	lost, who := make([]PersonID, len(people)), map[PersonID]PersonID{}
	for i, p := range people {
		lost[i] = LostMove(p)
		who[p], who[lost[i]] = p, p
	}
	var c conditions
	c.text.WriteString("SELECT person_id, moved_to FROM moved_people WHERE person_id IN (")
	c.list(people)
	c.text.WriteString(") UNION ALL SELECT person_id, moved_to FROM moved_people WHERE person_id IN (")
	c.list(lost)
	c.text.WriteString(") UNION ALL SELECT moved_to, '" + string(MoveLost) + "' FROM moved_people WHERE moved_to IN (")
	c.list(lost)
	c.text.WriteString(")")
	moved := map[PersonID]PersonID{}
	_, err := collect(ctx, s.db.engine.reader(), func(row scanner) (struct{}, error) {
		var from, to PersonID
		err := row.Scan(&from, &to)
		moved[who[from]] = cmp.Or(moved[who[from]], to)
		return struct{}{}, err
	}, c.text.String(), c.args...)
	return moved, s.db.explain(what, err)
}

// MovedFrom returns the former id of somebody who was moved to a source by MoveToSource; "": they were not, or it is
// not known any more.
func (s *Ledger) MovedFrom(ctx context.Context, p PersonID) (from PersonID, err error) {
	err = inSteps(ctx, s.db.engine.reader(), step{text: `
		SELECT person_id FROM moved_people WHERE moved_to = $1`, args: []any{string(p)}, none: true,
		row: func(row scanner) error { return row.Scan(&from) }})
	return from, s.db.explain("look which person was moved to a source", err)
}
