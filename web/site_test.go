package web_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/store/storetest"
	"ssobridge/web"
)

// siteIdP tells which visitor a console's entry had.
type siteIdP struct {
	*consoleIdP
	visitor idp.Visitor
}

func (f *siteIdP) Administrator(ctx context.Context, v idp.Visitor) (idp.Administrator, bool, error) {
	f.visitor = v
	return f.consoleIdP.Administrator(ctx, v)
}

// sites are the handlers of a public address and of a console with its own, without a listener: the address is the
// test's to choose.
func sites(t *testing.T, public, console string) (f *siteIdP, pages, consolePages http.Handler) {
	t.Helper()
	db := storetest.Open(t)
	f = &siteIdP{consoleIdP: &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1", Login: "anna", Role: idp.Admin, Fresh: true}}}
	s, err := web.New(web.Options{
		IdP: f, PublicURL: public, CSRFKey: bytes.Repeat([]byte{7}, 32), Console: &web.Console{Store: db, PublicURL: console},
		Webhook: &web.Webhook{
			Secret: strings.Repeat("a", 32), APIKeys: []string{"key"}, Hint: func(context.Context, string, string) (bool, error) { return true, nil },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, s.Handler(), s.ConsoleHandler()
}

// ask serves one request; more are names and values of headers.
func ask(h http.Handler, method, address string, form url.Values, more ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, address, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Add(more[i], more[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ID-19: a console with an address of its own is served there alone, and nothing of the rest is: whatever the method.
func TestConsoleSite(t *testing.T) {
	const public = "https://sso.partner.test"
	for name, console := range map[string]string{"other port": "https://sso.partner.test:8444", "other host": "https://admin.partner.test"} {
		t.Run(name, func(t *testing.T) {
			f, pages, consolePages := sites(t, public, console)
			missing := ask(pages, http.MethodGet, public+"/nothing", nil)
			for _, route := range web.ConsoleRoutes() {
				path := strings.ReplaceAll(route.Path, ":", "")
				for _, method := range []string{route.Method, http.MethodHead, http.MethodOptions, http.MethodPut} {
					if w := ask(pages, method, public+path, nil, "Origin", public); w.Code != http.StatusNotFound || w.Header().Get("Allow") != "" {
						t.Errorf("%s %s at the public address: %d, want 404", method, path, w.Code)
					}
				}
			}
			for _, path := range []string{"/admin", "/admin/", "/admin/nothing"} {
				if w := ask(pages, http.MethodGet, public+path, nil); w.Code != http.StatusNotFound || w.Body.Len() != missing.Body.Len() {
					t.Errorf("%s at the public address: %d\n%s", path, w.Code, w.Body)
				}
			}
			if f.looked != 0 {
				t.Error("the public address asked who uses the console")
			}
			for path, want := range map[string]int{
				"/admin/audit": 200, "/admin": 303, "/": 303, "/admin/nothing": 404, "/healthz": 200, "/readyz": 200, "/logout": 200,
				"/login":         303, // it names no sign-in: a launch is begun at the public address alone
				"/saml/metadata": 404, "/saml/sso": 404, "/saml/slo": 404, "/launch": 404, "/launch/abc": 404, "/launch/sp": 404,
				"/login/progress": 404, "/login/account": 404, "/nothing": 404,
			} {
				w := ask(consolePages, http.MethodGet, console+path, nil)
				if w.Code != want {
					t.Errorf("%s at the console's address: %d, want %d\n%s", path, w.Code, want, w.Body)
				}
				if to := w.Header().Get("Location"); w.Code == 303 && to != "/admin/" {
					t.Errorf("%s at the console's address leads to %s", path, to)
				}
			}
			for _, path := range []string{"/saml/sso", "/saml/slo", "/webhooks/constant-contact", "/login/account"} {
				if w := ask(consolePages, http.MethodPost, console+path, url.Values{"a": {"b"}}, "Origin", console); w.Code != http.StatusNotFound {
					t.Errorf("POST %s at the console's address: %d, want 404", path, w.Code)
				}
			}
			// Each serves its own host alone, and takes forms of its own pages alone.
			if w := ask(pages, http.MethodGet, console+"/", nil); w.Code != http.StatusMisdirectedRequest {
				t.Errorf("the console's host at the public address: %d, want 421", w.Code)
			}
			if w := ask(consolePages, http.MethodGet, public+"/admin/audit", nil); w.Code != http.StatusMisdirectedRequest {
				t.Errorf("the public host at the console's address: %d, want 421", w.Code)
			}
			// 405: it is let in, and the path has no form.
			for origin, want := range map[string]int{console: http.StatusMethodNotAllowed, public: http.StatusForbidden, "https://evil.example": http.StatusForbidden} {
				from := map[bool]string{true: "same-origin", false: "same-site"}[origin == console]
				w := ask(consolePages, http.MethodPost, console+"/admin/fresh", url.Values{"once": {"a"}}, "Origin", origin, "Sec-Fetch-Site", from)
				if w.Code != want {
					t.Errorf("a form from %s at the console's address: %d, want %d", origin, w.Code, want)
				}
			}
			if w := ask(pages, http.MethodPost, public+"/logout", url.Values{"csrf": {"a"}}, "Origin", console, "Sec-Fetch-Site", "same-site"); w.Code != http.StatusForbidden {
				t.Errorf("a form from the console's address at the public one: %d, want 403", w.Code)
			}
			f.answer = &idp.Answer{Page: idp.Refusal{Reason: idp.ReasonUnknownSignIn, Status: http.StatusNotFound}}
			if w := ask(consolePages, http.MethodGet, console+"/login?s=gone", nil); !strings.Contains(w.Body.String(), `href="/admin/"`) || strings.Contains(w.Body.String(), "/launch") {
				t.Errorf("a sign-in that is over at the console's address leads to\n%s", w.Body)
			}
		})
	}
}

// ID-19: with another port browsers have the same cookies, and a session is one for both. With another host it is
// none there, even for somebody who carries both cookies over.
func TestConsoleSiteBrowsers(t *testing.T) {
	const public = "https://sso.partner.test"
	token := strings.Repeat("A", 43)
	cookies := []string{"Cookie", "__Host-ssobridge_session=session; __Host-ssobridge_browser=" + token}
	for console, same := range map[string]bool{"": true, "https://sso.partner.test:8444": true, "https://admin.partner.test": false, "https://admin.partner.test:8444": false} {
		f, pages, consolePages := sites(t, public, console)
		if console == "" {
			if consolePages != nil {
				t.Error("a handler of the console without an address of its own")
			}
			ask(pages, http.MethodGet, public+"/admin/audit", nil, cookies...)
		} else {
			ask(consolePages, http.MethodGet, console+"/admin/audit", nil, cookies...)
		}
		if got := f.visitor.Browser == token; got != same || f.visitor.Browser == "" || f.visitor.Session != "session" {
			t.Errorf("%q: the visitor's browser is %q", console, f.visitor.Browser)
		}
		if f.visitor.NoConsole || f.visitor.ConsoleSite != (console != "") {
			t.Errorf("%q: visitor %+v", console, f.visitor)
		}
		if console == "" {
			continue
		}
		ask(pages, http.MethodGet, public+"/", nil, cookies...)
		if v := f.calls[len(f.calls)-1].visitor; !v.NoConsole || v.ConsoleSite || v.Browser != token {
			t.Errorf("%q, at the public address: visitor %+v", console, v)
		}
	}
}

func TestConsoleSiteRefusals(t *testing.T) {
	for name, c := range map[string][2]string{
		"the public one":                    {"https://sso.partner.test", "https://SSO.partner.test:443/"},
		"another scheme":                    {"https://sso.partner.test", "http://localhost:8444"},
		"with a path":                       {"https://sso.partner.test", "https://sso.partner.test:8444/admin"},
		"http for others":                   {"http://localhost:8080", "http://admin.partner.test"},
		"http for others, by a subtle name": {"http://localhost:8080", "http://localhost.partner.test"},
	} {
		_, err := web.New(web.Options{
			IdP: &consoleIdP{fakeIdP: newFakeIdP()}, PublicURL: c[0], CSRFKey: bytes.Repeat([]byte{7}, 32), Console: &web.Console{PublicURL: c[1]},
		})
		if err == nil {
			t.Errorf("%s: %s beside %s is taken", name, c[1], c[0])
		}
	}
}
