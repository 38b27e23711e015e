package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestConsoleAllowFrom: from elsewhere the console does not exist, not even for somebody who is signed in to it, and
// a sign-in to it goes no further; everything else is served. By command all goes on (row ID-19).
func TestConsoleAllowFrom(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"trusted_proxies": "127.0.0.1",
		"console.allow_from": "10.20.0.0/16"}})
	const inside, outside = "10.20.1.1", "192.0.2.7"
	c := newClient(t)
	c.forwarded = inside
	c.login(c.get(w.url+"/admin/settings"), consoleAdmin, password)
	if p := c.get(w.url + "/admin/settings"); p.Status != http.StatusOK || !strings.Contains(p.text(),
		"console.allow_from") {
		t.Fatalf("inside: %d\n%s", p.Status, p.text())
	}
	c.forwarded = outside
	for _, path := range []string{"/admin/settings", "/admin/", "/admin", "/admin/provisioning/live"} {
		if p := c.get(w.url + path); p.Status != http.StatusNotFound {
			t.Errorf("%s from outside: %d, want 404", path, p.Status)
		}
	}
	csrf := c.get(w.url + "/logout").form("csrf").Fields.Get("csrf")
	if p := c.post(w.url+"/admin/provisioning/hold", url.Values{"csrf": {csrf},
		"once": {"from-outside"}}); p.Status != http.StatusNotFound {
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

// listensAt gives the console an address of its own, under this host, and returns it.
func (s *setting) listensAt(t testing.TB, host string) (address string) {
	t.Helper()
	port := freePort(t)
	address = "http://" + host + ":" + port
	if s.set == nil {
		s.set = map[string]string{}
	}
	s.set["console.listen"], s.set["console.public_url"] = "127.0.0.1:"+port, address
	return address
}

// TestConsoleListen: a console with a listener of its own is served there alone, and nothing of the rest is. With
// another port of the same host, a session is one for both; with another host, each has its own (row ID-19).
func TestConsoleListen(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]string{"other port": "localhost", "other host": "127.0.0.1"} {
		t.Run(name, func(t *testing.T) {
			apart := host != "localhost"
			var s setting
			at := s.listensAt(t, host)
			w := newConsoleWorld(t, s)
			asks := func(p *page) bool { return strings.Contains(p.Body, `name="password"`) }

			c := newClient(t)
			c.login(c.get(w.launch(bakery)), consoleAdmin, password)
			for _, path := range []string{"/admin", "/admin/", "/admin/settings", "/admin/provisioning/live"} {
				if p := c.get(w.url + path); p.Status != http.StatusNotFound {
					t.Errorf("%s at the public address: %d, want 404", path, p.Status)
				}
			}
			p := c.get(at + "/admin/settings?x=1")
			if asks(p) != apart {
				t.Fatalf("signed in at the public address, the console asks for a login: %v, want %v\n%s", asks(p), apart, p.text())
			}
			if apart {
				p = c.login(p, consoleAdmin, password)
			}
			if p.URL.String() != at+"/admin/settings?x=1" || p.Status != http.StatusOK || !strings.Contains(p.text(),
				"console.public_url") {
				t.Fatalf("in the console: %d at %s\n%s", p.Status, p.URL, p.text())
			}
			// What is handed over names the public address alone.
			if p := c.get(at + "/admin/providers/handover"); !strings.Contains(p.Body, w.url+"/saml/sso") ||
				strings.Contains(p.Body, at) {
				t.Errorf("the hand-over sheet:\n%s", p.text())
			}
			for _, path := range []string{"/saml/metadata", "/saml/sso", "/launch", "/launch/" + bakery} {
				if p := c.get(at + path); p.Status != http.StatusNotFound {
					t.Errorf("%s at the console's address: %d, want 404", path, p.Status)
				}
			}
			if p := c.get(at + "/"); p.URL.Path != "/admin/overview" && p.URL.Path != "/admin/" {
				t.Errorf("/ at the console's address leads to %s", p.URL)
			}
			// A form does what it says, there and not at the public address.
			hold := func(base string) int {
				csrf := c.get(base + "/logout").form("csrf").Fields.Get("csrf")
				return c.post(base+"/admin/provisioning/hold", url.Values{"csrf": {csrf},
					"once": {"of-" + strings.ReplaceAll(name, " ", "-")}}).Status
			}
			if status := hold(w.url); status != http.StatusNotFound {
				t.Errorf("a form at the public address: %d, want 404", status)
			}
			if status := hold(at); status == http.StatusNotFound || status == http.StatusForbidden {
				t.Errorf("a form at the console's address: %d", status)
			}
			if out := w.command(t, "health"); !strings.Contains(out, "ready") {
				t.Errorf("health: %s", out)
			}

			// Signing out of the one.
			c.submit(c.get(at+"/logout"), "csrf")
			if !asks(c.get(at + "/admin/settings")) {
				t.Error("signed out of the console, and still in it")
			}
			if got := asks(c.get(w.launch(bakery))); got == apart {
				t.Errorf("signed out of the console, a launch asks for a login: %v, want %v", got, !apart)
			}

			if !apart {
				return
			}
			// Whoever carries the public address's cookies over has no session there.
			public, own := c.cookies(w.url), c.cookies(at)
			if public["__Host-ssobridge_session"] == "" || own["__Host-ssobridge_session"] != "" {
				t.Fatalf("cookies %v and %v", public, own)
			}
			thief := newClient(t)
			u, err := url.Parse(at)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range public {
				thief.http.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
			}
			if !asks(thief.get(at + "/admin/settings")) {
				t.Error("the public address's cookies open the console")
			}
			w.logs(t, "session cookie comes from another browser than the login")
		})
	}
}

// cookies are those that the client sends to an address.
func (c *client) cookies(at string) map[string]string {
	c.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string]string{}
	for _, k := range c.http.Jar.Cookies(u) {
		all[k.Name] = k.Value
	}
	return all
}

// TestBrowserConsoleHost: passkeys belong to a host. At the console's own one, somebody with a passkey of the public
// address gets in by a recovery code, and adds a passkey there; each is asked for where it can be used (row ID-19).
func TestBrowserConsoleHost(t *testing.T) {
	t.Parallel()
	s := setting{set: map[string]string{"second_factor.console": "required"}}
	at := s.listensAt(t, "admin.localhost")
	w := newConsoleWorld(t, s)
	b := newBrowser(t)
	b.withAuthenticator()
	b.open(w.url + "/factors")
	b.login(consoleAdmin, password)
	out := w.command(t, "admin", "invite", consoleAdmin)
	if !strings.Contains(out, at+"/admin/") {
		t.Errorf("the invitation does not lead to the console's address:\n%s", out)
	}
	b.sees("No second factor so far")
	b.press("Add another way")
	b.sees("With a passkey") // it is there once the script runs
	b.fill("invite", invitationLine.FindStringSubmatch(out)[1])
	b.press("Set up a passkey")
	b.sees("Keep these codes")
	codes := recoveryCode.FindAllString(b.text(), -1)
	if len(codes) < 2 {
		t.Fatalf("no recovery codes:\n%s", b.text())
	}
	b.press("I have kept them")
	b.sees("How you show that it is you", "Passkey")

	b.open(at + "/admin/settings")
	b.login(consoleAdmin, password)
	b.sees("One more step", "A passkey works only at the address where it was set up", "Recovery code")
	if strings.Contains(b.text(), "Use your passkey") {
		t.Error("the passkey of another host is asked for")
	}
	b.inspect("factor-elsewhere")
	b.fill("code", codes[0])
	b.press("Continue")
	b.sees("Admin console", "public_url")

	b.open(at + "/factors")
	b.press("Add another way")
	b.sees("With a passkey")
	b.press("Set up a passkey")
	b.sees("How you show that it is you")
	b.open(at + "/logout")
	b.press("Sign out")
	b.sees("You are signed out")
	b.open(at + "/admin/settings")
	b.login(consoleAdmin, password)
	b.sees("One more step", "Use your passkey")
	b.press("Use your passkey")
	b.sees("Admin console", "public_url")
	if !strings.HasPrefix(b.location(), at+"/admin/settings") {
		t.Errorf("signed in to %s", b.location())
	}

	// At the public address the first one goes on. The session there ended when the second one was added.
	b.open(w.url + "/factors")
	b.login(consoleAdmin, password)
	b.sees("One more step", "Use your passkey")
	b.press("Use your passkey")
	b.sees("How you show that it is you", "Passkey")
}

var recoveryCode = regexp.MustCompile(`\b[0-9A-Z]{5}(-[0-9A-Z]{5})+\b`)
