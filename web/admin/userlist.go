package admin

import (
	"context"
	"fmt"
	"io"
	"slices"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// maxUsers is the most users that are listed at once.
const maxUsers = 1000

// User is a user at Constant Contact, and what their person is called.
type User struct {
	store.SSOUser

	Name string // "": neither the ledger nor the directory's last reading says it
}

// UserStates are the states of users in the order in which an administrator wants them: what needs attention first.
func UserStates() []store.State {
	return []store.State{store.Conflict, store.Refused, store.Unknown, store.Assumed, store.Suspended, store.Wanted,
		store.Sending, store.Active}
}

// AttentionStates are those of UserStates in which a user may need an act.
func AttentionStates() []store.State { return UserStates()[:4] }

// UserState says what a state of a user means.
func UserState(s store.State) string {
	text, known := map[store.State]string{
		store.Conflict:  "name, mail or id belongs to another user",
		store.Refused:   "Constant Contact rejected the data",
		store.Unknown:   "sent, outcome unknown; retried automatically",
		store.Assumed:   "assumed to exist (not confirmed)",
		store.Suspended: "suspended by an administrator",
		store.Wanted:    "in the queue",
		store.Sending:   "being created",
		store.Active:    "can sign in",
	}[s]
	if !known {
		return string(s)
	}
	return text
}

// List lists users by person and client account, 1 to 1000 at once.
func (u Users) List(ctx context.Context, s Scope, f store.UserFilter) ([]User, error) {
	if err := s.filtered(f); err != nil {
		return nil, err
	}
	if f.Limit < 1 || f.Limit > maxUsers {
		return nil, &Error{Field: "limit", Fault: fmt.Sprintf("limit %d is out of range", f.Limit),
			Hint: fmt.Sprintf("write 1 to %d", maxUsers)}
	}
	rows, err := u.Store.Ledger().List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return u.named(ctx, s, rows)
}

// OfPerson lists the users of one person in the client accounts of the scope.
func (u Users) OfPerson(ctx context.Context, s Scope, person store.PersonID) ([]User, error) {
	rows, err := u.Store.Ledger().Person(ctx, person)
	if err != nil {
		return nil, fmt.Errorf("list the users of person %s: %w", person, err)
	}
	rows = slices.DeleteFunc(rows, func(row store.SSOUser) bool { return !s.Includes(row.Account) })
	return u.named(ctx, s, rows)
}

// filtered refuses to list users outside the scope.
func (s Scope) filtered(f store.UserFilter) error {
	if f.Account == "" {
		return s.whole()
	}
	return s.account(f.Account)
}

// named gives users their names: those that the ledger has none of by their person.
func (u Users) named(ctx context.Context, s Scope, rows []store.SSOUser) ([]User, error) {
	all := make([]User, 0, len(rows))
	var nameless []store.PersonID
	for _, row := range rows {
		one := User{row, UserName(row)}
		if one.Name == "" {
			nameless = append(nameless, row.Person)
		}
		all = append(all, one)
	}
	if len(nameless) == 0 {
		return all, nil
	}
	names, err := People{Store: u.Store}.Names(ctx, s, nameless)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == "" {
			all[i].Name = names[all[i].Person]
		}
	}
	return all, nil
}

// Export writes users as CSV or as JSON lines (format csv or jsonl), names and mail addresses of people among them. e
// starts the audit event, which is stored before anything is written.
func (u Users) Export(ctx context.Context, s Scope, w io.Writer, f store.UserFilter, format string,
	e store.Event) error {
	if err := s.filtered(f); err != nil {
		return err
	}
	if format != "csv" && format != "jsonl" {
		return unknownFormat(format)
	}
	e.Action, e.Subject, e.Account = "users-export", "ledger", f.Account
	if err := u.Store.Audit().Add(ctx, e); err != nil {
		return fmt.Errorf("record an export of users: %w", err)
	}
	if err := u.Provisioning.ExportUsers(ctx, w, f, format); err != nil {
		return fmt.Errorf("export users: %w", err)
	}
	return nil
}

// unknownFormat refuses another format than those of exports.
func unknownFormat(format string) error {
	return &Error{Field: "format", Fault: "format " + plaintext.Quote(format) + " is not known", Hint: "take csv or jsonl"}
}
