package certs

import (
	"fmt"
	"slices"
	"time"
)

// Promotion asks that a key sign for one service provider, or for all.
type Promotion struct {
	Key      string
	EntityID string    // "": all that are registered, and whoever is registered later
	At       time.Time // the agreed time of the switch; zero: now
	By       string    // who has said that the certificate is loaded there; "": nobody
	Force    bool      // an emergency: nobody is asked, and nobody has loaded it
}

// Promote does it. To sign for a service provider that does not hold the new certificate would lock its people out, so
// it takes a confirmation, or for one that holds a single certificate an agreed time, or force. left are the service
// providers that a promotion for all has passed over because they hold one certificate: they keep their key.
func (r *Ring) Promote(p Promotion, now time.Time) (left []string, err error) {
	err = r.try(func(r *Ring) error {
		r.settle(now)
		left, err = r.promote(p, now)
		return err
	})
	return left, err
}

func (r *Ring) promote(p Promotion, now time.Time) (left []string, err error) {
	m, ok := r.Keys[p.Key]
	switch {
	case !ok:
		return nil, fmt.Errorf("promote key %s: %w", p.Key, ErrNoKey)
	case m.State == Retired:
		return nil, fmt.Errorf("promote key %s: it is retired: %w", p.Key, ErrState)
	case m.State == Next && !p.Force:
		return nil, fmt.Errorf("promote key %s: it is not published yet, so no service provider can know it: %w",
			p.Key, ErrState)
	case !m.NotAfter.IsZero() && !m.NotAfter.After(later(now, p.At)) && !p.Force:
		return nil, fmt.Errorf("promote key %s: its certificate ends before: %w", p.Key, ErrTime)
	case !p.At.IsZero() && (!p.At.After(now) || p.At.After(now.Add(maxAhead))):
		return nil, fmt.Errorf("promote key %s at %s: want one from now on, within a year: %w", p.Key,
			p.At.UTC().Format(time.RFC3339), ErrTime)
	case p.At.IsZero() && p.By == "" && !p.Force:
		return nil, fmt.Errorf("promote key %s: %w", p.Key, ErrUnconfirmed)
	}
	if m.State == Next {
		m.State, m.PublishedAt = Published, now
		r.Keys[p.Key] = m
	}
	if _, ok := r.Choices[""]; !ok {
		// From here on the others' key is written down, so that the new one, which becomes active too, does not take its
		// place.
		standard := r.KeyFor("", now)
		if standard == "" {
			standard = p.Key
		}
		r.Choices[""] = Choice{Key: standard, UpdatedAt: now}
	}
	if p.EntityID == "" {
		left = r.promoteForAll(p, now)
	} else if err := r.promoteForOne(p, now); err != nil {
		return nil, err
	}
	r.follow(now)
	r.restate(now)
	return left, nil
}

func (r *Ring) promoteForOne(p Promotion, now time.Time) error {
	i := slices.IndexFunc(r.Holders, func(h Holder) bool { return h.EntityID == p.EntityID })
	if i < 0 {
		return fmt.Errorf("promote key %s for %.200q: %w", p.Key, p.EntityID, ErrNoHolder)
	}
	one := r.Holders[i].One
	switch {
	case one && p.At.IsZero() && !p.Force:
		return fmt.Errorf("promote key %s for %s: %w", p.Key, p.EntityID, ErrHoldsOne)
	case r.KeyFor(p.EntityID, now) == p.Key && r.Choices[p.EntityID].Next == "":
		return fmt.Errorf("promote key %s for %s: it signs there already: %w", p.Key, p.EntityID, ErrState)
	}
	r.choose(p.EntityID, p, one, now)
	return nil
}

func (r *Ring) promoteForAll(p Promotion, now time.Time) (left []string) {
	for _, h := range r.Holders {
		current := r.Choices[h.EntityID]
		switch {
		case r.KeyFor(h.EntityID, now) == p.Key && current.Next == "":
		case h.One && p.At.IsZero() && !p.Force:
			if current.Key == "" { // the key of all others changes; this one's stays
				r.Choices[h.EntityID] = Choice{Key: r.KeyFor(h.EntityID, now), UpdatedAt: now}
			}
			left = append(left, h.EntityID)
		default:
			r.choose(h.EntityID, p, h.One, now)
		}
	}
	if r.KeyFor("", now) != p.Key || r.Choices[""].Next != "" {
		r.choose("", p, false, now)
	}
	return left
}

// choose writes a choice down, in place of a switch that was planned.
func (r *Ring) choose(entityID string, p Promotion, one bool, now time.Time) {
	old := r.Choices[entityID]
	current := r.KeyFor(entityID, now)
	c := Choice{Key: p.Key, Previous: current, ConfirmedBy: p.By, Forced: p.Force, UpdatedAt: now}
	if p.By != "" {
		c.ConfirmedAt = now
	}
	switch {
	case !p.At.IsZero():
		c.Key, c.Previous, c.Next, c.SwitchAt = current, old.Previous, p.Key, p.At
		// Who is known to hold both certificates accepts either at each moment, and nobody need wait.
		c.Window = entityID != "" && (one || p.By == "")
	case current == p.Key: // only its planned switch to another one is taken back
		c.Previous = old.Previous
	}
	r.Choices[entityID] = c
}

// Rollback takes the last step at one service provider back, at once: it withdraws a switch that is planned, or goes
// back to the key before. For "" it does so wherever there is a step back. It returns the key that then signs, for one
// service provider.
func (r *Ring) Rollback(entityID string, now time.Time) (to string, err error) {
	err = r.try(func(r *Ring) error {
		r.settle(now)
		if entityID != "" {
			if err := r.back(entityID, now); err != nil {
				return err
			}
		} else {
			var last error
			done := false
			for _, e := range append([]string{""}, r.entities()...) {
				if err := r.back(e, now); err != nil {
					last = err
				} else {
					done = true
				}
			}
			if !done {
				return last
			}
		}
		to = r.Choices[entityID].Key
		r.follow(now)
		r.restate(now)
		return nil
	})
	return to, err
}

func (r *Ring) back(entityID string, now time.Time) error {
	c, ok := r.Choices[entityID]
	switch {
	case ok && c.Next != "":
		r.Choices[entityID] = Choice{Key: c.Key, Previous: c.Previous, UpdatedAt: now}
		return nil
	case !ok || c.Previous == "":
		return fmt.Errorf("roll back %s: %w", entityID, ErrNoStepBack)
	case !r.Keys[c.Previous].State.Public():
		return fmt.Errorf("roll back %s: key %s is %s: %w", entityID, c.Previous, r.Keys[c.Previous].State, ErrNoStepBack)
	}
	r.Choices[entityID] = Choice{Key: c.Previous, UpdatedAt: now}
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
