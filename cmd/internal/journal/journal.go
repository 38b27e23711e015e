// Package journal keeps what was revoked in a file outside of the database, so that a restore of the database does
// not bring it back.
//
// The file has a line for each word: what it is about (a random id or a hash, never a name), what was said, when,
// and a MAC over all of it and the MAC of the line before. So lines can't be made, changed, or taken out of the
// middle without the secret key. What is revoked is on the disk before its transaction is committed; what is
// allowed again, after it. Lines that another replica wrote are read from the database. A second, small file (the
// mark) says how far the database had come when it was last seen: a database that is behind it was restored.
//
// Any number of processes on one machine write the file, one after the other. The package never reads the
// database, and decides nothing.
package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ssobridge/internal/files"
	"ssobridge/store"
)

// Names in the folder.
const (
	fileName = "revocations.jsonl"
	markName = "revocations.mark"
	lockName = "revocations.lock"
)

// Words of the journal itself. Their kind is own.
const (
	own       = "journal"
	begun     = "begin"     // the first line: At is since when the journal knows everything
	withdrawn = "withdrawn" // the transaction of this entry was not committed
	copied    = "copied"    // the last line of a copy: At is when it was made; what was revoked later is not in it
)

// Purposes of the MACs.
const (
	linePurpose = "revocation journal"
	markPurpose = "revocation mark"
)

const maxLine = 4 << 10

// Options for New.
type Options struct {
	Dir     string  // the folder; it must exist
	Sink    string  // a file elsewhere that gets each line too; "": none
	Voucher Voucher // makes the MACs
	Now     func() time.Time
	Logger  *slog.Logger
}

// Voucher makes MACs under the secret key. certs.Sealer is one.
type Voucher interface {
	MAC(purpose string, fields ...[]byte) []byte
	CheckMAC(mac []byte, purpose string, fields ...[]byte) error
}

// Journal is the file. It is safe for concurrent use, also by several processes.
type Journal struct {
	o     Options
	fault atomic.Pointer[string] // why the last write failed; nil: it did not

	mu    sync.Mutex
	state position
}

// position is how far this process has read the file.
type position struct {
	file    os.FileInfo // to see that the file was replaced
	offset  int64
	mac     string          // of the last line
	entries map[string]bool // of the lines behind the mark
}

// line is one line of the file.
type line struct {
	store.Revocation
	Before string `json:"before"` // MAC of the line before; "" in the first
	MAC    string `json:"mac"`
}

// New returns the journal in a folder. Nothing is read or written yet.
func New(o Options) *Journal { return &Journal{o: o} }

// Path is the file.
func (j *Journal) Path() string { return filepath.Join(j.o.Dir, fileName) }

// Fault is why the last write failed; "": it did not. Until then a restore would bring back what was revoked meanwhile.
func (j *Journal) Fault() string {
	if text := j.fault.Load(); text != nil {
		return *text
	}
	return ""
}

// Begin begins the file, unless there is one. since is the time from which on it knows everything, by what the
// database has kept.
func (j *Journal) Begin(ctx context.Context, since time.Time) error {
	return j.locked(ctx, func() error {
		if j.state.file != nil {
			return nil
		}
		return j.write([]store.Revocation{{Kind: own, Word: begun, At: since}})
	})
}

// Copy is the text of the file for a backup, with a line at its end that says so: a journal that ends there is not
// whole. nil: there is no journal.
func (j *Journal) Copy(ctx context.Context) (text []byte, err error) {
	err = j.locked(ctx, func() error {
		if j.state.file == nil {
			return nil
		}
		if text, err = os.ReadFile(j.Path()); err != nil {
			return fmt.Errorf("read %s: %w", j.Path(), err)
		}
		text = text[:min(int64(len(text)), j.state.offset)] // what a crash left of a line is none
		end, _ := j.encode([]store.Revocation{{Kind: own, Word: copied, At: j.o.Now()}}, j.state.mac)
		text = append(text, end...)
		return nil
	})
	return text, err
}

// Before writes what is about to be revoked, and has it on the disk when it returns. It is part of store.Journal.
func (j *Journal) Before(ctx context.Context, entries []store.Revocation) error {
	return j.locked(ctx, func() error { return j.write(entries) })
}

// After writes what was allowed, and that what was written before did not happen. It is part of store.Journal.
// What can't be written now is read from the database later.
func (j *Journal) After(ctx context.Context, entries []store.Revocation, committed bool) {
	err := j.locked(ctx, func() error {
		if !committed {
			var lost []store.Revocation
			for _, r := range entries {
				lost = append(lost, store.Revocation{Seq: r.Seq, Entry: r.Entry, Kind: own, Word: withdrawn, At: j.o.Now().UTC()})
			}
			return j.write(lost)
		}
		if err := j.writeNew(entries); err != nil {
			return err
		}
		m := j.readMark()
		if m.Seq+1 != entries[0].Seq {
			return nil // others were committed between: they are read from the database first
		}
		m.Seq = entries[len(entries)-1].Seq
		return j.writeMark(m)
	})
	if err != nil {
		j.o.Logger.LogAttrs(ctx, slog.LevelError, "revocation journal not written: tried again",
			slog.String("file", j.Path()), slog.Any("error", err))
	}
}

// writeNew writes those entries that the file does not have.
func (j *Journal) writeNew(entries []store.Revocation) error {
	var fresh []store.Revocation
	for _, r := range entries {
		if !j.state.entries[r.Entry] {
			fresh = append(fresh, r)
		}
	}
	return j.write(fresh)
}

// write adds lines, on the disk when it returns. The file is locked.
func (j *Journal) write(entries []store.Revocation) (err error) {
	if len(entries) == 0 {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", j.Path(), err)
			text := err.Error()
			j.fault.Store(&text)
			return
		}
		j.fault.Store(nil)
	}()
	text, mac := j.encode(entries, j.state.mac)
	f, err := openOwned(j.Path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(text, j.state.offset); err != nil {
		// Half a line would hide the next one.
		return errors.Join(err, f.Truncate(j.state.offset))
	}
	// What a crash left of a line behind it must not be read as one.
	if err := f.Truncate(j.state.offset + int64(len(text))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	fresh := j.state.file == nil
	if j.state.file, err = f.Stat(); err != nil {
		return err
	}
	if fresh {
		if err := files.Sync(j.o.Dir); err != nil {
			return err
		}
	}
	j.state.offset, j.state.mac = j.state.offset+int64(len(text)), mac
	for _, r := range entries {
		j.state.keep(r)
	}
	return j.toSink(text)
}

func (p *position) keep(r store.Revocation) {
	if p.entries == nil {
		p.entries = map[string]bool{}
	}
	if r.Kind == own {
		delete(p.entries, r.Entry) // withdrawn: if the database has it after all, it is written again
		return
	}
	p.entries[r.Entry] = true
}

// encode makes lines behind the one with the MAC before.
func (j *Journal) encode(entries []store.Revocation, before string) (text []byte, last string) {
	for _, r := range entries {
		r.At = r.At.UTC().Truncate(time.Microsecond)
		l := line{Revocation: r, Before: before}
		l.MAC = hex.EncodeToString(j.o.Voucher.MAC(linePurpose, l.fields()...))
		raw, _ := json.Marshal(l) // texts, numbers and times always encode
		text = append(append(text, raw...), '\n')
		before = l.MAC
	}
	return text, before
}

func (l line) fields() [][]byte {
	return [][]byte{
		[]byte(l.Before), binary.BigEndian.AppendUint64(nil, uint64(l.Seq)), []byte(l.Entry), []byte(l.Kind),
		[]byte(l.Object), []byte(l.Word),
		binary.BigEndian.AppendUint64(nil, uint64(l.At.UnixMicro())),
	}
}

func (j *Journal) holds(l line) bool {
	mac, err := hex.DecodeString(l.MAC)
	return err == nil && j.o.Voucher.CheckMAC(mac, linePurpose, l.fields()...) == nil
}

// toSink adds the same text to the sink.
func (j *Journal) toSink(text []byte) error {
	if j.o.Sink == "" {
		return nil
	}
	return AppendToSink(j.o.Sink, text)
}

// refresh reads what other processes have added. The file is locked.
func (j *Journal) refresh() error {
	f, err := os.Open(j.Path())
	if errors.Is(err, fs.ErrNotExist) {
		j.state = position{}
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if j.state.file == nil || !os.SameFile(info, j.state.file) || info.Size() < j.state.offset {
		j.state = position{}
	}
	j.state.file = info
	if info.Size() == j.state.offset {
		return nil
	}
	if _, err := f.Seek(j.state.offset, io.SeekStart); err != nil {
		return err
	}
	seen := j.readMark().Seq
	n, err := eachLine(f, func(text []byte) {
		var l line
		if json.Unmarshal(text, &l) != nil {
			return // found out when the whole is read; the chain goes on behind it
		}
		j.state.mac = l.MAC
		if l.Seq > seen || l.Kind == own {
			j.state.keep(l.Revocation)
		}
	})
	j.state.offset += n
	return err
}

// eachLine visits the whole lines of r, and returns how many bytes they have. A last line without an end is one
// that a crash has cut off.
func eachLine(r io.Reader, visit func(text []byte)) (int64, error) {
	var (
		done int64
		rest []byte
		buf  = make([]byte, 64<<10)
	)
	for {
		n, err := r.Read(buf)
		rest = append(rest, buf[:n]...)
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			visit(rest[:i])
			done += int64(i) + 1
			rest = rest[i+1:]
		}
		if len(rest) > maxLine {
			visit(nil) // no line of ours is so long
			rest = rest[:0:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return done, nil
		case err != nil:
			return done, err
		}
	}
}
