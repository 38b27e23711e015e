package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ManualTask is something that an admin does by hand at Constant Contact, since its API can't.
type ManualTask struct {
	Person  PersonID
	Account AccountID
	// ItemLeaver: delete the user. ItemDrift: change the role from Current to Role. ItemData: change Given to Now.
	Kind    string
	Login   string
	Name    string
	Current Role
	Role    Role
	Why     string
	Given   UserData  // of ItemData: what Constant Contact was given
	Now     UserData  // and what the directory has
	Since   time.Time // when it was first seen
	FoundAt time.Time // of ItemData: when Now was last different
	DoneAt  time.Time
	DoneBy  string
}

// ItemData is the kind of manual task that is no item of a plan: the person's name or mail address in the directory is
// another one than Constant Contact was given. Sign-ins find it, too.
const ItemData = "data"

// ManualTaskFilter chooses work; zero fields do not filter.
type ManualTaskFilter struct {
	Kind  string
	Done  bool       // those ticked off instead of those open
	After ManualTask // behind this one, in the order of (Since, person, account, kind)
	Limit int        // 1 to 1000, default 100
}

// workBatch is how many items or rows one transaction of SetManualTasks looks at.
const workBatch = 1000

// SetManualTasks makes the leavers and drifted roles of a plan the open work: what is new begins now, what the plan no
// longer names is taken off the list, what was ticked off and is named again is open anew, unless it was ticked off
// after the plan was begun. ErrConflict: the plan is still being made: half a plan would take the other half off the
// list. ErrNotFound.
//
// It runs in batches, so that other writers get their turn in between: cut off, it has done a part, and can be called
// again.
func (s *Plans) SetManualTasks(ctx context.Context, plan int64) error {
	const what = "set manual work"
	p, err := getPlan(ctx, s.db.engine.reader(), plan)
	if err == nil && p.State == PlanMaking {
		err = ErrConflict
	}
	if err != nil {
		return s.db.explain(what, err)
	}
	if err := s.nameWork(ctx, what, p, s.db.now()); err != nil {
		return err
	}
	return s.dropWork(ctx, what, plan)
}

// workKey is where a batch ends.
type workKey struct{ person, account string }

// nameWork stores the work that a plan names, in the order of its keys: in that of the plan, each batch would touch
// pages all over the table.
func (s *Plans) nameWork(ctx context.Context, what string, p Plan, now time.Time) error {
	return s.workBatches(ctx, what, `
		SELECT person_id, account FROM
		       (SELECT person_id, account FROM plan_items
		         WHERE (person_id, account) > ($1, $2) AND plan = $3 AND kind IN ('leaver', 'drift')
		         ORDER BY person_id, account LIMIT $4) AS batch
		 ORDER BY person_id DESC, account DESC LIMIT 1`, []any{p.ID},
		func(ctx context.Context, tx querier, after, upTo workKey) error {
			// A move to a source comes before this, and its users are gone, or after it, and takes the tasks along.
			if err := lockExternalIDs(ctx, tx, tasksLock); err != nil {
				return err
			}
			// A plan that names something twice counts once: PostgreSQL would refuse it otherwise. The condition of the UPDATE
			// saves the writing where nothing is new, as mostly. Whoever was moved to a source since
			// is left out: to do the task would delete the user by whom they sign in now.
			_, err := tx.ExecContext(ctx, `
				INSERT INTO manual_work (since, plan, done_at, done_by, person_id, account, kind, login, name, told, role, why)
				SELECT CAST($1 AS BIGINT), plan, 0, '', person_id, account, kind, login, name, told, role, why
				  FROM (SELECT plan, person_id, account, kind, login, name, told, role, why,
				               ROW_NUMBER() OVER (PARTITION BY person_id, account, kind ORDER BY position) AS nth
				          FROM plan_items
				         WHERE plan = $2 AND kind IN ('leaver', 'drift')
				           AND (person_id, account) > ($3, $4) AND (person_id, account) <= ($5, $6)
				           AND NOT EXISTS (SELECT 1 FROM moved_people m WHERE m.person_id = plan_items.person_id)) AS batch
				 WHERE nth = 1
				ON CONFLICT (person_id, account, kind) DO UPDATE SET
				       since = CASE WHEN manual_work.done_at = 0 THEN manual_work.since ELSE excluded.since END,
				       done_at = 0, done_by = '', login = excluded.login, name = excluded.name, told = excluded.told,
				       role = excluded.role, why = excluded.why, plan = excluded.plan
				 WHERE manual_work.done_at < $7
				   AND (manual_work.done_at > 0 OR manual_work.login <> excluded.login OR manual_work.name <> excluded.name
				        OR manual_work.told <> excluded.told OR manual_work.role <> excluded.role OR manual_work.why <> excluded.why)`,
				micros(now), p.ID, after.person, after.account, upTo.person, upTo.account, micros(p.CreatedAt))
			if err != nil {
				return err
			}
			// What is new on the list, or open anew, began now.
			_, err = tx.ExecContext(ctx, `
				INSERT INTO notices (at, class, cause, ref, actor, subject, account, sp, detail, not_to, spread)
				SELECT since, CASE kind WHEN 'leaver' THEN 'person.left' ELSE 'person.role_drift' END, '', '', 'worker',
				       person_id, account, '', '', '', 0
				  FROM manual_work
				 WHERE (person_id, account) > ($1, $2) AND (person_id, account) <= ($3, $4) AND since = $5 AND plan = $6
				   AND done_at = 0`, after.person, after.account, upTo.person, upTo.account, micros(now), p.ID)
			return err
		})
}

// dropWork takes open work off the list that a plan does not name.
func (s *Plans) dropWork(ctx context.Context, what string, plan int64) error {
	return s.workBatches(ctx, what, `
		SELECT person_id, account FROM
		       (SELECT person_id, account FROM manual_work WHERE (person_id, account) > ($1, $2)
		         ORDER BY person_id, account LIMIT $3) AS batch
		 ORDER BY person_id DESC, account DESC LIMIT 1`, nil,
		func(ctx context.Context, tx querier, after, upTo workKey) error {
			// The bounds stand at the items too, or PostgreSQL reads those of the whole plan for each batch.
			_, err := tx.ExecContext(ctx, `
				DELETE FROM manual_work
				 WHERE (person_id, account) > ($1, $2) AND (person_id, account) <= ($3, $4) AND done_at = 0
				   AND NOT EXISTS (SELECT 1 FROM plan_items i
				                    WHERE i.person_id = manual_work.person_id AND i.account = manual_work.account
				                      AND i.plan = $5 AND i.kind = manual_work.kind AND i.kind IN ('leaver', 'drift')
				                      AND (i.person_id, i.account) > ($1, $2) AND (i.person_id, i.account) <= ($3, $4))`,
				after.person, after.account, upTo.person, upTo.account, plan)
			return err
		})
}

// workBatches goes through keys in their order, a batch in a transaction of its own. end finds the last key of one: its
// parameters are the key behind which it begins, more, and how many it has.
func (s *Plans) workBatches(ctx context.Context, what, end string, more []any,
	batch func(ctx context.Context, tx querier, after, upTo workKey) error) error {
	var after workKey // no person's id is empty
	for {
		var upTo workKey
		err := s.db.engine.reader().QueryRowContext(ctx, end,
			append(append([]any{after.person, after.account}, more...), workBatch)...).Scan(&upTo.person, &upTo.account)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return s.db.explain(what, err)
		}
		if err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
			return batch(ctx, tx, after, upTo)
		}); err != nil {
			return err
		}
		after = upTo
	}
}

// ManualTasks lists what is to be done by hand, the oldest first.
func (s *Plans) ManualTasks(ctx context.Context, f ManualTaskFilter) ([]ManualTask, error) {
	const what = "list manual work"
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 {
		return nil, s.db.explain(what, fmt.Errorf("limit %d: want 1 to 1000", f.Limit))
	}
	// The condition is put in as text, so that the indexes of the open work are used. Each table is searched by itself, so
	// that no page sorts all of both.
	condition := "done_at = 0"
	if f.Done {
		condition = "done_at > 0"
	}
	all, err := collect(ctx, s.db.engine.reader(), scanManualTask, `
		SELECT person_id, account, kind, login, name, told, role, why, since, done_at, done_by,
		       given_first_name, given_last_name, given_email, first_name, last_name, contact_email, found_at
		  FROM (SELECT * FROM (
		       SELECT person_id, account, kind, login, name, told, role, why, since, done_at, done_by,
		              '' AS given_first_name, '' AS given_last_name, '' AS given_email,
		              '' AS first_name, '' AS last_name, '' AS contact_email, 0 AS found_at
		         FROM manual_work
		        WHERE `+condition+` AND (since, person_id, account, kind) > ($1, $2, $3, $4) AND ($5 = '' OR kind = $5)
		        ORDER BY since, person_id, account, kind LIMIT $6) AS work
		       UNION ALL
		       SELECT * FROM (
		       SELECT c.person_id, c.account, 'data', u.login_name, '', '', '', '', c.since, c.done_at, c.done_by,
		              c.given_first_name, c.given_last_name, c.given_email,
		              c.first_name, c.last_name, c.contact_email, c.found_at
		         FROM changed_users c JOIN sso_users u ON u.person_id = c.person_id AND u.account = c.account
		        WHERE c.`+condition+` AND (c.since, c.person_id, c.account) >= ($1, $2, $3)
		          AND ((c.since, c.person_id, c.account) > ($1, $2, $3) OR $4 < 'data') AND $5 IN ('', 'data')
		        ORDER BY c.since, c.person_id, c.account LIMIT $6) AS changed) AS tasks
		 ORDER BY since, person_id, account, kind LIMIT $6`,
		micros(f.After.Since), string(f.After.Person), string(f.After.Account), f.After.Kind, f.Kind, f.Limit)
	return all, s.db.explain(what, err)
}

func scanManualTask(row scanner) (w ManualTask, err error) {
	var since, done, found int64
	err = row.Scan(&w.Person, &w.Account, &w.Kind, &w.Login, &w.Name, &w.Current, &w.Role, &w.Why, &since, &done,
		&w.DoneBy, &w.Given.FirstName, &w.Given.LastName, &w.Given.ContactEmail, &w.Now.FirstName, &w.Now.LastName,
		&w.Now.ContactEmail, &found)
	w.Since, w.DoneAt, w.FoundAt = fromMicros(since), fromMicros(done), fromMicros(found)
	if w.Kind == ItemData { // shown as Constant Contact knows them, which is how an administrator finds them there
		w.Name = strings.TrimSpace(w.Given.FirstName + " " + w.Given.LastName)
	}
	return w, err
}

// ManualTaskDone ticks work off: a leaver's row leaves the ledger, a drifted row gets its role, one whose person's data
// changed gets these, all in one transaction with the event. A row that is not there any more is no matter.
// ErrNotFound: no such work is open. ErrConflict: the row is being sent; its outcome must be stored first.
func (s *Plans) ManualTaskDone(ctx context.Context, k UserKey, kind, by string, e Event) error {
	return s.db.write(ctx, "tick off manual work", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if kind == ItemData {
			if err := doneChanged(ctx, tx, k, by, micros(now)); err != nil {
				return err
			}
			return addEvents(ctx, tx, now, []Event{e})
		}
		var role Role
		if err := tx.QueryRowContext(ctx, `
			UPDATE manual_work SET done_at = $1, done_by = $2
			 WHERE person_id = $3 AND account = $4 AND kind = $5 AND done_at = 0
			RETURNING role`, micros(now), by, string(k.Person), string(k.Account), kind).Scan(&role); err != nil {
			return err
		}
		var err error
		if kind == ItemLeaver {
			_, err = tx.ExecContext(ctx, `
				DELETE FROM sso_users
				 WHERE person_id = $1 AND account = $2 AND state <> 'sending'`, string(k.Person), string(k.Account))
		} else {
			_, err = tx.ExecContext(ctx, `
				UPDATE sso_users SET role = $1, updated_at = $2
				 WHERE person_id = $3 AND account = $4 AND state <> 'sending'`, string(role), micros(now), string(k.Person), string(k.Account))
		}
		if err != nil {
			return err
		}
		// What the statement has left alone is being sent, by now or still.
		row, err := getUser(ctx, tx, k.Person, k.Account)
		switch {
		case err == nil && row.State == Sending:
			return ErrConflict
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}
