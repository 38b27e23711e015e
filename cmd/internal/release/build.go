package main

import (
	"cmp"
	"context"
	"debug/elf"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// target is an architecture under the names that it has: Go's and Debian's, RPM's, and the C compiler's.
type target struct {
	arch, rpm, triplet string
}

var targets = []target{
	{"amd64", "x86_64", "x86_64-linux-gnu"},
	{"arm64", "aarch64", "aarch64-linux-gnu"},
}

// targetsOf finds architectures by their names, each once and in our order.
func targetsOf(names string) ([]target, error) {
	var found []target
	wanted := strings.Split(names, ",")
	for _, t := range targets {
		if slices.Contains(wanted, t.arch) {
			found = append(found, t)
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(targets, func(t target) bool { return t.arch == name }) {
			return nil, fmt.Errorf("architecture %q is neither amd64 nor arm64", name)
		}
	}
	return found, nil
}

// native tells whether this machine runs programs of the architecture.
func (t target) native() bool { return t.arch == runtime.GOARCH }

// compiler is the C compiler: Go's default for this machine, so that what other builds have compiled is used again.
func (t target) compiler() string {
	if t.native() {
		return "gcc"
	}
	return t.triplet + "-gcc"
}

// environment is what changes the bytes of the program, with one value for everybody. SQLite is C, so that cgo is
// needed.
func (t target) environment() []string {
	return []string{
		"CGO_ENABLED=1", "CGO_CFLAGS=-O2 -g", "CGO_CPPFLAGS=", "CGO_LDFLAGS=", "CC=" + t.compiler(),
		"GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GOWORK=off",
		"GOOS=linux", "GOARCH=" + t.arch, "LC_ALL=C",
	}
}

// program is one that was built.
type program struct {
	target
	path    string
	modules []module // that it links
	glibc   string   // the oldest C library that it runs with, such as 2.34
}

// build makes the program and, where this machine can, asks it for its version.
func build(ctx context.Context, o options, t target, path string) (program, error) {
	p := program{target: t, path: path}
	if _, err := exec.LookPath(t.compiler()); err != nil {
		return p, usageError{fmt.Errorf("there is no C compiler %s: install the package gcc-%s, or leave the architecture "+
			"out (-arch %s)", t.compiler(), t.triplet, runtime.GOARCH)}
	}
	// -trimpath keeps folders out, for the C compiler too; the commit is in the version, and a build in a copy without a
	// history must not differ. What the linker would make of the build's own ids is left out.
	_, err := command(ctx, o.root, t.environment(), "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -extldflags=-Wl,--build-id=none -X ssobridge/cmd/internal/cli.release="+o.version,
		"-o", path, "./cmd/ssobridge")
	if err != nil {
		return p, fmt.Errorf("build ssobridge: %w", err)
	}
	if t.native() {
		says, err := command(ctx, o.root, nil, path, "version")
		if err != nil {
			return p, fmt.Errorf("ask the program for its version: %w", err)
		}
		if !strings.HasPrefix(says, "ssobridge "+o.version+" (") {
			return p, fmt.Errorf("the program says %q, which is not version %s", says, o.version)
		}
	}
	if p.modules, err = linked(path); err != nil {
		return p, err
	}
	p.glibc, err = neededGlibc(path)
	return p, err
}

// neededGlibc reads from the program itself which version of the C library its symbols come from.
func neededGlibc(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("read which C library the program needs: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return "", fmt.Errorf("read which C library the program needs: %w", err)
	}
	newest := ""
	for _, s := range symbols {
		if version, ok := strings.CutPrefix(s.Version, "GLIBC_"); ok && compareVersions(version, newest) > 0 {
			newest = version
		}
	}
	if newest == "" {
		return "", fmt.Errorf("read which C library the program needs: %s names none", path)
	}
	return newest, nil
}

// compareVersions compares 2.4 and 2.34 by their numbers.
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		// What is no number counts as 0, and comes first.
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return cmp.Compare(x, y)
	})
}
