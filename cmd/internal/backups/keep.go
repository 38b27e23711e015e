package backups

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ssobridge/internal/files"
)

// maxManifest bounds what is read of a manifest.
const maxManifest = 64 << 10

// Listed is what stands in a folder.
type Listed struct {
	Good    []Backup // the oldest first
	Damaged []string // what is wrong with those that are not as their manifest says
	Partial []string // files that interrupted backups have left
}

// List looks at all backups of the folder, and reads them through. What has no manifest of ours is nobody's business.
func (f Folder) List() (l Listed, err error) {
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		return l, fmt.Errorf("read the folder %s: %w", f.Path, err)
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case isPart(name):
			l.Partial = append(l.Partial, f.file(name))
		case strings.HasPrefix(name, prefix) && strings.HasSuffix(name, manifestTail):
			b, ours := f.read(name)
			if !ours {
				continue
			}
			switch err := f.Verify(b); {
			case errors.Is(err, fs.ErrNotExist):
				l.Partial = append(l.Partial, f.file(name))
			case err != nil:
				l.Damaged = append(l.Damaged, err.Error())
			default:
				l.Good = append(l.Good, b)
			}
		}
	}
	slices.SortFunc(l.Good, func(a, b Backup) int { return a.Made.Compare(b.Made) })
	return l, nil
}

// Rehearsal is what the folders begin with in which a restore is rehearsed, or a sealed backup opened, beside the
// database.
const Rehearsal = ".ssobridge-rehearsal-"

// isPart tells whether a file or folder is what an interrupted backup, rehearsal or restore has left.
func isPart(name string) bool {
	bare := strings.TrimLeft(name, ".")
	return strings.HasPrefix(name, Rehearsal) ||
		bare != name && strings.HasPrefix(bare, prefix) && strings.Contains(bare, ".part")
}

// Parts are what interrupted backups, rehearsals and restores have left in a folder. It may hold people in clear.
func Parts(folder string) (all []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("read the folder %s: %w", folder, err)
	}
	for _, e := range entries {
		if isPart(e.Name()) {
			all = append(all, filepath.Join(folder, e.Name()))
		}
	}
	return all, nil
}

// read reads a manifest. ours is false for what this installation did not make, or what was changed since.
func (f Folder) read(name string) (b Backup, ours bool) {
	// What is no file is none of ours; the opening of a pipe would wait for whoever writes it.
	if info, err := os.Lstat(f.file(name)); err != nil || !info.Mode().IsRegular() {
		return b, false
	}
	file, err := os.Open(f.file(name))
	if err != nil {
		return b, false
	}
	defer func() { _ = file.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(file, maxManifest))
	if err != nil {
		return b, false
	}
	var s signedBackup
	if json.Unmarshal(raw, &s) != nil {
		return b, false
	}
	mac, err := hex.DecodeString(s.MAC)
	if err != nil || f.Voucher.CheckMAC(mac, macPurpose, s.fields()...) != nil {
		return b, false
	}
	b = s.Backup
	b.manifest = name
	// A manifest that was renamed would have another backup's files removed.
	if name != prefix+b.Made.UTC().Format(stamp)+manifestTail {
		return b, false
	}
	for _, one := range b.files() {
		if one != filepath.Base(one) || !strings.HasPrefix(one, prefix) {
			return b, false
		}
	}
	return b, true
}

// Verify reads the files of a backup and compares them with its manifest.
func (f Folder) Verify(b Backup) error {
	all := []File{b.Database}
	if b.Journal != nil {
		all = append(all, *b.Journal)
	}
	for _, want := range all {
		if err := f.verify(want); err != nil {
			return fmt.Errorf("verify %s: %w", f.file(want.Name), err)
		}
	}
	return nil
}

func (f Folder) verify(want File) (err error) {
	info, err := os.Lstat(f.file(want.Name))
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file")
	case info.Size() != want.Size:
		return fmt.Errorf("it has %d bytes, and had %d", info.Size(), want.Size)
	}
	file, err := os.Open(f.file(want.Name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return errors.New("it is not what was written: its digest differs")
	}
	return nil
}

// Keep removes the oldest good backups, so that n are left. The one that was just made is never removed, whatever the
// clock says, and neither is any file that is not as its manifest says.
func (f Folder) Keep(l Listed, n int, made Backup) (gone []Backup, err error) {
	older := slices.DeleteFunc(slices.Clone(l.Good), func(b Backup) bool { return b.manifest == made.manifest })
	for _, b := range older[:max(0, len(older)-max(n, 1)+1)] {
		for _, name := range b.files() { // the manifest last: until then it is known what the others are
			if err := removed(f.file(name)); err != nil {
				return gone, fmt.Errorf("remove the backup of %s: %w", b.Made.Format(time.DateTime), err)
			}
		}
		gone = append(gone, b)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, files.Sync(f.Path)
}
