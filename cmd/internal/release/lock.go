package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeLock writes the lock file anew, with the versions that the mirror has now. Apt verifies the mirror's signatures.
func writeLock(ctx context.Context, o options) error {
	var lines []string
	for _, t := range targets {
		packages, err := available(ctx, o, t.arch)
		if err != nil {
			return fmt.Errorf("list the packages of Debian %s for %s: %w", debianRelease, t.arch, err)
		}
		for _, p := range packages {
			lines = append(lines, fmt.Sprintf("%s %8d %-5s %-15s %-20s %s\n", p.sha256, p.size, p.arch, p.name, p.version,
				p.path))
		}
	}
	slices.SortFunc(lines, func(a, b string) int {
		return slices.Compare(strings.Fields(a)[2:], strings.Fields(b)[2:])
	})
	text := "# The Debian packages of the image, written by make release-lock: sum, size, architecture, name, version, path\n" +
		strings.Join(slices.Compact(lines), "")
	if err := os.WriteFile(filepath.Join(o.root, lockFile), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", lockFile, err)
	}
	return nil
}

// available asks apt, in a state of its own, for the newest versions of the image's packages.
func available(ctx context.Context, o options, arch string) ([]debianPackage, error) {
	state, err := os.MkdirTemp("", "ssobridge-apt-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(state) //nolint:errcheck // nothing of it is needed any more
	sources := filepath.Join(state, "sources.list")
	if o.mirror != "" {
		err = os.WriteFile(sources, []byte("deb "+o.mirror+" "+debianRelease+" main\n"), 0o600)
	} else {
		sources, err = debianSources()
	}
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.MkdirAll(filepath.Join(state, "lists", "partial"), 0o700),
		os.WriteFile(filepath.Join(state, "status"), nil, 0o600))
	if err != nil {
		return nil, err
	}
	apt := []string{"-o", "Dir::State::Lists=" + filepath.Join(state, "lists"),
		"-o", "Dir::State::Status=" + filepath.Join(state, "status"), "-o", "Dir::Cache=" + state,
		"-o", "Dir::Etc::SourceList=" + sources, "-o", "Dir::Etc::SourceParts=/dev/null", "-o", "APT::Architecture=" + arch,
		"-o", "APT::Architectures=" + arch, "-o", "APT::Sandbox::User=root", "-o", "APT::Update::Error-Mode=any"}
	env := []string{"LC_ALL=C"}
	if _, err := command(ctx, state, env, "apt-get", append(slices.Clone(apt), "update", "-q")...); err != nil {
		return nil, err
	}
	out, err := command(ctx, state, env, "apt-cache",
		append(append(slices.Clone(apt), "show", "--no-all-versions"), imagePackages...)...)
	if err != nil {
		return nil, err
	}
	var packages []debianPackage
	for paragraph := range strings.SplitSeq(out, "\n\n") {
		f := fields(paragraph)
		line := strings.Join([]string{f["SHA256"], f["Size"], f["Architecture"], f["Package"], f["Version"], f["Filename"]},
			" ")
		parsed, err := parseLock([]byte(line))
		if err != nil || len(parsed) != 1 {
			return nil, fmt.Errorf("apt-cache show says %q: %w", line, err)
		}
		packages = append(packages, parsed...)
	}
	if len(packages) != len(imagePackages) {
		return nil, fmt.Errorf("apt knows %d of %d packages", len(packages), len(imagePackages))
	}
	return packages, nil
}

// fields reads a paragraph as Debian's control files have it; further lines of a field are left out.
func fields(paragraph string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(paragraph) {
		if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			found[key] = strings.TrimSpace(value)
		}
	}
	return found
}
