// Package fetch gets documents over HTTPS from addresses that somebody else named, and posts notices there: metadata of
// service providers, receivers of notices, and whatever else an admin or a peer points at. It bounds time and size,
// follows few redirects, and decides where it may go by the address that it is about to connect to.
//
// It must never use a proxy, send anything but what it was given to post, or connect to an address that only this
// machine or its network can reach unless that was allowed.
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
	"net/netip"
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
	// Internal are ranges of loopback, private and shared address space that may be reached all the same.
	Internal []netip.Prefix
	Setting  string // the setting that is AllowInternal or Internal, for errors
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
	post *http.Client // follows no redirect
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
	c.post = &http.Client{
		Timeout: postTimeout, Transport: c.http.Transport,
		// Where it leads was chosen by the receiver, not by an administrator.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// HTTP is a client for a library that asks in our place: it goes where Open may go and nowhere else, and ends within 15
// seconds. It follows no redirect, because what such a request carries is for the one server that was named. Reading
// past MaxBytes of an answer fails with TooLarge.
func (c *Client) HTTP() *http.Client {
	return &http.Client{Timeout: c.post.Timeout, Transport: guarded{c}, CheckRedirect: c.post.CheckRedirect}
}

// guarded is the transport of HTTP.
type guarded struct{ c *Client }

// RoundTrip checks the address as Open does and bounds the answer.
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.c.Check(r.URL.String()); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context()) // a transport does not change the request that it is given
	r.Header.Set("User-Agent", "ssobridge")
	res, err := g.c.http.Transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", g.c.o.What, err)
	}
	res.Body = &body{ReadCloser: res.Body, left: g.c.o.MaxBytes, tooLarge: g.c.o.TooLarge}
	return res, nil
}

// Check returns what is wrong with an address, before anything is asked of it.
func (c *Client) Check(address string) error {
	if err := c.checked(address); err != nil {
		return fmt.Errorf("%s address %.120q: %w", c.o.What, address, err)
	}
	return nil
}

// checked is Check without the address, which may hold a secret.
func (c *Client) checked(address string) error {
	return netname.CheckAddress(address, c.o.AllowLoopbackHTTP)
}

// CheckSecret is Check for an address that holds a secret: its error does not show it.
func (c *Client) CheckSecret(address string) error {
	if err := c.checked(address); err != nil {
		return fmt.Errorf("the address can't be used: %w", err)
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
