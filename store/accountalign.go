package store

import (
	"context"
	"slices"
)

// Misspelled is a client account that rows name in another case than the list does.
type Misspelled struct {
	Table   string      `json:"table"`
	Account AccountID   `json:"account"`
	Listed  []AccountID `json:"listed"` // several: it can't be told which is meant
}

// accountTables are those whose rows are brought to the listed form, in this order. Plans are left out: what one says
// is looked at anew before anything is done by it.
var accountTables = []string{"second_factor_policies", "mappings", "mappings_off", "sso_users", "manual_work"}

// Misspelled lists the accounts that rows name in another case than the list does: what a version before this one
// stored as it was typed, or what was stored before the list was read.
func (s *Accounts) Misspelled(ctx context.Context) ([]Misspelled, error) {
	all, err := misspelled(ctx, s.db.engine.reader())
	return all, s.db.explain("look for misspelled client accounts", err)
}

func misspelled(ctx context.Context, q querier) (all []Misspelled, err error) {
	forms, err := accountForms(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, table := range accountTables {
		// One look into the index for each account that there is.
		ids, err := collect(ctx, q, scanText, `
			WITH RECURSIVE named(account) AS (
			    SELECT MIN(account) FROM `+table+` WHERE account > ''
			    UNION ALL
			    SELECT (SELECT MIN(t.account) FROM `+table+` t WHERE t.account > named.account) FROM named WHERE named.account IS NOT NULL)
			SELECT account FROM named WHERE account IS NOT NULL`)
		if err != nil {
			return nil, err
		}
		slices.Sort(ids)
		for _, id := range ids {
			if similar := forms.Similar(AccountID(id)); len(similar) > 0 && !forms.Lists(AccountID(id)) {
				all = append(all, Misspelled{table, AccountID(id), similar})
			}
		}
	}
	return all, nil
}

// Align brings rows to the listed form of their account, with one event for each account and table, and returns what it
// changed. A row stays where the account can't be told, where one of the listed account stands in its place already, or
// where a call for it is under way: readers resolve it all the same. strictest chooses among policies of one account;
// own tells whether one stands under the listed form.
func (s *Accounts) Align(ctx context.Context, strictest func(policies []string, own bool) string,
	e Event) (done []Misspelled, err error) {
	// Nothing to do is the usual answer, and needs no writer.
	if all, err := s.Misspelled(ctx); err != nil || len(all) == 0 {
		return nil, err
	}
	err = s.db.change(ctx, "align client accounts", func(ctx context.Context, tx querier) error {
		done = nil
		all, err := misspelled(ctx, tx)
		if err != nil {
			return err
		}
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		for _, m := range all {
			var n int64
			switch {
			case m.Table == "second_factor_policies":
				n, err = alignPolicy(ctx, tx, m, strictest)
			case len(m.Listed) > 1:
				continue
			default:
				n, err = rowsAffected(ctx, tx, alignments[m.Table], alignArgs(m, micros(now))...)
			}
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			done = append(done, m)
			one := e
			one.Account = m.Listed[0]
			one.Detail = DetailOf(map[string]any{"table": m.Table, "was": m.Account, "is": m.Listed, "rows": n})
			if err := addEvents(ctx, tx, now, []Event{one}); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// alignArgs are the listed form, the form that is stored, and for users the time.
func alignArgs(m Misspelled, now int64) []any {
	args := []any{string(m.Listed[0]), string(m.Account)}
	if m.Table == "sso_users" {
		args = append(args, now)
	}
	return args
}

var alignments = map[string]string{
	"mappings": `
		UPDATE mappings SET account = $1
		 WHERE account = $2 AND NOT EXISTS (SELECT 1 FROM mappings o WHERE o.account = $1 AND o.kind = mappings.kind
		       AND o.group_id = mappings.group_id AND o.group_dn = mappings.group_dn AND o.attribute = mappings.attribute
		       AND o.pattern = mappings.pattern AND o.person_id = mappings.person_id AND o.role = mappings.role)`,
	"mappings_off": `
		UPDATE mappings_off SET account = $1 WHERE account = $2`,
	"sso_users": `
		UPDATE sso_users SET account = $1
		 WHERE account = $2 AND state <> 'sending' AND lease_until <= $3
		   AND NOT EXISTS (SELECT 1 FROM sso_users o WHERE o.account = $1 AND o.person_id = sso_users.person_id)`,
	"manual_work": `
		UPDATE manual_work SET account = $1
		 WHERE account = $2 AND NOT EXISTS (SELECT 1 FROM manual_work o
		       WHERE o.account = $1 AND o.person_id = manual_work.person_id AND o.kind = manual_work.kind)`,
}

// alignPolicy puts a policy under the listed account, or under each that it can mean.
func alignPolicy(ctx context.Context, tx querier, m Misspelled, strictest func([]string, bool) string) (int64, error) {
	policy := func(account AccountID) ([]string, error) {
		return collect(ctx, tx, scanText, `
			SELECT policy FROM second_factor_policies WHERE account = $1`, string(account))
	}
	moved, err := policy(m.Account)
	if err != nil {
		return 0, err
	}
	for _, listed := range m.Listed {
		own, err := policy(listed)
		if err != nil {
			return 0, err
		}
		word := strictest(slices.Concat(own, moved), len(own) > 0)
		if word == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO second_factor_policies (account, policy) VALUES ($1, $2)
			ON CONFLICT (account) DO UPDATE SET policy = excluded.policy`, string(listed), word); err != nil {
			return 0, err
		}
	}
	return rowsAffected(ctx, tx, `
		DELETE FROM second_factor_policies WHERE account = $1`, string(m.Account))
}
