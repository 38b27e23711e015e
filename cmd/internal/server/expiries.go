package server

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
	"ssobridge/web/admin"
)

// maxAuthorityFile is far above any file of certificates.
const maxAuthorityFile = 1 << 20

// FileExpiries are the ends of the certificates in files.
func FileExpiries(cfg config.Config) ([]certs.Expiry, error) {
	var all []certs.Expiry
	var errs []error
	for _, f := range []struct{ use, what, file string }{
		{"tls", "TLS certificate", cfg.TLS.Cert},
		{"directory_ca", "certificate authority of the directory", cfg.Directory.CAFile},
	} {
		if f.file == "" {
			continue
		}
		data, err := config.ReadFile(f.file, maxAuthorityFile)
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
	p      *App
	logged map[string]time.Time // by what ends; says only when to repeat a line
}

func newExpiryLog(p *App) *expiryLog { return &expiryLog{p, map[string]time.Time{}} }

// look logs what is due and was not logged within a day.
func (l *expiryLog) look(ctx context.Context) {
	all, err := l.p.Expiries().List(ctx, admin.Everything())
	if err != nil && ctx.Err() == nil {
		l.p.log.Warn("some ends of certificates can't be read", "error", err)
	}
	now := l.p.Now()
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
