package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"ssobridge/internal/files"
)

// ErrTwoNames says that the file of a database has another name beside the one that was given (a hard link).
var ErrTwoNames = errors.New("the database file has a second name")

// asideInfix and asideTime are of the name that Restore gives the database that it replaces.
const asideInfix = ".before-"

var asideTime = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z(-[0-9]{1,2})?$`)

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
// Restore gives it a second name for a moment. What a Restore that was cut off in that moment has left is taken back.
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
	if taken, err := takeBack(path, info); err != nil || taken {
		return err
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

// takeBack takes back what a Restore did that ended between setting the database aside and putting the copy in its
// place: the database has its name beside the one that Restore gave it, and perhaps its log under that name alone.
// Nothing was replaced by then. Of several who do it at once each finds done what the others did. The log comes first:
// whoever is cut off here finds the second name again.
func takeBack(path string, info os.FileInfo) (taken bool, err error) {
	if at, known := info.Sys().(*syscall.Stat_t); !known || at.Nlink != 2 { // others have given it names too
		return false, nil
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return false, fmt.Errorf("look for the second name of %s: %w", path, err)
	}
	for _, e := range entries {
		name, isAside := strings.CutPrefix(e.Name(), filepath.Base(path)+asideInfix)
		if !isAside || !asideTime.MatchString(name) {
			continue
		}
		aside := filepath.Join(filepath.Dir(path), e.Name())
		if beside, err := os.Lstat(aside); err != nil || !os.SameFile(info, beside) {
			continue
		}
		// A log under both names is no work of Restore.
		if _, err := os.Lstat(aside + "-wal"); err == nil {
			if _, err := os.Lstat(path + "-wal"); err == nil {
				return false, nil
			}
		}
		if err := os.Rename(aside+"-wal", path+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("take back the interrupted restore of %s: %w", path, err)
		}
		if err := files.Sync(filepath.Dir(path)); err != nil {
			return false, fmt.Errorf("take back the interrupted restore of %s: %w", path, err)
		}
		if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("take back the interrupted restore of %s: %w", path, err)
		}
		return true, files.Sync(filepath.Dir(path))
	}
	return false, nil
}
