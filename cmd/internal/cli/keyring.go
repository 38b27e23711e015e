package cli

import (
	"cmp"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// keyLife is how long a signing certificate lasts. Service providers import it by
// hand, so it is long; check, the log and the metrics warn from 90 days before its end.
const keyLife = 3 * 365 * 24 * time.Hour

// Uses of our keys.
const (
	useSigning  = "signing"  // Responses and logout messages
	useMetadata = "metadata" // our metadata
)

// inToken begins the holder of a key that the PKCS #11 token holds.
const inToken = "pkcs11:"

// ErrHasKey says that a signing key is there already.
var ErrHasKey = errors.New("the store has an active signing key already")

// AddFirstKey makes the first signing key, seals it and stores it as active. A store
// that has an active key is left alone with ErrHasKey: a second one would end all
// sign-ins at service providers that know the first.
func AddFirstKey(ctx context.Context, db *store.DB, sealer *certs.Sealer, publicURL string, a certs.Algorithm, e store.Event) (*certs.Key, error) {
	keys, err := db.Keys().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	for _, k := range keys {
		if k.Use == useSigning && certs.State(k.State) == certs.Active {
			return nil, fmt.Errorf("%w: %s", ErrHasKey, k.ID)
		}
	}
	key, err := certs.Generate(a, commonName(publicURL), keyLife, e.At, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	return key, addKey(ctx, db, sealer, key, useSigning, "", certs.Active, e)
}

// commonName of a certificate. It only carries the key; its name is for people who look at it.
func commonName(publicURL string) string {
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" && len(u.Hostname()) <= 64 {
		return u.Hostname()
	}
	return "ssobridge"
}

// addKey stores a key, its private part sealed unless a token holds it.
func addKey(ctx context.Context, db *store.DB, sealer *certs.Sealer, key *certs.Key, use, holder string, state certs.State, e store.Event) error {
	stored := store.SigningKey{
		ID: key.ID, Use: use, State: string(state), Algorithm: string(key.Algorithm), Certificate: key.Certificate.Raw,
		Holder: holder, CreatedAt: e.At,
	}
	if state == certs.Active {
		stored.PublishedAt, stored.ActiveAt = e.At, e.At
	}
	if holder == "" {
		private, err := key.PKCS8()
		if err != nil {
			return fmt.Errorf("encode the signing key: %w", err)
		}
		stored.Private, err = sealer.Seal(private, "signing-key:"+key.ID)
		clear(private)
		if err != nil {
			return fmt.Errorf("seal the signing key: %w", err)
		}
	}
	e.Subject = key.ID
	if err := db.Keys().Add(ctx, stored, e); err != nil {
		return fmt.Errorf("store the signing key: %w", err)
	}
	return nil
}

// NewKey says which key to make.
type NewKey struct {
	Algorithm certs.Algorithm // "": RSA-3072
	Use       string          // "": signing
	Label     string          // in the PKCS #11 token; "": kept in the store, sealed
	Life      time.Duration   // of the certificate; 0: three years
}

// errNoToken: a key is to be made in a token, and none is configured.
var errNoToken = errors.New("no PKCS #11 token is configured")

// GenerateKey makes a key, in state next: nobody knows of it yet. The first key of
// a use is active at once, since there is nobody whom it could take by surprise.
func (p *Parts) GenerateKey(ctx context.Context, n NewKey, e store.Event) (key *certs.Key, state certs.State, err error) {
	n.Use, n.Life = cmp.Or(n.Use, useSigning), cmp.Or(n.Life, keyLife)
	stored, err := p.Store.Keys().List(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("list signing keys: %w", err)
	}
	state = certs.Active
	if slices.ContainsFunc(stored, func(k store.SigningKey) bool { return k.Use == n.Use && certs.State(k.State).Public() }) {
		state = certs.Next
	}
	name, holder := commonName(p.Config.PublicURL), ""
	if n.Label == "" {
		key, err = certs.Generate(n.Algorithm, name, n.Life, e.At, rand.Reader)
	} else {
		holder = inToken + n.Label
		var signer crypto.Signer
		if signer, err = p.generateInToken(n); err == nil {
			key, err = certs.SelfSign(signer, name, n.Life, e.At, rand.Reader)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("make a signing key: %w", err)
	}
	e.Detail = detail(map[string]any{"algorithm": key.Algorithm, "use": n.Use, "state": state, "holder": holder})
	return key, state, addKey(ctx, p.Store, p.Sealer, key, n.Use, holder, state, e)
}

func (p *Parts) generateInToken(n NewKey) (crypto.Signer, error) {
	if p.Token == nil {
		return nil, errNoToken
	}
	switch n.Algorithm {
	case certs.RSA2048:
		return p.Token.GenerateRSA(n.Label, 2048)
	case certs.P256:
		return p.Token.GenerateECDSA(n.Label, elliptic.P256())
	case certs.P384:
		return p.Token.GenerateECDSA(n.Label, elliptic.P384())
	}
	return p.Token.GenerateRSA(n.Label, 3072)
}

// PublishKey puts a key into our metadata.
func (p *Parts) PublishKey(ctx context.Context, id string, e store.Event) error {
	return p.changeKeys(ctx, id, func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		e.Subject = id
		return []store.Event{e}, r.Publish(id, now)
	})
}

// PromoteKey has a key sign for one service provider or for all, now or at an agreed
// time. left are those that a promotion for all has passed over.
func (p *Parts) PromoteKey(ctx context.Context, promotion certs.Promotion, e store.Event) (left []string, err error) {
	err = p.changeKeys(ctx, promotion.Key, func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		e.Subject, e.SP = promotion.Key, promotion.EntityID
		about := map[string]any{"confirmed_by": promotion.By, "forced": promotion.Force}
		if !promotion.At.IsZero() {
			about["at"] = promotion.At.UTC()
		}
		e.Detail = detail(about)
		var err error
		left, err = r.Promote(promotion, now)
		return []store.Event{e}, err
	})
	return left, err
}

// PromoteMetadataKey makes a key the one that signs our metadata.
func (p *Parts) PromoteMetadataKey(ctx context.Context, id string, e store.Event) error {
	return p.changeKeys(ctx, id, func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		e.Subject = id
		return []store.Event{e}, r.Replace(id, now)
	})
}

// RollbackKey takes the last step at one service provider, or at all (""), back at once.
func (p *Parts) RollbackKey(ctx context.Context, entityID string, e store.Event) (to string, err error) {
	err = p.changeKeys(ctx, "", func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		var err error
		to, err = r.Rollback(entityID, now)
		e.Subject, e.SP = to, entityID
		return []store.Event{e}, err
	})
	return to, err
}

// RetireKey takes a key out of our metadata for good, and its private part out of the store.
func (p *Parts) RetireKey(ctx context.Context, id string, e store.Event) error {
	return p.changeKeys(ctx, id, func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		e.Subject = id
		return []store.Event{e}, r.Retire(id, now)
	})
}

// SettleKeys writes planned switches down whose time has come, with an event for each.
// Sign-ins don't wait for it: they go by the clock. Any replica may do it.
func (p *Parts) SettleKeys(ctx context.Context) error {
	choices, err := p.Store.Keys().Choices(ctx)
	if err != nil {
		return fmt.Errorf("look for planned switches of keys: %w", err)
	}
	now := p.now()
	if !slices.ContainsFunc(choices, func(c store.KeyChoice) bool { return c.Next != "" && !now.Before(c.SwitchAt) }) {
		return nil
	}
	return p.changeKeys(ctx, "", func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		var events []store.Event
		for _, entityID := range r.Settle(now) {
			c := r.Choices[entityID]
			events = append(events, store.Event{At: now, Actor: "worker", Action: "key-switch", Subject: c.Key, SP: entityID, Outcome: "ok",
				Detail: detail(map[string]any{"previous": c.Previous, "at": c.SwitchAt})})
		}
		return events, nil
	})
}

// changeKeys applies a rule to the keys of one use, those of the key id, in one
// transaction. id "" means the signing keys.
func (p *Parts) changeKeys(ctx context.Context, id string, rule func(*certs.Ring, time.Time) ([]store.Event, error)) error {
	var refused error // by the rule: it has said itself what was being done
	err := p.Store.Keys().Change(ctx, func(stored *store.KeyRing) ([]store.Event, error) {
		use := useSigning
		if i := slices.IndexFunc(stored.Keys, func(k store.SigningKey) bool { return k.ID == id }); i >= 0 {
			use = stored.Keys[i].Use
		}
		ring := ringOf(stored, use)
		var events []store.Event
		if events, refused = rule(&ring, p.now().UTC()); refused != nil {
			return nil, refused
		}
		writeBack(ring, stored, use)
		return events, nil
	})
	if refused != nil {
		return refused
	}
	return err // wrapped there
}

// ringOf is the keys of one use as the rules see them.
func ringOf(stored *store.KeyRing, use string) certs.Ring {
	r := certs.Ring{Keys: map[string]certs.Member{}, Choices: map[string]certs.Choice{}}
	for _, k := range stored.Keys {
		if k.Use != use {
			continue
		}
		m := certs.Member{State: certs.State(k.State), CreatedAt: k.CreatedAt, PublishedAt: k.PublishedAt, ActiveAt: k.ActiveAt, RetiringAt: k.RetiringAt, RetiredAt: k.RetiredAt}
		if cert, err := x509.ParseCertificate(k.Certificate); err == nil {
			m.NotAfter = cert.NotAfter
		}
		r.Keys[k.ID] = m
	}
	if use != useSigning {
		return r
	}
	for entityID, c := range stored.Choices {
		r.Choices[entityID] = certs.Choice{
			Key: c.Key, Previous: c.Previous, Next: c.Next, SwitchAt: c.SwitchAt, Window: c.Window,
			ConfirmedBy: c.ConfirmedBy, ConfirmedAt: c.ConfirmedAt, Forced: c.Forced, UpdatedAt: c.UpdatedAt,
		}
	}
	for _, sp := range stored.Providers {
		r.Holders = append(r.Holders, certs.Holder{EntityID: sp.EntityID, One: sp.HoldsCertificates == "one"})
	}
	return r
}

func writeBack(r certs.Ring, stored *store.KeyRing, use string) {
	for i := range stored.Keys {
		k := &stored.Keys[i]
		m, ok := r.Keys[k.ID]
		if !ok {
			continue
		}
		k.State, k.PublishedAt, k.ActiveAt, k.RetiringAt, k.RetiredAt = string(m.State), m.PublishedAt, m.ActiveAt, m.RetiringAt, m.RetiredAt
		if m.State == certs.Retired {
			k.Private = nil // what is not there can't be stolen
		}
	}
	if use != useSigning {
		return
	}
	stored.Choices = map[string]store.KeyChoice{}
	for entityID, c := range r.Choices {
		stored.Choices[entityID] = store.KeyChoice{
			EntityID: entityID, Key: c.Key, Previous: c.Previous, Next: c.Next, SwitchAt: c.SwitchAt, Window: c.Window,
			ConfirmedBy: c.ConfirmedBy, ConfirmedAt: c.ConfirmedAt, Forced: c.Forced, UpdatedAt: c.UpdatedAt,
		}
	}
}

// KeyStatus is how the keys stand.
type KeyStatus struct {
	Keys []store.SigningKey // the oldest first
	Ring certs.Ring         // of the signing keys
	Now  time.Time
}

// KeyStatus reads how the keys stand. It changes nothing.
func (p *Parts) KeyStatus(ctx context.Context) (KeyStatus, error) {
	keys, err := p.Store.Keys().List(ctx)
	if err != nil {
		return KeyStatus{}, fmt.Errorf("read how the keys stand: %w", err)
	}
	choices, err := p.Store.Keys().Choices(ctx)
	if err != nil {
		return KeyStatus{}, fmt.Errorf("read how the keys stand: %w", err)
	}
	providers, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		return KeyStatus{}, fmt.Errorf("read how the keys stand: %w", err)
	}
	stored := &store.KeyRing{Keys: keys, Choices: map[string]store.KeyChoice{}, Providers: providers}
	for _, c := range choices {
		stored.Choices[c.EntityID] = c
	}
	s := KeyStatus{Keys: keys, Ring: ringOf(stored, useSigning), Now: p.now().UTC()}
	s.Ring.Settle(s.Now)
	// The states that the clock has brought about, whether they are written down yet or not.
	for i, k := range s.Keys {
		if m, ok := s.Ring.Keys[k.ID]; ok {
			s.Keys[i].State = string(m.State)
		}
	}
	return s, nil
}

// find is the one key whose id begins so.
func (s KeyStatus) find(id string) (store.SigningKey, error) {
	var found []store.SigningKey
	for _, k := range s.Keys {
		if k.ID == id {
			return k, nil
		}
		if len(id) >= 4 && strings.HasPrefix(k.ID, strings.ToLower(id)) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return store.SigningKey{}, fmt.Errorf("there is no key %s", quote(id))
	}
	return store.SigningKey{}, fmt.Errorf("%d keys begin with %s", len(found), quote(id))
}

// openKey opens a stored key, to see that it can be used.
func (p *Parts) openKey(k store.SigningKey) (*certs.Key, error) {
	if label, ok := strings.CutPrefix(k.Holder, inToken); ok {
		if p.Token == nil {
			return nil, errNoToken
		}
		signer, err := p.Token.Signer(label)
		if err != nil {
			return nil, err
		}
		return certs.FromSigner(k.Certificate, signer)
	}
	private, err := p.Sealer.Open(k.Private, "signing-key:"+k.ID)
	if err != nil {
		return nil, err
	}
	defer clear(private)
	return certs.Load(k.Certificate, private)
}

// detail of an audit event. What is put in here can always be encoded.
func detail(about map[string]any) json.RawMessage {
	data, err := json.Marshal(about)
	if err != nil {
		return nil
	}
	return data
}
