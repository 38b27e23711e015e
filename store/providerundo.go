package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// UndoFor is how long a change can be undone.
const UndoFor = 10 * time.Minute

// refreshAction is the action of events of metadata that was read again.
const refreshAction = "sp-refresh"

// ProviderUndo is what a service provider was before its last change.
type ProviderUndo struct {
	Before    ServiceProvider
	Removed   bool      // the change removed it
	ChangedAt time.Time // of the change, which it names

	choice string // its own signing key of one that was removed, as JSON; "": none
}

// keepFormer keeps a service provider as it is before a change at now. One that is not there yet has nothing to keep.
func keepFormer(ctx context.Context, tx querier, entityID string, now time.Time, removed bool, choice string) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO provider_undo (changed_at, removed, choice, entity_id, record, refresh_at)
		SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS TEXT), entity_id, record, refresh_at
		  FROM service_providers WHERE entity_id = $4
		ON CONFLICT (entity_id) DO UPDATE SET changed_at = excluded.changed_at, removed = excluded.removed,
		    choice = excluded.choice, record = excluded.record, refresh_at = excluded.refresh_at`,
		micros(now), flag(removed), choice, entityID)
	return err
}

// choiceOf is the signing key of one service provider as JSON; "" where it has none of its own.
func choiceOf(ctx context.Context, tx querier, entityID string) (string, error) {
	all, err := listChoices(ctx, tx)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		if c.EntityID == entityID {
			text, err := json.Marshal(c)
			return string(text), err
		}
	}
	return "", nil
}

// Former returns what a service provider was before its last change, if that can still be undone. ErrNotFound: there
// was none, or it is too long ago. ErrConflict: it is not as that change has left it.
func (s *ServiceProviders) Former(ctx context.Context, entityID string) (ProviderUndo, error) {
	u, err := s.former(ctx, s.db.engine.reader(), entityID)
	return u, s.db.explain("read what a service provider was", err)
}

// maxRemoved is how many service providers Removed lists.
const maxRemoved = 10

// Removed lists the service providers whose removal can still be undone, the last one first, at most ten.
func (s *ServiceProviders) Removed(ctx context.Context) ([]ProviderUndo, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanUndo, `
		SELECT record, refresh_at, removed, choice, changed_at
		  FROM provider_undo
		 WHERE removed = 1 AND changed_at > $1
		   AND NOT EXISTS (SELECT 1 FROM service_providers WHERE service_providers.entity_id = provider_undo.entity_id)
		 ORDER BY changed_at DESC LIMIT $2`, micros(s.db.now().Add(-UndoFor)), maxRemoved)
	return all, s.db.explain("list removed service providers", err)
}

func scanUndo(row scanner) (u ProviderUndo, err error) {
	var (
		record                      string
		refreshAt, removed, changed int64
	)
	if err := row.Scan(&record, &refreshAt, &removed, &u.choice, &changed); err != nil {
		return u, err
	}
	u.Removed, u.ChangedAt = removed == 1, fromMicros(changed)
	if err := json.Unmarshal([]byte(record), &u.Before); err != nil {
		return u, err
	}
	if u.Before.Source != nil {
		u.Before.Source.NextAt = fromMicros(refreshAt)
	}
	return u, nil
}

func (s *ServiceProviders) former(ctx context.Context, q querier, entityID string) (u ProviderUndo, err error) {
	if u, err = scanUndo(q.QueryRowContext(ctx, `
		SELECT record, refresh_at, removed, choice, changed_at
		  FROM provider_undo WHERE entity_id = $1 AND changed_at > $2`,
		entityID, micros(s.db.now().Add(-UndoFor)))); err != nil {
		return u, err
	}
	now, err := scanProvider(q.QueryRowContext(ctx, `
		SELECT record, refresh_at FROM service_providers WHERE entity_id = $1`, entityID))
	switch {
	case errors.Is(err, sql.ErrNoRows) && u.Removed:
		return u, nil
	case errors.Is(err, sql.ErrNoRows):
		return u, ErrConflict
	case err == nil && (u.Removed || !now.UpdatedAt.Equal(u.ChangedAt)):
		return u, ErrConflict
	}
	return u, err
}

// Undo makes a service provider what it was before the change at changed, with the event. Errors are those of Former;
// ErrConflict also where another change came after, or the key that signed for one that was removed is gone.
func (s *ServiceProviders) Undo(ctx context.Context, entityID string, changed time.Time, e Event) error {
	return s.db.change(ctx, "undo the change of a service provider", func(ctx context.Context, tx querier) error {
		u, err := s.former(ctx, tx, entityID)
		if err != nil {
			return err
		}
		if !u.ChangedAt.Equal(changed) {
			return ErrConflict
		}
		if u.choice != "" {
			if err := returnChoice(ctx, tx, entityID, u.choice); err != nil {
				return err
			}
		}
		return s.put(ctx, tx, u.Before, e)
	})
}

// returnChoice has the key sign again that signed for a service provider that was removed.
func returnChoice(ctx context.Context, tx querier, entityID, text string) error {
	var c KeyChoice
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	keys, err := listKeys(ctx, tx)
	if err != nil {
		return err
	}
	usable := map[string]bool{"": true}
	for _, k := range keys {
		usable[k.ID] = k.State != retiredKey
	}
	if !usable[c.Key] || !usable[c.Previous] || !usable[c.Next] {
		return ErrConflict
	}
	return putChoice(ctx, tx, entityID, c)
}

// PurgeUndo forgets what can't be undone any more, in small batches; it returns how many.
func (s *ServiceProviders) PurgeUndo(ctx context.Context) (int, error) {
	const what = "purge former service providers"
	return s.db.inBatches(ctx, what, sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM provider_undo
			 WHERE entity_id IN (SELECT entity_id FROM provider_undo WHERE changed_at <= $1 ORDER BY changed_at LIMIT `+
			inSweep+`)`, micros(s.db.now().Add(-UndoFor)))
		return int(n), err
	})
}
