package idp

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/idp/saml"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// CauseKeySwitch is the provisioning.Progress.Cause of a sign-in that waits for the
// switch to another signing key: the service provider holds one certificate, and
// around the agreed time nobody knows which.
const CauseKeySwitch = "key_switch"

// inToken begins the store.SigningKey.Holder of a key that a token holds; its
// label there follows.
const inToken = "pkcs11:"

// Token finds keys that are held outside of the store, such as in a hardware
// security module. It must be safe for concurrent use, and so must what it returns.
type Token interface {
	Signer(label string) (crypto.Signer, error)
}

// publicKey is a key that stands in our metadata.
type publicKey struct {
	ID          string
	Certificate *x509.Certificate
}

// keyring is the keys as of one reading of the store.
type keyring struct {
	now     func() time.Time
	public  []publicKey             // in metadata: those that sign first, then the newest
	signers map[string]*saml.Signer // by id; those that can be used
	faults  map[string]error        // by id; why one can't be used
	choices map[string]certs.Choice // by entityID
	newest  string                  // the newest active key that can be used
	fault   error                   // why newest is ""

	// A token that did not answer may do so soon: the keys are read again then,
	// although nothing has changed in the store. Zero: no need.
	readAgainAt time.Time

	metadata      *saml.Signer // signs our metadata; nil: nothing does
	metadataFault error        // why it is nil although there is such a key
}

// tokenPause is how long a token that failed is left alone.
const tokenPause = 5 * time.Second

// stale tells whether the keys have to be read again by now.
func (r *keyring) stale() bool { return !r.readAgainAt.IsZero() && !r.now().Before(r.readAgainAt) }

// readKeys reads and opens all keys that are in use or may come into it.
func (p *IdP) readKeys(ctx context.Context) (*keyring, error) {
	stored, err := p.o.Keys.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	choices, err := p.o.Keys.Choices(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the keys of service providers: %w", err)
	}
	// Those that sign stand first: there are service providers that load only the
	// first certificate of metadata.
	slices.SortFunc(stored, func(a, b store.SigningKey) int {
		first := func(k store.SigningKey) int {
			if certs.State(k.State) == certs.Active {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(a), first(b)), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	r := &keyring{now: p.o.Now, signers: map[string]*saml.Signer{}, faults: map[string]error{},
		choices: make(map[string]certs.Choice, len(choices))}
	for _, c := range choices {
		r.choices[c.EntityID] = certs.Choice{Key: c.Key, Previous: c.Previous, Next: c.Next, SwitchAt: c.SwitchAt,
			Window: c.Window}
	}
	for _, k := range stored {
		if state := certs.State(k.State); !state.Public() {
			continue
		}
		switch k.Use {
		case "signing":
			p.readKey(ctx, r, k)
		case "metadata":
			if certs.State(k.State) == certs.Active && r.metadata == nil {
				if r.metadata, r.metadataFault = p.signerOf(k); r.metadataFault != nil && k.Holder != "" {
					r.readAgainAt = r.now().Add(tokenPause)
				}
			}
		}
	}
	switch {
	case r.newest != "":
	case len(r.faults) > 0:
		for _, fault := range r.faults {
			r.fault = errors.Join(r.fault, fault)
		}
	default:
		r.fault = errors.New("none is stored as active")
	}
	return r, nil
}

func (p *IdP) readKey(ctx context.Context, r *keyring, k store.SigningKey) {
	by, err := p.signerOf(k)
	if err == nil {
		r.signers[k.ID] = by
		r.public = append(r.public, publicKey{k.ID, by.Certificate()})
		if certs.State(k.State) == certs.Active && r.newest == "" {
			r.newest = k.ID
		}
		return
	}
	r.faults[k.ID] = err
	if k.Holder != "" {
		r.readAgainAt = r.now().Add(tokenPause)
	}
	p.o.Logger.LogAttrs(ctx, slog.LevelError, "a signing key can't be used", slog.String("key", k.ID),
		slog.String("state", k.State), slog.Any("cause", err))
	// Its certificate stays in metadata: that this program can't reach the private
	// key is no reason for service providers to forget the public one.
	if certificate, err := certs.ParseHolder(k.Certificate); err == nil {
		r.public = append(r.public, publicKey{k.ID, certificate})
	}
}

// signerOf opens a stored key: unseals it, or finds it in the token.
func (p *IdP) signerOf(k store.SigningKey) (*saml.Signer, error) {
	key, err := p.open(k)
	if err != nil {
		return nil, err
	}
	return saml.NewSigner(key)
}

// open unseals and checks a stored key.
func (p *IdP) open(k store.SigningKey) (*certs.Key, error) {
	if label, ok := strings.CutPrefix(k.Holder, inToken); ok {
		if p.o.Token == nil {
			return nil, fmt.Errorf("open signing key %s: it is held by a PKCS #11 token, and none is configured", k.ID)
		}
		held, err := p.o.Token.Signer(label)
		if err != nil {
			return nil, fmt.Errorf("open signing key %s in the PKCS #11 token: %w", k.ID, err)
		}
		return certs.FromSigner(k.Certificate, held)
	}
	plain, err := p.o.Sealer.Open(k.Private, "signing-key:"+k.ID)
	if err != nil {
		return nil, fmt.Errorf("open signing key %s: %w", k.ID, err)
	}
	defer clear(plain)
	key, err := certs.Load(k.Certificate, plain)
	if err != nil {
		return nil, fmt.Errorf("load signing key %s: %w", k.ID, err)
	}
	return p.o.Engine.Key(key), nil
}

// choice is by which key a service provider is signed for.
func (r *keyring) choice(entityID string) (certs.Choice, bool) {
	if c, ok := r.choices[entityID]; ok {
		return c, true
	}
	c, ok := r.choices[""]
	return c, ok
}

// signerFor is the signer of messages to a service provider at a moment. The clock
// decides between two keys, so that all replicas switch at the agreed time
// without being told.
func (r *keyring) signerFor(entityID string, at time.Time) (*saml.Signer, error) {
	id := r.newest
	if c, ok := r.choice(entityID); ok {
		id = c.At(at)
	}
	if by := r.signers[id]; by != nil {
		return by, nil
	}
	// Never another key in its place: the service provider may not know it.
	cause := r.faults[id]
	switch {
	case cause != nil:
	case id == "":
		cause = r.fault
	default:
		cause = fmt.Errorf("key %s is not in a state to sign", id)
	}
	return nil, fmt.Errorf("no usable signing key: %w", cause)
}

// active is the signer for service providers that have no key of their own.
func (r *keyring) active() (*saml.Signer, error) { return r.signerFor("", r.now()) }

// switching tells whether sign-ins at a service provider wait for the switch to
// another key. since and until bound the wait.
func (p *IdP) switching(r *keyring, entityID string, at time.Time) (since, until time.Time, waits bool) {
	c, ok := r.choice(entityID)
	if !ok {
		return time.Time{}, time.Time{}, false
	}
	until, waits = c.WaitsUntil(at, p.o.SwitchBefore, p.o.SwitchAfter)
	return c.SwitchAt.Add(-p.o.SwitchBefore), until, waits
}

// awaitSwitch is the page to show in place of a Response while the service
// provider changes our certificate; nil when there is nothing to wait for.
func (p *IdP) awaitSwitch(ctx context.Context, f *flow, s store.Session, d provisioning.Decision) (Page, error) {
	since, until, waits := p.switching(f.config.keyring, f.sp.EntityID, p.o.Now())
	if !waits {
		return nil, nil
	}
	if f.passive() {
		p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: ReasonKeySwitch,
			Cause: "the switch to another signing key is under way until " + clockTime(until) + ", and no page may be shown",
			Fix:   "let the service provider ask again after it"})
		return p.answerStatus(ctx, f, ReasonKeySwitch, s.Person)
	}
	if f.in.ID == "" {
		f.in.Account = d.Assignment.Account
	}
	if page, err := p.ensureStored(ctx, f); page != nil || err != nil {
		return page, err
	}
	account := f.in.Account
	if f.chosen != "" {
		account = f.chosen
	}
	if page, err := p.saveProgress(ctx, f, account, ReasonKeySwitch, s.TokenHash); page != nil || err != nil {
		return page, err
	}
	p.waits(ctx, f, Why{Reason: ReasonKeySwitch,
		Cause: "the service provider is changing our certificate; sign-ins there wait until " + clockTime(until)})
	return Waiting{
		SignIn: f.in.ID, Provider: f.sp.name(), Account: d.Assignment, CanCancel: f.fromSP(),
		Progress: provisioning.Progress{Cause: CauseKeySwitch, Since: since, NextTry: until},
	}, nil
}
