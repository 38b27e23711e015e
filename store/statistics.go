package store

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// StatisticStep is the time that one figure sums up.
const StatisticStep = 15 * time.Minute

// statisticLife is how long figures are kept: the month that charts show, and a day more.
const statisticLife = 31 * 24 * time.Hour

// Kinds of figures.
const (
	StatisticSignIns  = "sign-ins" // Responses that said yes
	StatisticRefusals = "refusals" // sign-ins that were refused
	StatisticLogins   = "logins"   // passwords that were not right
	StatisticCalls    = "calls"    // of the day's budget, used since 00:00 UTC
)

// Statistic is one number of one quarter of an hour.
type Statistic struct {
	Kind  string
	At    time.Time // when its quarter began
	Value int64
}

// Statistics are what the console's charts show: counted once a minute, so that no page
// counts audit events.
type Statistics struct{ db *DB }

// Statistics returns the figures of this database.
func (db *DB) Statistics() *Statistics { return &Statistics{db} }

// Count counts the events of the quarter of an hour that is running and of the one before, which may
// have ended since the last time, as far as they were chained. used are today's calls. All replicas may do it: the
// last one says it best. In a context of Gently it rests after each piece.
func (f *Statistics) Count(ctx context.Context, used int) error {
	if err := f.sum(ctx); err != nil {
		return err
	}
	current := f.db.now().Truncate(StatisticStep)
	var all []Statistic
	for _, at := range []time.Time{current.Add(-StatisticStep), current} {
		for _, c := range countedEvents {
			figure := Statistic{Kind: c.kind, At: at}
			if err := f.db.engine.reader().QueryRowContext(ctx, `
				SELECT COALESCE(SUM(events), 0) FROM event_sums WHERE at = $1 AND action = $2 AND outcome = $3`,
				micros(at), c.action, c.outcome).Scan(&figure.Value); err != nil {
				return f.db.explain("count figures", err)
			}
			all = append(all, figure)
		}
	}
	all = append(all, Statistic{Kind: StatisticCalls, At: current, Value: int64(used)})
	return f.db.write(ctx, "store figures", func(ctx context.Context, tx querier) error {
		for _, figure := range all {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO figures (kind, at, value) VALUES ($1, $2, $3)
				ON CONFLICT (kind, at) DO UPDATE
				   SET value = CASE WHEN excluded.value > figures.value THEN excluded.value ELSE figures.value END`,
				figure.Kind, micros(figure.At), figure.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// sumBatch is how many events one transaction sums up.
const (
	sumBatch   = 100
	inSumBatch = "100" // see sweep
)

// sumFor is how long one call sums up, without its rests: after a long backlog, as of an import, what is left waits for
// the calls after it.
const sumFor = 10 * time.Second

// sum adds the events that were chained since the last time to the sums of their quarters. The chain has each event
// once, also one that was committed late.
func (f *Statistics) sum(ctx context.Context) error {
	began := time.Now() // monotonic: how long this takes, and no rule about time
	for more := true; more && time.Since(began) < sumFor; {
		piece := time.Now()
		err := f.db.write(ctx, "sum up events", func(ctx context.Context, tx querier) error {
			var from int64
			// The row lock lets one replica sum up at a time.
			if err := tx.QueryRowContext(ctx, `
				UPDATE counters SET value = value WHERE name = 'events_summed' RETURNING value`).Scan(&from); err != nil {
				return err
			}
			all, err := collect(ctx, tx, func(row scanner) (k eventSum, err error) {
				return k, row.Scan(&from, &k.at, &k.action, &k.outcome, &k.reason, &k.sp)
			}, `
				SELECT c.seq, c.at, c.action, COALESCE(e.outcome, ''), COALESCE(e.reason, ''),
				       CASE WHEN e.subject = '' THEN '' ELSE COALESCE(e.sp, '') END
				  FROM (SELECT seq, event, at, action, foreign_event FROM audit_chain WHERE seq > $1 ORDER BY seq LIMIT `+inSumBatch+`) AS c
				  LEFT JOIN audit_events e ON e.id = c.event AND c.foreign_event = 0
				 ORDER BY c.seq`, from)
			if err != nil {
				return err
			}
			sums := map[eventSum]int64{}
			for _, k := range all {
				if k.outcome == "" {
					continue // it was purged, or is nobody's of ours
				}
				k.at = micros(fromMicros(k.at).Truncate(StatisticStep))
				sums[k]++
			}
			for k, n := range sums {
				if _, err := tx.ExecContext(ctx, `
					INSERT INTO event_sums (at, action, outcome, reason, sp, events) VALUES ($1, $2, $3, $4, $5, $6)
					ON CONFLICT (at, action, outcome, reason, sp) DO UPDATE SET events = event_sums.events + excluded.events`,
					k.at, k.action, k.outcome, k.reason, k.sp, n); err != nil {
					return err
				}
			}
			more = len(all) == sumBatch
			_, err = tx.ExecContext(ctx, `
				UPDATE counters SET value = $1 WHERE name = 'events_summed'`, from)
			return err
		})
		if err != nil {
			return err
		}
		began = began.Add(rest(ctx, piece)) // else a fifth as much is summed up, and under load never all
	}
	return nil
}

// unsummedMost bounds how many events a reading adds to what was counted. In a flood the rest is there a minute later.
const unsummedMost = "2000"

// unsummed are the events that the last Count did not see, as sums of their quarters: a page that says when somebody
// last signed in must not say beside it that nobody did. One statement reads those that are chained and those that are
// not yet, so that an event that is chained meanwhile is there once.
func (f *Statistics) unsummed(ctx context.Context, since time.Time) (map[eventSum]int64, error) {
	sums := map[eventSum]int64{}
	_, err := collect(ctx, f.db.engine.reader(), func(row scanner) (k eventSum, err error) {
		if err = row.Scan(&k.at, &k.action, &k.outcome, &k.reason, &k.sp); err == nil && k.outcome != "" &&
			k.at >= micros(since.Truncate(StatisticStep)) {
			k.at = micros(fromMicros(k.at).Truncate(StatisticStep))
			sums[k]++
		}
		return k, err
	}, `
		SELECT at, action, outcome, reason, sp FROM (
		       SELECT e.at, e.action, COALESCE(e.outcome, '') AS outcome, COALESCE(e.reason, '') AS reason,
		              CASE WHEN e.subject = '' THEN '' ELSE COALESCE(e.sp, '') END AS sp
		         FROM audit_chain c JOIN audit_events e ON e.id = c.event
		        WHERE c.seq > (SELECT value FROM counters WHERE name = 'events_summed') AND c.foreign_event = 0
		        ORDER BY c.seq LIMIT `+unsummedMost+`) AS chained
		UNION ALL
		SELECT at, action, outcome, reason, sp FROM (
		       SELECT e.at, e.action, COALESCE(e.outcome, '') AS outcome, COALESCE(e.reason, '') AS reason,
		              CASE WHEN e.subject = '' THEN '' ELSE COALESCE(e.sp, '') END AS sp
		         FROM audit_events e
		        WHERE e.id > (SELECT COALESCE(MAX(event), 0) FROM audit_chain)
		        ORDER BY e.id LIMIT `+unsummedMost+`) AS fresh`)
	return sums, f.db.explain("read events that are not summed up yet", err)
}

// eventSum is what the sums of events are told apart by.
type eventSum struct {
	at                          int64
	action, outcome, reason, sp string
}

// countedEvents are the kinds of figures that events are counted for.
var countedEvents = []struct{ kind, action, outcome string }{
	{StatisticSignIns, "sign-in", "ok"}, {StatisticRefusals, "refusal", "refused"}, {StatisticLogins, "login", "refused"},
}

// Since returns the figures from a time on, the oldest first, with the events that were not counted yet.
func (f *Statistics) Since(ctx context.Context, since time.Time) ([]Statistic, error) {
	all, err := f.stored(ctx, since)
	if err != nil {
		return nil, err
	}
	// After the figures: what is summed up between is missing for a moment, and never there twice.
	more, err := f.unsummed(ctx, since)
	if err != nil {
		return nil, err
	}
	for k, n := range more {
		for _, c := range countedEvents {
			if k.action != c.action || k.outcome != c.outcome {
				continue
			}
			at := fromMicros(k.at)
			i := slices.IndexFunc(all, func(s Statistic) bool { return s.Kind == c.kind && s.At.Equal(at) })
			if i < 0 {
				i = len(all)
				all = append(all, Statistic{Kind: c.kind, At: at})
			}
			all[i].Value += n
		}
	}
	slices.SortStableFunc(all, func(a, b Statistic) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind)) })
	return all, nil
}

// stored are the figures that were counted.
func (f *Statistics) stored(ctx context.Context, since time.Time) ([]Statistic, error) {
	all, err := collect(ctx, f.db.engine.reader(), func(row scanner) (figure Statistic, err error) {
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

// RefusalSum is how often people were refused at a service provider for a reason.
type RefusalSum struct {
	Action   string `json:"action"` // of the audit events: refusal, login, second-factor
	Reason   string `json:"reason"`
	SP       string `json:"sp,omitempty"` // "" where nobody was known
	Requests int64  `json:"requests"`
}

// Refusals returns what was refused since a time, by the sums of events and those that are not summed up yet, the most
// frequent first, at most limit.
func (f *Statistics) Refusals(ctx context.Context, since time.Time, limit int) ([]RefusalSum, error) {
	all, err := collect(ctx, f.db.engine.reader(), func(row scanner) (r RefusalSum, err error) {
		return r, row.Scan(&r.Action, &r.Reason, &r.SP, &r.Requests)
	}, `
		SELECT action, reason, sp, SUM(events) AS requests FROM event_sums
		 WHERE at >= $1 AND outcome = 'refused'
		 GROUP BY action, reason, sp
		 ORDER BY requests DESC, action, reason, sp LIMIT $2`, micros(since.Truncate(StatisticStep)), limit)
	if err != nil {
		return nil, f.db.explain("sum up refusals", err)
	}
	more, err := f.unsummed(ctx, since)
	if err != nil {
		return nil, err
	}
	for k, n := range more {
		if k.outcome != "refused" {
			continue
		}
		i := slices.IndexFunc(all, func(r RefusalSum) bool {
			return r.Action == k.action && r.Reason == k.reason && r.SP == k.sp
		})
		if i < 0 {
			i = len(all)
			all = append(all, RefusalSum{Action: k.action, Reason: k.reason, SP: k.sp})
		}
		all[i].Requests += n
	}
	slices.SortFunc(all, func(a, b RefusalSum) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.SP, b.SP))
	})
	return all[:min(len(all), limit)], nil
}

// Purge forgets old figures, in small batches; it returns how many.
func (f *Statistics) Purge(ctx context.Context) (int, error) {
	sums, err := f.db.inBatches(ctx, "purge sums of events", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM event_sums
			 WHERE (at, action, outcome, reason, sp) IN (
			       SELECT at, action, outcome, reason, sp FROM event_sums WHERE at < $1 ORDER BY at LIMIT `+inSweep+`)`,
			micros(f.db.now().Add(-statisticLife)))
		return int(n), err
	})
	if err != nil {
		return sums, err
	}
	n, err := f.db.inBatches(ctx, "purge figures", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM figures
			 WHERE (kind, at) IN (SELECT kind, at FROM figures WHERE at < $1 ORDER BY at LIMIT `+inSweep+`)`,
			micros(f.db.now().Add(-statisticLife)))
		return int(n), err
	})
	return sums + n, err
}
