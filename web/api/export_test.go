package api

import (
	"context"
	"time"

	"ssobridge/web/admin"
)

// Slots are the slots of requests, for the test of their bounds.
type Slots struct{ s *slots }

// What the slots bound.
const (
	MaxBusy, MaxOfToken, MaxQueued = maxBusy, maxOfToken, maxQueued
	MaxWaitingOfToken, MaxWaiting  = maxWaitingOfToken, maxWaiting
)

// NewSlots makes some.
func NewSlots() Slots { return Slots{newSlots()} }

// Take takes one.
func (s Slots) Take(ctx context.Context, token string) (func(), error) { return s.s.take(ctx, token) }

// Wait takes a place among those that wait.
func (s Slots) Wait(token string) (func(), bool) { return s.s.wait(token) }

// Tokens is how many tokens are remembered.
func (s Slots) Tokens() int {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	return len(s.s.tokens)
}

// Queued is how many requests of a token are worked on or wait for that.
func (s Slots) Queued(token string) int {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if t := s.s.tokens[token]; t != nil {
		return t.queued
	}
	return 0
}

// Tries are the tries at the token endpoint, for the test of their bounds.
type Tries struct{ t *tries }

// What the tries bound.
const (
	TriesPerMinute, MaxTriers = triesPerMinute, maxTriers
)

// NewTries makes some.
func NewTries() Tries { return Tries{&tries{blocks: map[string]*bucket{}}} }

// Take takes one of a block of addresses.
func (t Tries) Take(block string, at time.Time) (after int) { return t.t.take(block, at) }

// GiveBack gives one back that was taken at a time.
func (t Tries) GiveBack(block string, at time.Time) { t.t.giveBack(block, at) }

// Blocks is how many blocks are counted.
func (t Tries) Blocks() int { return len(t.t.blocks) }

// ImportFaults is how a file of users is refused, by the fields of its faults, and how many lines a dry run shows.
func ImportFaults(a admin.Adoption) (fields []string, shown int) {
	p := invalid(importFaults(a))
	if p.Field != "" {
		fields = append(fields, p.Field)
	}
	for _, f := range p.Faults {
		fields = append(fields, f.Field)
	}
	return fields, len(importItems(a))
}
