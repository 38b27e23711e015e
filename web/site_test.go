package web_test

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
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
	f = &siteIdP{consoleIdP: &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1",
		Login: "anna", Role: idp.Admin, Fresh: true}}}
	s, err := web.New(web.Options{
		IdP: f, PublicURL: public, CSRFKey: bytes.Repeat([]byte{7}, 32), Console: consoleOver(db, console),
		Webhook: &web.Webhook{
			Secret: strings.Repeat("a", 32), APIKeys: []string{"key"}, Hint: func(context.Context, string, string) (bool,
				error) {
				return true, nil
			},
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
	for name, console := range map[string]string{"other port": "https://sso.partner.test:8444",
		"other host": "https://admin.partner.test"} {
		t.Run(name, func(t *testing.T) {
			f, pages, consolePages := sites(t, public, console)
			missing := ask(pages, http.MethodGet, public+"/nothing", nil)
			for _, route := range consoleRoutes {
				path := strings.ReplaceAll(route.Path, ":", "")
				for _, method := range []string{route.Method, http.MethodHead, http.MethodOptions, http.MethodPut} {
					if w := ask(pages, method, public+path, nil, "Origin", public); w.Code != http.StatusNotFound ||
						w.Header().Get("Allow") != "" {
						t.Errorf("%s %s at the public address: %d, want 404", method, path, w.Code)
					}
				}
			}
			for _, path := range []string{"/admin", "/admin/", "/admin/nothing"} {
				if w := ask(pages, http.MethodGet, public+path, nil); w.Code != http.StatusNotFound ||
					w.Body.Len() != missing.Body.Len() {
					t.Errorf("%s at the public address: %d\n%s", path, w.Code, w.Body)
				}
			}
			if f.looked != 0 {
				t.Error("the public address asked who uses the console")
			}
			for path, want := range map[string]int{
				"/admin/audit": 200, "/admin": 303, "/": 303, "/admin/nothing": 404, "/healthz": 200, "/readyz": 200,
				"/logout":        200,
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
				if w := ask(consolePages, http.MethodPost, console+path, url.Values{"a": {"b"}}, "Origin",
					console); w.Code != http.StatusNotFound {
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
			for origin, want := range map[string]int{console: http.StatusMethodNotAllowed, public: http.StatusForbidden,
				"https://evil.example": http.StatusForbidden} {
				from := map[bool]string{true: "same-origin", false: "same-site"}[origin == console]
				w := ask(consolePages, http.MethodPost, console+"/admin/fresh", url.Values{"once": {"a"}}, "Origin", origin,
					"Sec-Fetch-Site", from)
				if w.Code != want {
					t.Errorf("a form from %s at the console's address: %d, want %d", origin, w.Code, want)
				}
			}
			if w := ask(pages, http.MethodPost, public+"/logout", url.Values{"csrf": {"a"}}, "Origin", console, "Sec-Fetch-Site",
				"same-site"); w.Code != http.StatusForbidden {
				t.Errorf("a form from the console's address at the public one: %d, want 403", w.Code)
			}
			f.answer = &idp.Answer{Page: idp.Refusal{Reason: idp.ReasonUnknownSignIn, Status: http.StatusNotFound}}
			if w := ask(consolePages, http.MethodGet, console+"/login?s=gone", nil); !strings.Contains(w.Body.String(),
				`href="/admin/"`) || strings.Contains(w.Body.String(), "/launch") {
				t.Errorf("a sign-in that is over at the console's address leads to\n%s", w.Body)
			}
		})
	}
}

// ID-34: from elsewhere than the networks of the console, its own address serves nothing: no login page, no page of a
// person's own, and no method of any path. Only whoever watches the replica gets its health.
func TestConsoleSiteAllowFrom(t *testing.T) {
	const public, console = "https://sso.partner.test", "https://sso.partner.test:8444"
	db := storetest.Open(t)
	f := &siteIdP{consoleIdP: &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1",
		Login: "anna", Role: idp.Admin, Fresh: true}}}
	s, err := web.New(web.Options{
		IdP: f, PublicURL: public, CSRFKey: bytes.Repeat([]byte{7}, 32), Logger: slog.New(slog.DiscardHandler),
		Console: consoleOver(db, console, "10.20.0.0/16"),
	})
	if err != nil {
		t.Fatal(err)
	}
	from := func(h http.Handler, client, method, address string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, address, nil)
		r.RemoteAddr = client + ":4711"
		r.Header.Set("Origin", console)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const inside, outside = "10.20.1.1", "192.0.2.7"
	missing := from(s.ConsoleHandler(), outside, http.MethodGet, console+"/nothing")
	if missing.Code != http.StatusNotFound {
		t.Fatalf("a page that does not exist: %d", missing.Code)
	}
	for _, path := range append(web.OwnOfConsole(), "/admin/", "/admin/audit", "/saml/sso") {
		path = strings.ReplaceAll(path, ":", "")
		watched := path == "/healthz" || path == "/readyz"
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions,
			http.MethodPut} {
			w := from(s.ConsoleHandler(), outside, method, console+path)
			if watched && (method == http.MethodGet || method == http.MethodHead) {
				if w.Code != http.StatusOK {
					t.Errorf("%s %s from outside: %d, want 200", method, path, w.Code)
				}
				continue
			}
			if !watched && (w.Code != http.StatusNotFound || w.Header().Get("Allow") != "" ||
				w.Header().Get("Set-Cookie") != "") {
				t.Errorf("%s %s from outside: %d %v, want 404 and nothing else", method, path, w.Code, w.Header())
			}
			if !watched && method == http.MethodGet && w.Body.Len() != missing.Body.Len() {
				t.Errorf("%s from outside differs from a page that does not exist:\n%s", path, w.Body)
			}
		}
	}
	if f.looked+len(f.entered) != 0 {
		t.Error("the identity provider was asked")
	}
	for path, want := range map[string]int{"/": http.StatusSeeOther, "/login": http.StatusSeeOther,
		"/logout": http.StatusOK, "/admin/audit": http.StatusOK, "/nothing": http.StatusNotFound} {
		if w := from(s.ConsoleHandler(), inside, http.MethodGet, console+path); w.Code != want {
			t.Errorf("%s from inside: %d, want %d", path, w.Code, want)
		}
	}
	// The public address is everybody's.
	if w := from(s.Handler(), outside, http.MethodGet, public+"/logout"); w.Code != http.StatusOK {
		t.Errorf("/logout at the public address: %d, want 200", w.Code)
	}
	events, err := db.Audit().List(t.Context(), store.Filter{Action: "console-refusal"})
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, %v; want 1", len(events), err)
	}
}

// ID-35: whoever is refused from elsewhere gets the answer to a page that does not exist also while the audit can't be
// written. The requests are counted when it can be again.
func TestConsoleAllowFromWithoutAudit(t *testing.T) {
	const public = "https://sso.partner.test"
	file := filepath.Join(t.TempDir(), "store.db")
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + file, Voucher: storetest.Voucher("key")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	raw, err := sql.Open("sqlite3", file)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	rename := func(from, to string) {
		t.Helper()
		if _, err := raw.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	at := now
	s, err := web.New(web.Options{
		IdP: &consoleIdP{fakeIdP: newFakeIdP()}, PublicURL: public, CSRFKey: bytes.Repeat([]byte{7}, 32),
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
		Now:     func() time.Time { return at },
		Console: consoleOver(db, "", "10.20.0.0/16"),
	})
	if err != nil {
		t.Fatal(err)
	}
	missing := ask(s.Handler(), http.MethodGet, public+"/nothing", nil)
	refused := func() {
		t.Helper()
		if w := ask(s.Handler(), http.MethodGet, public+"/admin/", nil); w.Code != http.StatusNotFound ||
			w.Body.Len() != missing.Body.Len() {
			t.Errorf("%d, want 404 as a page that does not exist:\n%s", w.Code, w.Body)
		}
	}
	rename("audit_events", "gone")
	refused()
	if !strings.Contains(log.String(), "record a refusal of the console") {
		t.Errorf("the log does not say that the audit was not written:\n%s", &log)
	}
	refused()
	rename("gone", "audit_events")
	at = at.Add(time.Minute)
	refused()
	events, err := db.Audit().List(t.Context(), store.Filter{Action: "console-refusal"})
	if err != nil || len(events) != 1 || string(events[0].Detail) != `{"requests":3}` {
		t.Errorf("events %+v, %v; want one of 3 requests", events, err)
	}
}

// ID-19: with another port browsers have the same cookies, and a session is one for both. With another host it is
// none there, even for somebody who carries both cookies over.
func TestConsoleSiteBrowsers(t *testing.T) {
	const public = "https://sso.partner.test"
	token := strings.Repeat("A", 43)
	cookies := []string{"Cookie", "__Host-ssobridge_session=session; __Host-ssobridge_browser=" + token}
	for console, same := range map[string]bool{"": true, "https://sso.partner.test:8444": true,
		"https://admin.partner.test": false, "https://admin.partner.test:8444": false} {
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
	db := storetest.Open(t)
	for name, c := range map[string][2]string{
		"the public one":                    {"https://sso.partner.test", "https://SSO.partner.test:443/"},
		"another scheme":                    {"https://sso.partner.test", "http://localhost:8444"},
		"with a path":                       {"https://sso.partner.test", "https://sso.partner.test:8444/admin"},
		"http for others":                   {"http://localhost:8080", "http://admin.partner.test"},
		"http for others, by a subtle name": {"http://localhost:8080", "http://localhost.partner.test"},
	} {
		_, err := web.New(web.Options{
			IdP: &consoleIdP{fakeIdP: newFakeIdP()}, PublicURL: c[0], CSRFKey: bytes.Repeat([]byte{7}, 32),
			Console: consoleOver(db, c[1]),
		})
		if err == nil || !strings.Contains(err.Error(), "the console's own address") {
			t.Errorf("%s: %s beside %s: %v, want it refused", name, c[1], c[0], err)
		}
	}
}
