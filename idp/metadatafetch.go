package idp

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
	fetchDialTimeout   = 5 * time.Second
	fetchHeaderTimeout = 20 * time.Second
	fetchTimeout       = 2 * time.Minute
	maxRedirects       = 3
)

// FetchOptions for NewFetcher.
type FetchOptions struct {
	// AllowInternal lets metadata come from loopback, private and shared address
	// space. Link-local, multicast and unspecified addresses are never asked.
	AllowInternal bool
	// AllowLoopbackHTTP takes http for a loopback host; AllowInternal is needed beside it.
	AllowLoopbackHTTP bool
	// Roots verify the servers' certificates. Default: those that the system trusts.
	Roots *x509.CertPool
}

// Fetcher gets metadata over HTTPS for an admin or the refresh. Where it may go
// is decided by the address that it is about to connect to, after the name was
// resolved, so that no name and no redirect leads it to what only this machine
// can reach (row MD-05). It asks no proxy and sends nothing of ours. It is safe
// for concurrent use.
type Fetcher struct {
	client   *http.Client
	loopback bool
}

// NewFetcher makes one. It starts nothing.
func NewFetcher(o FetchOptions) *Fetcher {
	dialer := &net.Dialer{
		Timeout: fetchDialTimeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return mayDial(address, o.AllowInternal)
		},
	}
	f := &Fetcher{loopback: o.AllowLoopbackHTTP}
	f.client = &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would connect in our place, past mayDial
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
			TLSHandshakeTimeout:    fetchDialTimeout,
			ResponseHeaderTimeout:  fetchHeaderTimeout,
			DisableCompression:     true, // what is counted is what was sent
			DisableKeepAlives:      true, // asked once in hours
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return f.check(r.URL.String())
		},
	}
	return f
}

// Check tells what is wrong with an address before anything is asked of it.
func (f *Fetcher) Check(address string) error { return f.check(address) }

func (f *Fetcher) check(address string) error {
	if err := netname.CheckAddress(address, f.loopback); err != nil {
		return fmt.Errorf("metadata address %.120q: %w", address, err)
	}
	return nil
}

// Open asks for a document and returns its body, of at most 64 MiB, to be read
// before ctx ends and closed.
func (f *Fetcher) Open(ctx context.Context, address string) (io.ReadCloser, error) {
	if err := f.check(address); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for metadata: %w", err)
	}
	r.Header.Set("Accept", "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1")
	r.Header.Set("User-Agent", "ssobridge")
	res, err := f.client.Do(r)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // the address is named here, without method and quotes
		}
		return nil, fmt.Errorf("ask %.200s for metadata: %w", address, err)
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close() // nothing is read of it
		return nil, fmt.Errorf("ask %.200s for metadata: it answered with status %d", address, res.StatusCode)
	}
	if res.ContentLength > maxMetadataSize {
		_ = res.Body.Close() // nothing is read of it
		return nil, fmt.Errorf("ask %.200s for metadata: %w", address, errMetadataSize)
	}
	return res.Body, nil
}

// Ranges beside those that netip has names for. internal may be allowed, never
// may not; what embeds an IPv4 address is taken apart.
var (
	internal = []netip.Prefix{
		netip.MustParsePrefix("100.64.0.0/10"), // shared address space, RFC 6598
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
		netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments, RFC 6890
		netip.MustParsePrefix("fec0::/10"),     // site-local, RFC 3879
	}
	never = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), // this network, RFC 1122; Linux takes it for loopback
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/128"),
		netip.MustParsePrefix("100::/64"), // discard, RFC 6666
	}
	nat64  = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64x = netip.MustParsePrefix("64:ff9b:1::/48") // for local use, RFC 8215
	sixto4 = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo = netip.MustParsePrefix("2001::/32")      // RFC 4380
	mapped = netip.MustParsePrefix("::/96")          // IPv4-compatible, RFC 4291
)

// mayDial says whether the fetcher may connect to an address and port.
func mayDial(address string, allowInternal bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %.60q can't be read", address)
	}
	ip := at.Addr().WithZone("").Unmap()
	refuse := func(what string) error {
		return fmt.Errorf("%s is %s address, and metadata is not fetched from there", at.Addr(), what)
	}
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip.IsUnspecified(), within(ip, never):
		return refuse("a link-local, multicast or reserved")
	case nat64x.Contains(ip), teredo.Contains(ip):
		return refuse("a translated")
	}
	if inner, ok := embedded(ip); ok {
		// Whatever translates it connects to the inner one.
		return mayDial(netip.AddrPortFrom(inner, at.Port()).String(), allowInternal)
	}
	if !allowInternal && (ip.IsLoopback() || ip.IsPrivate() || within(ip, internal)) {
		return fmt.Errorf("%s is an internal address, and metadata.allow_internal is off", at.Addr())
	}
	return nil
}

func within(ip netip.Addr, ranges []netip.Prefix) bool {
	for _, r := range ranges {
		if r.Contains(ip) {
			return true
		}
	}
	return false
}

// embedded finds the IPv4 address inside an IPv6 one.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() || ip == netip.IPv6Loopback() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	switch {
	case nat64.Contains(ip), mapped.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixto4.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
