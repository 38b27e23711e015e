package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const databaseModule = "golang.org/x/vulndb"

// stale is the age from which a database is said to be old: entries are added every few days.
const stale = 60 * 24 * time.Hour

// versionPattern keeps versions to what may be the name of a folder.
var versionPattern = regexp.MustCompile(`^(latest|v[0-9][0-9A-Za-z.+-]*)$`)

// openDatabase returns the folder of the index of a database, and makes it if it is not there. Where the newest
// version cannot be asked for, the newest that is there is used, and said to be.
func openDatabase(ctx context.Context, o options, now time.Time, stdout io.Writer) (string, error) {
	if !versionPattern.MatchString(o.database) {
		return "", usageError{fmt.Errorf("-db %q is not a version of %s", o.database, databaseModule)}
	}
	indexes := filepath.Join(o.tools, "vulndb")
	version := o.database
	if version == "latest" {
		newest, err := newestVersion(ctx)
		if err != nil {
			have := indexed(indexes)
			if len(have) == 0 {
				return "", fmt.Errorf("find the newest version of %s, and none is in %s: %w", databaseModule, indexes, err)
			}
			newest = have[len(have)-1]
			fmt.Fprintf(stdout, "warning: what has become known after %s is not looked for: %v\n", day(newest), err)
		}
		version = newest
	}
	fmt.Fprintf(stdout, "database %s of %s\n", version, day(version))
	if at, err := time.Parse(time.DateOnly, day(version)); err == nil && now.Sub(at) > stale {
		fmt.Fprintf(stdout, "warning: the database is %d days old: does the module proxy have no newer one?\n",
			int(now.Sub(at)/(24*time.Hour)))
	}
	index := filepath.Join(indexes, version)
	if slices.Contains(indexed(indexes), version) {
		return index, nil
	}
	data, err := download(ctx, version)
	if err != nil {
		return "", err
	}
	if err := makeIndex(ctx, o.tools, data, index); err != nil {
		return "", err
	}
	// The others are of no use any more.
	for _, old := range indexed(indexes) {
		if old != version {
			if err := os.RemoveAll(filepath.Join(indexes, old)); err != nil {
				return "", fmt.Errorf("remove the index of an older database: %w", err)
			}
		}
	}
	return index, nil
}

// indexed lists the versions whose index is whole, oldest first.
func indexed(folder string) []string {
	found, err := filepath.Glob(filepath.Join(folder, "v*", "index", "db.json"))
	if err != nil {
		return nil
	}
	versions := make([]string, 0, len(found))
	for _, name := range found {
		versions = append(versions, filepath.Base(filepath.Dir(filepath.Dir(name))))
	}
	slices.Sort(versions) // pseudo-versions of one base sort by their time
	return versions
}

// day is the day in a pseudo-version.
func day(version string) string {
	for _, part := range strings.FieldsFunc(version, func(r rune) bool { return r == '-' || r == '.' }) {
		if at, err := time.Parse("20060102150405", part); err == nil {
			return at.Format(time.DateOnly)
		}
	}
	return "an unknown day"
}

// newestVersion asks the module proxy.
func newestVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, err := goCommand(ctx, "list", "-m", "-f", "{{.Version}}", databaseModule+"@latest")
	if err != nil {
		return "", err
	}
	version := strings.TrimSpace(string(out))
	if !versionPattern.MatchString(version) {
		return "", fmt.Errorf("go list says that the newest version of %s is %q", databaseModule, version)
	}
	return version, nil
}

// download returns the folder with the module's files; the checksum database vouches for them.
func download(ctx context.Context, version string) (string, error) {
	out, err := goCommand(ctx, "mod", "download", "-json", databaseModule+"@"+version)
	if err != nil {
		return "", fmt.Errorf("download the vulnerability database: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("download the vulnerability database: read the answer of go mod download: %w", err)
	}
	if module.Dir == "" {
		return "", errors.New("download the vulnerability database: the answer of go mod download names no folder")
	}
	return module.Dir, nil
}

// makeIndex writes the index beside its place and moves it there: an interrupted one is never taken for whole.
func makeIndex(ctx context.Context, tools, data, index string) (err error) {
	if err := os.MkdirAll(filepath.Dir(index), 0o755); err != nil {
		return fmt.Errorf("make the folder of the index: %w", err)
	}
	making, err := os.MkdirTemp(filepath.Dir(index), "making-")
	if err != nil {
		return fmt.Errorf("make the folder of the index: %w", err)
	}
	defer os.RemoveAll(making) //nolint:errcheck // nothing is left of it after the rename
	out := filepath.Join(making, "db")
	if _, err := command(ctx, "", filepath.Join(tools, "indexdb"), "-vulns", filepath.Join(data, "data", "osv"), "-out",
		out); err != nil {
		return fmt.Errorf("index the vulnerability database: %w", err)
	}
	if err := os.Rename(out, index); err != nil {
		return fmt.Errorf("keep the index of the vulnerability database: %w", err)
	}
	return nil
}

// goCommand runs the go command outside of this module, whose files it leaves alone then.
func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	return command(ctx, os.TempDir(), "go", args...)
}

// command returns what a program prints; its error says what the program said.
func command(ctx context.Context, folder, program string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = folder, &stdout, &stderr, 10*time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}
