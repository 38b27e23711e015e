package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// What happened to a mapping.
const (
	MappingAdded   = "added"
	MappingChanged = "changed"
	MappingOff     = "off"
	MappingOn      = "on"
	MappingRemoved = "removed"
)

// MappingVersion is one entry in the history of a mapping.
type MappingVersion struct {
	ID    int64
	What  string
	State Mapping // as it was from then on; of a removed one, until then
	At    time.Time
	By    string
}

// Set changes a mapping that is switched on or off, in place: it keeps its number.
// ErrConflict: it is no longer as was says, or clashes with another one as Add says.
// ErrNotFound: it is gone. An owner's mapping can't be changed.
func (s *Mappings) Set(ctx context.Context, was, m Mapping, e Event) error {
	return s.put(ctx, "set mapping", was, m, MappingChanged, e)
}

// Switch switches a mapping off or on. Errors are those of Set; one that is so already
// is ErrConflict.
func (s *Mappings) Switch(ctx context.Context, was Mapping, e Event) error {
	m, what := was, MappingOff
	if m.Off = !was.Off; !m.Off {
		what = MappingOn
	}
	return s.put(ctx, "switch mapping", was, m, what, e)
}

func (s *Mappings) put(ctx context.Context, doing string, was, m Mapping, what string, e Event) error {
	if m.Role == Owner || was.Role == Owner {
		return s.db.explain(doing, errOwnerMapping)
	}
	m.ID = was.ID
	return s.db.change(ctx, doing, func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := takeUnchanged(ctx, tx, was); err != nil {
			return err
		}
		if err := placeMapping(ctx, tx, m, now); err != nil {
			return err
		}
		if err := remember(ctx, tx, what, m.ID, m, now, e.Actor); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Exchange gives two mappings each other's priority, which Set can't do one by one where
// either would clash with the other on the way. Errors are those of Set.
func (s *Mappings) Exchange(ctx context.Context, a, b Mapping, events ...Event) error {
	const doing = "exchange mappings"
	if a.Role == Owner || b.Role == Owner {
		return s.db.explain(doing, errOwnerMapping)
	}
	return s.db.change(ctx, doing, func(ctx context.Context, tx querier) error {
		now := s.db.now()
		for _, was := range []Mapping{a, b} {
			if err := takeUnchanged(ctx, tx, was); err != nil {
				return err
			}
		}
		x, y := a, b
		x.Priority, y.Priority = b.Priority, a.Priority
		for _, m := range []Mapping{x, y} {
			if err := placeMapping(ctx, tx, m, now); err != nil {
				return err
			}
			if err := remember(ctx, tx, MappingChanged, m.ID, m, now, actorOf(events)); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, events)
	})
}

// takeUnchanged deletes a mapping that is as was says, and sees to it that its history
// begins with what it is. ErrConflict: it is otherwise; ErrNotFound: it is gone.
func takeUnchanged(ctx context.Context, tx querier, was Mapping) error {
	stored, err := takeMapping(ctx, tx, mappingTable(was.Off), was.ID)
	if errors.Is(err, sql.ErrNoRows) {
		var there bool
		if err := tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM mappings WHERE id = $1) OR EXISTS (SELECT 1 FROM mappings_off WHERE id = $1)`, was.ID).Scan(&there); err != nil {
			return err
		}
		if there {
			return fmt.Errorf("mapping %d was switched meanwhile: %w", was.ID, ErrConflict)
		}
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	if err := rememberFirst(ctx, tx, stored); err != nil {
		return err
	}
	// A group's DN is noted when it is renamed; that is no change of an admin's.
	if stored.Kind == GroupMapping {
		stored.GroupDN = was.GroupDN
	}
	stored.Off, stored.CreatedAt = was.Off, was.CreatedAt
	if stored != was {
		return fmt.Errorf("mapping %d was changed meanwhile: %w", was.ID, ErrConflict)
	}
	return nil
}

// rememberFirst begins the history of a mapping that the version before this one
// added: what it was must not be lost with its first change.
func rememberFirst(ctx context.Context, tx querier, m Mapping) error {
	var known bool
	if err := tx.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM mapping_history WHERE mapping = $1)`, m.ID).Scan(&known); err != nil || known {
		return err
	}
	return remember(ctx, tx, MappingAdded, m.ID, m, m.CreatedAt, m.CreatedBy)
}

// Return puts a mapping back that was removed, with its number. ErrConflict: it is
// there, or clashes with another one as Add says.
func (s *Mappings) Return(ctx context.Context, m Mapping, e Event) error {
	const doing = "return mapping"
	if m.Role == Owner {
		return s.db.explain(doing, errOwnerMapping)
	}
	return s.db.change(ctx, doing, func(ctx context.Context, tx querier) error {
		now := s.db.now()
		var there bool
		if err := tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM mappings WHERE id = $1) OR EXISTS (SELECT 1 FROM mappings_off WHERE id = $1)`, m.ID).Scan(&there); err != nil {
			return err
		}
		if there {
			return ErrConflict
		}
		if err := placeMapping(ctx, tx, m, now); err != nil {
			return err
		}
		if err := remember(ctx, tx, MappingAdded, m.ID, m, now, e.Actor); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// History tells what a mapping was, the newest first, at most limit entries of those
// before the one with the id before, 0 for the newest. A mapping of 0 stands for all.
func (s *Mappings) History(ctx context.Context, mapping, before int64, limit int) ([]MappingVersion, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanVersion, `
		SELECT id, what, state, at, actor
		  FROM mapping_history
		 WHERE (mapping = $1 OR $1 = 0) AND (id < $2 OR $2 = 0)
		 ORDER BY id DESC LIMIT $3`, mapping, before, limit)
	return all, s.db.explain("read the history of mappings", err)
}

// Version returns one entry of a history. ErrNotFound.
func (s *Mappings) Version(ctx context.Context, id int64) (MappingVersion, error) {
	v, err := scanVersion(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT id, what, state, at, actor
		  FROM mapping_history
		 WHERE id = $1`, id))
	return v, s.db.explain("read an entry of the history of mappings", err)
}

func scanVersion(row scanner) (v MappingVersion, err error) {
	var (
		at    int64
		state string
	)
	if err := row.Scan(&v.ID, &v.What, &state, &at, &v.By); err != nil {
		return v, err
	}
	v.At = fromMicros(at)
	if err := json.Unmarshal([]byte(state), &v.State); err != nil {
		return v, fmt.Errorf("entry %d: %w", v.ID, err)
	}
	return v, nil
}

func mappingTable(off bool) string {
	if off {
		return "mappings_off"
	}
	return "mappings"
}

// takeMapping deletes a mapping and returns it. table is one of ours, never input.
func takeMapping(ctx context.Context, tx querier, table string, id int64) (Mapping, error) {
	m, err := scanMapping(tx.QueryRowContext(ctx, `
		DELETE FROM `+table+` WHERE id = $1
		RETURNING `+mappingColumns, id))
	m.Off = table == "mappings_off"
	if err == nil {
		err = noteTaken(ctx, tx, m)
	}
	return m, err
}

// noteTaken notes that a mapping is gone, unless the same rule stands a second time: one that is switched off can.
func noteTaken(ctx context.Context, tx querier, m Mapping) error {
	if m.Off {
		var on bool
		if err := tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM mappings
			 WHERE kind = $1 AND group_id = $2 AND (group_id <> '' OR group_dn = $3) AND attribute = $4
			   AND pattern = $5 AND person_id = $6 AND account = $7 AND role = $8)`, // what mappingObject names
			m.Kind, m.GroupID, m.GroupDN, m.Attribute, m.Pattern, string(m.Person), string(m.Account),
			string(m.Role)).Scan(&on); err != nil || on {
			return err
		}
	}
	note(ctx, MappingObject, mappingObject(m), Revoked)
	return nil
}

// placeMapping stores a mapping that has a number, on or off.
func placeMapping(ctx context.Context, tx querier, m Mapping, now time.Time) error {
	if !m.Off {
		_, err := addMapping(ctx, tx, m, now)
		return err
	}
	note(ctx, MappingObject, mappingObject(m), SwitchedOff)
	_, err := tx.ExecContext(ctx, `
		INSERT INTO mappings_off (id, kind, group_id, group_dn, attribute, pattern, person_id,
		    account, role, priority, created_at, created_by, at_sign_in)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		m.ID, m.Kind, m.GroupID, m.GroupDN, m.Attribute, m.Pattern, string(m.Person),
		string(m.Account), string(m.Role), m.Priority, micros(m.CreatedAt), m.CreatedBy, flag(m.AtSignIn))
	return err
}

// remember writes down what a mapping is from now on.
func remember(ctx context.Context, tx querier, what string, id int64, m Mapping, now time.Time, actor string) error {
	m.ID = id
	state, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("describe mapping %d: %w", id, err)
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO mapping_history (mapping, at, actor, what, state) VALUES ($1, $2, $3, $4, $5)`,
		id, micros(now), sanitize(actor), what, string(state))
	return err
}

// actorOf is who does a change of several mappings.
func actorOf(events []Event) string {
	if len(events) == 0 {
		return ""
	}
	return events[0].Actor
}
