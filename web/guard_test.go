package web_test

import (
	"bytes"
	"cmp"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/web"
)

// TestWEB01 shows the forms: each needs the token of this browser, and no other site
// may post one.
func TestWEB01FormsAreRefusedWithoutTheirToken(t *testing.T) {
	for _, path := range []string{"/login", "/login/account", "/login/cancel", "/logout"} {
		fresh := func(t *testing.T) (*rig, url.Values) {
			r := newRig(t, nil)
			good := r.follow(r.get("/launch")).fill(t, "/login", "login", "anna", "password", "right", "account", "a07e1lxqqqo0")
			return r, good
		}
		for name, c := range map[string]struct {
			change  func(r *rig, f url.Values)
			headers []string
			status  int
		}{
			"no token":      {func(_ *rig, f url.Values) { f.Del("csrf") }, nil, 403},
			"empty token":   {func(_ *rig, f url.Values) { f.Set("csrf", "") }, nil, 403},
			"changed token": {func(_ *rig, f url.Values) { f.Set("csrf", f.Get("csrf")[1:]+"A") }, nil, 403},
			"no cookies":    {func(r *rig, _ url.Values) { r.client.Jar = nil }, nil, 403},
			"token of another browser": {func(r *rig, f url.Values) {
				f.Set("csrf", newRig(r.t, nil).followFresh().fill(r.t, "/login").Get("csrf"))
			}, nil, 403},
			"browser cookie not of our making": {func(r *rig, _ url.Values) { r.client.Jar = nil },
				[]string{"Cookie", browserCookie + "=abc"}, 403},
			"cross-site": {nil, []string{"Sec-Fetch-Site", "cross-site", "Origin",
				"https://evil.example"}, 403},
			"same-site": {nil, []string{"Sec-Fetch-Site", "same-site", "Origin",
				"https://evil.example"}, 403},
			"other origin, old browser": {nil, []string{"Origin", "https://evil.example"}, 403},
			"null origin":               {nil, []string{"Origin", "null"}, 403},
			"repeated field":            {func(_ *rig, f url.Values) { f.Add("s", f.Get("s")) }, nil, 400},
			"repeated password":         {func(_ *rig, f url.Values) { f.Add("password", "x") }, nil, 400},
			"NUL":                       {func(_ *rig, f url.Values) { f.Set("login", "a\x00b") }, nil, 400},
			"not UTF-8":                 {func(_ *rig, f url.Values) { f.Set("login", "a\xff") }, nil, 400},
			"64 KiB and more": {func(_ *rig, f url.Values) { f.Set("login", strings.Repeat("a", 70<<10)) }, nil,
				413},
			"another media type": {nil, []string{"Content-Type", "text/plain"}, 415},
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				r, f := fresh(t)
				if c.change != nil {
					c.change(r, f)
				}
				before := r.idp.count()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.srv.URL+path, strings.NewReader(f.Encode()))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for i := 0; i+1 < len(c.headers); i += 2 {
					req.Header.Set(c.headers[i], c.headers[i+1])
				}
				wantStatus(t, r.send(req), c.status)
				if r.idp.count() != before {
					t.Errorf("idp was called: %+v", r.idp.last(t))
				}
			})
		}
		for name, headers := range map[string][]string{
			"program without headers": nil,
			"same origin":             {"Sec-Fetch-Site", "same-origin"},
			"trusted origin":          {"Sec-Fetch-Site", "cross-site", "Origin", "PUBLIC"},
		} {
			t.Run(path+" accepted: "+name, func(t *testing.T) {
				r, f := fresh(t)
				if len(headers) == 4 {
					headers[3] = r.srv.URL
				}
				if resp := r.do(http.MethodPost, path, f, headers...); resp.StatusCode >= 400 {
					t.Errorf("status = %d, want it accepted\n%s", resp.StatusCode, resp.body)
				}
			})
		}
	}
}

func (r *rig) followFresh() response { return r.follow(r.get("/launch")) }

// A stale form is no dead end.
func TestStaleFormOffersToGoOn(t *testing.T) {
	r := newRig(t, nil)
	f := r.followFresh().fill(t, "/login")
	f.Set("csrf", "x")
	resp := r.do(http.MethodPost, "/login", f)
	if got := resp.page(t).one(t, "a", "class", "button").attr("href"); got != "/login?s=signin-a" {
		t.Errorf("link = %q, want the sign-in", got)
	}
	f.Set("s", `"><b>`)
	if links := r.do(http.MethodPost, "/login", f).page(t).all("a", "class", "button"); len(links) != 0 {
		t.Errorf("links = %v, want none to a sign-in that can't be", links)
	}
}

func TestBadChoiceIsRefused(t *testing.T) {
	r := newRig(t, nil)
	f := r.followFresh().fill(t, "/login", "account", "../../x")
	before := r.idp.count()
	wantStatus(t, r.do(http.MethodPost, "/login/account", f), http.StatusBadRequest)
	if r.idp.count() != before {
		t.Error("idp was asked for an account that can't be")
	}
}

// TestLaunchIsANavigation: a launch in a frame or by a script, and what a browser asks
// for ahead of time, does nothing.
func TestLaunchIsATopLevelNavigation(t *testing.T) {
	for name, headers := range map[string][]string{
		"iframe":           {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"object":           {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "object"},
		"embed":            {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "embed"},
		"image":            {"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		"fetch":            {"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
		"prefetch":         {"Sec-Purpose", "prefetch"},
		"prerender":        {"Sec-Purpose", "prefetch;prerender", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"older prefetch":   {"Purpose", "prefetch"},
		"Safari's preview": {"X-Purpose", "preview"},
		"Firefox's":        {"X-Moz", "prefetch"},
	} {
		for _, path := range []string{"/launch", "/launch/a07e1lxqqqo0", "/launch/sp?entity_id=x", "/login"} {
			r := newRig(t, nil)
			resp := r.get(path, headers...)
			if resp.StatusCode != http.StatusForbidden || r.idp.count() != 0 || len(resp.Cookies()) != 0 {
				t.Errorf("%s %s: status = %d, calls %d, cookies %v, want 403 and nothing done", name, path, resp.StatusCode,
					r.idp.count(), resp.Cookies())
			}
		}
	}
	r := newRig(t, nil)
	for _, path := range []string{"/login?s=one", "/saml/sso?SAMLRequest=x"} {
		if resp := r.get(path, "Sec-Purpose", "prefetch"); resp.StatusCode != http.StatusForbidden || r.idp.count() != 0 {
			t.Errorf("prefetch of %s: status = %d, calls %d", path, resp.StatusCode, r.idp.count())
		}
	}
	for _, headers := range [][]string{nil, {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site",
		"cross-site"}} {
		wantStatus(t, r.get("/launch", headers...), http.StatusSeeOther)
	}
}

// TestConfirmLaunch: where it is set, a launch that another site caused asks for one
// click, and the page leads nowhere but to that launch; our own links and browsers that
// say nothing go on at once.
func TestConfirmLaunch(t *testing.T) {
	r := newRig(t, func(o *web.Options) { o.ConfirmLaunch = true })
	foreign := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site"}
	for path, self := range map[string]string{
		"/launch": "/launch", "/login": "/launch", "/launch/a07e1lxqqqo0?x=https://evil.example": "/launch/a07e1lxqqqo0",
		"/launch/sp?entity_id=%22%3E%3Cb%3E": "/launch/sp?entity_id=%22%3E%3Cb%3E",
	} {
		resp := r.get(path, foreign...)
		wantStatus(t, resp, http.StatusOK)
		if !strings.Contains(resp.body, `href="`+self+`"`) || r.idp.count() != 0 || len(resp.Cookies()) != 0 {
			t.Errorf("%s: calls %d, cookies %v, want a link to %s and nothing done:\n%s", path, r.idp.count(), resp.Cookies(),
				self, resp.body)
		}
	}
	for _, headers := range [][]string{nil, {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site",
		"same-origin"}} {
		wantStatus(t, r.get("/launch", headers...), http.StatusSeeOther)
	}
}

func TestHEADDoesNothing(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/", "/launch", "/launch/a07e1lxqqqo0", "/launch/sp?entity_id=x", "/login",
		"/login?s=one", "/logout", "/logout/all?l=one", "/logout/next?l=one", "/logout/back?l=one"} {
		resp := r.do(http.MethodHead, path, nil)
		if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 0 {
			t.Errorf("HEAD %s: status %d, cookies %v, want 200 and none", path, resp.StatusCode, resp.Cookies())
		}
	}
	if r.idp.count() != 0 {
		t.Errorf("idp was called: %+v", r.idp.last(t))
	}
}

func TestMethodsAndFreePaths(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		method, path, allow string
	}{
		{"PUT", "/saml/sso", "GET, POST"},
		{"DELETE", "/saml/sso", "GET, POST"},
		{"HEAD", "/saml/sso", "GET, POST"},
		{"PUT", "/saml/slo", "GET, POST"},
		{"HEAD", "/saml/slo", "GET, POST"},
		{"GET", "/logout/skip", "POST"},
		{"POST", "/logout/next", "GET, HEAD"},
		{"POST", "/saml/metadata", "GET, HEAD"},
		{"PUT", "/launch", "GET, HEAD, POST"},
		{"PUT", "/login", "GET, HEAD, POST"},
		{"GET", "/login/account", "POST"},
		{"GET", "/login/cancel", "POST"},
		{"OPTIONS", "/saml/sso", "GET, POST"},
		{"OPTIONS", "/login", "GET, HEAD, POST"},
		{"OPTIONS", "/healthz", "GET, HEAD"},
	} {
		resp := r.do(c.method, c.path, nil)
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: status = %d, want 405", c.method, c.path, resp.StatusCode)
		}
		if c.method == "OPTIONS" && strings.Contains(resp.Header.Get("Allow"), "OPTIONS") {
			t.Errorf("%s: Allow = %q", c.path, resp.Header.Get("Allow"))
		}
		for _, m := range strings.Split(c.allow, ", ") {
			if !strings.Contains(resp.Header.Get("Allow"), m) {
				t.Errorf("%s %s: Allow = %q, want %s in it", c.method, c.path, resp.Header.Get("Allow"), m)
			}
		}
	}
	// Kept free: nothing is advertised there before it works.
	for _, path := range []string{"/webhooks/constant-contact", "/admin/", "/admin", "/assets/", "/assets/../server.go",
		"/assets/none.css", "/x"} {
		wantStatus(t, r.get(path), http.StatusNotFound)
	}
	if r.idp.count() != 0 {
		t.Errorf("idp was called: %+v", r.idp.last(t))
	}
}

// TestWEB07Host: only the public name is served, whatever a header says.
func TestWEB07Host(t *testing.T) {
	fake := newFakeIdP()
	s, err := web.New(web.Options{IdP: fake, PublicURL: "https://SSO.example", CSRFKey: bytes.Repeat([]byte{1}, 32),
		Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"": "?", "evil.example/<b>": "?", strings.Repeat("evil.", 60) + "example": "?"}
	links := regexp.MustCompile(`(href|src|action)="[^"]*"`)
	for host, want := range map[string]int{
		"sso.example": 303, "SSO.example": 303, "sso.example:443": 303,
		"evil.example": 421, "sso.example:8443": 421, "sso.example.evil.example": 421, "127.0.0.1": 421, "": 421,
		"sso.example.": 421, "evil.example/<b>": 421, strings.Repeat("evil.", 60) + "example": 421,
	} {
		for _, path := range []string{"/launch", "/healthz"} {
			req := httptest.NewRequest(http.MethodGet, path, nil)
			req.Host = host
			req.Header.Set("X-Forwarded-Host", "sso.example")
			rec := httptest.NewRecorder()
			s.Handler().ServeHTTP(rec, req)
			if path == "/healthz" {
				if rec.Code != http.StatusOK {
					t.Errorf("health under host %q: status = %d, want 200", host, rec.Code)
				}
				continue
			}
			if rec.Code != want {
				t.Errorf("host %q: status = %d, want %d", host, rec.Code, want)
			}
			// The page names both, for whoever sets up a proxy; neither is a link.
			text := "The request asks for " + cmp.Or(names[host], host) + ", and this service is https://sso.example."
			if want == 421 && !strings.Contains(rec.Body.String(), text) {
				t.Errorf("host %q: the page names it and public_url: no\n%s", host, rec.Body)
			}
			for _, text := range append(links.FindAllString(rec.Body.String(), -1), rec.Header().Get("Location")) {
				if strings.Contains(text, "evil") {
					t.Errorf("host %q: the answer leads there: %s", host, text)
				}
			}
		}
	}
}

// TestWEB07ClientAddress: the client is the right-most hop that is no trusted proxy.
func TestWEB07ClientAddress(t *testing.T) {
	for name, c := range map[string]struct {
		peer    string
		trusted []netip.Prefix
		headers []string
		want    string
	}{
		"no proxy":            {"192.0.2.1:5000", nil, nil, "192.0.2.1"},
		"untrusted peer lies": {"192.0.2.1:5000", prefixes("10.0.0.0/8"), []string{"203.0.113.9"}, "192.0.2.1"},
		"trusted proxy":       {"10.0.0.1:5000", prefixes("10.0.0.0/8"), []string{"203.0.113.9"}, "203.0.113.9"},
		"client adds a lie": {"10.0.0.1:5000", prefixes("10.0.0.0/8"), []string{"1.1.1.1, 203.0.113.9"},
			"203.0.113.9"},
		"lie in a header of its own": {"10.0.0.1:5000", prefixes("10.0.0.0/8"), []string{"1.1.1.1", "203.0.113.9"},
			"203.0.113.9"},
		"two proxies": {"10.0.0.1:5000", prefixes("10.0.0.0/8"), []string{"203.0.113.9, 10.0.0.2"},
			"203.0.113.9"},
		"only proxies": {"10.0.0.1:5000", prefixes("10.0.0.0/8"), []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"not an address": {"10.0.0.1:5000", prefixes("10.0.0.0/8"),
			[]string{"203.0.113.9, <script>"}, "10.0.0.1"},
		"empty":       {"10.0.0.1:5000", prefixes("10.0.0.0/8"), []string{""}, "10.0.0.1"},
		"with a port": {"10.0.0.1:5000", prefixes("10.0.0.0/8"), []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6": {"[2001:db8::1]:5000", prefixes("2001:db8::/32"), []string{"2001:db9::7"},
			"2001:db9::7"},
		"IPv6 with port": {"[2001:db8::1]:5000", prefixes("2001:db8::/32"), []string{"[2001:db9::7]:99"},
			"2001:db9::7"},
		"mapped IPv4": {"[::ffff:10.0.0.1]:5000", prefixes("10.0.0.0/8"), []string{"::ffff:203.0.113.9"},
			"203.0.113.9"},
		"too many hops": {"10.0.0.1:5000", prefixes("10.0.0.0/8"),
			[]string{"203.0.113.9" + strings.Repeat(", 10.0.0.2", 40)}, "10.0.0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeIdP()
			s, err := web.New(web.Options{IdP: fake, PublicURL: "https://sso.example", CSRFKey: make([]byte, 32), Logger: quiet,
				TrustedProxies: c.trusted})
			if err != nil {
				t.Fatal(err)
			}
			req := httptest.NewRequest(http.MethodGet, "/launch", nil)
			req.Host, req.RemoteAddr = "sso.example", c.peer
			for _, h := range c.headers {
				req.Header.Add("X-Forwarded-For", h)
			}
			req.Header.Set("X-Real-IP", "6.6.6.6")
			s.Handler().ServeHTTP(httptest.NewRecorder(), req)
			if got := fake.last(t).visitor.Address; got != c.want {
				t.Errorf("address = %q, want %q", got, c.want)
			}
		})
	}
}

// TestSAMLBodyIsBounded is WEB-09: a stranger's body is cut off, not kept.
func TestWEB09SAMLBodyIsBounded(t *testing.T) {
	r := newRig(t, nil)
	resp := r.do(http.MethodPost, "/saml/sso", url.Values{"SAMLRequest": {strings.Repeat("A", 600<<10)}})
	wantStatus(t, resp, http.StatusRequestEntityTooLarge)
	if got := len(r.idp.last(t).body); got > 512<<10 {
		t.Errorf("idp was given %d bytes", got)
	}
}

// A refusal to a posted request has no browser cookie yet, so it can show no form;
// the sign-in itself is offered instead where trying makes sense.
func TestRefusalWithoutBrowserHasNoForm(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.Refusal{SignIn: "one", Provider: "SP", Reason: idp.ReasonBusy, Status: 503,
		CanCancel: true, Retry: true}}
	resp := r.do(http.MethodPost, "/saml/sso", url.Values{"SAMLRequest": {"x"}})
	page := resp.page(t)
	for _, form := range page.all("form") {
		if action := form.attr("action"); action != languageRoute { // which needs no browser that we know
			t.Errorf("a form to %s, want none: it could not be sent", action)
		}
	}
	if got := page.one(t, "a", "class", "button").attr("href"); got != "/login?s=one" {
		t.Errorf("link = %q", got)
	}
}
