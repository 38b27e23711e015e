package store_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// openAs is the folder that the process of TestArbitraryUser opens its store in.
const openAs = "SSOBRIDGE_TEST_OPEN_IN"

// A volume that is shared by its group can be used by one user id after the other (REAL-81).
func TestArbitraryUser(t *testing.T) {
	if dir := os.Getenv(openAs); dir != "" {
		useAsSomebody(t, dir)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become other users")
	}
	base := t.TempDir()
	for dir := base; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self := filepath.Join(base, "program") // where it was built, only root may look
	copyProgram(t, self)
	run := func(uid, gid uint32, dir string) (string, error) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestArbitraryUser$")
		cmd.Env = append(os.Environ(), openAs+"="+dir, "TMPDIR="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	folder := func(name string, uid, gid int, mode os.FileMode) string {
		t.Helper()
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	modes := func(dir string, want os.FileMode) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: mode %v, %v, want %v", e.Name(), info.Mode(), err, want)
			}
		}
	}

	shared := folder("shared", 100123, 0, 0o770)
	for _, uid := range []uint32{100123, 100777, 100123, 100999} {
		if out, err := run(uid, 0, shared); err != nil {
			t.Fatalf("user %d of the group: %v\n%s", uid, err, out)
		}
		modes(shared, 0o660)
	}
	if out, err := run(100123, 100123, shared); err != nil {
		t.Errorf("the folder's owner, of another group: %v\n%s", err, out)
	}
	if out, err := run(100777, 100777, shared); err == nil {
		t.Errorf("a user of another group got in\n%s", out)
	}
	if err := os.Chmod(filepath.Join(shared, "store.db"), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := run(100777, 0, shared); err != nil || !strings.Contains(out, "is another user's") {
		t.Errorf("a database open to all, of another user: %v\n%s", err, out)
	}
	if out, err := run(100123, 0, shared); err != nil {
		t.Errorf("its owner: %v\n%s", err, out)
	}
	owned := folder("owned", 100123, 0, 0o750)
	if out, err := run(100123, 0, owned); err != nil {
		t.Fatalf("the owner of a folder that is not shared: %v\n%s", err, out)
	}
	modes(owned, 0o600)
	if out, err := run(100777, 0, owned); err == nil {
		t.Errorf("another user got into a folder that is not shared\n%s", out)
	}
}

// useAsSomebody is the other process.
func useAsSomebody(t *testing.T, dir string) {
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(dir, "store.db"),
		Voucher: storetest.Voucher("shared"), Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Audit().Add(t.Context(), store.Event{Action: "x", Subject: fmt.Sprint(os.Geteuid())}); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, from); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
