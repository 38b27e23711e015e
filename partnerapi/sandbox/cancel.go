package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// pastAllowed is how far in the past an effective_date may be, which is a guess: clocks differ.
const pastAllowed = time.Minute

// cancellation is the body of PUT …/status/cancel and its answer.
type cancellation struct {
	ReasonID      *int    `json:"reason_id,omitempty"`
	EffectiveDate *string `json:"effective_date,omitempty"`
}

// cancel is PUT …/status/cancel. Without a date it is at once. One that lies ahead can be moved; what is cancelled
// stays so.
func (s *Sandbox) cancel(c apiCall) reply {
	var in cancellation
	f := faultList{}
	if len(c.body) > 0 {
		f = readBody(c.body, &in)
	}
	now := s.o.Now()
	at := now
	if len(f.list) == 0 {
		if in.ReasonID != nil && !slices.Contains(cancelReasons, *in.ReasonID) {
			f.add("reason_id", fmt.Sprintf("must be one of %v", cancelReasons))
		}
		if in.EffectiveDate != nil {
			date, err := time.Parse(time.RFC3339, *in.EffectiveDate)
			switch {
			case err != nil:
				f.add("effective_date", "is no date and time by RFC 3339")
			case date.Before(now.Add(-pastAllowed)):
				f.add("effective_date", "has passed")
			default:
				at = date
			}
		}
	}
	if len(f.list) > 0 {
		return s.refuse(http.StatusBadRequest, f.list...)
	}
	s.mu.Lock()
	a, faults, status := s.active(c.account)
	if a != nil {
		a.EndsAt, a.CancelReason = at, 0
		if in.ReasonID != nil {
			a.CancelReason = *in.ReasonID
		}
		s.ripen()
	}
	s.mu.Unlock()
	if a == nil {
		return s.refuse(status, faults...)
	}
	text := at.UTC().Format(time.RFC3339)
	in.EffectiveDate = &text
	return jsonReply(http.StatusOK, in, "cancelled "+c.account+" at "+text)
}

// ripen makes happen what the clock has brought about: accounts that were accepted for later, cancellations whose date
// has come. It is called before anything is looked at, and once more by a timer for those who wait for a webhook. s.mu
// is held.
func (s *Sandbox) ripen() {
	now := s.o.Now()
	s.openLater(now)
	for i := range s.people.accounts {
		a := &s.people.accounts[i]
		if a.EndsAt.IsZero() || a.BillingStatus == statusCanceled {
			continue
		}
		if wait := a.EndsAt.Sub(now); wait > 0 {
			s.wakeIn(wait)
			continue
		}
		a.BillingStatus = statusCanceled
		s.announce(topicCancelled, a.ID)
	}
}

// wakeIn sees to it that somebody looks again when the real clock has gone on by d. s.mu is held.
func (s *Sandbox) wakeIn(d time.Duration) {
	at := time.Now().Add(d)
	if s.wake != nil && s.wakeAt.After(time.Now()) && !at.Before(s.wakeAt) {
		return
	}
	if s.wake != nil {
		s.wake.Stop()
	}
	s.wakeAt = at
	s.wake = time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-s.closing:
		default:
			s.ripen()
		}
	})
}
