package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// sessionToken is the token of the client's session cookie.
func (c *client) sessionToken(at string) string {
	c.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, k := range c.http.Jar.Cookies(u) {
		if k.Name == "__Host-ssobridge_session" {
			return k.Value
		}
	}
	c.t.Fatal("no session cookie")
	return ""
}

// voucher is the secret key of the world.
func (w *world) voucher(t testing.TB) *certs.Sealer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "secret_key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := certs.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// aged makes a client's session one whose login is so long ago, and in which the console was last used so long ago.
// The store is opened beside the running program, with its secret key: without that no such session could be written.
func (w *world) aged(t testing.TB, c *client, login, used time.Duration) {
	t.Helper()
	ctx := context.Background()
	at := time.Now()
	db, err := store.Open(ctx, store.Options{
		DSN: "sqlite:" + filepath.Join(w.dir, "data", "ssobridge.db"), Voucher: w.voucher(t),
		Now: func() time.Time { return at },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	token := sha256.Sum256([]byte(c.sessionToken(w.url)))
	s, err := db.Sessions().Get(ctx, token[:], 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Mark, err = db.Sessions().Mark(ctx); err != nil {
		t.Fatal(err)
	}
	now := at
	s.AuthenticatedAt = now.Add(-login)
	s.EndsAt = s.AuthenticatedAt.Add(10 * time.Hour)
	if err := db.Sessions().End(ctx, token[:]); err != nil {
		t.Fatal(err)
	}
	if err := db.Sessions().Create(ctx, s, nil); err != nil {
		t.Fatal(err)
	}
	at = now.Add(-used)
	if err := db.Sessions().UsedConsole(ctx, token[:]); err != nil {
		t.Fatal(err)
	}
}

// TestConsoleIdle: a quarter of an hour without use, or eight hours after the login, the console asks for a login and
// leads back to the page; other services go on in the same session (row ID-19).
func TestConsoleIdle(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	c := w.enter(t, consoleAdmin)
	asks := func(p *page) bool { return strings.Contains(p.Body, `name="password"`) }

	w.aged(t, c, 7*time.Hour, 14*time.Minute)
	if p := c.get(w.url + "/admin/audit"); asks(p) || p.Status != http.StatusOK {
		t.Fatalf("14 minutes after the last use: got %d\n%s", p.Status, p.text())
	}
	// That was a use.
	token := sha256.Sum256([]byte(c.sessionToken(w.url)))
	if used := w.consoleUsed(t, token[:]); time.Since(used) > 5*time.Minute {
		t.Errorf("the console was last used at %s", used)
	}

	for name, is := range map[string]struct{ login, used time.Duration }{
		"idle":         {time.Hour, 15 * time.Minute},
		"absolute end": {8 * time.Hour, 0},
		"never used":   {20 * time.Minute, 20 * time.Minute},
	} {
		w.aged(t, c, is.login, is.used)
		form := c.get(w.url + "/logout").form("csrf").Fields.Get("csrf")
		if p := c.post(w.url+"/admin/provisioning/hold", url.Values{"csrf": {form},
			"once": {name + "-form"}}); p.Status != http.StatusForbidden {
			t.Errorf("%s: a form is taken: %d", name, p.Status)
		}
		if c.begins(w.url + "/admin/provisioning/live") {
			t.Errorf("%s: a stream begins", name)
		}
		if p := c.get(w.launch(bakery)); asks(p) {
			t.Errorf("%s: another service asks for a login", name)
		}
		p := c.get(w.url + "/admin/settings?x=1")
		if !asks(p) {
			t.Fatalf("%s: the console shows\n%s", name, p.text())
		}
		if p = c.login(p, consoleAdmin, password); p.URL.Path != "/admin/settings" || p.URL.RawQuery != "x=1" {
			t.Errorf("%s: the login leads to %s\n%s", name, p.URL, p.text())
		}
	}
}

// consoleUsed is when the console was last used in a session.
func (w *world) consoleUsed(t testing.TB, token []byte) time.Time {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{DSN: "sqlite:" + filepath.Join(w.dir, "data",
		"ssobridge.db"), Voucher: w.voucher(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s, err := db.Sessions().Get(context.Background(), token, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s.ConsoleAt
}
