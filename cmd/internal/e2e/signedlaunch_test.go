package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ssobridge/cmd/internal/sample"
)

// withPortal adds a partner's application to a world, as an administrator would: a key file, a section of the
// configuration, a start. more are further lines of the section, in
// which %[1]s is the application's address.
func withPortal(t testing.TB, w *world, more string) *sample.Portal {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	portal, err := sample.NewPortal("http://"+server.Listener.Addr().String(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = portal
	server.Start()
	t.Cleanup(server.Close)
	key, err := portal.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.dir, "ssobridge.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := fmt.Sprintf("\nsources:\n  portal:\n    issuer: %[1]s\n    keys: [portal.pem]\n"+more, portal.URL)
	for name, data := range map[string][]byte{file: append(text, section...), filepath.Join(w.dir, "portal.pem"): key} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.stop(t)
	w.start(t)
	return portal
}

const portalBounds = "    allow_accounts: [a07e1lxqqqo*]\n    allow_roles: [account_manager]\n"

// TestBrowserSignedLaunch: from a button of the partner's application to the landing page, first-time and known, and
// what is refused beside (ID-70, ID-71).
func TestBrowserSignedLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	portal := withPortal(t, w, portalBounds)
	b := newBrowser(t)
	// Without origins a page names the person and waits for the click.
	b.open(portal.URL)
	b.press("Open Constant Contact as Frida")
	b.sees("Do you want to sign in?", "Frida Flores")
	b.shot("signed-launch-asks")
	b.press("Sign in")
	b.sees("Frida Flores", books, "account_manager")
	if n := w.creations(); n != 1 {
		t.Errorf("got %d creating calls, want 1", n)
	}

	w.stop(t)
	file := filepath.Join(w.dir, "ssobridge.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, "    origins: ["+portal.URL+"]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	// Known: with the application's origin the landing page comes by itself, and nobody is created again.
	b.open(portal.URL)
	b.press("Open Constant Contact as Frida")
	b.sees("Frida Flores", books, "account_manager")
	if n := w.creations(); n != 1 {
		t.Errorf("got %d creating calls, want still 1", n)
	}
	// Somebody else in this browser: the page asks, and says who is signed in.
	b.open(portal.URL)
	b.press("Open Constant Contact as Gus")
	b.sees("Do you want to sign in?", "Gus Grün", "portal:customer-1001")
	b.press("Sign in")
	b.sees("Gus Grün", bakery)
	// An account that the source may not give.
	other := newBrowser(t)
	other.open(portal.URL)
	other.press("Open Constant Contact as Hal")
	other.sees("You have no access yet")
	if strings.Contains(other.text(), "account_manager") {
		t.Error("an account outside allow_accounts was given")
	}
	// The session opens nothing but its launch: the console asks for a password.
	b.open(w.launch(books))
	b.sees("Login name")
	for _, secret := range []string{"frida@example.com", "Flores", "Grün"} {
		if strings.Contains(w.out.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// TestSignedLaunchDirectoryID: with a directory behind, that decides; nothing of the token is used but the sub.
func TestSignedLaunchDirectoryID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	portal := withPortal(t, w, "    subject: directory_login\n")
	token, err := portal.Token(map[string]any{"sub": "bob", "given_name": "Mallory"})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	page := c.post(w.url+"/launch", url.Values{"token": {token}})
	page.says("Do you want to sign in?", "Bob Brandt")
	done := c.deliver(c.submit(page, "s"))
	done.says("Bob Brandt", club, "campaign_creator")
	// Used once; and a token of nobody.
	again := newClient(t)
	again.submit(again.post(w.url+"/launch", url.Values{"token": {token}}).says("Bob Brandt"), "s").status(403)
	if token, err = portal.Token(map[string]any{"sub": "nobody"}); err != nil {
		t.Fatal(err)
	}
	again.post(w.url+"/launch", url.Values{"token": {token}}).status(403)
}

// TestSignedLaunchKilled: the program is killed between the token and the page; the launch goes on, once.
func TestSignedLaunchKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	portal := withPortal(t, w, portalBounds)
	token, err := portal.TokenOf(sample.Customers()[0])
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	page := c.post(w.url+"/launch", url.Values{"token": {token}}).says("Frida Flores")
	w.kill(t)
	w.start(t)
	c.deliver(c.submit(page, "s")).says("Frida Flores", books)
	other := newClient(t)
	other.submit(other.post(w.url+"/launch", url.Values{"token": {token}}).says("Frida Flores"), "s").status(403)
}

// TestBrowserPortalLogin: from Constant Contact through the application's own sign-in to the landing page, by the login
// page's button and at once, by both bindings; a new login, and the browser's way back.
func TestBrowserPortalLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	withPortal(t, w, portalBounds+"    login_url: %[1]s/constant-contact\n    label: Example portal\n")
	b := newBrowser(t)
	b.open(w.sandbox.URL() + "/sso/start?binding=redirect")
	b.sees("Login name", "Sign in with Example portal")
	b.shot("login-sources")
	b.press("Sign in with Example portal")
	b.sees("Sign in to the example portal")
	// The browser's way back leads to the page that lets one choose.
	b.back()
	b.sees("Login name", "Sign in with Example portal", "Used last in this browser")
	b.press("Sign in with Example portal")
	b.press("I am Frida")
	b.sees("Frida Flores", books, "account_manager")
	if n := w.creations(); n != 1 {
		t.Errorf("got %d creating calls, want 1", n)
	}
	// The form is there for everybody else.
	b.open(w.sandbox.URL() + "/sso/start?binding=redirect")
	b.login("bob", password)
	b.sees("Bob Brandt", club)

	// Without passwords the login page has nothing to say, and is not shown.
	w.stop(t)
	file := filepath.Join(w.dir, "ssobridge.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(text), "\nsign_in:\n", "\nsign_in:\n  password: false\n", 1)
	if err := os.WriteFile(file, []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	c := newBrowser(t)
	for _, start := range []string{"?binding=post", "?binding=redirect&force_authn=1"} {
		c.open(w.sandbox.URL() + "/sso/start" + start)
		c.sees("Sign in to the example portal")
		if forced := strings.Contains(c.location(), "force=1"); forced != strings.Contains(start, "force") {
			t.Errorf("%s: the portal is asked by %s", start, c.location())
		}
		c.press("I am Frida")
		c.sees("Frida Flores", books)
	}
	c.open(w.launch(books)) // a link; the session opens no other sign-in
	c.sees("Sign in to the example portal")
	c.press("I am Frida")
	c.sees("Frida Flores", books)
	stranger := newBrowser(t)
	stranger.open(w.sandbox.URL() + "/sso/start?binding=redirect&is_passive=1")
	stranger.sees("NoPassive")
	for _, secret := range []string{"frida@example.com", "Flores"} {
		if strings.Contains(w.out.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// TestSignedLaunchOnReplicas: of one token that comes to two replicas at once, in many browsers, one is delivered
// (ID-70).
func TestSignedLaunchOnReplicas(t *testing.T) {
	c := newCluster(t, setting{set: map[string]string{}}.onPostgres(t, postgres(t)), 2)
	portal := withPortal(t, c.world, portalBounds)
	second := c.replicas[1]
	second.stop(t)
	second.start(t) // with the source
	token, err := portal.TokenOf(sample.Customers()[0])
	if err != nil {
		t.Fatal(err)
	}
	first := newClient(t) // her user is created
	first.deliver(first.submit(first.post(c.url+"/launch", url.Values{"token": {token}}), "s")).says("Frida Flores", books)
	for range 3 {
		token, err := portal.TokenOf(sample.Customers()[0])
		if err != nil {
			t.Fatal(err)
		}
		type browser struct {
			*client
			page   *page
			answer *page
		}
		all := make([]*browser, 8)
		for i := range all {
			b := &browser{client: newClient(t)}
			b.page = b.post(c.url+"/launch", url.Values{"token": {token}}).says("Frida Flores")
			all[i] = b
		}
		var wait sync.WaitGroup
		for _, b := range all {
			form := b.page.form("s")
			wait.Go(func() {
				var err error
				if b.answer, err = b.try(http.MethodPost, b.page.resolve(form.Action), form.Fields); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		delivered := 0
		for _, b := range all {
			switch {
			case b.answer == nil:
			case b.answer.delivers():
				delivered++
				b.deliver(b.answer).says("Frida Flores", books)
			default:
				b.answer.status(http.StatusForbidden).says("This launch is over")
			}
		}
		if delivered != 1 {
			t.Errorf("%d are delivered, want one", delivered)
		}
	}
	if n := c.creations(); n != 1 {
		t.Errorf("got %d creating calls, want 1", n)
	}
}
