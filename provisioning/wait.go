package provisioning

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ssobridge/store"
)

// userID names a row of the ledger.
type userID struct {
	person  store.PersonID
	account store.AccountID
}

// waiters lets requests of this process know at once when this process's worker has settled their row. It is a shortcut
// only: who waits also polls the store, since any replica's worker may settle it.
type waiters struct {
	mu   sync.Mutex
	open map[userID]*waiter
}

type waiter struct {
	changed chan struct{}
	callers int
}

func (w *waiters) join(id userID) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.open[id]
	if one == nil {
		one = &waiter{changed: make(chan struct{})}
		w.open[id] = one
	}
	one.callers++
	return one
}

func (w *waiters) leave(id userID, one *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one.callers--; one.callers == 0 && w.open[id] == one {
		delete(w.open, id)
	}
}

func (w *waiters) notify(id userID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.open[id]; one != nil {
		close(one.changed)
		delete(w.open, id)
	}
}

// await waits until the row's outcome is known or patience has passed, and returns the row as it then stands.
func (s *Service) await(ctx context.Context, row store.SSOUser, patience time.Duration) (store.SSOUser, error) {
	if !row.NextAttempt.After(s.now()) {
		s.poke()
	}
	if patience <= 0 {
		return row, nil
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	look := time.NewTicker(s.pollState)
	defer look.Stop()
	id := userID{row.Person, row.Account}
	for {
		// Joined before the look: what is settled between the two is not missed.
		one := s.waiters.join(id)
		now, err := s.ledger.Get(ctx, row.Person, row.Account)
		if err != nil {
			s.waiters.leave(id, one)
			return row, fmt.Errorf("wait for SSO user in account %s: %w", row.Account, err)
		}
		if row = now; !waits(row) {
			s.waiters.leave(id, one)
			return row, nil
		}
		done := false
		select {
		case <-ctx.Done():
			err = fmt.Errorf("wait for SSO user in account %s: %w", row.Account, context.Cause(ctx))
			done = true
		case <-end.C:
			done = true
		case <-one.changed:
		case <-look.C:
		}
		s.waiters.leave(id, one)
		if done {
			return row, err
		}
	}
}

// poke wakes the worker of this process, if one runs.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it is woken already
	}
}
