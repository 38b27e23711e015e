package idp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	order     []*provider                      // by entityID
	captured  map[store.PersonID]time.Time     // whose assertions are captured, until when
	factors   map[store.AccountID]FactorPolicy // of client accounts that have one of their own
	*keyring
}

// loadConfig returns the configuration as the store has it now. It costs one small
// read where nothing has changed; what an admin changes on one replica holds on
// all with the next sign-in.
func (p *Provider) loadConfig(ctx context.Context) (*config, error) {
	counter, err := p.o.Changes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the change counter: %w", err)
	}
	switch c := p.config.current.Load(); {
	case c == nil || c.counter != counter:
		p.config.reading.Lock()
	case !c.stale():
		return c, nil
	case !p.config.reading.TryLock():
		return c, nil // one asks the token that failed again; a token that hangs holds up no other
	}
	defer p.config.reading.Unlock()
	// The counter is read before what it counts: a change in between makes the next
	// sign-in read again, and is never missed.
	if counter, err = p.o.Changes(ctx); err != nil {
		return nil, fmt.Errorf("read the change counter: %w", err)
	}
	if c := p.config.current.Load(); c != nil && c.counter == counter && !c.stale() {
		return c, nil
	}
	c, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	c.counter = counter
	if old := p.config.current.Load(); old == nil || old.counter != counter {
		p.warnOfCertificates(ctx, c)
	}
	p.config.current.Store(c)
	return c, nil
}

func (p *Provider) read(ctx context.Context) (*config, error) {
	records, err := p.o.Providers.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read service providers: %w", err)
	}
	keys, err := p.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	policies, err := p.factors.Policies(ctx)
	if err != nil {
		return nil, err
	}
	captured, err := p.readCaptures(ctx)
	if err != nil {
		return nil, err
	}
	c := &config{keyring: keys, factors: policies, captured: captured, providers: make(map[string]*provider, len(records))}
	for _, r := range records {
		sp := newProvider(r)
		c.providers[r.EntityID] = sp
		c.order = append(c.order, sp)
	}
	slices.SortFunc(c.order, func(a, b *provider) int { return cmp.Compare(a.EntityID, b.EntityID) })
	return c, nil
}

// provider is a service provider's record with what is worked out of it once.
type provider struct {
	store.ServiceProvider
	nameID       provisioning.Template
	attributes   []releasedAttribute
	trust        trust      // for its messages
	recipient    *recipient // for whom assertions are encrypted; nil: they go in clear
	encryptFault error      // why they would have to be encrypted and can't be; such a sign-in is refused
	lost         []error    // certificates on record that can't be read
	fault        error      // the record can't be used; told to whoever tries
}

func newProvider(r store.ServiceProvider) *provider {
	sp := &provider{ServiceProvider: r}
	sp.trust, sp.lost = newTrust(r)
	sp.recipient, sp.encryptFault = sp.encryptTo()
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
