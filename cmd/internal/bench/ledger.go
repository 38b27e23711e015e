package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"ssobridge/store"
)

// The ledgers that are compared.
const (
	smallLedger = 1_000
	fullLedger  = 1_000_000
	lookups     = 50_000
)

// measureLedger signs people in over a small and over a full ledger in turns, and looks single users up in the full
// one.
func (b *bench) measureLedger(ctx context.Context) error {
	var bridges []*bridge
	for _, rows := range []int{smallLedger, fullLedger} {
		br, err := b.running(ctx, fmt.Sprintf("ledger-%d", rows), "rsa-2048", nil, b.o.people)
		if err != nil {
			return err
		}
		if err := br.stop(); err != nil {
			return err
		}
		b.progress("  storing %d SSO users", rows)
		if err := fillLedger(ctx, br.database(), rows-b.o.people); err != nil {
			return err
		}
		if _, err := br.start(ctx); err != nil {
			return err
		}
		defer func() { _ = br.stop() }()
		bridges = append(bridges, br)
	}
	type round struct{ small, full times }
	var all []round
	for range b.o.rounds {
		var r round
		for i, into := range []*times{&r.small, &r.full} {
			open := &opened{}
			took, err := schedule(ctx, connections, 40, b.o.span(10), open.signer(ctx, bridges[i]))
			open.close()
			if err != nil {
				return fmt.Errorf("sign in afresh: %w", err)
			}
			*into = took
		}
		b.progress("  p50 %s over the small ledger, %s over the full one", ms(r.small.at(0.5)), ms(r.full.at(0.5)))
		all = append(all, r)
	}
	middle := func(r round) float64 { return float64(r.full.at(0.5)) / float64(r.small.at(0.5)) }
	r := median(all, middle)
	b.report.note("fresh sign-in p50, small and full ledger", "%s and %s", ms(r.small.at(0.5)), ms(r.full.at(0.5)))
	b.report.figure(signInFullLedger, middle(r))
	took, err := lookup(ctx, bridges[1].database())
	if err != nil {
		return err
	}
	b.report.figure(ledgerLookup, float64(took))
	return nil
}

// fillLedger adds active SSO users to the store of a bridge that is stopped.
func fillLedger(ctx context.Context, path string, rows int) error {
	err := bulkSQLite(ctx, path, []string{"sso_users"}, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO sso_users (person_id, account, external_id, external_provider, login_name, contact_email, first_name, last_name,
			    role, mapping, state, maybe_sent, attempts, next_attempt, lease_until, due_at, error_key, error_text, created_at, updated_at)
			SELECT printf('%08x-0000-4000-8000-%012x', (i * 2654435761) & 4294967295, i) AS person, 'filler', printf('filler-%d', i), 'filler',
			    printf('filler-%d', i), 'filler@example.test', 'Fill', 'Er', 'account_manager', 1, 'active', 0, 1, 0, 0, 0, '', '', 1, 1
			  FROM n ORDER BY person`, rows)
		return err
	})
	if err != nil {
		return fmt.Errorf("fill the ledger: %w", err)
	}
	return nil
}

// lookup is the mean time of finding one SSO user, by the program's own store.
func lookup(ctx context.Context, path string) (took time.Duration, err error) {
	db, err := store.Open(ctx, store.Options{DSN: "sqlite:" + path})
	if err != nil {
		return 0, fmt.Errorf("open the store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ledger := db.Ledger()
	began := time.Now()
	for range lookups {
		i := 1 + rand.IntN(fullLedger-10_000)
		person := fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i*2654435761), i)
		if _, err := ledger.Get(ctx, store.PersonID(person), "filler"); err != nil {
			return 0, fmt.Errorf("look an SSO user up: %w", err)
		}
	}
	return time.Since(began) / lookups, nil
}
