package partnerapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// newHTTPClient makes the HTTP client for one of Constant Contact's servers. Time limits come by
// each request's context.
func newHTTPClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = newTransport()
	}
	return &http.Client{
		Transport: transport,
		// No redirect is followed: it would carry token and key to an address that nobody
		// configured, and turn a POST into a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newTransport is the transport for those who hand in none.
func newTransport() *http.Transport {
	return &http.Transport{
		// The proxy variables are how an operator says that the way out is by a proxy.
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost:        16,
		// A connection on which the server hangs up just as a POST is written leaves its outcome
		// open. Servers keep idle connections for 5 s or more, so ours go before that.
		IdleConnTimeout: 3 * time.Second,
		// With a TLS configuration of its own a Transport speaks HTTP/1.1 only. That is wanted: one
		// request on a connection makes plain what was sent, and a few calls a second need no more.
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

// Authorities reads the certificates of a PEM file as the authorities that are trusted in place of the system's.
func Authorities(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("it holds no certificate in PEM form")
	}
	return pool, nil
}

// parseServerURL checks the address of one of Constant Contact's servers. Whether plain http is
// allowed is for the configuration to say.
func parseServerURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is no http or https URL", u.Redacted())
	case u.Host == "":
		return nil, fmt.Errorf("%q names no host", u.Redacted())
	case u.User != nil:
		return nil, errors.New("a URL with user and password in it would put them into logs")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q has a query or a fragment", u.Redacted())
	}
	return u, nil
}
