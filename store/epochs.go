package store

import (
	"context"
	"database/sql"
	"errors"
)

// Epoch is a person's epoch, which a revocation raises (EndPerson). Whoever begins a login or a proof remembers it; what is stored at the end is refused
// where it has moved meanwhile. It is 0 for somebody of whom nothing was ever revoked.
func (s *Sessions) Epoch(ctx context.Context, p PersonID) (epoch int64, err error) {
	epoch, err = personEpoch(ctx, s.db.engine.reader(), p)
	return epoch, s.db.explain("read epoch of a person", err)
}

func personEpoch(ctx context.Context, q querier, p PersonID) (epoch int64, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT epoch FROM person_epochs WHERE person_id = $1`, string(p)).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return epoch, err
}

// raiseEpoch moves a person's epoch on. Its row's lock puts revocations of one person one
// after the other.
func raiseEpoch(ctx context.Context, tx querier, p PersonID) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO person_epochs (person_id, epoch) VALUES ($1, 1)
		ON CONFLICT (person_id) DO UPDATE SET epoch = person_epochs.epoch + 1`, string(p))
	return err
}
