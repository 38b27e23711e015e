package provisioning

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"ssobridge/store"
)

const (
	// settleLimit bounds storing an outcome. It is part of the time that Run may take to stop.
	settleLimit = 3 * time.Second
	// leaseMargin is how much longer work is another's than a call and its settling may take.
	leaseMargin = 5 * time.Second
	// shortestIdle keeps the worker from spinning while the database's clock is behind ours.
	shortestIdle = 20 * time.Millisecond
)

// Run is the worker: it claims due rows and then items of the plan that is being applied, calls Constant Contact within
// the budget, and stores outcomes. Beside that it refreshes the list of client accounts, makes plans that were started,
// watches the directory, and reads accounts again that webhooks have named. Several may run over one store, in one
// process or in many. It returns nil when ctx has ended and running calls are settled; after Drain, calls that still
// run are cut short and stored as of unknown outcome.
func (s *Service) Run(ctx context.Context) error {
	// Two ends after ctx's: calls are cut short first, so that there is time left to store what is known of them.
	calls, cutCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer cutCalls()
	settling, cutSettling := context.WithCancel(context.WithoutCancel(ctx))
	defer cutSettling()

	var background sync.WaitGroup
	background.Go(func() { s.keepAccounts(ctx) })
	background.Go(func() { s.keepGroupNames(ctx) })
	background.Go(func() { s.keepWatch(ctx) })
	background.Go(func() { s.makeStarted(ctx) })
	background.Go(func() { s.keepHints(ctx) })
	background.Go(func() { s.keepClock(ctx) })

	w := s.newWorker(calls, settling)
	for w.next(ctx) {
	}

	finished := make(chan struct{})
	go func() {
		w.running.Wait()
		close(finished)
	}()
	cut := time.AfterFunc(max(s.drain-settleLimit, s.drain/2), cutCalls)
	defer cut.Stop()
	give := time.AfterFunc(s.drain, cutSettling)
	defer give.Stop()
	<-finished
	background.Wait()
	return nil
}

// worker is one Run.
type worker struct {
	s               *Service
	calls, settling context.Context // of calls, and of storing what became of them

	running sync.WaitGroup
	slots   chan struct{} // one for each call at the same time
	behind  chan struct{} // one for each of them that nobody waits for
	health  health

	// Of the loop alone.
	probeAfter, finishAfter time.Time

	itemsAfter atomic.Int64 // when plan items may be taken again, in ns since 1970
}

func (s *Service) newWorker(calls, settling context.Context) *worker {
	// A quarter of the calls, and at least one, is for people who wait: background work that stands in line for its turn
	// never keeps all slots, or a sign-in would wait for a slot first and for its turn then.
	behind := max(1, s.workers-max(1, s.workers/4))
	return &worker{s: s, calls: calls, settling: settling, slots: make(chan struct{}, s.workers),
		behind: make(chan struct{}, behind)}
}

// job is one call to be made.
type job struct {
	row        store.SSOUser  // claimed; or
	item       store.PlanItem // claimed, to be looked at again: Plan is not 0 then
	background bool           // nobody waits for it
	probe      bool           // the breaker is open and this call finds out
	epoch      int            // of health, when it was taken
}

// next waits for a free slot and for something to do, and starts it. It returns false once ctx has ended.
func (w *worker) next(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case w.slots <- struct{}{}:
	}
	for ctx.Err() == nil {
		j, wait, err := w.take(ctx)
		if err != nil && ctx.Err() == nil {
			w.s.log.Error("the next SSO user to create could not be looked for, trying again", "error", err)
		}
		if err == nil && wait == 0 {
			w.start(j)
			return true
		}
		w.idle(ctx, wait)
	}
	<-w.slots
	return false
}

// start makes the call in a goroutine of its own. The slot is taken.
func (w *worker) start(j job) {
	if j.background {
		w.behind <- struct{}{} // the loop alone fills it, and has seen that there is room
	}
	w.running.Go(func() {
		defer func() {
			if j.background {
				<-w.behind
				w.s.poke() // the loop may wait for it
			}
			<-w.slots
		}()
		if j.item.Plan != 0 {
			row, ok := w.begin(j.item)
			if !ok {
				return
			}
			j.row = row
		}
		w.attempt(j)
	})
}

// take claims the next piece of work: rows by class, then items of the plan. With nothing to do, wait is how long to
// idle.
func (w *worker) take(ctx context.Context) (j job, wait time.Duration, err error) {
	s := w.s
	j.epoch = w.health.now() // before the breaker is asked: what opens it later is not missed
	open, err := s.capacity(ctx)
	if err != nil {
		return j, s.poll, err
	}
	upTo := store.SignInPriority
	if open.background() && len(w.behind) < cap(w.behind) {
		upTo = store.PlanPriority
	}
	items := upTo == store.PlanPriority && open.plan.ID != 0 && s.now().UnixNano() >= w.itemsAfter.Load()
	if open.breaker.Cause != "" {
		if wait, err = w.askBreaker(ctx, open, upTo, items); err != nil || wait > 0 {
			return j, wait, err
		}
		j.probe = true
	}
	j.row, err = s.ledger.Claim(ctx, s.lease, upTo)
	if err == nil {
		j.background = j.row.Priority > store.SignInPriority
		return j, 0, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return j, s.poll, err
	}
	if items {
		j.item, err = w.takeItem(ctx, open.plan)
		if err == nil {
			j.background = true
			return j, 0, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return j, s.poll, err
		}
	}
	return j, s.untilDue(ctx, upTo), nil
}

// untilDue is how long no row of these classes is due, at most Poll. It is never 0.
func (s *Service) untilDue(ctx context.Context, upTo store.Priority) time.Duration {
	wait := s.poll
	if due, err := s.ledger.NextDue(ctx, upTo); err == nil {
		wait = min(wait, due.Sub(s.now()))
	}
	return max(wait, shortestIdle)
}

// idle waits, at most Poll, until something may be due.
func (w *worker) idle(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(min(max(wait, shortestIdle), w.s.poll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.s.wake:
	case <-timer.C:
	}
}

// keepGroupNames stores the present DNs of mapped groups that were renamed.
func (s *Service) keepGroupNames(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.renamed:
			limited, cancel := context.WithTimeout(ctx, settleLimit)
			if err := s.mappings.SetGroupDN(limited, r.mapping, r.dn); err != nil && !errors.Is(err, store.ErrNotFound) &&
				ctx.Err() == nil {
				s.log.Warn("new DN of a renamed group could not be stored", "mapping", r.mapping, "error", err)
			}
			cancel()
		}
	}
}
