package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/store"
)

// Expiries lists everything that ends, the next first: our certificates, those of
// service providers and the validity of their metadata, those of the directory's
// authority, and our TLS certificate (row KEY-03). What could be read comes also with an error.
func (p *Parts) Expiries(ctx context.Context) ([]certs.Expiry, error) {
	var all []certs.Expiry
	var errs []error
	status, err := p.KeyStatus(ctx)
	if err != nil {
		errs = append(errs, err)
	}
	for _, k := range status.Keys {
		all = append(all, keyExpiry(k)...)
	}
	providers, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		errs = append(errs, fmt.Errorf("list service providers: %w", err))
	}
	for _, sp := range providers {
		all = append(all, providerExpiries(sp)...)
	}
	files, err := fileExpiries(p.Config)
	if err != nil {
		errs = append(errs, err)
	}
	all = append(all, files...)

	now := p.now()
	for i := range all {
		all[i] = all[i].At(now)
	}
	slices.SortStableFunc(all, func(a, b certs.Expiry) int { return a.NotAfter.Compare(b.NotAfter) })
	return all, errors.Join(errs...)
}

// keyExpiry is the end of a key's certificate. A retired one has none to tell of.
func keyExpiry(k store.SigningKey) []certs.Expiry {
	cert, err := x509.ParseCertificate(k.Certificate)
	if err != nil || certs.State(k.State) == certs.Retired {
		return nil
	}
	return []certs.Expiry{{Use: k.Use, ID: k.ID, What: keyName(k), NotAfter: cert.NotAfter}}
}

func keyName(k store.SigningKey) string {
	return fmt.Sprintf("%s key %s (%s)", k.Use, k.ID, k.Algorithm)
}

// providerExpiries are the ends of a service provider's certificates and metadata.
// Sign-ins go on past the end of a certificate, which only carries its key; the
// service provider is likely to change it then, and has to tell us.
func providerExpiries(sp store.ServiceProvider) []certs.Expiry {
	var all []certs.Expiry
	if !sp.Enabled {
		return nil
	}
	add := func(use, what string, der []byte) {
		cert, err := x509.ParseCertificate(der)
		id := certs.ID(der)
		if err != nil || slices.ContainsFunc(all, func(e certs.Expiry) bool { return e.Use == use && e.ID == id }) {
			return
		}
		all = append(all, certs.Expiry{Use: use, ID: id, EntityID: sp.EntityID, What: what + " of " + sp.EntityID, NotAfter: cert.NotAfter})
	}
	for _, der := range sp.Certificates {
		add("sp_signing", "certificate", der)
	}
	for _, k := range sp.EncryptionKeys {
		add("sp_encryption", "encryption certificate", k.Certificate)
	}
	if sp.Source != nil && !sp.Source.ValidUntil.IsZero() {
		all = append(all, certs.Expiry{Use: "sp_metadata", EntityID: sp.EntityID, What: "metadata of " + sp.EntityID, NotAfter: sp.Source.ValidUntil})
	}
	return all
}

// fileExpiries are the ends of the certificates in files.
func fileExpiries(cfg config.Config) ([]certs.Expiry, error) {
	var all []certs.Expiry
	var errs []error
	for _, f := range []struct{ use, what, file string }{
		{"tls", "TLS certificate", cfg.TLS.Cert},
		{"directory_ca", "certificate authority of the directory", cfg.Directory.CAFile},
	} {
		if f.file == "" {
			continue
		}
		data, err := config.ReadFile(f.file, maxCertificateFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: read %s: %s", f.what, f.file, config.PlainCause(err)))
			continue
		}
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				continue
			}
			id := certs.ID(cert.Raw)
			if slices.ContainsFunc(all, func(e certs.Expiry) bool { return e.Use == f.use && e.ID == id }) {
				continue // the same one twice in the file
			}
			name := cmp.Or(cert.Subject.CommonName, cert.Subject.String())
			all = append(all, certs.Expiry{Use: f.use, ID: id, What: f.what + " " + name, NotAfter: cert.NotAfter})
		}
	}
	return all, errors.Join(errs...)
}

// How often ends are looked at, and how often one is logged.
const (
	expiryInterval = time.Hour
	expiryLogEvery = 24 * time.Hour
)

// expiryLog writes what ends soon into the log: at the start, and once a day for each.
type expiryLog struct {
	p      *Parts
	logged map[string]time.Time // by what ends; says only when to repeat a line
}

func newExpiryLog(p *Parts) *expiryLog { return &expiryLog{p, map[string]time.Time{}} }

// look logs what is due and was not logged within a day.
func (l *expiryLog) look(ctx context.Context) {
	all, err := l.p.Expiries(ctx)
	if err != nil && ctx.Err() == nil {
		l.p.log.Warn("some ends of certificates can't be read", "error", err)
	}
	now := l.p.now()
	for _, e := range all {
		name := e.Use + " " + e.EntityID + " " + e.ID
		if last, ok := l.logged[name]; !e.Due || ok && now.Sub(last) < expiryLogEvery {
			continue
		}
		l.logged[name] = now
		l.p.log.Warn(e.Message, "use", e.Use, "id", e.ID, "sp", e.EntityID, "not_after", e.NotAfter.UTC(), "days", e.Days)
	}
}

// run looks at once and then every hour, until ctx ends.
func (l *expiryLog) run(ctx context.Context) error {
	tick := time.NewTicker(expiryInterval)
	defer tick.Stop()
	for {
		l.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
