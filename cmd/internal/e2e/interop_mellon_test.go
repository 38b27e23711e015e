package e2e_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// mellon is an Apache with mod_auth_mellon, which protects the path /private.
type mellon struct{ url string }

func (m mellon) entity() string  { return m.url + "/mellon/metadata" }
func (m mellon) private() string { return m.url + "/private/page.txt" }

const mellonMetadata = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="URL/mellon/metadata">` +
	`<SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
	`<KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>CERTIFICATE</X509Certificate></X509Data></KeyInfo></KeyDescriptor>` +
	`<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="URL/mellon/logout"/>` +
	`<NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</NameIDFormat>` +
	`<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="URL/mellon/postResponse" index="0" isDefault="true"/>` +
	`</SPSSODescriptor></EntityDescriptor>`

const mellonConfig = `ServerRoot DIR
PidFile DIR/httpd.pid
ErrorLog DIR/error.log
Listen ADDRESS
ServerName ADDRESS
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule auth_mellon_module /usr/lib/apache2/modules/mod_auth_mellon.so
RUNAS
DocumentRoot DIR/htdocs
MellonLockFile DIR/lock
<Location />
	MellonEnable info
	MellonEndpointPath /mellon
	MellonSPPrivateKeyFile DIR/sp.key
	MellonSPCertFile DIR/sp.crt
	MellonSPMetadataFile DIR/sp.xml
	MellonIdPMetadataFile DIR/idp.xml
	MellonUser mail
	MellonRedirectDomains [self]
</Location>
<Location /private>
	AuthType Mellon
	MellonEnable auth
	Require valid-user
	Header set X-User "expr=%{REMOTE_USER}"
</Location>
`

// startMellon registers an Apache at the bridge, each by the other's metadata, and starts it.
func (w *world) startMellon(t testing.TB) mellon {
	t.Helper()
	const server, module = "/usr/sbin/apache2", "/usr/lib/apache2/modules/mod_auth_mellon.so"
	for _, file := range []string{server, module} {
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("this test needs Debian's packages apache2-bin and libapache2-mod-auth-mellon: %s", install)
		}
	}
	// Not a test's own folder, into which Apache's user could not look.
	dir, err := os.MkdirTemp("", "e2e-mellon-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := "127.0.0.1:" + freePort(t)
	m := mellon{url: "http://" + address}
	user := ""
	if os.Getuid() == 0 { // as whom it serves nothing
		user = "User www-data\nGroup www-data"
	}
	pair := newKeyPair(t)
	fill := strings.NewReplacer("DIR/", dir+"/", "ServerRoot DIR", "ServerRoot "+dir, "ADDRESS", address, "URL", m.url,
		"RUNAS", user, "CERTIFICATE", base64.StdEncoding.EncodeToString(pair.der))
	metadata := fill.Replace(mellonMetadata)
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"sp.key", pair.private, 0o600}, {"sp.crt", pair.public, 0o600}, {"sp.xml", metadata, 0o644},
		{"idp.xml", w.command(t, "metadata"), 0o644},
		{"httpd.conf", fill.Replace(mellonConfig), 0o644}, {"htdocs/private/page.txt", "inside\n", 0o644},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // G301: another user reads it
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // G302: another user reads it
		t.Fatal(err)
	}
	w.command(t, "sp", "add", filepath.Join(dir, "sp.xml"), "--name", "Wiki", "--yes", "--attribute", "mail={mail}",
		"--group", directorytest.SharedSlapd(t).GroupDN("ctct-"+books+"-account_manager"))

	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), server, "-f", filepath.Join(dir, "httpd.conf"),
		"-DFOREGROUND")
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Error("Apache does not end")
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("Apache: %s\n%s", said, log)
		}
	})
	c := newClient(t)
	if !eventually(func() bool {
		_, err := c.try(http.MethodGet, m.url+"/", nil)
		return err == nil
	}) {
		t.Fatalf("Apache does not answer:\n%s", said)
	}
	return m
}

// TestAcceptanceMellon: Apache's mod_auth_mellon, a service provider on lasso and libxml2, signs people in by its own
// signed requests and by launches, in clear and encrypted, refuses what was changed, and signs out (rows REQ-10,
// RSP-02, RSP-12, SLO-01 and COST-74).
func TestAcceptanceMellon(t *testing.T) {
	w := newWorld(t, setting{set: map[string]string{"logout.enabled": "true"}})
	m := w.startMellon(t)
	launch := w.url + "/launch/sp?entity_id=" + url.QueryEscape(m.entity())
	inside := func(p *page) {
		t.Helper()
		if p.Status != http.StatusOK || strings.TrimSpace(p.Body) != "inside" ||
			p.Header.Get("X-User") != "alice@example.test" {
			t.Fatalf("not inside at %s: %d, user %q\n%s", p.URL, p.Status, p.Header.Get("X-User"), p.Body)
		}
	}
	for _, encryption := range []string{"off", "required"} {
		t.Run("encryption "+encryption, func(t *testing.T) {
			w.command(t, "sp", "set", m.entity(), "encryption="+encryption)
			c := newClient(t)
			p := c.login(c.get(m.private()).says("Sign in"), "alice", password)
			encrypted := len(p.response().FindElements("//EncryptedAssertion")) == 1
			if encrypted != (encryption == "required") {
				t.Errorf("encrypted: %t", encrypted)
			}
			inside(c.deliver(p))
			inside(c.get(m.private()))

			// Somebody without access, and a Response that was changed on its way.
			bob := newClient(t)
			bob.login(bob.get(m.private()), "bob", password).status(http.StatusForbidden).says("not among the people who may " +
				"use Wiki")
			other := newClient(t)
			p = other.login(other.get(launch), "alice", password)
			f := p.form("SAMLResponse")
			text, err := p.response().WriteToString()
			if err != nil {
				t.Fatal(err)
			}
			for _, changed := range []string{
				strings.Replace(text, m.url+"/mellon/postResponse", m.url+"/mellon/postResponse?x", 1),
				strings.Replace(text, `Version="2.0"`, `Version="2.0" Consent="urn:x"`, 1),
			} {
				refused, err := other.try(http.MethodPost, f.Action, url.Values{"SAMLResponse": {encode(changed)}})
				if err != nil || refused.Status < 400 || refused.Status >= 500 {
					t.Errorf("a changed Response: %+v, %v", refused, err)
				}
			}
			if again := other.get(m.private()); strings.TrimSpace(again.Body) == "inside" {
				t.Error("a changed Response made a session")
			}

			// A launch, as it was meant.
			landed := c.deliver(c.get(launch))
			if landed.Status >= 500 {
				t.Errorf("a launch lands at %s: %d\n%s", landed.URL, landed.Status, landed.Body)
			}
			inside(c.get(m.private()))

			// Signed out there, signed out here: the next visit asks for the password.
			c.get(fmt.Sprintf("%s/mellon/logout?ReturnTo=%s", m.url, url.QueryEscape(m.url+"/")))
			c.get(m.private()).says("Sign in")
		})
	}
}
