package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

type explainCmd struct {
	User    string `required:"" placeholder:"LOGIN" help:"The login name, as the person types it."`
	Account string `placeholder:"ID" help:"Only this client account, and the mappings that give it."`
	Limit   int    `default:"50" placeholder:"N" help:"At most so many groups, mappings and client accounts each; 0 for all."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help is shown by explain --help.
func (explainCmd) Help() string {
	return `It shows the person as the directory has them, each group with the path to it, every mapping with whether and why it hits, the client accounts that come of it, the Constant Contact user in each, and what the assertion would carry. It changes nothing, asks no password and calls nobody but the directory.

Examples:

    ssobridge explain --user alice

    ssobridge explain --user alice --account a07e1lxqqqo0

    ssobridge explain --user alice --json --limit 0`
}

// Explanation is what explain prints.
type Explanation struct {
	Person      directory.Entry    `json:"person"`
	Mappings    []ExplainedMapping `json:"mappings"`
	Assignments []ExplainedAccount `json:"assignments"`
	Others      []ExplainedUser    `json:"former_users,omitempty"` // SSO users without an assignment
	Providers   []ExplainedSP      `json:"service_providers,omitempty"`
	Factors     []ExplainedFactor  `json:"second_factors,omitempty"`
	Lockouts    []idp.Lockout      `json:"lockouts,omitempty"`
	// Directory is what the directory itself counts; nil where it can't be read.
	Directory *directory.Lockout `json:"directory_lockout,omitempty"`
	// LeftOut says of each list how many entries the limit leaves out; nil where it leaves out none.
	LeftOut map[string]int `json:"left_out,omitempty"`

	what ExplainWhat
}

// ExplainWhat chooses what Explain looks at.
type ExplainWhat struct {
	Account store.AccountID // only this client account; "": all
	Limit   int             // entries of each list; 0: all
}

// ExplainedFactor is a second factor that the person has.
type ExplainedFactor struct {
	Kind  string    `json:"kind"`
	Added time.Time `json:"added"`
	Fault string    `json:"fault,omitempty"`
}

// ExplainedMapping is one mapping held against the person.
type ExplainedMapping struct {
	ID       int64           `json:"id"`
	Who      string          `json:"who"`
	Priority int             `json:"priority"`
	Hit      bool            `json:"hit"`
	Why      string          `json:"why"`
	Account  store.AccountID `json:"account,omitempty"`
	Role     store.Role      `json:"role,omitempty"`
	Create   string          `json:"create"` // in-advance, at-sign-in, never (an owner)
}

// ExplainedAccount is one client account that the person gets into.
type ExplainedAccount struct {
	Account store.AccountID `json:"account"`
	Name    string          `json:"name"`
	Role    store.Role      `json:"role"`
	Mapping int64           `json:"mapping"`
	User    ExplainedUser   `json:"user"`
	Factor  string          `json:"second_factor"` // what the account asks for beside the password: off, offered, required
}

// ExplainedUser is the Constant Contact user, or the one that would be created.
type ExplainedUser struct {
	Account      store.AccountID `json:"account"`
	State        string          `json:"state"` // of the ledger, "not created yet", "created at the first sign-in" (only), or "can't be created"
	ExternalID   string          `json:"external_id,omitempty"`
	LoginName    string          `json:"login_name,omitempty"`
	ContactEmail string          `json:"contact_email,omitempty"`
	Role         store.Role      `json:"role,omitempty"`
	Error        string          `json:"error,omitempty"`
}

// ExplainedSP is what the assertion would carry for one service provider and account.
type ExplainedSP struct {
	EntityID     string              `json:"entity_id"`
	Account      store.AccountID     `json:"account,omitempty"`
	NameID       string              `json:"name_id,omitempty"`
	NameIDFormat string              `json:"name_id_format,omitempty"`
	Attributes   map[string][]string `json:"attributes,omitempty"`
	Refused      string              `json:"refused,omitempty"`
}

// Run prints the explanation.
func (c *explainCmd) Run(s *invocation, p *server.App) error {
	if c.Limit < 0 {
		return badInput(fmt.Errorf("--limit %d is out of range", c.Limit), "write how many entries of each list to show, or 0 for all")
	}
	what := ExplainWhat{Limit: c.Limit}
	if c.Account != "" {
		var err error
		// One that no list knows stays as it was typed: no mapping gives it then.
		what.Account, err = p.Provisioning.Account(s.ctx, store.TrimBlanks(c.Account))
		if err != nil && !errors.Is(err, store.ErrUnlistedAccount) {
			return badInput(err, "ssobridge accounts list shows the ids")
		}
	}
	x, err := Explain(s.ctx, p, c.User, what)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(x)
	}
	return x.print(s.stdout)
}

// shorten cuts a list to the limit, and notes what is left out.
func shorten[T any](x *Explanation, name string, list []T, limit int) []T {
	if limit == 0 || len(list) <= limit {
		return list
	}
	if x.LeftOut == nil {
		x.LeftOut = map[string]int{}
	}
	x.LeftOut[name] += len(list) - limit
	return list[:limit]
}

// of leaves out what is another client account's.
func (w ExplainWhat) of(account store.AccountID) bool { return w.Account == "" || account == w.Account }

// Explain says what would happen if this person signed in. It only reads, and works out no more than it shows.
func Explain(ctx context.Context, p *server.App, login string, what ExplainWhat) (Explanation, error) {
	x := Explanation{what: what}
	person, err := p.Directory.Find(ctx, login)
	if err != nil {
		return x, directoryError(err, "find the person "+quote(login), "write the login name as the person types it")
	}
	x.Person = person
	hits, assignments, err := p.Provisioning.ExplainAccess(ctx, person)
	if err != nil {
		return x, fmt.Errorf("explain the mappings: %w", err)
	}
	x.Person.Groups = shorten(&x, "groups", person.Groups, what.Limit)
	hits = slices.DeleteFunc(hits, func(h mapping.Hit) bool { return h.Account != "" && !what.of(h.Account) }) // a pattern that misses could give any
	for _, h := range shorten(&x, "mappings", hits, what.Limit) {
		x.Mappings = append(x.Mappings, ExplainedMapping{h.Mapping.ID, mapping.Describe(h.Mapping), h.Mapping.Priority, h.Hit, h.Why, h.Account, h.Role, mapping.Creates(h.Mapping)})
	}
	rows, err := p.Store.Ledger().Person(ctx, store.PersonID(person.ID))
	if err != nil {
		return x, fmt.Errorf("read the SSO users: %w", err)
	}
	users := map[store.AccountID]store.SSOUser{}
	for _, u := range rows {
		users[u.Account] = u
	}
	providers, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		return x, fmt.Errorf("list service providers: %w", err)
	}
	if x.Lockouts, err = p.IdP.LockoutsOf(ctx, store.PersonID(person.ID)); err != nil {
		return x, err
	}
	if there, ok := p.IdP.DirectoryLockout(ctx, store.PersonID(person.ID)); ok {
		x.Directory = &there
	}
	factors, err := p.IdP.Factors().List(ctx, store.PersonID(person.ID))
	if err != nil {
		return x, err
	}
	for _, f := range factors {
		x.Factors = append(x.Factors, ExplainedFactor{f.Kind, f.Added, remark(f)})
	}
	given := make(map[store.AccountID]bool, len(assignments))
	for _, a := range assignments {
		given[a.Account] = true
	}
	assignments = slices.DeleteFunc(assignments, func(a provisioning.Assignment) bool { return !what.of(a.Account) })
	for _, a := range shorten(&x, "assignments", assignments, what.Limit) {
		policy, _, err := p.IdP.FactorPolicy(ctx, a.Account)
		if err != nil {
			return x, err
		}
		user, shown := userOf(p, person, a, users)
		x.Assignments = append(x.Assignments, ExplainedAccount{a.Account, a.Name, a.Role, a.Mapping.ID, shown, string(policy)})
		for _, sp := range providers {
			if sp.Kind == store.ConstantContact && sp.Enabled && user.ExternalID != "" {
				d := provisioning.Decision{Outcome: provisioning.Granted, Assignment: a, User: user}
				x.Providers = append(x.Providers, previewFor(ctx, p, sp, person, d))
			}
		}
	}
	rows = slices.DeleteFunc(rows, func(u store.SSOUser) bool { return given[u.Account] || !what.of(u.Account) })
	for _, u := range shorten(&x, "former_users", rows, what.Limit) {
		x.Others = append(x.Others, shownUser(u))
	}
	for _, sp := range providers {
		if sp.Kind != store.PlainSAML || !sp.Enabled {
			continue
		}
		in, err := p.IdP.InGroups(ctx, person, sp.Groups)
		if err != nil {
			return x, err
		}
		if !in {
			x.Providers = append(x.Providers, ExplainedSP{EntityID: sp.EntityID, Refused: "in none of its groups"})
			continue
		}
		x.Providers = append(x.Providers, previewFor(ctx, p, sp, person, provisioning.Decision{Outcome: provisioning.Granted}))
	}
	return x, nil
}

// userOf is the SSO user of an assignment: the ledger's, or the one that a sign-in
// would create.
func userOf(p *server.App, person directory.Entry, a provisioning.Assignment, users map[store.AccountID]store.SSOUser) (store.SSOUser, ExplainedUser) {
	if u, ok := users[a.Account]; ok {
		return u, shownUser(u)
	}
	if a.Role == store.Owner {
		return store.SSOUser{}, ExplainedUser{Account: a.Account, State: "can't be created", Error: "an owner needs an external_id: mapping add --external-id"}
	}
	body, err := p.Provisioning.Body(person, a)
	if err != nil {
		return store.SSOUser{}, ExplainedUser{Account: a.Account, State: "can't be created", Error: err.Error()}
	}
	u := store.SSOUser{
		Person: store.PersonID(person.ID), Account: a.Account, ExternalID: body.ExternalID, ExternalProvider: body.ExternalProvider,
		LoginName: body.LoginName, ContactEmail: body.ContactEmail, FirstName: body.FirstName, LastName: body.LastName, Role: a.Role,
	}
	shown := shownUser(u)
	shown.State = "not created yet"
	if a.Mapping.AtSignIn {
		shown.State = "created at the first sign-in"
	}
	return u, shown
}

func shownUser(u store.SSOUser) ExplainedUser {
	return ExplainedUser{u.Account, string(u.State), u.ExternalID, u.LoginName, u.ContactEmail, u.Role, u.ErrorText}
}

func previewFor(ctx context.Context, p *server.App, sp store.ServiceProvider, person directory.Entry, d provisioning.Decision) ExplainedSP {
	x := ExplainedSP{EntityID: sp.EntityID, Account: d.Assignment.Account}
	preview, err := p.IdP.Preview(ctx, sp, person, d)
	if err != nil {
		x.Refused = err.Error()
		return x
	}
	x.NameID, x.NameIDFormat = preview.NameID, preview.NameIDFormat
	x.Attributes = map[string][]string{}
	for _, a := range preview.Attributes {
		x.Attributes[a.Name] = a.Values
	}
	return x
}

// willBeAsked says what a policy means for this person.
func (x Explanation) willBeAsked(policy string) string {
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

func (x Explanation) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p := x.Person
	line("PERSON")
	line("  login\t%s", p.Login)
	line("  id\t%s", p.ID)
	line("  dn\t%s", p.DN)
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
		if len(g.Via) > 0 {
			path = "by " + strings.Join(g.Via, " -> ")
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
		line("  %s\t%d\t%s\t%s", mark, m.ID, m.Who, m.Why)
	}
	more("mappings")
	line("\nCLIENT ACCOUNTS\t%d", len(x.Assignments)+x.LeftOut["assignments"])
	for _, a := range x.Assignments {
		line("  %s\t%s\t%s\tby mapping %d", a.Account, a.Name, a.Role, a.Mapping)
		line("    user\t%s\t%s", a.User.State, a.User.Error)
		if a.User.ExternalID != "" {
			line("    external_id\t%s", a.User.ExternalID)
			line("    login_name\t%s", a.User.LoginName)
		}
		line("    second factor\t%s\t%s", a.Factor, x.willBeAsked(a.Factor))
	}
	more("assignments")
	switch {
	case len(x.Assignments) > 0:
	case x.what.Account != "":
		line("  no mapping gives client account %s: a sign-in to it is refused", x.what.Account)
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
