package store

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// restFactor is how much longer than a piece of work the rest after it is: the work has a fifth of one processor.
	restFactor = 4
	// restMost is the longest rest: a piece that waited long, as for the disk, has used no processor meanwhile.
	restMost = 50 * time.Millisecond
)

type restingKey struct{}

// resting is what is left of the time that work may rest.
type resting struct{ left atomic.Int64 }

// Gently is for work in the background that comes many at a time, such as chaining the audit events of the last ten
// seconds. Done in one go, it takes a processor and the writer from the sign-ins of that moment. In the context that is
// returned it rests after each piece instead, atMost this long in all: past that it goes on without a rest, so that it
// keeps up with whatever there is to do.
func Gently(ctx context.Context, atMost time.Duration) context.Context {
	r := &resting{}
	r.left.Store(int64(atMost))
	return context.WithValue(ctx, restingKey{}, r)
}

// rest waits after a piece of work that began at a moment, where the context is one of Gently, and says how long. The
// end of the context ends it.
func rest(ctx context.Context, began time.Time) time.Duration {
	r, ok := ctx.Value(restingKey{}).(*resting)
	if !ok {
		return 0
	}
	d := min(restFactor*time.Since(began), restMost) // monotonic: how long this took, and no rule about time
	if r.left.Add(-int64(d)) < 0 {
		return 0
	}
	from := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return time.Since(from)
}
