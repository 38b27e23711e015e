package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// The main job in a real browser: link, password, waiting page, landing page.
func TestBrowserLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	b := newBrowser(t)
	b.open(w.launch(club))
	b.sees("Sign in", "Login name")
	b.shot("login")
	b.login("bob", "wrong")
	b.sees("The login name or the password is not right.")
	b.shot("login-wrong-password")
	b.login("bob", password)
	b.sees("Bob Brandt", club, "campaign_creator")
	b.shot("landing")

	b.open(w.launch(club))
	b.sees("Bob Brandt", club)
	if n := w.creations(); n != 1 {
		t.Errorf("got %d creating calls, want 1", n)
	}
	b.open(w.url + "/")
	b.sees("Sign out")
	b.shot("home")
	b.open(w.url + "/logout")
	b.shot("logout")
	b.press("Sign out")
	b.sees("signed out")
	b.shot("signed-out")
}

// The waiting page goes on by itself when Constant Contact is back.
func TestBrowserWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownAPI})
	b := newBrowser(t)
	b.open(w.launch(books))
	b.login("eve", password)
	b.sees("Setting up your access", "has not confirmed")
	b.shot("waiting")
	b.phone()
	b.dark()
	b.shot("waiting-phone-dark")
	w.sandbox.ClearFaults()
	b.sees(books, "account_manager")
}

func TestBrowserChoosesAndSwitches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	b := newBrowser(t)
	b.open(w.launch(""))
	b.login("alice", password)
	b.sees("Choose an account", "Harbour <Books> & Co")
	b.shot("choose")
	b.press("Juniper Bakery")
	b.sees("Alice Anders", bakery)
	b.open(w.launch(books))
	b.sees("Alice Anders", books)
}

// SP-initiated by both bindings, started on the sandbox's page on another site (row WEB-03).
func TestBrowserSPInitiated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	for _, binding := range []string{"redirect", "post"} {
		t.Run(binding, func(t *testing.T) {
			b := newBrowser(t)
			b.open(w.sandbox.URL() + "/sso/start?binding=" + binding)
			b.sees("Login name")
			b.login("bob", password)
			b.sees("Bob Brandt", club)

			// With a session, nobody is asked again; ForceAuthn asks; IsPassive shows nothing.
			b.open(w.sandbox.URL() + "/sso/start?binding=" + binding)
			b.sees("Bob Brandt", club)
			b.open(w.sandbox.URL() + "/sso/start?binding=" + binding + "&force_authn=1")
			b.sees("Login name")
			b.login("bob", password)
			b.sees("Bob Brandt", club)

			stranger := newBrowser(t)
			stranger.open(w.sandbox.URL() + "/sso/start?binding=" + binding + "&is_passive=1")
			stranger.sees("NoPassive")
		})
	}
}

// Back to the SP from the login form: the SP gets a status.
func TestBrowserCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	b := newBrowser(t)
	b.open(w.sandbox.URL() + "/sso/start?binding=redirect")
	b.sees("Login name")
	b.shot("login-from-sp")
	b.press("Back to")
	b.sees("AuthnFailed")
	b.shot("sp-status")
}

// An ACS that redirects to a third origin works under our content security policy (row WEB-05).
func TestBrowserThirdOrigin(t *testing.T) {
	t.Parallel()
	third, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		_, _ = w.Write([]byte("<!doctype html><title>third</title><p>This is the third origin."))
	})}
	go func() { _ = server.Serve(third) }()
	t.Cleanup(func() { _ = server.Close() })
	w := newWorld(t, setting{sandbox: sandbox.Options{LandingURL: "http://" + third.Addr().String() + "/landing"}})
	b := newBrowser(t)
	b.open(w.launch(club))
	b.login("bob", password)
	b.sees("This is the third origin.")
	if !strings.HasPrefix(b.location(), "http://127.0.0.2:") {
		t.Errorf("the browser is at %s", b.location())
	}
}

// A request that is too long for a cookie is carried on by a form, which submits itself (row ID-10).
func TestBrowserLongRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	text := base64.StdEncoding.EncodeToString(newRequest(w).document(t))
	site := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(out,
			`<form id="f" method="post" action="%s/saml/sso"><input type="hidden" name="SAMLRequest" value="%s">
			<input type="hidden" name="RelayState" value="%s"></form><script>document.getElementById("f").submit()</script>`,
			w.url, text, strings.Repeat("x", 8192))
	}))
	t.Cleanup(site.Close)
	b := newBrowser(t)
	b.open(site.URL) // 127.0.0.1 is another site than localhost
	b.sees("Login name")
	if at := b.location(); at != w.url+"/login/start" {
		t.Errorf("the login page is at %s", at)
	}
	b.login("bob", "wrong")
	b.sees("The login name or the password is not right.")
	b.login("bob", password)
	b.sees("response") // the sandbox's word about a Response to a request that it never sent
	if at := b.location(); strings.HasPrefix(at, w.url) {
		t.Errorf("the Response was not handed over, but the browser is at %s", at)
	}
}

// Every other page that a person can meet, for people to look at.
func TestBrowserPages(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	w := newWorld(t, setting{directory: slapdSettings(slapd)})
	b := newBrowser(t)
	b.open(w.launch(""))
	b.login("carol", password)
	b.sees("You have no access yet", "Reference")
	b.shot("refused-no-access")
	b.open(w.url + "/nothing")
	b.sees("no such page")
	b.shot("not-found")
	b.open(w.url + "/saml/sso?SAMLRequest=x")
	b.sees("Reference")
	b.shot("refused-request")

	c := newBrowser(t)
	c.open(w.launch(books))
	c.login("erin", password)
	c.sees("expired")
	c.shot("login-password-expired")
	c.phone()
	c.dark()
	c.shot("login-phone-dark")

	slapd.Stop(t)
	d := newBrowser(t)
	d.open(w.launch(books))
	d.login("eve", password)
	d.sees("can't be checked")
	d.shot("directory-down")
	slapd.Start(t)

	e := newBrowser(t)
	e.open(w.sandbox.URL() + "/sso/start?binding=redirect") // a launch's address would begin anew
	e.sees("Login name")
	login := e.location()
	e.login("eve", password)
	e.sees(books)
	e.open(login)
	e.sees("This sign-in is finished")
	e.shot("finished")
}
