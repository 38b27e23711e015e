package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

// REAL-64: a real process reaches Constant Contact through HTTPS_PROXY, by a name that only the proxy knows, and
// verifies it by constant_contact.ca_file alone. With NO_PROXY it does not ask the proxy; without the file it trusts
// nobody.
func TestProxyAndAuthority(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{apart: true})
	const name = "api.constant-contact.test"
	inner, err := url.Parse(w.sandbox.BaseURL())
	if err != nil {
		t.Fatal(err)
	}
	token, err := url.Parse(w.sandbox.TokenURL())
	if err != nil {
		t.Fatal(err)
	}
	authority, certificate := authorityOf(t, name)
	api := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: inner.Host})
	}})
	api.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	api.StartTLS()
	t.Cleanup(api.Close)
	var connected atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); r.Method != http.MethodConnect || err != nil || host != name {
			http.Error(rw, "no", http.StatusForbidden)
			return
		}
		connected.Add(1)
		tunnel(t, rw, api.Listener.Addr().String())
	}))
	t.Cleanup(proxy.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	w.stop(t)
	common := append(w.env, "SSOBRIDGE_CONSTANT_CONTACT_BASE_URL=https://"+name+inner.Path,
		"SSOBRIDGE_CONSTANT_CONTACT_TOKEN_URL=https://"+name+token.Path, "HTTPS_PROXY="+proxy.URL)
	with := func(env ...string) { w.env = append(common[:len(common):len(common)], env...) }

	with("SSOBRIDGE_CONSTANT_CONTACT_CA_FILE=" + file)
	w.start(t)
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).says("Bob Brandt", club)
	w.stop(t)
	if connected.Load() == 0 || w.creations() != 1 {
		t.Errorf("%d connections through the proxy, %d users created", connected.Load(), w.creations())
	}
	check := func() string {
		out, _ := w.tryCommand("check") // other parts of it may fail with the directory of the tests
		return out
	}
	if out := check(); !strings.Contains(out, "ok    partner token") {
		t.Errorf("through the proxy:\n%s", out)
	}
	with()
	if out := check(); !strings.Contains(out, "signed by unknown authority") || !strings.Contains(out,
		"constant_contact.ca_file") {
		t.Errorf("without the authority:\n%s", out)
	}
	before := connected.Load()
	with("SSOBRIDGE_CONSTANT_CONTACT_CA_FILE="+file, "NO_PROXY="+name)
	if out := check(); strings.Contains(out, "ok    partner token") || connected.Load() != before {
		t.Errorf("%d more connections through the proxy in spite of NO_PROXY:\n%s", connected.Load()-before, out)
	}
}

// tunnel answers CONNECT and passes octets on to an address until one side ends.
func tunnel(t testing.TB, rw http.ResponseWriter, address string) {
	var d net.Dialer
	to, err := d.DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer to.Close()
	from, buffered, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer from.Close()
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(to, buffered); _ = to.Close() })
	both.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
	both.Wait()
}

// authorityOf makes an authority, in PEM, and a certificate of it for a name.
func authorityOf(t testing.TB, name string) (authority []byte, leaf tls.Certificate) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Proxy authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	leafDER, err := x509.CreateCertificate(rand.Reader, server, ca, key.Public(), caKey)
	must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
}

// REAL-58: against a token endpoint that takes one request a second, three replicas that start at once and three
// commands at once all get their token: no request is refused as too fast.
func TestTokensOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	s := setting{sandbox: sandbox.Options{TokensPerSecond: 1}, set: map[string]string{}}.onPostgres(t, postgres(t))
	c := newCluster(t, s, 3)
	var people sync.WaitGroup
	for i, login := range []string{"bob", "alice", "eve"} {
		account := []string{club, books, books}[i]
		c.balance(c.replicas[i])
		who := newClient(t)
		page := who.get(c.launch(account))
		c.balance(c.replicas...)
		people.Go(func() { who.deliver(who.goOn(who.login(page, login, password))).says("Signed in") })
	}
	people.Wait()
	var commands sync.WaitGroup
	for i := range 3 {
		commands.Go(func() {
			out, err := c.tryCommand("accounts", "create", "--owner", []string{"alice", "bob", "eve"}[i], "--organization",
				fmt.Sprint("Shop ", i), "--country", "us", "--state", "MA", "--login-name", fmt.Sprint("new-shop-", i), "--yes")
			if err != nil || !strings.Contains(out, "created account ") {
				t.Errorf("accounts create %d: %v\n%s", i, err, out)
			}
		})
	}
	commands.Wait()
	for _, call := range c.sandbox.Calls() {
		if call.Status == http.StatusTooManyRequests {
			t.Errorf("refused as too fast: %s %s", call.Method, call.Path)
		}
	}
}
