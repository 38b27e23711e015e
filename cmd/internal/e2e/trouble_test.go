package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// A directory that is down is no wrong password: its own page, and nobody is
// counted as having failed (row LDAP-09). A live session goes on for a while (row LDAP-11).
func TestDirectoryDown(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	w := newWorld(t, setting{
		directory: slapdSettings(slapd), mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}},
		set: map[string]string{"sign_in.login_failures": "2", "directory.cooldown": "1s", "directory_cache.ttl": "1s"},
	})
	known := newClient(t)
	known.deliver(known.goOn(known.login(known.get(w.launch(books)), "alice", password))).says("Alice Anders")

	slapd.Stop(t)
	fresh := newClient(t)
	for range 3 {
		fresh.login(fresh.get(w.launch(books)), "eve", password).status(http.StatusServiceUnavailable).says(
			"can't be checked")
	}
	if p := known.get(w.launch(books)); !p.delivers() {
		t.Errorf("LDAP-11: with the directory down a live session is refused:\n%s", p.text())
	}
	// From the SP the same page offers the way back, with a status.
	r := newRequest(w)
	p := fresh.authnRequest(w, r, "redirect", "there")
	p = fresh.login(p, "eve", password).status(http.StatusServiceUnavailable)
	fresh.submit(p, "Back to").wantStatus(w, "Responder", "")
	if p := fresh.get(w.url + "/readyz"); p.Status != http.StatusOK {
		t.Errorf("/readyz fails with the directory down: %d", p.Status)
	}

	slapd.Start(t)
	var back *page
	if !eventually(func() bool {
		back = fresh.login(fresh.get(w.launch(books)), "eve", password)
		return back.Status == http.StatusOK
	}) {
		t.Errorf("the directory is back, but eve sees:\n%s", back.text())
	}
}

// Constant Contact's API is down: who has a user signs in, who has none waits on a
// page that goes on by itself when it is back (row API-04).
func TestAPIDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	known := newClient(t)
	known.deliver(known.goOn(known.login(known.get(w.launch(club)), "bob", password))).says("Bob Brandt")

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownAPI})
	other := newClient(t)
	if p := other.login(other.get(w.launch(club)), "bob", password); !p.delivers() {
		t.Errorf("with the API down, a known person is refused:\n%s", p.text())
	}
	fresh := newClient(t)
	p := fresh.login(fresh.get(w.launch(books)), "eve", password).status(http.StatusOK)
	p.says("Setting up your access")

	w.sandbox.ClearFaults()
	fresh.deliver(fresh.goOn(p)).says(books, "account_manager")
	if n := len(w.sandbox.Created()); n != 2 {
		t.Errorf("got %d users, want 2", n)
	}
}

// A call that acted and then timed out is sent again with the same body; the 409
// that follows is ours (row API-03).
func TestActThenTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{set: map[string]string{"constant_contact.timeout": "1s"}})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultActAndHang, Path: "users/sso", Times: 1})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).says("Bob Brandt", club)
	if n := len(w.sandbox.Created()); n != 1 {
		t.Errorf("got %d users, want 1", n)
	}
	var bodies []string
	for _, call := range w.sandbox.Calls() {
		if strings.HasSuffix(call.Path, "/users/sso") {
			bodies = append(bodies, call.Body)
		}
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] {
		t.Errorf("want two calls with one body, got %q", bodies)
	}
	if out := w.command(t, "explain", "--user", "bob"); !strings.Contains(out, "assumed") {
		t.Errorf("explain does not say that the user is assumed:\n%s", out)
	}
}

// Somebody else has the login name: an admin decides, and no second user is made.
func TestConflictIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{set: map[string]string{"provisioning.login_name": "{login}.{account}"}})
	if err := w.sandbox.AddUser(sandbox.User{
		FirstName: "Some", LastName: "Body", RoleName: "account_manager", ContactEmail: "somebody@example.test",
		LoginName: "bob." + club, ExternalID: "x", ExternalProvider: "somebody-else",
	}); err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	c.goOn(c.login(c.get(w.launch(club)), "bob", password)).status(http.StatusForbidden).says("Your access needs a look")
	c.get(w.launch(club)).says("Your access needs a look")
	if n := w.creations(); n != 1 {
		t.Errorf("got %d calls, want 1", n)
	}
}

// Throttled by somebody else on the same key, and a token that is forgotten: it goes on by itself.
func TestThrottleAndForgottenToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultThrottle, Path: "users/sso", Times: 1})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).says("Bob Brandt")

	w.sandbox.ForgetTokens()
	d := newClient(t)
	d.deliver(d.goOn(d.login(d.get(w.launch(books)), "eve", password))).says(books)
	if n := len(w.sandbox.Created()); n != 2 {
		t.Errorf("got %d users, want 2", n)
	}
}

// Many people, and one person in many browsers, at once: one call each, within the limit.
func TestConcurrentFirstSignIns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	const browsers = 12
	done := make(chan *page, browsers)
	for range browsers {
		go func() {
			c := newClient(t)
			p, err := c.trySignIn(w.launch(club), "bob")
			if err != nil {
				t.Error(err)
			}
			done <- p
		}()
	}
	for range browsers {
		if p := <-done; p != nil && !p.delivers() {
			t.Errorf("one of the browsers sees:\n%s", p.text())
		}
	}
	if n := w.creations(); n != 1 {
		t.Errorf("got %d calls for one person, want 1", n)
	}
}

// trySignIn signs in without ending the test, for use in goroutines.
func (c *client) trySignIn(link, login string) (*page, error) {
	p, err := c.try(http.MethodGet, link, nil)
	if err != nil {
		return nil, err
	}
	f := p.form("password")
	f.Fields.Set("login", login)
	f.Fields.Set("password", password)
	if p, err = c.try(http.MethodPost, p.resolve(f.Action), f.Fields); err != nil {
		return nil, err
	}
	eventually(func() bool {
		if !strings.Contains(p.text(), "Setting up your access") {
			return true
		}
		var next *page
		if next, err = c.try(http.MethodGet, p.URL.String(), nil); err == nil {
			p = next
		}
		return err != nil
	})
	return p, err
}

// The program is stopped, and killed, while people are in the middle of a sign-in: they notice nothing.
func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	c := newClient(t)
	login := c.get(w.launch(club)).says("Sign in")
	w.stop(t)
	w.start(t)
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownAPI})
	waiting := c.login(login, "bob", password).says("Setting up your access")
	w.kill(t)
	w.sandbox.ClearFaults()
	w.start(t)
	c.deliver(c.goOn(c.get(waiting.URL.String()))).says("Bob Brandt", club)
	if n := len(w.sandbox.Created()); n != 1 {
		t.Errorf("got %d users, want 1", n)
	}
}

// Killed while the call is under way: whether it arrived is unknown, and exactly one user exists in the end.
func TestKilledDuringTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{set: map[string]string{"constant_contact.timeout": "2s"}})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultActAndHang, Path: "users/sso", Times: 1})
	c := newClient(t)
	waiting := c.login(c.get(w.launch(club)), "bob", password).says("Setting up your access")
	if !eventually(func() bool { return w.creations() == 1 }) {
		t.Fatal("the call never went out")
	}
	w.kill(t)
	w.start(t)
	// The dead worker's lease has to end first.
	c.deliver(c.goOnFor(c.get(waiting.URL.String()), 2*time.Minute)).says("Bob Brandt", club)
	if n := len(w.sandbox.Created()); n != 1 {
		t.Errorf("got %d users, want 1", n)
	}
}
