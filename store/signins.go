package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"
)

// SignIn is a pending sign-in: what a launch or an AuthnRequest asked for, kept
// until it expires. Together with its SP's request id it is also the replay
// record of that request (saml-core 1.3.4), so ExpiresAt must lie behind the window in
// which a request is accepted.
type SignIn struct {
	ID         string // random, stands in URLs; worthless in another browser
	Browser    []byte // SHA-256 of the browser token it belongs to; empty until bound
	Address    string // client address that caused it, or its block, for the caps
	EntityID   string // the SP; "" while none is chosen
	RequestID  string // AuthnRequest ID; "" for a launch
	Account    AccountID
	Session    []byte // token hash of the session that last went on with it
	Data       []byte // idp's own, opaque here; emptied when the sign-in is finished
	CreatedAt  time.Time
	ExpiresAt  time.Time
	FinishedAt time.Time // zero while pending
}

// SignIns keeps the pending sign-ins.
type SignIns struct{ db *DB }

// SignIns returns the pending sign-ins of this database.
func (db *DB) SignIns() *SignIns { return &SignIns{db} }

// Caps bound what callers without a session can make us store (row WEB-09).
// They count sign-ins, finished or not, that have not expired and that no
// session has gone on with. Zero and less mean no bound.
//
// A flood from many addresses reaches Total, and must not keep people out with
// it. So a browser that somebody has signed in from before is held to PerAddress
// alone: strangers can't come by its cookie. And AuthnRequests of other browsers
// get three quarters of Total: a flood of them leaves the last quarter to
// launches. A request that came by a cross-site POST has no cookie (row WEB-03),
// and counts as another browser's.
type Caps struct {
	PerAddress int
	Total      int
}

// total is how many there may be, with this one, when its browser is not known.
func (c Caps) total(in SignIn) int {
	if in.RequestID == "" {
		return c.Total
	}
	return c.Total - c.Total/4
}

// sweep is how many expired rows are deleted at once. A statement has it as a text: PostgreSQL's plan for any limit
// takes it for a tenth of the table, and reads the whole.
const (
	sweep   = 100
	inSweep = "100"
)

// Create stores a pending sign-in. ErrConflict: this SP's request id was seen
// already (a replay), or the id is taken. ErrLimit: a cap is reached (see Caps for
// which one holds for whom). A zero CreatedAt becomes the present.
func (s *SignIns) Create(ctx context.Context, in SignIn, caps Caps) error {
	const what = "create sign-in"
	now := s.db.now()
	if in.CreatedAt.IsZero() {
		in.CreatedAt = now
	}
	counted := len(in.Session) == 0
	// A flood is refused by reading alone: it never queues before the writer,
	// where it would slow the sign-ins of others.
	if err := s.refuse(ctx, in, caps, counted, now); err != nil {
		return s.db.explain(what, err)
	}
	mac, err := s.db.vouchSignIn(in, s.db.upgrade(ctx))
	if err != nil {
		return s.db.explain(what, err)
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		if counted {
			if err := s.admit(ctx, tx, in, caps, now); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO sign_ins (id, browser, address, entity_id, request_id, account,
			    session, counted, data, created_at, expires_at, finished_at, mac)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			in.ID, maybe(in.Browser), in.Address, in.EntityID, in.RequestID, string(in.Account),
			maybe(in.Session), counted, maybe(in.Data),
			micros(in.CreatedAt), micros(in.ExpiresAt), micros(in.FinishedAt), mac)
		return err
	})
}

// refuse looks, without a lock, whether Create would be refused. Counts may be
// a moment old; admit decides.
func (s *SignIns) refuse(ctx context.Context, in SignIn, caps Caps, counted bool, now time.Time) error {
	var (
		seen, fromAddress, total int
		expired, known           bool
	)
	if err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT (SELECT COUNT(*) FROM sign_ins
		         WHERE entity_id = $1 AND request_id = $2 AND request_id <> ''),
		       (SELECT COUNT(*) FROM sign_ins
		         WHERE counted AND address = $3 AND expires_at > $4),
		       (SELECT value FROM counters WHERE name = 'pending'),
		       COALESCE((SELECT MIN(expires_at) FROM sign_ins) <= $4, FALSE),
		       EXISTS (SELECT 1 FROM known_browsers WHERE browser = $5)`,
		in.EntityID, in.RequestID, in.Address, micros(now), maybe(in.Browser)).
		Scan(&seen, &fromAddress, &total, &expired, &known); err != nil {
		return err
	}
	limit := caps.total(in)
	switch {
	case seen > 0:
		return ErrConflict
	case !counted:
		return nil
	case caps.PerAddress > 0 && fromAddress >= caps.PerAddress:
		return ErrLimit
	// The total includes what has expired; while there is some, admit makes room.
	case limit > 0 && total >= limit && !expired && !known:
		return ErrLimit
	}
	return nil
}

// admit counts one more, or answers ErrLimit. The counter's row lock puts
// creations one after the other on PostgreSQL, so the count by address is exact too.
func (s *SignIns) admit(ctx context.Context, tx querier, in SignIn, caps Caps, now time.Time) error {
	total, err := countPending(ctx, tx, 1)
	if err != nil {
		return err
	}
	if limit := caps.total(in); limit > 0 && total > limit {
		gone, deletedCounted, err := purgeSignIns(ctx, tx, now)
		if err != nil {
			return err
		}
		if gone == 0 || total-deletedCounted > limit {
			var known bool
			if err := tx.QueryRowContext(ctx, `
				SELECT EXISTS (SELECT 1 FROM known_browsers WHERE browser = $1)`,
				maybe(in.Browser)).Scan(&known); err != nil {
				return err
			}
			if !known {
				return ErrLimit
			}
		}
	}
	if caps.PerAddress <= 0 {
		return nil
	}
	var fromAddress int
	if err := tx.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM sign_ins WHERE counted AND address = $1 AND expires_at > $2`,
		in.Address, micros(now)).Scan(&fromAddress); err != nil {
		return err
	}
	if fromAddress >= caps.PerAddress {
		return ErrLimit
	}
	return nil
}

// countPending moves the counter of sign-ins without a session.
func countPending(ctx context.Context, tx querier, by int) (total int, err error) {
	err = tx.QueryRowContext(ctx, `
		UPDATE counters SET value = value + $1 WHERE name = 'pending' RETURNING value`, by).Scan(&total)
	return total, err
}

// uncount takes a sign-in out of the caps: a session has gone on with it. Where was becomes true, the counter has to
// follow.
func uncount(id string, was *bool) step {
	return step{
		text: `
			UPDATE sign_ins SET counted = FALSE WHERE id = $1 AND counted RETURNING id`,
		args: []any{id}, none: true,
		row: func(row scanner) error {
			var same string
			err := row.Scan(&same)
			*was = err == nil
			return err
		},
	}
}

// Get returns a sign-in that has not expired, finished or not. ErrNotFound: also for a row that this program did not
// write.
func (s *SignIns) Get(ctx context.Context, id string) (SignIn, error) {
	const what = "get sign-in"
	row, err := scanSignIn(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+signInColumns+`
		  FROM sign_ins
		 WHERE id = $1 AND expires_at > $2`, id, micros(s.db.now())))
	if err != nil {
		return SignIn{}, s.db.explain(what, err)
	}
	in, ok := s.db.trustedSignIn(row, s.db.upgrade(ctx))
	s.db.reportForeign(ctx)
	if !ok {
		return SignIn{}, s.db.explain(what, sql.ErrNoRows)
	}
	return in, nil
}

// Find tells, of a sign-in that travels sealed, whether it is stored by now, and whether its request was used by this
// or another one (a replay). An empty id or request is none.
func (s *SignIns) Find(ctx context.Context, id, entityID, requestID string) (stored, used bool, err error) {
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM sign_ins WHERE id = $1),
		       EXISTS (SELECT 1 FROM sign_ins WHERE entity_id = $2 AND request_id = $3 AND request_id <> '')`,
		id, entityID, requestID).Scan(&stored, &used)
	return stored, used, s.db.explain("find sign-in", err)
}

// Begin stores a sign-in that somebody known goes on with, and the events. Nothing bounds how many: in.Session names
// the session of theirs. ErrConflict as in begin.
func (s *SignIns) Begin(ctx context.Context, in SignIn, events ...Event) error {
	u := s.db.upgrade(ctx)
	return s.db.write(ctx, "begin sign-in", func(ctx context.Context, tx querier) error {
		if _, err := s.db.begin(ctx, tx, in, u); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// begin stores a sign-in that has travelled sealed until now. One of this id is there where another request of the same
// browser was first: they go on together, and made is false. ErrConflict: its request is another sign-in's (a replay),
// or the id is another browser's, or that of a row that no program of ours wrote.
func (db *DB) begin(ctx context.Context, tx querier, in SignIn, u upgrade) (made bool, err error) {
	begins, err := db.beginStep(in, u, &made)
	if err != nil {
		return false, err
	}
	if err := inSteps(ctx, tx, begins); err != nil || made {
		return made, err
	}
	return false, db.begunBefore(ctx, tx, in, u)
}

// beginStep is the first part of begin. Where nothing is made, begunBefore says what that means.
func (db *DB) beginStep(in SignIn, u upgrade, made *bool) (step, error) {
	mac, err := db.vouchSignIn(in, u)
	if err != nil {
		return step{}, err
	}
	return hit(made, `
		INSERT INTO sign_ins (id, browser, address, entity_id, request_id, account,
		    session, counted, data, created_at, expires_at, finished_at, mac)
		VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, $8, $9, $10, $11, $12)
		ON CONFLICT DO NOTHING
		RETURNING created_at`,
		in.ID, maybe(in.Browser), in.Address, in.EntityID, in.RequestID, string(in.Account),
		maybe(in.Session), maybe(in.Data), micros(in.CreatedAt), micros(in.ExpiresAt), micros(in.FinishedAt), mac), nil
}

// begunBefore looks at the sign-in that is there already.
func (db *DB) begunBefore(ctx context.Context, tx querier, in SignIn, u upgrade) error {
	row, err := scanSignIn(tx.QueryRowContext(ctx, `
		SELECT `+signInColumns+` FROM sign_ins WHERE id = $1`, in.ID))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrConflict
	case err != nil:
		return err
	}
	there, ok := db.trustedSignIn(row, u)
	if !ok || len(there.Browser) == 0 || !bytes.Equal(there.Browser, in.Browser) {
		return ErrConflict
	}
	return nil
}

// Bind ties an unbound sign-in to a browser; binding it again to the same one
// is fine. ErrConflict: it is bound to another one. ErrNotFound.
func (s *SignIns) Bind(ctx context.Context, id string, browser []byte) error {
	const what = "bind sign-in to a browser"
	if len(browser) == 0 {
		return s.db.explain(what, errors.New("empty browser hash"))
	}
	u := s.db.upgrade(ctx)
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		in, err := s.db.takeSignIn(ctx, tx, id, u)
		switch {
		case err != nil:
			return err
		case len(in.Browser) > 0 && !bytes.Equal(in.Browser, browser):
			return ErrConflict
		}
		in.Browser = browser
		mac, err := s.db.vouchSignIn(in, u)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE sign_ins SET browser = $1, mac = $2 WHERE id = $3`, browser, mac, id)
		return err
	})
}

// Update stores account, session and data of an unfinished sign-in, and the
// events. ErrFinished, ErrNotFound.
func (s *SignIns) Update(ctx context.Context, in SignIn, events ...Event) error {
	u := s.db.upgrade(ctx)
	return s.db.write(ctx, "update sign-in", func(ctx context.Context, tx querier) error {
		there, err := s.db.takeSignIn(ctx, tx, in.ID, u)
		switch {
		case err != nil:
			return err
		case !there.FinishedAt.IsZero():
			return ErrFinished
		}
		there.Account, there.Session, there.Data = in.Account, in.Session, in.Data
		mac, err := s.db.vouchSignIn(there, u)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE sign_ins SET account = $1, session = $2, data = $3, mac = $4 WHERE id = $5`,
			string(in.Account), maybe(in.Session), maybe(in.Data), mac, in.ID); err != nil {
			return err
		}
		if len(in.Session) > 0 {
			var counted bool
			if err := inSteps(ctx, tx, uncount(in.ID, &counted)); err != nil {
				return err
			}
			if counted {
				if _, err := countPending(ctx, tx, -1); err != nil {
					return err
				}
			}
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// Issue is what is stored, in one transaction, when a Response goes out.
type Issue struct {
	SignIn        string         // id of the pending sign-in; "" when none is stored
	Begins        *SignIn        // the sign-in, where nothing was stored of it before: it is stored as finished; nil: none
	Participation *Participation // nil for an error Response
	NameID        *NameID        // what the Response gives; nil where it need not be noted
	Ledger        *LedgerSignIn  // see SSOUser.NoteSignIn; nil where nothing is to be noted
	Events        []Event
}

// Finish uses the sign-in up, empties its data and records what was issued. ErrFinished: another request was first, and
// its Response is the only one that may leave (row SP-07). ErrConflict: the request of i.Begins belongs to another
// sign-in. ErrNotFound: the sign-in has expired, or the session of the participation has ended meanwhile; no Response
// may leave either. A live session's SeenAt moves along when it is more than a minute old. ErrNameIDTaken: the NameID
// was issued to another person; nothing is stored.
func (s *SignIns) Finish(ctx context.Context, i Issue) error {
	var u upgrade
	if i.Begins != nil || i.SignIn != "" {
		u = s.db.upgrade(ctx)
	}
	return s.db.write(ctx, "finish sign-in", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		id := i.SignIn
		if i.Begins != nil {
			in := *i.Begins
			in.Data, in.FinishedAt = nil, now
			made, err := s.db.begin(ctx, tx, in, u)
			if err != nil {
				return err
			}
			if !made { // stored by another request meanwhile: the first of the two finishes it
				id = in.ID
			}
		}
		var first []step
		if id != "" {
			used, err := s.db.useUp(ctx, tx, id, u, now)
			if err != nil {
				return err
			}
			first = append(first, used)
		}
		return i.record(ctx, tx, id, first, now)
	})
}

// record stores what goes out, behind what comes first.
func (i Issue) record(ctx context.Context, tx querier, id string, first []step, now time.Time) error {
	var (
		all     []step
		issued  nameIDLook
		counted bool
		noted   ledgerSignInLook
	)
	// The ledger's row before all others: forgetting a person locks them in this order too.
	if i.Ledger != nil {
		all = i.Ledger.steps(now, &noted)
	}
	all = append(all, first...)
	if i.Participation != nil {
		all = append(all, i.Participation.steps(now)...)
		if id != "" {
			all = append(all, uncount(id, &counted))
		}
	}
	// After the session's row: forgetting a person locks them in this order too.
	if i.NameID != nil {
		all = append(all, issued.step(i.NameID.Name))
	}
	events, err := eventSteps(ctx, now, i.Events)
	if err != nil {
		return err
	}
	if err := inSteps(ctx, tx, append(all, events...)...); err != nil {
		return err
	}
	if counted {
		if _, err := countPending(ctx, tx, -1); err != nil {
			return err
		}
	}
	if i.Ledger != nil {
		if err := i.Ledger.tell(ctx, tx, noted, now); err != nil {
			return err
		}
	}
	if i.NameID != nil {
		return issued.issue(ctx, tx, *i.NameID, now)
	}
	return nil
}

// Purge deletes what has expired, in small batches; it returns how many.
func (s *SignIns) Purge(ctx context.Context) (int, error) {
	return s.db.inBatches(ctx, "purge sign-ins", sweep, func(ctx context.Context, tx querier) (int, error) {
		// The counter first, as Create does: the same order of locks.
		if _, err := countPending(ctx, tx, 0); err != nil {
			return 0, err
		}
		n, _, err := purgeSignIns(ctx, tx, s.db.now())
		return n, err
	})
}

// purgeSignIns deletes one batch of expired sign-ins and moves the counter.
func purgeSignIns(ctx context.Context, tx querier, now time.Time) (gone, counted int, err error) {
	flags, err := collect(ctx, tx, func(row scanner) (counted bool, err error) {
		err = row.Scan(&counted)
		return counted, err
	}, `
		DELETE FROM sign_ins
		 WHERE id IN (SELECT id FROM sign_ins WHERE expires_at <= $1 ORDER BY expires_at LIMIT `+inSweep+`)
		RETURNING counted`, micros(now))
	if err != nil {
		return 0, 0, err
	}
	for _, flag := range flags {
		if flag {
			counted++
		}
	}
	if counted > 0 {
		_, err = countPending(ctx, tx, -counted)
	}
	return len(flags), counted, err
}

// inBatches runs a purge again and again, each time in a transaction of its own,
// until a batch is not full. So other writers get their turn in between; in a context of Gently it rests there.
func (db *DB) inBatches(ctx context.Context, what string, size int, batch func(context.Context, querier) (int,
	error)) (int, error) {
	total := 0
	for {
		n, began := 0, time.Now()
		err := db.write(ctx, what, func(ctx context.Context, tx querier) (err error) {
			n, err = batch(ctx, tx)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n < size {
			return total, nil
		}
		rest(ctx, began)
	}
}
