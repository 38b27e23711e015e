package idp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

// OwnSession is one of the sessions of the person who asks.
type OwnSession struct {
	ID    string    // names it on the person's own page, and does nothing in anybody else's hands
	Here  bool      // it is the one that asks
	Since time.Time // of the login
	Seen  time.Time // of the last use, to the minute
}

// OwnSessions lists the sessions of the visitor's person, the last used first, at
// most 100. It is empty where nobody is signed in.
func (p *IdP) OwnSessions(ctx context.Context, v Visitor) ([]OwnSession, error) {
	own, known, err := p.session(ctx, v)
	if err != nil || !known {
		return nil, err
	}
	all, err := p.o.Sessions.OfPerson(ctx, own.Person, p.o.SessionIdle)
	if err != nil {
		return nil, fmt.Errorf("list own sessions: %w", err)
	}
	list := make([]OwnSession, 0, len(all))
	for _, s := range all {
		list = append(list, OwnSession{
			ID: sessionID(s), Here: subtle.ConstantTimeCompare(s.TokenHash, own.TokenHash) == 1,
			Since: s.AuthenticatedAt, Seen: s.SeenAt,
		})
	}
	return list, nil
}

// EndOwnSession ends one session of the visitor's person, and tells whether it was
// the visitor's own. An id of somebody else's session, or of none, ends nothing:
// it is looked for among the person's own alone. The services that were opened from
// it are not told; that is what a single logout is for.
func (p *IdP) EndOwnSession(ctx context.Context, id string, v Visitor) (here bool, err error) {
	own, known, err := p.session(ctx, v)
	if err != nil || !known {
		return false, err
	}
	all, err := p.o.Sessions.OfPerson(ctx, own.Person, p.o.SessionIdle)
	if err != nil {
		return false, fmt.Errorf("list own sessions: %w", err)
	}
	for _, s := range all {
		if subtle.ConstantTimeCompare([]byte(sessionID(s)), []byte(id)) != 1 {
			continue
		}
		if err := p.o.Sessions.End(ctx, s.TokenHash, p.ended(own, v)); err != nil {
			return false, fmt.Errorf("end own session: %w", err)
		}
		return subtle.ConstantTimeCompare(s.TokenHash, own.TokenHash) == 1, nil
	}
	return false, nil // over already, which is what was asked for
}

// EndOtherSessions ends all sessions of the visitor's person but the visitor's own.
func (p *IdP) EndOtherSessions(ctx context.Context, v Visitor) error {
	own, known, err := p.session(ctx, v)
	if err != nil || !known {
		return err
	}
	if _, err := p.o.Sessions.EndOthers(ctx, own.Person, own.TokenHash, p.ended(own, v)); err != nil && !errors.Is(err,
		store.ErrRevoked) {
		return fmt.Errorf("end other own sessions: %w", err)
	}
	return nil
}

// ended is the audit event of sessions that their person ends.
func (p *IdP) ended(own store.Session, v Visitor) store.Event {
	return store.Event{
		At: p.o.Now(), Ref: v.Ref, Actor: string(own.Person), Action: "session-end", Subject: string(own.Person),
		Address: v.Address, Outcome: "ok", Reason: "own_choice",
	}
}

// sessionID names a session without its hash, which is the key of its row: what
// stands in a page must not be what the store finds a session by.
func sessionID(s store.Session) string {
	sum := sha256.Sum256(append([]byte("own session\x00"), s.TokenHash...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
