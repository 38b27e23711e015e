// Command release makes what is handed out of a version: make release VERSION=1.2.3.
//
// For each architecture it builds ssobridge, and writes into a folder
//
//   - an archive: program, unit, documentation, licences of all that is linked, list of components,
//   - a package for Debian and one for RPM, with user, unit and folders,
//   - a container image that docker, podman and containerd read, on a root file system of a few Debian packages,
//   - the lists of components of program and image (CycloneDX),
//
// and beside them a statement of provenance (in-toto, SLSA) and SHA256SUMS. It needs no container engine, no root and
// no network beyond the Debian packages that debian.lock names. Whoever builds the same commit with the same toolchain
// and C compiler gets the same bytes, whatever the folder is: times are those of the commit, and no path, user or
// build id gets in.
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
	"runtime"
	"strings"
	"syscall"
	"time"
)

// usageError is bad input: exit code 2.
type usageError struct{ error }

type options struct {
	root, tools, out string
	targets          []target
	maintainer       string
	mirror           string
	lock             bool
	source
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
	if o.lock {
		return writeLock(ctx, o)
	}
	work, err := os.MkdirTemp("", "ssobridge-release-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // nothing of it is needed any more
	if _, err := os.Stat(filepath.Join(o.root, ownLicence)); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(stderr, "warning: the project has no file %s, so that nobody but its owner may use this release: "+
			"the owner chooses a licence and puts its text there\n", ownLicence)
	}
	var results []file
	for _, t := range o.targets {
		made, err := release(ctx, o, t, filepath.Join(work, t.arch))
		if err != nil {
			return fmt.Errorf("%s: %w", t.arch, err)
		}
		results = append(results, made...)
	}
	if results, err = finish(ctx, o, results); err != nil {
		return err
	}
	if err := write(o.out, results); err != nil {
		return err
	}
	for _, f := range results {
		fmt.Fprintln(stdout, filepath.Join(o.out, f.name))
	}
	return nil
}

// release makes all that is handed out for one architecture. The folder is its own.
func release(ctx context.Context, o options, t target, work string) ([]file, error) {
	if err := os.Mkdir(work, 0o700); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	p, err := build(ctx, o, t, filepath.Join(work, "ssobridge"))
	if err != nil {
		return nil, err
	}
	files, err := contents(ctx, o, p)
	if err != nil {
		return nil, err
	}
	name := "ssobridge-" + o.version + "-linux-" + t.arch
	archive, err := pack(name, o.date, files)
	if err != nil {
		return nil, err
	}
	packages, err := packages(ctx, o, p, files, work)
	if err != nil {
		return nil, err
	}
	image, list, err := image(ctx, o, p, files)
	if err != nil {
		return nil, err
	}
	return append([]file{
		{name: name + ".tar.gz", data: archive},
		{name: name + ".cdx.json", data: find(files, components).data},
		{name: name + ".oci.tar", data: image},
		{name: name + ".oci.cdx.json", data: list},
	}, packages...), nil
}

// parse reads the arguments.
func parse(ctx context.Context, args []string, epoch string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.root, "root", ".", "`folder` of the project")
	flags.StringVar(&o.tools, "tools", ".tools",
		"`folder` of cyclonedx-gomod and nfpm; the Debian packages of the image are kept there too")
	flags.StringVar(&o.out, "out", "dist", "`folder` that gets the files, made if it is not there")
	version := flags.String("version", "", "`version` such as 1.2.3 (default: by the tags of git, or the file VERSION)")
	archs := flags.String("arch", "amd64,arm64", "`architectures` to build for")
	flags.StringVar(&o.maintainer, "maintainer", "ssobridge <root@localhost>",
		"`name and address` of who answers for the packages")
	flags.StringVar(&o.mirror, "mirror", "",
		"`address` of the Debian mirror, such as one of snapshots (default: those of this machine's apt)")
	flags.BoolVar(&o.lock, "lock", false, "write debian.lock anew with the packages that the mirror has now, and nothing else")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if flags.NArg() > 0 {
		return o, usageError{fmt.Errorf("unknown argument %q", flags.Arg(0))}
	}
	var err error
	if o.targets, err = targetsOf(*archs); err != nil {
		return o, usageError{err}
	}
	if o.lock {
		return o, nil
	}
	if runtime.GOOS != "linux" {
		return o, usageError{errors.New("releases are built on Linux, for its C library")}
	}
	o.source, err = sourceOf(ctx, o.root, *version, epoch)
	return o, err
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
