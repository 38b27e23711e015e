package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/fetch"
	"ssobridge/idp/metadata"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// Providers is what is done with service providers.
type Providers struct {
	Store             *store.DB
	IdP               *idp.IdP
	Directory         *directory.Directory
	Sources           map[string]string // the directory's attributes behind the placeholders
	Fetcher           *fetch.Client
	Refresher         *metadata.Refresher
	AllowLoopbackHTTP bool  // http to this machine is taken, for tests and the demo
	MaxMetadata       int64 // bytes of a document; 0: metadata.DefaultMaxBytes
	Now               func() time.Time
}

// States of a service provider.
const (
	ProviderEnabled      = "enabled"
	ProviderDisabled     = "disabled"
	ProviderExpired      = "expired"      // its metadata is out of date
	ProviderApproval     = "approval"     // changes wait for approval
	ProviderRefreshFails = "refreshfails" // its metadata can't be read again
)

// Provider is a service provider and how it stands.
type Provider struct {
	store.ServiceProvider
	State string
}

// stateOf is the one place that says how a service provider stands: what stops sign-ins comes first.
func stateOf(sp store.ServiceProvider, now time.Time) string {
	switch {
	case !sp.Enabled:
		return ProviderDisabled
	case sp.Source == nil:
		return ProviderEnabled
	case !sp.Source.ValidUntil.IsZero() && !now.Before(sp.Source.ValidUntil):
		return ProviderExpired
	case len(sp.Source.Pending) > 0:
		return ProviderApproval
	case sp.Source.Fault != "":
		return ProviderRefreshFails
	}
	return ProviderEnabled
}

// List lists them.
func (p Providers) List(ctx context.Context, scope Scope) ([]Provider, error) {
	if err := scope.whole(); err != nil {
		return nil, err
	}
	list, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list service providers: %w", err)
	}
	all := make([]Provider, 0, len(list))
	for _, sp := range list {
		all = append(all, Provider{sp, stateOf(sp, p.Now())})
	}
	return all, nil
}

// Get is the service provider of this entity ID. Blanks around it come from pasting; all else has to be as it was
// registered. Where there is none, the error is about the one that may have been meant.
func (p Providers) Get(ctx context.Context, scope Scope, entityID string) (Provider, error) {
	if err := scope.whole(); err != nil {
		return Provider{}, err
	}
	sp, err := readProvider(ctx, p.Store, entityID)
	if err != nil {
		return Provider{}, err
	}
	return Provider{sp, stateOf(sp, p.Now())}, nil
}

// readProvider is Get for its record alone.
func readProvider(ctx context.Context, db *store.DB, entityID string) (store.ServiceProvider, error) {
	entityID = store.TrimTyped(entityID)
	sp, err := db.ServiceProviders().Get(ctx, entityID)
	switch {
	case err == nil:
		return sp, nil
	case !errors.Is(err, store.ErrNotFound):
		return sp, fmt.Errorf("read service provider %.300s: %w", entityID, err)
	}
	missing := &Error{Kind: Missing, Field: "entity_id", Fault: fmt.Sprintf("there is no service provider %.300q",
		entityID), Act: ListProviders, Err: err}
	if all, err := db.ServiceProviders().List(ctx); err == nil {
		if near, ok := idp.NearestProvider(all, entityID); ok {
			missing.Hint, missing.Act, missing.About = "an entity ID is compared letter by letter", MeantProvider, near
		}
	}
	return store.ServiceProvider{}, missing
}

// Remove removes a service provider: nobody can sign in there by this bridge any more, at once.
func (p Providers) Remove(ctx context.Context, scope Scope, entityID string, e store.Event) error {
	return p.RemoveIf(ctx, scope, entityID, nil, e)
}

// RemoveIf is Remove of one that is as is demands, in the transaction that removes it. is can run twice; its error is
// returned.
func (p Providers) RemoveIf(ctx context.Context, scope Scope, entityID string, is func(Provider) error,
	e store.Event) error {
	sp, err := p.Get(ctx, scope, entityID)
	if err != nil {
		return err
	}
	e.Action, e.Subject, e.SP = "sp-remove", sp.EntityID, sp.EntityID
	var refused error
	err = p.Store.ServiceProviders().RemoveIf(ctx, sp.EntityID, func(now store.ServiceProvider) error {
		refused = nil // it can run twice
		if is != nil {
			refused = is(Provider{now, stateOf(now, p.Now())})
		}
		return refused
	}, e)
	switch {
	case refused != nil:
		return refused
	case errors.Is(err, store.ErrNotFound) && is != nil:
		return noProvider(sp.EntityID, err)
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("remove service provider %s: %w", sp.EntityID, err)
	}
	return nil
}

// Change is one setting to change, in the words of idp.SetSetting: NAME, and for lists NAME+ and NAME-.
type Change struct{ Key, Value string }

// Set changes settings of a service provider, all of them or none. after is the record that is in use then.
func (p Providers) Set(ctx context.Context, scope Scope, entityID string, changes []Change,
	e store.Event) (after store.ServiceProvider, err error) {
	return p.SetIf(ctx, scope, entityID, nil, changes, e)
}

// SetIf is Set of one that is as is demands, in the transaction that changes it: what somebody else has changed after
// it was read must not be lost. is can run twice; its error is returned.
func (p Providers) SetIf(ctx context.Context, scope Scope, entityID string, is func(Provider) error, changes []Change,
	e store.Event) (after store.ServiceProvider, err error) {
	sp, err := p.Get(ctx, scope, entityID)
	if err != nil {
		return after, err
	}
	keys := make([]string, 0, len(changes))
	for _, c := range changes {
		keys = append(keys, plaintext.Line(c.Key, 100))
	}
	e.Action, e.Subject, e.SP = "sp-set", sp.EntityID, sp.EntityID
	e.Detail = store.DetailOf(map[string]any{"settings": keys})
	var refused, other error
	err = p.Store.ServiceProviders().Change(ctx, sp.EntityID, func(now *store.ServiceProvider) (store.Event, error) {
		refused, other = nil, nil // it can run twice
		if is != nil {
			if other = is(Provider{*now, stateOf(*now, p.Now())}); other != nil {
				return e, other
			}
		}
		for _, c := range changes {
			if refused = idp.SetSetting(now, c.Key, c.Value); refused != nil {
				return e, refused
			}
		}
		after = *now
		refused = p.check(*now, "the service provider can't be used like that")
		return e, refused
	})
	switch {
	case other != nil:
		return after, other
	case refused != nil:
		return after, about(sp.EntityID, ListSettings, refused)
	case errors.Is(err, store.ErrNotFound): // removed meanwhile
		return after, noProvider(sp.EntityID, err)
	case err != nil:
		return after, fmt.Errorf("change service provider %s: %w", sp.EntityID, err)
	}
	return after, nil
}

func noProvider(entityID string, err error) error {
	return &Error{Kind: Missing, Fault: fmt.Sprintf("there is no service provider %.300q", entityID), Act: ListProviders,
		Err: err}
}

// check is the faults of a record together, under a sentence that says what they stand in the way of.
func (p Providers) check(sp store.ServiceProvider, what string) error {
	faults := idp.CheckProvider(sp, p.AllowLoopbackHTTP)
	if len(faults) == 0 {
		return nil
	}
	return &Error{Fault: what, Hint: "nothing was changed; compare it with what the service provider gave",
		Parts: fieldErrors(errors.Join(faults...)), Err: errors.Join(faults...)}
}

// Risks says which attributes in a service provider's NameID people can usually edit themselves, a sentence for each.
func (p Providers) Risks(sp store.ServiceProvider) (risks []string) {
	for _, attribute := range idp.NameIDRisks(sp, p.Sources) {
		risks = append(risks, "its NameID is made of "+attribute+
			", which people can often edit at their own entry. Whoever does becomes somebody else at this service provider")
	}
	return risks
}

// Findings says how the service providers stand.
func (p Providers) Findings(ctx context.Context) []Finding {
	const name = "service providers"
	list, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	var all []Finding
	enabled, off := 0, ""
	for _, sp := range list {
		switch {
		case sp.Kind != store.ConstantContact:
		case sp.Enabled:
			enabled++
		default:
			off = sp.EntityID
		}
		all = append(all, p.findingsOf(sp)...)
	}
	switch {
	case enabled == 1:
	case enabled == 0 && off != "":
		all = append(all, Finding{Name: name, Level: Failure, Act: SetProvider, About: off,
			Detail: "Constant Contact is registered and switched off, so nobody can sign in there"})
	case enabled == 0:
		all = append(all, Finding{Name: name, Level: Failure, Detail: "Constant Contact is not registered",
			Act: AddConstantContact})
	default:
		all = append(all, Finding{
			Name: name, Level: Warning, Act: RemoveProvider,
			Detail: fmt.Sprintf(
				"Constant Contact is registered %d times, so a launch link without a service provider is refused", enabled),
			Hint: "remove all but one",
		})
	}
	return all
}

// findingsOf says how one stands. One that is switched off was switched off: nothing has to be done about it.
func (p Providers) findingsOf(sp store.ServiceProvider) []Finding {
	name := "service provider " + sp.EntityID
	if !sp.Enabled {
		return []Finding{{Name: name, Level: Warning, Detail: "is switched off"}}
	}
	var all []Finding
	faults := idp.CheckProvider(sp, true)
	for _, fault := range faults {
		all = append(all, Finding{Name: name, Level: Failure, Detail: fault.Error(), Act: ImportAgain, About: sp.EntityID})
	}
	if len(faults) == 0 {
		all = append(all, Finding{Name: name, Detail: sp.Name})
	}
	if sp.Encryption == "required" && len(sp.EncryptionKeys) == 0 {
		all = append(all, Finding{
			Name: name, Level: Failure, Act: StopEncryption, About: sp.EntityID,
			Detail: "assertions have to be encrypted and no key for that is on record, so every sign-in is refused",
		})
	}
	switch stateOf(sp, p.Now()) {
	case ProviderApproval:
		all = append(all, Finding{Name: name, Level: Warning, Detail: "has changes that wait for approval",
			Act: ReviewProvider, About: sp.EntityID})
	case ProviderExpired:
		all = append(all, Finding{Name: name, Level: Failure, Detail: "its metadata has expired", Act: RefreshProvider,
			About: sp.EntityID})
	case ProviderRefreshFails:
		all = append(all, Finding{Name: name, Level: Warning,
			Detail: "its metadata can't be refreshed; the last good copy stays in use", Act: ShowProvider, About: sp.EntityID})
	}
	for _, risk := range p.Risks(sp) {
		all = append(all, Finding{Name: name, Level: Warning, Detail: risk, Act: SafeNameID, About: sp.EntityID})
	}
	return all
}

// about puts to a refusal what it is about, and the act that fixes it where it has none.
func about(what string, act Act, err error) error {
	e, ok := AsError(err)
	if !ok {
		return err
	}
	e.About, e.Act = cmp.Or(e.About, what), cmp.Or(e.Act, act)
	return e
}
