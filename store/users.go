package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// UserKey names a row of the ledger.
type UserKey struct {
	Person  PersonID
	Account AccountID
}

// UserFilter chooses rows of the ledger; zero fields do not filter.
type UserFilter struct {
	States  []State
	Account AccountID
	Person  PersonID
	After   UserKey // rows behind this one, in the order of (person, account)
	Limit   int     // 1 to 1000, default 100
}

// conditions are a statement that is put together from those conditions that filter, so that their indexes are used.
type conditions struct {
	text strings.Builder
	args []any
}

// param adds an argument and returns its place.
func (c *conditions) param(value any) string {
	c.args = append(c.args, value)
	return "$" + strconv.Itoa(len(c.args))
}

// list adds people to a condition IN, at least one.
func (c *conditions) list(people []PersonID) {
	c.among(len(people), func(i int) any { return string(people[i]) })
}

// among adds n values to a condition IN, at least one. They are filled up to a power of two, so that a walk in pages
// has few different statements, each prepared once.
func (c *conditions) among(n int, value func(i int) any) {
	size := 1
	for size < n {
		size *= 2
	}
	for i := range size {
		if i > 0 {
			c.text.WriteString(", ")
		}
		c.text.WriteString(c.param(value(min(i, n-1))))
	}
}

// List returns rows in the order of (person, account), which is the database's. For the next page, set After to the key
// of the last one.
func (s *Ledger) List(ctx context.Context, f UserFilter) ([]SSOUser, error) {
	const what = "list SSO users"
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 || len(f.States) > 20 {
		return nil, s.db.explain(what, fmt.Errorf("limit %d, %d states: want a limit from 1 to 1000 and at most 20 states",
			f.Limit, len(f.States)))
	}
	// Each state is searched by itself: its index has the rows in the order that is wanted, so that no page sorts all rows
	// of two states.
	states := f.States
	if len(states) == 0 {
		states = []State{""}
	}
	var c conditions
	c.text.WriteString("SELECT " + userColumns + " FROM (")
	for i, state := range states {
		if i > 0 {
			c.text.WriteString(" UNION ")
		}
		c.text.WriteString("SELECT * FROM (SELECT " + userColumns + " FROM sso_users WHERE (person_id, account) > (" +
			c.param(string(f.After.Person)) + ", " + c.param(string(f.After.Account)) + ")")
		if state != "" {
			c.text.WriteString(" AND state = " + c.param(string(state)))
		}
		if f.Account != "" {
			c.text.WriteString(" AND account = " + c.param(string(f.Account)))
		}
		if f.Person != "" {
			c.text.WriteString(" AND person_id = " + c.param(string(f.Person)))
		}
		c.text.WriteString(" ORDER BY person_id, account LIMIT " + c.param(f.Limit) + ") AS s" + strconv.Itoa(i))
	}
	c.text.WriteString(") AS found ORDER BY person_id, account LIMIT " + c.param(f.Limit))
	all, err := collect(ctx, s.db.engine.lister(), scanUser, c.text.String(), c.args...)
	return all, s.db.explain(what, err)
}

// People returns the rows of these people, at most 1000, in the order of (person, account).
func (s *Ledger) People(ctx context.Context, people []PersonID) ([]SSOUser, error) {
	const what = "list SSO users of people"
	if len(people) == 0 {
		return nil, nil
	}
	if len(people) > 1000 {
		return nil, s.db.explain(what, fmt.Errorf("%d people: want at most 1000", len(people)))
	}
	var c conditions
	c.text.WriteString("SELECT " + userColumns + " FROM sso_users WHERE person_id IN (")
	c.list(people)
	c.text.WriteString(") ORDER BY person_id, account")
	all, err := collect(ctx, s.db.engine.reader(), scanUser, c.text.String(), c.args...)
	return all, s.db.explain(what, err)
}

// Suspend stops a row: it refuses sign-ins and is not sent any more. One that is being sent may still arrive: its
// outcome is kept for when it is resumed. The person's sessions end. ErrNotFound; ErrConflict: it is suspended already.
func (s *Ledger) Suspend(ctx context.Context, k UserKey, e Event) error {
	return s.changeUser(ctx, "suspend SSO user", k, e, func(ctx context.Context, tx querier, now int64) (int64, error) {
		note(ctx, UserObject, userObject(k), SwitchedOff)
		n, err := suspendUser(ctx, tx, k, now)
		if err != nil || n == 0 {
			return n, err
		}
		// A login or proof that is under way stores nothing, and who is signed in logs in again.
		_, _, err = s.db.revoke(ctx, tx, k.Person)
		return n, err
	})
}

func suspendUser(ctx context.Context, tx querier, k UserKey, now int64) (int64, error) {
	// The lease stays, by which Settle knows its row.
	return rowsAffected(ctx, tx, `
		UPDATE sso_users SET
		       maybe_sent = maybe_sent OR state = 'sending',
		       before_state = CASE WHEN state = 'sending' THEN 'unknown' ELSE state END,
		       state = 'suspended', due_at = 0, updated_at = $1
		 WHERE person_id = $2 AND account = $3 AND state <> 'suspended'`, now, string(k.Person), string(k.Account))
}

// Resume puts a suspended row back to what it was; one that waits is due at once. One that was being sent goes on being
// sent while its lease runs, so that no second call is made beside the first, and is unknown after it, unless its
// outcome was stored. ErrNotFound; ErrConflict: it is not suspended.
func (s *Ledger) Resume(ctx context.Context, k UserKey, e Event) error {
	return s.changeUser(ctx, "resume SSO user", k, e, func(ctx context.Context, tx querier, now int64) (int64, error) {
		note(ctx, UserObject, userObject(k), Allowed)
		return resumeUser(ctx, tx, k, now)
	})
}

// UndoSuspension is Resume of a row that is as its suspension at a time has left it. ErrConflict: it is not suspended,
// was changed since, or that was more than ten minutes ago.
func (s *Ledger) UndoSuspension(ctx context.Context, k UserKey, at time.Time, e Event) error {
	return s.changeUser(ctx, "undo the suspension of an SSO user", k, e, func(ctx context.Context, tx querier,
		now int64) (int64, error) {
		// Locked as it is read: on PostgreSQL it must not be suspended anew in between.
		u, err := scanUser(tx.QueryRowContext(ctx, `
			UPDATE sso_users SET updated_at = updated_at WHERE person_id = $1 AND account = $2
			RETURNING `+userColumns, string(k.Person), string(k.Account)))
		if errors.Is(err, sql.ErrNoRows) {
			return 0, nil
		}
		if err != nil || u.State != Suspended || !u.UpdatedAt.Equal(at) || now-micros(at) > UndoFor.Microseconds() {
			return 0, err
		}
		note(ctx, UserObject, userObject(k), Allowed)
		return resumeUser(ctx, tx, k, now)
	})
}

func resumeUser(ctx context.Context, tx querier, k UserKey, now int64) (int64, error) {
	return rowsAffected(ctx, tx, `
		UPDATE sso_users SET
		       due_at = CASE WHEN lease_until > $1 THEN lease_until WHEN before_state IN ('wanted', 'unknown') THEN $1 ELSE 0 END,
		       state = CASE WHEN lease_until > $1 THEN 'sending' ELSE before_state END,
		       lease_until = CASE WHEN lease_until > $1 THEN lease_until ELSE 0 END,
		       next_attempt = CASE WHEN before_state IN ('wanted', 'unknown') THEN 0 ELSE next_attempt END,
		       before_state = '', updated_at = $1
		 WHERE person_id = $2 AND account = $3 AND state = 'suspended'`, now, string(k.Person), string(k.Account))
}

// Forget removes a row whose user an admin has deleted at Constant Contact, so that the person would be created anew.
// ErrNotFound; ErrConflict: it is being created.
func (s *Ledger) Forget(ctx context.Context, k UserKey, e Event) error {
	return s.changeUser(ctx, "forget SSO user", k, e, func(ctx context.Context, tx querier, now int64) (int64, error) {
		return rowsAffected(ctx, tx, `
			DELETE FROM sso_users
			 WHERE person_id = $1 AND account = $2 AND state <> 'sending' AND NOT (state = 'suspended' AND lease_until > $3)`,
			string(k.Person), string(k.Account), now)
	})
}

// SetRole notes the role that an admin has given a user by hand at Constant Contact. ErrNotFound; ErrConflict: it is
// not created yet. What may have been sent is never changed, since it is sent again as it was.
func (s *Ledger) SetRole(ctx context.Context, k UserKey, r Role, e Event) error {
	const what = "note role of SSO user"
	if _, err := ParseRole(string(r)); err != nil {
		return s.db.explain(what, err)
	}
	return s.changeUser(ctx, what, k, e, func(ctx context.Context, tx querier, now int64) (int64, error) {
		return rowsAffected(ctx, tx, `
			UPDATE sso_users SET role = $1, updated_at = $2
			 WHERE person_id = $3 AND account = $4
			   AND (state IN ('active', 'assumed') OR (state = 'suspended' AND before_state IN ('active', 'assumed')))`,
			string(r), now, string(k.Person), string(k.Account))
	})
}

// changeUser runs one statement on a row, with its event. Where the statement finds no row in the right state, the
// error tells whether there is one at all. The clock is the database's.
func (s *Ledger) changeUser(ctx context.Context, what string, k UserKey, e Event, do func(ctx context.Context,
	tx querier, now int64) (int64, error)) error {
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		n, err := do(ctx, tx, micros(now))
		if err != nil {
			return err
		}
		if n == 0 {
			if _, err := getUser(ctx, tx, k.Person, k.Account); err != nil {
				return err
			}
			return ErrConflict
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}
