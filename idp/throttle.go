package idp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"ssobridge/store"
)

// The limits of tries to log in (rows LDAP-10, ID-08, ID-13).
const (
	// reservedTries are the last ones of a person's LoginFailures. Only browsers that the person used before get them, so
	// that strangers can't shut anybody out. All together stay below the directory's own threshold, which LoginFailures
	// must.
	reservedTries = 2

	addressWindow = time.Hour
	// judged failures of an IPv4 address, or of a /64, within the window; past it, its tries go one at a time
	addressFailures = 300

	// What is written down after an answer: so many at once, each within a time.
	laterSlots = 64
	laterTime  = 15 * time.Second
)

// attempt is one try to log in, as the limits see it.
type attempt struct {
	person string // whose tries are counted
	id     string // their immutable id, "" where the entry shows none
	known  bool   // the browser was used by this person before
	blocks []store.Block
	slow   bool // the address is past its limit
	done   func()
}

// verdict is what the limits say to an attempt.
type tryVerdict int

const (
	tryTaken tryVerdict = iota
	trySpent            // the person's tries are used up
	tryBusy             // too many wait their turn at this address
)

// limit is how many tries of the person there may be with this one.
func (p *IdP) limit(known bool) int {
	if known {
		return p.o.LoginFailures
	}
	return max(1, p.o.LoginFailures-reservedTries)
}

// line waits for a turn where the address is past its limit. Unknown logins wait as known ones do, so that the time
// tells nothing; only those who are known from this browser go before them.
func (p *IdP) line(ctx context.Context, a *attempt, counters []store.Counter) (tryVerdict, error) {
	widest := ""
	for _, b := range a.blocks { // from narrow to wide
		for _, c := range counters {
			if c.Kind == store.TryAddress && c.Subject == b.Name && c.Taken >= b.Limit {
				widest = b.Name
			}
		}
	}
	if widest == "" {
		return tryTaken, nil
	}
	return p.turn(ctx, a, widest, counters)
}

// turn waits for one at this block.
func (p *IdP) turn(ctx context.Context, a *attempt, block string, counters []store.Counter) (tryVerdict, error) {
	class := turnFirst
	for _, c := range counters {
		if c.Kind == store.TryPerson && c.Taken > 0 {
			class = turnOthers
		}
	}
	if a.known && class == turnFirst {
		class = turnKnown
	}
	done, err := p.turns.take(ctx, block, class)
	switch {
	case errors.Is(err, errNoTurn):
		return tryBusy, nil
	case err != nil:
		return 0, fmt.Errorf("wait for a turn to log in: %w", err)
	}
	a.slow, a.done = true, done
	return tryTaken, nil
}

// take takes one try of the person and of the address before the password is judged. A try past the limit waits for
// those in flight: somebody's tabs that come together all get in with the right password.
func (p *IdP) take(ctx context.Context, a *attempt, counters []store.Counter) (tryVerdict, error) {
	for _, c := range counters {
		// Without a write, so that a flood against one person costs little.
		if c.Kind == store.TryPerson && c.Taken >= p.limit(a.known) && c.InFlight == 0 {
			return trySpent, nil
		}
	}
	if verdict, err := p.line(ctx, a, counters); verdict != tryTaken || err != nil {
		return verdict, err
	}
	waiting, leave := false, func() {}
	defer func() { leave() }()
	var patience context.Context
	for pause := flightLeast; ; pause = min(2*pause, flightMost) {
		outcome, at, err := p.o.Throttle.Take(ctx, store.TakeTry{
			Person: a.person, Limit: p.limit(a.known), Window: p.o.LoginWindow,
			Blocks: a.blocks, BlockWindow: addressWindow, Turn: a.slow, Pace: turnPace,
		})
		if err != nil {
			return 0, fmt.Errorf("take a try: %w", err)
		}
		switch outcome {
		case store.TryTaken:
			return tryTaken, nil
		case store.TrySpent:
			return trySpent, nil
		case store.TrySlow:
			if a.slow { // another replica had the last turn
				if err := wait(ctx, max(at.Sub(p.o.Now()), flightLeast)); err != nil {
					return 0, fmt.Errorf("wait for a turn to log in: %w", err)
				}
				continue
			}
			verdict, err := p.turn(ctx, a, a.blocks[len(a.blocks)-1].Name, counters)
			if verdict != tryTaken || err != nil {
				return verdict, err
			}
		case store.TryWait:
			if !waiting {
				if leave, waiting = p.flights.join(a.person); !waiting {
					leave = func() {}
					return trySpent, nil
				}
				var stop func()
				patience, stop = context.WithTimeout(ctx, flightPatience)
				defer stop()
			}
			if err := p.flights.next(patience, a.person, pause); err != nil {
				if ctx.Err() != nil {
					return 0, fmt.Errorf("wait for other tries: %w", err)
				}
				return trySpent, nil
			}
		}
	}
}

// settled is the end of a taken try.
func (a attempt) settled(r store.TryResult) store.EndedTry {
	return store.EndedTry{Person: a.person, Blocks: a.blocks, Result: r}
}

// settle ends a taken try and records the events, behind the answer.
func (p *IdP) settle(ctx context.Context, a attempt, r store.TryResult, events ...store.Event) {
	if a.person == "" && len(events) == 0 {
		return
	}
	p.later(ctx, "record a login", func(ctx context.Context) error {
		defer p.flights.end(a.person)
		return p.o.Throttle.Settle(ctx, a.settled(r), events...)
	})
}

// later writes something down that no answer may wait for: how long a write takes would tell which kind it is. Past the
// bound the caller waits after all, whichever kind it is. Drain waits for what is left.
func (p *IdP) later(ctx context.Context, what string, write func(context.Context) error) {
	ctx = context.WithoutCancel(ctx)
	p.laterSlots <- struct{}{}
	p.laterWrites.Go(func() {
		defer func() { <-p.laterSlots }()
		ctx, cancel := context.WithTimeout(ctx, laterTime)
		defer cancel()
		if err := write(ctx); err != nil {
			p.o.Logger.LogAttrs(ctx, slog.LevelError, "a write after an answer failed", slog.String("what", what),
				slog.Any("error", err))
		}
	})
}

// Drain waits until everything is written down that answers did not wait for. Call it when no more requests come,
// before the store is closed.
func (p *IdP) Drain() { p.laterWrites.Wait() }

// evenOut waits until the drawn time of a login that is refused.
func (p *IdP) evenOut(ctx context.Context, began time.Time) error {
	after, err := p.pace.draw()
	if err != nil {
		return err
	}
	if err := wait(ctx, after-p.o.Now().Sub(began)); err != nil {
		return fmt.Errorf("wait before an answer: %w", err)
	}
	return nil
}

// tooMany answers an attempt past the person's limit. A browser that the person used before is told so. Any other gets
// the answer to a wrong password, at the same drawn time: tries for a login that nobody has are never used up, so a
// refusal would tell that this one exists. The text of that answer says that signing in is blocked after several wrong
// tries.
func (p *IdP) tooMany(ctx context.Context, f *flow, form AskPassword, a attempt, began time.Time) (Answer, error) {
	if t := traceOf(ctx); t != nil {
		t.step(StepDirectory, t.begin(), ReasonTooManyAttempts, "no try is left")
		t.guessed(store.PersonID(a.id))
	}
	// Logged and not audited: the failures that led here are, and each further try would add a row for nothing.
	p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: ReasonTooManyAttempts,
		Cause: fmt.Sprintf("%d logins of this person failed within %s, and no more are tried from a browser that they %s",
			p.limit(a.known), p.o.LoginWindow, map[bool]string{true: "used before", false: "never used"}[a.known])})
	if a.known {
		return Answer{Page: Refusal{
			SignIn: f.at(), Provider: f.sp.name(), Reason: ReasonTooManyAttempts, Status: http.StatusTooManyRequests,
			CanCancel: f.fromSP(), Retry: true, Wait: p.o.LoginWindow,
		}}, nil
	}
	return p.wrongPassword(ctx, f, form, began)
}

// wrongPassword is the one answer to a wrong password, an unknown login and whatever must not be told from them.
func (p *IdP) wrongPassword(ctx context.Context, f *flow, form AskPassword, began time.Time) (Answer, error) {
	FootprintOf(ctx).Alike()
	answer, err := p.askPassword(ctx, f, form)
	if err != nil {
		return Answer{}, err
	}
	if err := p.evenOut(ctx, began); err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// busy answers where too many wait at an address, whether the login exists or not.
func (p *IdP) busy(ctx context.Context, f *flow) Answer {
	FootprintOf(ctx).Alike()
	p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: ReasonManyFromAddress, About: addressBlock(f.v.Address),
		Cause: fmt.Sprintf("%d logins from this network address failed within an hour, so its logins go one at a time, and "+
			"too many wait for their turn", addressFailures)})
	return Answer{Page: Refusal{
		SignIn: f.at(), Provider: f.sp.name(), Reason: ReasonManyFromAddress, Status: http.StatusServiceUnavailable,
		CanCancel: f.fromSP(), Retry: true,
	}}
}

// AddressBlock is what tries from an address are counted by: itself, and in IPv6 the /64 that it is in. "": there is no
// address.
func AddressBlock(address string) string { return addressBlock(address) }

// addressBlock is the narrowest of these.
func addressBlock(address string) string {
	if blocks := addressBlocks(address); len(blocks) > 0 {
		return blocks[0].Name
	}
	return ""
}

// addressBlocks are what a client address counts for: itself, and in IPv6 the /64 that it is in, and with more room the
// /56 and the /48. One customer has at least a /64 and often as much as a /48 (RFC 6177), so a limit for a single
// address would limit nobody.
func addressBlocks(address string) []store.Block {
	a, err := netip.ParseAddr(address)
	switch {
	case address == "":
		return nil
	case err != nil:
		return []store.Block{{Name: address, Limit: addressFailures}}
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return []store.Block{{Name: a.String(), Limit: addressFailures}}
	}
	var blocks []store.Block
	for _, size := range []struct{ bits, times int }{{64, 1}, {56, 4}, {48, 16}} {
		if block, err := a.Prefix(size.bits); err == nil {
			blocks = append(blocks, store.Block{Name: block.String(), Limit: addressFailures * size.times})
		}
	}
	return blocks
}
