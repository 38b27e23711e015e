package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// AuditBreak is something wrong with the audit log that nobody has acknowledged: what Verify stopped at, or events that
// somebody else wrote.
type AuditBreak struct {
	Seq   int64 // of the entry in the chain; 0: what is wrong stands in none
	Event int64 // id of the event; 0: not known
	At    time.Time
	What  string
	parts [][]byte // digests of what makes it up
}

// Name is how an administrator names the break: the number of its entry, or event:ID.
func (b AuditBreak) Name() string {
	if b.Seq == 0 {
		return "event:" + strconv.FormatInt(b.Event, 10)
	}
	return strconv.FormatInt(b.Seq, 10)
}

// Digest binds an acknowledgement to this very break: what stands in the database there, and what should.
func (b AuditBreak) Digest() []byte {
	h := sha256.New()
	for _, part := range b.parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// Count is how many entries, events or checkpoints make it up.
func (b AuditBreak) Count() int { return len(b.parts) }

// maxParts bounds how much one acknowledgement takes in. What is behind it is the next break.
const maxParts = 10_000

// partDigest is the digest of one thing that is wrong. Its fields are kept apart by their lengths.
func partDigest(kind string, fields ...[]byte) []byte {
	b := appendField(nil, "ssobridge audit break 1 "+kind)
	for _, f := range fields {
		b = appendField(b, string(f))
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// row is all that the chain holds of an entry.
func (l Link) row() []byte {
	b := appendNumber(l.encode(nil), l.Seq)
	return appendField(b, string(l.Hash))
}

// voidCheckpoint is the digest of a checkpoint that does not count: it is not ours, or is one of another chain. An
// acknowledged one is a witness for nothing, wherever it stands; the others still are.
func voidCheckpoint(s Checkpoint) []byte { return partDigest("checkpoint", s.Message(), s.Signature) }

// foreignPart is the digest of an entry whose event nobody of ours vouched for.
func foreignPart(l Link) []byte { return partDigest("foreign event", l.row()) }

// Acknowledgement is an administrator's word that a break is known: verification goes on past it. Who can write the
// database, but does not have the key, can make none.
type Acknowledgement struct {
	Number    int64 // of the acknowledgement, which can be of several parts
	Digest    []byte
	Seq       int64
	Event     int64
	At        time.Time
	Actor     string
	Reason    string
	Signature []byte
}

// Message is what an acknowledgement signs.
func (k Acknowledgement) Message() []byte {
	m := []byte("ssobridge audit acknowledgement 1\x00")
	for _, n := range []int64{k.Number, k.Seq, k.Event, micros(k.At)} {
		m = binary.BigEndian.AppendUint64(m, uint64(n)) //nolint:gosec // G115: the bits count, not the sign
	}
	for _, text := range []string{string(k.Digest), k.Actor, k.Reason} {
		m = appendField(m, text)
	}
	return m
}

const acknowledgementColumns = `number, digest, seq, event, at, actor, reason, signature`

func scanAcknowledgement(row scanner) (k Acknowledgement, err error) {
	var at int64
	err = row.Scan(&k.Number, &k.Digest, &k.Seq, &k.Event, &at, &k.Actor, &k.Reason, &k.Signature)
	k.At = fromMicros(at)
	return k, err
}

// acknowledged are the breaks that verification goes past, by the digest of their parts.
type acknowledged struct {
	numbers map[string]int64
	passed  map[int64]bool // those that were met
	last    time.Time      // when the last one was given
}

// acknowledgements reads those that are ours. One that is not counts for nothing: its break is found again.
func (a *Audit) acknowledgements(ctx context.Context, holds func(message, signature []byte) bool) (*acknowledged,
	error) {
	all, err := collect(ctx, a.db.engine.reader(), scanAcknowledgement, `
		SELECT `+acknowledgementColumns+` FROM audit_acknowledged ORDER BY number, seq, digest`)
	if err != nil {
		return nil, a.db.explain("read what was acknowledged of the audit", err)
	}
	known := &acknowledged{numbers: map[string]int64{}, passed: map[int64]bool{}}
	for _, k := range all {
		if holds(k.Message(), k.Signature) {
			known.numbers[string(k.Digest)] = k.Number
			if k.At.After(known.last) {
				known.last = k.At
			}
		}
	}
	return known, nil
}

// ForeignEvents says how the events stand that nobody of ours wrote and the chain knows as such: whether one of them is
// not acknowledged, and when something was last acknowledged. holds is as for Verify. Verification alone believes no
// mark in the database; this is for those who look twice a minute.
func (a *Audit) ForeignEvents(ctx context.Context, holds func(message, signature []byte) bool) (open bool,
	last time.Time, err error) {
	const what = "look for foreign events of the audit that are not acknowledged"
	acks, err := a.acknowledgements(ctx, holds)
	if err != nil {
		return false, last, err
	}
	links, err := collect(ctx, a.db.engine.reader(), scanChained, `
		SELECT `+chainColumns+` FROM audit_chain WHERE foreign_event = 1 ORDER BY event LIMIT $1`, maxParts)
	if err != nil {
		return false, last, a.db.explain(what, err)
	}
	// As many as that are too many to say that all are known.
	open = len(links) == maxParts || slices.ContainsFunc(links, func(l chained) bool {
		return !acks.pass(foreignPart(l.Link))
	})
	return open, acks.last, nil
}

// pass tells whether a part of a break is acknowledged.
func (k *acknowledged) pass(part []byte) bool {
	number, ok := k.numbers[string(part)]
	if ok {
		k.passed[number] = true
	}
	return ok
}

// void tells whether a checkpoint was acknowledged as one that does not count.
func (k *acknowledged) void(s Checkpoint) bool { return k.numbers[string(voidCheckpoint(s))] != 0 }

// open returns the parts that are not acknowledged, as a break; nil where all are.
func (k *acknowledged) open(e *ChainError, parts ...[]byte) error {
	for _, part := range parts {
		if !k.pass(part) && len(e.parts) < maxParts {
			e.parts = append(e.parts, part)
		}
	}
	if len(e.parts) == 0 {
		return nil
	}
	return e
}

// Break is the error as one that can be acknowledged. ok is false for a record of purges or of a cut that is not ours:
// verification rests on it, and can't go past it.
func (e *ChainError) Break() (b AuditBreak, ok bool) {
	return AuditBreak{Seq: e.Seq, Event: e.Event, At: e.At, What: e.What, parts: e.parts}, len(e.parts) > 0
}

// FoundBreak is the break that Verify has found with v and err; ok is false where it found none that can be
// acknowledged.
func FoundBreak(v Verified, err error) (b AuditBreak, ok bool) {
	if broken, is := errors.AsType[*ChainError](err); is {
		return broken.Break()
	}
	if err != nil || v.First == nil {
		return b, false
	}
	what := "its event was not written by ssobridge"
	if v.Foreign > 1 {
		what = fmt.Sprintf("%d events from it on were not written by ssobridge", v.Foreign)
	}
	return AuditBreak{Seq: v.firstSeq, Event: v.First.ID, At: v.First.At, What: what, parts: v.foreign}, true
}

// Acknowledge stores that a break is known, with the event, which the chain takes in like any other. by signs it.
// ErrConflict: it was acknowledged already.
func (a *Audit) Acknowledge(ctx context.Context, b AuditBreak, actor, reason string, by Signing, e Event) error {
	const what = "acknowledge a break of the audit"
	return a.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now := a.db.now()
		var number int64
		if err := tx.QueryRowContext(ctx, `
			SELECT COALESCE(MAX(number), 0) + 1 FROM audit_acknowledged`).Scan(&number); err != nil {
			return err
		}
		var steps []step
		for _, part := range b.parts {
			k := Acknowledgement{Number: number, Digest: part, Seq: b.Seq, Event: b.Event, At: fromMicros(micros(now)),
				Actor: actor, Reason: reason}
			k.Signature = by.Sign(k.Message())
			steps = append(steps, step{
				text: `
				INSERT INTO audit_acknowledged (` + acknowledgementColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
				args: []any{k.Number, k.Digest, k.Seq, k.Event, micros(k.At), k.Actor, k.Reason, k.Signature},
			})
		}
		for some := range slices.Chunk(steps, chainBatch) {
			if err := inSteps(ctx, tx, some...); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// resignAcknowledgements signs anew what was acknowledged, see Resign.
func resignAcknowledgements(ctx context.Context, tx querier, by Signing,
	again func(message, signature []byte) bool) (changed int, err error) {
	all, err := collect(ctx, tx, scanAcknowledgement, `
		SELECT `+acknowledgementColumns+` FROM audit_acknowledged ORDER BY number, seq, digest`)
	if err != nil {
		return 0, err
	}
	for _, k := range all {
		m := k.Message()
		if !again(m, k.Signature) {
			continue
		}
		n, err := rowsAffected(ctx, tx, `
			UPDATE audit_acknowledged SET signature = $1 WHERE digest = $2`, by.Sign(m), k.Digest)
		if err != nil {
			return changed, err
		}
		changed += int(n)
	}
	return changed, nil
}

// badCheckpoints are those of the database that nobody of ours signed, as one break.
func (w *walk) badCheckpoints(all []Checkpoint) error {
	if len(all) == 0 {
		return nil
	}
	first := slices.IndexFunc(all, func(s Checkpoint) bool { return !w.acks.pass(voidCheckpoint(s)) })
	if first < 0 {
		return nil
	}
	e := &ChainError{Seq: all[first].Seq, At: all[first].At, What: "its checkpoint in the database is not ours"}
	if others := len(all) - first - 1; others > 0 {
		e.What = fmt.Sprintf("its checkpoint in the database, and %d behind it, are not ours", others)
	}
	var parts [][]byte
	for _, s := range all[first:] {
		parts = append(parts, voidCheckpoint(s))
	}
	return w.acks.open(e, parts...)
}

// missingEnd is the break of a chain that ends before checkpoints of it.
func (w *walk) missingEnd() error {
	var parts [][]byte
	last := int64(0)
	for seq, some := range w.checkpoints {
		if seq <= w.before.Seq {
			continue
		}
		for _, s := range some {
			if part := voidCheckpoint(s); !w.acks.pass(part) {
				parts, last = append(parts, part), max(last, seq)
			}
		}
	}
	if len(parts) == 0 {
		return nil
	}
	slices.SortFunc(parts, bytes.Compare)
	parts = slices.CompactFunc(parts, bytes.Equal) // one of the database may have been kept elsewhere as well
	return w.acks.open(&ChainError{Seq: w.before.Seq + 1,
		What: fmt.Sprintf("it is missing, with all up to the sealed entry %d", last)}, parts...)
}
