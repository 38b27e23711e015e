package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
)

// TestWEB03PostedLogout: a message that another site posts comes without our
// cookies. None is made, and the answer leads to a page of ours by GET.
func TestWEB03PostedLogout(t *testing.T) {
	r := newRig(t, nil)
	resp := r.do(http.MethodPost, "/saml/slo", url.Values{"SAMLRequest": {"eA=="}}, "Origin", "https://sp.example",
		"Sec-Fetch-Site", "cross-site")
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/logout/all?l=logout-a" ||
		len(resp.Cookies()) != 0 {
		t.Fatalf("status %d to %q with cookies %v", resp.StatusCode, resp.Header.Get("Location"), resp.Cookies())
	}
	if c := r.idp.last(t); c.name != "SLO" || c.visitor.Browser != "" || c.body != "SAMLRequest=eA%3D%3D" {
		t.Errorf("call %+v", c)
	}
	resp = r.get("/saml/slo?SAMLRequest=eA%3D%3D")
	if resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) != 1 || r.idp.last(t).visitor.Browser == "" {
		t.Errorf("by GET: status %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	big := r.do(http.MethodPost, "/saml/slo", url.Values{"SAMLRequest": {strings.Repeat("x", 600<<10)}})
	wantStatus(t, big, http.StatusRequestEntityTooLarge)
	before := r.idp.count()
	for _, path := range []string{"/saml/slo?SAMLRequest=eA", "/logout/all?l=one", "/logout/next?l=one",
		"/logout/back?l=one"} {
		wantStatus(t, r.get(path, "Sec-Purpose", "prefetch"), http.StatusForbidden)
	}
	if r.idp.count() != before {
		t.Error("a browser that asked ahead was answered")
	}
}

// TestLogoutSteps: each step names the logout, and where its answer leads.
func TestLogoutSteps(t *testing.T) {
	r := newRig(t, nil)
	for path, name := range map[string]string{"/logout/all": "LogoutPage", "/logout/next": "NextLogout",
		"/logout/back": "EndLogout"} {
		resp := r.get(path + "?l=one")
		if c := r.idp.last(t); resp.StatusCode != http.StatusSeeOther || c.name != name || c.id != "one" ||
			c.visitor.Browser == "" {
			t.Errorf("%s: status %d, call %+v", path, resp.StatusCode, c)
		}
		before := r.idp.count()
		for _, query := range []string{"", "?l=", "?l=%22%3E", "?l=a&l=b", "?l=" + strings.Repeat("x", 200)} {
			wantStatus(t, r.get(path+query), http.StatusBadRequest)
		}
		if r.idp.count() != before {
			t.Errorf("%s: idp was asked for a logout that can't be", path)
		}
	}

	for query, past := range map[string]int{"": -1, "&past=2": 2} {
		r.get("/logout/next?l=one" + query)
		if got := r.idp.last(t).step; got != past {
			t.Errorf("%q: past %d, want %d", query, got, past)
		}
	}
	wantStatus(t, r.get("/logout/next?l=one&past=x"), http.StatusBadRequest)

	r.idp.answer = &idp.Answer{Page: idp.RedirectMessage{URL: "https://wiki.example/slo?SAMLRequest=x"}}
	resp := r.get("/logout/next?l=one")
	if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "https://wiki.example/slo?SAMLRequest=x" ||
		resp.Header.Get("Cache-Control") != "no-cache, no-store" {
		t.Errorf("status %d to %q, %q", resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("Cache-Control"))
	}
	for _, bad := range []idp.Page{
		idp.RedirectMessage{URL: "javascript:alert(1)"},
		idp.RedirectMessage{URL: "http://wiki.example/slo?SAMLRequest=secret"}, idp.RedirectMessage{URL: "/launch"},
		idp.RedirectMessage{},
		idp.PostMessage{Action: "javascript:alert(1)", Parameter: "SAMLRequest", Message: "eA=="},
		idp.PostMessage{Action: "http://wiki.example/slo", Parameter: "SAMLRequest", Message: "eA=="},
		idp.PostMessage{Action: "https://wiki.example/slo", Parameter: "csrf", Message: "eA=="},
		idp.PostMessage{Action: "https://wiki.example/slo", Parameter: "SAMLRequest", Message: `"><b>`},
	} {
		r.idp.answer = &idp.Answer{Page: bad}
		if resp := r.get("/logout/next?l=one"); resp.StatusCode != http.StatusInternalServerError ||
			resp.Header.Get("Location") != "" {
			t.Errorf("%+v: status %d to %q", bad, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	if strings.Contains(r.logged(), "secret") {
		t.Error("a message is in the log")
	}
}

// TestLogoutSkip: WEB-01, it takes the token of a page of ours.
func TestLogoutSkip(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.SigningOut{Logout: "one", Services: usedServices(idp.ToBeAsked),
		Next: "Intranet", Step: 3}}
	form := r.get("/logout/all?l=one").fill(t, "/logout/skip")
	r.idp.answer = nil
	resp := r.do(http.MethodPost, "/logout/skip", form)
	if c := r.idp.last(t); resp.StatusCode != http.StatusSeeOther || c.name != "SkipLogout" ||
		c.id != "one" || c.step != 3 {
		t.Errorf("status %d, call %+v", resp.StatusCode, c)
	}
	before := r.idp.count()
	for field, status := range map[string]int{"csrf": http.StatusForbidden, "l": http.StatusBadRequest,
		"step": http.StatusBadRequest} {
		bad := url.Values{}
		for k, v := range form {
			bad[k] = v
		}
		bad.Set(field, "!")
		wantStatus(t, r.do(http.MethodPost, "/logout/skip", bad), status)
	}
	if r.idp.count() != before {
		t.Error("idp was asked by a bad form")
	}
}

// TestSLO04Page: what the page offers, and what its buttons do.
func TestSLO04Page(t *testing.T) {
	r := newRig(t, nil)
	session := []string{"Cookie", sessionCookie + "=" + sampleSession}
	for _, c := range []struct {
		services   []idp.Service
		everywhere bool
		forms      int
		call       string
	}{
		{nil, false, 1, "Logout"},
		{usedServices(idp.ToBeAsked, idp.Unreachable), false, 2, "Logout"},
		{usedServices(idp.ToBeAsked), true, 2, "LogoutEverywhere"},
	} {
		r.idp.sessions[sampleSession], r.idp.services = "anna", c.services
		page := r.get("/logout", session...).page(t)
		forms := page.all("form", "action", "/logout")
		if len(forms) != c.forms {
			t.Fatalf("%d forms, want %d", len(forms), c.forms)
		}
		if len(page.all("li")) != len(c.services) {
			t.Errorf("%d services are named, want %d", len(page.all("li")), len(c.services))
		}
		f := url.Values{"csrf": {forms[0].one(t, "input").attr("value")}}
		if c.everywhere {
			b := forms[0].one(t, "button")
			f.Set(b.attr("name"), b.attr("value"))
		}
		resp := r.do(http.MethodPost, "/logout", f, session...)
		if got := r.idp.last(t).name; got != c.call {
			t.Errorf("called %s, want %s", got, c.call)
		}
		gone := false
		for _, cookie := range resp.Cookies() {
			gone = gone || cookie.Name == sessionCookie && cookie.MaxAge < 0
		}
		if !gone {
			t.Error("the session's cookie is kept")
		}
	}
}

// TestRunningLogoutIsFoundAgain: a service that never answered keeps the browser;
// whoever comes back to a page of ours gets on.
func TestRunningLogoutIsFoundAgain(t *testing.T) {
	r := newRig(t, nil)
	wantStatus(t, r.get("/"), http.StatusOK)
	r.idp.running = "still"
	for _, path := range []string{"/", "/logout"} { // REAL-08: it goes on by itself
		resp := r.get(path)
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/logout/all?l=still" {
			t.Errorf("%s: status %d to %q", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	r.idp.running = ""
	r.idp.answer = &idp.Answer{Page: idp.LogoutGoOn{}} // which one it is shows when the browser's cookie comes
	if resp := r.get("/saml/slo?SAMLResponse=x"); resp.Header.Get("Location") != "/logout" {
		t.Errorf("status %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
}

// TestRefusedLogoutIsNoSignIn (REAL-09): what refuses a message of single logout speaks of signing out and of who sent
// it, and leads to the sign-out here; a page that knows no sender names nobody.
func TestRefusedLogoutIsNoSignIn(t *testing.T) {
	r := newRig(t, nil)
	said := func(path string, refusal idp.Refusal) node {
		r.idp.answer = &idp.Answer{Page: refusal}
		page := r.get(path).page(t)
		text := page.one(t, "main").text()
		if strings.Contains(text, "Constant Contact") || strings.ContainsAny(text, "{}") {
			t.Errorf("%+v: %s", refusal, text)
		}
		return page
	}
	for _, reason := range []string{
		idp.ReasonTooLarge, idp.ReasonBadRequest, idp.ReasonUnsignedRequest, idp.ReasonSignatureParameters,
		idp.ReasonSignatureInXML, idp.ReasonSignatureForm, idp.ReasonSignatureAlgorithm, idp.ReasonNoCertificate,
		idp.ReasonBadSignature, idp.ReasonUnknownProvider, idp.ReasonProviderDisabled, idp.ReasonMetadataExpired,
		idp.ReasonWrongDestination, idp.ReasonRequestTime, idp.ReasonReplayed,
	} {
		for _, provider := range []string{"Wiki", ""} {
			page := said("/saml/slo?SAMLRequest=x", idp.Refusal{Reason: reason, Status: 400, Provider: provider, SignOut: true})
			page.one(t, "a", "href", "/logout")
			if text := page.one(t, "main").text(); strings.Contains(text, "sign-in") || strings.Contains(text, "Start again") {
				t.Errorf("%s: %s", reason, text)
			}
			said("/saml/sso?SAMLRequest=x", idp.Refusal{Reason: reason, Status: 400, Provider: provider})
		}
	}
}
