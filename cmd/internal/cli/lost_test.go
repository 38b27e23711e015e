package cli_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/cmd/internal/cli"
)

// A database that is not where it was is missed, by serve and by every command; --create makes one for a new
// installation (REAL-85).
func TestLostDatabase(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, path string){
		"removed": func(*testing.T, string) {},
		"empty": func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := initFolder(t)
			config, data := filepath.Join(folder, "ssobridge.yaml"), filepath.Join(folder, "data")
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			lose(t, filepath.Join(data, "ssobridge.db"))
			before := files(t, data)
			for words, want := range map[string]int{"serve": 2, "keys list": 2, "backup x": 2, "restore": 2, "check": 1,
				"init --key-only": 2} {
				code, stdout, stderr := command(t, nil, append(strings.Fields(words), "--config", config)...)
				if code != want || !strings.Contains(stdout+stderr, "where did the database go?") ||
					strings.Contains(stderr, "admin.") || strings.Contains(stderr, "server.") {
					t.Errorf("%s: exit code %d, want %d\n%s%s", words, code, want, stdout, stderr)
				}
			}
			if after := files(t, data); after != before {
				t.Errorf("there was %s, and is %s", before, after)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			log, done := &buffer{}, make(chan int, 1)
			go func() {
				done <- cli.Main(ctx, []string{"serve", "--create", "--config", config}, nil, strings.NewReader(""),
					io.Discard, log)
			}()
			saysBy(t, log, "not ready") // it has no key yet
			stop()
			if code := <-done; code != 0 {
				t.Fatalf("serve --create: exit code %d\n%s", code, log)
			}
			if code, _, stderr := command(t, nil, "init", "--key-only", "--create", "--config", config); code != 0 {
				t.Fatalf("init --key-only: exit code %d\n%s", code, stderr)
			}
			s := startServe(t, folder) // it is there now
			s.stop()
			if code := s.wait(); code != 0 {
				t.Errorf("serve: exit code %d\n%s", code, s.log)
			}
		})
	}
}

func files(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "revocations.") { // of the journal, which is no database
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// A file that is removed below a running bridge ends it, with the cause; commands beside it do not, and a second bridge
// on the same file is refused (REAL-86).
func TestDatabaseRemovedBelowServe(t *testing.T) {
	folder := initFolder(t)
	config := filepath.Join(folder, "ssobridge.yaml")
	s := startServe(t, folder)
	code, _, stderr := command(t, nil, "serve", "--config", config)
	if code != 1 || !strings.Contains(stderr, "store is in use") || !strings.Contains(stderr, "PostgreSQL") {
		t.Errorf("a second bridge: exit code %d\n%s", code, stderr)
	}
	link := filepath.Join(folder, "link.db")
	if err := os.Symlink(filepath.Join("data", "ssobridge.db"), link); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = command(t, []string{"SSOBRIDGE_STORE_DSN=sqlite:" + link}, "serve", "--config", config)
	if code != 1 || !strings.Contains(stderr, "store is in use") {
		t.Errorf("a second bridge through a link: exit code %d\n%s", code, stderr)
	}
	if code, _, stderr := command(t, nil, "keys", "list", "--config", config); code != 0 {
		t.Errorf("a command: exit code %d\n%s", code, stderr)
	}
	if err := os.Rename(filepath.Join(folder, "data", "ssobridge.db"), filepath.Join(folder, "away.db")); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if log := s.log.String(); !strings.Contains(log, "was removed or replaced while it was open") ||
		!strings.Contains(log, "ssobridge.db is gone") {
		t.Errorf("the log does not name the cause:\n%s", log)
	}
	if code, _, stderr := command(t, nil, "serve", "--config", config); code != 2 ||
		!strings.Contains(stderr, "where did the database go?") {
		t.Errorf("the next start: exit code %d\n%s", code, stderr)
	}
}
