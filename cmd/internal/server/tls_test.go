package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ssobridge/cmd/internal/server"
)

// writePair writes a self-signed certificate for localhost.
func writePair(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCertificateIsReadAgain: a renewal is taken up; a half-written one is not.
func TestCertificateIsReadAgain(t *testing.T) {
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	writePair(t, cert, key, 1)
	now := time.Now()
	get, err := server.NewCertificate(cert, key, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		c, err := get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.Int64()
	}
	touch := func(at time.Time) {
		t.Helper()
		for _, f := range []string{cert, key} {
			if err := os.Chtimes(f, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	writePair(t, cert, key, 2)
	touch(now.Add(time.Minute))
	if got := serial(); got != 1 {
		t.Errorf("at once: serial %d, want 1: files are looked at every few seconds only", got)
	}
	now = now.Add(6 * time.Second)
	if got := serial(); got != 2 {
		t.Errorf("after a renewal: serial %d, want 2", got)
	}
	writePair(t, cert, filepath.Join(folder, "other.key"), 3) // the key does not fit any more
	touch(now.Add(2 * time.Minute))
	now = now.Add(6 * time.Second)
	if got := serial(); got != 2 {
		t.Errorf("with a key that does not fit: serial %d, want the last good one, 2", got)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	now = now.Add(6 * time.Second)
	if got := serial(); got != 2 {
		t.Errorf("without the file: serial %d, want 2", got)
	}
}
