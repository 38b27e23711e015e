package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// NewCertificate gives the tests the certificate that is read again, with their clock.
func NewCertificate(certFile, keyFile string, now func() time.Time,
	log *slog.Logger) (get func(*tls.ClientHelloInfo) (*tls.Certificate, error), err error) {
	c, err := newCertificate(certFile, keyFile, now, log)
	if err != nil {
		return nil, err
	}
	return c.get, nil
}

// ExpiryLog is what the server writes ends of certificates into its log with.
func (p *App) ExpiryLog() (look func(context.Context)) { return newExpiryLog(p).look }

// NewServerLog is what net/http logs to.
var NewServerLog = newServerLog

// DescribeMetrics lists what /metrics can have, but for what tells of Go and of the process.
func DescribeMetrics() (all []string) {
	ch := make(chan *prometheus.Desc, 200)
	for _, c := range newMetrics(&App{signIns: newSignIns()}, &healthKeeper{}).ours {
		c.Describe(ch)
	}
	close(ch)
	for d := range ch {
		all = append(all, d.String())
	}
	return all
}
