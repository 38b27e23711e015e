package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/crewjam/saml"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/internal/testkind"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/store/storetest"
)

// binary is the compiled program, chromium the running browser, databases a PostgreSQL server's URL; they are made
// once for the whole run, since they are only used and never changed.
var (
	binary    string
	quick     func() (string, error) // the program without the race detector, for tests of thousands of people
	chromium  context.Context
	databases func() (admin string, err error)
)

// sideBySide is how many tests run at the same time. Two cores have room for more than two: tests also wait for timers
// of the program, for the pace of the sandbox and for pages that go on by themselves.
const sideBySide = "6"

func TestMain(m *testing.M) { os.Exit(setUpAndRun(m)) }

func setUpAndRun(m *testing.M) int {
	if testkind.Check() {
		return 0 // all of these tests start the program, servers or a browser
	}
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binary, err = build(filepath.Join(dir, "ssobridge"), raceEnabled); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	quick = sync.OnceValues(func() (string, error) {
		if !raceEnabled {
			return binary, nil
		}
		return build(filepath.Join(dir, "ssobridge-quick"), false)
	})
	ctx, stop, err := startChromium()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	chromium = ctx
	stopDatabases := func() error { return nil }
	databases = sync.OnceValues(func() (string, error) {
		admin, stop, err := storetest.SharedPostgres()
		if err == nil {
			stopDatabases = stop
		}
		return admin, err
	})
	defer func() {
		if err := stopDatabases(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	flag.Parse()
	if !isSet("test.parallel") {
		if err := flag.Set("test.parallel", sideBySide); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return directorytest.Main(m)
}

// isSet tells whether a flag stands on the command line.
func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// The client accounts of the sandbox. Their ids stand in the names of the sample
// directory's groups too, so that a mapping pattern can find them.
const (
	books  = "a07e1lxqqqo0"
	bakery = "a07e1lxqqqo1"
	club   = "a07e1lxqqqr2"
)

// world is a bridge with everything around it: a directory, and a sandbox on
// another site than the bridge, as in life (localhost and 127.0.0.1 are two sites to a browser).
type world struct {
	*bridge
	t       testing.TB
	sandbox *sandbox.Sandbox
	ownSite string // entity id of the bridge
}

// setting changes what newWorld sets up.
type setting struct {
	directory map[string]string // init --set of the directory; default: the shared slapd
	set       map[string]string // further init --set
	sandbox   sandbox.Options
	algorithm string // of the signing key; default rsa-2048
	// mapping add; default: alice, bob and eve by groups, zoe and alice by pattern
	mappings [][]string
	env      []string          // of every process
	files    map[string]string // more files in the folder of the configuration
	bare     bool              // an empty store: no service provider, no mapping
	quick    bool              // without the race detector
	apart    bool              // everything by processes of the program, the setting up too
	binary   string            // another build of the program
	// port of the public address where something stands before the bridge; "": its own
	public string
	around func(http.Handler) http.Handler // stands before the sandbox
}

// newWorld sets the program up as an admin would, by its own commands.
func newWorld(t testing.TB, s setting) *world {
	t.Helper()
	if s.directory == nil {
		s.directory = slapdSettings(directorytest.SharedSlapd(t))
	}
	box := startSandboxBehind(t, s.sandbox, s.around)
	port := freePort(t)
	w := &world{t: t, sandbox: box, bridge: &bridge{
		dir: filepath.Join(t.TempDir(), "bridge"), url: "http://localhost:" + cmp.Or(s.public, port),
		listen: "http://127.0.0.1:" + port,
		env:    s.env, out: &output{}, apart: s.apart,
	}}
	w.binary = s.binary
	if s.quick && s.binary == "" {
		var err error
		if w.binary, err = quick(); err != nil {
			t.Fatal(err)
		}
	}
	w.ownSite = w.url + "/saml/metadata"

	args := []string{"init", w.dir, "--public-url", w.url}
	for _, more := range []map[string]string{s.directory, {
		"listen": "127.0.0.1:" + port, "branding.name": "Example & Partners <Ltd>",
		"branding.help_url":               "https://help.example.test/",
		"branding.forgotten_password_url": "https://password.example.test/",
		"directory.bind_password_file":    "bind_password",
		"constant_contact.base_url":       box.BaseURL(), "constant_contact.token_url": box.TokenURL(),
		"constant_contact.partner_client_id":   box.TokenOptions().ClientID,
		"constant_contact.partner_secret_file": "partner_secret", "constant_contact.api_key_file": "api_key",
		"constant_contact.external_provider": box.ExternalProvider(),
		"constant_contact.timeout":           "3s",
		"metadata.allow_loopback_http":       "true",
	}, s.set} {
		for k, v := range more {
			if k != "bind_password" {
				args = append(args, "--set", k+"="+v)
			}
		}
	}
	w.setUp(t, s, args)
	if s.binary != "" { // a former version's file, read by this one too
		w.dropRenamed(t)
	}
	w.start(t)
	t.Cleanup(func() {
		w.stop(t)
		if t.Failed() {
			t.Logf("log of ssobridge:\n%s", w.out)
		}
	})
	return w
}

// dropRenamed takes the sections out of the file that were renamed since the former version: they are empty there.
func (b *bridge) dropRenamed(t testing.TB) {
	t.Helper()
	file := filepath.Join(b.dir, "ssobridge.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte("\nreadings:\n"), []byte("\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// setUp makes the folder and what is in the store, as an admin would. args are those of init.
func (w *world) setUp(t testing.TB, s setting, args []string) {
	t.Helper()
	algorithm := cmp.Or(s.algorithm, "rsa-2048")
	// Another build has another schema, and another database nothing of ours.
	copied := !s.apart && s.binary == "" && len(s.env) == 0
	var like prepared
	if copied {
		var err error
		if like, err = prepare(algorithm); err != nil {
			t.Fatal(err)
		}
		// Its own first key, which is cheap like this, is replaced below.
		if err := like.layEmpty(w.dir); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--algorithm", "p-256")
	} else {
		args = append(args, "--algorithm", algorithm)
	}
	if out, err := w.run(args...); err != nil {
		t.Fatalf("ssobridge init: %v\n%s", err, out)
	}
	for name, secret := range map[string]string{
		"bind_password": s.directory["bind_password"], "partner_secret": w.sandbox.TokenOptions().ClientSecret,
		"api_key": apiKey(s.sandbox),
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case copied:
		if err := like.lay(w.dir); err != nil {
			t.Fatal(err)
		}
	case len(s.env) > 0: // the first key is in the store of the file; the environment names another
		first := []string{"init", "--key-only", "--algorithm", algorithm}
		if s.binary == "" { // a former version makes the store by itself
			first = append(first, "--create")
		}
		w.command(t, first...)
	}
	if s.bare {
		return
	}
	w.command(t, "sp", "add-constant-contact", "--entity-id", w.sandbox.EntityID(), "--acs", w.sandbox.ACS())
	if s.mappings == nil {
		slapd := directorytest.SharedSlapd(t)
		s.mappings = [][]string{
			{"--group", slapd.GroupDN("ring-a"), "--account", club, "--role", "campaign_creator"},
			{"--group-pattern", "ctct-{account}-{role}"},
		}
	}
	for _, m := range s.mappings {
		if m[0] == "--group-pattern" && s.binary == "" { // another build may know no base of groups
			m = append(slices.Clone(m), "--group-base", "ou=groups,"+s.directory["directory.base_dn"])
		}
		w.command(t, append([]string{"mapping", "add"}, m...)...)
	}
	w.trust(w.sandbox)
}

// trust hands the certificate over, as an admin hands it to the support engineer.
func (w *world) trust(box *sandbox.Sandbox) {
	w.t.Helper()
	cert := certificate(w.t, w.command(w.t, "metadata"))
	box.Trust(w.ownSite, [][]byte{cert}, w.url+"/saml/sso", w.url+"/saml/sso")
}

func slapdSettings(s *directorytest.Slapd) map[string]string {
	return map[string]string{
		"directory.preset": "openldap", "directory.urls": s.URL(), "directory.ca_file": s.CAFile(),
		"directory.bind_dn": s.BindDN, "directory.base_dn": s.BaseDN, "bind_password": s.BindPassword,
	}
}

// startSandbox starts a sandbox on 127.0.0.1 with the three client accounts.
func startSandbox(t testing.TB, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	return startSandboxBehind(t, o, nil)
}

// startSandboxBehind starts one behind a handler that sees each request first.
func startSandboxBehind(t testing.TB, o sandbox.Options, around func(http.Handler) http.Handler) *sandbox.Sandbox {
	t.Helper()
	if o.Accounts == nil {
		o.Accounts = []sandbox.Account{
			{ID: books, OrganizationName: "Harbour <Books> & Co"},
			{ID: bakery, OrganizationName: "Juniper Bakery"},
			{ID: club, OrganizationName: "Northside Cycling Club"},
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.PublicURL = "http://" + listener.Addr().String()
	if o.TokensPerSecond == 0 {
		o.TokensPerSecond = sandbox.Unlimited // several processes of one world ask within a second
	}
	box, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := box.NewServer()
	if around != nil {
		server.Handler = around(server.Handler)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); _ = box.Close() })
	return box
}

func apiKey(o sandbox.Options) string {
	if o.APIKey != "" {
		return o.APIKey
	}
	return sandbox.DefaultAPIKey
}

func (w *world) providerID() string { return w.sandbox.EntityID() }
func (w *world) acs() string        { return w.sandbox.ACS() }

// launch is the SSO link to an account; "" leaves the choice to the person.
func (w *world) launch(account string) string {
	if account == "" {
		return w.url + "/launch"
	}
	return w.url + "/launch/" + account
}

// creations counts the calls that wanted to create a user.
func (w *world) creations() int {
	n := 0
	for _, c := range w.sandbox.Calls() {
		if c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/users/sso") {
			n++
		}
	}
	return n
}

// certificate is the signing certificate of IdP metadata, DER.
func certificate(t testing.TB, metadata string) []byte {
	t.Helper()
	var e saml.EntityDescriptor
	if err := decodeXML(metadata, &e); err != nil {
		t.Fatalf("our metadata: %v\n%s", err, metadata)
	}
	text := e.IDPSSODescriptors[0].KeyDescriptors[0].KeyInfo.X509Data.X509Certificates[0].Data
	block, _ := pem.Decode([]byte("-----BEGIN CERTIFICATE-----\n" + strings.TrimSpace(text) +
		"\n-----END CERTIFICATE-----\n"))
	if block == nil {
		t.Fatalf("our metadata has no certificate:\n%s", metadata)
	}
	return block.Bytes
}

// ports are given out one after the other, from below those that the kernel gives to connections (32768 and up): one of
// these would be somebody else's by the time a program listens there.
var ports atomic.Int64

// freePort is a port that nobody listens on, for a program that is told where to listen.
func freePort(t testing.TB) string {
	t.Helper()
	const first, all = 12_000, 20_000
	ports.CompareAndSwap(0, 1+int64(os.Getpid())*97%all) // where another run is not
	for range 1000 {
		port := strconv.FormatInt(first+ports.Add(1)%all, 10)
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}
