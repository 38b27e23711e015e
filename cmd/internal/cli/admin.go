package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
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
		in, err := p.Factors().Invite(s.ctx, s.scope(), person, c.Again, s.event("", ""))
		if err != nil {
			return fmt.Errorf("invite %s: %w", plaintext.Quote(c.Login), err)
		}
		if c.JSON {
			return s.object(jsonInvitation{in.Code, person, in.URL, in.Until.UTC()})
		}
		s.printf("invitation code: %s\nIt is asked for when %s signs in at %s and is valid until %s.\n", in.Code, c.Login,
			in.URL, in.Until.UTC().Format(time.RFC3339))
		return nil
	})
}

type adminFactorsCmd struct {
	Login string `arg:"" help:"Login name or person id."`
	asJSON
}

// Help is shown by admin factors --help.
func (adminFactorsCmd) Help() string { return "Example:\n\n    ssobridge admin factors alice" }

// Run lists them.
func (c *adminFactorsCmd) Run(s *invocation, p *server.App) error {
	return s.withPerson(p, c.Login, func(person store.PersonID) error {
		all, err := p.Factors().List(s.ctx, s.scope(), person)
		if err != nil {
			return err
		}
		if c.JSON {
			for _, f := range all {
				if err := s.line(f); err != nil {
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
	asJSON

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
		n, err := p.Factors().Reset(s.ctx, s.scope(), person, s.event("", ""))
		if err != nil {
			return err
		}
		s.printf("removed %d second factors of %s\n", n, c.Login)
		return s.object(struct {
			Person  store.PersonID `json:"person_id"`
			Removed int            `json:"removed"`
		}{person, n})
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
