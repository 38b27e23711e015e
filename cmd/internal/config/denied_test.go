package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"ssobridge/cmd/internal/config"
)

// asNobody runs what opens files as a user who owns none of them. Of root alone it can be said.
func asNobody(t *testing.T, run func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, whom every file is open to")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		const nobody = 65534
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			t.Errorf("become nobody: %v", errno)
			return
		}
		run()
	}()
	<-done
}

// SET-03: a file that is there and may not be read is not one that is missing.
func TestDenied(t *testing.T) {
	folder := initFolder(t)
	file := filepath.Join(folder, "ssobridge.yaml")
	asNobody(t, func() {
		_, err := config.Load(file, nil)
		var fault *config.Error
		if !errors.As(err, &fault) || len(fault.Faults) != 1 {
			t.Errorf("got %v, want one fault", err)
			return
		}
		if f := fault.Faults[0]; !strings.Contains(f.Text, "permission denied") || strings.Contains(f.Fix, "init") ||
			!strings.Contains(f.Fix, "as the bridge's user") {
			t.Errorf("got %v", f)
		}
	})
	for name, mode := range map[string]os.FileMode{"": 0o755, "ssobridge.yaml": 0o644} {
		if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for dir := folder; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the test's own folders
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		_, err := config.Load(file, nil)
		if err == nil || !strings.Contains(err.Error(), "secret_key can't be read: permission denied; run the command as the "+
			"bridge's user") {
			t.Errorf("a secret that may not be read: %v", err)
		}
	})
	_, err := config.Load(filepath.Join(folder, "missing.yaml"), nil)
	if err == nil || !strings.Contains(err.Error(), "make one with `ssobridge setup`") {
		t.Errorf("a file that is missing: %v", err)
	}
}

// TestFill: what is written is read as it was meant, and everything else stays.
func TestFill(t *testing.T) {
	before := "# mine\npublic_url: https://a.example.com   # ours\ndirectory:\n  urls:\n  - ldaps://a\n  - ldaps://b\n  # kept\n" +
		"  base_dn: dc=a # why\nsessions:\n  #idle: 1h\n  life: 2h\n"
	got, err := config.Fill(before, map[string]string{
		"public_url": "https://b.example.com", "directory.urls": "[ldaps://c, ldaps://d]", "sessions.idle": "30m",
		"directory.start_tls": "false", "constant_contact.limits.share": "0.5", "branding.name": "A: \"B\" # C",
		"audit.keep": "{default: 48h, login: 0s}", "directory.max_depth": "7",
	})
	want := "# mine\npublic_url: https://b.example.com # ours\ndirectory:\n  start_tls: false\n  max_depth: 7\n" +
		"  urls: ['ldaps://c', 'ldaps://d']\n  # kept\n  base_dn: dc=a # why\nsessions:\n  idle: 30m\n  life: 2h\n" +
		"audit:\n  keep: {default: 48h0m0s, login: 0s}\nbranding:\n  name: 'A: \"B\" # C'\nconstant_contact:\n" +
		"  limits:\n    share: 0.5\n"
	if err != nil || strings.ReplaceAll(got, `"ldaps://c", "ldaps://d"`, "'ldaps://c', 'ldaps://d'") != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
	for name, text := range map[string]string{
		"a section on one line": "directory: {preset: openldap}\n", "no YAML": "directory: [\n",
	} {
		if got, err := config.Fill(text, map[string]string{
			"directory.base_dn": "dc=b", "directory.preset": "lldap",
		}); err == nil {
			t.Errorf("%s: got no error and\n%s", name, got)
		}
	}
}

// A file that is indented in another way keeps it.
func TestFillIndented(t *testing.T) {
	got, err := config.Fill("directory:\n    preset: openldap # of ours\n    urls:\n        - ldaps://a\n# end\n",
		map[string]string{"directory.base_dn": "dc=b", "directory.preset": "lldap"})
	want := "directory:\n    base_dn: dc=b\n    preset: lldap # of ours\n    urls:\n        - ldaps://a\n# end\n"
	if err != nil || got != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
}
