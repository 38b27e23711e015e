package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/provisioning"
)

// The language is what the browser asks for, as far as there is one, and no header
// breaks a page.
func TestLanguageOfAPage(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: "Constant Contact"}}
	for _, c := range []struct{ name, header, want string }{
		{"none", "", "en"},
		{"Spanish", "es", "es"},
		{"of a country", "es-MX,es;q=0.9,en;q=0.8", "es"},
		{"English first", "en-US,en;q=0.9,es;q=0.5", "en"},
		{"Spanish before English", "de;q=0.9,es;q=0.8,en;q=0.7", "es"},
		{"no language of ours", "fi,ja;q=0.5", "en"},
		{"anything", "*", "en"},
		{"not that one", "es;q=0,en", "en"},
		{"garbage", "<script>;;;q=x,,", "en"},
		{"too long to be read", strings.Repeat("es,", 400), "en"},
		{"64 KiB", strings.Repeat("es,", 64<<10/3), "en"},
		{"a weight of 30,000 digits", "es;q=" + strings.Repeat("0", 30_000), "en"},
		{"only not that one", "es;q=0", "en"},
		{"French of Canada", "fr-CA,fr;q=0.8", "fr-CA"},
		{"French of France", "fr-FR,en;q=0.5", "fr-CA"},
		{"bytes that are no text", "es\xff", "en"},
		{"a weight out of range", "es;q=99", "es"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.header != "" {
				headers = []string{"Accept-Language", c.header}
			}
			resp := r.get("/login?s=one", headers...)
			page := resp.page(t)
			title := map[string]string{"en": "Sign in", "es": "Iniciar sesión", "fr-CA": "Connexion"}[c.want]
			if got := page.one(t, "html").attr("lang"); got != c.want || page.one(t, "h1").text() != title ||
				resp.Header.Get("Content-Language") != c.want {
				t.Errorf("lang %q, heading %q, want %s", got, page.one(t, "h1").text(), c.want)
			}
		})
	}
	// What the waiting page's script shows, and an error page, too.
	r.idp.progress = provisioning.Progress{Since: now, Place: 1, Cause: "queued"}
	if got := r.get("/login/progress?s=one", "Accept-Language", "es").body; !strings.Contains(got,
		"Usted es la siguiente persona") {
		t.Errorf("progress in Spanish: %s", got)
	}
	if got := r.get("/nothing-here", "Accept-Language", "es").page(t).one(t, "h1").text(); got != "No existe esa página" {
		t.Errorf("an error page in Spanish: %q", got)
	}
}

const languageRoute = "/language"

const languageCookie = "__Host-ssobridge_language"

// The switch remembers a language in the browser, shows the same page in it, and leads nowhere that its form names.
func TestLanguageIsChosenOnThePage(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: "Constant Contact"}}
	page := r.get("/login?s=one", "Accept-Language", "es").page(t)
	var names []string
	for _, b := range page.all("button", "name", "language") {
		names = append(names, b.text()+" "+b.attr("lang")+" "+b.attr("aria-current"))
	}
	if got := strings.Join(names, ","); got != "English en ,Español es true,Français (Canada) fr-CA " {
		t.Errorf("the switch offers %q", got)
	}
	choose := func(fields url.Values, headers ...string) response {
		t.Helper()
		return r.do(http.MethodPost, languageRoute, fields, headers...)
	}
	resp := choose(url.Values{"language": {"fr-CA"}, "s": {"one"}})
	wantStatus(t, resp, http.StatusSeeOther)
	if got := resp.Header.Get("Location"); got != "/login?s=one" {
		t.Errorf("leads to %q", got)
	}
	if k := resp.cookie(languageCookie); k == nil || k.Value != "fr-CA" || !k.Secure || !k.HttpOnly || k.MaxAge < 1 {
		t.Errorf("the cookie is %v", k)
	}
	// What was chosen goes before what the browser asks for, and a cookie of no language is none.
	other := newRig(t, nil)
	other.idp.answer = r.idp.answer
	for value, want := range map[string]string{"fr-CA": "fr-CA", "es": "es", "fr": "en", "<script>": "en"} {
		resp := other.get("/login?s=one", "Accept-Language", "en", "Cookie", languageCookie+"="+value)
		if got := resp.page(t).one(t, "html").attr("lang"); got != want {
			t.Errorf("with the cookie %q the page is in %q, want %q", value, got, want)
		}
	}
	for place, want := range map[string]string{"/sessions": "/sessions", "/logout": "/logout", "": "/",
		"//evil.example": "/", "https://evil.example/": "/", "/launch": "/", "/sessions?x=1": "/"} {
		resp := choose(url.Values{"language": {"es"}, "place": {place}})
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("the place %q leads to %q, want %q", place, got, want)
		}
	}
	for name, c := range map[string]struct {
		fields url.Values
		status int
	}{
		"no language":       {url.Values{"s": {"one"}}, http.StatusBadRequest},
		"one that isn't":    {url.Values{"language": {"de"}}, http.StatusBadRequest},
		"twice":             {url.Values{"language": {"es", "en"}}, http.StatusBadRequest},
		"a sign-in of junk": {url.Values{"language": {"es"}, "s": {"../x"}}, http.StatusBadRequest},
	} {
		resp := choose(c.fields)
		if resp.StatusCode != c.status || resp.cookie(languageCookie) != nil {
			t.Errorf("%s: status %d, cookie %v", name, resp.StatusCode, resp.cookie(languageCookie))
		}
	}
	wantStatus(t, choose(url.Values{"language": {"es"}}, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
}

// A long sealed sign-in has no address: its page is shown in the answer. Pages that come once have no switch.
func TestLanguageOfPagesWithoutAnAddress(t *testing.T) {
	r := newRig(t, nil)
	handle := sealedAs("one", 2100)
	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: handle, Provider: "Constant Contact"}}
	resp := r.do(http.MethodPost, languageRoute, url.Values{"language": {"fr-CA"}, "s": {handle}})
	wantStatus(t, resp, http.StatusOK)
	if got := resp.page(t).one(t, "h1").text(); got != "Connexion" {
		t.Errorf("the heading is %q", got)
	}
	r.idp.answer = &idp.Answer{Page: idp.RecoveryCodes{SignIn: "one", Codes: []string{"7ZK4M-0PQRS"}}}
	if n := len(r.get("/login?s=one").page(t).all("button", "name", "language")); n != 0 {
		t.Errorf("recovery codes, which are shown once, have a switch of %d languages", n)
	}
}
