package web_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ssobridge/web"
)

var nonceText = regexp.MustCompile(`'nonce-([A-Za-z0-9_-]{22})'`)

// TestWEB05 and WEB-06, RSP-15: what each page may load, and what every answer says.
func TestWEB05And06HeadersOfEachPage(t *testing.T) {
	r := newRig(t, nil)
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			resp := r.get(s.prepare(r), "Cookie", sessionCookie+"="+sampleSession)
			wantStatus(t, resp, s.status)
			for name, want := range map[string]string{
				"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff",
				"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Content-Type": "text/html; charset=UTF-8",
				"Strict-Transport-Security": "",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}

			csp := resp.Header.Get("Content-Security-Policy")
			directives := map[string]string{}
			for _, d := range strings.Split(csp, "; ") {
				name, value, _ := strings.Cut(d, " ")
				directives[name] = value
			}
			pictures := "'self'"
			if strings.HasPrefix(s.name, "enrol") { // the QR code stands in the page: no address of ours serves a secret
				pictures = "'self' data:"
			}
			for name, want := range map[string]string{
				"default-src": "'none'", "style-src": "'self'", "img-src": pictures, "frame-ancestors": "'none'",
				"base-uri": "'none'",
			} {
				if directives[name] != want {
					t.Errorf("%s = %q, want %q", name, directives[name], want)
				}
			}
			deliver, waiting := strings.HasPrefix(s.name, "deliver"), strings.HasPrefix(s.name, "waiting")
			if got, has := directives["form-action"]; deliver == has || has && got != "'self'" {
				t.Errorf("form-action = %q (%t), want 'self' except on the auto-submit page", got, has)
			}
			if _, has := directives["connect-src"]; has != waiting {
				t.Errorf("connect-src there: %t, want %t", has, waiting)
			}
			nonce := nonceText.FindStringSubmatch(directives["script-src"])
			scripts := resp.page(t).all("script")
			passkey := strings.HasPrefix(s.name, "enrol") || s.name == "factor" || s.name == "factor-passkey" ||
				s.name == "factor-confirm" || strings.HasPrefix(s.name, "login") || s.name == "recovery" ||
				strings.HasPrefix(s.name, "password")
			if deliver || waiting || passkey || s.name == "goon" || strings.HasPrefix(s.name, "signingout") {
				if len(nonce) != 2 || len(scripts) != 1 || scripts[0].attr("nonce") != nonce[1] {
					t.Errorf("script-src %q with scripts %v, want one with the nonce", directives["script-src"], scripts)
				}
			} else if len(scripts) != 0 || directives["script-src"] != "" {
				t.Errorf("a script on a page that needs none: %q", directives["script-src"])
			}
			if strings.Contains(csp, "unsafe") {
				t.Errorf("policy = %q", csp)
			}
			if strings.Contains(resp.body, " style=") || strings.Contains(resp.body, " onclick=") ||
				strings.Contains(resp.body, "<style") {
				t.Error("inline style or script, which the policy forbids")
			}
			// A window that a service provider opened must keep its opener on the way of a sign-in.
			alone := s.name == "signedout" || s.name == "signedout-elsewhere" || strings.HasPrefix(s.name, "home") ||
				s.name == "sessions" || strings.HasPrefix(s.name, "factors") || strings.HasPrefix(s.name, "logout")
			if got := resp.Header.Get("Cross-Origin-Opener-Policy"); (got == "same-origin") != alone {
				t.Errorf("Cross-Origin-Opener-Policy = %q", got)
			}
		})
	}
}

func TestNonceIsNewEachTime(t *testing.T) {
	r := newRig(t, nil)
	a := delivery()
	sample{answer: answerOf(a)}.prepare(r)
	first, second := r.get("/login?s=one"), r.get("/login?s=one")
	if first.Header.Get("Content-Security-Policy") == second.Header.Get("Content-Security-Policy") {
		t.Error("the same nonce twice")
	}
}

func TestHSTS(t *testing.T) {
	for _, c := range []struct {
		url  string
		hsts bool
		want string
	}{
		{"https://sso.example", true, "max-age=31536000"},
		{"https://sso.example", false, ""},
		{"http://localhost:8080", true, ""},
	} {
		s, err := web.New(web.Options{IdP: newFakeIdP(), PublicURL: c.url, CSRFKey: make([]byte, 32),
			Logger: quiet, HSTS: c.hsts})
		if err != nil {
			t.Fatal(err)
		}
		if got := recorded(s, "/healthz").Header().Get("Strict-Transport-Security"); got != c.want {
			t.Errorf("%s with HSTS %t: %q, want %q", c.url, c.hsts, got, c.want)
		}
	}
}

func TestAssets(t *testing.T) {
	r := newRig(t, func(o *web.Options) {
		o.Branding.Logo, o.Branding.LogoType = []byte(
			`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), "image/svg+xml"
	})
	page := r.get("/").page(t)
	if got := page.one(t, "img").attr("alt"); got != "Acme Partners" {
		t.Errorf("logo's text = %q", got)
	}
	urls := []string{page.one(t, "img").attr("src")}
	for _, l := range page.all("link") {
		urls = append(urls, l.attr("href"))
	}
	if len(urls) != 4 {
		t.Fatalf("assets = %q, want logo, icon and two stylesheets", urls)
	}
	for _, u := range urls {
		resp := r.get(u)
		wantStatus(t, resp, http.StatusOK)
		if got := resp.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" ||
			resp.Header.Get("Pragma") != "" {
			t.Errorf("%s: Cache-Control = %q", u, got)
		}
		if len(resp.Cookies()) != 0 {
			t.Errorf("%s sets cookies", u)
		}
		if strings.Contains(resp.Header.Get("Content-Type"),
			"svg") && !strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: policy = %q, want a sandbox: by its own address an SVG is a document", u,
				resp.Header.Get("Content-Security-Policy"))
		}
		// Under another version the file is checked each time.
		bare, _, _ := strings.Cut(u, "?")
		resp = r.get(bare + "?v=older")
		if got := resp.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s under another version: Cache-Control = %q, want no-cache", bare, got)
		}
		wantStatus(t, r.get(bare, "If-None-Match", resp.Header.Get("ETag")), http.StatusNotModified)
		if head := r.do(http.MethodHead, u, nil); head.StatusCode != http.StatusOK || head.body != "" {
			t.Errorf("HEAD %s: status %d, body %q", u, head.StatusCode, head.body)
		}
	}
	if n := len(r.get("/assets/app.css").body); n > 15<<10 {
		t.Errorf("app.css has %d bytes, want at most 15 KiB", n)
	}
}

func TestMetadata(t *testing.T) {
	r := newRig(t, nil)
	resp := r.get("/saml/metadata")
	if got := resp.Header.Get("Content-Type"); got != "application/samlmetadata+xml" ||
		resp.body != "<EntityDescriptor/>" {
		t.Errorf("type %q, body %q", got, resp.body)
	}
	if got := resp.Header.Get("Content-Disposition"); got != "" {
		t.Errorf("Content-Disposition = %q, want none", got)
	}
	resp = r.get("/saml/metadata?download=1") // MD-03: the copy to hand over is another one
	if got := resp.Header.Get("Content-Disposition"); got != `attachment; filename="idp-metadata.xml"` ||
		resp.body != "<EntityDescriptor ID='file'/>" {
		t.Errorf("Content-Disposition = %q, body %q", got, resp.body)
	}
	if resp = r.do(http.MethodHead, "/saml/metadata", nil); resp.StatusCode != http.StatusOK || resp.body != "" {
		t.Errorf("HEAD: status %d, body %q", resp.StatusCode, resp.body)
	}
	wantStatus(t, r.get("/saml/metadata?download=1&download=2"), http.StatusBadRequest)

	// That for one service provider, however its entityID arrives (REAL-03).
	for path, want := range map[string]string{
		"/saml/metadata/https%3A%2F%2Fwiki.example.com%2Fsaml": "https://wiki.example.com/saml",
		"/saml/metadata/https://wiki.example.com/saml":         "https://wiki.example.com/saml",
		"/saml/metadata/https:/wiki.example.com/saml/":         "https://wiki.example.com/saml/",
		"/saml/metadata/https:%2F%2Fwiki.example.com%2Fa%2520": "https://wiki.example.com/a%20",
		"/saml/metadata/urn%3Awiki":                            "urn:wiki",
	} {
		if resp := r.get(path); resp.body != "<EntityDescriptor ID='for'/>" || r.idp.last(t).id != want {
			t.Errorf("%s: for %q, body %q; want it for %q", path, r.idp.last(t).id, resp.body, want)
		}
	}
	r.get("/saml/metadata/urn:wiki?download=1")
	if last := r.idp.last(t); last.name != "MetadataFile" || last.id != "urn:wiki" {
		t.Errorf("download: %+v", last)
	}
	wantStatus(t, r.get("/saml/metadata/urn:nobody"), http.StatusNotFound)
	wantStatus(t, r.get("/saml/metadata/"+strings.Repeat("x", 1025)), http.StatusNotFound)
}

// TestBrandColors: whatever colour the partner has, text on it and in it is readable.
func TestBrandColors(t *testing.T) {
	values := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	for _, color := range []string{
		"#1856ed", "#ffffff", "#000000", "#ffff00", "#ff0000", "#00ff00", "#0000ff", "#777777", "#767676", "#f5a623",
		"#FFCC00", "#2f855a", "#21252c", "#f3f4f7",
	} {
		r := newRig(t, func(o *web.Options) { o.Branding.Color = color })
		found := values.FindAllStringSubmatch(r.get("/assets/brand.css").body, -1)
		if len(found) != 5 {
			t.Fatalf("%s: stylesheet has %v", color, found)
		}
		brand, hover, on, light, dark := found[0][2], found[1][2], found[2][2], found[3][2], found[4][2]
		if brand != strings.ToLower(color) {
			t.Errorf("brand = %s, want %s", brand, color)
		}
		if on != "#000000" && on != "#ffffff" {
			t.Errorf("%s: text on it = %s, want black or white", color, on)
		}
		for what, pair := range map[string][2]string{
			"text on the colour": {on, brand}, "text on it when pointed at": {on, hover},
			"link on the light page": {light, "#f3f4f7"}, "link on the light card": {light, "#ffffff"},
			"link on the dark page": {dark, "#14171c"}, "link on the dark card": {dark, "#21252c"},
		} {
			if got := contrast(t, pair[0], pair[1]); got < 4.5 {
				t.Errorf("%s: %s %v has contrast %.2f, want 4.5", color, what, pair, got)
			}
		}
	}
	if got := contrast(t, "#000000", "#ffffff"); got < 20.9 || got > 21.1 {
		t.Errorf("contrast of black and white = %v, want 21", got)
	}
}

// contrast after WCAG 2.2, worked out here by another road (a table of linear
// values), so that the product's own sum is not its only witness.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(c string) float64 {
		var sum float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(c[1+2*i:3+2*i], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			sum += weight * srgb[n]
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
