package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Adoption is what became of one told user.
type Adoption string

// The outcomes of Adopt.
const (
	Adopted Adoption = "adopted" // a new row
	// a row that was not there yet at Constant Contact, as far as we knew, is now the told one
	Changed      Adoption = "changed"
	Confirmed    Adoption = "confirmed"     // assumed before, active now
	Unchanged    Adoption = "unchanged"     // says the same already
	TakenPerson  Adoption = "taken_person"  // (person, account) has another external id, or is being sent
	TakenID      Adoption = "taken_id"      // the external id or login name stands at another row
	TakenCase    Adoption = "taken_case"    // the external id stands at another row in another letter case
	MovedAway    Adoption = "moved_away"    // by this id the person was moved to a source, see MoveToSource
	NotAdoptable Adoption = "not_adoptable" // can't be stored: no external id, an unknown state
)

// adoptMost bounds one transaction of Adopt, and of Confirm.
const adoptMost = 1000

// Adopt puts users that exist already at Constant Contact into the ledger, at most 1000, all in one transaction, each
// with an event like e (Subject, Account and Detail are filled in). u.State is Active (told for sure) or Assumed. A row
// that is there becomes
//
//	wanted, unknown, conflict, refused: the told one, with external id, login name, role and state as told
//	active, assumed with the same external id: active if that is told, else as it was
//	suspended with the same external id: as it was
//	anything else, or a row that is being sent: left alone
//
// What is not told of a row that is there (provider, login name, mail, names) stays. An external id or login name that
// stands at another row, the external id in any letter case, leaves the row alone as well. Somebody who was moved to a
// source gets no row by the former id. What became of each is returned in order.
func (s *Ledger) Adopt(ctx context.Context, users []SSOUser, e Event) ([]Adoption, error) {
	const what = "adopt SSO users"
	if len(users) > adoptMost {
		return nil, s.db.explain(what, fmt.Errorf("%d users: want at most %d", len(users), adoptMost))
	}
	// On PostgreSQL somebody may store the same id between the look and the insertion. Looked at again, it is seen.
	const tries = 3
	ids := make([]string, 0, 2*len(users))
	for _, u := range users {
		ids = append(ids, u.ExternalID, personLock(u.Person))
	}
	for try := 1; ; try++ {
		became := make([]Adoption, len(users))
		err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
			if err := lockExternalIDs(ctx, tx, ids...); err != nil {
				return err
			}
			now, err := s.db.engine.clock(ctx, tx)
			if err != nil {
				return err
			}
			for i, u := range users {
				if became[i], err = adopt(ctx, tx, u, now); err != nil {
					return err
				}
				switch became[i] {
				case Adopted, Changed, Confirmed:
					if err := addEvents(ctx, tx, now, []Event{adoptEvent(e, u, became[i])}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err == nil {
			return became, nil
		}
		if !errors.Is(err, ErrConflict) || try == tries {
			return nil, err
		}
	}
}

func adoptEvent(e Event, u SSOUser, a Adoption) Event {
	e.Subject, e.Account = string(u.Person), u.Account
	e.Detail, _ = json.Marshal(map[string]string{ // strings always encode
		// names stand in the ledger, where they can be forgotten
		"became": string(a), "state": string(u.State), "role": string(u.Role),
	})
	return e
}

func adoptable(u SSOUser) bool {
	if _, err := ParseRole(string(u.Role)); err != nil {
		return false
	}
	for _, text := range []string{string(u.Person), string(u.Account), u.ExternalID, u.ExternalProvider, u.LoginName,
		u.ContactEmail, u.FirstName, u.LastName} {
		if len(text) > maxEventText || !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			return false
		}
	}
	return u.Person != "" && u.Account != "" && u.ExternalID != "" && (u.State == Active || u.State == Assumed)
}

// adopt handles one told user.
func adopt(ctx context.Context, tx querier, u SSOUser, now time.Time) (Adoption, error) {
	if !adoptable(u) {
		return NotAdoptable, nil
	}
	// A change of nothing: on PostgreSQL its row lock keeps workers from the row until the commit.
	row, err := scanUser(tx.QueryRowContext(ctx, `
		UPDATE sso_users SET updated_at = updated_at WHERE person_id = $1 AND account = $2
		RETURNING `+userColumns, string(u.Person), string(u.Account)))
	isNew := errors.Is(err, sql.ErrNoRows)
	if err != nil && !isNew {
		return "", err
	}
	if !isNew {
		if u.ExternalProvider == "" {
			u.ExternalProvider = row.ExternalProvider
		}
		same := u.ExternalID == row.ExternalID && u.ExternalProvider == row.ExternalProvider
		switch {
		case row.State == Sending, !same && (row.State == Active || row.State == Assumed || row.State == Suspended):
			return TakenPerson, nil
		case row.State == Assumed && u.State == Active:
			_, err := tx.ExecContext(ctx, `
				UPDATE sso_users SET state = 'active', error_key = '', error_text = '', updated_at = $1
				 WHERE person_id = $2 AND account = $3`, micros(now), string(u.Person), string(u.Account))
			return Confirmed, err
		case row.State == Active, row.State == Assumed, row.State == Suspended:
			return Unchanged, nil
		}
		fill(&u.LoginName, row.LoginName)
		fill(&u.ContactEmail, row.ContactEmail)
		fill(&u.FirstName, row.FirstName)
		fill(&u.LastName, row.LastName)
	}
	// Whatever external id is told. Who comes by the new id of a lost move may be told: that makes nobody twice.
	switch to, err := movedTo(ctx, tx, u.Person); {
	case err != nil:
		return "", err
	case to != "" && to != MoveLost:
		return MovedAway, nil
	}
	switch taken, err := idTaken(ctx, tx, u); {
	case err != nil:
		return "", err
	case taken:
		return TakenID, nil
	}
	switch err := findCaseClash(ctx, tx, u); {
	case errors.Is(err, ErrConflict):
		return TakenCase, nil
	case err != nil:
		return "", err
	}
	if isNew {
		u.MaybeSent, u.Attempts, u.NextAttempt, u.LeaseUntil = false, 0, time.Time{}, time.Time{}
		u.ErrorKey, u.ErrorText, u.Priority, u.Plan, u.Before = "", "", SignInPriority, 0, ""
		u.Failures, u.Earliest = 0, time.Time{}
		added, err := insertUser(ctx, tx, u, now)
		if err == nil && !added {
			err = ErrConflict // it came in between: see Adopt
		}
		return Adopted, err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE sso_users SET external_id = $1, external_provider = $2, login_name = $3, contact_email = $4,
		       first_name = $5, last_name = $6, role = $7, state = $8, next_attempt = 0, lease_until = 0, due_at = 0,
		       failures = 0, earliest_attempt = 0, error_key = '', error_text = '', updated_at = $9
		 WHERE person_id = $10 AND account = $11`,
		u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail, u.FirstName, u.LastName, string(u.Role),
		string(u.State), micros(now), string(u.Person), string(u.Account))
	return Changed, err
}

// fill keeps what a told user leaves open.
func fill(told *string, stored string) {
	if *told == "" {
		*told = stored
	}
}

// idTaken tells whether the external id or the login name stands at another row.
func idTaken(ctx context.Context, tx querier, u SSOUser) (taken bool, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM sso_users
		                WHERE external_provider = $1 AND external_id = $2 AND NOT (person_id = $3 AND account = $4))
		    OR EXISTS (SELECT 1 FROM sso_users
		                WHERE login_name = $5 AND login_name <> '' AND NOT (person_id = $3 AND account = $4))`,
		u.ExternalProvider, u.ExternalID, string(u.Person), string(u.Account), u.LoginName).Scan(&taken)
	return taken, err
}

// Confirm makes assumed rows active: those of keys, or all where keys is nil. It returns how many, and records an event
// for each. It runs in batches: after an error those counted are stored.
func (s *Ledger) Confirm(ctx context.Context, keys []UserKey, e Event) (int, error) {
	const what = "confirm SSO users"
	if keys == nil {
		return s.db.inBatches(ctx, what, adoptMost, func(ctx context.Context, tx querier) (int, error) {
			return s.confirm(ctx, tx, e, `
				UPDATE sso_users SET state = 'active', error_key = '', error_text = '', updated_at = $1
				 WHERE state = 'assumed' AND (person_id, account) IN
				       (SELECT person_id, account FROM sso_users WHERE state = 'assumed' ORDER BY person_id, account LIMIT $2)
				RETURNING person_id, account`, adoptMost)
		})
	}
	total := 0
	for len(keys) > 0 {
		some := keys[:min(adoptMost, len(keys))]
		keys = keys[len(some):]
		n := 0
		if err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
			n = 0
			for _, k := range some {
				one, err := s.confirm(ctx, tx, e, `
					UPDATE sso_users SET state = 'active', error_key = '', error_text = '', updated_at = $1
					 WHERE person_id = $2 AND account = $3 AND state = 'assumed'
					RETURNING person_id, account`, string(k.Person), string(k.Account))
				if err != nil {
					return err
				}
				n += one
			}
			return nil
		}); err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (s *Ledger) confirm(ctx context.Context, tx querier, e Event, statement string, args ...any) (int, error) {
	now, err := s.db.engine.clock(ctx, tx)
	if err != nil {
		return 0, err
	}
	confirmed, err := collect(ctx, tx, func(row scanner) (k UserKey, err error) {
		err = row.Scan(&k.Person, &k.Account)
		return k, err
	}, statement, append([]any{micros(now)}, args...)...)
	if err != nil {
		return 0, err
	}
	for _, k := range confirmed {
		e.Subject, e.Account = string(k.Person), k.Account
		if err := addEvents(ctx, tx, now, []Event{e}); err != nil {
			return 0, err
		}
	}
	return len(confirmed), nil
}
