package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is what a release is one of.
type source struct {
	version string
	commit  string // empty: not known
	date    time.Time
}

// versionFile says, in an archive of the sources, what git says in a clone: what `git describe` prints, the commit and
// its time, each in a line. In a clone it has placeholders, which git fills in where it makes an archive.
const versionFile = "VERSION"

var (
	// versionPattern is a semantic version; nothing else gets into file names and linker flags.
	versionPattern  = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`)
	describePattern = regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(-[0-9A-Za-z.]+)?-(\d+)-(g[0-9a-f]+)$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// sourceOf tells which version the folder has. What is not given comes from git in a clone, and from the file VERSION
// in an archive of the sources.
func sourceOf(ctx context.Context, root, version, epoch string) (source, error) {
	var s source
	describes, seconds := "", ""
	if _, err := os.Stat(filepath.Join(root, ".git")); err == nil {
		if version == "" || epoch == "" {
			if err := clean(ctx, root); err != nil {
				return s, err
			}
		}
		out, err := command(ctx, root, nil, "git", "log", "-1", "--format=%H %ct")
		if err != nil {
			return s, err
		}
		s.commit, seconds, _ = strings.Cut(out, " ")
		if version == "" {
			if describes, err = command(ctx, root, nil, "git", "describe", "--tags", "--match", "v[0-9]*"); err != nil {
				return s, usageError{fmt.Errorf("which version is this? say VERSION=1.2.3, or tag the commit: %w", err)}
			}
		}
	} else if describes, s.commit, seconds, err = readVersionFile(root); err != nil {
		return s, err
	}
	if version == "" {
		version = afterTag(describes)
	}
	s.version = strings.TrimPrefix(version, "v")
	switch {
	case s.version == "":
		return s, usageError{fmt.Errorf("which version is this? there is neither a git history nor a filled-in %s: "+
			"say VERSION=1.2.3", versionFile)}
	case !versionPattern.MatchString(s.version):
		return s, usageError{fmt.Errorf("version %q is none such as 1.2.3 or 1.2.3-rc.1", s.version)}
	}
	if epoch != "" {
		seconds = epoch
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || at < 0 {
		return s, usageError{fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", seconds)}
	}
	s.date = time.Unix(at, 0).UTC()
	return s, nil
}

// clean refuses what nobody could build again.
func clean(ctx context.Context, root string) error {
	status, err := command(ctx, root, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if status != "" {
		return usageError{fmt.Errorf("there are changes that are not committed: commit them, or nobody can build this "+
			"release again\n%s", status)}
	}
	return nil
}

// readVersionFile reads VERSION. Placeholders that nobody has filled in are as good as no file.
func readVersionFile(root string) (describes, commit, seconds string, err error) {
	text, err := os.ReadFile(filepath.Join(root, versionFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", "", "", nil
	}
	if err != nil {
		return "", "", "", fmt.Errorf("read %s: %w", versionFile, err)
	}
	if strings.Contains(string(text), "$Format:") {
		return "", "", "", nil
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) != 3 || !commitPattern.MatchString(lines[1]) {
		return "", "", "", usageError{fmt.Errorf("%s has not the three lines version, commit, seconds", versionFile)}
	}
	return lines[0], lines[1], lines[2], nil
}

// afterTag makes of what git describe says a version that sorts behind the tag and before the next release. A commit
// that has the tag is that version.
func afterTag(describes string) string {
	m := describePattern.FindStringSubmatch(describes)
	if m == nil {
		return describes
	}
	if m[4] != "" { // behind a release candidate, and before the next one
		return m[1] + "." + m[2] + "." + m[3] + m[4] + ".dev." + m[5] + "." + m[6]
	}
	patch, err := strconv.Atoi(m[3])
	if err != nil {
		return describes
	}
	return m[1] + "." + m[2] + "." + strconv.Itoa(patch+1) + "-dev." + m[5] + "." + m[6]
}
