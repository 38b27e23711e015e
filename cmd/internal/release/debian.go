package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// lockText names the Debian packages of the image byte for byte: make release-lock writes it.
//
//go:embed debian.lock
var lockText []byte

const lockFile = "cmd/internal/release/debian.lock"

// debianRelease is the one whose C library the program is built with.
const debianRelease = "bookworm"

// imagePackages are what the image consists of beside the program: the C library, OpenSSL's libcrypto for signatures,
// the authorities that TLS trusts, time zones, and what says which system that is.
var imagePackages = []string{"base-files", "ca-certificates", "libc6", "libssl3", "tzdata"}

// debianPackage is one line of the lock file.
type debianPackage struct {
	sha256, arch, name, version, path string
	size                              int64
}

var (
	sumPattern  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	pathPattern = regexp.MustCompile(`^pool/[0-9A-Za-z/._+~%-]+\.deb$`)
)

// parseLock reads the lock file.
func parseLock(text []byte) ([]debianPackage, error) {
	var packages []debianPackage
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 6 || !sumPattern.MatchString(f[0]) || !pathPattern.MatchString(f[5]) || strings.Contains(f[5], "..") {
			return nil, fmt.Errorf("%s line %d has not the six fields sum, size, architecture, name, version, path", lockFile, n)
		}
		size, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || size <= 0 {
			return nil, fmt.Errorf("%s line %d: %q is no size", lockFile, n, f[1])
		}
		p := debianPackage{sha256: f[0], size: size, arch: f[2], name: f[3], version: f[4], path: f[5]}
		if seen[p.arch+" "+p.name] {
			return nil, fmt.Errorf("%s line %d: %s for %s is there already", lockFile, n, p.name, p.arch)
		}
		seen[p.arch+" "+p.name] = true
		packages = append(packages, p)
	}
	return packages, lines.Err()
}

// locked returns the packages of the image for an architecture.
func locked(text []byte, arch string) ([]debianPackage, error) {
	all, err := parseLock(text)
	if err != nil {
		return nil, err
	}
	var packages []debianPackage
	for _, name := range imagePackages {
		// Some are the same for all architectures.
		i := slices.IndexFunc(all, func(p debianPackage) bool {
			return p.name == name && (p.arch == arch || p.arch == "all")
		})
		if i < 0 {
			return nil, fmt.Errorf("%s has no %s for %s: run make release-lock", lockFile, name, arch)
		}
		packages = append(packages, all[i])
	}
	return packages, nil
}

// fetch returns the files of packages. They are kept, each under its sum, and fetched by apt where they are not there.
func fetch(ctx context.Context, o options, packages []debianPackage) ([]string, error) {
	folder, err := filepath.Abs(filepath.Join(o.tools, "debs"))
	if err != nil {
		return nil, fmt.Errorf("find the folder of Debian packages: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of Debian packages: %w", err)
	}
	var files, mirrors []string
	for _, p := range packages {
		kept := filepath.Join(folder, p.sha256+".deb")
		if p.check(kept) != nil {
			if mirrors == nil {
				if mirrors, err = debianMirrors(ctx, o); err != nil {
					return nil, err
				}
			}
			if err := p.download(ctx, mirrors, kept); err != nil {
				return nil, err
			}
		}
		files = append(files, kept)
	}
	return files, nil
}

// check compares a file with what the lock file says.
func (p debianPackage) check(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read %s %s: %w", p.name, p.version, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.sha256 || int64(len(data)) != p.size {
		return fmt.Errorf("read %s %s: it is not the file that %s names", p.name, p.version, lockFile)
	}
	return nil
}

// download has apt fetch the package from the first mirror that has it.
func (p debianPackage) download(ctx context.Context, mirrors []string, to string) error {
	part, err := os.MkdirTemp(filepath.Dir(to), "part-")
	if err != nil {
		return fmt.Errorf("fetch %s: %w", p.name, err)
	}
	defer os.RemoveAll(part) //nolint:errcheck // what is left is in nobody's way
	var failures []error
	for _, mirror := range mirrors {
		got := filepath.Join(part, "deb")
		_, err := command(ctx, part, []string{"LC_ALL=C"}, "/usr/lib/apt/apt-helper", "download-file",
			strings.TrimSuffix(mirror, "/")+"/"+p.path, got, "SHA256:"+p.sha256)
		if err == nil {
			if err = p.check(got); err == nil {
				if err := os.Rename(got, to); err != nil {
					return fmt.Errorf("keep %s: %w", p.name, err)
				}
				return nil
			}
		}
		failures = append(failures, err)
	}
	return fmt.Errorf("fetch %s %s for %s: no mirror has it any more, or none answers. Run make release-lock and commit "+
		"what it changes, or give a mirror that keeps old packages (-mirror): %w", p.name, p.version, p.arch,
		errors.Join(failures...))
}

// debianSources is the file by which apt of this machine finds Debian.
func debianSources() (string, error) {
	for _, name := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(text), debianRelease) {
			return name, nil
		}
	}
	return "", fmt.Errorf("find a Debian mirror: apt of this machine has none of Debian %s; give one by -mirror",
		debianRelease)
}

// debianMirrors are the addresses below which the folder pool is.
func debianMirrors(ctx context.Context, o options) ([]string, error) {
	if o.mirror != "" {
		return []string{o.mirror}, nil
	}
	sources, err := debianSources()
	if err != nil {
		return nil, err
	}
	out, err := command(ctx, "", []string{"LC_ALL=C"}, "apt-get", "-o", "Dir::Etc::SourceList="+sources,
		"-o", "Dir::Etc::SourceParts=/dev/null", "indextargets", "--format", "$(SITE)", "Created-By: Packages")
	if err != nil {
		return nil, fmt.Errorf("find a Debian mirror: %w", err)
	}
	return slices.Compact(strings.Fields(out)), nil
}
