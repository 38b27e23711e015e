package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"ssobridge/internal/files"
)

// Readers are who may read what Save writes, beside its owner: the group of the bridge's user, where root sets it up
// for that user.
type Readers struct {
	Group int
	Set   bool // false: nobody
}

func (r Readers) mode() fs.FileMode {
	if r.Set {
		return 0o640
	}
	return 0o600
}

// Saved is what Save has done.
type Saved struct {
	Written []string // the files
	undo    []func() error
}

// Undo takes back what was written, as far as that can be done.
func (s *Saved) Undo() error {
	var errs []error
	for _, undo := range slices.Backward(s.undo) {
		errs = append(errs, undo())
	}
	s.undo = nil
	return errors.Join(errs...)
}

// Save writes the configuration and the secrets that were answered: all of them or none. Each file is whole under its
// name or not there. A file that holds a secret is never replaced.
func (d *Draft) Save(readers Readers) (saved *Saved, err error) {
	saved = &Saved{}
	defer func() {
		if err != nil {
			err = errors.Join(err, saved.Undo())
		}
	}()
	text, changed, err := d.Text()
	if err != nil {
		return saved, err
	}
	if err := saved.folder(filepath.Dir(d.File), readers); err != nil {
		return saved, err
	}
	for _, key := range slices.Sorted(maps.Keys(d.secrets)) {
		file := d.SecretFile(key)
		if err := saved.secret(file, string(d.secrets[key])+"\n", readers); err != nil {
			return saved, fmt.Errorf("write %s: %s", file, PlainCause(err))
		}
	}
	if !changed {
		return saved, nil
	}
	if err := saved.configuration(d, text, readers); err != nil {
		return saved, fmt.Errorf("write %s: %s", d.File, PlainCause(err))
	}
	return saved, nil
}

// folder makes the folder of the configuration, where it is not there.
func (s *Saved) folder(path string, readers Readers) error {
	mode := fs.FileMode(0o700)
	if readers.Set {
		mode = 0o750
	}
	made, err := MakeFolder(path, mode, -1, s.group(readers))
	for _, name := range made {
		s.undo = append(s.undo, func() error { return os.Remove(name) })
	}
	if err != nil {
		return fmt.Errorf("make the folder %s: %s", path, PlainCause(err))
	}
	return nil
}

// MakeFolder makes a folder with a mode and an owner, and those above it that are missing; made are all of them, the
// outermost first. A folder that is there stays as it is. Where it is made for somebody else (uid or gid are not -1),
// no umask keeps them out of it or of those above.
func MakeFolder(path string, mode fs.FileMode, uid, gid int) (made []string, err error) {
	if _, err := os.Stat(path); err == nil {
		return nil, nil
	}
	if above := filepath.Dir(path); above != path {
		outer := fs.FileMode(0o755)
		if made, err = MakeFolder(above, outer, -1, -1); err != nil {
			return made, err
		}
		if uid != -1 || gid != -1 {
			for _, name := range made {
				if err := os.Chmod(name, outer); err != nil {
					return made, err
				}
			}
		}
	}
	if err := os.Mkdir(path, mode); err != nil {
		return made, err
	}
	made = append(made, path)
	if uid == -1 && gid == -1 {
		return made, nil
	}
	return made, errors.Join(os.Lchown(path, uid, gid), os.Chmod(path, mode))
}

// secret writes a file that is not there, or is empty.
func (s *Saved) secret(path, text string, readers Readers) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	part, err := partOf(path, text, readers.mode(), -1, s.group(readers))
	if err != nil {
		return err
	}
	if err := files.PlaceNew(part, path); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	s.undo = append(s.undo, func() error { return os.Remove(path) })
	s.Written = append(s.Written, path)
	return nil
}

func (s *Saved) group(readers Readers) int {
	if readers.Set {
		return readers.Group
	}
	return -1
}

// configuration writes the configuration file. One that is there keeps its owner, its mode and the links to it.
func (s *Saved) configuration(d *Draft, text string, readers Readers) error {
	mode, uid, gid := readers.mode(), -1, s.group(readers)
	file, err := filepath.EvalSymlinks(d.File)
	if err != nil {
		file = d.File
	}
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
		if owner, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(owner.Uid), int(owner.Gid)
		}
	}
	part, err := partOf(file, text, mode, uid, gid)
	if err != nil {
		return err
	}
	if !d.exists {
		if err := files.PlaceNew(part, file); err != nil {
			return errors.Join(err, os.Remove(part))
		}
		s.undo = append(s.undo, func() error { return os.Remove(file) })
	} else {
		if err := os.Rename(part, file); err != nil {
			return errors.Join(err, os.Remove(part))
		}
		s.undo = append(s.undo, func() error {
			part, err := partOf(file, d.text, mode, uid, gid)
			if err != nil {
				return err
			}
			return os.Rename(part, file)
		})
	}
	s.Written = append(s.Written, d.File)
	return nil
}

// partOf writes a file beside path, and has it on the disk. It is for its owner alone until owner and mode are set.
func partOf(path, text string, mode fs.FileMode, uid, gid int) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if uid != -1 || gid != -1 {
		// Nobody but root may give a file away; who owns it already is given nothing.
		if err := f.Chown(uid, gid); err != nil && os.Geteuid() == 0 {
			return "", errors.Join(err, f.Close())
		}
	}
	_, err = f.WriteString(text)
	return f.Name(), errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}
