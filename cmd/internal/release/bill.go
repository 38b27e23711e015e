package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// sqliteModule contains SQLite's own source.
const sqliteModule = "github.com/mattn/go-sqlite3"

// bill is the list of components (CycloneDX): what cyclonedx-gomod reads from the program, and what no list of
// modules names, SQLite and the page's script.
func bill(ctx context.Context, o options, p program) ([]byte, error) {
	generator, err := filepath.Abs(filepath.Join(o.tools, "cyclonedx-gomod"))
	if err != nil {
		return nil, fmt.Errorf("find cyclonedx-gomod: %w", err)
	}
	// Serial number and time would make each one different.
	out, err := command(ctx, o.root, p.environment(), generator, "bin", "-json", "-std", "-noserial", "-notimestamp",
		"-version", o.version, p.path)
	if err != nil {
		return nil, fmt.Errorf("list the components of the program: %w", err)
	}
	var list map[string]any
	dec := json.NewDecoder(bytes.NewReader([]byte(out)))
	dec.UseNumber()
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("read the list of components: %w", err)
	}
	metadata, ok := list["metadata"].(map[string]any)
	parts, ok2 := list["components"].([]any)
	if !ok || !ok2 || len(parts) < len(p.modules) {
		return nil, errors.New("read the list of components: it lacks some")
	}
	metadata["timestamp"] = o.date.Format(time.RFC3339)
	version, err := sqliteVersion(ctx, o, p)
	if err != nil {
		return nil, err
	}
	parts = append(parts, map[string]any{
		"type": "library", "bom-ref": "pkg:generic/sqlite@" + version, "name": "sqlite", "version": version,
		"scope":    "required",
		"purl":     "pkg:generic/sqlite@" + version,
		"cpe":      "cpe:2.3:a:sqlite:sqlite:" + version + ":*:*:*:*:*:*:*",
		"licenses": []any{map[string]any{"license": map[string]any{"id": "blessing"}}},
	})
	for _, e := range others {
		parts = append(parts, map[string]any{
			"type": "library", "bom-ref": "pkg:npm/" + e.Path + "@" + e.Version, "name": e.Path, "version": e.Version,
			"scope":    "required",
			"purl":     "pkg:npm/" + e.Path + "@" + e.Version,
			"hashes":   []any{map[string]any{"alg": "SHA-256", "content": e.sha256}},
			"licenses": []any{map[string]any{"license": map[string]any{"id": e.spdx}}},
		})
	}
	list["components"] = parts
	return encode(list)
}

var sqlitePattern = regexp.MustCompile(`(?m)^#define SQLITE_VERSION\s+"([0-9.]+)"`)

// sqliteVersion reads the version from the source that is compiled.
func sqliteVersion(ctx context.Context, o options, p program) (string, error) {
	if !slices.ContainsFunc(p.modules, func(m module) bool { return m.Path == sqliteModule }) {
		return "", fmt.Errorf("find the version of SQLite: the program does not link %s", sqliteModule)
	}
	folder, err := command(ctx, o.root, p.environment(), "go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}",
		sqliteModule)
	if err != nil {
		return "", fmt.Errorf("find the version of SQLite: %w", err)
	}
	header, err := os.ReadFile(filepath.Join(folder, "sqlite3-binding.h"))
	if err != nil {
		return "", fmt.Errorf("find the version of SQLite: %w", err)
	}
	version := sqlitePattern.FindSubmatch(header)
	if version == nil {
		return "", errors.New("find the version of SQLite: sqlite3-binding.h does not say it")
	}
	return string(version[1]), nil
}

// imageBill adds the Debian packages of the image to the components of the program.
func imageBill(components []byte, packages []debianPackage) ([]byte, error) {
	var list map[string]any
	dec := json.NewDecoder(bytes.NewReader(components))
	dec.UseNumber()
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("read the list of components: %w", err)
	}
	parts, ok := list["components"].([]any)
	if !ok {
		return nil, errors.New("read the list of components: it has none")
	}
	for _, p := range packages {
		purl := "pkg:deb/debian/" + p.name + "@" + url.QueryEscape(p.version) + "?arch=" + p.arch + "&distro=" + debianRelease
		parts = append(parts, map[string]any{
			"type": "library", "bom-ref": purl, "name": p.name, "version": p.version, "scope": "required", "purl": purl,
			// Of the package as Debian has it; the image leaves some of its files out.
			"properties": []any{map[string]any{"name": "debian:sha256", "value": p.sha256}},
		})
	}
	list["components"] = parts
	return encode(list)
}

// encode writes a list of components: the keys of a map come in their order.
func encode(list map[string]any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(list); err != nil {
		return nil, fmt.Errorf("write the list of components: %w", err)
	}
	return text.Bytes(), nil
}
