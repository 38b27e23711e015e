package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Session is a person's session with the bridge.
type Session struct {
	TokenHash       []byte // SHA-256 of the cookie's token; the token itself is never stored
	Person          PersonID
	Login           string
	Browser         []byte
	AuthenticatedAt time.Time
	Methods         []string  // what was really done, such as "password"
	Reading         []byte    // last directory reading, idp's own encoding
	ReadAt          time.Time // when the reading was taken
	SeenAt          time.Time
	ConsoleAt       time.Time // last use of the admin console; zero: none. Written by UsedConsole only
	EndsAt          time.Time // absolute end
	Factor          string    // id of the second factor that was proved in it; "" for none
	Epoch           int64     // the person's when it was stored; a session of another epoch is over

	// Proved is the factor that Factor names, without what it is proved by; zero where it is gone. It is read, and not
	// stored.
	Proved SecondFactor

	// Mark is what Sessions.Mark returned before the password was looked at; used by Create only. A login that was
	// begun before a revocation stores nothing.
	Mark int64
	// KnownAs is the login under which the browser is known from now on (see
	// Throttle.KnownBrowser), in the form in which it will be asked for; ""
	// stands for Login. Used by Create only. See KnownByToken.
	KnownAs string
	// Name is how the person is called, for lists that show it: see People. Used by Create only; "" where Login says it.
	Name string
	// Try is the try to log in that this session comes of, and Proof the second factor that was proved: what is counted of
	// either ends with it. Used by Create only and not stored.
	Try   EndedTry
	Proof Proof
	// Uses is the token of a source that the session comes of, which begins no other; nil: none. Used by Create only.
	Uses *UsedToken
	// SourcePerson is what that token said of a person whom no directory has; nil: the directory has them. Used by Create
	// only.
	SourcePerson *SourcePerson
	// Begins is the sign-in that led to this login, where nothing was stored of it before; nil: none. Used
	// by Create only.
	Begins *SignIn
}

// Sessions keeps the sessions and their participations.
type Sessions struct{ db *DB }

// Sessions returns the sessions of this database.
func (db *DB) Sessions() *Sessions { return &Sessions{db} }

// seenGrain is how old SeenAt must be before it is written again.
const seenGrain = time.Minute

// Create stores a session, ends the one it replaces (replaces may be nil), notes that this browser was used by this
// login, ends the try and the guesses that it comes of, and records the events: one transaction. A zero SeenAt becomes
// the present. The participations of a replaced session of the same person go over to the new one: who proves
// themselves again still wants to be signed out everywhere. ErrRevoked: something of the person was revoked since
// n.Mark was read. ErrConflict: the request of n.Begins belongs to another sign-in already; no session is stored then.
// ErrTokenUsed, ErrRevoked, ErrSignedOut: so it is with the token of n.Uses.
func (s *Sessions) Create(ctx context.Context, n Session, replaces []byte, events ...Event) error {
	var u upgrade
	if n.Begins != nil {
		u = s.db.upgrade(ctx)
	}
	return s.db.write(ctx, "create session", func(ctx context.Context, tx querier) (err error) {
		now := s.db.now()
		// A revocation that commits after this is read leaves a session of an older epoch, which is none.
		first := []step{epochStep(n.Person, &n.Epoch)}
		var made bool
		if n.Begins != nil {
			begins, err := s.db.beginStep(*n.Begins, u, &made)
			if err != nil {
				return err
			}
			first = append(first, begins)
		}
		if err := inSteps(ctx, tx, first...); err != nil {
			return err
		}
		if n.Epoch > n.Mark {
			return ErrRevoked
		}
		if n.Uses != nil {
			if err := n.Uses.use(ctx, tx); err != nil {
				return err
			}
			if err := n.Uses.begins(ctx, tx, n); err != nil {
				return err
			}
		}
		if n.Begins != nil && !made {
			if err := s.db.begunBefore(ctx, tx, *n.Begins, u); err != nil {
				return err
			}
		}
		return s.db.follow(ctx, tx, n, replaces, now, events)
	})
}

// arrived notes that the browser of a new session is known from now on, and settles what is counted of its login.
func arrived(n Session, now time.Time) (all []step) {
	if known := cmp.Or(n.KnownAs, n.Login); len(n.Browser) > 0 && known != "" {
		all = append(all, step{
			text: `
				INSERT INTO known_browsers (login, browser, seen_at) VALUES ($1, $2, $3)
				ON CONFLICT (login, browser) DO UPDATE SET seen_at = excluded.seen_at`,
			args: []any{known, n.Browser, micros(now)},
		})
	}
	if len(n.Browser) > 0 {
		all = append(all, useBrowser(n.Person, n.Browser, now))
	}
	if n.Login != "" {
		all = append(all, called(n, now))
	}
	if n.SourcePerson != nil {
		all = append(all, n.SourcePerson.came(now))
	}
	return append(all, n.Try.end()...)
}

// follow stores a session with its events. Where old is not empty, the session takes the place of that one.
func (db *DB) follow(ctx context.Context, tx querier, n Session, old []byte, now time.Time, events []Event) error {
	session, err := db.insertSession(n, now)
	if err != nil {
		return err
	}
	recorded, err := eventSteps(ctx, now, events)
	if err != nil {
		return err
	}
	all := []step{session}
	if len(old) > 0 && !bytes.Equal(old, n.TokenHash) {
		all = append(all, replace(old, n)...)
	}
	if err := inSteps(ctx, tx, slices.Concat(all, arrived(n, now), recorded)...); err != nil {
		return err
	}
	return proved(ctx, tx, n.Proof, now)
}

// living is the session of a person that a transaction rests on. Its row is locked, so that whoever ends it waits, or
// has ended it. ErrRevoked: it is over.
func (db *DB) living(ctx context.Context, tx querier, p PersonID, tokenHash []byte) (n Session, err error) {
	found, err := rowsAffected(ctx, tx, `
		UPDATE sessions SET seen_at = seen_at WHERE token_hash = $1`, blob(tokenHash))
	if err != nil {
		return n, err
	}
	if found == 0 {
		return n, ErrRevoked
	}
	row, err := scanSession(tx.QueryRowContext(ctx, `
		SELECT `+sessionColumns+`
		  FROM `+sessionTables+`
		 WHERE s.token_hash = $1`, blob(tokenHash)))
	if err != nil {
		return n, err
	}
	n, ok := db.trusted(row)
	if !ok || n.Person != p || !n.EndsAt.After(db.now()) {
		return n, ErrRevoked
	}
	return n, nil
}

// revoke raises a person's epoch and ends their sessions but those that are kept, which go over to the new epoch. It
// returns how many ended. A kept session is the person's own, who has done this in it: an order of a client account
// that nothing has revoked so far goes on too. Where none is kept, it stops.
func (db *DB) revoke(ctx context.Context, tx querier, p PersonID, kept ...Session) (ended, epoch int64, err error) {
	// Sessions first and the counter after them, as whoever changes a factor in a session does: the same order of locks.
	if _, err := tx.ExecContext(ctx, `
		UPDATE sessions SET seen_at = seen_at WHERE person_id = $1`, string(p)); err != nil {
		return 0, 0, err
	}
	before, err := personEpoch(ctx, tx, p)
	if err != nil {
		return 0, 0, err
	}
	if epoch, err = nextEpoch(ctx, tx, p); err != nil {
		return 0, 0, err
	}
	if len(kept) > 0 {
		if err := carrySelfOrder(ctx, tx, p, before, epoch); err != nil {
			return 0, 0, err
		}
	}
	for _, n := range kept {
		n.Epoch = epoch
		if err := db.carry(ctx, tx, n); err != nil {
			return 0, 0, err
		}
	}
	ended, err = rowsAffected(ctx, tx, `
		DELETE FROM sessions WHERE person_id = $1 AND epoch <> $2`, string(p), epoch)
	return ended, epoch, err
}

// carry stores epoch and factor of a session that the transaction has looked at.
func (db *DB) carry(ctx context.Context, tx querier, n Session) error {
	methods, err := json.Marshal(n.Methods)
	if err != nil {
		return err
	}
	row := sessionRow{Session: n, methods: string(methods)}
	mac, err := db.vouch(sessionPurpose, row.fields()...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE sessions SET methods = $1, factor = $2, epoch = $3, mac = $4 WHERE token_hash = $5`,
		row.methods, n.Factor, n.Epoch, mac, n.TokenHash)
	return err
}

// sessionsOf are a person's sessions that a transaction may keep.
func (db *DB) sessionsOf(ctx context.Context, tx querier, p PersonID) (all []Session, err error) {
	rows, err := collect(ctx, tx, scanSession, `
		SELECT `+sessionColumns+`
		  FROM `+sessionTables+`
		 WHERE s.person_id = $1`, string(p))
	for _, row := range rows {
		if n, ok := db.trusted(row); ok {
			all = append(all, n)
		}
	}
	return all, err
}

// Purposes of the MACs of a session. The reading has its own: it is replaced alone, and the version before replaces it
// without one. Then the directory is read again, and nobody is signed out.
const (
	sessionPurpose = "session"
	readingPurpose = "session reading"
)

// sessionColumns of sessionTables are those of a sessionRow: with the person's epoch and the factor that was proved, in
// one statement.
const (
	sessionColumns = `s.token_hash, s.person_id, s.login, s.browser, s.authenticated_at, s.methods, s.factor,
		       s.reading, s.read_at, s.seen_at, s.console_at, s.ends_at, s.epoch, s.mac, s.reading_mac,
		       COALESCE((SELECT e.epoch FROM person_epochs e WHERE e.person_id = s.person_id), 0),
		       COALESCE(f.id, ''), COALESCE(f.kind, ''), COALESCE(f.created_at, 0), COALESCE(f.enrolled_by, ''),
		       COALESCE(f.confirmed_at, 0), COALESCE(f.noticed_at, 0), COALESCE(f.epoch, 0), f.mac`
	sessionTables = `sessions s LEFT JOIN second_factors f ON f.id = s.factor AND f.person_id = s.person_id`
)

// Get returns a session whose absolute end and idle limit have not passed. ErrNotFound: also for a row that this
// program did not write, or that is of an older epoch of the person. An idle of zero or less means no idle limit.
func (s *Sessions) Get(ctx context.Context, tokenHash []byte, idle time.Duration) (Session, error) {
	const what = "get session"
	now := s.db.now()
	var row sessionRow
	var changes int64 // whoever reads a session compares caches next
	if err := inSteps(ctx, s.db.engine.reader(), step{
		text: s.db.session,
		args: []any{blob(tokenHash), micros(now), idleSince(now, idle)},
		row: func(r scanner) (err error) {
			row, err = scanSession(rowAnd{r, []any{&changes}})
			return err
		},
	}); err != nil {
		return Session{}, s.db.explain(what, err)
	}
	readingOf(ctx).set(changes)
	n, ok := s.db.trusted(row)
	s.db.reportForeign(ctx)
	if !ok {
		return Session{}, s.db.explain(what, sql.ErrNoRows)
	}
	return n, nil
}

// Unvouched tells whether there is a live session under this token that no program of this version wrote: one of a
// replica of the version before, or a forged one. It is a session to nobody here.
func (s *Sessions) Unvouched(ctx context.Context, tokenHash []byte) (bool, error) {
	const what = "look for a session of the version before"
	row, err := scanSession(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+sessionColumns+`
		  FROM `+sessionTables+`
		 WHERE s.token_hash = $1 AND s.ends_at > $2`, blob(tokenHash), micros(s.db.now())))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, s.db.explain(what, err)
	}
	return !s.db.vouched(row.mac, sessionPurpose, row.fields()...), nil
}

// idleSince is the SeenAt at which a session has idled out by now.
func idleSince(now time.Time, idle time.Duration) int64 {
	if idle <= 0 {
		return -1
	}
	return micros(now.Add(-idle))
}

// SetReading stores a new directory reading, unless a newer one is there
// already. ErrNotFound: the session has ended.
func (s *Sessions) SetReading(ctx context.Context, tokenHash, reading []byte, at time.Time) error {
	const what = "store directory reading"
	mac, err := s.db.vouch(readingPurpose, tokenHash, reading, number(micros(at)))
	if err != nil {
		return s.db.explain(what, err)
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE sessions SET reading = $1, read_at = $2, reading_mac = $3 WHERE token_hash = $4 AND read_at <= $2`,
			maybe(reading), micros(at), mac, blob(tokenHash))
		if err != nil || n == 1 {
			return err
		}
		var one int
		return tx.QueryRowContext(ctx, `
			SELECT 1 FROM sessions WHERE token_hash = $1`, blob(tokenHash)).Scan(&one)
	})
}

// UsedConsole notes that the admin console was used in a session: a use of the session as well. It is written at most
// once a minute, however many requests there are; a session that has ended stays so.
func (s *Sessions) UsedConsole(ctx context.Context, tokenHash []byte) error {
	return s.db.write(ctx, "note a use of the console", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		_, err := tx.ExecContext(ctx, `
			UPDATE sessions SET console_at = $1, seen_at = CASE WHEN seen_at < $1 THEN $1 ELSE seen_at END
			 WHERE token_hash = $2 AND console_at <= $3`,
			micros(now), blob(tokenHash), micros(now.Add(-seenGrain)))
		return err
	})
}

// End deletes a session and its participations. Ending none is no error; the
// events are recorded either way.
func (s *Sessions) End(ctx context.Context, tokenHash []byte, events ...Event) error {
	return s.db.write(ctx, "end session", func(ctx context.Context, tx querier) error {
		if _, err := endSession(ctx, tx, tokenHash); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// endSession deletes by token hash; the participations go by foreign key.
func endSession(ctx context.Context, tx querier, tokenHash []byte) (int64, error) {
	return rowsAffected(ctx, tx, endSessionStatement, blob(tokenHash))
}

const endSessionStatement = `

		DELETE FROM sessions WHERE token_hash = $1`

// EndPerson ends all sessions of a person, raises their epoch, and returns how many there were.
func (s *Sessions) EndPerson(ctx context.Context, p PersonID, events ...Event) (int, error) {
	var n int64
	err := s.db.write(ctx, "end sessions of a person", func(ctx context.Context, tx querier) (err error) {
		if n, _, err = s.db.revoke(ctx, tx, p); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return int(n), err
}

// OfPerson returns the live sessions of a person, the last used first, at most 100.
// An idle of zero or less means no idle limit.
func (s *Sessions) OfPerson(ctx context.Context, p PersonID, idle time.Duration) ([]Session, error) {
	now := s.db.now()
	rows, err := collect(ctx, s.db.engine.reader(), scanSession, `
		SELECT `+sessionColumns+`
		  FROM `+sessionTables+`
		 WHERE s.person_id = $1 AND s.ends_at > $2 AND s.seen_at > $3
		 ORDER BY s.seen_at DESC, s.token_hash LIMIT 100`,
		string(p), micros(now), idleSince(now, idle))
	if err != nil {
		return nil, s.db.explain("list sessions of a person", err)
	}
	var all []Session
	for _, row := range rows {
		if n, ok := s.db.trusted(row); ok {
			all = append(all, n)
		}
	}
	s.db.reportForeign(ctx)
	return all, nil
}

// EndOthers ends all sessions of a person but one, raises their epoch, and returns how many there were.
// ErrRevoked: the one that was to be kept is over, and nothing was done.
func (s *Sessions) EndOthers(ctx context.Context, p PersonID, keep []byte, events ...Event) (int, error) {
	var n int64
	err := s.db.write(ctx, "end other sessions of a person", func(ctx context.Context, tx querier) error {
		kept, err := s.db.living(ctx, tx, p, keep)
		if err != nil {
			return err
		}
		if n, _, err = s.db.revoke(ctx, tx, p, kept); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return int(n), err
}

// Purge deletes what has ended or idled out, in small batches; it returns how many.
func (s *Sessions) Purge(ctx context.Context, idle time.Duration) (int, error) {
	s.db.reportForeign(ctx) // those of the last minute, when no more are found
	ended, err := s.db.inBatches(ctx, "purge ended sessions", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM sessions WHERE token_hash IN
			    (SELECT token_hash FROM sessions WHERE ends_at <= $1 ORDER BY ends_at LIMIT `+inSweep+`)`,
			micros(s.db.now()))
		return int(n), err
	})
	if err != nil {
		return ended, err
	}
	idled, err := s.db.inBatches(ctx, "purge idle sessions", sweep, func(ctx context.Context, tx querier) (int, error) {
		// The condition stands outside again: on PostgreSQL a session may have
		// been seen since the inner query read it.
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM sessions WHERE seen_at <= $1 AND token_hash IN
			    (SELECT token_hash FROM sessions WHERE seen_at <= $1 ORDER BY seen_at LIMIT `+inSweep+`)`,
			idleSince(s.db.now(), idle))
		return int(n), err
	})
	return ended + idled, err
}
