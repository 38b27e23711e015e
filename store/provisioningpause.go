package store

import (
	"context"
	"time"
)

// ProvisioningPause is why creations by plans are held back; Since is zero where they are not. A restored database is
// held: it has forgotten users that exist. While it lasts, sign-ins go on creating whom nobody knows, and a 409 there
// counts as our own user.
type ProvisioningPause struct {
	Since  time.Time
	By     string
	Reason string // a fixed word: "restore", "ledger-lost", "admin"
}

// ProvisioningPause tells whether creations are held.
func (s *Ledger) ProvisioningPause(ctx context.Context) (ProvisioningPause, error) {
	var (
		h     ProvisioningPause
		since int64
	)
	err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT since, holder, reason FROM hold WHERE id = 1`).Scan(&since, &h.By, &h.Reason)
	h.Since = fromMicros(since)
	return h, s.db.explain("read the hold on creations", err)
}

// SetProvisioningPause begins a hold (reason not empty; one that runs goes on as it is) or lifts it (reason empty),
// with its event. The holder is the event's actor. Where nothing changes, nothing is recorded.
func (s *Ledger) SetProvisioningPause(ctx context.Context, reason string, e Event) error {
	return s.db.write(ctx, "set the hold on creations", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		var (
			n   int64
			err error
		)
		if reason != "" {
			n, err = rowsAffected(ctx, tx, `
				UPDATE hold SET since = $1, holder = $2, reason = $3 WHERE id = 1 AND since = 0`, micros(now), sanitize(e.Actor), sanitize(reason))
		} else {
			n, err = rowsAffected(ctx, tx, `
				UPDATE hold SET since = 0, holder = '', reason = '' WHERE id = 1 AND since > 0`)
		}
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}
