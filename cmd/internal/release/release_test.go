package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/internal/testkind"
)

const (
	root  = "../../.."
	epoch = "1795910400" // 2026-11-29
)

// tools is the folder of the generator of lists; make test has put it there.
func tools(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(root, ".tools"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "cyclonedx-gomod")); err != nil {
		t.Fatalf("run make release-tools first: %v", err)
	}
	return folder
}

// copyProject copies what a release is made of into a folder of its own.
func copyProject(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another test's, and gone again
		}
		if err != nil {
			return err
		}
		if name != root && slices.Contains([]string{".git", ".tools", ".screenshots", "dist"}, d.Name()) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		target := filepath.Join(to, relative)
		return errors.Join(err, os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, data, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAcceptanceReproducible makes a release twice, in folders of other names, by other users' settings and without
// anything that the first build left: archive, list of components and checksums are equal byte by byte. It then looks
// at what is in them. ID-23
func TestAcceptanceReproducible(t *testing.T) {
	folder, generator := t.TempDir(), tools(t)
	first, second := filepath.Join(folder, "a"), filepath.Join(folder, "a much longer name", "of a folder")
	copyProject(t, first)
	copyProject(t, second)
	for _, f := range []string{first, second} {
		args := []string{"-root", f, "-out", filepath.Join(f, "dist"), "-version", "v1.2.3", "-tools", generator}
		var out, errs bytes.Buffer
		if err := run(t.Context(), args, epoch, &out, &errs); err != nil {
			t.Fatalf("release: %v\n%s", err, errs.String())
		}
		// The second is built from nothing, by somebody with settings of their own.
		t.Setenv("GOCACHE", filepath.Join(folder, "cache"))
		t.Setenv("GOFLAGS", "-tags=sqlite_omit_load_extension")
		t.Setenv("CGO_CFLAGS", "-O0")
		t.Setenv("TZ", "Asia/Tokyo")
		t.Setenv("HOME", filepath.Join(folder, "home"))
	}
	name := "ssobridge-1.2.3-" + runtime.GOOS + "-" + runtime.GOARCH
	results := map[string][]byte{}
	for _, file := range []string{name + ".tar.gz", name + ".cdx.json", "SHA256SUMS"} {
		one, err := os.ReadFile(filepath.Join(first, "dist", file))
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(filepath.Join(second, "dist", file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s differs between two builds", file)
		}
		results[file] = one
	}
	sums := string(results["SHA256SUMS"])
	for _, file := range []string{name + ".tar.gz", name + ".cdx.json"} {
		if want := fmt.Sprintf("%x  %s\n", sha256.Sum256(results[file]), file); !strings.Contains(sums, want) {
			t.Errorf("SHA256SUMS lacks %q:\n%s", want, sums)
		}
	}
	files := unpack(t, results[name+".tar.gz"], name+"/")
	checkContents(t, files, folder)
	if !bytes.Equal(files[components], results[name+".cdx.json"]) {
		t.Error("the list of components in the archive is another than the one beside it")
	}
	program := filepath.Join(folder, "ssobridge")
	if err := os.WriteFile(program, files["ssobridge"], 0o700); err != nil {
		t.Fatal(err)
	}
	modules, err := linked(program)
	if err != nil {
		t.Fatal(err)
	}
	checkComponents(t, files[components], modules)
	for _, m := range append(modules, module{"htmx.org", "4.0.1"}, module{"std", runtime.Version()}) {
		if !hasUnder(files, "LICENSES/"+m.Path+"@"+m.Version+"/") {
			t.Errorf("the archive has no licence of %s %s", m.Path, m.Version)
		}
	}
}

// unpack reads an archive; what would tell two of them apart is refused.
func unpack(t *testing.T, archive []byte, folder string) map[string][]byte {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files, last := map[string][]byte{}, ""
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(h.Name, folder)
		if !ok || h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1795910400 || h.Name <= last || h.Typeflag != tar.TypeReg {
			t.Errorf("%s: owner %d:%d, time %s, type %c, after %s", h.Name, h.Uid, h.Gid, h.ModTime, h.Typeflag, last)
		}
		if want := name == "ssobridge"; (h.Mode == 0o755) != want {
			t.Errorf("%s has mode %o", name, h.Mode)
		}
		last = h.Name
		if files[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// checkContents wants all that an admin needs, and no path of the machine that built it.
func checkContents(t *testing.T, files map[string][]byte, folder string) {
	t.Helper()
	for _, name := range []string{"ssobridge", "ssobridge.service", "README.md", "CHANGELOG.md", "SECURITY.md",
		"docs/run.md", "LICENSES/INDEX.txt", components} {
		if len(files[name]) == 0 {
			t.Errorf("the archive has no %s", name)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		for _, path := range []string{folder, home + "/", os.Getenv("GOMODCACHE")} {
			if len(path) > 2 && bytes.Contains(data, []byte(path)) {
				t.Errorf("%s names a folder of the machine that built it: %s", name, path)
			}
		}
	}
}

func hasUnder(files map[string][]byte, folder string) bool {
	for name := range files {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return false
}

// checkComponents wants each linked module in the list, Go's library, and what is no module.
func checkComponents(t *testing.T, list []byte, modules []module) {
	t.Helper()
	var bom struct {
		BOMFormat string `json:"bomFormat"`
		Metadata  struct {
			Timestamp string
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(list, &bom); err != nil {
		t.Fatal(err)
	}
	if c := bom.Metadata.Component; bom.BOMFormat != "CycloneDX" || c.Name != "ssobridge" || c.Version != "1.2.3" ||
		bom.Metadata.Timestamp != "2026-11-29T00:00:00Z" {
		t.Errorf("the list is one of %s %s of %s", c.Name, c.Version, bom.Metadata.Timestamp)
	}
	have := map[module]bool{}
	for _, c := range bom.Components {
		have[module{c.Name, c.Version}] = strings.HasPrefix(c.PURL, "pkg:")
	}
	for _, m := range append(modules, module{"htmx.org", "4.0.1"}, module{"std", runtime.Version()}) {
		if !have[m] && !have[module{m.Path, strings.TrimPrefix(m.Version, "go")}] {
			t.Errorf("the list lacks %s %s", m.Path, m.Version)
		}
	}
	if !regexp.MustCompile(`"pkg:generic/sqlite@3\.\d+\.\d+"`).Match(list) {
		t.Error("the list lacks SQLite")
	}
}

// TestContainerSaysItsVersion runs the commands by which the Dockerfile builds, and asks the program.
func TestContainerSaysItsVersion(t *testing.T) {
	testkind.Starts(t, "sh")
	text, err := os.ReadFile(filepath.Join(root, "cmd/ssobridge/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^ARG VERSION`).Match(text) || !bytes.Contains(text,
		[]byte(`org.opencontainers.image.version="$VERSION"`)) {
		t.Error("the Dockerfile takes no VERSION, or does not label the image with it")
	}
	joined := strings.ReplaceAll(string(text), "\\\n", "")
	build := regexp.MustCompile(`(?m)^RUN (.*go build.*)$`).FindStringSubmatch(joined)
	if build == nil {
		t.Fatal("the Dockerfile builds nothing")
	}
	out := t.TempDir()
	// The sandbox has no version, and this machine's toolchain will do.
	script, _, _ := strings.Cut(strings.ReplaceAll(build[1], "/out/", out+"/"),
		"&& go build -trimpath -ldflags \"-s -w\" ")
	script = regexp.MustCompile(`GOTOOLCHAIN="[^"]*"`).ReplaceAllString(script, "GOTOOLCHAIN=local")
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "VERSION=7.8.9")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	says, err := exec.CommandContext(t.Context(), filepath.Join(out, "ssobridge"), "version").Output()
	if err != nil || !strings.HasPrefix(string(says), "ssobridge 7.8.9 (") {
		t.Errorf("the container's program says %q, %v", says, err)
	}
}

// TestEmbeddedFiles: a file of others that is replaced gets its new version and licence here.
func TestEmbeddedFiles(t *testing.T) {
	for _, e := range others {
		data, err := os.ReadFile(filepath.Join(root, e.file))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != e.sha256 {
			t.Errorf("%s is not %s %s: say which version it is, and what its licence is", e.file, e.Path, e.Version)
		}
	}
}

// TestLicences: those of a module and of folders within it are found; a module without one is not handed out.
func TestLicences(t *testing.T) {
	folder := t.TempDir()
	put := func(name string) {
		t.Helper()
		target := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, []byte(name),
			0o600)); err != nil {
			t.Fatal(err)
		}
	}
	m, s := module{"example.test/m", "v1.0.0"}, source{folder: folder, packages: []string{folder,
		filepath.Join(folder, "a", "b")}}
	put("a/b/code.go")
	put("license.go")
	put("README.md")
	put("licensed.txt")
	put("elsewhere/LICENSE") // nothing of that folder is linked
	if _, err := licencesOf(m, s); err == nil || !strings.Contains(err.Error(), "has no licence") {
		t.Errorf("a module without a licence: %v", err)
	}
	if _, err := licencesOf(m, source{}); err == nil {
		t.Error("a module whose files are not there passes")
	}
	for _, name := range []string{"LICENSE", "NOTICE", "COPYING.LESSER", "License-MIT.txt", "a/LICENCE.md",
		"a/b/UNLICENSE"} {
		put(name)
	}
	files, err := licencesOf(m, s)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	if got, want := strings.Join(names, " "),
		"COPYING.LESSER LICENSE License-MIT.txt NOTICE a/LICENCE.md a/b/UNLICENSE"; got != want {
		t.Errorf("licences: %s, want %s", got, want)
	}
}

// TestWhatIsReleased: a release is one of a version and of a commit, or it is not made.
func TestWhatIsReleased(t *testing.T) {
	folder := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git",
			append([]string{"-c", "user.name=test", "-c", "user.email=test@example.test"}, args...)...)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-11-29T00:00:00Z", "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	refused := func(want, epoch string, args ...string) {
		t.Helper()
		_, err := parse(context.Background(), append([]string{"-root", folder}, args...), epoch, io.Discard)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want bad input: %s", args, err, want)
		}
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "one")
	refused("VERSION=1.2.3", "")
	refused("is none such as", "", "-version", "1.2")
	refused("is none such as", "", "-version", "1.2.3 -X main.x=y")
	refused("is none such as", "", "-version", "../1.2.3")
	refused("no number of seconds", "yesterday", "-version", "1.2.3")
	refused("no number of seconds", "-5", "-version", "1.2.3")
	refused("unknown argument", "", "-version", "1.2.3", "more")
	git("tag", "v1.2.3-rc.1")
	o, err := parse(context.Background(), []string{"-root", folder}, "", io.Discard)
	if err != nil || o.version != "1.2.3-rc.1" || !o.date.Equal(time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("of a tagged commit: %s of %s, %v", o.version, o.date, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("not committed", "")
	refused("not committed", "", "-version", "1.2.3")
	if _, err := parse(context.Background(), []string{"-root", folder, "-version", "1.2.3"}, epoch,
		io.Discard); err != nil {
		t.Errorf("a copy whose version and date are given: %v", err)
	}
	if _, err := parse(context.Background(), []string{"-h"}, "", io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}
