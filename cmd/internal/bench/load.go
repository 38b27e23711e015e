package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// step is one thing to do again and again, on a connection of its own.
type step func() error

// loop runs steps one after the other on each of several workers for a while, after a
// warm-up that does not count. It returns how many ended a second and in all. around
// is called when counting begins and when it ends.
func loop(ctx context.Context, workers int, warm, count time.Duration, worker func(i int) (step, error),
	around func() error) (rate float64, n int64, err error) {
	steps := make([]step, workers)
	for i := range steps {
		if steps[i], err = worker(i); err != nil {
			return 0, 0, err
		}
	}
	var (
		counting, stop atomic.Bool
		done           atomic.Int64
		failed         = make(chan error, workers)
		wait           sync.WaitGroup
	)
	for _, s := range steps {
		wait.Go(func() {
			for !stop.Load() {
				if err := s(); err != nil {
					failed <- err
					return
				}
				if counting.Load() {
					done.Add(1)
				}
			}
		})
	}
	err = pause(ctx, warm, failed)
	var took time.Duration
	if err == nil {
		err = around()
		began := time.Now()
		counting.Store(true)
		if err == nil {
			err = pause(ctx, count, failed)
		}
		counting.Store(false)
		took = time.Since(began)
		if err == nil {
			err = around()
		}
	}
	stop.Store(true)
	wait.Wait()
	n = done.Load()
	if err == nil && n == 0 {
		err = fmt.Errorf("nothing was done within %s", count)
	}
	if err != nil {
		return 0, 0, err
	}
	return float64(n) / took.Seconds(), n, nil
}

// pause waits for d, or for a worker that fails.
func pause(ctx context.Context, d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// times are how long steps took, sorted.
type times []time.Duration

// at is a quantile: at(0.99) is what 99 of 100 did not exceed.
func (t times) at(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[min(int(q*float64(len(t))), len(t)-1)]
}

// errUncounted ends a step whose time says nothing.
var errUncounted = errors.New("does not count")

// schedule runs steps at fixed moments, rate a second, whether or not the ones before
// have ended, and returns how long each took. What comes late because every worker
// was still busy counts from the moment at which it should have begun: so a stall
// shows in all whom it would have kept waiting. What comes late because the timer of
// an idle worker did is not the bridge's doing, and counts from when it was sent. The
// first tenth warms up and does not count.
func schedule(ctx context.Context, workers int, rate float64, run time.Duration, worker func(i int) (step,
	error)) (times, error) {
	steps := make([]step, workers)
	for i := range steps {
		var err error
		if steps[i], err = worker(i); err != nil {
			return nil, err
		}
	}
	total := int64(rate * run.Seconds())
	if total < 1 {
		return nil, fmt.Errorf("%.1f a second for %s is not one step", rate, run)
	}
	var (
		next   atomic.Int64
		took   = make([]time.Duration, total)
		failed = make(chan error, workers)
		wait   sync.WaitGroup
		began  = time.Now().Add(10 * time.Millisecond)
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range steps {
		wait.Go(func() {
			for ctx.Err() == nil {
				n := next.Add(1) - 1
				if n >= total {
					return
				}
				from := began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				if early := time.Until(from); early > 0 {
					if pause(ctx, early, nil) != nil {
						return
					}
					from = time.Now()
				}
				switch err := s(); {
				case errors.Is(err, errUncounted):
					continue
				case err != nil:
					failed <- err
					cancel()
					return
				}
				took[n] = time.Since(from)
			}
		})
	}
	wait.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counted := slices.DeleteFunc(times(took[total/10:]), func(d time.Duration) bool { return d == 0 })
	slices.Sort(counted)
	return counted, nil
}

// counter gives 0, 1, 2 and so on to whoever asks.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int { return int(c.n.Add(1) - 1) }
