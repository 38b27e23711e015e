package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CaseClashError is the ErrConflict of an external id that differs from that of another row in letter case only.
// Whether Constant Contact tells the two apart is not published. If it does not, one person would sign in as the other,
// so no second one is stored.
type CaseClashError struct {
	ExternalID string
	Other      UserKey // whose row has it in another case
}

// Error names both.
func (e *CaseClashError) Error() string {
	return fmt.Sprintf("external_id %q differs only in letter case from that of person %s in account %s", e.ExternalID,
		e.Other.Person, e.Other.Account)
}

// Is makes it an ErrConflict.
func (e *CaseClashError) Is(target error) bool { return target == ErrConflict }

// checkExternalID is called before a row with u's external id is stored, and before any other row is locked. It returns
// a *CaseClashError where another row has the id in another letter case, and ErrMovedAway where the person was moved to
// a source, or is the one who was moved there by a move that a restored backup has lost.
func checkExternalID(ctx context.Context, tx querier, u SSOUser) error {
	if err := lockExternalIDs(ctx, tx, u.ExternalID, personLock(u.Person)); err != nil {
		return err
	}
	if to, err := movedTo(ctx, tx, u.Person); err != nil || to != "" {
		return cmp.Or(err, ErrMovedAway)
	}
	return findCaseClash(ctx, tx, u)
}

// idLocks is how many rows of counters there are to be locked: enough that those who store ids seldom wait for each
// other.
const idLocks = 16

// lockExternalIDs lets those who store forms of one external id come one after the other, until the end of their
// transaction. No unique index does it, since the version before, which may run beside, stores ids that differ in
// letter case.
func lockExternalIDs(ctx context.Context, tx querier, ids ...string) error {
	var locks [idLocks]bool
	for _, id := range ids {
		h := fnv.New32a()
		_, _ = h.Write([]byte(strings.ToLower(id)))
		locks[h.Sum32()%idLocks] = true
	}
	// In one order, so that two who lock several do not wait for each other.
	for i, lock := range locks {
		if !lock {
			continue
		}
		n, err := rowsAffected(ctx, tx, `
			UPDATE counters SET value = value WHERE name = $1`, fmt.Sprintf("external_ids/%d", i))
		if err == nil && n != 1 {
			err = errors.New("table counters has lost its rows") // without the lock the check would prove nothing
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// findCaseClash looks for another row. The very same id is left to the unique index.
func findCaseClash(ctx context.Context, tx querier, u SSOUser) error {
	var other UserKey
	id := caseForms(u.ExternalID)
	err := tx.QueryRowContext(ctx, externalIDQuery,
		id[0], id[1], id[2], id[3], u.ExternalProvider, string(u.Person), string(u.Account)).Scan(&other.Person,
		&other.Account)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return &CaseClashError{u.ExternalID, other}
}

// externalIDQuery stands apart for the test that it is a search of the index.
const externalIDQuery = `
		SELECT person_id, account FROM sso_users
		 WHERE LOWER(external_id) IN (LOWER($1), LOWER($2), LOWER($3), LOWER($4))
		   AND LOWER(external_provider) = LOWER($5)
		   AND NOT (external_id = $1 AND external_provider = $5)
		   AND NOT (person_id = $6 AND account = $7)
		 LIMIT 1`

// caseForms are an id as it is and in the other usual forms of its letters. The databases' LOWER does the rest: for
// ASCII both, for other letters PostgreSQL as its locale has it. What SQLite does not find is a mixture of large and
// small letters beyond ASCII.
func caseForms(id string) [4]string {
	lower := strings.ToLower(id)
	first, size := utf8.DecodeRuneInString(lower)
	return [4]string{id, lower, strings.ToUpper(id), string(unicode.ToUpper(first)) + lower[size:]}
}

// ExternalID returns the rows that have an external id, in any letter case; there is at most one but where a version
// stored several that did not refuse them.
func (s *Ledger) ExternalID(ctx context.Context, provider, id string) ([]UserKey, error) {
	forms := caseForms(id)
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (k UserKey, err error) {
		return k, row.Scan(&k.Person, &k.Account)
	}, `
		SELECT person_id, account FROM sso_users
		 WHERE LOWER(external_id) IN (LOWER($1), LOWER($2), LOWER($3), LOWER($4)) AND LOWER(external_provider) = LOWER($5)
		 ORDER BY person_id, account LIMIT 10`, forms[0], forms[1], forms[2], forms[3], provider)
	return all, s.db.explain("look up an external id", err)
}

// CaseClashes lists rows whose external ids differ in letter case only, at most limit, those that clash one after the
// other. There are some only where a version stored them that did not refuse them.
func (s *Ledger) CaseClashes(ctx context.Context, limit int) ([]SSOUser, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanUser, `
		SELECT `+userColumns+`
		  FROM sso_users
		 WHERE LOWER(external_id) IN (SELECT LOWER(external_id) FROM sso_users GROUP BY LOWER(external_id) HAVING COUNT(*) > 1 LIMIT $1)
		 ORDER BY LOWER(external_id), person_id, account LIMIT $1`, limit)
	return all, s.db.explain("list external ids that differ in letter case only", err)
}
