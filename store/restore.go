package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"ssobridge/internal/files"
)

// Restore replaces the SQLite database at dsn by a copy that Backup made. It
// refuses with ErrInUse while any program has the store open, and leaves
// everything as it was unless the copy is a healthy store of a schema that this
// program can run on or bring up. The database that was there is kept beside it, its
// name followed by ".before-" and the time; kept is its path, "" when there was none.
//
// What a copy must not bring back is left out: sessions, since one that was ended
// since would live again, pending sign-ins, and what other programs were doing
// (leases, the breaker, readings of accounts). SSO users that the copy knows as
// on their way count as maybe sent, a plan that was being applied is paused,
// creations are on hold, and Ledger.Restored tells when this happened.
// ErrUnsupported for PostgreSQL.
//
// settle is called with the DSN of the copy before that is put in place: it opens, changes and closes it. With its
// error nothing is replaced. nil: nothing else is done with the copy.
func Restore(ctx context.Context, from, dsn string, settle func(ctx context.Context, dsn string) error) (kept string,
	err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore the store from %s: %w", from, err)
		}
	}()
	now := time.Now() // names a file and marks a row; no rule hangs on it
	kind, path, err := splitDSN(dsn)
	if err != nil {
		return "", err
	}
	if kind != "sqlite" {
		return "", fmt.Errorf("%w: use pg_restore for PostgreSQL", ErrUnsupported)
	}
	if path, err = sqlitePath(path); err != nil {
		return "", err
	}
	if sameFile(from, path) {
		return "", &NotCopyError{What: "is the database in use itself", Fix: backupWriter}
	}
	inUse, err := lockFile(ctx, path+".lock", exclusiveLock, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, inUse.unlock()) }()
	if err := oneName(path); err != nil {
		return "", err
	}

	ready, err := newFileBeside(path)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			removeTails(ready, "", "-wal", "-shm", "-journal", ".lock", ".migrate.lock")
		}
	}()
	if err := copyHealthy(ctx, from, ready); err != nil {
		return "", err
	}
	if err := forgetPassing(ctx, ready, now); err != nil {
		return "", err
	}
	if settle != nil {
		if err := settleCopy(ctx, ready, settle); err != nil {
			return "", err
		}
	}
	if err := files.Sync(ready); err != nil {
		return "", err
	}
	if kept, err = setAside(path, now); err != nil {
		return "", err
	}
	// A crash before this leaves the old database with two names, which the next Open takes back; one after it the new
	// one. Both are whole.
	if err := os.Rename(ready, path); err != nil {
		return kept, err
	}
	return kept, files.Sync(filepath.Dir(path))
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(one, other)
}

// settleCopy has the copy settled before anybody can open it under its name.
func settleCopy(ctx context.Context, path string, settle func(ctx context.Context, dsn string) error) error {
	if err := settle(ctx, "sqlite:"+path); err != nil {
		return err
	}
	// The last one who closes it has put the WAL into the file; the locks were of this name.
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return fmt.Errorf("the copy is not whole in its file: %s-wal is left", path)
	}
	removeTails(path, "-wal", "-shm", ".lock", ".migrate.lock")
	return nil
}

func removeTails(path string, tails ...string) {
	for _, tail := range tails {
		_ = os.Remove(path + tail) // what is not there need not go
	}
}

// copyHealthy copies by SQLite itself, so that a copy of a running database
// with its WAL beside it is read as a whole, and checks what it has copied.
func copyHealthy(ctx context.Context, from, to string) error {
	if err := looksLikeCopy(from); err != nil {
		return err
	}
	src, err := openCopy(from)
	if err != nil {
		return err
	}
	_, err = src.ExecContext(ctx, `VACUUM INTO $1`, to)
	if err := errors.Join(err, src.Close()); err != nil {
		if unreadable(err) {
			return damaged(err)
		}
		return fmt.Errorf("copy it: %w", err)
	}
	db, err := openCopy(to)
	if err != nil {
		return err
	}
	return errors.Join(checkHealth(ctx, db), db.Close())
}

func checkHealth(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return fmt.Errorf("check integrity: %w", err)
	}
	if verdict != "ok" {
		return damaged(fmt.Errorf("%.200s", verdict))
	}
	latest, err := latestVersion("migrations/sqlite")
	if err != nil {
		return err
	}
	version, err := schema{db: db, exists: sqliteVersionTable}.version(ctx)
	if err != nil {
		return err
	}
	if version == 0 {
		return otherDatabase("it has no schema version")
	}
	// A database of another program that goose has migrated too is not ours.
	var ours int
	if err := db.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM sqlite_master
		 WHERE type = 'table' AND name IN ('counters', 'sign_ins', 'sessions', 'sso_users', 'signing_keys', 'audit_events')`,
	).Scan(&ours); err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	if ours != 6 {
		return otherDatabase("tables of ours are missing")
	}
	if err := supported(version, latest); err != nil {
		return &NotCopyError{What: "is a store of a newer version of this program", Fix: "restore it with that version",
			Err: err}
	}
	return nil
}

// forgetPassing leaves out of the copy what must not come back.
func forgetPassing(ctx context.Context, path string, now time.Time) (err error) {
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Path: path,
		RawQuery: "mode=rw&_foreign_keys=true&_synchronous=FULL"}).String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	version, err := schema{db: db, exists: sqliteVersionTable}.version(ctx)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing; before, the first error counts
	for _, s := range passedBy(now) {
		if version < s.since {
			continue
		}
		if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("leave out what has passed: %w", err)
		}
	}
	return tx.Commit()
}

// passed is a statement that leaves something out of a copy.
type passed struct {
	since int64 // the version of the schema that brought what is changed
	text  string
	args  []any
}

// passedBy is what must not come back with a copy.
func passedBy(now time.Time) []passed {
	return []passed{
		{1, `DELETE FROM sessions`, nil},
		{1, `DELETE FROM sign_ins`, nil},
		{1, `DELETE FROM logouts`, nil},
		{1, `UPDATE counters SET value = 0 WHERE name = 'pending'`, nil},
		{1, `UPDATE counters SET value = value + 1 WHERE name = 'changes'`, nil},
		{1, `UPDATE counters SET value = $1 WHERE name = 'restored'`, []any{micros(now)}},
		{1, `UPDATE sso_users SET maybe_sent = TRUE WHERE due_at > 0`, nil},
		{2, `UPDATE sso_users SET maybe_sent = TRUE WHERE state = 'suspended' AND before_state IN ('wanted', 'unknown')`,
			nil},
		// In a copy of the version before, the migration begins the hold, from the time of the restore.
		{2, `UPDATE hold SET since = $1, holder = 'restore', reason = 'restore'`, []any{micros(now)}},
		{2, `UPDATE breaker SET cause = '', opened_at = 0, open_until = 0, trips = 0, probing = 0`, nil},
		{2, `DELETE FROM leases`, nil},
		{2, `UPDATE plans SET state = 'paused', reason = 'restore' WHERE state = 'applying'`, nil},
		{2, `UPDATE account_hints SET due_at = 0, hints = 0 WHERE due_at > 0`, nil},
	}
}

// setAside gives the database that is there a second name and takes its WAL
// away from the first: SQLite would apply it to whatever file has that name. A
// store that was closed in order has no WAL.
func setAside(path string, now time.Time) (string, error) {
	name := path + asideInfix + now.UTC().Format("20060102T150405Z")
	old := name
	for n := 2; ; n++ {
		err := os.Link(path, old)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil // nothing was there
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || n > 9 {
			return "", fmt.Errorf("keep the old database: %w", err)
		}
		old = fmt.Sprintf("%s-%d", name, n) // of the same second
	}
	if err := os.Rename(path+"-wal", old+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("keep the old database: %w", err)
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("keep the old database: %w", err)
	}
	return old, files.Sync(filepath.Dir(path))
}

// copyDSN opens a file for reading only.
func copyDSN(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&_busy_timeout=5000"}).String()
}
