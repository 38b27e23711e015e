package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/idp/claims"
)

// TestOpenIDCallback: what a provider's answer says goes to idp with the browser's cookies, each parameter once, as a
// navigation alone. What else stands in the address goes nowhere.
func TestOpenIDCallback(t *testing.T) {
	r := newRig(t, nil)
	r.do(http.MethodGet, "/login", nil) // the browser's cookie
	q := url.Values{"state": {"s1"}, "code": {"c1"}, "iss": {"https://id.example.com"},
		"error_description": {"<b>call 555-1234</b>"}}
	res := r.do(http.MethodGet, "/oidc/workforce/callback?"+q.Encode(), nil)
	got := r.idp.last(t)
	want := idp.OpenIDReply{Source: "workforce", State: "s1", Reply: claims.Reply{Code: "c1",
		Issuer: "https://id.example.com"}}
	if got.name != "AnswerOpenID" || got.reply != want {
		t.Errorf("idp was asked %+v", got)
	}
	if strings.Contains(res.body, "555-1234") {
		t.Error("the page shows what stands in the address")
	}
	before := len(r.idp.calls)
	for name, c := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"two states": {"/oidc/workforce/callback?state=a&state=b", nil, 400},
		"two codes":  {"/oidc/workforce/callback?state=a&code=b&code=c", nil, 400},
		"in a frame": {"/oidc/workforce/callback?state=a",
			[]string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		"by a script": {"/oidc/workforce/callback?state=a",
			[]string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, 403},
		"no source": {"/oidc/Work%20Force/callback?state=a", nil, 404},
	} {
		if res := r.do(http.MethodGet, c.path, nil, c.headers...); res.StatusCode != c.status || len(r.idp.calls) != before {
			t.Errorf("%s: status %d, want %d", name, res.StatusCode, c.status)
		}
	}
	// A form post would come without our cookies, and is none of what was asked for.
	if res := r.do(http.MethodPost, "/oidc/workforce/callback", q); res.StatusCode != http.StatusMethodNotAllowed ||
		len(r.idp.calls) != before {
		t.Errorf("a posted answer: status %d", res.StatusCode)
	}
}

// TestOpenIDLogout: it needs no cookie and tells nothing (Back-Channel Logout 1.0 section 2.8).
func TestOpenIDLogout(t *testing.T) {
	r := newRig(t, nil)
	res := r.do(http.MethodPost, "/oidc/workforce/logout", url.Values{"logout_token": {"good"}})
	if res.StatusCode != http.StatusOK || res.body != "" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %q", res.StatusCode, res.body)
	}
	if got := r.idp.last(t); got.name != "LogoutOpenID" || got.way != "workforce" || got.body != "good" {
		t.Errorf("idp was asked %+v", got)
	}
	res = r.do(http.MethodPost, "/oidc/workforce/logout", url.Values{"logout_token": {"bad"}})
	if res.StatusCode != 400 || !strings.Contains(res.body, `"error_description":"launch_form"`) {
		t.Errorf("got %d %q", res.StatusCode, res.body)
	}
	if res := r.do(http.MethodPost, "/oidc/workforce/logout",
		url.Values{"logout_token": {strings.Repeat("a", 50<<10)}}); res.StatusCode != 413 {
		t.Errorf("a large one: %d", res.StatusCode)
	}
}
