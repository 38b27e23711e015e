package api

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type ssoUser struct {
	Person     store.PersonID  `json:"person_id" doc:"The person in the directory."`
	Account    store.AccountID `json:"account" doc:"The client account."`
	Name       string          `json:"name,omitempty" doc:"How the person is called, where that is known."`
	ExternalID string          `json:"external_id,omitempty" doc:"At Constant Contact."`
	LoginName  string          `json:"login_name,omitempty" doc:"At Constant Contact."`
	Mail       string          `json:"contact_email,omitempty" doc:"At Constant Contact."`
	Role       store.Role      `json:"role,omitempty" doc:"Given at creation: Constant Contact's API can't change it."`
	State      store.State     `json:"state" doc:"Such as active, wanted or conflict; more can be added."`
	Meaning    string          `json:"meaning" doc:"The state in words."`
	Cause      string          `json:"cause,omitempty" doc:"Why it is not there yet, in one word."`
	Error      string          `json:"error,omitempty" doc:"The same in a sentence, with what fixes it."`
	Attempts   int             `json:"attempts" doc:"Calls that were made for it."`
	NextTry    *time.Time      `json:"next_attempt,omitempty" doc:"When it is tried again."`
	CreatedAt  time.Time       `json:"created_at" doc:"When it was first wanted or imported."`
	UpdatedAt  time.Time       `json:"updated_at" doc:"When it last changed."`
}

func userOf(u admin.User) ssoUser {
	return ssoUser{Person: u.Person, Account: u.Account, Name: u.Name, ExternalID: u.ExternalID, LoginName: u.LoginName,
		Mail: u.ContactEmail, Role: u.Role, State: u.State, Meaning: admin.UserState(u.State), Cause: u.Cause,
		Error: u.ErrorText, Attempts: u.Attempts, NextTry: optional(u.NextAttempt), CreatedAt: u.CreatedAt.UTC(),
		UpdatedAt: u.UpdatedAt.UTC()}
}

type userFilter struct {
	paged
	Account string `query:"account" maxlen:"100" doc:"Only of this client account. A token of several client accounts has to name one."`
	Person  string `query:"person" maxlen:"200" doc:"Only of this person, by person id or login name."`
	State   string `query:"state" enum:"conflict,refused,unknown,assumed,suspended,wanted,sending,active" doc:"Only in this state."`
}

// userKey names one user by its path.
type userKey struct {
	Account string `path:"id" maxlen:"100" doc:"The client account's id."`
	Who     string `path:"who" maxlen:"200" doc:"Person id or login name."`
}

// user is the key of one user. The client account is looked at first: a token that may not see it learns nothing of
// people. A token of some client accounts learns of nobody who has no user there.
func (c *call) user(in userKey) (store.UserKey, error) {
	if _, err := c.account(in.Account); err != nil {
		return store.UserKey{}, err
	}
	k, err := c.api.o.Users.Key(c.ctx, c.scope(), in.Who, in.Account)
	switch {
	case c.unknown(err):
		return k, missing()
	case err == nil && c.confined():
		_, err = c.userRow(k) // who has no user there is nobody to it, whether the directory knows them or not
	}
	return k, err
}

// unknown tells whether an error says of somebody that they are not known, or not exactly, to a token that must not
// learn who is: people are not of one client account.
func (c *call) unknown(err error) bool {
	e, refused := admin.AsError(err)
	return refused && e.Kind != admin.Outside && c.confined()
}

// filterAccount is the client account of a list. A token of one account sees that one.
func (c *call) filterAccount(text string) (store.AccountID, error) {
	mine := c.caller.Token.Accounts
	switch {
	case text != "":
		return c.account(text)
	case len(mine) == 1:
		return mine[0], nil
	case len(mine) > 1:
		return "", invalid([]fault{{"account", "it is missing", "name one of the token's client accounts"}})
	}
	return "", nil
}

func (c *call) userRow(k store.UserKey) (ssoUser, error) {
	rows, err := c.api.o.Users.OfPerson(c.ctx, c.scope(), k.Person)
	if err != nil {
		return ssoUser{}, err
	}
	for _, u := range rows {
		if u.Account == k.Account {
			return userOf(u), nil
		}
	}
	return ssoUser{}, missing()
}

func userOperations() []operation {
	const area = "SSO users"
	return []operation{
		serves(operation{
			id: "listUsers", method: http.MethodGet, path: "/users", area: area, scope: admin.UsersRead, confined: true,
			summary: "List SSO users", doc: "By person and client account.",
		}, func(c *call, in userFilter) (list[ssoUser], error) {
			f := store.UserFilter{Limit: in.size() + 1}
			var err error
			if f.Account, err = c.filterAccount(in.Account); err != nil {
				return list[ssoUser]{}, err
			}
			if in.Person != "" {
				f.Person, err = c.api.o.Users.Find(c.ctx, in.Person)
				switch {
				case c.unknown(err):
					return list[ssoUser]{Items: []ssoUser{}}, nil // as for who is known and has no user there
				case err != nil:
					return list[ssoUser]{}, err
				}
			}
			if in.State != "" {
				f.States = []store.State{store.State(in.State)}
			}
			if err := c.from(in.paged, &f.After); err != nil {
				return list[ssoUser]{}, err
			}
			rows, err := c.api.o.Users.List(c.ctx, c.scope(), f)
			if err != nil {
				return list[ssoUser]{}, err
			}
			return pageOf(c, in.paged, rows, userOf, func(u admin.User) any {
				return store.UserKey{Person: u.Person, Account: u.Account}
			})
		}),
		serves(operation{
			id: "getUser", method: http.MethodGet, path: "/accounts/{id}/users/{who}", area: area, scope: admin.UsersRead,
			confined: true, summary: "Read the SSO user of a person in a client account",
		}, func(c *call, in userKey) (ssoUser, error) {
			k, err := c.user(in)
			if err != nil {
				return ssoUser{}, err
			}
			return c.userRow(k)
		}),
		serves(operation{
			id: "createUser", method: http.MethodPost, path: "/accounts/{id}/users", area: area, scope: admin.UsersWrite,
			status: http.StatusAccepted, keyed: true, act: "provision-now", summary: "Have the SSO user of a person created",
			doc: "As the person's own sign-in would: the mappings decide whether and with which role. The call is made in the " +
				"background, behind sign-ins, and leaves their reserve alone; read the user until its state is active.",
		}, func(c *call, in struct {
			accountID
			Body whoInput `body:"json"`
		}) (ssoUser, error) {
			k, err := c.user(userKey{Account: in.ID, Who: in.Body.Who})
			if err != nil {
				return ssoUser{}, err
			}
			if c.made == "" {
				if err := c.api.o.Users.Create(provisioning.ForProgram(c.ctx), c.scope(), k, c.event()); err != nil {
					return ssoUser{}, err
				}
			}
			return c.userRow(k)
		}),
		serves(operation{
			id: "importUsers", method: http.MethodPost, path: "/users/import", area: area, scope: admin.UsersWrite, raw: true,
			media: "text/csv", maxBody: maxImport, summary: "Take users as known who exist at Constant Contact already",
			doc: "CSV with a header line: person_id or login, account, and where wanted external_id, login_name, role and state. " +
				"At most 2,000 lines; one import, or dry run, at a time: while another one runs this is refused (409), with " +
				"Retry-After. A file with a fault is refused whole. Lines are stored by 500: where an import ends early, send the file " +
				"again, which changes no line that was taken. dry_run=true says what would become of each line; its seen, " +
				"given back, has the import refused where something has changed meanwhile. A wrong line signs a person in as somebody else.",
		}, importUsers),
		serves(operation{
			id: "forgetPerson", method: http.MethodPost, path: "/people/{who}/forget", area: area, scope: admin.PeopleWrite,
			keyed: true, act: "forget-person", summary: "Forget a person who has left",
			doc: "All is removed that tells who the person is, but what the audit log says. Refused while the person may have a " +
				"user at Constant Contact, unless users_deleted says that those were deleted there by hand.",
		}, func(c *call, in struct {
			who
			Body forgetInput `body:"json"`
		}) (forgottenPerson, error) {
			if c.made != "" { // the person can't be found any more by what the request says
				return forgottenPerson{Person: store.PersonID(c.made)}, nil
			}
			id, err := c.api.o.Users.Find(c.ctx, in.Who)
			if err != nil {
				return forgottenPerson{}, err
			}
			if string(id) != in.Body.Person {
				return forgottenPerson{}, invalid([]fault{{"person_id", "it is not the id of this person",
					"give the person's id once more: it can't be taken back"}})
			}
			done, err := c.api.o.Users.Forget(c.ctx, c.scope(), id, in.Body.Deleted, c.caller.Actor())
			return forgottenPerson{Person: id, Known: done.Known}, err
		}),
		userAct("retryUser", "retry", "retry-user", "Try the SSO user of a person again now",
			"For one that was refused, has a conflict, or waits.",
			func(c *call, k store.UserKey) error {
				return c.api.o.Users.RetryOne(c.ctx, c.scope(), k, c.caller.Actor())
			}),
		userAct("suspendUser", "suspend", "suspend-user", "Suspend the SSO user of a person",
			"No sign-ins to that client account, and no creation.",
			func(c *call, k store.UserKey) error {
				return c.api.o.Users.Suspend(c.ctx, c.scope(), k, c.caller.Actor())
			}),
		userAct("resumeUser", "resume", "resume-user", "Let a suspended SSO user sign in again", "",
			func(c *call, k store.UserKey) error {
				return c.api.o.Users.Resume(c.ctx, c.scope(), k, c.caller.Actor())
			}),
	}
}

// userAct is an operation on one SSO user, which answers with the user as it is then.
func userAct(id, word, act, summary, doc string, do func(c *call, k store.UserKey) error) operation {
	return serves(operation{
		id: id, method: http.MethodPost, path: "/accounts/{id}/users/{who}/" + word, area: "SSO users",
		scope: admin.UsersWrite, confined: true, keyed: true, act: act, summary: summary, doc: doc,
	}, func(c *call, in userKey) (ssoUser, error) {
		k, err := c.user(in)
		if err != nil {
			return ssoUser{}, err
		}
		if c.made == "" {
			if err := do(c, k); err != nil {
				return ssoUser{}, err
			}
		}
		return c.userRow(k)
	})
}

type whoInput struct {
	Who string `json:"who" maxlen:"200" doc:"Login name or person id."`
}

type forgetInput struct {
	Person  string `json:"person_id" maxlen:"200" doc:"The person's id once more: it can't be taken back."`
	Deleted bool   `json:"users_deleted,omitempty" doc:"Your word that the person's users at Constant Contact were deleted by hand."`
}

type forgottenPerson struct {
	Person store.PersonID `json:"person_id" doc:"The person."`
	Known  bool           `json:"known" doc:"The directory still has the person, who is known again with the next sign-in or plan."`
}

const (
	maxImport     = 4 << 20 // bytes of a file of known users
	maxImportRows = 100     // that are shown
	// maxImportLines bounds the directory's readings and the transactions of one request.
	maxImportLines = 2000
	// importTurn is longer than any request lasts: nobody else's turn comes while one still stores something.
	importTurn = patience
)

type importResult struct {
	DryRun   bool           `json:"dry_run,omitempty" doc:"Nothing was stored."`
	Lines    int            `json:"lines" doc:"Lines of the file."`
	Faults   int            `json:"faults" doc:"Lines that can't be taken; with any, nothing is stored."`
	Outcomes map[string]int `json:"outcomes,omitempty" doc:"How many lines had which outcome."`
	Seen     string         `json:"seen" doc:"Names what would become of the lines, for the import after a dry run."`
	Items    []importItem   `json:"items" doc:"The first 100 that have a fault or a note."`
}

type importItem struct {
	Line    int    `json:"line" doc:"Of the file."`
	Who     string `json:"who" doc:"As the file names the person."`
	Account string `json:"account" doc:"As the file names the client account."`
	Fault   string `json:"fault,omitempty" doc:"Why it can't be taken."`
	Note    string `json:"note,omitempty" doc:"What to look at before."`
}

func importUsers(c *call, in struct {
	DryRun bool   `query:"dry_run" doc:"true: store nothing."`
	Seen   string `query:"seen" maxlen:"200" doc:"The seen of a dry run: import nothing else than that."`
	Body   []byte `body:"file"`
}) (importResult, error) {
	end, ok, err := c.api.o.Users.BeginImport(c.ctx, c.scope(), importTurn)
	if err != nil {
		return importResult{}, err
	}
	if !ok {
		p := bad(http.StatusConflict, "import_running", "another import of users runs", "send it again after Retry-After")
		p.after = "5"
		return importResult{}, p
	}
	defer func() {
		if err := end(); err != nil { // it runs out by itself
			c.api.o.Logger.WarnContext(c.ctx, "the turn to import users was not given back", slog.Any("error", err))
		}
	}()
	a, err := c.api.o.Users.ReadSmallAdoption(c.ctx, c.scope(), bytes.NewReader(in.Body), maxImportLines)
	if err != nil {
		return importResult{}, err
	}
	out := importResult{DryRun: in.DryRun, Lines: len(a.Items), Faults: a.Faults, Seen: a.Seen, Items: importItems(a)}
	switch {
	case in.Seen != "" && in.Seen != a.Seen:
		p := bad(http.StatusPreconditionFailed, "changed", "the import is not the one that was looked at",
			"look at it again with dry_run=true")
		p.Field = "seen"
		return importResult{}, p
	case in.DryRun:
		return out, nil
	case a.Faults > 0:
		return importResult{}, invalid(importFaults(a))
	}
	counts, err := c.api.o.Users.Adopt(c.ctx, c.scope(), a, c.caller.Actor())
	if err != nil {
		return importResult{}, err
	}
	out.Outcomes = map[string]int{}
	for outcome, n := range counts {
		out.Outcomes[string(outcome)] = n
	}
	return out, nil
}

// importItems are the first lines that have a fault or a note.
func importItems(a admin.Adoption) []importItem {
	items := []importItem{}
	for _, one := range a.Items {
		if (one.Fault != "" || one.Note != "") && len(items) < maxImportRows {
			items = append(items, importItem{one.Known.Line, admin.AdoptionWho(one.Known), one.Known.Account, one.Fault,
				one.Note})
		}
	}
	return items
}

// importFaults are the first faults. Many lines with a note can stand before the first one.
func importFaults(a admin.Adoption) (faults []fault) {
	for _, one := range a.Items {
		if one.Fault != "" && len(faults) < maxImportRows {
			faults = append(faults, fault{fmt.Sprintf("line %d", one.Known.Line), one.Fault,
				"correct the line, or leave it out"})
		}
	}
	return faults
}
