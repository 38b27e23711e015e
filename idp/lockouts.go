package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// maxLockouts bounds a list of lockouts.
const maxLockouts = 200

// Lockout is a limit of tries that is reached.
type Lockout struct {
	Kind    store.TryKind  `json:"kind"` // person (passwords), code (second factors) or address
	Person  store.PersonID `json:"person_id,omitempty"`
	Login   string         `json:"login,omitempty"`   // as the directory has it; "" where it does not answer
	Address string         `json:"address,omitempty"` // the block of addresses
	Tries   int            `json:"tries"`
	Limit   int            `json:"limit"`
	// Everybody tells that browsers which the person used before are locked out too. Until then they have tries that are
	// reserved for them. An address locks nobody out: its tries go one at a time.
	Everybody bool      `json:"everybody"`
	Browser   bool      `json:"own_browser,omitempty"` // second factors in one browser that has a limit of its own
	Until     time.Time `json:"until"`
}

// Lockouts lists the limits that are reached now, at most 200.
func (p *IdP) Lockouts(ctx context.Context) ([]Lockout, error) {
	counters, err := p.o.Throttle.Locked(ctx, p.limit(false), p.o.LoginFailures, addressFailures, maxLockouts)
	if err != nil {
		return nil, err
	}
	list := p.reached(counters)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	logins := map[store.PersonID]string{}
	for i, l := range list {
		if l.Person == "" || ctx.Err() != nil {
			continue
		}
		if _, asked := logins[l.Person]; !asked {
			// For the eye alone: who is gone, or a directory that is down, leaves it empty.
			e, _ := p.o.Directory.Read(ctx, string(l.Person))
			logins[l.Person] = e.Login
		}
		list[i].Login = logins[l.Person]
	}
	return list, nil
}

// LockedOut counts the people of Lockouts. The directory is not asked how they are called: this is read every few
// seconds, most of all while many are locked out.
func (p *IdP) LockedOut(ctx context.Context) (int, error) {
	counters, err := p.o.Throttle.Locked(ctx, p.limit(false), p.o.LoginFailures, addressFailures, maxLockouts)
	if err != nil {
		return 0, err
	}
	people := map[store.PersonID]bool{}
	for _, l := range p.reached(counters) {
		if l.Person != "" {
			people[l.Person] = true
		}
	}
	return len(people), nil
}

// LockoutsOf lists the limits of one person that are reached now.
func (p *IdP) LockoutsOf(ctx context.Context, person store.PersonID) ([]Lockout, error) {
	counters, err := p.o.Throttle.CountersOf(ctx, string(person))
	if err != nil {
		return nil, err
	}
	return p.reached(counters), nil
}

// reached are the counters at their limit.
func (p *IdP) reached(counters []store.Counter) (list []Lockout) {
	for _, c := range counters {
		l := Lockout{Kind: c.Kind, Tries: c.Taken, Limit: p.o.LoginFailures, Until: c.EndsAt}
		least := l.Limit
		switch c.Kind {
		case store.TryPerson:
			l.Person, l.Everybody, least = store.PersonID(c.Subject), c.Taken >= l.Limit, p.limit(false)
		case store.TryCode:
			l.Person, l.Browser = store.PersonID(c.Subject), len(c.Browser) > 0
		case store.TryAddress:
			l.Address, l.Limit = c.Subject, blockLimit(c.Subject)
			least = l.Limit
		}
		if c.Taken >= least {
			list = append(list, l)
		}
	}
	return list
}

// blockLimit is the limit of a block by its name.
func blockLimit(name string) int {
	_, bits, _ := strings.Cut(name, "/")
	switch n, _ := strconv.Atoi(bits); n {
	case 56:
		return 4 * addressFailures
	case 48:
		return 16 * addressFailures
	}
	return addressFailures
}

// DirectoryLockout is what the directory says of a person's wrong passwords; ok is false where it can't be read.
func (p *IdP) DirectoryLockout(ctx context.Context, person store.PersonID) (l directory.Lockout, ok bool) {
	if p.o.Lockout == nil {
		return l, false
	}
	l, err := p.o.Lockout(ctx, string(person))
	return l, err == nil
}

// ErrNotLocked says that there is no lockout to lift.
var ErrNotLocked = errors.New("no tries are counted")

// Lifted is what lifting a lockout came to.
type Lifted struct {
	Given int `json:"given_back"` // tries
	// Left is how many tries of the person's password there are now. It is less than Limit where the directory counts
	// wrong passwords itself: past what it leaves, the next one would lock the account there.
	Left      int                `json:"left"`
	Limit     int                `json:"limit"`
	Directory *directory.Lockout `json:"directory,omitempty"` // nil: it could not be read
}

// LiftPerson gives a person back as many tries as the directory still leaves, and those of second factors. Who and
// where stand in the event.
func (p *IdP) LiftPerson(ctx context.Context, person store.PersonID, event store.Event) (Lifted, error) {
	l := Lifted{Left: p.o.LoginFailures, Limit: p.o.LoginFailures}
	if p.o.Lockout != nil {
		there, err := p.o.Lockout(ctx, string(person))
		var failed *directory.Error
		switch {
		case err == nil:
			l.Directory, l.Left = &there, there.Left(l.Limit)
		case errors.Is(err, directory.ErrNotFound):
			// Nobody has this id any more: there is no account to lock.
		case errors.As(err, &failed) && failed.Problem == directory.Unavailable:
			// Given back unseen, they could lock the account there.
			return Lifted{}, fmt.Errorf("read the lockout of %s from the directory: %w", person, err)
		}
	}
	return p.lift(ctx, l, string(person), event)
}

// LiftAddress forgets the failures of an address with all its blocks, or of one block.
func (p *IdP) LiftAddress(ctx context.Context, address string, event store.Event) (Lifted, error) {
	blocks := addressBlocks(address)
	if prefix, err := netip.ParsePrefix(address); err == nil {
		blocks = []store.Block{{Name: prefix.Masked().String()}}
	}
	l, given := Lifted{}, 0
	for _, b := range blocks {
		one, err := p.lift(ctx, Lifted{}, b.Name, event)
		if err != nil && !errors.Is(err, ErrNotLocked) {
			return l, err
		}
		given += one.Given
	}
	if l.Given = given; given == 0 {
		return l, ErrNotLocked
	}
	return l, nil
}

func (p *IdP) lift(ctx context.Context, l Lifted, subject string, event store.Event) (Lifted, error) {
	event.Action, event.Subject, event.Outcome = "lockout-lift", subject, "ok"
	given, err := p.o.Throttle.Lift(ctx, subject, l.Limit-l.Left, func(given int) store.Event {
		event.Detail, _ = json.Marshal(map[string]int{"given_back": given, "left": l.Left}) // numbers always encode
		return event
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return l, ErrNotLocked
	case err != nil:
		return l, err
	}
	l.Given = given
	return l, nil
}
