package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// The states of a delivery.
const (
	DeliveryWaiting = "waiting"
	DeliverySent    = "sent"
	DeliveryDead    = "dead"    // given up
	DeliveryDropped = "dropped" // never tried: too many were waiting
)

// DeliveryResult is what became of a claim. The rest of what was claimed waits on.
type DeliveryResult struct {
	Subscription, Holder string

	Notices []int64   // that went in the message; none: nothing was sent
	Message string    // its id
	OK      bool      // the receiver has it
	Answer  string    // what the receiver said, or why it was not reached
	RetryAt time.Time // of those that are tried again
	Dead    []int64   // of Notices, those that are given up
	Silent  bool      // nobody is notified of what is given up

	Next       time.Time // before it nothing is sent
	Failures   int
	Digest     bool
	WindowAt   time.Time
	WindowSent int
}

// Settle stores what became of a claim, and ends it. ErrConflict: the claim has run out and is another process's by
// now, which sends the same once more.
func (s *Notices) Settle(ctx context.Context, d DeliveryResult) error {
	const what = "store what became of a notice"
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		sent, dead := int64(0), int64(0)
		if d.OK {
			sent = micros(now)
		}
		if len(d.Dead) > 0 {
			dead = micros(now)
		}
		var name string
		err = tx.QueryRowContext(ctx, `
			UPDATE notice_subscriptions
			   SET holder = '', held_until = 0, next_at = $1, failures = $2, digest = $3, window_at = $4, window_sent = $5,
			       sent_at = CASE WHEN CAST($6 AS BIGINT) > 0 THEN $6 ELSE sent_at END,
			       answer = CASE WHEN CAST($7 AS BIGINT) > 0 THEN $8 ELSE answer END,
			       dead = dead + $9, dead_at = CASE WHEN CAST($10 AS BIGINT) > 0 THEN $10 ELSE dead_at END
			 WHERE id = $11 AND holder = $12
			RETURNING name`,
			micros(d.Next), d.Failures, flag(d.Digest), micros(d.WindowAt), d.WindowSent, sent, len(d.Notices),
			sanitize(d.Answer), len(d.Dead), dead, d.Subscription, d.Holder).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrConflict
		}
		if err != nil {
			return err
		}
		given := map[int64]bool{}
		for _, id := range d.Dead {
			given[id] = true
		}
		var all []step
		for _, id := range d.Notices {
			state, due := DeliveryWaiting, micros(d.RetryAt)
			switch {
			case d.OK:
				state = DeliverySent
			case given[id]:
				state = DeliveryDead
			}
			all = append(all, step{
				text: `
					UPDATE notice_deliveries
					   SET state = $1, tries = tries + 1, due_at = $2, tried_at = $3, message = $4, answer = $5
					 WHERE notice = $6 AND subscription = $7`,
				args: []any{state, due, micros(now), sanitize(d.Message), sanitize(d.Answer), id, d.Subscription},
			})
		}
		if len(d.Dead) > 0 && !d.Silent {
			// One a day says it: more of them would tell nothing new.
			n := NoticeRecord{At: now, Class: NoticeGivenUp, Cause: fmt.Sprintf("given-up:%s:%s", d.Subscription,
				now.UTC().Format(time.DateOnly)), Subject: name, NotTo: d.Subscription,
				Detail: DetailOf(map[string]any{"subscription": d.Subscription})}
			all = append(all, n.step())
		}
		return inSteps(ctx, tx, all...)
	})
}

// DeliveryRecord is what became of a notice at a subscription.
type DeliveryRecord struct {
	NoticeRecord

	Subscription string
	State        string
	Tries        int
	DueAt        time.Time // of one that waits
	TriedAt      time.Time // zero: never
	Message      string
	Answer       string
}

// DeliveryKey names what became of one notice at one subscription.
type DeliveryKey struct {
	Notice       int64
	Subscription string
}

// Key is the delivery's own.
func (d DeliveryRecord) Key() DeliveryKey { return DeliveryKey{d.ID, d.Subscription} }

// DeliveryFilter for Deliveries; zero fields do not filter.
type DeliveryFilter struct {
	Subscription string
	Notice       int64
	Undelivered  bool        // those that were given up or dropped
	Before       DeliveryKey // those behind this one in the list
	Limit        int         // 1 to 1000, default 100
}

// Deliveries lists what became of notices, the newest first. For the next page, set Before to the key of the last one.
func (s *Notices) Deliveries(ctx context.Context, f DeliveryFilter) ([]DeliveryRecord, error) {
	const what = "list the deliveries of notices"
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 || f.Before.Notice < 0 || f.Notice < 0 {
		return nil, s.db.explain(what, fmt.Errorf("limit %d, notice %d, before %d: want a limit from 1 to 1000 and numbers",
			f.Limit, f.Notice, f.Before.Notice))
	}
	c := &conditions{}
	c.text.WriteString(`SELECT notice, subscription, state, tries, due_at, tried_at, message, answer
		  FROM notice_deliveries WHERE 1 = 1`)
	if f.Subscription != "" {
		c.text.WriteString(" AND subscription = " + c.param(f.Subscription))
	}
	if f.Undelivered {
		c.text.WriteString(" AND state IN ('dead', 'dropped')")
	}
	if f.Notice > 0 {
		c.text.WriteString(" AND notice = " + c.param(f.Notice))
	}
	if f.Before.Notice > 0 {
		c.text.WriteString(" AND (notice, subscription) < (" + c.param(f.Before.Notice) + ", " +
			c.param(f.Before.Subscription) + ")")
	}
	c.text.WriteString(" ORDER BY notice DESC, subscription DESC LIMIT " + c.param(f.Limit))
	all, err := collect(ctx, s.db.engine.lister(), func(row scanner) (d DeliveryRecord, err error) {
		var due, tried int64
		err = row.Scan(&d.ID, &d.Subscription, &d.State, &d.Tries, &due, &tried, &d.Message, &d.Answer)
		d.DueAt, d.TriedAt = fromMicros(due), fromMicros(tried)
		return d, err
	}, c.text.String(), c.args...)
	if err == nil {
		all, err = s.withNotices(ctx, all)
	}
	return all, s.db.explain(what, err)
}

// Resend has notices sent to a subscription once more, at once and for three days again, with an event: these, or where
// there are none those that were given up or dropped, the oldest first, as many as may still wait. One that waits is
// tried at once. It returns how many. The receiver knows each by the same id. ErrNotFound: there is no such
// subscription.
func (s *Notices) Resend(ctx context.Context, subscription string, notices []int64, e Event) (n int, err error) {
	const what = "send notices once more"
	if len(notices) > claimBatch {
		return 0, s.db.explain(what, fmt.Errorf("%d notices: want at most %d", len(notices), claimBatch))
	}
	notices = slices.Compact(slices.Sorted(slices.Values(notices))) // one that is named twice is one
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		n = 0
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// Its row first, as whoever settles or changes it: what is given up meanwhile is seen.
		var name string
		err = tx.QueryRowContext(ctx, `
			UPDATE notice_subscriptions SET name = name WHERE id = $1 RETURNING name`, subscription).Scan(&name)
		if err != nil {
			return err
		}
		waiting, err := waitingFor(ctx, tx, subscription)
		if err != nil {
			return err
		}
		again, err := s.resendable(ctx, tx, subscription, notices, max(0, NoticesWaiting-waiting))
		if err != nil {
			return err
		}
		var all []step
		dead, dropped := 0, 0
		for _, d := range again {
			switch d.State {
			case DeliveryDead:
				dead++
			case DeliveryDropped:
				dropped++
			}
			all = append(all, step{
				text: `
					UPDATE notice_deliveries SET state = 'waiting', tries = 0, created_at = $1, due_at = $1
					 WHERE notice = $2 AND subscription = $3`,
				args: []any{micros(now), d.ID, subscription},
			})
		}
		n = len(again)
		if n == 0 {
			return nil
		}
		// What was given up counts no more: it is tried again.
		all = append(all, step{
			text: `
				UPDATE notice_subscriptions
				   SET next_at = 0, failures = 0,
				       dead = CASE WHEN dead > $1 THEN dead - $1 ELSE 0 END, dead_at = CASE WHEN dead > $1 THEN dead_at ELSE 0 END,
				       dropped = CASE WHEN dropped > $2 THEN dropped - $2 ELSE 0 END,
				       dropped_at = CASE WHEN dropped > $2 THEN dropped_at ELSE 0 END
				 WHERE id = $3`,
			args: []any{dead, dropped, subscription},
		})
		if err := inSteps(ctx, tx, all...); err != nil {
			return err
		}
		e.Subject, e.Detail = name, DetailOf(map[string]any{"notices": n})
		w, err := eventWriterOf(ctx)
		if err != nil {
			return err
		}
		w.made = strconv.Itoa(n) // asked for again under its key, it is answered by how many there were
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
	return n, err
}

// resendable are deliveries that can be sent once more: those of notices that are still kept. room is how many more may
// wait.
func (s *Notices) resendable(ctx context.Context, tx querier, subscription string, notices []int64,
	room int) (all []DeliveryRecord, err error) {
	scan := func(row scanner) (d DeliveryRecord, err error) {
		return d, row.Scan(&d.ID, &d.State)
	}
	if len(notices) == 0 {
		return collect(ctx, tx, scan, `
			SELECT notice, state FROM notice_deliveries
			 WHERE subscription = $1 AND state IN ('dead', 'dropped') ORDER BY notice LIMIT $2`, subscription, room)
	}
	for _, id := range notices {
		found, err := collect(ctx, tx, scan, `
			SELECT notice, state FROM notice_deliveries WHERE notice = $1 AND subscription = $2`, id, subscription)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			if d.State != DeliveryWaiting {
				if room == 0 {
					continue
				}
				room--
			}
			all = append(all, d)
		}
	}
	return all, nil
}

// withNotices puts what each delivery is of into it, and leaves those out whose notice was purged meanwhile. It looks
// the notices up by their numbers, some at a time: joined to so many deliveries, PostgreSQL reads the whole table.
func (s *Notices) withNotices(ctx context.Context, all []DeliveryRecord) ([]DeliveryRecord, error) {
	const some = 64
	found := map[int64]NoticeRecord{}
	for from := 0; from < len(all); from += some {
		c := &conditions{}
		c.text.WriteString("SELECT " + noticeColumns + " FROM notices n WHERE n.id IN (")
		for i := range some { // filled up, so that there is one statement
			if i > 0 {
				c.text.WriteString(", ")
			}
			c.text.WriteString(c.param(all[min(from+i, len(all)-1)].ID))
		}
		c.text.WriteString(")")
		notices, err := collect(ctx, s.db.engine.reader(), scanNotice, c.text.String(), c.args...)
		if err != nil {
			return nil, err
		}
		for _, n := range notices {
			found[n.ID] = n
		}
	}
	kept := all[:0]
	for _, d := range all {
		if n, ok := found[d.ID]; ok {
			d.NoticeRecord = n
			kept = append(kept, d)
		}
	}
	return kept, nil
}

// Waiting counts what waits for a subscription, up to one more than NoticesWaiting.
func (s *Notices) Waiting(ctx context.Context, subscription string) (int, error) {
	n, err := waitingFor(ctx, s.db.engine.reader(), subscription)
	return n, s.db.explain("count the notices that wait", err)
}
