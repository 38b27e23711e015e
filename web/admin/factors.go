package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// Factors is what can be done with people's second factors. People are not of one client account, so that everything
// here takes a scope of all.
type Factors struct {
	IdP *idp.IdP
	URL string // of the console, where an invitation is asked for
}

// Invitation lets somebody with a role in the console enrol a second factor.
type Invitation struct {
	Person store.PersonID
	Code   string // shown this once
	Until  time.Time
	URL    string // where it is asked for
}

// List lists a person's second factors.
func (a Factors) List(ctx context.Context, s Scope, person store.PersonID) ([]mfa.Factor, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	all, err := a.IdP.Factors().List(ctx, person)
	if err != nil {
		return nil, fmt.Errorf("list the second factors of %s: %w", person, err)
	}
	return all, nil
}

// Invite makes an invitation, good for one day and for once; another one takes its place. again removes the factors
// that the person has, and ends their sessions. e starts the event that it leaves.
func (a Factors) Invite(ctx context.Context, s Scope, person store.PersonID, again bool,
	e store.Event) (Invitation, error) {
	if err := s.whole(); err != nil {
		return Invitation{}, err
	}
	code, until, err := a.IdP.Invite(ctx, person, again, e)
	switch {
	case errors.Is(err, idp.ErrNoConsoleRole):
		return Invitation{}, &Error{Field: "person", Fault: "the person has no role in the admin console",
			Hint: "add the person to a group that console.viewer_group, operator_group or admin_group names, then invite again",
			Act:  ListConsoleGroups, Err: err}
	case errors.Is(err, store.ErrConflict):
		return Invitation{}, &Error{Kind: Changed, Field: "person", Fault: "the person has a confirmed second factor already",
			Act: InviteAnew, Err: err}
	case directoryError(err) != nil:
		return Invitation{}, lookup(err, "person", "invite the person", "")
	case err != nil:
		return Invitation{}, fmt.Errorf("invite %s: %w", person, err)
	}
	return Invitation{person, code, until, a.URL}, nil
}

// Reset removes all second factors of a person, and ends their sessions. It returns how many there were.
func (a Factors) Reset(ctx context.Context, s Scope, person store.PersonID, e store.Event) (int, error) {
	if err := s.whole(); err != nil {
		return 0, err
	}
	n, err := a.IdP.Factors().Reset(ctx, person, e)
	if err != nil {
		return 0, fmt.Errorf("remove the second factors of %s: %w", person, err)
	}
	return n, nil
}
