package provisioning

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ssobridge/store"
)

// capacityAge is how old what is known of the capacity may be. Each process reads it once in this time, however many
// people wait.
const capacityAge = time.Second

// capacity is which work may be done at present.
type capacity struct {
	at      time.Time
	breaker store.BreakerState
	budget  store.BudgetStatus
	plan    store.Plan // that is being applied, unless creations are held; ID 0: none
}

// background tells whether there are calls left for work that nobody waits for. They are none from the moment at which
// Constant Contact says that the day is used up, until 00:00 UTC.
func (l capacity) background() bool {
	return !l.budget.Exhausted && l.budget.Used < l.budget.Background
}

// knownCapacity is the last reading.
type knownCapacity struct {
	mu   sync.Mutex
	last capacity
}

// capacity reads what may be done, or returns what was read less than a second ago.
func (s *Service) capacity(ctx context.Context) (capacity, error) {
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	now := s.now()
	if age := now.Sub(s.known.last.at); age >= 0 && age < capacityAge {
		return s.known.last, nil
	}
	read, err := s.readCapacity(ctx)
	if err != nil {
		return capacity{}, fmt.Errorf("look which calls may be made: %w", err)
	}
	read.at = now
	s.known.last = read
	return read, nil
}

func (s *Service) readCapacity(ctx context.Context) (l capacity, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit) // others wait for this reading
	defer cancel()
	if l.breaker, err = s.breaker.State(ctx); err != nil {
		return l, err
	}
	if l.budget, err = s.budget.Status(ctx); err != nil {
		return l, err
	}
	plan, err := s.plans.Applying(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	hold, err := s.ledger.ProvisioningPause(ctx)
	if err == nil && hold.Since.IsZero() {
		l.plan = plan
	}
	return l, err
}

// forgetCapacity makes the next look read them again: something has changed.
func (s *Service) forgetCapacity() {
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	s.known.last = capacity{}
}
