package cli

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type usersMoveSourceCmd struct {
	asJSON

	File    string `arg:"" help:"A CSV file; - for standard input."`
	Source  string `required:"" placeholder:"SOURCE" help:"The source that the people come from now on, as the configuration names it."`
	Preview bool   `help:"Show what would become of each line, and change nothing."`
	Yes     bool   `help:"Do not ask. A line with a fault then stops all, but for --skip-bad."`
	SkipBad bool   `help:"Move the people of the lines without faults, and leave out the others."`
}

// Help is shown by users move-source --help.
func (usersMoveSourceCmd) Help() string {
	return `For people who were signed in by the directory and come by a signed launch or an OpenID provider from now on: their users at Constant Contact stay the same, and no second ones are created. The CSV file has a header line with person_id or login, and subject: the sub that the person's tokens have, letter by letter. Where the OpenID provider's people are known by another claim (the setting oidc.identity: oid with preset entra), it is that one; the dry run says which. What would become of each line is shown first.

A line is refused whose subject is known already or looks like another one, whose person has no user or was moved elsewhere, and whose client accounts or roles the source may not give. Each person is moved in one transaction, which ends their sessions of the directory; killed in between, the same command goes on. Whoever was moved gets no user by the directory any more. After a restore of an older backup, give the same file again before anybody signs in.

Examples:

    ssobridge users move-source people.csv --source portal --preview

    ssobridge users move-source people.csv --source portal --yes`
}

// jsonMove is a line of the file as JSON.
type jsonMove struct {
	Line    int            `json:"line"`
	Who     string         `json:"who"`
	From    store.PersonID `json:"person_id,omitempty"`
	Name    string         `json:"name,omitempty"`
	Subject string         `json:"subject"`
	To      store.PersonID `json:"moved_to"`
	Users   int            `json:"users"`
	Moved   bool           `json:"moved"`
	Fault   string         `json:"fault,omitempty"`
}

// Run moves.
func (c *usersMoveSourceCmd) Run(s *invocation, p *server.App) (err error) {
	r, closeFile, err := s.input(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeFile()) }()
	moves := p.Moves()
	plan, err := moves.Read(s.ctx, s.scope(), c.Source, r)
	if err != nil {
		return err
	}
	if err := c.print(s, plan); err != nil {
		return err
	}
	open, bad := plan.Open(), plan.Faults+len(plan.Left)
	s.printf("subject is the claim %s of the tokens of source %s\n", plan.Claim, plan.Source)
	s.printf("%s to move, %d moved before, %d with faults\n", plaintext.Count(open, "person", "people"),
		len(plan.Items)-plan.Faults-open, bad)
	if c.Preview {
		return c.object(s, plan, false)
	}
	if bad > 0 && !c.SkipBad {
		return badInput(fmt.Errorf("not moved: %s", plaintext.Count(bad, "line has a fault", "lines have faults")),
			"correct them by the remarks above, or leave them out by --skip-bad")
	}
	if open == 0 {
		return c.object(s, plan, true)
	}
	ask := fmt.Sprintf("Move %s to source %s?", plaintext.Count(open, "person", "people"), plan.Source)
	if err := s.confirm(c.Yes, c.File == "-", ask); err != nil {
		return err
	}
	done, n, err := moves.Apply(s.ctx, s.scope(), plan, s.event("", ""))
	if err != nil {
		return err
	}
	for i, m := range done.Items {
		if m.Fault != "" && plan.Items[i].Fault == "" {
			s.printf("line %d was not moved: %s\n", m.Known.Line, m.Fault)
		}
	}
	s.printf("moved %s to source %s\n", plaintext.Count(n, "person", "people"), plan.Source)
	if err := c.object(s, done, true); err != nil || done.Faults == plan.Faults {
		return err
	}
	return failed(errors.New("some people were not moved"), "give the same file again")
}

func (c *usersMoveSourceCmd) print(s *invocation, plan admin.MovePlan) error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINE\tPERSON\tNAME\tSUBJECT\tUSERS\tREMARK")
	for _, m := range plan.Items {
		remark := ""
		switch {
		case m.Fault != "":
			remark = "FAULT: " + m.Fault
		case m.Moved:
			remark = "moved before"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\n", m.Known.Line, plainText(m.Who()), plainText(m.Name),
			plainText(m.Known.Subject), len(m.Users), plainText(remark))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, fault := range plan.Left {
		s.printf("can't be read: %s\n", fault.Text())
	}
	return nil
}

func (c *usersMoveSourceCmd) object(s *invocation, plan admin.MovePlan, saved bool) error {
	out := struct {
		Source string     `json:"source"`
		Claim  string     `json:"subject_claim"`
		Lines  []jsonMove `json:"lines"`
		Faults int        `json:"faults"`
		Saved  bool       `json:"saved"`
	}{plan.Source, plan.Claim, []jsonMove{}, plan.Faults + len(plan.Left), saved}
	for _, m := range plan.Items {
		out.Lines = append(out.Lines, jsonMove{m.Known.Line, m.Who(), m.From, m.Name, m.Known.Subject, m.To, len(m.Users),
			m.Moved, m.Fault})
	}
	return s.object(out)
}
