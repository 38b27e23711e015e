package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sums is the file of the checksums.
const sums = "SHA256SUMS"

// checksums lists the files as sha256sum -c reads it.
func checksums(files []file) file {
	var text strings.Builder
	for _, f := range files {
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(f.data), f.name)
	}
	return file{name: sums, data: []byte(text.String())}
}

// write puts the files of a release into its folder.
func write(folder string, files []file) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the release: %w", err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(folder, f.name), f.data, 0o644); err != nil {
			return fmt.Errorf("write the release: %w", err)
		}
	}
	return nil
}

// pack makes an archive whose bytes say nothing of who made it, when and where: files in order, one owner, one time.
func pack(folder string, at time.Time, files []file) ([]byte, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.name, b.name) })
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
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
	return compress(archive.Bytes())
}

// compress packs by gzip, without a name and a time.
func compress(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return packed.Bytes(), nil
}
