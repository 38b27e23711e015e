package api

import (
	"context"
	"net/http"
	"sync"
)

// How many requests are worked on at a time: programs must not take the connections of sign-ins, and one program must
// not take those of the others.
const (
	maxBusy    = 32 // of all tokens
	maxOfToken = 8  // of one token; the others of it wait
	maxQueued  = 64 // of one token, those that wait with them
	// Those that only wait for the end of an operation (Prefer: wait) have no slot.
	maxWaiting        = 64
	maxWaitingOfToken = 16
)

// slots are the requests that are worked on and those that wait, of one replica.
type slots struct {
	busy chan struct{}

	mu      sync.Mutex
	tokens  map[string]*tokenSlots
	waiting int
}

type tokenSlots struct {
	turn    chan struct{} // worked on
	queued  int           // of them and of those that wait for a turn; at 0 the entry goes
	waiting int           // for the end of an operation
}

func newSlots() *slots {
	return &slots{busy: make(chan struct{}, maxBusy), tokens: map[string]*tokenSlots{}}
}

func (s *slots) of(token string) *tokenSlots {
	t := s.tokens[token]
	if t == nil {
		t = &tokenSlots{turn: make(chan struct{}, maxOfToken)}
		s.tokens[token] = t
	}
	return t
}

// leave drops the entry of a token that has no request any more.
func (s *slots) leave(token string, t *tokenSlots) {
	if t.queued == 0 && t.waiting == 0 {
		delete(s.tokens, token)
	}
}

// take waits for a slot. A token has a turn of its own first, so that its queue keeps nobody else waiting.
func (s *slots) take(ctx context.Context, token string) (release func(), err error) {
	s.mu.Lock()
	t := s.of(token)
	if t.queued >= maxQueued {
		s.mu.Unlock()
		p := bad(http.StatusTooManyRequests, "busy", "the token has too many requests at the same time",
			"send fewer at a time, and this one again after Retry-After")
		p.after = "1"
		return nil, p
	}
	t.queued++
	s.mu.Unlock()
	done := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.queued--
		s.leave(token, t)
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		done()
		return nil, ctx.Err()
	}
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		<-t.turn
		done()
		return nil, ctx.Err()
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			<-s.busy
			<-t.turn
			done()
		})
	}, nil
}

// wait takes a place among those that wait for an operation; ok is false where there is none, and the answer comes at
// once: waiting is a preference.
func (s *slots) wait(token string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of(token)
	if s.waiting >= maxWaiting || t.waiting >= maxWaitingOfToken {
		s.leave(token, t)
		return nil, false
	}
	s.waiting++
	t.waiting++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting--
		t.waiting--
		s.leave(token, t)
	}, true
}
