package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/tracing"
	"ssobridge/partnerapi"
)

// spanFunc is what the rooms have in their options.
type spanFunc = func(ctx context.Context, name string) (context.Context, func(of, result string, err error))

// openTracer makes the tracer, before the rooms that it is for; where no collector is configured there is none.
func (p *App) openTracer() error {
	t := p.Config.Tracing
	if t.OTLPEndpoint == "" {
		return nil
	}
	transport, err := partnerTransport(&p.Config)
	if err != nil {
		return err
	}
	if t.CAFile != "" {
		if transport.TLSClientConfig.RootCAs, err = authorities("tracing.ca_file", t.CAFile); err != nil {
			return err
		}
	}
	database, _, _ := strings.Cut(p.Config.DSN(), ":")
	if database != "sqlite" {
		database = "postgresql"
	}
	instance, err := os.Hostname()
	if err != nil {
		instance = "unknown"
	}
	p.Tracer, err = tracing.New(tracing.Options{
		Endpoint: t.Endpoint(), Headers: t.HeaderValues(), Ratio: t.SampleRatio, Queue: t.Queue, Transport: transport,
		// Whoever serves sets it later.
		Version: func() string { return p.Version }, Instance: instance, Database: database, Now: p.Now, Logger: p.log,
	})
	if err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	return nil
}

// begin and span are nil without a tracer, so that no room spends anything on spans.
func (p *App) beginSpan() spanFunc {
	if p.Tracer == nil {
		return nil
	}
	return p.Tracer.Begin
}

func (p *App) span() spanFunc {
	if p.Tracer == nil {
		return nil
	}
	return p.Tracer.Span
}

// inTheirTrace has requests go on with the trace of a trusted proxy, where that is configured. Of anybody else, and by
// default, the header is left alone: a stranger must not choose what is recorded.
func (p *App) inTheirTrace(next http.Handler) http.Handler {
	proxies := p.Config.Proxies()
	if p.Tracer == nil || !p.Config.Tracing.TrustContext {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		named := r.Header.Values("Traceparent")
		if err == nil && len(named) == 1 { // of two nobody knows which one the proxy made
			for _, proxy := range proxies {
				if proxy.Contains(peer.Addr().Unmap()) {
					r = r.WithContext(tracing.WithParent(r.Context(), named[0]))
					break
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// authorities reads a file of certificates that a key of the configuration names.
func authorities(key, file string) (*x509.CertPool, error) {
	pem, err := config.ReadFile(file, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	pool, err := partnerapi.Authorities(pem)
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", key, file, err)
	}
	return pool, nil
}
