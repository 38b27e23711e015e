package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxOwnEvents bounds what is remembered of one's own events: those of ten seconds, also at 3,000 a second.
const maxOwnEvents = 30_000

// eventWriting is the key under which a transaction's context has its eventWriter.
type eventWriting struct{}

// eventWriter is what the events of one transaction are written with.
type eventWriter struct {
	own  *[]ownEvent // those that it wrote
	macs vouching
	made string // the id of what the transaction makes, for the claim of a request with a key; "": nothing new
}

func eventWriterOf(ctx context.Context) (*eventWriter, error) {
	w, ok := ctx.Value(eventWriting{}).(*eventWriter)
	if !ok {
		return nil, errors.New("an audit event outside of a transaction of the store")
	}
	return w, nil
}

// ownEvent is an event that this process wrote. It has few bytes: thousands of them are remembered.
type ownEvent struct {
	id     int64
	at     int64 // microseconds
	action string
	sum    [sha256.Size]byte // over encodeVouched
}

// is tells whether this is the event as it was written.
func (o ownEvent) is(e Event) bool { return sha256.Sum256(encodeVouched(e)) == o.sum }

func (o ownEvent) changed(gone bool) ChangedEvent {
	return ChangedEvent{o.id, o.action, fromMicros(o.at), gone}
}

// ownEventsWritten remembers the events that this process has written until they stand in the
// chain. The chain is built from the database: who changes an event there before that would be
// believed, but for this memory.
type ownEventsWritten struct {
	mu  sync.Mutex
	all []ownEvent // the newest maxOwnEvents of them count
}

func (o *ownEventsWritten) add(events []ownEvent) {
	if len(events) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	// The old ones go many at a time: each sign-in comes here, and none must pay for all that were before it.
	if o.all = append(o.all, events...); len(o.all) >= 2*maxOwnEvents {
		o.all = o.all[:copy(o.all, o.newest())]
	}
}

func (o *ownEventsWritten) newest() []ownEvent { return o.all[max(0, len(o.all)-maxOwnEvents):] }

func (o *ownEventsWritten) take() []ownEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.newest()
	o.all = nil
	return all
}

// ChangedEvent is an event that is not in the database as this process wrote it.
type ChangedEvent struct {
	ID     int64
	Action string
	At     time.Time
	Gone   bool // it is not there at all
}

// OwnChanged holds the events that this process has written since it was last asked against the
// database and the chain, and returns those that somebody changed or removed. Those that are not in
// the chain yet are looked at again the next time. In a context of Gently it rests after each piece. To be called every
// few seconds: memory holds no more than the newest 30,000.
func (a *Audit) OwnChanged(ctx context.Context) (changed []ChangedEvent, err error) {
	own := a.db.own.take()
	for len(own) > 0 {
		began := time.Now()
		some := own[:min(len(own), chainPiece)]
		own = own[len(some):]
		wait, bad, err := a.compareOwn(ctx, some)
		if err != nil {
			a.db.own.add(append(some, own...))
			return changed, a.db.explain("compare events with those that were written", err)
		}
		a.db.own.add(wait)
		changed = append(changed, bad...)
		rest(ctx, began)
	}
	return changed, nil
}

func (a *Audit) compareOwn(ctx context.Context, own []ownEvent) (wait []ownEvent, changed []ChangedEvent, err error) {
	from, to := own[0].id, own[0].id
	for _, e := range own {
		from, to = min(from, e.id), max(to, e.id)
	}
	stored, err := collect(ctx, a.db.engine.reader(), scanEvent, `
		SELECT `+eventColumns+` FROM audit_events WHERE id BETWEEN $1 AND $2`, from, to)
	if err != nil {
		return nil, nil, err
	}
	links, err := collect(ctx, a.db.engine.reader(), scanChained, `
		SELECT `+chainColumns+` FROM audit_chain WHERE event BETWEEN $1 AND $2`, from, to)
	if err != nil {
		return nil, nil, err
	}
	events, chain := map[int64]Event{}, map[int64]chained{}
	for _, e := range stored {
		events[e.ID] = e
	}
	for _, l := range links {
		chain[l.Event] = l
	}
	for _, e := range own {
		now, there := events[e.id]
		link, linked := chain[e.id]
		switch {
		case !there:
			changed = append(changed, e.changed(true))
		case !e.is(now), linked && !ours(link, now):
			changed = append(changed, e.changed(false))
		case !linked:
			wait = append(wait, e)
		}
	}
	return wait, changed, nil
}

func ours(l chained, e Event) bool {
	as, _ := l.tells(e, l.salt) // chained as foreign, it is not as it was written
	return as
}

func (c ChangedEvent) String() string {
	what := "was changed"
	if c.Gone {
		what = "was removed"
	}
	return fmt.Sprintf("event %d (%s of %s) %s", c.ID, c.Action, c.At.UTC().Format(time.RFC3339), what)
}
