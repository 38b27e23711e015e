package metadata

import (
	"cmp"
	"crypto/x509"

	"ssobridge/idp/fetch"
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
	// MaxBytes is the largest document; 0: DefaultMaxBytes.
	MaxBytes int64
}

// NewFetcher returns what gets metadata over HTTPS for an admin or the refresh (row MD-05). It starts nothing.
func NewFetcher(o FetchOptions) *fetch.Client {
	most := cmp.Or(o.MaxBytes, DefaultMaxBytes)
	return fetch.New(fetch.Options{
		What: "metadata", Setting: "metadata.allow_internal",
		Accept:   "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1",
		MaxBytes: most, TooLarge: sizeError(most),
		AllowInternal: o.AllowInternal, AllowLoopbackHTTP: o.AllowLoopbackHTTP, Roots: o.Roots,
	})
}
