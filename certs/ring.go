package certs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Ring is all keys of one use with their states, and which service provider is signed for by which. Its methods are the
// rules of a roll-over: they change the Ring, or return an error and leave it as it was. Who stores it sees to it that
// two changes do not cross.
type Ring struct {
	Keys map[string]Member // by id
	// Choices by entityID; the one of "" is for service providers without one of their own. Without that one the newest
	// active key signs.
	Choices map[string]Choice
	Holders []Holder // the service providers that are registered
}

// Member is a key's place in the Ring.
type Member struct {
	State    State
	NotAfter time.Time // of its certificate

	// When it came into each state for the last time; zero: never.
	CreatedAt, PublishedAt, ActiveAt, RetiringAt, RetiredAt time.Time
}

// Holder is a service provider, as far as keys go.
type Holder struct {
	EntityID string
	One      bool // it can hold one of our certificates only
}

// Errors of the rules, to be told apart with errors.Is.
var (
	// ErrNoKey: there is no key of this id.
	ErrNoKey = errors.New("there is no such key")
	// ErrState: the key's state does not allow that.
	ErrState = errors.New("the key's state does not allow that")
	// ErrTime: the key can't be switched to at that time.
	ErrTime = errors.New("that is no time for a switch")
	// ErrNoHolder: there is no service provider of this entityID.
	ErrNoHolder = errors.New("there is no such service provider")
	// ErrUnconfirmed: nobody has said that the service provider holds the new certificate.
	ErrUnconfirmed = errors.New("nobody has confirmed that the new certificate is loaded there")
	// ErrHoldsOne: the service provider holds one certificate, so both sides have to switch at the same time.
	ErrHoldsOne = errors.New("the service provider holds one certificate: agree on a time for the switch")
	// ErrKeyInUse: the key still signs, or is going to.
	ErrKeyInUse = errors.New("the key is in use")
	// ErrNoStepBack: there is no earlier key, or it is retired.
	ErrNoStepBack = errors.New("there is no step back")
)

// maxAhead of a planned switch: further ahead, a date is more likely mistyped.
const maxAhead = 366 * 24 * time.Hour

// clone makes a Ring that can be changed without the first.
func (r *Ring) clone() Ring {
	return Ring{Keys: maps.Clone(r.Keys), Choices: maps.Clone(r.Choices), Holders: r.Holders}
}

// try runs a rule on a copy, which takes the Ring's place if the rule holds.
func (r *Ring) try(rule func(*Ring) error) error {
	c := r.clone()
	if c.Choices == nil {
		c.Choices = map[string]Choice{}
	}
	if err := rule(&c); err != nil {
		return err
	}
	*r = c
	return nil
}

// KeyFor is the id of the key that signs for a service provider at a moment; "": there is none.
func (r *Ring) KeyFor(entityID string, now time.Time) string {
	if c, ok := r.Choices[entityID]; ok {
		return c.At(now)
	}
	if c, ok := r.Choices[""]; ok {
		return c.At(now)
	}
	newest := ""
	for id, m := range r.Keys {
		if m.State == Active && (newest == "" || cmp.Or(m.CreatedAt.Compare(r.Keys[newest].CreatedAt),
			cmp.Compare(newest, id)) > 0) {
			newest = id
		}
	}
	return newest
}

// UsedBy lists who is signed for by a key at a moment, or will be by a planned switch: entityIDs in order, "" for
// service providers without a choice of their own.
func (r *Ring) UsedBy(id string, now time.Time) []string {
	var all []string
	for _, e := range append([]string{""}, r.entities()...) {
		if r.KeyFor(e, now) == id || r.Choices[e].Next == id {
			all = append(all, e)
		}
	}
	return all
}

func (r *Ring) entities() []string {
	all := slices.Collect(maps.Keys(r.Choices))
	for _, h := range r.Holders {
		all = append(all, h.EntityID)
	}
	all = slices.DeleteFunc(all, func(e string) bool { return e == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// Publish puts a key into our metadata.
func (r *Ring) Publish(id string, now time.Time) error {
	return r.try(func(r *Ring) error {
		m, ok := r.Keys[id]
		switch {
		case !ok:
			return fmt.Errorf("publish key %s: %w", id, ErrNoKey)
		case m.State != Next:
			return fmt.Errorf("publish key %s: it is %s: %w", id, m.State, ErrState)
		}
		m.State, m.PublishedAt = Published, now
		r.Keys[id] = m
		return nil
	})
}

// Retire takes a key out of our metadata for good. One that signs, or is going to, stays.
func (r *Ring) Retire(id string, now time.Time) error {
	return r.try(func(r *Ring) error {
		r.settle(now)
		m, ok := r.Keys[id]
		switch {
		case !ok:
			return fmt.Errorf("retire key %s: %w", id, ErrNoKey)
		case m.State == Retired:
			return fmt.Errorf("retire key %s: it is retired already: %w", id, ErrState)
		}
		if used := r.UsedBy(id, now); len(used) > 0 {
			if used[0] == "" {
				used[0] = "service providers without a choice of their own"
			}
			return fmt.Errorf("retire key %s: %w by %s", id, ErrKeyInUse, strings.Join(used, ", "))
		}
		m.State, m.RetiredAt = Retired, now
		r.Keys[id] = m
		for e, c := range r.Choices {
			if c.Previous == id {
				c.Previous = ""
				r.Choices[e] = c
			}
		}
		return nil
	})
}

// Replace makes a key of a use without service providers the active one, such as the key that signs our metadata.
func (r *Ring) Replace(id string, now time.Time) error {
	return r.try(func(r *Ring) error {
		m, ok := r.Keys[id]
		switch {
		case !ok:
			return fmt.Errorf("promote key %s: %w", id, ErrNoKey)
		case m.State == Retired || m.State == Active:
			return fmt.Errorf("promote key %s: it is %s: %w", id, m.State, ErrState)
		}
		for other, o := range r.Keys {
			if o.State == Active {
				o.State, o.RetiringAt = Retiring, now
				r.Keys[other] = o
			}
		}
		m.State, m.ActiveAt = Active, now
		r.Keys[id] = m
		return nil
	})
}

// Settle writes down the planned switches whose time has come and returns their entityIDs. Nothing hangs on when that
// happens: KeyFor goes by the clock.
func (r *Ring) Settle(now time.Time) (switched []string) {
	// settle can't fail.
	_ = r.try(func(r *Ring) error { switched = r.settle(now); return nil })
	return switched
}

func (r *Ring) settle(now time.Time) (switched []string) {
	for e, c := range r.Choices {
		if c.Next == "" || now.Before(c.SwitchAt) {
			continue
		}
		// SwitchAt and Window stay: sign-ins go on waiting until the window is over.
		c.Previous, c.Key, c.Next = c.Key, c.Next, ""
		c.UpdatedAt = now
		r.Choices[e] = c
		switched = append(switched, e)
	}
	slices.Sort(switched)
	if len(switched) > 0 {
		r.follow(now)
	}
	r.restate(now)
	return switched
}

// follow moves the key of service providers without a choice of their own to the one that all others use, so that
// whoever is registered next begins with it.
func (r *Ring) follow(now time.Time) {
	to := ""
	for i, h := range r.Holders {
		c := r.Choices[h.EntityID]
		if c.Next != "" || c.Key == "" || i > 0 && c.Key != to {
			return
		}
		to = c.Key
	}
	if standard, ok := r.Choices[""]; ok && to != "" && standard.Key != to && standard.Next == "" {
		r.Choices[""] = Choice{Key: to, Previous: standard.Key, UpdatedAt: now}
	}
}

// restate gives each key in our metadata the state that its use gives it.
func (r *Ring) restate(now time.Time) {
	if len(r.Choices) == 0 {
		return
	}
	used := map[string]bool{r.KeyFor("", now): true}
	for _, c := range r.Choices {
		used[c.At(now)] = true
	}
	for id, m := range r.Keys {
		switch {
		case !m.State.Public():
			continue
		case used[id] && m.State != Active:
			m.State, m.ActiveAt = Active, now
		case !used[id] && m.State == Active:
			m.State, m.RetiringAt = Retiring, now
		}
		r.Keys[id] = m
	}
}
