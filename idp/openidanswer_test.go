package idp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/store"
)

// workforce is a source and the OpenID provider behind it, which signs u-1 in, in the session s-1.
type workforce struct {
	idp.Source
	t     testing.TB
	key   *ecdsa.PrivateKey
	calls atomic.Int64 // of the token endpoint
	n     atomic.Int64

	mu     sync.Mutex
	nonce  string
	claims map[string]any // of the next ID tokens; nil values are left out
	before func()         // what happens before a code is answered
	refuse bool           // each code
}

func newWorkforce(t testing.TB) *workforce {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	o := &workforce{t: t, key: key}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%[1]q,"authorization_endpoint":"%[1]s/auth","token_endpoint":"%[1]s/token",
"jwks_uri":"%[1]s/jwks","end_session_endpoint":"%[1]s/end"}`, server.URL)
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		b64 := base64.RawURLEncoding.EncodeToString
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		o.calls.Add(1)
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.before != nil {
			o.before()
		}
		w.Header().Set("Content-Type", "application/json")
		if o.refuse {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		at := now.Now().Unix()
		fmt.Fprintf(w, `{"access_token":"a","token_type":"Bearer","id_token":%q}`, o.sign("JWT", map[string]any{
			"sub": "u-1", "sid": "s-1", "nonce": o.nonce, "auth_time": at, "given_name": "Olga", "family_name": "Orlova",
			"email": "olga@workforce.test", "email_verified": true}, o.claims))
	})
	o.Source = idp.Source{Label: "The <Workforce>", Source: &claims.Source{
		Name: "workforce", Issuer: server.URL, Subject: claims.Own, MaxStale: time.Hour, Skew: 30 * time.Second,
		MaxAge: 15 * time.Minute, AllowAccounts: []string{"a07*"}, AllowRoles: []string{"account_manager"},
		Claims: claims.Names{FirstName: "given_name", LastName: "family_name", Mail: "email", Groups: "groups"},
		OpenID: &claims.OpenID{ClientID: "ssobridge", ClientSecret: "secret", Passive: true, Logout: true,
			Redirect: publicURL + "/oidc/workforce/callback", Scopes: []string{"openid"}, Identity: "sub",
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}
	return o
}

// sign signs what every token has, with more.
func (o *workforce) sign(typ string, more ...map[string]any) string {
	at := now.Now().Unix()
	c := jwt.MapClaims{"iss": o.Issuer, "aud": "ssobridge", "iat": at, "exp": at + 120}
	for _, one := range more {
		for name, value := range one {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header["typ"], token.Header["kid"] = typ, "1"
	text, err := token.SignedString(o.key)
	if err != nil {
		o.t.Error(err)
	}
	return text
}

// out is a logout token.
func (o *workforce) out(names map[string]any) string {
	return o.sign("logout+jwt", map[string]any{"jti": fmt.Sprint("out-", o.n.Add(1)), "events": map[string]any{
		"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, names)
}

func (o *workforce) with(p *idp.Options) {
	p.Sources = []idp.Source{o.Source}
	p.SignInSource = o.Name
	p.SingleLogout = true
	keys := claims.NewKeys(claims.KeysOptions{Now: now.Now, AllowLoopbackHTTP: true})
	p.SourceKeys, p.OpenID = keys, claims.NewClient(keys)
}

// sent is how the browser comes back from the provider.
func (o *workforce) sent(t testing.TB, leave idp.LeaveFor, v idp.Visitor) (idp.OpenIDReply, idp.Visitor) {
	t.Helper()
	u, err := url.Parse(leave.Address)
	if err != nil || !strings.HasPrefix(leave.Address, o.Issuer+"/auth?") {
		t.Fatalf("leaves for %s, %v", leave.Address, err)
	}
	o.mu.Lock()
	o.nonce = u.Query().Get("nonce")
	o.mu.Unlock()
	return idp.OpenIDReply{Source: o.Name, State: u.Query().Get("state"), Reply: claims.Reply{Code: "a-code"}},
		keeps(v, leave.SignIn)
}

// begin is a launch that was sent to the provider.
func (o *workforce) begin(t testing.TB, f *fixture, browser string) (idp.OpenIDReply, idp.Visitor) {
	t.Helper()
	v := visitor(browser)
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	return o.sent(t, must[idp.LeaveFor](t, a, err), v)
}

// page is the page that an answer leads to.
func (f *fixture) pageOf(t testing.TB, a idp.Answer, v idp.Visitor) (idp.Answer, idp.Visitor) {
	t.Helper()
	on := must[idp.GoOn](t, a, nil)
	v.Own = on.Own
	a, err := f.Resume(context.Background(), on.SignIn, v)
	done(t, err)
	v.Own = ""
	if a.NewSession != "" {
		v.Session = a.NewSession
	}
	return a, v
}

// answers takes an answer as far as it leads.
func (f *fixture) answers(t testing.TB, r idp.OpenIDReply, v idp.Visitor) (idp.Answer, idp.Visitor) {
	t.Helper()
	a, err := f.AnswerOpenID(context.Background(), r, v)
	done(t, err)
	for range 2 {
		if _, on := a.Page.(idp.GoOn); on {
			a, v = f.pageOf(t, a, v)
		}
	}
	return a, v
}

// TestOpenIDStateOnce (ID-74): one state makes one call of the token endpoint, whatever comes of it and on how many
// replicas its answer arrives. What calls nobody uses nothing up.
func TestOpenIDStateOnce(t *testing.T) {
	o := newWorkforce(t)
	f := newFixture(t, "rsa-2048", o.with)
	g := fixtureOn(t, f.dsn, "", o.with)
	ctx := context.Background()
	r, v := o.begin(t, f, "b")
	for name, c := range map[string]struct {
		reply claims.Reply
		want  string
	}{
		"another provider's": {claims.Reply{Code: "a-code", Issuer: "https://evil.test"}, claims.ReasonMixUp},
		"an error":           {claims.Reply{Error: "access_denied"}, claims.ReasonProviderSays},
		"no code":            {claims.Reply{}, claims.ReasonProviderSays},
	} {
		other := r
		other.Reply = c.reply
		if a, err := f.AnswerOpenID(ctx, other, v); err != nil || reasonOf(a) != c.want {
			t.Errorf("%s: %s, %v", name, reasonOf(a), err)
		}
	}
	if n := o.calls.Load(); n != 0 {
		t.Fatalf("%d calls for answers without a code of the provider's", n)
	}
	if a, _ := f.answers(t, r, v); reasonOf(a) != "idp.Deliver" {
		t.Errorf("the code: %s", reasonOf(a))
	}

	o.refuse = true
	for range 2 {
		o.calls.Store(0)
		r, v = o.begin(t, f, "c")
		var (
			all  sync.WaitGroup
			mu   sync.Mutex
			seen = map[string]int{}
		)
		for i := range 10 {
			on := []*fixture{f, g}[i%2]
			all.Go(func() {
				a, err := on.AnswerOpenID(ctx, r, v)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				seen[reasonOf(a)]++
			})
		}
		all.Wait()
		if n := o.calls.Load(); n != 1 || seen[claims.ReasonCode] != 1 || seen[idp.ReasonRequestUsed] != 9 {
			t.Errorf("%d calls, %v; want one, and nine that are refused", n, seen)
		}
	}
	// The person goes on by a new request.
	o.refuse = false
	a, err := f.AnswerOpenID(ctx, r, v)
	if refused := must[idp.Refusal](t, a, err); refused.Source != o.Label || refused.Reason != idp.ReasonRequestUsed {
		t.Errorf("got %+v", refused)
	}
	r, v = o.begin(t, f, "c")
	if a, _ := f.answers(t, r, v); reasonOf(a) != "idp.Deliver" {
		t.Errorf("a new request: %s", reasonOf(a))
	}
}

// TestOpenIDLogoutMeanwhile (ID-75): who signs out at the provider between code and session has none; by sub, by
// sid, or by both, and nobody else is signed out.
func TestOpenIDLogoutMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		names  map[string]any
		claims map[string]any // of the ID token
		out    bool
	}{
		"by sub":                          {map[string]any{"sub": "u-1"}, nil, true},
		"by sid":                          {map[string]any{"sid": "s-1"}, nil, true},
		"by both":                         {map[string]any{"sub": "u-1", "sid": "s-1"}, nil, true},
		"by both, without sid in ours":    {map[string]any{"sub": "u-1", "sid": "s-1"}, map[string]any{"sid": nil}, true},
		"another person":                  {map[string]any{"sub": "u-2"}, nil, false},
		"another session":                 {map[string]any{"sid": "s-2"}, nil, false},
		"another session of the person":   {map[string]any{"sub": "u-1", "sid": "s-2"}, nil, false},
		"a session, without sid in ours":  {map[string]any{"sid": "s-1"}, map[string]any{"sid": nil}, false},
		"a sub that is spelled like sid":  {map[string]any{"sub": "s-1"}, nil, false},
		"by sub, where that is no person": {map[string]any{"sub": "u-1"}, map[string]any{"oid": "o-1"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newWorkforce(t)
			o.claims = c.claims
			if c.claims["oid"] != nil {
				o.OpenID.Identity = "oid"
			}
			f := newFixture(t, "rsa-2048", o.with)
			g := fixtureOn(t, f.dsn, "", o.with)
			ctx := context.Background()
			logout := func(on *fixture) {
				t.Helper()
				if bad, err := on.LogoutOpenID(ctx, o.Name, o.out(c.names), visitor("")); bad != nil || err != nil {
					t.Fatalf("%v, %v", bad, err)
				}
			}
			want := map[bool]string{true: idp.ReasonSignedOut, false: "idp.Deliver"}[c.out]
			// Between the answer and its page, on another replica.
			r, v := o.begin(t, f, "b")
			a, err := f.AnswerOpenID(ctx, r, v)
			done(t, err)
			logout(g)
			a, v = f.pageOf(t, a, v)
			if _, on := a.Page.(idp.GoOn); on {
				a, _ = f.pageOf(t, a, v)
			}
			if got := reasonOf(a); got != want {
				t.Errorf("before the page: got %s, want %s", got, want)
			}
			// While the provider is asked.
			o.before = func() { logout(g) }
			r, v = o.begin(t, f, "c")
			if a, _ := f.answers(t, r, v); reasonOf(a) != want {
				t.Errorf("while the provider is asked: got %s, want %s", reasonOf(a), want)
			}
			o.before = nil
			// What begins later is none of it.
			r, v = o.begin(t, f, "d")
			a, v = f.answers(t, r, v)
			must[idp.Deliver](t, a, nil)
			logout(g)
			if _, known, err := f.SignedIn(ctx, v); err != nil || known == c.out {
				t.Errorf("signed in: %v, %v, want %v", known, err, !c.out)
			}
		})
	}
}

// TestOpenIDLogoutOnce: a logout token ends sessions once, on all replicas; one that could not be stored can come
// again.
func TestOpenIDLogoutOnce(t *testing.T) {
	o := newWorkforce(t)
	f := newFixture(t, "rsa-2048", o.with)
	g := fixtureOn(t, f.dsn, "", o.with)
	ctx := context.Background()
	r, v := o.begin(t, f, "b")
	_, v = f.answers(t, r, v)
	token := o.out(map[string]any{"sub": "u-1", "sid": "s-1"})
	stopped, stop := context.WithCancel(ctx)
	stop()
	if bad, err := f.LogoutOpenID(stopped, o.Name, token, visitor("")); err == nil {
		t.Errorf("without a store: %v", bad)
	}
	var taken, used atomic.Int64
	var all sync.WaitGroup
	for i := range 6 {
		on := []*fixture{f, g}[i%2]
		all.Go(func() {
			switch bad, err := on.LogoutOpenID(ctx, o.Name, token, visitor("")); {
			case err != nil:
				t.Error(err)
			case bad == nil:
				taken.Add(1)
			case bad.Reason == claims.ReasonUsed:
				used.Add(1)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 || used.Load() != 5 {
		t.Errorf("taken %d times and refused %d times, want 1 and 5", taken.Load(), used.Load())
	}
	if _, known, err := f.SignedIn(ctx, v); err != nil || known {
		t.Errorf("signed in: %v, %v", known, err)
	}
	// A disabled source ends sessions too.
	r, v = o.begin(t, f, "c")
	_, v = f.answers(t, r, v)
	done(t, f.db.Sources().SetEnabled(ctx, o.Name, false, store.Event{Action: "source-disable", Outcome: "ok"}))
	bad, err := f.LogoutOpenID(ctx, o.Name, o.out(map[string]any{"sid": "s-1"}), visitor(""))
	if bad != nil || err != nil {
		t.Errorf("of a disabled source: %v, %v", bad, err)
	}
	done(t, f.db.Sources().SetEnabled(ctx, o.Name, true, store.Event{Action: "source-enable", Outcome: "ok"}))
	if _, known, err := f.SignedIn(ctx, v); err != nil || known {
		t.Errorf("signed in: %v, %v", known, err)
	}
	if log := f.log.String(); strings.Contains(log, "u-1") || strings.Contains(log, token) {
		t.Error("the log has the sub or the token")
	}
}

// TestSignedLogoutMeanwhile (ID-75): who signs out in the application between its token and the session has none.
func TestSignedLogoutMeanwhile(t *testing.T) {
	p, dir := newPortal(t, "portal"), newPortal(t, "dir")
	dir.Subject = claims.DirectoryLogin
	f := portalFixture(t, p, dir)
	ctx := context.Background()
	for _, c := range []struct {
		from *portal
		sub  string
		out  string
		want string
	}{
		{p, "u", "u", idp.ReasonSignedOut}, {p, "u", "w", "idp.GoOn"},
		{dir, "alice", "ALICE", idp.ReasonSignedOut}, {dir, "alice", "bob", "idp.GoOn"},
	} {
		a, err := f.LaunchToken(ctx, idp.TokenLaunch{Token: c.from.token(t, c.sub, nil), Origin: portalOrigin}, visitor(""))
		done(t, err)
		out := c.from.token(t, c.out, map[string]any{"typ": claims.TypeLogout})
		if _, bad, err := f.LogoutToken(ctx, out, visitor("")); bad != nil || err != nil {
			t.Fatalf("%v, %v", bad, err)
		}
		if a, _ = f.pageOf(t, a, visitor("b"+c.sub+c.out)); reasonOf(a) != c.want {
			t.Errorf("%s, and %s signs out: got %s, want %s", c.sub, c.out, reasonOf(a), c.want)
		}
	}
}

// TestOpenIDPassive (REQ-16): what comes back for a request with IsPassive is answered without a page, also where it is
// late, was used, or its source or person were revoked or signed out meanwhile.
func TestOpenIDPassive(t *testing.T) {
	for name, c := range map[string]struct {
		before func(o *workforce, f *fixture, r *idp.OpenIDReply)               // the answer comes
		after  func(o *workforce, f *fixture, r idp.OpenIDReply, v idp.Visitor) // and before its page
		twice  bool
		want   bool // an assertion
	}{
		"as it is": {want: true},
		"nobody is signed in there": {before: func(_ *workforce, _ *fixture, r *idp.OpenIDReply) {
			r.Reply = claims.Reply{Error: "login_required"}
		}},
		"late": {before: func(*workforce, *fixture, *idp.OpenIDReply) { now.Advance(10 * time.Minute) }},
		"its source is disabled": {before: func(o *workforce, f *fixture, _ *idp.OpenIDReply) {
			done(o.t, f.db.Sources().SetEnabled(context.Background(), o.Name, false,
				store.Event{Action: "source-disable", Outcome: "ok"}))
		}},
		"its code is refused": {before: func(o *workforce, _ *fixture, _ *idp.OpenIDReply) { o.refuse = true }},
		"another provider's": {before: func(_ *workforce, _ *fixture, r *idp.OpenIDReply) {
			r.Issuer = "https://evil.test"
		}},
		"its code was sent before": {before: func(o *workforce, f *fixture, r *idp.OpenIDReply) {
			o.refuse = true
		}, twice: true},
		"finished": {after: func(o *workforce, f *fixture, r idp.OpenIDReply, v idp.Visitor) {
			a, err := f.AnswerOpenID(context.Background(), r, v)
			if d := must[idp.Deliver](o.t, a, err); d.Assertion != "" {
				o.t.Error("an assertion by an answer that was used")
			}
		}, want: true},
		"its tokens are revoked": {after: func(o *workforce, f *fixture, _ idp.OpenIDReply, _ idp.Visitor) {
			done(o.t, f.db.Sources().Revoke(context.Background(), o.Name, store.Event{Action: "source-revoke", Outcome: "ok"}))
		}},
		"its sessions are revoked": {after: func(o *workforce, f *fixture, _ idp.OpenIDReply, _ idp.Visitor) {
			_, err := f.db.Sessions().EndPerson(context.Background(), store.PersonID(o.PersonID("u-1")),
				store.Event{Action: "sessions-end", Outcome: "ok"})
			done(o.t, err)
		}},
		"signed out there": {after: func(o *workforce, f *fixture, _ idp.OpenIDReply, _ idp.Visitor) {
			bad, err := f.LogoutOpenID(context.Background(), o.Name, o.out(map[string]any{"sid": "s-1"}), visitor(""))
			if bad != nil || err != nil {
				o.t.Error(bad, err)
			}
		}},
		"its page is opened late": {after: func(*workforce, *fixture, idp.OpenIDReply, idp.Visitor) {
			now.Advance(time.Minute)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newWorkforce(t)
			o.t = t
			f := newFixture(t, "rsa-2048", o.with)
			ctx := context.Background()
			leave, v, asked := f.askedAt(t, "b", `IsPassive="true"`)
			if !strings.Contains(leave.Address, "prompt=none") {
				t.Fatalf("leaves for %s", leave.Address)
			}
			r, v := o.sent(t, leave, v)
			if c.before != nil {
				c.before(o, f, &r)
			}
			a, err := f.AnswerOpenID(ctx, r, v)
			done(t, err)
			if c.twice {
				o.refuse = false
				a, err = f.AnswerOpenID(ctx, r, v)
				done(t, err)
			}
			if _, on := a.Page.(idp.GoOn); on {
				if c.after != nil && !c.want {
					c.after(o, f, r, v)
				}
				if a, v = f.pageOf(t, a, v); reasonOf(a) == "idp.GoOn" {
					a, v = f.pageOf(t, a, v)
				}
			}
			d := must[idp.Deliver](t, a, nil)
			if _, second := status(t, d); (d.Assertion != "") != c.want || !c.want && second != "NoPassive" {
				t.Errorf("assertion %q, status %s", d.Assertion, second)
			}
			if got := root(t, d).SelectAttrValue("InResponseTo", ""); got != asked.id {
				t.Errorf("InResponseTo %q, want %q", got, asked.id)
			}
			if c.after != nil && c.want {
				c.after(o, f, r, v)
			}
		})
	}
}

// TestOpenIDLogoutEverywhere: the page behind a sign-out everywhere offers the provider's own, without an ID token.
func TestOpenIDLogoutEverywhere(t *testing.T) {
	o := newWorkforce(t)
	f := newFixture(t, "rsa-2048", o.with)
	ctx := context.Background()
	for browser, logout := range map[string]bool{"asked for": true, "not asked for": false} {
		o.OpenID.Logout = logout
		r, v := o.begin(t, f, browser)
		a, v := f.answers(t, r, v)
		must[idp.Deliver](t, a, nil)
		a, err := f.LogoutEverywhere(ctx, v)
		on := must[idp.LogoutGoOn](t, a, err)
		v.Session = ""
		a, err = f.LogoutPage(ctx, on.Logout, v)
		if asks, left := a.Page.(idp.SigningOut); left {
			_, err = f.SkipLogout(ctx, on.Logout, asks.Step, v)
			done(t, err)
			a, err = f.LogoutPage(ctx, on.Logout, v)
		}
		want := ""
		if logout {
			want = o.Issuer + "/end?client_id=ssobridge&post_logout_redirect_uri=" + url.QueryEscape(publicURL+"/logout")
		}
		if over := must[idp.SignedOut](t, a, err); over.Elsewhere != want || over.ElsewhereName != o.Label {
			t.Errorf("%s: got %+v, want %s", browser, over, want)
		}
	}
}
