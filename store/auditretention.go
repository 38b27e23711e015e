package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// KeepDefault stands in Retention.Keep for the actions that are not named there.
const KeepDefault = "default"

// Retention says for how long events are kept, and by a signature that events which were
// older at a moment were purged. Who can write the database, but does not have the key,
// can make none, and so can't pass a deletion off as a purge.
type Retention struct {
	// Keep is by ACTION.OUTCOME, by action for its other outcomes, or KeepDefault; 0, or none: for ever.
	Keep      map[string]time.Duration
	At        time.Time
	Signature []byte
}

// Message is what a retention signs.
func (r Retention) Message() []byte {
	m := []byte("ssobridge audit retention 1\x00")
	m = binary.BigEndian.AppendUint64(m, uint64(micros(r.At)))
	return append(m, r.text()...)
}

// text is how the retention stands in its row: one text for equal ones.
func (r Retention) text() string {
	inMicros := make(map[string]int64, len(r.Keep))
	for action, keep := range r.Keep {
		inMicros[action] = keep.Microseconds()
	}
	text, _ := json.Marshal(inMicros) // sorts its keys; numbers always encode
	return string(text)
}

// until is the newest time at which an event of this kind was let go, in microseconds.
// ok is false for those that are kept for ever.
func (r Retention) until(action, outcome string) (at int64, ok bool) {
	keep, named := r.Keep[action+"."+outcome]
	if !named {
		keep, named = r.Keep[action]
	}
	if !named {
		keep = r.Keep[KeepDefault]
	}
	return micros(r.At) - keep.Microseconds(), keep > 0
}

// outcomes are those of an action that have a time of their own.
func (r Retention) outcomes(action string) (all []string) {
	for kind := range r.Keep {
		if outcome, ok := strings.CutPrefix(kind, action+"."); ok {
			all = append(all, outcome)
		}
	}
	slices.Sort(all)
	return all
}

// retentions are all that were ever carried out.
type retentions []Retention

// allow tells whether the event of an entry may be gone. outcome is "" where nobody vouches for it.
func (all retentions) allow(l Link, outcome string) bool {
	return slices.ContainsFunc(all, func(r Retention) bool {
		until, ok := r.until(l.Action, outcome)
		return ok && micros(l.At) <= until
	})
}

// purgePurpose is what the MAC of a purged event's entry is for. The entry itself does not hold the outcome, and the
// event that did is gone: without this, whoever writes the database could pass a login off as a refused one, which is
// kept for a shorter time.
const purgePurpose = "audit purge"

func (l Link) purgeFields(outcome string) [][]byte {
	return [][]byte{number(l.Seq), number(l.Event), number(micros(l.At)), []byte(l.Action), []byte(outcome), l.Hash}
}

// outcomeOf is the outcome of a purged event, "" where no purge of ours vouches for it.
func (a *Audit) outcomeOf(l *chained) string {
	if a.db.vouched(l.purged, purgePurpose, l.purgeFields(l.outcome)...) {
		return l.outcome
	}
	return ""
}

// Purged is what a purge did.
type Purged struct {
	Count int
	// Changed are events that are old enough, and not as the chain has them. They stay, to be looked at.
	Changed []ChangedEvent
}

// Purge deletes the events that were older at r.At than r lets them be. Their entries in the chain stay, with action,
// outcome and time, until the chain is cut. Only what a checkpoint covers goes, so that verification can always tell
// what was there, and only what is as it was chained.
func (a *Audit) Purge(ctx context.Context, r Retention) (p Purged, err error) {
	for action := ""; ; {
		// One look into the index for each action that there is.
		if err := a.db.engine.reader().QueryRowContext(ctx, `
			SELECT COALESCE(MIN(action), '') FROM audit_events WHERE action > $1`, action).Scan(&action); err != nil {
			return p, a.db.explain("purge audit events", err)
		}
		if action == "" {
			return p, nil
		}
		for _, outcome := range append(r.outcomes(action), "") {
			if err := a.purgeKind(ctx, r, eventKind{action, outcome}, &p); err != nil {
				return p, a.db.explain("purge audit events", err)
			}
		}
	}
}

const purgeBatch = 200

// eventKind is an action with one outcome that is not "ok", or with all that have no time of their own.
type eventKind struct{ action, outcome string }

// where is the condition of a query, with its parameters, in the words of the indexes. Events are found by number, in
// which they are about as old as by time: an index by time would cost each event that is written, and one that is found
// a moment late does no harm.
func (k eventKind) where(c *conditions) string {
	text := "e.action = " + c.param(k.action)
	if k.outcome != "" {
		text += " AND e.outcome = " + c.param(k.outcome) + " AND e.outcome <> 'ok'"
	}
	return text
}

// pageQuery finds the next events of the kind.
func (k eventKind) pageQuery(after int64) *conditions {
	c := &conditions{}
	c.text.WriteString(`
		SELECT e.id, e.at, e.outcome FROM audit_events e
		 WHERE ` + k.where(c) + ` AND e.id > ` + c.param(after) + ` ORDER BY e.id LIMIT ` + c.param(purgeBatch))
	return c
}

// entriesAtOnce is how many events are read by their numbers in one statement. For many more PostgreSQL reads a table
// that is not large as a whole.
const entriesAtOnce = 50

// entriesQuery reads at most entriesAtOnce events with their entries in the chain, as far as they may be purged. It has
// always as many numbers, so that it is always the same statement; by the first and the last of them it would read all
// that lies between, which is much for a rare kind. The newest event of all stays: SQLite gives the number of the
// newest that is gone to the next one, which would stand in the chain already.
func entriesQuery(due []aged) *conditions {
	c := &conditions{}
	ids := make([]string, entriesAtOnce)
	for i := range ids {
		ids[i] = c.param(due[min(i, len(due)-1)].id)
	}
	c.text.WriteString(`
		SELECT e.` + strings.ReplaceAll(eventColumns, ", ", ", e.") + `, c.` + strings.ReplaceAll(chainColumns, ", ", ", c.") + `
		  FROM audit_events e JOIN audit_chain c ON c.event = e.id
		 WHERE e.id IN (` + strings.Join(ids, ", ") + `)
		   AND c.seq <= (SELECT COALESCE(MAX(seq), 0) FROM audit_seals)
		   AND e.id < (SELECT MAX(id) FROM audit_events)
		 ORDER BY e.id`)
	return c
}

// aged is what the purge looks at first.
type aged struct {
	id, at  int64
	outcome string
}

// purgeKind deletes the events of one kind, a page at a time.
func (a *Audit) purgeKind(ctx context.Context, r Retention, kind eventKind, p *Purged) error {
	until, ok := r.until(kind.action, kind.outcome)
	if !ok {
		return nil
	}
	others := r.outcomes(kind.action)
	own := func(e aged) bool { return kind.outcome != "" || !slices.Contains(others, e.outcome) }
	yesterday := micros(r.At.Add(-24 * time.Hour))
	leading := true // only events of other kinds were met
	for after := a.db.purged.after(kind); ; {
		c := kind.pageQuery(after)
		page, err := collect(ctx, a.db.engine.lister(), func(row scanner) (e aged, err error) {
			return e, row.Scan(&e.id, &e.at, &e.outcome)
		}, c.text.String(), c.args...)
		if err != nil || len(page) == 0 {
			return err
		}
		isOwn := slices.ContainsFunc(page, own)
		due := slices.DeleteFunc(slices.Clone(page), func(e aged) bool { return !own(e) || e.at > until })
		if len(due) > 0 {
			var done Purged
			if err := a.db.write(ctx, "purge audit events", func(ctx context.Context, tx querier) (err error) {
				done, err = a.purgeEvents(ctx, tx, r, due)
				return err
			}); err != nil {
				return err
			}
			p.Count += done.Count
			p.Changed = append(p.Changed, done.Changed...)
		}
		after = page[len(page)-1].id
		if leading = leading && !isOwn; leading && page[len(page)-1].at < yesterday {
			a.db.purged.pass(kind, after)
		}
		if len(page) < purgeBatch || isOwn && len(due) == 0 {
			return nil
		}
	}
}

// purgeEvents deletes those of one page that are still as the chain has them.
func (a *Audit) purgeEvents(ctx context.Context, tx querier, r Retention, due []aged) (p Purged, err error) {
	var rows []chained
	for some := range slices.Chunk(due, entriesAtOnce) {
		c := entriesQuery(some)
		found, err := collect(ctx, tx, scanBoth, c.text.String(), c.args...)
		if err != nil {
			return p, err
		}
		rows = append(rows, found...)
	}
	for _, l := range rows {
		// What somebody changed must not go as if it had been so: its time and outcome say that it is old enough.
		if ours, foreign := l.tells(l.e.Event, l.salt); !ours && !foreign {
			p.Changed = append(p.Changed, ChangedEvent{ID: l.e.ID, Action: l.e.Action, At: l.e.At})
			continue
		}
		mac, err := a.db.vouch(purgePurpose, l.purgeFields(l.e.Outcome)...)
		if err != nil {
			return p, err
		}
		n, err := rowsAffected(ctx, tx, `DELETE FROM audit_events WHERE id = $1`, l.e.ID)
		if err != nil {
			return p, err
		}
		if n == 0 {
			continue // another replica was faster
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE audit_chain SET salt = $1, outcome = $2, purge_mac = $3 WHERE event = $4`, []byte{}, l.e.Outcome, mac, l.e.ID); err != nil {
			return p, err
		}
		p.Count++
	}
	if p.Count == 0 {
		return p, nil
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO audit_retention (keep, at, signature) VALUES ($1, $2, $3)
		ON CONFLICT (keep) DO UPDATE SET at = excluded.at, signature = excluded.signature
		 WHERE audit_retention.at < excluded.at`, r.text(), micros(r.At), r.Signature)
	return p, err
}

// scanBoth reads an event with its entry.
func scanBoth(row scanner) (l chained, err error) {
	var (
		e  Event
		at int64
	)
	e, err = scanEvent(rowAnd{row, []any{&l.Seq, &l.Event, &at, &l.Action, &l.salt, &l.Content, &l.Hash,
		&l.outcome, &l.purged}})
	l.At, l.e = fromMicros(at), storedEvent{Event: e}
	return l, err
}

// purgedUpTo remembers, for actions with outcomes that are kept longer, behind which number the others begin: they are
// not to be passed again each time.
type purgedUpTo struct {
	mu   sync.Mutex
	last map[eventKind]int64
}

func (u *purgedUpTo) after(k eventKind) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last[k]
}

func (u *purgedUpTo) pass(k eventKind, id int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[eventKind]int64{}
	}
	u.last[k] = max(u.last[k], id)
}

// PurgeCheckpoints deletes the checkpoints that are older than a day but the last of each day; it
// returns how many. A later checkpoint covers all that an earlier one does, and the chain up to
// it: nothing is lost but how closely they tell when something was sealed.
func (a *Audit) PurgeCheckpoints(ctx context.Context) (int, error) {
	const day = int64(24 * time.Hour / time.Microsecond)
	return a.db.inBatches(ctx, "purge checkpoints of the audit", purgeBatch, func(ctx context.Context,
		tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM audit_seals WHERE seq IN (
			    SELECT s.seq FROM audit_seals s
			     WHERE s.at < $1
			       AND s.at / $2 = (SELECT next.at FROM audit_seals next WHERE next.seq > s.seq ORDER BY next.seq LIMIT 1) / $2
			     ORDER BY s.seq LIMIT $3)`, micros(a.db.now())-day, day, purgeBatch)
		return int(n), err
	})
}

// retentions reads all of them. One whose signature does not hold is a *ChainError.
func (a *Audit) retentions(ctx context.Context, holds func(message, signature []byte) bool) (retentions, error) {
	all, err := collect(ctx, a.db.engine.reader(), scanRetention, `
		SELECT keep, at, signature FROM audit_retention ORDER BY at`)
	if err != nil {
		return nil, a.db.explain("read the retentions of the audit", err)
	}
	for _, r := range all {
		if !holds(r.Message(), r.Signature) {
			return nil, &ChainError{At: r.At, What: "a record of what was purged is not ours"}
		}
	}
	return all, nil
}

func scanRetention(row scanner) (r Retention, err error) {
	var (
		keep     string
		at       int64
		inMicros map[string]int64
	)
	if err := row.Scan(&keep, &at, &r.Signature); err != nil {
		return r, err
	}
	r.At = fromMicros(at)
	if json.Unmarshal([]byte(keep), &inMicros) != nil {
		return r, nil // not ours: then no signature holds
	}
	r.Keep = make(map[string]time.Duration, len(inMicros))
	for action, n := range inMicros {
		r.Keep[action] = time.Duration(n) * time.Microsecond
	}
	return r, nil
}
