package web_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/web"
)

// TestInBrowser shows that the pages do by themselves what they promise, under their
// own content security policy: the waiting page goes on when the user is there, and
// the auto-submit page posts to the service provider, which is on another site and
// redirects on to a third (WEB-05).
func TestInBrowser(t *testing.T) {
	ctx := chromium(t)

	var mu sync.Mutex
	var complaints []string
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok {
			mu.Lock()
			defer mu.Unlock()
			complaints = append(complaints, e.Entry.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}

	// A third site needs a third host; all of 127/8 is this machine.
	landed := make(chan struct{}, 4)
	third := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			landed <- struct{}{}
		}
	}))
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatalf("no second loopback address for a third site: %v", err)
	}
	_ = third.Listener.Close()
	third.Listener = listener
	third.Start()
	defer third.Close()
	got := make(chan string, 4)
	sp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/acs" {
			http.NotFound(w, r)
			return
		}
		got <- r.PostFormValue("SAMLResponse") + " " + r.PostFormValue("RelayState")
		http.Redirect(w, r, third.URL, http.StatusSeeOther)
	}))
	defer sp.Close()

	r := newRig(t, nil)
	_, port, err := net.SplitHostPort(r.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	site := "http://localhost:" + port
	s, err := web.New(web.Options{IdP: r.idp, PublicURL: site, CSRFKey: make([]byte, 32),
		Now: func() time.Time { return now }, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	r.srv.Config.Handler = s.Handler()

	relay := "a b&c=ü<x>"
	r.idp.answer = &idp.Answer{Page: idp.Waiting{SignIn: "one", Account: choices(1)[0],
		Progress: provisioning.Progress{Since: now, Place: 2, Cause: "queued"}}}
	if err := chromedp.Do(ctx, chromedp.Navigate(site+"/launch")); err != nil {
		t.Fatal(err)
	}
	wait := func(what, js string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.PollFunction[bool]("() => "+js,
			chromedp.WithPollingTimeout(30*time.Second))); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	wait("waiting page", `document.getElementById("detail").textContent === "One person is ahead of you."`)

	// The queue moves on, and the page with it.
	r.idp.mu.Lock()
	r.idp.progress = provisioning.Progress{Since: now, Place: 1, Cause: "sending"}
	r.idp.mu.Unlock()
	wait("progress", `document.getElementById("message").textContent.includes("is setting up your user now")`)

	r.idp.mu.Lock()
	r.idp.ready = true
	r.idp.answer = &idp.Answer{Page: idp.Deliver{Action: sp.URL + "/acs", SAMLResponse: "PHNhbWw+", RelayState: &relay}}
	r.idp.mu.Unlock()
	select {
	case form := <-got:
		if want := "PHNhbWw+ " + relay; form != want {
			t.Errorf("the service provider got %q, want %q", form, want)
		}
	case <-ctx.Done():
		t.Fatal("the service provider got nothing")
	}
	select {
	case <-landed:
	case <-ctx.Done():
		t.Fatal("the redirect behind the service provider was not followed")
	}

	mu.Lock()
	defer mu.Unlock()
	for _, c := range complaints {
		if !strings.Contains(c, "favicon") {
			t.Errorf("the browser complains: %s", c)
		}
	}
}
