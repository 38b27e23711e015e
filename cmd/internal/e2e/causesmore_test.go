package e2e_test

import (
	"database/sql"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

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

// TLS and DNS on the way to the directory: a sign-in meets what a check would have met, and its reference leads to that
// very fault and its fix (rows REAL-96, REAL-97).
func TestCausesOfTheWayToTheDirectory(t *testing.T) {
	t.Parallel()
	slapd := directorytest.SharedSlapd(t)
	s := newCauses(t, setting{set: map[string]string{"directory_cache.ttl": "1s", "directory.cooldown": "1s"}})
	authority, _ := authorityOf(t, "directory.example.test")
	other := filepath.Join(t.TempDir(), "other-authority.pem")
	if err := os.WriteFile(other, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(slapd.URL(), "ldaps://"))
	if err != nil {
		t.Fatal(err)
	}
	before := s.env
	for _, c := range []struct {
		name, variable string
		parts          []string
	}{
		{"a foreign authority", "CA_FILE=" + other, []string{"trusted here", "Set ca_file"}},
		{"a name that does not exist", "URLS=ldaps://directory.invalid:" + port,
			[]string{`The name "directory.invalid" can't be found in DNS`, "name servers"}},
	} {
		s.stop(t)
		s.env = append(slices.Clone(before), "SSOBRIDGE_DIRECTORY_"+c.variable)
		s.start(t)
		visitor := newClient(t)
		p := visitor.login(visitor.get(s.launch(club)), "bob", password)
		if p.Status != http.StatusServiceUnavailable || strings.Contains(p.text(), "directory.invalid") {
			t.Errorf("%s: %d\n%s", c.name, p.Status, p.text())
		}
		s.explained(t, p, "directory_down", c.parts...)
	}
	s.stop(t)
	s.env = before
	s.start(t)
	visitor := newClient(t)
	visitor.deliver(visitor.goOn(visitor.login(visitor.get(s.launch(club)), "bob", password))).says("Bob Brandt")
}

// A service provider demands a second factor, and the person's is of a moment ago, then older than their login: each
// page leads to its cause.
func TestCausesOfNewFactors(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{set: map[string]string{"second_factor.confirm_after": "1m"}})
	s.command(t, "accounts", "set-factor", club, "required")
	c := newClient(t)
	if _, p := c.enrolApp(c.login(c.get(s.launch(club)), "bob", password)); p.Status != http.StatusOK {
		t.Fatalf("not enrolled: %d\n%s", p.Status, p.text())
	}
	demanded := func() *page {
		r := newRequest(s.world)
		context := element("samlp:RequestedAuthnContext", "Comparison", "exact")
		context.CreateElement("saml:AuthnContextClassRef").SetText(mfaClass)
		r.children = []*etree.Element{context}
		return c.authnRequest(s.world, r, "redirect", "")
	}
	s.explained(t, demanded(), "second_factor_new", "enrolled by the password alone", "second_factor.confirm_after")
	var p *page
	if !within(2*time.Minute, func() bool {
		p = demanded()
		l, ok := s.logged(reference(t, p))
		return ok && l.Reason == "second_factor_login"
	}) {
		t.Fatalf("the factor is older than a minute:\n%s", p.text())
	}
	s.explained(t, p, "second_factor_login", "has not logged in again")
}

// An address from which too many logins failed: its logins go one at a time. One that waits for longer than a request
// may take, and one for which there is no room in the line, lead to their cause.
func TestCausesOfAnAddress(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// Before anybody logs in: 300 failures, and the last turn was another replica's a moment ago, for long.
	later := time.Now().Add(30 * time.Minute).UnixMicro()
	if _, err := db.Exec(`INSERT INTO tries (kind, subject, browser, taken, in_flight, in_flight_until, ends_at, next_at)
		VALUES ('address', '127.0.0.1', x'', 300, 0, 0, $1, $1)
		ON CONFLICT (kind, subject, browser) DO UPDATE SET taken = 300, ends_at = $1, next_at = $1`, later); err != nil {
		t.Fatal(err)
	}
	// One has the turn, 30 wait behind it, and there is no room for the others.
	const all = 40
	answers := make(chan *page, all)
	for range all {
		visitor := newClient(t)
		visitor.patience, visitor.http.Timeout = 2*time.Minute, 0 // the bridge itself gives up after half a minute
		form := visitor.get(s.launch(club))
		go func() {
			var p *page
			defer func() { answers <- p }() // also where there was no answer, which fails the test
			p = visitor.login(form, "bob", password)
		}()
	}
	var pages []*page // in the order in which they come
	for range all {
		p := <-answers
		if p == nil {
			t.FailNow()
		}
		if p.Status != http.StatusServiceUnavailable {
			t.Fatalf("an answer: %d\n%s", p.Status, p.text())
		}
		pages = append(pages, p)
	}
	// Past ten in a second they are counted, and have no lines of their own.
	logged := func(reason string) (p *page) {
		t.Helper()
		if !eventually(func() bool {
			i := slices.IndexFunc(pages, func(p *page) bool {
				l, ok := s.logged(reference(t, p))
				return ok && l.Reason == reason
			})
			if i >= 0 {
				p = pages[i]
			}
			return i >= 0
		}) {
			t.Fatalf("no page has a line of the log with the reason %s", reason)
		}
		return p
	}
	s.explained(t, logged("too_many_from_address"), "too_many_from_address",
		"too many failed logins from this network address", "lockouts list")
	s.explained(t, logged("too_slow"), "too_slow", "took longer than is allowed", "ssobridge check")
}
