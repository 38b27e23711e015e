package partnerapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
)

const account = "a07e1lxqqqo0"

func create(t testing.TB, c *partnerapi.Client) error {
	t.Helper()
	return c.CreateSSOUser(t.Context(), partnerapi.PrioritySignIn, account, somebody())
}

func TestCreateSSOUserOnTheWire(t *testing.T) {
	var got *http.Request
	var body []byte
	r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
	})
	c, b := newClient(t, r, nil)
	if err := create(t, c); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.URL.Path != "/v3/partner/accounts/a07e1lxqqqo0/users/sso" || got.URL.RawQuery != "" {
		t.Errorf("got %s %s", got.Method, got.URL)
	}
	if !strings.HasPrefix(got.Header.Get("Authorization"), "Bearer "+token) || got.Header.Get("x-api-key") != apiKey ||
		got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got headers %v", got.Header)
	}
	var fields map[string]string
	if err := json.Unmarshal(body, &fields); err != nil || len(fields) != 7 || fields["first_name"] != "Zoë" {
		t.Errorf("got body %s (%v), want the seven fields", body, err)
	}
	if len(b.classes) != 1 || b.classes[0] != partnerapi.PrioritySignIn {
		t.Errorf("got slots %v, want one of class sign-in", b.classes)
	}
}

// API-02, API-03: what each answer means.
func TestAPI03KindsOfAnswers(t *testing.T) {
	array := func(key string) string { return `[{"error_key":"` + key + `","error_message":"why"}]` }
	single := func(key string) string { return `{"error_key":"` + key + `","error_message":"why"}` }
	const html = "<html><body>\r\nBad gateway</body></html>"
	tests := []struct {
		name   string
		status int
		body   string
		want   partnerapi.Kind
		key    string
		wait   time.Duration
	}{
		{"created", 201, "", "", "", 0},
		{"created, with a body", 201, strings.Repeat("x", 2<<20), "", "", 0},
		{"bad data", 400, array("request.invalid"), partnerapi.BadRequest, "request.invalid", 0},
		{"unknown account", 404, array("not_found"), partnerapi.NotFound, "not_found", 0},
		{"unknown account, HTML", 404, html, partnerapi.Unknown, "", 0},
		{"wrong method", 405, "", partnerapi.Unknown, "", 0},
		{"wrong media type", 415, "", partnerapi.Unknown, "", 0},
		{"forbidden, array", 403, array("forbidden"), partnerapi.Forbidden, "forbidden", 0},
		{"forbidden, single object", 403, single("forbidden"), partnerapi.Forbidden, "forbidden", 0},
		{"forbidden, HTML", 403, html, partnerapi.Unknown, "", 0},
		{"unauthorized", 401, single("unauthorized"), partnerapi.Unauthorized, "unauthorized", 0},
		{"conflict", 409, array("user.conflict"), partnerapi.Conflict, "user.conflict", 0},
		{"conflict, empty", 409, "", partnerapi.Conflict, "", 0},
		{"throttled", 429, array("throttled"), partnerapi.Throttled, "throttled", time.Second},
		{"throttled, single object", 429, single("throttled"), partnerapi.Throttled, "throttled", time.Second},
		{"429 without a word", 429, "", partnerapi.Throttled, "", time.Second},
		{"quota", 429, array("quota_exceeded"), partnerapi.QuotaExceeded, "quota_exceeded", 2 * time.Hour},
		{"quota, single object", 429, single("quota_exceeded"), partnerapi.QuotaExceeded, "quota_exceeded", 2 * time.Hour},
		{"quota, second of two", 429, `[{"error_key":"throttled"},{"error_key":"quota_exceeded"}]`, partnerapi.QuotaExceeded,
			"throttled", 2 * time.Hour},
		{"failed", 500, array("internal"), partnerapi.Unknown, "internal", 0},
		{"bad gateway", 502, html, partnerapi.Unknown, "", 0},
		// accepted for later is said of client accounts only
		{"unavailable", 503, array("accepted"), partnerapi.Unknown, "accepted", 0},
		{"request time-out", 408, "", partnerapi.Unknown, "", 0},
		{"another success", 200, html, partnerapi.Unknown, "", 0},
		{"redirect", 307, "", partnerapi.Unknown, "", 0},
		{"garbage", 400, "[{\"error_key\":\"x\x00\xff", partnerapi.Unknown, "", 0},
		{"array of other things", 400, `[1,"two",{"error_key":"three"}]`, partnerapi.BadRequest, "three", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int32
			r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/users/sso") {
					t.Errorf("a redirect was followed to %s", r.URL)
				}
				calls.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Location", "/v3/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			var log bytes.Buffer
			c, b := newClient(t, r, func(o *partnerapi.Options) {
				o.Now, o.Random = newClock().Now, func() float64 { return 0 }
				o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			err := create(t, c)
			noSecrets(t, log.String())
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e := wantKind(t, err, tt.want)
			if e.Status != tt.status || e.Key != tt.key || e.Wait != tt.wait {
				t.Errorf("got status %d, key %q, wait %v; want %d, %q, %v", e.Status, e.Key, e.Wait, tt.status, tt.key, tt.wait)
			}
			wantCalls := int32(1)
			if tt.status == 401 {
				wantCalls = 2 // once more with a fresh token
			}
			if calls.Load() != wantCalls || b.reserved != int(wantCalls) {
				t.Errorf("got %d calls and %d slots, want %d", calls.Load(), b.reserved, wantCalls)
			}
			if got := b.throttled == 1; got != (tt.want == partnerapi.Throttled) {
				t.Errorf("budget told of throttling: %t", got)
			}
			if got := b.exhausted == 1; got != (tt.want == partnerapi.QuotaExceeded) {
				t.Errorf("budget told of the quota: %t", got)
			}
		})
	}
}

func TestRenewedOnceOn401(t *testing.T) {
	var calls atomic.Int32
	r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1); strings.HasSuffix(r.Header.Get("Authorization"), token+"x") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	c, b := newClient(t, r, nil)
	if err := create(t, c); err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 2 || r.asked() != 2 || b.reserved != 2 {
		t.Errorf("got %d calls, %d tokens, %d slots; want 2 of each", calls.Load(), r.asked(), b.reserved)
	}
	if err := create(t, c); err != nil || r.asked() != 2 {
		t.Errorf("got %v with %d tokens, want the renewed token used again", err, r.asked())
	}
}

// What surely did not arrive is NotSent, everything after that Unknown.
func TestAPI03NoAnswer(t *testing.T) {
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	plainSpeaker := httptest.NewServer(http.NotFoundHandler())
	defer plainSpeaker.Close()
	strangeCertificate := httptest.NewTLSServer(http.NotFoundHandler())
	strangeCertificate.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	defer strangeCertificate.Close()
	cutting := cuttingServer(t, "")
	halfway := cuttingServer(t, "HTTP/1.1 201 Crea")

	tests := []struct {
		name, base string
		transport  http.RoundTripper
		want       partnerapi.Kind
	}{
		{"connection refused", "http://" + free() + "/v3", nil, partnerapi.NotSent},
		{"no such name", "http://constant.contact.invalid/v3", nil, partnerapi.NotSent},
		{"no TLS spoken", "https://" + plainSpeaker.Listener.Addr().String() + "/v3", nil, partnerapi.NotSent},
		{"unknown certificate", strangeCertificate.URL + "/v3", nil, partnerapi.NotSent},
		{"cut after the request", "http://" + cutting + "/v3", nil, partnerapi.Unknown},
		{"cut in the answer", "http://" + halfway + "/v3", nil, partnerapi.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRemote(t, teapot)
			c, b := newClient(t, r, func(o *partnerapi.Options) { o.BaseURL = tt.base; o.Transport = tt.transport })
			e := wantKind(t, create(t, c), tt.want)
			if e.Status != 0 || b.reserved != 1 {
				t.Errorf("got status %d and %d slots, want none and one", e.Status, b.reserved)
			}
		})
	}
}

func teapot(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }

// cuttingServer reads a request, writes what it is told, and hangs up.
func cuttingServer(t testing.TB, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64<<10))
			_, _ = io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestTimeOutIsUnknown(t *testing.T) {
	done := make(chan struct{})
	r := newRemote(t, func(_ http.ResponseWriter, r *http.Request) { <-done })
	defer close(done)
	c, _ := newClient(t, r, func(o *partnerapi.Options) { o.Timeout = 30 * time.Millisecond })
	if e := wantKind(t, create(t, c), partnerapi.Unknown); !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("got %v, want a time-out", e)
	}
}

// Go's transport sends some requests again by itself when a kept connection turns out to be broken. A
// creation must not be among them.
func TestNoSecondPostBehindOurBack(t *testing.T) {
	var creations atomic.Int32
	r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"site_owner_list":[]}`) // leaves a connection for the next call
			return
		}
		creations.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})
	c, b := newClient(t, r, nil)
	for range 5 {
		if _, err := c.Accounts(t.Context(), partnerapi.PriorityPlan); err != nil {
			t.Fatal(err)
		}
		before, slots := creations.Load(), b.reserved
		wantKind(t, create(t, c), partnerapi.Unknown)
		if got := creations.Load() - before; got != 1 || b.reserved != slots+1 {
			t.Errorf("the creation arrived %d times with %d slots, want once with one", got, b.reserved-slots)
		}
	}
}

func TestBudget(t *testing.T) {
	var calls atomic.Int32
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusCreated)
	})

	t.Run("used up", func(t *testing.T) {
		c, b := newClient(t, r, nil)
		b.empty, b.wait = true, 3*time.Hour
		if e := wantKind(t, create(t, c), partnerapi.QuotaExceeded); e.Wait != 3*time.Hour || e.Status != 0 {
			t.Errorf("got wait %v, status %d", e.Wait, e.Status)
		}
	})
	t.Run("store down", func(t *testing.T) {
		c, b := newClient(t, r, nil)
		b.err = errors.New("no store")
		if e := wantKind(t, create(t, c), partnerapi.NotSent); !errors.Is(e, b.err) {
			t.Errorf("got %v, want it to wrap the cause", e)
		}
	})
	t.Run("given up before the slot", func(t *testing.T) {
		c, b := newClient(t, r, nil)
		b.wait = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := c.CreateSSOUser(ctx, partnerapi.PriorityRetry, account, somebody())
		if e := wantKind(t, err, partnerapi.NotSent); !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("given up while others go first", func(t *testing.T) {
		c, b := newClient(t, r, nil)
		b.outcome = partnerapi.SlotBusy // and names no time, which must not become a busy loop
		ctx, cancel := context.WithTimeout(t.Context(), 70*time.Millisecond)
		defer cancel()
		err := c.CreateSSOUser(ctx, partnerapi.PriorityPlan, account, somebody())
		if e := wantKind(t, err, partnerapi.NotSent); !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("got %v, want a time-out", err)
		}
		if b.reserved < 1 || b.reserved > 10 {
			t.Errorf("the budget was asked %d times in 70 ms", b.reserved)
		}
	})
	t.Run("an outcome that is none", func(t *testing.T) {
		c, b := newClient(t, r, nil)
		b.outcome = "perhaps"
		wantKind(t, create(t, c), partnerapi.NotSent)
		if b.reserved != 1 {
			t.Errorf("the budget was asked %d times, want once", b.reserved)
		}
	})
	t.Run("no slot without a token", func(t *testing.T) {
		down := newRemote(t, teapot)
		c, b := newClient(t, down, nil)
		down.Close()
		wantKind(t, create(t, c), partnerapi.NotSent)
		if b.reserved != 0 {
			t.Errorf("got %d slots spent while there is no token", b.reserved)
		}
	})
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
	t.Run("asks again while others go first", func(t *testing.T) {
		before := calls.Load()
		c, b := newClient(t, r, nil)
		b.busy, b.wait = 3, time.Millisecond
		if err := create(t, c); err != nil {
			t.Fatal(err)
		}
		if b.reserved != 4 || calls.Load() != before+1 {
			t.Errorf("the budget was asked %d times and %d calls were made, want 4 and 1", b.reserved, calls.Load()-before)
		}
	})
	t.Run("waits for its slot", func(t *testing.T) {
		c, b := newClient(t, r, nil)
		b.wait = 60 * time.Millisecond
		start := time.Now()
		if err := create(t, c); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < b.wait {
			t.Errorf("sent after %v, before the slot at %v", took, b.wait)
		}
	})
}

// API-01: nothing is sent that would be refused.
func TestAPI01ValidatedBeforeTheCall(t *testing.T) {
	r := newRemote(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") })
	c, b := newClient(t, r, nil)
	u := somebody()
	u.LoginName = strings.Repeat("a", 51)
	e := wantKind(t, c.CreateSSOUser(t.Context(), partnerapi.PrioritySignIn, account, u), partnerapi.BadRequest)
	var field *partnerapi.FieldError
	if !errors.As(e, &field) || field.Field != "login_name" {
		t.Errorf("got %v, want a fault of login_name", e)
	}
	for _, id := range []string{"", "../../x", "a/b", "a b", "%2e", strings.Repeat("a", 65), "a?b"} {
		wantKind(t, c.CreateSSOUser(t.Context(), partnerapi.PrioritySignIn, id, somebody()), partnerapi.BadRequest)
	}
	if b.reserved != 0 || r.asked() != 0 {
		t.Errorf("got %d slots and %d tokens spent", b.reserved, r.asked())
	}
}

func TestOptionsRefused(t *testing.T) {
	r := newRemote(t, teapot)
	s := source(t, partnerapi.TokenOptions{URL: r.URL})
	good := partnerapi.Options{BaseURL: "https://api.cc.email/v3", APIKey: apiKey, Tokens: s, Budget: &budget{}}
	if _, err := partnerapi.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*partnerapi.Options){
		"no URL":    func(o *partnerapi.Options) { o.BaseURL = "" },
		"no host":   func(o *partnerapi.Options) { o.BaseURL = "https:///v3" },
		"query":     func(o *partnerapi.Options) { o.BaseURL += "?x" },
		"no key":    func(o *partnerapi.Options) { o.APIKey = "" },
		"no tokens": func(o *partnerapi.Options) { o.Tokens = nil },
		"no budget": func(o *partnerapi.Options) { o.Budget = nil },
		"negative":  func(o *partnerapi.Options) { o.Timeout = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			change(&o)
			if _, err := partnerapi.New(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	wrapped := fmt.Errorf("apply: %w", &partnerapi.Error{Kind: partnerapi.Conflict})
	for err, want := range map[error]partnerapi.Kind{nil: "", wrapped: partnerapi.Conflict, io.EOF: partnerapi.Unknown} {
		if got := partnerapi.KindOf(err); got != want {
			t.Errorf("KindOf(%v) = %q, want %q", err, got, want)
		}
	}
}

// API-02: who was throttled together does not come again together.
func TestAPI02ThrottledWaitIsSpread(t *testing.T) {
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	for random, want := range map[float64]time.Duration{0: time.Second, 0.5: 1125 * time.Millisecond,
		0.999999: 1250 * time.Millisecond} {
		c, _ := newClient(t, r, func(o *partnerapi.Options) { o.Random = func() float64 { return random } })
		if e := wantKind(t, create(t, c), partnerapi.Throttled); e.Wait.Round(time.Millisecond) != want {
			t.Errorf("got wait %v for %v, want %v", e.Wait, random, want)
		}
	}
	c, _ := newClient(t, r, nil)
	waits := map[time.Duration]bool{}
	for range 5 {
		e := wantKind(t, create(t, c), partnerapi.Throttled)
		if e.Wait < time.Second || e.Wait > 1250*time.Millisecond {
			t.Errorf("got wait %v, want 1 s to 1.25 s", e.Wait)
		}
		waits[e.Wait] = true
	}
	if len(waits) < 2 {
		t.Errorf("five waits are all the same: %v", waits)
	}
}

// The client against the sandbox: the faults that cost the most when they are mistaken for others.
func TestAPI03AgainstTheSandbox(t *testing.T) {
	sb, err := sandbox.Start("127.0.0.1:0", sandbox.Options{Accounts: sandbox.SampleAccounts(),
		PerSecond: sandbox.Unlimited, TokensPerSecond: sandbox.Unlimited, ExternalProvider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	to := sb.TokenOptions()
	to.MinInterval = time.Millisecond
	c, err := partnerapi.New(partnerapi.Options{
		BaseURL: sb.BaseURL(), APIKey: sandbox.DefaultAPIKey, Tokens: source(t, to), Budget: &budget{},
		Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := create(t, c); err != nil {
		t.Fatal(err)
	}
	wantKind(t, create(t, c), partnerapi.Conflict)

	u := somebody()
	u.ExternalID, u.LoginName = "second", "second"
	again := func() error { return c.CreateSSOUser(t.Context(), partnerapi.PriorityRetry, account, u) }
	sb.Fault(sandbox.Fault{Kind: sandbox.FaultActAndHang, Times: 1})
	wantKind(t, again(), partnerapi.Unknown)
	wantKind(t, again(), partnerapi.Conflict) // it had worked

	sb.ForgetTokens()
	wantKind(t, again(), partnerapi.Conflict) // renewed once beneath

	u.ExternalID, u.LoginName = "third", "third"
	sb.Fault(sandbox.Fault{Kind: sandbox.FaultDownAPI, Times: 1})
	wantKind(t, again(), partnerapi.Unknown)
	sb.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Times: 1})
	wantKind(t, again(), partnerapi.Unknown)
	sb.Fault(sandbox.Fault{Kind: sandbox.FaultThrottle, Times: 1})
	wantKind(t, again(), partnerapi.Throttled)
	sb.Fault(sandbox.Fault{Kind: sandbox.FaultQuota, Times: 1})
	wantKind(t, again(), partnerapi.QuotaExceeded)
	for _, shape := range []sandbox.Shape{sandbox.ShapeArray, sandbox.ShapeObject, sandbox.ShapeEmpty, sandbox.ShapeHTML,
		sandbox.ShapeGarbage} {
		sb.SetErrorShape(shape)
		sb.Fault(sandbox.Fault{Kind: sandbox.FaultThrottle, Times: 1})
		wantKind(t, again(), partnerapi.Throttled)
	}
	sb.ClearFaults()
	if err := again(); err != nil {
		t.Fatal(err)
	}
	if got := len(sb.Created()); got != 3 {
		t.Errorf("got %d users, want 3", got)
	}
}
