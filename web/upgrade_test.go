package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ID-29: a session of the version before is none here. While an upgrade goes on, its browser is sent back for the same
// page, which another replica may serve: a few times and no more, and to no other place.
func TestSessionOfTheVersionBefore(t *testing.T) {
	theirs := []string{"Cookie", "__Host-ssobridge_session=theirs"}
	start := func(t *testing.T) *rig {
		r := newRig(t, nil)
		r.idp.elsewhere = map[string]bool{"theirs": true}
		return r
	}
	t.Run("a page", func(t *testing.T) {
		r := start(t)
		for round := range 3 { // after the login page it counts anew
			for n := range 4 {
				resp := r.get("/launch/A07E1?x=1", theirs...)
				if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusTemporaryRedirect || to != r.srv.URL+
					"/launch/A07E1?x=1" {
					t.Fatalf("round %d, request %d: %d to %q", round, n, resp.StatusCode, to)
				}
			}
			if resp := r.get("/launch/A07E1?x=1", theirs...); resp.StatusCode != http.StatusSeeOther ||
				!strings.HasPrefix(resp.Header.Get("Location"), "/login?") {
				t.Fatalf("round %d: %d to %q, want the login page", round, resp.StatusCode, resp.Header.Get("Location"))
			}
		}
	})
	t.Run("a form goes on, a password is taken here", func(t *testing.T) {
		r := start(t)
		form := url.Values{"account": {"A07E1"}}
		if resp := r.do(http.MethodPost, "/login/account", form,
			theirs...); resp.StatusCode != http.StatusTemporaryRedirect ||
			resp.Header.Get("Location") != r.srv.URL+"/login/account" {
			t.Errorf("a form: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
		if resp := r.do(http.MethodPost, "/login/account", form, append(theirs, "Origin", "https://evil.example",
			"Sec-Fetch-Site", "cross-site")...); resp.StatusCode != http.StatusForbidden {
			t.Errorf("a form of another site: %d, want 403", resp.StatusCode)
		}
		for _, path := range []string{"/login", "/saml/sso", "/saml/slo"} {
			if resp := r.do(http.MethodPost, path, form, theirs...); resp.StatusCode == http.StatusTemporaryRedirect {
				t.Errorf("POST %s was sent on", path)
			}
		}
	})
	for name, c := range map[string]struct {
		path    string
		headers []string
	}{
		"another session":              {"/launch", []string{"Cookie", "__Host-ssobridge_session=ours"}},
		"no session":                   {"/launch", nil},
		"a fetch":                      {"/login/progress?s=a", append(theirs[:2:2], "Sec-Fetch-Mode", "cors")},
		"a health check":               {"/healthz", theirs},
		"the metadata":                 {"/saml/metadata", theirs},
		"no page":                      {"/nothing", theirs},
		"another host in the path":     {"//evil.example/launch", theirs},
		"a link to the page of a host": {"/\\evil.example/launch", theirs},
	} {
		t.Run(name, func(t *testing.T) {
			if resp := start(t).get(c.path, c.headers...); resp.StatusCode == http.StatusTemporaryRedirect {
				t.Errorf("%s was sent on to %s", c.path, resp.Header.Get("Location"))
			}
		})
	}
}
