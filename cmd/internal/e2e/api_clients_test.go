package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const clientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// keyedClient is a program that proves itself by a key.
type keyedClient struct {
	*caller

	key *ecdsa.PrivateKey
}

// keyedClient makes a client by command, as an admin would.
func (w *world) keyedClient(t testing.TB, scopes string, more ...string) *keyedClient {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := w.caller(t, scopes, append(more, "--public-key", publicKeyFile(t, key))...)
	if p.token != "" {
		t.Fatal("a client with a key has a token")
	}
	return &keyedClient{p, key}
}

func publicKeyFile(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// assertion signs one; changes are of its claims.
func (c *keyedClient) assertion(changes map[string]any) string {
	c.t.Helper()
	at := time.Now().Unix()
	claims := jwt.MapClaims{"iss": c.id, "sub": c.id, "aud": c.url + "/api/v1/token", "jti": rand.Text(), "iat": at,
		"exp": at + 60}
	for name, value := range changes {
		claims[name] = value
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// ask asks the token endpoint. more are names and values of the form; an empty value takes one away.
func (c *keyedClient) ask(assertion string, more ...string) reply {
	c.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {clientAssertionType},
		"client_assertion": {assertion}}
	for i := 0; i+1 < len(more); i += 2 {
		if form.Set(more[i], more[i+1]); more[i+1] == "" {
			form.Del(more[i])
		}
	}
	return c.post(form.Encode())
}

func (c *keyedClient) post(body string, headers ...string) reply {
	c.t.Helper()
	bare := *c.caller
	bare.token = ""
	return bare.call(http.MethodPost, "/token", body, append([]string{"Content-Type",
		"application/x-www-form-urlencoded"}, headers...)...)
}

// with is the client with an access token.
func (c *keyedClient) with(scopes string) *caller {
	c.t.Helper()
	var got struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string `json:"scope"`
	}
	c.into(c.ask(c.assertion(nil), "scope", scopes), http.StatusOK, &got)
	if got.TokenType != "Bearer" || got.ExpiresIn < 890 || got.ExpiresIn > 900 || !strings.HasPrefix(got.AccessToken,
		"ssob_") || scopes != "" && got.Scope != scopes {
		c.t.Errorf("answer %+v", got)
	}
	p := *c.caller
	p.token = got.AccessToken
	return &p
}

// A program with a key gets access tokens that do what its client may, and stop with it; requests that are not as they
// have to be are refused as RFC 6749 says, a client that is not there like one that has not signed. REST-22
func TestAPIClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	c := w.keyedClient(t, "status:read,accounts:read")
	p := c.with("")
	p.get("/status", nil)
	p.get("/accounts", nil)
	p.refused("a scope that the client lacks", p.call(http.MethodGet, "/users", nil), http.StatusForbidden, "scope")
	narrow := c.with("status:read")
	narrow.get("/status", nil)
	narrow.refused("narrowed", narrow.call(http.MethodGet, "/accounts", nil), http.StatusForbidden, "scope")

	refused := func(what string, r reply, status int, word string) {
		t.Helper()
		var e struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
			Reference   string `json:"reference"`
		}
		if err := json.Unmarshal(r.body, &e); err != nil || r.status != status || e.Error != word || e.Description == "" ||
			e.Reference == "" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %d %s", what, r.status, r.body, status, word)
		}
	}
	once := c.assertion(nil)
	c.into(c.ask(once), http.StatusOK, nil)
	refused("the same assertion", c.ask(once), 401, "invalid_client")
	stranger := *c
	stranger.key = w.keyedClient(t, "status:read").key
	unknown := *c
	unknown.caller = &caller{t: t, url: w.url, id: "abcdefghij", doc: c.doc}
	a, b := stranger.ask(stranger.assertion(nil)), unknown.ask(unknown.assertion(nil))
	refused("another's key", a, 401, "invalid_client")
	refused("nobody's id", b, 401, "invalid_client")
	alike := func(r reply) string {
		var m map[string]any
		if err := json.Unmarshal(r.body, &m); err != nil {
			t.Error(err)
		}
		delete(m, "reference")
		text, _ := json.Marshal(m) //nolint:errchkjson // it was just read
		return string(text) + r.header.Get("WWW-Authenticate")
	}
	if alike(a) != alike(b) {
		t.Errorf("a client that is there and one that is not differ: %s and %s", a.body, b.body)
	}
	now := time.Now().Unix()
	for what, changes := range map[string]map[string]any{
		"61 seconds": {"iat": now, "exp": now + 61}, "aud of the bridge": {"aud": w.url},
		"aud of another": {"aud": "https://elsewhere.example/api/v1/token"}, "the future": {"iat": now + 60, "exp": now + 90},
		"over": {"iat": now - 120, "exp": now - 60}, "sub of another": {"sub": "abcdefghij"}, "a long jti": {
			"jti": strings.Repeat("x", 129)},
	} {
		refused(what, c.ask(c.assertion(changes)), 401, "invalid_client")
	}
	refused("a scope", c.ask(c.assertion(nil), "scope", "keys:write"), 400, "invalid_scope")
	refused("no grant", c.ask(c.assertion(nil), "grant_type", ""), 400, "invalid_request")
	refused("another grant", c.ask(c.assertion(nil), "grant_type", "password"), 400, "unsupported_grant_type")
	refused("another type", c.ask(c.assertion(nil), "client_assertion_type", "x"), 400, "invalid_request")
	refused("no assertion", c.ask(""), 400, "invalid_request")
	refused("a secret", c.ask(c.assertion(nil), "client_secret", "x"), 400, "invalid_request")
	good := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {clientAssertionType},
		"client_assertion": {c.assertion(nil)}}.Encode()
	refused("twice", c.post(good+"&grant_type=client_credentials"), 400, "invalid_request")
	refused("with Basic", c.post(good, "Authorization", "Basic eDp5"), 400, "invalid_request")
	refused("as JSON", c.post(good, "Content-Type", "application/json"), 400, "invalid_request")
	refused("no form", c.post("%zz"), 400, "invalid_request")
	refused("much", c.post(strings.Repeat("x", 20<<10)), 413, "invalid_request")
	if r := c.post(good + "&resource=x"); r.status != http.StatusOK { // RFC 6749 section 3.2
		t.Errorf("with a parameter that is not known: %d %s", r.status, r.body)
	}
	if r, err := c.try(http.MethodGet, "/token", nil); err != nil || r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d, %v", r.status, err)
	}

	elsewhere := w.keyedClient(t, "status:read", "--from", "192.0.2.0/24")
	refused("from elsewhere", elsewhere.ask(elsewhere.assertion(nil)), 400, "unauthorized_client")
	confined := w.keyedClient(t, "users:read", "--account", books).with("")
	confined.get("/users", nil)
	confined.refused("outside", confined.call(http.MethodGet, "/accounts/a07e1lxqqqo1/users/alice", nil), 404, "not_found")

	// Revoked, all of its access tokens are over with the next call; so is the client.
	w.command(t, "tokens", "revoke", c.id)
	for what, one := range map[string]*caller{"one": p, "another": narrow} {
		one.refused(what+" of a revoked client", one.call(http.MethodGet, "/status", nil), 401, "unknown_token")
	}
	refused("a revoked client", c.ask(c.assertion(nil)), 401, "invalid_client")

	log := w.out.String()
	for _, want := range []string{"client_used", "client_key", "client_unknown", "client_time", "client_aud",
		"client_network", "Compare the thumbprint"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	if strings.Contains(log, "ssob_") || strings.Contains(log, strings.Split(once, ".")[1]) {
		t.Error("the log has a token or an assertion")
	}
	events := w.command(t, "audit", "list", "--json")
	for _, want := range []string{`"token-issue"`, `"token-refused"`, "client_used", `"network"`} {
		if !strings.Contains(events, want) {
			t.Errorf("the audit log does not say %s", want)
		}
	}

	// Too many that are refused keep an address out for a minute, and no longer: also of a client that asks for too much,
	// whose assertion is not used up.
	flood := w.keyedClient(t, "status:read")
	greedy := flood.assertion(nil)
	for range 100 {
		if r := flood.ask(greedy, "scope", "keys:write"); r.status == http.StatusTooManyRequests {
			if r.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			refused("one too many", flood.ask(flood.assertion(nil)), 429, "temporarily_unavailable")
			return
		}
	}
	t.Error("100 refused requests of one address within a minute")
}
