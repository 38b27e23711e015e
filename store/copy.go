package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Copy is a copy of the SQLite database that Backup made, opened for reading only.
type Copy struct{ db *sql.DB }

// OpenCopy opens a copy and reads it through: it is whole, a store of ours, and of a schema that this program can use.
// A *NotCopyError says what else it is. Close it after use.
func OpenCopy(ctx context.Context, path string) (*Copy, error) {
	if err := looksLikeCopy(path); err != nil {
		return nil, err
	}
	db, err := openCopy(path)
	if err != nil {
		return nil, err
	}
	if err := checkHealth(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Copy{db}, nil
}

// Close closes it.
func (c *Copy) Close() error { return c.db.Close() }

// Keys returns the signing keys that it holds, sealed as they are.
func (c *Copy) Keys(ctx context.Context) ([]SigningKey, error) {
	all, err := listKeys(ctx, c.db)
	if err != nil {
		return nil, fmt.Errorf("list the keys of the copy: %w", err)
	}
	return all, nil
}
