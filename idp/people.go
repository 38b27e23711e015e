package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

// People finds and reads people of all sources: those of the directory there, and those whom other sources have sent
// as the store knows them. What a source's person has access to is what their last token said, within what the source
// may give today. No sign-in goes by it: that goes by its own token.
type People struct {
	*directory.Directory

	o PeopleOptions
}

// PeopleOptions are for NewPeople.
type PeopleOptions struct {
	Directory *directory.Directory
	Known     *store.SourcePeople
	Sources   []Source
	// Recorded returns how client accounts are on record, and what administrators have done with sources.
	Recorded func(ctx context.Context) (*store.AccountForms, map[string]store.SourceState, error)
}

// NewPeople puts the people of all sources together.
func NewPeople(o PeopleOptions) *People { return &People{Directory: o.Directory, o: o} }

// SourceNotConfigured is the problem of a person whose source the configuration does not have any more, or whose source
// leaves it to the directory by now who somebody is.
const SourceNotConfigured directory.Problem = "source_not_configured"

// SourceDisabled is the problem of a person whose source an administrator has disabled.
const SourceDisabled = directory.Problem(claims.ReasonSourceOff)

// walkedPeople is how many people of sources a walk reads at once.
const walkedPeople = 200

// Read reads a person by id. Somebody of a source who is not known is an Entry with Problem Disabled and the id, like
// somebody who is not in the directory.
func (p *People) Read(ctx context.Context, id string) (directory.Entry, error) {
	name := claims.SourceOf(id)
	if name == "" {
		return p.Directory.Read(ctx, id) //nolint:wrapcheck // it is the directory's answer, as it is
	}
	one, err := p.o.Known.Get(ctx, store.PersonID(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return directory.Entry{ID: id, Source: name, Problem: directory.Disabled}, nil
	case err != nil:
		return directory.Entry{}, fmt.Errorf("read person %s: %w", id, err)
	}
	return p.one(ctx, one)
}

// SeveralError says that what somebody has written names several people.
type SeveralError struct{ People []directory.Entry }

// Error names them by their ids.
func (e *SeveralError) Error() string {
	ids := make([]string, 0, len(e.People))
	for _, one := range e.People {
		from := "the directory"
		if one.Source != "" {
			from = "source " + one.Source
		}
		ids = append(ids, fmt.Sprintf("%s of %s", one.ID, from))
	}
	return "several people have this login; name one by their id: " + strings.Join(ids, ", ")
}

const findOp = "find a person of a source"

// Several is a *directory.Error for several people of one name.
func Several(people ...directory.Entry) error {
	return &directory.Error{Problem: directory.BadData, Op: findOp, Err: &SeveralError{people}}
}

// SourceLogin tells whether a text may be the login of somebody of a source, or the id.
func SourceLogin(login string) bool {
	name, rest, named := strings.Cut(login, ":")
	return named && rest != "" && claims.ValidName(name) || claims.SourceOf(login) != ""
}

// Find finds a person by login, or by the id that names a source. Logins of sources have the source's name before
// them. A login that nobody has is a *directory.Error with directory.ErrNotFound in its chain; one that people of a
// source and of the directory have has a *SeveralError there. So the id of a configured source alone is taken without
// asking the directory.
func (p *People) Find(ctx context.Context, login string) (directory.Entry, error) {
	login = store.TrimTyped(login)
	if !SourceLogin(login) {
		return p.Directory.Find(ctx, login) //nolint:wrapcheck // it is the directory's answer, as it is
	}
	var all []directory.Entry
	if name := claims.SourceOf(login); name != "" {
		e, err := p.Read(ctx, login)
		known := err == nil && e.Known()
		if err != nil || known && slices.ContainsFunc(p.o.Sources, func(s Source) bool { return s.Name == name }) {
			return e, err
		}
		if known {
			all = append(all, e)
		}
	} else {
		found, err := p.ofSource(ctx, login)
		if err != nil {
			return directory.Entry{}, err
		}
		all = found
	}
	// Whoever has this login in the directory must not be hidden by somebody of a source, nor hide them.
	e, err := p.Directory.Find(ctx, login)
	switch {
	case err == nil:
		all = append(all, e)
	case !errors.Is(err, directory.ErrNotFound) || len(all) == 0:
		return e, err //nolint:wrapcheck // it is the directory's answer, as it is
	}
	if len(all) > 1 {
		return directory.Entry{}, Several(all...)
	}
	return all[0], nil
}

// ofSource are the people of a source who have a login.
func (p *People) ofSource(ctx context.Context, login string) (all []directory.Entry, err error) {
	name, _, _ := strings.Cut(login, ":")
	found, err := p.o.Known.ByLogin(ctx, name, login)
	if err != nil {
		return nil, fmt.Errorf("find the person %.200q: %w", login, err)
	}
	if i := slices.IndexFunc(found, func(one store.SourcePerson) bool { return one.Login == login }); i >= 0 {
		found = slices.DeleteFunc(found, func(one store.SourcePerson) bool { return one.Login != login })
	}
	for _, one := range found {
		e, err := p.one(ctx, one)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// Walk visits everybody in the directory, and then everybody whom other sources have sent.
func (p *People) Walk(ctx context.Context, o directory.WalkOptions,
	visit func(directory.Entry) error) (directory.Walked, error) {
	walked, err := p.Directory.Walk(ctx, o, visit)
	if err != nil {
		return walked, err //nolint:wrapcheck // it is the directory's answer, as it is
	}
	forms, states, err := p.o.Recorded(ctx)
	if err != nil {
		return walked, fmt.Errorf("walk the people of sources: %w", err)
	}
	for after := store.PersonID(""); ; {
		page, err := p.o.Known.After(ctx, after, walkedPeople)
		if err != nil {
			return walked, fmt.Errorf("walk the people of sources: %w", err)
		}
		for _, one := range page {
			walked.People++
			if err := visit(p.entry(one, forms, states)); err != nil {
				return walked, err
			}
			after = one.Person
		}
		if len(page) < walkedPeople {
			return walked, nil
		}
	}
}

// SearchPeople finds people of all sources, see [directory.Directory.SearchPeople]. Those of other sources are found
// with the directory down too: they come with its error.
func (p *People) SearchPeople(ctx context.Context, text string, limit int) (people []directory.Person, more bool,
	err error) {
	people, more, down := p.Directory.SearchPeople(ctx, text, limit)
	if errors.Is(down, directory.ErrLookup) {
		return nil, false, down //nolint:wrapcheck // it is the directory's answer, as it is
	}
	known, others, err := p.o.Known.Search(ctx, strings.Fields(text), limit)
	if err != nil {
		return nil, false, fmt.Errorf("search the people of sources: %w", err)
	}
	more = more || others
	// Neither leaves the other without a place.
	if over := len(people) + len(known) - limit; over > 0 {
		more = true
		known = known[:min(len(known), max(limit/2, limit-len(people)))]
		people = people[:limit-len(known)]
	}
	for _, one := range known {
		e := p.entry(one, nil, nil)
		people = append(people, directory.Person{ID: e.ID, Login: e.Login,
			Name: strings.TrimSpace(e.FirstName + " " + e.LastName), Mail: e.Mail, Source: e.Source})
	}
	return people, more, down //nolint:wrapcheck // it is the directory's answer, as it is
}

// Beyond are groups that a person is in by way of others only. Those of a source have none.
func (p *People) Beyond(ctx context.Context, e directory.Entry) ([]directory.Group, error) {
	if e.Source != "" {
		return nil, nil
	}
	return p.Directory.Beyond(ctx, e) //nolint:wrapcheck // it is the directory's answer, as it is
}

// one is entry with what is recorded now.
func (p *People) one(ctx context.Context, one store.SourcePerson) (directory.Entry, error) {
	forms, states, err := p.o.Recorded(ctx)
	if err != nil {
		return directory.Entry{}, fmt.Errorf("read person %s: %w", one.Person, err)
	}
	return p.entry(one, forms, states), nil
}

// entry is a person of a source as a directory would return them. ReadAt is zero where no token came yet.
// Without forms nothing is said of what they are given.
func (p *People) entry(one store.SourcePerson, forms *store.AccountForms,
	states map[string]store.SourceState) directory.Entry {
	e := directory.Entry{ID: string(one.Person), Login: one.Login, Source: one.Source}
	source := Source{Source: &claims.Source{Name: one.Source}} // gives nothing
	i := slices.IndexFunc(p.o.Sources, func(s Source) bool { return s.Name == one.Source && s.Subject == claims.Own })
	if i >= 0 {
		source = p.o.Sources[i]
	}
	var said claims.Person
	// What another person's row says, or what can't be read, is nothing: their next token says it anew. So is what a token
	// said that was revoked since: somebody else may have made it.
	revoked := states[one.Source].RevokedAt
	if err := json.Unmarshal(one.Claims, &said); err == nil && said.ID == e.ID && one.SeenAt.After(revoked) {
		if forms == nil {
			said.Groups, said.Grants = nil, nil
		}
		e, _ = source.entry(forms, said, one.SeenAt)
	}
	switch {
	case i < 0:
		e.Problem = SourceNotConfigured
	case !states[one.Source].DisabledAt.IsZero():
		e.Problem = SourceDisabled
	}
	return e
}

// Recorded returns how client accounts are on record, and what administrators have done with sources.
func (p *IdP) Recorded(ctx context.Context) (*store.AccountForms, map[string]store.SourceState, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, nil, err
	}
	return c.forms, c.sources, nil
}
