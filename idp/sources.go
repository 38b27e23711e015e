package idp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Source is a source of people beside the directory.
type Source struct {
	*claims.Source
	Rules []SourceRule // what the groups of its tokens give

	Upstream  Upstream // its own sign-in; nil: people come from there alone
	Label     string   // of its button on the login page; "": its name
	Domains   []string // mail domains whose people it signs in
	Providers []string // entity IDs of the service providers whose sign-ins go there at once
}

func (s Source) label() string { return cmp.Or(s.Label, s.Name) }

// SourceRule says what a group of a token gives.
type SourceRule struct {
	pattern mapping.Pattern
	account string     // "": the pattern captures it
	role    store.Role // "": likewise
}

// ParseSourceRule reads a rule as it is configured: a pattern that captures account and role, or "PATTERN = ACCOUNT
// ROLE".
func ParseSourceRule(text string) (r SourceRule, err error) {
	left, right, fixed := strings.Cut(text, " = ")
	if r.pattern, err = mapping.ParsePattern(strings.TrimSpace(left)); err != nil {
		return r, err
	}
	if !fixed {
		if !r.pattern.HasAccount() || !r.pattern.HasRole() {
			return r, errors.New("the pattern captures no {account} and {role}, and none are given")
		}
		return r, nil
	}
	given := strings.Fields(right)
	if len(given) != 2 || r.pattern.HasAccount() || r.pattern.HasRole() {
		return r, errors.New("want a group without placeholders, and behind the = an account and a role")
	}
	account, err := store.ParseAccountID(given[0])
	if err != nil {
		return r, fmt.Errorf("account: %w", err)
	}
	r.account = string(account)
	r.role, err = store.ParseRole(given[1])
	return r, err
}

// gives is what the rule gives by one group.
func (r SourceRule) gives(group string) (account string, role store.Role, ok bool) {
	c, err := r.pattern.Match(group)
	if err != nil {
		return "", "", false // another group, or one in which account and role can't be told apart
	}
	if r.account != "" {
		return r.account, r.role, true
	}
	return c.Account, c.Role, true
}

// grants are what a token gives, by its accounts and its groups, within what its source may give. What lies outside is
// counted and left out: it gives nothing, and the rest is not refused for it.
func (s Source) grants(forms *store.AccountForms, p claims.Person) (within []directory.Grant, outside int) {
	canonical := func(id string) string { return string(forms.Stored(store.AccountID(id))) }
	add := func(account, role, group string) {
		// Whether an account may be given is asked of its recorded form, which is the one that is given.
		id, err := recordedAccount(forms, account)
		if err != nil || !s.Allows(string(id), role, canonical) {
			outside++
			return
		}
		if _, err := store.ParseRole(role); err != nil {
			outside++
			return
		}
		g := directory.Grant{Account: string(id), Role: role, Group: group}
		if !slices.Contains(within, g) {
			within = append(within, g)
		}
	}
	for _, g := range p.Grants {
		add(g.Account, g.Role, "")
	}
	for _, group := range p.Groups {
		for _, rule := range s.Rules {
			if account, role, ok := rule.gives(group); ok {
				add(account, string(role), group)
			}
		}
	}
	return within, outside
}

// SourceBounds tells of all sources what they may give.
func SourceBounds(sources []Source) func(source, account, role string, canonical func(string) string) bool {
	return func(source, account, role string, canonical func(string) string) bool {
		i := slices.IndexFunc(sources, func(s Source) bool { return s.Name == source })
		return i >= 0 && sources[i].Subject == claims.Own && sources[i].Allows(account, role, canonical)
	}
}

// entry is the person of a token as a directory would return them.
func (s Source) entry(forms *store.AccountForms, p claims.Person, readAt time.Time) (e directory.Entry, outside int) {
	e = directory.Entry{ID: p.ID, Login: p.Login, FirstName: p.FirstName, LastName: p.LastName, Mail: p.Mail,
		Source: s.Name, ReadAt: readAt}
	for _, g := range p.Groups {
		e.Groups = append(e.Groups, directory.Group{Name: g})
	}
	e.Grants, outside = s.grants(forms, p)
	return e, outside
}

// source finds one by its name.
func (p *IdP) source(name string) (Source, bool) {
	i := slices.IndexFunc(p.o.Sources, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return Source{}, false
	}
	return p.o.Sources[i], true
}

// launchMethod begins the method of a session that a launch token began; the source's name follows. It is one of the
// methods that the session's MAC covers, so that nobody turns it into a login by password.
const launchMethod = "launch:"

// launchedBy is the source of a session; "": it came of a password.
func launchedBy(s store.Session) string {
	for _, m := range s.Methods {
		if name, ok := strings.CutPrefix(m, launchMethod); ok {
			return name
		}
	}
	return ""
}

// opens tells whether a session may go on with a sign-in. One that came of a password may, but where a second factor is
// demanded that sources alone can prove here: with second factors off, a password must not enrol one. One of a launch
// token opens
// its own sign-in, and others only within what its source allows. It never opens the console or the page of second
// factors: whoever has a partner's signing key must not get there.
func (p *IdP) opens(f *flow, s store.Session) bool {
	name := launchedBy(s)
	if name == "" {
		return !p.demanded(f) || p.factorsOn(f.config)
	}
	source, known := p.source(name)
	if !known || f.config.sources[name].Refuses(s.AuthenticatedAt) {
		return false
	}
	if f.data.Console != nil || f.data.Own != nil {
		return false
	}
	// It is the classes that a request demands as far as its source is trusted, and no new login however young the launch
	// is (row REQ-15). A launch that answers this very request has shown in its token that the login is a new one.
	if f.fromSP() && (!p.satisfies(f, s) || f.data.Request.Force && !f.freshLaunch(s)) {
		return false
	}
	if f.ownLaunch(s) {
		return true
	}
	return source.MaxAge > 0 && p.o.Now().Before(s.AuthenticatedAt.Add(source.MaxAge))
}

// readSources reads what administrators have done with sources. Whatever they do raises the change counter.
func (p *IdP) readSources(ctx context.Context) (map[string]store.SourceState, error) {
	if len(p.o.Sources) == 0 {
		return nil, nil
	}
	all, err := p.o.SourceStates.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the states of sources: %w", err)
	}
	states := make(map[string]store.SourceState, len(all))
	for _, s := range all {
		states[s.Name] = s
	}
	return states, nil
}
