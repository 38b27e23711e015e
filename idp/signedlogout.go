package idp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

// maxArrival is more than it takes from a token's or code's coming to its session: a sign-out is remembered so long for
// those who are on that way.
const maxArrival = 5*time.Minute + replayMargin

// LogoutToken ends the sessions that a source's launches began for somebody, when they sign out there. It takes a token
// like that of a launch, of a type of its own, and says how many sessions ended; a fault says why the token is refused.
// Sessions of a password go on: the source has not begun them. A token is taken once: one that somebody has kept ends
// no later session.
func (p *IdP) LogoutToken(ctx context.Context, token string, v Visitor) (ended int, bad *claims.Fault, err error) {
	ctx = asLogout(ctx)
	if len(p.o.Sources) == 0 {
		return 0, &claims.Fault{Reason: ReasonNoSources, Detail: TextOf(ReasonNoSources).Cause}, nil
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return 0, nil, err
	}
	checked, bad := p.checkToken(ctx, c, token, claims.TypeLogout)
	if bad != nil {
		p.logRefusal(ctx, v, "", Why{Reason: bad.Reason, Cause: bad.Detail})
		return 0, bad, nil
	}
	// Counted before it acts. Should what follows fail, the application makes another token, as for each try.
	switch err := p.o.SourceStates.Take(ctx, store.UsedToken{Source: checked.Source.Name, Token: checked.Used,
		IssuedAt: checked.Made(), EndsAt: checked.Expires.Add(replayMargin)}); {
	case errors.Is(err, store.ErrTokenUsed):
		bad = &claims.Fault{Reason: claims.ReasonUsed, Detail: TextOf(claims.ReasonUsed).Cause}
	case errors.Is(err, store.ErrRevoked):
		bad = &claims.Fault{Reason: claims.ReasonSourceOff, Detail: TextOf(claims.ReasonSourceOff).Cause}
	case err != nil:
		return 0, nil, fmt.Errorf("sign out by a token of source %s: %w", checked.Source.Name, err)
	}
	if bad != nil {
		p.logRefusal(ctx, v, "", Why{Reason: bad.Reason, Cause: bad.Detail})
		return 0, bad, nil
	}
	person, err := p.ofToken(ctx, checked)
	if err != nil || person == "" {
		return 0, nil, err
	}
	ended, err = p.endLaunched(ctx, store.SourceLogout{Source: checked.Source.Name,
		Names: [][]byte{claims.NameOfPerson(string(person))}}, func(store.Session) bool { return true }, v)
	return ended, nil, err
}

// endLaunched ends the sessions that a source has begun, as far as ends says so, and says how many. Who is between
// their token and their session begins none.
func (p *IdP) endLaunched(ctx context.Context, o store.SourceLogout, ends func(store.Session) bool, v Visitor) (
	ended int, err error) {
	o.EndsAt = p.o.Now().Add(maxArrival)
	ended, err = p.o.SourceStates.SignOut(ctx, o, func(s store.Session) bool {
		return launchedBy(s) == o.Source && ends(s)
	}, func(s store.Session) store.Event { return p.sessionEnd(s, "signed_out_at_source", v) })
	if err != nil {
		return 0, fmt.Errorf("sign out by a token of source %s: %w", o.Source, err)
	}
	return ended, nil
}

// ofToken is the person of a token that was checked; "" where the directory has nobody of that sub.
func (p *IdP) ofToken(ctx context.Context, c *claims.Checked) (store.PersonID, error) {
	switch c.Source.Subject {
	case claims.Own:
		return store.PersonID(c.Person.ID), nil
	case claims.DirectoryID:
		return store.PersonID(directory.CanonicalID(c.Sub)), nil
	case claims.DirectoryLogin:
	}
	found, err := p.o.Directory.Lookup(ctx, c.Sub)
	if failed, ok := errors.AsType[*directory.Error](err); ok && failed.Problem != directory.Unavailable {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("sign out by a token of source %s: %w", c.Source.Name, err)
	}
	return store.PersonID(found.Entry.ID), nil
}
