package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
)

// TestLaunchToken: the form of a signed launch is taken from any site, as a navigation alone, once each field; which
// page posted it goes to idp, and no cookie is made before our own page (ID-71).
func TestLaunchToken(t *testing.T) {
	const portal = "https://portal.example"
	form := url.Values{"token": {"a.b.c"}, "account": {" a07e1lxqqqo0 "}}
	cross := []string{"Origin", portal, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest",
		"document"}
	r := newRig(t, nil)
	res := r.do(http.MethodPost, "/launch", form, cross...)
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d", res.StatusCode)
	}
	got := r.idp.calls[len(r.idp.calls)-1]
	want := idp.TokenLaunch{Token: "a.b.c", Account: "a07e1lxqqqo0", Origin: portal}
	if got.name != "LaunchToken" || got.token != want {
		t.Errorf("idp was asked %+v", got)
	}
	if strings.Contains(res.Header.Get("Set-Cookie"), browserCookie) {
		t.Error("a cross-site post made a browser cookie, which replaces the one that the browser has")
	}
	for name, c := range map[string]struct {
		form    url.Values
		headers []string
		status  int
	}{
		"in a frame":      {form, []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		"by a script":     {form, []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, 403},
		"two tokens":      {url.Values{"token": {"a", "b"}}, nil, 400},
		"no account's id": {url.Values{"token": {"a"}, "account": {"../x"}}, nil, 400},
		"too large":       {url.Values{"token": {strings.Repeat("a", 40<<10)}}, nil, 413},
	} {
		before := len(r.idp.calls)
		res := r.do(http.MethodPost, "/launch", c.form, c.headers...)
		if res.StatusCode != c.status || len(r.idp.calls) != before {
			t.Errorf("%s: status %d, want %d", name, res.StatusCode, c.status)
		}
	}
	r.do(http.MethodPost, "/launch?token=a", url.Values{})
	if got := r.idp.calls[len(r.idp.calls)-1]; got.name != "LaunchToken" || got.token.Token != "" {
		t.Errorf("a token in an address: %+v", got)
	}
	// Another site may not send the click.
	if res := r.do(http.MethodPost, "/login/launch", url.Values{"s": {"one"}}, cross...); res.StatusCode != 403 {
		t.Errorf("a click from another site: %d", res.StatusCode)
	}
}

// TestLogoutToken: it needs no cookie and tells nothing.
func TestLogoutToken(t *testing.T) {
	r := newRig(t, nil)
	res := r.do(http.MethodPost, "/launch/logout", url.Values{"token": {"good"}})
	if res.StatusCode != http.StatusNoContent || res.body != "" {
		t.Errorf("got %d %q", res.StatusCode, res.body)
	}
	res = r.do(http.MethodPost, "/launch/logout", url.Values{"token": {"bad"}})
	if res.StatusCode != 400 || res.body != "refused: launch_form\n" {
		t.Errorf("got %d %q", res.StatusCode, res.body)
	}
}

// TestLeaveForSource: the browser leaves for a source by an answer to a GET, with the sign-in in a cookie; a form's
// answer leads to an address of ours first. An address of another kind is never gone to.
func TestLeaveForSource(t *testing.T) {
	const id, text = "AAAAAAAAAAAAAAAAAAAAAA", "c2VhbGVk"
	leave := func(address string) *idp.Answer {
		return &idp.Answer{Page: idp.LeaveFor{SignIn: id + "." + text, Source: "portal", Address: address}}
	}
	const login = "https://portal.example/login?request=abc"
	r := newRig(t, nil)
	r.idp.answer = leave(login)
	res := r.do(http.MethodGet, "/launch", nil)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != login {
		t.Errorf("by GET: %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	if cookies := strings.Join(res.Header.Values("Set-Cookie"), "\n"); !strings.Contains(cookies,
		"__Host-ssobridge_start_"+id) || !strings.Contains(cookies, text) {
		t.Errorf("the sign-in is not kept: %s", cookies)
	}
	res = r.do(http.MethodGet, "/login?t="+id+"&source=portal", nil)
	if got := r.idp.last(t); got.name != "SignInAt" || got.way != "portal" || got.visitor.Started(id) != text ||
		res.Header.Get("Location") != login {
		t.Errorf("chosen: %+v", got)
	}
	// What answers a form is a page: Chromium holds redirects behind a form, whatever they go by, against form-action.
	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: id + "." + text}}
	form := r.get("/login?t="+id).fill(t, "/login", "login", "anna@example.com")
	r.idp.answer = leave(login)
	res = r.do(http.MethodPost, "/login", form)
	on := "/login?t=" + id + "&source=portal"
	wantStatus(t, res, http.StatusOK)
	page := res.page(t)
	if got := page.one(t, "meta", "http-equiv", "refresh").attr("content"); got != "0;url="+on ||
		page.one(t, "a", "class", "button").attr("href") != on || strings.Contains(res.body, text) ||
		!strings.Contains(strings.Join(res.Header.Values("Set-Cookie"), "\n"), text) {
		t.Errorf("by a form: %s", res.body)
	}
	if got := r.idp.last(t); got.visitor.Started("BBBBBBBBBBBBBBBBBBBBBB") != "" {
		t.Error("another sign-in has a text")
	}
	for name, way := range map[string]string{"launch": "/launch", "account": "/launch/a07e1lxqqqo0",
		"sp": "/launch/sp?entity_id=x"} {
		r.do(http.MethodGet, way+map[bool]string{true: "&", false: "?"}[strings.Contains(way, "?")]+"source=portal", nil)
		if got := r.idp.last(t); got.name != "Launch" || got.launch.Source != "portal" {
			t.Errorf("%s: idp was asked %+v", name, got)
		}
	}
	for _, bad := range []string{"javascript:alert(1)", "http://portal.example/", "//portal.example/", "portal"} {
		r.idp.answer = leave(bad)
		if res := r.do(http.MethodGet, "/launch", nil); res.StatusCode != 500 || res.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", bad, res.StatusCode, res.Header.Get("Location"))
		}
	}
	before := r.idp.count()
	for _, path := range []string{"/login?t=" + id + "&source=..", "/login?t=" + id + "&source=", "/login?t=" + id +
		"&source=portal&x=y"} {
		if res := r.do(http.MethodGet, path, nil); res.StatusCode != 400 {
			t.Errorf("%s: %d, want 400", path, res.StatusCode)
		}
	}
	if res := r.do(http.MethodGet, "/login?t="+id+"&source=portal", nil, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest",
		"iframe"); res.StatusCode != 403 || r.idp.count() != before {
		t.Errorf("in a frame: %d", res.StatusCode)
	}
}

// TestSourcesOnTheLoginPage: a link for each source, the one that was used last in this browser first and marked; none
// of them holds the sealed text.
func TestSourcesOnTheLoginPage(t *testing.T) {
	const id, text = "AAAAAAAAAAAAAAAAAAAAAA", "c2VhbGVk"
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: id + "." + text, Sources: []idp.WayIn{
		{Source: "one", Label: "One"}, {Source: "two", Label: "Two <b>"}}}}
	links := func() string {
		var all []string
		res := r.do(http.MethodGet, "/launch", nil)
		for _, a := range res.page(t).all("a") {
			if href := a.attr("href"); strings.Contains(href, "source=") {
				all = append(all, href+" "+strings.Join(strings.Fields(a.text()), " "))
			}
		}
		return strings.Join(all, ", ")
	}
	first := "/login?t=" + id + "&source=one Sign in with One"
	second := "/login?t=" + id + "&source=two Sign in with Two <b>"
	if got, want := links(), first+", "+second; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.do(http.MethodGet, "/login?t="+id+"&source=two", nil)
	if got, want := links(), second+", "+first; got != want {
		t.Errorf("after a choice: got %s, want %s", got, want)
	}
}
