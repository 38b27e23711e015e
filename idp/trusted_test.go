package idp_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/mfa"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// trusting is a portal that is believed these values.
func trusting(t *testing.T, p *portal, texts ...string) *portal {
	t.Helper()
	p.Trust = nil
	for _, text := range texts {
		trust, err := claims.ParseTrust(text)
		if err != nil {
			t.Fatal(err)
		}
		p.Trust = append(p.Trust, trust)
	}
	return p
}

// TestTrustedContext (RSP-08): the assertion says of a launch what its source is trusted for, and nothing else.
func TestTrustedContext(t *testing.T) {
	p := trusting(t, newPortal(t, "portal"), "acr=loa2 password_protected", "amr=mfa password second_factor")
	silent := newPortal(t, "silent")
	f := portalFixture(t, p, silent)
	for name, c := range map[string]struct {
		from *portal
		more map[string]any
		want string
	}{
		"nothing said":      {p, nil, saml.ClassUnspecified},
		"another acr":       {p, map[string]any{"acr": "loa9"}, saml.ClassUnspecified},
		"acr in other case": {p, map[string]any{"acr": "LOA2"}, saml.ClassUnspecified},
		"acr":               {p, map[string]any{"acr": "loa2"}, saml.ClassPasswordProtected},
		"amr":               {p, map[string]any{"amr": []string{"pwd", "mfa"}}, idp.DefaultSecondFactorClass},
		"amr in acr":        {p, map[string]any{"acr": "mfa"}, saml.ClassUnspecified},
		"a source of no trust": {silent, map[string]any{"acr": "loa2", "amr": []string{"mfa"}},
			saml.ClassUnspecified},
	} {
		a, _ := f.arrive(t, idp.TokenLaunch{Token: c.from.token(t, "u", c.more), Origin: portalOrigin}, visitor("b"+name))
		d := must[idp.Deliver](t, a, nil)
		if got := find(t, root(t, d), "//AuthnContextClassRef").Text(); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	for name, bad := range map[string]map[string]any{"acr is a list": {"acr": []string{"loa2"}},
		"amr is a text": {"amr": "mfa"}, "amr of numbers": {"amr": []int{1}},
		"a long amr": {"amr": strings.Split(strings.Repeat("x,", 30)+"x", ",")}} {
		a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", bad), Origin: portalOrigin}, visitor("c"))
		if got := reasonOf(a); got != claims.ReasonClaims {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestTrustedFactor: a launch counts as one with a second factor where its source is trusted with that, and not else;
// it opens neither the console nor the page of second factors.
func TestTrustedFactor(t *testing.T) {
	p := trusting(t, newPortal(t, "portal"), "amr=mfa second_factor")
	p.MaxAge = 10 * time.Minute
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(p)(o)
		o.SecondFactor.People = mfa.Required
	})
	ctx := context.Background()
	token := func(amr string) idp.TokenLaunch {
		return idp.TokenLaunch{Token: p.token(t, "u", map[string]any{"amr": []string{amr}}), Origin: portalOrigin}
	}
	if a, _ := f.arrive(t, token("pwd"), visitor("b")); reasonOf(a) != idp.ReasonLaunchFactor {
		t.Errorf("without: %s", reasonOf(a))
	}
	a, v := f.arrive(t, token("mfa"), visitor("c"))
	must[idp.Deliver](t, a, nil)
	a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
	must[idp.Deliver](t, a, err)
	a, err = f.EnterConsole(ctx, "/admin/keys", false, v)
	must[idp.AskPassword](t, a, err)
	a, err = f.OwnFactors(ctx, v)
	if _, shown := a.Page.(idp.OwnFactors); shown || err != nil {
		t.Errorf("the page of second factors is shown: %v", err)
	}
	// Trusted less from now on: the session that goes on counts for less at once.
	g := fixtureOn(t, f.dsn, "", func(o *idp.Options) {
		withPortals(trusting(t, p))(o)
		o.SecondFactor.People = mfa.Required
	})
	a, err = g.Launch(ctx, idp.LaunchRequest{}, v)
	if got := reasonOf(a); err != nil || got != idp.ReasonLaunchFactor {
		t.Errorf("trusted no more: %s, %v", got, err)
	}
}

// TestTrustedRequest (REQ-18): a service provider that asks for a class gets it from a source that is trusted with it,
// or NoAuthnContext; never another one.
func TestTrustedRequest(t *testing.T) {
	p := withLogin(trusting(t, newPortal(t, "portal"), "acr=loa2 password_protected", "amr=mfa second_factor"))
	weak := withLogin(newPortal(t, "weak"))
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { withPortals(p, weak)(o) })
	ctx := context.Background()
	const asks = `<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>`
	for name, c := range map[string]struct {
		class string
		more  map[string]any
		want  bool
		form  bool
	}{
		"protected":             {saml.ClassPasswordProtected, map[string]any{"acr": "loa2"}, true, true},
		"protected, not said":   {saml.ClassPasswordProtected, nil, false, true},
		"protected, a factor":   {saml.ClassPasswordProtected, map[string]any{"amr": []string{"mfa"}}, false, true},
		"factor":                {idp.DefaultSecondFactorClass, map[string]any{"amr": []string{"mfa"}}, true, false},
		"factor, by a password": {idp.DefaultSecondFactorClass, map[string]any{"acr": "loa2"}, false, false},
	} {
		r, v := newRequest(ctct), visitor("b"+name)
		r.inner = asks + c.class + `</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`
		a, err := f.SSO(ctx, byRedirect(t, r.xml()), v)
		a, err = f.Resume(ctx, must[idp.GoOn](t, a, err).SignIn, v)
		var leave idp.LeaveFor
		if form, shown := a.Page.(idp.AskPassword); shown && err == nil {
			if len(form.Sources) != 1 || form.Sources[0].Source != "portal" || form.NoPassword == c.form {
				t.Errorf("%s: the page offers %+v", name, form)
			}
			a, err = f.SignInAt(ctx, form.SignIn, "portal", v)
		}
		leave = must[idp.LeaveFor](t, a, err)
		more := map[string]any{"request": request(t, leave).Get("request")}
		for claim, value := range c.more {
			more[claim] = value
		}
		a, _ = f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", more)}, keeps(v, leave.SignIn))
		d := must[idp.Deliver](t, a, nil)
		if !c.want {
			if _, second := status(t, d); d.Assertion != "" || second != "NoAuthnContext" {
				t.Errorf("%s: assertion %q, status %s", name, d.Assertion, second)
			}
			continue
		}
		if got := find(t, root(t, d), "//AuthnContextClassRef").Text(); got != c.class {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// TestTrustedFactorAlone (REQ-18): where second factors are off, a session of a password enrols none for a service
// provider that demands one: a source proves it, or nobody does.
func TestTrustedFactorAlone(t *testing.T) {
	p := withLogin(trusting(t, newPortal(t, "portal"), "amr=mfa second_factor"))
	f := newFixture(t, "rsa-2048", withPortals(p))
	ctx, v := context.Background(), f.signInWith(t, visitor("b"))
	ask := func() (idp.Answer, error) {
		r := newRequest(ctct)
		r.inner = `<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>` + idp.DefaultSecondFactorClass +
			`</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`
		a, err := f.SSO(ctx, byRedirect(t, r.xml()), v)
		return f.Resume(ctx, must[idp.GoOn](t, a, err).SignIn, v)
	}
	a, err := ask()
	leave := must[idp.LeaveFor](t, a, err)
	// By a form of the page that is not shown, either.
	a, err = f.EnrolFactor(ctx, leave.SignIn, idp.FactorEnrolment{Code: "123456"}, v)
	if _, shown := a.Page.(idp.EnrolFactor); shown || err != nil {
		t.Errorf("a factor can be enrolled: %T, %v", a.Page, err)
	}
	done(t, f.db.Sources().SetEnabled(ctx, "portal", false, store.Event{Action: "source-disable", Outcome: "ok"}))
	a, err = ask()
	d := must[idp.Deliver](t, a, err)
	if _, second := status(t, d); d.Assertion != "" || second != "NoAuthnContext" {
		t.Errorf("with the source disabled: assertion %q, status %s", d.Assertion, second)
	}
	// What asks for no factor goes on with the password.
	a, err = f.Launch(ctx, idp.LaunchRequest{}, v)
	must[idp.Deliver](t, a, err)
}

// TestTrustedAuthTime: AuthnInstant is the source's auth_time where that is trusted, never one ahead of the launch.
func TestTrustedAuthTime(t *testing.T) {
	p, other := newPortal(t, "portal"), newPortal(t, "other")
	p.TrustAuthTime = true
	f := portalFixture(t, p, other)
	for name, c := range map[string]struct {
		from *portal
		at   time.Duration
		want time.Duration
	}{
		"an hour ago":   {p, -time.Hour, -time.Hour},
		"ahead":         {p, 20 * time.Second, 0},
		"not trusted":   {other, -time.Hour, 0},
		"at the launch": {p, 0, 0},
	} {
		at := now.Now()
		a, _ := f.arrive(t, idp.TokenLaunch{Token: c.from.token(t, "u", map[string]any{"auth_time": at.Add(c.at).Unix()}),
			Origin: portalOrigin}, visitor("b"+name))
		got := find(t, root(t, must[idp.Deliver](t, a, nil)), "//AuthnStatement").SelectAttrValue("AuthnInstant", "")
		if want := at.Add(c.want).UTC().Truncate(time.Second).Format(time.RFC3339); got != want {
			t.Errorf("%s: AuthnInstant %s, want %s", name, got, want)
		}
	}
}

// TestLogoutTokenOnce: a token of a logout ends sessions once, whoever sends it again, and is none of a launch.
func TestLogoutTokenOnce(t *testing.T) {
	p := newPortal(t, "portal")
	p.MaxAge = 10 * time.Minute
	f := portalFixture(t, p)
	ctx := context.Background()
	out := p.token(t, "u", map[string]any{"typ": claims.TypeLogout})
	a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor("b"))
	must[idp.Deliver](t, a, nil)
	n, bad, err := f.LogoutToken(ctx, out, visitor(""))
	if n != 1 || bad != nil || err != nil {
		t.Errorf("ended %d, %v, %v", n, bad, err)
	}
	a, v := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor("c"))
	must[idp.Deliver](t, a, nil)
	g := fixtureOn(t, f.dsn, "", withPortals(p))
	for _, on := range []*fixture{f, g} {
		if n, bad, err := on.LogoutToken(ctx, out, visitor("")); n != 0 || bad == nil || bad.Reason != claims.ReasonUsed ||
			err != nil {
			t.Errorf("again: %d, %v, %v", n, bad, err)
		}
	}
	if _, known, err := f.SignedIn(ctx, v); !known || err != nil {
		t.Errorf("the session from after the logout is over: %v", err)
	}
	done(t, f.db.Sources().SetEnabled(ctx, "portal", false, store.Event{Action: "source-disable", Outcome: "ok"}))
	if _, bad, err := f.LogoutToken(ctx, p.token(t, "u", map[string]any{"typ": claims.TypeLogout}),
		visitor("")); bad == nil || bad.Reason != claims.ReasonSourceOff || err != nil {
		t.Errorf("of a disabled source: %v, %v", bad, err)
	}
}
