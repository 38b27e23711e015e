package idp_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"ssobridge/idp"
	"ssobridge/store"
)

// chain is a logout with the calendar and Constant Contact as participants, asked
// for by the wiki.
func chain(t testing.TB, f *fixture, others ...string) (v idp.Visitor, id string, request logoutAsk) {
	t.Helper()
	v = f.signIn(t, "alice", "correct horse")
	nameID, index := f.used(t, v, plain)
	for _, other := range others {
		f.used(t, v, other)
	}
	request = newLogoutAsk(plain, nameID, index)
	state := "state é&=+"
	id = f.asked(t, v, logoutByQuery(t, readKey(t, "sp-rsa"), request.xml(), &state))
	if f.live(t, v) {
		t.Fatal("the session lives on: it ends first")
	}
	return v, id, request
}

// TestSLO03EndsHereFirst and goes back at once where nobody else took part.
func TestSLO03EndsHereFirst(t *testing.T) {
	for _, key := range []string{"rsa-2048", "p-256", "p-384"} {
		t.Run(key, func(t *testing.T) {
			f := logoutFixture(t, key, nil)
			v, id, request := chain(t, f)
			a, err := f.LogoutPage(context.Background(), id, v)
			message, state := f.sent(t, a, err, key)
			if got := codes(t, message); got != "Success" || message.SelectAttrValue("InResponseTo", "") != request.id ||
				state == nil || *state != "state é&=+" {
				t.Errorf("answer %q to %q with RelayState %v", got, message.SelectAttrValue("InResponseTo", ""), state)
			}
			page, ok := a.Page.(idp.RedirectMessage)
			if !ok || !strings.HasPrefix(page.URL, plainSLO+"&SAMLResponse=") || !a.EndSession {
				t.Errorf("answer %+v", a)
			}
			// Once: after that only the page is left.
			for _, step := range []func(context.Context, string, idp.Visitor) (idp.Answer, error){f.LogoutPage, f.EndLogout} {
				a, err := step(context.Background(), id, v)
				if p := must[idp.SignedOut](t, a, err); p.Logout != "" {
					t.Errorf("page %+v", p)
				}
			}
			var seen []string
			for _, e := range f.events(t) {
				if strings.HasPrefix(e.Action, "logout") {
					seen = append(seen, e.Action+" "+e.Outcome+" "+e.SP+" "+e.Subject)
				}
			}
			slices.Sort(seen)
			if want := []string{"logout ok " + plain + " " + alicesID, "logout-response ok " + plain +
				" "}; !slices.Equal(seen, want) {
				t.Errorf("events %q, want %q", seen, want)
			}
		})
	}
}

// TestSLO03Chain goes through the participants and tells who asked what came of it.
func TestSLO03Chain(t *testing.T) {
	for _, c := range []struct {
		name   string
		others []string
		answer string // the calendar's status; "" for none
		shown  string // at the end; "" when there is nothing to tell the person
		want   string
	}{
		{"all answer", []string{calendar}, success, "", "Success"},
		{"one refuses", []string{calendar}, refused, "Calendar:failed", "Success PartialLogout"},
		{"one is signed out in part", []string{calendar}, partial, "Calendar:failed", "Success PartialLogout"},
		{"one does not answer", []string{calendar}, "", "Calendar:no_answer", "Success PartialLogout"},
		{"one can't be asked", []string{ctct}, success, "Constant Contact:unreachable", "Success PartialLogout"},
		{"one answers and one can't be asked", []string{ctct, calendar}, success,
			"Constant Contact:unreachable Calendar:done", "Success PartialLogout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := context.Background()
			f := logoutFixture(t, "rsa-2048", nil)
			v, id, request := chain(t, f, c.others...)
			a, err := f.LogoutPage(ctx, id, v)
			if slices.Contains(c.others, calendar) {
				p := must[idp.SigningOut](t, a, err)
				if p.Next != "Calendar" || p.Provider != "Wiki" || p.Logout != id || p.Pause != 2*time.Second ||
					!strings.Contains(states(p.Services), "Calendar:waiting") {
					t.Errorf("page %+v", p)
				}
				a, err = f.NextLogout(ctx, id, -1, v)
				message, state := f.sent(t, a, err, "rsa-2048")
				if message.Tag != "LogoutRequest" || state != nil || a.Page.(idp.PostMessage).Action != calendarSLO {
					t.Fatalf("message %s, RelayState %v to %+v", message.Tag, state, a.Page)
				}
				nameID := find(t, message, "./NameID")
				if nameID.Text() != alicesID || nameID.SelectAttrValue("Format", "") != persistent ||
					nameID.SelectAttr("NameQualifier") != nil || nameID.SelectAttr("SPNameQualifier") != nil {
					t.Errorf("NameID %q %v", nameID.Text(), nameID.Attr)
				}
				if end := message.SelectAttrValue("NotOnOrAfter", ""); end != now.Now().Add(5*time.Minute).Format(
					"2006-01-02T15:04:05.000Z") {
					t.Errorf("NotOnOrAfter %q", end)
				}
				if len(find(t, message, "./SessionIndex").Text()) != 32 {
					t.Error("no SessionIndex")
				}
				// The answer comes back, or the person without it.
				if c.answer != "" {
					// As a cross-site POST: no cookies come with it.
					answer := logoutByForm(t, readKey(t, "sp-other"), logoutResponse(calendar, message.SelectAttrValue("ID",
						""), c.answer))
					a, err := f.SLO(ctx, answer, idp.Visitor{Ref: "REF2", Address: "192.0.2.1"})
					if on := must[idp.LogoutGoOn](t, a, err); on.Logout != id {
						t.Errorf("goes on with %q", on.Logout)
					}
				}
				a, err = f.LogoutPage(ctx, id, v)
			}
			if c.shown != "" {
				p := must[idp.SignedOut](t, a, err)
				if states(p.Services) != c.shown || p.Provider != "Wiki" || p.Logout != id {
					t.Errorf("page %+v, want %s", p, c.shown)
				}
				a, err = f.EndLogout(ctx, id, v)
			}
			message, _ := f.sent(t, a, err, "rsa-2048")
			if got := codes(t, message); got != c.want || message.SelectAttrValue("InResponseTo", "") != request.id {
				t.Errorf("answered %q, want %q", got, c.want)
			}
		})
	}
}

func must2(a idp.Answer, err error) idp.Answer {
	if err != nil {
		panic(err)
	}
	return a
}

// TestSLO03Skip leaves a service out, before it was asked and after.
func TestSLO03Skip(t *testing.T) {
	for _, asked := range []bool{false, true} {
		ctx := context.Background()
		f := logoutFixture(t, "rsa-2048", nil)
		v, id, _ := chain(t, f, calendar)
		want := "Calendar:skipped"
		if asked {
			a, err := f.NextLogout(ctx, id, -1, v)
			f.sent(t, a, err, "rsa-2048")
			want = "Calendar:no_answer"
		}
		n := 0
		if !asked {
			n = must[idp.SigningOut](t, must2(f.LogoutPage(ctx, id, v)), nil).Step
		}
		for _, step := range []int{-1, 99, n, n} {
			must[idp.LogoutGoOn](t, must2(f.SkipLogout(ctx, id, step, v)), nil)
		}
		if got := states(must[idp.SignedOut](t, must2(f.LogoutPage(ctx, id, v)), nil).Services); got != want {
			t.Errorf("services %s, want %s", got, want)
		}
		a, err := f.EndLogout(ctx, id, v)
		message, _ := f.sent(t, a, err, "rsa-2048")
		if got := codes(t, message); got != "Success PartialLogout" {
			t.Errorf("answered %q", got)
		}
	}
}

// TestSLO03AsksAgainAtOnce: two clicks ask one service, not two.
func TestSLO03AsksAgainAtOnce(t *testing.T) {
	ctx := context.Background()
	f := logoutFixture(t, "rsa-2048", nil)
	v, id, _ := chain(t, f, calendar)
	a, err := f.NextLogout(ctx, id, -1, v)
	first, _ := f.sent(t, a, err, "rsa-2048")
	now.Advance(2 * time.Second)
	a, err = f.NextLogout(ctx, id, -1, v)
	second, _ := f.sent(t, a, err, "rsa-2048")
	if first.SelectAttrValue("ID", "") == second.SelectAttrValue("ID", "") {
		t.Error("the same ID twice")
	}
	a, err = f.SLO(ctx, logoutByForm(t, readKey(t, "sp-other"), logoutResponse(calendar, second.SelectAttrValue("ID",
		""), success)), v)
	must[idp.LogoutGoOn](t, a, err)
	a, err = f.LogoutPage(ctx, id, v)
	message, _ := f.sent(t, a, err, "rsa-2048")
	if got := codes(t, message); got != "Success" {
		t.Errorf("answered %q", got)
	}
}

// TestSLO01Responses: an answer counts if it is its sender's, for us, now, and to
// what was asked.
func TestSLO01Responses(t *testing.T) {
	key, other := readKey(t, "sp-other"), readKey(t, "sp-rsa")
	for _, c := range []struct {
		name   string
		send   func(f *fixture, id string, v idp.Visitor) (idp.Answer, error)
		reason string
	}{
		{"unsigned form", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutForm(logoutResponse(calendar, id, success)), v)
		}, idp.ReasonUnsignedRequest},
		{"unsigned query", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), get("SAMLResponse="+urlEscape(deflated(t, logoutResponse(calendar, id, success)))), v)
		}, idp.ReasonUnsignedRequest},
		{"another's key", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, other, logoutResponse(calendar, id, success), nil), v)
		}, idp.ReasonBadSignature},
		{"another service provider", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, other, logoutResponse(plain, id, success), nil), v)
		}, idp.ReasonUnknownLogout},
		{"another request", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, key, logoutResponse(calendar, id+"0", success), nil), v)
		}, idp.ReasonUnknownLogout},
		{"another participant", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, key, logoutResponse(calendar, strings.Replace(id, ".0.", ".7.", 1),
				success), nil), v)
		}, idp.ReasonUnknownLogout},
		{"no request", func(f *fixture, _ string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, key, logoutResponse(calendar, "", success), nil), v)
		}, idp.ReasonUnknownLogout},
		{"a logout that never was", func(f *fixture, _ string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, key, logoutResponse(calendar, "_none.0.aa", success), nil), v)
		}, idp.ReasonUnknownLogout},
		{"old", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			text := logoutResponse(calendar, id, success)
			now.Advance(requestWindow + time.Second)
			return f.SLO(t.Context(), logoutByQuery(t, key, text, nil), v)
		}, idp.ReasonRequestTime},
		{"another Destination", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, key, strings.Replace(logoutResponse(calendar, id, success), sloEndpoint,
				endpoint, 1), nil), v)
		}, idp.ReasonWrongDestination},
		{"another Version", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, key, strings.Replace(logoutResponse(calendar, id, success), `"2.0"`,
				`"1.1"`, 1), nil), v)
		}, idp.ReasonBadRequest},
		{"without Status", func(f *fixture, id string, v idp.Visitor) (idp.Answer, error) {
			return f.SLO(t.Context(), logoutByQuery(t, key, logoutResponse(calendar, id, ""), nil), v)
		}, idp.ReasonBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := logoutFixture(t, "rsa-2048", nil)
			v, id, _ := chain(t, f, calendar)
			a, err := f.NextLogout(t.Context(), id, -1, v)
			message, _ := f.sent(t, a, err, "rsa-2048")
			request := message.SelectAttrValue("ID", "")
			before := len(f.log.String())
			a, err = c.send(f, request, v)
			// It counts as none, and the logout goes on (REAL-08).
			if on := must[idp.LogoutGoOn](t, a, err); on.Logout != id {
				t.Errorf("goes on with %q, want the running logout", on.Logout)
			}
			if line := f.log.String()[before:]; !strings.Contains(line, `msg="sign-out refused"`) ||
				!strings.Contains(line, "reason="+c.reason) || !strings.Contains(line, " sp=https://") {
				t.Errorf("the log does not say %s:\n%s", c.reason, line)
			}
			if got := states(must[idp.SignedOut](t, must2(f.LogoutPage(t.Context(), id, v)),
				nil).Services); got != "Calendar:no_answer" {
				t.Errorf("services %s: a refused answer was counted", got)
			}
		})
	}
	t.Run("twice and late", func(t *testing.T) {
		f := logoutFixture(t, "rsa-2048", nil)
		v, id, _ := chain(t, f, calendar)
		a, err := f.NextLogout(t.Context(), id, -1, v)
		message, _ := f.sent(t, a, err, "rsa-2048")
		now.Advance(time.Minute)
		must[idp.LogoutGoOn](t, must2(f.NextLogout(t.Context(), id, -1, v)), nil) // given up
		good := logoutResponse(calendar, message.SelectAttrValue("ID", ""), success)
		bad := logoutResponse(calendar, message.SelectAttrValue("ID", ""), refused)
		for _, text := range []string{good, good, bad} { // what it said first holds
			a, err = f.SLO(t.Context(), logoutByQuery(t, key, text, nil), v)
			must[idp.LogoutGoOn](t, a, err)
		}
		a, err = f.LogoutPage(t.Context(), id, v)
		answer, _ := f.sent(t, a, err, "rsa-2048")
		if got := codes(t, answer); got != "Success" {
			t.Errorf("answered %q", got)
		}
		// finished: nothing changes
		must[idp.LogoutGoOn](t, must2(f.SLO(t.Context(), logoutByQuery(t, key, bad, nil), v)), nil)
		if got := states(must[idp.SignedOut](t, must2(f.LogoutPage(t.Context(), id, v)),
			nil).Services); got != "Calendar:done" {
			t.Errorf("services %s", got)
		}
	})
}

// TestSLO03Everywhere starts at our own page.
func TestSLO03Everywhere(t *testing.T) {
	ctx := context.Background()
	f := logoutFixture(t, "p-256", nil)
	v := f.signIn(t, "alice", "correct horse")
	if s, err := f.Services(ctx, v); err != nil || s != nil {
		t.Errorf("services before any was used: %v, %v", s, err)
	}
	f.used(t, v, ctct)
	if s, err := f.Services(ctx, v); err != nil || s != nil {
		t.Errorf("services that can't be told: %v, %v, want no choice", s, err)
	}
	f.used(t, v, plain)
	f.used(t, v, plain)
	f.used(t, v, calendar)
	s, err := f.Services(ctx, v)
	if err != nil || states(s) != "Constant Contact:unreachable Wiki:waiting Calendar:waiting" {
		t.Errorf("services %s, %v", states(s), err)
	}
	a, err := f.LogoutEverywhere(ctx, v)
	id := must[idp.LogoutGoOn](t, a, err).Logout
	if !a.EndSession || f.live(t, v) {
		t.Error("the session lives on")
	}
	v.Session = ""
	a, err = f.NextLogout(ctx, id, -1, v)
	wiki, _ := f.sent(t, a, err, "p-256")
	if n := len(wiki.FindElements("./SessionIndex")); n != 2 {
		t.Errorf("%d SessionIndexes, want both", n)
	}
	if to := a.Page.(idp.RedirectMessage).URL; !strings.HasPrefix(to, plainSLO+"&SAMLRequest=") {
		t.Errorf("sent to %s", to)
	}
	a, err = f.SLO(ctx, logoutByQuery(t, readKey(t, "sp-rsa"), logoutResponse(plain, wiki.SelectAttrValue("ID", ""),
		success), nil), v)
	must[idp.LogoutGoOn](t, a, err)
	a, err = f.NextLogout(ctx, id, -1, v)
	cal, _ := f.sent(t, a, err, "p-256")
	a, err = f.SLO(ctx, logoutByForm(t, readKey(t, "sp-other"), logoutResponse(calendar, cal.SelectAttrValue("ID",
		""), success)), v)
	must[idp.LogoutGoOn](t, a, err)
	p := must[idp.SignedOut](t, must2(f.LogoutPage(ctx, id, v)), nil)
	if states(p.Services) != "Constant Contact:unreachable Wiki:done Calendar:done" || p.Logout != "" || p.Provider != "" {
		t.Errorf("page %+v", p)
	}
	must[idp.SignedOut](t, must2(f.EndLogout(ctx, id, v)), nil)
	a, err = f.LogoutEverywhere(ctx, v)
	if must[idp.SignedOut](t, a, err); !a.EndSession {
		t.Error("a dead cookie is kept")
	}
}

// TestLogoutBrowser: WEB-03, a logout belongs to one browser; a cross-site POST
// comes without cookies and is bound at its page, where the session's cookie goes.
func TestLogoutBrowser(t *testing.T) {
	ctx := context.Background()
	f := logoutFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	nameID, index := f.used(t, v, plain)
	f.used(t, v, calendar)
	bare := idp.Visitor{Ref: "REF2", Address: "192.0.2.1"}
	a, err := f.SLO(ctx, logoutByForm(t, readKey(t, "sp-rsa"), newLogoutAsk(plain, nameID, index).xml()), bare)
	id := must[idp.LogoutGoOn](t, a, err).Logout
	if a.EndSession || f.live(t, v) {
		t.Errorf("answer %+v, session %t", a, f.live(t, v))
	}
	steps := map[string]func(v idp.Visitor) (idp.Answer, error){
		"page": func(v idp.Visitor) (idp.Answer, error) { return f.LogoutPage(ctx, id, v) },
		"next": func(v idp.Visitor) (idp.Answer, error) { return f.NextLogout(ctx, id, -1, v) },
		"skip": func(v idp.Visitor) (idp.Answer, error) { return f.SkipLogout(ctx, id, 0, v) },
		"back": func(v idp.Visitor) (idp.Answer, error) { return f.EndLogout(ctx, id, v) },
	}
	if p := must[idp.Refusal](t, must2(f.LogoutPage(ctx, id, bare)), nil); p.Reason != idp.ReasonOtherBrowser {
		t.Errorf("without cookies: %+v", p)
	}
	a, err = f.LogoutPage(ctx, id, v)
	must[idp.SigningOut](t, a, err)
	if !a.EndSession {
		t.Error("the dead session's cookie is kept")
	}
	for name, step := range steps {
		if p := must[idp.Refusal](t, must2(step(visitor("thief"))), nil); p.Reason != idp.ReasonOtherBrowser ||
			p.Status != 403 {
			t.Errorf("%s in another browser: %+v", name, p)
		}
	}
	// A live session of somebody else in this browser is left alone.
	bob := f.signInAt(t, v.Browser, "bob", "battery staple")
	v.Session = bob.Session
	if a, err = f.LogoutPage(ctx, id, v); err != nil || a.EndSession || !f.live(t, bob) {
		t.Errorf("answer %+v, %v", a, err)
	}
	for _, unknown := range []string{"", "none", strings.Repeat("x", 200)} {
		id = unknown
		for name, step := range steps {
			if p := must[idp.Refusal](t, must2(step(v)), nil); p.Reason != idp.ReasonUnknownLogout || p.Status != 404 {
				t.Errorf("%s of %.10q: %+v", name, unknown, p)
			}
		}
	}
	a, err = f.SLO(ctx, logoutByQuery(t, readKey(t, "sp-rsa"), newLogoutAsk(plain, nameID).xml(), nil), v)
	id = must[idp.LogoutGoOn](t, a, err).Logout
	now.Advance(time.Hour + time.Second)
	if p := must[idp.Refusal](t, must2(f.LogoutPage(ctx, id, v)), nil); p.Reason != idp.ReasonUnknownLogout {
		t.Errorf("after its time: %+v", p)
	}
	if n, err := f.db.Logouts().Purge(ctx); err != nil || n == 0 {
		t.Errorf("purged %d, %v", n, err)
	}
}

// TestLogoutGoesOnElsewhere: a restart, another replica, or ten clicks at once.
func TestLogoutGoesOnElsewhere(t *testing.T) {
	var options idp.Options
	f := logoutFixture(t, "rsa-2048", func(o *idp.Options) { options = *o })
	v, id, _ := chain(t, f, calendar)
	replica, err := idp.New(options)
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Second)
	a, err := replica.NextLogout(context.Background(), id, -1, v)
	message, _ := f.sent(t, a, err, "rsa-2048")
	answer := logoutResponse(calendar, message.SelectAttrValue("ID", ""), success)
	var group sync.WaitGroup
	pages := make([]string, 10)
	for i := range pages {
		group.Go(func() {
			p := []*idp.IdP{f.IdP, replica}[i%2]
			a, err := p.SLO(context.Background(), logoutByForm(t, readKey(t, "sp-other"), answer), idp.Visitor{})
			pages[i] = fmt.Sprintf("%T %v", a.Page, err)
		})
	}
	group.Wait()
	for _, p := range pages {
		if p != "idp.LogoutGoOn <nil>" {
			t.Errorf("page %s", p)
		}
	}
	var answers []string
	for i := range pages {
		group.Go(func() {
			p := []*idp.IdP{f.IdP, replica}[i%2]
			a, err := p.LogoutPage(context.Background(), id, v)
			pages[i] = fmt.Sprintf("%T %v", a.Page, err)
		})
	}
	group.Wait()
	for _, p := range pages {
		if p == "idp.RedirectMessage <nil>" {
			answers = append(answers, p)
		}
	}
	if len(answers) != 1 {
		t.Errorf("%d answers left: %q", len(answers), pages)
	}
}

// TestRunningLogout finds what stands still, in its browser and for a while.
func TestRunningLogout(t *testing.T) {
	f := logoutFixture(t, "rsa-2048", nil)
	v, id, _ := chain(t, f, calendar)
	running := func(v idp.Visitor) string {
		t.Helper()
		got, err := f.RunningLogout(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := running(v); got != id {
		t.Errorf("running %q, want %q", got, id)
	}
	if got := running(visitor("another")) + running(idp.Visitor{}); got != "" {
		t.Errorf("running elsewhere: %q", got)
	}
	must[idp.LogoutGoOn](t, must2(f.SkipLogout(t.Context(), id, 0, v)), nil)
	if got := running(v); got != "" {
		t.Errorf("nobody is left to ask, and %q is running", got)
	}
	v, _, _ = chain(t, f, calendar)
	now.Advance(16 * time.Minute)
	if got := running(v); got != "" {
		t.Errorf("a quarter of an hour later %q is running", got)
	}
}

// TestLogoutTargets: what leaves goes to a registered address that is safe, or
// nowhere (WEB-04).
func TestLogoutTargets(t *testing.T) {
	for _, address := range []string{"javascript:alert(1)", "http://wiki.partner.test/slo",
		"https://user@wiki.partner.test/slo", "//wiki.partner.test", ""} {
		f := logoutFixture(t, "rsa-2048", nil)
		sp := wikiWithLogout(t)
		sp.Logout = []store.LogoutEndpoint{{URL: address, Binding: sp.Logout[0].Binding}}
		f.put(t, sp)
		v := f.signIn(t, "alice", "correct horse")
		nameID, index := f.used(t, v, plain)
		f.used(t, v, calendar)
		id := f.asked(t, v, logoutByQuery(t, readKey(t, "sp-rsa"), newLogoutAsk(plain, nameID, index).xml(), nil))
		if f.live(t, v) {
			t.Error("the session lives on")
		}
		must[idp.LogoutGoOn](t, must2(f.SkipLogout(t.Context(), id, 0, v)), nil)
		for _, step := range []func(context.Context, string, idp.Visitor) (idp.Answer, error){f.LogoutPage, f.EndLogout} {
			if p := must[idp.SignedOut](t, must2(step(t.Context(), id, v)), nil); p.Logout != "" || p.Provider != "" {
				t.Errorf("%q: page %+v leads back", address, p)
			}
		}
	}
	t.Run("removed meanwhile", func(t *testing.T) {
		f := logoutFixture(t, "rsa-2048", nil)
		v, id, _ := chain(t, f, calendar)
		for _, sp := range []string{plain, calendar} {
			if err := f.db.ServiceProviders().Remove(t.Context(), sp, store.Event{Action: "sp-remove"}); err != nil {
				t.Fatal(err)
			}
		}
		p := must[idp.SignedOut](t, must2(f.LogoutPage(t.Context(), id, v)), nil)
		if states(p.Services) != calendar+":unreachable" || p.Logout != "" {
			t.Errorf("page %+v", p)
		}
		must[idp.LogoutGoOn](t, must2(f.NextLogout(t.Context(), id, -1, v)), nil)
		must[idp.SignedOut](t, must2(f.EndLogout(t.Context(), id, v)), nil)
	})
}

// TestSLO04: signing out here works whatever single logout does.
func TestSLO04(t *testing.T) {
	for _, on := range []bool{false, true} {
		f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.SingleLogout = on })
		f.put(t, wikiWithLogout(t))
		v := f.signIn(t, "alice", "correct horse")
		f.used(t, v, plain)
		a, err := f.Logout(t.Context(), v)
		if p := must[idp.SignedOut](t, a, err); p.Services != nil || !a.EndSession || f.live(t, v) {
			t.Errorf("answer %+v", a)
		}
		if n, err := f.db.Sessions().Count(t.Context()); err != nil || n != 0 {
			t.Errorf("%d sessions are left, %v", n, err)
		}
	}
}

// TestLogoutAfterAnotherLogin: who proves themselves again in the same browser is
// still signed out everywhere.
func TestLogoutAfterAnotherLogin(t *testing.T) {
	ctx := context.Background()
	f := logoutFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	f.used(t, v, calendar)
	r := newRequest(plain)
	r.attributes = `ForceAuthn="true"`
	on := f.request(t, r, v)
	now.Advance(time.Second)
	a, err := f.Login(ctx, on, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	a, err = f.Resume(ctx, on, v)
	must[idp.Deliver](t, a, err)
	if s, err := f.Services(ctx, v); err != nil || states(s) != "Calendar:waiting Wiki:waiting" {
		t.Errorf("services %s, %v", states(s), err)
	}
}

// TestLogoutLongAddress: what would make the address of a redirect longer than the buffers of proxies goes by a form,
// where the service provider takes one. A short answer, and one to a service provider that takes nothing else, goes by
// a redirect as before.
func TestLogoutLongAddress(t *testing.T) {
	ctx := context.Background()
	const posted = "https://wiki.partner.test/slo/post"
	for _, c := range []struct {
		name   string
		state  int // bytes of the RelayState
		post   bool
		byForm bool
	}{
		{"short", 80, true, false},
		{"2 KiB", 2 << 10, true, true},
		{"8 KiB", 8 << 10, true, true},
		{"8 KiB, and redirects alone", 8 << 10, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := logoutFixture(t, "rsa-2048", nil)
			sp := wikiWithLogout(t)
			if c.post {
				sp.Logout = append(sp.Logout, store.LogoutEndpoint{URL: posted, ResponseURL: posted + "/answer",
					Binding: saml.HTTPPostBinding})
				f.put(t, sp)
			}
			v := f.signIn(t, "alice", "correct horse")
			nameID, _ := f.used(t, v, plain)
			state := strings.Repeat("x", c.state)
			id := f.asked(t, v, logoutByQuery(t, readKey(t, "sp-rsa"), newLogoutAsk(plain, nameID).xml(), &state))
			a, err := f.LogoutPage(ctx, id, v)
			message, back := f.sent(t, a, err, "rsa-2048")
			if back == nil || *back != state {
				t.Error("the RelayState did not come back")
			}
			form, byForm := a.Page.(idp.PostMessage)
			if byForm != c.byForm {
				t.Fatalf("sent by %T, want a form: %t", a.Page, c.byForm)
			}
			if byForm && form.Action != posted+"/answer" {
				t.Errorf("sent to %s with Destination %s", form.Action, message.SelectAttrValue("Destination", ""))
			}
		})
	}
	t.Run("a request with a long NameID", func(t *testing.T) {
		f := logoutFixture(t, "rsa-2048", nil)
		sp := wikiWithLogout(t)
		sp.NameID = "{person_id}" + strings.Repeat("\u20ac", 150)
		sp.Logout = append(sp.Logout, store.LogoutEndpoint{URL: posted + "?" + strings.Repeat("p", 1900),
			Binding: saml.HTTPPostBinding})
		sp.Logout[0].URL = plainSLO + "&" + strings.Repeat("p", 1900)
		f.put(t, sp)
		v := f.signIn(t, "alice", "correct horse")
		f.used(t, v, plain)
		a, err := f.LogoutEverywhere(ctx, v)
		a, err = f.NextLogout(ctx, must[idp.LogoutGoOn](t, a, err).Logout, -1, v)
		f.sent(t, a, err, "rsa-2048")
		if _, byForm := a.Page.(idp.PostMessage); !byForm {
			t.Errorf("sent by %T, want a form", a.Page)
		}
	})
}
