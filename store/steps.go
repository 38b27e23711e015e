package store

import (
	"context"
	"database/sql"
	"errors"
)

// step is a statement of a transaction that does not need the answer to the one before it.
type step struct {
	text string
	args []any
	// row reads the row that it returns; nil: it returns none. sql.ErrNoRows: there is none, which is an error unless none
	// says so.
	row  func(scanner) error
	none bool
	// each reads each of the rows that it returns, of any number; then row is nil.
	each func(scanner) error
}

// hit is a step that returns a row where it did something: *did tells so.
func hit(did *bool, text string, args ...any) step {
	*did = false
	return step{text: text, args: args, none: true, row: func(row scanner) error {
		var any int64
		err := row.Scan(&any)
		*did = err == nil
		return err
	}}
}

// stepper is a transaction that sends several statements at once.
type stepper interface {
	steps(ctx context.Context, all []step) error
}

// inSteps runs statements one after the other, in one round trip where the database is reached over a network. The
// first error ends them, and the transaction with them. Outside a transaction they may only read.
func inSteps(ctx context.Context, tx querier, all ...step) error {
	if len(all) == 0 {
		return nil
	}
	if s, ok := tx.(stepper); ok {
		return s.steps(ctx, all)
	}
	for _, s := range all {
		if err := s.run(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (s step) run(ctx context.Context, tx querier) error {
	if s.each != nil {
		rows, err := tx.QueryContext(ctx, s.text, s.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := s.each(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	if s.row == nil {
		_, err := tx.ExecContext(ctx, s.text, s.args...)
		return err
	}
	return s.answered(s.row(tx.QueryRowContext(ctx, s.text, s.args...)))
}

// answered is what the error of reading its row means.
func (s step) answered(err error) error {
	if s.none && errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
