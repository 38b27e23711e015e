package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"time"
)

// Cut is where the chain begins after its oldest entries were removed: at a checkpoint, whose number and hash it takes
// over. Its signature says what went. Who can write the database, but does not have the key, can make none.
type Cut struct {
	Seq  int64     `json:"seq"` // of the last entry that went
	Hash []byte    `json:"hash"`
	At   time.Time `json:"at"`
	// entries that went, in this cut and all before it, by action or ACTION.OUTCOME
	Counts    map[string]int64 `json:"counts"`
	Signature []byte           `json:"signature"`
}

// Message is what a cut signs.
func (c Cut) Message() []byte {
	m := []byte("ssobridge audit cut 1\x00")
	m = binary.BigEndian.AppendUint64(m, uint64(c.Seq))
	m = binary.BigEndian.AppendUint64(m, uint64(micros(c.At)))
	return appendField(appendField(m, string(c.Hash)), c.text())
}

// text is how the counts stand in the row.
func (c Cut) text() string {
	text, _ := json.Marshal(c.Counts) // sorts its keys; numbers always encode
	return string(text)
}

// Entries is how many entries went.
func (c Cut) Entries() (n int64) {
	for _, some := range c.Counts {
		n += some
	}
	return n
}

// Signing makes and checks the signatures of the audit.
type Signing struct {
	Sign  func(message []byte) []byte
	Holds func(message, signature []byte) bool
}

// Cut removes the oldest entries of the chain, as far as all of their events were purged, up to a checkpoint. It looks
// at them as Verify does first: what was removed by somebody else is a *ChainError, and nothing goes. ok is false where
// there is nothing to cut. The last entry always stays. event is stored with the cut.
func (a *Audit) Cut(ctx context.Context, by Signing, event Event) (c Cut, ok bool, err error) {
	const what = "cut the audit's chain"
	w, last, err := a.newWalk(ctx, by.Holds)
	if err != nil {
		return c, false, err
	}
	if err := a.removeCut(ctx, last); err != nil { // what an interrupted cut left
		return c, false, err
	}
	counts := maps.Clone(last.Counts)
	if counts == nil {
		counts = map[string]int64{}
	}
	for more := true; more; {
		links, err := a.links(ctx, w.before.Seq)
		if err != nil {
			return c, false, a.db.explain(what, err)
		}
		more = len(links) == chainBatch
		for _, l := range links {
			// The entry before this one is not the last of the chain.
			if len(w.checkpoints[w.before.Seq]) > 0 && w.before.Seq > last.Seq {
				c, ok = Cut{Seq: w.before.Seq, Hash: w.before.Hash, Counts: maps.Clone(counts)}, true
			}
			if l.e.ID != 0 {
				more = false
				break
			}
			if err := w.step(ctx, &l); err != nil {
				// Another replica may have cut meanwhile.
				if now, cerr := a.lastCut(ctx, by.Holds); cerr == nil && now.Seq != last.Seq {
					return Cut{}, false, nil
				}
				return Cut{}, false, err
			}
			kind := l.Action
			if outcome := a.outcomeOf(&l); outcome != "" && outcome != "ok" {
				kind += "." + outcome
			}
			counts[kind]++
		}
	}
	if !ok {
		return c, false, nil
	}
	c.At = fromMicros(micros(a.db.now()))
	c.Signature = by.Sign(c.Message())
	// numbers always encode
	event.Detail = DetailOf(map[string]any{"seq": c.Seq, "entries": c.Entries() - last.Entries()})
	if err := a.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			INSERT INTO audit_cuts (seq, hash, at, counts, signature)
			SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM audit_cuts WHERE seq >= $6)`,
			c.Seq, c.Hash, micros(c.At), c.text(), c.Signature, c.Seq)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return addEvents(ctx, tx, a.db.now(), []Event{event})
	}); err != nil {
		if errors.Is(err, ErrConflict) {
			return Cut{}, false, nil // another replica was faster
		}
		return Cut{}, false, err
	}
	// From here on verification begins at the cut, whether the rest is removed now or later.
	return c, true, a.removeCut(ctx, c)
}

// removeCut deletes what lies before a cut, a few rows at a time, so that others can write in between.
func (a *Audit) removeCut(ctx context.Context, c Cut) error {
	if c.Seq == 0 {
		return nil
	}
	const what = "remove what was cut off the audit's chain"
	if _, err := a.db.inBatches(ctx, what, chainBatch, func(ctx context.Context, tx querier) (int, error) {
		var first int64
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MIN(seq), 0) FROM audit_chain`).Scan(&first); err != nil ||
			first == 0 || first > c.Seq {
			return 0, err
		}
		last := min(first+chainBatch-1, c.Seq)
		_, err := tx.ExecContext(ctx, cutChainStatement, first, last)
		return int(last - first + 1), err
	}); err != nil {
		return err
	}
	// Of checkpoints there is one a day, of cuts hardly one.
	for _, statement := range []string{
		`DELETE FROM audit_seals WHERE seq IN (SELECT seq FROM audit_seals WHERE seq < $1 ORDER BY seq LIMIT ` + inSweep +
			`)`,
		`DELETE FROM audit_cuts WHERE seq IN (SELECT seq FROM audit_cuts WHERE seq < $1 ORDER BY seq LIMIT ` + inSweep + `)`,
	} {
		if _, err := a.db.inBatches(ctx, what, sweep, func(ctx context.Context, tx querier) (int, error) {
			n, err := rowsAffected(ctx, tx, statement, c.Seq)
			return int(n), err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Both bounds, so that a planner that knows nothing of the table takes its key.
const cutChainStatement = `DELETE FROM audit_chain WHERE seq >= $1 AND seq <= $2`

// lastCut is where the chain begins; the zero Cut where it was never cut. One that is not ours is a *ChainError.
func (a *Audit) lastCut(ctx context.Context, holds func(message, signature []byte) bool) (last Cut, err error) {
	all, err := collect(ctx, a.db.engine.reader(), scanCut, `
		SELECT seq, hash, at, counts, signature FROM audit_cuts ORDER BY seq`)
	if err != nil {
		return last, a.db.explain("read the cuts of the audit's chain", err)
	}
	for _, c := range all {
		if !holds(c.Message(), c.Signature) {
			return Cut{}, &ChainError{Seq: c.Seq, At: c.At, What: "a record that the chain was cut here is not ours"}
		}
		last = c
	}
	return last, nil
}

func scanCut(row scanner) (c Cut, err error) {
	var (
		at     int64
		counts string
	)
	if err := row.Scan(&c.Seq, &c.Hash, &at, &counts, &c.Signature); err != nil {
		return c, err
	}
	c.At = fromMicros(at)
	if json.Unmarshal([]byte(counts), &c.Counts) != nil {
		c.Counts = nil // not ours: then no signature holds
	}
	return c, nil
}

// walk goes along the chain and looks at each entry.
type walk struct {
	a           *Audit
	holds       func(message, signature []byte) bool
	allowed     retentions
	checkpoints map[int64][]Checkpoint // of the database and from elsewhere, from the cut on
	kept        []Checkpoint           // those of the database
	before      Link
	acks        *acknowledged
}

// newWalk begins where the chain was last cut.
func (a *Audit) newWalk(ctx context.Context, holds func(message, signature []byte) bool) (w *walk,
	last Cut, err error) {
	w = &walk{a: a, holds: holds, checkpoints: map[int64][]Checkpoint{}}
	if last, err = a.lastCut(ctx, holds); err != nil {
		return nil, last, err
	}
	w.before = Link{Seq: last.Seq, Hash: last.Hash}
	if w.allowed, err = a.retentions(ctx, holds); err != nil {
		return nil, last, err
	}
	if w.acks, err = a.acknowledgements(ctx, holds); err != nil {
		return nil, last, err
	}
	all, err := collect(ctx, a.db.engine.reader(), scanCheckpoint, `
		SELECT seq, hash, at, signature FROM audit_seals WHERE seq >= $1 ORDER BY seq`, last.Seq)
	if err != nil {
		return nil, last, a.db.explain("read the checkpoints of the audit", err)
	}
	var bad []Checkpoint
	for _, s := range all {
		if !holds(s.Message(), s.Signature) {
			bad = append(bad, s)
			continue
		}
		w.kept = append(w.kept, s)
	}
	if err := w.badCheckpoints(bad); err != nil {
		return nil, last, err
	}
	for _, s := range w.kept {
		if err := w.checkpoint(s, last); err != nil {
			return nil, last, err
		}
	}
	return w, last, nil
}

// checkpoint adds a checkpoint from the cut on. That of the cut itself has to be of the same chain.
func (w *walk) checkpoint(s Checkpoint, last Cut) error {
	if s.Seq == last.Seq && last.Seq > 0 && !bytes.Equal(s.Hash, last.Hash) {
		return w.acks.open(&ChainError{Seq: s.Seq, At: s.At, What: "the chain was cut at another entry than was sealed"},
			voidCheckpoint(s))
	}
	w.checkpoints[s.Seq] = append(w.checkpoints[s.Seq], s)
	return nil
}

// step looks at the next entry. It tells what is wrong with it by a *ChainError, unless that is acknowledged: then it
// goes on as if the entry were right. What was acknowledged is what stands there: changed again, it is another break.
func (w *walk) step(ctx context.Context, l *chained) error {
	switch {
	case l.Seq != w.before.Seq+1:
		if err := w.acks.open(&ChainError{Seq: w.before.Seq + 1, What: "it is missing"},
			partDigest("missing entries", w.before.row(), l.row())); err != nil {
			return err
		}
	case !bytes.Equal(l.Hash, l.hash(w.before.Hash)):
		if err := w.acks.open(&ChainError{Seq: l.Seq, Event: l.Event, At: l.At, What: "it, or one before it, was changed"},
			partDigest("changed entry", w.before.row(), l.row())); err != nil {
			return err
		}
	}
	switch l.e.ID {
	case 0:
		if err := w.gone(ctx, l); err != nil {
			return err
		}
	default:
		if ours, foreign := l.tells(l.e.Event, l.salt); !ours && !foreign {
			if err := w.acks.open(&ChainError{Seq: l.Seq, Event: l.Event, At: l.At, What: "its event was changed"},
				partDigest("changed event", l.row(), eventDigest(l.e.Event, l.salt))); err != nil {
				return err
			}
		}
	}
	for _, s := range w.checkpoints[l.Seq] {
		if !bytes.Equal(s.Hash, l.Hash) {
			if err := w.acks.open(&ChainError{Seq: l.Seq, Event: l.Event, At: l.At,
				What: "the chain up to it is another one than was sealed on " + s.At.UTC().Format(time.RFC3339)},
				voidCheckpoint(s)); err != nil {
				return err
			}
		}
	}
	w.before = l.Link
	return nil
}

// gone looks at an entry without its event: a retention has to allow that.
func (w *walk) gone(ctx context.Context, l *chained) (err error) {
	if w.allowed.allow(l.Link, w.a.outcomeOf(l)) {
		return nil
	}
	// It may have been purged since they were read.
	if w.allowed, err = w.a.retentions(ctx, w.holds); err != nil {
		return err
	}
	again, err := scanChained(w.a.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+chainColumns+` FROM audit_chain WHERE seq = $1`, l.Seq))
	if errors.Is(err, sql.ErrNoRows) { // cut off since they were read: Verify begins anew where it was
		return &ChainError{Seq: l.Seq, Event: l.Event, At: l.At, What: "it is missing"}
	}
	if err != nil {
		return w.a.db.explain("read an entry of the audit's chain again", err)
	}
	l.outcome, l.purged = again.outcome, again.purged
	if !w.allowed.allow(l.Link, w.a.outcomeOf(l)) {
		return w.acks.open(&ChainError{Seq: l.Seq, Event: l.Event, At: l.At,
			What: "its event is missing, and no retention let it go"}, partDigest("missing event", l.row()))
	}
	return nil
}
