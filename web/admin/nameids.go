package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ssobridge/store"
)

// IssuedNameID is a NameID, and to whom it was issued.
type IssuedNameID struct {
	store.NameID
	Name string // of the person, as ledger or directory have it; "" where neither tells
	Seen string // names what was shown: another person's has another one
}

// FindNameID says to whom a NameID was issued at a service provider.
func (p Providers) FindNameID(ctx context.Context, scope Scope, entityID, nameID string) (IssuedNameID, error) {
	sp, err := p.Get(ctx, scope, entityID)
	if err != nil {
		return IssuedNameID{}, err
	}
	issued, err := p.IdP.IssuedNameID(ctx, sp.ServiceProvider, nameID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return IssuedNameID{}, &Error{
			Kind: Missing, Field: "name_id", Fault: fmt.Sprintf("nobody got the NameID %.300q at %s", nameID, sp.EntityID),
			Hint: "write it as the service provider knows it", Act: PreviewAssertion, About: sp.EntityID, Err: err,
		}
	case err != nil:
		return IssuedNameID{}, fmt.Errorf("look up a NameID: %w", err)
	}
	name, err := p.personName(ctx, issued.Person)
	return IssuedNameID{NameID: issued, Name: name, Seen: seen(slices.Concat(issued.Name, issued.Owner))}, err
}

// ReleaseNameID lets the next person have a NameID that was looked at.
func (p Providers) ReleaseNameID(ctx context.Context, scope Scope, n IssuedNameID, e store.Event) error {
	if err := scope.whole(); err != nil {
		return err
	}
	err := p.IdP.ReleaseNameID(ctx, n.NameID, e)
	if errors.Is(err, store.ErrConflict) {
		return &Error{Kind: Changed, Field: "name_id", Fault: "it was released meanwhile, nothing was done",
			Act: LookAgain, Err: err}
	}
	return err
}

// ReleaseAllNameIDs forgets to whom any NameID was issued: the way on where the secret key that they hang on is lost.
func (p Providers) ReleaseAllNameIDs(ctx context.Context, scope Scope, e store.Event) error {
	if err := scope.whole(); err != nil {
		return err
	}
	return p.IdP.ReleaseAllNameIDs(ctx, e)
}

// personName is what an administrator knows a person by. A directory that is down tells nothing, and the ledger has to
// do.
func (p Providers) personName(ctx context.Context, id store.PersonID) (string, error) {
	if id == "" {
		return "", nil
	}
	if e, err := p.Directory.Read(ctx, string(id)); err == nil && e.DN != "" {
		return cmp.Or(strings.TrimSpace(e.FirstName+" "+e.LastName), e.Login), nil
	}
	rows, err := p.Store.Ledger().Person(ctx, id)
	if err != nil {
		return "", fmt.Errorf("look for person %s: %w", id, err)
	}
	if len(rows) == 0 {
		return "", nil
	}
	return cmp.Or(strings.TrimSpace(rows[0].FirstName+" "+rows[0].LastName), rows[0].ContactEmail), nil
}
