package idp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ssobridge/certs"
	"ssobridge/idp/mfa"
	"ssobridge/idp/saml"
	"ssobridge/provisioning/mapping"
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
	providers map[string]*serviceProvider
	order     []*serviceProvider           // by entityID
	captured  map[store.PersonID]time.Time // whose assertions are captured, until when
	names     *nameHashes                  // of the NameIDs that were issued; nil with namesFault
	// namesFault is why it can't be told whose a NameID is. No assertion leaves then; all else goes on.
	namesFault error
	forms      *store.AccountForms            // how client accounts are on record
	factors    map[store.AccountID]mfa.Policy // of client accounts that have one of their own, by their recorded form
	groups     map[string]store.NamedGroup    // by the DN as it was written
	sources    map[string]store.SourceState   // those that an administrator has done something with
	*keyring
}

// loadConfig returns the configuration as the store has it now. It costs one small
// read where nothing has changed; what an admin changes on one replica holds on
// all with the next sign-in.
func (p *IdP) loadConfig(ctx context.Context) (*config, error) {
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
	if counter, err = p.o.Changes(store.NewReading(ctx)); err != nil {
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

func (p *IdP) read(ctx context.Context) (*config, error) {
	records, err := p.o.Providers.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read service providers: %w", err)
	}
	keys, err := p.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	names, namesFault := p.readNameKey(ctx)
	if namesFault != nil && !errors.Is(namesFault, certs.ErrSealed) {
		return nil, namesFault // the store; the next sign-in reads again
	}
	forms, err := p.o.Accounts.Forms(ctx)
	if err != nil {
		return nil, fmt.Errorf("read client accounts: %w", err)
	}
	stored, err := p.factors.Policies(ctx)
	if err != nil {
		return nil, err
	}
	captured, err := p.readCaptures(ctx)
	if err != nil {
		return nil, err
	}
	c := &config{keyring: keys, names: names, namesFault: namesFault, forms: forms, factors: recordedPolicies(stored,
		forms, p.o.SecondFactor.People), captured: captured, providers: make(map[string]*serviceProvider, len(records))}
	for _, r := range records {
		sp := newServiceProvider(r)
		c.providers[r.EntityID] = sp
		c.order = append(c.order, sp)
	}
	slices.SortFunc(c.order, func(a, b *serviceProvider) int { return cmp.Compare(a.EntityID, b.EntityID) })
	if c.sources, err = p.readSources(ctx); err != nil {
		return nil, err
	}
	if err := p.readGroups(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// account brings a client account that a link or a form names to its recorded form. One that no list knows, or that
// differs in case from several, stays as it was written: the gate compares byte for byte and refuses it, after the
// login and with the same words as any other that is not the person's, so that a stranger doesn't find out which
// accounts exist.
func (c *config) account(text string) (store.AccountID, error) { return recordedAccount(c.forms, text) }

func recordedAccount(forms *store.AccountForms, text string) (store.AccountID, error) {
	id, err := forms.Resolve(text)
	if errors.Is(err, store.ErrUnlistedAccount) || errors.Is(err, store.ErrAmbiguousAccount) {
		return id, nil
	}
	return id, err
}

// recordedPolicies brings policies to the recorded form of their accounts. A version before this one stored an account
// as it was typed, and then looked for the policy under another spelling. Of several for one account the strictest
// holds, and one that stands under another spelling alone never asks for less than the common one.
func recordedPolicies(stored map[store.AccountID]mfa.Policy, forms *store.AccountForms,
	common mfa.Policy) map[store.AccountID]mfa.Policy {
	policies := make(map[store.AccountID]mfa.Policy, len(stored))
	for account, policy := range stored {
		targets := []store.AccountID{forms.Stored(account)}
		if _, err := forms.Resolve(string(account)); errors.Is(err, store.ErrAmbiguousAccount) {
			targets = forms.Similar(account) // it can mean any of them
		}
		for _, target := range targets {
			if _, own := stored[target]; !own {
				policy = mfa.Stricter(policy, common)
			}
			policies[target] = mfa.Stricter(policies[target], policy)
		}
	}
	return policies
}

// AlignAccounts brings rows that name a client account in another case to the listed form. Of policies the strictest
// stays; one that stood under another spelling alone never asks for less than the common one, as when it is read.
func (p *IdP) AlignAccounts(ctx context.Context, e store.Event) ([]store.Misspelled, error) {
	e.Action, e.Subject, e.Outcome = "account-form", "account", "ok"
	done, err := p.o.Accounts.Align(ctx, func(words []string, own bool) string {
		var all mfa.Policy
		for _, word := range words {
			policy, err := mfa.ParsePolicy(word)
			if err != nil {
				return word // a later version's, which is read as the strictest
			}
			all = mfa.Stricter(all, policy)
		}
		if !own && mfa.Stricter(all, p.o.SecondFactor.People) != all {
			return "" // the common one is stricter
		}
		return string(all)
	}, e)
	if err != nil {
		return done, fmt.Errorf("align client accounts: %w", err)
	}
	return done, nil
}

// serviceProvider is a service provider's record with what is worked out of it once.
type serviceProvider struct {
	store.ServiceProvider
	nameID       mapping.Template
	attributes   []releasedAttribute
	trust        saml.Trust      // for its messages
	recipient    *saml.Recipient // for whom assertions are encrypted; nil: they go in clear
	encryptFault error           // why they would have to be encrypted and can't be; such a sign-in is refused
	lost         []error         // certificates on record that can't be read
	fault        error           // the record can't be used; told to whoever tries
}

func newServiceProvider(r store.ServiceProvider) *serviceProvider {
	sp := &serviceProvider{ServiceProvider: r}
	sp.trust, sp.lost = saml.NewTrust(r.Certificates, r.AllowSHA1)
	sp.recipient, sp.encryptFault = encryptionOf(r).Recipient()
	var err error
	if sp.nameID, err = mapping.ParseTemplate(r.NameID); err != nil {
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
func (sp *serviceProvider) name() string { return cmp.Or(sp.Name, sp.EntityID) }
