package store

import (
	"context"
	"database/sql"
	"sync/atomic"
)

// Usage is what the database was asked since it was opened.
type Usage struct {
	// each by itself, whether sent alone or with others; savepoints and the ends of transactions are none
	Statements   int64
	Transactions int64 // changes; several may have shared a commit
}

// Usage counts what this process asked of the database.
func (db *DB) Usage() Usage {
	return Usage{db.work.statements.Load(), db.work.transactions.Load()}
}

type workCounter struct{ statements, transactions atomic.Int64 }

// counted counts what passes an engine.
type counted struct {
	engine
	n             *workCounter
	reading, list querier
}

func newCounted(e engine, n *workCounter) counted {
	return counted{e, n, counting{e.reader(), n}, counting{e.lister(), n}}
}

func (c counted) write(ctx context.Context, fn work) error {
	return c.engine.write(ctx, func(ctx context.Context, tx querier) error {
		c.n.transactions.Add(1) // also one that is run again
		return fn(ctx, counting{tx, c.n})
	})
}

func (c counted) reader() querier { return c.reading }

func (c counted) lister() querier { return c.list }

// counting is a querier whose statements are counted.
type counting struct {
	querier
	n *workCounter
}

func (c counting) steps(ctx context.Context, all []step) error {
	if s, ok := c.querier.(stepper); ok {
		c.n.statements.Add(int64(len(all)))
		return s.steps(ctx, all)
	}
	for _, s := range all {
		if err := s.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (c counting) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.n.statements.Add(1)
	return c.querier.ExecContext(ctx, query, args...)
}

func (c counting) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.n.statements.Add(1)
	return c.querier.QueryContext(ctx, query, args...)
}

func (c counting) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	c.n.statements.Add(1)
	return c.querier.QueryRowContext(ctx, query, args...)
}
