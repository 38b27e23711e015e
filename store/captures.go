package store

import (
	"context"
	"time"
)

// CaptureLife is how long what was captured is kept.
const CaptureLife = 24 * time.Hour

// Capture says that sign-ins of a person are captured for a while.
type Capture struct {
	Person PersonID  `json:"person"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
}

// Captured is what was captured of one request.
type Captured struct {
	Person PersonID
	Ref    string // of the request
	At     time.Time
	Sealed []byte // by the caller
}

// Captures keeps whose sign-ins are captured, and what was. It is empty but while an
// admin looks into one person's sign-ins.
type Captures struct{ db *DB }

// Captures returns the captures of this database.
func (db *DB) Captures() *Captures { return &Captures{db} }

// Set begins a capture, or gives it another end. It raises the change counter, by which
// every replica learns of it.
func (s *Captures) Set(ctx context.Context, c Capture, e Event) error {
	return s.db.change(ctx, "begin a capture", func(ctx context.Context, tx querier) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO trace_captures (person, ends_at, actor) VALUES ($1, $2, $3)
			ON CONFLICT (person) DO UPDATE SET ends_at = excluded.ends_at, actor = excluded.actor`,
			string(c.Person), micros(c.Until), sanitize(c.By)); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// End ends a capture. Ending none is no error.
func (s *Captures) End(ctx context.Context, p PersonID, e Event) error {
	return s.db.change(ctx, "end a capture", func(ctx context.Context, tx querier) error {
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM trace_captures WHERE person = $1`, string(p)); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// Running lists the captures that are not over.
func (s *Captures) Running(ctx context.Context) ([]Capture, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (c Capture, err error) {
		var until int64
		err = row.Scan(&c.Person, &until, &c.By)
		c.Until = fromMicros(until)
		return c, err
	}, `SELECT person, ends_at, actor FROM trace_captures WHERE ends_at > $1 ORDER BY person`, micros(s.db.now()))
	return all, s.db.explain("list captures", err)
}

// Keep stores what was captured.
func (s *Captures) Keep(ctx context.Context, c Captured) error {
	return s.db.write(ctx, "store what was captured", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO trace_captured (person, ref, at, sealed) VALUES ($1, $2, $3, $4)`,
			string(c.Person), sanitize(c.Ref), micros(c.At), blob(c.Sealed))
		return err
	})
}

// Of lists what was captured under a reference and is not too old, with the event of who
// looks: nobody looks unseen.
func (s *Captures) Of(ctx context.Context, ref string, e Event) (all []Captured, err error) {
	err = s.db.write(ctx, "read what was captured", func(ctx context.Context, tx querier) (err error) {
		all, err = collect(ctx, tx, func(row scanner) (c Captured, err error) {
			var at int64
			err = row.Scan(&c.Person, &c.Ref, &at, &c.Sealed)
			c.At = fromMicros(at)
			return c, err
		}, `SELECT person, ref, at, sealed FROM trace_captured WHERE ref = $1 AND at > $2 ORDER BY id LIMIT 100`,
			ref, micros(s.db.now().Add(-CaptureLife)))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return ErrNotFound
		}
		e.Subject = string(all[0].Person)
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
	return all, err
}

// Has tells whether anything was captured under a reference. It shows nothing of it.
func (s *Captures) Has(ctx context.Context, ref string) (has bool, err error) {
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM trace_captured WHERE ref = $1 AND at > $2)`, ref, micros(s.db.now().Add(-CaptureLife))).Scan(&has)
	return has, s.db.explain("look for what was captured", err)
}

// Each calls do with all that is kept, a batch at a time.
func (s *Captures) Each(ctx context.Context, do func(Captured)) error {
	const batch = 20 // an assertion may be large
	for last := int64(0); ; {
		rows, err := collect(ctx, s.db.engine.reader(), func(row scanner) (c Captured, err error) {
			var at int64
			err = row.Scan(&last, &c.Person, &c.Ref, &at, &c.Sealed)
			c.At = fromMicros(at)
			return c, err
		}, `
			SELECT id, person, ref, at, sealed FROM trace_captured WHERE id > $1 ORDER BY id LIMIT $2`, last, batch)
		if err != nil {
			return s.db.explain("list captured assertions", err)
		}
		for _, c := range rows {
			do(c)
		}
		if len(rows) < batch {
			return nil
		}
	}
}

// Purge deletes what is a day old, and captures that are over; it returns how many.
func (s *Captures) Purge(ctx context.Context) (int, error) {
	old, err := s.db.inBatches(ctx, "purge what was captured", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM trace_captured WHERE id IN (SELECT id FROM trace_captured WHERE at <= $1 ORDER BY at LIMIT `+inSweep+`)`,
			micros(s.db.now().Add(-CaptureLife)))
		return int(n), err
	})
	if err != nil {
		return old, err
	}
	over, err := s.db.inBatches(ctx, "purge captures", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM trace_captures WHERE person IN (SELECT person FROM trace_captures WHERE ends_at <= $1 ORDER BY person LIMIT `+inSweep+`)`,
			micros(s.db.now()))
		return int(n), err
	})
	return old + over, err
}
