package claims_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/internal/testkind"
)

// TestButtons: each page of docs/signed-launch.md makes a token that is taken, with the runtimes of this machine.
func TestButtons(t *testing.T) {
	testkind.Starts(t, "go")
	text, err := os.ReadFile("../../docs/signed-launch.md")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(keys().rsa)
	if err != nil {
		t.Fatal(err)
	}
	ring := claims.NewKeys(claims.KeysOptions{Now: time.Now})
	s := portal(t)
	s.Keys = parsed(t, publicPEM(t, keys().rsa.Public()))
	v := &claims.Verifier{Sources: []*claims.Source{s}, Audience: ours, Keys: ring, Now: time.Now}
	for language, c := range map[string]struct {
		file string
		run  []string
		try  []string // tells whether the runtime is here; nil: it is
	}{
		"js":     {"button.js", []string{"node", "button.js"}, []string{"node", "--version"}},
		"python": {"button.py", []string{"python3", "button.py"}, []string{"python3", "-c", "import cryptography"}},
		"php": {"button.php", []string{"php", "button.php"},
			[]string{"php", "-r", "exit(extension_loaded('openssl')?0:1);"}},
		"java": {"Button.java", []string{"java", "Button.java"}, []string{"java", "--version"}},
		"ruby": {"button.rb", []string{"ruby", "button.rb"}, []string{"ruby", "-ropenssl", "-rjson", "-e", ""}},
		"go":   {"button.go", []string{"go", "run", "button.go"}, nil},
	} {
		t.Run(language, func(t *testing.T) {
			if c.try != nil && exec.CommandContext(t.Context(), c.try[0], c.try[1:]...).Run() != nil {
				t.Skipf("%s is not on this machine", c.try[0])
			}
			block := regexp.MustCompile("(?s)```" + language + "\n(.*?)\n```").FindSubmatch(text)
			if block == nil {
				t.Fatal("the document has no block of this language")
			}
			dir := t.TempDir()
			for name, data := range map[string][]byte{c.file: block[1],
				"portal_key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), c.run[0], c.run[1:]...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindSubmatch(out)
			if token == nil || !strings.Contains(string(out), `method="post" action="https://sso.example.com/launch"`) {
				t.Fatalf("printed %s", out)
			}
			got, bad := v.Verify(t.Context(), string(token[1]), claims.TypeLaunch, nil)
			if bad != nil {
				t.Fatalf("refused: %s: %s", bad.Reason, bad)
			}
			if got.Sub != "customer-1001" || got.Person.LastName != "Díaz" || len(got.Person.Grants) != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}
