package main

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// TestLock: the lock file names each package of the image for each architecture; a line that is not whole is refused.
func TestLock(t *testing.T) {
	for _, target := range targets {
		packages, err := locked(lockText, target.arch)
		if err != nil || len(packages) != len(imagePackages) {
			t.Errorf("%s: %d packages, %v", target.arch, len(packages), err)
		}
	}
	sum := strings.Repeat("0a", 32)
	good := sum + " 10 amd64 libc6 2.36-9 pool/main/g/glibc/libc6_2.36-9_amd64.deb"
	if _, err := parseLock([]byte("# a comment\n\n" + good + "\n")); err != nil {
		t.Errorf("a good line: %v", err)
	}
	for name, text := range map[string]string{
		"no sum":       strings.Replace(good, sum, sum[1:], 1),
		"no size":      strings.Replace(good, " 10 ", " -1 ", 1),
		"another path": strings.Replace(good, "pool/main", "pool/../etc", 1),
		"an address":   strings.Replace(good, "pool/", "http://example.test/pool/", 1),
		"a field more": good + " more",
		"twice":        good + "\n" + good,
	} {
		if _, err := parseLock([]byte(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := locked([]byte(good), "amd64"); err == nil || !strings.Contains(err.Error(), "make release-lock") {
		t.Errorf("a package is missing: %v", err)
	}
	if err := runsOn(program{glibc: "2.38"}, []debianPackage{{name: "libc6", version: "2.36-9+deb12u1"}}); err == nil {
		t.Error("a program that needs a newer C library than the image has is put into it")
	}
	if err := runsOn(program{glibc: "2.34"}, []debianPackage{{name: "libc6", version: "2.36-9+deb12u1"}}); err != nil {
		t.Error(err)
	}
}

// packed writes a tar archive of headers; files have their names as content.
func packed(t *testing.T, headers ...tar.Header) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		h.ModTime = time.Unix(1700000000, 0)
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Mode = int64(len(h.Name)), 0o4775
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestRootFileSystem: files of packages go where Debian's root has them, what is not used stays out, and what can't be
// right is refused.
func TestRootFileSystem(t *testing.T) {
	l := layer{}
	err := l.addPackage(packed(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./lib/x86_64-linux-gnu/libc.so.6"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/lib/x86_64-linux-gnu/gconv/UTF-16.so"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./lib64/ld-linux-x86-64.so.2", Linkname: "/lib/x86_64-linux-gnu/ld.so"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./lib/ld-linux-aarch64.so.1"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/bin/iconv"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./bin/sh"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/doc/libc6/copyright"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/doc/libc6/changelog.gz"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/zoneinfo/Europe/Vienna"},
		tar.Header{Typeflag: tar.TypeLink, Name: "./usr/share/zoneinfo/Austria",
			Linkname: "./usr/share/zoneinfo/Europe/Vienna"},
	))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := l.archive()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF { //nolint:errorlint // as package tar returns it
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		data, err := io.ReadAll(r)
		if h.Name == "usr/share/zoneinfo/Austria" && (err != nil || string(data) != "./usr/share/zoneinfo/Europe/Vienna") {
			t.Errorf("a link has %q, %v", data, err)
		}
		if h.Typeflag == tar.TypeReg && h.Mode != 0o755 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		if !h.ModTime.Equal(time.Unix(1700000000, 0)) {
			t.Errorf("%s is of %s", h.Name, h.ModTime)
		}
	}
	want := "usr/ usr/lib/ usr/lib/ld-linux-aarch64.so.1 usr/lib/x86_64-linux-gnu/ usr/lib/x86_64-linux-gnu/libc.so.6 " +
		"usr/lib64/ usr/lib64/ld-linux-x86-64.so.2 usr/share/ usr/share/doc/ usr/share/doc/libc6/ " +
		"usr/share/doc/libc6/copyright usr/share/zoneinfo/ usr/share/zoneinfo/Austria usr/share/zoneinfo/Europe/ " +
		"usr/share/zoneinfo/Europe/Vienna"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("the layer has\n%s\nwant\n%s", got, want)
	}
	for name, h := range map[string]tar.Header{
		"a file again":        {Typeflag: tar.TypeReg, Name: "./usr/lib/x86_64-linux-gnu/libc.so.6"},
		"a device":            {Typeflag: tar.TypeChar, Name: "./usr/lib64/null"},
		"a link into nothing": {Typeflag: tar.TypeLink, Name: "./usr/lib64/x", Linkname: "./etc/shadow"},
	} {
		if err := l.addPackage(packed(t, h)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if l.authorities() != "" {
		t.Error("authorities without certificates")
	}
}
