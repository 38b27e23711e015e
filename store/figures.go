package store

import (
	"context"
	"time"
)

// FigureStep is the time that one figure sums up.
const FigureStep = 15 * time.Minute

// figureLife is how long figures are kept: a week for comparison, and a day more.
const figureLife = 8 * 24 * time.Hour

// Kinds of figures.
const (
	FigureSignIns  = "sign-ins" // Responses that said yes
	FigureRefusals = "refusals" // sign-ins that were refused
	FigureLogins   = "logins"   // passwords that were not right
	FigureCalls    = "calls"    // of the day's budget, used since 00:00 UTC
)

// Figure is one number of one quarter of an hour.
type Figure struct {
	Kind  string
	At    time.Time // when its quarter began
	Value int64
}

// Figures are what the console's charts show: counted once a minute, so that no page
// counts audit events.
type Figures struct{ db *DB }

// Figures returns the figures of this database.
func (db *DB) Figures() *Figures { return &Figures{db} }

// Count counts the quarter of an hour that is running and the one before, which may
// have ended since the last time. used are today's calls. All replicas may do it: the
// last one says it best.
func (f *Figures) Count(ctx context.Context, used int) error {
	now := f.db.now()
	current := now.Truncate(FigureStep)
	var all []Figure
	for _, at := range []time.Time{current.Add(-FigureStep), current} {
		for _, c := range []struct{ kind, action, outcome string }{
			{FigureSignIns, "sign-in", "ok"}, {FigureRefusals, "refusal", "refused"}, {FigureLogins, "login", "refused"},
		} {
			figure := Figure{Kind: c.kind, At: at}
			if err := f.db.engine.reader().QueryRowContext(ctx, `
				SELECT COUNT(*) FROM audit_events
				 WHERE at >= $1 AND at < $2 AND action = $3 AND outcome = $4`,
				micros(at), micros(at.Add(FigureStep)), c.action, c.outcome).Scan(&figure.Value); err != nil {
				return f.db.explain("count figures", err)
			}
			all = append(all, figure)
		}
	}
	all = append(all, Figure{Kind: FigureCalls, At: current, Value: int64(used)})
	return f.db.write(ctx, "store figures", func(ctx context.Context, tx querier) error {
		for _, figure := range all {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO figures (kind, at, value) VALUES ($1, $2, $3)
				ON CONFLICT (kind, at) DO UPDATE SET value = excluded.value`,
				figure.Kind, micros(figure.At), figure.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Since returns the figures from a time on, the oldest first.
func (f *Figures) Since(ctx context.Context, since time.Time) ([]Figure, error) {
	all, err := collect(ctx, f.db.engine.reader(), func(row scanner) (figure Figure, err error) {
		var at int64
		err = row.Scan(&figure.Kind, &at, &figure.Value)
		figure.At = fromMicros(at)
		return figure, err
	}, `
		SELECT kind, at, value FROM figures
		 WHERE at >= $1
		 ORDER BY at, kind`, micros(since))
	return all, f.db.explain("read figures", err)
}

// Purge forgets old figures, in small bites; it returns how many.
func (f *Figures) Purge(ctx context.Context) (int, error) {
	return f.db.inBites(ctx, "purge figures", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := touched(ctx, tx, `
			DELETE FROM figures
			 WHERE (kind, at) IN (SELECT kind, at FROM figures WHERE at < $1 ORDER BY at LIMIT $2)`,
			micros(f.db.now().Add(-figureLife)), sweep)
		return int(n), err
	})
}
