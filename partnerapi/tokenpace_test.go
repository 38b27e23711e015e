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
)

// tokenSlots counts what is asked of it.
type tokenSlots struct {
	mu        sync.Mutex
	reserved  int
	answered  int
	throttled []time.Duration
	wait      time.Duration
	waiters   int // so many are told to wait, and the rest goes; 0: all wait
	err       error
}

func (s *tokenSlots) ReserveToken(context.Context) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved++
	if s.waiters > 0 && s.reserved > s.waiters {
		return 0, s.err
	}
	return s.wait, s.err
}

func (s *tokenSlots) TokenAnswered(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered++
	return nil
}

func (s *tokenSlots) TokenThrottled(_ context.Context, wait time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttled = append(s.throttled, wait)
	return nil
}

// REAL-58: a 429 of the token server is waited out, and others are asked to wait as well; it is no outage.
func TestTokenLimitIsWaitedOut(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, "<html>slow down</html>", http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	}))
	defer server.Close()
	var log bytes.Buffer
	slots := &tokenSlots{}
	s := source(t, partnerapi.TokenOptions{URL: server.URL, Slots: slots, MinInterval: time.Nanosecond,
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if got, err := s.Token(t.Context()); got != "t" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	if asked.Load() != 2 || slots.reserved != 2 || slots.answered != 2 || len(slots.throttled) != 1 ||
		slots.throttled[0] != time.Second {
		t.Errorf("asked %d times with %d slots, others wait %v; want 2, 2 and 1 s", asked.Load(), slots.reserved,
			slots.throttled)
	}
	if !strings.Contains(log.String(), "asks for a slower pace") {
		t.Errorf("the log does not say so: %s", &log)
	}
	noSecrets(t, log.String())
}

// REAL-58: a pause that is longer than anybody waits is told, and a caller waits no longer than its context.
func TestTokenLimitThatStays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	r := &remote{Server: server}
	s := source(t, partnerapi.TokenOptions{URL: server.URL})
	c, b := newClient(t, r, func(o *partnerapi.Options) { o.Tokens = s })
	e := wantKind(t, create(t, c), partnerapi.Throttled)
	if e.Wait != 10*time.Minute || b.reserved != 0 || b.throttled != 0 {
		t.Errorf("wait %v, %d slots, rate lowered %d times; want 10 m and none", e.Wait, b.reserved, b.throttled)
	}

	server2 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server2.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := source(t, partnerapi.TokenOptions{URL: server2.URL}).Token(ctx)
	if e := wantKind(t, err, partnerapi.NotSent); !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("got %v, want its own time to be over", err)
	}
}

// REAL-58: without a slot nobody asks for a token.
func TestTokenSlotsAreKept(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	}))
	defer server.Close()
	slots := &tokenSlots{err: errors.New("no store")}
	_, err := source(t, partnerapi.TokenOptions{URL: server.URL, Slots: slots}).Token(t.Context())
	if e := wantKind(t, err, partnerapi.NotSent); !errors.Is(e, slots.err) || asked.Load() != 0 {
		t.Errorf("got %v with %d requests, want the cause and none", err, asked.Load())
	}
	slots = &tokenSlots{wait: 5 * time.Minute}
	_, err = source(t, partnerapi.TokenOptions{URL: server.URL, Slots: slots}).Token(t.Context())
	if e := wantKind(t, err, partnerapi.Throttled); e.Wait != 5*time.Minute || asked.Load() != 0 {
		t.Errorf("got %v with %d requests", err, asked.Load())
	}
	// Who has waited asks for the slot again, and goes when it is free.
	slots = &tokenSlots{wait: time.Millisecond, waiters: 3}
	got, err := source(t, partnerapi.TokenOptions{URL: server.URL, Slots: slots}).Token(t.Context())
	if err != nil || got != "t" || slots.reserved != 4 || slots.answered != 1 {
		t.Errorf("%q, %v: %d slots asked for, %d answered; want 4 and 1", got, err, slots.reserved, slots.answered)
	}
	// Others take it each time: patience ends.
	slots = &tokenSlots{wait: time.Millisecond}
	s := source(t, partnerapi.TokenOptions{URL: server.URL, Slots: slots, Patience: 50 * time.Millisecond})
	_, err = s.Token(t.Context())
	if err == nil || asked.Load() != 1 {
		t.Errorf("got %v with %d requests, want no patience any more", err, asked.Load())
	}
}

// REAL-60: a call goes out when the budget lets it, is told as answered, and a slot that is given up comes back.
func TestCallsDepart(t *testing.T) {
	status := http.StatusCreated
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	c, b := newClient(t, r, nil)
	b.hold = 3
	if err := create(t, c); err != nil || b.departed != 1 || b.arrived != 1 || b.worked != 1 || len(b.given) != 0 {
		t.Errorf("%v: %d departed, %d arrived, %d worked, %v given back", err, b.departed, b.arrived, b.worked, b.given)
	}
	status = http.StatusBadGateway
	wantKind(t, create(t, c), partnerapi.Unknown)
	if b.arrived != 2 || b.worked != 1 {
		t.Errorf("a gateway's answer: %d arrived, %d worked; want 2 and 1", b.arrived, b.worked)
	}
	b.wait = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantKind(t, c.CreateSSOUser(ctx, partnerapi.PriorityRetry, account, somebody()), partnerapi.NotSent)
	if len(b.given) != 1 || b.given[0] < 50*time.Minute || b.departed != 2 {
		t.Errorf("given back: %v with %d departed, want the slot with its hour to come", b.given, b.departed)
	}
	b.wait, b.hold = 0, 1<<30
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantKind(t, c.CreateSSOUser(ctx, partnerapi.PriorityRetry, account, somebody()), partnerapi.NotSent)
	if len(b.given) != 2 || b.departed != 2 {
		t.Errorf("given back: %v with %d departed, want two", b.given, b.departed)
	}
}
