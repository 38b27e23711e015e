package e2e_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/store/storetest"
)

// Second factors, another browser, and a switch of keys: each page has a reference that leads to cause and fix (rows
// REAL-96, REAL-97).
func TestCausesOnTheWay(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{set: map[string]string{"keys.switch_before": "30m"}})
	s.command(t, "accounts", "set-factor", club, "required")
	c := newClient(t)
	p := c.login(c.get(s.launch(club)), "bob", password)
	p = c.submit(p, "code", "code", "000000")
	s.explained(t, p, "second_factor_wrong", "clock", "admin factors")
	secret, p := c.enrolApp(p)
	if p.Status != http.StatusOK {
		t.Fatalf("not enrolled: %d\n%s", p.Status, p.text())
	}
	c = newClient(t)
	p = c.login(c.get(s.launch(club)), "bob", password)
	for range 5 {
		p = c.submit(p, "code", "code", "000000")
	}
	s.explained(t, p, "second_factor_wrong", "admin factors")
	s.explained(t, c.submit(p, "code", "code", appCode(t, secret, 1)), "too_many_attempts", "5 wrong second factors",
		"lockouts lift")

	// The form, the choice of an account; and the sign-in in another browser.
	c = newClient(t)
	p = c.get(s.launch(""))
	reference(t, p)
	p = c.login(p, "alice", password).says("Choose an account")
	reference(t, p)
	s.explained(t, newClient(t).get(p.URL.String()), "other_browser", "browser cookie")
	c.deliver(c.goOn(c.submit(p, "account", "account", bakery))).says("Alice Anders")

	// Signed out here alone, there is nothing to ask for help with.
	p = c.get(s.url + "/logout")
	if p = c.submit(p, "csrf").says("You are signed out"); strings.Contains(p.text(), "Reference") {
		t.Errorf("signed out here alone:\n%s", p.text())
	}

	// While the key is being switched, sign-ins wait.
	s.command(t, "sp", "set", s.providerID(), "holds_certificates=one")
	_, after := s.newKey()
	at := time.Now().Add(10 * time.Minute)
	s.command(t, "keys", "promote", "--sp", s.providerID(), "--at", at.Format(time.RFC3339), after)
	c = newClient(t)
	p = c.login(c.get(s.launch(bakery)), "zoe", password)
	if !eventually(func() bool { p = c.get(p.URL.String()); return strings.Contains(p.text(), "One moment") }) {
		t.Fatalf("no wait for the switch:\n%s", p.text())
	}
	s.explained(t, p, "key_switch", "changing our certificate", "keys list")
}

// Messages of single logout that are refused, and a logout at which a service does not answer: the last page has a
// reference, and cause and fix are behind it.
func TestCausesOfLogout(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{set: map[string]string{"logout.enabled": "true"}})
	c := newClient(t)
	s.explained(t, c.get(s.url+"/saml/slo?SAMLRequest=hello"), "bad_request")
	s.explained(t, c.get(s.url+"/logout/all?l="+strings.Repeat("a", 43)), "unknown_logout", "sign out again")

	wiki := startSandbox(t, sandbox.Options{SingleLogout: true, AnyUser: true, EntityID: "https://wiki.example.test/metadata"})
	data, err := wiki.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "wiki.xml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.command(t, "sp", "add", file, "--name", "Wiki", "--group", directorytest.SharedSlapd(t).GroupDN("ring-a"), "--yes")
	if err := wiki.TrustMetadata([]byte(s.command(t, "metadata"))); err != nil {
		t.Fatal(err)
	}
	wiki.SetSilentLogout(true)
	// Whoever is in none of its groups is told so by page, and everybody else by log, trace and console.
	other := newClient(t)
	s.explained(t, other.goOn(other.login(other.get(s.launchSP(wiki)), "carol", password)), "not_in_group",
		"is in 0 groups, and in none of the 1", "sp show "+wiki.EntityID())
	c.deliver(c.goOn(c.login(c.get(s.launchSP(wiki)), "bob", password)))
	p := c.submit(c.get(s.url+"/logout"), "everywhere", "everywhere", "1").says("Signing you out everywhere")
	page := p.URL.String()
	logout := p.URL.Query().Get("l")
	c.get(s.url + "/logout/next?l=" + url.QueryEscape(logout)) // it keeps the browser
	s.explained(t, c.get(page).says("did not answer"), "logout_partial", `"Wiki" (no_answer)`, "sp list")
}

// The database goes away and comes back: the page has a reference that needs none.
func TestCausesOfTheStore(t *testing.T) {
	t.Parallel()
	admin, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	dsn, err := url.Parse(storetest.PostgresAt(admin)(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	way := &wayTo{to: dsn.Host}
	t.Cleanup(way.cut)
	way.open(t, "127.0.0.1:0")
	dsn.Host = way.address
	s := newCauses(t, setting{env: []string{"SSOBRIDGE_STORE_DSN=" + dsn.String(), "SSOBRIDGE_STATE_DIR=" + t.TempDir()}})
	c := newClient(t)
	c.get(s.launch(club)).says("Sign in")
	way.cut()
	var p *page
	if !eventually(func() bool { p = c.get(s.launch(club)); return p.Status == http.StatusServiceUnavailable }) {
		t.Fatalf("with the database down: %d\n%s", p.Status, p.text())
	}
	way.open(t, way.address)
	if !eventually(func() bool { return c.get(s.url+"/readyz").Status == http.StatusOK }) {
		t.Fatal("not ready again")
	}
	s.explained(t, p, "store_down", "The database was not available", "ssobridge check")
}

// wayTo forwards connections to an address, until it is cut.
type wayTo struct {
	to, address string

	mu       sync.Mutex
	listener net.Listener
	through  []net.Conn
}

func (w *wayTo) open(t testing.TB, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.listener, w.address = listener, listener.Addr().String()
	w.mu.Unlock()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", w.to)
			if err != nil {
				_ = from.Close()
				continue
			}
			w.mu.Lock()
			w.through = append(w.through, from, to)
			w.mu.Unlock()
			for a, b := range map[net.Conn]net.Conn{from: to, to: from} {
				go func() { _, _ = io.Copy(a, b); _ = a.Close() }()
			}
		}
	}()
}

func (w *wayTo) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.listener.Close()
	for _, c := range w.through {
		_ = c.Close()
	}
	w.through = nil
}
