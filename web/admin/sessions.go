package admin

import (
	"context"
	"fmt"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Sessions is what is done with people's sessions with the bridge.
type Sessions struct {
	Store     *store.DB
	Directory PersonReader
	Idle      time.Duration // after which an unused session is over
}

// Find finds who is meant: a person id that has a session, or that the ledger or the directory knows, else a login
// name. Whoever has a session is found without the directory, so that an outage or a deleted entry keeps no session
// alive.
func (a Sessions) Find(ctx context.Context, who string) (store.PersonID, error) {
	who = store.TrimTyped(who)
	id := store.PersonID(directory.CanonicalID(who))
	live, err := a.Store.Sessions().OfPerson(ctx, id, a.Idle)
	if err != nil {
		return id, fmt.Errorf("look for the sessions of %.200q: %w", who, err)
	}
	if len(live) > 0 {
		id, err = ownID(ctx, a.Store, a.Directory, Everything(), id, who)
	} else {
		id, err = findPerson(ctx, a.Store, a.Directory, Everything(), who)
	}
	return id, refusal(err)
}

// List lists the live sessions of a person, the last used first, up to 100. People are not of one client account, so
// that it takes a scope of all.
func (a Sessions) List(ctx context.Context, s Scope, person store.PersonID) ([]store.Session, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	all, err := a.Store.Sessions().OfPerson(ctx, person, a.Idle)
	if err != nil {
		return nil, fmt.Errorf("list the sessions of %s: %w", person, err)
	}
	return all, nil
}

// End ends all sessions of a person, and the sign-ins that are under way: it is done, and recorded, where none is live
// too. It returns how many there were. e starts the event that it leaves.
func (a Sessions) End(ctx context.Context, s Scope, person store.PersonID, e store.Event) (int, error) {
	if err := s.whole(); err != nil {
		return 0, err
	}
	e.Action, e.Subject, e.Reason = "session-end", string(person), "by_admin"
	n, err := a.Store.Sessions().EndPerson(ctx, person, e)
	if err != nil {
		return 0, fmt.Errorf("end the sessions of %s: %w", person, err)
	}
	return n, nil
}
