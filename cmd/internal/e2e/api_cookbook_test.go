package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each block of the API's page that curl runs, as it stands, by a program with a token of all scopes that need nobody
// who vouches. REST-12
func TestAPICookbook(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here")
	}
	text, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	if out, err := w.tryCommand("users", "create", "alice", books); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := w.caller(t, allScopes())
	folder := t.TempDir()
	client := w.opensslClient(t, filepath.Join(folder, "client.key"))
	blocks := regexp.MustCompile("(?ms)^<!-- checked: TestAPICookbook -->\n```sh\n(.*?)^```$").FindAllStringSubmatch(
		string(text), -1)
	if len(blocks) < 10 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		cmd := exec.Command("sh", "-eu", "-c", block[1])
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "BRIDGE="+w.url, "TOKEN="+p.token, "CLIENT="+client, "no_proxy=*")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "{") {
			t.Errorf("%v\n%s\nof\n%s", err, out, block[1])
		}
	}
	if n := len(w.sandbox.Accounts()); n == 0 {
		t.Error("no client account")
	}
}

// opensslClient is a client with an RSA key that openssl has made, in a file; it returns the client's id.
func (w *world) opensslClient(t *testing.T, file string) string {
	t.Helper()
	for _, args := range [][]string{{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", file},
		{"pkey", "-in", file, "-pubout", "-out", file + ".pub"}} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	return w.caller(t, "status:read", "--public-key", file+".pub").id
}
