package sandbox

import (
	"maps"
	"net/http"
	"sort"
	"time"
)

// Summary counts all calls to the partner API since the start, those too that the ledger no longer holds.
type Summary struct {
	Calls        int            `json:"calls"`              // that counted against the limits: with a known key
	Uncounted    int            `json:"uncounted_calls"`    // without one, too large, or cut off by a fault before
	ByStatus     map[int]int    `json:"by_status"`          // 0: the connection was cut
	ByKey        map[string]int `json:"by_key"`             // error_key of the refusals
	First        time.Time      `json:"first,omitzero"`     // when the first was counted
	Last         time.Time      `json:"last,omitzero"`      // the latest
	MostSliding  int            `json:"most_in_any_second"` // most in any span of a second
	MostCalendar int            `json:"most_in_a_calendar_second"`
	// made on the same key by Options.Foreign; they are not among Calls
	Foreign          int `json:"foreign_calls"`
	UsedToday        int `json:"used_today"`           // of the day's calls, foreign ones included
	Created          int `json:"users_created"`        // by users/sso and with new accounts
	LedgerDropped    int `json:"calls_no_longer_kept"` // token requests among them
	WebhooksPosted   int `json:"webhooks_posted"`
	WebhooksAnswered int `json:"webhooks_answered"` // with success
}

// Throttled is the share of the calls that were answered by 429.
func (s Summary) Throttled() float64 {
	if s.Calls == 0 {
		return 0
	}
	return float64(s.ByStatus[http.StatusTooManyRequests]) / float64(s.Calls)
}

// tally keeps the running counts of a Summary.
type tally struct {
	calls, uncounted int
	byStatus         map[int]int
	byKey            map[string]int
	first, last      time.Time
	recent           []time.Time
	sliding          int
	second           time.Time
	inSecond         int
	calendar         int
	created          int
}

// maxKeys bounds what the tally tells apart; the keys are the sandbox's own.
const maxKeys = 200

// count enters a call of the partner at the time it was counted by the limiter.
func (t *tally) count(now time.Time) {
	if t.calls++; t.calls == 1 {
		t.first = now
	}
	t.last = now
	first := sort.Search(len(t.recent), func(i int) bool { return now.Sub(t.recent[i]) < time.Second })
	t.recent = append(t.recent[first:], now)
	t.sliding = max(t.sliding, len(t.recent))
	if second := now.Truncate(time.Second); !second.Equal(t.second) {
		t.second, t.inSecond = second, 0
	}
	t.inSecond++
	t.calendar = max(t.calendar, t.inSecond)
}

// settle enters how a call went.
func (t *tally) settle(counted bool, status int, key string) {
	if !counted {
		t.uncounted++
	}
	t.byStatus[status]++
	if key != "" && (t.byKey[key] > 0 || len(t.byKey) < maxKeys) {
		t.byKey[key]++
	}
}

// Summary is the counts of all calls so far.
func (s *Sandbox) Summary() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	s.foreign.until(now, &s.api)
	s.api.spend(now, 0) // a new day may have begun
	return Summary{
		Calls: s.tally.calls, Uncounted: s.tally.uncounted, ByStatus: maps.Clone(s.tally.byStatus),
		ByKey: maps.Clone(s.tally.byKey),
		First: s.tally.first, Last: s.tally.last, MostSliding: s.tally.sliding, MostCalendar: s.tally.calendar,
		Foreign: s.foreign.calls, UsedToday: s.api.used, Created: s.tally.created, LedgerDropped: s.dropped,
		WebhooksPosted: s.posts.posted, WebhooksAnswered: s.posts.answered,
	}
}
