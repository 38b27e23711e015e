package api

import (
	"sync"
	"time"
)

// Bounds of the tries of those who have proved nothing yet, on one replica. A signature can't be guessed: they bound
// what a flood costs.
const (
	triesPerMinute = 60
	triesWindow    = time.Minute
	maxTriers      = 10_000 // addresses that are counted at a time
	maxProofs      = 8      // signatures that are looked at at a time
)

// tries count refused requests by blocks of addresses. They are taken before a request is judged, and given back where
// it was none to be refused.
type tries struct {
	mu     sync.Mutex
	blocks map[string]*bucket
}

// take counts one. Where there are too many it says in how many seconds there is room again.
func (t *tries) take(block string, now time.Time) (after int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.blocks[block]
	if b == nil || now.Sub(b.begins) >= triesWindow || now.Before(b.begins) {
		if b == nil && len(t.blocks) >= maxTriers {
			t.sweep(now)
		}
		b = &bucket{begins: now}
		t.blocks[block] = b
	}
	if b.used >= triesPerMinute {
		return int(b.begins.Add(triesWindow).Sub(now)/time.Second) + 1
	}
	b.used++
	return 0
}

// sweep makes room: first of those whose minute is over. Where all are of this minute, all go: to refuse those who
// come next would keep clients out.
func (t *tries) sweep(now time.Time) {
	for block, b := range t.blocks {
		if now.Sub(b.begins) >= triesWindow {
			delete(t.blocks, block)
		}
	}
	if len(t.blocks) >= maxTriers {
		clear(t.blocks)
	}
}

// giveBack gives back what was taken at a time. Of a minute that is over nothing is left to give back.
func (t *tries) giveBack(block string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.blocks[block]; b != nil && b.used > 0 && !now.Before(b.begins) && now.Sub(b.begins) < triesWindow {
		b.used--
	}
}
