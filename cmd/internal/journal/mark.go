package journal

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"ssobridge/internal/files"
	"ssobridge/store"
)

// Mark is how far the database had come when it was last seen.
type Mark struct {
	Seq   int64     `json:"seq"`   // of the last revocation that was read from it
	Audit int64     `json:"audit"` // of the last event in its audit's chain
	At    time.Time `json:"at"`
	Place string    `json:"place,omitempty"` // where that database stood; "": that is not known
}

type signedMark struct {
	Mark
	MAC string `json:"mac"`
}

func (m Mark) fields() [][]byte {
	fields := [][]byte{
		binary.BigEndian.AppendUint64(nil, uint64(m.Seq)), binary.BigEndian.AppendUint64(nil, uint64(m.Audit)),
		binary.BigEndian.AppendUint64(nil, uint64(m.At.UnixMicro())),
	}
	if m.Place != "" { // marks of a file, and of the version before, have none
		fields = append(fields, []byte(m.Place))
	}
	return fields
}

// readMark reads the mark; the zero one where there is none that holds. Then a restore is noticed by the words alone.
func (j *Journal) readMark() Mark {
	raw, err := os.ReadFile(filepath.Join(j.o.Dir, markName))
	if err != nil {
		return Mark{}
	}
	var s signedMark
	if json.Unmarshal(raw, &s) != nil {
		return Mark{}
	}
	mac, err := hex.DecodeString(s.MAC)
	if err != nil || j.o.Voucher.CheckMAC(mac, markPurpose, s.fields()...) != nil {
		return Mark{}
	}
	return s.Mark
}

// writeMark replaces the mark, as a whole or not at all.
func (j *Journal) writeMark(m Mark) error {
	m.At = j.o.Now().UTC().Truncate(time.Microsecond)
	raw, err := json.Marshal(signedMark{m, hex.EncodeToString(j.o.Voucher.MAC(markPurpose, m.fields()...))})
	if err != nil {
		return fmt.Errorf("encode the mark: %w", err)
	}
	return replaceFile(filepath.Join(j.o.Dir, markName), append(raw, '\n'))
}

// Mark returns the mark.
func (j *Journal) Mark(ctx context.Context) (m Mark, err error) {
	err = j.locked(ctx, func() error { m = j.readMark(); return nil })
	return m, err
}

// SetMark sets the mark to how far the database has come, after it was settled.
func (j *Journal) SetMark(ctx context.Context, m Mark) error {
	return j.locked(ctx, func() error { return j.writeMark(m) })
}

// Behind tells whether the database is behind the mark: then it was restored.
func (m Mark) Behind(st store.Standing) bool { return st.Seq < m.Seq || st.Audit < m.Audit }

// Another tells whether the database is another one than that which was seen: it stands elsewhere, and did not come
// from there. The address in the configuration may be wrong, or databases have changed their names. One in which
// nothing was ever revoked counts for nothing: an address that was wrong at the first try must not have the right
// database taken for a restored one.
func (m Mark) Another(st store.Standing) bool {
	return m.Seq > 0 && m.Place != "" && st.Place != "" && m.Place != st.Place && m.Place != st.Former && !st.Moved()
}

// ErrRestored says that the database is not the one that was seen last, or is behind it.
var ErrRestored = errors.New("the database was restored while the program ran")

// Source is where words are read from.
type Source interface {
	Standing(ctx context.Context) (store.Standing, error)
	After(ctx context.Context, seq int64, limit int) ([]store.Revocation, error)
}

// Follow writes down what the database has and the journal does not: what other replicas have revoked, what was
// allowed, and what could not be written. ErrRestored: the database is behind the mark, stands elsewhere, or is
// another one; nothing is written.
func (j *Journal) Follow(ctx context.Context, from Source) error {
	const batch = 500
	st, err := from.Standing(ctx)
	if err != nil {
		return err
	}
	return j.locked(ctx, func() error {
		m := j.readMark()
		if m.Behind(st) || st.Moved() || m.Another(st) {
			return ErrRestored
		}
		was := m
		for {
			next, err := from.After(ctx, m.Seq, batch)
			if err != nil {
				return err
			}
			if err := j.writeNew(next); err != nil {
				return err
			}
			for _, r := range next {
				m.Seq = r.Seq
				delete(j.state.entries, r.Entry)
			}
			if len(next) < batch {
				break
			}
		}
		m.Seq, m.Audit = max(m.Seq, st.Seq), max(m.Audit, st.Audit) // purged words have left no gap that matters
		j.fault.Store(nil)
		if st.Place != "" {
			m.Place = st.Place
		}
		if m.Seq == was.Seq && m.Audit == was.Audit && m.Place == was.Place {
			return nil
		}
		return j.writeMark(m)
	})
}

// lockPatience is how long a writer waits for the others, each of which writes for milliseconds.
const lockPatience = 10 * time.Second

// locked does something with the file while no other process and no other goroutine does, having read what was added.
func (j *Journal) locked(ctx context.Context, do func() error) (err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f, err := openOwned(filepath.Join(j.o.Dir, lockName))
	if err != nil {
		return j.failed(fmt.Errorf("lock the revocation journal: %w", err))
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which gives the lock back
	end := time.NewTimer(lockPatience)
	defer end.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return j.failed(fmt.Errorf("lock the revocation journal: %w", err))
		}
		select {
		case <-again.C:
		case <-end.C:
			return j.failed(fmt.Errorf("lock the revocation journal: another program has had it for %s", lockPatience))
		case <-ctx.Done():
			return fmt.Errorf("lock the revocation journal: %w", ctx.Err())
		}
	}
	if err := j.refresh(); err != nil {
		return j.failed(fmt.Errorf("read %s: %w", j.Path(), err))
	}
	return do()
}

// failed notes why nothing could be written.
func (j *Journal) failed(err error) error {
	text := err.Error()
	j.fault.Store(&text)
	return err
}

// openOwned opens a file for writing, made for those whom store.HandOver says. No link is followed.
func openOwned(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, os.ErrExist) { // another process was first
		return os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := store.HandOver(f); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// replaceFile gives a file new content at once: whoever reads it, and a crash, finds the old or the new.
func replaceFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err := errors.Join(err, store.HandOver(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return files.Sync(filepath.Dir(path))
}

// AppendToSink adds text to a file outside, such as audit.sink, and has it on the disk when it returns.
func AppendToSink(file string, text []byte) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case errors.Is(err, os.ErrExist): // another process was first
			f, err = os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
		case err == nil:
			if err := store.HandOver(f); err != nil {
				return errors.Join(err, f.Close())
			}
		}
	}
	if err != nil {
		return fmt.Errorf("open audit.sink: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("write audit.sink: %w", err)
	}
	return f.Sync()
}
