package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"html"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/cmd/internal/sample"
)

// What a partner's application gets wrong with its tokens: each fault has a reason of its own under the page's
// reference (rows REAL-96, REAL-97).
func TestCausesOfTokens(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{set: map[string]string{"trusted_proxies": "127.0.0.1"}})
	var from strangers
	s.explained(t, from.client(t).post(s.url+"/launch", url.Values{"token": {"none"}}), "no_sources", "sources")
	if err := os.WriteFile(filepath.Join(s.dir, "named.json"), namedKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	portal := withPortal(t, s.world, portalBounds+
		"    login_url: %[1]s/constant-contact\n"+
		"  other:\n    issuer: https://other.example.test\n    jwks_url: https://127.0.0.1:1/jwks\n"+portalBounds+
		"  named:\n    issuer: https://named.example.test\n    keys: [named.json]\n"+portalBounds)
	s.console = s.enter(t, consoleViewer) // the program was started again
	launch := func(token string) *page {
		t.Helper()
		return from.client(t).post(s.url+"/launch", url.Values{"token": {token}})
	}
	good := func(change map[string]any) string {
		t.Helper()
		c := sample.Customers()[0]
		claims := map[string]any{"sub": c.ID, "given_name": c.FirstName, "family_name": c.LastName, "email": c.Mail,
			"accounts": []map[string]string{{"account": c.Account, "role": "account_manager"}}}
		maps.Copy(claims, change)
		token, err := portal.Token(claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	// forged has a header of its own over the claims of a good token, and no signature that holds.
	forged := func(header map[string]any, issuer string) string {
		t.Helper()
		parts := strings.Split(good(map[string]any{"iss": issuer}), ".")
		all := map[string]any{"alg": "ES256", "typ": "ssobridge-launch+jwt", "kid": sample.PortalKid}
		maps.Copy(all, header)
		data, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data) + "." + parts[1] + "." + parts[2]
	}
	now := time.Now()
	for reason, c := range map[string]struct {
		token string
		parts []string
	}{
		"launch_form":      {"hello", []string{"three"}},
		"launch_header":    {forged(map[string]any{"jku": "https://thief.example.test/keys"}, portal.URL), []string{"jku"}},
		"launch_type":      {forged(map[string]any{"typ": "at+jwt"}, portal.URL), []string{"typ"}},
		"launch_issuer":    {forged(nil, "https://thief.example.test"), []string{"iss"}},
		"launch_key":       {forged(map[string]any{"kid": "another"}, "https://named.example.test"), []string{"kid"}},
		"launch_algorithm": {forged(map[string]any{"alg": "RS256"}, portal.URL), []string{"ES256"}},
		"launch_signature": {forged(nil, portal.URL), []string{"signature"}},
		"launch_keys_down": {forged(nil, "https://other.example.test"), []string{"other", "jwks_url"}},
		"launch_audience":  {good(map[string]any{"aud": "https://elsewhere.example.test"}), []string{"aud"}},
		"launch_claims":    {good(map[string]any{"jti": strings.Repeat("a", 200)}), []string{"jti"}},
		"launch_lifetime":  {good(map[string]any{"exp": now.Add(time.Hour).Unix()}), []string{"1m0s"}},
		"launch_expired": {good(map[string]any{"iat": now.Add(-10 * time.Minute).Unix(),
			"exp": now.Add(-9 * time.Minute).Unix()}), []string{"clock"}},
		"launch_future": {good(map[string]any{"iat": now.Add(10 * time.Minute).Unix(),
			"exp": now.Add(10*time.Minute + 30*time.Second).Unix()}), []string{"clock"}},
		"launch_person":  {good(map[string]any{"email": "no address"}), []string{"email"}},
		"launch_request": {good(map[string]any{"request": "of nobody"}), []string{"portal"}},
	} {
		p := launch(c.token)
		if p.delivers() || p.Status < 400 {
			t.Errorf("%s: %d\n%s", reason, p.Status, p.text())
			continue
		}
		s.explained(t, p, reason, c.parts...)
		if l, _ := s.logged(reference(t, p)); strings.Contains(l.Cause, "frida@") || strings.Contains(l.Cause, "Flores") {
			t.Errorf("%s: the cause has what the token says of the person: %s", reason, l.Cause)
		}
	}

	// Used before; a page that was left open; and an account that asks for more than a token proves.
	token := good(nil)
	c := from.client(t)
	asks := c.post(s.url+"/launch", url.Values{"token": {token}}).says("Do you want to sign in?")
	again := from.client(t)
	asksAgain := again.post(s.url+"/launch", url.Values{"token": {token}}).says("Do you want to sign in?")
	c.deliver(c.submit(asks, "s")).says("Frida Flores")
	s.explained(t, again.submit(asksAgain, "s"), "launch_used", "new token each time")
	left := from.client(t)
	open := left.post(s.url+"/launch", url.Values{"token": {good(nil)}}).says("Do you want to sign in?")
	opened := time.Now()
	s.command(t, "accounts", "set-factor", books, "required")
	more := from.client(t)
	s.explained(t, more.submit(more.post(s.url+"/launch", url.Values{"token": {good(nil)}}), "s"), "launch_factor",
		"second factor")
	s.command(t, "accounts", "set-factor", books, "off")

	// A sign-in that the bridge began comes back with another source's token, in another browser, or twice.
	begun := func(c *client) string {
		t.Helper()
		p := c.authnRequest(s.world, newRequest(s.world), "redirect", "")
		link := sourceLink.FindStringSubmatch(p.Body)
		if link == nil {
			t.Fatalf("no button of a source:\n%s", p.text())
		}
		request := c.get(p.resolve(html.UnescapeString(link[1]))).URL.Query().Get("request")
		if request == "" {
			t.Fatalf("the portal was asked for nothing:\n%s", p.text())
		}
		return request
	}
	one := from.client(t)
	request := begun(one)
	s.explained(t, from.client(t).post(s.url+"/launch", url.Values{"token": {good(map[string]any{"request": request})}}),
		"launch_request_browser", "another browser")

	// Somebody who was moved to the application comes by their password, as before.
	eve := from.client(t)
	eve.deliver(eve.goOn(eve.login(eve.get(s.launch(books)), "eve", password))).says("Eve")
	moves := filepath.Join(t.TempDir(), "moves.csv")
	if err := os.WriteFile(moves, []byte("login,subject\neve,customer-9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.command(t, "users", "move-source", moves, "--source", "portal", "--yes")
	eve = from.client(t)
	s.explained(t, eve.goOn(eve.login(eve.get(s.launch(books)), "eve", password)), "moved_away", "source portal")

	s.command(t, "sources", "disable", "portal")
	s.explained(t, launch(good(nil)), "launch_source_off", "portal")
	s.command(t, "sources", "enable", "portal")
	time.Sleep(time.Until(opened.Add(62 * time.Second))) // the page may be opened for a minute
	s.explained(t, left.submit(open, "s"), "launch_late", "1m0s")
}

var sourceLink = regexp.MustCompile(`href="([^"]*source=portal[^"]*)"`)

// namedKey is a public key that nobody signs with, under a kid.
func namedKey(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	data, err := json.Marshal(map[string]string{"kty": "EC", "crv": "P-256", "kid": "named-1", "alg": "ES256",
		"use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
