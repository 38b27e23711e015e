package partnerapi_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi"
)

// REAL-64: why Constant Contact is not reached is told with the setting that helps: DNS, TLS, a proxy, a firewall.
func TestUnreached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	quiet := func(s *httptest.Server) *httptest.Server {
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
		t.Cleanup(s.Close)
		return s
	}
	proxyAnswering := func(status int) *url.URL {
		p := quiet(httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
		})))
		u, err := url.Parse(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	strange := quiet(httptest.NewTLSServer(http.NotFoundHandler()))
	plain := quiet(httptest.NewServer(http.NotFoundHandler()))
	trusting := func(change func(*tls.Config)) *http.Transport {
		tr := strange.Client().Transport.(*http.Transport).Clone()
		change(tr.TLSClientConfig)
		return tr
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	downProxy, _ := url.Parse("http://" + closed)

	for name, tt := range map[string]struct {
		base        string
		transport   http.RoundTripper
		fault, hint string
	}{
		"name": {"https://constant.contact.invalid", nil, "can't be resolved", "DNS"},
		"name, by a proxy's network": {"https://constant.contact.invalid", nil, "constant.contact.invalid",
			"HTTPS_PROXY"},
		"refused":      {"https://" + closed, nil, "can't be connected to", "firewall"},
		"foreign CA":   {strange.URL, nil, "authority that is not trusted", "constant_contact.ca_file"},
		"foreign CA 2": {strange.URL, nil, "authority that is not trusted", "SSL_CERT_FILE"},
		"wrong host": {strange.URL, trusting(func(c *tls.Config) { c.ServerName = "api.cc.email" }),
			"certificate is not for", "base_url"},
		"expired": {strange.URL, trusting(func(c *tls.Config) {
			c.Time = func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
		}), "has expired, or is not valid yet", "clock"},
		"no TLS": {"https://" + plain.Listener.Addr().String(), nil, "speaks no TLS", "port"},
		"time":   {"https://" + silent.Addr().String(), nil, "does not answer in time", "NO_PROXY"},
		"proxy wants a password": {"https://api.example.test", &http.Transport{
			Proxy: http.ProxyURL(proxyAnswering(http.StatusProxyAuthRequired))}, "proxy of HTTPS_PROXY", "NO_PROXY"},
		"proxy forbids": {"https://api.example.test", &http.Transport{
			Proxy: http.ProxyURL(proxyAnswering(http.StatusForbidden))}, "proxy of HTTPS_PROXY", "allows this host"},
		"proxy is down": {"https://api.example.test", &http.Transport{Proxy: http.ProxyURL(downProxy)},
			"proxy of HTTPS_PROXY", "right proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, partnerapi.TokenOptions{URL: tt.base + "/token", Transport: tt.transport,
				Timeout: 300 * time.Millisecond})
			_, err := s.Token(t.Context())
			wantKind(t, err, partnerapi.NotSent)
			fault, hint, ok := partnerapi.Unreached(err)
			if !ok || !strings.Contains(fault, tt.fault) || !strings.Contains(hint, tt.hint) {
				t.Errorf("got %q, %q, %t for %v; want %q, %q", fault, hint, ok, err, tt.fault, tt.hint)
			}
		})
	}
	e := refusal(t, 502, []byte("<html>"))
	if fault, hint, ok := partnerapi.Unreached(e); ok {
		t.Errorf("an answer is no fault of the network: %q, %q", fault, hint)
	}
}
