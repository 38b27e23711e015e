// Package files puts files in place so that a crash leaves the old ones or the new ones.
package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// PlaceNew gives a file of the same folder its name, unless there is one of that name: then it is fs.ErrExist. Nothing
// stands under the name before: a program that is killed leaves no empty file that looks whole.
func PlaceNew(part, path string) error {
	err := os.Link(part, path)
	switch {
	case err == nil:
		return errors.Join(os.Remove(part), Sync(filepath.Dir(path)))
	case errors.Is(err, fs.ErrExist):
		return err
	}
	// A file system without hard links: somebody who makes the same file at this moment is not seen.
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Sync puts a file, or the names in a folder, onto the disk.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
