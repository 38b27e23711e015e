package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FileMode is the mode of what the bridge writes into a folder: for its owner alone, since there are sealed keys and
// people's names in it. Where the folder's group may write into the folder, it may write the files too: platforms that
// give each run a user id of its own share a volume by its group, and whoever may replace a file gains nothing by
// being kept from writing it.
func FileMode(folder string) fs.FileMode {
	if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o020 != 0 {
		return 0o660
	}
	return 0o600
}

// createOwned makes a new file, see FileMode; fs.ErrExist when there is one.
func createOwned(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := HandOver(f); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// HandOver gives a file that was just made to those who are to have it: the mode of its folder's files, and, where root
// has made it, to the owner of the folder. A command that an admin runs with sudo must not lock out the program, which
// runs as a user of its own. It goes through the open file, which was made anew and through no link, so that root can't
// be led elsewhere.
func HandOver(f *os.File) error {
	if mode := FileMode(filepath.Dir(f.Name())); mode != 0o600 { // the umask does not count
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
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
