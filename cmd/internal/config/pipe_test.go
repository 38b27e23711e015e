package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ssobridge/cmd/internal/config"
)

// A pipe in the place of a file is read to its end, by whoever writes into it, and waited for no longer than bounded: a
// reload would hang for ever on one that nobody writes into any more.
func TestReadPipe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
			t.Error(err)
		}
	}()
	if data, err := config.ReadFile(file, 100); err != nil || string(data) != "secret\n" {
		t.Errorf("got %q, %v", data, err)
	}
	if data, err := config.ReadFile(file, 100); err == nil || !strings.Contains(err.Error(), "nobody wrote") {
		t.Errorf("once more: got %q, %v", data, err)
	}
}
