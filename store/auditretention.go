package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"
)

// KeepDefault stands in Retention.Keep for the actions that are not named there.
const KeepDefault = "default"

// Retention says for how long events are kept, and by a signature that events which were
// older at a moment were purged. Who can write the database, but does not have the key,
// can make none, and so can't pass a deletion off as a purge.
type Retention struct {
	Keep      map[string]time.Duration // by action, or KeepDefault; 0, or none: for ever
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

// until is the newest time at which an event of this action was let go, in microseconds.
// ok is false for those that are kept for ever.
func (r Retention) until(action string) (at int64, ok bool) {
	keep, named := r.Keep[action]
	if !named {
		keep = r.Keep[KeepDefault]
	}
	return micros(r.At) - keep.Microseconds(), keep > 0
}

// retentions are all that were ever carried out.
type retentions []Retention

// allow tells whether the event of an entry may be gone.
func (all retentions) allow(l Link) bool {
	return slices.ContainsFunc(all, func(r Retention) bool {
		until, ok := r.until(l.Action)
		return ok && micros(l.At) <= until
	})
}

// Purge deletes the events that were older at r.At than r lets them be; it returns how
// many. Their entries in the chain stay, with action and time. Only what a seal covers
// goes, so that verification can always tell what was there.
func (a *Audit) Purge(ctx context.Context, r Retention) (int, error) {
	total := 0
	for action := ""; ; {
		// One look into the index for each action that there is.
		if err := a.db.engine.reader().QueryRowContext(ctx, `
			SELECT COALESCE(MIN(action), '') FROM audit_events WHERE action > $1`, action).Scan(&action); err != nil {
			return total, a.db.explain("purge audit events", err)
		}
		if action == "" {
			return total, nil
		}
		until, ok := r.until(action)
		if !ok {
			continue
		}
		var due bool
		if err := a.db.engine.reader().QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM (SELECT at FROM audit_events WHERE action = $1 ORDER BY id LIMIT $2) AS e WHERE at <= $3)`,
			action, purgeBite, until).Scan(&due); err != nil {
			return total, a.db.explain("purge audit events", err)
		}
		if !due {
			continue
		}
		// Until a bite takes none: a few that must stay may be among those of each.
		n, err := a.db.inBites(ctx, "purge audit events", 1, func(ctx context.Context, tx querier) (int, error) {
			return purgeEvents(ctx, tx, r, action, until)
		})
		total += n
		if err != nil {
			return total, err
		}
	}
}

const purgeBite = 200

// purgeEvents takes one bite of an action's events. They are found by number, in which
// they are about as old as by time: an index by time would cost each event that is
// written, and one that is found a moment late does no harm.
func purgeEvents(ctx context.Context, tx querier, r Retention, action string, until int64) (int, error) {
	// An event that is not as the chain has it stays, to be looked at. So does the newest of all: SQLite gives the number of
	// the newest that is gone to the next one, which would stand in the chain already.
	gone, err := collect(ctx, tx, func(row scanner) (id int64, err error) {
		err = row.Scan(&id)
		return id, err
	}, `
		DELETE FROM audit_events WHERE id IN (
		    SELECT e.id
		      FROM (SELECT id, at, action FROM audit_events WHERE action = $1 ORDER BY id LIMIT $2) AS e
		      JOIN audit_chain c ON c.event = e.id AND c.at = e.at AND c.action = e.action
		     WHERE e.at <= $3
		       AND c.seq <= (SELECT COALESCE(MAX(seq), 0) FROM audit_seals)
		       AND e.id < (SELECT MAX(id) FROM audit_events))
		RETURNING id`, action, purgeBite, until)
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	for _, id := range gone {
		if _, err := tx.ExecContext(ctx, `
			UPDATE audit_chain SET salt = $1 WHERE event = $2`, []byte{}, id); err != nil {
			return 0, err
		}
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO audit_retention (keep, at, signature) VALUES ($1, $2, $3)
		ON CONFLICT (keep) DO UPDATE SET at = excluded.at, signature = excluded.signature
		 WHERE audit_retention.at < excluded.at`, r.text(), micros(r.At), r.Signature)
	return len(gone), err
}

// PurgeSeals deletes the seals that are older than a day but the last of each day; it
// returns how many. A later seal covers all that an earlier one does, and the chain up to
// it: nothing is lost but how closely they tell when something was sealed.
func (a *Audit) PurgeSeals(ctx context.Context) (int, error) {
	const day = int64(24 * time.Hour / time.Microsecond)
	return a.db.inBites(ctx, "purge seals of the audit", purgeBite, func(ctx context.Context, tx querier) (int, error) {
		n, err := touched(ctx, tx, `
			DELETE FROM audit_seals WHERE seq IN (
			    SELECT s.seq FROM audit_seals s
			     WHERE s.at < $1
			       AND s.at / $2 = (SELECT next.at FROM audit_seals next WHERE next.seq > s.seq ORDER BY next.seq LIMIT 1) / $2
			     ORDER BY s.seq LIMIT $3)`, micros(a.db.now())-day, day, purgeBite)
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
