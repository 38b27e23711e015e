package admin

import (
	"cmp"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/certs/pkcs11"
	"ssobridge/store"
)

// Keys is what is done with our keys. Every function that changes something writes its audit event in the same
// transaction; the event that is handed in says who, when and from where.
type Keys struct {
	Store                     *store.DB
	Sealer                    *certs.Sealer
	Token                     *pkcs11.Token // nil: none is configured
	Engine                    *certs.Engine // makes RSA signatures
	PublicURL                 string        // names certificates
	SwitchBefore, SwitchAfter time.Duration // for how long people wait around a switch at an agreed time
	Now                       func() time.Time
}

// Uses of our keys.
const (
	Signing     = "signing"  // Responses and logout messages
	ForMetadata = "metadata" // our metadata
)

// KeyLife is how long a signing certificate lasts, if nothing else is said. Service providers import it by hand, so it
// is long; check, the log and the metrics warn from 90 days before its end.
const KeyLife = 3 * 365 * 24 * time.Hour

const (
	shortestKeyLife = 24 * time.Hour
	longestName     = 200 // of who has confirmed something, in bytes
)

// inToken begins the holder of a key that the PKCS #11 token holds.
const inToken = "pkcs11:"

// ErrHasKey is the cause where there is a signing key already.
var ErrHasKey = errors.New("the store has an active signing key already")

// MakeFirst makes the first signing key, seals it and stores it as active. A store that has an active key is left alone
// with ErrHasKey: a second one would end all sign-ins at service providers that know the first.
func (k Keys) MakeFirst(ctx context.Context, scope Scope, a certs.Algorithm, e store.Event) (*certs.Key, error) {
	if err := scope.whole(); err != nil {
		return nil, err
	}
	stored, err := k.Store.Keys().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	for _, s := range stored {
		if s.Use == Signing && certs.State(s.State) == certs.Active {
			return nil, &Error{Fault: fmt.Sprintf("%v: %s", ErrHasKey, s.ID), Act: ListKeys, Err: ErrHasKey}
		}
	}
	key, err := certs.Generate(a, k.commonName(), KeyLife, e.At, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	return key, k.add(ctx, key, Signing, "", certs.Active, e)
}

// commonName of a certificate. It only carries the key; its name is for people who look at it.
func (k Keys) commonName() string {
	if u, err := url.Parse(k.PublicURL); err == nil && u.Hostname() != "" && len(u.Hostname()) <= 64 {
		return u.Hostname()
	}
	return "ssobridge"
}

// add stores a key, its private part sealed unless a token holds it.
func (k Keys) add(ctx context.Context, key *certs.Key, use, holder string, state certs.State, e store.Event) error {
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
		stored.Private, err = k.Sealer.Seal(private, "signing-key:"+key.ID)
		clear(private)
		if err != nil {
			return fmt.Errorf("seal the signing key: %w", err)
		}
	}
	e.Action, e.Subject = "key-add", key.ID
	if err := k.Store.Keys().Add(ctx, stored, e); err != nil {
		return fmt.Errorf("store the signing key: %w", err)
	}
	return nil
}

// NewKey says which key to make.
type NewKey struct {
	Algorithm string        // "": RSA-3072
	Use       string        // "": Signing
	Label     string        // in the PKCS #11 token; "": kept in the store, sealed
	Life      time.Duration // of the certificate; 0: KeyLife
}

// Generate makes a key, in state next: nobody knows of it yet. The first key of a use is active at once, since there is
// nobody whom it could take by surprise.
func (k Keys) Generate(ctx context.Context, scope Scope, n NewKey, e store.Event) (Key, error) {
	if err := scope.whole(); err != nil {
		return Key{}, err
	}
	n.Algorithm, n.Use, n.Life = cmp.Or(n.Algorithm, string(certs.RSA3072)), cmp.Or(n.Use, Signing),
		cmp.Or(n.Life, KeyLife)
	switch {
	case !slices.Contains([]certs.Algorithm{certs.RSA3072, certs.RSA2048, certs.P256, certs.P384},
		certs.Algorithm(n.Algorithm)):
		return Key{}, &Error{Field: "algorithm", Fault: fmt.Sprintf("there is no kind of key %.40q", n.Algorithm),
			Hint: "choose rsa-3072, rsa-2048, p-256 or p-384"}
	case n.Use != Signing && n.Use != ForMetadata:
		return Key{}, &Error{Field: "use", Fault: fmt.Sprintf("a key can't be for %.40q", n.Use),
			Hint: "choose signing or metadata"}
	case n.Life < shortestKeyLife:
		return Key{}, &Error{Field: "life", Fault: fmt.Sprintf("a certificate of %s is too short", n.Life),
			Hint: "write at least 24h"}
	case n.Label != "" && k.Token == nil:
		return Key{}, &Error{Field: "label", Fault: "no PKCS #11 token is configured", Act: ConfigureToken}
	}
	key, state, err := k.generate(ctx, n, e)
	if err != nil {
		return Key{}, refusal(err)
	}
	return Key{
		ID: key.ID, Use: n.Use, State: string(state), Algorithm: string(key.Algorithm), Since: e.At,
		NotAfter:    key.Certificate.NotAfter,
		Certificate: key.Certificate.Raw, Fingerprint: certs.Fingerprint(key.Certificate.Raw),
	}, nil
}

func (k Keys) generate(ctx context.Context, n NewKey, e store.Event) (key *certs.Key, state certs.State, err error) {
	stored, err := k.Store.Keys().List(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("list signing keys: %w", err)
	}
	state = certs.Active
	if slices.ContainsFunc(stored,
		func(s store.SigningKey) bool { return s.Use == n.Use && certs.State(s.State).Public() }) {
		state = certs.Next
	}
	holder := ""
	if n.Label == "" {
		key, err = certs.Generate(certs.Algorithm(n.Algorithm), k.commonName(), n.Life, e.At, rand.Reader)
	} else {
		holder = inToken + n.Label
		var signer crypto.Signer
		if signer, err = k.generateInToken(n); err == nil {
			key, err = certs.SelfSign(signer, k.commonName(), n.Life, e.At, rand.Reader)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("make a signing key: %w", err)
	}
	e.Detail = store.DetailOf(map[string]any{"algorithm": key.Algorithm, "use": n.Use, "state": state, "holder": holder})
	return key, state, k.add(ctx, key, n.Use, holder, state, e)
}

func (k Keys) generateInToken(n NewKey) (crypto.Signer, error) {
	switch certs.Algorithm(n.Algorithm) {
	case certs.RSA2048:
		return k.Token.GenerateRSA(n.Label, 2048)
	case certs.P256:
		return k.Token.GenerateECDSA(n.Label, elliptic.P256())
	case certs.P384:
		return k.Token.GenerateECDSA(n.Label, elliptic.P384())
	default:
		return k.Token.GenerateRSA(n.Label, 3072)
	}
}

// Publish puts a key into our metadata.
func (k Keys) Publish(ctx context.Context, scope Scope, id string, e store.Event) error {
	if err := scope.whole(); err != nil {
		return err
	}
	return k.refused(id, k.change(ctx, id, func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		e.Action, e.Subject = "key-publish", id
		return []store.Event{e}, r.Publish(id, now)
	}))
}

// Promotion has a key sign for one service provider or for all, now or at an agreed time.
type Promotion struct {
	Key         string
	EntityID    string // of one service provider; "": All says it
	All         bool   // for all, and for those that are registered later
	At          time.Time
	ConfirmedBy string // who has said that the certificate is loaded there; "": nobody
	Force       bool   // an emergency: nobody is asked, and nobody has loaded it
}

// Check says what of a promotion can't be, before anybody is asked for a confirmation. use is that of the key.
func (k Keys) Check(ctx context.Context, scope Scope, p Promotion, use string) error {
	switch {
	case p.All && p.EntityID != "", !p.All && p.EntityID == "":
		return &Error{Field: "sp", Fault: "it is not said for whom", Act: SayForWhom}
	case len(p.ConfirmedBy) > longestName:
		return &Error{Field: "confirmed_by", Fault: fmt.Sprintf("the name of who has confirmed it is longer than %d "+
			"characters", longestName), Hint: "write a name"}
	case use == ForMetadata && (p.EntityID != "" || !p.At.IsZero()):
		return &Error{Field: "sp", Fault: fmt.Sprintf("%s signs the metadata, which is the same for all", p.Key),
			Hint: "promote it for all, and at once"}
	case p.EntityID == "":
		return nil
	}
	list, err := k.List(ctx, scope)
	if err == nil && !list.known(p.EntityID) {
		err = &Error{Field: "sp", Fault: fmt.Sprintf("%v of the entity ID %.300q", certs.ErrNoHolder, p.EntityID),
			Act: ListProviders, Err: certs.ErrNoHolder}
	}
	return err
}

// Promote does it. left are the service providers that a promotion for all has passed over, since they hold one
// certificate.
func (k Keys) Promote(ctx context.Context, scope Scope, p Promotion, e store.Event) (left []string, err error) {
	if err := scope.whole(); err != nil {
		return nil, err
	}
	key, err := k.Find(ctx, scope, p.Key)
	if err != nil {
		return nil, err
	}
	p.Key, p.EntityID, p.ConfirmedBy = key.ID, store.TrimTyped(p.EntityID), strings.TrimSpace(p.ConfirmedBy)
	if err := k.Check(ctx, scope, p, key.Use); err != nil {
		return nil, err
	}
	if err := k.holdsTwo(ctx, scope, p); err != nil {
		return nil, err
	}
	err = k.change(ctx, p.Key, func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		e.Action, e.Subject, e.SP = "key-promote", p.Key, p.EntityID
		about := map[string]any{"confirmed_by": p.ConfirmedBy, "forced": p.Force}
		if !p.At.IsZero() {
			about["at"] = p.At.UTC()
		}
		e.Detail = store.DetailOf(about)
		if key.Use == ForMetadata {
			if p.ConfirmedBy == "" && !p.Force {
				return nil, fmt.Errorf("promote key %s: %w", p.Key, certs.ErrUnconfirmed)
			}
			return []store.Event{e}, r.Replace(p.Key, now)
		}
		var err error
		left, err = r.Promote(certs.Promotion{Key: p.Key, EntityID: p.EntityID, At: p.At, By: p.ConfirmedBy,
			Force: p.Force}, now)
		return []store.Event{e}, err
	})
	return left, k.refused(cmp.Or(p.EntityID, p.Key), err)
}

// holdsTwo refuses to promote a key at once for a service provider of which nobody has said that it holds two
// certificates: one that holds a single one has put the new one in the old one's place, or refuses the next sign-in.
func (k Keys) holdsTwo(ctx context.Context, scope Scope, p Promotion) error {
	if p.EntityID == "" || p.Force || p.ConfirmedBy == "" || !p.At.IsZero() {
		return nil
	}
	list, err := k.List(ctx, scope)
	if err != nil {
		return err
	}
	for _, sp := range list.SignedFor {
		if sp.EntityID == p.EntityID && sp.Unasked && sp.Key != "" && sp.Key != p.Key {
			return &Error{Field: "holds_certificates", Fault: "it is not known how many of our certificates " + sp.Name +
				" holds at a time", Hint: "ask there, and set holds_certificates to two, or to one and agree on a time",
				Act: SetProvider, About: sp.EntityID}
		}
	}
	return nil
}

// Rollback takes the last step at one service provider, or at all of them, back at once. to is the key that signs there
// then.
func (k Keys) Rollback(ctx context.Context, scope Scope, entityID string, all bool,
	e store.Event) (to string, err error) {
	if err := scope.whole(); err != nil {
		return "", err
	}
	if all == (entityID != "") {
		return "", &Error{Field: "sp", Fault: "it is not said for whom", Act: SayForWhom}
	}
	entityID = store.TrimTyped(entityID)
	err = k.change(ctx, "", func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		var err error
		to, err = r.Rollback(entityID, now)
		e.Action, e.Subject, e.SP = "key-rollback", to, entityID
		return []store.Event{e}, err
	})
	return to, k.refused(entityID, err)
}

// MayRetire tells why Retire would refuse a signing key, before anybody is asked for a yes. It changes nothing.
func (k Keys) MayRetire(ctx context.Context, scope Scope, id string) error {
	if err := scope.whole(); err != nil {
		return err
	}
	s, err := k.status(ctx)
	if err != nil {
		return err
	}
	if _, signs := s.ring.Keys[id]; !signs {
		return nil // one for our metadata, of which Retire itself decides
	}
	return k.refused(id, s.ring.Retire(id, s.now))
}

// Retire takes a key out of our metadata for good, and its private part out of the store.
func (k Keys) Retire(ctx context.Context, scope Scope, id string, e store.Event) error {
	if err := scope.whole(); err != nil {
		return err
	}
	return k.refused(id, k.change(ctx, id, func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		e.Action, e.Subject = "key-retire", id
		return []store.Event{e}, r.Retire(id, now)
	}))
}

// refused is err as an Error about something, where it is a refusal.
func (k Keys) refused(about string, err error) error {
	if err == nil {
		return nil
	}
	e, ok := AsError(err)
	if !ok {
		return err
	}
	e.About = about
	return e
}

// Settle writes planned switches down whose time has come, with an event for each. Sign-ins don't wait for it: they go
// by the clock. Any replica may do it.
func (k Keys) Settle(ctx context.Context) error {
	choices, err := k.Store.Keys().Choices(ctx)
	if err != nil {
		return fmt.Errorf("look for planned switches of keys: %w", err)
	}
	now := k.Now()
	if !slices.ContainsFunc(choices, func(c store.KeyChoice) bool { return c.Next != "" && !now.Before(c.SwitchAt) }) {
		return nil
	}
	return k.change(ctx, "", func(r *certs.Ring, now time.Time) ([]store.Event, error) {
		var events []store.Event
		for _, entityID := range r.Settle(now) {
			c := r.Choices[entityID]
			events = append(events, store.Event{At: now, Actor: "worker", Action: "key-switch", Subject: c.Key,
				SP: entityID, Outcome: "ok",
				Detail: store.DetailOf(map[string]any{"previous": c.Previous, "at": c.SwitchAt})})
		}
		return events, nil
	})
}

// open opens a stored key, to see that it can be used.
func (k Keys) open(stored store.SigningKey) (*certs.Key, error) {
	if label, ok := strings.CutPrefix(stored.Holder, inToken); ok {
		if k.Token == nil {
			return nil, &Error{Kind: Outside, Fault: "no PKCS #11 token is configured", Act: ConfigureToken}
		}
		signer, err := k.Token.Signer(label)
		if err != nil {
			return nil, err
		}
		return certs.FromSigner(stored.Certificate, signer)
	}
	private, err := k.Sealer.Open(stored.Private, "signing-key:"+stored.ID)
	if err != nil {
		return nil, err
	}
	defer clear(private)
	return certs.Load(stored.Certificate, private)
}

// Opens tells why a key can't be used as the store or a copy of it has it; nil: it can.
func (k Keys) Opens(stored store.SigningKey) error {
	_, err := k.open(stored)
	return err
}
