package idp

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// What strangers may leave behind in a minute, in traces and log lines of their own. Nobody known is behind a stranger's request: a flood
// of them must fill neither the store nor the log, and must not take the room of those who have a real question. Both are for one
// replica.
const (
	strangersPerAddress = 20
	strangersPerMinute  = 600
)

// Strangers shares out what strangers may leave behind, fairly between addresses. It holds no more addresses than it lets through in a
// minute.
type Strangers struct {
	now func() time.Time

	mu     sync.Mutex
	minute time.Time
	all    int
	blocks map[string]int
	past   map[string]int // log lines that were left out, by message: constants of ours
}

// NewStrangers needs a clock.
func NewStrangers(now func() time.Time) *Strangers {
	return &Strangers{now: now, blocks: map[string]int{}, past: map[string]int{}}
}

// take takes one of an address, or says that there is none left.
func (s *Strangers) take(address string) bool {
	block := addressBlock(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if minute := s.now().Truncate(time.Minute); !minute.Equal(s.minute) {
		s.minute, s.all = minute, 0
		clear(s.blocks)
	}
	if s.all >= strangersPerMinute || s.blocks[block] >= strangersPerAddress {
		return false
	}
	s.all++
	s.blocks[block]++
	return true
}

// LeftOut returns how many log lines of strangers were left out since it was last asked, by their message.
func (s *Strangers) LeftOut() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	past := s.past
	s.past = map[string]int{}
	return past
}

// Begin starts to follow a request of this address.
func (s *Strangers) Begin(ctx context.Context, address string) (context.Context, *Footprint) {
	f := &Footprint{strangers: s, address: address}
	return context.WithValue(ctx, footprintKey{}, f), f
}

// Footprint is what one request may leave behind. A nil one may leave everything: nobody counts.
type Footprint struct {
	strangers *Strangers
	address   string

	mu    sync.Mutex
	known bool // somebody with a session, or whose login exists, is behind it
	asked bool
	over  bool
}

type footprintKey struct{}

// FootprintOf is that of the request that ctx belongs to, nil where none is followed.
func FootprintOf(ctx context.Context) *Footprint {
	f, _ := ctx.Value(footprintKey{}).(*Footprint)
	return f
}

// Known says that it is no stranger's request: there is no bound for it.
func (f *Footprint) Known() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = true
}

// Over tells whether the request must leave nothing of its own. The first time it is asked of a stranger's request it takes one of the
// address's; a request takes one at most.
func (f *Footprint) Over() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known {
		return false
	}
	if !f.asked {
		f.asked, f.over = true, !f.strangers.take(f.address)
	}
	return f.over
}

// Quiet is a log handler that leaves out the lines of requests that are over their bound, and counts them.
func Quiet(h slog.Handler, s *Strangers) slog.Handler { return quiet{h, s} }

type quiet struct {
	slog.Handler
	strangers *Strangers
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if FootprintOf(ctx).Over() {
		q.strangers.mu.Lock()
		defer q.strangers.mu.Unlock()
		q.strangers.past[r.Message]++
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.strangers}
}

func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.strangers}
}
