package idp

import (
	"context"
	"sync"
	"time"
)

// slotPatience is how long a request waits for a free slot.
const slotPatience = 2 * time.Second

// Bounds of those who wait for a slot.
const (
	maxWaiting      = 1024 // in all
	maxWaitingBlock = 64   // from one address block
)

// slots bound how much of the machine a kind of work takes at the same time. Those who wait are served by turns of the
// address blocks that they come from: a flood from one waits for itself.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting map[string][]chan struct{} // by address block, the first has waited longest
	turn    []string                   // blocks in which somebody waits; the first is next
	total   int
}

func newSlots(n int) *slots { return &slots{free: max(1, n), waiting: map[string][]chan struct{}{}} }

// take waits for a slot, for as long as patience. ok is false where there is none. The caller calls release when it is
// done.
func (s *slots) take(ctx context.Context, from string, patience time.Duration) (release func(), ok bool, err error) {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return s.release, true, nil
	}
	if s.total >= maxWaiting || len(s.waiting[from]) >= maxWaitingBlock {
		s.mu.Unlock()
		return nil, false, nil
	}
	mine := make(chan struct{})
	if len(s.waiting[from]) == 0 {
		s.turn = append(s.turn, from)
	}
	s.waiting[from] = append(s.waiting[from], mine)
	s.total++
	s.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-mine:
		return s.release, true, nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !s.leave(from, mine) { // it was handed over at this very moment
		if err != nil {
			s.release()
			return nil, false, err
		}
		return s.release, true, nil
	}
	return nil, false, err
}

// leave takes somebody out of the queue, and tells whether they were still in it.
func (s *slots) leave(from string, mine chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.waiting[from] {
		if c == mine {
			s.dequeue(from, i)
			return true
		}
	}
	return false
}

// dequeue takes the i-th of a block out of the queue, and the block out of the turns where nobody of it waits any more.
func (s *slots) dequeue(from string, i int) {
	queue := s.waiting[from]
	s.total--
	if len(queue) > 1 {
		s.waiting[from] = append(queue[:i:i], queue[i+1:]...)
		return
	}
	delete(s.waiting, from)
	for i, block := range s.turn {
		if block == from {
			s.turn = append(s.turn[:i:i], s.turn[i+1:]...)
			return
		}
	}
}

// release hands the slot to the one who has waited longest in the block whose turn it is.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turn) == 0 {
		s.free++
		return
	}
	block := s.turn[0]
	next := s.waiting[block][0]
	s.dequeue(block, 0)
	if len(s.waiting[block]) > 0 { // to the end of the turns
		s.turn = append(s.turn[1:], block)
	}
	close(next)
}
