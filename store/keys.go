package store

import (
	"context"
	"time"
)

// SigningKey is a key of ours. Private is sealed by whoever made it; store never sees it in clear.
type SigningKey struct {
	ID          string
	Use         string // "signing"; "encryption" and "metadata" are kept free
	State       string // "active" or "retired"; "next" and "published" when keys roll over
	Algorithm   string
	Certificate []byte // DER
	Private     []byte // sealed
	CreatedAt   time.Time
}

// Keys keeps the keys.
type Keys struct{ db *DB }

// Keys returns the keys of this database.
func (db *DB) Keys() *Keys { return &Keys{db} }

// Add stores a key with its event. ErrConflict: there is a key with this id.
func (s *Keys) Add(ctx context.Context, k SigningKey, e Event) error {
	return s.db.change(ctx, "add signing key", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		created := k.CreatedAt
		if created.IsZero() {
			created = now
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO signing_keys (id, key_use, state, algorithm, certificate, private, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			k.ID, k.Use, k.State, k.Algorithm, blob(k.Certificate), blob(k.Private), micros(created)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// List returns all keys, the oldest first.
func (s *Keys) List(ctx context.Context) ([]SigningKey, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (k SigningKey, err error) {
		var created int64
		err = row.Scan(&k.ID, &k.Use, &k.State, &k.Algorithm, &k.Certificate, &k.Private, &created)
		k.CreatedAt = fromMicros(created)
		return k, err
	}, `
		SELECT id, key_use, state, algorithm, certificate, private, created_at
		  FROM signing_keys ORDER BY created_at, id`)
	return all, s.db.explain("list signing keys", err)
}
