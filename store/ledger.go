package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
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
	// Suspended by an admin: refuses sign-ins and is not sent. SSOUser.Before tells what it was.
	Suspended State = "suspended"
)

// Priority of a row in the queue: the lowest goes first.
type Priority int

// The classes.
const (
	SignInPriority Priority = 0 // a person waits for it
	RetryPriority  Priority = 1 // tried again for nobody who waits
	PlanPriority   Priority = 2 // of a plan
)

// String is the word by which the budget knows the class.
func (c Priority) String() string {
	switch c {
	case SignInPriority:
		return "sign-in"
	case RetryPriority:
		return "retry"
	}
	return "plan"
}

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
	Attempts         int  // claims, also those whose process died
	Failures         int  // attempts in a row without a clear answer; the back-off depends on them
	Throttles        int  // how often in a row it was asked for a slower pace
	NextAttempt      time.Time
	Earliest         time.Time // before which not even a waiting person gets the next attempt, see Prioritize
	LeaseUntil       time.Time
	ErrorKey         string // as Constant Contact said it
	ErrorText        string // in our words, with what fixes it
	Cause            string // of ErrorText, in one word for programs; "" where there is none
	CreatedAt        time.Time
	UpdatedAt        time.Time
	Priority         Priority
	Plan             int64     // the plan that made it; 0: none
	Before           State     // of a suspended row: what it goes back to
	FirstSignIn      time.Time // by a Response of ours; zero: not since that is noted
	SignedIn         time.Time // the last one, to a day

	// Changed is the open manual task about the person's data, as far as NoteChanged and DropChanged need it; nil: none.
	// Get alone reads it.
	Changed *ManualTask
}

// Ledger is the record of whom we created at Constant Contact, and of whom we
// are about to: the partner API can't be asked. A row moves
//
//	wanted → sending → active, assumed, conflict or refused
//	            ↓↑
//	     unknown, or wanted again when surely nothing arrived
//
// and one that is conflict or refused goes back to wanted by WantAgain or Again.
// An admin can suspend any of them, and tell of users that exist (Adopt).
// (person, account), the external id with its provider, and the login name each
// stand in one row only.
type Ledger struct{ db *DB }

// Ledger returns the ledger of this database.
func (db *DB) Ledger() *Ledger { return &Ledger{db} }

const userColumns = `person_id, account, external_id, external_provider, login_name, contact_email,
	first_name, last_name, role, mapping, state, maybe_sent, attempts, next_attempt, lease_until,
	error_key, error_text, created_at, updated_at, class, plan, before_state, failures, earliest_attempt,
	error_cause, cause_at, throttles, first_sign_in_at, signed_in_at`

func scanUser(row scanner) (u SSOUser, err error) {
	var next, lease, created, updated, earliest, causeAt, first, signedIn int64
	err = row.Scan(&u.Person, &u.Account, &u.ExternalID, &u.ExternalProvider, &u.LoginName, &u.ContactEmail,
		&u.FirstName, &u.LastName, &u.Role, &u.Mapping, &u.State, &u.MaybeSent, &u.Attempts, &next, &lease,
		&u.ErrorKey, &u.ErrorText, &created, &updated, &u.Priority, &u.Plan, &u.Before, &u.Failures, &earliest,
		&u.Cause, &causeAt, &u.Throttles, &first, &signedIn)
	u.NextAttempt, u.LeaseUntil, u.Earliest = fromMicros(next), fromMicros(lease), fromMicros(earliest)
	u.CreatedAt, u.UpdatedAt = fromMicros(created), fromMicros(updated)
	u.FirstSignIn, u.SignedIn = fromMicros(first), fromMicros(signedIn)
	switch {
	case u.ErrorText == "":
		u.Cause = ""
	case causeAt != updated:
		// Another program, or another statement, wrote the row since: the text begins with the word.
		word, _, found := strings.Cut(u.ErrorText, ": ")
		if u.Cause = ""; found {
			u.Cause = word
		}
	}
	return u, err
}

// Get returns the SSO user of (person, account). ErrNotFound.
func (s *Ledger) Get(ctx context.Context, p PersonID, a AccountID) (SSOUser, error) {
	var u SSOUser
	var task ManualTask
	var found int64
	err := inSteps(ctx, s.db.engine.reader(), userStep(&u, p, a), step{
		text: `
		SELECT first_name, last_name, contact_email, found_at
		  FROM changed_users WHERE person_id = $1 AND account = $2 AND done_at = 0`,
		args: []any{string(p), string(a)}, none: true,
		row: func(row scanner) error {
			return row.Scan(&task.Now.FirstName, &task.Now.LastName, &task.Now.ContactEmail, &found)
		},
	})
	if err == nil && found != 0 {
		task.Person, task.Account, task.Kind, task.FoundAt = p, a, ItemData, fromMicros(found)
		u.Changed = &task
	}
	return u, s.db.explain("get SSO user", err)
}

func getUser(ctx context.Context, q querier, p PersonID, a AccountID) (u SSOUser, err error) {
	err = inSteps(ctx, q, userStep(&u, p, a))
	return u, err
}

// userStep reads the row of (person, account).
func userStep(u *SSOUser, p PersonID, a AccountID) step {
	return step{
		text: `
		SELECT ` + userColumns + `
		  FROM sso_users WHERE person_id = $1 AND account = $2`,
		args: []any{string(p), string(a)},
		row: func(row scanner) (err error) {
			*u, err = scanUser(row)
			return err
		},
	}
}

// Person returns all SSO users of a person, by client account.
func (s *Ledger) Person(ctx context.Context, p PersonID) ([]SSOUser, error) {
	all, err := usersOf(ctx, s.db.engine.reader(), p)
	return all, s.db.explain("list SSO users of a person", err)
}

// usersOf are all SSO users of a person, by client account.
func usersOf(ctx context.Context, q querier, p PersonID) ([]SSOUser, error) {
	return collect(ctx, q, scanUser, `
		SELECT `+userColumns+`
		  FROM sso_users WHERE person_id = $1 ORDER BY account`, string(p))
}

// Enqueue stores the intention to create u unless (person, account) has a row
// already; it returns the row as it stands and whether it is new. A new row is
// wanted, never sent, keeps Priority and Plan, and is due at u.NextAttempt or, when
// that is zero, at once; only then is the event recorded. ErrConflict: external_id
// (with provider) or login_name stands at another row; a *CaseClashError: the
// external_id does in another letter case.
func (s *Ledger) Enqueue(ctx context.Context, u SSOUser, e Event) (row SSOUser, isNew bool, err error) {
	const what = "want SSO user"
	// Most calls find the row: waiting pages ask again and again.
	switch row, err = getUser(ctx, s.db.engine.reader(), u.Person, u.Account); {
	case err == nil:
		return row, false, nil
	case !errors.Is(err, sql.ErrNoRows):
		return SSOUser{}, false, s.db.explain(what, err)
	}
	u.State, u.MaybeSent, u.Attempts, u.Before = Wanted, false, 0, ""
	u.LeaseUntil, u.ErrorKey, u.ErrorText = time.Time{}, "", ""
	u.Failures, u.Throttles, u.Earliest = 0, 0, time.Time{}
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) (err error) {
		// The database's clock: who comes first on any replica is created first.
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		if err := checkExternalID(ctx, tx, u); err != nil {
			return err
		}
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
	if errors.Is(err, ErrConflict) {
		// Where transactions are serializable, one that lost to another of the same person may be told of the duplicate.
		if row, err := getUser(ctx, s.db.engine.reader(), u.Person, u.Account); err == nil {
			return row, false, nil
		}
	}
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
	n, err := rowsAffected(ctx, tx, `
		INSERT INTO sso_users (`+userColumns+`, due_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
		    $21, $22, $23, $24, '', 0, 0, 0, 0, $25)
		ON CONFLICT (person_id, account) DO NOTHING`,
		string(u.Person), string(u.Account), u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail,
		u.FirstName, u.LastName, string(u.Role), u.Mapping, string(u.State), u.MaybeSent, u.Attempts,
		micros(u.NextAttempt), micros(u.LeaseUntil), u.ErrorKey, u.ErrorText,
		micros(u.CreatedAt), micros(now), int(u.Priority), u.Plan, string(u.Before), u.Failures, micros(u.Earliest),
		dueAt(u.State, u.NextAttempt, now))
	return n == 1, err
}

// WantAgain puts a refused or conflicting row that surely was not created back to
// wanted with new data (never after MaybeSent) in class u.Priority, and records the
// event. It does nothing if the row moved on. ErrConflict: the new external id or login name
// stands at another row, a *CaseClashError as for Enqueue.
func (s *Ledger) WantAgain(ctx context.Context, u SSOUser, e Event) error {
	return s.db.write(ctx, "want SSO user again", func(ctx context.Context, tx querier) error {
		if err := checkExternalID(ctx, tx, u); err != nil {
			return err
		}
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		n, err := rowsAffected(ctx, tx, `
			UPDATE sso_users SET external_id = $1, external_provider = $2, login_name = $3,
			       contact_email = $4, first_name = $5, last_name = $6, role = $7, mapping = $8,
			       state = 'wanted', attempts = 0, failures = 0, throttles = 0, earliest_attempt = 0, next_attempt = $9, lease_until = 0, due_at = $10,
			       error_key = '', error_text = '', updated_at = $11, class = $12
			 WHERE person_id = $13 AND account = $14
			   AND state IN ('refused', 'conflict') AND NOT maybe_sent`,
			u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail, u.FirstName, u.LastName,
			string(u.Role), u.Mapping, micros(u.NextAttempt), dueAt(Wanted, u.NextAttempt, now),
			micros(now), int(u.Priority), string(u.Person), string(u.Account))
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
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
