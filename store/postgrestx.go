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

// postgresTx is a transaction that begins with its first statement: where that one is sent with others, all of them
// cost one round trip.
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
		// A row is not made with an error of ours, yet nothing may run outside the transaction: this one fails, and t.fault
		// counts.
		ended, end := context.WithCancel(ctx)
		end()
		return t.conn.QueryRowContext(ended, query, args...)
	}
	return t.conn.QueryRowContext(ctx, query, args...)
}

// steps sends all statements at once, and the begin with them. After one that failed the server runs none of the
// others.
func (t *postgresTx) steps(ctx context.Context, all []step) error {
	if t.fault != nil {
		return t.fault
	}
	begin := ""
	if !t.begun {
		begin, t.begun = t.begin, true // or it failed, and all with it
	}
	return t.raw(func(c *pgx.Conn) error { return sendSteps(ctx, c, begin, all) })
}

// sendSteps sends statements at once, behind one that begins a transaction unless that is "".
func sendSteps(ctx context.Context, c *pgx.Conn, begin string, all []step) error {
	var batch pgx.Batch
	if begin != "" {
		batch.Queue(begin)
	}
	for _, s := range all {
		batch.Queue(s.text, s.args...)
	}
	results := c.SendBatch(ctx, &batch)
	err := readSteps(results, begin != "", all)
	if closed := results.Close(); err == nil {
		err = closed
	}
	return err
}

func readSteps(results pgx.BatchResults, begins bool, all []step) error {
	if begins {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	for _, s := range all {
		var err error
		switch {
		case s.each != nil:
			err = readEach(results, s.each)
		case s.row != nil:
			err = s.answered(s.row(results.QueryRow()))
		default:
			_, err = results.Exec()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readEach(results pgx.BatchResults, each func(scanner) error) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// postgresReader reads with any connection.
type postgresReader struct{ *sql.DB }

// steps sends statements that only read, at once.
func (p postgresReader) steps(ctx context.Context, all []step) error {
	conn, err := p.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error { return sendSteps(ctx, c.(*stdlib.Conn).Conn(), "", all) })
}

// commit ends the transaction. Where a statement failed and nobody looked at its error, the server rolls back and says
// so.
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

// rollback ends a transaction that is still open, also for a caller who is gone. A connection on which that fails
// serves nobody else.
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
