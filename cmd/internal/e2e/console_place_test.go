package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestConsoleAllowFrom: from elsewhere the console does not exist, not even for somebody who is signed in to it, and a sign-in to it goes
// no further; everything else is served. By command all goes on (row ID-19).
func TestConsoleAllowFrom(t *testing.T) {
	w := newConsoleWorld(t, setting{set: map[string]string{"trusted_proxies": "127.0.0.1", "console.allow_from": "10.20.0.0/16"}})
	const inside, outside = "10.20.1.1", "192.0.2.7"
	c := newClient(t)
	c.forwarded = inside
	c.login(c.get(w.url+"/admin/settings"), consoleAdmin, password)
	if p := c.get(w.url + "/admin/settings"); p.Status != http.StatusOK || !strings.Contains(p.text(), "console.allow_from") {
		t.Fatalf("inside: %d\n%s", p.Status, p.text())
	}
	c.forwarded = outside
	for _, path := range []string{"/admin/settings", "/admin/", "/admin", "/admin/provisioning/live"} {
		if p := c.get(w.url + path); p.Status != http.StatusNotFound {
			t.Errorf("%s from outside: %d, want 404", path, p.Status)
		}
	}
	csrf := c.get(w.url + "/logout").form("csrf").Fields.Get("csrf")
	if p := c.post(w.url+"/admin/provisioning/hold", url.Values{"csrf": {csrf}, "once": {"from-outside"}}); p.Status != http.StatusNotFound {
		t.Errorf("a form from outside: %d, want 404", p.Status)
	}
	if p := c.get(w.launch(bakery)); strings.Contains(p.Body, `name="password"`) || p.Status != http.StatusOK {
		t.Errorf("a launch from outside: %d", p.Status)
	}

	// A login page that was opened inside.
	c = newClient(t)
	c.forwarded = inside
	p := c.get(w.url + "/admin/")
	c.forwarded = outside
	if p = c.login(p, consoleAdmin, password); p.Status != http.StatusNotFound {
		t.Errorf("a login to the console from outside: %d, want 404\n%s", p.Status, p.text())
	}
	if p = c.get(w.launch(club)); !strings.Contains(p.Body, `name="password"`) {
		t.Error("the refused login has made a session")
	}
	if out := w.command(t, "audit", "list", "--action", "console-refusal"); !strings.Contains(out, "console_address") {
		t.Errorf("the audit does not tell of it:\n%s", out)
	}
}
