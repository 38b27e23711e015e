package idp

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"ssobridge/store"
)

// What requests may leave behind in traces and log lines of their own, on one replica. Past it they are counted, by reason: a flood must
// fill neither the store nor the log, and must not take the room of those who have a real question.
//
// A refusal is one of a kind: its reason, and whether anybody known is behind it. Of each kind the first ten in a second are kept, so that
// no flood hides a refusal of another kind. Strangers have a bound for all that they do as well, shared between addresses; past it the
// first ten refusals of a kind in a minute are still kept.
const (
	refusalsPerSecond   = 10 // of a kind
	strangersPerAddress = 20
	strangersPerMinute  = 600
	strangersPerKind    = 10 // refusals in a minute that have room in any case
	warningsPerSecond   = 10 // of one message, by requests that are not refused
)

// maxCounts bounds what is counted and not stored yet: more than four hours of all kinds. It is not reached unless the store is down.
const maxCounts = 4096

// Footprints shares out what requests may leave behind, and counts those that leave nothing. It holds no more addresses than it lets
// through in a minute.
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
		now: now, blocks: map[string]int{}, warned: map[string]rate{}, past: map[string]int{}, counted: map[countKey]*store.RequestCount{},
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
	key := countKey{code, n.First.Truncate(store.FigureStep).Unix()}
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

// Counted returns how many requests were only counted since it was last asked, one entry for a reason and a quarter of an hour, to be
// stored.
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

// Footprint is what one request may leave behind. A nil one may leave everything: nobody counts.
type Footprint struct {
	footprints *Footprints
	address    string
	began      time.Time

	mu      sync.Mutex
	alike   bool // the answer must not tell whether a login exists
	known   bool // somebody with a session, or whose login exists, is behind it
	refused bool
	code    uint8  // of its reason
	look    func() // finds out who is behind it, where nothing has yet
	asked   bool
	over    bool
}

type footprintKey struct{}

// FootprintOf is that of the request that ctx belongs to, nil where none is followed.
func FootprintOf(ctx context.Context) *Footprint {
	f, _ := ctx.Value(footprintKey{}).(*Footprint)
	return f
}

// Known says that it is no stranger's request: there is no bound for it, unless it is refused.
func (f *Footprint) Known() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		f.known, f.asked = true, false
	}
}

// Ask gives a function that calls Known where somebody known is behind the request. It is called at most once, and only before the
// request is taken for a stranger's that leaves nothing.
func (f *Footprint) Ask(look func()) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look = look
}

// Refused says that the request was refused, and why. The first reason that has a number stays: it is the most exact one.
func (f *Footprint) Refused(reason string) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if code := codeOf(reason); !f.refused || f.code == 0 && code != 0 {
		f.refused, f.code, f.asked = true, code, false
	}
}

// Reason is the one that a reference of the request is to carry.
func (f *Footprint) Reason() string {
	if f == nil {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.refused {
		return ReasonAnswered
	}
	return codes[f.code]
}

// Alike says that the answer must be the same for a login that exists and for one that does not. Whoever is known has another bound than a
// stranger, and another reason: a reference that depended on these would tell the two apart.
func (f *Footprint) Alike() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alike = true
}

// IsAlike tells whether Alike was said.
func (f *Footprint) IsAlike() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alike
}

// Began is when the request began. A reference carries this moment and the count has it, so that a request at the end of a minute is found.
func (f *Footprint) Began() time.Time { return f.began }

// Over tells whether the request must leave nothing of its own: it is only counted. The first time it is asked it takes one of what there
// is room for; a request takes one at most, unless it turns out later to be another kind of request.
func (f *Footprint) Over() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decide()
	for f.over && f.look != nil {
		look := f.look
		f.look = nil
		f.mu.Unlock()
		look()
		f.mu.Lock()
		f.decide()
	}
	return f.over
}

func (f *Footprint) decide() {
	switch {
	case f.asked:
		return
	case f.refused:
		f.over = !f.footprints.takeRefusal(f.address, f.code, f.known)
	case f.known:
		f.over = false
	default:
		f.over = !f.footprints.take(f.address)
	}
	f.asked = true
}

// LeftNothing tells whether it was found over its bound, and asks nothing.
func (f *Footprint) LeftNothing() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked && f.over
}

// NoRoom says that the trace of a refused request found no room: then its reference has to carry the reason, and the request is counted.
func (f *Footprint) NoRoom() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refused {
		f.asked, f.over = true, true
	}
}

// Done counts the request, if it left nothing. It is to be called once, at its end.
func (f *Footprint) Done() {
	if f.LeftNothing() {
		f.footprints.count(codeOf(f.Reason()), f.began)
	}
}

// Quiet is a log handler that leaves out the lines of requests that are over their bound, and warnings of requests past ten in a second of
// one message, and counts them.
func Quiet(h slog.Handler, s *Footprints) slog.Handler { return quiet{h, s} }

type quiet struct {
	slog.Handler
	footprints *Footprints
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	f := FootprintOf(ctx)
	if f.Over() || f.warning(r) && !q.footprints.warns(r.Message) {
		q.footprints.mu.Lock()
		defer q.footprints.mu.Unlock()
		q.footprints.past[r.Message]++
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// warning tells whether a line is a warning of a request that may go on: the lines of a refused one are bounded by its kind.
func (f *Footprint) warning(r slog.Record) bool {
	if f == nil || r.Level < slog.LevelWarn {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.refused
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.footprints}
}

func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.footprints}
}
