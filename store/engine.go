package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// querier is what statements run on: a transaction, or the connections for reading.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// work is the body of a transaction. It may run twice, so it has no effect
// outside the transaction but to set variables anew.
type work func(ctx context.Context, tx querier) error

// engine is what truly differs between SQLite and PostgreSQL.
type engine interface {
	// write runs fn in one transaction, which is durable when write returns nil.
	// When fn fails, nothing of it stays, and its error is returned.
	write(ctx context.Context, fn work) error
	// reader serves single statements that only read.
	reader() querier
	// lister is reader for lists with filters, whose best plan depends on what is looked for: each is planned for its
	// arguments.
	lister() querier
	// unseen is a parameter of bytes that no plan depends on.
	unseen(param string) string
	// clock reads the time that all who share this database agree on.
	clock(ctx context.Context, q querier) (time.Time, error)
	// fault classifies a driver's error by its code.
	fault(err error) fault
	// unavailable tells whether an error is about the database as a whole: see ErrUnavailable.
	unavailable(err error) bool
	// staleness is how old an answer of Changes may be.
	staleness() time.Duration
	// place names where the database stands; "" where a copy stands in the same place as what it was copied from.
	place(ctx context.Context) string
	// reached tells by which ways the database is reached; none for a file.
	reached() []Route
	// older tells whether a program of the version before this one uses this database.
	older(ctx context.Context) (bool, error)
	// file tells that the database is one file of this machine, which one program at a time has.
	file() bool
	// inPlace and serveAlone: see DB.InPlace and DB.ServeAlone.
	inPlace() error
	serveAlone(ctx context.Context) error
	// optimize has statistics for the planner renewed where that is not done by the database itself.
	optimize(ctx context.Context) error
	// backup writes a consistent copy into the existing empty file at path.
	backup(ctx context.Context, path string) error
	close() error
}

// fault is the class of an error that a database gave.
type fault int

const (
	otherFault fault = iota
	duplicate        // a unique constraint
	dangling         // a foreign key
	unstorable       // a text with NUL or broken UTF-8, which no row can hold
	passing          // busy, deadlock, serialization: the same transaction may work if run again
)

// write runs fn in one transaction and puts what was being done before its error.
func (db *DB) write(ctx context.Context, what string, fn work) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var own []ownEvent // that this transaction writes
	revoked := &words{}
	err := db.engine.write(ctx, func(ctx context.Context, tx querier) error {
		own = nil // it is run again where another one crossed it
		revoked.noted, revoked.entries = nil, nil
		ctx = context.WithValue(context.WithValue(ctx, eventWriting{}, &eventWriter{own: &own, macs: vouching{db.voucher}}),
			revoking{}, revoked)
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return db.writeWords(ctx, tx, revoked)
	})
	db.finishWords(ctx, revoked, err == nil)
	if err == nil {
		db.own.add(own)
	}
	return db.explain(what, err)
}

// change is write for configuration: it raises the change counter first, whose
// row lock also puts such changes one after the other on PostgreSQL. So a
// check inside fn over several rows still holds at the commit.
func (db *DB) change(ctx context.Context, what string, fn work) error {
	err := db.write(ctx, what, func(ctx context.Context, tx querier) error {
		if err := raise(ctx, tx); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
	db.changes.forget()
	readingOf(ctx).forget()
	return err
}

// explain turns what callers tell apart into our errors, by code and never by
// text, and wraps the rest.
func (db *DB) explain(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	switch db.engine.fault(err) {
	case duplicate:
		return fmt.Errorf("%s: %w", what, ErrConflict)
	case unstorable:
		// Strangers put such things into URLs: to them it is just not there.
		return fmt.Errorf("%s: a text that can't be stored: %w", what, ErrNotFound)
	case dangling:
		return fmt.Errorf("%s: what it belongs to is gone: %w", what, ErrNotFound)
	}
	if db.engine.unavailable(err) {
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// scanner is a row or the current one of several.
type scanner interface{ Scan(dest ...any) error }

// collect reads all rows of a query.
func collect[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string,
	args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// rowsAffected runs a statement and tells how many rows it changed.
func rowsAffected(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// micros is how a time stands in a table: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// maybe is NULL for an empty value: a hash that is not known yet.
func maybe(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// blob is never NULL: an empty value stays an empty value.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
