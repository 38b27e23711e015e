package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// rollbackTimeout bounds the end of a transaction whose caller may be gone.
const rollbackTimeout = 5 * time.Second

// postgresTx is a transaction that begins with its first statement: where that one is sent with others, all of them cost one round
// trip.
type postgresTx struct {
	conn  *sql.Conn
	begin string
	begun bool
	fault error // why it did not begin
}

// begins are the texts that begin a transaction.
var begins = map[sql.IsolationLevel]string{
	sql.LevelDefault:        "begin",
	sql.LevelRepeatableRead: "begin isolation level repeatable read",
	sql.LevelSerializable:   "begin isolation level serializable",
}

// once runs fn in a transaction of its own.
func (p *postgres) once(ctx context.Context, fn work) error {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx := &postgresTx{conn: conn, begin: begins[p.level]}
	defer tx.rollback(ctx) // after a commit it does nothing; before, the first error counts
	err = fn(ctx, tx)
	if tx.fault != nil {
		return tx.fault
	}
	if err != nil {
		return err
	}
	if err := tx.commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// start begins the transaction by itself.
func (t *postgresTx) start(ctx context.Context) error {
	if t.begun || t.fault != nil {
		return t.fault
	}
	_, t.fault = t.conn.ExecContext(ctx, t.begin)
	t.begun = t.fault == nil
	return t.fault
}

func (t *postgresTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	return t.conn.ExecContext(ctx, query, args...)
}

func (t *postgresTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	return t.conn.QueryContext(ctx, query, args...)
}

func (t *postgresTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := t.start(ctx); err != nil {
		// A row is not made with an error of ours, yet nothing may run outside the transaction: this one fails, and t.fault counts.
		ended, end := context.WithCancel(ctx)
		end()
		return t.conn.QueryRowContext(ended, query, args...)
	}
	return t.conn.QueryRowContext(ctx, query, args...)
}

// steps sends all statements at once, and the begin with them. After one that failed the server runs none of the others.
func (t *postgresTx) steps(ctx context.Context, all []step) error {
	if t.fault != nil {
		return t.fault
	}
	return t.raw(func(c *pgx.Conn) error {
		var batch pgx.Batch
		begins := !t.begun
		if begins {
			batch.Queue(t.begin)
			t.begun = true // or it failed, and all with it
		}
		for _, s := range all {
			batch.Queue(s.text, s.args...)
		}
		results := c.SendBatch(ctx, &batch)
		err := readSteps(results, begins, all)
		if closed := results.Close(); err == nil {
			err = closed
		}
		return err
	})
}

func readSteps(results pgx.BatchResults, begins bool, all []step) error {
	if begins {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	for _, s := range all {
		var err error
		if s.row == nil {
			_, err = results.Exec()
		} else {
			err = s.answered(s.row(results.QueryRow()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// commit ends the transaction. Where a statement failed and nobody looked at its error, the server rolls back and says so.
func (t *postgresTx) commit(ctx context.Context) error {
	if !t.begun {
		return nil // no statement ran
	}
	return t.raw(func(c *pgx.Conn) error {
		tag, err := c.Exec(ctx, "commit")
		if err == nil && tag.String() == "ROLLBACK" {
			err = pgx.ErrTxCommitRollback
		}
		return err
	})
}

// rollback ends a transaction that is still open, also for a caller who is gone. A connection on which that fails serves nobody else.
func (t *postgresTx) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = t.raw(func(c *pgx.Conn) error {
		if c.IsClosed() {
			return driver.ErrBadConn
		}
		if c.PgConn().TxStatus() == 'I' {
			return nil
		}
		if _, err := c.Exec(ctx, "rollback"); err != nil {
			return driver.ErrBadConn
		}
		return nil
	})
}

func (t *postgresTx) raw(do func(*pgx.Conn) error) error {
	return t.conn.Raw(func(c any) error { return do(c.(*stdlib.Conn).Conn()) })
}
