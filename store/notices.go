package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// noticeLife is how long notices and what became of them are kept: 30 days, and one more so that a cause that is
	// looked at once a day is not reported again at the edge.
	noticeLife = 31 * day
	// NoticesWaiting is how many notices wait for one receiver at most. What comes beyond is counted, and not delivered.
	NoticesWaiting = 1000
	spreadBatch    = 100
)

// NoticeRecord is something that happened and that administrators or programs may have asked to hear of. It carries ids
// and no names, and no secret.
type NoticeRecord struct {
	ID      int64
	At      time.Time
	Class   NoticeClass
	Cause   string // what is reported once; "": each by itself
	Ref     string
	Actor   string
	Subject string // a person's id, or what else it is about
	Account AccountID
	SP      string
	Detail  json.RawMessage
	NotTo   string // the subscription that must not get it
}

// Notices is the outbox of notices: who gets them, and what became of each. A notice that reports a change is written
// in the transaction of that change.
type Notices struct{ db *DB }

// Notices returns the outbox of this database.
func (db *DB) Notices() *Notices { return &Notices{db} }

const noticeColumns = `n.id, n.at, n.class, n.cause, n.ref, n.actor, n.subject, n.account, n.sp, n.detail, n.not_to`

// into are the places of noticeColumns.
func (n *NoticeRecord) into(at *int64, detail *string) []any {
	return []any{&n.ID, at, &n.Class, &n.Cause, &n.Ref, &n.Actor, &n.Subject, &n.Account, &n.SP, detail, &n.NotTo}
}

func (n *NoticeRecord) read(at int64, detail string) {
	n.At = fromMicros(at)
	if detail != "" {
		n.Detail = json.RawMessage(detail)
	}
}

func scanNotice(row scanner) (n NoticeRecord, err error) {
	var at int64
	var detail string
	err = row.Scan(n.into(&at, &detail)...)
	n.read(at, detail)
	return n, err
}

// step writes a notice, unless its cause was reported before.
func (n NoticeRecord) step() step {
	return step{
		text: `
			INSERT INTO notices (at, class, cause, ref, actor, subject, account, sp, detail, not_to, spread)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)
			ON CONFLICT (cause) WHERE cause <> '' DO NOTHING
			RETURNING id`,
		args: []any{micros(n.At), string(n.Class), sanitize(n.Cause), sanitize(n.Ref), sanitize(n.Actor), sanitize(n.Subject),
			sanitize(string(n.Account)), sanitize(n.SP), string(n.Detail), n.NotTo},
		none: true,
		row: func(row scanner) error {
			var id int64
			return row.Scan(&id)
		},
	}
}

// noticeSteps write the notice of an event, if its class is one. An administrator is reported once, at the first time
// that they come.
func noticeSteps(e Event) []step {
	class := noticeClass(e)
	if class == "" {
		return nil
	}
	n := NoticeRecord{At: e.At, Class: class, Ref: e.Ref, Actor: e.Actor, Subject: e.Subject, Account: e.Account, SP: e.SP}
	if e.Reason != "" { // a fixed word; the event's detail stays in the audit log
		n.Detail = DetailOf(map[string]any{"reason": e.Reason})
	}
	if class != NoticeAdminNew {
		return []step{n.step()}
	}
	// The subject is the address of a page where somebody entered: the actor is who is new.
	state := "admin:" + e.Actor
	n.Subject = e.Actor
	return []step{
		{
			text: `
				INSERT INTO notices (at, class, cause, ref, actor, subject, account, sp, detail, not_to, spread)
				SELECT CAST($1 AS BIGINT), $2, '', $3, $4, $5, '', '', '', '', 0
				 WHERE NOT EXISTS (SELECT 1 FROM notice_states WHERE state = $6)`,
			args: []any{micros(n.At), string(n.Class), n.Ref, n.Actor, n.Subject, state},
		},
		{
			text: `INSERT INTO notice_states (state, at) VALUES ($1, $2) ON CONFLICT (state) DO NOTHING`,
			args: []any{state, micros(n.At)},
		},
	}
}

// Add stores a notice that belongs to no other change. One whose Cause was reported before is left out.
func (s *Notices) Add(ctx context.Context, n NoticeRecord) error {
	const what = "store a notice"
	if n.Cause != "" {
		var one int64
		err := s.db.engine.reader().QueryRowContext(ctx, `
			SELECT 1 FROM notices WHERE cause = $1 AND cause <> ''`, n.Cause).Scan(&one)
		if err == nil {
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return s.db.explain(what, err)
		}
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		if n.At.IsZero() {
			n.At = s.db.now()
		}
		return inSteps(ctx, tx, n.step())
	})
}

// States returns the states that were reported and have not ended, with the time when each was.
func (s *Notices) States(ctx context.Context) (map[string]time.Time, error) {
	all := map[string]time.Time{}
	_, err := collect(ctx, s.db.engine.reader(), func(row scanner) (state string, err error) {
		var at int64
		err = row.Scan(&state, &at)
		all[state] = fromMicros(at)
		return state, err
	}, `SELECT state, at FROM notice_states WHERE state >= 'state:' AND state < 'state;'`)
	return all, s.db.explain("read the states that were reported", err)
}

// SetState notes that a state (of the form "state:NAME") has begun or ended, with its notice. Where it stands so
// already nothing happens: several replicas may see it.
func (s *Notices) SetState(ctx context.Context, state string, on bool, n NoticeRecord) error {
	const what = "store a state that is reported"
	if !strings.HasPrefix(state, "state:") {
		return s.db.explain(what, fmt.Errorf("%.40q: want state:NAME", state))
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		if n.At.IsZero() {
			n.At = s.db.now()
		}
		var changed int64
		var err error
		if on {
			changed, err = rowsAffected(ctx, tx, `
				INSERT INTO notice_states (state, at) VALUES ($1, $2) ON CONFLICT (state) DO NOTHING`, state, micros(n.At))
		} else {
			changed, err = rowsAffected(ctx, tx, `DELETE FROM notice_states WHERE state = $1`, state)
		}
		if err != nil || changed == 0 {
			return err
		}
		return inSteps(ctx, tx, n.step())
	})
}

// Spread gives the notices that were written since to the subscriptions that want them, a batch at a time, until none
// is left. It returns how many there were. One replica does so at a time.
func (s *Notices) Spread(ctx context.Context) (total int, err error) {
	const what = "give notices to subscriptions"
	for {
		// None is the usual answer and needs no writer.
		var first int64
		err := s.db.engine.reader().QueryRowContext(ctx, `
			SELECT id FROM notices WHERE spread = 0 ORDER BY id LIMIT 1`).Scan(&first)
		if errors.Is(err, sql.ErrNoRows) {
			return total, nil
		}
		if err != nil {
			return total, s.db.explain(what, err)
		}
		n := 0
		err = s.db.write(ctx, what, func(ctx context.Context, tx querier) (err error) {
			n, err = s.spread(ctx, tx)
			return err
		})
		if total += n; err != nil || n < spreadBatch {
			return total, err
		}
	}
}

func (s *Notices) spread(ctx context.Context, tx querier) (int, error) {
	// The row lock lets one replica spread at a time.
	if _, err := tx.ExecContext(ctx, `
		UPDATE counters SET value = value WHERE name = 'notices_spread'`); err != nil {
		return 0, err
	}
	notices, err := collect(ctx, tx, scanNotice, `
		SELECT `+noticeColumns+` FROM notices n WHERE n.spread = 0 ORDER BY n.id LIMIT $1`, spreadBatch)
	if err != nil || len(notices) == 0 {
		return 0, err
	}
	now, err := s.db.engine.clock(ctx, tx)
	if err != nil {
		return 0, err
	}
	subscriptions, err := collect(ctx, tx, scanSubscription, `
		SELECT `+subscriptionColumns+` FROM notice_subscriptions ORDER BY id`)
	if err != nil {
		return 0, err
	}
	var all []step
	for _, sub := range subscriptions {
		waiting, err := waitingFor(ctx, tx, sub.ID)
		if err != nil {
			return 0, err
		}
		dropped := 0
		for _, n := range notices {
			if !sub.Wants(n.Class) || n.NotTo == sub.ID {
				continue
			}
			state := DeliveryWaiting
			if waiting++; waiting > NoticesWaiting {
				state = DeliveryDropped
				dropped++
			}
			all = append(all, step{
				text: `
					INSERT INTO notice_deliveries (notice, subscription, state, tries, created_at, due_at, tried_at, message, answer)
					VALUES ($1, $2, $3, 0, $4, $4, 0, '', '')`,
				args: []any{n.ID, sub.ID, state, micros(now)},
			})
		}
		if dropped > 0 {
			all = append(all, step{
				text: `UPDATE notice_subscriptions SET dropped = dropped + $1, dropped_at = $2 WHERE id = $3`,
				args: []any{dropped, micros(now), sub.ID},
			})
		}
	}
	for _, n := range notices {
		all = append(all, step{text: `UPDATE notices SET spread = 1 WHERE id = $1`, args: []any{n.ID}})
	}
	return len(notices), inSteps(ctx, tx, all...)
}

// waitingFor counts what waits for a subscription, up to one more than may.
func waitingFor(ctx context.Context, q querier, subscription string) (n int, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM (SELECT 1 FROM notice_deliveries
		                       WHERE subscription = $1 AND state = 'waiting' LIMIT 1001) AS few`, subscription).Scan(&n)
	return n, err
}

// Purge deletes notices and what became of them, 31 days after they were written, in small batches; it returns how
// many.
func (s *Notices) Purge(ctx context.Context) (int, error) {
	before := micros(s.db.now().Add(-noticeLife))
	return s.db.inBatches(ctx, "purge notices", sweep, func(ctx context.Context, tx querier) (int, error) {
		old, err := collect(ctx, tx, scanID, `
			SELECT id FROM notices WHERE at < $1 ORDER BY at LIMIT `+inSweep, before)
		if err != nil {
			return 0, err
		}
		var all []step
		for _, id := range old {
			all = append(all, step{text: `DELETE FROM notice_deliveries WHERE notice = $1`, args: []any{id}},
				step{text: `DELETE FROM notices WHERE id = $1`, args: []any{id}})
		}
		return len(old), inSteps(ctx, tx, all...)
	})
}
