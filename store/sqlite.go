package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

const (
	sqliteReaders = 8
	// The caches of pages, in KB for each connection. What a reader has in its own goes with the next commit, so a large
	// one of each would be memory alone: whatever one of them has walked through stays there until then.
	readerCache = "1000"
	writerCache = "4000"
	// busyTimeout is how long one attempt waits for another process's write.
	busyTimeout = 5 * time.Second
	// lockPatience is how long Open waits for another process's migration or restore.
	lockPatience = 30 * time.Second
)

// sqlite is one file, written by one goroutine, read by several connections.
type sqlite struct {
	now    func() time.Time
	writer *sql.DB
	group  *group
	copies *checkpoints
	read   *sql.DB
	inUse  *fileLock
	serves *fileLock // nil: nobody has asked for it
	places *places
}

func openSQLite(ctx context.Context, path string, o Options) (_ *sqlite, upgraded bool, err error) {
	path, err = sqlitePath(path)
	if err != nil {
		return nil, false, err
	}
	if o.Existing { // before anything is made beside it
		if err := storeThere(path); err != nil {
			return nil, false, err
		}
	}
	s := &sqlite{now: o.Now}
	defer func() {
		if err != nil {
			_ = s.close()
		}
	}()

	// Held until Close: Restore takes it exclusively before it replaces the file.
	if s.inUse, err = lockFile(ctx, path+".lock", sharedLock, lockPatience); err != nil {
		return nil, false, err
	}
	if err := oneName(path); err != nil {
		return nil, false, err
	}
	// Creating the file, switching it to WAL and migrating are done by one opener at a time.
	migrating, err := lockFile(ctx, path+".migrate.lock", exclusiveLock, lockPatience)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, migrating.unlock()) }()

	if o.Existing { // Restore, which takes it away, was waited for
		if err := storeThere(path); err != nil {
			return nil, false, err
		}
	}
	if err := ownFile(path, o.Logger); err != nil {
		return nil, false, err
	}
	s.writer = openSQLiteWriter(path)
	if upgraded, err = migrateSQLite(ctx, path, s.writer, o); err != nil {
		return nil, false, err
	}
	readers := sqliteDSN(path, "rw", "_query_only=true", "_cache_size=-"+readerCache)
	if s.read, err = sql.Open("sqlite3", readers); err != nil {
		return nil, false, err
	}
	s.read.SetMaxOpenConns(sqliteReaders)
	s.read.SetMaxIdleConns(sqliteReaders)
	s.places = &places{path: path, known: map[string]os.FileInfo{}}
	if err := s.places.look(); err != nil {
		return nil, false, err
	}
	s.copies = newCheckpoints(path, o.Logger)
	s.group = newGroup(s.writer, &s.copies.writing, func(err error) bool { return s.fault(err) == passing },
		s.copies.committed)
	return s, upgraded, nil
}

// sqliteDSN puts the settings that each connection needs into the DSN, so that
// no connection can be without them.
func sqliteDSN(path, mode string, more ...string) string {
	u := url.URL{Scheme: "file", Path: path}
	u.RawQuery = strings.Join(append([]string{
		"mode=" + mode,
		"_busy_timeout=" + fmt.Sprint(busyTimeout.Milliseconds()),
		"_journal_mode=WAL",
		"_synchronous=FULL", // a commit that was answered survives a power cut
		"_foreign_keys=true",
		"_stmt_cache_size=64",
	}, more...), "&")
	return u.String()
}

// writerDSN is for a connection that writes. What is deleted is overwritten with zeros: a
// forgotten person or a retired key must not be found in a free page.
func writerDSN(path string) string {
	return sqliteDSN(path, "rw", "_txlock=immediate", "_secure_delete=true", "_cache_size=-"+writerCache)
}

// ownFile creates the file, or takes rights away that others should not have, see FileMode. SQLite gives the files that
// it puts beside it the same mode. A file that exists is never opened here: closing it would drop SQLite's own locks,
// which belong to the process.
func ownFile(path string, logger *slog.Logger) error {
	f, err := createOwned(path)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	mode := FileMode(filepath.Dir(path))
	if info.Mode().Perm()&^mode&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(path, info.Mode().Perm()&mode); err != nil {
		if !errors.Is(err, fs.ErrPermission) {
			return err
		}
		// The file is somebody else's, such as of an earlier run with another user id. Whether it can be written shows
		// when it is.
		logger.Warn("the database can be read by more users than it should be, and is another user's", "file", path,
			"mode", info.Mode().Perm().String(), "hint", "chmod o= on the file, as its owner")
	}
	return nil
}

const sqliteVersionTable = `
	SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'`

// migrateSQLite brings the schema up. The caller holds the migration lock.
func migrateSQLite(ctx context.Context, path string, db *sql.DB, o Options) (upgraded bool, err error) {
	upgraded, err = migrate(ctx, schema{
		folder:  "migrations/sqlite",
		dialect: sqliteDialect,
		exists:  sqliteVersionTable,
		columns: sqliteColumns,
		db:      db,
		open: func() (*sql.DB, error) {
			return sql.Open("sqlite3", writerDSN(path))
		},
		logger:   o.Logger,
		existing: o.Existing, asIs: o.AsIs,
	})
	if unreadable(err) {
		err = fmt.Errorf("%w: %s can't be read as an SQLite database: %w", ErrDamaged, path, err)
	}
	return upgraded, err
}

// unreadable reports whether SQLite says that a file is none of its own, or broken.
func unreadable(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB)
}

// storeThere refuses where there is no file of a database, or an empty one.
func storeThere(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s does not exist", ErrNoStore, path)
	case err != nil:
		return err
	case info.Mode().IsRegular() && info.Size() == 0:
		return fmt.Errorf("%w: %s is an empty file", ErrNoStore, path)
	}
	return nil
}

func (s *sqlite) write(ctx context.Context, fn work) error { return s.group.write(ctx, fn) }

func (s *sqlite) reader() querier { return sqliteReader{s.read} }

func (s *sqlite) lister() querier { return s.read }

// clock is the machine's, since every process that opens the file runs on the
// same machine.
func (s *sqlite) clock(context.Context, querier) (time.Time, error) {
	return s.now().UTC().Truncate(time.Microsecond), nil
}

// unseen: in a join, SQLite looks whether a parameter that a column is equal to is 0 or 1, and therefore plans the
// statement again whenever something is bound to it. That takes longer than to run it. It does not look into an
// expression.
func (s *sqlite) unseen(param string) string { return "CAST(" + param + " AS BLOB)" }

// staleness is none: the counter costs a few microseconds to read.
func (s *sqlite) staleness() time.Duration { return 0 }

func (s *sqlite) file() bool { return true }

func (s *sqlite) reached() []Route { return nil }

// older: one process at a time has the file.
func (s *sqlite) older(context.Context) (bool, error) { return false, nil }

func (s *sqlite) fault(err error) fault {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return otherFault
	}
	switch {
	case e.ExtendedCode == sqlite3.ErrConstraintUnique, e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey:
		return duplicate
	case e.ExtendedCode == sqlite3.ErrConstraintForeignKey:
		return dangling
	case e.Code == sqlite3.ErrBusy, e.Code == sqlite3.ErrLocked:
		return passing
	}
	return otherFault
}

func (s *sqlite) close() error {
	if s.group != nil {
		s.group.close()
	}
	var errs []error
	if s.copies != nil {
		errs = append(errs, s.copies.close())
	}
	for _, db := range []*sql.DB{s.read, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	errs = append(errs, s.serves.unlock())
	// Last: who gets this lock may replace the file.
	errs = append(errs, s.inUse.unlock())
	return errors.Join(errs...)
}
