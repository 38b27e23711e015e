package store

import (
	"context"
	"time"
)

// Account is a client account as the partner API last listed it.
type Account struct {
	ID            AccountID
	Name          string
	BillingStatus string
	SeenAt        time.Time
}

// Accounts keeps the list of client accounts.
type Accounts struct{ db *DB }

// Accounts returns the client accounts of this database.
func (db *DB) Accounts() *Accounts { return &Accounts{db} }

// ReplaceAll stores the whole list as just read from the partner API; accounts that are
// no longer listed are kept, with their old SeenAt. A zero SeenAt becomes the
// present. The change counter moves only when a name, a status or an id is new.
func (s *Accounts) ReplaceAll(ctx context.Context, all []Account, e Event) error {
	err := s.db.write(ctx, "store client accounts", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		stored, err := collect(ctx, tx, scanAccount, `
			SELECT id, name, billing_status, seen_at FROM accounts`)
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
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
	s.db.changes.forget()
	return err
}

// List returns all client accounts ever listed, by id.
func (s *Accounts) List(ctx context.Context) ([]Account, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanAccount, `
		SELECT id, name, billing_status, seen_at FROM accounts ORDER BY id`)
	return all, s.db.explain("list client accounts", err)
}

func scanAccount(row scanner) (a Account, err error) {
	var seen int64
	err = row.Scan(&a.ID, &a.Name, &a.BillingStatus, &seen)
	a.SeenAt = fromMicros(seen)
	return a, err
}
