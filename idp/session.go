package idp

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// readTimeout bounds a re-read of the directory, whatever its own limits are.
const readTimeout = 15 * time.Second

// passwordChanged is a problem that only a comparison with the login shows.
const passwordChanged directory.Problem = "password_changed"

// session returns the visitor's live session, if a password began it: one that came of a launch token is none for
// whatever asks here. What goes on with sign-ins and sign-outs asks liveSession.
func (p *IdP) session(ctx context.Context, v Visitor) (store.Session, bool, error) {
	s, known, err := p.liveSession(ctx, v)
	if known && launchedBy(s) != "" {
		return store.Session{}, false, err
	}
	return s, known, err
}

// liveSession returns the visitor's live session, whatever began it. A sign-in asks opens before it goes on with it.
func (p *IdP) liveSession(ctx context.Context, v Visitor) (store.Session, bool, error) {
	if v.Session == "" || len(v.Session) > 256 {
		return store.Session{}, false, nil
	}
	s, err := p.o.Sessions.Get(ctx, hash(v.Session), p.o.SessionIdle)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Session{}, false, nil
	case err != nil:
		return store.Session{}, false, fmt.Errorf("read session: %w", err)
	}
	// The session belongs to the browser that logged in: its cookie alone, taken from there, opens nothing elsewhere. Both
	// are secrets, so they are compared in constant time.
	if browser := hash(v.Browser); len(browser) == 0 || subtle.ConstantTimeCompare(s.Browser, browser) != 1 {
		p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "session cookie comes from another browser than the login",
			slog.String("ref", v.Ref), slog.String("person", string(s.Person)), slog.String("address", v.Address))
		return store.Session{}, false, nil
	}
	FootprintOf(ctx).Known()
	if s.Proved.ID == "" {
		s.Methods = slices.DeleteFunc(s.Methods, mfa.IsKind) // the factor that was proved is gone
	}
	return s, true, nil
}

// SessionElsewhere tells whether a replica of the version before this one may know the visitor's session, while one is
// running or did within the last hour. Here it is none: it lacks what this version demands, and so would one that
// somebody wrote into the database.
func (p *IdP) SessionElsewhere(ctx context.Context, v Visitor) (bool, error) {
	if v.Session == "" || len(v.Session) > 256 || !p.older(ctx) {
		return false, nil
	}
	found, err := p.o.Sessions.Unvouched(ctx, hash(v.Session))
	if err != nil {
		return false, fmt.Errorf("look for a session of the version before: %w", err)
	}
	return found, nil
}

// reading returns what the directory says of the session's person: a live
// session is not a licence (row LDAP-11). One that is older than ReadingFresh is
// taken again. With the directory down, one up to ReadingStale old still serves.
// A problem says why there is none to go on with: Unavailable, an account that
// may not sign in any more, or a password that was changed after the login.
//
// cause is what keeps the directory from answering.
func (p *IdP) reading(ctx context.Context, s store.Session, v Visitor) (_ directory.Entry, _ directory.Problem, cause,
	err error) {
	var old directory.Entry
	if claims.SourceOf(string(s.Person)) != "" {
		e, problem := p.ofSource(s)
		return e, problem, nil, nil
	}
	age := p.o.Now().Sub(s.ReadAt)
	if err := json.Unmarshal(s.Reading, &old); err != nil {
		// Written by another version, perhaps: the directory still knows.
		p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "stored directory reading can't be read", slog.String("ref", v.Ref),
			slog.Any("cause", err))
		old, age = directory.Entry{}, max(p.o.ReadingFresh, p.o.ReadingStale)+1
	}
	if age <= p.o.ReadingFresh {
		return old, "", nil, nil
	}
	e, problem, cause, err := p.directoryAgain(ctx, s, old, v)
	if err != nil || problem != directory.Unavailable {
		return e, problem, nil, err
	}
	serves := age <= p.o.ReadingStale
	p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "directory does not answer", slog.String("ref", v.Ref),
		slog.String("fault", directory.Diagnose(cause).Text), slog.Any("cause", cause),
		slog.Duration("reading_age", age), slog.Bool("reading_serves", serves))
	if serves {
		return old, "", nil, nil
	}
	return directory.Entry{}, directory.Unavailable, cause, nil
}

// directoryAgain is readAgain that tells why there is no reading: a problem of the person, or Unavailable with its
// cause for the log.
func (p *IdP) directoryAgain(ctx context.Context, s store.Session, old directory.Entry, v Visitor) (e directory.Entry,
	problem directory.Problem, cause, err error) {
	e, err = p.readAgain(ctx, s, old)
	var failed *directory.Error
	switch {
	case err == nil:
		return e, e.Problem, nil, nil
	case ctx.Err() != nil:
		return directory.Entry{}, "", nil, fmt.Errorf("read person again: %w", err)
	case errors.Is(err, errStore):
		return directory.Entry{}, "", nil, err
	case errors.As(err, &failed) && failed.Problem != directory.Unavailable && failed.Problem != "":
		p.o.Logger.LogAttrs(ctx, slog.LevelInfo, "directory refuses a live session", slog.String("ref", v.Ref),
			slog.Any("cause", err))
		return directory.Entry{}, failed.Problem, nil, nil
	}
	return directory.Entry{}, directory.Unavailable, err, nil
}

// ofSource is what the token said of somebody whom the directory does not have: there is nobody to ask again. How long
// it counts is decided where the session is asked for.
func (p *IdP) ofSource(s store.Session) (directory.Entry, directory.Problem) {
	if e, ok := stored(s); ok && e.ID == string(s.Person) && e.Source == claims.SourceOf(e.ID) {
		return e, ""
	}
	return directory.Entry{}, directory.BadData
}

// errStore marks a failure of the store among those of the directory.
var errStore = errors.New("store")

// readAgain reads the directory once for all requests of a session that ask at
// the same time, and stores the new reading. It goes on when one of them gives
// up, so that the others get it.
func (p *IdP) readAgain(ctx context.Context, s store.Session, old directory.Entry) (directory.Entry, error) {
	if claims.SourceOf(string(s.Person)) != "" {
		e, problem := p.ofSource(s)
		e.Problem = problem
		return e, nil
	}
	result := p.readings.DoChan(string(s.TokenHash), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		e, err := p.o.Directory.Read(ctx, string(s.Person))
		if err != nil {
			return directory.Entry{}, err
		}
		switch {
		case e.Problem != "":
			return e, nil
		case e.ID != string(s.Person):
			e.Problem = directory.BadData // another person's entry: nothing of it may be used
			return e, nil
		case changedSince(s, old, e):
			e.Problem = passwordChanged
			return e, nil
		}
		if e.ReadAt.IsZero() {
			e.ReadAt = p.o.Now()
		}
		data, err := json.Marshal(e)
		if err != nil {
			return directory.Entry{}, fmt.Errorf("encode directory reading: %w", err)
		}
		// A session that was ended meanwhile stays ended; what is issued under it
		// notices for itself.
		if err := p.o.Sessions.SetReading(ctx, s.TokenHash, data, e.ReadAt); err != nil && !errors.Is(err,
			store.ErrNotFound) {
			return directory.Entry{}, fmt.Errorf("%w: store directory reading: %w", errStore, err)
		}
		return e, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return directory.Entry{}, r.Err
		}
		return r.Val.(directory.Entry), nil
	case <-ctx.Done():
		return directory.Entry{}, ctx.Err()
	}
}

// changedSince tells whether the password was changed after the session's login.
// Where the reading before this one tells a time of change, the two are compared,
// since both are the directory's; else the login's time by our clock decides.
func changedSince(s store.Session, old, now directory.Entry) bool {
	switch {
	case now.PasswordChanged.IsZero():
		return false
	case !old.PasswordChanged.IsZero():
		return now.PasswordChanged.After(old.PasswordChanged)
	}
	return now.PasswordChanged.After(s.AuthenticatedAt)
}

// endSession ends a session that may not go on, with the reason in the audit.
func (p *IdP) endSession(ctx context.Context, s store.Session, reason string, v Visitor) error {
	if err := p.o.Sessions.End(ctx, s.TokenHash, p.sessionEnd(s, reason, v)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// sessionEnd is the event of a session that was ended for a reason.
func (p *IdP) sessionEnd(s store.Session, reason string, v Visitor) store.Event {
	return store.Event{At: p.o.Now(), Ref: v.Ref, Actor: string(s.Person), Action: "session-end",
		Subject: string(s.Person), Address: v.Address, Outcome: "ok", Reason: reason}
}

// Logout ends our session and no other: service providers keep theirs until
// single logout is there (row SLO-04).
func (p *IdP) Logout(ctx context.Context, v Visitor) (Answer, error) {
	s, known, err := p.liveSession(ctx, v)
	if err != nil {
		return Answer{}, err
	}
	var page SignedOut
	if known {
		page = p.atProvider(ctx, page, launchedBy(s))
		err := p.o.Sessions.End(ctx, s.TokenHash, store.Event{
			At: p.o.Now(), Ref: v.Ref, Actor: string(s.Person), Action: "logout", Subject: string(s.Person),
			Address: v.Address, Outcome: "ok",
		})
		if err != nil {
			return Answer{}, fmt.Errorf("end session: %w", err)
		}
	}
	return Answer{Page: page, EndSession: true}, nil
}

// atProvider offers to sign out at the OpenID provider of a source, too. It is asked for its address before the page is
// shown, and not waited for long: without one, the person is signed out here all the same.
func (p *IdP) atProvider(ctx context.Context, page SignedOut, name string) SignedOut {
	if source, ok := p.source(name); ok && source.OpenID != nil {
		page.Elsewhere = p.o.OpenID.EndSession(ctx, source.Source, strings.TrimSuffix(p.o.PublicURL, "/")+"/logout")
		page.ElsewhereName = source.label()
	}
	return page
}

// SignedIn tells who the visitor's session belongs to, for page headers; ok is
// false without one.
func (p *IdP) SignedIn(ctx context.Context, v Visitor) (login string, ok bool, err error) {
	s, ok, err := p.liveSession(ctx, v)
	return s.Login, ok, err
}

// stored is the reading that a session has.
func stored(s store.Session) (directory.Entry, bool) {
	var e directory.Entry
	err := json.Unmarshal(s.Reading, &e)
	return e, err == nil
}
