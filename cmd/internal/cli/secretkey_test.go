package cli_test

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/cli"
)

// With another installation's secret key nothing starts and nothing is written, also where nothing was served so far
// (REAL-88).
func TestSecretKeyOfAnotherInstallation(t *testing.T) {
	for name, served := range map[string]bool{"never served": false, "served": true} {
		t.Run(name, func(t *testing.T) {
			folder := initFolder(t)
			config, file := filepath.Join(folder, "ssobridge.yaml"), filepath.Join(folder, "secret_key")
			if served {
				s := startServe(t, folder)
				s.stop()
				s.wait()
			}
			own, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			other, err := certs.NewSecret(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(other+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, words := range []string{"serve", "keys generate --algorithm p-256", "restore", "check", "backup copy.db",
				"mapping add --person x --account a07e1lxqqqo0 --role account_manager"} {
				code, stdout, stderr := command(t, nil, append(strings.Fields(words), "--config", config)...)
				if code != 1 || !strings.Contains(stdout+stderr, "secret keys: ") || strings.Contains(stderr, `"msg":"ready"`) {
					t.Errorf("%s: exit code %d\n%s%s", words, code, stdout, stderr)
				}
			}
			if code, _, stderr := command(t, nil, "secrets", "status", "--config", config); code != 0 {
				t.Errorf("secrets status: exit code %d\n%s", code, stderr)
			}
			if err := os.WriteFile(file, own, 0o600); err != nil {
				t.Fatal(err)
			}
			s := startServe(t, folder)
			s.stop()
			s.wait()
			if code, stdout, stderr := command(t, nil, "audit", "verify", "--config", config); code != 0 {
				t.Errorf("the audit after all of it: exit code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// Nobody is told that the bridge is ready before it has a signing key that opens (REAL-88).
func TestReadyWithKeysAlone(t *testing.T) {
	folder := initFolder(t)
	config, data := filepath.Join(folder, "ssobridge.yaml"), filepath.Join(folder, "data")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, done := &buffer{}, make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, []string{"serve", "--create", "--config", config}, nil, strings.NewReader(""), io.Discard, log)
	}()
	saysBy(t, log, "not ready: no sign-in can be served yet")
	if strings.Contains(log.String(), `"msg":"ready"`) {
		t.Errorf("ready without a key:\n%s", log)
	}
	file := filepath.Join(folder, "secret_key")
	own, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other, err := certs.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		secret string
		code   int
		says   string
	}{{other, 1, "secret keys: "}, {string(own), 0, ""}} { // nobody here would open a key of the other one
		if err := os.WriteFile(file, []byte(step.secret), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := command(t, nil, "init", "--key-only", "--algorithm", "p-256", "--config", config)
		if code != step.code || !strings.Contains(stderr, step.says) {
			t.Fatalf("init --key-only: exit code %d, want %d\n%s", code, step.code, stderr)
		}
	}
	saysBy(t, log, `"msg":"ready"`)
	stop()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d\n%s", code, log)
	}
}

// saysBy waits until a text stands in a log.
func saysBy(t *testing.T, log *buffer, text string) {
	t.Helper()
	end := time.NewTimer(60 * time.Second)
	defer end.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !strings.Contains(log.String(), text) {
		select {
		case <-look.C:
		case <-end.C:
			t.Fatalf("the log does not say %q:\n%s", text, log)
		}
	}
}
