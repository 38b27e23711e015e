package admin

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"ssobridge/provisioning"
	"ssobridge/store"
)

// AccountUse is how many people use a client account: the adoption of single sign-on there.
type AccountUse struct {
	Account store.AccountID
	Name    string
	Total   store.RoleUse // of all roles
	Roles   []store.RoleUse
}

// useAtOnce is how many client accounts UseCSV reads at a time.
const useAtOnce = 100

// Use lists client accounts by their ids, with how many people use each. Each costs a look at its people.
func (a ClientAccounts) Use(ctx context.Context, s Scope, f ClientAccountFilter) ([]AccountUse, error) {
	if f.Limit < 1 || f.Limit > 1000 {
		return nil, &Error{Field: "limit", Fault: fmt.Sprintf("is %d", f.Limit), Hint: "give a number from 1 to 1000"}
	}
	list, _, err := a.List(ctx, s, f)
	if err != nil {
		return nil, err
	}
	all := make([]AccountUse, 0, len(list))
	for _, one := range list {
		u := AccountUse{Account: one.ID, Name: one.Name}
		if u.Roles, err = a.Store.Ledger().Use(ctx, one.ID); err != nil {
			return nil, fmt.Errorf("count the people of client account %s: %w", one.ID, err)
		}
		for _, r := range u.Roles {
			u.Total.Entitled += r.Entitled
			u.Total.Created += r.Created
			u.Total.SignedIn += r.SignedIn
		}
		all = append(all, u)
	}
	return all, nil
}

// EachUse calls do for each client account of the filter, whose Limit does not count, a page at a time.
func (a ClientAccounts) EachUse(ctx context.Context, s Scope, f ClientAccountFilter, do func(AccountUse) error) error {
	for f.Limit = useAtOnce; ; {
		all, err := a.Use(ctx, s, f)
		if err != nil {
			return err
		}
		for _, u := range all {
			if err := do(u); err != nil {
				return err
			}
		}
		if len(all) < f.Limit {
			return nil
		}
		f.After = all[len(all)-1].Account
	}
}

// UseCSV writes how many people use each client account as CSV, one line for each role, and for a client account
// without people one without a role. No cell is a formula to a spreadsheet.
func (a ClientAccounts) UseCSV(ctx context.Context, s Scope, f ClientAccountFilter, w io.Writer) error {
	const what = "write the adoption of client accounts"
	rows := csv.NewWriter(w)
	if err := rows.Write([]string{"account", "name", "role", "entitled", "created", "signed_in_30_days"}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	err := a.EachUse(ctx, s, f, func(u AccountUse) error {
		roles := u.Roles
		if len(roles) == 0 {
			roles = []store.RoleUse{{}}
		}
		for _, r := range roles {
			if err := rows.Write([]string{provisioning.GuardedCell(string(u.Account)), provisioning.GuardedCell(u.Name),
				provisioning.GuardedCell(string(r.Role)), strconv.Itoa(r.Entitled), strconv.Itoa(r.Created),
				strconv.Itoa(r.SignedIn)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	rows.Flush()
	if err := rows.Error(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
