package cli

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// afterKey reads PERSON/ACCOUNT, as users list prints it; "" is none. A person id may hold slashes, an account can't.
func afterKey(text string) (store.UserKey, error) {
	if text == "" {
		return store.UserKey{}, nil
	}
	i := strings.LastIndexByte(text, '/')
	if i < 1 {
		return store.UserKey{}, badInput(fmt.Errorf("%s: want PERSON/ACCOUNT", plaintext.Quote(text)),
			"copy it from ssobridge users list")
	}
	account, err := store.ParseAccountID(text[i+1:])
	if err != nil {
		return store.UserKey{}, badInput(fmt.Errorf("%s: %w", plaintext.Quote(text), err),
			"copy it from ssobridge users list")
	}
	return store.UserKey{Person: store.PersonID(directory.CanonicalID(text[:i])), Account: account}, nil
}

type usersAdoptCmd struct {
	asJSON

	File    string `arg:"" optional:"" help:"A CSV file; - for standard input."`
	Plan    bool   `help:"All whom the newest plan would create, or the one given by --id: they are marked as assumed, without any call."`
	ID      int64  `placeholder:"N" help:"With --plan: the number of the plan."`
	Preview bool   `help:"Show what would become of each line, and change nothing."`
	Yes     bool   `help:"Do not ask. A line with a fault then stops all, but for --skip-bad."`
	SkipBad bool   `help:"Take the lines without faults, and leave out the others."`
}

// Help is shown by users adopt --help.
func (usersAdoptCmd) Help() string {
	return `The CSV file has a header line with person_id or login, and account; and may have external_id (else it is made by the template), login_name, role (owner for the account's owner) and state (active, or assumed for those who are not sure). What would become of each line is shown first.

--plan is for a ledger that was lost, or restored from an old backup: everybody who would be created is taken as created already. They can sign in; who was not created in truth is refused by Constant Contact, and can be created after ssobridge users done. Creations are then held until ssobridge provision release.

Examples:

    ssobridge users adopt owners.csv --preview

    ssobridge users adopt owners.csv --yes --skip-bad

    ssobridge provision plan && ssobridge users adopt --plan`
}

// Run adopts.
func (c *usersAdoptCmd) Run(s *invocation, p *server.App) error {
	if c.Plan == (c.File != "") {
		return badInput(errors.New("give a CSV file, or --plan"), "see ssobridge users adopt --help")
	}
	if c.ID != 0 && !c.Plan {
		return badInput(errors.New("--id goes with --plan"), "see ssobridge users adopt --help")
	}
	if c.Plan {
		return c.adoptPlan(s, p)
	}
	return c.adoptFile(s, p)
}

func (c *usersAdoptCmd) adoptPlan(s *invocation, p *server.App) error {
	plan, err := p.Plans().Get(s.ctx, s.scope(), c.ID)
	if err != nil {
		return err
	}
	if plan.Unmade() {
		return failed(fmt.Errorf("plan %d: %w", plan.ID, provisioning.ErrPlanUnmade),
			"make a new one, and give its number: ssobridge provision plan")
	}
	s.printf("plan %d of %s would create %s\n", plan.ID, plan.CreatedAt.Format("2006-01-02 15:04 MST"),
		plaintext.Count(plan.Creations, "user", "users"))
	if c.Preview {
		return s.object(toJSONPlan(plan))
	}
	if err := s.confirm(c.Yes, false, "Take all of them as created already, and hold back creations?"); err != nil {
		return err
	}
	counts, err := p.Plans().Adopt(s.ctx, s.scope(), plan.ID, actor(s.environ))
	if err != nil {
		return err
	}
	printAdoptions(s, counts)
	s.printf("creations are paused: look at ssobridge users list --state assumed, confirm them (users confirm), then " +
		"ssobridge provision release\n")
	return s.object(jsonAdoptions{Plan: plan.ID, Counts: counts, Saved: true})
}

func (c *usersAdoptCmd) adoptFile(s *invocation, p *server.App) (err error) {
	r, closeFile, err := s.input(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeFile()) }()
	users := p.Users()
	adoption, err := users.ReadAdoption(s.ctx, s.scope(), r, c.SkipBad)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINE\tPERSON\tACCOUNT\tEXTERNAL ID\tROLE\tSTATE\tREMARK")
	for _, one := range adoption.Items {
		remark := one.Note
		if one.Fault != "" {
			remark = "FAULT: " + one.Fault
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", one.Known.Line, admin.AdoptionWho(one.Known), one.Known.Account,
			one.User.ExternalID, one.User.Role, one.User.State, remark)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, fault := range adoption.Left {
		s.printf("left out: %s\n", fault.Text())
	}
	all, faults := len(adoption.Items), adoption.Faults
	s.printf("%s, %d with faults\n", plaintext.Count(all, "user", "users"), faults)
	out := toJSONAdoptions(adoption)
	if c.Preview {
		return s.object(out)
	}
	if faults > 0 && c.Yes && !c.SkipBad {
		// Who says yes beforehand has not seen the faults: a script would go on with a part.
		return badInput(fmt.Errorf("not saved: %d of %d lines have faults", faults, all),
			"correct them by the remarks above, or leave them out by --skip-bad")
	}
	if faults < all {
		if err := s.confirm(c.Yes, c.File == "-", fmt.Sprintf("Take the %d without faults?", all-faults)); err != nil {
			return err
		}
	}
	counts, err := users.Adopt(s.ctx, s.scope(), adoption, actor(s.environ))
	if err != nil {
		return err
	}
	printAdoptions(s, counts)
	out.Counts, out.Saved = counts, true
	return s.object(out)
}

// oneUser names one row of the ledger.
type oneUser struct {
	asJSON

	Person  string `arg:"" help:"Login name or person id."`
	Account string `arg:"" help:"The client account."`
}

// change opens the parts, finds the row, and does something with it.
func (o oneUser) change(s *invocation, p *server.App, done string, do func(k store.UserKey,
	actor string) error) (err error) {
	k, err := p.Users().Key(s.ctx, s.scope(), o.Person, o.Account)
	if err != nil {
		return err
	}
	if err := do(k, actor(s.environ)); err != nil {
		return err
	}
	s.printf(done+"\n", k.Person, k.Account)
	return s.user(p, k)
}

// user prints how a row of the ledger stands now, as JSON. One that is gone is named alone.
func (s *invocation) user(p *server.App, k store.UserKey) error {
	if !s.json {
		return nil
	}
	rows, err := p.Users().OfPerson(s.ctx, s.scope(), k.Person)
	if err != nil {
		return err
	}
	for _, u := range rows {
		if u.Account == k.Account {
			return s.object(toJSONUser(u.SSOUser))
		}
	}
	return s.object(struct {
		Person  store.PersonID  `json:"person_id"`
		Account store.AccountID `json:"account"`
		Removed bool            `json:"removed"`
	}{k.Person, k.Account, true})
}

type usersCreateCmd struct{ oneUser }

// Help is shown by users create --help.
func (usersCreateCmd) Help() string {
	return "As the person's own sign-in would, and with the same checks: a mapping has to give them the client account. " +
		"The running bridge makes the call.\n\nExample:\n\n    ssobridge users create alice a07e1lxqqqo0"
}

// Run asks for one user.
func (c *usersCreateCmd) Run(s *invocation, p *server.App) error {
	return c.change(s, p, "the user of %s in %s is created by the running bridge", func(k store.UserKey, _ string) error {
		return p.Users().Create(s.ctx, s.scope(), k, s.event("", ""))
	})
}

type usersCreateAgainCmd struct {
	asJSON

	Person  string `arg:"" help:"Login name or person id."`
	Account string `arg:"" optional:"" help:"The client account. Default: the only one where the person has a user."`
}

// Help is shown by users create-again --help.
func (usersCreateAgainCmd) Help() string {
	return "For a user who is taken to be there and was deleted at Constant Contact. The external_id stays, so that history " +
		"and sign-ins go on; names, mail address and role are those of today. The running bridge makes the call. If the user " +
		"is there after all, nothing changes at Constant Contact; with another role than before it is a conflict then." +
		"\n\nExamples:\n\n    ssobridge users create-again alice\n\n    ssobridge users create-again alice a07e1lxqqqo0"
}

// Run asks for the user again.
func (c *usersCreateAgainCmd) Run(s *invocation, p *server.App) error {
	k, err := p.Users().Again(s.ctx, s.scope(), c.Person, c.Account)
	if err != nil {
		return err
	}
	if err := p.Users().CreateAgain(s.ctx, s.scope(), k, s.event("", "")); err != nil {
		return err
	}
	s.printf("the user of %s in %s is created again by the running bridge\n", k.Person, k.Account)
	return s.user(p, k)
}

type usersSuspendCmd struct{ oneUser }

// Help is shown by users suspend --help.
func (usersSuspendCmd) Help() string {
	return "The person can't sign in to this client account any more, at once; a password that they may have at " +
		"Constant Contact still works there.\n\nExample:\n\n    ssobridge users suspend alice a07e1lxqqqo0"
}

// Run suspends.
func (c *usersSuspendCmd) Run(s *invocation, p *server.App) error {
	return c.change(s, p, "suspended %s in %s", func(k store.UserKey, actor string) error {
		return p.Users().Suspend(s.ctx, s.scope(), k, actor)
	})
}

type usersResumeCmd struct{ oneUser }

// Help is shown by users resume --help.
func (usersResumeCmd) Help() string {
	return "Example:\n\n    ssobridge users resume alice a07e1lxqqqo0"
}

// Run resumes.
func (c *usersResumeCmd) Run(s *invocation, p *server.App) error {
	return c.change(s, p, "%s may go on in %s", func(k store.UserKey, actor string) error {
		return p.Users().Resume(s.ctx, s.scope(), k, actor)
	})
}

type usersDoneCmd struct {
	oneUser
	Kind string `enum:"leaver,drift,data" default:"leaver" help:"What was done: leaver (the user was deleted), drift (the role was changed) or data (name or mail address were changed)."`
}

// Help is shown by users done --help.
func (usersDoneCmd) Help() string {
	return `leaver: the user was deleted at Constant Contact; the ledger forgets them, and if the person comes back a new one is created. drift: the role was changed there; the ledger notes it. data: name or mail address were changed there, as users work shows them; the ledger notes them.

Example:

    ssobridge users done 5f2c9a1e-0000-1111-2222-333344445555 a07e1lxqqqo0`
}

// Run ticks work off.
func (c *usersDoneCmd) Run(s *invocation, p *server.App) error {
	return c.change(s, p, "noted for %s in %s", func(k store.UserKey, actor string) error {
		return p.Users().TaskDone(s.ctx, s.scope(), k, c.Kind, actor)
	})
}
