package admin

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// KeyList is how the keys stand.
type KeyList struct {
	Keys      []Key       // the oldest first
	SignedFor []SignedFor // one for each service provider
	Now       time.Time
}

// The states of a key: made, in our metadata, signing, signing no more but still in our metadata, and out of use for
// good.
const (
	KeyNext      = string(certs.Next)
	KeyPublished = string(certs.Published)
	KeyActive    = string(certs.Active)
	KeyRetiring  = string(certs.Retiring)
	KeyRetired   = string(certs.Retired)
)

// Key is one of our keys.
type Key struct {
	ID          string
	Use         string // Signing or ForMetadata
	State       string // KeyNext and the others
	Algorithm   string
	Token       string    // "pkcs11:LABEL" of a key in the token; "": the store has it, sealed
	Since       time.Time // when it came into its state
	NotAfter    time.Time // of its certificate; zero where that can't be read
	DaysLeft    int
	Due         bool   // its certificate ends soon, or has ended
	Fingerprint string // of the certificate, SHA-256
	Certificate []byte // DER
}

// PEM is the certificate as a file to hand over. It is no secret.
func (k Key) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate}))
}

// Risk is what may go wrong with a key of this kind at service providers; "" for nothing that is known.
func (k Key) Risk() string {
	if k.Use != Signing {
		return ""
	}
	return AlgorithmRisk(k.Algorithm)
}

// AlgorithmRisk is Key.Risk of the kind of a key, such as p-256.
func AlgorithmRisk(algorithm string) string {
	switch certs.Algorithm(algorithm) {
	case certs.P256, certs.P384:
		return "many service providers refuse signatures by keys on elliptic curves: of six products that were tried, three " +
			"do. Ask each service provider before its sign-ins are signed by this key; RSA is accepted everywhere"
	default:
		return ""
	}
}

// SignedFor is a service provider, and which of our keys signs for it.
type SignedFor struct {
	EntityID, Name string
	Key            string // "": none
	Previous       string // that signed before; "" for none to go back to
	One            bool   // it holds a single certificate: a time has to be agreed
	Unasked        bool   // nobody has said how many it holds; two is assumed

	Next     string // the key that will sign from SwitchAt on; "" for none
	SwitchAt time.Time
	// Between these, people who sign in there wait on a page; zero: nobody does. WaitFrom is zero once the switch is under
	// way.
	WaitFrom, WaitUntil time.Time

	ConfirmedBy string
	ConfirmedAt time.Time
	Forced      bool
}

// List reads how the keys stand. It changes nothing.
func (k Keys) List(ctx context.Context, scope Scope) (KeyList, error) {
	if err := scope.whole(); err != nil {
		return KeyList{}, err
	}
	s, err := k.status(ctx)
	if err != nil {
		return KeyList{}, err
	}
	names, unasked := map[string]string{}, map[string]bool{}
	for _, sp := range s.providers {
		unasked[sp.EntityID] = sp.HoldsCertificates == ""
		names[sp.EntityID] = cmp.Or(sp.Name, sp.EntityID)
	}
	list := KeyList{Now: s.now}
	for _, stored := range s.keys {
		list.Keys = append(list.Keys, keyOf(stored, s.now))
	}
	for _, h := range s.ring.Holders {
		c := s.ring.Choices[h.EntityID]
		one := SignedFor{
			EntityID: h.EntityID, Name: names[h.EntityID], Key: s.ring.KeyFor(h.EntityID, s.now),
			Previous: c.Previous, One: h.One, Unasked: unasked[h.EntityID],
			Next: c.Next, SwitchAt: c.SwitchAt, ConfirmedBy: c.ConfirmedBy, ConfirmedAt: c.ConfirmedAt, Forced: c.Forced,
		}
		if c.Next != "" && c.Window {
			one.WaitFrom, one.WaitUntil = c.SwitchAt.Add(-k.SwitchBefore), c.SwitchAt.Add(k.SwitchAfter)
		} else if until, waits := c.WaitsUntil(s.now, k.SwitchBefore, k.SwitchAfter); waits && c.Next == "" {
			one.WaitUntil = until
		}
		list.SignedFor = append(list.SignedFor, one)
	}
	return list, nil
}

func keyOf(stored store.SigningKey, now time.Time) Key {
	key := Key{
		ID: stored.ID, Use: stored.Use, State: stored.State, Algorithm: stored.Algorithm, Token: stored.Holder,
		Since: since(stored), Certificate: stored.Certificate, Fingerprint: certs.Fingerprint(stored.Certificate),
	}
	if cert, err := certs.ParseHolder(stored.Certificate); err == nil {
		key.NotAfter = cert.NotAfter
		key.DaysLeft, _, key.Due = certs.Warn("", cert.NotAfter, now)
	}
	key.Due = key.Due && key.State != KeyRetired
	return key
}

// since is when a key came into its state.
func since(k store.SigningKey) time.Time {
	switch certs.State(k.State) {
	case certs.Published:
		return k.PublishedAt
	case certs.Active:
		return k.ActiveAt
	case certs.Retiring:
		return k.RetiringAt
	case certs.Retired:
		return k.RetiredAt
	default:
		return k.CreatedAt
	}
}

// shortestPrefix is how much of a key's id names it, in characters.
const shortestPrefix = 4

// Find is the one key of this id or fingerprint, or whose fingerprint begins so. With "" it is the one that is
// published and waits to be promoted.
func (k Keys) Find(ctx context.Context, scope Scope, id string) (Key, error) {
	list, err := k.List(ctx, scope)
	if err != nil {
		return Key{}, err
	}
	unnamed := id == "" // and not blanks: whoever gives those meant some key
	// A fingerprint is written with colons, and the id is its beginning.
	id = bareFingerprint(id)
	var found []Key
	for _, key := range list.Keys {
		switch {
		case key.ID == id:
			return key, nil
		case unnamed && key.Use == Signing && key.State == KeyPublished,
			len(id) >= shortestPrefix && (strings.HasPrefix(key.ID, id) || strings.HasPrefix(bareFingerprint(key.Fingerprint),
				id)):
			found = append(found, key)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case unnamed:
		return Key{}, &Error{Field: "key", Fault: strconv.Itoa(len(found)) + " keys are in state published", Act: NameKey}
	case len(found) == 0:
		return Key{}, &Error{Kind: Missing, Field: "key", Fault: fmt.Sprintf("there is no key %.80q", id), Act: ListKeys}
	}
	return Key{}, &Error{Field: "key", Fault: fmt.Sprintf("%d keys begin with %.80q", len(found), id), Act: NameKey}
}

// bareFingerprint is a fingerprint, or the beginning of one, as ids are written.
func bareFingerprint(text string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
}

// known tells whether a service provider of this entity ID is registered.
func (l KeyList) known(entityID string) bool {
	return slices.ContainsFunc(l.SignedFor, func(s SignedFor) bool { return s.EntityID == entityID })
}
