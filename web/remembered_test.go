package web_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/web"
)

const loginCookie = "__Host-ssobridge_login"

// A login name is kept where the configuration offers it and the person wants it, after a login that went well.
func TestLoginNameIsRemembered(t *testing.T) {
	form := func(r *rig, remember string) url.Values {
		t.Helper()
		r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: "Constant Contact"}}
		page := r.get("/login?s=one").page(t)
		f := url.Values{"s": {"one"}, "csrf": {page.all("input", "name", "csrf")[0].attr("value")},
			"login": {" Anna@example "}, "password": {"secret"}}
		if remember != "" {
			f.Set("remember", remember)
		}
		return f
	}
	r := newRig(t, func(o *web.Options) { o.RememberLogin = true })
	sent := form(r, "1")
	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "one", Login: "Anna@example", Problem: "bad_credentials"}}
	if k := r.do(http.MethodPost, "/login", sent).cookie(loginCookie); k != nil {
		t.Errorf("kept after a wrong password: %v", k)
	}
	r.idp.answer = &idp.Answer{Page: idp.GoOn{SignIn: "one"}, NewSession: "token"}
	k := r.do(http.MethodPost, "/login", sent).cookie(loginCookie)
	if k == nil || k.Value != base64.RawURLEncoding.EncodeToString([]byte("Anna@example")) || !k.HttpOnly || !k.Secure {
		t.Fatalf("the cookie is %v", k)
	}

	r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "two", Provider: "Constant Contact"}}
	page := r.get("/login?s=two").page(t)
	if got := page.all("input", "name", "login")[0].attr("value"); got != "Anna@example" {
		t.Errorf("filled in: %q", got)
	}
	if box := page.all("input", "name", "remember"); len(box) != 1 || !strings.Contains(r.get("/login?s=two").body,
		` name="remember" value="1" checked`) {
		t.Error("the box is not there, or not ticked")
	}
	sent = form(r, "")
	r.idp.answer = &idp.Answer{Page: idp.GoOn{SignIn: "one"}, NewSession: "token"}
	if k := r.do(http.MethodPost, "/login", sent).cookie(loginCookie); k == nil || k.MaxAge >= 0 {
		t.Errorf("without the box it is not forgotten: %v", k)
	}

	off := newRig(t, nil)
	sent = form(off, "1")
	off.idp.answer = &idp.Answer{Page: idp.GoOn{SignIn: "one"}, NewSession: "token"}
	if k := off.do(http.MethodPost, "/login", sent).cookie(loginCookie); k != nil {
		t.Errorf("kept though it is off: %v", k)
	}
	control := base64.RawURLEncoding.EncodeToString([]byte("a\nb"))
	for _, junk := range []string{"%%%", control, strings.Repeat("QUFB", 100)} {
		other := newRig(t, func(o *web.Options) { o.RememberLogin = true })
		other.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "one", Provider: "Constant Contact"}}
		page := other.get("/login?s=one", "Cookie", loginCookie+"="+junk).page(t)
		if got := page.all("input", "name", "login")[0].attr("value"); got != "" {
			t.Errorf("a cookie of junk fills in %q", got)
		}
	}
}

// Accounts that were chosen last in this browser stand first. What the cookie names and the person has not is not
// shown.
func TestRecentAccountsStandFirst(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.ChooseAccount{SignIn: "one", Provider: "Constant Contact",
		Choices: manyChoices(60)}}
	all := r.get("/login?s=one").page(t).all("button", "name", "account")
	last := string(manyChoices(60)[59].Account)
	if got := all[0].attr("value"); got == last {
		t.Fatalf("%s stands first anyway", got)
	}
	page := r.get("/login?s=one", "Cookie", "__Host-ssobridge_account="+last+".notMine.<script>").page(t)
	if got := page.all("button", "name", "account"); got[0].attr("value") != last || len(got) != len(all) ||
		!strings.Contains(got[0].text(), "Recently used") || strings.Contains(got[1].text(), "Recently used") {
		t.Errorf("first is %s of %d", got[0].text(), len(got))
	}
	csrf := page.all("input", "name", "csrf")[0].attr("value")
	r.idp.answer = &idp.Answer{Page: idp.GoOn{SignIn: "one"}}
	k := r.do(http.MethodPost, "/login/account", url.Values{"s": {"one"}, "csrf": {csrf}, "account": {last}}).
		cookie("__Host-ssobridge_account")
	if k == nil || k.Value != last {
		t.Errorf("after a choice the cookie is %v", k)
	}
}

// Enter in the address bar asks for the address that a form was sent to: it comes back to the sign-in.
func TestStepsComeBackByTheirAddress(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.AskFactor{SignIn: "one", Provider: "Constant Contact", Login: "anna", Code: true,
		State: "sealed"}}
	action := r.get("/login?s=one").page(t).all("form", "method", "post")[0].attr("action")
	if action != "/login/factor?s=one" {
		t.Fatalf("the form goes to %q", action)
	}
	for _, path := range []string{action, "/login/factor/enrol?s=one"} {
		wantStatus(t, r.get(path), http.StatusOK)
	}
}

// A dead end offers what a signed-in person can do themselves: another account, another login.
func TestWaysOnFromRefusals(t *testing.T) {
	r := newRig(t, func(o *web.Options) { o.Branding.HelpURL = "https://help.example/" })
	hrefs := func(reason string, headers ...string) (all []string) {
		t.Helper()
		r.idp.answer = &idp.Answer{Page: idp.Refusal{SignIn: "one", Provider: "Constant Contact", Reason: reason,
			Status: http.StatusForbidden}}
		for _, a := range r.get("/login?s=one", headers...).page(t).all("a", "class", "button quiet") {
			all = append(all, a.attr("href"))
		}
		return all
	}
	session := []string{"Cookie", sessionCookie + "=" + sampleSession}
	if got := strings.Join(hrefs("no_assignment", session...), " "); got != "https://help.example/ /logout" {
		t.Errorf("no access: %s", got)
	}
	if got := strings.Join(hrefs("no_assignment"), " "); got != "https://help.example/" {
		t.Errorf("no access, without a session: %s", got)
	}
	hrefs("not_this_account", session...)
	if body := r.get("/login?s=one", session...).body; !strings.Contains(body, `href="/launch"`) {
		t.Errorf("the other accounts are not offered:\n%s", body)
	}
}
