package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	maxCalls      = 50_000  // older ones are dropped, so that a sandbox left running stays small; Summary counts them all
	maxCallRecord = 8 << 10 // of a body
)

// Call is one call to the token server or the partner API, as the ledger keeps it. It holds no
// secret and no token.
type Call struct {
	ID        int       `json:"id"`
	At        time.Time `json:"at"` // of arrival
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Query     string    `json:"query,omitempty"`
	Who       string    `json:"who"`            // "partner" with a known key or id, else "stranger"
	Body      string    `json:"body,omitempty"` // at most 8 KiB of it
	Counted   bool      `json:"counted"`        // against the partner's limits
	CountedAt time.Time `json:"counted_at,omitzero"`
	Status    int       `json:"status"` // 0 while it runs or when the connection was cut
	Key       string    `json:"error_key,omitempty"`
	Outcome   string    `json:"outcome"`
}

// record enters a call at its arrival.
func (s *Sandbox) record(r *http.Request, body string) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) >= maxCalls {
		n := maxCalls / 10
		s.calls = slices.Delete(s.calls, 0, n)
		s.dropped += n
	}
	if len(body) > maxCallRecord {
		body = strings.ToValidUTF8(body[:maxCallRecord], "") // half a character may be left at the cut
	}
	c := &Call{
		ID: s.dropped + len(s.calls) + 1, At: s.o.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Who: "stranger", Body: body, Outcome: "running",
	}
	s.calls = append(s.calls, c)
	return c
}

// settle enters what came of it.
func (s *Sandbox) settle(c *Call, a reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Status, c.Key, c.Outcome = a.status, a.key, a.outcome
	if strings.HasPrefix(c.Path, APIPath+"/") {
		s.tally.settle(c.Counted, c.Status, c.Key)
	}
	s.o.Logger.Info("call", "method", c.Method, "path", c.Path, "who", c.Who, "status", c.Status, "outcome", c.Outcome)
}

// Calls is a copy of the ledger, oldest first.
func (s *Sandbox) Calls() []Call { return s.callsFrom(0, -1) }

// callsFrom is a copy of at most n calls from a place in the ledger on; all of them with a negative n.
func (s *Sandbox) callsFrom(start, n int) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls[min(start, len(s.calls)):]
	if n >= 0 {
		calls = calls[:min(n, len(calls))]
	}
	list := make([]Call, len(calls))
	for i, c := range calls {
		list[i] = *c
	}
	return list
}

// CallsIn is the largest number of partner calls in the ledger that were counted within any window of this length.
// Tests use it to see that nobody went past a limit: with four a second, CallsIn(time.Second) is at most 4.
func (s *Sandbox) CallsIn(window time.Duration) int {
	var times []time.Time
	for _, c := range s.Calls() {
		if c.Counted {
			times = append(times, c.CountedAt)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for i, t := range times {
		for t.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
