package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"ssobridge/internal/testkind"
)

// TestScripts: a shell can read what runs when a package is installed and removed.
func TestScripts(t *testing.T) {
	testkind.Starts(t, "sh")
	found, err := filepath.Glob("scripts/*")
	if err != nil || len(found) != 7 {
		t.Fatalf("found %v, %v", found, err)
	}
	for _, name := range found {
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// system is a small Debian system in a folder, in which packages are installed.
type system struct {
	t    *testing.T
	root string
}

// base is the system that each test gets a copy of.
var base struct {
	sync.Mutex
	root string
}

// newSystem makes one by the mirror of this machine.
func newSystem(t *testing.T) system {
	t.Helper()
	testkind.Starts(t, "mmdebstrap")
	if os.Getuid() != 0 {
		t.Fatal("a system in a folder needs root")
	}
	base.Lock()
	defer base.Unlock()
	// Not in memory, which devices may not be made in.
	if base.root == "" {
		sources, err := debianSources()
		if err != nil {
			t.Fatal(err)
		}
		if base.root, err = os.MkdirTemp("/var/tmp", "ssobridge-system-"); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "mmdebstrap", "--quiet", "--mode=root", "--variant=essential",
			"--include=ca-certificates,libssl3,passwd,procps", "--dpkgopt=path-exclude=/usr/share/man/*",
			"--dpkgopt=force-unsafe-io", debianRelease, base.root, sources)
		cmd.Env = append(os.Environ(), "TMPDIR=/var/tmp")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("mmdebstrap: %v\n%s", err, out)
		}
	}
	root, err := os.MkdirTemp("/var/tmp", "ssobridge-system-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", base.root+"/.", root).CombinedOutput(); err != nil {
		t.Fatalf("copy the system: %v\n%s", err, out)
	}
	return system{t, root}
}

// try runs a command in the system and returns what it prints.
func (s system) try(program string, args ...string) (string, error) {
	testkind.Starts(s.t, "chroot")
	cmd := exec.CommandContext(s.t.Context(), "chroot", append([]string{s.root, program}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is try for what has to work.
func (s system) run(program string, args ...string) string {
	s.t.Helper()
	out, err := s.try(program, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// give copies a file into the system.
func (s system) give(from, to string) {
	s.t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.root, to), data, 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// owned wants owner, group and mode of a file or folder of the system.
func (s system) owned(name, want string) {
	s.t.Helper()
	if got := strings.TrimSpace(s.run("stat", "-c", "%U:%G %a", name)); got != want {
		s.t.Errorf("%s is %s, want %s", name, got, want)
	}
}

func (s system) has(name string) bool {
	_, err := os.Lstat(filepath.Join(s.root, name))
	return err == nil
}

// setUp sets the bridge up as docs/run.md says, and returns its configuration and secret key.
func (s system) setUp() string {
	s.t.Helper()
	s.run("ssobridge", "init", "/etc/ssobridge", "--public-url", "https://sso.example.com", "--set",
		"data_dir=/var/lib/ssobridge")
	configure(s.t, filepath.Join(s.root, "etc/ssobridge"), "127.0.0.1:8080")
	s.run("chown", "-R", "root:ssobridge", "/etc/ssobridge")
	s.run("chmod", "-R", "u=rwX,g=rX,o=", "/etc/ssobridge")
	s.run("chown", "-R", "ssobridge:", "/var/lib/ssobridge")
	return s.configured("/")
}

func (s system) configured(below string) string {
	s.t.Helper()
	return s.run("cat", below+"etc/ssobridge/ssobridge.yaml", below+"etc/ssobridge/secret_key")
}

// keys lists the signing keys as the bridge's own user.
func (s system) keys() string {
	s.t.Helper()
	return s.run("setpriv", "--reuid=ssobridge", "--regid=ssobridge", "--clear-groups", "ssobridge", "keys", "list")
}

// installed checks what every package has to bring.
func (s system) installed(version string) {
	s.t.Helper()
	says, err := s.try("ssobridge", "version")
	checkVersion(s.t, "the package's program", says, err, version, "amd64")
	s.owned("/usr/bin/ssobridge", "root:root 755")
	s.owned("/etc/ssobridge", "root:ssobridge 750")
	s.owned("/var/lib/ssobridge", "ssobridge:ssobridge 700")
	if passwd := s.run("getent", "passwd", "ssobridge"); !strings.HasSuffix(passwd,
		":/var/lib/ssobridge:/usr/sbin/nologin\n") {
		s.t.Errorf("the user is %s", passwd)
	}
	for _, name := range []string{"README.md", "docs/run.md", "LICENSES/INDEX.txt", "sbom.cdx.json", "copyright"} {
		if !s.has("/usr/share/doc/ssobridge/" + name) {
			s.t.Errorf("the package has no %s", name)
		}
	}
	text := s.run("cat", "/usr/lib/systemd/system/ssobridge.service")
	if !strings.Contains(text, "ExecStart=/usr/bin/ssobridge serve ") || strings.Contains(text, "/usr/local") {
		s.t.Errorf("the unit starts another program:\n%s", text)
	}
}

// systemd stands in for a running systemd: a systemctl that writes down what it is asked, and fails if it is told to.
func (s system) systemd() {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.root, "run/systemd/system"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	script := "#!/bin/sh\necho \"$*\" >>/tmp/systemctl.log\n[ ! -e /tmp/systemctl.fails ]\n"
	if err := os.WriteFile(filepath.Join(s.root, "usr/bin/systemctl"), []byte(script), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// asked returns what systemctl was asked since the last time.
func (s system) asked() string {
	s.t.Helper()
	name := filepath.Join(s.root, "tmp/systemctl.log")
	text, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	os.Remove(name)
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; ")
}

// TestAcceptanceDebianPackage installs, upgrades, removes and purges the package in a small Debian system, with a
// bridge set up as the documents say. ID-40
func TestAcceptanceDebianPackage(t *testing.T) {
	s := newSystem(t)
	for _, version := range []string{"1.2.3", "1.2.4"} {
		s.give(filepath.Join(releaseOf(t, version), "ssobridge_"+version+"_amd64.deb"), "/tmp/"+version+".deb")
	}
	// One that was never set up leaves nothing but its user.
	s.run("dpkg", "--install", "/tmp/1.2.3.deb")
	s.installed("1.2.3")
	testkind.Starts(t, "systemd-analyze")
	if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
		"--root="+s.root, "ssobridge.service").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd says of the unit: %v\n%s", err, out)
	}
	s.run("dpkg", "--purge", "ssobridge")
	for _, name := range []string{"/etc/ssobridge", "/var/lib/ssobridge", "/usr/share/doc/ssobridge",
		"/usr/bin/ssobridge"} {
		if s.has(name) {
			t.Errorf("after a purge %s is there", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.root, "var/backups/ssobridge*")); len(left) > 0 {
		t.Errorf("the purge of an empty package leaves %v", left)
	}

	// Without its dependencies it is not set up.
	s.run("dpkg", "--force-depends", "--remove", "ca-certificates")
	if out, err := s.try("dpkg", "--install", "/tmp/1.2.3.deb"); err == nil || !strings.Contains(out, "ca-certificates") {
		t.Errorf("without ca-certificates it is installed: %v\n%s", err, out)
	}
	s.run("dpkg", "--purge", "ssobridge")
	s.run("sh", "-c", "echo 'Package: ca-certificates\nArchitecture: all\nMaintainer: t\nVersion: 1\nDescription: t' "+
		">/tmp/control && mkdir -p /tmp/ca/DEBIAN && cp /tmp/control /tmp/ca/DEBIAN && dpkg-deb -b /tmp/ca /tmp/ca.deb "+
		"&& dpkg -i /tmp/ca.deb")

	out := s.run("dpkg", "--install", "/tmp/1.2.3.deb")
	if !strings.Contains(out, "ssobridge setup") {
		t.Errorf("the installation does not say what comes next:\n%s", out)
	}
	configuration := s.setUp()
	keys := s.keys()

	s.systemd()
	out = s.run("dpkg", "--install", "/tmp/1.2.4.deb")
	s.installed("1.2.4")
	if strings.Contains(out, "ssobridge setup") {
		t.Errorf("an upgrade asks for another set-up:\n%s", out)
	}
	if got := s.configured("/"); got != configuration {
		t.Errorf("the upgrade changes the configuration to\n%s", got)
	}
	if got := s.keys(); got != keys {
		t.Errorf("the keys were\n%s\nand are after the upgrade\n%s", keys, got)
	}
	if got := s.asked(); got != "daemon-reload; try-restart ssobridge.service; daemon-reload" &&
		got != "daemon-reload; daemon-reload; try-restart ssobridge.service" {
		t.Errorf("an upgrade asks systemd: %s", got)
	}
	// That a bridge does not start again is said, and the package is installed all the same.
	s.run("touch", "/tmp/systemctl.fails")
	if out := s.run("dpkg", "--install", "/tmp/1.2.4.deb"); !strings.Contains(out, "does not start with the new version") {
		t.Errorf("a failed restart is not said:\n%s", out)
	}
	if state := s.run("dpkg-query", "-W", "-f", "${Status}", "ssobridge"); state != "install ok installed" {
		t.Errorf("after a failed restart the package is %q", state)
	}
	s.run("rm", "/tmp/systemctl.fails")
	s.asked()

	// Removal leaves configuration, data and user.
	s.run("dpkg", "--remove", "ssobridge")
	if got := s.asked(); !strings.HasPrefix(got, "stop ssobridge-backup.timer; stop ssobridge.service") {
		t.Errorf("a removal asks systemd: %s", got)
	}
	if s.has("/usr/bin/ssobridge") || s.configured("/") != configuration || !s.has("/var/lib/ssobridge/ssobridge.db") {
		t.Error("a removal leaves the program, or takes configuration or data away")
	}
	s.run("dpkg", "--install", "/tmp/1.2.4.deb")
	s.installed("1.2.4")
	if got := s.keys(); got != keys {
		t.Errorf("installed again it has the keys\n%s", got)
	}

	// A purge takes all away, and nothing is lost.
	s.run("mkdir", "-p", "/etc/systemd/system/multi-user.target.wants")
	wants := "/etc/systemd/system/multi-user.target.wants/ssobridge.service"
	s.run("ln", "-s", "/usr/lib/systemd/system/ssobridge.service", wants)
	s.run("mkdir", "-p", "/etc/systemd/system/timers.target.wants")
	timer := "/etc/systemd/system/timers.target.wants/ssobridge-backup.timer"
	s.run("ln", "-s", "/usr/lib/systemd/system/ssobridge-backup.timer", timer)
	out = s.run("dpkg", "--purge", "ssobridge")
	kept := regexp.MustCompile(`/var/backups/ssobridge-purged-\d{8}T\d{6}Z`).FindString(out)
	if kept == "" || s.has("/etc/ssobridge") || s.has("/var/lib/ssobridge") || s.has(wants) || s.has(timer) {
		t.Fatalf("after the purge something is left, or it does not say where all is:\n%s", out)
	}
	s.owned(kept, "root:root 700")
	if s.configured(kept+"/") != configuration || !s.has(kept+"/var/lib/ssobridge/ssobridge.db") {
		t.Error("the purge lost configuration or data")
	}
	if foreign := s.run("find", kept, "!", "-user", "root"); foreign != "" {
		t.Errorf("what was purged belongs to others:\n%s", foreign)
	}
	s.run("getent", "passwd", "ssobridge")
}

// TestAcceptanceRPM installs, upgrades and removes the RPM package in the same kind of system, whose rpm is this
// machine's. ID-41
func TestAcceptanceRPM(t *testing.T) {
	s := newSystem(t)
	rpm := func(args ...string) string {
		t.Helper()
		testkind.Starts(t, "rpm")
		cmd := exec.CommandContext(t.Context(), "rpm", append([]string{"--root", s.root, "--dbpath", "/var/lib/rpm"},
			args...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("rpm %v: %v\n%s", args, err, out.String())
		}
		return out.String()
	}
	file := func(version string) string {
		return filepath.Join(releaseOf(t, version), "ssobridge-"+version+"-1.x86_64.rpm")
	}
	rpm("--initdb")
	if out := rpm("--checksig", "--nosignature", file("1.2.3")); !strings.Contains(out, "digests OK") {
		t.Errorf("rpm says of the file: %s", out)
	}
	for query, want := range map[string][]string{
		"--requires":   {"libc.so.6(GLIBC_", "ca-certificates", "/usr/sbin/useradd"},
		"--recommends": {"openssl-libs"},
		"-i":           {"Build Host  : localhost", "Version     : 1.2.3", "Summary     : " + summary},
	} {
		out := rpm("--query", "--package", query, file("1.2.3"))
		for _, part := range want {
			if !strings.Contains(out, part) {
				t.Errorf("rpm %s lacks %q:\n%s", query, part, out)
			}
		}
	}
	// What it requires is there in other packages, which rpm does not know of.
	out := rpm("--install", "--nodeps", "--force-debian", file("1.2.3"))
	s.installed("1.2.3")
	if !strings.Contains(out, "ssobridge setup") {
		t.Errorf("the installation does not say what comes next:\n%s", out)
	}
	configuration := s.setUp()
	keys := s.keys()
	s.systemd()
	rpm("--upgrade", "--nodeps", "--force-debian", file("1.2.4"))
	s.installed("1.2.4")
	if s.configured("/") != configuration || s.keys() != keys {
		t.Error("the upgrade changes configuration or keys")
	}
	if got := s.asked(); got != "daemon-reload; daemon-reload; try-restart ssobridge.service" {
		t.Errorf("an upgrade asks systemd: %s", got)
	}
	if out := rpm("--verify", "--nodeps", "ssobridge"); out != "" {
		t.Errorf("rpm finds other files than it has installed:\n%s", out)
	}
	rpm("--erase", "--nodeps", "--force-debian", "ssobridge")
	if got := s.asked(); got != "--no-reload disable --now ssobridge-backup.timer ssobridge.service; daemon-reload" {
		t.Errorf("a removal asks systemd: %s", got)
	}
	if s.has("/usr/bin/ssobridge") || s.configured("/") != configuration || !s.has("/var/lib/ssobridge/ssobridge.db") {
		t.Error("a removal leaves the program, or takes configuration or data away")
	}
}
