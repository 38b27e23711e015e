package store

import (
	"context"
	"encoding/json"
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

	AuthnRequestsSigned bool     `json:"authn_requests_signed,omitempty"`
	Certificates        [][]byte `json:"certificates,omitempty"` // DER, signing or unmarked

	RelayStates  []RelayState  `json:"relay_states,omitempty"` // allow-list for launches
	RelayStateIn string        `json:"relay_state_in"`         // "field" or "query": where a launch's RelayState goes
	Groups       []string      `json:"groups,omitempty"`       // DNs that may use a plain SP; empty: nobody
	Lifetime     time.Duration `json:"lifetime"`               // of an assertion, at most 5 minutes
	Skew         time.Duration `json:"skew"`                   // NotBefore lies this much in the past

	Metadata  []byte    `json:"metadata,omitempty"` // as imported
	UpdatedAt time.Time `json:"updated_at"`         // set by Put
}

// Endpoint is an assertion consumer service.
type Endpoint struct {
	URL       string `json:"url"`
	Binding   string `json:"binding"`
	Index     int    `json:"index"`
	IsDefault *bool  `json:"is_default,omitempty"`
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
		SELECT record FROM service_providers WHERE entity_id = $1`, entityID))
	return sp, s.db.explain("get service provider", err)
}

// List returns all, by entityID.
func (s *ServiceProviders) List(ctx context.Context) ([]ServiceProvider, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanProvider, `
		SELECT record FROM service_providers ORDER BY entity_id`)
	return all, s.db.explain("list service providers", err)
}

func scanProvider(row scanner) (sp ServiceProvider, err error) {
	var record string
	if err = row.Scan(&record); err != nil {
		return sp, err
	}
	return sp, json.Unmarshal([]byte(record), &sp)
}

// Put adds or replaces the one with this entityID, with its event.
func (s *ServiceProviders) Put(ctx context.Context, sp ServiceProvider, e Event) error {
	sp.UpdatedAt = fromMicros(micros(s.db.now()))
	record, err := json.Marshal(sp)
	if err != nil {
		return s.db.explain("store service provider", err)
	}
	return s.db.change(ctx, "store service provider", func(ctx context.Context, tx querier) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO service_providers (entity_id, kind, enabled, record, updated_at)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (entity_id) DO UPDATE SET kind = excluded.kind, enabled = excluded.enabled,
			    record = excluded.record, updated_at = excluded.updated_at`,
			sp.EntityID, sp.Kind, sp.Enabled, string(record), micros(sp.UpdatedAt)); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// Remove deletes one, with its event. ErrNotFound.
func (s *ServiceProviders) Remove(ctx context.Context, entityID string, e Event) error {
	return s.db.change(ctx, "remove service provider", func(ctx context.Context, tx querier) error {
		n, err := touched(ctx, tx, `
			DELETE FROM service_providers WHERE entity_id = $1`, entityID)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}
