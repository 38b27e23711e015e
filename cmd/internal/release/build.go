package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// environment is what changes the bytes of the program, with one value for everybody. SQLite is C, so that cgo is
// needed.
var environment = []string{
	"CGO_ENABLED=1", "CGO_CFLAGS=-O2 -g", "CGO_CPPFLAGS=", "CGO_LDFLAGS=",
	"GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GOWORK=off",
	"GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH, "LC_ALL=C",
}

// build makes the program and asks it for its version.
func build(ctx context.Context, o options, program string) error {
	// -trimpath keeps folders out, for the C compiler too; the commit is in the version, and a build in a copy without a
	// history must not differ. What the linker would make of the build's own ids is left out.
	_, err := command(ctx, o.root, environment, "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -extldflags=-Wl,--build-id=none -X ssobridge/cmd/internal/cli.release="+o.version,
		"-o", program, "./cmd/ssobridge")
	if err != nil {
		return fmt.Errorf("build ssobridge: %w", err)
	}
	says, err := command(ctx, o.root, nil, program, "version")
	if err != nil {
		return fmt.Errorf("ask the program for its version: %w", err)
	}
	if !strings.HasPrefix(says, "ssobridge "+o.version+" (") {
		return fmt.Errorf("the program says %q, which is not version %s", says, o.version)
	}
	return nil
}

// file is one file of the archive.
type file struct {
	name       string
	data       []byte
	executable bool
}

// components is the name of the list of components in the archive.
const components = "sbom.cdx.json"

// contents collects the files of the archive.
func contents(ctx context.Context, o options, program string) ([]file, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read the program: %w", err)
	}
	files := []file{{name: "ssobridge", data: data, executable: true}}
	documents := []string{"README.md", "CHANGELOG.md", "SECURITY.md", "cmd/ssobridge/ssobridge.service"}
	for _, pattern := range []string{"docs/*.md", "docs/pictures/*"} {
		found, err := filepath.Glob(filepath.Join(o.root, pattern))
		if err != nil {
			return nil, fmt.Errorf("find the documentation: %w", err)
		}
		for _, name := range found {
			relative, err := filepath.Rel(o.root, name)
			if err != nil {
				return nil, fmt.Errorf("find the documentation: %w", err)
			}
			documents = append(documents, filepath.ToSlash(relative))
		}
	}
	for _, name := range documents {
		data, err := os.ReadFile(filepath.Join(o.root, name))
		if err != nil {
			return nil, fmt.Errorf("read the documentation: %w", err)
		}
		// The unit stands beside the program, the documents where their links look.
		files = append(files, file{name: strings.TrimPrefix(name, "cmd/ssobridge/"), data: data})
	}
	modules, err := linked(program)
	if err != nil {
		return nil, err
	}
	texts, err := licences(ctx, o, modules)
	if err != nil {
		return nil, err
	}
	list, err := bill(ctx, o, program, modules)
	if err != nil {
		return nil, err
	}
	return append(append(files, texts...), file{name: components, data: list}), nil
}
