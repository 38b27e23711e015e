package web_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/web"
)

const (
	sessionCookie = "__Host-ssobridge_session"
	browserCookie = "__Host-ssobridge_browser"
)

func (r response) cookie(name string) *http.Cookie {
	for _, c := range r.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func wantOurCookie(t *testing.T, c *http.Cookie) {
	t.Helper()
	if c == nil {
		t.Fatal("cookie is not set")
	}
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie = %v, want Secure, HttpOnly, SameSite=Lax, Path=/, no Domain", c)
	}
}

// TestLaunchToDelivery is the whole way of a person by their browser: WEB-02, RSP-15, SP-07.
func TestLaunchToDelivery(t *testing.T) {
	r := newRig(t, nil)

	resp := r.get("/launch")
	browser := resp.cookie(browserCookie)
	wantOurCookie(t, browser)
	if browser.MaxAge != 365*24*3600 || len(browser.Value) != 43 {
		t.Errorf("browser cookie = %v, want 256 bits for a year", browser)
	}
	resp = r.follow(resp)
	wantStatus(t, resp, http.StatusOK)
	if got := r.idp.last(t).visitor.Browser; got != browser.Value {
		t.Errorf("idp was told browser %q, want the cookie's token", got)
	}

	// A wrong password shows the form again, with the login name and without the password.
	resp = r.do(http.MethodPost, "/login", resp.fill(t, "/login", "login", " anna ", "password", "wrong"))
	wantStatus(t, resp, http.StatusUnprocessableEntity)
	if got := r.idp.last(t).login; got != "anna" {
		t.Errorf("login = %q, want it without the spaces", got)
	}
	page := resp.page(t)
	if got := page.one(t, "input", "name", "login").attr("value"); got != "anna" {
		t.Errorf("login field = %q, want anna", got)
	}
	if strings.Contains(resp.body, "wrong\"") || page.one(t, "input", "name", "password").attr("value") != "" {
		t.Error("the page shows the password")
	}
	if resp.cookie(sessionCookie) != nil {
		t.Error("a wrong password set a session")
	}

	resp = r.do(http.MethodPost, "/login", resp.fill(t, "/login", "login", "anna", "password", "right"))
	session := resp.cookie(sessionCookie)
	wantOurCookie(t, session)
	if session.MaxAge != 0 {
		t.Errorf("session cookie's Max-Age = %d, want none: it ends with the browser", session.MaxAge)
	}
	resp = r.follow(resp)
	wantStatus(t, resp, http.StatusOK)

	resp = r.do(http.MethodPost, "/login/account", resp.fill(t, "/login/account", "account", "a07e1lxqqqaa"))
	self := resp.Header.Get("Location")
	resp = r.follow(resp)
	wantStatus(t, resp, http.StatusOK)
	form := resp.page(t).one(t, "form", "method", "post")
	if got := form.attr("action"); got != "https://sp.example/acs?RelayState=a%2Fb" {
		t.Errorf("form action = %q", got)
	}
	if got := form.one(t, "input", "name", "SAMLResponse").attr("value"); got != "PHNhbWw+" {
		t.Errorf("SAMLResponse = %q", got)
	}
	if got := form.one(t, "input", "name", "RelayState").attr("value"); got != "https://login.example/idp-redirect" {
		t.Errorf("RelayState = %q", got)
	}
	// RSP-15: works without script.
	if got := form.one(t, "button").text(); got != "Continue" {
		t.Errorf("button = %q, want Continue", got)
	}

	// SP-07: back or reload never shows the old Response.
	resp = r.get(self)
	wantStatus(t, resp, http.StatusOK)
	if strings.Contains(resp.body, "SAMLResponse") || !strings.Contains(resp.body, "This sign-in is finished") {
		t.Errorf("reload shows\n%s", resp.body)
	}

	// Signed in now: the next launch needs no login, and the start page knows the person.
	if resp = r.get("/launch"); !strings.Contains(resp.body, "SAMLResponse") {
		t.Errorf("launch with a session shows\n%s", resp.body)
	}
	if resp = r.get("/"); !strings.Contains(resp.body, "You are signed in as anna.") {
		t.Errorf("start page shows\n%s", resp.body)
	}

	// SLO-04: asking is not enough, the form is.
	resp = r.get("/logout")
	wantStatus(t, resp, http.StatusOK)
	if len(r.idp.sessions) != 1 {
		t.Fatal("GET /logout ended the session")
	}
	resp = r.do(http.MethodPost, "/logout", resp.fill(t, "/logout"))
	wantStatus(t, resp, http.StatusOK)
	if c := resp.cookie(sessionCookie); c == nil || c.MaxAge != -1 || !c.Secure {
		t.Errorf("session cookie = %v, want it cleared", c)
	}
	if len(r.idp.sessions) != 0 {
		t.Error("the session still lives")
	}
	if resp = r.get("/logout"); !strings.Contains(resp.body, "You are signed out") {
		t.Errorf("logout without a session shows\n%s", resp.body)
	}
}

func TestSessionLifeOfTheCookie(t *testing.T) {
	r := newRig(t, func(o *web.Options) { o.SessionLife = 10 * 3600 * 1e9 })
	resp := r.follow(r.get("/launch"))
	resp = r.do(http.MethodPost, "/login", resp.fill(t, "/login", "login", "anna", "password", "right"))
	if c := resp.cookie(sessionCookie); c == nil || c.MaxAge != 36000 {
		t.Errorf("session cookie = %v, want Max-Age 36000", c)
	}
	if c := resp.cookie(browserCookie); c == nil {
		t.Error("the browser cookie's year does not begin again with a login")
	}
}

// TestWEB03 shows a posted AuthnRequest from another site: it comes without our Lax
// cookies, must not replace the browser cookie, and goes on by GET.
func TestWEB03PostedRequestKeepsTheBrowserCookie(t *testing.T) {
	r := newRig(t, nil)
	first := r.get("/launch").cookie(browserCookie)
	mine := r.client.Jar

	crossSite, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.client.Jar = crossSite
	resp := r.do(http.MethodPost, "/saml/sso", url.Values{"SAMLRequest": {"eA=="}},
		"Origin", "https://sp.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	if got := r.idp.last(t); got.visitor.Browser != "" || got.body != "SAMLRequest=eA%3D%3D" {
		t.Errorf("idp got %+v, want the body and no browser", got)
	}
	if len(resp.Cookies()) != 0 {
		t.Errorf("cookies = %v, want none", resp.Cookies())
	}
	r.client.Jar = mine
	resp = r.follow(resp)
	wantStatus(t, resp, http.StatusOK)
	if got := r.idp.last(t).visitor.Browser; got != first.Value {
		t.Errorf("browser = %q, want the one from before", got)
	}

	// Without any cookie before, the GET makes one and the form works.
	r.client.Jar, _ = cookiejar.New(nil)
	resp = r.follow(r.do(http.MethodPost, "/saml/sso", url.Values{"SAMLRequest": {"eA=="}}, "Origin", "null"))
	wantOurCookie(t, resp.cookie(browserCookie))
	resp = r.do(http.MethodPost, "/login", resp.fill(t, "/login", "login", "anna", "password", "right"))
	wantStatus(t, resp, http.StatusSeeOther)
}

func TestRedirectBindingMakesTheBrowserCookie(t *testing.T) {
	r := newRig(t, nil)
	resp := r.get("/saml/sso?SAMLRequest=x", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate",
		"Sec-Fetch-Dest", "document")
	c := resp.cookie(browserCookie)
	wantOurCookie(t, c)
	if got := r.idp.last(t).visitor.Browser; got != c.Value {
		t.Errorf("browser = %q, want %q", got, c.Value)
	}
	if got := resp.Header.Get("Location"); got != "/login?s=signin-a" {
		t.Errorf("Location = %q", got)
	}
}

func TestLaunchLinks(t *testing.T) {
	for _, c := range []struct {
		path string
		want idp.LaunchRequest
	}{
		{"/launch", idp.LaunchRequest{}},
		{"/login", idp.LaunchRequest{}},
		{"/launch/a07e1lxqqqo0", idp.LaunchRequest{Account: "a07e1lxqqqo0"}},
		{"/launch/sp?entity_id=https%3A%2F%2Fsp.example%2F&relay_state=inbox",
			idp.LaunchRequest{EntityID: "https://sp.example/", RelayState: "inbox"}},
		{"/launch/sp?entity_id=urn:sp", idp.LaunchRequest{EntityID: "urn:sp"}},
	} {
		t.Run(c.path, func(t *testing.T) {
			r := newRig(t, nil)
			wantStatus(t, r.get(c.path), http.StatusSeeOther)
			if got := r.idp.last(t).launch; got != c.want {
				t.Errorf("launch = %+v, want %+v", got, c.want)
			}
		})
	}
	for _, path := range []string{
		"/launch/", "/launch/a%2Fb", "/launch/%3Cscript%3E", "/launch/" + strings.Repeat("a", 65),
		"/launch/sp", "/launch/sp?entity_id=", "/launch/sp?entity_id=a&entity_id=b",
		"/launch/sp?entity_id=a&relay_state=b&relay_state=c", "/launch/sp?entity_id=" + strings.Repeat("a", 1025),
		"/launch/sp?entity_id=a;b", "/launch/sp?entity_id=%zz", "/launch/sp?entity_id=a%00b", "/launch/sp?entity_id=%ff",
		"/login?s=", "/login?s=a&s=b", "/login?s=" + strings.Repeat("a", 129), "/login?s=%3Cb%3E", "/login/progress",
		"/login/progress?s=a%20b",
	} {
		t.Run("refused "+path, func(t *testing.T) {
			r := newRig(t, nil)
			if resp := r.get(path); resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusNotFound {
				t.Errorf("status = %d, want 400 or 404", resp.StatusCode)
			}
			if r.idp.count() != 0 {
				t.Errorf("idp was called: %+v", r.idp.last(t))
			}
		})
	}
}

func TestTryAgainOfALaunchIsTheLaunch(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.Refusal{Reason: idp.ReasonDirectoryDown, Status: 503, Retry: true}}
	for path, want := range map[string]string{
		"/launch/a07e1lxqqqo0": "/launch/a07e1lxqqqo0",
		"/launch/sp?entity_id=https%3A%2F%2Fsp.example%2F&relay_state=inbox&x=%3Cb%3E": "/launch/sp?entity_id=https%3A%2F%2Fsp.example%2F&relay_state=inbox",
		"/login?s=one": "/login?s=one",
	} {
		resp := r.get(path)
		wantStatus(t, resp, http.StatusServiceUnavailable)
		if resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		links := resp.page(t).all("a", "class", "button")
		if len(links) != 1 || links[0].attr("href") != want {
			t.Errorf("%s: links = %v, want one to %s", path, links, want)
		}
	}
}

// TestNoRedirectElsewhere is WEB-04: whatever idp says, links of ours stay on this host.
func TestWEB04NoLinkElsewhere(t *testing.T) {
	r := newRig(t, nil)
	for _, again := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, "javascript:alert(1)",
		"/\t/evil.example", ""} {
		r.idp.answer = &idp.Answer{Page: idp.Finished{Again: again}}
		if got := r.get("/login?s=one").page(t).one(t, "a", "class", "button").attr("href"); got != "/launch" {
			t.Errorf("again %q: link to %q, want /launch", again, got)
		}
	}
	for _, action := range []string{"javascript:alert(1)", "http://sp.example/acs", "/acs", "data:text/html,x",
		"//sp.example/acs", "ftp://sp.example/"} {
		r.idp.answer = &idp.Answer{Page: idp.Deliver{Action: action, SAMLResponse: "secretresponse"}}
		resp := r.get("/login?s=one")
		wantStatus(t, resp, http.StatusInternalServerError)
		if strings.Contains(resp.body, "secretresponse") {
			t.Errorf("action %q: the Response is on the page", action)
		}
	}
	for _, response := range []string{`"><script>`, "a b", "a\"", "a'", "a<", "a&", "a\n", "ä"} {
		r.idp.answer = &idp.Answer{Page: idp.Deliver{Action: "https://sp.example/acs", SAMLResponse: response}}
		wantStatus(t, r.get("/login?s=one"), http.StatusInternalServerError)
	}
	// One line says what was issued to whom: the ids, never the Response.
	r.idp.answer = &idp.Answer{Page: idp.Deliver{
		Action: "https://sp.example/acs", SAMLResponse: "secretresponse", EntityID: "https://sp.example/entity",
		Response: "_r1", Assertion: "_a1",
	}}
	before := len(r.logged())
	r.get("/login?s=one")
	line := r.logged()[before:]
	for _, want := range []string{"https://sp.example/entity", "_r1", "_a1"} {
		if strings.Count(line, "\n") != 1 || !strings.Contains(line, want) {
			t.Errorf("the log has no %s in one line:\n%s", want, line)
		}
	}
	if strings.Contains(line, "secretresponse") {
		t.Errorf("the log has the Response:\n%s", line)
	}
	for _, action := range []string{"https://sp.example/acs", "http://127.0.0.1:8081/acs", "http://localhost/acs"} {
		r.idp.answer = &idp.Answer{Page: idp.Deliver{Action: action, SAMLResponse: "x"}}
		if got := r.get("/login?s=one").page(t).one(t, "form").attr("action"); got != action {
			t.Errorf("form action = %q, want %q", got, action)
		}
	}
}
