package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drawing is a logo of one colour.
func drawing(t *testing.T, color string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "logo.svg")
	svg := `<svg xmlns="http://www.w3.org/2000/svg" width="160" height="40"><rect width="160" height="40" rx="8" fill="` +
		color + `"/></svg>`
	if err := os.WriteFile(file, []byte(svg), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestConsoleBranding: an administrator sees the pages that people meet, light and dark, by frames that nothing can be
// done in and that no other site may show.
func TestConsoleBranding(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"branding.color": "#ffcc00", "branding.background": "#203050",
		"branding.logo": drawing(t, "#123456"), "branding.logo_dark": drawing(t, "#fedcba")}})
	const page = "/admin/settings/branding"
	b := w.console(t, consoleViewer, "/admin/settings")
	b.press("Sign-in pages")
	b.sees("All colours can be read", "Second factor", "#000000 on #ffcc00", "to 1", "Your colour was changed")
	// said is what is true of the page in a frame.
	said := func(name, js string) bool {
		return b.is(`(() => { const frame = document.querySelector('iframe[src*="branding/` + name + `"]');
			if (!frame) return false; // the page is changing
			frame.scrollIntoView(); const page = frame.contentDocument, at = frame.contentWindow;
			return !!page && page.readyState === "complete" && !!page.querySelector("main.card") && (` + js + `) })()`)
	}
	frame := func(name, js string) {
		t.Helper()
		if !eventually(func() bool { return said(name, js) }) {
			t.Errorf("the frame of %s is not as it should: %s", name, js)
		}
	}
	for name, text := range map[string]string{"login": "Login name", "factor": "One more step", "choose": "Harbour Books",
		"waiting": "Setting up your access", "refusal": "You have no access yet", "signedout": "You are signed out"} {
		frame(name, `page.body.innerText.includes("`+text+`")`)
	}
	frame("login", `at.getComputedStyle(page.body).backgroundColor === "rgb(32, 48, 80)" &&
		page.querySelector("header img").src.includes("/assets/logo?")`)
	frame("login", `page.body.inert && [...page.scripts].length === 0 && !page.querySelector("[name=csrf]").value.trim()`)
	b.run(`scrollTo(0, 0)`)
	b.inspect("settings-branding")
	b.choose("scheme", "dark")
	b.choose("language", "es")
	b.press("Show pages")
	b.sees("Open page")
	frame("login", `page.documentElement.lang === "es" && at.getComputedStyle(page.body).backgroundColor === "rgb(20, 23, 28)" &&
		page.querySelector("header img").src.includes("/assets/logo-dark?")`)
	b.run(`scrollTo(0, 0)`)
	b.inspect("settings-branding-dark")

	c := w.enter(t, consoleViewer)
	for _, name := range []string{"login", "factor", "choose", "waiting", "refusal", "signedout"} {
		p := c.get(w.url + page + "/" + name + "?scheme=dark&language=%3Cb%3E").status(http.StatusOK)
		csp := p.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'self'", "form-action 'none'",
			"sandbox allow-same-origin"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q has no %q", name, csp, want)
			}
		}
		if strings.Contains(csp, "script-src") || p.Header.Get("X-Frame-Options") != "SAMEORIGIN" ||
			len(p.Header.Values("Set-Cookie")) > 0 || strings.Contains(p.Body, "<script") ||
			strings.Contains(p.Body, `http-equiv="refresh"`) {
			t.Errorf("%s: %v\n%s", name, p.Header, p.Body)
		}
	}
	c.get(w.url + page + "/enrol").status(http.StatusNotFound)
	newClient(t).get(w.url + page + "/login").says("Sign in") // to the console, and not the preview
	for path, want := range map[string]string{page: "frame-src 'self'", "/admin/settings": "frame-ancestors 'none'"} {
		p := c.get(w.url + path)
		csp := p.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, want) || !strings.Contains(csp, "frame-ancestors 'none'") ||
			strings.Contains(csp, "frame-src") != (path == page) {
			t.Errorf("%s: %s", path, csp)
		}
	}
	// What people meet themselves is in no frame, and has the same logo for both schemes.
	own := newClient(t).get(w.launch(club))
	if own.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(own.Body, "/assets/logo-dark?") ||
		!strings.Contains(own.Body, `media="(prefers-color-scheme: dark)"`) {
		t.Errorf("the login page: %v\n%s", own.Header, own.Body)
	}

	// On a ground of their own, what is pressed there shows where the focus is, and is read under the pointer too.
	n := newBrowser(t)
	n.open(w.launch(club))
	n.sees("Login name")
	if !n.is(`(() => { const link = document.querySelector("footer .link"); link.focus();
		return getComputedStyle(link).outlineColor === "rgb(255, 255, 255)" &&
			[...document.styleSheets].flatMap(s => [...s.cssRules]).some(r => r.selectorText?.includes("footer .link:hover") &&
				r.style.color.startsWith("var(--on-ground")) })()`) {
		t.Error("the focus is not seen, or the text under the pointer not read, on the ground of the branding")
	}
}
