package idp

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The bounds of what waits for a turn.
const (
	turnPace    = time.Second // between two tries of one address that is past its limit
	turnsInLine = 30          // that wait at one address: the last one waits half a minute
	turnsInAll  = 1024
)

// The classes of tries that wait for a turn, the first of which goes first.
const (
	turnKnown  = iota // in a browser that the person used before, and nobody has failed for them
	turnFirst         // for a person for whom nobody has failed
	turnOthers        // for somebody for whom others have
	turnClasses
)

// errNoTurn says that too many wait at an address.
var errNoTurn = errors.New("too many logins wait for their turn")

// turns lets the tries of each address that is past its limit go one at a time, one a second. Each address has a line
// of its own: what waits in one keeps nobody else waiting. The store sees to it that two replicas keep the pace
// together.
type turns struct {
	mu      sync.Mutex
	lines   map[string]*line
	waiting int
}

// line is the tries of one address. It is there while one of them runs, and for the pace after it.
type line struct {
	queue [turnClasses][]*turn
	count int
}

// turn is one try that waits. Its channel is closed when it may go; refused then says that it may not.
type turn struct {
	go_     chan struct{}
	refused bool
	done    bool // it has gone, was refused or gave up
}

func newTurns() *turns { return &turns{lines: map[string]*line{}} }

// take waits for a turn. done must be called when the try has ended.
func (t *turns) take(ctx context.Context, address string, class int) (done func(), err error) {
	t.mu.Lock()
	l := t.lines[address]
	if l == nil {
		t.lines[address] = &line{}
		t.mu.Unlock()
		return t.leave(address), nil
	}
	if l.count >= turnsInLine || t.waiting >= turnsInAll {
		// Whoever comes first in class takes the place of the last one of the last class.
		if !t.displace(l, class) {
			t.mu.Unlock()
			return nil, errNoTurn
		}
	}
	own := &turn{go_: make(chan struct{})}
	l.queue[class] = append(l.queue[class], own)
	l.count++
	t.waiting++
	t.mu.Unlock()
	select {
	case <-own.go_:
		if own.refused {
			return nil, errNoTurn
		}
		return t.leave(address), nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.done && !own.refused {
		// It was called at this very moment: the turn goes on to the next one.
		t.mu.Unlock()
		t.leave(address)()
		t.mu.Lock()
		return nil, context.Cause(ctx)
	}
	t.drop(l, own)
	return nil, context.Cause(ctx)
}

// displace refuses the last one that waits in a class after this one.
func (t *turns) displace(l *line, class int) bool {
	for c := turnClasses - 1; c > class; c-- {
		if n := len(l.queue[c]); n > 0 {
			last := l.queue[c][n-1]
			last.refused = true
			t.drop(l, last)
			close(last.go_)
			return true
		}
	}
	return false
}

// drop takes one that waits out of its line.
func (t *turns) drop(l *line, gone *turn) {
	if gone.done {
		return
	}
	gone.done = true
	for c := range l.queue {
		for i, w := range l.queue[c] {
			if w == gone {
				l.queue[c] = append(l.queue[c][:i:i], l.queue[c][i+1:]...)
				l.count--
				t.waiting--
				return
			}
		}
	}
}

// leave ends a turn. The next one comes when the pace is over; without one the line is over then.
func (t *turns) leave(address string) func() {
	began := time.Now()
	return func() {
		time.AfterFunc(turnPace-time.Since(began), func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			l := t.lines[address]
			for c := range l.queue {
				if len(l.queue[c]) > 0 {
					next := l.queue[c][0]
					t.drop(l, next)
					close(next.go_)
					return
				}
			}
			delete(t.lines, address)
		})
	}
}

// inFlight are the logins that wait for others of the same person to end.
type inFlight struct {
	mu      sync.Mutex
	people  map[string]*flight
	waiting int
}

type flight struct {
	ended   chan struct{} // closed when one of this replica's has ended
	waiting int
}

// The bounds of what waits for tries in flight.
const (
	flightPatience = 3 * time.Second
	flightLeast    = 50 * time.Millisecond // between two looks at the store, which knows of other replicas; it grows
	flightMost     = 500 * time.Millisecond
	flightsOfOne   = 16 // of one person: somebody's tabs
	flightsInAll   = 256
)

func newInFlight() *inFlight { return &inFlight{people: map[string]*flight{}} }

// join begins to wait. ok is false where too many do.
func (w *inFlight) join(person string) (leave func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.people[person]
	if w.waiting >= flightsInAll || f != nil && f.waiting >= flightsOfOne {
		return nil, false
	}
	if f == nil {
		f = &flight{ended: make(chan struct{})}
		w.people[person] = f
	}
	f.waiting++
	w.waiting++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		f.waiting--
		w.waiting--
		if f.waiting == 0 {
			delete(w.people, person)
		}
	}, true
}

// next waits until one has ended, or for a time.
func (w *inFlight) next(ctx context.Context, person string, d time.Duration) error {
	w.mu.Lock()
	ended := w.people[person].ended
	w.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end wakes those that wait for this person.
func (w *inFlight) end(person string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.people[person]; f != nil {
		close(f.ended)
		f.ended = make(chan struct{})
	}
}
