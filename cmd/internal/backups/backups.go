// Package backups keeps backups of the SQLite database in a folder: it makes one, with the revocation journal beside
// it, reads it through, and removes the oldest of those that it made.
//
// A backup has a manifest: names, sizes and digests of its files, under a MAC by the secret key. It is written before
// the database comes under its name, so that a database without its manifest is none of ours, and a manifest without
// its files is what an interrupted backup has left. Only what a manifest vouches for counts as a backup, and nothing
// else is ever removed.
//
// The package never restores, and never writes the database.
package backups

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/internal/files"
	"ssobridge/store"
)

// Names of files: prefix, time and one of these.
const (
	prefix       = "ssobridge-"
	stamp        = "20060102T150405.000Z"
	databaseTail = ".db"
	journalTail  = ".revocations.jsonl"
	manifestTail = ".json"
	sealedTail   = ".age"
)

// macPurpose keeps a manifest's MAC from being anything else.
const macPurpose = "backup manifest"

// Voucher makes MACs under the secret key. certs.Sealer is one.
type Voucher interface {
	MAC(purpose string, fields ...[]byte) []byte
	CheckMAC(mac []byte, purpose string, fields ...[]byte) error
}

// Source is what is backed up.
type Source interface {
	Backup(ctx context.Context, path string) error
}

// Folder is a folder with backups.
type Folder struct {
	Path    string
	Voucher Voucher
}

// Options are for Make.
type Options struct {
	Source  Source
	Journal func(ctx context.Context) ([]byte, error) // its text; nil: there is none
	Check   func(ctx context.Context, copied *store.Copy) error
	// Work is a folder in which the database may stand in clear while it is sealed: that of the database itself.
	Work   string
	SealTo []string // recipients of age; none: the backup is not sealed
	Now    func() time.Time
}

// File is one file of a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup is one that a manifest vouches for.
type Backup struct {
	Made     time.Time `json:"made"`
	Database File      `json:"database"`
	Journal  *File     `json:"journal,omitempty"`
	SealedTo []string  `json:"sealed_to,omitempty"`

	manifest string // its file's name
}

type signedBackup struct {
	Backup
	MAC string `json:"mac"`
}

func (b Backup) fields() [][]byte {
	raw, _ := json.Marshal(b) // texts, numbers and times always encode
	return [][]byte{raw}
}

// files are all of its files, the manifest last.
func (b Backup) files() []string {
	all := []string{b.Database.Name}
	if b.Journal != nil {
		all = append(all, b.Journal.Name)
	}
	return append(all, b.manifest)
}

// Make makes a backup, and returns it once it is whole, was checked and is on the disk.
func (f Folder) Make(ctx context.Context, o Options) (b Backup, err error) {
	sealer, err := newSealer(o.SealTo)
	if err != nil {
		return b, err
	}
	made := o.Now().UTC().Truncate(time.Millisecond)
	base := prefix + made.Format(stamp)
	for _, tail := range []string{databaseTail, databaseTail + sealedTail, manifestTail} {
		if _, err := os.Lstat(f.file(base + tail)); err == nil {
			return b, fmt.Errorf("%s exists already: another backup was made at this moment", f.file(base+tail))
		}
	}
	// Until it is whole it has a name that nobody takes for a backup.
	work := f.Path
	if sealer != nil {
		work = o.Work
	}
	plain := filepath.Join(work, "."+base+databaseTail+".part")
	defer func() { err = errors.Join(err, removed(plain)) }()
	if err := o.Source.Backup(ctx, plain); err != nil {
		return b, err
	}
	if err := checkCopy(ctx, plain, o.Check); err != nil {
		return b, fmt.Errorf("check the backup: %w", err)
	}
	text, err := o.Journal(ctx)
	if err != nil {
		return b, fmt.Errorf("copy the revocation journal: %w", err)
	}

	b = Backup{Made: made, SealedTo: o.SealTo, manifest: base + manifestTail}
	var parts []part
	defer func() {
		for _, p := range parts {
			err = errors.Join(err, removed(p.path))
		}
	}()
	add := func(name string, from io.Reader) (File, error) {
		p, err := f.write(ctx, name, from, sealer)
		if err != nil {
			return File{}, err
		}
		parts = append(parts, p)
		return p.file, nil
	}
	if text != nil {
		file, err := add(base+journalTail, strings.NewReader(string(text)))
		if err != nil {
			return b, err
		}
		b.Journal = &file
	}
	database, err := os.Open(plain)
	if err != nil {
		return b, fmt.Errorf("read the backup: %w", err)
	}
	b.Database, err = add(base+databaseTail, database)
	if err := errors.Join(err, database.Close()); err != nil {
		return b, err
	}
	raw, err := json.MarshalIndent(signedBackup{b, hex.EncodeToString(f.Voucher.MAC(macPurpose, b.fields()...))}, "", "  ")
	if err != nil {
		return b, fmt.Errorf("encode the manifest: %w", err)
	}
	manifest, err := f.write(ctx, b.manifest, strings.NewReader(string(raw)+"\n"), nil)
	if err != nil {
		return b, err
	}
	// The database comes last: under its name it is a backup, and has all that belongs to it.
	parts = append(parts[:len(parts)-1], manifest, parts[len(parts)-1])
	for _, p := range parts {
		if err := files.PlaceNew(p.path, f.file(p.file.Name)); err != nil {
			return b, fmt.Errorf("put %s in its place: %w", f.file(p.file.Name), err)
		}
	}
	return b, f.Verify(b)
}

func (f Folder) file(name string) string { return filepath.Join(f.Path, name) }

// DatabaseOf is the database of a backup.
func (f Folder) DatabaseOf(b Backup) string { return f.file(b.Database.Name) }

func checkCopy(ctx context.Context, path string, check func(context.Context, *store.Copy) error) (err error) {
	c, err := store.OpenCopy(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return check(ctx, c)
}

// part is a file that does not have its name yet.
type part struct {
	path string
	file File
}

// write writes a file of a backup beside its name, sealed where there is a sealer.
func (f Folder) write(ctx context.Context, name string, from io.Reader, sealer *sealer) (p part, err error) {
	if sealer != nil {
		name += sealedTail
	}
	out, err := os.CreateTemp(f.Path, "."+name+".part*") // mode 0600
	if err != nil {
		return p, fmt.Errorf("write %s: %w", f.file(name), err)
	}
	p.path = out.Name()
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", f.file(name), err), removed(p.path))
		}
	}()
	sum := sha256.New()
	counted := &counter{to: io.MultiWriter(out, sum)}
	from = &stopped{ctx, from}
	if sealer == nil {
		_, err = io.Copy(counted, from)
	} else {
		err = sealer.seal(counted, from)
	}
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return p, err
	}
	p.file = File{Name: name, Size: counted.n, SHA256: hex.EncodeToString(sum.Sum(nil))}
	return p, nil
}

// counter counts what is written.
type counter struct {
	to io.Writer
	n  int64
}

// Write passes it on.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

// stopped ends a copy with its context.
type stopped struct {
	ctx context.Context //nolint:containedctx // of one copy
	io.Reader
}

// Read reads on, unless it was called off.
func (s *stopped) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

// removed takes a file away that may be gone already.
func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// CheckKeys opens the signing keys of a copy that are in use or may come into it.
func CheckKeys(open func(k store.SigningKey) error) func(ctx context.Context, c *store.Copy) error {
	return func(ctx context.Context, c *store.Copy) error {
		keys, err := c.Keys(ctx)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.State == string(certs.Retired) || k.Holder != "" {
				continue // there is nothing of it in the store
			}
			if err := open(k); err != nil {
				return fmt.Errorf("open key %s: %w", k.ID, err)
			}
		}
		return nil
	}
}
