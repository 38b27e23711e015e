package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// mellon is an Apache with mod_auth_mellon, which protects the path /private.
type mellon struct{ apache }

func (m mellon) entity() string  { return m.url + "/mellon/metadata" }
func (m mellon) private() string { return m.url + "/private/page.txt" }

const mellonMetadata = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="URL/mellon/metadata">` +
	`<SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
	`<KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>CERTIFICATE</X509Certificate></X509Data></KeyInfo></KeyDescriptor>` +
	`<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="URL/mellon/logout"/>` +
	`<NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</NameIDFormat>` +
	`<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="URL/mellon/postResponse" index="0" isDefault="true"/>` +
	`</SPSSODescriptor></EntityDescriptor>`

const mellonConfig = `LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule auth_mellon_module /usr/lib/apache2/modules/mod_auth_mellon.so
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
	a := newApache(t, "libapache2-mod-auth-mellon", apacheModules+"mod_auth_mellon.so")
	a.write(t, "sp.key", a.pair.private, 0o600)
	a.write(t, "sp.crt", a.pair.public, 0o600)
	a.write(t, "idp.xml", w.command(t, "metadata"), 0o644)
	a.write(t, "htdocs/private/page.txt", "inside\n", 0o644)
	metadata := a.write(t, "sp.xml", strings.ReplaceAll(a.fill(mellonMetadata), "CERTIFICATE",
		base64.StdEncoding.EncodeToString(a.pair.der)), 0o644)
	w.command(t, "sp", "add", metadata, "--name", "Wiki", "--yes", "--attribute", "mail={mail}",
		"--group", directorytest.SharedSlapd(t).GroupDN("ctct-"+books+"-account_manager"))
	a.start(t, mellonConfig)
	return mellon{a}
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
			for _, status := range refusesChanged(t, other, p, true) {
				if status >= 500 {
					t.Errorf("a changed Response: %d", status)
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
