package idp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
)

// openIDSource is a source with an OpenID provider that says token to each code.
func openIDSource(t testing.TB, name string, token http.HandlerFunc) idp.Source {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%[1]q,"authorization_endpoint":"%[2]s/auth","token_endpoint":"%[2]s/token",
"jwks_uri":"%[2]s/jwks"}`, server.URL, server.URL)
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}`)
	})
	mux.HandleFunc("/token", token)
	return idp.Source{Source: &claims.Source{Name: name, Issuer: server.URL, Subject: claims.Own, MaxStale: time.Hour,
		OpenID: &claims.OpenID{ClientID: "ssobridge", ClientSecret: "secret", Redirect: publicURL + "/oidc/" + name +
			"/callback", Scopes: []string{"openid"}, Identity: "sub",
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}
}

// TestOpenIDSlots: a provider that hangs, and those who send it code after code, each by a request of its own, hold
// up nobody of another provider.
func TestOpenIDSlots(t *testing.T) {
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	hangs := openIDSource(t, "hangs", func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	quick := openIDSource(t, "quick", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant"}`)
	})
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Sources = []idp.Source{hangs, quick}
		keys := claims.NewKeys(claims.KeysOptions{Now: now.Now, AllowLoopbackHTTP: true})
		o.SourceKeys, o.OpenID = keys, claims.NewClient(keys)
	})
	ctx := context.Background()
	begin := func(source, browser string) (idp.OpenIDReply, idp.Visitor) {
		a, err := f.Launch(ctx, idp.LaunchRequest{Source: source}, visitor(browser))
		leave := must[idp.LeaveFor](t, a, err)
		u, err := url.Parse(leave.Address)
		if err != nil || !strings.Contains(leave.Address, "/auth?") {
			t.Fatalf("leaves for %s, %v", leave.Address, err)
		}
		return idp.OpenIDReply{Source: source, State: u.Query().Get("state"), Reply: claims.Reply{Code: "made-up"}},
			keeps(visitor(browser), leave.SignIn)
	}
	ended := make(chan error, 32)
	for range cap(ended) {
		reply, v := begin("hangs", "b")
		go func() {
			_, err := f.AnswerOpenID(ctx, reply, v)
			ended <- err
		}()
	}
	for range cap(ended) {
		<-arrived
	}
	reply, v := begin("quick", "c")
	began := time.Now()
	a, err := f.AnswerOpenID(ctx, reply, v)
	if took := time.Since(began); err != nil || reasonOf(a) != claims.ReasonCode || took > 4*time.Second {
		t.Errorf("another provider: %s, %v after %s", reasonOf(a), err, took)
	}
	close(release)
	for range cap(ended) {
		done(t, <-ended)
	}
}
