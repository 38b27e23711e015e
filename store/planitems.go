package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of plan item.
const (
	ItemCreate  = "create"  // an SSO user would be created
	ItemLeaver  = "leaver"  // the SSO user's person has no assignment any more: to be deleted by hand
	ItemDrift   = "drift"   // the told role is another one than the mappings give: to be changed by hand
	ItemBlocked = "blocked" // would be created, but can't: the person's data, a refusal or a conflict; Why tells
)

// States of a plan item. Only those of kind create move.
const (
	ItemOpen    = "open"
	ItemClaimed = "claimed" // a worker looks at it
	ItemSending = "sending" // its row stands in the ledger
	ItemDone    = "done"
	ItemFailed  = "failed"  // conflict or refused; the ledger tells
	ItemSkipped = "skipped" // changed since the plan was made; Reason tells
)

// PlanItem is one line of a plan.
type PlanItem struct {
	Plan      int64
	Position  int64 // from 1, in the order of applying
	Kind      string
	Person    PersonID
	Login     string
	Name      string // of the person, to be shown
	Account   AccountID
	Role      Role
	Current   Role // for a drift and a leaver: the role at Constant Contact, as far as is known
	Mapping   int64
	Why       string // in words: the group and the path to it, or what is wrong
	State     string
	Reason    string
	UpdatedAt time.Time

	LeaseUntil time.Time // of a claimed item: Begin and Skip want it as Claim gave it
}

const itemColumns = `plan, position, kind, person_id, login, name, account, role, told, mapping, why, state, reason, due_at, updated_at`

func scanItem(row scanner) (i PlanItem, err error) {
	var due, updated int64
	err = row.Scan(&i.Plan, &i.Position, &i.Kind, &i.Person, &i.Login, &i.Name, &i.Account, &i.Role, &i.Current,
		&i.Mapping,
		&i.Why, &i.State, &i.Reason, &due, &updated)
	i.LeaseUntil, i.UpdatedAt = fromMicros(due), fromMicros(updated)
	return i, err
}

// addRows is how many items one statement stores. Its text is then always the same, so that it is prepared once.
const addRows = 100

// Add stores items of a plan that is being made, at most 1000; their Position and Plan are filled in by the order of
// the calls. ErrConflict: it is not being made any more. ErrNotFound.
func (s *Plans) Add(ctx context.Context, id int64, items []PlanItem) error {
	const what = "add items to a plan"
	if len(items) > 1000 {
		return s.db.explain(what, fmt.Errorf("%d items: want at most 1000", len(items)))
	}
	kinds := map[string]int{}
	for _, i := range items {
		kinds[i.Kind]++
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		// First, since on PostgreSQL its row lock puts those who add one after the other, so that no position is given twice.
		n, err := rowsAffected(ctx, tx, `
			UPDATE plans SET creations = creations + $1, leavers = leavers + $2, drifted = drifted + $3, blocked = blocked + $4
			 WHERE id = $5 AND state = 'making'`, kinds[ItemCreate], kinds[ItemLeaver], kinds[ItemDrift], kinds[ItemBlocked], id)
		if err != nil {
			return err
		}
		if n == 0 {
			return elsewhere(ctx, tx, id)
		}
		var last int64
		if err := tx.QueryRowContext(ctx, `
			SELECT COALESCE(MAX(position), 0) FROM plan_items WHERE plan = $1`, id).Scan(&last); err != nil {
			return err
		}
		now := s.db.now()
		for some := range slices.Chunk(items, addRows) {
			if err := addItems(ctx, tx, id, last, some, now); err != nil {
				return err
			}
			last += int64(len(some))
		}
		return nil
	})
}

// addItems stores items behind position last by one statement.
func addItems(ctx context.Context, tx querier, id, last int64, items []PlanItem, now time.Time) error {
	var query strings.Builder
	query.WriteString(`
		INSERT INTO plan_items (plan, updated_at, position, kind, person_id, login, name, account, role, told, mapping, why,
		    state, reason, due_at) VALUES `)
	args := []any{id, micros(now)}
	for n, i := range items {
		if n > 0 {
			query.WriteString(", ")
		}
		query.WriteString("($1, $2")
		// What comes from the directory and is only shown is made storable: one odd name must not cost the plan.
		for _, value := range []any{last + int64(n) + 1, i.Kind, string(i.Person), sanitize(i.Login), sanitize(i.Name),
			string(i.Account),
			string(i.Role), string(i.Current), i.Mapping, sanitize(i.Why)} {
			args = append(args, value)
			query.WriteString(", $" + strconv.Itoa(len(args)))
		}
		query.WriteString(", 'open', '', 0)")
	}
	_, err := tx.ExecContext(ctx, query.String(), args...)
	return err
}

// ItemFilter chooses items of a plan; zero fields do not filter.
type ItemFilter struct {
	Kind    string
	State   string
	Account AccountID
	After   int64 // position
	Limit   int   // 1 to 1000, default 100
}

// Items returns items of a plan by position.
func (s *Plans) Items(ctx context.Context, id int64, f ItemFilter) ([]PlanItem, error) {
	const what = "list items of a plan"
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 || f.After < 0 {
		return nil, s.db.explain(what, fmt.Errorf("limit %d, after %d: want a limit from 1 to 1000 and a position",
			f.Limit, f.After))
	}
	all, err := collect(ctx, s.db.engine.reader(), scanItem, `
		SELECT `+itemColumns+`
		  FROM plan_items
		 WHERE plan = $1 AND position > $2
		   AND ($3 = '' OR kind = $3) AND ($4 = '' OR state = $4) AND ($5 = '' OR account = $5)
		 ORDER BY position LIMIT $6`, id, f.After, f.Kind, f.State, string(f.Account), f.Limit)
	return all, s.db.explain(what, err)
}
