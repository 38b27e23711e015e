package partnerapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/partnerapi"
)

const (
	secret = "s3+c/r=e%t&plus:colon"
	apiKey = "key-that-must-not-be-told"
	token  = "token-that-must-not-be-told"
)

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// budget gives slots as the test says and counts what it is told.
type budget struct {
	mu                             sync.Mutex
	wait                           time.Duration
	empty                          bool
	busy                           int // so many times others go first
	outcome                        string
	err                            error
	classes                        []string
	throttled, exhausted, reserved int
	given                          []time.Duration // slots that came back, with what was left of their wait
	departed, arrived, worked      int
	hold                           int // so many times a call must not go out yet
}

func (b *budget) GiveBack(ctx context.Context, _ string, left time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given = append(b.given, left)
	return ctx.Err()
}

func (b *budget) Depart(ctx context.Context, _ time.Duration) (int64, time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hold > 0 {
		b.hold--
		return 0, time.Millisecond, ctx.Err()
	}
	b.departed++
	return int64(b.departed), 0, ctx.Err()
}

func (b *budget) Arrived(ctx context.Context, _ int64, works bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived++
	if works {
		b.worked++
	}
	return ctx.Err()
}

func (b *budget) Reserve(_ context.Context, class string) (time.Duration, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved++
	b.classes = append(b.classes, class)
	switch {
	case b.outcome != "":
		return b.wait, b.outcome, b.err
	case b.empty:
		return b.wait, partnerapi.SlotNone, b.err
	case b.busy > 0:
		b.busy--
		return b.wait, partnerapi.SlotBusy, b.err
	}
	return b.wait, partnerapi.SlotTaken, b.err
}

func (b *budget) Throttled(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.throttled++
	return ctx.Err()
}

func (b *budget) Exhausted(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exhausted++
	return ctx.Err()
}

// tokenHandler gives out the tokens token-1, token-2, … for an hour.
func tokenHandler(mu *sync.Mutex, count *int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		*count++
		n := *count
		mu.Unlock()
		_, _ = w.Write([]byte(`{"access_token":"` + token + strings.Repeat("x", n) +
			`","token_type":"Bearer","expires_in":3600}`))
	}
}

// remote is a pretended Constant Contact whose partner API is the test's handler.
type remote struct {
	*httptest.Server
	mu     sync.Mutex
	tokens int
}

func newRemote(t testing.TB, api http.HandlerFunc) *remote {
	t.Helper()
	r := &remote{}
	mux := http.NewServeMux()
	mux.HandleFunc("/token", tokenHandler(&r.mu, &r.tokens))
	mux.HandleFunc("/v3/", api)
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

func (r *remote) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tokens
}

// newClient is a client of a remote, or of another base URL.
func newClient(t testing.TB, r *remote, change func(*partnerapi.Options)) (*partnerapi.Client, *budget) {
	t.Helper()
	source, err := partnerapi.NewTokenSource(partnerapi.TokenOptions{
		URL: r.URL + "/token", ClientID: "acme", ClientSecret: secret, MinInterval: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &budget{}
	o := partnerapi.Options{BaseURL: r.URL + "/v3", APIKey: apiKey, Tokens: source, Budget: b, Timeout: 10 * time.Second}
	if change != nil {
		change(&o)
	}
	c, err := partnerapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

func somebody() partnerapi.SSOUser {
	return partnerapi.SSOUser{
		FirstName: "Zoë", LastName: "O'Brien", RoleName: "campaign_creator", ContactEmail: "zoe@example.test",
		LoginName: "sso-abc123", ExternalID: "3f1c.a07e1lxqqqo0", ExternalProvider: "acme",
	}
}

// wantKind checks the kind of an error, and that no secret stands in it.
func wantKind(t testing.TB, err error, want partnerapi.Kind) *partnerapi.Error {
	t.Helper()
	var e *partnerapi.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v (%T), want a *partnerapi.Error of kind %s", err, err, want)
	}
	if e.Kind != want {
		t.Fatalf("got kind %s, want %s: %v", e.Kind, want, err)
	}
	noSecrets(t, err.Error())
	return e
}

func noSecrets(t testing.TB, text string) {
	t.Helper()
	for _, s := range []string{secret, apiKey, token, "Basic ", "Bearer "} {
		if strings.Contains(text, s) {
			t.Errorf("a secret (%q) stands in %q", s, text)
		}
	}
}

// eventually waits for something that happens beside.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still not so after 10 s: %s", what)
		}
	}
}
