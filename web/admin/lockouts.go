package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// Lockouts is what is done with people and addresses whose tries to log in are used up.
type Lockouts struct {
	Store     *store.DB
	IdP       *idp.IdP
	Directory PersonReader
}

// List lists who is locked out. People are not of one client account, so that it takes a scope of all.
func (l Lockouts) List(ctx context.Context, scope Scope) ([]idp.Lockout, error) {
	if err := scope.whole(); err != nil {
		return nil, err
	}
	return l.IdP.Lockouts(ctx)
}

// Lift gives tries back to a person, by id or login name, or to a client address or block of them. A person gets back
// as many as the directory still leaves: past its own limit it would lock the account there. What was read of the
// directory comes also with an error.
func (l Lockouts) Lift(ctx context.Context, scope Scope, who string, e store.Event) (idp.Lifted, error) {
	if err := scope.whole(); err != nil {
		return idp.Lifted{}, err
	}
	who = store.TrimTyped(who)
	lifted, err := l.lift(ctx, who, e)
	there := lifted.Directory
	switch {
	case there != nil && there.Locked:
		until := ""
		if !there.Until.IsZero() {
			until = " until " + plaintext.Minute(there.Until)
		}
		return lifted, &Error{
			Kind: Outside, Field: "who", Fault: fmt.Sprintf("the directory itself has locked the account of %.200q%s", who,
				until),
			Hint: "unlock it with the directory's tools; until then no password is accepted", Err: err,
		}
	case errors.Is(err, idp.ErrNotLocked):
		return lifted, &Error{
			Kind: Missing, Field: "who", Fault: fmt.Sprintf("no tries of %.200q are counted that can be given back%s", who,
				LeftByDirectory(lifted)),
			Act: ListLockouts, Err: err,
		}
	case err == nil:
		return lifted, nil
	}
	if known, ok := AsError(err); ok {
		known.Field = "who"
		return lifted, known
	}
	return lifted, err
}

func (l Lockouts) lift(ctx context.Context, who string, e store.Event) (idp.Lifted, error) {
	if isAddress(who) {
		return l.IdP.LiftAddress(ctx, who, e)
	}
	person := store.PersonID(who)
	locked, err := l.IdP.LockoutsOf(ctx, person)
	if err != nil {
		return idp.Lifted{}, err
	}
	if len(locked) == 0 {
		if person, err = findPerson(ctx, l.Store, l.Directory, Everything(), who); err != nil {
			return idp.Lifted{}, err
		}
	}
	return l.IdP.LiftPerson(ctx, person, e)
}

// isAddress tells an address or a block of addresses from a person.
func isAddress(who string) bool {
	if _, err := netip.ParseAddr(who); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(who)
	return err == nil
}

// LeftByDirectory says what the directory leaves, where that is less than our own limit or is not known; "" otherwise.
func LeftByDirectory(l idp.Lifted) string {
	switch there := l.Directory; {
	case l.Limit == 0 || there == nil:
		return ""
	case l.Left < l.Limit && there.Policy != nil:
		return fmt.Sprintf(": the directory counts %s and locks the account at %d, so %s left",
			plaintext.Count(there.Failures, "wrong password", "wrong passwords"), there.Policy.Threshold,
			plaintext.Count(l.Left, "try is", "tries are"))
	case !there.Counted:
		return ": the directory does not show its own count of wrong passwords"
	}
	return ""
}
