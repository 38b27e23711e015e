package backups

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrRunning says that another backup of the same database is being made.
var ErrRunning = errors.New("another backup of this database is being made")

// Lock lets one backup of a database run at a time, until unlock: each keeps the one that it has made, so that two at
// once would remove each other's. work is the folder of the database; nothing is written there, and the lock ends with
// the process.
func Lock(work string) (unlock func() error, err error) {
	f, err := os.Open(work)
	if err != nil {
		return nil, fmt.Errorf("lock the folder %s: %w", work, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(ErrRunning, f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock the folder %s: %w", work, err), f.Close())
	}
	return f.Close, nil
}
