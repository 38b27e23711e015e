package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// write puts archive, list of components and checksums into the folder, and returns their names.
func write(o options, files []file) ([]string, error) {
	name := "ssobridge-" + o.version + "-" + runtime.GOOS + "-" + runtime.GOARCH
	archive, err := pack(name, o.date, files)
	if err != nil {
		return nil, err
	}
	list := files[slices.IndexFunc(files, func(f file) bool { return f.name == components })].data
	results := []file{{name: name + ".cdx.json", data: list}, {name: name + ".tar.gz", data: archive}}
	var sums strings.Builder
	for _, f := range results {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(f.data), f.name) // as sha256sum -c reads it
	}
	results = append(results, file{name: "SHA256SUMS", data: []byte(sums.String())})
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the release: %w", err)
	}
	var names []string
	for _, f := range results {
		if err := os.WriteFile(filepath.Join(o.out, f.name), f.data, 0o644); err != nil {
			return nil, fmt.Errorf("write the release: %w", err)
		}
		names = append(names, f.name)
	}
	return names, nil
}

// pack makes an archive whose bytes say nothing of who made it, when and where: files in order, one owner, one time.
func pack(folder string, at time.Time, files []file) ([]byte, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.name, b.name) })
	var archive bytes.Buffer
	packed, err := gzip.NewWriterLevel(&archive, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	w := tar.NewWriter(packed)
	for _, f := range files {
		mode := int64(0o644)
		if f.executable {
			mode = 0o755
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + f.name, Size: int64(len(f.data)), Mode: mode,
			ModTime: at, Uname: "root", Gname: "root"}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write %s into the archive: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("write %s into the archive: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	if err := packed.Close(); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	return archive.Bytes(), nil
}
