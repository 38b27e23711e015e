package e2e_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/internal/testkind"
)

// simplesaml is an Apache with SimpleSAMLphp, whose source default-sp protects a page of PHP.
type simplesaml struct{ apache }

func (s simplesaml) entity() string {
	return s.url + "/simplesamlphp/module.php/saml/sp/metadata.php/default-sp"
}
func (s simplesaml) private() string { return s.url + "/private.php" }

const simplesamlConfig = `LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule php_module PHP
Include /etc/simplesamlphp/apache.conf
<FilesMatch "\.php$">
	SetHandler application/x-httpd-php
</FilesMatch>
`

const simplesamlPage = `<?php
require '/usr/share/simplesamlphp/lib/_autoload.php';
$source = new \SimpleSAML\Auth\Simple('default-sp');
if (isset($_GET['out'])) {
	$source->logout('URL/out.txt');
}
$source->requireAuth();
header('X-User: ' . implode(' ', $source->getAttributes()['mail'] ?? []));
header('X-Format: ' . $source->getAuthData('saml:sp:NameID')->getFormat());
echo "inside\n";
`

// simplesamlConvert writes the file that the product's own page for conversion shows.
const simplesamlConvert = `<?php
require '/usr/share/simplesamlphp/lib/_autoload.php';
echo "<?php\n";
foreach (\SimpleSAML\Metadata\SAMLParser::parseDescriptorsString(file_get_contents($argv[1])) as $id => $entity) {
	$provider = $entity->getMetadata20IdP();
	unset($provider['entityDescriptor']);
	echo '$metadata[' . var_export($id, true) . '] = ' . var_export($provider, true) . ";\n";
}
`

// startSimpleSAML starts the service provider with the files of its package, in which names of folders and of the
// identity provider are put in, and these lines in its source default-sp.
func (w *world) startSimpleSAML(t testing.TB, lines string) simplesaml {
	t.Helper()
	const packages = "simplesamlphp and php-xml"
	modules, err := filepath.Glob(apacheModules + "libphp*.so")
	if err != nil || len(modules) == 0 {
		t.Fatalf("this test needs Debian's packages %s: %s", packages, install)
	}
	a := newApache(t, packages, "/usr/share/simplesamlphp/lib/_autoload.php", "/etc/simplesamlphp/apache.conf")
	a.secure()
	s := simplesaml{a}
	sessions := filepath.Dir(a.write(t, "sessions/made", "", 0o644))
	if err := os.Chmod(sessions, 0o777); err != nil { //nolint:gosec // G302: Apache's user writes there
		t.Fatal(err)
	}
	a.write(t, "etc/config.php", a.fill(replaced(t, copied(t, "/etc/simplesamlphp/config.php"),
		"'/etc/simplesamlphp/metadata/'", "'DIR/etc/metadata/'", "'certdir' => '/etc/ssl/certs/'", "'certdir' => 'DIR/'",
		"'/tmp/simplesaml'", "'DIR/sessions/temp'", "'session.phpsession.savepath' => null",
		"'session.phpsession.savepath' => 'DIR/sessions'", "'logging.handler' => 'syslog'",
		"'logging.handler' => 'errorlog'", "require_once('/var/lib/simplesamlphp/secrets.inc.php');",
		"$config['secretsalt'] = 'of a test'; $config['auth.adminpassword'] = 'of a test';")), 0o644)
	a.write(t, "etc/authsources.php", replaced(t, copied(t, "/etc/simplesamlphp/authsources.php"),
		"'idp' => null,", "'idp' => '"+w.ownSite+"',\n"+lines), 0o644)
	a.write(t, "sp.key", a.pair.private, 0o644) // for Apache's user
	a.write(t, "sp.crt", a.pair.public, 0o644)
	env := []string{"SIMPLESAMLPHP_CONFIG_DIR=" + a.dir + "/etc"}
	testkind.Starts(t, "php")
	converted, err := runTool(t, env, "php", a.write(t, "convert.php", simplesamlConvert, 0o644),
		a.write(t, "idp.xml", w.command(t, "metadata"), 0o644))
	if err != nil {
		t.Fatalf("SimpleSAMLphp can't convert our metadata: %v\n%s", err, converted)
	}
	a.write(t, "etc/metadata/saml20-idp-remote.php", converted, 0o644)
	a.write(t, "htdocs/private.php", a.fill(simplesamlPage), 0o644)
	a.write(t, "htdocs/out.txt", "outside\n", 0o644)
	a.start(t, strings.ReplaceAll(simplesamlConfig, "PHP", modules[0]), env...)
	metadata := a.client(t).get(s.entity()).status(http.StatusOK).Body
	w.command(t, "sp", "add", a.write(t, "sp.xml", metadata, 0o644), "--name", "Intranet", "--yes",
		"--group", directorytest.SharedSlapd(t).GroupDN("ctct-"+books+"-account_manager"), "encryption=if-published",
		"--attribute", "mail={mail}")
	return s
}

// TestAcceptanceSimpleSAML: SimpleSAMLphp's default-sp with the files of its package, without and with a key of its
// own, signs people in by launches and by its requests for a transient NameID, refuses what was changed or is for
// somebody else, and signs out (rows REAL-13, REAL-14, REAL-02 and SLO-01).
func TestAcceptanceSimpleSAML(t *testing.T) {
	const transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	for _, how := range []struct {
		name, lines string
		key, logout bool
	}{
		{"as installed", "", false, false},
		{"as installed, with single logout here", "", false, true},
		{"with a key", "'privatekey' => 'sp.key', 'certificate' => 'sp.crt',\n" +
			"'sign.authnrequest' => true, 'sign.logout' => true,", true, true},
	} {
		t.Run(how.name, func(t *testing.T) {
			logout := "false"
			if how.logout {
				logout = "true"
			}
			w := newWorld(t, setting{set: map[string]string{"logout.enabled": logout}})
			s := w.startSimpleSAML(t, how.lines)
			launch := w.url + "/launch/sp?entity_id=" + url.QueryEscape(s.entity())
			inside := func(p *page) {
				t.Helper()
				if p.Status != http.StatusOK || strings.TrimSpace(p.Body) != "inside" ||
					p.Header.Get("X-User") != "alice@example.test" || p.Header.Get("X-Format") != transient {
					t.Fatalf("not inside at %s: %d, %v\n%s", p.URL, p.Status, p.Header, p.text())
				}
			}
			c := s.client(t)
			p := c.login(c.get(s.private()).says("Sign in"), "alice", password)
			if encrypted := len(p.response().FindElements("//EncryptedAssertion")) == 1; encrypted != how.key {
				t.Errorf("encrypted: %t", encrypted)
			}
			inside(c.deliver(p))
			inside(c.get(s.private()))

			// Somebody without access, and Responses that were changed on their way or are for somebody else.
			bob := s.client(t)
			bob.login(bob.get(s.private()), "bob", password).status(http.StatusForbidden).says(
				"not among the people who may use Intranet")
			other := s.client(t)
			p = other.login(other.get(launch), "alice", password)
			refusesChanged(t, other, p, false)
			w.command(t, "sp", "add", "--entity-id", "https://other.example.test/", "--acs", p.form("SAMLResponse").Action,
				"--yes", "--group", directorytest.SharedSlapd(t).GroupDN("ctct-"+books+"-account_manager"))
			p = other.get(w.url + "/launch/sp?entity_id=" + url.QueryEscape("https://other.example.test/"))
			refused := other.deliver(p)
			if !refuses(refused, p.form("SAMLResponse").Action) || !strings.Contains(refused.text(), "udience") {
				t.Errorf("a Response for somebody else: %d\n%s", refused.Status, refused.text())
			}
			if again := other.get(s.private()); strings.TrimSpace(again.Body) == "inside" {
				t.Error("a Response that was refused made a session")
			}

			p = c.get(s.private() + "?out")
			switch {
			case !how.logout: // there alone: the next visit brings a new assertion, without a password
				if strings.TrimSpace(p.Body) != "outside" {
					t.Errorf("the sign-out ends at %s: %d\n%s", p.URL, p.Status, p.text())
				}
				inside(c.deliver(c.get(s.private())))
				return
			case !how.key: // a request to sign out that nobody signed could come from anybody
				p.status(http.StatusBadRequest).says("not signed")
				inside(c.deliver(c.get(s.private())))
				return
			}
			// Signed out there, signed out here: the next visit asks for the password.
			if strings.TrimSpace(p.Body) != "outside" {
				t.Errorf("the sign-out ends at %s: %d\n%s", p.URL, p.Status, p.text())
			}
			c.get(s.private()).says("Sign in")
		})
	}
}
