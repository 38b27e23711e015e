package store

import (
	"context"
	"time"
)

// NamedGroup is a group that configuration or a service provider names by a DN, as the directory knows it. Written is
// the DN as somebody wrote it, which is asked for once; ID decides from then on, whatever is called so later.
type NamedGroup struct {
	Written    string
	ID         string // "": the directory shows none, and DN decides as it is spelled
	DN         string // as the directory spells it
	ResolvedAt time.Time
	GoneAt     time.Time // since when Written names nothing; zero: it does. The id goes on
	OtherID    string    // the group that Written names now, if it is another one; it has no access until it is accepted
	OtherDN    string
}

// NamedGroups keeps what the directory answered to DNs of groups.
type NamedGroups struct{ db *DB }

// NamedGroups returns the named groups of this database.
func (db *DB) NamedGroups() *NamedGroups { return &NamedGroups{db} }

// List returns all, by the DN as written.
func (s *NamedGroups) List(ctx context.Context) ([]NamedGroup, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (g NamedGroup, err error) {
		var resolved, gone int64
		err = row.Scan(&g.Written, &g.ID, &g.DN, &resolved, &gone, &g.OtherID, &g.OtherDN)
		g.ResolvedAt = fromMicros(resolved)
		if gone != 0 {
			g.GoneAt = fromMicros(gone)
		}
		return g, err
	}, `SELECT written, group_id, group_dn, resolved_at, gone_at, other_id, other_dn FROM named_groups ORDER BY written`)
	return all, s.db.explain("list named groups", err)
}

// Resolve stores the first answer to a DN, with its event. Where another replica was first, its answer stays and
// nothing is stored.
func (s *NamedGroups) Resolve(ctx context.Context, g NamedGroup, e Event) error {
	return s.db.change(ctx, "resolve a named group", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			INSERT INTO named_groups (written, group_id, group_dn, resolved_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (written) DO NOTHING`, g.Written, g.ID, g.DN, micros(s.db.now()))
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// Note stores what a later answer says of a group whose id stays, with its event: another DN, that its DN names nothing
// or another group. An id that the directory shows for the first time is taken. What another replica noted first stays.
func (s *NamedGroups) Note(ctx context.Context, was, is NamedGroup, e Event) error {
	return s.db.change(ctx, "note a named group", func(ctx context.Context, tx querier) error {
		gone := int64(0)
		if !is.GoneAt.IsZero() {
			gone = micros(is.GoneAt)
		}
		n, err := rowsAffected(ctx, tx, `
			UPDATE named_groups SET group_id = $1, group_dn = $2, gone_at = $3, other_id = $4, other_dn = $5
			 WHERE written = $6 AND group_id = $7 AND other_id = $8 AND (group_id = '' OR group_id = $1)`,
			is.ID, is.DN, gone, is.OtherID, is.OtherDN, was.Written, was.ID, was.OtherID)
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// Accept takes the other group that a DN names now, with its event. ErrConflict: it names no other, or not this one.
func (s *NamedGroups) Accept(ctx context.Context, written, otherID string, e Event) error {
	return s.db.change(ctx, "accept a named group", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE named_groups SET group_id = other_id, group_dn = other_dn, resolved_at = $1, gone_at = 0, other_id = '', other_dn = ''
			 WHERE written = $2 AND other_id = $3 AND other_id <> ''`, micros(s.db.now()), written, otherID)
		if err == nil && n == 0 {
			err = ErrConflict
		}
		if err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}
