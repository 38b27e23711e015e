package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

const (
	lookUps     = 8   // readings of the directory at the same time; it serves sign-ins as well
	adoptAtOnce = 500 // users in one transaction, and people in one look at the ledger
)

// AdoptionItem is what a known user would become or became.
type AdoptionItem struct {
	Known   KnownUser
	User    store.SSOUser
	Outcome store.Adoption // of AdoptUsers; "" in a preview
	Fault   string         // why it can't be taken: no such person, a malformed field; "" for none
	Note    string         // what an admin should see before: no mapping gives this person the account, another role
}

// PreviewAdoption looks each known user up in directory, mappings and ledger. Nothing is stored.
//
// A person who is not in the directory can be told by person_id, with a role. What an export says of users that were
// never created is a fault.
func (s *Service) PreviewAdoption(ctx context.Context, told []KnownUser) ([]AdoptionItem, error) {
	x, err := s.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up known users: %w", err)
	}
	all := make([]AdoptionItem, len(told))
	err = inParallel(ctx, len(told), func(ctx context.Context, i int) (err error) {
		all[i], err = s.telling(ctx, x, told[i])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up known users: %w", err)
	}
	lines := map[userID]int{}
	for batch := range slices.Chunk(all, adoptAtOnce) {
		if err := s.compareKnown(ctx, batch, lines); err != nil {
			return nil, fmt.Errorf("look up known users: %w", err)
		}
	}
	return all, nil
}

// telling looks one told user up in directory and mappings. An error means that the directory could not answer.
func (s *Service) telling(ctx context.Context, x *mapping.Index, t KnownUser) (AdoptionItem, error) {
	tell := AdoptionItem{Known: t}
	switch state := store.State(t.State); state {
	case store.Suspended:
		tell.Fault = "is suspended in this file; only the import of a whole export puts such a user back"
	case store.Wanted, store.Conflict, store.Refused:
		tell.Fault = fmt.Sprintf("was not created, as far as this file knows (%s)", state)
	}
	if tell.Fault != "" {
		return tell, nil
	}
	p, fault, err := s.knownPerson(ctx, t)
	if err != nil || fault != "" {
		tell.Fault = fault
		return tell, err
	}
	account, err := x.Forms().Resolve(t.Account)
	switch {
	case errors.Is(err, store.ErrUnlistedAccount):
		tell.note("client account %s is not among those that Constant Contact lists", account)
	case err != nil:
		tell.Fault = err.Error()
		return tell, nil
	case !x.Forms().Lists(account):
		tell.note("client account %s is not among those that Constant Contact lists", account)
	}
	tell.User = store.SSOUser{
		Person: store.PersonID(p.ID), Account: account, ExternalID: t.ExternalID, ExternalProvider: s.provider,
		LoginName: t.LoginName,
		FirstName: strings.TrimSpace(p.FirstName), LastName: strings.TrimSpace(p.LastName), Role: store.Role(t.Role),
		State: store.Active,
	}
	if t.State != string(store.Active) {
		tell.User.State = store.Assumed // sending and unknown of an export too: they may be there
	}
	s.tellRole(x, &tell, p)
	s.tellNames(&tell, p)
	return tell, nil
}

func (t *AdoptionItem) note(format string, args ...any) {
	if t.Note != "" {
		t.Note += "; "
	}
	t.Note += fmt.Sprintf(format, args...)
}

// knownPerson finds who is meant. Somebody who is gone is an entry with the id alone and a problem.
func (s *Service) knownPerson(ctx context.Context, t KnownUser) (p directory.Entry, fault string, err error) {
	if t.Person != "" {
		p, err = s.people.Read(ctx, t.Person)
	} else {
		p, err = s.people.Find(ctx, t.Login)
	}
	var e *directory.Error
	switch {
	case err == nil && p.ID == "":
		return p, "has no immutable id in the directory", nil
	case err == nil:
		return p, "", nil
	case !errors.As(err, &e) || e.Problem == directory.Unavailable:
		return p, "", err
	case !errors.Is(err, directory.ErrNotFound):
		return p, fmt.Sprintf("can't be read from the directory: %s", e.Problem), nil
	case t.Person != "":
		return directory.Entry{ID: t.Person, Problem: directory.Disabled}, "", nil
	}
	return p, "nobody in the directory has this login; name a person who has left by person_id", nil
}

// tellRole compares with what the mappings give.
func (s *Service) tellRole(x *mapping.Index, t *AdoptionItem, p directory.Entry) {
	switch {
	case p.DN == "" && p.Problem != "":
		t.note("is not in the directory, or not among those whom the login filter takes")
	case p.Problem != "":
		t.note("can't sign in at present: %s", p.Problem)
	}
	// The groups of somebody with a problem are not read, so nothing can be said of their mappings.
	if p.Problem == "" {
		hits := s.winners(x, p)
		i := slices.IndexFunc(hits, func(h mapping.Hit) bool { return h.Account == t.User.Account })
		switch {
		case i < 0:
			t.note("no mapping gives this person the client account, so no sign-in uses the user")
		case t.User.Role == "":
			t.User.Role, t.User.Mapping = hits[i].Role, hits[i].Mapping.ID
		case t.User.Role != hits[i].Role:
			t.note("mapping %d gives role %s", hits[i].Mapping.ID, hits[i].Role)
		default:
			t.User.Mapping = hits[i].Mapping.ID
		}
	}
	if t.User.Role == "" {
		t.Fault = "no mapping tells the role; give it in the column role"
	}
}

// tellNames fills in by the templates what was not told.
func (s *Service) tellNames(t *AdoptionItem, p directory.Entry) {
	u := &t.User
	if u.ContactEmail, _ = s.contactEmail.Render(mapping.Values{Person: p, Account: u.Account}); u.ContactEmail == "" {
		u.ContactEmail = p.Mail // it is only shown
	}
	if u.ExternalID != "" || t.Fault != "" {
		return
	}
	if u.Role == store.Owner {
		t.Fault = "an owner has an external_id of its own, which no template gives; give it in the column external_id"
		return
	}
	id, login, err := s.derivedNames(p, u.Account)
	if err == nil {
		if why := badExternalID(id); why != "" {
			err = errors.New(why)
		}
	}
	if err != nil {
		t.Fault = "external_id can't be made by the template: " + err.Error()
		return
	}
	if u.ExternalID = id; u.LoginName == "" {
		u.LoginName = login
	}
}

// derivedNames are the external_id that the template gives, and the login name; "" where that one can't be filled in.
func (s *Service) derivedNames(p directory.Entry, a store.AccountID) (externalID, login string, err error) {
	v := mapping.Values{Person: p, Account: a}
	if v.ExternalID, err = s.externalID.Render(v); err != nil {
		return "", "", err
	}
	login, _ = s.loginName.Render(v) // only an external_id is needed of a user that is there
	return v.ExternalID, login, nil
}

// AdoptUsers stores those of a preview that have no Fault. After an error, those with an Outcome are stored.
func (s *Service) AdoptUsers(ctx context.Context, previewed []AdoptionItem, actor string) ([]AdoptionItem, error) {
	all := slices.Clone(previewed)
	var good []int
	for i, t := range all {
		if t.Fault == "" {
			good = append(good, i)
		}
	}
	for batch := range slices.Chunk(good, adoptAtOnce) {
		users := make([]store.SSOUser, len(batch))
		for i, at := range batch {
			users[i] = all[at].User
		}
		outcomes, err := s.ledger.Adopt(ctx, users, s.adoptEvent(actor, "told"))
		if err != nil {
			return all, fmt.Errorf("store told users: %w", err)
		}
		for i, at := range batch {
			all[at].Outcome = outcomes[i]
		}
	}
	return all, nil
}

func (s *Service) adoptEvent(actor, reason string) store.Event {
	return store.Event{At: s.now(), Actor: actor, Action: "adopt-user", Outcome: "ok", Reason: reason}
}

// inParallel calls do for 0 to n-1, a few at a time. After the first error, which it returns, no other is begun.
func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(n, lookUps) {
		running.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}
