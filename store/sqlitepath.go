package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrTwoNames says that the file of a database has another name beside the one that was given (a hard link).
var ErrTwoNames = errors.New("the database file has a second name")

// sqlitePath is the one path of a database file, absolute and without symbolic links, and refuses what can't work.
// Locks and SQLite's own files stand beside the database under its name: programs that open one file by two names
// would not see each other's locks, and under a hard link not each other's log either, which destroys the database.
func sqlitePath(path string) (string, error) {
	if strings.HasPrefix(path, ":memory:") || strings.HasPrefix(path, "file:") {
		return "", fmt.Errorf("sqlite path %.80q: want the path of a file", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("sqlite path %.80q: %w", path, err)
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if errors.Is(err, fs.ErrNotExist) { // as where a volume is not mounted: a permission is not what is missing
		return "", fmt.Errorf("%w: the folder of the sqlite file, %s, does not exist", ErrNoStore, filepath.Dir(abs))
	}
	if err != nil {
		return "", fmt.Errorf("folder of the sqlite file: %w", err)
	}
	if info, err := os.Stat(folder); err != nil {
		return "", fmt.Errorf("folder of the sqlite file: %w", err)
	} else if !info.IsDir() {
		return "", fmt.Errorf("folder of the sqlite file: %s is not a folder", folder)
	}
	file := filepath.Join(folder, filepath.Base(abs))
	resolved, err := filepath.EvalSymlinks(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(file); err == nil { // whatever disk it leads to is not there
			return "", fmt.Errorf("%w: %s is a link to a file that does not exist", ErrNoStore, file)
		}
		return file, nil
	case err != nil:
		return "", fmt.Errorf("sqlite path %.80q: %w", path, err)
	}
	if info, err := os.Stat(resolved); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", resolved)
	}
	return resolved, nil
}

// oneName refuses a file with hard links. One in the same folder is named. The caller holds the lock of the file, since
// Restore gives it a second name for a moment.
func oneName(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is made, or missed, later
	}
	if err != nil {
		return fmt.Errorf("look at the database file: %w", err)
	}
	if at, known := info.Sys().(*syscall.Stat_t); !known || !info.Mode().IsRegular() || at.Nlink < 2 {
		return nil
	}
	other := "another one"
	entries, _ := os.ReadDir(filepath.Dir(path)) // it only names it
	for _, e := range entries {
		if name := filepath.Join(filepath.Dir(path), e.Name()); name != path && e.Type().IsRegular() {
			if beside, err := os.Lstat(name); err == nil && os.SameFile(info, beside) {
				other = name
			}
		}
	}
	return fmt.Errorf("%w: %s is also %s (a hard link)", ErrTwoNames, path, other)
}
