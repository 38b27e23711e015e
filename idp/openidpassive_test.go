package idp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// TestOpenIDPassiveAlike (REQ-16): a request with IsPassive gets NoPassive and no page, whether its provider is down
// when the browser is to leave for it or when it has come back, or the sign-in is too long for a cookie and can't be
// stored.
func TestOpenIDPassiveAlike(t *testing.T) {
	passive := func(t *testing.T, f *fixture, browser, relay string) idp.Answer {
		t.Helper()
		r := newRequest(ctct)
		r.attributes = `IsPassive="true"`
		v := visitor(browser)
		a, err := f.SSO(context.Background(), byRedirect(t, r.xml(), "RelayState="+relay), v)
		if on, is := a.Page.(idp.GoOn); is {
			a, err = f.Resume(context.Background(), on.SignIn, v)
		}
		done(t, err)
		return a
	}
	quiet := func(t *testing.T, what string, a idp.Answer) {
		t.Helper()
		d := must[idp.Deliver](t, a, nil)
		if _, second := status(t, d); d.Assertion != "" || second != "NoPassive" {
			t.Errorf("%s: assertion %q, status %s, want NoPassive", what, d.Assertion, second)
		}
	}
	o := newWorkforce(t)
	down := newWorkforce(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	down.Issuer = gone.URL
	gone.Close()
	quiet(t, "down when the browser is to leave", passive(t, newFixture(t, "rsa-2048", down.with), "a", "back"))

	f := newFixture(t, "rsa-2048", func(p *idp.Options) {
		o.with(p)
		p.Caps = store.Caps{PerAddress: 1, Total: 100}
	})
	leave, v, _ := f.askedAt(t, "b", `IsPassive="true"`)
	r, v := o.sent(t, leave, v)
	o.refuse = true
	a, err := f.AnswerOpenID(context.Background(), r, v)
	done(t, err)
	quiet(t, "refused when it has come back", a)

	long := strings.Repeat("s", 4000)
	for range 2 { // the first one is stored
		a = passive(t, f, "c", long)
	}
	quiet(t, "too long for a cookie", a)
}

// TestOpenIDForceIsStrict: a login at the provider from before the request for a new one does not count, not by a
// second: the person could take prompt=login out of the address.
func TestOpenIDForceIsStrict(t *testing.T) {
	for name, c := range map[string]struct {
		ago  time.Duration
		want bool
	}{"now": {0, true}, "a second before": {time.Second, false}, "within the skew": {29 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			o := newWorkforce(t)
			f := newFixture(t, "rsa-2048", o.with)
			leave, v, _ := f.askedAt(t, "b", `ForceAuthn="true"`)
			if u, err := url.Parse(leave.Address); err != nil || u.Query().Get("prompt") != "login" {
				t.Fatalf("leaves for %s", leave.Address)
			}
			r, v := o.sent(t, leave, v)
			o.claims = map[string]any{"auth_time": now.Now().Add(-c.ago).Unix()}
			a, _ := f.answers(t, r, v)
			d := must[idp.Deliver](t, a, nil)
			if _, second := status(t, d); (d.Assertion != "") != c.want || !c.want && second != "NoAuthnContext" {
				t.Errorf("assertion %q, status %s", d.Assertion, second)
			}
		})
	}
}

// TestOpenIDHint: the login name by whose mail domain a source was found goes along to its provider, and to it alone.
func TestOpenIDHint(t *testing.T) {
	o := newWorkforce(t)
	o.Domains = []string{"workforce.test"}
	f := newFixture(t, "rsa-2048", func(p *idp.Options) {
		o.with(p)
		p.SignInSource = ""
	})
	ctx, v := context.Background(), visitor("b")
	a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
	form := must[idp.AskPassword](t, a, err)
	a, err = f.Login(ctx, form.SignIn, " Olga@Workforce.test ", "", keeps(v, form.SignIn))
	leave := must[idp.LeaveFor](t, a, err)
	if u, err := url.Parse(leave.Address); err != nil || u.Query().Get("login_hint") != "Olga@Workforce.test" {
		t.Errorf("leaves for %s", leave.Address)
	}
	// Chosen by its button: nothing was typed.
	a, err = f.SignInAt(ctx, form.SignIn, o.Name, keeps(v, form.SignIn))
	if leave := must[idp.LeaveFor](t, a, err); strings.Contains(leave.Address, "login_hint") {
		t.Errorf("leaves for %s", leave.Address)
	}
}
