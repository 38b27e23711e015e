package store

import "context"

// A person's epoch is the number of the last revocation that concerned them, 0 for none. All revocations have one
// sequence of numbers. So a login can remember how far the sequence was (Mark) before it knows who logs in.

// Mark is the number of the last revocation of anybody. Whoever begins a login reads it before the password is looked
// at, and hands it to Create.
func (s *Sessions) Mark(ctx context.Context) (mark int64, err error) {
	err = inSteps(ctx, s.db.engine.reader(), markStep(&mark))
	return mark, s.db.explain("read the number of revocations", err)
}

func markStep(mark *int64) step {
	return step{
		text: `
			SELECT value FROM counters WHERE name = 'epochs'`,
		row: func(row scanner) error { return row.Scan(mark) },
	}
}

// Epoch is a person's epoch. It is 0 for somebody of whom nothing was ever revoked.
func (s *Sessions) Epoch(ctx context.Context, p PersonID) (epoch int64, err error) {
	epoch, err = personEpoch(ctx, s.db.engine.reader(), p)
	return epoch, s.db.explain("read epoch of a person", err)
}

func personEpoch(ctx context.Context, q querier, p PersonID) (epoch int64, err error) {
	err = inSteps(ctx, q, epochStep(p, &epoch))
	return epoch, err
}

// epochStep reads a person's epoch.
func epochStep(p PersonID, epoch *int64) step {
	*epoch = 0
	return step{
		text: `
			SELECT epoch FROM person_epochs WHERE person_id = $1`,
		args: []any{string(p)}, none: true,
		row: func(row scanner) error { return row.Scan(epoch) },
	}
}

// nextEpoch moves a person's epoch on and returns it. The counter's row lock is kept until the commit: numbers become
// visible in their order, so that no revocation can appear below a mark that was read before it.
func nextEpoch(ctx context.Context, tx querier, p PersonID) (epoch int64, err error) {
	if err := tx.QueryRowContext(ctx, `
		UPDATE counters SET value = value + 1 WHERE name = 'epochs' RETURNING value`).Scan(&epoch); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO person_epochs (person_id, epoch) VALUES ($1, $2)
		ON CONFLICT (person_id) DO UPDATE SET epoch = excluded.epoch`, string(p), epoch)
	return epoch, err
}
