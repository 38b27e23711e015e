package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// change applies a rule to the keys of one use, those of the key id, in one
// transaction. id "" means the signing keys.
func (k Keys) change(ctx context.Context, id string, rule func(*certs.Ring, time.Time) ([]store.Event, error)) error {
	var refused error // by the rule: it has said itself what was being done
	err := k.Store.Keys().Change(ctx, func(stored *store.KeyRing) ([]store.Event, error) {
		use := Signing
		if i := slices.IndexFunc(stored.Keys, func(s store.SigningKey) bool { return s.ID == id }); i >= 0 {
			use = stored.Keys[i].Use
		}
		ring := ringOf(stored, use)
		var events []store.Event
		if events, refused = rule(&ring, k.Now().UTC()); refused != nil {
			return nil, refused
		}
		writeBack(ring, stored, use)
		return events, nil
	})
	if refused != nil {
		return refused
	}
	return err // wrapped there
}

// ringOf is the keys of one use as the rules see them.
func ringOf(stored *store.KeyRing, use string) certs.Ring {
	r := certs.Ring{Keys: map[string]certs.Member{}, Choices: map[string]certs.Choice{}}
	for _, k := range stored.Keys {
		if k.Use != use {
			continue
		}
		m := certs.Member{State: certs.State(k.State), CreatedAt: k.CreatedAt, PublishedAt: k.PublishedAt,
			ActiveAt: k.ActiveAt, RetiringAt: k.RetiringAt, RetiredAt: k.RetiredAt}
		if cert, err := certs.ParseHolder(k.Certificate); err == nil {
			m.NotAfter = cert.NotAfter
		}
		r.Keys[k.ID] = m
	}
	if use != Signing {
		return r
	}
	for entityID, c := range stored.Choices {
		r.Choices[entityID] = certs.Choice{
			Key: c.Key, Previous: c.Previous, Next: c.Next, SwitchAt: c.SwitchAt, Window: c.Window,
			ConfirmedBy: c.ConfirmedBy, ConfirmedAt: c.ConfirmedAt, Forced: c.Forced, UpdatedAt: c.UpdatedAt,
		}
	}
	for _, sp := range stored.Providers {
		r.Holders = append(r.Holders, certs.Holder{EntityID: sp.EntityID, One: sp.HoldsCertificates == "one"})
	}
	return r
}

func writeBack(r certs.Ring, stored *store.KeyRing, use string) {
	for i := range stored.Keys {
		k := &stored.Keys[i]
		m, ok := r.Keys[k.ID]
		if !ok {
			continue
		}
		k.State, k.PublishedAt, k.ActiveAt, k.RetiringAt, k.RetiredAt = string(m.State), m.PublishedAt, m.ActiveAt,
			m.RetiringAt, m.RetiredAt
		if m.State == certs.Retired {
			k.Private = nil // what is not there can't be stolen
		}
	}
	if use != Signing {
		return
	}
	stored.Choices = map[string]store.KeyChoice{}
	for entityID, c := range r.Choices {
		stored.Choices[entityID] = store.KeyChoice{
			EntityID: entityID, Key: c.Key, Previous: c.Previous, Next: c.Next, SwitchAt: c.SwitchAt, Window: c.Window,
			ConfirmedBy: c.ConfirmedBy, ConfirmedAt: c.ConfirmedAt, Forced: c.Forced, UpdatedAt: c.UpdatedAt,
		}
	}
}

// keyStatus is the stored keys, and the rules' view of those that sign.
type keyStatus struct {
	keys      []store.SigningKey // the oldest first
	providers []store.ServiceProvider
	ring      certs.Ring
	now       time.Time
}

// status reads how the keys stand. It changes nothing.
func (k Keys) status(ctx context.Context) (keyStatus, error) {
	s := keyStatus{now: k.Now().UTC()}
	var err error
	if s.keys, err = k.Store.Keys().List(ctx); err != nil {
		return s, fmt.Errorf("list the keys: %w", err)
	}
	choices, err := k.Store.Keys().Choices(ctx)
	if err != nil {
		return s, fmt.Errorf("read which key signs for whom: %w", err)
	}
	if s.providers, err = k.Store.ServiceProviders().List(ctx); err != nil {
		return s, fmt.Errorf("list service providers: %w", err)
	}
	stored := &store.KeyRing{Keys: s.keys, Choices: map[string]store.KeyChoice{}, Providers: s.providers}
	for _, c := range choices {
		stored.Choices[c.EntityID] = c
	}
	s.ring = ringOf(stored, Signing)
	s.ring.Settle(s.now)
	// The states that the clock has brought about, whether they are written down yet or not.
	for i, one := range s.keys {
		if m, ok := s.ring.Keys[one.ID]; ok {
			s.keys[i].State = string(m.State)
		}
	}
	return s, nil
}
