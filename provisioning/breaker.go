package provisioning

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/store"
)

// Why the breaker is open: the fixed words of store.BreakerState.Cause.
const (
	breakerOutage      = "outage"
	breakerCredentials = "credentials"
)

const (
	// So many calls in a row, for so many people, fail before it is an outage. A few people whose data make Constant
	// Contact fail are not: others succeed between them, and after that their failures say nothing any more.
	outageFailures = 5
	outagePeople   = 3
	// After so many failures another one says more about the row's data than about Constant Contact.
	dataFailures = 8
	maxSuspects  = 10_000
)

// health counts what calls of this process say of Constant Contact.
type health struct {
	mu sync.Mutex
	// epoch counts how often the breaker was opened or closed. Calls that were under way then say nothing of what is now,
	// and ten of them that fail together must not open it ten times.
	epoch    int
	failures int                     // in a row
	people   map[store.PersonID]bool // whose they were
	suspects map[store.PersonID]bool // failed while others succeeded
}

// finding is what one call says of Constant Contact.
type finding int

const (
	saysNothing finding = iota
	works
	fails      // an answer of 5xx, or none to a call that was sent
	outOfReach // nothing was sent
	refusesUs
)

// find reads what a call's outcome says. cut: its time was over, or this process stops.
func find(err error, cut bool) finding {
	if err == nil {
		return works
	}
	var e *partnerapi.Error
	if !errors.As(err, &e) {
		return saysNothing
	}
	switch e.Kind {
	case partnerapi.Unauthorized:
		return refusesUs
	case partnerapi.Unknown:
		if !cut {
			return fails
		}
	case partnerapi.NotSent:
		if !cut && unreached(e) {
			return outOfReach
		}
	default:
		if e.Status != 0 { // refused by them and not by our own check or count
			return works
		}
	}
	return saysNothing
}

// unreached tells a call that did not reach Constant Contact, or got no token there, from one that failed on our side.
func unreached(e *partnerapi.Error) bool {
	if _, network := errors.AsType[*url.Error](e.Err); network {
		return true
	}
	_, token := errors.AsType[*partnerapi.Error](e.Err)
	return token
}

// now is the present epoch.
func (h *health) now() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch
}

// note takes a call's finding. trip: the breaker is to be opened; closes: to be closed, if it is open; itsOwn: the
// failure is the row's own.
func (h *health) note(j job, f finding) (trip, closes, itsOwn bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if j.epoch != h.epoch || f == saysNothing {
		return false, false, false
	}
	switch f {
	case works:
		// Who failed before this success is not a victim of an outage.
		if len(h.suspects) > maxSuspects {
			clear(h.suspects)
		}
		if h.suspects == nil {
			h.suspects = map[store.PersonID]bool{}
		}
		for p := range h.people {
			h.suspects[p] = true
		}
		delete(h.suspects, j.row.Person)
		h.failures, h.people = 0, nil
		return false, true, false
	case refusesUs:
		trip = true
	case fails, outOfReach:
		// The number of failures makes up for what a process that was started again does not remember. A call that finds out
		// is taken at its word: before the breaker opens, rows may have many.
		if f == fails && (h.suspects[j.row.Person] || !j.probe && j.row.Failures >= dataFailures) {
			return false, false, true
		}
		h.failures++
		if h.people == nil {
			h.people = map[store.PersonID]bool{}
		}
		h.people[j.row.Person] = true
		trip = j.probe || h.failures >= outageFailures && len(h.people) >= outagePeople
	}
	if trip {
		h.turn()
	}
	return trip, false, false
}

// turn begins a new epoch; h.mu is held.
func (h *health) turn() {
	h.epoch++
	h.failures, h.people = 0, nil
}

// askBreaker asks an open breaker for the one call that finds out. wait 0: it may be made. Nothing is asked where
// nothing is to be done, since an answer that is not used would keep others from finding out.
func (w *worker) askBreaker(ctx context.Context, open capacity, upTo store.Priority,
	items bool) (wait time.Duration, err error) {
	now := w.s.now()
	if wait = max(w.probeAfter.Sub(now), open.breaker.Until.Sub(now)); wait > 0 {
		return wait, nil
	}
	due, err := w.s.ledger.NextDue(ctx, upTo)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return w.s.poll, err
	case err != nil || due.After(now):
		if !items {
			return w.s.poll, nil
		}
	}
	ok, wait, err := w.s.breaker.Allow(ctx, w.s.lease)
	if err != nil {
		return w.s.poll, err
	}
	if ok {
		return 0, nil
	}
	// It is asked once a second, and not each time that somebody comes and wakes the worker.
	wait = min(max(wait, shortestIdle), capacityAge)
	w.probeAfter = now.Add(wait)
	return wait, nil
}

// report tells the breaker what a call found, and returns whether calls fail for everybody at present.
func (w *worker) report(ctx context.Context, j job, f finding) (outage bool) {
	trip, closes, itsOwn := w.health.note(j, f)
	known, err := w.s.capacity(ctx)
	if err != nil {
		w.s.log.Warn("state of the breaker could not be read", "error", err)
	}
	isOpen := known.breaker.Cause != "" || j.probe
	switch {
	case trip:
		w.trip(ctx, f)
		return true
	case closes && isOpen:
		if err := w.s.breaker.Close(ctx, w.breakerEvent("breaker-close", "ok", "")); err != nil {
			w.s.log.Error("breaker could not be closed, the next call that succeeds tries again", "error", err)
			break
		}
		w.s.log.Info("Constant Contact works again, calls go on")
		w.health.mu.Lock()
		w.health.turn()
		w.health.mu.Unlock()
		w.s.forgetCapacity()
		w.s.poke()
		return false
	}
	return isOpen && !itsOwn
}

// trip opens the breaker for all replicas.
func (w *worker) trip(ctx context.Context, f finding) {
	cause := breakerOutage
	if f == refusesUs {
		cause = breakerCredentials
	}
	defer w.s.forgetCapacity()
	if err := w.s.breaker.Trip(ctx, cause, w.breakerEvent("breaker-open", "failed", cause)); err != nil {
		w.s.log.Error("breaker could not be opened", "cause", cause, "error", err)
		return
	}
	w.s.log.Error("calls to Constant Contact are stopped, one at a time finds out whether they work again", "cause", cause)
}

func (w *worker) breakerEvent(action, outcome, reason string) store.Event {
	return store.Event{At: w.s.now(), Actor: "worker", Action: action, Outcome: outcome, Reason: reason}
}
