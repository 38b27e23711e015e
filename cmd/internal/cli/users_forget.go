package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

type usersForgetCmd struct {
	asJSON

	Person  string `arg:"" help:"Person id, or login name while the directory has the person."`
	Deleted bool   `help:"The person's users were deleted at Constant Contact by hand."`
	Yes     bool   `help:"Do not ask."`
}

// Help is shown by users forget --help.
func (usersForgetCmd) Help() string {
	return `Removes all that tells who a person is: users in the ledger, sessions, started sign-ins, traces, known browsers, work by hand, what a source's tokens said, and the names in plans and in orders of client accounts. Audit events stay and name the person by id alone, so audit verify goes on holding; nobody can look the name up any more. Backups that were made before still hold the person.

It is refused while the person may have a user at Constant Contact, since only the ledger knows of it: delete it there first, then give --deleted. If the person comes back and the user was not deleted after all, Constant Contact refuses the second one, and it waits for an admin.

Examples:

    ssobridge users forget 5f2c9a1e-0000-1111-2222-333344445555

    ssobridge users forget alice --deleted`
}

// Run forgets.
func (c *usersForgetCmd) Run(s *invocation, p *server.App) error {
	person, name, err := forgettable(s.ctx, p, c.Person)
	if err != nil {
		return err
	}
	if err := s.confirm(c.Yes, false, fmt.Sprintf("Forget %s? It can't be taken back.", name)); err != nil {
		return err
	}
	f, err := p.Users().Forget(s.ctx, s.scope(), person, c.Deleted, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("forgot person %s\n", person)
	for _, part := range []struct {
		n         int64
		one, many string
	}{
		{f.Users, "user of the ledger", "users of the ledger"}, {f.Sessions, "session", "sessions"},
		{f.SignIns, "started sign-in", "started sign-ins"}, {f.Browsers, "known browser", "known browsers"},
		{f.Traces, "trace", "traces"}, {f.Work, "item of work by hand", "items of work by hand"},
		{f.Items, "item of a plan, which stays without names", "items of plans, which stay without names"},
		{f.Factors, "second factor", "second factors"}, {f.Names, "name in lists", "names in lists"},
		{f.Claims, "record of what a source said", "records of what a source said"},
		{f.Moves, "move to a source", "moves to a source"},
		{f.Requests, "order of a client account, which stays without names",
			"orders of client accounts, which stay without names"},
	} {
		if part.n > 0 {
			s.printf("%s\n", plaintext.Count(part.n, part.one, part.many))
		}
	}
	if f.Known {
		s.printf("the directory still has this person: with the next sign-in or plan, the bridge knows them again\n")
	}
	s.printf("backups that were made before, and users export, still hold the person\n")
	return s.object(struct {
		Person  store.PersonID  `json:"person_id"`
		Removed store.Forgotten `json:"removed"`
		Known   bool            `json:"in_directory"` // the next sign-in or plan brings them back
	}{person, f.Forgotten, f.Known})
}

// forgettable finds who is meant, and how to call them. Who is neither in the ledger nor in the directory is taken by
// their id.
func forgettable(ctx context.Context, p *server.App, who string) (id store.PersonID, name string, err error) {
	id, err = personID(ctx, p, who)
	if errors.Is(err, directory.ErrNotFound) {
		id, err = store.PersonID(directory.CanonicalID(store.TrimTyped(who))), nil
	}
	if err != nil {
		return "", "", err
	}
	rows, err := p.Store.Ledger().Person(ctx, id)
	if err != nil {
		return "", "", fmt.Errorf("look for person %s: %w", plaintext.Quote(string(id)), err)
	}
	name = "person " + string(id)
	if len(rows) > 0 {
		name += " (" + cmp.Or(strings.TrimSpace(rows[0].FirstName+" "+rows[0].LastName), rows[0].LoginName) + ")"
	}
	return id, name, nil
}
