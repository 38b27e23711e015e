package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
func bill(ctx context.Context, o options, program string, modules []module) ([]byte, error) {
	generator, err := filepath.Abs(filepath.Join(o.tools, "cyclonedx-gomod"))
	if err != nil {
		return nil, fmt.Errorf("find cyclonedx-gomod: %w", err)
	}
	// Serial number and time would make each one different.
	out, err := command(ctx, o.root, environment, generator, "bin", "-json", "-std", "-noserial", "-notimestamp",
		"-version", o.version, program)
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
	if !ok || !ok2 || len(parts) < len(modules) {
		return nil, errors.New("read the list of components: it lacks some")
	}
	metadata["timestamp"] = o.date.Format(time.RFC3339)
	version, err := sqliteVersion(ctx, o, modules)
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
	// The keys of a map are written in their order.
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(list); err != nil {
		return nil, fmt.Errorf("write the list of components: %w", err)
	}
	return text.Bytes(), nil
}

var sqlitePattern = regexp.MustCompile(`(?m)^#define SQLITE_VERSION\s+"([0-9.]+)"`)

// sqliteVersion reads the version from the source that is compiled.
func sqliteVersion(ctx context.Context, o options, modules []module) (string, error) {
	if !slices.ContainsFunc(modules, func(m module) bool { return m.Path == sqliteModule }) {
		return "", fmt.Errorf("find the version of SQLite: the program does not link %s", sqliteModule)
	}
	folder, err := command(ctx, o.root, environment, "go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", sqliteModule)
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
