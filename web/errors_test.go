package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
)

// line is a log line of a request.
type line struct {
	Level, Msg, Ref, Method, Route, Client, Reason, Error string
	Status                                                int
}

func (r *rig) lastLine() line {
	r.t.Helper()
	lines := strings.Split(strings.TrimSpace(r.logged()), "\n")
	var l line
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &l); err != nil {
		r.t.Fatalf("log line: %v", err)
	}
	return l
}

// TestErrorHandler: each error becomes a status, a page without its cause, and a log
// line with it, tied together by the reference id.
func TestErrorsHavePageStatusAndLogLine(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		panics bool
		status int
		says   string
		logs   string
	}{
		"store down": {err: fmt.Errorf("load session: %w", errDown), status: 500, says: "Something went wrong",
			logs: "secret-detail"},
		"panic": {panics: true, status: 500, says: "Something went wrong", logs: "broken on purpose"},
		// REAL-91: what is down for a moment is no error of ours.
		"database down": {err: fmt.Errorf("create sign-in: %w", store.ErrUnavailable), status: 503,
			says: "Not available right now", logs: "the database is not available"},
		"too many": {err: fmt.Errorf("create sign-in: %w", store.ErrLimit), status: 503, says: "Too much is going on",
			logs: "too many pending"},
		"body too long": {err: &http.MaxBytesError{Limit: 5}, status: 413, says: "could not be read", logs: "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.idp.err, r.idp.panics = c.err, c.panics
			resp := r.get("/launch/a07e1lxqqqo0?hidden=querytext")
			wantStatus(t, resp, c.status)
			ref := resp.Header.Get("X-Request-Id")
			if !regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{10}$`).MatchString(ref) {
				t.Errorf("reference id = %q", ref)
			}
			page := resp.page(t)
			if text := page.one(t, "main").text(); !strings.Contains(text, c.says) || !strings.Contains(text, ref) ||
				strings.Contains(text, c.logs) {
				t.Errorf("page says %q", text)
			}
			l := r.lastLine()
			if l.Ref != ref || l.Route != "/launch/:encoded_account_id" || l.Status != c.status || !strings.Contains(l.Error,
				c.logs) || l.Client != "127.0.0.1" {
				t.Errorf("log line = %+v", l)
			}
			if want := map[bool]string{true: "ERROR", false: "INFO"}[c.status >= 500]; l.Level != want {
				t.Errorf("level = %s, want %s", l.Level, want)
			}
			if strings.Contains(r.logged(), "querytext") || strings.Contains(r.logged(), "a07e1lxqqqo0") {
				t.Errorf("the log tells the path or query: %s", r.logged())
			}
			if c.status == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			wantStatus(t, r.get("/healthz"), http.StatusOK) // still there
		})
	}
}

// TestWEB06LogTellsNoSecrets goes the whole way and looks for what must not be there.
func TestWEB06LogTellsNoSecrets(t *testing.T) {
	r := newRig(t, nil)
	resp := r.follow(r.get("/saml/sso?SAMLRequest=samlsecret&RelayState=relaysecret"))
	f := resp.fill(t, "/login", "login", "anna", "password", "wrongsecret")
	r.do(http.MethodPost, "/login", f)
	f.Set("password", "right")
	resp = r.do(http.MethodPost, "/login", f)
	r.follow(resp)
	f.Add("password", "twicesecret")
	r.do(http.MethodPost, "/login", f)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.srv.URL+"/login",
		strings.NewReader("password=%zzpercentsecret"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	wantStatus(t, r.send(req), http.StatusBadRequest)
	r.get("/pathsecret?querysecret")
	u, _ := url.Parse(r.srv.URL)
	secrets := []string{"secret\"", "samlsecret", "relaysecret", "wrongsecret", "twicesecret", "percentsecret",
		"pathsecret", "querysecret", f.Get("csrf"), f.Get("s") + "\""}
	for _, c := range r.client.Jar.Cookies(u) {
		secrets = append(secrets, c.Value)
	}
	for _, s := range secrets {
		if strings.Contains(r.logged(), s) {
			t.Errorf("the log tells %q:\n%s", s, r.logged())
		}
	}
	if n := strings.Count(r.logged(), "\n"); n != 8 {
		t.Errorf("%d log lines for 8 requests", n)
	}
}

func TestObserveAndRoutes(t *testing.T) {
	r := newRig(t, nil)
	r.get("/launch/a07e1lxqqqo0")
	r.get("/some/made/up/path")
	r.do("BREW", "/launch", nil)
	r.get("/healthz", "Host", "10.0.0.1")
	want := []observation{{"/launch/:encoded_account_id", 303}, {"unmatched", 404}, {"/launch", 405}, {"/healthz", 200}}
	if len(r.observed) != len(want) {
		t.Fatalf("observed %v", r.observed)
	}
	for i := range want {
		if r.observed[i] != want[i] {
			t.Errorf("observed %v, want %v", r.observed[i], want[i])
		}
	}
	if strings.Contains(r.logged(), "BREW") {
		t.Error("the log repeats a stranger's method")
	}
}

func TestHealth(t *testing.T) {
	var down error
	r := newRig(t, func(o *web.Options) {
		o.Ready = func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("the check has no time limit")
			}
			return down
		}
	})
	if resp := r.get("/readyz"); resp.StatusCode != http.StatusOK || resp.body != "ready\n" {
		t.Errorf("readyz: %d %q", resp.StatusCode, resp.body)
	}
	down = errors.New("no signing key, secret-detail")
	resp := r.get("/readyz", "Host", "10.0.0.1:8080")
	if resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(resp.body, "secret") ||
		resp.Header.Get("Retry-After") == "" {
		t.Errorf("readyz: %d %q", resp.StatusCode, resp.body)
	}
	if !strings.Contains(r.lastLine().Error, "no signing key") {
		t.Errorf("log line = %+v, want the cause", r.lastLine())
	}
	if resp := r.get("/healthz"); resp.StatusCode != http.StatusOK || resp.body != "ok\n" {
		t.Errorf("healthz: %d %q, want ok whatever else is down", resp.StatusCode, resp.body)
	}
	if resp := r.do(http.MethodHead, "/readyz", nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("HEAD /readyz: %d", resp.StatusCode)
	}
}

// A browser that went away is no fault of ours.
func TestClientGone(t *testing.T) {
	r := newRig(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := web.New(web.Options{IdP: r.idp, PublicURL: "https://sso.example", CSRFKey: make([]byte, 32), Logger: quiet,
		Observe: func(_ string, status int, _ time.Duration) {
			r.observed = append(r.observed, observation{"gone", status})
		}})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, "/launch", nil).WithContext(ctx)
	req.Host = "sso.example"
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, req)
	if rec.Body.Len() != 0 || len(r.observed) != 1 || r.observed[0].status != 499 {
		t.Errorf("body %q, observed %v, want nothing sent and 499 counted", rec.Body, r.observed)
	}
}

// An error that came before anything was known of the request has its page too.
func TestErrorAheadOfEverything(t *testing.T) {
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	refs := idp.NewReferences(sealer)
	s, err := web.New(web.Options{IdP: newFakeIdP(), PublicURL: "https://sso.example", CSRFKey: make([]byte, 32),
		Logger: quiet, References: &refs, Footprints: idp.NewFootprints(time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	s.FailAhead(rec, httptest.NewRequest(http.MethodGet, "/launch", nil), errors.New("broken on purpose"))
	if rec.Code != http.StatusInternalServerError || !strings.Contains(rec.Body.String(), "Something went wrong") ||
		strings.Contains(rec.Body.String(), "on purpose") {
		t.Errorf("%d\n%s", rec.Code, rec.Body)
	}
}

func TestWithoutRandomnessNothingIsServed(t *testing.T) {
	fake := newFakeIdP()
	s, err := web.New(web.Options{IdP: fake, PublicURL: "https://sso.example", CSRFKey: make([]byte, 32), Logger: quiet,
		Random: &limited{left: 10}})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, "/launch", nil)
	req.Host = "sso.example"
	for range 2 {
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, req)
		if rec.Code != http.StatusInternalServerError || rec.Header().Get("Set-Cookie") != "" {
			t.Errorf("status = %d, cookie %q, want 500 and none", rec.Code, rec.Header().Get("Set-Cookie"))
		}
	}
	if fake.count() != 0 {
		t.Error("a sign-in was begun")
	}
}

type limited struct{ left int }

func (l *limited) Read(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// FuzzCookies sends whatever as cookies. No value but one of our own making reaches
// idp as the browser, and what is set is always a good cookie.
func FuzzCookies(f *testing.F) {
	good := strings.Repeat("A", 43)
	for _, seed := range []string{
		"", browserCookie + "=" + good, browserCookie + "=" + good + "; " + browserCookie + "=" + good, browserCookie + "=" +
			strings.Repeat("A", 42) + "B",
		sessionCookie + "=abc", sessionCookie + "=" + strings.Repeat("x", 200), sessionCookie + "=a b", browserCookie + `="` +
			good + `"`, "=;;,", "a=\x00", sessionCookie + "=<script>",
	} {
		f.Add(seed)
	}
	fake := newFakeIdP()
	s, err := web.New(web.Options{IdP: fake, PublicURL: "https://sso.example", CSRFKey: bytes.Repeat([]byte{3}, 32),
		Logger: quiet})
	if err != nil {
		f.Fatal(err)
	}
	token := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	session := regexp.MustCompile(`^[A-Za-z0-9_-]{0,128}$`)
	f.Fuzz(func(t *testing.T, header string) {
		fake.mu.Lock()
		fake.calls, fake.pending = nil, map[string]*fakeSignIn{}
		fake.mu.Unlock()
		req := httptest.NewRequest(http.MethodGet, "/launch", nil)
		req.Host = "sso.example"
		req.Header["Cookie"] = []string{header}
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, req)
		if rec.Code != http.StatusSeeOther {
			t.Fatalf("status = %d, want 303", rec.Code)
		}
		v := fake.last(t).visitor
		if !token.MatchString(v.Browser) || !session.MatchString(v.Session) {
			t.Fatalf("idp got browser %q and session %q", v.Browser, v.Session)
		}
		for _, c := range rec.Result().Cookies() {
			if c.Name != browserCookie || c.Value != v.Browser || !c.Secure || !c.HttpOnly {
				t.Fatalf("set cookie %v", c)
			}
		}
	})
}
