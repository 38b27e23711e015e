package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
)

// What net/http logs by itself: that connections can't be accepted is said at once and then once a minute, what
// strangers break is not (REAL-84).
func TestServerLog(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	log := server.NewServerLog(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	const full = "http: Accept error: accept tcp 127.0.0.1:8080: accept4: too many open files; retrying in 1s"
	for range 30 {
		log.Print(full)
		now = now.Add(time.Second)
	}
	if n := strings.Count(out.String(), "level=ERROR"); n != 1 || !strings.Contains(out.String(), "too many open files") ||
		!strings.Contains(out.String(), "LimitNOFILE") {
		t.Errorf("%d lines within a minute, want one with cause and fix:\n%s", n, &out)
	}
	now = now.Add(time.Minute)
	log.Print(full)
	if !strings.Contains(out.String(), "before=29") {
		t.Errorf("the next line does not count what was left out:\n%s", &out)
	}
	out.Reset()
	log.Print("http: TLS handshake error from 192.0.2.7:1: EOF")
	if out.Len() > 0 {
		t.Errorf("a stranger's doing is logged: %s", &out)
	}
	log.Print("http: panic serving 192.0.2.7:1: x")
	if !strings.Contains(out.String(), "level=ERROR") {
		t.Errorf("an error of the program is not logged: %s", &out)
	}
}

// A TLS certificate that keeps browsers away is said before they come (REAL-83).
func TestTLSFaults(t *testing.T) {
	now := time.Now()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // G403: a weak key is what is looked for
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		key     any
		begins  time.Time
		host    string
		proxies []string
		want    string // "": nothing
		certain bool
	}{
		"good":             {curve, now.Add(-time.Hour), "sso.example.com", nil, "", false},
		"RSA-1024":         {small, now.Add(-time.Hour), "sso.example.com", nil, "1024 bits", true},
		"not yet valid":    {curve, now.Add(time.Hour), "sso.example.com", nil, "not valid before", true},
		"another host":     {curve, now.Add(-time.Hour), "other.example.com", nil, "sso.example.com", true},
		"behind a proxy":   {curve, now.Add(-time.Hour), "other.example.com", []string{"10.0.0.1"}, "sso.example.com", false},
		"key of another":   {nil, now.Add(-time.Hour), "sso.example.com", nil, "private key does not match", true},
		"no certificate":   {curve, now, "", nil, "failed to find any PEM data", true},
		"none is its own":  {nil, now, "none", nil, "", false},
		"its console, too": {curve, now.Add(-time.Hour), "sso.example.com", nil, "admin.example.com", true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Config{PublicURL: "https://sso.example.com", TrustedProxies: tc.proxies}
			if name == "its console, too" {
				cfg.Console.PublicURL = "https://admin.example.com"
			}
			if tc.host != "none" {
				cfg.TLS.Cert, cfg.TLS.Key = writeTLS(t, tc.key, curve, tc.begins, tc.host)
			}
			all := server.TLSFaults(cfg, now)
			if tc.want == "" && len(all) == 0 {
				return
			}
			if len(all) != 1 || !strings.Contains(all[0].Text, tc.want) || all[0].Fix == "" || all[0].Certain != tc.certain {
				t.Errorf("got %+v, want %q, certain %t", all, tc.want, tc.certain)
			}
		})
	}
}

// writeTLS writes a certificate for a host ("": none), and the key; with a nil one, that of somebody else.
func writeTLS(t *testing.T, key any, other *ecdsa.PrivateKey, begins time.Time, host string) (certFile,
	keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"},
		DNSNames: []string{host}, NotBefore: begins, NotAfter: begins.Add(24 * time.Hour)}
	signer := key
	if key == nil {
		fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, signer = other, fresh
	}
	public := func(k any) any {
		if r, ok := k.(*rsa.PrivateKey); ok {
			return &r.PublicKey
		}
		e, ok := k.(*ecdsa.PrivateKey)
		if !ok {
			t.Fatal("no key")
		}
		return &e.PublicKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public(signer), signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if host == "" {
		text = []byte("no certificate")
	}
	if err := os.WriteFile(certFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	if err := os.WriteFile(keyFile, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}
