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
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
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
	for _, name := range []string{"cyclonedx-gomod", "nfpm"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Fatalf("run make release-tools first: %v", err)
		}
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

// made is a release of this project that tests share: building one takes minutes.
var made struct {
	sync.Mutex
	folders map[string]string // by version
	base    string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if made.base != "" {
		os.RemoveAll(made.base)
	}
	if base.root != "" {
		os.RemoveAll(base.root)
	}
	os.Exit(code)
}

// releaseOf returns the folder of the release of a version, and makes it if no test has done so.
func releaseOf(t *testing.T, version string) string {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if dist := made.folders[version]; dist != "" {
		return dist
	}
	if made.base == "" {
		folder, err := os.MkdirTemp("", "ssobridge-release-test-")
		if err != nil {
			t.Fatal(err)
		}
		made.base, made.folders = folder, map[string]string{}
	}
	from := filepath.Join(made.base, version)
	copyProject(t, from)
	makeRelease(t, from, version)
	made.folders[version] = filepath.Join(from, "dist")
	return made.folders[version]
}

func makeRelease(t *testing.T, from, version string) {
	t.Helper()
	args := []string{"-root", from, "-out", filepath.Join(from, "dist"), "-version", "v" + version, "-tools", tools(t)}
	var out, errs bytes.Buffer
	if err := run(t.Context(), args, epoch, &out, &errs); err != nil {
		t.Fatalf("release: %v\n%s", err, errs.String())
	}
}

// TestAcceptanceReproducible makes a release twice, in folders of other names, by other users' settings and without
// anything that the first build left: all files are equal byte by byte. It then looks at what is in them. ID-23
func TestAcceptanceReproducible(t *testing.T) {
	testkind.Starts(t, "the program")
	first := releaseOf(t, "1.2.3")
	folder := t.TempDir()
	second := filepath.Join(folder, "a much longer name", "of a folder")
	copyProject(t, second)
	// The second is built from nothing, by somebody with settings of their own.
	t.Setenv("GOCACHE", filepath.Join(folder, "cache"))
	t.Setenv("GOFLAGS", "-tags=sqlite_omit_load_extension")
	t.Setenv("CGO_CFLAGS", "-O0")
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("HOME", filepath.Join(folder, "home"))
	makeRelease(t, second, "1.2.3")
	results := map[string][]byte{}
	entries, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		one, err := os.ReadFile(filepath.Join(first, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(filepath.Join(second, "dist", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s differs between two builds", e.Name())
		}
		results[e.Name()] = one
	}
	checkResults(t, results)
	for _, arch := range []string{"amd64", "arm64"} {
		name := "ssobridge-1.2.3-linux-" + arch
		files := unpack(t, results[name+".tar.gz"], name+"/")
		checkContents(t, files, made.base, folder)
		if !bytes.Equal(files[components], results[name+".cdx.json"]) {
			t.Error("the list of components in the archive is another than the one beside it")
		}
		program := filepath.Join(folder, "ssobridge-"+arch)
		if err := os.WriteFile(program, files["ssobridge"], 0o700); err != nil {
			t.Fatal(err)
		}
		modules, err := linked(program)
		if err != nil {
			t.Fatal(err)
		}
		checkComponents(t, files[components], modules)
		checkComponents(t, results[name+".oci.cdx.json"], append(modules, lockedModules(t, arch)...))
		for _, m := range append(modules, module{"htmx.org", "4.0.1"}, module{"lucide-static", "1.62.0"},
			module{"std", runtime.Version()}) {
			if !hasUnder(files, "LICENSES/"+m.Path+"@"+m.Version+"/") {
				t.Errorf("the archive has no licence of %s %s", m.Path, m.Version)
			}
		}
		if arch == runtime.GOARCH {
			says, err := exec.Command(program, "version").Output()
			checkVersion(t, "the archive's program", string(says), err, "1.2.3", arch)
		}
	}
}

// checkVersion wants the version, and that OpenSSL's libcrypto makes the signatures.
func checkVersion(t *testing.T, who, says string, err error, version, arch string) {
	t.Helper()
	if err != nil || !strings.HasPrefix(says, "ssobridge "+version+" (") || !strings.Contains(says, "linux/"+arch) ||
		!regexp.MustCompile(`RSA signatures by OpenSSL 3\..*libcrypto`).MatchString(says) {
		t.Errorf("%s says %q, %v; want version %s, linux/%s and libcrypto", who, says, err, version, arch)
	}
}

// lockedModules are the Debian packages of an image as components.
func lockedModules(t *testing.T, arch string) (modules []module) {
	t.Helper()
	packages, err := locked(lockText, arch)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		modules = append(modules, module{p.name, p.version})
	}
	return modules
}

// checkResults wants every file of a release, each in the checksums and in the statement of provenance, and none over
// its limit.
func checkResults(t *testing.T, results map[string][]byte) {
	t.Helper()
	want := []string{"SHA256SUMS", "ssobridge-1.2.3.provenance.json", "ssobridge_1.2.3_amd64.deb",
		"ssobridge_1.2.3_arm64.deb", "ssobridge-1.2.3-1.x86_64.rpm", "ssobridge-1.2.3-1.aarch64.rpm"}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, kind := range []string{".tar.gz", ".cdx.json", ".oci.tar", ".oci.cdx.json"} {
			want = append(want, "ssobridge-1.2.3-linux-"+arch+kind)
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(results)); !slices.Equal(got, want) {
		t.Errorf("a release has %v, want %v", got, want)
	}
	var s statement
	if err := json.Unmarshal(results["ssobridge-1.2.3.provenance.json"], &s); err != nil {
		t.Fatal(err)
	}
	for name, data := range results {
		sum := fmt.Sprintf("%x", sha256.Sum256(data))
		if name != sums && !strings.Contains(string(results[sums]), sum+"  "+name+"\n") {
			t.Errorf("%s lacks %s %s", sums, sum, name)
		}
		if name != sums && !strings.HasSuffix(name, ".provenance.json") && !slices.ContainsFunc(s.Subject,
			func(r resource) bool { return r.Name == name && r.Digest["sha256"] == sum }) {
			t.Errorf("the statement of provenance lacks %s %s", sum, name)
		}
		if strings.HasSuffix(name, ".deb") && len(data) > 20e6 || len(data) > 60e6 {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		t.Logf("%9d bytes %s", len(data), name)
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
func checkContents(t *testing.T, files map[string][]byte, folders ...string) {
	t.Helper()
	for _, name := range []string{"ssobridge", "ssobridge.service", "ssobridge-backup.service",
		"ssobridge-backup.timer", "README.md", "CHANGELOG.md", "SECURITY.md",
		"docs/run.md", "docs/products/README.md", "LICENSES/INDEX.txt", versionFile, components} {
		if len(files[name]) == 0 {
			t.Errorf("the archive has no %s", name)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		for _, path := range append(folders, home+"/", os.Getenv("GOMODCACHE")) {
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
	for _, m := range append(modules, module{"htmx.org", "4.0.1"}, module{"lucide-static", "1.62.0"},
		module{"std", runtime.Version()}) {
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
	m, s := module{"example.test/m", "v1.0.0"}, moduleFolders{folder: folder, packages: []string{folder,
		filepath.Join(folder, "a", "b")}}
	put("a/b/code.go")
	put("license.go")
	put("README.md")
	put("licensed.txt")
	put("elsewhere/LICENSE") // nothing of that folder is linked
	if _, err := licencesOf(m, s); err == nil || !strings.Contains(err.Error(), "has no licence") {
		t.Errorf("a module without a licence: %v", err)
	}
	if _, err := licencesOf(m, moduleFolders{}); err == nil {
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
	git("add", "new")
	git("commit", "-q", "-m", "two")
	o, err = parse(context.Background(), []string{"-root", folder}, "", io.Discard)
	if want := "1.2.3-rc.1.dev.1.g" + o.commit[:7]; err != nil || o.version != want {
		t.Errorf("of a commit behind a tag: %s, %v, want %s", o.version, err, want)
	}
	refused("neither amd64 nor arm64", "", "-arch", "amd64,mips")
	if _, err := parse(context.Background(), []string{"-h"}, "", io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}
