package cli

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"ssobridge/web/admin"
)

// NewCertificate gives the tests the certificate that is read again, with their clock.
func NewCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (get func(*tls.ClientHelloInfo) (*tls.Certificate, error), err error) {
	c, err := newCertificate(certFile, keyFile, now, log)
	if err != nil {
		return nil, err
	}
	return c.get, nil
}

// SetNow gives the parts the tests' clock.
func (p *Parts) SetNow(now func() time.Time) { p.now = now }

// ExpiryLog is what the server writes ends of certificates into its log with.
func (p *Parts) ExpiryLog() (look func(context.Context)) { return newExpiryLog(p).look }

// ActHint is how an act is done by command.
func ActHint(act admin.Act, about string) string { return actHint(act, about) }

// ActHints counts the acts that are known.
func ActHints() int { return len(actHints) }
