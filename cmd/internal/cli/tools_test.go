package cli_test

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/cmd/internal/cli"
)

var update = flag.Bool("update", false, "rewrite golden files")

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

// command runs one command in this process.
func command(t testing.TB, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs buffer
	code = cli.Main(context.Background(), args, environ, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// initFolder makes a folder by init, with a directory and a partner API that nobody
// answers at: enough for what calls neither.
func initFolder(t testing.TB, set ...string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "conf")
	args := []string{
		"init", folder, "--public-url", "http://localhost:8080", "--algorithm", "p-256",
		"--set", "listen=127.0.0.1:0", "--set", "directory.preset=openldap", "--set", "directory.urls=ldaps://127.0.0.1:1",
		"--set", "directory.bind_dn=cn=reader,dc=example,dc=test", "--set", "directory.base_dn=dc=example,dc=test",
		"--set", "constant_contact.partner_client_id=partner", "--set", "constant_contact.external_provider=provider",
		"--set", "constant_contact.base_url=http://127.0.0.1:1/v3", "--set",
		"constant_contact.token_url=http://127.0.0.1:1/token",
	}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	if code, _, stderr := command(t, nil, args...); code != 0 {
		t.Fatalf("init: exit code %d\n%s", code, stderr)
	}
	for _, name := range []string{"bind_password", "partner_secret", "api_key"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("secret-"+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// programEnv is an environment in which `ssobridge` is a program: testscript.Main
// makes this test binary act as it when it is called by that name.
func programEnv(t testing.TB) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "ssobridge")); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// waitFor polls until what is there, for at most half a minute.
func waitFor(t testing.TB, what string, there func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !there() {
		select {
		case <-deadline.C:
			t.Fatalf("%s did not come within 30 s", what)
		case <-tick.C:
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
