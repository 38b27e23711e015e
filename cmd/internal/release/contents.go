package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// file is one file of an archive, or of a release.
type file struct {
	name       string
	data       []byte
	executable bool
}

const (
	components = "sbom.cdx.json" // the list of components
	unit       = "ssobridge.service"
	ownLicence = "LICENSE" // of the project itself; its owner writes it
)

// units are what systemd is given: the service, and its nightly backup, which an administrator enables.
var units = []string{unit, "ssobridge-backup.service", "ssobridge-backup.timer"}

// find returns the file of this name; it is one that contents has put there.
func find(files []file, name string) file {
	return files[slices.IndexFunc(files, func(f file) bool { return f.name == name })]
}

// contents collects the files of the archive.
func contents(ctx context.Context, o options, p program) ([]file, error) {
	data, err := os.ReadFile(p.path)
	if err != nil {
		return nil, fmt.Errorf("read the program: %w", err)
	}
	files := []file{
		{name: "ssobridge", data: data, executable: true},
		{name: versionFile, data: []byte(o.version + "\n" + o.commit + "\n" + strconv.FormatInt(o.date.Unix(), 10) + "\n")},
	}
	names, err := documents(o.root)
	if err != nil {
		return nil, err
	}
	for _, name := range units {
		names = append(names, "cmd/ssobridge/"+name)
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(o.root, name))
		if err != nil {
			return nil, fmt.Errorf("read the documentation: %w", err)
		}
		// The units stand beside the program, the documents where their links look.
		files = append(files, file{name: strings.TrimPrefix(name, "cmd/ssobridge/"), data: data})
	}
	texts, err := licences(ctx, o, p)
	if err != nil {
		return nil, err
	}
	list, err := bill(ctx, o, p)
	if err != nil {
		return nil, err
	}
	return append(append(files, texts...), file{name: components, data: list}), nil
}

// documents lists what an administrator reads or uses: everything in docs but what tests it.
func documents(root string) ([]string, error) {
	names := []string{"README.md", "CHANGELOG.md", "SECURITY.md"}
	if _, err := os.Stat(filepath.Join(root, ownLicence)); err == nil {
		names = append(names, ownLicence)
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Tests that need libraries of their own are a module.
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil || d.Name() == "testdata" {
				return filepath.SkipDir
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, name)
		names = append(names, filepath.ToSlash(relative))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the documentation: %w", err)
	}
	return names, nil
}
