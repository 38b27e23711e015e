package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"log/slog"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Checkpoints. SQLite's commits go to the write-ahead log, and from there into the file. By itself SQLite does the
// second within a commit, every 1,000 pages: all who sign in at that moment wait for it. So it is done on a connection
// of its own, beside the writer. One beside the writer never gets to the end of the log while others write, and only a
// log that was copied to its end is begun anew. So past a bound the writer waits for the rest, which is little by then.

const (
	// checkpointPages of 4 KB are copied together: of a page that many commits have changed, once what SQLite's default of
	// 1000 would copy four times.
	checkpointPages = 4000
	// checkpointBound is how long the log may get while nobody reads an old state of the database.
	checkpointBound = 8000
	// checkpointPause keeps looks at the log apart.
	checkpointPause = 100 * time.Millisecond
	// logSizeLimit is what the file of the log is cut to when it is begun anew: a long backup, which needs the state that
	// it began with, has it grow by all that is written meanwhile.
	logSizeLimit = "67108864"
)

// checkpoints copies the write-ahead log into the file.
type checkpoints struct {
	db      *sql.DB    // one connection
	writing sync.Mutex // held by the writer during a transaction: who takes it keeps it waiting
	log     *slog.Logger
	pages   int
	bound   int

	due     chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}
}

func newCheckpoints(path string, log *slog.Logger) *checkpoints {
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpoints{
		db: openSQLiteWriter(path), log: log, pages: checkpointPages, bound: checkpointBound,
		due: make(chan struct{}, 1), stop: stop, stopped: make(chan struct{}),
	}
	go c.run(ctx)
	return c
}

// committed has the log looked at soon. It never waits.
func (c *checkpoints) committed() {
	select {
	case c.due <- struct{}{}:
	default: // it is due already
	}
}

func (c *checkpoints) run(ctx context.Context) {
	defer close(c.stopped)
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.due:
		}
		err := c.look(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			c.log.LogAttrs(ctx, slog.LevelError, "the write-ahead log can't be copied into the database file; it grows until "+
				"that works again",
				slog.Any("cause", err))
		}
		failed = err != nil
		wait := time.NewTimer(checkpointPause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// look copies what is due.
func (c *checkpoints) look(ctx context.Context) error {
	log, done, err := c.checkpoint(ctx, `PRAGMA wal_checkpoint(NOOP)`)
	if err != nil || log-done < c.pages && log < c.bound {
		return err
	}
	if log, _, err = c.checkpoint(ctx, `PRAGMA wal_checkpoint(PASSIVE)`); err != nil || log < c.bound {
		return err
	}
	// What was written during the first copy: the rest for which the writer waits is short.
	if _, _, err = c.checkpoint(ctx, `PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, _, err = c.checkpoint(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
	return err
}

// checkpoint returns how many pages the log has, and how many of them are in the file.
func (c *checkpoints) checkpoint(ctx context.Context, pragma string) (log, done int, err error) {
	var busy int
	err = c.db.QueryRowContext(ctx, pragma).Scan(&busy, &log, &done)
	return log, done, err
}

func (c *checkpoints) close() error {
	c.stop()
	<-c.stopped
	return c.db.Close()
}

// sqliteWriter opens connections that write, and leave checkpoints to others.
type sqliteWriter struct {
	dsn    string
	driver sqlite3.SQLiteDriver
}

// openSQLiteWriter is the pool of one connection that writes.
func openSQLiteWriter(path string) *sql.DB {
	db := sql.OpenDB(&sqliteWriter{dsn: writerDSN(path),
		driver: sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
			// What a change that may be taken back has overwritten is kept in memory: a group of changes would make a file for
			// it each time.
			_, err := c.Exec(`PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = `+
				logSizeLimit, nil)
			return err
		}}})
	db.SetMaxOpenConns(1)
	return db
}

func (w *sqliteWriter) Connect(context.Context) (driver.Conn, error) { return w.driver.Open(w.dsn) }

func (w *sqliteWriter) Driver() driver.Driver { return &w.driver }

// statisticsFrom is how many rows a table has when statistics are kept of it. Those of a small one say that reading all
// of it costs no more than an index does. They would still say so a month later of a large one: a connection reads
// statistics when it opens. Without any, SQLite takes a table to be large.
const statisticsFrom = 10_000

// optimizePragma has statistics made of tables that have changed much, as
// https://www.sqlite.org/pragma.html#pragma_optimize advises for programs that keep a database open. The bits are:
// analyze (0x2); look at a bounded number of rows (0x10), since the writer waits, and a first look at all of millions
// of events would take long; all tables (0x10000) and not only those that this connection has looked into: most are
// read by others.
const optimizePragma = `PRAGMA optimize = 0x10012`

// optimize renews the statistics.
func (s *sqlite) optimize(ctx context.Context) error {
	s.copies.writing.Lock()
	defer s.copies.writing.Unlock()
	// One transaction: nobody must read those of small tables in between.
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing; before, the first error counts
	if _, err := tx.ExecContext(ctx, optimizePragma); err != nil {
		return err
	}
	var made bool
	if err := tx.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1')`).Scan(&made); err != nil || !made {
		return err
	}
	// The first number of each text is that of the rows.
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM sqlite_stat1
		 WHERE tbl IN (SELECT tbl FROM sqlite_stat1 GROUP BY tbl HAVING MAX(CAST(stat AS INTEGER)) < $1)`, statisticsFrom); err != nil {
		return err
	}
	// This connection has read them already.
	if _, err := tx.ExecContext(ctx, `ANALYZE sqlite_schema`); err != nil {
		return err
	}
	return tx.Commit()
}
