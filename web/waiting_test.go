package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
)

type polled struct {
	Ready   bool
	Message string
	Detail  string
	Poll    int64
}

// TestAPI04 shows the words of the waiting page: where one is in the queue, what is
// being done, what stands in the way, when the next try is.
func TestAPI04ProgressInWords(t *testing.T) {
	r := newRig(t, nil)
	for name, c := range map[string]struct {
		progress provisioning.Progress
		want     []string
		poll     int64
	}{
		"next in line": {provisioning.Progress{State: store.Wanted, Since: now, Place: 1, Cause: "queued"},
			[]string{"waiting to be set up", "You are next in line."}, 1000},
		"one ahead": {provisioning.Progress{Since: now, Place: 2, Cause: "queued"},
			[]string{"One person is ahead of you."}, 1000},
		"many ahead": {provisioning.Progress{Since: now, Place: 41, Expected: 12 * time.Second, Cause: "queued"},
			[]string{"40 people are ahead of you.", "should take less than a minute"}, 1000},
		"being done": {provisioning.Progress{State: store.Sending, Since: now.Add(-20 * time.Second), Place: 1,
			Cause: "sending"}, []string{"Constant Contact is setting up your user now."}, 2000},
		"throttled": {provisioning.Progress{Since: now, Cause: "throttled", Attempts: 1,
			NextTry: now.Add(2 * time.Second)}, []string{"is busy", "next try is in a few seconds"}, 1000},
		"unreachable": {provisioning.Progress{Since: now.Add(-5 * time.Minute), Cause: "unreachable", Attempts: 4,
			NextTry: now.Add(3 * time.Minute)}, []string{"does not answer", "in about 3 minutes"}, 5000},
		"try under way": {provisioning.Progress{Since: now.Add(-time.Hour), Cause: "unreachable", Attempts: 4,
			NextTry: now}, []string{"The next try is under way."}, 15000},
		"credentials": {provisioning.Progress{Since: now, Cause: "credentials"}, []string{"does not let us in"}, 1000},
		"unknown outcome": {provisioning.Progress{State: store.Unknown, Since: now, Cause: "unknown_outcome", Attempts: 1,
			NextTry: now.Add(80 * time.Second)}, []string{"has not confirmed", "about a minute"}, 1000},
		"quota": {provisioning.Progress{Since: now, Cause: "quota",
			NextTry: now.Add(14*time.Hour + 30*time.Minute)}, []string{"no more new users today", "about 15 hours"}, 60000},
		"a word of tomorrow": {provisioning.Progress{Since: now, Cause: "brand_new"},
			[]string{"Your user is being set up."}, 1000},
		"nothing known": {provisioning.Progress{}, []string{"Your user is being set up."}, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			r.idp.mu.Lock()
			r.idp.progress, r.idp.answer = c.progress, nil
			r.idp.mu.Unlock()
			resp := r.get("/login/progress?s=one")
			wantStatus(t, resp, http.StatusOK)
			var p polled
			if err := json.Unmarshal([]byte(resp.body), &p); err != nil {
				t.Fatalf("%v in %s", err, resp.body)
			}
			if p.Ready || p.Poll != c.poll {
				t.Errorf("ready %t, poll %d, want not ready and %d", p.Ready, p.Poll, c.poll)
			}
			r.idp.answer = &idp.Answer{Page: idp.Waiting{SignIn: "one", Account: choices(1)[0], Progress: c.progress}}
			page := r.get("/login?s=one").page(t)
			status := page.one(t, "div", "role", "status")
			for _, want := range c.want {
				if !strings.Contains(p.Message+" "+p.Detail, want) {
					t.Errorf("poll says %q %q, want %q", p.Message, p.Detail, want)
				}
				if !strings.Contains(status.text(), want) {
					t.Errorf("page says %q, want %q", status.text(), want)
				}
			}
		})
	}
}

// TestKEY01SwitchingPage: the page around a switch of keys counts down, asks how things stand
// seldom, and goes on by itself when it is over.
func TestKEY01SwitchingPage(t *testing.T) {
	r := newRig(t, nil)
	for name, c := range map[string]struct {
		left  time.Duration
		clock string
		words string
		poll  int64
	}{
		"minutes": {3*time.Minute + 5*time.Second, "3:05", "It goes on in about 3 minutes.", 5000},
		"seconds": {2500 * time.Millisecond, "0:03", "It goes on in a few seconds.", 2500},
		"over":    {-time.Second, "0:00", "It goes on in a few seconds.", 1000},
	} {
		t.Run(name, func(t *testing.T) {
			progress := provisioning.Progress{Cause: idp.CauseKeySwitch, Since: now.Add(-time.Minute), NextTry: now.Add(c.left)}
			r.idp.answer = &idp.Answer{Page: idp.Waiting{SignIn: "one", Provider: "Wiki <b>", Progress: progress}}
			resp := r.get("/login?s=one")
			wantStatus(t, resp, http.StatusOK)
			page := resp.page(t)
			if got := page.one(t, "p", "role", "timer"); got.text() != c.clock {
				t.Errorf("clock %q, want %q", got.text(), c.clock)
			}
			status := page.one(t, "div", "role", "status")
			if !strings.Contains(status.text(), c.words) || status.attr("data-next") != "/login?s=one" {
				t.Errorf("status %q, %v, want %q", status.text(), status.Attr, c.words)
			}
			if !strings.Contains(resp.body, "Wiki &lt;b&gt; is exchanging a security certificate") || strings.Contains(resp.body,
				"Setting up") {
				t.Errorf("page:\n%s", resp.body)
			}
			r.idp.mu.Lock()
			r.idp.progress, r.idp.answer = progress, nil
			r.idp.mu.Unlock()
			var p struct {
				polled
				Left int64
			}
			if err := json.Unmarshal([]byte(r.get("/login/progress?s=one").body), &p); err != nil {
				t.Fatal(err)
			}
			if p.Ready || p.Poll != c.poll || p.Left != max(0, int64((c.left+time.Second-1)/time.Second)) ||
				!strings.Contains(p.Detail, c.words) {
				t.Errorf("poll says %+v", p)
			}
		})
	}
}

// Each cause that provisioning tells has words of its own.
func TestEveryCauseHasWords(t *testing.T) {
	r := newRig(t, nil)
	said := map[string]string{"Your user is being set up.": "the words for an unknown one"}
	words := constants(t, "../provisioning", "Cause")
	if len(words) < 7 {
		t.Fatalf("causes = %v, want all of them", words)
	}
	for _, word := range words {
		r.idp.progress = provisioning.Progress{Since: now, Cause: word}
		var p polled
		if err := json.Unmarshal([]byte(r.get("/login/progress?s=one").body), &p); err != nil {
			t.Fatal(err)
		}
		if other := said[p.Message]; other != "" || strings.Contains(p.Message, "{") || p.Message == "" {
			t.Errorf("%s says %q, as does %s", word, p.Message, other)
		}
		said[p.Message] = word
	}
}

func TestWaitingPageGoesOnByItself(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.Waiting{SignIn: "one", Account: choices(1)[0]}}
	resp := r.get("/launch") // also where it is not under its own address
	page := resp.page(t)
	status := page.one(t, "div", "role", "status")
	if status.attr("aria-live") != "polite" || status.attr("data-ask") != "/login/progress?s=one" ||
		status.attr("data-next") != "/login?s=one" || status.attr("data-poll") != "1000" {
		t.Errorf("status element = %v", status.Attr)
	}
	// Without script the page asks again by itself, or by a link.
	if !strings.Contains(resp.body, `<noscript><meta http-equiv="refresh" content="3;url=/login?s=one"></noscript>`) {
		t.Errorf("no refresh without script:\n%s", resp.body)
	}
	if got := page.one(t, "a", "class", "button quiet"); got.attr("href") != "/login?s=one" ||
		got.text() != "Check again" {
		t.Errorf("link = %v", got.Attr)
	}
}

func TestProgressIsReadyAndRefused(t *testing.T) {
	r := newRig(t, nil)
	r.idp.ready = true
	resp := r.get("/login/progress?s=one")
	var p polled
	if err := json.Unmarshal([]byte(resp.body), &p); err != nil || !p.Ready {
		t.Errorf("%s: %v, want ready", resp.body, err)
	}
	if len(resp.Cookies()) != 0 || resp.Header.Get("Cache-Control") != "no-cache, no-store" {
		t.Errorf("headers = %v", resp.Header)
	}
	r.idp.err = errDown
	resp = r.get("/login/progress?s=one")
	wantStatus(t, resp, http.StatusInternalServerError)
	var e struct{ Error, Ref string }
	if err := json.Unmarshal([]byte(resp.body), &e); err != nil || e.Error != "internal" ||
		e.Ref != resp.Header.Get("X-Request-Id") {
		t.Errorf("%s: %v, want the error as JSON with its reference", resp.body, err)
	}
	if strings.Contains(resp.body, "secret-detail") {
		t.Error("the cause is told to the browser")
	}
}
