package cli

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"

	"ssobridge/cmd/internal/config"
	"ssobridge/idp/netname"
)

// localURL is where the bridge of a configuration can be asked from its own machine.
func localURL(cfg config.Config) string {
	scheme := "http"
	if cfg.TLS.Cert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(cfg.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// healthTransport asks without a proxy. On loopback the certificate's name can't
// fit, and nothing secret is sent or believed, so it is not checked there.
func healthTransport(base string) *http.Transport {
	t := &http.Transport{Proxy: nil}
	if u, err := url.Parse(base); err == nil && netname.LoopbackPeer(u.Hostname()) {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // loopback only, see above
	}
	return t
}
