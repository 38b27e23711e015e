package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxSubscriptions bounds the subscriptions: each of them is looked at every few seconds.
const MaxSubscriptions = 50

// ErrManySubscriptions says that there are MaxSubscriptions already.
var ErrManySubscriptions = errors.New("too many subscriptions to notices")

// Subscription is who gets which notices, and how their delivery stands.
type Subscription struct {
	ID      string
	Name    string
	Kind    string   // "webhook", "mail", "slack" or "teams"
	Classes []string // patterns, see NoticeMatches
	Sealed  []byte   // where they go, and by which secrets
	Names   bool     // people and client accounts are named beside their ids
	// Minutes of the day in UTC between which nothing is sent; the same: there are no quiet hours.
	QuietFrom, QuietUntil int
	CreatedAt             time.Time

	Delivery
}

// Delivery is how the deliveries to a subscription stand. Times are the database's.
type Delivery struct {
	Next       time.Time // before it nothing is sent
	Failures   int       // without a success between
	Digest     bool      // what waits goes as one message
	WindowAt   time.Time // the beginning of the hour in which messages are counted
	WindowSent int       // messages in it
	SentAt     time.Time // the last one that arrived
	Answer     string    // the receiver's last answer
	Dead       int       // given up
	DeadAt     time.Time // the last of them
	Dropped    int       // never put in, since too many were waiting
	DroppedAt  time.Time // the last of them
}

// Wants tells whether it gets notices of a class.
func (s Subscription) Wants(c NoticeClass) bool {
	return slices.ContainsFunc(s.Classes, func(p string) bool { return NoticeMatches(p, c) })
}

const subscriptionColumns = `id, name, kind, classes, sealed, names, quiet_from, quiet_until, created_at,
	next_at, failures, digest, window_at, window_sent, sent_at, answer, dead, dead_at, dropped, dropped_at`

func scanSubscription(row scanner) (s Subscription, err error) {
	var classes string
	var created, next, window, sent, dead, dropped int64
	err = row.Scan(&s.ID, &s.Name, &s.Kind, &classes, &s.Sealed, &s.Names, &s.QuietFrom, &s.QuietUntil, &created,
		&next, &s.Failures, &s.Digest, &window, &s.WindowSent, &sent, &s.Answer, &s.Dead, &dead, &s.Dropped, &dropped)
	s.Classes = strings.Fields(classes)
	s.CreatedAt, s.Next, s.WindowAt, s.SentAt = fromMicros(created), fromMicros(next), fromMicros(window), fromMicros(sent)
	s.DeadAt, s.DroppedAt = fromMicros(dead), fromMicros(dropped)
	return s, err
}

// Subscriptions returns all subscriptions, by name.
func (s *Notices) Subscriptions(ctx context.Context) ([]Subscription, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanSubscription, `
		SELECT `+subscriptionColumns+` FROM notice_subscriptions ORDER BY name, id`)
	return all, s.db.explain("list the subscriptions to notices", err)
}

// Subscribe stores a new subscription (without its Delivery), with an event. ErrConflict: there is one of its id or
// name. ErrManySubscriptions.
func (s *Notices) Subscribe(ctx context.Context, n Subscription, e Event) error {
	return s.db.change(ctx, "add a subscription to notices", func(ctx context.Context, tx querier) error {
		var count int
		if err := tx.QueryRowContext(ctx, `
			SELECT COUNT(*) FROM notice_subscriptions`).Scan(&count); err != nil {
			return err
		}
		if count >= MaxSubscriptions {
			return ErrManySubscriptions
		}
		now := s.db.now()
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO notice_subscriptions (id, name, kind, classes, sealed, names, quiet_from, quiet_until, created_at,
			    holder, held_until, next_at, failures, digest, window_at, window_sent, sent_at, answer, dead, dead_at, dropped,
			    dropped_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, 0, 0, 0, 0, 0, 0, '', 0, 0, 0, 0)`,
			n.ID, n.Name, n.Kind, strings.Join(n.Classes, " "), n.Sealed, flag(n.Names), n.QuietFrom, n.QuietUntil,
			micros(now)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// SetSubscription stores a subscription anew, with an event, if it is still as was; what waits for it stays, and is
// tried at once. ErrConflict: it has changed meanwhile, or another one has the new name. ErrNotFound.
func (s *Notices) SetSubscription(ctx context.Context, was, now Subscription, e Event) error {
	return s.db.change(ctx, "change a subscription to notices", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE notice_subscriptions
			   SET name = $1, classes = $2, sealed = $3, names = $4, quiet_from = $5, quiet_until = $6, next_at = 0, failures = 0
			 WHERE id = $7 AND name = $8 AND classes = $9 AND sealed = $10 AND names = $11 AND quiet_from = $12
			   AND quiet_until = $13`,
			now.Name, strings.Join(now.Classes, " "), now.Sealed, flag(now.Names), now.QuietFrom, now.QuietUntil,
			was.ID, was.Name, strings.Join(was.Classes, " "), was.Sealed, flag(was.Names), was.QuietFrom, was.QuietUntil)
		if err != nil {
			return err
		}
		if n == 0 {
			return subscriptionConflict(ctx, tx, was.ID)
		}
		// At most NoticesWaiting of them: a receiver that was mended need not wait for the pauses of the broken one.
		clock, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE notice_deliveries SET due_at = $1 WHERE subscription = $2 AND state = 'waiting' AND due_at > $1`,
			micros(clock), was.ID); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// subscriptionConflict is the error of a change that found no subscription as it was: ErrConflict if there is one.
func subscriptionConflict(ctx context.Context, tx querier, id string) error {
	var one int
	if err := tx.QueryRowContext(ctx, `
		SELECT 1 FROM notice_subscriptions WHERE id = $1`, id).Scan(&one); err != nil {
		return err
	}
	return ErrConflict
}

// ResealSubscription stores the same target, sealed anew, if it is still sealed as was.
func (s *Notices) ResealSubscription(ctx context.Context, id string, was, now []byte) error {
	return s.db.write(ctx, "seal a subscription to notices anew", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE notice_subscriptions SET sealed = $1 WHERE id = $2 AND sealed = $3`, now, id, was)
		if err == nil && n == 0 {
			err = ErrConflict
		}
		return err
	})
}

// Unsubscribe removes a subscription, if it is still as was, with what waits for it and what became of the rest, with
// an event. ErrConflict: it has changed meanwhile. ErrNotFound.
func (s *Notices) Unsubscribe(ctx context.Context, was Subscription, e Event) error {
	const what = "remove a subscription to notices"
	id := was.ID
	if err := s.db.change(ctx, what, func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM notice_subscriptions
			 WHERE id = $1 AND name = $2 AND classes = $3 AND sealed = $4 AND names = $5 AND quiet_from = $6
			   AND quiet_until = $7`,
			id, was.Name, strings.Join(was.Classes, " "), was.Sealed, flag(was.Names), was.QuietFrom, was.QuietUntil)
		if err != nil {
			return err
		}
		if n == 0 {
			return subscriptionConflict(ctx, tx, id)
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	}); err != nil {
		return err
	}
	// Nobody looks for these any more. What is cut off here goes with its notices.
	_, err := s.db.inBatches(ctx, what, sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM notice_deliveries WHERE subscription = $1 AND notice IN (
			       SELECT notice FROM notice_deliveries WHERE subscription = $1 ORDER BY notice LIMIT `+inSweep+`)`, id)
		return int(n), err
	})
	return err
}

// Due is a notice that is to be delivered now.
type Due struct {
	NoticeRecord

	Tries     int       // before this one
	CreatedAt time.Time // when it was given to the subscription
}

// Claimed is what one process may deliver to a subscription until its lease ends.
type Claimed struct {
	Subscription

	Now time.Time // the database's
	Due []Due     // the longest waiting first, at most 100
}

// claimBatch is how many notices one claim has.
const claimBatch = 100

// Claim gives what is due at a subscription to holder, for the time of lease. ok is false where nothing is due, another
// process delivers, or the subscription has to wait. ErrNotFound.
func (s *Notices) Claim(ctx context.Context, id, holder string, lease time.Duration) (c Claimed, ok bool, err error) {
	const what = "claim notices"
	if holder == "" || lease <= 0 || lease > longestLease {
		return c, false, s.db.explain(what, fmt.Errorf("holder %.40q, lease %v", holder, lease))
	}
	// Nothing to claim is the usual answer and needs no writer.
	now, err := s.db.engine.clock(ctx, s.db.engine.reader())
	if err != nil {
		return c, false, s.db.explain(what, err)
	}
	var first int64
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT notice FROM notice_deliveries WHERE subscription = $1 AND state = 'waiting' AND due_at <= $2
		 ORDER BY due_at, notice LIMIT 1`, id, micros(now)).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, s.db.explain(what, err)
	}
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		c, ok = Claimed{}, false
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// A lease or a wait that lies further ahead than any is given was left by a clock that ran ahead and was put right.
		c.Subscription, err = scanSubscription(tx.QueryRowContext(ctx, `
			UPDATE notice_subscriptions SET holder = $1, held_until = $2
			 WHERE id = $3 AND (held_until <= $4 OR held_until > $5) AND (next_at <= $4 OR next_at > $5)
			RETURNING `+subscriptionColumns, holder, micros(now.Add(lease)), id, micros(now), micros(now.Add(longestLease))))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		c.Now = now
		c.Due, err = collect(ctx, tx, func(row scanner) (d Due, err error) {
			var at, created int64
			var detail string
			err = row.Scan(append(d.into(&at, &detail), &d.Tries, &created)...)
			d.read(at, detail)
			d.CreatedAt = fromMicros(created)
			return d, err
		}, `
			SELECT `+noticeColumns+`, d.tries, d.created_at
			  FROM (SELECT notice, tries, created_at, due_at FROM notice_deliveries
			         WHERE subscription = $1 AND state = 'waiting' AND due_at <= $2
			         ORDER BY due_at, notice LIMIT $3) AS d
			  JOIN notices n ON n.id = d.notice
			 ORDER BY d.due_at, d.notice`, id, micros(now), claimBatch)
		if ok = len(c.Due) > 0; err != nil || ok {
			return err
		}
		// Another process has settled it meanwhile: the claim must not keep the next notice waiting.
		_, err = tx.ExecContext(ctx, `
			UPDATE notice_subscriptions SET holder = '', held_until = 0 WHERE id = $1 AND holder = $2`, id, holder)
		return err
	})
	return c, ok && err == nil, err
}
