package idp_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/store"
)

const portalLogin = "https://portal.partner.test/constant-contact?from=sso"

// withLogin gives a portal a sign-in of its own.
func withLogin(p *portal) *portal {
	p.Upstream, p.Label = idp.LoginURL(portalLogin), "The <Portal>"
	return p
}

// keeps is a browser that keeps the sealed texts of these sign-ins, as its cookies do.
func keeps(v idp.Visitor, handles ...string) idp.Visitor {
	v.Started = func(id string) string {
		for _, h := range handles {
			if one, text, _ := strings.Cut(h, "."); one == id {
				return text
			}
		}
		return ""
	}
	return v
}

// request is what a source's own sign-in is told.
func request(t testing.TB, leave idp.LeaveFor) url.Values {
	t.Helper()
	u, err := url.Parse(leave.Address)
	if err != nil || !strings.HasPrefix(leave.Address, "https://portal.partner.test/constant-contact?") {
		t.Fatalf("leaves for %s, %v", leave.Address, err)
	}
	q := u.Query()
	if q.Get("request") == "" || q.Get("from") != "sso" {
		t.Fatalf("leaves for %s", leave.Address)
	}
	return q
}

// asked is a sign-in from a service provider that was sent to the portal.
func (f *fixture) askedAt(t testing.TB, browser, attributes string) (idp.LeaveFor, idp.Visitor, authnRequest) {
	t.Helper()
	r := newRequest(ctct)
	r.attributes = attributes
	v := visitor(browser)
	a, err := f.SSO(context.Background(), byRedirect(t, r.xml(), "RelayState=back"), v)
	on := must[idp.GoOn](t, a, err)
	a, err = f.Resume(context.Background(), on.SignIn, v)
	leave := must[idp.LeaveFor](t, a, err)
	return leave, keeps(v, leave.SignIn), r
}

// TestUpstream (ID-72): an SP-initiated sign-in goes to the source's own sign-in and back, and its Response answers the
// request: nothing of it went there.
func TestUpstream(t *testing.T) {
	p := withLogin(newPortal(t, "portal"))
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(p)(o)
		o.SignInSource = "portal"
	})
	leave, v, r := f.askedAt(t, "b", "")
	q := request(t, leave)
	if len(q) != 2 || f.isStored(t, leave.SignIn, ctct, r.id) {
		t.Errorf("leaves with %v, or something is stored of it", q)
	}
	for _, secret := range []string{r.id, "back", ctct, "identity"} {
		if strings.Contains(leave.Address, url.QueryEscape(secret)) {
			t.Errorf("the address has %q: %s", secret, leave.Address)
		}
	}
	l := idp.TokenLaunch{Token: p.token(t, "u-1", map[string]any{"request": q.Get("request")})}
	// Without the Origin of the application: the request is bound to this browser, so nobody is asked.
	a, w := f.arrive(t, l, v)
	d := must[idp.Deliver](t, a, nil)
	if d.Action != ctctACS || d.Assertion == "" || d.RelayState == nil || *d.RelayState != "back" {
		t.Errorf("got %+v", d)
	}
	if got := root(t, d).SelectAttrValue("InResponseTo", ""); got != r.id {
		t.Errorf("InResponseTo %q, want %q", got, r.id)
	}
	if q := f.gate.lastAsked(t); q.Person.ID != p.PersonID("u-1") {
		t.Errorf("the gate was asked about %s", q.Person.ID)
	}
	// The session opens no other sign-in: that goes to the portal again.
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, w)
	must[idp.LeaveFor](t, a, err)
	// The same request with another token.
	again := idp.TokenLaunch{Token: p.token(t, "u-1", map[string]any{"request": q.Get("request")})}
	if a, _ := f.arrive(t, again, v); reasonOf(a) != idp.ReasonRequestUsed {
		t.Errorf("the request again: %s", reasonOf(a))
	}
	if log := f.log.String(); strings.Contains(log, q.Get("request")) {
		t.Error("the log has the request")
	}
}

// TestUpstreamRefused: a request that names another browser, source or service provider, that was used or is over, each
// by its own reason.
func TestUpstreamRefused(t *testing.T) {
	p, other := withLogin(newPortal(t, "portal")), withLogin(newPortal(t, "other"))
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(p, other)(o)
		o.SignInSource = "portal"
	})
	ctx := context.Background()
	try := func(from *portal, request string, v idp.Visitor) string {
		t.Helper()
		a, _ := f.arrive(t, idp.TokenLaunch{Token: from.token(t, "u", map[string]any{"request": request}),
			Origin: portalOrigin}, v)
		return reasonOf(a)
	}
	leave, v, _ := f.askedAt(t, "b", "")
	is := request(t, leave).Get("request")
	tampered := is[:len(is)-2] + "AA"
	if tampered == is {
		tampered = is[:len(is)-2] + "BB"
	}
	thief := keeps(visitor("thief"), leave.SignIn)
	for name, c := range map[string]struct {
		from    *portal
		request string
		v       idp.Visitor
		want    string
	}{
		"made up":         {p, "AAAA", v, idp.ReasonRequest},
		"an address":      {p, "https://evil.test/", v, idp.ReasonRequest},
		"tampered":        {p, tampered, v, idp.ReasonRequest},
		"another source":  {other, is, v, idp.ReasonRequestSource},
		"another browser": {p, is, thief, idp.ReasonRequestBrowser},
		"no cookie left":  {p, is, visitor("b"), idp.ReasonUnknownSignIn},
		"too long":        {p, strings.Repeat("A", 1025), v, claims.ReasonClaims},
	} {
		if got := try(c.from, c.request, c.v); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	// None of these has used it up.
	if got := try(p, is, v); got != "idp.Deliver" {
		t.Errorf("the right one: %s", got)
	}
	leave, v, _ = f.askedAt(t, "late", "")
	now.Advance(10 * time.Minute)
	if got := try(p, request(t, leave).Get("request"), v); got != idp.ReasonRequestLate {
		t.Errorf("after ten minutes: %s", got)
	}
	// The service provider is gone meanwhile.
	leave, v, _ = f.askedAt(t, "gone", "")
	sp := constantContact()
	sp.Enabled = false
	f.put(t, sp)
	if got := try(p, request(t, leave).Get("request"), v); got != idp.ReasonProviderDisabled {
		t.Errorf("disabled meanwhile: %s", got)
	}
	sp.Enabled = true
	f.put(t, sp)
	// A disabled source is none to go to: the login page stands in its place.
	done(t, f.db.Sources().SetEnabled(ctx, "portal", false, store.Event{Action: "source-disable", Outcome: "ok"}))
	a, err := f.Launch(ctx, idp.LaunchRequest{}, visitor("d"))
	if form := must[idp.AskPassword](t, a, err); len(form.Sources) != 1 || form.Sources[0].Source != "other" {
		t.Errorf("with the source disabled: %+v", form)
	}
}

// TestUpstreamForce (REQ-15, REQ-16): a new login is one that the token dates behind the request, give or take the
// skew, and a request that allows no page goes to no application.
func TestUpstreamForce(t *testing.T) {
	p := withLogin(newPortal(t, "portal"))
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(p)(o)
		o.SignInSource = "portal"
	})
	for name, c := range map[string]struct {
		ago  time.Duration
		want string // second status code; "": an assertion
	}{
		"not said": {-1, "NoAuthnContext"},
		"before":   {36 * time.Second, "NoAuthnContext"}, // 31 s before the request
		"by skew":  {35 * time.Second, ""},
		"after":    {0, ""},
	} {
		leave, v, _ := f.askedAt(t, "b"+name, `ForceAuthn="true"`)
		q := request(t, leave)
		if q.Get("force") != "1" {
			t.Errorf("%s: leaves with %v", name, q)
		}
		now.Advance(5 * time.Second)
		more := map[string]any{"request": q.Get("request")}
		if c.ago >= 0 {
			more["auth_time"] = now.Now().Add(-c.ago).Unix()
		}
		a, w := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", more)}, v)
		d := must[idp.Deliver](t, a, nil)
		if c.want == "" {
			if d.Assertion == "" {
				t.Errorf("%s: no assertion", name)
			}
		} else if d.Assertion != "" || !strings.Contains(string(decode(t, d)), c.want) {
			t.Errorf("%s: got %s", name, decode(t, d))
		}
		if (c.want == "") != (w.Session != "") {
			t.Errorf("%s: session %q", name, w.Session)
		}
	}
	r := newRequest(ctct)
	r.attributes = `IsPassive="true"`
	v := visitor("passive")
	a, err := f.SSO(context.Background(), byRedirect(t, r.xml()), v)
	a, err = f.Resume(context.Background(), must[idp.GoOn](t, a, err).SignIn, v)
	if d := must[idp.Deliver](t, a, err); !strings.Contains(string(decode(t, d)), "NoPassive") {
		t.Errorf("passive: %s", decode(t, d))
	}
	// A class that the source can't assert: the form is what is left.
	r = newRequest(ctct)
	r.inner = `<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:` +
		`PasswordProtectedTransport</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`
	a, err = f.SSO(context.Background(), byRedirect(t, r.xml()), v)
	a, err = f.Resume(context.Background(), must[idp.GoOn](t, a, err).SignIn, v)
	if form := must[idp.AskPassword](t, a, err); len(form.Sources) != 0 || form.NoPassword {
		t.Errorf("by class: %+v", form)
	}
}

// TestUpstreamWays: who signs a person in: a service provider's source, the configuration's, the person's choice.
func TestUpstreamWays(t *testing.T) {
	p, other := withLogin(newPortal(t, "portal")), withLogin(newPortal(t, "other"))
	f := portalFixture(t, p, other, newPortal(t, "silent"))
	ctx := context.Background()
	v := visitor("b")
	a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
	form := must[idp.AskPassword](t, a, err)
	if len(form.Sources) != 2 || form.Sources[0] != (idp.WayIn{Source: "portal", Label: "The <Portal>"}) ||
		form.NoPassword {
		t.Errorf("the login page offers %+v", form)
	}
	a, err = f.SignInAt(ctx, form.SignIn, "other", v)
	if leave := must[idp.LeaveFor](t, a, err); leave.Source != "other" || !same(leave.SignIn, form.SignIn) {
		t.Errorf("leaves for %+v", leave)
	} else if a, err := f.Resume(ctx, leave.SignIn, v); err != nil || reasonOf(a) != "idp.AskPassword" {
		t.Errorf("the browser's way back: %s, %v", reasonOf(a), err)
	}
	for _, way := range []string{"silent", "nobody", "directory", ""} {
		a, err = f.SignInAt(ctx, form.SignIn, way, v)
		must[idp.AskPassword](t, a, err)
	}
	a, err = f.Launch(ctx, idp.LaunchRequest{Source: "portal"}, v)
	must[idp.LeaveFor](t, a, err)
	// In another browser nobody leaves with it.
	a, err = f.SignInAt(ctx, form.SignIn, "portal", visitor("thief"))
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonOtherBrowser {
		t.Errorf("in another browser: %+v", r)
	}
	// The console and the page of second factors are the directory's.
	a, err = f.EnterConsole(ctx, "/admin/keys", false, v)
	if form := must[idp.AskPassword](t, a, err); len(form.Sources) != 0 {
		t.Errorf("the console offers %+v", form)
	}

	only := withLogin(newPortal(t, "only"))
	only.Providers = []string{plain}
	g := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(only)(o)
		o.NoPassword = true
	})
	a, err = g.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	leave := must[idp.LeaveFor](t, a, err)
	a, err = g.Resume(ctx, leave.SignIn, v)
	if form := must[idp.AskPassword](t, a, err); !form.NoPassword || len(form.Sources) != 1 {
		t.Errorf("without passwords: %+v", form)
	}
	// A password opens nothing there, whatever form it comes by.
	if a, err := g.Login(ctx, leave.SignIn, "alice", "correct horse", v); err != nil || a.NewSession != "" {
		t.Errorf("a password: %s, %v", reasonOf(a), err)
	}
	a, err = g.ChangePassword(ctx, leave.SignIn, change("correct horse", "x", "x"), v)
	if err != nil || a.NewSession != "" {
		t.Errorf("a changed password: %s, %v", reasonOf(a), err)
	}
	a, err = g.Launch(ctx, idp.LaunchRequest{Source: "directory"}, v)
	if form := must[idp.AskPassword](t, a, err); !form.NoPassword {
		t.Errorf("by link: %+v", form)
	}
	a, err = g.EnterConsole(ctx, "/admin/keys", false, v)
	if form := must[idp.AskPassword](t, a, err); form.NoPassword {
		t.Error("the console asks for no password")
	}
	done(t, g.db.Sources().SetEnabled(ctx, "only", false, store.Event{Action: "source-disable", Outcome: "ok"}))
	a, err = g.Launch(ctx, idp.LaunchRequest{}, v)
	if r := must[idp.Refusal](t, a, err); r.Reason != claims.ReasonSourceOff || r.Status != 503 {
		t.Errorf("with its source disabled: %+v", r)
	}
}

// TestUpstreamLong: a sign-in that is too long for a cookie is stored before the browser leaves, within the bounds.
func TestUpstreamLong(t *testing.T) {
	p := withLogin(newPortal(t, "portal"))
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(p)(o)
		o.SignInSource = "portal"
		o.Caps = store.Caps{PerAddress: 2, Total: 100}
	})
	ctx, state := context.Background(), strings.Repeat("s", 4000)
	ask := func(browser string) (idp.Answer, idp.Visitor, authnRequest) {
		r, v := newRequest(ctct), visitor(browser)
		a, err := f.SSO(ctx, byRedirect(t, r.xml(), "RelayState="+state), v)
		a, err = f.Resume(ctx, must[idp.GoOn](t, a, err).SignIn, v)
		done(t, err)
		return a, v, r
	}
	a, v, r := ask("b")
	leave := must[idp.LeaveFor](t, a, nil)
	if strings.Contains(leave.SignIn, ".") || !f.isStored(t, leave.SignIn, "", "") {
		t.Fatalf("not stored: %.60s", leave.SignIn)
	}
	l := idp.TokenLaunch{Token: p.token(t, "u", map[string]any{"request": request(t, leave).Get("request")})}
	a, _ = f.arrive(t, l, v)
	d := must[idp.Deliver](t, a, nil)
	if d.RelayState == nil || *d.RelayState != state || root(t, d).SelectAttrValue("InResponseTo", "") != r.id {
		t.Errorf("got %+.200v", d)
	}
	if a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", map[string]any{
		"request": request(t, leave).Get("request")})}, v); reasonOf(a) != idp.ReasonRequestUsed {
		t.Errorf("again: %s", reasonOf(a))
	}
	refused := ""
	for _, name := range []string{"c", "d", "e"} {
		a, _, _ := ask(name)
		refused = reasonOf(a)
	}
	if refused != idp.ReasonTooManySignIns {
		t.Errorf("past the bound: %s", refused)
	}
}

// TestUpstreamLongForm: where the bound is reached, by whomever, the form is left, which needs nothing stored.
func TestUpstreamLongForm(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(withLogin(newPortal(t, "portal")))(o)
		o.Caps = store.Caps{PerAddress: 1, Total: 100}
	})
	ctx, state := context.Background(), strings.Repeat("s", 4000)
	for i, sources := range []int{1, 0} {
		v := visitor("b" + strings.Repeat("x", i))
		a, err := f.SSO(ctx, byRedirect(t, newRequest(ctct).xml(), "RelayState="+state), v)
		a, err = f.Resume(ctx, must[idp.GoOn](t, a, err).SignIn, v)
		if on, stored := a.Page.(idp.GoOn); stored {
			a, err = f.Resume(ctx, on.SignIn, v)
		}
		form := must[idp.AskPassword](t, a, err)
		if len(form.Sources) != sources || form.NoPassword {
			t.Fatalf("page %d offers %+v", i, form.Sources)
		}
		a, err = f.Login(ctx, form.SignIn, "alice", "correct horse", v)
		must[idp.GoOn](t, a, err)
	}
}

// quietLogin is a source's own sign-in that shows nobody a page where none may be shown.
type quietLogin struct{}

func (quietLogin) Begin(_ context.Context, r idp.UpstreamRequest) (address, keep string, err error) {
	return portalLogin + "&request=" + r.Request, "", nil
}

func (quietLogin) Quiet() bool { return true }

// TestUpstreamPassive (REQ-16): a request with IsPassive that a source answers is answered without a page, whoever is
// signed in here and whatever the source says.
func TestUpstreamPassive(t *testing.T) {
	p, known := newPortal(t, "portal"), newPortal(t, "known")
	p.Upstream, known.Upstream, known.Subject = quietLogin{}, quietLogin{}, claims.DirectoryLogin
	for name, c := range map[string]struct {
		from  *portal
		sub   string
		alice bool // signed in in this browser since
		want  bool
	}{
		"nobody else":          {p, "u", false, true},
		"somebody else":        {p, "u", true, false},
		"nobody in directory":  {known, "nobody", false, false},
		"of the directory":     {known, "alice", false, true},
		"the very same person": {known, "alice", true, true},
	} {
		f := newFixture(t, "rsa-2048", func(o *idp.Options) {
			withPortals(p, known)(o)
			o.SignInSource = c.from.Name
		})
		leave, v, _ := f.askedAt(t, "b", `IsPassive="true"`)
		if c.alice {
			v.Session = f.signInWith(t, v).Session
		}
		a, _ := f.arrive(t, idp.TokenLaunch{Token: c.from.token(t, c.sub, map[string]any{
			"request": request(t, leave).Get("request")})}, v)
		d := must[idp.Deliver](t, a, nil)
		if _, second := status(t, d); (d.Assertion != "") != c.want || !c.want && second != "NoPassive" {
			t.Errorf("%s: assertion %q, status %s", name, d.Assertion, second)
		}
	}
}

// TestUpstreamReplicas: of many tokens that answer one request at once, on two replicas, one signs somebody in.
func TestUpstreamReplicas(t *testing.T) {
	p := withLogin(newPortal(t, "portal"))
	with := func(o *idp.Options) {
		withPortals(p)(o)
		o.SignInSource = "portal"
	}
	f := newFixture(t, "rsa-2048", with)
	g := fixtureOn(t, f.dsn, "", with)
	leave, v, _ := f.askedAt(t, "b", "")
	is := request(t, leave).Get("request")
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		seen = map[string]int{}
	)
	for i := range 8 {
		on := f
		if i%2 == 1 {
			on = g
		}
		token := p.token(t, "u", map[string]any{"request": is})
		all.Go(func() {
			a, err := on.LaunchToken(context.Background(), idp.TokenLaunch{Token: token}, visitor(""))
			started, ok := a.Page.(idp.GoOn)
			if !ok || err != nil {
				t.Errorf("%s, %v", reasonOf(a), err)
				return
			}
			w := v
			w.Own = started.Own
			a, err = on.Resume(context.Background(), started.SignIn, w)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			seen[reasonOf(a)]++
		})
	}
	all.Wait()
	if seen["idp.GoOn"] != 1 {
		t.Errorf("got %v, want one that goes on", seen)
	}
}

// TestUpstreamOtherPerson: whoever is signed in in this browser is asked before somebody else is, by a request too.
func TestUpstreamOtherPerson(t *testing.T) {
	p := withLogin(newPortal(t, "portal"))
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(p)(o)
		o.SignInSource = "portal"
	})
	ctx := context.Background()
	leave, v, r := f.askedAt(t, "browser of alice", "")
	w := f.signInWith(t, v)
	v.Session = w.Session
	a, v := f.post(t, idp.TokenLaunch{Token: p.token(t, "u", map[string]any{
		"request": request(t, leave).Get("request")})}, v)
	ask := must[idp.ConfirmLaunch](t, a, nil)
	if ask.Instead != "alice" || ask.Provider == "" {
		t.Errorf("asks %+v", ask)
	}
	a, err := f.ConfirmLaunch(ctx, ask.SignIn, v)
	on := must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	a, err = f.Resume(ctx, on.SignIn, v)
	if got := root(t, must[idp.Deliver](t, a, err)).SelectAttrValue("InResponseTo", ""); got != r.id {
		t.Errorf("InResponseTo %q, want %q", got, r.id)
	}
}

// signInWith signs alice in by her password in a browser.
func (f *fixture) signInWith(t testing.TB, v idp.Visitor) idp.Visitor {
	t.Helper()
	ctx := context.Background()
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain, Source: "directory"}, v)
	a, err = f.Login(ctx, begun(t, a, err).SignIn, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	return v
}
