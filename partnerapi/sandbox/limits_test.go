package sandbox_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

// at makes a call at a time after the clock's beginning and gives its status.
func at(c *caller, clock *clock, begin time.Time, ms int) int {
	c.t.Helper()
	clock.Set(begin.Add(time.Duration(ms) * time.Millisecond))
	status, _ := c.do("GET", accounts, "")
	return status
}

// The same calls by either window: four late in one second of the clock and four early in the next are eight within a
// second.
func TestWindows(t *testing.T) {
	times := []int{700, 750, 800, 850, 1100, 1150, 1200, 1250, 1300, 2000}
	for window, want := range map[sandbox.Window][]int{
		"":                    {200, 200, 200, 200, 429, 429, 429, 429, 429, 429},
		sandbox.WindowSliding: {200, 200, 200, 200, 429, 429, 429, 429, 429, 429},
		sandbox.WindowFixed:   {200, 200, 200, 200, 200, 200, 200, 200, 429, 200},
	} {
		t.Run(string(window), func(t *testing.T) {
			begin := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
			clock := &clock{now: begin}
			s := start(t, func(o *sandbox.Options) { o.PerSecond, o.Window, o.Now = 4, window, clock.Now })
			c := newCaller(t, s)
			throttled := 0
			for i, ms := range times {
				if got := at(c, clock, begin, ms); got != want[i] {
					t.Errorf("at %d ms: got %d, want %d", ms, got, want[i])
				}
				throttled += want[i] / 429
			}
			sum := s.Summary()
			if sum.Calls != 10 || sum.MostSliding != 9 || sum.MostCalendar != 5 || sum.ByStatus[429] != throttled ||
				sum.ByKey["throttled"] != throttled ||
				sum.ByStatus[200] != 10-throttled || !sum.First.Equal(begin.Add(700*time.Millisecond)) ||
				!sum.Last.Equal(begin.Add(2*time.Second)) {
				t.Errorf("got summary %+v", sum)
			}
			if got := sum.Throttled(); math.Abs(got-float64(throttled)/10) > 1e-9 {
				t.Errorf("got share %v", got)
			}
		})
	}
}

// Another program on the same key takes of the second and of the day, and is counted apart.
func TestForeignCalls(t *testing.T) {
	begin := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	clock := &clock{now: begin}
	s := start(t, func(o *sandbox.Options) {
		o.PerSecond, o.PerDay, o.Foreign, o.Now, o.TokenLife = 4, 100_000, 2, clock.Now, 1000*time.Hour
	})
	c := newCaller(t, s)
	for i, want := range []int{200, 200, 429} { // beside the calls at 500 and 1000 ms
		if got := at(c, clock, begin, 1000+i*10); got != want {
			t.Errorf("call %d: got %d, want %d", i, got, want)
		}
	}
	if sum := s.Summary(); sum.Foreign != 2 || sum.Calls != 3 || sum.UsedToday != 5 || sum.MostSliding != 3 {
		t.Errorf("got summary %+v", sum)
	}
	clock.Set(begin.Add(time.Hour))
	if sum := s.Summary(); sum.Foreign != 7200 || sum.UsedToday != 7203 {
		t.Errorf("after an hour: got %d foreign calls and %d used, want 7200 and 7203", sum.Foreign, sum.UsedToday)
	}
	clock.Set(begin.Add(24 * time.Hour)) // 10:00 of the next day; the call of midnight is one of it
	if sum := s.Summary(); sum.Foreign != 172_800 || sum.UsedToday != 72_001 {
		t.Errorf("the next day: got %d foreign calls and %d used, want 172800 and 72001", sum.Foreign, sum.UsedToday)
	}
}

// Foreign calls use up the day.
func TestForeignCallsOfTheDay(t *testing.T) {
	begin := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	clock := &clock{now: begin}
	s := start(t, func(o *sandbox.Options) { o.PerDay, o.Foreign, o.Now = 100, 2, clock.Now })
	c := newCaller(t, s)
	if got := at(c, clock, begin, 49_000); got != 200 {
		t.Errorf("after 98 foreign calls: got %d", got)
	}
	if got := at(c, clock, begin, 50_000); got != 429 {
		t.Errorf("after 100: got %d, want 429", got)
	}
	if sum := s.Summary(); sum.ByKey["quota_exceeded"] != 1 {
		t.Errorf("got summary %+v", sum)
	}
}

// A call is counted half its delay after it has arrived, and is answered half of it after that.
func TestJitter(t *testing.T) {
	var mu sync.Mutex
	drawn := 0.0
	s := start(t, func(o *sandbox.Options) {
		o.Jitter = 200 * time.Millisecond
		o.Rand = func() float64 { mu.Lock(); defer mu.Unlock(); return drawn }
	})
	c := newCaller(t, s)
	for _, share := range []float64{0, 0.8} {
		mu.Lock()
		drawn = share
		mu.Unlock()
		whole := time.Duration(share * float64(200*time.Millisecond))
		begin := time.Now()
		if status, _ := c.do("GET", accounts, ""); status != 200 {
			t.Fatalf("got %d", status)
		}
		took := time.Since(begin)
		calls := s.Calls()
		last := calls[len(calls)-1]
		if before := last.CountedAt.Sub(last.At); took < whole || before < whole/2 || !last.Counted ||
			(share == 0 && took > 5*time.Second) {
			t.Errorf("drawn %v: took %v, counted %v after its arrival; want at least %v and %v", share, took, before,
				whole, whole/2)
		}
		// What is waited after the count is at least the other half.
		if after := begin.Add(took).Sub(last.CountedAt); after < whole/2 {
			t.Errorf("drawn %v: answered %v after it was counted, want %v", share, after, whole/2)
		}
	}
	// The two arrived one after the other, and were counted at least 80 ms apart.
	if got := s.CallsIn(80 * time.Millisecond); got != 1 {
		t.Errorf("CallsIn(80ms) = %d, want 1", got)
	}
}

// The summary counts what the ledger no longer holds, and tells callers without the key apart.
func TestSummary(t *testing.T) {
	s := start(t, func(o *sandbox.Options) { o.PerDay = sandbox.Unlimited })
	c := newCaller(t, s)
	if status, _ := c.do("POST", creations, user()); status != 201 {
		t.Fatalf("got %d", status)
	}
	if status, _ := c.do("POST", creations, user()); status != 409 {
		t.Fatalf("got %d", status)
	}
	exchange(t, http.DefaultClient, request(t, "GET", s.BaseURL()+accounts, "", "x-api-key", "other"))
	const more = 52_000
	header := http.Header{"X-Api-Key": {sandbox.DefaultAPIKey}, "Authorization": {"Bearer " + c.token}}
	for range more {
		r := request(t, "GET", s.BaseURL()+harbour+"/plan", "")
		r.Header = header
		s.ServeHTTP(&discard{header: http.Header{}}, r)
	}
	var sum sandbox.Summary
	_, body := exchange(t, http.DefaultClient, request(t, "GET", s.URL()+"/_sandbox/summary", ""))
	if err := json.Unmarshal([]byte(body), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Calls != more+2 || sum.Uncounted != 1 || sum.ByStatus[200] != more || sum.ByStatus[201] != 1 ||
		sum.ByStatus[403] != 1 ||
		sum.ByKey["user.conflict"] != 1 || sum.Created != 1 || sum.UsedToday != more+2 {
		t.Errorf("got %s", body)
	}
	if kept := len(s.Calls()); sum.LedgerDropped == 0 || kept+sum.LedgerDropped != more+4 { // one token request among them
		t.Errorf("%d calls kept and %d dropped, want %d together", kept, sum.LedgerDropped, more+4)
	}
	for _, call := range s.Calls() {
		if call.Status != 200 || !call.Counted || call.CountedAt.IsZero() {
			t.Fatalf("got %+v", call)
		}
	}
	if strings.Contains(body, c.token) || strings.Contains(body, sandbox.DefaultAPIKey) {
		t.Error("the summary tells a secret")
	}
}

// discard is an http.ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
