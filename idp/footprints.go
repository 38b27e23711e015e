package idp

import (
	"cmp"
	"context"
	"sync"
	"time"

	"ssobridge/store"
)

// What requests may leave behind in traces and log lines of their own, on one replica. Past it they are counted, by
// reason: a flood must fill neither the store nor the log, and must not take the room of those who have a real
// question.
//
// A refusal is one of a kind: its reason, and whether anybody known is behind it. Of each kind the first ten in a
// second are kept, so that no flood hides a refusal of another kind. Strangers have a bound for all that they do as
// well, shared between addresses; past it the first ten refusals of a kind in a minute are still kept.
const (
	refusalsPerSecond   = 10 // of a kind
	strangersPerAddress = 20
	strangersPerMinute  = 600
	strangersPerKind    = 10 // refusals in a minute that have room in any case
	warningsPerSecond   = 10 // of one message, by requests that are not refused
)

// maxCounts bounds what is counted and not stored yet: more than four hours of all kinds. It is not reached unless the
// store is down.
const maxCounts = 4096

// Footprints shares out what requests may leave behind, and counts those that leave nothing. It holds no more addresses
// than it lets through in a minute.
type Footprints struct {
	now func() time.Time

	mu      sync.Mutex
	minute  time.Time
	all     int
	blocks  map[string]int
	kinds   [maxCodes]int     // of strangers' refusals, in the minute
	kept    [2][maxCodes]rate // of refusals, of strangers and of whoever is known
	warned  map[string]rate   // by message: constants of ours
	past    map[string]int    // log lines that were left out, by message
	reasons [maxCodes]int64   // requests that were only counted since they were last asked for
	counted map[countKey]*store.RequestCount
}

// rate is how many there were in one second.
type rate struct {
	second int64
	n      int
}

// take takes one of the second's.
func (r *rate) take(now time.Time, limit int) bool {
	if second := now.Unix(); second != r.second {
		*r = rate{second: second}
	}
	if r.n >= limit {
		return false
	}
	r.n++
	return true
}

// countKey is what is counted together: it becomes one row.
type countKey struct {
	code    uint8
	quarter int64
}

// NewFootprints needs a clock.
func NewFootprints(now func() time.Time) *Footprints {
	return &Footprints{
		now: now, blocks: map[string]int{}, warned: map[string]rate{}, past: map[string]int{},
		counted: map[countKey]*store.RequestCount{},
	}
}

// take takes one of an address, or says that there is none left.
func (s *Footprints) take(address string) bool {
	block := addressBlock(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(s.now())
	if s.all >= strangersPerMinute || s.blocks[block] >= strangersPerAddress {
		return false
	}
	s.all++
	s.blocks[block]++
	return true
}

// takeRefusal takes one for a refusal, or says that it is only to be counted.
func (s *Footprints) takeRefusal(address string, code uint8, known bool) bool {
	block, now := addressBlock(address), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if known {
		return s.kept[1][code].take(now, refusalsPerSecond)
	}
	s.turn(now)
	if s.kinds[code] >= strangersPerKind && (s.all >= strangersPerMinute || s.blocks[block] >= strangersPerAddress) {
		return false
	}
	if !s.kept[0][code].take(now, refusalsPerSecond) {
		return false
	}
	s.kinds[code]++
	s.all++
	s.blocks[block]++
	return true
}

// turn begins a minute. The lock is held.
func (s *Footprints) turn(now time.Time) {
	if minute := now.Truncate(time.Minute); !minute.Equal(s.minute) {
		s.minute, s.all, s.kinds = minute, 0, [maxCodes]int{}
		clear(s.blocks)
	}
}

// warns takes one line of a message.
func (s *Footprints) warns(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.warned[message]
	ok := r.take(s.now(), warningsPerSecond)
	s.warned[message] = r
	return ok
}

// count counts a request that left nothing, at the moment that its reference carries.
func (s *Footprints) count(code uint8, at time.Time) {
	at = at.UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reasons[code]++
	s.add(code, store.RequestCount{Reason: codes[code], First: at, Last: at, Requests: 1})
}

// add adds to the counts that are to be stored. The lock is held.
func (s *Footprints) add(code uint8, n store.RequestCount) {
	key := countKey{code, n.First.Truncate(store.StatisticStep).Unix()}
	sum, ok := s.counted[key]
	switch {
	case ok:
		if n.First.Before(sum.First) {
			sum.First = n.First
		}
		if n.Last.After(sum.Last) {
			sum.Last = n.Last
		}
		sum.Requests += n.Requests
	case len(s.counted) < maxCounts:
		s.counted[key] = &n
	}
}

// Counted returns how many requests were only counted since it was last asked, one entry for a reason and a quarter of
// an hour, to be stored.
func (s *Footprints) Counted() []store.RequestCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]store.RequestCount, 0, len(s.counted))
	for _, n := range s.counted {
		all = append(all, *n)
	}
	clear(s.counted)
	return all
}

// Uncounted takes back what Counted returned and could not be stored.
func (s *Footprints) Uncounted(all []store.RequestCount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range all {
		s.add(codeOf(n.Reason), n)
	}
}

// LeftOut returns how many log lines were left out since it was last asked, by their message.
func (s *Footprints) LeftOut() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	past := s.past
	s.past = map[string]int{}
	return past
}

// Reasons returns how many requests were only counted since it was last asked, by reason.
func (s *Footprints) Reasons() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int64{}
	for code, n := range s.reasons {
		if n > 0 {
			all[cmp.Or(codes[code], "other")] = n
		}
	}
	s.reasons = [maxCodes]int64{}
	return all
}

// Begin starts to follow a request of this address.
func (s *Footprints) Begin(ctx context.Context, address string) (context.Context, *Footprint) {
	f := &Footprint{footprints: s, address: address, began: s.now()}
	return context.WithValue(ctx, footprintKey{}, f), f
}
