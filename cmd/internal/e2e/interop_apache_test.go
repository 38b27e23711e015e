package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ssobridge/internal/testkind"
)

// apache is an Apache of a test's own: a folder, a port of loopback, and a process that is ended by its number.
type apache struct {
	dir, address, url string

	pair keyPair
	tls  bool
}

const apacheModules = "/usr/lib/apache2/modules/"

// newApache makes the folder of an Apache with these modules, which come from these packages of Debian.
func newApache(t testing.TB, packages string, needs ...string) apache {
	t.Helper()
	for _, file := range append(needs, "/usr/sbin/apache2") {
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("this test needs %s, of Debian's packages apache2-bin and %s: %s", file, packages, install)
		}
	}
	// Not a test's own folder, into which Apache's user could not look.
	dir, err := os.MkdirTemp("", "e2e-apache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // G302: another user reads it
		t.Fatal(err)
	}
	address := "127.0.0.1:" + freePort(t)
	return apache{dir: dir, address: address, url: "http://" + address, pair: newKeyPair(t)}
}

// secure has it speak TLS, which products expect of a browser's side where nothing else is configured.
func (a *apache) secure() { a.url, a.tls = "https://"+a.address, true }

// fill puts folder, address, URL and Apache's user into a text.
func (a apache) fill(text string) string {
	user := ""
	if os.Getuid() == 0 { // as whom it serves nothing
		user = "User www-data\nGroup www-data"
	}
	return strings.NewReplacer("DIR", a.dir, "ADDRESS", a.address, "URL", a.url, "RUNAS", user).Replace(text)
}

// write puts a file into its folder.
func (a apache) write(t testing.TB, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // G301: another user reads it
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// copied is a file of a package, as it is installed.
func copied(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// replaced changes this text, which has to be there.
func replaced(t testing.TB, text string, changes ...string) string {
	t.Helper()
	for i := 0; i+1 < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the file of the package does not have %q any more", changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	return text
}

// client is a browser that takes this Apache's certificate.
func (a apache) client(t testing.TB) *client {
	t.Helper()
	c := newClient(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(a.pair.public))
	c.http.Transport = &http.Transport{
		Proxy: nil, MaxIdleConnsPerHost: 16,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}
	return c
}

const apacheConfig = `ServerRoot DIR
PidFile DIR/httpd.pid
ErrorLog DIR/error.log
Listen ADDRESS
ServerName URL
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
RUNAS
DocumentRoot DIR/htdocs
`

const apacheTLS = `SSLEngine on
SSLCertificateFile DIR/tls.crt
SSLCertificateKeyFile DIR/tls.key
`

// start runs it with these further lines of configuration and this environment, until the test ends.
func (a apache) start(t testing.TB, config string, env ...string) {
	t.Helper()
	text := apacheConfig + config
	if a.tls {
		text += apacheTLS
		a.write(t, "tls.crt", a.pair.public, 0o600)
		a.write(t, "tls.key", a.pair.private, 0o600)
	}
	file := a.write(t, "httpd.conf", a.fill(text), 0o644)
	said := a.run(t, "Apache", env, "/usr/sbin/apache2", "-f", file, "-DFOREGROUND")
	c := a.client(t)
	if !eventually(func() bool {
		_, err := c.try(http.MethodGet, a.url+"/", nil)
		return err == nil
	}) {
		log, _ := os.ReadFile(filepath.Join(a.dir, "error.log"))
		t.Fatalf("Apache does not answer:\n%s\n%s", said, log)
	}
}

// run starts a server and ends it with the test; its logs in the folder are shown where the test fails.
func (a apache) run(t testing.TB, name string, env []string, program string, args ...string) *output {
	t.Helper()
	testkind.Starts(t, program)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Apache with processes ends all of its group
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
			t.Errorf("%s does not end", name)
		}
		if t.Failed() {
			t.Logf("%s: %s", name, said)
			logs, _ := filepath.Glob(filepath.Join(a.dir, "*.log"))
			for _, log := range logs {
				text, _ := os.ReadFile(log)
				t.Logf("%s:\n%s", filepath.Base(log), text)
			}
		}
	})
	return said
}

// refuses tells whether a service provider that got a Response stays where it got it and says what is wrong:
// SimpleSAMLphp's page about it has the status 200.
func refuses(p *page, at string) bool {
	return p.URL.String() == at && (p.Status >= 400 || strings.Contains(p.Body, "Unhandled exception"))
}

// refusesChanged hands a Response over that was changed on its way: where it goes, who it is about, and, at products
// that look at the signature of the Response as well as at the assertion's, something that says nothing. It
// returns the statuses of the refusals.
func refusesChanged(t testing.TB, c *client, p *page, whole bool) (statuses []int) {
	t.Helper()
	f := p.form("SAMLResponse")
	text, err := p.response().WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	inner := [2]string{"alice@example.test", "mallory@example.test"}
	if hidden := p.response().FindElement("//EncryptedData/CipherData/CipherValue"); hidden != nil {
		inner = [2]string{hidden.Text(), hidden.Text()[:20] + "AAAA" + hidden.Text()[24:]}
	}
	changes := [][2]string{{f.Action, f.Action + "?x"}, inner}
	if whole {
		changes = append(changes, [2]string{`Version="2.0"`, `Version="2.0" Consent="urn:x"`})
	}
	for _, change := range changes {
		changed := strings.Replace(text, change[0], change[1], 1)
		if changed == text {
			t.Fatalf("there is no %.200q to change in\n%s", change[0], text)
		}
		got, err := c.try(http.MethodPost, f.Action, url.Values{"SAMLResponse": {encode(changed)}})
		if err != nil {
			t.Fatal(err)
		}
		if !refuses(got, f.Action) {
			t.Errorf("a Response with %.200q is taken: %d at %s\n%s", change[1], got.Status, got.URL, got.text())
		}
		statuses = append(statuses, got.Status)
	}
	return statuses
}
