package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// State of an SSO user in the ledger.
type State string

// The states.
const (
	Wanted   State = "wanted"   // intention stored, nothing sent
	Sending  State = "sending"  // a worker holds the lease and may have sent it
	Unknown  State = "unknown"  // sent, outcome not known: resent with the very same body
	Active   State = "active"   // created, or told by an admin
	Assumed  State = "assumed"  // 409 after our own unknown: ours, not confirmed
	Conflict State = "conflict" // 409 from the first: somebody else has the name; an admin decides
	Refused  State = "refused"  // Constant Contact refuses these data
)

// SSOUser is a row of the ledger: a Constant Contact user for (person, client account).
type SSOUser struct {
	Person           PersonID
	Account          AccountID
	ExternalID       string
	ExternalProvider string
	LoginName        string
	ContactEmail     string
	FirstName        string
	LastName         string
	Role             Role // told at creation; can't be changed by API
	Mapping          int64
	State            State
	MaybeSent        bool // an earlier attempt may have arrived
	Attempts         int
	NextAttempt      time.Time
	LeaseUntil       time.Time
	ErrorKey         string // as Constant Contact said it
	ErrorText        string // in our words, with the mend
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Ledger is the record of whom we created at Constant Contact, and of whom we
// are about to: the partner API can't be asked. A row moves
//
//	wanted → sending → active, assumed, conflict or refused
//	            ↓↑
//	     unknown, or wanted again when surely nothing arrived
//
// and one that is conflict or refused goes back to wanted by WantAgain.
// (person, account), the external id with its provider, and the login name each
// stand in one row only.
type Ledger struct{ db *DB }

// Ledger returns the ledger of this database.
func (db *DB) Ledger() *Ledger { return &Ledger{db} }

const userColumns = `person_id, account, external_id, external_provider, login_name, contact_email,
	first_name, last_name, role, mapping, state, maybe_sent, attempts, next_attempt, lease_until,
	error_key, error_text, created_at, updated_at`

func scanUser(row scanner) (u SSOUser, err error) {
	var next, lease, created, updated int64
	err = row.Scan(&u.Person, &u.Account, &u.ExternalID, &u.ExternalProvider, &u.LoginName, &u.ContactEmail,
		&u.FirstName, &u.LastName, &u.Role, &u.Mapping, &u.State, &u.MaybeSent, &u.Attempts, &next, &lease,
		&u.ErrorKey, &u.ErrorText, &created, &updated)
	u.NextAttempt, u.LeaseUntil = fromMicros(next), fromMicros(lease)
	u.CreatedAt, u.UpdatedAt = fromMicros(created), fromMicros(updated)
	return u, err
}

// Get returns the SSO user of (person, account). ErrNotFound.
func (s *Ledger) Get(ctx context.Context, p PersonID, a AccountID) (SSOUser, error) {
	u, err := getUser(ctx, s.db.engine.reader(), p, a)
	return u, s.db.explain("get SSO user", err)
}

func getUser(ctx context.Context, q querier, p PersonID, a AccountID) (SSOUser, error) {
	return scanUser(q.QueryRowContext(ctx, `
		SELECT `+userColumns+`
		  FROM sso_users WHERE person_id = $1 AND account = $2`, string(p), string(a)))
}

// Person returns all SSO users of a person, by client account.
func (s *Ledger) Person(ctx context.Context, p PersonID) ([]SSOUser, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanUser, `
		SELECT `+userColumns+`
		  FROM sso_users WHERE person_id = $1 ORDER BY account`, string(p))
	return all, s.db.explain("list SSO users of a person", err)
}

// Want stores the intention to create u unless (person, account) has a row
// already; it returns the row as it stands and whether it is new. A new row is
// wanted, never sent, and due at u.NextAttempt or, when that is zero, at once;
// only then is the event recorded. ErrConflict: external_id (with provider) or
// login_name stands at another row.
func (s *Ledger) Want(ctx context.Context, u SSOUser, e Event) (row SSOUser, isNew bool, err error) {
	const what = "want SSO user"
	// Most calls find the row: waiting pages ask again and again.
	switch row, err = getUser(ctx, s.db.engine.reader(), u.Person, u.Account); {
	case err == nil:
		return row, false, nil
	case !errors.Is(err, sql.ErrNoRows):
		return SSOUser{}, false, s.db.explain(what, err)
	}
	u.State, u.MaybeSent, u.Attempts = Wanted, false, 0
	u.LeaseUntil, u.ErrorKey, u.ErrorText = time.Time{}, "", ""
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) (err error) {
		now := s.db.now()
		if isNew, err = insertUser(ctx, tx, u, now); err != nil {
			return err
		}
		if isNew {
			if err := addEvents(ctx, tx, now, []Event{e}); err != nil {
				return err
			}
		}
		row, err = getUser(ctx, tx, u.Person, u.Account)
		return err
	})
	if err != nil {
		return SSOUser{}, false, err
	}
	return row, isNew, nil
}

// insertUser adds a row unless (person, account) has one.
func insertUser(ctx context.Context, tx querier, u SSOUser, now time.Time) (isNew bool, err error) {
	if u.CreatedAt.IsZero() {
		u.CreatedAt = now
	}
	n, err := touched(ctx, tx, `
		INSERT INTO sso_users (`+userColumns+`, due_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT (person_id, account) DO NOTHING`,
		string(u.Person), string(u.Account), u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail,
		u.FirstName, u.LastName, string(u.Role), u.Mapping, string(u.State), u.MaybeSent, u.Attempts,
		micros(u.NextAttempt), micros(u.LeaseUntil), u.ErrorKey, u.ErrorText,
		micros(u.CreatedAt), micros(now), dueAt(u.State, u.NextAttempt, now))
	return n == 1, err
}

// dueAt is when a worker may take a row in this state; 0 when none may.
func dueAt(s State, next, now time.Time) int64 {
	switch {
	case s != Wanted && s != Unknown:
		return 0
	case next.IsZero():
		return micros(now)
	}
	return micros(next)
}

// WantAgain puts a refused or conflicting row that surely was not created back to
// wanted with new data (never after MaybeSent), and records the event. It does
// nothing if the row moved on. ErrConflict: the new external id or login name
// stands at another row.
func (s *Ledger) WantAgain(ctx context.Context, u SSOUser, e Event) error {
	return s.db.write(ctx, "want SSO user again", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := touched(ctx, tx, `
			UPDATE sso_users SET external_id = $1, external_provider = $2, login_name = $3,
			       contact_email = $4, first_name = $5, last_name = $6, role = $7, mapping = $8,
			       state = 'wanted', attempts = 0, next_attempt = $9, lease_until = 0, due_at = $10,
			       error_key = '', error_text = '', updated_at = $11
			 WHERE person_id = $12 AND account = $13
			   AND state IN ('refused', 'conflict') AND NOT maybe_sent`,
			u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail, u.FirstName, u.LastName,
			string(u.Role), u.Mapping, micros(u.NextAttempt), dueAt(Wanted, u.NextAttempt, now),
			micros(now), string(u.Person), string(u.Account))
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Claim takes the row that is due the longest (wanted, unknown, or sending with
// an expired lease), marks it sending under a lease, raises its attempts and
// returns it so. MaybeSent of the returned row tells of earlier attempts: it is set
// for unknown, and for an expired lease, since its worker may have sent before it
// died. Several workers may claim at once; each row goes to one. ErrNotFound:
// nothing is due. The clock is the database's.
func (s *Ledger) Claim(ctx context.Context, lease time.Duration) (SSOUser, error) {
	const what = "claim SSO user"
	// Nothing due is the usual answer and needs no writer.
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return SSOUser{}, s.db.explain(what, err)
	}
	if _, err := nextDue(ctx, s.db.engine.reader(), now); err != nil {
		return SSOUser{}, s.db.explain(what, err)
	}
	var u SSOUser
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		for {
			now, err := s.db.engine.clock(ctx, tx)
			if err != nil {
				return err
			}
			row, err := nextDue(ctx, tx, now)
			if err != nil {
				return err
			}
			// due_at is compared: on PostgreSQL another worker may have taken the
			// row since. Then the next one is looked for; each turn of the loop is
			// one claim by somebody, so it ends.
			u, err = scanUser(tx.QueryRowContext(ctx, `
				UPDATE sso_users SET
				       maybe_sent = maybe_sent OR state <> 'wanted', state = 'sending',
				       attempts = attempts + 1, lease_until = $1, due_at = $1, updated_at = $2
				 WHERE person_id = $3 AND account = $4 AND due_at = $5
				RETURNING `+userColumns,
				micros(now.Add(lease)), micros(now), row.person, row.account, row.due))
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
	})
	return u, err
}

type dueRow struct {
	person, account string
	due             int64
}

// nextDue finds the row that is due the longest by now.
func nextDue(ctx context.Context, q querier, now time.Time) (r dueRow, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT person_id, account, due_at FROM sso_users
		 WHERE due_at > 0 AND due_at <= $1
		 ORDER BY due_at, created_at LIMIT 1`, micros(now)).Scan(&r.person, &r.account, &r.due)
	return r, err
}

// NextDue tells when the next row is due, which may be in the past; for a row
// that is being sent, when its lease ends. ErrNotFound: none waits.
func (s *Ledger) NextDue(ctx context.Context) (time.Time, error) {
	var due int64
	err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT due_at FROM sso_users WHERE due_at > 0 ORDER BY due_at, created_at LIMIT 1`).Scan(&due)
	return fromMicros(due), s.db.explain("find next due SSO user", err)
}

// Settle stores the outcome of a claimed row (State, MaybeSent, NextAttempt,
// ErrorKey, ErrorText), with its event, if Attempts and LeaseUntil are still
// those of this claim and the row is still being sent. ErrConflict: another worker
// has taken it over since, and its outcome counts.
func (s *Ledger) Settle(ctx context.Context, u SSOUser, e Event) error {
	const what = "settle SSO user"
	if u.State == Sending {
		return s.db.explain(what, fmt.Errorf("state %q is no outcome", u.State))
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := touched(ctx, tx, `
			UPDATE sso_users SET state = $1, maybe_sent = $2, next_attempt = $3, lease_until = 0,
			       due_at = $4, error_key = $5, error_text = $6, updated_at = $7
			 WHERE person_id = $8 AND account = $9 AND state = 'sending'
			   AND attempts = $10 AND lease_until = $11`,
			string(u.State), u.MaybeSent, micros(u.NextAttempt), dueAt(u.State, u.NextAttempt, now),
			u.ErrorKey, u.ErrorText, micros(now),
			string(u.Person), string(u.Account), u.Attempts, micros(u.LeaseUntil))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Queue tells a waiting row's place (1 = next) and how many wait in all; rows
// that are being sent wait too. ErrNotFound: this one does not wait.
func (s *Ledger) Queue(ctx context.Context, p PersonID, a AccountID) (place, total int, err error) {
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT (SELECT COUNT(*) FROM sso_users o
		         WHERE o.due_at > 0
		           AND (o.due_at < u.due_at OR (o.due_at = u.due_at AND o.created_at <= u.created_at))),
		       (SELECT COUNT(*) FROM sso_users WHERE due_at > 0)
		  FROM sso_users u
		 WHERE u.person_id = $1 AND u.account = $2 AND u.due_at > 0`,
		string(p), string(a)).Scan(&place, &total)
	return place, total, s.db.explain("find place in the queue", err)
}

// CountByState counts the rows of each state that has any.
func (s *Ledger) CountByState(ctx context.Context) (map[State]int, error) {
	const what = "count SSO users"
	type count struct {
		state State
		n     int
	}
	counts, err := collect(ctx, s.db.engine.reader(), func(row scanner) (c count, err error) {
		err = row.Scan(&c.state, &c.n)
		return c, err
	}, `
		SELECT state, COUNT(*) FROM sso_users GROUP BY state`)
	if err != nil {
		return nil, s.db.explain(what, err)
	}
	all := make(map[State]int, len(counts))
	for _, c := range counts {
		all[c.state] = c.n
	}
	return all, nil
}

// Restored tells when this database was last restored from a copy; zero: never.
// The copy did not know whom we created after it was made, so after a restore a
// 409 for a row that is new here may well be our own user (row API-03).
func (s *Ledger) Restored(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT value FROM counters WHERE name = 'restored'`).Scan(&at)
	return fromMicros(at), s.db.explain("read time of the last restore", err)
}
