package store

import (
	"context"
	"time"
)

// formLife is how long a form that was sent is remembered. A page left open for
// longer than that is asked for again anyway: its session is over.
const formLife = 24 * time.Hour

// Forms remembers which forms of the console were sent, so that none is taken
// twice, on whatever replica.
type Forms struct{ db *DB }

// Forms returns the forms of this database.
func (db *DB) Forms() *Forms { return &Forms{db} }

// Use takes a form by the random id that its page had, and tells whether it is the
// first time.
func (f *Forms) Use(ctx context.Context, id string) (first bool, err error) {
	err = f.db.write(ctx, "use form", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			INSERT INTO used_forms (id, used_at) VALUES ($1, $2)
			ON CONFLICT (id) DO NOTHING`, id, micros(f.db.now()))
		first = n == 1
		return err
	})
	return first, err
}

// Purge forgets forms that were sent more than a day ago, in small batches; it
// returns how many.
func (f *Forms) Purge(ctx context.Context) (int, error) {
	return f.db.inBatches(ctx, "purge used forms", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM used_forms
			 WHERE id IN (SELECT id FROM used_forms WHERE used_at <= $1 ORDER BY used_at LIMIT `+inSweep+`)`,
			micros(f.db.now().Add(-formLife)))
		return int(n), err
	})
}
