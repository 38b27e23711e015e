package provisioning

import (
	"context"
	"time"
)

const (
	// clockBack is how far the clock may go back within a look without having been put right.
	clockBack = 2 * time.Second
	// clockAhead is how far it may go ahead without being worth a word. A machine that slept looks the same.
	clockAhead = time.Minute
)

// keepClock sees when the clock is put right after it ran ahead, and makes due what was reckoned from the wrong time:
// without it, everybody would wait for as long as it was ahead. At the start it looks as well, since it may have been
// put right by a restart of the machine.
func (s *Service) keepClock(ctx context.Context) {
	tick := time.NewTicker(s.poll)
	defer tick.Stop()
	s.putRight(ctx, 0, false)
	leases := time.NewTimer(s.lease + s.lease/3)
	defer leases.Stop()
	last := s.now()
	var jumped time.Time // what the store last told
	for {
		select {
		case <-ctx.Done():
			return
		case <-leases.C:
			s.putRight(ctx, 0, true)
			continue
		case <-tick.C:
		}
		now := s.now()
		// What the clock says, beside the time that has passed.
		by := now.Round(0).Sub(last.Round(0)) - now.Sub(last)
		last = now
		known, err := s.capacity(ctx)
		if err != nil {
			continue // the worker's own look says so
		}
		seen := known.budget.JumpedBy > 0 && !known.budget.JumpedAt.Equal(jumped) &&
			now.Sub(known.budget.JumpedAt) < time.Minute
		jumped = known.budget.JumpedAt
		switch {
		case by < -clockBack || seen:
			s.log.Warn("the clock was put back, what waited for a later time goes on", "by", max(-by, known.budget.JumpedBy))
			s.putRight(ctx, max(0, -by), false)
			// Living processes renew their leases within a third of one.
			leases.Reset(s.lease + s.lease/3)
		case by > clockAhead:
			s.log.Warn("the clock jumped ahead, or this machine slept", "by", by)
			limited, cancel := context.WithTimeout(ctx, settleLimit)
			if err := s.clock.JumpedAhead(limited, by); err != nil {
				s.log.Warn("jump of the clock could not be noted", "error", err)
			}
			cancel()
		}
	}
}

func (s *Service) putRight(ctx context.Context, back time.Duration, leases bool) {
	limited, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	moved, err := s.clock.PutRight(limited, back, s.lease, leases)
	switch {
	case err != nil && ctx.Err() == nil:
		s.log.Warn("what a wrong clock left for later could not be made due", "error", err)
	case moved > 0:
		s.log.Info("what a wrong clock left for later is due now", "rows", moved)
	}
	s.forgetCapacity()
	s.poke()
}
