package web_test

import (
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
			title := map[string]string{"en": "Sign in", "es": "Iniciar sesión"}[c.want]
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
