package idp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ssobridge/store"
)

const (
	// unknownPerMinute is how many failed logins of names that nobody has get an audit event of their own, of one replica.
	// Whoever guesses names makes any number of them; the rest is one event a minute, with how many there were.
	unknownPerMinute = 60
	unknownBlocks    = 1000 // address blocks that are counted apart in a minute
	unknownNamed     = 20   // of those, that the event names: the busiest

	// ReasonUnknownLogins stands in the event that counts the rest.
	ReasonUnknownLogins = "unknown_logins"
)

// unknownLogins counts failed logins of names that nobody has.
type unknownLogins struct {
	mu     sync.Mutex
	minute time.Time
	single int // that got an event of their own
	rest   int
	since  time.Time // of the rest
	blocks map[string]int
}

// one tells whether this one gets an event of its own. If not, it is counted.
func (u *unknownLogins) one(now time.Time, address string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(u.minute) {
		u.minute, u.single = minute, 0
	}
	if u.single < unknownPerMinute {
		u.single++
		return true
	}
	if u.rest == 0 {
		u.since, u.blocks = now, map[string]int{}
	}
	u.rest++
	if block := addressBlock(address); len(u.blocks) < unknownBlocks || u.blocks[block] > 0 {
		u.blocks[block]++
	}
	return false
}

// take returns the event that counts the rest, and forgets it. ok is false where there is none.
func (u *unknownLogins) take(now time.Time) (e store.Event, rest unknownRest, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	rest = unknownRest{u.rest, u.since, u.blocks}
	if u.rest == 0 {
		return e, rest, false
	}
	u.rest, u.blocks = 0, nil
	return rest.event(now), rest, true
}

// back puts counts back that could not be stored.
func (u *unknownLogins) back(r unknownRest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.rest == 0 {
		u.blocks = map[string]int{}
	}
	u.rest, u.since = u.rest+r.count, r.since
	for block, n := range r.blocks {
		if len(u.blocks) < unknownBlocks || u.blocks[block] > 0 {
			u.blocks[block] += n
		}
	}
}

type unknownRest struct {
	count  int
	since  time.Time
	blocks map[string]int
}

func (r unknownRest) event(now time.Time) store.Event {
	busiest := slices.SortedFunc(maps.Keys(r.blocks), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.blocks[b], r.blocks[a]), cmp.Compare(a, b))
	})
	from := map[string]int{}
	for _, block := range busiest[:min(len(busiest), unknownNamed)] {
		from[block] = r.blocks[block]
	}
	detail := store.DetailOf(map[string]any{
		"count": r.count, "since": r.since.UTC().Format(time.RFC3339), "addresses": len(r.blocks), "busiest": from,
	})
	return store.Event{At: now, Action: "login", Outcome: "refused", Reason: ReasonUnknownLogins, Detail: detail}
}

// unknownLogin records a failed login of a name that nobody has. Past the bound it is only counted.
func (p *IdP) unknownLogin(ctx context.Context, event store.Event) {
	if !p.unknown.one(p.o.Now(), event.Address) {
		return
	}
	p.later(ctx, "record a login", func(ctx context.Context) error { return p.o.Audit.Add(ctx, event) })
}

// ReportStrangers stores and logs what was only counted of requests by nobody known. It is to be called once a minute,
// and a last time at the end: until then the counts are in this process alone.
func (p *IdP) ReportStrangers(ctx context.Context) error {
	event, rest, ok := p.unknown.take(p.o.Now())
	if !ok {
		return nil
	}
	if err := p.o.Audit.Add(ctx, event); err != nil {
		p.unknown.back(rest)
		return errors.Join(fmt.Errorf("record %d failed logins of names that nobody has", rest.count), err)
	}
	return nil
}
