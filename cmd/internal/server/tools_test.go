package server_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
)

// buffer may be written and read by several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// initFolder makes a folder as init does, with a directory and a partner API that nobody answers at.
func initFolder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	values, err := config.InitialValues(folder, "http://localhost:8080", map[string]string{
		"listen": "127.0.0.1:0", "directory.preset": "openldap", "directory.urls": "ldaps://127.0.0.1:1",
		"directory.bind_dn": "cn=reader,dc=example,dc=test", "directory.base_dn": "dc=example,dc=test",
		"constant_contact.partner_client_id": "partner", "constant_contact.external_provider": "provider",
		"constant_contact.base_url": "http://127.0.0.1:1/v3", "constant_contact.token_url": "http://127.0.0.1:1/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := config.FillExample(values)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := certs.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"ssobridge.yaml": text, "secret_key": secret + "\n",
		"bind_password": "secret-bind_password\n", "partner_secret": "secret-partner_secret\n", "api_key": "secret-api_key\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
