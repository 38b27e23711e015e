package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Kinds of mapping.
const (
	GroupMapping     = "group"             // members of one group
	GroupPattern     = "group_pattern"     // Pattern over the names (cn) of a person's groups
	AttributePattern = "attribute_pattern" // Pattern over the values of Attribute
	PersonMapping    = "person"            // one person; how an owner is told
)

// Mapping is an admin's rule. Which fields are used depends on Kind.
type Mapping struct {
	ID      int64
	Kind    string
	GroupID string // immutable id of the group; decides when it is known
	// as last seen; decides only without GroupID. Of a GroupPattern: the base below which groups count, "" for anywhere
	GroupDN   string
	Attribute string
	Pattern   string
	Person    PersonID
	Account   AccountID // "" where a pattern captures it
	Role      Role      // "" where a pattern captures it
	Priority  int       // lowest wins
	CreatedAt time.Time
	CreatedBy string
	Off       bool // switched off: it gives nobody anything
	// AtSignIn: whom it gives an account get their user there at their first sign-in; plans leave them out.
	AtSignIn bool
}

// Mappings keeps the admins' rules.
type Mappings struct{ db *DB }

// Mappings returns the mappings of this database.
func (db *DB) Mappings() *Mappings { return &Mappings{db} }

// Add stores a mapping and returns its id; m.ID is not looked at.
//
// ErrConflict: the same rule is there already, or an equal priority could decide
// between two roles of one account (same account, or either is a pattern that
// captures its account).
//
// Owner's SSO user, when not nil, is put into the ledger as active in the same
// transaction, whatever its State says; one that was told before with the same
// external id is kept. ErrConflict if (person, account) has another SSO user, or
// its external id or login name is somebody else's.
func (s *Mappings) Add(ctx context.Context, m Mapping, owner *SSOUser, e Event) (int64, error) {
	var id int64
	err := s.db.change(ctx, "add mapping", func(ctx context.Context, tx querier) (err error) {
		now := s.db.now()
		m.ID = 0
		if id, err = addMapping(ctx, tx, m, now); err != nil {
			return err
		}
		if err := remember(ctx, tx, MappingAdded, id, m, now, e.Actor); err != nil {
			return err
		}
		if owner != nil {
			if err := tellOwner(ctx, tx, *owner, id, now); err != nil {
				return err
			}
		}
		w, err := eventWriterOf(ctx)
		if err != nil {
			return err
		}
		w.made = strconv.FormatInt(id, 10)
		return addEvents(ctx, tx, now, []Event{e})
	})
	return id, err
}

// addMapping stores a mapping unless it contradicts another one. It runs inside db.change, which has put all changes of
// configuration one after the other, so nobody adds a contradicting rule between this check and the commit.
func addMapping(ctx context.Context, tx querier, m Mapping, now time.Time) (id int64, err error) {
	// One that names its account clashes with few: a whole file of them must not compare each with all.
	among := ""
	if m.Account != "" {
		among = ` AND account IN ($7, '')`
	}
	var clashes int
	if err := tx.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM mappings
		 WHERE ((kind = $1 AND group_id = $2 AND group_dn = $3 AND attribute = $4
		        AND pattern = $5 AND person_id = $6 AND account = $7 AND role = $8)
		    OR (priority = $9
		        AND (account = $7 OR account = '' OR $10)
		        AND (role <> $8 OR role = '')
		        AND NOT (kind = 'person' AND kind = $1 AND person_id <> $6)))`+among,
		m.Kind, m.GroupID, m.GroupDN, m.Attribute, m.Pattern, string(m.Person), string(m.Account),
		string(m.Role), m.Priority, m.Account == "").Scan(&clashes); err != nil {
		return 0, err
	}
	if clashes > 0 {
		return 0, ErrConflict
	}
	note(ctx, MappingObject, mappingObject(m), Allowed)
	created := m.CreatedAt
	if created.IsZero() {
		created = now
	}
	if m.ID != 0 { // it was there before, and keeps its number
		_, err = tx.ExecContext(ctx, `
			INSERT INTO mappings (id, kind, group_id, group_dn, attribute, pattern, person_id,
			    account, role, priority, created_at, created_by, at_sign_in)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			m.ID, m.Kind, m.GroupID, m.GroupDN, m.Attribute, m.Pattern, string(m.Person),
			string(m.Account), string(m.Role), m.Priority, micros(created), m.CreatedBy, flag(m.AtSignIn))
		return m.ID, err
	}
	err = tx.QueryRowContext(ctx, `
		INSERT INTO mappings (kind, group_id, group_dn, attribute, pattern, person_id,
		    account, role, priority, created_at, created_by, at_sign_in)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		RETURNING id`,
		m.Kind, m.GroupID, m.GroupDN, m.Attribute, m.Pattern, string(m.Person),
		string(m.Account), string(m.Role), m.Priority, micros(created), m.CreatedBy, flag(m.AtSignIn)).Scan(&id)
	return id, err
}

// Replace deletes mappings and then adds others, all in one transaction with the events. ErrConflict: one to be deleted
// is gone or no longer as it was, or one to be added clashes, as Add says, with those that stay or that were added
// before it; nothing is changed then. An owner's mapping is not deleted so, since an SSO user would go with it. One is
// added together with its user in owners, as Add does it; without one, or switched off, it is refused.
func (s *Mappings) Replace(ctx context.Context, remove, add []Mapping, owners []SSOUser, events []Event) error {
	const what = "replace mappings"
	users := map[UserKey]SSOUser{}
	ids := make([]string, 0, 2*len(owners))
	for _, u := range owners {
		users[UserKey{u.Person, u.Account}] = u
		ids = append(ids, u.ExternalID, personLock(u.Person))
	}
	for _, m := range slices.Concat(remove, add) {
		if m.Kind == PersonMapping && m.Role == Owner {
			if _, told := users[UserKey{m.Person, m.Account}]; !told || m.ID != 0 || m.Off {
				return s.db.explain(what, errOwnerMapping)
			}
		}
	}
	return s.db.change(ctx, what, func(ctx context.Context, tx querier) error {
		now := s.db.now()
		// All at once and in one order, so that two who store several do not wait for each other.
		if err := lockExternalIDs(ctx, tx, ids...); err != nil {
			return err
		}
		for _, was := range remove {
			switch err := takeUnchanged(ctx, tx, was); {
			case errors.Is(err, ErrNotFound):
				return fmt.Errorf("mapping %d is gone: %w", was.ID, ErrConflict)
			case err != nil:
				return err
			}
			if err := remember(ctx, tx, MappingRemoved, was.ID, was, now, actorOf(events)); err != nil {
				return err
			}
		}
		for n, m := range add {
			id, err := addSwitched(ctx, tx, m, now)
			if err != nil {
				return fmt.Errorf("add mapping %d of %d: %w", n+1, len(add), err)
			}
			if err := remember(ctx, tx, MappingAdded, id, m, now, actorOf(events)); err != nil {
				return err
			}
			if m.Role != Owner || m.Kind != PersonMapping {
				continue
			}
			if err := tellOwner(ctx, tx, users[UserKey{m.Person, m.Account}], id, now); err != nil {
				return fmt.Errorf("add mapping %d of %d, of an owner: %w", n+1, len(add), err)
			}
		}
		return addEvents(ctx, tx, now, events)
	})
}

// addSwitched stores a new mapping, on or off. One that is off gets a number of the same
// row, so that no two ever have the same, and is not compared with those that are on.
func addSwitched(ctx context.Context, tx querier, m Mapping, now time.Time) (id int64, err error) {
	m.ID = 0
	if !m.Off {
		return addMapping(ctx, tx, m, now)
	}
	if m.CreatedAt.IsZero() {
		m.CreatedAt = now
	}
	if err := tx.QueryRowContext(ctx, `
		INSERT INTO mappings (kind, group_id, group_dn, attribute, pattern, person_id,
		    account, role, priority, created_at, created_by, at_sign_in)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		RETURNING id`,
		m.Kind, m.GroupID, m.GroupDN, m.Attribute, m.Pattern, string(m.Person),
		string(m.Account), string(m.Role), m.Priority, micros(m.CreatedAt), m.CreatedBy,
		flag(m.AtSignIn)).Scan(&m.ID); err != nil {
		return 0, err
	}
	if _, err := takeMapping(ctx, tx, "mappings", m.ID); err != nil {
		return 0, err
	}
	return m.ID, placeMapping(ctx, tx, m, now)
}

var errOwnerMapping = errors.New("an owner's mapping is added with its user, and removed by itself")

// tellOwner puts an SSO user that exists already into the ledger.
func tellOwner(ctx context.Context, tx querier, u SSOUser, mapping int64, now time.Time) error {
	u.Mapping, u.State, u.Role = mapping, Active, Owner
	u.MaybeSent, u.Attempts, u.Failures = false, 0, 0
	u.NextAttempt, u.LeaseUntil, u.Earliest = time.Time{}, time.Time{}, time.Time{}
	if err := checkExternalID(ctx, tx, u); err != nil {
		return err
	}
	isNew, err := insertUser(ctx, tx, u, now)
	if err != nil || isNew {
		return err
	}
	n, err := rowsAffected(ctx, tx, `
		UPDATE sso_users SET mapping = $1, role = 'owner', updated_at = $2
		 WHERE person_id = $3 AND account = $4 AND external_provider = $5 AND external_id = $6
		   AND state IN ('active', 'assumed')`,
		mapping, micros(now), string(u.Person), string(u.Account), u.ExternalProvider, u.ExternalID)
	if err == nil && n == 0 {
		err = ErrConflict
	}
	return err
}

const mappingColumns = `id, kind, group_id, group_dn, attribute, pattern, person_id, account, role,
		       priority, created_at, created_by, at_sign_in`

func scanMapping(row scanner) (m Mapping, err error) {
	var created, atSignIn int64
	err = row.Scan(&m.ID, &m.Kind, &m.GroupID, &m.GroupDN, &m.Attribute, &m.Pattern,
		&m.Person, &m.Account, &m.Role, &m.Priority, &created, &m.CreatedBy, &atSignIn)
	m.CreatedAt, m.AtSignIn = fromMicros(created), atSignIn == 1
	return m, err
}

// List returns all mappings that are switched on, by priority and then id.
func (s *Mappings) List(ctx context.Context) ([]Mapping, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanMapping, `
		SELECT `+mappingColumns+`
		  FROM mappings ORDER BY priority, id`)
	return all, s.db.explain("list mappings", err)
}

// Any tells whether a mapping is switched on.
func (s *Mappings) Any(ctx context.Context) (any bool, err error) {
	err = s.db.engine.reader().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM mappings)`).Scan(&any)
	return any, s.db.explain("look for a mapping", err)
}

// ListOff returns the mappings that are switched off, by priority and then id.
func (s *Mappings) ListOff(ctx context.Context) ([]Mapping, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (Mapping, error) {
		m, err := scanMapping(row)
		m.Off = true
		return m, err
	}, `
		SELECT `+mappingColumns+`
		  FROM mappings_off ORDER BY priority, id`)
	return all, s.db.explain("list mappings that are off", err)
}

// Get returns one mapping, on or off. ErrNotFound.
func (s *Mappings) Get(ctx context.Context, id int64) (Mapping, error) {
	var off int64
	m, err := scanMapping(flagged{s.db.engine.reader().QueryRowContext(ctx, `
		SELECT 0, `+mappingColumns+` FROM mappings WHERE id = $1
		UNION ALL
		SELECT 1, `+mappingColumns+` FROM mappings_off WHERE id = $1`, id), &off})
	m.Off = off == 1
	return m, s.db.explain(fmt.Sprintf("read mapping %d", id), err)
}

// flagged is a row with one column before those that are scanned.
type flagged struct {
	row  scanner
	flag *int64
}

func (f flagged) Scan(dest ...any) error { return f.row.Scan(append([]any{f.flag}, dest...)...) }

// Remove deletes a mapping, on or off, with its event. ErrConflict: it is no longer as was
// says. ErrNotFound: it is gone. The owner's SSO user
// that was told with this mapping goes with it, so that a wrong external id can
// be told anew; it was never created by us, so nothing is forgotten.
func (s *Mappings) Remove(ctx context.Context, was Mapping, e Event) error {
	return s.db.change(ctx, "remove mapping", func(ctx context.Context, tx querier) error {
		if err := takeUnchanged(ctx, tx, was); err != nil {
			return err
		}
		if err := remember(ctx, tx, MappingRemoved, was.ID, was, s.db.now(), e.Actor); err != nil {
			return err
		}
		if was.Kind == PersonMapping {
			if err := removeOwner(ctx, tx, was.ID); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// removeOwner removes the owner's SSO user that was told with a mapping.
func removeOwner(ctx context.Context, tx querier, mapping int64) error {
	_, err := tx.ExecContext(ctx, `
		DELETE FROM sso_users WHERE mapping = $1 AND role = 'owner' AND attempts = 0`, mapping)
	return err
}

// SetGroupDN notes that the group of a mapping was renamed. ErrNotFound.
func (s *Mappings) SetGroupDN(ctx context.Context, id int64, dn string) error {
	const what = "set group DN of a mapping"
	if dn == "" {
		return s.db.explain(what, errors.New("empty DN"))
	}
	return s.db.change(ctx, what, func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE mappings SET group_dn = $1 WHERE id = $2`, dn, id)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}
