package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp/mfa"
	"ssobridge/web/admin"
)

type explainCmd struct {
	User    string `required:"" placeholder:"LOGIN" help:"The login name as the person types it, SOURCE:LOGIN for somebody of a source, or the person id."`
	Account string `placeholder:"ID" help:"Only this client account, and the mappings that give it."`
	Limit   int    `default:"50" placeholder:"N" help:"At most so many groups, mappings and client accounts each; 0 for all."`
	asJSON
}

// Help is shown by explain --help.
func (explainCmd) Help() string {
	return `It shows the person as the directory has them, each group with the path to it, every mapping with whether and why it hits, the client accounts that come of it, the Constant Contact user in each, and what the assertion would carry. It changes nothing, asks no password and calls nobody but the directory.

Of people of other sources it shows what their last token said: the first sentence says whether and where they can sign in with one that says the same, or why not.

Examples:

    ssobridge explain --user alice

    ssobridge explain --user alice --account a07e1lxqqqo0

    ssobridge explain --user portal:customer-1001

    ssobridge explain --user alice --json --limit 0`
}

// Run prints the explanation.
func (c *explainCmd) Run(s *invocation, p *server.App) error {
	if c.Limit < 0 {
		return badInput(fmt.Errorf("--limit %d is out of range", c.Limit),
			"write how many entries of each list to show, or 0 for all")
	}
	what := admin.ExplainWhat{Limit: c.Limit}
	if c.Account != "" {
		var err error
		// One that no list knows stays as it was typed: no mapping gives it then.
		if what.Account, err = resolveAccount(s, p, c.Account, true); err != nil {
			return err
		}
	}
	x, err := p.People().Explain(s.ctx, admin.Everything(), c.User, what)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(x)
	}
	return printExplanation(s.stdout, x, what)
}

// willBeAsked says what a policy means for this person.
func willBeAsked(x admin.Explanation, policy string) string {
	if x.Source != nil {
		if policy == string(mfa.Required) {
			return "the source has to prove it (its setting trust)"
		}
		return "not asked for"
	}
	switch has := len(x.Factors) > 0; {
	case policy == string(mfa.Off):
		return "the password alone"
	case has:
		return "the person is asked for it"
	case policy == string(mfa.Required):
		return "the person has none and enrols one first"
	}
	return "the person has none and is offered to enrol one"
}

// sourceStates are the states of a source in words.
var sourceStates = map[string]string{admin.SourceEnabled: "enabled", admin.SourceDisabled: "disabled",
	admin.SourceNotConfigured: "not in the configuration, or without people of its own"}

// lastToken says when the last token of a person came.
func lastToken(at time.Time) string {
	if at.IsZero() {
		return "none yet"
	}
	return at.UTC().Format(time.DateTime) + " UTC, or within the hour after"
}

func printExplanation(out io.Writer, x admin.Explanation, what admin.ExplainWhat) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p := x.Person
	if summary := x.Summary(); summary != "" {
		line("%s\n", summary)
	}
	line("PERSON")
	line("  login\t%s", p.Login)
	line("  id\t%s", p.ID)
	if from := x.Source; from != nil {
		line("  source\t%s\t%s", from.Name, sourceStates[from.State])
		line("  last token\t%s", lastToken(from.SeenAt))
	} else {
		line("  dn\t%s", p.DN)
	}
	line("  name\t%s %s", p.FirstName, p.LastName)
	line("  mail\t%s", p.Mail)
	if p.Problem != "" {
		line("  can't sign in\t%s", p.Problem)
	}
	if there := x.Directory; there != nil && there.Locked {
		line("  locked\tby the directory itself%s", lockedUntil(*there))
	}
	for _, l := range x.Lockouts {
		line("  locked\t%s, until %s UTC (ssobridge lockouts lift)", lockoutText(l), l.Until.UTC().Format(time.DateTime))
	}
	line("\nSECOND FACTORS\t%d", len(x.Factors))
	for _, f := range x.Factors {
		line("  %s\tadded %s\t%s", f.Kind, f.Added.UTC().Format(time.DateTime), f.Fault)
	}
	more := func(name string) {
		if n := x.LeftOut[name]; n > 0 {
			line("  and %d more: --limit 0 shows all, --account ID one client account", n)
		}
	}
	line("\nGROUPS\t%d", len(p.Groups)+x.LeftOut["groups"])
	for _, g := range p.Groups {
		path := "direct"
		if g.Primary {
			path = "primary group"
		}
		if len(g.Via) > 0 {
			path = "by " + strings.Join(g.Via, " -> ")
		}
		if x.Source != nil {
			line("  %s\tnamed by the last token", plainText(g.Name))
			continue
		}
		line("  %s\t%s", g.DN, path)
	}
	more("groups")
	line("\nMAPPINGS\t%d", len(x.Mappings)+x.LeftOut["mappings"])
	for _, m := range x.Mappings {
		mark := "no"
		if m.Hit {
			mark = "HIT"
		}
		if m.ID == 0 { // what the source itself gives
			line("  %s\t-\t%s in %s\t%s", mark, m.Role, m.Account, m.Why)
			continue
		}
		line("  %s\t%d\t%s\t%s", mark, m.ID, m.Who, m.Why)
	}
	more("mappings")
	line("\nCLIENT ACCOUNTS\t%d", len(x.Assignments)+x.LeftOut["assignments"])
	for _, a := range x.Assignments {
		by := fmt.Sprintf("by mapping %d", a.Mapping)
		if a.Mapping == 0 {
			by = "by source " + p.Source
		}
		line("  %s\t%s\t%s\t%s", a.Account, a.Name, a.Role, by)
		line("    user\t%s\t%s", a.User.State, a.User.Error)
		if a.Refused != "" {
			line("    refused\t%s", a.Refused)
		}
		if a.User.ExternalID != "" {
			line("    external_id\t%s", a.User.ExternalID)
			line("    login_name\t%s", a.User.LoginName)
		}
		line("    second factor\t%s\t%s", a.Factor, willBeAsked(x, a.Factor))
	}
	more("assignments")
	switch {
	case len(x.Assignments) > 0:
	case what.Account != "":
		line("  no mapping gives client account %s: a sign-in to it is refused", what.Account)
	case x.Source != nil:
		line("  the last token gives none: a sign-in to Constant Contact with one like it is refused")
	default:
		line("  no mapping hits: a sign-in to Constant Contact is refused")
	}
	for _, u := range x.Others {
		line("  %s\tno assignment any more; the user stays at Constant Contact\t%s", u.Account, u.ExternalID)
	}
	more("former_users")
	line("\nASSERTION")
	for _, sp := range x.Providers {
		line("  %s\t%s", sp.EntityID, sp.Account)
		if sp.Refused != "" {
			line("    refused\t%s", sp.Refused)
			continue
		}
		line("    NameID\t%s\t%s", sp.NameID, sp.NameIDFormat)
		for _, name := range slices.Sorted(maps.Keys(sp.Attributes)) {
			line("    %s\t%s", name, strings.Join(sp.Attributes[name], ", "))
		}
	}
	return w.Flush()
}
