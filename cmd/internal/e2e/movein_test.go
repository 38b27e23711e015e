package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
)

// TestMoveIn moves another identity provider in: its name, a plain word; its key and certificate; its users with the
// names that they have at Constant Contact. What it sent for a person is compared with what would be sent here
// (REAL-27 to REAL-30).
func TestMoveIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{set: map[string]string{"entity_id": "acme-sso"}})
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	old, err := certs.Generate(certs.RSA2048, "old idp", 24*time.Hour, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	private, err := old.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: old.Certificate.Raw})
	if key := w.object(t, "keys", "import", file("idp.crt", certificate), file("idp.key",
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))); key["id"] != old.ID {
		t.Errorf("keys import: %v", key)
	}
	w.command(t, "keys", "publish", old.ID)
	w.command(t, "keys", "promote", "--all", "--confirmed-by", "moved from the old one", old.ID)
	w.command(t, "users", "adopt", "--yes", file("users.csv", []byte("login,account,external_id\nbob,"+club+
		",Old-Scope/Bob@ACME\n")))

	p := newClient(t)
	delivery := p.login(p.get(w.launch(club)), "bob", password)
	posted := delivery.form("SAMLResponse").Fields.Get("SAMLResponse")
	raw, err := base64.StdEncoding.DecodeString(posted)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">acme-sso</", ">Old-Scope/Bob@ACME</",
		base64.StdEncoding.EncodeToString(old.Certificate.Raw)} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("%q is missing in\n%s", want, raw)
		}
	}
	if m := p.get(w.url + "/saml/metadata"); m.Status != http.StatusOK || !strings.Contains(m.Body, `entityID="acme-sso"`) {
		t.Errorf("our metadata: %d\n%s", m.Status, m.Body)
	}

	// In whatever form it was captured, what was sent is what would be sent: nothing differs.
	for name, captured := range map[string][]byte{
		"xml": raw, "base64": []byte(posted), "form": []byte("RelayState=x&SAMLResponse=" + url.QueryEscape(posted)),
		"value": []byte(url.QueryEscape(posted)), "page": []byte(delivery.Body),
	} {
		out, err := w.tryCommand("compare", file(name, captured), "--user", "bob")
		if err != nil || !strings.Contains(out, "Old-Scope/Bob@ACME") || strings.Contains(out, "\n~") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	// What differs is named, with what decides it here.
	for _, c := range []struct{ name, old, new, want string }{
		{"another issuer", "acme-sso", "https://old.example/idp", "configuration entity_id"},
		{"another NameID", "Old-Scope/Bob@ACME", "bob", "setting name_id"},
		{"another format", "nameid-format:persistent", "nameid-format:unspecified", "setting name_id_format"},
		{"another attribute", `Name="firstName"`, `Name="givenName"`, "attribute givenName"},
		{"another value", "bob@example.test", "BOB@example.test", "attribute email"},
		{"another signature", base64.StdEncoding.EncodeToString(old.Certificate.Raw), "AAAA",
			"import the key of the old one"},
	} {
		changed := strings.ReplaceAll(string(raw), c.old, c.new)
		if changed == string(raw) {
			t.Errorf("%s: the test changed nothing in\n%s", c.name, raw)
			continue
		}
		out, err := w.tryCommand("compare", file("changed.xml", []byte(changed)), "--user", "bob")
		if err == nil || !strings.Contains(out, c.want) || !strings.Contains(out, "fields differ") {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
	for _, c := range []struct{ name, captured, want string }{
		{"nothing", "", "can't be read"},
		{"words", "hello world!", "neither XML nor the base64"},
		{"a document type", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "can't be read"},
		{"something else", "<html/>", "neither a Response nor an assertion"},
		{"another audience", strings.ReplaceAll(string(raw), w.providerID(), "https://else.example/sp"),
			"no service provider of the audience"},
	} {
		if out, err := w.tryCommand("compare", file("bad", []byte(c.captured)), "--user", "bob"); err == nil ||
			!strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
	if out, err := w.tryCommand("compare", file("raw", raw), "--user", "nobody"); err == nil {
		t.Errorf("a person who is not there: %s", out)
	}
}
