package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Delay notes that a person put the offer of a factor off.
func (s *SecondFactors) Delay(ctx context.Context, person PersonID, events ...Event) error {
	return s.db.write(ctx, "put a second factor off", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE second_factor_people SET delayed_at = $1 WHERE person_id = $2`, micros(now), string(person)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// Delayed tells when a person last put the offer of a factor off; zero: never.
func (s *SecondFactors) Delayed(ctx context.Context, person PersonID) (time.Time, error) {
	var at int64
	err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT delayed_at FROM second_factor_people WHERE person_id = $1`, string(person)).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromMicros(at), s.db.explain("read when a second factor was put off", err)
}

// Policies tells what the client accounts ask for that have a setting of their own.
func (s *SecondFactors) Policies(ctx context.Context) (map[AccountID]string, error) {
	type row struct {
		account AccountID
		policy  string
	}
	all, err := collect(ctx, s.db.engine.reader(), func(r scanner) (p row, err error) {
		return p, r.Scan(&p.account, &p.policy)
	}, `SELECT account, policy FROM second_factor_policies`)
	if err != nil {
		return nil, s.db.explain("read what accounts ask for", err)
	}
	policies := make(map[AccountID]string, len(all))
	for _, r := range all {
		policies[r.account] = r.policy
	}
	return policies, nil
}

// SetPolicy sets what a client account asks for; "" takes its own setting away. What stands under another spelling of
// the account goes with it, else it could never be lowered; the policies of two accounts that differ in case stay
// apart.
func (s *SecondFactors) SetPolicy(ctx context.Context, account AccountID, policy string, e Event) error {
	return s.db.change(ctx, "set what an account asks for", func(ctx context.Context, tx querier) error {
		forms, err := accountForms(ctx, tx)
		if err != nil {
			return err
		}
		spellings, err := collect(ctx, tx, scanText, `
			SELECT account FROM second_factor_policies`)
		if err != nil {
			return err
		}
		for _, spelling := range spellings {
			if AccountID(spelling) != account && (!forms.Lists(account) || forms.Stored(AccountID(spelling)) != account) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `
				DELETE FROM second_factor_policies WHERE account = $1`, spelling); err != nil {
				return err
			}
		}
		if policy != "" {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO second_factor_policies (account, policy) VALUES ($1, $2)`, string(account), policy); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}
