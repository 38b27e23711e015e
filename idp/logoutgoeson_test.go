package idp_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"ssobridge/idp"
	"ssobridge/store"
)

// TestLogoutGoesOn (REAL-08): whatever comes in place of an answer, the person gets on to the services behind.
func TestLogoutGoesOn(t *testing.T) {
	ofNobody := logoutResponse("https://nobody.test", "_x.0.a", success)
	for name, answer := range map[string]*http.Request{
		"nothing readable": get("SAMLResponse=%21"),
		"no compression":   get("SAMLResponse=QUJD"),
		"twice":            get("SAMLResponse=a&SAMLResponse=b"),
		"no XML":           post("SAMLResponse=QUJD"),
		"another element": post("SAMLResponse=" + urlEscape(encoded(strings.ReplaceAll(ofNobody, "LogoutResponse",
			"Response")))),
		"of nobody": get("SAMLResponse=" + urlEscape(deflated(t, ofNobody))),
	} {
		t.Run(name, func(t *testing.T) {
			f := logoutFixture(t, "rsa-2048", nil)
			v, id, _ := chain(t, f, calendar)
			a, err := f.NextLogout(t.Context(), id, -1, v)
			f.sent(t, a, err, "rsa-2048")
			a, err = f.SLO(t.Context(), answer, v)
			if on := must[idp.LogoutGoOn](t, a, err); on.Logout != id {
				t.Errorf("goes on with %q", on.Logout)
			}
		})
	}
	f := logoutFixture(t, "rsa-2048", nil)
	// A cross-site POST brings no cookies: where it goes on shows when they come.
	a, err := f.SLO(t.Context(), post("SAMLResponse=QUJD"), idp.Visitor{Ref: "REF1", Address: "192.0.2.1"})
	if on := must[idp.LogoutGoOn](t, a, err); on.Logout != "" {
		t.Errorf("goes on with %q", on.Logout)
	}
	// In a browser that is on no logout, and for a request, it stays a refusal: of a sign-out.
	for _, refused := range []*http.Request{get("SAMLResponse=%21"), get("SAMLRequest=%21"), logoutForm(
		logoutResponse(calendar, "_none.0.a", success))} {
		a, err = f.SLO(t.Context(), refused, visitor("b"))
		if page := must[idp.Refusal](t, a, err); !page.SignOut || page.Status != http.StatusBadRequest {
			t.Errorf("%+v", page)
		}
	}
	// One that was finished is none to go on with.
	v, id, _ := chain(t, f)
	a, err = f.LogoutPage(t.Context(), id, v)
	f.sent(t, a, err, "rsa-2048")
	a, err = f.SLO(t.Context(), logoutForm(logoutResponse(calendar, "_"+id+".0.a", success)), v)
	must[idp.Refusal](t, a, err)
}

// TestLogoutComesBack (REAL-08): a service provider whose page never leads back is given up as soon as the person is
// back at any page of the logout, those behind it are asked, and the last page says who was not reached. The next time
// it is asked last, until it answers.
func TestLogoutComesBack(t *testing.T) {
	ctx := context.Background()
	f := logoutFixture(t, "rsa-2048", nil)
	notes := plainSP()
	notes.EntityID, notes.Name = "https://notes.partner.test", "Notes"
	notes.ACS = []store.Endpoint{{URL: "https://notes.partner.test/acs", Binding: saml.HTTPPostBinding}}
	notes.Certificates = [][]byte{readKey(t, "sp-rsa").Certificate.Raw}
	notes.Logout = []store.LogoutEndpoint{{URL: "https://notes.partner.test/slo", Binding: saml.HTTPRedirectBinding}}
	f.put(t, notes)
	keys := map[string]string{calendar: "sp-other", notes.EntityID: "sp-rsa", plain: "sp-rsa"}
	everywhere := func() (v idp.Visitor, id string) {
		v = f.signIn(t, "alice", "correct horse")
		for _, sp := range []string{calendar, notes.EntityID, plain} {
			f.used(t, v, sp)
		}
		a, err := f.LogoutEverywhere(ctx, v)
		id = must[idp.LogoutGoOn](t, a, err).Logout
		v.Session = ""
		return v, id
	}
	ask := func(v idp.Visitor, id string) (request string) {
		a, err := f.NextLogout(ctx, id, -1, v)
		message, _ := f.sent(t, a, err, "rsa-2048")
		return message.SelectAttrValue("ID", "")
	}
	answer := func(v idp.Visitor, sp, request string) {
		a, err := f.SLO(ctx, logoutByQuery(t, readKey(t, keys[sp]), logoutResponse(sp, request, success), nil), v)
		must[idp.LogoutGoOn](t, a, err)
	}
	next := func(v idp.Visitor, id string) idp.SigningOut {
		return must[idp.SigningOut](t, must2(f.LogoutPage(ctx, id, v)), nil)
	}
	v, id := everywhere()
	if page := next(v, id); page.Next != "Calendar" {
		t.Fatalf("asks %+v first", page)
	}
	first := ask(v, id)
	// The calendar says 500. The back button, / and /logout all lead here, and here it goes on at once.
	now.Advance(time.Millisecond)
	if page := next(v, id); states(page.Services) != "Calendar:no_answer Notes:waiting Wiki:waiting" ||
		page.Next != "Notes" || page.Pause != 2*time.Second {
		t.Errorf("page %+v", page)
	}
	answer(v, notes.EntityID, ask(v, id))
	answer(v, plain, ask(v, id))
	end := must[idp.SignedOut](t, must2(f.LogoutPage(ctx, id, v)), nil)
	if states(end.Services) != "Calendar:no_answer Notes:done Wiki:done" {
		t.Errorf("services %s", states(end.Services))
	}
	if !slices.ContainsFunc(f.events(t), func(e store.Event) bool {
		return e.Action == "logout-participant" && e.SP == calendar && e.Reason == "no_answer"
	}) {
		t.Error("no event says that the calendar was given up")
	}

	// The next time it is the last one.
	now.Advance(time.Minute)
	v, id = everywhere()
	for _, sp := range []string{notes.EntityID, plain, calendar} {
		want := map[string]string{notes.EntityID: "Notes", plain: "Wiki", calendar: "Calendar"}[sp]
		if page := next(v, id); page.Next != want {
			t.Fatalf("next is %s, want %s", page.Next, want)
		}
		answer(v, sp, ask(v, id))
	}
	// It has answered, so it keeps its place from now on.
	now.Advance(time.Minute)
	v2, id2 := everywhere()
	if page := next(v2, id2); page.Next != "Calendar" {
		t.Errorf("next is %s", page.Next)
	}
	// An answer that comes after all leads on, and changes nothing of a logout that is over.
	answer(v, calendar, first)
}

// encoded is a message as a form carries it.
func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// TestRefusedPartyIsNamed (REAL-09): page and log name who sent a message, as far as it says, and nobody else.
func TestRefusedPartyIsNamed(t *testing.T) {
	f := logoutFixture(t, "rsa-2048", nil)
	old := newRequest(plain)
	old.instant = now.Now().Add(-time.Hour).Format(time.RFC3339)
	unsigned := newLogoutAsk(plain, alicesID)
	late := newLogoutAsk(plain, alicesID)
	late.instant = old.instant
	unread := newRequest(plain)
	unread.attributes = `IsPassive="maybe"`
	long := "RelayState=" + strings.Repeat("x", 8<<10+1)
	for _, c := range []struct {
		name, provider, sp string
		signOut            bool
		r                  *http.Request
	}{
		{"a request too old", "Wiki", plain, false, byRedirect(t, old.xml())},
		{"a request that can't be read as a whole", "Wiki", plain, false, byPost(t, unread.xml())},
		{"a request with a RelayState too long", "Wiki", plain, false, byRedirect(t, newRequest(plain).xml(), long)},
		{"a request in a form with a RelayState too long", "Wiki", plain, false, byPost(t, newRequest(plain).xml(), long)},
		{"a request with a line end in its RelayState", "Wiki", plain, false,
			byRedirect(t, newRequest(plain).xml(), "RelayState=a%0Ab")},
		{"a request with a query's signature in a form", "Wiki", plain, false,
			byPost(t, newRequest(plain).xml(), "SigAlg=a", "Signature=b")},
		{"a logout with a RelayState too long", "Wiki", plain, true,
			post("SAMLRequest=" + urlEscape(encoded(unsigned.xml())) + "&" + long)},
		{"a request of nobody known, with a RelayState too long", "", "https://evil.test", false,
			byRedirect(t, newRequest("https://evil.test").xml(), long)},
		{"a request of nobody known", "", "https://evil.test", false, byRedirect(t, newRequest("https://evil.test").xml())},
		{"a logout that is not signed", "Wiki", plain, true, logoutForm(unsigned.xml())},
		{"a logout too old", "Wiki", plain, true, logoutByQuery(t, readKey(t, "sp-rsa"), late.xml(), nil)},
		{"a logout of nobody known", "", "https://evil.test", true,
			logoutForm(newLogoutAsk("https://evil.test", "x").xml())},
	} {
		t.Run(c.name, func(t *testing.T) {
			take, message := f.SSO, `msg="sign-in refused"`
			if c.signOut {
				take, message = f.SLO, `msg="sign-out refused"`
			}
			before := len(f.log.String())
			a, err := take(t.Context(), c.r, visitor("b"))
			page := must[idp.Refusal](t, a, err)
			if page.Provider != c.provider || page.SignOut != c.signOut {
				t.Errorf("page %+v", page)
			}
			if line := f.log.String()[before:]; !strings.Contains(line, "sp="+c.sp+" ") || !strings.Contains(line, message) {
				t.Errorf("log: %s", line)
			}
		})
	}
}
