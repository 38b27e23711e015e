package server_test

import (
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// at is a clock that the test moves.
type at struct{ time.Time }

func (a *at) now() time.Time { return a.Time }

// newApp is an app over the rooms of a fresh folder, with a clock and a log of the test's.
func newApp(t testing.TB, change func(*config.Config)) (*server.App, *at, *buffer) {
	t.Helper()
	folder := initFolder(t)
	cfg, err := config.Load(filepath.Join(folder, "ssobridge.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	log := &buffer{}
	p, err := server.OpenOrCreate(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.Keys().MakeFirst(t.Context(), admin.Everything(), certs.P256, store.Event{At: time.Now(),
		Actor: "admin:test", Action: "key-add", Outcome: "ok"}); err != nil {
		t.Fatal(err)
	}
	clock := &at{time.Now().UTC().Truncate(time.Second).Add(time.Second)}
	p.Now = clock.now
	return p, clock, log
}

// selfSigned is a certificate that ends after life.
func selfSigned(t testing.TB, name string, from time.Time, life time.Duration) *certs.Key {
	t.Helper()
	key, err := certs.Generate(certs.P256, name, life, from, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// KEY-03: everything that ends is there as data: our keys, certificates of service providers,
// their metadata, the directory's authority, our TLS certificate; each once.
func TestKEY03Expiries(t *testing.T) {
	start := time.Now().UTC().Truncate(time.Second)
	authority := selfSigned(t, "Example CA", start, 20*24*time.Hour)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate.Raw})
	if err := os.WriteFile(file, slices.Concat(block, block), 0o600); err != nil {
		t.Fatal(err)
	}
	p, clock, log := newApp(t, func(c *config.Config) { c.Directory.CAFile = file })
	signing, sealing := selfSigned(t, "sp", start, 10*24*time.Hour), selfSigned(t, "sp", start, 300*24*time.Hour)
	sp := store.ServiceProvider{
		EntityID: "https://wiki.example.test", Kind: store.PlainSAML, Enabled: true,
		Certificates:   [][]byte{signing.Certificate.Raw, signing.Certificate.Raw, {1, 2}},
		EncryptionKeys: []store.EncryptionKey{{Certificate: sealing.Certificate.Raw}},
		Source:         &store.Source{URL: "https://wiki.example.test/metadata", ValidUntil: start.Add(5 * 24 * time.Hour)},
	}
	if err := p.Store.ServiceProviders().Put(t.Context(), sp, store.Event{Action: "sp-add"}); err != nil {
		t.Fatal(err)
	}
	sp.EntityID, sp.Enabled = "https://off.example.test", false
	if err := p.Store.ServiceProviders().Put(t.Context(), sp, store.Event{Action: "sp-add"}); err != nil {
		t.Fatal(err)
	}
	ends, err := p.Expiries().List(t.Context(), admin.Everything())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range ends {
		got = append(got, e.Use)
		if e.Due != (e.NotAfter.Sub(clock.now()) < 90*24*time.Hour) || e.Due != (e.Message != "") {
			t.Errorf("%+v: due or not?", e)
		}
	}
	want := []string{"sp_metadata", "sp_signing", "directory_ca", "sp_encryption", "signing"}
	if !slices.Equal(got, want) {
		t.Errorf("ends %v, want %v", got, want)
	}

	// In the log at the start, and once a day for each; more of them as time passes.
	look := p.ExpiryLog()
	lines := func() int { return strings.Count(log.String(), "not_after=") }
	for _, c := range []struct {
		after time.Duration
		want  int
	}{
		{0, 3}, {0, 3}, {23 * time.Hour, 3}, {time.Hour, 6}, {time.Hour, 6},
		{210 * 24 * time.Hour, 10}, // 91 days before its end the encryption certificate is not due yet, 89 days before it is
	} {
		clock.Time = clock.Add(c.after)
		look(t.Context())
		if got := lines(); got != c.want {
			t.Fatalf("%s later: %d lines, want %d:\n%s", c.after, got, c.want, log.String())
		}
	}
	if text := log.String(); !strings.Contains(text, "certificate of https://wiki.example.test ends in 9 days") &&
		!strings.Contains(text, "certificate of https://wiki.example.test ends in 10 days") {
		t.Errorf("log:\n%s", text)
	}
}

// KEY-03: what can't be read is said, and the rest is still there.
func TestKEY03ExpiriesWithFault(t *testing.T) {
	p, _, _ := newApp(t, func(c *config.Config) { c.TLS.Cert = filepath.Join(t.TempDir(), "none.crt") })
	ends, err := p.Expiries().List(t.Context(), admin.Everything())
	if err == nil || !strings.Contains(err.Error(), "none.crt") || len(ends) != 1 {
		t.Errorf("%d ends, %v", len(ends), err)
	}
}
