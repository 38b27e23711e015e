// Package fetch gets documents over HTTPS from addresses that somebody else named: metadata of service providers, and
// whatever else an admin or a peer points at. It bounds time and size, follows few redirects, and decides where it may
// go by the address that it is about to connect to.
//
// It must never use a proxy, send anything of ours, or connect to an address that only this machine or its network can
// reach unless that was allowed.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"ssobridge/idp/netname"
)

// Limits of one fetch. A federation's file is large and its servers are slow.
const (
	dialTimeout   = 5 * time.Second
	headerTimeout = 20 * time.Second
	timeout       = 2 * time.Minute
	maxRedirects  = 3
	maxHeader     = 64 << 10
)

// Options for New.
type Options struct {
	What   string // what is fetched, for errors: metadata
	Accept string // the Accept header
	// TooLarge is the error of a document of more than MaxBytes. Both are required.
	MaxBytes int64
	TooLarge error

	// AllowInternal lets documents come from loopback, private and shared address
	// space. Link-local, multicast and unspecified addresses are never asked.
	AllowInternal bool
	Setting       string // the setting that is AllowInternal, for errors
	// AllowLoopbackHTTP takes http for a loopback host; AllowInternal is needed beside it.
	AllowLoopbackHTTP bool
	// Roots verify the servers' certificates. Default: those that the system trusts.
	Roots *x509.CertPool
}

// Client gets documents over HTTPS. Where it may go is decided by the address that it is about to connect to, after the
// name was resolved, so that no name and no redirect leads it to what only this machine can reach (row MD-05). It is
// safe for concurrent use.
type Client struct {
	o    Options
	http *http.Client
}

// New makes one. It starts nothing.
func New(o Options) *Client {
	c := &Client{o: o}
	dialer := &net.Dialer{
		Timeout: dialTimeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return o.mayDial(address)
		},
	}
	c.http = &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would connect in our place, past mayDial
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  headerTimeout,
			DisableCompression:     true, // what is counted is what was sent
			DisableKeepAlives:      true, // asked once in hours
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return c.Check(r.URL.String())
		},
	}
	return c
}

// Check returns what is wrong with an address, before anything is asked of it.
func (c *Client) Check(address string) error {
	if err := netname.CheckAddress(address, c.o.AllowLoopbackHTTP); err != nil {
		return fmt.Errorf("%s address %.120q: %w", c.o.What, address, err)
	}
	return nil
}

// Open asks for a document and returns its body, to be read before ctx ends and closed. Reading past MaxBytes fails
// with TooLarge.
func (c *Client) Open(ctx context.Context, address string) (io.ReadCloser, error) {
	if err := c.Check(address); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", c.o.What, err)
	}
	r.Header.Set("Accept", c.o.Accept)
	r.Header.Set("User-Agent", "ssobridge")
	res, err := c.http.Do(r)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // the address is named here, without method and quotes
		}
		return nil, fmt.Errorf("ask %.200s for %s: %w", address, c.o.What, err)
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close() // nothing is read of it
		return nil, fmt.Errorf("ask %.200s for %s: it answered with status %d", address, c.o.What, res.StatusCode)
	}
	if res.ContentLength > c.o.MaxBytes {
		_ = res.Body.Close() // nothing is read of it
		return nil, fmt.Errorf("ask %.200s for %s: %w", address, c.o.What, c.o.TooLarge)
	}
	return &body{ReadCloser: res.Body, left: c.o.MaxBytes, tooLarge: c.o.TooLarge}, nil
}

// body is a response body that ends in an error where it is too large: a server need not say how much it sends.
type body struct {
	io.ReadCloser
	left     int64
	tooLarge error
}

func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, b.tooLarge
	}
	return n, err
}
