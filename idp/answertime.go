package idp

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// How long a refused login takes to answer. Known logins cost a bind and a write, unknown ones a search alone. Both end
// at a time that is drawn when the login begins, so one answer does not tell which of them it was.
const (
	defaultLoginFloor = 250 * time.Millisecond // also covers the first logins, before any were measured
	paceSamples       = 128                    // recent judged logins
	paceJitter        = 4                      // the drawn time is longer by up to one part in so many
	maxPace           = 5 * time.Second        // what a slow directory can add at most
)

// pace draws the times. It is safe for concurrent use.
type pace struct {
	floor  time.Duration
	random io.Reader

	mu     sync.Mutex
	recent [paceSamples]time.Duration
	n      int
}

// record adds how long a judged login took, from its beginning to the verdict. Waiting for a turn is not part of it.
func (p *pace) record(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent[p.n%paceSamples] = min(max(took, 0), maxPace)
	p.n++
}

// draw is how long after its beginning a refused login is answered: the 95th percentile of recent judged logins, never
// less than the floor, and up to a quarter more. The jitter blurs the few that take longer.
func (p *pace) draw() (time.Duration, error) {
	least := max(p.floor, p.high())
	var b [2]byte
	if _, err := io.ReadFull(p.random, b[:]); err != nil {
		return 0, fmt.Errorf("read randomness for the time of an answer: %w", err)
	}
	jitter := time.Duration(b[0])<<8 | time.Duration(b[1]) // evenly from 0 to 65535
	return least + least*jitter/paceJitter>>16, nil
}

// high is the 95th percentile.
func (p *pace) high() time.Duration {
	p.mu.Lock()
	n := min(p.n, paceSamples)
	all := slices.Clone(p.recent[:n])
	p.mu.Unlock()
	if n == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(n*95+99)/100-1]
}

func newPace(floor time.Duration, random io.Reader) *pace {
	if floor == 0 {
		floor = defaultLoginFloor
	}
	return &pace{floor: floor, random: random}
}

// wait sleeps for a time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
