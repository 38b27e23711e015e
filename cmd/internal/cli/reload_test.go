package cli_test

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"ssobridge/certs"
)

// SIGHUP reads the TLS certificate and the logo again and names what needs a restart, secret_key among it; a
// configuration with faults changes nothing, and nothing ends (REAL-92). That secrets are taken over is seen in
// TestReloadSecrets.
func TestReload(t *testing.T) {
	folder := initFolder(t)
	config := filepath.Join(folder, "ssobridge.yaml")
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	logo := filepath.Join(folder, "logo.png")
	pixel, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8" +
		"AAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
	if err != nil {
		t.Fatal(err)
	}
	write := func(file string, text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(logo, pixel)
	pair(t, cert, key, 1)
	s := startServe(t, folder, "SSOBRIDGE_PUBLIC_URL=https://localhost:8080", "SSOBRIDGE_TLS_CERT=tls.crt",
		"SSOBRIDGE_TLS_KEY=tls.key", "SSOBRIDGE_BRANDING_LOGO=logo.png")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // G402: which one it is, is looked at below
	seen := func() (serial, shown string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.pages+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "localhost:8080"
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		shown = regexp.MustCompile(`/assets/logo[^"]*`).FindString(string(body))
		return res.TLS.PeerCertificates[0].SerialNumber.String(), shown
	}
	serial, first := seen()
	if serial != "1" || first == "" {
		t.Fatalf("before: serial %s, logo %q", serial, first)
	}
	hangUp := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}

	pair(t, cert, key, 2)
	write(logo, append(pixel, 0))
	hangUp()
	saysBy(t, s.log, "the configuration was read again")
	if serial, shown := seen(); serial != "2" || shown == "" || shown == first {
		t.Errorf("after: serial %s, logo %q, before %q", serial, shown, first)
	}
	if strings.Contains(s.log.String(), "secret_key") {
		t.Errorf("secret_key has not changed:\n%s", s.log)
	}

	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(config, append(text, "\nnonsense: [\n"...))
	hangUp()
	saysBy(t, s.log, "the configuration was not read again: everything goes on as it was")
	secret, err := certs.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(filepath.Join(folder, "secret_key"))
	if err != nil {
		t.Fatal(err)
	}
	write(config, []byte(strings.NewReplacer("sessions:\n", "sessions:\n  life: 9h\n", "\nbranding:\n",
		"\nbranding:\n  logo: logo.png\n  logo_dark: logo.png\n").Replace(string(text))))
	write(filepath.Join(folder, "secret_key"), []byte(secret))
	hangUp()
	saysBy(t, s.log, `"needs_restart":["sessions.life","secret_key"]`)
	write(filepath.Join(folder, "secret_key"), own)
	code, stdout, stderr := command(t, nil, "audit", "list", "--action", "configuration-reload", "--config", config)
	if code != 0 || strings.Count(stdout, "configuration-reload") != 3 ||
		!strings.Contains(stdout, "failed (bad_configuration)") {
		t.Errorf("audit: exit code %d\n%s%s", code, stdout, stderr)
	}
	s.stop()
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.log)
	}
}
