package store

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	traceQueue = 4096
	traceBatch = 25 // in one transaction, which takes half a millisecond: sign-ins wait for it
	traceEvery = 250 * time.Millisecond
	traceRest  = traceEvery / 2 // between the batches of one look, see Gently
)

// TraceQueue stores traces a moment later and many at once, so that no sign-in waits for its own. It is bounded: what
// does not fit is left out and counted. How much strangers and refusals may leave is for the caller to bound, before it
// adds anything.
type TraceQueue struct {
	traces *Traces
	wait   chan Trace
	lost   atomic.Int64
}

// Queue returns a queue in front of these traces. It does nothing by itself: see Run.
func (t *Traces) Queue() *TraceQueue {
	return &TraceQueue{traces: t, wait: make(chan Trace, traceQueue)}
}

// Add takes a trace, or leaves it out and says so. It never waits.
func (q *TraceQueue) Add(t Trace) bool {
	select {
	case q.wait <- t:
		return true
	default:
		q.lost.Add(1)
		return false
	}
}

// Flush stores what waits now. What can't be stored is lost.
func (q *TraceQueue) Flush(ctx context.Context) error {
	var errs []error
	for n := len(q.wait); n > 0; {
		began := time.Now()
		batch := make([]Trace, 0, min(n, traceBatch))
		for len(batch) < cap(batch) {
			select {
			case t := <-q.wait:
				batch = append(batch, t)
				continue
			default: // another Flush took the rest
			}
			n = len(batch)
			break
		}
		n -= len(batch)
		if err := q.traces.Add(ctx, batch...); err != nil {
			q.lost.Add(int64(len(batch)))
			errs = append(errs, err)
		}
		if n > 0 {
			rest(ctx, began)
		}
	}
	return errors.Join(errs...)
}

// Run stores what waits four times a second until ctx ends, and a last time then;
// whoever still serves requests at that time calls Flush after them. It tells
// the log how many traces were lost.
func (q *TraceQueue) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(traceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		look := context.WithoutCancel(ctx)
		if ctx.Err() == nil {
			look = Gently(look, traceRest)
		}
		err := q.Flush(look)
		if n := q.lost.Swap(0); n > 0 {
			log.Warn("sign-in traces were left out", "count", n, "cause", err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}
