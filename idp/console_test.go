package idp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

const staffGroup = "cn=staff,ou=groups,dc=partner,dc=test"

func newConsoleFixture(t *testing.T, groups idp.ConsoleGroups) *fixture {
	t.Helper()
	return newFixture(t, "rsa-2048", func(o *idp.Options) { o.Console = groups })
}

// enterAs signs somebody in to the console and returns their browser.
func (f *fixture) enterAs(t *testing.T, login, password string) (idp.Visitor, idp.Answer) {
	t.Helper()
	ctx, v := context.Background(), visitor("console of "+login)
	a, err := f.EnterConsole(ctx, "/admin/keys", false, v)
	on := begun(t, a, err)
	a, err = f.Resume(ctx, on.SignIn, v)
	must[idp.AskPassword](t, a, err)
	a, err = f.Login(ctx, on.SignIn, login, password, v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	a, err = f.Resume(ctx, on.SignIn, v)
	if err != nil {
		t.Fatal(err)
	}
	if a2, err := f.Resume(ctx, on.SignIn, v); err != nil {
		t.Fatal(err)
	} else if _, entered := a.Page.(idp.Entered); entered {
		// Used up: a link to it leads nowhere once more.
		if page := must[idp.Finished](t, a2, err); page.Again != "/admin/" {
			t.Errorf("again leads to %q", page.Again)
		}
	}
	return v, a
}

func TestConsoleEntry(t *testing.T) {
	ctx := context.Background()
	f := newConsoleFixture(t, idp.ConsoleGroups{Viewer: "cn=lookers,dc=test", Admin: staffGroup})
	v, a := f.enterAs(t, "alice", "correct horse")
	if page := must[idp.Entered](t, a, nil); page.Path != "/admin/keys" {
		t.Errorf("entered to %q", page.Path)
	}
	who, in, err := f.Administrator(ctx, v)
	if err != nil || !in || who.Role != idp.Admin || who.Login != "alice" || !who.Fresh {
		t.Errorf("alice: got %+v, %v, %v", who, in, err)
	}
	if events := f.events(t); events[0].Action != "console-enter" ||
		events[0].Actor != "11111111-aaaa-4bbb-8ccc-000000000001" {
		t.Errorf("event %+v", events[0])
	}

	// Bob is in no group: refused, with a reason, and no Administrator.
	w, a := f.enterAs(t, "bob", "battery staple")
	if page := must[idp.Refusal](t, a, nil); page.Reason != idp.ReasonNoConsole {
		t.Errorf("bob: refused for %q", page.Reason)
	}
	if who, in, err := f.Administrator(ctx, w); in || err != nil || who.Role != idp.NoConsole {
		t.Errorf("bob: got %+v, %v, %v", who, in, err)
	}
	if _, in, _ := f.Administrator(ctx, visitor("nobody")); in {
		t.Error("a stranger is let in")
	}

	// Ten minutes later the login is not fresh; what needs one asks for the password again.
	now.Advance(11 * time.Minute)
	if who, in, err := f.Administrator(ctx, v); err != nil || !in || who.Fresh {
		t.Errorf("later: got %+v, %v, %v", who, in, err)
	}
	a, err = f.EnterConsole(ctx, "/admin/keys", false, v)
	must[idp.Entered](t, a, err)
	a, err = f.EnterConsole(ctx, "/admin/keys", true, v)
	on := begun(t, a, err)
	a, err = f.Resume(ctx, on.SignIn, v)
	if page := must[idp.AskPassword](t, a, err); page.Login != "alice" {
		t.Errorf("asks for the password of %q", page.Login)
	}
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	a, err = f.Resume(ctx, on.SignIn, v)
	must[idp.Entered](t, a, err)
	if who, _, _ := f.Administrator(ctx, v); !who.Fresh {
		t.Error("after the password the login is not fresh")
	}

	// Out of the group: out of the console within a minute, with the session alive.
	f.directory.change("alice", func(p *person) { p.entry.Groups = nil })
	now.Advance(61 * time.Second)
	if who, in, err := f.Administrator(ctx, v); in || err != nil {
		t.Errorf("out of the group: got %+v, %v, %v", who, in, err)
	}
	a, err = f.EnterConsole(ctx, "/admin/", false, v)
	if page := must[idp.Refusal](t, a, err); page.Reason != idp.ReasonNoConsole {
		t.Errorf("out of the group: refused for %q", page.Reason)
	}
}

// ID-19: the console idles out by its own time of last use, and ends eight hours after the login. The session goes on.
func TestConsoleIdle(t *testing.T) {
	ctx := context.Background()
	f := newConsoleFixture(t, idp.ConsoleGroups{Admin: staffGroup})
	v, a := f.enterAs(t, "alice", "correct horse")
	must[idp.Entered](t, a, nil)
	open := func(what string) idp.Administrator {
		t.Helper()
		who, in, err := f.Administrator(ctx, v)
		if err != nil || !in {
			t.Fatalf("%s: let in: %v, %v", what, in, err)
		}
		return who
	}
	closed := func(what string) {
		t.Helper()
		if who, in, err := f.Administrator(ctx, v); in || err != nil {
			t.Fatalf("%s: got %+v, %v", what, who, err)
		}
		a, err := f.EnterConsole(ctx, "/admin/keys", false, v)
		on := begun(t, a, err)
		a, err = f.Resume(ctx, on.SignIn, v)
		if page := must[idp.AskPassword](t, a, err); page.Login != "alice" {
			t.Errorf("%s: asks for the password of %q", what, page.Login)
		}
		if _, ok, err := f.SignedIn(ctx, v); !ok || err != nil {
			t.Errorf("%s: the session is over: %v", what, err)
		}
	}
	login := func() {
		t.Helper()
		a, err := f.EnterConsole(ctx, "/admin/keys", false, v)
		on := begun(t, a, err)
		a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
		must[idp.GoOn](t, a, err)
		v.Session = a.NewSession
		a, err = f.Resume(ctx, on.SignIn, v)
		must[idp.Entered](t, a, err)
	}

	// Looking is no use of it: what only watches does not keep it open.
	now.Advance(14 * time.Minute)
	open("after 14 minutes")
	now.Advance(time.Minute - time.Second)
	open("a second before the end")
	now.Advance(time.Second)
	closed("after 15 minutes of looking")

	// Uses keep it open, and the session with it, until eight hours after the login.
	login()
	end := now.Now().Add(8 * time.Hour)
	for now.Now().Add(14 * time.Minute).Before(end) {
		now.Advance(14 * time.Minute)
		if err := f.UsedConsole(ctx, open("in use")); err != nil {
			t.Fatal(err)
		}
	}
	now.Set(end.Add(-time.Second))
	if err := f.UsedConsole(ctx, open("a second before the absolute end")); err != nil {
		t.Fatal(err)
	}
	now.Set(end)
	closed("after eight hours")

	// A session whose console was not used since the login opens it no more: signing in somewhere else is no use of the
	// console.
	login()
	now.Advance(16 * time.Minute)
	closed("after other services alone")

	// Somebody who had got as far as the last page of a sign-in to the console comes no further through it.
	a, err := f.EnterConsole(ctx, "/admin/", false, v)
	on := begun(t, a, err)
	login()
	now.Advance(15 * time.Minute)
	a, err = f.Resume(ctx, on.SignIn, v)
	must[idp.AskPassword](t, a, err)
}

// ID-19: no step of a sign-in to the console is taken where the console is not served, and no session opens it there.
func TestConsoleElsewhere(t *testing.T) {
	ctx := context.Background()
	f := newConsoleFixture(t, idp.ConsoleGroups{Admin: staffGroup})
	v, _ := f.enterAs(t, "alice", "correct horse")
	outside := v
	outside.NoConsole = true
	gone := func(what string, a idp.Answer, err error) {
		t.Helper()
		if page := must[idp.Refusal](t, a, err); page.Status != http.StatusNotFound ||
			page.Reason != idp.ReasonUnknownSignIn || a.NewSession != "" {
			t.Errorf("%s: %+v", what, page)
		}
	}
	if _, in, err := f.Administrator(ctx, outside); in || err != nil {
		t.Errorf("let in from outside: %v, %v", in, err)
	}
	a, err := f.EnterConsole(ctx, "/admin/", false, outside)
	gone("entry", a, err)

	// A sign-in that was begun inside.
	w := visitor("moves")
	a, err = f.EnterConsole(ctx, "/admin/", false, w)
	on := begun(t, a, err)
	moved := w
	moved.NoConsole = true
	a, err = f.Resume(ctx, on.SignIn, moved)
	gone("the login page", a, err)
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", moved)
	gone("the login", a, err)
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", w)
	stored := must[idp.GoOn](t, a, err).SignIn
	w.Session, moved.Session = a.NewSession, a.NewSession
	a, err = f.Resume(ctx, stored, moved)
	gone("a stored sign-in", a, err)
	a, err = f.ProveFactor(ctx, stored, idp.FactorProof{Code: "123456"}, moved)
	gone("a second factor", a, err)
	a, err = f.Resume(ctx, stored, w)
	must[idp.Entered](t, a, err)
	if _, ok, err := f.SignedIn(ctx, outside); !ok || err != nil {
		t.Errorf("the session itself is over outside: %v", err)
	}
}

// A pending sign-in to the console is none to a service provider, nor the other way round, and belongs to its browser.
func TestConsoleSignInIsItsOwn(t *testing.T) {
	ctx := context.Background()
	f := newConsoleFixture(t, idp.ConsoleGroups{Admin: staffGroup})
	v := visitor("one")
	a, err := f.EnterConsole(ctx, "/admin/", false, v)
	on := begun(t, a, err)
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", visitor("another"))
	if page := must[idp.Refusal](t, a, err); page.Reason != idp.ReasonOtherBrowser {
		t.Errorf("another browser: refused for %q", page.Reason)
	}
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
	in, err := f.db.SignIns().Get(ctx, must[idp.GoOn](t, a, err).SignIn)
	if err != nil {
		t.Fatal(err)
	}
	in.EntityID, in.ID = plain, "forged"
	if err := f.db.SignIns().Create(ctx, in, store.Caps{}); err != nil {
		t.Fatal(err)
	}
	if a, err := f.Resume(ctx, "forged", v); err == nil {
		t.Errorf("a sign-in to a service provider with the console's data: got %T", a.Page)
	}
	if _, err := idp.New(idp.Options{Console: idp.ConsoleGroups{Admin: "no dn"}}); err == nil {
		t.Error("a group that is no DN was taken")
	}
}

func TestConsoleRoles(t *testing.T) {
	for _, c := range []struct {
		groups idp.ConsoleGroups
		want   idp.ConsoleRole
	}{
		{idp.ConsoleGroups{}, idp.NoConsole},
		{idp.ConsoleGroups{Admin: "cn=others,dc=test"}, idp.NoConsole},
		{idp.ConsoleGroups{Viewer: staffGroup}, idp.Viewer},
		{idp.ConsoleGroups{Operator: "CN=STAFF,OU=Groups,DC=partner,DC=test"}, idp.Operator},
		{idp.ConsoleGroups{Viewer: staffGroup, Operator: staffGroup, Admin: staffGroup}, idp.Admin},
	} {
		f := newConsoleFixture(t, c.groups)
		who, in, err := f.Administrator(context.Background(), f.signIn(t, "alice", "correct horse"))
		if err != nil || who.Role != c.want || in != (c.want != idp.NoConsole) {
			t.Errorf("%+v: got %s, %v, %v, want %s", c.groups, who.Role, in, err, c.want)
		}
	}
}

// ID-19: at the console's own address nothing but the console and the person's own pages is served, and passkeys belong
// to its host.
func TestConsoleSite(t *testing.T) {
	ctx := context.Background()
	for address, rp := range map[string]string{
		"https://sso.partner.test:8444": "sso.partner.test", "https://admin.partner.test": "admin.partner.test",
		"https://ADMIN.partner.test:8444": "admin.partner.test",
		"https://192.0.2.7:8444":          "",
	} {
		f := newFixture(t, "rsa-2048", func(o *idp.Options) {
			o.Console, o.ConsoleURL = idp.ConsoleGroups{Admin: staffGroup}, address
			o.SecondFactor = idp.FactorOptions{Console: mfa.Offered, People: mfa.Required}
		})
		v := visitor("console")
		v.ConsoleSite = true
		a, err := f.EnterConsole(ctx, "/admin/", false, v)
		on := begun(t, a, err)
		a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
		on = must[idp.GoOn](t, a, err)
		v.Session = a.NewSession
		a, err = f.Resume(ctx, on.SignIn, v)
		if got := rpOf(t, must[idp.EnrolFactor](t, a, err).Passkey); got != rp {
			t.Errorf("%s: passkeys of %q, want %q", address, got, rp)
		}
		public := v
		public.ConsoleSite, public.NoConsole = false, true
		a, err = f.Resume(ctx, on.SignIn, public)
		if page := must[idp.Refusal](t, a, err); page.Status != http.StatusNotFound {
			t.Errorf("%s: a sign-in to the console at the public address: %+v", address, page)
		}
		a, err = f.OwnFactors(ctx, v)
		if _, refused := a.Page.(idp.Refusal); refused || err != nil {
			t.Errorf("%s: the person's own page: %+v, %v", address, a.Page, err)
		}

		// A sign-in to a service provider, by whatever step.
		a, err = f.Launch(ctx, idp.LaunchRequest{}, v)
		if page := must[idp.Refusal](t, a, err); page.Status != http.StatusNotFound {
			t.Errorf("%s: a launch: %+v", address, page)
		}
		w := visitor("person")
		a, err = f.Launch(ctx, idp.LaunchRequest{}, w)
		on = begun(t, a, err)
		there := w
		there.ConsoleSite = true
		a, err = f.Login(ctx, on.SignIn, "bob", "battery staple", there)
		if must[idp.Refusal](t, a, err); a.NewSession != "" {
			t.Errorf("%s: a login to a service provider at the console's address", address)
		}
		a, err = f.Login(ctx, on.SignIn, "bob", "battery staple", w)
		on = must[idp.GoOn](t, a, err)
		w.Session, there.Session = a.NewSession, a.NewSession
		a, err = f.Resume(ctx, on.SignIn, there)
		must[idp.Refusal](t, a, err)
		a, err = f.Resume(ctx, on.SignIn, w)
		if got := rpOf(t, must[idp.EnrolFactor](t, a, err).Passkey); got != "sso.partner.test" {
			t.Errorf("%s: passkeys of %q at the public address", address, got)
		}
	}
	if _, err := idp.New(idp.Options{PublicURL: publicURL, ConsoleURL: "http://admin.partner.test"}); err == nil ||
		!strings.Contains(err.Error(), "ConsoleURL") {
		t.Errorf("a console by http: %v", err)
	}
}

// rpOf is the host that the options for a new passkey name, "" without options.
func rpOf(t *testing.T, options string) string {
	t.Helper()
	var o struct{ RP struct{ ID string } }
	if options == "" {
		return ""
	}
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		t.Fatal(err)
	}
	return o.RP.ID
}
