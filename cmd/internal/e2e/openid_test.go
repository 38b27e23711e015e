package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// workforce is an OpenID provider by other hands (npm oidc-provider), at which a world is a client.
type workforce struct {
	*nodeSP
	issuer string
}

// withWorkforce adds an OpenID provider to a world, as an administrator would. more are further lines of the source's
// section, and rest those behind it.
func withWorkforce(t testing.TB, w *world, more, rest string) *workforce {
	t.Helper()
	n := startScript(t, "op.js", "oidc-provider")
	client := map[string]any{
		"client_id": "ssobridge", "client_secret": "s3cret+/=%",
		"redirect_uris":          []string{w.url + "/oidc/workforce/callback"},
		"backchannel_logout_uri": w.url + "/oidc/workforce/logout", "backchannel_logout_session_required": true,
		"post_logout_redirect_uris": []string{w.url + "/logout"},
	}
	issuer := n.ask("start", map[string]any{"client": client})["issuer"].(string)
	file := filepath.Join(w.dir, "ssobridge.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := fmt.Sprintf(`
sources:
  workforce:
    type: oidc
    issuer: %s
    label: Workforce
    allow_accounts: [a07e1lxqqqo*]
    allow_roles: [account_manager]
    groups: ["editors = %s account_manager"]
    oidc:
      client_id: ssobridge
      client_secret_file: workforce_secret
      allow_private: [127.0.0.0/8]
%s%s`, issuer, books, more, rest)
	for name, data := range map[string]string{file: string(text) + section,
		filepath.Join(w.dir, "workforce_secret"): "s3cret+/=%\n"} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.stop(t)
	w.start(t)
	return &workforce{nodeSP: n, issuer: issuer}
}

// TestBrowserOpenID: from Constant Contact and from a link through an OpenID provider to the landing page, over its
// roll-over of keys, and while it is down.
func TestBrowserOpenID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	op := withWorkforce(t, w, "      passive: true\n    session:\n      max_age: 15m\n", "")
	b := newBrowser(t)
	b.open(w.sandbox.URL() + "/sso/start?binding=redirect")
	b.sees("Login name", "Sign in with Workforce")
	b.press("Sign in with Workforce")
	b.sees("Sign in to the workforce")
	b.press("I am Olga")
	b.sees("Olga Orlova", books, "account_manager")
	if n := w.creations(); n != 1 {
		t.Errorf("got %d creating calls, want 1", n)
	}
	// A link, with the session: nobody is asked, and nobody is created again.
	b.open(w.launch(books))
	b.sees("Olga Orlova", books)
	// A link, without one. The provider has the person's session and asks nothing.
	c := newBrowser(t)
	c.open(w.launch(books) + "?source=workforce")
	c.sees("Sign in to the workforce")
	c.press("I am Olga")
	c.sees("Olga Orlova", books)
	if n := w.creations(); n != 1 {
		t.Errorf("got %d creating calls, want still 1", n)
	}
	// A new login is asked for, and made.
	c.open(w.sandbox.URL() + "/sso/start?binding=redirect&force_authn=1")
	c.sees("Sign in with Workforce")
	c.press("Sign in with Workforce")
	c.sees("Sign in to the workforce")
	c.press("I am Olga")
	c.sees("Olga Orlova", books)
	if asked := op.ask("asked", nil); asked["prompt"] != "login" || asked["code_challenge_method"] != "S256" {
		t.Errorf("the provider was asked with %v", asked)
	}
	// Without an allowed group there is no access; the unverified address, which is somebody's of the directory, makes
	// nobody of them.
	p := newBrowser(t)
	p.open(w.launch(books) + "?source=workforce")
	p.press("I am Pavel")
	p.sees("You have no access yet")

	// The provider rolls its key over: with the bridge's next look, at most a minute later, the new one serves.
	op.ask("rotate", nil)
	w.command(t, "sources", "refresh", "workforce")
	w.stop(t) // a refresh by command is the command's own; the bridge looks again when it starts
	w.start(t)
	d := newBrowser(t)
	d.open(w.launch(books) + "?source=workforce")
	d.press("I am Olga")
	d.sees("Olga Orlova", books)

	// Down: who has a session goes on. Where the provider is, is known after a start as well; where it is not, people
	// get a page that names it.
	op.ask("down", map[string]any{"is": true})
	w.stop(t)
	w.start(t)
	d.open(w.launch(books))
	d.sees("Olga Orlova", books)
	if at := newClient(t).get(w.launch(books) + "?source=workforce").URL; !strings.HasPrefix(at.String(), op.issuer) {
		t.Errorf("after a start, with the provider down, a browser is at %s", at)
	}
	w.stop(t)
	w.forgetProvider(t)
	w.start(t)
	e := newBrowser(t)
	e.open(w.launch(books) + "?source=workforce")
	e.sees("Workforce can't sign you in at present")
	e.shot("openid-down")
	op.ask("down", map[string]any{"is": false})
	for _, secret := range []string{"olga@example.com", "Orlova", "s3cret", "u-1001"} {
		if strings.Contains(w.out.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// answerOf is the answer of the provider for Olga, which the client does not follow.
func (w *world) answerOf(c *client) string {
	w.t.Helper()
	var answer string
	c.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), w.url+"/oidc/") {
			answer = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	defer func() { c.http.CheckRedirect = nil }()
	page := c.get(w.launch(books) + "?source=workforce")
	if answer == "" { // she has no session there
		c.post(page.URL.String(), url.Values{"who": {"u-1001"}})
	}
	if !strings.HasPrefix(answer, w.url+"/oidc/workforce/callback?") {
		w.t.Fatalf("the provider leads to %s", answer)
	}
	return answer
}

// forgetProvider removes what is kept of what a provider said of itself.
func (w *world) forgetProvider(t testing.TB) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DELETE FROM source_keys"); err != nil {
		t.Fatal(err)
	}
}

// TestOpenIDPrivateKey (ID-78): the bridge proves itself to the provider by a private key, and by no other.
func TestOpenIDPrivateKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	op := withWorkforce(t, w, "", "")
	jwk := map[string]string{}
	for _, name := range []string{"workforce", "another"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := os.WriteFile(filepath.Join(w.dir, name+"_key.pem"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "workforce" {
			point, err := key.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			b64 := base64.RawURLEncoding.EncodeToString
			jwk = map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "x": b64(point[1:33]),
				"y": b64(point[33:])}
		}
	}
	op.ask("register", map[string]any{"client": map[string]any{
		"client_id": "ssobridge", "token_endpoint_auth_method": "private_key_jwt",
		"token_endpoint_auth_signing_alg": "ES256", "jwks": map[string]any{"keys": []any{jwk}},
		"redirect_uris": []string{w.url + "/oidc/workforce/callback"}}})
	file := filepath.Join(w.dir, "ssobridge.yaml")
	with := func(was, now string) {
		t.Helper()
		w.stop(t)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), was, now, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(t)
	}
	with("client_secret_file: workforce_secret", "client_auth: private_key_jwt\n      client_key_file: workforce_key.pem")
	c := newClient(t)
	c.deliver(c.get(w.answerOf(c))).says("Olga Orlova", books)
	with("client_key_file: workforce_key.pem", "client_key_file: another_key.pem")
	d := newClient(t)
	d.get(w.answerOf(d)).status(http.StatusForbidden)
	if !eventually(func() bool { return strings.Contains(w.out.String(), `"oidc_code"`) }) {
		t.Error("the log has no oidc_code")
	}
	if strings.Contains(w.out.String(), "client_assertion") {
		t.Error("the log has a proof")
	}
}

// TestOpenIDAnswers: what comes to the callback from another browser, twice, for another source, or made up.
func TestOpenIDAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	withWorkforce(t, w, "", `  other:
    type: oidc
    issuer: https://id.example.com
    oidc:
      client_id: ssobridge
      client_secret_file: workforce_secret
`)
	begin := func(c *client) string { return w.answerOf(c) }
	victim, attacker := newClient(t), newClient(t)
	answer := begin(attacker)
	// The attacker's answer in the victim's browser would sign that one in as the attacker.
	victim.get(w.launch(books)) // it has a cookie of ours
	victim.get(answer).status(http.StatusForbidden)
	// At another source's callback.
	attacker.get(strings.Replace(answer, "/workforce/", "/other/", 1)).status(http.StatusForbidden)
	// Of another provider.
	at, err := url.Parse(answer)
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	q.Set("iss", "https://evil.example.com")
	at.RawQuery = q.Encode()
	attacker.get(at.String()).status(http.StatusForbidden)
	// Made up.
	q.Set("state", "AAAA")
	at.RawQuery = q.Encode()
	attacker.get(at.String()).status(http.StatusForbidden)
	attacker.get(w.url + "/oidc/nobody/callback?state=x").status(http.StatusNotFound)
	// As it is, once.
	attacker.deliver(attacker.get(answer)).says("Olga Orlova", books)
	attacker.get(answer).status(http.StatusForbidden)
	for _, reason := range []string{"launch_request_browser", "launch_request_source", "oidc_mix_up", "launch_request",
		"launch_request_used"} {
		// A line comes through a pipe, after the answer.
		if !eventually(func() bool { return strings.Contains(w.out.String(), `"`+reason+`"`) }) {
			t.Errorf("the log has no %s", reason)
		}
	}
}

// TestBrowserOpenIDLogouts: a mail domain leads to the provider, whoever it is; who signs out is led to the provider's
// own sign-out; and who signs out there has no session here, by a logout token that the provider's server sends.
func TestBrowserOpenIDLogouts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	op := withWorkforce(t, w, "      logout: true\n      domains: [example.com]\n    session:\n      max_age: 15m\n", "")
	signIn := func(b *browser) {
		t.Helper()
		b.open(w.launch(books))
		b.fill("login", "nobody@Example.com")
		b.press("Sign in")
		b.sees("Sign in to the workforce")
		b.press("I am Olga")
		b.sees("Olga Orlova", books)
	}
	b, elsewhere := newBrowser(t), newBrowser(t)
	signIn(b)
	signIn(elsewhere)
	// Another domain is the directory's affair.
	c := newBrowser(t)
	c.open(w.launch(books))
	c.login("nobody@example.org", "wrong")
	c.sees("The login name or the password is not right.")

	// At the provider: this session ends, that of another browser goes on.
	b.open(op.issuer + "/session/end?client_id=ssobridge")
	b.press("Yes, sign me out")
	b.sees("Sign-out Success")
	b.open(w.launch(books))
	b.sees("Login name")
	elsewhere.open(w.launch(books))
	elsewhere.sees("Olga Orlova", books)

	// At the bridge, and from there at the provider, which leads back.
	elsewhere.open(w.url + "/logout")
	elsewhere.press("Sign out")
	elsewhere.sees("You are signed out", "Sign out of Workforce too")
	elsewhere.press("Sign out of Workforce too")
	elsewhere.press("Yes, sign me out")
	if !eventually(func() bool { return strings.HasPrefix(elsewhere.location(), w.url+"/logout") }) {
		t.Errorf("the provider leads to %s", elsewhere.location())
	}
	elsewhere.open(w.launch(books) + "?source=workforce")
	elsewhere.sees("Sign in to the workforce") // it has no session of them any more
}

// TestOpenIDKilled: the program is killed while it asks the provider, and before the page of its answer: nothing is
// used up twice, and the person is in with the next click (ID-74).
func TestOpenIDKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	op := withWorkforce(t, w, "", "")
	calls := func() int { return int(op.ask("calls", nil)["calls"].(float64)) }
	c := newClient(t)
	answer := w.answerOf(c)
	op.ask("hold", map[string]any{"is": true})
	cut := make(chan error, 1)
	go func() {
		_, err := c.try(http.MethodGet, answer, nil)
		cut <- err
	}()
	if !eventually(func() bool { return calls() == 1 }) {
		t.Fatal("the provider was not asked")
	}
	w.kill(t)
	if err := <-cut; err == nil {
		t.Error("the answer was answered by nobody")
	}
	op.ask("hold", map[string]any{"is": false})
	w.start(t)
	c.get(answer).status(http.StatusForbidden).says("This sign-in is over")
	if n := calls(); n != 1 {
		t.Errorf("the provider was asked %d times, want once", n)
	}
	answer = w.answerOf(c) // the next click
	// What the browser has of the answer is the address of a page, and a cookie.
	var next string
	c.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		next = r.URL.String()
		return http.ErrUseLastResponse
	}
	c.get(answer)
	c.http.CheckRedirect = nil
	if !strings.HasPrefix(next, w.url+"/login") {
		t.Fatalf("the answer leads to %s", next)
	}
	w.kill(t)
	w.start(t)
	c.deliver(c.get(next)).says("Olga Orlova", books)
	c.get(answer).status(http.StatusForbidden)
	if n := calls(); n != 2 || w.creations() != 1 {
		t.Errorf("the provider was asked %d times and %d users were created, want 2 and 1", n, w.creations())
	}
}

// TestOpenIDPassive: a request that allows no page is answered by the provider's session, and else by NoPassive
// (REQ-16).
func TestOpenIDPassive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	op := withWorkforce(t, w, "      passive: true\n", "")
	w.stop(t)
	file := filepath.Join(w.dir, "ssobridge.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "\nsign_in:\n", "\nsign_in:\n  source: workforce\n", 1))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	passive := w.sandbox.URL() + "/sso/start?binding=redirect&is_passive=1"
	// Nobody waits longer than two seconds for the first look at the provider, which a busy machine may take.
	if !eventually(func() bool { return strings.HasPrefix(newClient(t).get(w.launch(books)).URL.String(), op.issuer) }) {
		t.Fatal("nobody is led to the provider")
	}
	op.ask("asked", map[string]any{"forget": true})
	c := newClient(t)
	// Nobody has signed in there: no page of anybody's is shown.
	p := c.get(passive)
	if op.ask("asked", nil)["client_id"] != nil {
		t.Error("the provider's page was shown")
	}
	c.deliver(p).says("NoPassive")
	c.deliver(c.get(w.answerOf(c))).says("Olga Orlova", books)
	p = c.get(passive)
	if !p.delivers() {
		t.Fatalf("with a session there, the page at %s says %s", p.URL, p.text())
	}
	c.deliver(p).says("Olga Orlova", books)
	// While it is down nobody waits for it, and no page says so.
	op.ask("down", map[string]any{"is": true})
	w.stop(t)
	w.start(t)
	c.deliver(c.get(passive)).says("NoPassive")
}
