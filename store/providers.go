package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// Kinds of service provider.
const (
	ConstantContact = "constant_contact" // with provisioning
	PlainSAML       = "saml"             // group check only
)

// ServiceProvider is a SAML peer. All of it is configuration of that peer.
type ServiceProvider struct {
	EntityID string `json:"entity_id"`
	Name     string `json:"name"` // shown to people
	Kind     string `json:"kind"`
	Enabled  bool   `json:"enabled"`

	ACS []Endpoint `json:"acs"`
	// The four addresses (row SP-04). Each empty one has its default: FormAction and
	// Recipient the ACS, Destination the Recipient, Audience the EntityID.
	FormAction  string `json:"form_action,omitempty"`
	Destination string `json:"destination,omitempty"`
	Recipient   string `json:"recipient,omitempty"`
	Audience    string `json:"audience,omitempty"`

	NameIDFormat string      `json:"name_id_format"`
	NameID       string      `json:"name_id"` // template; "{external_id}" for Constant Contact
	Attributes   []Attribute `json:"attributes,omitempty"`

	SignAssertion bool `json:"sign_assertion"`
	SignResponse  bool `json:"sign_response"`

	// What the SP's metadata promises; it raises RequestSignatures to required.
	AuthnRequestsSigned bool     `json:"authn_requests_signed,omitempty"`
	RequestSignatures   string   `json:"request_signatures,omitempty"` // "if-present" (the default) or "required"
	AllowSHA1           bool     `json:"allow_sha1,omitempty"`         // in signatures of this SP; warned about
	Certificates        [][]byte `json:"certificates,omitempty"`       // DER, signing or unmarked

	// of assertions: "off" (the default), "if-published" or "required"
	Encryption     string          `json:"encryption,omitempty"`
	EncryptionKeys []EncryptionKey `json:"encryption_keys,omitempty"`
	// block encryption without integrity; only under a signed Response
	AllowCBC bool `json:"allow_cbc,omitempty"`

	Logout []LogoutEndpoint `json:"logout,omitempty"` // single logout services; empty: it takes no part

	// how many of ours it can hold: "two" (the default) or "one"
	HoldsCertificates string `json:"holds_certificates,omitempty"`

	RelayStates  []RelayState  `json:"relay_states,omitempty"` // allow-list for launches
	RelayStateIn string        `json:"relay_state_in"`         // "field" or "query": where a launch's RelayState goes
	Groups       []string      `json:"groups,omitempty"`       // DNs that may use a plain SP; empty: nobody
	Lifetime     time.Duration `json:"lifetime"`               // of an assertion, at most 5 minutes
	Skew         time.Duration `json:"skew"`                   // NotBefore lies this much in the past

	Metadata  []byte    `json:"metadata,omitempty"` // as imported
	Source    *Source   `json:"source,omitempty"`   // where its metadata is refreshed from; nil: nowhere
	UpdatedAt time.Time `json:"updated_at"`         // set by Put
}

// Endpoint is an assertion consumer service.
type Endpoint struct {
	URL       string `json:"url"`
	Binding   string `json:"binding"`
	Index     int    `json:"index"`
	IsDefault *bool  `json:"is_default,omitempty"`
}

// EncryptionKey is a key of the SP for which assertions can be encrypted.
type EncryptionKey struct {
	Certificate []byte   `json:"certificate"`       // DER, a holder of the public key
	Methods     []string `json:"methods,omitempty"` // md:EncryptionMethod algorithms, in its order of preference
}

// LogoutEndpoint is a single logout service.
type LogoutEndpoint struct {
	URL         string `json:"url"`
	ResponseURL string `json:"response_url,omitempty"` // where LogoutResponses go; "": URL
	Binding     string `json:"binding"`
}

// Source says where an SP's metadata comes from and how its last refresh went.
type Source struct {
	URL string `json:"url"`
	// DER certificate whose key must have signed it; empty: not checked
	TrustKey    []byte        `json:"trust_key,omitempty"`
	EveryAtMost time.Duration `json:"every_at_most,omitempty"`
	NextAt      time.Time     `json:"-"`                    // of the next refresh; a column of its own, see ClaimRefresh
	ReadAt      time.Time     `json:"read_at,omitzero"`     // of the last good copy
	ValidUntil  time.Time     `json:"valid_until,omitzero"` // of the last good copy; zero: without end
	NoEnd       bool          `json:"no_end,omitempty"`     // an admin dropped the end that the metadata names
	Fault       string        `json:"fault,omitempty"`      // of the last refresh; the last good copy stays in use
	// metadata that changes keys or endpoints and waits for an admin
	Pending   []byte    `json:"pending,omitempty"`
	PendingAt time.Time `json:"pending_at,omitzero"`
}

// Attribute is one released attribute.
type Attribute struct {
	Name         string `json:"name"`
	NameFormat   string `json:"name_format"`
	FriendlyName string `json:"friendly_name,omitempty"`
	Value        string `json:"value"` // template, or "attr:NAME" for all values of a directory attribute
}

// RelayState is one that a launch may ask for by its id.
type RelayState struct {
	ID      string `json:"id"`
	Value   string `json:"value"`
	Default bool   `json:"default,omitempty"`
}

// ServiceProviders keeps the SAML peers.
type ServiceProviders struct{ db *DB }

// ServiceProviders returns the SAML peers of this database.
func (db *DB) ServiceProviders() *ServiceProviders { return &ServiceProviders{db} }

// Get returns one by its entityID, compared byte for byte. ErrNotFound. It also
// returns one that is not enabled: the caller looks.
func (s *ServiceProviders) Get(ctx context.Context, entityID string) (ServiceProvider, error) {
	sp, err := scanProvider(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT record, refresh_at FROM service_providers WHERE entity_id = $1`, entityID))
	return sp, s.db.explain("get service provider", err)
}

// List returns all, by entityID.
func (s *ServiceProviders) List(ctx context.Context) ([]ServiceProvider, error) {
	all, err := listProviders(ctx, s.db.engine.reader())
	return all, s.db.explain("list service providers", err)
}

func listProviders(ctx context.Context, q querier) ([]ServiceProvider, error) {
	return collect(ctx, q, scanProvider, `
		SELECT record, refresh_at FROM service_providers ORDER BY entity_id`)
}

func scanProvider(row scanner) (sp ServiceProvider, err error) {
	var (
		record    string
		refreshAt int64
	)
	if err = row.Scan(&record, &refreshAt); err != nil {
		return sp, err
	}
	if err = json.Unmarshal([]byte(record), &sp); err != nil {
		return sp, err
	}
	if sp.Source != nil {
		sp.Source.NextAt = fromMicros(refreshAt)
	}
	return sp, nil
}

// Put adds or replaces the one with this entityID, with its event.
func (s *ServiceProviders) Put(ctx context.Context, sp ServiceProvider, e Event) error {
	return s.db.change(ctx, "store service provider", func(ctx context.Context, tx querier) error {
		return s.put(ctx, tx, sp, e)
	})
}

// PutIf is Put where check takes the one that is there by then, in the same transaction; nil: there is none. check can
// run twice, and its error is returned.
func (s *ServiceProviders) PutIf(ctx context.Context, sp ServiceProvider, check func(was *ServiceProvider) error,
	e Event) error {
	return s.db.change(ctx, "store service provider", func(ctx context.Context, tx querier) error {
		// Changes of the configuration wait for each other: what is read stays so until this one is stored.
		was, err := scanProvider(tx.QueryRowContext(ctx, `
			SELECT record, refresh_at FROM service_providers WHERE entity_id = $1`, sp.EntityID))
		switch {
		case err == nil:
			err = check(&was)
		case errors.Is(err, sql.ErrNoRows):
			err = check(nil)
		}
		if err != nil {
			return err
		}
		return s.put(ctx, tx, sp, e)
	})
}

func (s *ServiceProviders) put(ctx context.Context, tx querier, sp ServiceProvider, e Event) error {
	sp.UpdatedAt = fromMicros(micros(s.db.now()))
	if e.Actor != "" && e.Action != refreshAction { // what the bridge read itself is nobody's to undo
		if err := keepFormer(ctx, tx, sp.EntityID, sp.UpdatedAt, false, ""); err != nil {
			return err
		}
	}
	word := SwitchedOff
	if sp.Enabled {
		word = Allowed
	}
	note(ctx, ProviderObject, providerObject(sp.EntityID), word)
	if err := writeProvider(ctx, tx, sp); err != nil {
		return err
	}
	return addEvents(ctx, tx, s.db.now(), []Event{e})
}

func writeProvider(ctx context.Context, tx querier, sp ServiceProvider) error {
	var refreshAt time.Time
	if sp.Source != nil {
		refreshAt = sp.Source.NextAt
	}
	record, err := json.Marshal(sp)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO service_providers (entity_id, kind, enabled, record, refresh_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (entity_id) DO UPDATE SET kind = excluded.kind, enabled = excluded.enabled,
		    record = excluded.record, refresh_at = excluded.refresh_at, updated_at = excluded.updated_at`,
		sp.EntityID, sp.Kind, sp.Enabled, string(record), micros(refreshAt), micros(sp.UpdatedAt))
	return err
}

// Change reads one, has change alter it, and stores it with the event that change
// returns, in one transaction, so that no other change in between is lost. change
// can run twice and must do nothing else; its error ends the change and is
// returned. ErrNotFound.
func (s *ServiceProviders) Change(ctx context.Context, entityID string, change func(*ServiceProvider) (Event,
	error)) error {
	return s.db.change(ctx, "change service provider", func(ctx context.Context, tx querier) error {
		// Locked as it is read: a refresh that is claimed meanwhile must not be put back.
		sp, err := scanProvider(tx.QueryRowContext(ctx, `
			UPDATE service_providers SET updated_at = updated_at WHERE entity_id = $1
			RETURNING record, refresh_at`, entityID))
		if err != nil {
			return err
		}
		e, err := change(&sp)
		if err != nil {
			return err
		}
		sp.EntityID = entityID
		return s.put(ctx, tx, sp, e)
	})
}

// ClaimRefresh moves the time of the next refresh of one from due, as it was read,
// to next, and tells whether it did: of several replicas that see the same refresh
// due, one gets it. It is no change of configuration.
func (s *ServiceProviders) ClaimRefresh(ctx context.Context, entityID string, due,
	next time.Time) (claimed bool, err error) {
	err = s.db.write(ctx, "claim a metadata refresh", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE service_providers SET refresh_at = $1 WHERE entity_id = $2 AND refresh_at = $3`,
			micros(next), entityID, micros(due))
		claimed = n > 0
		return err
	})
	return claimed, err
}

// Remove deletes one, with its event. ErrNotFound.
func (s *ServiceProviders) Remove(ctx context.Context, entityID string, e Event) error {
	return s.RemoveIf(ctx, entityID, nil, e)
}

// RemoveIf is Remove of one that is as check demands, in the transaction that removes it. check can run twice, and its
// error is returned; nil demands nothing.
func (s *ServiceProviders) RemoveIf(ctx context.Context, entityID string, check func(ServiceProvider) error,
	e Event) error {
	return s.db.change(ctx, "remove service provider", func(ctx context.Context, tx querier) error {
		if check != nil {
			sp, err := scanProvider(tx.QueryRowContext(ctx, `
				UPDATE service_providers SET updated_at = updated_at WHERE entity_id = $1
				RETURNING record, refresh_at`, entityID))
			if err != nil {
				return err
			}
			if err := check(sp); err != nil {
				return err
			}
		}
		choice, err := choiceOf(ctx, tx, entityID)
		if err != nil {
			return err
		}
		if err := keepFormer(ctx, tx, entityID, s.db.now(), true, choice); err != nil {
			return err
		}
		if err := removeProvider(ctx, tx, entityID); err != nil {
			return err
		}
		note(ctx, ProviderObject, providerObject(entityID), Revoked)
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

func removeProvider(ctx context.Context, tx querier, entityID string) error {
	n, err := rowsAffected(ctx, tx, `
		DELETE FROM service_providers WHERE entity_id = $1`, entityID)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNotFound
	}
	// One that is registered anew under this name begins with the key of all.
	_, err = tx.ExecContext(ctx, `
		DELETE FROM sp_keys WHERE entity_id = $1`, entityID)
	return err
}
