package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// vouching makes and checks the MACs of audit events. Without a secret key they carry none, and none is demanded:
// events grant nothing.
type vouching struct{ by Voucher }

func (v vouching) on() bool { return v.by != nil }

const (
	eventPurpose = "audit event"
	// nonceSize is the length of the random number in an event's MAC. It makes the MACs of two equal events differ, so
	// that a row that somebody copied is told from a second event.
	nonceSize = 16
)

// event is what stands in a new event's column mac. vouched is the event by encodeVouched.
func (v vouching) event(vouched []byte) []byte {
	if !v.on() {
		return []byte{}
	}
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // it never fails
	return append(nonce, v.by.MAC(eventPurpose, nonce, vouched)...)
}

var errNoMAC = errors.New("it carries no MAC")

// holds tells whether a writer of ours vouched for the event.
func (v vouching) holds(e storedEvent) error {
	if len(e.mac) < nonceSize {
		return errNoMAC
	}
	return v.by.CheckMAC(e.mac[nonceSize:], eventPurpose, e.mac[:nonceSize], encodeVouched(e.Event))
}

// encodeVouched writes all of an event but its number, which it gets when it is stored.
func encodeVouched(e Event) []byte {
	b := make([]byte, 0, 512+len(e.Detail))                    // room for most
	b = binary.BigEndian.AppendUint64(b, uint64(micros(e.At))) //nolint:gosec // G115: the bits count, not the sign
	return appendContent(appendField(b, e.Action), e, nil)
}

// storedEvent is an event with its MAC.
type storedEvent struct {
	Event
	mac []byte
}

const storedColumns = eventColumns + `, mac`

func scanStored(row scanner) (e storedEvent, err error) {
	e.Event, err = scanEvent(rowAnd{row, []any{&e.mac}})
	return e, err
}

// rowAnd reads more columns than its reader knows of.
type rowAnd struct {
	scanner
	more []any
}

func (r rowAnd) Scan(dest ...any) error { return r.scanner.Scan(append(dest, r.more...)...) }

// vouchedFrom is the counter that holds the number of the first event that was vouched for. One behind it that is not
// vouched for is foreign, or of a program of the version before.
const vouchedFrom = "audit_vouched_from"

// vouchLook looks at events that come into the chain.
type vouchLook struct {
	macs   vouching
	from   int64 // 0: none was vouched for yet
	first  int64 // the first one that was vouched for, where these events have it: to be stored as from
	older  func() (bool, error)
	before int
}

func (a *Audit) newVouchLook(ctx context.Context, q querier) (*vouchLook, error) {
	l := &vouchLook{macs: vouching{a.db.voucher}}
	if !l.macs.on() {
		return l, nil
	}
	l.older = sync.OnceValues(func() (bool, error) { return a.db.versionBeforeLately(ctx) })
	err := q.QueryRowContext(ctx, `SELECT value FROM counters WHERE name = $1`, vouchedFrom).Scan(&l.from)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return l, err
}

// at says why an event is foreign; "" for one of ours.
func (l *vouchLook) at(e waitingEvent) (why string, err error) {
	if !l.macs.on() {
		return "", nil
	}
	switch err := l.macs.holds(e.storedEvent); {
	case errors.Is(err, errNoMAC) && (l.from == 0 || e.ID < l.from):
		l.before++ // written before the first program that vouches for events
		return "", nil
	case errors.Is(err, errNoMAC):
		older, err := l.older()
		if err != nil || !older {
			return "it carries no MAC", err
		}
		l.before++
		return "", nil
	case err != nil:
		return "its MAC does not hold", nil
	}
	if e.copied {
		return "it is a copy of another one", nil
	}
	if l.from == 0 {
		l.from, l.first = e.ID, e.ID
	}
	return "", nil
}

// versionBeforeFor is how long after a program of the version before was last seen its events may still come into the
// chain.
const versionBeforeFor = time.Minute

// versionBeforeLately tells whether a program of the version before is running, or was a moment ago: what it wrote last
// waits to be chained. A process that has just started does not know what was a moment ago, and takes it that there was
// one.
func (db *DB) versionBeforeLately(ctx context.Context) (bool, error) {
	if db.engine.file() {
		return false, nil // none runs beside this one, and the events that one left are older than the first of ours
	}
	there, err := db.engine.older(ctx)
	if err != nil {
		return false, err
	}
	db.before.mu.Lock()
	defer db.before.mu.Unlock()
	if there {
		db.before.seen = db.now()
	}
	return db.now().Sub(db.before.seen) < versionBeforeFor, nil
}

// beforeSeen is when a program of the version before was last seen, or may have been: when the store was opened.
type beforeSeen struct {
	mu   sync.Mutex
	seen time.Time
}

// originKey is the key of an Origin in a context.
type originKey struct{}

// Origin says from where a change is made.
type Origin struct {
	Ref, Address string
}

// WithOrigin has the audit events that are written with this context name where they come from, as far as they don't
// say so themselves. It is set in one place for all acts of the console, so that no act can forget it.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf is what WithOrigin gave, for work that goes on when the request that began it has ended.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// from fills in the origin.
func (e Event) from(ctx context.Context) Event {
	o := OriginOf(ctx)
	if e.Ref == "" {
		e.Ref = o.Ref
	}
	if e.Address == "" {
		e.Address = o.Address
	}
	return e
}
