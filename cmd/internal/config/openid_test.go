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
)

// TestSourcesOfTheOpenIDDocument: what docs/openid-connect.md writes is a source.
func TestSourcesOfTheOpenIDDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/openid-connect.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)   ```yaml\n(.*?)   ```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the document has no configuration")
	}
	folder := t.TempDir()
	secretFile(t, folder, "workforce_secret")
	cfg, faults := sourceFaults(t, folder, regexp.MustCompile(`(?m)^   `).ReplaceAllString(string(block[1]), ""))
	if faults != "" {
		t.Fatal(faults)
	}
	all, err := cfg.SourceOptions()
	if err != nil || len(all) != 1 || all[0].OpenID == nil {
		t.Fatalf("sources: %v, %v", all, err)
	}
	o := all[0].OpenID
	if o.ClientSecret != "s3cret" || o.Identity != "sub" || !strings.HasSuffix(o.Redirect, "/oidc/workforce/callback") ||
		o.Passive || o.UnverifiedMail || len(o.AllowPrivate) != 0 || all[0].Check() != nil {
		t.Errorf("got %+v", o)
	}
}

func secretFile(t *testing.T, folder, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// clientKey writes a private key by which a client proves itself.
func clientKey(t *testing.T, folder, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenIDSourcesChecked(t *testing.T) {
	folder := t.TempDir()
	secretFile(t, folder, "secret")
	pinned(t, folder, "a.pem")
	clientKey(t, folder, "key.pem")
	byKey := "  work:\n    type: oidc\n    issuer: https://id.test\n    oidc:\n      client_id: c\n" +
		"      client_auth: private_key_jwt\n"
	source := func(name, issuer, more string) string {
		return "  " + name + ":\n    type: oidc\n    issuer: " + issuer +
			"\n    oidc:\n      client_id: c\n      client_secret_file: secret\n" + more
	}
	good := source("work", "https://id.test", "")
	const tenant = "https://login.microsoftonline.com/2f6a8d8e-0c54-4a1f-9d0e-4f3c2b1a0987/v2.0"
	for name, text := range map[string]string{
		"plain":  good,
		"entra":  source("work", tenant, "      preset: entra\n"),
		"google": source("work", "https://accounts.google.com", "      preset: google\n      hosted_domain: a.test\n"),
		"key":    byKey + "      client_key_file: key.pem\n      client_key_id: one\n      client_audience: token_endpoint\n",
		"two":    good + source("other", "https://other.test", "      domains: [a.test]\n"),
	} {
		cfg, faults := sourceFaults(t, folder, "sources:\n"+text)
		if faults != "" {
			t.Errorf("%s: %s", name, faults)
			continue
		}
		all, err := cfg.SourceOptions()
		if err != nil {
			t.Fatal(err)
		}
		pins := all[0].OpenID.Pins
		switch name {
		case "entra":
			if all[0].OpenID.Identity != "oid" || len(pins) != 1 || pins[0].Claim != "tid" ||
				!strings.Contains(tenant, pins[0].Text) {
				t.Errorf("entra: got %+v", all[0].OpenID)
			}
		case "google":
			if all[0].OpenID.Identity != "sub" || len(pins) != 1 || pins[0].Claim != "hd" || pins[0].Text != "a.test" {
				t.Errorf("google: got %+v", all[0].OpenID)
			}
		}
	}
	for name, c := range map[string]struct{ text, want string }{
		"no issuer":     {"  work:\n    type: oidc\n    oidc:\n      client_id: c\n      client_secret_file: secret\n", "issuer"},
		"no client":     {"  work:\n    type: oidc\n    issuer: https://id.test\n", "client_id"},
		"no secret":     {source("work", "https://id.test", "") + "      client_secret_file: none\n", "twice"},
		"no such file":  {strings.Replace(good, "file: secret", "file: none", 1), "can't be read"},
		"http":          {source("work", "http://id.test", ""), "issuer"},
		"keys":          {good + "    keys: [a.pem]\n", "for signed_launch"},
		"login_url":     {good + "    login_url: https://a.test\n", "for signed_launch"},
		"e-mail":        {good + "      identity: email\n", "identity"},
		"upn":           {good + "      identity: upn\n", "identity"},
		"offline":       {good + "      scopes: [openid, offline_access]\n", "refresh token"},
		"no openid":     {good + "      scopes: [email]\n", "openid"},
		"common":        {source("work", "https://login.microsoftonline.com/common/v2.0", "      preset: entra\n"), "one tenant"},
		"organizations": {source("work", "https://login.microsoftonline.com/organizations/v2.0", "      preset: entra\n"), "one tenant"},
		"consumers":     {source("work", "https://login.microsoftonline.com/consumers/v2.0", "      preset: entra\n"), "one tenant"},
		"consumers' id": {source("work", "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
			"      preset: entra\n"), "one tenant"},
		"Google as any": {source("work", "https://accounts.google.com", ""), "everybody with a Google account"},
		"long label":    {good + "    label: " + strings.Repeat("x", 41) + "\n", "longer than 40 bytes"},
		"any Google":    {source("work", "https://accounts.google.com", "      preset: google\n"), "hosted_domain"},
		"stray domain":  {good + "      hosted_domain: a.test\n", "for preset google"},
		"preset":        {good + "      preset: other\n", "no preset"},
		"private":       {good + "      allow_private: [10.0.0.1]\n", "no CIDR range"},
		"host bits":     {good + "      allow_private: [10.0.0.1/8]\n", "no CIDR range"},
		"mail domain":   {good + "      domains: ['@A.test']\n", "no mail domain"},
		"no key":        {byKey, "client_key_file"},
		"no such key":   {byKey + "      client_key_file: none\n", "can't be read"},
		"a public key":  {byKey + "      client_key_file: a.pem\n", "no private key"},
		"no PEM":        {byKey + "      client_key_file: secret\n", "one private key in PEM"},
		"key and secret": {byKey + "      client_key_file: key.pem\n      client_secret_file: secret\n",
			"is for client_auth: client_secret"},
		"a key beside": {good + "      client_key_file: key.pem\n", "are for client_auth: private_key_jwt"},
		"client_auth":  {good + "      client_auth: tls_client_auth\n", "no way to prove oneself"},
		"audience": {byKey + "      client_key_file: key.pem\n      client_audience: both\n",
			"write issuer or token_endpoint"},
		"key at Entra": {strings.Replace(byKey, "https://id.test", tenant, 1) +
			"      client_key_file: key.pem\n      preset: entra\n", "thumbprint of a certificate"},
		"one domain": {good + "      domains: [a.test]\n" + source("x", "https://x.test", "      domains: [a.test]\n"),
			"stands at"},
		"oidc for a launch": {"  portal:\n    issuer: https://a.test\n    keys: [a.pem]\n    oidc:\n      client_id: c\n",
			"for type oidc"},
	} {
		if _, faults := sourceFaults(t, folder, "sources:\n"+c.text); !strings.Contains(faults, c.want) {
			t.Errorf("%s: got %q, want %q", name, faults, c.want)
		}
	}
}
