package partnerapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
)

func source(t testing.TB, o partnerapi.TokenOptions) *partnerapi.TokenSource {
	t.Helper()
	if o.ClientID == "" {
		o.ClientID = "acme"
	}
	if o.ClientSecret == "" {
		o.ClientSecret = secret
	}
	s, err := partnerapi.NewTokenSource(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The sandbox reads Basic as Constant Contact documents it, so a secret that was encoded on the way is
// a wrong one.
func TestTokenSecretArrivesUnchanged(t *testing.T) {
	for _, s := range []string{"plain", "a+b", "a/b=", "100%", "%2B", "a b&c=d", "with:colon", `"ümlaut"`} {
		t.Run(s, func(t *testing.T) {
			sb, err := sandbox.Start("127.0.0.1:0", sandbox.Options{ClientID: "id+with=%", ClientSecret: s,
				TokensPerSecond: sandbox.Unlimited})
			if err != nil {
				t.Fatal(err)
			}
			defer sb.Close()
			if _, err := source(t, sb.TokenOptions()).Token(t.Context()); err != nil {
				t.Errorf("token with secret %q: %v", s, err)
			}
			o := sb.TokenOptions()
			o.ClientSecret += "x"
			_, err = source(t, o).Token(t.Context())
			wantKind(t, err, partnerapi.Unauthorized)
		})
	}
}

func TestTokenRequestAsDocumented(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got = r
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	}))
	defer server.Close()
	if _, err := source(t, partnerapi.TokenOptions{URL: server.URL}).Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" ||
		got.PostForm.Get("grant_type") != "client_credentials" {
		t.Errorf("got %s with %q and form %v", got.Method, got.Header.Get("Content-Type"), got.PostForm)
	}
	if got.PostForm.Has("client_secret") {
		t.Error("the secret stands in the form as well")
	}
}

// API-02: single flight.
func TestAPI02OneRequestForAllWhoWait(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	}))
	defer server.Close()
	s := source(t, partnerapi.TokenOptions{URL: server.URL})

	impatient, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got, err := s.Token(t.Context()); got != "t" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	gone := make(chan struct{})
	wg.Go(func() { // gives up, and takes nobody with it
		defer close(gone)
		_, err := s.Token(impatient)
		if e := wantKind(t, err, partnerapi.NotSent); !errors.Is(e, context.Canceled) {
			t.Errorf("got %v, want it to wrap context.Canceled", err)
		}
	})
	eventually(t, "a request arrives", func() bool { return asked.Load() > 0 })
	cancel()
	<-gone
	close(release)
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("got %d token requests, want 1", n)
	}
}

// API-02: renewed early, and nobody waits while the old token is good.
func TestAPI02RenewedBeside(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		if n > 1 {
			<-release
		}
		fmt.Fprintf(w, `{"access_token":"t%d","expires_in":3600}`, n)
	}))
	defer server.Close()
	c := newClock()
	s := source(t, partnerapi.TokenOptions{URL: server.URL, Now: c.Now})
	want := func(want string) {
		t.Helper()
		if got, err := s.Token(t.Context()); got != want || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	want("t1")
	c.Advance(54 * time.Minute)
	want("t1")
	if asked.Load() != 1 {
		t.Fatalf("renewed after 54 minutes")
	}
	c.Advance(2 * time.Minute)
	want("t1") // the renewal starts and hangs
	want("t1")
	eventually(t, "the renewal arrives", func() bool { return asked.Load() == 2 })
	close(release)
	eventually(t, "the new token is there", func() bool {
		got, err := s.Token(t.Context())
		return got == "t2" && err == nil
	})
	c.Advance(time.Hour + time.Second)
	want("t3") // ended: now there is a wait
}

func TestTokenFailureRemembered(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	}))
	defer server.Close()
	c := newClock()
	s := source(t, partnerapi.TokenOptions{URL: server.URL, Now: c.Now})
	for range 20 {
		_, err := s.Token(t.Context())
		if e := wantKind(t, err, partnerapi.NotSent); e.Status != http.StatusServiceUnavailable {
			t.Fatalf("got status %d", e.Status)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Fatalf("got %d requests within the interval, want 1", n)
	}
	c.Advance(time.Second)
	if _, err := s.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestForgetOnlyTheSharedToken(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"access_token":"t%d","expires_in":3600}`, asked.Add(1))
	}))
	defer server.Close()
	s := source(t, partnerapi.TokenOptions{URL: server.URL, MinInterval: time.Millisecond})
	first, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Forget(first)
	second, err := s.Token(t.Context())
	if err != nil || second == first {
		t.Fatalf("got %q, %v", second, err)
	}
	s.Forget(first) // late news of the old one
	if third, err := s.Token(t.Context()); third != second || err != nil {
		t.Errorf("got %q, %v, want %q still", third, err, second)
	}
}

func TestTokenAnswers(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		want       partnerapi.Kind // empty: fine
	}{
		{"good", `{"access_token":"abc","token_type":"Bearer","expires_in":3600}`, 200, ""},
		{"lower case type, no life", `{"access_token":"abc","token_type":"bearer"}`, 200, ""},
		{"a year of life", `{"access_token":"abc","expires_in":1e12}`, 200, ""},
		{"no token", `{"token_type":"Bearer","expires_in":3600}`, 200, partnerapi.NotSent},
		{"other type", `{"access_token":"abc","token_type":"MAC"}`, 200, partnerapi.NotSent},
		{"line break in the token", `{"access_token":"abc\r\nx-evil: 1"}`, 200, partnerapi.NotSent},
		{"endless token", `{"access_token":"` + strings.Repeat("a", 20<<10) + `"}`, 200, partnerapi.NotSent},
		{"endless answer", strings.Repeat(" ", 100<<10) + `{"access_token":"abc"}`, 200, partnerapi.NotSent},
		{"HTML", `<html>`, 200, partnerapi.NotSent},
		{"empty", ``, 200, partnerapi.NotSent},
		{"wrong credentials", `{"error":"invalid_client"}`, 401, partnerapi.Unauthorized},
		{"wrong grant", `{"error":"unsupported_grant_type"}`, 400, partnerapi.Unauthorized},
		{"missing headers", ``, 415, partnerapi.Unauthorized},
		{"too fast", ``, 429, partnerapi.Throttled},
		{"broken", `<html>`, 500, partnerapi.NotSent},
		{"redirect", ``, 302, partnerapi.NotSent},
		{"echoes the secret", `{"error":"invalid_client","error_description":"not ` + secret + `"}`, 401,
			partnerapi.Unauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/token" {
					t.Errorf("a redirect was followed to %s", r.URL.Path)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer server.Close()
			got, err := source(t, partnerapi.TokenOptions{URL: server.URL + "/token",
				Patience: time.Millisecond}).Token(t.Context())
			if tt.want == "" {
				if got != "abc" || err != nil {
					t.Fatalf("got %q, %v", got, err)
				}
				return
			}
			if e := wantKind(t, err, tt.want); e.Status != tt.status {
				t.Errorf("got status %d, want %d", e.Status, tt.status)
			}
		})
	}
}

func TestTokenServerDownAndSlow(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := source(t, partnerapi.TokenOptions{URL: server.URL}).Token(t.Context())
	wantKind(t, err, partnerapi.NotSent)

	done := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	defer slow.Close()
	defer close(done)
	_, err = source(t, partnerapi.TokenOptions{URL: slow.URL, Timeout: 20 * time.Millisecond}).Token(t.Context())
	if e := wantKind(t, err, partnerapi.NotSent); !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("got %v, want a time-out", err)
	}
}

// SP-08: the clock of the other side.
func TestSP08ServerTime(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Mon, 23 Nov 2026 22:00:07 GMT")
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	defer server.Close()
	c := newClock()
	s := source(t, partnerapi.TokenOptions{URL: server.URL, Now: c.Now})
	if _, _, ok := s.ServerTime(); ok {
		t.Error("knows the server's time before any answer")
	}
	_, err := s.Token(t.Context())
	wantKind(t, err, partnerapi.Unauthorized)
	theirs, ours, ok := s.ServerTime()
	if !ok || theirs.Sub(ours) != 7*time.Second {
		t.Errorf("got %v and %v, %t, want 7 s apart", theirs, ours, ok)
	}
}

func TestTokenOptionsRefused(t *testing.T) {
	good := partnerapi.TokenOptions{URL: "https://example.test/token", ClientID: "acme", ClientSecret: secret}
	tests := []struct {
		name   string
		change func(*partnerapi.TokenOptions)
	}{
		{"no URL", func(o *partnerapi.TokenOptions) { o.URL = "" }},
		{"other scheme", func(o *partnerapi.TokenOptions) { o.URL = "ftp://example.test/" }},
		{"password in the URL", func(o *partnerapi.TokenOptions) { o.URL = "https://me:" + secret[:3] + "@example.test/" }},
		{"query", func(o *partnerapi.TokenOptions) { o.URL += "?a=b" }},
		{"no id", func(o *partnerapi.TokenOptions) { o.ClientID = "" }},
		{"colon in the id", func(o *partnerapi.TokenOptions) { o.ClientID = "a:b" }},
		{"no secret", func(o *partnerapi.TokenOptions) { o.ClientSecret = "" }},
		{"negative time", func(o *partnerapi.TokenOptions) { o.Timeout = -1 }},
	}
	if _, err := partnerapi.NewTokenSource(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			_, err := partnerapi.NewTokenSource(o)
			if err == nil {
				t.Fatal("accepted")
			}
			noSecrets(t, err.Error())
		})
	}
}

func TestOptionsPrintNoSecrets(t *testing.T) {
	o := partnerapi.TokenOptions{URL: "https://example.test/token", ClientID: "acme", ClientSecret: secret}
	c := partnerapi.Options{BaseURL: "https://example.test/v3", APIKey: apiKey}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", o, "client", c)
	noSecrets(t, fmt.Sprintf("%v %+v %#v %s %v %+v %#v %s", o, o, o, o, c, c, c, c)+log.String())
}

// A renewal that fails while the old token is good is not tried with every call.
func TestFailedRenewalsAreSpaced(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) > 1 {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	}))
	defer server.Close()
	var log lines
	c := newClock()
	s := source(t, partnerapi.TokenOptions{URL: server.URL, Now: c.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	use := func() {
		t.Helper()
		if _, err := s.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	use()
	c.Advance(55 * time.Minute)
	use()
	eventually(t, "the failure is logged", func() bool { return log.count() == 1 })
	for range 20 {
		c.Advance(time.Second)
		use()
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("got %d requests within 20 s of a failed renewal, want 2", n)
	}
	c.Advance(20 * time.Second)
	eventually(t, "it is tried again", func() bool { use(); return asked.Load() == 3 })
}

// lines counts what is logged.
type lines struct {
	mu sync.Mutex
	n  int
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return len(p), nil
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}
