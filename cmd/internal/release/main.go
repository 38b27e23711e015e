// Command release makes what is handed out of a version: make release VERSION=1.2.3.
//
// It builds ssobridge for this system, and writes into a folder an archive (program, unit, documentation, licences of
// all that is linked, list of components), that list beside it (CycloneDX), and SHA256SUMS. Whoever builds the same
// commit with the same toolchain and C compiler gets the same bytes, whatever the folder is: times are those of the
// commit, and no path, user or build id gets in.
//
// Exit codes: 0 done, 1 it could not be done, 2 bad input.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usageError is bad input: exit code 2.
type usageError struct{ error }

type options struct {
	root, tools, out string
	version          string
	date             time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stdout, os.Stderr)
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "release: error: %v\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "release: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, epoch string, stdout, stderr io.Writer) error {
	o, err := parse(ctx, args, epoch, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	work, err := os.MkdirTemp("", "ssobridge-release-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // nothing of it is needed any more
	program := filepath.Join(work, "ssobridge")
	if err := build(ctx, o, program); err != nil {
		return err
	}
	files, err := contents(ctx, o, program)
	if err != nil {
		return err
	}
	names, err := write(o, files)
	if err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintln(stdout, filepath.Join(o.out, name))
	}
	return nil
}

// versionPattern is a semantic version; nothing else gets into file names and linker flags.
var versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`)

// parse reads the arguments. What they leave out is asked of git: the version is the commit's tag, the date that of
// the commit. It is asked for neither where both are given, so that a copy without a history can be built.
func parse(ctx context.Context, args []string, epoch string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.root, "root", ".", "`folder` of the project")
	flags.StringVar(&o.tools, "tools", ".tools", "`folder` of cyclonedx-gomod")
	flags.StringVar(&o.out, "out", "dist", "`folder` that gets the files, made if it is not there")
	flags.StringVar(&o.version, "version", "", "`version` such as 1.2.3 (default: the tag of the commit)")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if flags.NArg() > 0 {
		return o, usageError{fmt.Errorf("unknown argument %q", flags.Arg(0))}
	}
	if o.version == "" || epoch == "" {
		status, err := command(ctx, o.root, nil, "git", "status", "--porcelain")
		if err != nil {
			return o, err
		}
		if status != "" {
			return o, usageError{fmt.Errorf("there are changes that are not committed: commit them, or nobody can build this "+
				"release again\n%s", status)}
		}
	}
	if o.version == "" {
		tag, err := command(ctx, o.root, nil, "git", "describe", "--tags", "--exact-match")
		if err != nil {
			return o, usageError{fmt.Errorf("which version is this? say VERSION=1.2.3, or tag the commit: %w", err)}
		}
		o.version = tag
	}
	o.version = strings.TrimPrefix(o.version, "v")
	if !versionPattern.MatchString(o.version) {
		return o, usageError{fmt.Errorf("version %q is none such as 1.2.3 or 1.2.3-rc.1", o.version)}
	}
	if epoch == "" {
		var err error
		if epoch, err = command(ctx, o.root, nil, "git", "log", "-1", "--format=%ct"); err != nil {
			return o, err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return o, usageError{fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", epoch)}
	}
	o.date = time.Unix(seconds, 0).UTC()
	return o, nil
}

// command returns what a program prints; its error says what the program said.
func command(ctx context.Context, folder string, env []string, program string, args ...string) (string, error) {
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = folder, &stdout, &stderr, 10*time.Second
	if env != nil {
		cmd.Env = append(os.Environ(), env...)
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
