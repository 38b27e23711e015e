package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type adminCmd struct {
	Invite  adminInviteCmd  `cmd:"" help:"Print a one-time code with which a person enrols a second factor."`
	Factors adminFactorsCmd `cmd:"" help:"List a person's second factors."`
	Reset   adminResetCmd   `cmd:"" help:"Remove all second factors of a person, who lost them."`
}

type adminInviteCmd struct {
	asJSON

	Login string `arg:"" help:"Login name or person id."`
	Again bool   `help:"Remove the factors that the person has, and end their sessions."`
}

// jsonInvitation is an invitation as JSON. The code is shown here alone, as in the text.
type jsonInvitation struct {
	Code   string         `json:"code"`
	Person store.PersonID `json:"person_id"`
	URL    string         `json:"url"`
	Until  time.Time      `json:"valid_until"`
}

// Help is shown by admin invite --help.
func (adminInviteCmd) Help() string {
	return `Who has a role in the admin console needs the code for their first second factor, so that a stolen password alone can't enrol one. Somebody whose factors are not confirmed, since the password alone or an earlier version enrolled them, proves one together with the code, which confirms it. The code is good for one day and for once; another one takes its place. Hand it over by another way than mail. Somebody without a role in the console is refused: others enrol their factors by themselves.

Examples:

    ssobridge admin invite alice

    ssobridge admin invite alice --again`
}

// Run prints the code.
func (c *adminInviteCmd) Run(s *invocation, p *server.App) error {
	return s.withPerson(p, c.Login, func(person store.PersonID) error {
		code, ends, err := p.IdP.Invite(s.ctx, person, c.Again, s.event("", ""))
		switch {
		case errors.Is(err, idp.ErrNoConsoleRole):
			return badInput(fmt.Errorf("invite %s: %w", quote(c.Login), err),
				"add the person to a group that console.viewer_group, operator_group or admin_group names (ssobridge console "+
					"groups list), then invite again")
		case errors.Is(err, store.ErrConflict):
			return failed(fmt.Errorf("%s has a confirmed second factor already", quote(c.Login)),
				"if it is lost, --again removes it and invites anew")
		case err != nil:
			return directoryError(err, "invite "+quote(c.Login), "ssobridge explain --user "+quote(c.Login)+
				" shows what the directory says")
		}
		if c.JSON {
			return s.object(jsonInvitation{code, person, p.Config.ConsoleURL() + "/admin/", ends.UTC()})
		}
		s.printf("invitation code: %s\nIt is asked for when %s signs in at %s/admin/ and holds until %s.\n", code, c.Login,
			p.Config.ConsoleURL(), ends.UTC().Format(time.RFC3339))
		return nil
	})
}

type adminFactorsCmd struct {
	Login string `arg:"" help:"Login name or person id."`
	JSON  bool   `name:"json" help:"Print JSON lines."`
}

// Help is shown by admin factors --help.
func (adminFactorsCmd) Help() string { return "Example:\n\n    ssobridge admin factors alice" }

// Run lists them.
func (c *adminFactorsCmd) Run(s *invocation, p *server.App) error {
	return s.withPerson(p, c.Login, func(person store.PersonID) error {
		all, err := p.IdP.Factors().List(s.ctx, person)
		if err != nil {
			return err
		}
		if c.JSON {
			enc := json.NewEncoder(s.stdout)
			for _, f := range all {
				if err := enc.Encode(f); err != nil {
					return err
				}
			}
			return nil
		}
		if len(all) == 0 {
			s.printf("%s has no second factor\n", c.Login)
			return nil
		}
		w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KIND\tADDED\tUSED\tREMARK")
		for _, f := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Kind, f.Added.UTC().Format(time.DateTime), when(f.Used), admin.FactorRemark(f))
		}
		return w.Flush()
	})
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

type adminResetCmd struct {
	Login string `arg:"" help:"Login name or person id."`
	Yes   bool   `help:"Do not ask."`
}

// Help is shown by admin reset --help.
func (adminResetCmd) Help() string {
	return `The person's sessions end too. Where a second factor is required, the person enrols a new one at the next sign-in; somebody with a role in the admin console needs an invitation for that (ssobridge admin invite).

Example:

    ssobridge admin reset alice`
}

// Run removes them.
func (c *adminResetCmd) Run(s *invocation, p *server.App) error {
	return s.withPerson(p, c.Login, func(person store.PersonID) error {
		if err := s.confirm(c.Yes, false, fmt.Sprintf("Remove all second factors of %s and end their sessions?",
			c.Login)); err != nil {
			return err
		}
		n, err := p.IdP.Factors().Reset(s.ctx, person, s.event("", ""))
		if err != nil {
			return err
		}
		s.printf("removed %d second factors of %s\n", n, c.Login)
		return nil
	})
}

// withPerson opens the parts for a command about one person.
func (s *invocation) withPerson(p *server.App, who string, do func(store.PersonID) error) error {
	person, err := personID(s.ctx, p, who)
	if err != nil {
		return err
	}
	return do(person)
}

type accountsSetFactorCmd struct {
	unlistedFlag

	Account string `arg:"" help:"The client account."`
	Policy  string `arg:"" enum:"off,offered,required,default" help:"${enum}. default: as second_factor.people says."`
}

// Help is shown by accounts set-factor --help.
func (accountsSetFactorCmd) Help() string {
	return `off: the password alone. offered: a second factor of those who have one; others are offered to enrol one. required: a second factor of everybody; who has none enrols one at the next sign-in. It holds from the next sign-in on.

Example:

    ssobridge accounts set-factor a07e1lxqqqo0 required`
}

// Run sets it.
func (c *accountsSetFactorCmd) Run(s *invocation, p *server.App) error {
	return s.withAccount(p, c.Account, c.Unlisted, func(id store.AccountID) error {
		policy := mfa.Policy(c.Policy)
		if c.Policy == "default" {
			policy = ""
		}
		if err := p.IdP.Factors().SetPolicy(s.ctx, id, policy, s.event("", "")); err != nil {
			return err
		}
		now, _, err := p.IdP.FactorPolicy(s.ctx, id)
		if err != nil {
			return err
		}
		s.printf("second factor for account %s: %s\n", id, now)
		return nil
	})
}
