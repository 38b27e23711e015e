package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Account is a client account as the partner API last listed it.
type Account struct {
	ID            AccountID
	Name          string
	BillingStatus string
	SeenAt        time.Time // in the list
	PlanType      string    // as last read by itself; "" before
	CheckedAt     time.Time // when it was last read by itself
}

// Accounts keeps the list of client accounts.
type Accounts struct{ db *DB }

// Accounts returns the client accounts of this database.
func (db *DB) Accounts() *Accounts { return &Accounts{db} }

// ReplaceAll stores the whole list as just read from the partner API; accounts that are
// no longer listed are kept, with their old SeenAt. A zero SeenAt becomes the
// present. What was read of an account by itself stays: PlanType and CheckedAt
// are not looked at. The change counter moves only when a name, a status or an id is new.
func (s *Accounts) ReplaceAll(ctx context.Context, all []Account, e Event) error {
	err := s.db.write(ctx, "store client accounts", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := holdChanges(ctx, tx); err != nil {
			return err
		}
		stored, err := collect(ctx, tx, scanAccount, `
			SELECT `+accountColumns+` FROM accounts`)
		if err != nil {
			return err
		}
		before := make(map[AccountID]Account, len(stored))
		for _, a := range stored {
			before[a.ID] = a
		}
		for _, a := range all {
			if b, known := before[a.ID]; !known || a.Name != b.Name || a.BillingStatus != b.BillingStatus {
				if err := raise(ctx, tx); err != nil {
					return err
				}
				break
			}
		}
		for _, a := range all {
			seen := a.SeenAt
			if seen.IsZero() {
				seen = now
			}
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO accounts (id, name, billing_status, seen_at) VALUES ($1, $2, $3, $4)
				ON CONFLICT (id) DO UPDATE SET name = excluded.name,
				    billing_status = excluded.billing_status, seen_at = excluded.seen_at`,
				string(a.ID), a.Name, a.BillingStatus, micros(seen)); err != nil {
				return err
			}
			if b, known := before[a.ID]; known {
				a.PlanType = b.PlanType
				if err := inSteps(ctx, tx, accountNotices(b, a, now)...); err != nil {
					return err
				}
			}
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	s.db.changes.forget()
	return err
}

// Put stores what was read of one client account, with the event. Empty Name and SeenAt leave what is there; a zero
// CheckedAt becomes the present. The change counter moves only when name or billing status changed, or the id is new.
func (s *Accounts) Put(ctx context.Context, a Account, e Event) error {
	err := s.db.write(ctx, "store client account", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := holdChanges(ctx, tx); err != nil {
			return err
		}
		before, err := getAccount(ctx, tx, a.ID)
		known := err == nil
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if a.Name == "" {
			a.Name = before.Name
		}
		if a.SeenAt.IsZero() {
			a.SeenAt = before.SeenAt
		}
		if a.CheckedAt.IsZero() {
			a.CheckedAt = now
		}
		if !known || a.Name != before.Name || a.BillingStatus != before.BillingStatus {
			if err := raise(ctx, tx); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO accounts (id, name, billing_status, seen_at, plan_type, checked_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, billing_status = excluded.billing_status,
			    seen_at = excluded.seen_at, plan_type = excluded.plan_type, checked_at = excluded.checked_at`,
			string(a.ID), a.Name, a.BillingStatus, micros(a.SeenAt), a.PlanType, micros(a.CheckedAt)); err != nil {
			return err
		}
		if known {
			if err := inSteps(ctx, tx, accountNotices(before, a, now)...); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	s.db.changes.forget()
	return err
}

// accountNotices report that the status or the plan of a client account has changed. What was not known before is no
// change.
func accountNotices(was, is Account, now time.Time) (all []step) {
	report := func(class NoticeClass, from, to string) {
		if from == "" || to == "" || from == to {
			return
		}
		n := NoticeRecord{At: now, Class: class, Account: is.ID, Subject: string(is.ID),
			Detail: DetailOf(map[string]any{"was": from, "is": to})}
		all = append(all, n.step())
	}
	class := NoticeAccountStatus
	switch strings.ToLower(is.BillingStatus) {
	case "canceled", "cancelled":
		class = NoticeAccountCancelled
	case "disabled":
		class = NoticeAccountDisabled
	}
	report(class, was.BillingStatus, is.BillingStatus)
	report(NoticeAccountTier, was.PlanType, is.PlanType)
	return all
}

// holdChanges puts those who may raise the change counter one after the other on PostgreSQL: what they compare is then
// still so at the commit.
func holdChanges(ctx context.Context, tx querier) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE counters SET value = value WHERE name = 'changes'`)
	return err
}

// Get returns one client account. ErrNotFound.
func (s *Accounts) Get(ctx context.Context, id AccountID) (Account, error) {
	a, err := getAccount(ctx, s.db.engine.reader(), id)
	return a, s.db.explain("get client account", err)
}

func getAccount(ctx context.Context, q querier, id AccountID) (Account, error) {
	return scanAccount(q.QueryRowContext(ctx, `
		SELECT `+accountColumns+` FROM accounts WHERE id = $1`, string(id)))
}

// List returns all client accounts ever listed, by id.
func (s *Accounts) List(ctx context.Context) ([]Account, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanAccount, `
		SELECT `+accountColumns+` FROM accounts ORDER BY id`)
	return all, s.db.explain("list client accounts", err)
}

// Any tells whether a client account was ever listed.
func (s *Accounts) Any(ctx context.Context) (any bool, err error) {
	err = s.db.engine.reader().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM accounts)`).Scan(&any)
	return any, s.db.explain("look for a client account", err)
}

const accountColumns = `id, name, billing_status, seen_at, plan_type, checked_at`

func scanAccount(row scanner) (a Account, err error) {
	var seen, checked int64
	err = row.Scan(&a.ID, &a.Name, &a.BillingStatus, &seen, &a.PlanType, &checked)
	a.SeenAt, a.CheckedAt = fromMicros(seen), fromMicros(checked)
	return a, err
}
