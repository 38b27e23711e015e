package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// Person is all that is known of somebody, but for what the mappings give them; see [People.Access].
type Person struct {
	ID    store.PersonID
	Entry directory.Entry // without a Login: the directory has no such person for us
	Fault *Error          // why the directory did not say; nil: it did
	// Source is the source that the person comes from; nil: they are the directory's.
	Source *PersonSource

	Users    []User
	Factors  []mfa.Factor
	Lockouts []idp.Lockout
	Locked   *directory.Lockout // by the directory itself; nil: it is not, or can't be read
	Captured time.Time          // until when their assertions are captured; zero: they are not
}

// Gone tells whether the directory, or the store for people of other sources, answered and has no such person for us.
func (p Person) Gone() bool { return p.Fault == nil && p.Entry.Login == "" }

// Get reads a person by id. Somebody whom neither the directory nor the ledger knows is an Error. With the directory
// down it is what the store says. People are not of one client account, so that it takes a scope of all.
func (a People) Get(ctx context.Context, s Scope, id store.PersonID) (p Person, err error) {
	p = Person{ID: id}
	if err := s.whole(); err != nil {
		return p, err
	}
	if p.Users, err = (Users{Store: a.Store}).OfPerson(ctx, s, id); err != nil {
		return p, err
	}
	if p.Entry, err = readWhole(ctx, a.Directory, id); err != nil {
		d, ok := errors.AsType[*directory.Error](err)
		if !ok {
			return p, fmt.Errorf("read person %s: %w", id, err)
		}
		p.Fault = directoryError(err)
		if len(p.Users) == 0 && d.Problem == directory.BadData {
			return p, unknownPerson(id, err)
		}
		p.Fault.Err = err
	}
	p.Source = a.SourceOf(p.Entry)
	if p.Gone() && len(p.Users) == 0 {
		return p, unknownPerson(id, store.ErrNotFound)
	}
	if p.Factors, err = a.IdP.Factors().List(ctx, id); err != nil {
		return p, fmt.Errorf("list the second factors of %s: %w", id, err)
	}
	if p.Lockouts, err = a.IdP.LockoutsOf(ctx, id); err != nil {
		return p, fmt.Errorf("read the lockouts of %s: %w", id, err)
	}
	if there, ok := a.IdP.DirectoryLockout(ctx, id); ok && there.Locked {
		p.Locked = &there
	}
	if p.Captured, err = a.IdP.CapturedUntil(ctx, id); err != nil {
		return p, fmt.Errorf("read whether sign-ins of %s are captured: %w", id, err)
	}
	return p, nil
}

func unknownPerson(id store.PersonID, err error) error {
	return &Error{Kind: Missing, Field: "person", Fault: "there is no person " + plaintext.Quote(string(id)),
		Hint: "write a login name of the directory, or a person id", Err: err}
}

// Search finds people of whom each word of a text begins the login name, a name or the mail address. more tells that
// there are others than these. With the directory down, those of other sources come with the error.
func (a People) Search(ctx context.Context, s Scope, text string, limit int) (found []directory.Person, more bool,
	err error) {
	if err := s.whole(); err != nil {
		return nil, false, err
	}
	found, more, err = a.Directory.SearchPeople(ctx, text, limit)
	return found, more, searchError(err, "people")
}

// searchError turns what stands against a search of the directory.
func searchError(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, directory.ErrLookup):
		return &Error{Field: "find", Fault: "this can't be searched for",
			Hint: "type 2 to 100 characters, at most five words", Err: err}
	case directoryError(err) != nil:
		return lookup(err, "find", "search "+what, "")
	}
	return fmt.Errorf("search %s: %w", what, err)
}
