package idp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Passwords changes passwords that have expired; *directory.Directory is it.
type Passwords interface {
	ChangePassword(ctx context.Context, f directory.Found, old, fresh string, slow bool) error
}

// PasswordDiffers says that the new password was typed in two ways. Nothing was looked at.
const PasswordDiffers = "password_differs"

// PasswordChange is the form of a change.
type PasswordChange struct{ Login, Old, New, Again string }

// changeTime bounds what is stored after a change, each time: a person who closes the page does not cut it off.
const changeTime = 10 * time.Second

// NewRefused tells whether the form of a change is shown again because of the new password.
func (a AskPassword) NewRefused() bool {
	return a.Change && a.Problem != directory.PasswordExpired && a.Problem != directory.MustChange
}

// passwordEnded tells whether a change ends a problem, where changes are on.
func (p *IdP) passwordEnded(problem directory.Problem) bool {
	return p.o.Passwords != nil && (problem == directory.PasswordExpired || problem == directory.MustChange)
}

// ChangePassword answers the form of an expired password: the directory changes it as the person, old and new in one
// change, and the sign-in goes on with the new one. A try is taken before the old password is judged, as for a login
// (row ID-08), and whoever has the wrong one, or names nobody, gets the answer of a login.
func (p *IdP) ChangePassword(ctx context.Context, id string, c PasswordChange, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	if f.passive() || f.launching() || !p.byPassword(ctx, f) {
		return p.proceed(ctx, f) // no form was shown
	}
	form := AskPassword{Login: c.Login, Problem: directory.BadCredentials}
	switch {
	case len(c.Login) > maxLogin || !utf8.ValidString(c.Login):
		form.Login = ""
		return p.askPassword(ctx, f, form)
	case p.o.Passwords == nil || c.Login == "" || c.Old == "" || len(c.Old) > maxPassword || len(c.New) > maxPassword:
		return p.askPassword(ctx, f, form)
	case c.New != c.Again:
		return p.askPassword(ctx, f, AskPassword{Login: c.Login, Change: true, Problem: PasswordDiffers})
	}
	began := p.o.Now()
	found, err := p.o.Directory.Lookup(ctx, c.Login)
	if err != nil {
		return p.nobody(ctx, f, form, began, err)
	}
	try, _, answer, err := p.beginTry(ctx, f, form, found, began)
	if try == nil {
		return answer, err
	}
	defer func() { try.done() }()
	refused, err := p.change(ctx, f, found, c, *try)
	switch {
	case err != nil:
		return p.failedLogin(ctx, f, form, *try, began, err)
	case refused != nil:
		return p.askPassword(ctx, f, AskPassword{Login: c.Login, Change: true, Problem: directory.Problem(refused.Refusal),
			Said: refused.Said})
	}
	a, err = p.logIn(ctx, f, c.Login, c.New)
	if ended := p.endOthers(ctx, f, store.PersonID(found.Entry.ID), a.NewSession); ended != nil {
		return Answer{}, errors.Join(err, ended)
	}
	return a, err
}

// endOthers ends the sessions of somebody whose password was changed, but the one that goes on: whoever else knew the
// old password, and is signed in by it, is so no longer. That holds where none goes on, too: the person may have gone,
// or another server of the directory may not have the new password yet.
func (p *IdP) endOthers(ctx context.Context, f *flow, person store.PersonID, keep string) error {
	if person == "" {
		return nil // an entry without a usable id: nobody ever has a session by it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTime)
	defer cancel()
	event := p.event(f, "session-end", person)
	event.Outcome, event.Reason = "ok", "password_changed"
	err := store.ErrRevoked
	if keep != "" {
		_, err = p.o.Sessions.EndOthers(ctx, person, hash(keep), event)
	}
	if errors.Is(err, store.ErrRevoked) { // the one to keep is over, so that nothing was done
		_, err = p.o.Sessions.EndPerson(ctx, person, event)
	}
	if err != nil {
		return fmt.Errorf("end the other sessions after a change of the password: %w", err)
	}
	return nil
}

// change has the directory change the password, and records what came of it. err is that of a login.
func (p *IdP) change(ctx context.Context, f *flow, found directory.Found, c PasswordChange,
	try attempt) (*directory.PasswordError, error) {
	// Made and recorded though the person may have gone: cut off half-way, nobody would know whether it was made. The
	// directory has its own limit of time, and changeTime is for the record.
	ctx = context.WithoutCancel(ctx)
	cause := p.o.Passwords.ChangePassword(ctx, found, c.Old, c.New, try.slow)
	refused := (*directory.PasswordError)(nil)
	if cause != nil && !errors.As(cause, &refused) {
		return nil, cause
	}
	event := p.event(f, "password-change", store.PersonID(found.Entry.ID))
	event.Outcome = "ok"
	if refused != nil {
		event.Outcome, event.Reason = "refused", string(refused.Refusal)
		p.refusedWith(ctx, "password change refused", f.v, f.sp.EntityID, Why{Reason: string(refused.Refusal),
			About: found.Entry.ID}, slog.Any("error", cause))
	}
	// The old password was right, so the try is returned.
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	if err := p.o.Throttle.Settle(ctx, try.settled(store.TryReturned), event); err != nil {
		return nil, fmt.Errorf("record a change of the password: %w", err)
	}
	p.flights.end(try.person)
	return refused, nil
}
