package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/web/admin"
)

// Every route without a token, with one that was mistyped or revoked, of other networks, with every scope but its own,
// and confined to client accounts; with cookies, from another site, and by another method. WEB-08, REST-07
func TestAPIAdmission(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	nobody := &caller{t: t, url: w.url, doc: apiDocument(t)}
	revoked := w.caller(t, allScopes())
	w.command(t, "tokens", "revoke", revoked.id)
	elsewhere := w.caller(t, allScopes(), "--from", "192.0.2.0/24")
	confined := w.caller(t, "accounts:read,mappings:read,users:read,users:write,tasks:write", "--account", books)
	mistyped := *nobody
	mistyped.token = elsewhere.token[:30] + strings.Repeat("a", 4) + elsewhere.token[34:]
	withScope := map[string]*caller{}
	for _, s := range admin.TokenScopes() {
		if !s.Privileged {
			withScope[s.Name] = w.caller(t, s.Name)
		}
	}
	for _, route := range nobody.routes() {
		name := route.id
		call := func(p *caller, headers ...string) reply {
			p.t = t
			return p.call(route.method, route.path, nil, headers...)
		}
		nobody.refused(name+" without a token", call(nobody), http.StatusUnauthorized, "no_token")
		nobody.refused(name+" with a cookie", call(nobody, "Cookie", "token="+elsewhere.token), 401, "no_token")
		nobody.refused(name+" by Basic", call(nobody, "Authorization", "Basic "+elsewhere.token), 401, "no_token")
		nobody.refused(name+" mistyped", call(&mistyped), http.StatusUnauthorized, "unknown_token")
		nobody.refused(name+" revoked", call(revoked), http.StatusUnauthorized, "unknown_token")
		nobody.refused(name+" from elsewhere", call(elsewhere), http.StatusForbidden, "network")
		nobody.refused(name+" said to be from there", call(elsewhere, "X-Forwarded-For", "192.0.2.7"), 403, "network")
		for scope, p := range withScope {
			if scope != route.scope {
				nobody.refused(name+" with "+scope, call(p), http.StatusForbidden, "scope")
			}
		}
		if scope, _ := admin.FindTokenScope(route.scope); !scope.Confinable {
			nobody.refused(name+" confined", call(confined), http.StatusForbidden, "scope")
		}
		// Another site can't have a browser send the header, and learns nothing by asking before.
		r := call(nobody, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		nobody.refused(name+" from another site", r, http.StatusUnauthorized, "no_token")
		if pre, err := nobody.try(http.MethodOptions, route.path, nil, "Origin", "https://evil.example",
			"Access-Control-Request-Method", route.method); err != nil || pre.status < 400 ||
			pre.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s asked before: %d %v, %v", name, pre.status, pre.header, err)
		}
		if p := withScope[route.scope]; p != nil {
			if r := call(p); r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
				t.Errorf("%s with its own scope: %d %s", name, r.status, r.body)
			}
		}
	}
	if r := nobody.call(http.MethodGet, "/nothing", nil); r.status != http.StatusNotFound {
		t.Errorf("no such path: %d", r.status)
	}
	if r := nobody.call(http.MethodPut, "/accounts", nil); r.status != http.StatusMethodNotAllowed ||
		r.header.Get("Allow") == "" {
		t.Errorf("no such method: %d %v", r.status, r.header)
	}
	if strings.Contains(w.out.String(), "ssob_") {
		t.Error("the log has a token")
	}
	// Without api.enabled there is nothing.
	off := newWorld(t, setting{})
	nobody.url = off.url
	if r, err := nobody.try(http.MethodGet, "/status", nil); err != nil || r.status != http.StatusNotFound ||
		strings.Contains(string(r.body), "token") {
		t.Errorf("switched off: %d, %v", r.status, err)
	}
}
