package store

import (
	"context"
	"time"
)

// Act is what a change of a person's own factors rests on. The transaction that stores the change looks at all of it
// again: what was true when the way to it began, or when its page was shown, is no reason to store anything.
//
// ErrRevoked: the session is over, or something of the person was revoked since. ErrStale: the login is more than ten
// minutes old, the directory reading more than a minute or not the session's last, or the configuration has changed.
type Act struct {
	Session []byte    // token hash of the session in which it is done
	ReadAt  time.Time // of the directory reading by which it was decided what role the person has
	Changes int64     // the change counter of the configuration by which it was decided what is asked of the person
	// KeepOthers lets the person's other sessions go on after the change.
	KeepOthers bool
}

// How young what an act rests on has to be.
const (
	ActLogin   = 10 * time.Minute
	ActReading = time.Minute
)

// allowed returns the session of an act that may be done.
func (db *DB) allowed(ctx context.Context, tx querier, person PersonID, a Act, now time.Time) (Session, error) {
	n, err := db.living(ctx, tx, person, a.Session)
	if err != nil {
		return n, err
	}
	var changes int64
	if err := tx.QueryRowContext(ctx, `
		SELECT value FROM counters WHERE name = 'changes'`).Scan(&changes); err != nil {
		return n, err
	}
	switch {
	case now.Sub(n.AuthenticatedAt) > ActLogin,
		now.Sub(n.ReadAt) > ActReading,
		micros(n.ReadAt) != micros(a.ReadAt),
		changes != a.Changes:
		return n, ErrStale
	}
	return n, nil
}

// afterChange ends the person's other sessions after a change of their factors, and stores the one in which it was
// done. Where the others may go on, a removal still raises the epoch: a proof of the factor that is under way stores
// nothing.
func (db *DB) afterChange(ctx context.Context, tx querier, person PersonID, session Session, keepOthers,
	removed bool) (epoch int64, err error) {
	kept := []Session{session}
	if keepOthers {
		if !removed {
			return session.Epoch, db.carry(ctx, tx, session)
		}
		if kept, err = db.sessionsOf(ctx, tx, person); err != nil {
			return 0, err
		}
	}
	_, epoch, err = db.revoke(ctx, tx, person, kept...)
	return epoch, err
}
