package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ssobridge/internal/files"
)

// Backup writes a consistent copy to a new file, mode 0600, while this and other
// programs go on. It never overwrites: a file of that name is an error. A copy
// that stands under its name is whole, was read through and is on the disk.
// ErrUnsupported on PostgreSQL.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up the store to %s: %w", path, err)
		}
	}()
	if !db.engine.file() {
		return db.engine.backup(ctx, path)
	}
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	part, err := newFileBeside(path)
	if err != nil {
		return err
	}
	if err := db.copyTo(ctx, part); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := files.PlaceNew(part, path); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

// copyTo writes the copy into an empty file that nobody else knows, and reads it through.
func (db *DB) copyTo(ctx context.Context, part string) error {
	if err := db.engine.backup(ctx, part); err != nil {
		return err
	}
	// A backup is for its owner alone, wherever it is put.
	if err := os.Chmod(part, 0o600); err != nil {
		return err
	}
	c, err := OpenCopy(ctx, part)
	if err != nil {
		return fmt.Errorf("read the copy through: %w", err)
	}
	return c.Close()
}

// backup copies by VACUUM INTO: one read transaction, which in WAL mode keeps
// no writer waiting.
func (s *sqlite) backup(ctx context.Context, path string) error {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	// This connection only reads by its DSN, and VACUUM counts as writing.
	if _, err := conn.ExecContext(ctx, `PRAGMA query_only = OFF`); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `VACUUM INTO $1`, path)
	if _, off := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA query_only = ON`); off != nil {
		err = errors.Join(err, off)
	}
	if err != nil {
		return err
	}
	return files.Sync(path)
}

// newFileBeside makes an empty file in the folder of path, see FileMode.
func newFileBeside(path string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	if err := errors.Join(HandOver(f), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// openCopy opens a copy for reading only, whoever may write it.
func openCopy(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", copyDSN(path))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
