package store

import (
	"context"
	"fmt"
)

// UserData is what Constant Contact is given about a person, beside ids and role.
type UserData struct{ FirstName, LastName, ContactEmail string }

// Data is what Constant Contact was given about the row's person.
func (u SSOUser) Data() UserData { return UserData{u.FirstName, u.LastName, u.ContactEmail} }

// ChangedUser is an SSO user whose person has other data in the directory than Constant Contact was given.
type ChangedUser struct {
	UserKey
	Given UserData // as the row of the ledger has it
	Now   UserData
}

// changedMost bounds one transaction of NoteChanged and DropChanged.
const changedMost = 1000

// NoteChanged makes manual tasks of these users, at most 1000: a new one, or one whose data changed again, is as old as
// its first difference; one that was completed opens anew. A row that was not created, is gone, or has other data than
// Given by now is left alone: a task that was completed meanwhile is not opened again by an older reading.
func (s *Plans) NoteChanged(ctx context.Context, users []ChangedUser) error {
	const what = "note changed data of SSO users"
	if len(users) > changedMost {
		return s.db.explain(what, fmt.Errorf("%d users: want at most %d", len(users), changedMost))
	}
	if len(users) == 0 {
		return nil
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		all := make([]step, len(users))
		for i, u := range users {
			all[i] = step{text: noteChanged, args: []any{
				sanitize(u.Now.FirstName), sanitize(u.Now.LastName), sanitize(u.Now.ContactEmail), micros(now),
				string(u.Person), string(u.Account), u.Given.FirstName, u.Given.LastName, u.Given.ContactEmail,
			}}
		}
		return inSteps(ctx, tx, all...)
	})
}

// noteChanged writes nothing where the task is open and says the same, as mostly.
const noteChanged = `
		INSERT INTO changed_users (person_id, account, given_first_name, given_last_name, given_email,
		       first_name, last_name, contact_email, since, found_at)
		SELECT person_id, account, first_name, last_name, contact_email,
		       CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($4 AS BIGINT)
		  FROM sso_users
		 WHERE person_id = $5 AND account = $6 AND state IN ('active', 'assumed')
		   AND first_name = $7 AND last_name = $8 AND contact_email = $9
		ON CONFLICT (person_id, account) DO UPDATE SET
		       given_first_name = excluded.given_first_name, given_last_name = excluded.given_last_name,
		       given_email = excluded.given_email, first_name = excluded.first_name, last_name = excluded.last_name,
		       contact_email = excluded.contact_email, found_at = excluded.found_at, done_at = 0, done_by = '',
		       since = CASE WHEN changed_users.done_at = 0 THEN changed_users.since ELSE excluded.since END
		 WHERE changed_users.done_at > 0 OR changed_users.first_name <> excluded.first_name
		    OR changed_users.last_name <> excluded.last_name OR changed_users.contact_email <> excluded.contact_email`

// DropChanged takes open tasks of changed data off the list, at most 1000, since the directory has again what Constant
// Contact was given: those of tasks whose data are as the caller has read them. What was found anew since stays.
func (s *Plans) DropChanged(ctx context.Context, tasks []ManualTask) error {
	const what = "drop tasks of changed data"
	if len(tasks) > changedMost {
		return s.db.explain(what, fmt.Errorf("%d tasks: want at most %d", len(tasks), changedMost))
	}
	if len(tasks) == 0 {
		return nil
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		all := make([]step, len(tasks))
		for i, w := range tasks {
			all[i] = step{text: `
				DELETE FROM changed_users
				 WHERE person_id = $1 AND account = $2 AND done_at = 0 AND found_at = $3`,
				args: []any{string(w.Person), string(w.Account), micros(w.FoundAt)}}
		}
		return inSteps(ctx, tx, all...)
	})
}

// doneChanged completes a task of changed data: the row has from then on what the directory had.
func doneChanged(ctx context.Context, tx querier, k UserKey, by string, now int64) error {
	var d UserData
	if err := tx.QueryRowContext(ctx, `
		UPDATE changed_users SET done_at = $1, done_by = $2
		 WHERE person_id = $3 AND account = $4 AND done_at = 0
		RETURNING first_name, last_name, contact_email`, now, by, string(k.Person), string(k.Account)).
		Scan(&d.FirstName, &d.LastName, &d.ContactEmail); err != nil {
		return err
	}
	// What may have been sent is never changed, since it is sent again as it was.
	n, err := rowsAffected(ctx, tx, `
		UPDATE sso_users SET first_name = $1, last_name = $2, contact_email = $3, updated_at = $4
		 WHERE person_id = $5 AND account = $6
		   AND (state IN ('active', 'assumed') OR (state = 'suspended' AND before_state IN ('active', 'assumed')))`,
		d.FirstName, d.LastName, d.ContactEmail, now, string(k.Person), string(k.Account))
	if err == nil && n == 0 {
		err = ErrConflict
	}
	return err
}
