package idp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/store"
)

const portalOrigin = "https://portal.partner.test"

// portal is a source and the application behind it.
type portal struct {
	idp.Source
	key *ecdsa.PrivateKey
	n   int
}

func newPortal(t testing.TB, name string) *portal {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	all, err := claims.ParseKeys(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	rule, err := idp.ParseSourceRule("ctct-{account}-{role}")
	if err != nil {
		t.Fatal(err)
	}
	return &portal{key: key, Source: idp.Source{Rules: []idp.SourceRule{rule}, Source: &claims.Source{
		Name: name, Issuer: "https://" + name + ".partner.test", Subject: claims.Own, Keys: all,
		Origins: []string{portalOrigin}, AllowAccounts: []string{"a07*"}, AllowRoles: []string{"account_manager"},
		Claims: claims.Names{FirstName: "given_name", LastName: "family_name", Mail: "email", Groups: "groups",
			Accounts: "accounts"},
		Skew: 30 * time.Second, MaxStale: time.Hour,
	}}}
}

// token is one for sub, as the application makes it at a click.
func (p *portal) token(t testing.TB, sub string, changes map[string]any) string {
	t.Helper()
	p.n++
	at := now.Now().Unix()
	c := jwt.MapClaims{"iss": p.Issuer, "aud": publicURL, "sub": sub, "iat": at, "exp": at + 60,
		"jti": fmt.Sprintf("%s-%d", p.Name, p.n), "given_name": "Ana", "family_name": "Díaz", "email": "ana@partner.test"}
	for name, value := range changes {
		c[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header["typ"] = claims.TypeLaunch
	if typ, ok := c["typ"].(string); ok {
		token.Header["typ"] = typ
		delete(c, "typ")
	}
	text, err := token.SignedString(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func withPortals(all ...*portal) func(*idp.Options) {
	return func(o *idp.Options) {
		for _, p := range all {
			o.Sources = append(o.Sources, p.Source)
		}
		o.SourceKeys = claims.NewKeys(claims.KeysOptions{Now: now.Now})
	}
}

func portalFixture(t testing.TB, all ...*portal) *fixture {
	t.Helper()
	return newFixture(t, "rsa-2048", withPortals(all...))
}

// post is what the button does: the form, and the page that its answer leads to.
func (f *fixture) post(t testing.TB, l idp.TokenLaunch, v idp.Visitor) (idp.Answer, idp.Visitor) {
	t.Helper()
	crossSite := visitor("")
	a, err := f.LaunchToken(context.Background(), l, crossSite)
	if err != nil {
		t.Fatal(err)
	}
	on, ok := a.Page.(idp.GoOn)
	if !ok {
		return a, v
	}
	if on.Own == "" || !strings.Contains(on.SignIn, ".") {
		t.Fatalf("goes on as %+v, want a cookie of its own and nothing stored", on)
	}
	v.Own = on.Own
	a, err = f.Resume(context.Background(), on.SignIn, v)
	if err != nil {
		t.Fatal(err)
	}
	return a, v
}

// arrive goes on to where a launch that needs no click ends.
func (f *fixture) arrive(t testing.TB, l idp.TokenLaunch, v idp.Visitor) (idp.Answer, idp.Visitor) {
	t.Helper()
	a, v := f.post(t, l, v)
	on, ok := a.Page.(idp.GoOn)
	if !ok {
		return a, v
	}
	v.Session, v.Own = a.NewSession, ""
	a, err := f.Resume(context.Background(), on.SignIn, v)
	if err != nil {
		t.Fatal(err)
	}
	return a, v
}

// lastAsked is the last question to the gate.
func (g *gate) lastAsked(t testing.TB) provisioning.Question {
	t.Helper()
	all := g.questions()
	if len(all) == 0 {
		t.Fatal("the gate was not asked")
	}
	return all[len(all)-1]
}

func reasonOf(a idp.Answer) string {
	if r, ok := a.Page.(idp.Refusal); ok {
		return r.Reason
	}
	return fmt.Sprintf("%T", a.Page)
}

func TestSignedLaunch(t *testing.T) {
	p := newPortal(t, "portal")
	f := portalFixture(t, p)
	l := idp.TokenLaunch{Token: p.token(t, "u-1", nil), Origin: portalOrigin, Account: "a07e1lxqqqo0"}
	a, v := f.arrive(t, l, visitor("b"))
	d := must[idp.Deliver](t, a, nil)
	if d.Action != ctctACS || d.Assertion == "" {
		t.Errorf("got %+v", d)
	}
	q := f.gate.lastAsked(t)
	if q.Person.ID != p.PersonID("u-1") || q.Person.Source != "portal" || q.Person.FirstName != "Ana" ||
		q.Account != "a07e1lxqqqo0" || q.Person.Login != "portal:u-1" {
		t.Errorf("the gate was asked about %+v", q)
	}
	// Every launch brings a token: its session opens nothing else.
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	must[idp.AskPassword](t, a, err)
	if login, known, err := f.SignedIn(context.Background(), v); err != nil || !known || login != "portal:u-1" {
		t.Errorf("SignedIn: %q, %v, %v", login, known, err)
	}
	a, err = f.OwnFactors(context.Background(), v)
	if _, shown := a.Page.(idp.OwnFactors); shown || err != nil {
		t.Errorf("the page of second factors is shown: %v", err)
	}
	// The same token once more, in this and another browser.
	for _, name := range []string{"b", "c"} {
		if a, _ := f.arrive(t, l, visitor(name)); reasonOf(a) != claims.ReasonUsed {
			t.Errorf("again in %s: got %s, want %s", name, reasonOf(a), claims.ReasonUsed)
		}
	}
	if log := f.log.String(); strings.Contains(log, "ana@partner.test") || strings.Contains(log, "Díaz") ||
		strings.Contains(log, l.Token) {
		t.Error("the log holds values of claims")
	}
	events := f.events(t)
	found := false
	for _, e := range events {
		found = found || e.Action == "login" && e.Outcome == "ok" && e.Subject == p.PersonID("u-1") &&
			strings.Contains(string(e.Detail), `"portal"`)
	}
	if !found {
		t.Error("no audit event names the login and its source")
	}
}

// TestSignedLaunchAsks (ID-71): without the Origin of the application a page names person and account, and nothing is
// used up before the click.
func TestSignedLaunchAsks(t *testing.T) {
	p := newPortal(t, "portal")
	f := portalFixture(t, p)
	for _, origin := range []string{"", "null", "https://evil.test", portalOrigin + ".evil.test"} {
		l := idp.TokenLaunch{Token: p.token(t, "u-1", nil), Origin: origin, Account: "a07e1lxqqqo0"}
		before := len(f.events(t))
		a, v := f.post(t, l, visitor("b"+origin))
		ask := must[idp.ConfirmLaunch](t, a, nil)
		if ask.Person != "Ana Díaz" || ask.Contact != "ana@partner.test" || ask.Account != "a07e1lxqqqo0" ||
			ask.Instead != "" {
			t.Errorf("origin %q: asks %+v", origin, ask)
		}
		if len(f.events(t)) != before || f.isStored(t, ask.SignIn, "", "") {
			t.Errorf("origin %q: something is stored before the click", origin)
		}
		// A click in another browser is none: the page is bound to this one.
		a, err := f.ConfirmLaunch(context.Background(), ask.SignIn, visitor("thief"))
		if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonOtherBrowser {
			t.Errorf("in another browser: %+v", r)
		}
		a, err = f.ConfirmLaunch(context.Background(), ask.SignIn, v)
		on := must[idp.GoOn](t, a, err)
		v.Session = a.NewSession
		a, err = f.Resume(context.Background(), on.SignIn, v)
		must[idp.Deliver](t, a, err)
	}
}

// TestSignedLaunchTakesNoSession: whoever is signed in in this browser is asked before somebody else is.
func TestSignedLaunchTakesNoSession(t *testing.T) {
	p := newPortal(t, "portal")
	f := portalFixture(t, p)
	v := f.signIn(t, "alice", "correct horse")
	a, w := f.post(t, idp.TokenLaunch{Token: p.token(t, "u-1", nil), Origin: portalOrigin}, v)
	ask := must[idp.ConfirmLaunch](t, a, nil)
	if ask.Instead != "alice" {
		t.Errorf("asks %+v", ask)
	}
	if login, known, err := f.SignedIn(context.Background(), v); err != nil || !known || login != "alice" {
		t.Errorf("alice is not signed in any more: %q, %v", login, err)
	}
	a, err := f.ConfirmLaunch(context.Background(), ask.SignIn, w)
	must[idp.GoOn](t, a, err)
	if _, known, err := f.SignedIn(context.Background(), v); err != nil || known {
		t.Errorf("the session that was given up goes on: %v", err)
	}
}

func TestSignedLaunchRefused(t *testing.T) {
	p, other := newPortal(t, "portal"), newPortal(t, "other")
	f := portalFixture(t, p, other)
	ctx := context.Background()
	forged := *other
	forged.Source.Source = p.Source.Source // other's key under portal's name
	for name, c := range map[string]struct {
		token string
		want  string
	}{
		"no token":            {"", claims.ReasonForm},
		"key of another":      {forged.token(t, "u", nil), claims.ReasonSignature},
		"another audience":    {p.token(t, "u", map[string]any{"aud": "https://other.test"}), claims.ReasonAudience},
		"an unknown issuer":   {p.token(t, "u", map[string]any{"iss": "https://nobody.test"}), claims.ReasonIssuer},
		"valid for too long":  {p.token(t, "u", map[string]any{"exp": now.Now().Unix() + 600}), claims.ReasonLifetime},
		"accounts of no form": {p.token(t, "u", map[string]any{"accounts": "all"}), claims.ReasonPerson},
	} {
		if a, _ := f.arrive(t, idp.TokenLaunch{Token: c.token, Origin: portalOrigin}, visitor("b")); reasonOf(a) != c.want {
			t.Errorf("%s: got %s, want %s", name, reasonOf(a), c.want)
		}
	}
	// The page is opened too late.
	a, err := f.LaunchToken(ctx, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor(""))
	on := must[idp.GoOn](t, a, err)
	now.Advance(time.Minute)
	v := visitor("b")
	v.Own = on.Own
	if a, err := f.Resume(ctx, on.SignIn, v); err != nil || reasonOf(a) != idp.ReasonLaunchLate {
		t.Errorf("after a minute: %s, %v", reasonOf(a), err)
	}
	// In another browser than the one that got the answer.
	a, err = f.LaunchToken(ctx, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor(""))
	on = must[idp.GoOn](t, a, err)
	if a, err := f.Resume(ctx, on.SignIn, visitor("thief")); err != nil || reasonOf(a) != idp.ReasonOtherBrowser {
		t.Errorf("in another browser: %s, %v", reasonOf(a), err)
	}
	// A password in the form of a launch does not go on with it.
	v.Own = on.Own
	if a, err := f.Login(ctx, on.SignIn, "alice", "wrong", v); err != nil || a.NewSession == "" {
		t.Errorf("Login: %s, %v, want the launch to go on", reasonOf(a), err)
	}
	a, err = f.LaunchToken(ctx, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor(""))
	on = must[idp.GoOn](t, a, err)
	v.Own = on.Own
	a, err = f.ChangePassword(ctx, on.SignIn, change("correct horse", "x", "x"), v)
	if err != nil || a.NewSession == "" {
		t.Errorf("ChangePassword: %s, %v, want the launch to go on", reasonOf(a), err)
	}
	// Disabled and revoked, also between the token and the page.
	a, err = f.LaunchToken(ctx, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor(""))
	on = must[idp.GoOn](t, a, err)
	done(t, f.db.Sources().SetEnabled(ctx, "portal", false, store.Event{Action: "source-disable", Outcome: "ok"}))
	v.Own = on.Own
	if a, err := f.Resume(ctx, on.SignIn, v); err != nil || reasonOf(a) != claims.ReasonSourceOff {
		t.Errorf("disabled meanwhile: %s, %v", reasonOf(a), err)
	}
	if a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin},
		visitor("b")); reasonOf(a) != claims.ReasonSourceOff {
		t.Errorf("disabled: %s", reasonOf(a))
	}
	if a, _ := f.arrive(t, idp.TokenLaunch{Token: other.token(t, "u", nil), Origin: portalOrigin},
		visitor("d")); reasonOf(a) != "idp.Deliver" {
		t.Errorf("of the other source: %s", reasonOf(a))
	}
}

func done(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSignedLaunchDirectory: with a subject of the directory, that decides: on who somebody is, their state and groups.
func TestSignedLaunchDirectory(t *testing.T) {
	byID, byLogin := newPortal(t, "by-id"), newPortal(t, "by-login")
	byID.Subject, byLogin.Subject = claims.DirectoryID, claims.DirectoryLogin
	f := portalFixture(t, byID, byLogin)
	const alice = "11111111-aaaa-4bbb-8ccc-000000000001"
	try := func(p *portal, sub, browser string) string {
		a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, sub, map[string]any{"groups": []string{"staff"},
			"given_name": "Mallory"}), Origin: portalOrigin}, visitor(browser))
		return reasonOf(a)
	}
	for name, p := range map[string]*portal{alice: byID, "alice": byLogin, strings.ToUpper(alice): byID} {
		if got := try(p, name, name); got != "idp.Deliver" {
			t.Errorf("%s: got %s", name, got)
		}
		if q := f.gate.lastAsked(t); q.Person.ID != alice || q.Person.FirstName != "Alice" || q.Person.Source != "" ||
			len(q.Person.Groups) != 1 {
			t.Errorf("%s: the gate was asked about %+v", name, q.Person)
		}
	}
	for name, p := range map[string]*portal{"nobody": byLogin, "22222222-aaaa-4bbb-8ccc-000000000001": byID} {
		if got := try(p, name, "b"); got != claims.ReasonPerson && got != string(directory.Disabled) {
			t.Errorf("%s: got %s", name, got)
		}
	}
	f.directory.change("alice", func(p *person) { p.problem = directory.Disabled })
	if got := try(byID, alice, "b"); got != string(directory.Disabled) {
		t.Errorf("disabled there: got %s", got)
	}
	f.directory.setDown(true)
	if got := try(byLogin, "alice", "b"); got != idp.ReasonDirectoryDown {
		t.Errorf("down: got %s", got)
	}
}

// TestSignedLaunchSession: with max_age, further sign-ins go on without a token for that long and no longer; never to
// the console, and not past a revocation.
func TestSignedLaunchSession(t *testing.T) {
	p := newPortal(t, "portal")
	p.MaxAge = 10 * time.Minute
	f := portalFixture(t, p)
	ctx := context.Background()
	a, v := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor("b"))
	must[idp.Deliver](t, a, nil)
	now.Advance(9 * time.Minute)
	a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
	must[idp.Deliver](t, a, err)
	a, err = f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	if got := reasonOf(a); err != nil || got != "not_in_group" {
		t.Errorf("a service provider with groups of the directory: %s, %v", got, err)
	}
	now.Advance(time.Minute)
	a, err = f.Launch(ctx, idp.LaunchRequest{}, v)
	must[idp.AskPassword](t, a, err)
	a, v = f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, v)
	must[idp.Deliver](t, a, nil)
	done(t, f.db.Sources().Revoke(ctx, "portal", store.Event{Action: "source-revoke", Outcome: "ok"}))
	a, err = f.Launch(ctx, idp.LaunchRequest{}, v)
	must[idp.AskPassword](t, a, err)
	// What was made before it and is dated ahead, within the skew, does not get past it, by launch or logout.
	now.Advance(time.Second)
	ahead := map[string]any{"iat": now.Now().Add(20 * time.Second).Unix(), "exp": now.Now().Add(time.Minute).Unix()}
	if a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", ahead), Origin: portalOrigin},
		visitor("ahead")); reasonOf(a) != claims.ReasonSourceOff {
		t.Errorf("a token that is dated ahead: %s", reasonOf(a))
	}
	ahead["typ"] = claims.TypeLogout
	if _, bad, err := f.LogoutToken(ctx, p.token(t, "u", ahead), visitor("")); err != nil || bad == nil ||
		bad.Reason != claims.ReasonSourceOff {
		t.Errorf("a logout that is dated ahead: %v, %v", bad, err)
	}
	now.Advance(p.Skew)
	a, _ = f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor("after"))
	must[idp.Deliver](t, a, nil)
}

// TestSignedLaunchFactor: where a second factor is asked for, a signed launch is refused: it could neither prove nor
// add one without the signing key being enough for both.
func TestSignedLaunchFactor(t *testing.T) {
	p := newPortal(t, "portal")
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		withPortals(p)(o)
		o.SecondFactor.People = mfa.Required
	})
	a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor("b"))
	if got := reasonOf(a); got != idp.ReasonLaunchFactor {
		t.Errorf("got %s", got)
	}
}

// TestSignedLaunchReplicas: of one token that is redeemed on two replicas at once, in many browsers, one is signed in.
func TestSignedLaunchReplicas(t *testing.T) {
	p := newPortal(t, "portal")
	f := portalFixture(t, p)
	g := fixtureOn(t, f.dsn, "", withPortals(p))
	ctx := context.Background()
	token := p.token(t, "u", nil)
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		seen = map[string]int{}
	)
	for i := range 10 {
		on := f
		if i%2 == 1 {
			on = g
		}
		v := visitor(fmt.Sprint("browser", i))
		a, err := on.LaunchToken(ctx, idp.TokenLaunch{Token: token, Origin: portalOrigin}, visitor(""))
		started := must[idp.GoOn](t, a, err)
		v.Own = started.Own
		all.Go(func() {
			a, err := on.Resume(ctx, started.SignIn, v)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[reasonOf(a)]++
		})
	}
	all.Wait()
	if seen["idp.GoOn"] != 1 || seen[claims.ReasonUsed] != 9 {
		t.Errorf("got %v, want one that goes on and nine that are refused", seen)
	}
}

func TestSourceRules(t *testing.T) {
	for _, text := range []string{"", "editors", "ctct-{account}", "a = b", "ctct-{account} = a07 owner",
		"editors = a07e1lxqqqo0 admin"} {
		if _, err := idp.ParseSourceRule(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, text := range []string{"ctct-{account}-{role}", "editors = a07e1lxqqqo0 campaign_creator"} {
		if _, err := idp.ParseSourceRule(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestSignedLaunchGives: what a token gives is within what its source may give, by accounts and by groups.
func TestSignedLaunchGives(t *testing.T) {
	p := newPortal(t, "portal")
	f := portalFixture(t, p)
	a, _ := f.arrive(t, idp.TokenLaunch{Origin: portalOrigin, Token: p.token(t, "u", map[string]any{
		"accounts": []map[string]string{{"account": "a07e1lxqqqo0", "role": "account_manager"},
			{"account": "b99", "role": "account_manager"}, {"account": "a07e1lxqqqo0", "role": "owner"}},
		"groups": []string{"ctct-a07f00000001-account_manager", "ctct-a07f00000002-campaign_creator", "everybody"},
	})}, visitor("b"))
	must[idp.Deliver](t, a, nil)
	want := []directory.Grant{{Account: "a07e1lxqqqo0", Role: "account_manager"},
		{Account: "a07f00000001", Role: "account_manager", Group: "ctct-a07f00000001-account_manager"}}
	if got := f.gate.lastAsked(t).Person.Grants; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestSignedLogout: a token of the source ends the sessions that it began, and no other.
func TestSignedLogout(t *testing.T) {
	p, dir := newPortal(t, "portal"), newPortal(t, "dir")
	dir.Subject = claims.DirectoryLogin
	f := portalFixture(t, p, dir)
	ctx := context.Background()
	out := map[string]any{"typ": claims.TypeLogout}
	_, v := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", nil), Origin: portalOrigin}, visitor("b"))
	_, w := f.arrive(t, idp.TokenLaunch{Token: dir.token(t, "alice", nil), Origin: portalOrigin}, visitor("c"))
	byPassword := f.signIn(t, "alice", "correct horse")
	signedIn := func(v idp.Visitor) bool {
		_, known, err := f.SignedIn(ctx, v)
		done(t, err)
		return known
	}
	for name, token := range map[string]string{"a launch token": p.token(t, "u", nil), "of another source": func() string {
		q := *p
		q.key = dir.key
		return q.token(t, "u", out)
	}()} {
		if n, bad, err := f.LogoutToken(ctx, token, visitor("")); n != 0 || bad == nil || err != nil || !signedIn(v) {
			t.Errorf("%s: ended %d, %v, %v", name, n, bad, err)
		}
	}
	if n, bad, err := f.LogoutToken(ctx, p.token(t, "u", out), visitor("")); n != 1 || bad != nil || err != nil {
		t.Errorf("ended %d, %v, %v", n, bad, err)
	}
	if n, bad, err := f.LogoutToken(ctx, dir.token(t, "alice", out), visitor("")); n != 1 || bad != nil || err != nil {
		t.Errorf("ended %d, %v, %v", n, bad, err)
	}
	if signedIn(v) || signedIn(w) || !signedIn(byPassword) {
		t.Error("want the two sessions of launches ended, and the one of a password not")
	}
	if a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", out), Origin: portalOrigin},
		visitor("d")); reasonOf(a) != claims.ReasonType {
		t.Errorf("a logout token as a launch: %s", reasonOf(a))
	}
}

// TestSignedLaunchIsNoNewLogin: what the application asked somebody for is not known, so its launch answers no request
// that asks for a new login, however young it is (ID-71).
func TestSignedLaunchIsNoNewLogin(t *testing.T) {
	p := newPortal(t, "portal")
	p.MaxAge, p.Subject = 10*time.Minute, claims.DirectoryLogin
	f := portalFixture(t, p)
	v := visitor("b")
	forced, plainly := newRequest(plain), newRequest(plain)
	forced.attributes = `ForceAuthn="true"`
	first, second := f.request(t, forced, v), f.request(t, plainly, v)
	now.Advance(time.Second)
	a, v := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "alice", nil), Origin: portalOrigin}, v)
	must[idp.Deliver](t, a, nil)
	a, err := f.resume(first, v)
	must[idp.AskPassword](t, a, err)
	a, err = f.resume(second, v)
	must[idp.Deliver](t, a, err)
}

// TestSignedLaunchForgotten: nothing of somebody who came by a launch outlives their being forgotten, the browsers
// among it that are known to be theirs.
func TestSignedLaunchForgotten(t *testing.T) {
	own, dir := newPortal(t, "portal"), newPortal(t, "dir")
	dir.Subject = claims.DirectoryLogin
	f := portalFixture(t, own, dir)
	for _, c := range []struct {
		p    *portal
		sub  string
		name store.PersonID
	}{{own, "u", store.PersonID(own.PersonID("u"))}, {dir, "alice", aliceID}} {
		a, _ := f.arrive(t, idp.TokenLaunch{Token: c.p.token(t, c.sub, nil), Origin: portalOrigin}, visitor(c.sub))
		must[idp.Deliver](t, a, nil)
		gone, remains, err := f.db.Ledger().ForgetPerson(context.Background(), store.Forget{Person: c.name, Deleted: true,
			Bare: directory.NormalizeLogin}, store.Event{Actor: "admin:test", Action: "forget"})
		if err != nil || len(remains.Users) > 0 || gone.Sessions != 1 || gone.Browsers != 1 {
			t.Errorf("%s: forgot %+v, %+v, %v, want one session and one browser", c.p.Name, gone, remains, err)
		}
	}
}

// TestRevokedSourceTrustsNoOldKeys: a stolen key that was withdrawn from the source's key set is not taken again by the
// set of the time before, which a process may have in memory, once the source was revoked and enabled (ID-71).
func TestRevokedSourceTrustsNoOldKeys(t *testing.T) {
	p, heir := newPortal(t, "portal"), newPortal(t, "portal")
	var set atomic.Pointer[ecdsa.PublicKey]
	set.Store(&p.key.PublicKey)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		point, err := set.Load().Bytes()
		if err != nil {
			t.Error(err)
			return
		}
		b64 := base64.RawURLEncoding.EncodeToString
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	}))
	defer server.Close()
	p.Keys, p.JWKS = nil, server.URL
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Sources = []idp.Source{p.Source}
		o.SourceKeys = claims.NewKeys(claims.KeysOptions{AllowInternal: true, AllowLoopbackHTTP: true, Now: now.Now})
	})
	ctx := context.Background()
	try := func(p *portal) string {
		a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", map[string]any{"jti": rand.Text()}),
			Origin: portalOrigin}, visitor("b"))
		return reasonOf(a)
	}
	if got := try(p); got != "idp.Deliver" {
		t.Fatalf("got %s", got)
	}
	set.Store(&heir.key.PublicKey)
	now.Advance(time.Second)
	done(t, f.db.Sources().Revoke(ctx, "portal", store.Event{Action: "source-revoke", Outcome: "ok"}))
	now.Advance(time.Minute)
	if got := try(p); got != claims.ReasonSignature {
		t.Errorf("by the stolen key: %s", got)
	}
	if got := try(heir); got != "idp.Deliver" {
		t.Errorf("by the new one: %s", got)
	}
	_, bad, err := f.LogoutToken(ctx, p.token(t, "u", map[string]any{"typ": claims.TypeLogout}), visitor(""))
	if bad == nil || bad.Reason != claims.ReasonSignature || err != nil {
		t.Errorf("a logout by the stolen key: %v, %v", bad, err)
	}
}

// TestKeySetOutlivesProcess (ID-77): the last good key set serves after a start and on other replicas, while the
// source's server is down; not for longer than a day, not past a revocation, and for no other address.
func TestKeySetOutlivesProcess(t *testing.T) {
	p, heir := newPortal(t, "portal"), newPortal(t, "portal")
	var (
		down  atomic.Bool
		asked atomic.Int64
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		point, err := p.key.PublicKey.Bytes()
		if err != nil {
			t.Error(err)
		}
		b64 := base64.RawURLEncoding.EncodeToString
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	}))
	defer server.Close()
	p.Keys, p.JWKS, p.MaxStale = nil, server.URL, 24*time.Hour
	elsewhere := *p
	other := *p.Source.Source
	other.JWKS = server.URL + "/other"
	elsewhere.Source.Source = &other
	first := newFixture(t, "rsa-2048", nil)
	// process is a bridge that has just started on the database.
	process := func(p *portal) *fixture {
		return fixtureOn(t, first.dsn, "", func(o *idp.Options) {
			o.Sources = []idp.Source{p.Source}
			o.SourceKeys = claims.NewKeys(claims.KeysOptions{AllowInternal: true, AllowLoopbackHTTP: true, Now: now.Now,
				Kept: first.db.SourceKeys()})
		})
	}
	try := func(f *fixture, p *portal) string {
		t.Helper()
		a, _ := f.arrive(t, idp.TokenLaunch{Token: p.token(t, "u", map[string]any{"jti": rand.Text()}),
			Origin: portalOrigin}, visitor("b"))
		return reasonOf(a)
	}
	down.Store(true)
	early := process(p) // its own fetch fails, and it learns of the other's
	if got := try(early, p); got != claims.ReasonKeysDown {
		t.Fatalf("nothing was fetched yet: %s", got)
	}
	down.Store(false)
	if got := try(process(p), p); got != "idp.Deliver" {
		t.Fatalf("got %s", got)
	}
	down.Store(true)
	asked.Store(0)
	f := process(p)
	if got := try(f, p); got != "idp.Deliver" || asked.Load() != 0 {
		t.Errorf("after a start: %s, and the source was asked %d times", got, asked.Load())
	}
	if got := try(f, heir); got != claims.ReasonSignature {
		t.Errorf("by another key: %s", got)
	}
	now.Advance(time.Minute)
	if got := try(early, p); got != "idp.Deliver" {
		t.Errorf("on another replica: %s", got)
	}
	if got := try(process(&elsewhere), p); got != claims.ReasonKeysDown {
		t.Errorf("of another address: %s", got)
	}
	now.Advance(23 * time.Hour)
	if got := try(process(p), p); got != "idp.Deliver" {
		t.Errorf("after 23 hours: %s", got)
	}
	now.Advance(time.Hour)
	if got := try(process(p), p); got != claims.ReasonKeysDown {
		t.Errorf("after a day: %s", got)
	}
	down.Store(false)
	if got := try(process(p), p); got != "idp.Deliver" {
		t.Errorf("fetched again: %s", got)
	}
	down.Store(true)
	now.Advance(time.Second)
	done(t, first.db.Sources().Revoke(context.Background(), "portal", store.Event{Action: "source-revoke", Outcome: "ok"}))
	now.Advance(time.Minute)
	if got := try(process(p), p); got != claims.ReasonKeysDown {
		t.Errorf("from before a revocation: %s", got)
	}
}
