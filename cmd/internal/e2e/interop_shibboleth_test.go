package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// shibboleth is an Apache with Shibboleth's service provider, which protects the path /private, and its daemon.
type shibboleth struct{ apache }

func (s shibboleth) entity() string  { return s.url + "/shibboleth" }
func (s shibboleth) private() string { return s.url + "/private/page.txt" }

const shibbolethConfig = `LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule mod_shib /usr/lib/apache2/modules/mod_shib.so
ShibConfig DIR/etc/shibboleth/shibboleth2.xml
Include /etc/apache2/conf-available/shib.conf
<Location /private>
	AuthType shibboleth
	ShibRequestSetting requireSession 1
	Require shib-session
	Header set X-User "expr=%{REMOTE_USER}"
	Header set X-Entitlement "%{entitlement}e"
	Header set X-Mail "%{mail}e"
</Location>
`

// startShibboleth starts the service provider with the files of its package, in which only names of hosts and folders
// are put in and, in shibboleth2.xml, these changes. It loads our metadata from the bridge, and is registered at the
// bridge by the metadata that it makes.
func (w *world) startShibboleth(t testing.TB, changes ...string) shibboleth {
	t.Helper()
	const daemon = "/usr/sbin/shibd"
	a := newApache(t, "libapache2-mod-shib and shibboleth-sp-utils", daemon, apacheModules+"mod_shib.so")
	a.secure()
	s := shibboleth{a}
	installed, err := filepath.Glob("/etc/shibboleth/*")
	if err != nil || len(installed) == 0 {
		t.Fatalf("the files of shibboleth-sp-common: %d, %v", len(installed), err)
	}
	for _, file := range installed {
		text := copied(t, file)
		switch filepath.Base(file) {
		case "shibboleth2.xml":
			text = replaced(t, text, append([]string{
				"https://sp.example.org/shibboleth", s.entity(), "https://idp.example.org/idp/shibboleth", w.ownSite,
				`<AttributeExtractor `, `<MetadataProvider type="XML" url="` + w.url + `/saml/metadata" ` +
					`backingFilePath="ssobridge.xml"/><AttributeExtractor `,
			}, changes...)...)
		case "attribute-map.xml": // what docs/products/shibboleth-sp.md says about the name that is not mapped
			text = replaced(t, text, "</Attributes>",
				`<Attribute name="urn:oid:0.9.2342.19200300.100.1.3" id="mail"/></Attributes>`)
		case "shibd.logger":
			text = replaced(t, text, "/var/log/shibboleth/", a.dir+"/")
		}
		a.write(t, filepath.Join("etc/shibboleth", filepath.Base(file)), text, 0o644)
	}
	for _, use := range []string{"signing", "encrypt"} {
		pair := newKeyPair(t)
		a.write(t, "etc/shibboleth/sp-"+use+"-key.pem", pair.private, 0o600)
		a.write(t, "etc/shibboleth/sp-"+use+"-cert.pem", pair.public, 0o644)
	}
	a.write(t, "htdocs/private/page.txt", "inside\n", 0o644)
	a.write(t, "run/shibboleth/made", "", 0o644)
	a.write(t, "cache/shibboleth/made", "", 0o644)
	env := []string{ // in each of them it looks for the folder "shibboleth"
		"SHIBSP_CFGDIR=" + a.dir + "/etc", "SHIBSP_RUNDIR=" + a.dir + "/run", "SHIBSP_CACHEDIR=" + a.dir + "/cache",
		"SHIBSP_LOGDIR=" + a.dir,
	}
	said := a.run(t, "shibd", env, daemon, "-F", "-f", "-p", a.dir+"/shibd.pid", "-c",
		a.dir+"/etc/shibboleth/shibboleth2.xml")
	if !eventually(func() bool {
		_, err := os.Stat(filepath.Join(a.dir, "run/shibboleth/shibd.sock"))
		return err == nil
	}) {
		t.Fatalf("shibd does not listen:\n%s", said)
	}
	a.start(t, shibbolethConfig, env...)
	metadata := a.client(t).get(a.url + "/Shibboleth.sso/Metadata").status(http.StatusOK).Body
	w.command(t, "sp", "add", a.write(t, "sp.xml", metadata, 0o644), "--name", "Library", "--yes",
		"--group", directorytest.SharedSlapd(t).GroupDN("ctct-"+books+"-account_manager"), "encryption=if-published",
		"--attribute", "urn:oid:0.9.2342.19200300.100.1.3={mail};format=uri;friendly=mail",
		"--attribute", "urn:oid:1.3.6.1.4.1.5923.1.1.1.7={login};format=uri",
		// Dropped there unless our metadata name its domain; else it is REMOTE_USER.
		"--attribute", "urn:oid:1.3.6.1.4.1.5923.1.1.1.6={mail};format=uri;friendly=eduPersonPrincipalName")
	return s
}

// TestAcceptanceShibboleth: Shibboleth's service provider with the files of its package signs people in by launches and
// by its requests, as it is installed and with requests that it signs and posts, decrypts what it says that it can,
// refuses what was changed or is for somebody else, and signs out (rows REAL-11, REAL-12, REAL-07, RSP-12 and SLO-01).
func TestAcceptanceShibboleth(t *testing.T) {
	const post = `urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST`
	for _, how := range []struct {
		name    string
		changes []string
		posts   bool
		scopes  string
	}{
		{"as installed", nil, false, "[example.org]"}, // of somebody else's people
		{"with a scope", nil, false, "[example.test]"},
		{"signed by POST", []string{
			`REMOTE_USER="eppn subject-id pairwise-id persistent-id"`, `REMOTE_USER="mail" signing="true"`,
			`discoveryProtocol="SAMLDS"`, `outgoingBindings="` + post + `" discoveryProtocol="SAMLDS"`,
		}, true, "[]"},
	} {
		t.Run(how.name, func(t *testing.T) {
			w := newWorld(t, setting{set: map[string]string{"logout.enabled": "true", "metadata.scopes": how.scopes}})
			s := w.startShibboleth(t, how.changes...)
			launch := w.url + "/launch/sp?entity_id=" + url.QueryEscape(s.entity())
			inside := func(p *page) {
				t.Helper()
				user := p.Header.Get("X-User")
				if byMail := how.posts || how.scopes == "[example.test]"; byMail && user != "alice@example.test" ||
					!byMail && !strings.HasPrefix(user, w.ownSite+"!"+s.entity()+"!") {
					t.Errorf("REMOTE_USER is %q", user)
				}
				if p.Status != http.StatusOK || strings.TrimSpace(p.Body) != "inside" ||
					p.Header.Get("X-Mail") != "alice@example.test" || p.Header.Get("X-Entitlement") != "alice" {
					t.Fatalf("not inside at %s: %d, %v\n%s", p.URL, p.Status, p.Header, p.Body)
				}
			}
			// begin visits the page and brings the request to the bridge.
			begin := func(c *client) *page {
				t.Helper()
				p := c.get(s.private())
				if !how.posts {
					return p
				}
				request, err := base64.StdEncoding.DecodeString(p.form("SAMLRequest").Fields.Get("SAMLRequest"))
				if err != nil || !strings.Contains(string(request), "xmldsig-more#rsa-sha256") ||
					strings.Contains(string(request), "xmldsig#sha1") {
					t.Errorf("the request is not signed by SHA-256 (%v):\n%s", err, request)
				}
				c.crossSite = true
				return c.submit(p, "SAMLRequest")
			}

			c := s.client(t)
			p := c.login(begin(c).says("Sign in"), "alice", password)
			method := p.response().FindElement("//EncryptedData/EncryptionMethod")
			if method == nil || !strings.Contains(method.SelectAttrValue("Algorithm", ""), "-gcm") {
				t.Errorf("encrypted by %v", method)
			}
			inside(c.deliver(p))
			inside(c.get(s.private()))

			// Somebody without access, and Responses that were changed on their way or are for somebody else.
			bob := s.client(t)
			bob.login(begin(bob), "bob", password).status(http.StatusForbidden).says("not among the people who may use Library")
			other := s.client(t)
			p = other.login(other.get(launch), "alice", password)
			refusesChanged(t, other, p, true)
			w.command(t, "sp", "add", "--entity-id", "https://other.example.test/", "--acs", p.form("SAMLResponse").Action,
				"--yes", "--group", directorytest.SharedSlapd(t).GroupDN("ctct-"+books+"-account_manager"))
			p = other.get(w.url + "/launch/sp?entity_id=" + url.QueryEscape("https://other.example.test/"))
			refused := other.deliver(p)
			if !refuses(refused, p.form("SAMLResponse").Action) || !strings.Contains(refused.text(), "Audience") {
				t.Errorf("a Response for somebody else: %d\n%s", refused.Status, refused.Body)
			}
			if again := other.get(s.private()); strings.TrimSpace(again.Body) == "inside" {
				t.Error("a Response that was refused made a session")
			}

			// Signed out there, signed out here: the next visit asks for the password.
			c.get(s.url + "/Shibboleth.sso/Logout").status(http.StatusOK).says(
				"Status of Global Logout: Logout completed successfully.")
			begin(c).says("Sign in")

			// A launch, as it was meant.
			if landed := c.deliver(c.login(c.get(launch), "alice", password)); landed.Status >= 500 {
				t.Errorf("a launch lands at %s: %d\n%s", landed.URL, landed.Status, landed.Body)
			}
			inside(c.get(s.private()))
		})
	}
}
