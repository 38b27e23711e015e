package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// newLogoutWorld is a world with single logout on and two plain service providers
// beside Constant Contact, which takes part in no single logout.
func newLogoutWorld(t testing.TB) (w *world, wiki, calendar *sandbox.Sandbox) {
	t.Helper()
	w = newWorld(t, setting{set: map[string]string{"logout.enabled": "true"}})
	add := func(host, name string) *sandbox.Sandbox {
		box := startSandbox(t, sandbox.Options{SingleLogout: true, AnyUser: true, EntityID: "https://" + host +
			".example.test/metadata"})
		data, err := box.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), host+".xml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		w.command(t, "sp", "add", file, "--name", name, "--group", directorytest.SharedSlapd(t).GroupDN("ring-a"), "--yes")
		if err := box.TrustMetadata([]byte(w.command(t, "metadata"))); err != nil {
			t.Fatal(err)
		}
		return box
	}
	return w, add("wiki", "Wiki"), add("calendar", "Calendar & Rooms")
}

func (w *world) launchSP(box *sandbox.Sandbox) string {
	return w.url + "/launch/sp?entity_id=" + box.EntityID()
}

// statuses are the codes of the last answer to a LogoutRequest, without their prefix.
func statuses(t testing.TB, box *sandbox.Sandbox) string {
	t.Helper()
	for _, l := range box.Logouts() {
		if l.Kind == "response" {
			return strings.ReplaceAll(strings.Join(l.StatusCodes, " "), "urn:oasis:names:tc:SAML:2.0:status:", "")
		}
	}
	return ""
}

// live counts the sign-ins of a service provider that no logout has ended.
func live(box *sandbox.Sandbox) int {
	n := 0
	for _, l := range box.Logins() {
		if l.EndedAt.IsZero() {
			n++
		}
	}
	return n
}

// TestBrowserSLO03: somebody signs out at one service, by either binding, and is
// signed out here (SLO-01, SLO-02) and at the other one.
func TestBrowserSLO03(t *testing.T) {
	t.Parallel()
	for _, binding := range []string{"Redirect", "POST"} {
		t.Run(binding, func(t *testing.T) {
			w, wiki, calendar := newLogoutWorld(t)
			b := newBrowser(t)
			b.open(w.launchSP(calendar))
			b.login("bob", password)
			b.sees("Signed in as")
			b.open(w.launchSP(wiki))
			b.sees("Signed in as", "Sign out everywhere")
			b.press("By HTTP-" + binding)
			b.sees("Signed out everywhere", "Success", "logout ")
			if got := statuses(t, wiki); got != "Success" || live(wiki) != 0 || live(calendar) != 0 {
				t.Errorf("answered %q, %d and %d sign-ins are left", got, live(wiki), live(calendar))
			}
			b.open(w.url + "/")
			b.sees("You are not signed in.")
		})
	}
}

// TestBrowserSLO03Partial: Constant Contact can't be told and one service does not
// answer. The person sees that, is not held up, and the service that asked is told.
func TestBrowserSLO03Partial(t *testing.T) {
	t.Parallel()
	w, wiki, calendar := newLogoutWorld(t)
	calendar.SetSilentLogout(true)
	b := newBrowser(t)
	b.open(w.launch(club))
	b.login("bob", password)
	b.sees("Bob Brandt", club)
	b.open(w.launchSP(calendar))
	b.sees("Signed in as")
	b.open(w.launchSP(wiki))
	b.sees("Sign out everywhere")
	b.press("By HTTP-Redirect")
	b.sees("was told not to answer")
	b.open(w.url + "/") // REAL-08: it goes on by itself
	b.sees("You are signed out", "did not answer", "can't be reached from here", "Back to Wiki")
	b.shot("signed-out-partial")
	b.press("Back to Wiki")
	b.sees("Signed out everywhere", "PartialLogout")
	if got := statuses(t, wiki); got != "Success PartialLogout" {
		t.Errorf("answered %q", got)
	}
}

// TestBrowserSLO03Everywhere starts at our own page.
func TestBrowserSLO03Everywhere(t *testing.T) {
	t.Parallel()
	w, wiki, calendar := newLogoutWorld(t)
	b := newBrowser(t)
	b.open(w.launchSP(calendar))
	b.login("bob", password)
	b.sees("Signed in as")
	b.open(w.launchSP(wiki))
	b.sees("Signed in as")
	b.open(w.url + "/logout")
	b.sees("Calendar & Rooms", "Wiki", "Sign out here only")
	b.shot("logout-services")
	b.press("Sign out everywhere")
	b.sees("You are signed out", "at every service")
	b.shot("signed-out-everywhere")
	if live(wiki) != 0 || live(calendar) != 0 {
		t.Errorf("%d and %d sign-ins are left", live(wiki), live(calendar))
	}
	b.open(w.launchSP(wiki))
	b.login("bob", password)
	b.sees("Signed in as")
	// SLO-04: here alone.
	b.open(w.url + "/logout")
	b.press("Sign out here only")
	b.sees("You are signed out", "may still have you signed in")
	if live(wiki) != 1 {
		t.Errorf("%d sign-ins at the wiki, want the one", live(wiki))
	}
}

// signsOutOf is bob's browser, which signs in at both services, the first one first, and then out everywhere.
func (w *world) signsOutOf(t *testing.T, first, second *sandbox.Sandbox) *browser {
	t.Helper()
	b := newBrowser(t)
	b.open(w.launchSP(first))
	b.login("bob", password)
	b.sees("Signed in as")
	b.open(w.launchSP(second))
	b.sees("Signed in as")
	b.open(w.url + "/logout")
	b.press("Sign out everywhere")
	return b
}

// TestBrowserSLO03GoesOn past a service that keeps the browser.
func TestBrowserSLO03GoesOn(t *testing.T) {
	t.Parallel()
	w, wiki, calendar := newLogoutWorld(t)
	wiki.SetSilentLogout(true)
	b := w.signsOutOf(t, wiki, calendar)
	b.sees("was told not to answer")
	b.back()
	b.sees("Signing you out everywhere")
	b.press("Continue")
	b.sees("You are signed out", "did not answer", "Sign in again")
	if live(calendar) != 0 {
		t.Error("the other service was not told")
	}
}

// TestBrowserLogoutFaults (REAL-08): a service that answers wrongly keeps nobody from the ones behind it, and the
// person does nothing for that.
func TestBrowserLogoutFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []sandbox.LogoutFault{sandbox.UnsignedLogout, sandbox.UnreadableLogout, sandbox.BrokenLogout} {
		t.Run(string(fault), func(t *testing.T) {
			w, wiki, calendar := newLogoutWorld(t)
			wiki.SetLogoutFault(fault)
			b := w.signsOutOf(t, wiki, calendar)
			if fault == sandbox.BrokenLogout {
				b.sees("was told to fail")
				b.open(w.url + "/")
			}
			b.sees("You are signed out", "Wiki", "did not answer", "Calendar & Rooms", "Sign in again")
			if live(calendar) != 0 {
				t.Error("the service behind it was not told")
			}
		})
	}
}

// TestSLO04WithoutSingleLogout: by default nothing of it is there.
func TestSLO04WithoutSingleLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	if strings.Contains(w.command(t, "metadata"), "SingleLogoutService") {
		t.Error("advertised")
	}
	c := newClient(t)
	c.get(w.url + "/saml/slo?SAMLRequest=x").status(404).says("Reference")
	p := c.get(w.launch(club))
	c.login(p, "bob", password)
	p = c.get(w.url + "/logout").says("You are signed in as")
	c.submit(p, "csrf").status(200).says("You are signed out")
	c.get(w.url + "/").says("You are not signed in.")
}
