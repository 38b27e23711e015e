package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Explanation is what would happen if a person signed in.
type Explanation struct {
	Person      directory.Entry    `json:"person"`
	Source      *PersonSource      `json:"source,omitempty"` // that the person comes from; nil: the directory
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
}

// ExplainWhat chooses what Explain looks at.
type ExplainWhat struct {
	Account store.AccountID // only this client account; "": all
	Limit   int             // entries of each list; 0: all
}

// of leaves out what is another client account's.
func (w ExplainWhat) of(account store.AccountID) bool { return w.Account == "" || account == w.Account }

// ExplainedFactor is a second factor that the person has.
type ExplainedFactor struct {
	Kind  string    `json:"kind"`
	Added time.Time `json:"added"`
	Fault string    `json:"fault,omitempty"`
}

// ExplainedMapping is one mapping, evaluated for the person.
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

// ExplainedAccount is one client account that the mappings give the person.
type ExplainedAccount struct {
	Account store.AccountID `json:"account"`
	Name    string          `json:"name"`
	Role    store.Role      `json:"role"`
	Mapping int64           `json:"mapping"`
	User    ExplainedUser   `json:"user"`
	// what the account asks for beside the password: off, offered, required
	Factor  string `json:"second_factor"`
	Refused string `json:"refused,omitempty"` // why a sign-in to it is refused all the same
}

// ExplainedUser is the Constant Contact user, or the one that would be created.
type ExplainedUser struct {
	Account store.AccountID `json:"account"`
	// of the ledger, "not created yet", "created at the first sign-in" (only), or "can't be created"
	State        string     `json:"state"`
	ExternalID   string     `json:"external_id,omitempty"`
	LoginName    string     `json:"login_name,omitempty"`
	ContactEmail string     `json:"contact_email,omitempty"`
	Role         store.Role `json:"role,omitempty"`
	Error        string     `json:"error,omitempty"`
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

// Explain says what would happen if a person signed in. It stores nothing, and works out no more than it shows.
func (a People) Explain(ctx context.Context, s Scope, login string, what ExplainWhat) (Explanation, error) {
	var x Explanation
	person, err := a.Find(ctx, login)
	if err != nil {
		return x, err
	}
	x.Person, x.Source = person, a.SourceOf(person)
	id := store.PersonID(person.ID)
	users, err := a.Store.Ledger().Person(ctx, id)
	if err != nil {
		return x, fmt.Errorf("read the SSO users: %w", err)
	}
	access, err := a.Access(ctx, s, person, users)
	if err != nil {
		return x, err
	}
	x.Person.Groups = shorten(&x, "groups", person.Groups, what.Limit)
	// A pattern that misses could give any account.
	hits := slices.DeleteFunc(access.Hits, func(h mapping.Hit) bool { return h.Account != "" && !what.of(h.Account) })
	for _, h := range shorten(&x, "mappings", hits, what.Limit) {
		who := mapping.Describe(h.Mapping)
		if h.Mapping.ID == 0 {
			who = "source " + person.Source + " itself"
		}
		x.Mappings = append(x.Mappings, ExplainedMapping{
			h.Mapping.ID, who, h.Mapping.Priority, h.Hit, h.Why, h.Account, h.Role,
			mapping.Creates(h.Mapping),
		})
	}
	if err := a.explainPerson(ctx, &x, id); err != nil {
		return x, err
	}
	providers, err := a.Store.ServiceProviders().List(ctx)
	if err != nil {
		return x, fmt.Errorf("list service providers: %w", err)
	}
	given := slices.DeleteFunc(access.Given, func(g Given) bool { return !what.of(g.Account) })
	for _, g := range shorten(&x, "assignments", given, what.Limit) {
		if err := a.explainAccount(ctx, &x, person, g, providers); err != nil {
			return x, err
		}
	}
	former := slices.DeleteFunc(access.Former, func(u store.SSOUser) bool { return !what.of(u.Account) })
	for _, u := range shorten(&x, "former_users", former, what.Limit) {
		x.Others = append(x.Others, shownUser(u))
	}
	for _, sp := range providers {
		if sp.Kind != store.PlainSAML || !sp.Enabled {
			continue
		}
		d, err := a.plainDecision(ctx, sp, person)
		if err != nil {
			return x, err
		}
		x.Providers = append(x.Providers, a.carried(ctx, sp, person, d))
	}
	return x, nil
}

// explainPerson adds what concerns the person alone: second factors and lockouts.
func (a People) explainPerson(ctx context.Context, x *Explanation, id store.PersonID) (err error) {
	if x.Lockouts, err = a.IdP.LockoutsOf(ctx, id); err != nil {
		return err
	}
	if there, ok := a.IdP.DirectoryLockout(ctx, id); ok {
		x.Directory = &there
	}
	factors, err := a.IdP.Factors().List(ctx, id)
	for _, f := range factors {
		x.Factors = append(x.Factors, ExplainedFactor{f.Kind, f.Added, FactorRemark(f)})
	}
	return err
}

// explainAccount adds one client account: what the gate decides about it is what a sign-in would meet, and a preview.
func (a People) explainAccount(
	ctx context.Context, x *Explanation, person directory.Entry, g Given, providers []store.ServiceProvider,
) error {
	policy, _, err := a.IdP.FactorPolicy(ctx, g.Account)
	if err != nil {
		return err
	}
	d, err := a.Provisioning.PreviewAssignment(ctx, person, *g.Assignment, *g.User)
	if err != nil {
		return err
	}
	one := ExplainedAccount{
		Account: g.Account, Name: g.Name, Role: g.Role, Mapping: g.Mapping.ID, Factor: string(policy),
		User: explainedUser(g, d),
	}
	unproved, err := a.unproved(ctx, person, g.Account)
	switch {
	case err != nil:
		return err
	case d.Outcome == provisioning.Denied:
		one.Refused = refusedText(d)
	case unproved:
		one.Refused = idp.ReasonLaunchFactor + ": the source is not trusted to prove a second factor"
	}
	x.Assignments = append(x.Assignments, one)
	for _, sp := range providers {
		if sp.Kind == store.ConstantContact && sp.Enabled {
			x.Providers = append(x.Providers, a.carried(ctx, sp, person, d))
		}
	}
	return nil
}

// explainedUser is the user of a client account: the ledger's, or the one that a sign-in would create.
func explainedUser(g Given, d provisioning.Decision) ExplainedUser {
	if g.User.State != "" {
		return shownUser(*g.User)
	}
	if d.Outcome == provisioning.Denied {
		return ExplainedUser{Account: g.Account, State: "can't be created", Error: d.Detail}
	}
	u := shownUser(d.User)
	u.State = "not created yet"
	if g.Mapping.AtSignIn {
		u.State = "created at the first sign-in"
	}
	return u
}

func shownUser(u store.SSOUser) ExplainedUser {
	return ExplainedUser{u.Account, string(u.State), u.ExternalID, u.LoginName, u.ContactEmail, u.Role, u.ErrorText}
}

// carried is what the assertion for a service provider would carry after this decision.
func (a People) carried(ctx context.Context, sp store.ServiceProvider, person directory.Entry,
	d provisioning.Decision) ExplainedSP {
	x := ExplainedSP{EntityID: sp.EntityID, Account: d.Assignment.Account}
	if d.Outcome == provisioning.Denied {
		x.Refused = refusedText(d)
		return x
	}
	preview, err := a.IdP.Preview(ctx, sp, person, d)
	if err != nil {
		x.Refused = err.Error()
		return x
	}
	x.NameID, x.NameIDFormat = preview.NameID, preview.NameIDFormat
	x.Attributes = map[string][]string{}
	for _, attribute := range preview.Attributes {
		x.Attributes[attribute.Name] = attribute.Values
	}
	return x
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

// FactorRemark says how a second factor was enrolled, and whether it counts for the console.
func FactorRemark(f mfa.Factor) string {
	if f.Damaged {
		return "can't be read: sealed with another secret_key, or changed in the database"
	}
	text := "not confirmed for the console: "
	switch {
	case f.Confirmed:
		text = "confirmed: "
	case f.By == store.ByBefore:
		text += "how it was enrolled is not known (before the upgrade, by a replica of the version before, or restored " +
			"without a journal)"
	}
	switch f.By {
	case store.ByRestored:
		text += "confirmed before a backup was restored without a journal"
	case store.ByInvitation:
		text += "enrolled by invitation"
	case store.ByFactor:
		text += "enrolled by another factor"
	case store.ByPassword:
		text += "enrolled after the password alone"
	case store.ByDemand:
		text += "enrolled after the password alone, for a service provider that demands one"
	case store.ByBefore:
		if f.Confirmed {
			text += "by invitation; how it was enrolled is not known"
		}
	}
	if f.Kind == mfa.RecoveryCode {
		text = fmt.Sprintf("%d left, %s", f.Left, text)
	}
	return text
}
