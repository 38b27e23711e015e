package idp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"ssobridge/certs"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// configCache holds the last configuration that was read from the store.
type configCache struct {
	current atomic.Pointer[config]
	reading sync.Mutex
}

// config is the service providers and keys as of one reading of the store's
// change counter. It is never changed after it was made.
type config struct {
	counter   int64
	providers map[string]*provider
	order     []*provider // by entityID
	keys      []*certs.Key
	signer    *signer // of the newest active key; nil: see keyFault
	keyFault  error
}

// active is the signer for new Responses.
func (c *config) active() (*signer, error) {
	if c.signer == nil {
		return nil, fmt.Errorf("no usable signing key: %w", c.keyFault)
	}
	return c.signer, nil
}

// loadConfig returns the configuration as the store has it now. It costs one small
// read where nothing has changed; what an admin changes on one replica holds on
// all with the next sign-in.
func (p *Provider) loadConfig(ctx context.Context) (*config, error) {
	counter, err := p.o.Changes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the change counter: %w", err)
	}
	if c := p.config.current.Load(); c != nil && c.counter == counter {
		return c, nil
	}
	p.config.reading.Lock()
	defer p.config.reading.Unlock()
	// The counter is read before what it counts: a change in between makes the next
	// sign-in read again, and is never missed.
	if counter, err = p.o.Changes(ctx); err != nil {
		return nil, fmt.Errorf("read the change counter: %w", err)
	}
	if c := p.config.current.Load(); c != nil && c.counter == counter {
		return c, nil
	}
	c, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	c.counter = counter
	p.config.current.Store(c)
	return c, nil
}

func (p *Provider) read(ctx context.Context) (*config, error) {
	records, err := p.o.Providers.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read service providers: %w", err)
	}
	stored, err := p.o.Keys.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	c := &config{providers: make(map[string]*provider, len(records))}
	for _, r := range records {
		sp := newProvider(r)
		c.providers[r.EntityID] = sp
		c.order = append(c.order, sp)
	}
	slices.SortFunc(c.order, func(a, b *provider) int { return cmp.Compare(a.EntityID, b.EntityID) })

	slices.SortFunc(stored, func(a, b store.SigningKey) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	var faults []error
	for _, k := range stored {
		// Key roll-over (row KEY-01) adds states here: what is published but not yet
		// active joins keys and never becomes the signer.
		if k.Use != "signing" || k.State != "active" {
			continue
		}
		key, err := p.open(k)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		c.keys = append(c.keys, key)
	}
	switch {
	case len(c.keys) > 0:
		c.signer, c.keyFault = newSigner(c.keys[0])
	case len(faults) > 0:
		c.keyFault = errors.Join(faults...)
	default:
		c.keyFault = errors.New("none is stored as active")
	}
	return c, nil
}

// open unseals and checks a stored key.
func (p *Provider) open(k store.SigningKey) (*certs.Key, error) {
	plain, err := p.o.Sealer.Open(k.Private, "signing-key:"+k.ID)
	if err != nil {
		return nil, fmt.Errorf("open signing key %s: %w", k.ID, err)
	}
	key, err := certs.Load(k.Certificate, plain)
	if err != nil {
		return nil, fmt.Errorf("load signing key %s: %w", k.ID, err)
	}
	return key, nil
}

// provider is a service provider's record with what is worked out of it once.
type provider struct {
	store.ServiceProvider
	nameID     provisioning.Template
	attributes []releasedAttribute
	fault      error // the record can't be used; told to whoever tries
}

func newProvider(r store.ServiceProvider) *provider {
	sp := &provider{ServiceProvider: r}
	var err error
	if sp.nameID, err = provisioning.ParseTemplate(r.NameID); err != nil {
		sp.fault = fmt.Errorf("service provider %s: name_id: %w", r.EntityID, err)
		return sp
	}
	for _, a := range r.Attributes {
		released, err := newReleasedAttribute(a)
		if err != nil {
			sp.fault = fmt.Errorf("service provider %s: attribute %s: %w", r.EntityID, a.Name, err)
			return sp
		}
		sp.attributes = append(sp.attributes, released)
	}
	return sp
}

// name is what people are shown.
func (sp *provider) name() string { return cmp.Or(sp.Name, sp.EntityID) }
