package app

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// NewCertificate gives the tests the certificate that is read again, with their clock.
func NewCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (get func(*tls.ClientHelloInfo) (*tls.Certificate, error), err error) {
	c, err := newCertificate(certFile, keyFile, now, log)
	if err != nil {
		return nil, err
	}
	return c.get, nil
}
