package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ssobridge/cmd/internal/config"
)

// What the bridge does with a file or folder, as the bits of a mode.
const (
	passes fs.FileMode = 1
	reads  fs.FileMode = 4
	writes fs.FileMode = 6
	owns   fs.FileMode = 7 // makes files in a folder
)

// access is a file or folder that the bridge needs.
type access struct {
	path string
	want fs.FileMode
}

// closedTo looks at what is there already. Root can read and write everything, so that no test before this one finds
// what the bridge's user can't.
func (p *setup) closedTo(cfg *config.Config, o owner) error {
	if !o.other {
		return nil
	}
	need := []access{
		{filepath.Dir(p.config), passes}, {p.config, reads}, {cfg.StateDir, owns},
		{cfg.TLS.Cert, reads}, {cfg.TLS.Key, reads}, {cfg.Directory.CAFile, reads}, {cfg.ConstantContact.CAFile, reads},
	}
	for _, key := range []string{"secret_key", "directory.bind_password", "constant_contact.partner_secret",
		"constant_contact.api_key"} {
		need = append(need, access{p.draft.SecretFile(key), reads})
	}
	if path, file := strings.CutPrefix(cfg.DSN(), "sqlite:"); file {
		need = append(need, access{filepath.Dir(path), owns}, access{path, writes})
	}
	var closed, fixes []string
	for _, one := range need {
		if one.path == "" {
			continue
		}
		what, fix, err := o.refused(one)
		if err != nil {
			return fmt.Errorf("see what user %s may do: %w", o.name, err)
		}
		if what != "" && !slices.Contains(closed, what) {
			closed, fixes = append(closed, what), append(fixes, fix)
		}
	}
	if len(closed) == 0 {
		return nil
	}
	return badInput(fmt.Errorf("the bridge runs as user %s, who can't %s", o.name, strings.Join(closed, ", nor ")),
		strings.Join(fixes, "; ")+"; nothing was written")
}

// writable tells whether a configuration that is not there yet can be made.
func (p *setup) writable() error {
	if p.draft.Exists() {
		return nil
	}
	folder, err := filepath.Abs(filepath.Dir(p.config))
	if err != nil {
		return fmt.Errorf("find the folder of %s: %w", p.config, err)
	}
	for folder != filepath.Dir(folder) {
		if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		folder = filepath.Dir(folder)
	}
	const writeAndEnter = 2 | 1 // access(2)
	if err := syscall.Access(folder, writeAndEnter); err != nil {
		return badInput(fmt.Errorf("write %s: %w", p.config, &fs.PathError{Op: "make a file in", Path: folder, Err: err}),
			"run it as root, or choose a folder that you may write to (--config); nothing was written")
	}
	return nil
}

// refused says what the user can't do, and the command that changes it; "" where nothing is refused, or nothing is
// there yet.
func (o owner) refused(a access) (what, fix string, err error) {
	path, err := filepath.Abs(a.path)
	if err != nil {
		return "", "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	var above []string
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		above = append(above, dir)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for _, dir := range slices.Backward(above) {
		may, err := o.may(dir, passes)
		if err != nil {
			return "", "", err
		}
		if !may {
			return "enter the folder " + dir, "chmod o+x " + shellWord(dir), nil
		}
	}
	may, err := o.may(path, a.want)
	switch {
	case err != nil || may:
		return "", "", err
	case a.want == passes:
		return "enter the folder " + path, o.byGroup(path, "g+rx"), nil
	case a.want == reads:
		return "read " + path, o.byGroup(path, "g+r"), nil
	}
	return "write " + path, "chown -R " + o.name + ": " + shellWord(path), nil
}

// byGroup is the command that opens a file to the user's group.
func (o owner) byGroup(path, mode string) string {
	file := shellWord(path)
	return fmt.Sprintf("chgrp %d %s && chmod %s %s", o.gid, file, mode, file)
}

// may tells by owner, group and mode; what is not there is not refused.
func (o owner) may(path string, want fs.FileMode) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	mode := info.Mode().Perm()
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true, nil
	case int(stat.Uid) == o.uid:
		mode >>= 6
	case slices.Contains(o.groups, int(stat.Gid)):
		mode >>= 3
	}
	return mode&want == want, nil
}
