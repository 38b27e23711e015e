package store

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"
)

// retiredKey is the state of a key that never comes back.
const retiredKey = "retired"

// SigningKey is a key of ours. Private is sealed by whoever made it; store never sees it in clear.
type SigningKey struct {
	ID          string
	Use         string // "signing" or "metadata"; "encryption" is kept free
	State       string // "next", "published", "active", "retiring" or "retired"
	Algorithm   string
	Certificate []byte // DER
	Private     []byte // sealed; empty where Holder holds it, and once the key is retired
	Holder      string // "" for a private key in this row, "pkcs11:LABEL" for one in a token

	CreatedAt time.Time
	// When it came into each state for the last time; zero: never.
	PublishedAt, ActiveAt, RetiringAt, RetiredAt time.Time
}

// KeyChoice says which key signs for one service provider, and which will.
type KeyChoice struct {
	EntityID string    // "" for all that have none of their own
	Key      string    // id
	Previous string    // the key before; "": none to go back to
	Next     string    // the key from SwitchAt on; "": no switch is planned
	SwitchAt time.Time // of a planned switch, or of the last one; zero: that was not planned
	Window   bool      // sign-ins wait around SwitchAt

	ConfirmedBy string // who has said that the service provider holds the certificate
	ConfirmedAt time.Time
	Forced      bool
	UpdatedAt   time.Time
}

// KeyRing is all keys and choices, as a change of them sees them.
type KeyRing struct {
	Keys      []SigningKey         // the oldest first
	Choices   map[string]KeyChoice // by entityID
	Providers []ServiceProvider    // that are registered; not changed by a change of keys
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
			INSERT INTO signing_keys (id, key_use, state, algorithm, certificate, private, holder,
			    created_at, published_at, active_at, retiring_at, retired_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			k.ID, k.Use, k.State, k.Algorithm, blob(k.Certificate), blob(k.Private), k.Holder,
			micros(created), micros(k.PublishedAt), micros(k.ActiveAt), micros(k.RetiringAt), micros(k.RetiredAt)); err != nil {
			return err
		}
		note(ctx, KeyObject, k.ID, Allowed)
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// List returns all keys, the oldest first.
func (s *Keys) List(ctx context.Context) ([]SigningKey, error) {
	all, err := listKeys(ctx, s.db.engine.reader())
	return all, s.db.explain("list signing keys", err)
}

func listKeys(ctx context.Context, q querier) ([]SigningKey, error) {
	return collect(ctx, q, func(row scanner) (k SigningKey, err error) {
		var created, published, active, retiring, retired int64
		err = row.Scan(&k.ID, &k.Use, &k.State, &k.Algorithm, &k.Certificate, &k.Private, &k.Holder,
			&created, &published, &active, &retiring, &retired)
		k.CreatedAt, k.PublishedAt, k.ActiveAt = fromMicros(created), fromMicros(published), fromMicros(active)
		k.RetiringAt, k.RetiredAt = fromMicros(retiring), fromMicros(retired)
		return k, err
	}, `
		SELECT id, key_use, state, algorithm, certificate, private, holder,
		       created_at, published_at, active_at, retiring_at, retired_at
		  FROM signing_keys ORDER BY created_at, id`)
}

// Choices returns which key signs for whom, by entityID. Who has none there is signed for by
// the key of "", and without that one by the newest active key.
func (s *Keys) Choices(ctx context.Context) ([]KeyChoice, error) {
	all, err := listChoices(ctx, s.db.engine.reader())
	return all, s.db.explain("list keys of service providers", err)
}

func listChoices(ctx context.Context, q querier) ([]KeyChoice, error) {
	return collect(ctx, q, func(row scanner) (c KeyChoice, err error) {
		var switched, confirmed, updated int64
		err = row.Scan(&c.EntityID, &c.Key, &c.Previous, &c.Next, &switched, &c.Window,
			&c.ConfirmedBy, &confirmed, &c.Forced, &updated)
		c.SwitchAt, c.ConfirmedAt, c.UpdatedAt = fromMicros(switched), fromMicros(confirmed), fromMicros(updated)
		return c, err
	}, `
		SELECT entity_id, key_id, previous_key_id, next_key_id, switch_at, wait_window,
		       confirmed_by, confirmed_at, forced, updated_at
		  FROM sp_keys ORDER BY entity_id`)
}

// Change reads all keys and choices, has them changed, and stores what has changed with
// the events that do returns, all in one transaction. Two changes never cross, also
// not on two replicas. do changes states and times of keys, their private part,
// and the choices; it adds and removes no key. It can run twice, so it has no
// effect elsewhere. With an error of do, which comes back wrapped, nothing is stored.
func (s *Keys) Change(ctx context.Context, do func(*KeyRing) ([]Event, error)) error {
	return s.db.change(ctx, "change signing keys", func(ctx context.Context, tx querier) error {
		ring, before, err := readRing(ctx, tx)
		if err != nil {
			return err
		}
		keys := slices.Clone(ring.Keys)
		events, err := do(&ring)
		if err != nil {
			return err
		}
		for i, k := range ring.Keys {
			if !k.changed(keys[i]) {
				continue
			}
			if k.State == retiredKey && keys[i].State != retiredKey {
				note(ctx, KeyObject, k.ID, Revoked)
			}
			if _, err := tx.ExecContext(ctx, `
				UPDATE signing_keys
				   SET state = $1, private = $2, published_at = $3, active_at = $4, retiring_at = $5, retired_at = $6
				 WHERE id = $7`,
				k.State, blob(k.Private), micros(k.PublishedAt), micros(k.ActiveAt), micros(k.RetiringAt), micros(k.RetiredAt),
				k.ID); err != nil {
				return err
			}
		}
		for _, entityID := range slices.Sorted(maps.Keys(ring.Choices)) {
			c := ring.Choices[entityID]
			if before[entityID] == c {
				continue
			}
			if err := putChoice(ctx, tx, entityID, c); err != nil {
				return err
			}
		}
		for entityID := range before {
			if _, kept := ring.Choices[entityID]; kept {
				continue
			}
			if _, err := tx.ExecContext(ctx, `
				DELETE FROM sp_keys WHERE entity_id = $1`, entityID); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// changed tells whether a change of keys has to write this one.
func (k SigningKey) changed(before SigningKey) bool {
	return k.State != before.State || !bytes.Equal(k.Private, before.Private) ||
		!k.PublishedAt.Equal(before.PublishedAt) || !k.ActiveAt.Equal(before.ActiveAt) ||
		!k.RetiringAt.Equal(before.RetiringAt) || !k.RetiredAt.Equal(before.RetiredAt)
}

func readRing(ctx context.Context, tx querier) (ring KeyRing, before map[string]KeyChoice, err error) {
	if ring.Keys, err = listKeys(ctx, tx); err != nil {
		return ring, nil, err
	}
	choices, err := listChoices(ctx, tx)
	if err != nil {
		return ring, nil, err
	}
	if ring.Providers, err = listProviders(ctx, tx); err != nil {
		return ring, nil, err
	}
	before = make(map[string]KeyChoice, len(choices))
	for _, c := range choices {
		before[c.EntityID] = c
	}
	ring.Choices = maps.Clone(before)
	return ring, before, nil
}

func putChoice(ctx context.Context, tx querier, entityID string, c KeyChoice) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO sp_keys (entity_id, key_id, previous_key_id, next_key_id, switch_at, wait_window,
		    confirmed_by, confirmed_at, forced, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (entity_id) DO UPDATE SET key_id = excluded.key_id, previous_key_id = excluded.previous_key_id,
		    next_key_id = excluded.next_key_id, switch_at = excluded.switch_at, wait_window = excluded.wait_window,
		    confirmed_by = excluded.confirmed_by, confirmed_at = excluded.confirmed_at,
		    forced = excluded.forced, updated_at = excluded.updated_at`,
		entityID, c.Key, c.Previous, c.Next, micros(c.SwitchAt), c.Window,
		sanitize(c.ConfirmedBy), micros(c.ConfirmedAt), c.Forced, micros(c.UpdatedAt))
	return err
}
