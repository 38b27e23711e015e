package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fileLock is an advisory lock (flock) on a file beside the database. The
// system drops it when its process ends, however it ends. The file itself stays:
// removing it would let two hold "the" lock on two files of one name.
type fileLock struct{ f *os.File }

type lockKind int

const (
	sharedLock    = lockKind(syscall.LOCK_SH)
	exclusiveLock = lockKind(syscall.LOCK_EX)
)

// lockFile takes the lock, waiting at most for patience; ErrInUse when others
// hold it longer.
func lockFile(ctx context.Context, path string, kind lockKind, patience time.Duration) (*fileLock, error) {
	f, err := createOwned(path)
	if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), int(kind)|syscall.LOCK_NB)
		if err == nil {
			return &fileLock{f}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if patience <= 0 {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ErrInUse), f.Close())
		}
		select {
		case <-again.C:
		case <-end.C:
			patience = 0 // one last try
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ctx.Err()), f.Close())
		}
	}
}

func (l *fileLock) unlock() error {
	if l == nil {
		return nil
	}
	return l.f.Close() // closing drops the lock
}

// createOwned makes a new file for its owner alone; fs.ErrExist when there is one.
func createOwned(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := handOver(f); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// handOver gives a file that root has just made to the owner of its folder: a
// command that an admin runs with sudo must not lock out the program, which runs
// as a user of its own. It goes through the open file, which was made anew and
// through no link, so that root can't be led elsewhere.
func handOver(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	folder, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	if owner, known := folder.Sys().(*syscall.Stat_t); known {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}
