package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
)

// signedIn is a rig whose browser has a session of anna's, with two of her sessions
// known to idp.
func signedIn(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, nil)
	resp := r.follow(r.get("/launch"))
	r.do(http.MethodPost, "/login", resp.fill(t, "/login", "login", "anna", "password", "right"))
	r.idp.own = []idp.OwnSession{
		{ID: "here", Here: true, Since: now.Add(-20 * time.Minute), Seen: now},
		{ID: "office", Since: now.Add(-5 * time.Hour), Seen: now.Add(-50 * time.Minute)},
	}
	return r
}

func TestOwnSessionsPage(t *testing.T) {
	r := signedIn(t)
	resp := r.get("/sessions")
	wantStatus(t, resp, http.StatusOK)
	for _, want := range []string{"This browser", "Another browser", "about 5 hours", "about 50 minutes"} {
		if !strings.Contains(resp.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	fields := resp.fill(t, "/sessions")
	csrf := fields.Get("csrf")

	resp = r.do(http.MethodPost, "/sessions", url.Values{"csrf": {csrf}, "session": {"office"}})
	wantStatus(t, resp, http.StatusSeeOther)
	if c := r.idp.last(t); c.name != "EndOwnSession" || c.id != "office" || resp.cookie(sessionCookie) != nil {
		t.Errorf("idp got %+v", c)
	}
	resp = r.do(http.MethodPost, "/sessions", url.Values{"csrf": {csrf}, "others": {"1"}})
	wantStatus(t, resp, http.StatusSeeOther)
	if c := r.idp.last(t); c.name != "EndOtherSessions" {
		t.Errorf("idp got %+v", c)
	}
	resp = r.do(http.MethodPost, "/sessions", url.Values{"csrf": {csrf}, "session": {"here"}})
	wantStatus(t, resp, http.StatusSeeOther)
	if c := resp.cookie(sessionCookie); c == nil || c.MaxAge != -1 || resp.Header.Get("Location") != "/" {
		t.Errorf("session cookie = %v, to %s: want it cleared and home", c, resp.Header.Get("Location"))
	}
}

func TestOwnSessionsRefusals(t *testing.T) {
	t.Run("nobody is signed in", func(t *testing.T) {
		resp := newRig(t, nil).get("/sessions")
		wantStatus(t, resp, http.StatusSeeOther)
	})
	r := signedIn(t)
	csrf := r.get("/sessions").fill(t, "/sessions").Get("csrf")
	for name, c := range map[string]struct {
		form   url.Values
		status int
	}{
		"no token":     {url.Values{"session": {"office"}}, http.StatusForbidden},
		"wrong token":  {url.Values{"csrf": {csrf + "x"}, "others": {"1"}}, http.StatusForbidden},
		"no session":   {url.Values{"csrf": {csrf}}, http.StatusBadRequest},
		"no id at all": {url.Values{"csrf": {csrf}, "session": {"<b>"}}, http.StatusBadRequest},
		"two ids":      {url.Values{"csrf": {csrf}, "session": {"office", "here"}}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.idp.count()
			wantStatus(t, r.do(http.MethodPost, "/sessions", c.form), c.status)
			if r.idp.count() != before {
				t.Errorf("idp got %+v", r.idp.last(t))
			}
		})
	}
	before := r.idp.count()
	wantStatus(t, r.do(http.MethodPost, "/sessions", url.Values{"csrf": {csrf}, "others": {"1"}}, "Sec-Fetch-Site",
		"cross-site"), http.StatusForbidden)
	if r.idp.count() != before {
		t.Error("another site's post came through")
	}
}
