package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	chainBatch = 500
	// chainPiece is how many events are checked and hashed in one piece: that keeps one processor busy for a millisecond.
	chainPiece = 100
	// chainWrite is how many entries one transaction adds: sign-ins wait for it, about a millisecond.
	chainWrite = 50
	// chainLookBack is how many events behind the last chained one are looked at again: of two that are written at the
	// same time, the one with the smaller number may be committed later. One that turns up further behind is never
	// chained: no transaction of ours lives so long, and Verify tells of it.
	chainLookBack = 10_000
	// chainLookEvery is how many batches of a round come before the next look back: far fewer events than the look takes
	// in, also where another program chains at the same time.
	chainLookEvery = 5
	saltSize       = 16
)

// Link is an entry of the audit's hash chain. At, Action and Content stay when the event
// is purged, so that an entry without its event still tells whether it was old enough.
type Link struct {
	Seq     int64 // of the chain, from 1
	Event   int64 // id of the event
	At      time.Time
	Action  string
	Content []byte // SHA-256 over a salt and the rest of the event
	Hash    []byte // SHA-256 over the hash before and this entry
}

// Checkpoint says by a signature what the head of the chain was at a moment. Who can write
// the database, but does not have the key, can make none.
type Checkpoint struct {
	Seq       int64     `json:"seq"`
	Hash      []byte    `json:"hash"`
	At        time.Time `json:"at"`
	Signature []byte    `json:"signature"`
}

// Message is what a checkpoint signs.
func (s Checkpoint) Message() []byte {
	m := []byte(checkpointLabel)
	m = binary.BigEndian.AppendUint64(m, uint64(s.Seq))
	m = binary.BigEndian.AppendUint64(m, uint64(micros(s.At)))
	return append(m, s.Hash...)
}

// hash binds an entry to the hash before it.
func (l Link) hash(before []byte) []byte {
	sum := sha256.Sum256(l.encode(before))
	return sum[:]
}

func (l Link) encode(before []byte) []byte {
	b := appendField(nil, string(before))
	b = appendNumber(b, l.Event)
	b = appendNumber(b, micros(l.At))
	b = appendField(b, l.Action)
	return appendField(b, string(l.Content))
}

// tells whether the entry is of this event. foreign: it says itself that nobody of ours vouched for the event.
func (l Link) tells(e Event, salt []byte) (ours, foreign bool) {
	if micros(l.At) != micros(e.At) || l.Action != e.Action {
		return false, false
	}
	return bytes.Equal(l.Content, contentHash(e, salt)), bytes.Equal(l.Content, foreignHash(e, salt))
}

func contentHash(e Event, salt []byte) []byte {
	sum := sha256.Sum256(encodeContent(e, salt))
	return sum[:]
}

// foreignLabel stands before the content of a foreign event. Content has ten fields, each with its length before it,
// and this has eleven: whatever somebody puts into an event or its salt, one is never the other.
const foreignLabel = "ssobridge foreign event 1"

// foreignHash is the content of an entry whose event nobody of ours vouched for. The chain holds such an event fast as
// foreign, and no checkpoint of it can be read as a word for the event.
func foreignHash(e Event, salt []byte) []byte {
	sum := sha256.Sum256(append(appendField(nil, foreignLabel), encodeContent(e, salt)...))
	return sum[:]
}

// encodeContent writes what an entry does not hold of an event in clear. Each field has
// its length before it, so that no two different events come to the same bytes.
func encodeContent(e Event, salt []byte) []byte { return appendContent(nil, e, salt) }

// appendContent appends encodeContent.
func appendContent(b []byte, e Event, salt []byte) []byte {
	b = appendField(b, string(salt))
	for _, text := range [...]string{
		e.Ref, e.Actor, e.Subject, string(e.Account), e.SP, e.Address, e.Outcome, e.Reason, string(e.Detail),
	} {
		b = appendField(b, text)
	}
	return b
}

func appendField(b []byte, text string) []byte {
	return append(appendNumber(b, int64(len(text))), text...)
}

func appendNumber(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // G115: the bits count, not the sign
}

// Chained is what Chain did.
type Chained struct {
	Head    Link           // of the chain; Seq 0: there is none yet
	More    bool           // other events wait
	Foreign []ForeignEvent // those that nobody of ours vouched for
	// Before is how many carry no MAC and were taken all the same, since a program of the version before, which makes
	// none, was running.
	Before int
}

// ForeignEvent is an event that somebody wrote into the database behind our back.
type ForeignEvent struct {
	ID     int64
	At     time.Time
	Action string
	Why    string
}

// Chain adds the next events to the chain that are not in it, in the order of their numbers, and says by More that
// there may be others. In a context of Gently it rests after each piece. Whoever is faster of two replicas chains them;
// the other gets ErrConflict. An event that no writer of ours vouched for is chained as what it is:
// foreign.
func (a *Audit) Chain(ctx context.Context) (c Chained, err error) {
	// Behind a full batch the next one goes on where it ended. All but a few do: in a long round, what is committed late
	// would be further behind than is looked when the round ends, and Verify would take it for an event that somebody
	// wrote into the past.
	back, full := int64(chainLookBack), a.db.chaining.Swap(0)
	if full%chainLookEvery != 0 {
		back = 0
	}
	const what = "chain audit events"
	links, look, err := a.nextLinks(ctx, back, &c)
	if err != nil {
		return c, a.db.explain(what, err)
	}
	head := c.Head
	for some := range slices.Chunk(links, chainWrite) {
		first, began := look.first, time.Now()
		if err = a.db.write(ctx, what, func(ctx context.Context, tx querier) error {
			return addLinks(ctx, tx, head, some, first)
		}); err != nil {
			return c, err
		}
		head, look.first = some[len(some)-1].Link, 0
		c.Head = head
		for _, l := range some {
			if l.foreign != nil {
				c.Foreign = append(c.Foreign, *l.foreign)
			}
		}
		rest(ctx, began)
	}
	c.Before = look.before
	if c.More {
		a.db.chaining.Store(full + 1)
	}
	return c, nil
}

// newLink is an entry that is to be added to the chain.
type newLink struct {
	Link
	salt    []byte
	foreign *ForeignEvent // nil: it is one of ours
}

// nextLinks reads a batch of the events that are not in the chain, back behind the last one that is, and makes their
// entries. It writes nothing, so that no sign-in waits for it: MACs and hashes of a batch take milliseconds.
func (a *Audit) nextLinks(ctx context.Context, back int64, c *Chained) (links []newLink, look *vouchLook, err error) {
	q, began := a.db.engine.reader(), time.Now()
	if c.Head, err = chainHead(ctx, q); err != nil {
		return nil, nil, err
	}
	var highest int64
	if err := q.QueryRowContext(ctx, `SELECT COALESCE(MAX(event), 0) FROM audit_chain`).Scan(&highest); err != nil {
		return nil, nil, err
	}
	var events []waitingEvent
	if err := inSteps(ctx, q, waitingEvents(max(highest-back, 0), &events)); err != nil {
		return nil, nil, err
	}
	c.More = len(events) == chainBatch
	if look, err = a.newVouchLook(ctx, q); err != nil {
		return nil, nil, err
	}
	last := c.Head
	links = make([]newLink, 0, len(events))
	for i, e := range events {
		if i%chainPiece == 0 { // also after the reading
			rest(ctx, began)
			began = time.Now()
		}
		why, err := look.at(e)
		if err != nil {
			return nil, nil, err
		}
		salt := make([]byte, saltSize)
		_, _ = rand.Read(salt) // it never fails
		next := newLink{Link: Link{Seq: last.Seq + 1, Event: e.ID, At: e.At, Action: e.Action,
			Content: contentHash(e.Event, salt)}, salt: salt}
		if why != "" {
			next.Content, next.foreign = foreignHash(e.Event, salt), &ForeignEvent{e.ID, e.At, e.Action, why}
		}
		next.Hash = next.hash(last.Hash)
		last = next.Link
		links = append(links, next)
	}
	rest(ctx, began)
	return links, look, nil
}

// addLinks adds entries behind the head of the chain that they were made for. ErrConflict: somebody else has added some
// meanwhile. vouched is the first event that was vouched for; 0: it is known.
func addLinks(ctx context.Context, tx querier, head Link, links []newLink, vouched int64) error {
	now, err := chainHead(ctx, tx)
	if err != nil {
		return err
	}
	if now.Seq != head.Seq || !bytes.Equal(now.Hash, head.Hash) {
		return ErrConflict
	}
	if vouched > 0 {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO counters (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, vouchedFrom, vouched); err != nil {
			return err
		}
	}
	inserts := make([]step, len(links))
	for i, l := range links {
		foreign := 0
		if l.foreign != nil {
			foreign = 1
		}
		inserts[i] = step{
			text: `
				INSERT INTO audit_chain (seq, event, at, action, salt, content, hash, foreign_event) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			args: []any{l.Seq, l.Event, micros(l.At), l.Action, l.salt, l.Content, l.Hash, foreign},
		}
	}
	return inSteps(ctx, tx, inserts...)
}

// waitingEvent is an event that is not in the chain.
type waitingEvent struct {
	storedEvent
	copied bool // an older one of the same moment carries the same MAC
}

// waitingEvents reads a batch of them behind a number into all.
func waitingEvents(after int64, all *[]waitingEvent) step {
	*all = nil
	return step{
		text: `
			SELECT ` + storedColumns + `,
			       EXISTS (SELECT 1 FROM audit_events o WHERE o.at = audit_events.at AND o.id < audit_events.id AND o.mac = audit_events.mac)
			  FROM audit_events
			 WHERE id > $1 AND NOT EXISTS (SELECT 1 FROM audit_chain WHERE event > $1 AND event = audit_events.id)
			 ORDER BY id LIMIT $2`,
		args: []any{after, chainBatch},
		each: func(row scanner) (err error) {
			var e waitingEvent
			e.storedEvent, err = scanStored(rowAnd{row, []any{&e.copied}})
			*all = append(*all, e)
			return err
		},
	}
}

func chainHead(ctx context.Context, q querier) (l Link, err error) {
	c, err := scanChained(q.QueryRowContext(ctx, `
		SELECT `+chainColumns+` FROM audit_chain ORDER BY seq DESC LIMIT 1`))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return c.Link, err
}

// AddCheckpoint stores a checkpoint of the chain.
func (a *Audit) AddCheckpoint(ctx context.Context, s Checkpoint) error {
	return a.db.write(ctx, "store a checkpoint of the audit", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO audit_seals (seq, hash, at, signature) VALUES ($1, $2, $3, $4)
			ON CONFLICT (seq) DO NOTHING`, s.Seq, s.Hash, micros(s.At), s.Signature)
		return err
	})
}

// LastCheckpoint returns the newest checkpoint. ErrNotFound.
func (a *Audit) LastCheckpoint(ctx context.Context) (Checkpoint, error) {
	s, err := scanCheckpoint(a.db.engine.reader().QueryRowContext(ctx, `
		SELECT seq, hash, at, signature FROM audit_seals ORDER BY seq DESC LIMIT 1`))
	return s, a.db.explain("read the last checkpoint of the audit", err)
}

// Uncovered is when the oldest event happened that no checkpoint covers; zero: all are covered.
func (a *Audit) Uncovered(ctx context.Context) (time.Time, error) {
	const what = "look for audit events that no checkpoint covers"
	var after, at int64
	switch last, err := a.LastCheckpoint(ctx); {
	case errors.Is(err, ErrNotFound): // there is none yet
	case err != nil:
		return time.Time{}, err
	default:
		err := a.db.engine.reader().QueryRowContext(ctx, `
			SELECT event FROM audit_chain WHERE seq = $1`, last.Seq).Scan(&after)
		if errors.Is(err, sql.ErrNoRows) {
			return time.Time{}, nil // it was cut off with all before it
		}
		if err != nil {
			return time.Time{}, a.db.explain(what, err)
		}
	}
	err := a.db.engine.reader().QueryRowContext(ctx, `
		SELECT at FROM audit_events WHERE id > $1 ORDER BY id LIMIT 1`, after).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromMicros(at), a.db.explain(what, err)
}

func scanCheckpoint(row scanner) (s Checkpoint, err error) {
	var at int64
	err = row.Scan(&s.Seq, &s.Hash, &at, &s.Signature)
	s.At = fromMicros(at)
	return s, err
}

// Verified is what Verify found.
type Verified struct {
	Chained        int64         // events in the chain that are as they were, foreign ones among them
	Foreign        int64         // of those, that somebody wrote into the database, and nobody has acknowledged
	First          *ForeignEvent // the first of them
	NoMAC          int64         // of those, that carry no MAC: of the version before
	NoMACTo        time.Time     // the newest of those
	Purged         int64         // entries of the chain whose events were purged as a retention allowed
	PurgedTo       time.Time     // the newest of those
	Unchecked      int64         // events that no checkpoint covers yet
	Checkpoints    int           // that hold, of the database
	Outside        int           // that hold, from elsewhere
	LastCheckpoint time.Time
	// Cut is where the chain begins, nil where it was never cut; BeforeCut is how many checkpoints from elsewhere are
	// older and can't be compared any more.
	Cut       *Cut
	BeforeCut int
	// Acknowledged is how many acknowledgements were needed to get to the end.
	Acknowledged int

	firstSeq int64    // entry of First
	foreign  [][]byte // digests of foreign entries that nobody has acknowledged
}

// count counts an entry that is as it was, or that somebody has acknowledged.
func (v *Verified) count(l chained, acks *acknowledged) {
	if l.e.ID == 0 {
		if v.Purged++; l.At.After(v.PurgedTo) {
			v.PurgedTo = l.At
		}
		return
	}
	v.Chained++
	switch _, foreign := l.tells(l.e.Event, l.salt); {
	case foreign:
		part := foreignPart(l.Link)
		if acks.pass(part) {
			return
		}
		if v.Foreign++; v.First == nil {
			v.First, v.firstSeq = &ForeignEvent{ID: l.e.ID, At: l.e.At, Action: l.e.Action}, l.Seq
		}
		if len(v.foreign) < maxParts {
			v.foreign = append(v.foreign, part)
		}
	case len(l.e.mac) == 0:
		if v.NoMAC++; l.e.At.After(v.NoMACTo) {
			v.NoMACTo = l.e.At
		}
	}
}

// ChainError names the first entry that is not as it was.
type ChainError struct {
	Seq   int64     // of the chain; 0: the event is in none of its entries
	Event int64     // id of the event; 0: not known
	At    time.Time // of the event; zero: not known
	What  string

	parts [][]byte // see Break
}

func (e *ChainError) Error() string {
	text := "the audit's chain: " + e.What
	if e.Seq != 0 {
		text = fmt.Sprintf("entry %d of the audit's chain: %s", e.Seq, e.What)
	}
	if e.Event != 0 {
		text += fmt.Sprintf(" (event %d)", e.Event)
	}
	if !e.At.IsZero() {
		text += " of " + e.At.UTC().Format(time.RFC3339)
	}
	return text
}

// Verify walks the chain from its last cut on and holds it against its events, its checkpoints, and checkpoints
// that were kept elsewhere. holds checks a signature. An event may be missing if it was
// of a kind and an age that a signed Retention allowed to purge. The first entry that
// is broken or missing is a *ChainError.
func (a *Audit) Verify(ctx context.Context, outside []Checkpoint,
	holds func(message, signature []byte) bool) (v Verified,
	err error) {
	for try := 1; ; try++ {
		var begin Cut
		v, begin, err = a.verify(ctx, outside, holds)
		var broken *ChainError
		if err == nil || !errors.As(err, &broken) || try == verifyTries {
			return v, err
		}
		// What was cut off meanwhile is no missing entry.
		if now, cerr := a.lastCut(ctx, holds); cerr != nil || now.Seq == begin.Seq {
			return v, err
		}
	}
}

// verifyTries bounds how often a verification begins anew since the chain was cut under it.
const verifyTries = 5

func (a *Audit) verify(ctx context.Context, outside []Checkpoint,
	holds func(message, signature []byte) bool) (v Verified,
	begin Cut, err error) {
	const what = "verify the audit"
	w, begin, err := a.newWalk(ctx, holds)
	if err != nil {
		return v, begin, err
	}
	if begin.Seq > 0 {
		v.Cut = &begin
	}
	last := begin.Seq
	for _, s := range w.kept {
		v.Checkpoints++
		v.LastCheckpoint = s.At
		if !w.acks.void(s) {
			last = max(last, s.Seq)
		}
	}
	for _, s := range outside {
		if !holds(s.Message(), s.Signature) {
			if err := w.acks.open(&ChainError{Seq: s.Seq, At: s.At, What: "a checkpoint from outside is not ours"},
				voidCheckpoint(s)); err != nil {
				return v, begin, err
			}
			continue
		}
		if s.Seq < begin.Seq {
			v.BeforeCut++ // what it sealed went with the cut, which is signed
			continue
		}
		v.Outside++
		if err := w.checkpoint(s, begin); err != nil {
			return v, begin, err
		}
		last = max(last, s.Seq)
	}
	for more := true; more; {
		links, err := a.links(ctx, w.before.Seq)
		if err != nil {
			return v, begin, a.db.explain(what, err)
		}
		for _, l := range links {
			if err := w.step(ctx, &l); err != nil {
				return v, begin, err
			}
			v.count(l, w.acks)
		}
		more = len(links) == chainBatch
	}
	if err := w.missingEnd(); err != nil {
		return v, begin, err
	}
	if err := a.slippedIn(ctx, w.acks); err != nil {
		return v, begin, err
	}
	v.Acknowledged = len(w.acks.passed)
	if err := a.db.engine.reader().QueryRowContext(ctx, `
		SELECT COUNT(*) FROM audit_events
		 WHERE NOT EXISTS (SELECT 1 FROM audit_chain WHERE event = audit_events.id AND seq <= $1)`, last).Scan(&v.Unchecked); err != nil {
		return v, begin, a.db.explain(what, err)
	}
	return v, begin, nil
}

// slippedIn finds an event among those that were chained long ago that is itself in no
// entry: somebody wrote it into the past. It would be listed, but never sealed.
func (a *Audit) slippedIn(ctx context.Context, acks *acknowledged) error {
	for after := int64(math.MinInt64); ; {
		e, err := scanEvent(a.db.engine.reader().QueryRowContext(ctx, `
			SELECT `+eventColumns+` FROM audit_events
			 WHERE id > $1 AND id <= (SELECT COALESCE(MAX(event), 0) FROM audit_chain) - $2
			   AND NOT EXISTS (SELECT 1 FROM audit_chain WHERE event = audit_events.id)
			 ORDER BY id LIMIT 1`, after, chainLookBack))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return a.db.explain("look for events outside of the audit's chain", err)
		}
		if err := acks.open(&ChainError{Event: e.ID, At: e.At, What: "an event stands among older ones and was never in it"},
			partDigest("event outside", number(e.ID), eventDigest(e, nil))); err != nil {
			return err
		}
		after = e.ID
	}
}

// eventDigest is over all of an event.
func eventDigest(e Event, salt []byte) []byte {
	return partDigest("event", number(micros(e.At)), []byte(e.Action), contentHash(e, salt))
}

// chained is a link with its event, as far as that is there.
type chained struct {
	Link
	salt []byte
	e    storedEvent
	// Of a purged event: its outcome, and what vouches for that.
	outcome string
	purged  []byte
}

const chainColumns = `seq, event, at, action, salt, content, hash, outcome, purge_mac`

func scanChained(row scanner) (c chained, err error) {
	var at int64
	err = row.Scan(&c.Seq, &c.Event, &at, &c.Action, &c.salt, &c.Content, &c.Hash, &c.outcome, &c.purged)
	c.At = fromMicros(at)
	return c, err
}

func (a *Audit) links(ctx context.Context, after int64) ([]chained, error) {
	links, err := collect(ctx, a.db.engine.reader(), scanChained, `
		SELECT `+chainColumns+` FROM audit_chain WHERE seq > $1 ORDER BY seq LIMIT $2`, after, chainBatch)
	if err != nil || len(links) == 0 {
		return nil, err
	}
	low, high := links[0].Event, links[0].Event
	for _, l := range links {
		low, high = min(low, l.Event), max(high, l.Event)
	}
	events, err := collect(ctx, a.db.engine.reader(), scanStored, `
		SELECT `+storedColumns+` FROM audit_events WHERE id >= $1 AND id <= $2`, low, high)
	if err != nil {
		return nil, err
	}
	byID := make(map[int64]storedEvent, len(events))
	for _, e := range events {
		byID[e.ID] = e
	}
	for i := range links {
		links[i].e = byID[links[i].Event]
	}
	return links, nil
}
