package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Users is what can be done with people's users at Constant Contact, and with the manual tasks about them.
type Users struct {
	Store        *store.DB
	Provisioning *provisioning.Service
	Directory    PersonReader
}

// Find finds who is meant: a person id that the ledger or the directory knows, else a login name.
func (u Users) Find(ctx context.Context, who string) (store.PersonID, error) {
	return u.find(ctx, Everything(), who)
}

func (u Users) find(ctx context.Context, s Scope, who string) (store.PersonID, error) {
	id, err := findPerson(ctx, u.Store, u.Directory, s, store.TrimTyped(who))
	return id, refusal(err)
}

// Key names one user by person and client account as they were typed. A client account that no list knows is taken as
// the ledger spells it for this person.
func (u Users) Key(ctx context.Context, s Scope, who, account string) (store.UserKey, error) {
	if _, err := store.ParseAccountID(store.TrimTyped(account)); err != nil {
		return store.UserKey{}, &Error{Field: "account", Fault: err.Error(), Act: ListUsers, Err: err}
	}
	person, err := u.find(ctx, s, who)
	if err != nil {
		return store.UserKey{}, err
	}
	id, err := u.Provisioning.Account(ctx, account)
	if errors.Is(err, store.ErrUnlistedAccount) {
		id, err = u.ownAccount(ctx, person, account)
	}
	if err != nil {
		return store.UserKey{}, &Error{Field: "account", Fault: err.Error(), Act: ListUsers, Err: err}
	}
	k := store.UserKey{Person: person, Account: id}
	return k, s.user(k)
}

// ownAccount is a client account as the rows of a person spell it; as it was written where none has it: the caller then
// says that there is no such user.
func (u Users) ownAccount(ctx context.Context, person store.PersonID, text string) (store.AccountID, error) {
	rows, err := u.Store.Ledger().Person(ctx, person)
	if err != nil {
		return "", fmt.Errorf("look for person %s: %w", person, err)
	}
	accounts := make([]store.AccountID, 0, len(rows))
	for _, row := range rows {
		accounts = append(accounts, row.Account)
	}
	id, err := store.NewAccountForms(nil, accounts).Resolve(text)
	if errors.Is(err, store.ErrUnlistedAccount) {
		err = nil
	}
	return id, err
}

// user refuses a user in a client account outside the scope.
func (s Scope) user(k store.UserKey) error { return s.account(k.Account) }

// Retry tries users again now, at the head of the queue; the running bridge makes the calls. See
// [provisioning.Service.RetryUsers] for which states are meant where the filter names none. It returns how many.
func (u Users) Retry(ctx context.Context, s Scope, f store.UserFilter, actor string) (int, error) {
	err := s.whole()
	if f.Account != "" {
		err = s.user(store.UserKey{Account: f.Account})
	}
	if err != nil {
		return 0, err
	}
	n, err := u.Provisioning.RetryUsers(ctx, f, actor)
	return n, refusal(err)
}

// RetryOne is Retry of one user. One whose state has nothing to retry is refused.
func (u Users) RetryOne(ctx context.Context, s Scope, k store.UserKey, actor string) error {
	n, err := u.Retry(ctx, s, store.UserFilter{Person: k.Person, Account: k.Account}, actor)
	if err == nil && n == 0 {
		err = notInState(k, "does not wait for a retry", store.ErrConflict)
	}
	return err
}

// Confirm makes assumed users active: these, or all of them where there are none. It returns how many.
func (u Users) Confirm(ctx context.Context, s Scope, keys []store.UserKey, actor string) (int, error) {
	if len(keys) == 0 {
		if err := s.whole(); err != nil {
			return 0, err
		}
	}
	for _, k := range keys {
		if err := s.user(k); err != nil {
			return 0, err
		}
	}
	n, err := u.Provisioning.ConfirmUsers(ctx, keys, actor)
	return n, refusal(err)
}

// Suspend stops a user: no sign-ins to that client account, and no creation.
func (u Users) Suspend(ctx context.Context, s Scope, k store.UserKey, actor string) error {
	if err := s.user(k); err != nil {
		return err
	}
	return userError(u.Provisioning.SuspendUser(ctx, k, actor), k, "is suspended already")
}

// Resume lets a suspended user sign in again.
func (u Users) Resume(ctx context.Context, s Scope, k store.UserKey, actor string) error {
	if err := s.user(k); err != nil {
		return err
	}
	return userError(u.Provisioning.ResumeUser(ctx, k, actor), k, "is not suspended")
}

// userError turns what the ledger has against a change of one user. state is why it does not allow it now.
func userError(err error, k store.UserKey, state string) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &Error{Kind: Missing, Field: "account", Fault: fmt.Sprintf("person %s has no SSO user in account %s", k.Person,
			k.Account), Act: ListUsers, Err: err}
	case errors.Is(err, store.ErrConflict):
		return notInState(k, state, err)
	}
	return refusal(err)
}

func notInState(k store.UserKey, state string, err error) error {
	return &Error{Kind: Changed, Fault: fmt.Sprintf("the SSO user of person %s in account %s %s", k.Person, k.Account,
		state), Act: ShowUser, About: string(k.Person), Err: err}
}

// Create asks for a person's user as their own sign-in would: the intention is stored, and the running bridge makes the
// call first of all that waits. Somebody who could not sign in to the client account is an Error that says why. e
// starts the event that it leaves.
func (u Users) Create(ctx context.Context, s Scope, k store.UserKey, e store.Event) error {
	if err := s.user(k); err != nil {
		return err
	}
	person, err := readWhole(ctx, u.Directory, k.Person)
	if err != nil {
		return refusal(err)
	}
	if person.Problem != "" {
		return &Error{Kind: Denied, Fault: cantSignIn(person),
			Act: ExplainLogin, About: person.Login}
	}
	d, err := u.Provisioning.Decide(ctx, provisioning.Question{Person: person, Account: k.Account, MayCreate: true,
		Ref: e.Ref, Address: e.Address, Actor: e.Actor})
	if err != nil {
		return fmt.Errorf("create the user of person %s in account %s: %w", k.Person, k.Account, err)
	}
	if d.Outcome == provisioning.Denied {
		return &Error{Kind: Denied, Fault: "this person would be refused: " + refusedText(d), Act: ExplainLogin,
			About: person.Login}
	}
	e.Action, e.Subject, e.Account = "provision-now", string(k.Person), k.Account
	return u.Store.Audit().Add(ctx, e)
}

// Again names the user of a person who is to be created again. Without an account it is the only one who is taken to be
// at Constant Contact.
func (u Users) Again(ctx context.Context, s Scope, who, account string) (store.UserKey, error) {
	if account != "" {
		return u.Key(ctx, s, who, account)
	}
	person, err := u.find(ctx, s, who)
	if err != nil {
		return store.UserKey{}, err
	}
	rows, err := u.Store.Ledger().Person(ctx, person)
	if err != nil {
		return store.UserKey{}, fmt.Errorf("look for person %s: %w", person, err)
	}
	rows = slices.DeleteFunc(rows, func(row store.SSOUser) bool {
		return row.State != store.Active && row.State != store.Assumed || !s.Includes(row.Account)
	})
	accounts := make([]store.AccountID, 0, len(rows))
	for _, row := range rows {
		accounts = append(accounts, row.Account)
	}
	switch len(rows) {
	case 1:
		return store.UserKey{Person: person, Account: rows[0].Account}, nil
	case 0:
		return store.UserKey{}, &Error{Kind: Missing, Field: "who", Fault: fmt.Sprintf("person %s has no SSO user who is "+
			"taken to be at Constant Contact", person), Act: ShowUser, About: string(person)}
	}
	return store.UserKey{}, &Error{Field: "account", Fault: fmt.Sprintf("person %s has several SSO users: in %s", person,
		joined(accounts)), Hint: "name the client account"}
}

// CreateAgain has a user created again who is missing at Constant Contact, under the same external id: the ledger's
// row, its events and since when it is there stay. The running bridge makes the call. Somebody who could not sign
// in to the client account is an Error that says why. e starts the event that it leaves.
func (u Users) CreateAgain(ctx context.Context, s Scope, k store.UserKey, e store.Event) error {
	if err := s.user(k); err != nil {
		return err
	}
	person, err := readWhole(ctx, u.Directory, k.Person)
	if err != nil {
		return refusal(err)
	}
	if person.Problem != "" {
		return &Error{Kind: Denied, Fault: cantSignIn(person),
			Act: ExplainLogin, About: person.Login}
	}
	if _, err := u.Store.Ledger().Get(ctx, k.Person, k.Account); err != nil {
		return userError(err, k, "")
	}
	d, err := u.Provisioning.CreateAgain(ctx, person, k.Account, e)
	if err == nil && d.Outcome == provisioning.Denied {
		return &Error{Kind: Denied, Fault: "this person is not created again: " + refusedText(d), Act: ExplainLogin,
			About: person.Login}
	}
	return userError(err, k, "is not taken to be at Constant Contact, so it can't be missing there")
}

// Entry reads a person with all groups, whatever state the account is in.
func (u Users) Entry(ctx context.Context, id store.PersonID) (directory.Entry, error) {
	return readWhole(ctx, u.Directory, id)
}

// readWhole reads a person by id. Of somebody who may not sign in, reading by id gives no groups; by login it does.
func readWhole(ctx context.Context, d PersonReader, id store.PersonID) (directory.Entry, error) {
	e, err := d.Read(ctx, string(id))
	if err == nil && e.Problem != "" && e.Login != "" && e.Source == "" {
		if full, err := d.Find(ctx, e.Login); err == nil && full.ID == e.ID {
			full.Problem = e.Problem
			return full, nil
		}
	}
	return e, err
}

// Tasks lists what is to be done by hand at Constant Contact, whose API can neither delete nor change a user.
func (u Users) Tasks(ctx context.Context, s Scope, f store.ManualTaskFilter) ([]store.ManualTask, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	list, err := u.Store.Plans().ManualTasks(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list manual tasks: %w", err)
	}
	return list, nil
}

// DataChange is one of a person's data that is to be changed by hand. Field is "first_name", "last_name" or
// "contact_email".
type DataChange struct{ Field, From, To string }

// Words call the field in a sentence.
func (c DataChange) Words() string {
	switch c.Field {
	case "first_name":
		return "first name"
	case "last_name":
		return "last name"
	}
	return "mail address"
}

// DataChanges are what a task of kind store.ItemData is about, and none of another kind.
func DataChanges(w store.ManualTask) (all []DataChange) {
	for _, c := range []DataChange{
		{"first_name", w.Given.FirstName, w.Now.FirstName},
		{"last_name", w.Given.LastName, w.Now.LastName},
		{"contact_email", w.Given.ContactEmail, w.Now.ContactEmail},
	} {
		if c.From != c.To {
			all = append(all, c)
		}
	}
	return all
}

// TaskDone notes that a task was done. kind is store.ItemLeaver (the user was deleted), store.ItemDrift (the role was
// changed) or store.ItemData (name or mail address were changed).
func (u Users) TaskDone(ctx context.Context, s Scope, k store.UserKey, kind, actor string) error {
	if err := s.user(k); err != nil {
		return err
	}
	err := u.Provisioning.ManualTaskDone(ctx, k, kind, actor)
	if errors.Is(err, store.ErrNotFound) {
		return &Error{
			Kind: Missing, Field: "kind", Act: ListTasks, Err: err,
			Fault: fmt.Sprintf("no work of kind %s is open for person %s in account %s", kind, k.Person, k.Account),
		}
	}
	return refusal(err)
}

// Forget removes all that tells who a person is; see [provisioning.Service.ForgetPerson]. deleted is the
// administrator's word that the person's users at Constant Contact were deleted by hand.
func (u Users) Forget(ctx context.Context, s Scope, person store.PersonID, deleted bool,
	actor string) (provisioning.Forgotten, error) {
	if err := s.whole(); err != nil {
		return provisioning.Forgotten{}, err
	}
	done, err := u.Provisioning.ForgetPerson(ctx, person, deleted, actor)
	if errors.Is(err, store.ErrNotFound) {
		return done, &Error{
			Kind: Missing, Field: "person", Act: NamePersonByID, Err: err,
			Fault: "nothing is kept of person " + plaintext.Quote(string(person)) + " but audit events, if any",
		}
	}
	return done, refusal(err)
}

// remainsError turns what stands against forgetting somebody: each with what puts it away.
func remainsError(err error) *Error {
	r, ok := errors.AsType[*provisioning.RemainsError](err)
	if !ok {
		return nil
	}
	e := &Error{Field: "person", Fault: "this person can't be forgotten yet"}
	add := func(act Act, about, format string, args ...any) {
		e.Parts = append(e.Parts, &Error{Field: "person", Fault: fmt.Sprintf(format, args...), Act: act, About: about})
	}
	if len(r.Sending) > 0 {
		add(TryLater, "", "the person's user is being created at this moment in %s", joined(r.Sending))
	}
	if len(r.Users) > 0 {
		add(ConfirmDeleted, "", "the person may have a user at Constant Contact in %s", joined(r.Users))
	}
	for _, id := range r.Requests {
		add(RetryRequest, fmt.Sprint(id), "the person is to own a client account that is being ordered: request %d", id)
	}
	for _, id := range r.Mappings {
		add(RemoveMapping, fmt.Sprint(id), "the person is named by mapping %d", id)
	}
	if len(e.Parts) == 1 {
		return e.Parts[0]
	}
	return e
}

// joined lists ids in a sentence.
func joined[T ~string](ids []T) string {
	text := make([]string, 0, len(ids))
	for _, id := range ids {
		text = append(text, string(id))
	}
	slices.Sort(text)
	return strings.Join(text, ", ")
}
