package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/cmd/internal/config"
)

// pinned writes a public key.
func pinned(t *testing.T, folder, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		0o600); err != nil {
		t.Fatal(err)
	}
}

// sourceFaults loads a configuration of sources alone, and returns the faults about them.
func sourceFaults(t *testing.T, folder, text string) (config.Config, string) {
	t.Helper()
	file := filepath.Join(folder, "ssobridge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, nil)
	if err == nil {
		return cfg, ""
	}
	var about []string
	for line := range strings.Lines(err.Error()) {
		if strings.Contains(line, "sources") {
			about = append(about, line)
		}
	}
	return cfg, strings.Join(about, "")
}

// TestSourcesOfTheDocument: what docs/signed-launch.md writes is a source.
func TestSourcesOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/signed-launch.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)   ```yaml\n(.*?)   ```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the document has no configuration")
	}
	folder := t.TempDir()
	pinned(t, folder, "portal.pem")
	cfg, faults := sourceFaults(t, folder, regexp.MustCompile(`(?m)^   `).ReplaceAllString(string(block[1]), ""))
	if faults != "" {
		t.Fatal(faults)
	}
	all, err := cfg.SourceOptions()
	if err != nil || len(all) != 1 {
		t.Fatalf("sources: %v, %v", all, err)
	}
	if s := all[0]; s.Name != "portal" || len(s.Keys) != 1 || s.Skew != 30*time.Second || s.MaxAge != 0 ||
		s.Claims.FirstName != "given_name" || s.Check() != nil {
		t.Errorf("got %+v", s)
	}
}

func TestSourcesChecked(t *testing.T) {
	folder := t.TempDir()
	pinned(t, folder, "a.pem")
	const good = "  portal:\n    issuer: https://a.test\n    keys: [a.pem]\n"
	if _, faults := sourceFaults(t, folder, "sources:\n"+good+"    groups: ['ctct-{account}-{role}']\n"); faults != "" {
		t.Errorf("a good one: %s", faults)
	}
	// A label is for people, as they quote.
	if cfg, faults := sourceFaults(t, folder, "sources:\n"+good+"    label: «\u00a0Compte\u00a0»\n"+
		"    login_url: https://a.test/login\n"); faults != "" || cfg.Sources["portal"].Label != "«\u00a0Compte\u00a0»" {
		t.Errorf("a label in quotation marks: %s %q", faults, cfg.Sources["portal"].Label)
	}
	for name, c := range map[string]struct{ text, want string }{
		"name":           {"  Portal:\n    issuer: a\n    keys: [a.pem]\n", "can't name a source"},
		"no issuer":      {"  portal:\n    keys: [a.pem]\n", "issuer"},
		"one issuer":     {good + "  two:\n    issuer: https://a.test\n    keys: [a.pem]\n", "is the issuer of portal too"},
		"no keys":        {"  portal:\n    issuer: a\n", "keys"},
		"keys and set":   {good + "    jwks_url: https://a.test/jwks\n", "stand beside each other"},
		"no such file":   {"  portal:\n    issuer: a\n    keys: [b.pem]\n", "can't be read"},
		"no key":         {"  portal:\n    issuer: a\n    keys: [ssobridge.yaml]\n", "can't be used"},
		"http":           {"  portal:\n    issuer: a\n    jwks_url: http://a.test/jwks\n", "jwks_url"},
		"type":           {good + "    type: saml\n", "no type of source"},
		"subject":        {good + "    subject: mail\n", "subject"},
		"directory":      {good + "    subject: directory_id\n    allow_roles: [owner]\n", "the directory decides"},
		"role":           {good + "    allow_roles: [admin]\n", "allow_roles"},
		"rule":           {good + "    groups: [editors]\n", "groups"},
		"origin":         {good + "    origins: [portal.test]\n", "origin"},
		"login http":     {good + "    login_url: http://a.test/login\n", "login_url"},
		"login script":   {good + "    login_url: javascript:alert(1)\n", "login_url"},
		"login request":  {good + "    login_url: https://a.test/login?request=1\n", "login_url"},
		"login fragment": {good + "    login_url: https://a.test/login#a\n", "login_url"},
		"no login":       {good + "    providers: [https://sp.test]\n", "login_url"},
		"reserved":       {"  directory:\n    issuer: a\n    keys: [a.pem]\n", "form"},
		"trust":          {good + "    trust: [mfa]\n", "trust"},
		"trust for":      {good + "    trust: ['amr=mfa admin']\n", "trust"},
		"trust claim":    {good + "    trust: ['sub=a second_factor']\n", "trust"},
		"skew":           {good + "    skew: 61s\n", "skew"},
		"session":        {good + "    session: {max_age: 16m}\n", "max_age"},
		"unknown key":    {good + "    secret: x\n", "unknown key"},
		"not a section":  {"  - portal\n", "want a section"},
		"twice":          {good + good, "stands twice"},
		"weak secret":    {"  portal:\n    issuer: a\n    hs256_secret_file: weak\n", "can't be used"},
		"secret in text": {"  portal:\n    issuer: a\n    hs256_secret_file: plain\n", "is not base64"},
	} {
		for file, data := range map[string]string{"weak": "c2hvcnQ=", "plain": "correct horse"} {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, faults := sourceFaults(t, folder, "sources:\n"+c.text); !strings.Contains(faults, c.want) {
			t.Errorf("%s: got %q, want %q", name, faults, c.want)
		} else if strings.Contains(faults, "correct horse") {
			t.Errorf("%s: the fault has the secret", name)
		}
	}
}
