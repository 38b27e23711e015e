package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SecretKey is a secret key by its id. The key itself never comes here.
type SecretKey struct {
	ID        string
	FirstUsed time.Time
}

// SecretKeys remembers which secret keys have made what is kept here.
type SecretKeys struct{ db *DB }

// SecretKeys returns the secret keys of this database.
func (db *DB) SecretKeys() *SecretKeys { return &SecretKeys{db} }

// List returns all that were ever used, the oldest first.
func (s *SecretKeys) List(ctx context.Context) ([]SecretKey, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (k SecretKey, err error) {
		var first int64
		err = row.Scan(&k.ID, &first)
		k.FirstUsed = fromMicros(first)
		return k, err
	}, `
		SELECT id, first_used FROM secret_keys ORDER BY first_used, id`)
	return all, s.db.explain("list secret keys", err)
}

// Use notes that a secret key is in use from now on, with the events if it was not before.
func (s *SecretKeys) Use(ctx context.Context, id string, events ...Event) error {
	return s.db.write(ctx, "note a secret key", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := touched(ctx, tx, `
			INSERT INTO secret_keys (id, first_used) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, id, micros(now))
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// ReplicaLife is how long a replica counts as running after it was last seen.
const ReplicaLife = 30 * time.Second

// Replica is a running program.
type Replica struct {
	ID         string
	SecretKeys []string // the ids of those that it knows, the one in use first
	SeenAt     time.Time
}

// Replicas knows which programs run on this database. A program of schema 3 and before does not announce itself.
type Replicas struct{ db *DB }

// Replicas returns the replicas of this database.
func (db *DB) Replicas() *Replicas { return &Replicas{db} }

// Announce says that a replica runs. It is to be called again well within ReplicaLife. Those not seen for an hour are forgotten.
func (r *Replicas) Announce(ctx context.Context, n Replica) error {
	const what = "announce a replica"
	schema, err := latestVersion("migrations/sqlite") // both folders have the same numbers
	if err != nil {
		return r.db.explain(what, err)
	}
	for _, id := range n.SecretKeys {
		if id == "" || strings.ContainsRune(id, ' ') {
			return r.db.explain(what, fmt.Errorf("secret key %q is no id", id))
		}
	}
	return r.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := r.db.engine.clock(ctx, tx) // the one that all replicas have in common
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO replicas (id, schema, secret_keys, seen_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (id) DO UPDATE SET schema = excluded.schema, secret_keys = excluded.secret_keys, seen_at = excluded.seen_at`,
			n.ID, schema, strings.Join(n.SecretKeys, " "), micros(now)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			DELETE FROM replicas WHERE seen_at < $1`, micros(now.Add(-time.Hour)))
		return err
	})
}

// Leave says that a replica has stopped.
func (r *Replicas) Leave(ctx context.Context, id string) error {
	return r.db.write(ctx, "note that a replica has stopped", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			DELETE FROM replicas WHERE id = $1`, id)
		return err
	})
}

// Running lists the replicas that were seen within ReplicaLife, by id.
func (r *Replicas) Running(ctx context.Context) (all []Replica, err error) {
	now, err := r.db.engine.clock(ctx, r.db.engine.reader())
	if err == nil {
		all, err = collect(ctx, r.db.engine.reader(), func(row scanner) (n Replica, err error) {
			var keys string
			var seen int64
			err = row.Scan(&n.ID, &keys, &seen)
			n.SecretKeys, n.SeenAt = strings.Fields(keys), fromMicros(seen)
			return n, err
		}, `
			SELECT id, secret_keys, seen_at FROM replicas WHERE seen_at >= $1 ORDER BY id`, micros(now.Add(-ReplicaLife)))
	}
	return all, r.db.explain("list replicas", err)
}

// Knows tells whether the replica knows a secret key.
func (r Replica) Knows(id string) bool { return slices.Contains(r.SecretKeys, id) }
