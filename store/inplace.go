package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// ErrMoved says that the file of the database is not the one that was opened: it was removed, renamed or replaced. What
// is written goes to a file that nobody will find again.
var ErrMoved = errors.New("the database file was removed or replaced")

// places watches that the files that were opened are those that stand under their names.
type places struct {
	path string

	mu    sync.Mutex
	known map[string]os.FileInfo // by what their names end in
}

// watched are the ends of the names. The log exists as long as somebody has the database open; what stands in it alone
// is lost with it.
var watched = []string{"", "-wal"}

// look compares. A file that can't be looked at, on a disk that does not answer, is another error than ErrMoved.
func (p *places) look() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tail := range watched {
		info, err := os.Stat(p.path + tail)
		known, seen := p.known[tail]
		switch {
		case errors.Is(err, fs.ErrNotExist) && !seen:
			// The log comes with the first write.
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: %s%s is gone", ErrMoved, p.path, tail)
		case err != nil:
			return fmt.Errorf("look at the database file: %w", err)
		case !seen:
			p.known[tail] = info
		case !os.SameFile(known, info):
			return fmt.Errorf("%w: %s%s is another file than the one that was opened", ErrMoved, p.path, tail)
		}
	}
	return nil
}

// InPlace tells whether the database still is where it was opened: ErrMoved where it is not. It costs two looks at the
// file system, and nothing on PostgreSQL.
func (db *DB) InPlace() error { return db.engine.inPlace() }

// ServeAlone has this program be the only one that serves the database, until Close. ErrInUse where another one does:
// of one SQLite file two would each believe in caches, leases and limits that the other one changes. Commands go on
// beside it. On PostgreSQL any number of replicas serve.
func (db *DB) ServeAlone(ctx context.Context) error { return db.engine.serveAlone(ctx) }

func (s *sqlite) inPlace() error { return s.places.look() }

func (s *sqlite) serveAlone(ctx context.Context) error {
	lock, err := lockFile(ctx, s.places.path+".serve.lock", exclusiveLock, 0)
	if err != nil {
		return err
	}
	s.serves = lock
	return nil
}

func (p *postgres) inPlace() error { return nil }

func (p *postgres) serveAlone(context.Context) error { return nil }
