package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// Expiry is something that ends.
type Expiry = certs.Expiry

// Expiries is what ends, and when.
type Expiries struct {
	Keys  Keys
	Files func() ([]Expiry, error) // of certificates in files that the configuration names
}

// List is everything that ends, the next first: our certificates, those of service providers and the validity of their
// metadata, those of the directory's authority, and our TLS certificate (row KEY-03). What could be read comes also
// with an error.
func (x Expiries) List(ctx context.Context, scope Scope) ([]Expiry, error) {
	if err := scope.whole(); err != nil {
		return nil, err
	}
	var all []Expiry
	var errs []error
	keys, err := x.Keys.List(ctx, scope)
	if err != nil {
		errs = append(errs, fmt.Errorf("read how the keys stand: %w", err))
	}
	for _, k := range keys.Keys {
		all = append(all, keyExpiry(k)...)
	}
	providers, err := x.Keys.Store.ServiceProviders().List(ctx)
	if err != nil {
		errs = append(errs, fmt.Errorf("list service providers: %w", err))
	}
	for _, sp := range providers {
		all = append(all, ProviderExpiries(sp)...)
	}
	files, err := x.Files()
	if err != nil {
		errs = append(errs, err)
	}
	all = append(all, files...)

	now := x.Keys.Now()
	for i := range all {
		all[i] = all[i].At(now)
	}
	slices.SortStableFunc(all, func(a, b Expiry) int { return a.NotAfter.Compare(b.NotAfter) })
	return all, errors.Join(errs...)
}

// keyExpiry is the end of a key's certificate. A retired one has none to tell of.
func keyExpiry(k Key) []Expiry {
	if k.NotAfter.IsZero() || k.State == KeyRetired {
		return nil
	}
	return []Expiry{{Use: k.Use, ID: k.ID, What: k.name(), NotAfter: k.NotAfter}}
}

func (k Key) name() string { return fmt.Sprintf("%s key %s (%s)", k.Use, k.ID, k.Algorithm) }

// ProviderExpiries are the ends of a service provider's certificates and metadata.
// Sign-ins go on past the end of a certificate, which only carries its key; the
// service provider is likely to change it then, and has to tell us.
func ProviderExpiries(sp store.ServiceProvider) []Expiry {
	var all []Expiry
	if !sp.Enabled {
		return nil
	}
	add := func(use, what string, der []byte) {
		cert, err := certs.ParseHolder(der)
		id := certs.ID(der)
		if err != nil || cert.NotAfter.IsZero() || // it does not say, or not in a way that can be read
			slices.ContainsFunc(all, func(e Expiry) bool { return e.Use == use && e.ID == id }) {
			return
		}
		all = append(all, Expiry{Use: use, ID: id, EntityID: sp.EntityID, What: what + " of " + sp.EntityID,
			NotAfter: cert.NotAfter})
	}
	for _, der := range sp.Certificates {
		add("sp_signing", "certificate", der)
	}
	for _, k := range sp.EncryptionKeys {
		add("sp_encryption", "encryption certificate", k.Certificate)
	}
	if sp.Source != nil && !sp.Source.ValidUntil.IsZero() {
		all = append(all, Expiry{Use: "sp_metadata", EntityID: sp.EntityID, What: "metadata of " + sp.EntityID,
			NotAfter: sp.Source.ValidUntil})
	}
	return all
}

// ExpiryFinding says when something ends, and warns as row KEY-03 says.
func ExpiryFinding(e Expiry, now time.Time) Finding {
	e = e.At(now)
	f := Finding{Name: e.What, Detail: e.Message, About: e.EntityID, Part: PartExpiry}
	switch {
	case !e.Due:
		return Finding{Name: e.What, Detail: "valid until " + e.NotAfter.UTC().Format(time.DateOnly)}
	case !e.NotAfter.After(now) && e.Use != "sp_signing":
		f.Level = Failure
	default: // a certificate of a service provider only carries its key, and verifies past its end
		f.Level = Warning
	}
	switch e.Use {
	case Signing, ForMetadata:
		f.Act = RollOverKey
	case "sp_signing", "sp_encryption":
		f.Hint, f.Act = "ask the service provider for its new certificate", ShowProvider
	case "sp_metadata":
		f.Act = RefreshProvider
	default:
		f.Hint = "renew it"
	}
	return f
}
