package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// People is what is known of a person, and what a sign-in of theirs would come to.
type People struct {
	Store        *store.DB
	Provisioning *provisioning.Service
	Directory    PeopleReader
	IdP          *idp.IdP
}

// Access is what the mappings give one person, with their users at Constant Contact.
type Access struct {
	Hits   []mapping.Hit   // every mapping, with whether and why it hits
	Given  []Given         // the client accounts that come of them, by name
	Former []store.SSOUser // users in client accounts that no mapping gives the person any more
}

// Given is one client account that the mappings give. A person may have thousands of them, and who asks looks at a few:
// both parts stand in lists that were made already, and are not copied.
type Given struct {
	*provisioning.Assignment

	User *store.SSOUser // never nil; State "": there is none yet
}

// noUser is the user of a client account that has none yet. Nobody writes to it.
var noUser store.SSOUser

// Find reads a person by login name, or by the id that traces, events and the log name people by.
func (a People) Find(ctx context.Context, login string) (directory.Entry, error) {
	person, err := a.Directory.Find(ctx, login)
	if errors.Is(err, directory.ErrNotFound) {
		if read, failed := a.Directory.Read(ctx, directory.CanonicalID(login)); failed == nil && read.Known() {
			person, err = read, nil
		}
	}
	if err != nil {
		return person, notFound(login, err)
	}
	return person, nil
}

// Access evaluates the mappings for a person. users are the person's users, as the ledger has them.
func (a People) Access(ctx context.Context, s Scope, person directory.Entry, users []store.SSOUser) (Access, error) {
	hits, assignments, err := a.Provisioning.ExplainAccess(ctx, person)
	if err != nil {
		return Access{}, fmt.Errorf("explain the mappings: %w", err)
	}
	x := Access{Hits: hits, Given: make([]Given, 0, len(assignments))}
	if !s.everything {
		x.Hits = slices.DeleteFunc(hits, func(h mapping.Hit) bool { return h.Account == "" || !s.Includes(h.Account) })
	}
	there := make(map[store.AccountID]*store.SSOUser, len(users))
	for i := range users {
		there[users[i].Account] = &users[i]
	}
	given := make(map[store.AccountID]bool, len(assignments))
	for i := range assignments {
		one := &assignments[i]
		given[one.Account] = true
		if s.Includes(one.Account) {
			x.Given = append(x.Given, Given{one, cmp.Or(there[one.Account], &noUser)})
		}
	}
	x.Former = formerUsers(s, users, given)
	return x, nil
}

// FindIn is Find for a caller who may see some client accounts alone. Somebody of a source is a client's own, whom no
// directory shows to all: whoever sees none of their client accounts finds nobody.
func (a People) FindIn(ctx context.Context, s Scope, login string) (directory.Entry, error) {
	person, err := a.Find(ctx, login)
	if s.everything {
		return person, err
	}
	people := []directory.Entry{person}
	if several, ok := errors.AsType[*idp.SeveralError](err); ok {
		people = several.People
	} else if err != nil {
		return person, err
	}
	var seen []directory.Entry
	for _, one := range people {
		sees, err := a.sees(ctx, s, one)
		if err != nil {
			return directory.Entry{}, err
		}
		if sees {
			seen = append(seen, one)
		}
	}
	switch len(seen) {
	case 0:
		return directory.Entry{}, notFound(login, &directory.Error{Problem: directory.BadCredentials,
			Op: "find a person of a source", Err: directory.ErrNotFound})
	case 1:
		return seen[0], nil
	}
	return directory.Entry{}, notFound(login, idp.Several(seen...))
}

// sees tells whether a caller may see a person.
func (a People) sees(ctx context.Context, s Scope, person directory.Entry) (bool, error) {
	if person.Source == "" {
		return true, nil
	}
	users, err := a.Store.Ledger().Person(ctx, store.PersonID(person.ID))
	if err != nil {
		return false, fmt.Errorf("list the users of person %s: %w", person.ID, err)
	}
	x, err := a.Access(ctx, s, person, users)
	return len(x.Given)+len(x.Former) > 0, err
}

// notFound says that a person could not be found.
func notFound(login string, err error) error {
	return lookup(err, "user", "find the person "+plaintext.Quote(login),
		"write the login name as the person types it, or SOURCE:LOGIN for somebody of a source")
}

// Refusals says of client accounts that the mappings give a person why a sign-in there would be refused all the same.
// What is not in it would pass, or wait for its user.
func (a People) Refusals(ctx context.Context, s Scope, person directory.Entry,
	given []Given) (map[store.AccountID]provisioning.Decision, error) {
	all := map[store.AccountID]provisioning.Decision{}
	for _, g := range given {
		if !s.Includes(g.Account) {
			continue
		}
		d, err := a.Provisioning.PreviewAssignment(ctx, person, *g.Assignment, *g.User)
		if err != nil {
			return nil, err
		}
		if d.Outcome != provisioning.Denied {
			unproved, err := a.unproved(ctx, person, g.Account)
			if err != nil {
				return nil, err
			}
			if unproved {
				d.Outcome, d.Reason = provisioning.Denied, provisioning.Reason(idp.ReasonLaunchFactor)
			}
		}
		if d.Outcome == provisioning.Denied {
			all[g.Account] = d
		}
	}
	return all, nil
}

// formerUsers are those in client accounts that are not given any more.
func formerUsers(s Scope, users []store.SSOUser, given map[store.AccountID]bool) (all []store.SSOUser) {
	for _, u := range users {
		if !given[u.Account] && s.Includes(u.Account) {
			all = append(all, u)
		}
	}
	return all
}

// Previewed is the assertion that a person would get at a service provider.
type Previewed struct {
	Login   string          `json:"login"`
	Account store.AccountID `json:"account,omitempty"`
	Role    store.Role      `json:"role,omitempty"`
	Notes   []string        `json:"notes,omitempty"` // what prevents the sign-in, or comes first
	idp.AssertionPreview
}

// Preview shows the assertion that a person would get at a service provider by a launch, with the reason for each
// value. It stores nothing, sends nothing and asks the directory alone. A person who would be refused is an Error that
// says why.
func (a People) Preview(ctx context.Context, s Scope, login, entityID string,
	account store.AccountID) (Previewed, error) {
	var x Previewed
	sp, err := readProvider(ctx, a.Store, entityID)
	if err != nil {
		return x, err
	}
	person, err := a.Find(ctx, login)
	if err != nil {
		return x, err
	}
	x.Login = person.Login
	if person.Problem != "" {
		x.Notes = append(x.Notes, cantSignIn(person))
	}
	if person.Source != "" {
		x.Notes = append(x.Notes, fmt.Sprintf("the person comes from source %s: this is what their last token gives, %s",
			person.Source, tokenTime(person)))
	}
	if !sp.Enabled {
		x.Notes = append(x.Notes, "sign-ins to this service provider are switched off")
	}
	d, err := a.decision(ctx, s, sp, person, account)
	if err != nil {
		return x, err
	}
	if d.Outcome == provisioning.Wait {
		x.Notes = append(x.Notes, "the user at Constant Contact is not there yet: it is created first")
	}
	x.Account, x.Role = d.Assignment.Account, d.Assignment.Role
	unproved, err := a.unproved(ctx, person, d.Assignment.Account)
	if err != nil {
		return x, err
	}
	if unproved {
		x.Notes = append(x.Notes, "the client account asks for a second factor, which source "+person.Source+
			" is not trusted to prove: the sign-in is refused")
	}
	x.AssertionPreview, err = a.IdP.PreviewAssertion(ctx, sp, person, d, a.sources(person))
	if err != nil {
		return x, &Error{
			Kind: Outside, Fault: fmt.Sprintf("no assertion can be made for %s: %v", person.Login, err),
			Hint:  "correct the person's data in the directory or source, or the template of the service provider",
			Act:   ListSettings,
			About: sp.EntityID, Err: err,
		}
	}
	return x, nil
}

// decision asks who the person would be at a service provider. Whoever would not pass is an Error that says why.
func (a People) decision(
	ctx context.Context, s Scope, sp store.ServiceProvider, person directory.Entry, account store.AccountID,
) (provisioning.Decision, error) {
	if sp.Kind != store.ConstantContact {
		if account != "" {
			return provisioning.Decision{}, &Error{
				Field: "account", Fault: fmt.Sprintf("client account %s: %s is not Constant Contact and has no client accounts",
					account, sp.EntityID),
				Hint: "leave the client account out",
			}
		}
		d, err := a.plainDecision(ctx, sp, person)
		if err == nil && d.Outcome == provisioning.Denied {
			err = wouldBeRefused(person, sp, d)
		}
		return d, err
	}
	if account != "" && !s.Includes(account) {
		return provisioning.Decision{}, &Error{Kind: Forbidden, Field: "account",
			Fault: "this client account is not among those that you may see"}
	}
	d, err := a.Provisioning.Preview(ctx, provisioning.Question{Person: person, Account: account, MayCreate: true})
	if err != nil {
		return d, err
	}
	switch d.Outcome {
	case provisioning.Choose:
		e := &Error{Field: "account", Fault: person.Login + " has several client accounts: ", Act: NameAccount,
			About: person.Login}
		for i, c := range d.Choices {
			if i > 0 {
				e.Fault += ", "
			}
			e.Fault += string(c.Account)
		}
		return d, e
	case provisioning.Denied:
		return d, wouldBeRefused(person, sp, d)
	}
	return d, nil
}

// plainDecision is the decision on a service provider other than Constant Contact.
func (a People) plainDecision(ctx context.Context, sp store.ServiceProvider,
	person directory.Entry) (provisioning.Decision, error) {
	in, err := a.IdP.InGroups(ctx, person, sp.Groups)
	switch {
	case err != nil:
		return provisioning.Decision{}, err
	case !in:
		d := provisioning.Decision{Outcome: provisioning.Denied, Reason: provisioning.NotInGroup,
			Detail: "in none of its groups"}
		d.Nested = a.nestedMiss(ctx, person, sp.Groups)
		return d, nil
	}
	return provisioning.Decision{Outcome: provisioning.Granted}, nil
}

// nestedMiss says that a person would be in one of the groups if groups in groups were followed; "" if not, or if it
// can't be read: it only adds to a refusal.
func (a People) nestedMiss(ctx context.Context, person directory.Entry, groups []string) string {
	if person.Source != "" {
		return "" // whose groups are in no other groups
	}
	more, err := a.Directory.Beyond(ctx, person)
	if err != nil {
		return ""
	}
	for _, g := range more {
		in, err := a.IdP.InGroups(ctx, directory.Entry{Groups: []directory.Group{g}}, groups)
		if err == nil && in {
			return "the person " + provisioning.NotFollowed(g)
		}
	}
	return ""
}

// refusedText says why a decision is a refusal.
func refusedText(d provisioning.Decision) string {
	text := string(d.Reason)
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	if d.Nested != "" {
		text += "; " + d.Nested
	}
	return text
}

func wouldBeRefused(person directory.Entry, sp store.ServiceProvider, d provisioning.Decision) error {
	return &Error{
		Kind: Denied, Fault: fmt.Sprintf("%s would be refused at %s: %s", person.Login, sp.EntityID, refusedText(d)),
		Act: ExplainLogin, About: person.Login,
	}
}

// sources says what fills the placeholders of templates.
func (a People) sources(person directory.Entry) map[string]string {
	all := map[string]string{
		"account":     "the client account of the mapping",
		"key":         "derived from person and client account",
		"external_id": "the user's external_id (configuration provisioning.external_id when it was created)",
		"login_name":  "the user's login name (configuration provisioning.login_name when it was created)",
	}
	for name, attribute := range a.Directory.Sources() {
		all[name] = "directory attribute " + attribute
		if person.Source != "" {
			all[name] = "what source " + person.Source + " says of the person"
		}
	}
	return all
}
