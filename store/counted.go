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

	// Of these, what was asked in the contexts of ForRequests.
	RequestStatements, RequestTransactions int64
}

// Usage counts what this process asked of the database.
func (db *DB) Usage() Usage {
	return Usage{db.work.statements.Load(), db.work.transactions.Load(), db.work.requestStatements.Load(),
		db.work.requestTransactions.Load()}
}

type requestsKey struct{}

// ForRequests has Usage count what is asked of the database in ctx and what is made of it as asked by requests: so the
// cost of a sign-in can be told from what goes on beside it.
func ForRequests(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestsKey{}, true)
}

func forRequest(ctx context.Context) bool { return ctx.Value(requestsKey{}) != nil }

type workCounter struct {
	statements, transactions               atomic.Int64
	requestStatements, requestTransactions atomic.Int64
}

func (w *workCounter) statement(ctx context.Context, n int) {
	w.statements.Add(int64(n))
	if forRequest(ctx) {
		w.requestStatements.Add(int64(n))
	}
}

func (w *workCounter) transaction(ctx context.Context) {
	w.transactions.Add(1)
	if forRequest(ctx) {
		w.requestTransactions.Add(1)
	}
}

// counted counts what passes an engine, and has a span for it.
type counted struct {
	engine
	n             *workCounter
	span          spanner
	reading, list querier
}

func newCounted(e engine, n *workCounter, span spanner) counted {
	return counted{e, n, span, counting{e.reader(), n, span}, counting{e.lister(), n, span}}
}

func (c counted) write(ctx context.Context, fn work) error {
	ctx, end := c.span.begin(ctx, spanTransaction)
	err := c.engine.write(ctx, func(ctx context.Context, tx querier) error {
		c.n.transaction(ctx) // also one that is run again
		return fn(ctx, counting{tx, c.n, c.span})
	})
	if end != nil {
		failed := err
		if !c.unavailable(err) { // most are answers: that there is none, that it is there already
			failed = nil
		}
		end(statementName(), "", failed)
	}
	return err
}

func (c counted) reader() querier { return c.reading }

func (c counted) lister() querier { return c.list }

// counting is a querier whose statements are counted.
type counting struct {
	querier
	n    *workCounter
	span spanner
}

func (c counting) steps(ctx context.Context, all []step) error {
	if s, ok := c.querier.(stepper); ok {
		c.n.statement(ctx, len(all))
		ctx, end := c.span.begin(ctx, spanStatements)
		err := s.steps(ctx, all)
		if end != nil {
			end(statementName(), "", failure(err))
		}
		return err
	}
	for _, s := range all {
		if err := s.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (c counting) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.n.statement(ctx, 1)
	ctx, end := c.span.begin(ctx, spanStatement)
	res, err := c.querier.ExecContext(ctx, query, args...)
	if end != nil {
		end(statementName(), "", failure(err))
	}
	return res, err
}

func (c counting) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.n.statement(ctx, 1)
	ctx, end := c.span.begin(ctx, spanStatement)
	rows, err := c.querier.QueryContext(ctx, query, args...)
	if end != nil {
		end(statementName(), "", failure(err))
	}
	return rows, err
}

func (c counting) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	c.n.statement(ctx, 1)
	ctx, end := c.span.begin(ctx, spanStatement)
	row := c.querier.QueryRowContext(ctx, query, args...)
	if end != nil {
		end(statementName(), "", failure(row.Err()))
	}
	return row
}
