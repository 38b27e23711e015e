package sandbox

import (
	"net/http"
	"slices"
	"time"
)

const maxCalls = 20_000 // older ones are dropped, so that a sandbox left running stays small

// Call is one call to the token server or the partner API, as the ledger keeps it. It holds no
// secret and no token.
type Call struct {
	ID      int       `json:"id"`
	At      time.Time `json:"at"` // of arrival
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Query   string    `json:"query,omitempty"`
	Who     string    `json:"who"` // "partner" with a known key or id, else "stranger"
	Body    string    `json:"body,omitempty"`
	Counted bool      `json:"counted"` // against the partner's limits
	Status  int       `json:"status"`  // 0 while it runs or when the connection was cut
	Outcome string    `json:"outcome"`
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
	c.Status, c.Outcome = a.status, a.outcome
	s.o.Logger.Info("call", "method", c.Method, "path", c.Path, "who", c.Who, "status", c.Status, "outcome", c.Outcome)
}

// Calls is a copy of the ledger, oldest first.
func (s *Sandbox) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Call, len(s.calls))
	for i, c := range s.calls {
		list[i] = *c
	}
	return list
}

// CallsIn is the largest number of partner calls that arrived within any window of this length. Tests use it
// to see that nobody went past a limit: with four a second, CallsIn(time.Second) is at most 4.
func (s *Sandbox) CallsIn(window time.Duration) int {
	var times []time.Time
	for _, c := range s.Calls() {
		if c.Counted {
			times = append(times, c.At)
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

// Users is a copy of all users: those of the seed, then the created ones in order.
func (s *Sandbox) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]User{}, s.users...)
}

// Created is the users that were created by the API, in order.
func (s *Sandbox) Created() []User {
	return slices.DeleteFunc(s.Users(), func(u User) bool { return u.CreatedAt.IsZero() })
}

// AddUser adds a user as if by Constant Contact's own pages.
func (s *Sandbox) AddUser(u User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seed(nil, []User{u})
}
