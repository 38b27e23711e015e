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
	RemovedAt time.Time // zero: it may be needed
	AuditKey  []byte    // of a removed one: verifies what it has signed of the audit log
}

// SecretKeys remembers which secret keys have made what is kept here.
type SecretKeys struct{ db *DB }

// SecretKeys returns the secret keys of this database.
func (db *DB) SecretKeys() *SecretKeys { return &SecretKeys{db} }

// removedPurpose is that of the MAC of a secret key that was removed: without it, whoever can write the database could
// have checkpoints of the audit log verified by a key of their own.
const removedPurpose = "removed secret key"

func (k SecretKey) fields() [][]byte {
	return [][]byte{[]byte(k.ID), number(micros(k.FirstUsed)), number(micros(k.RemovedAt)), k.AuditKey}
}

// List returns all that were ever used, the oldest first. One whose removal nobody vouched for counts as not removed.
func (s *SecretKeys) List(ctx context.Context) ([]SecretKey, error) {
	all, err := s.db.secretKeys(ctx, s.db.engine.reader())
	s.db.reportForeign(ctx)
	return all, s.db.explain("list secret keys", err)
}

func (db *DB) secretKeys(ctx context.Context, q querier) ([]SecretKey, error) {
	return collect(ctx, q, func(row scanner) (k SecretKey, err error) {
		var (
			first, removed int64
			mac            []byte
		)
		if err := row.Scan(&k.ID, &first, &removed, &k.AuditKey, &mac); err != nil {
			return k, err
		}
		k.FirstUsed, k.RemovedAt = fromMicros(first), fromMicros(removed)
		if removed == 0 {
			k.AuditKey = nil
		} else if !db.vouched(mac, removedPurpose, k.fields()...) {
			db.foreignRow("secret_keys")
			k.RemovedAt, k.AuditKey = time.Time{}, nil
		}
		return k, nil
	}, `
		SELECT id, first_used, removed_at, audit_key, mac FROM secret_keys ORDER BY first_used, id`)
}

// Use notes that a secret key is in use from now on, with the events if it was not before.
func (s *SecretKeys) Use(ctx context.Context, id string, events ...Event) error {
	return s.db.write(ctx, "note a secret key", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := rowsAffected(ctx, tx, `
			INSERT INTO secret_keys (id, first_used) VALUES ($1, $2)
			ON CONFLICT (id) DO UPDATE SET removed_at = 0, audit_key = $3, mac = $3 WHERE secret_keys.removed_at > 0`, id, micros(now), blob(nil))
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// Remove notes that nothing needs a secret key any more, with the events. auditKey verifies what it has signed of the
// audit log. ErrNotFound: it was never used, or is removed.
func (s *SecretKeys) Remove(ctx context.Context, id string, auditKey []byte, events ...Event) error {
	return s.db.write(ctx, "remove a secret key", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		// The lock, so that of two who remove it one finds it removed.
		if _, err := tx.ExecContext(ctx, `
			UPDATE secret_keys SET first_used = first_used WHERE id = $1`, id); err != nil {
			return err
		}
		all, err := s.db.secretKeys(ctx, tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(k SecretKey) bool { return k.ID == id })
		if i < 0 || !all[i].RemovedAt.IsZero() {
			return ErrNotFound
		}
		k := all[i]
		k.RemovedAt, k.AuditKey = fromMicros(micros(now)), auditKey
		mac, err := s.db.vouch(removedPurpose, k.fields()...)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE secret_keys SET removed_at = $1, audit_key = $2, mac = $3 WHERE id = $4`, micros(now), blob(auditKey), mac, id); err != nil {
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
	EntityID   string   // of the identity provider that it is
	SeenAt     time.Time
}

// Replicas knows which programs run on this database. A program of schema 3 and before does not announce itself.
type Replicas struct{ db *DB }

// Replicas returns the replicas of this database.
func (db *DB) Replicas() *Replicas { return &Replicas{db} }

// Announce says that a replica runs. It is to be called again well within ReplicaLife. Those not seen for an hour are
// forgotten.
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
			INSERT INTO replicas (id, schema, secret_keys, entity_id, seen_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET schema = excluded.schema, secret_keys = excluded.secret_keys,
			                               entity_id = excluded.entity_id, seen_at = excluded.seen_at`,
			n.ID, schema, strings.Join(n.SecretKeys, " "), n.EntityID, micros(now)); err != nil {
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
			err = row.Scan(&n.ID, &keys, &n.EntityID, &seen)
			n.SecretKeys, n.SeenAt = strings.Fields(keys), fromMicros(seen)
			return n, err
		}, `
			SELECT id, secret_keys, entity_id, seen_at FROM replicas WHERE seen_at >= $1 ORDER BY id`, micros(now.Add(-ReplicaLife)))
	}
	return all, r.db.explain("list replicas", err)
}

// Knows tells whether the replica knows a secret key.
func (r Replica) Knows(id string) bool { return slices.Contains(r.SecretKeys, id) }
