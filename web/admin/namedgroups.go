package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// NamedGroups is what can be done with the groups that give access to the console and to service providers. The
// configuration and service providers name them by DN; the id of the group that had it decides.
type NamedGroups struct {
	IdP       *idp.IdP
	Directory *directory.Directory
}

// NamedGroup is such a group.
type NamedGroup struct {
	idp.GroupUse

	Problem string                 // why it may give nobody access; "": it is as it was looked up
	Changed *directory.GroupChange // another group has its DN now; nil: none has
}

// List lists the groups as they were last looked up; as the directory says now where fresh is true.
func (g NamedGroups) List(ctx context.Context, s Scope, fresh bool) ([]NamedGroup, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	read := g.IdP.Groups
	if fresh {
		read = func(ctx context.Context) ([]idp.GroupUse, error) { return g.IdP.ResolveGroups(ctx, false) }
	}
	uses, err := read(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up the groups that give access: %w", err)
	}
	all := make([]NamedGroup, 0, len(uses))
	for _, u := range uses {
		one := NamedGroup{GroupUse: u, Problem: cmp.Or(u.Action(), u.Fault)}
		if u.Known.OtherID != "" {
			change := g.Directory.CompareGroups(ctx, u.Known.ID, u.Known.DN, directory.Group{ID: u.Known.OtherID,
				DN: u.Known.OtherDN})
			one.Changed = &change
		}
		all = append(all, one)
	}
	return all, nil
}

// Waiting is the group of that DN, as it was shown, whose place another group wants to take. An Error where none does.
func (g NamedGroups) Waiting(ctx context.Context, s Scope, dn string) (NamedGroup, error) {
	all, err := g.List(ctx, s, true)
	if err != nil {
		return NamedGroup{}, err
	}
	for _, one := range all {
		if one.Written != dn {
			continue
		}
		if one.Changed == nil {
			return one, &Error{Kind: Changed, Field: "group", Act: ListConsoleGroups, Fault: fmt.Sprintf(
				"no other group has the DN %s: %s", plaintext.Quote(dn), cmp.Or(one.Problem, "it is the group that is known"))}
		}
		return one, nil
	}
	return NamedGroup{}, noNamedGroup(dn, store.ErrNotFound)
}

func noNamedGroup(dn string, err error) error {
	return &Error{Kind: Missing, Field: "group", Fault: "nothing names the group " + plaintext.Quote(dn),
		Act: ListConsoleGroups,
		Err: err}
}

// Accept lets the group with this id take the place of the one that had the DN. The directory is asked again: what was
// looked at is what is accepted.
func (g NamedGroups) Accept(ctx context.Context, s Scope, dn, id string, e store.Event) error {
	if err := s.whole(); err != nil {
		return err
	}
	err := g.IdP.AcceptGroup(ctx, dn, directory.CanonicalID(store.TrimTyped(id)), e)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noNamedGroup(dn, err)
	case errors.Is(err, idp.ErrGroupChanged):
		return &Error{Kind: Changed, Field: "group", Act: LookAgain, Err: err,
			Fault: "the directory has changed meanwhile: it is another group now, or none"}
	}
	return refusal(err)
}
