package directory

import (
	"context"
	"errors"

	"github.com/go-ldap/ldap/v3"
)

// slowShare is the part of the connections for binds that tries of addresses past their limit have: one in so many.
// Guesses there never keep others waiting.
const slowShare = 4

// Found is the person whom a login names: a sign-in looks them up before it asks whether a password may be tried.
type Found struct {
	Entry Entry // without groups; without an ID where the entry can't be used

	found    *ldap.Entry
	state    state
	unusable error
}

// Person names who is found, for counting: the immutable id, or the DN of an entry that shows none.
func (f Found) Person() string {
	if f.Entry.ID != "" {
		return f.Entry.ID
	}
	return "dn:" + f.Entry.DN
}

// Lookup finds the one person with this login. Its *Error with BadCredentials or Ambiguous names nobody; nothing was
// bound.
func (d *Directory) Lookup(ctx context.Context, login string) (Found, error) {
	const op = "sign in"
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.findLogin(ctx, login)
	if problem := nobody(err); problem != "" {
		return Found{}, &Error{Problem: problem, Op: op, Err: err}
	}
	if err != nil {
		return Found{}, unavailable(op, err)
	}
	f := Found{found: found}
	if f.Entry, f.state, f.unusable = d.entry(found); f.unusable != nil {
		f.Entry.DN = found.DN
	}
	return f, nil
}

// Bind proves the password of somebody whom Lookup found, and reads their groups. Its Entry has no Problem. The error
// is an *Error; with Unavailable nothing is known of the password but what Try says. slow takes one of the few
// connections for tries of addresses that are past their limit.
func (d *Directory) Bind(ctx context.Context, f Found, password string, slow bool) (Entry, error) {
	op := "sign in " + f.Entry.DN
	// Before any network: see checkPassword.
	if err := checkPassword(password); err != nil || f.found == nil {
		return Entry{}, &Error{Problem: BadCredentials, Op: op, Err: errPassword, Try: NotSent}
	}
	e := f.Entry
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	done, err := d.share(ctx, slow)
	if err != nil {
		return Entry{}, &Error{Problem: Unavailable, Op: op, PersonID: e.ID, Err: err, Try: NotSent}
	}
	defer done()
	v, err := d.bind(ctx, f.found.DN, password, f.state.problem)
	if err != nil {
		return Entry{}, withPerson(unavailable(op, err), e.ID)
	}
	if v.problem != "" {
		failed := &Error{Problem: v.problem, Op: op, PersonID: e.ID, Err: v.cause}
		if v.proved {
			failed.Try = Proved
		}
		return Entry{}, failed
	}
	proved := func(err error) (Entry, error) {
		failed := unavailable(op, err)
		if e, ok := errors.AsType[*Error](failed); ok {
			e.PersonID, e.Try = f.Entry.ID, Proved
		}
		return Entry{}, failed
	}
	// That an entry can't be used is told only to who knows its password, as everything else about it.
	if f.unusable != nil {
		return proved(f.unusable)
	}
	// The password is right. The server lets some in whom the entry forbids, and may have let this one in.
	if f.state.problem != "" {
		return proved(&Error{Problem: f.state.problem, Op: op,
			Err: errors.New("the password is right, and the entry says so")})
	}
	if e.Groups, err = d.personGroups(ctx, e, f.found); err != nil {
		return proved(err)
	}
	return e, nil
}

// share waits for one of the few connections that slow tries have, and returns what gives it back.
func (d *Directory) share(ctx context.Context, slow bool) (done func(), err error) {
	if !slow {
		return func() {}, nil
	}
	select {
	case d.slow <- struct{}{}:
		return func() { <-d.slow }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Authenticate is Lookup and Bind in one, for callers that count no tries.
func (d *Directory) Authenticate(ctx context.Context, login, password string) (Entry, error) {
	if err := checkPassword(password); err != nil {
		return Entry{}, &Error{Problem: BadCredentials, Op: "sign in", Err: err}
	}
	f, err := d.Lookup(ctx, login)
	if err != nil {
		return Entry{}, err
	}
	return d.Bind(ctx, f, password, false)
}
