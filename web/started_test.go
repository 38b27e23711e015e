package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/web"
)

const startPrefix = "__Host-ssobridge_start_"

func sealedAs(id string, size int) string { return id + "." + strings.Repeat("A", size) }

func (r *rig) answers(page idp.Page) { r.idp.answer = &idp.Answer{Page: page} }

// startCookies are those that the browser has now, by the sign-in's id, and the length of all our cookies in a header.
func (r *rig) startCookies(t testing.TB) (all map[string]string, length int) {
	t.Helper()
	u, err := url.Parse(r.srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	all = map[string]string{}
	for _, c := range r.client.Jar.Cookies(u) {
		length += len(c.Name) + len(c.Value) + 3
		if id, ok := strings.CutPrefix(c.Name, startPrefix); ok {
			all[id] = c.Value
		}
	}
	return all, length
}

// Rows ID-10 and WEB-03: a short started sign-in has an address of its own, and its text never stands in one.
func TestStartedByCookie(t *testing.T) {
	r := newRig(t, nil)
	handle := sealedAs("one", 500)
	r.answers(idp.GoOn{SignIn: handle, Own: "own-token"})
	resp := r.do(http.MethodPost, "/saml/sso", url.Values{"SAMLRequest": {"x"}}, "Sec-Fetch-Site", "cross-site")
	if resp.Header.Get("Location") != "/login?t=one" {
		t.Fatalf("Location %q", resp.Header.Get("Location"))
	}
	for _, c := range resp.Cookies() {
		if !strings.HasPrefix(c.Name, startPrefix) || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode ||
			c.Path != "/" || c.MaxAge != 120 {
			t.Errorf("cookie %+v", c)
		}
	}
	again := sealedAs("one", 510)
	r.answers(idp.AskPassword{SignIn: again, Provider: "Wiki", CanCancel: true})
	for i := range 3 { // reload
		resp = r.follow(resp)
		wantStatus(t, resp, http.StatusOK)
		want, own := handle, "own-token"
		if i > 0 {
			want, own = again, "" // bound to the browser's own cookie since its first page
		}
		if c := r.idp.last(t); c.name != "Resume" || c.id != want || c.visitor.Own != own || c.visitor.Browser == "" {
			t.Errorf("reload %d: %+v", i, c)
		}
		if f := resp.fill(t, "/login"); f.Get("s") != again || f.Get("csrf") == "" {
			t.Errorf("form %v", f)
		}
		resp.StatusCode, resp.Header = http.StatusSeeOther, http.Header{"Location": {"/login?t=one"}}
	}
	f := r.follow(resp).fill(t, "/login", "login", "anna", "password", "right")
	r.answers(idp.GoOn{SignIn: "one"})
	resp = r.do(http.MethodPost, "/login", f)
	if c := r.idp.last(t); c.name != "Login" || c.id != again || resp.Header.Get("Location") != "/login?s=one" {
		t.Errorf("%+v leads to %s", c, resp.Header.Get("Location"))
	}
	if all, _ := r.startCookies(t); len(all) != 0 {
		t.Errorf("stored by now, and the browser keeps %v", all)
	}
	// Its former address leads to what is stored.
	r.get("/login?t=one")
	if c := r.idp.last(t); c.name != "Resume" || c.id != "one" {
		t.Errorf("%+v", c)
	}
	for _, path := range []string{"/login?t=", "/login?t=a.b", "/login?t=one&s=one", "/login?s=" + handle,
		"/login/progress?s=" + handle, "/login?t=" + strings.Repeat("a", 129)} {
		before := r.idp.count()
		if resp := r.get(path); resp.StatusCode != http.StatusBadRequest || r.idp.count() != before {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
	if strings.Contains(r.logged(), "AAAA") {
		t.Error("the sealed text stands in the log")
	}
}

// Row ID-10: a long started sign-in stands in the form of each page; one form leads to the first.
func TestStartedByForm(t *testing.T) {
	r := newRig(t, nil)
	handle := sealedAs("long", 12000)
	r.answers(idp.GoOn{SignIn: handle, Own: "own-token"})
	resp := r.do(http.MethodPost, "/saml/sso", url.Values{"SAMLRequest": {"x"}}, "Sec-Fetch-Site", "cross-site")
	wantStatus(t, resp, http.StatusOK)
	f := resp.fill(t, "/login/start")
	if f.Get("s") != handle || len(resp.page(t).all("button", "type", "submit")) != 1 ||
		!strings.Contains(resp.Header.Get("Content-Security-Policy"), "form-action 'self'") {
		t.Errorf("form %v", f)
	}
	if all, length := r.startCookies(t); len(all) != 1 || length > 300 {
		t.Errorf("cookies %v", all)
	}
	r.answers(idp.AskPassword{SignIn: sealedAs("long", 12010), Provider: "Wiki"})
	for range 2 { // and a reload, which sends the form again
		page := r.do(http.MethodPost, "/login/start", f, "Sec-Fetch-Site", "same-origin")
		wantStatus(t, page, http.StatusOK)
		if c := r.idp.last(t); c.name != "Resume" || c.id != handle || c.visitor.Own != "own-token" {
			t.Errorf("%+v", c)
		}
		if got := page.fill(t, "/login").Get("s"); got != sealedAs("long", 12010) {
			t.Errorf("the login form has %.40q", got)
		}
	}
	// Another site's page can't send it, nor one in a frame.
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"},
		{"Sec-Fetch-Dest", "iframe"}} {
		before := r.idp.count()
		if resp := r.do(http.MethodPost, "/login/start", f, headers...); resp.StatusCode != http.StatusForbidden ||
			r.idp.count() != before {
			t.Errorf("%v: status %d", headers, resp.StatusCode)
		}
	}
	// Trying again goes by the form, too: there is no address.
	r.answers(idp.Refusal{SignIn: handle, Provider: "Wiki", Reason: idp.ReasonDirectoryDown, Status: 503, Retry: true,
		CanCancel: true})
	resp = r.do(http.MethodPost, "/login/start", f)
	if again := resp.fill(t, "/login/start"); again.Get("s") != handle ||
		resp.fill(t, "/login/cancel").Get("s") != handle {
		t.Errorf("again with %v", again)
	}
}

// Row ID-10: all cookies of ours together stay below 6 KB; the oldest go first.
func TestStartedCookiesAreBounded(t *testing.T) {
	at := now
	r := newRig(t, func(o *web.Options) { o.Now = func() time.Time { return at } })
	for i := range 12 {
		at = at.Add(time.Second)
		id := fmt.Sprint("tab", i)
		r.answers(idp.GoOn{SignIn: sealedAs(id, 600)})
		wantStatus(t, r.get("/saml/sso?SAMLRequest=x"), http.StatusSeeOther)
		all, length := r.startCookies(t)
		if length > 6000 || all[id] == "" {
			t.Fatalf("%d bytes in %d cookies, newest there: %t", length, len(all), all[id] != "")
		}
	}
	all, _ := r.startCookies(t)
	for i := range 12 {
		if _, there := all[fmt.Sprint("tab", i)]; there != (i >= 12-len(all)) || len(all) < 6 {
			t.Errorf("tab %d: kept %t of %d", i, there, len(all))
		}
	}
	// Other sites filled the browser without our seeing it: the next page drops them.
	u, _ := url.Parse(r.srv.URL)
	for i := range 20 {
		r.client.Jar.SetCookies(u, []*http.Cookie{{Name: startPrefix + fmt.Sprint("x", i), Value: "!" + strings.Repeat("x",
			700), Path: "/", Secure: true}})
	}
	for range 4 {
		r.get("/saml/sso?SAMLRequest=x")
	}
	if all, length := r.startCookies(t); length > 6000 || all["tab11"] == "" {
		t.Errorf("%d bytes in %d cookies", length, len(all))
	}
}

// Row ID-12 (and WEB-09): what is no top-level navigation is refused before anything of it is read.
func TestSSOIsATopLevelNavigation(t *testing.T) {
	for name, headers := range map[string][]string{
		"fetch": {"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"}, "image": {"Sec-Fetch-Mode", "no-cors",
			"Sec-Fetch-Dest", "image"},
		"frame": {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, "cors": {"Sec-Fetch-Mode", "cors"},
	} {
		r := newRig(t, nil)
		for _, resp := range []response{
			r.get("/saml/sso?SAMLRequest=x", headers...), r.do(http.MethodPost, "/saml/sso",
				url.Values{"SAMLRequest": {"x"}}, headers...),
		} {
			if resp.StatusCode != http.StatusForbidden || r.idp.count() != 0 || len(resp.Cookies()) != 0 {
				t.Errorf("%s: status %d, %d calls, cookies %v", name, resp.StatusCode, r.idp.count(), resp.Cookies())
			}
		}
	}
}
