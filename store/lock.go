package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
