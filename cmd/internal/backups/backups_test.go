package backups_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/backups"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

// maker makes backups of one store into one folder, at times that a test says.
type maker struct {
	t *testing.T
	backups.Folder
	o   backups.Options
	now time.Time
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	db, err := store.Open(t.Context(), storetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	m := &maker{t: t, Folder: backups.Folder{Path: t.TempDir(), Voucher: sealer(t, 'a')},
		now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	m.o = backups.Options{
		Source: db, Journal: func(context.Context) ([]byte, error) { return []byte("a line\n"), nil },
		Check: func(context.Context, *store.Copy) error { return nil }, Work: t.TempDir(),
		Now: func() time.Time { return m.now },
	}
	return m
}

func sealer(t *testing.T, letter byte) *certs.Sealer {
	t.Helper()
	s, err := certs.NewSealer(bytes.Repeat([]byte{letter}, certs.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (m *maker) make() backups.Backup {
	m.t.Helper()
	b, err := m.Make(m.t.Context(), m.o)
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

func (m *maker) list() backups.Listed {
	m.t.Helper()
	l, err := m.List()
	if err != nil {
		m.t.Fatal(err)
	}
	return l
}

// names are what stands in the folder.
func (m *maker) names() (all []string) {
	m.t.Helper()
	entries, err := os.ReadDir(m.Path)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// SET-04: the oldest good ones go, whatever the clock says of the one that was just made.
func TestKeep(t *testing.T) {
	m := newMaker(t)
	var all []backups.Backup
	for range 3 {
		all = append(all, m.make())
		m.now = m.now.Add(time.Hour)
	}
	m.now = m.now.Add(-24 * time.Hour) // it was put back
	last := m.make()
	gone, err := m.Keep(m.list(), 2, last)
	if err != nil || len(gone) != 2 || gone[0].Database != all[0].Database || gone[1].Database != all[1].Database {
		t.Fatalf("gone %+v, %v, want the two oldest of before", gone, err)
	}
	if good := m.list().Good; len(good) != 2 || !slices.ContainsFunc(good,
		func(b backups.Backup) bool { return b.Database == last.Database }) {
		t.Errorf("left %+v, want the one that was just made among two", good)
	}
	if names := m.names(); len(names) != 6 {
		t.Errorf("left %v, want three files of each of two", names)
	}
	if _, err := m.Keep(m.list(), 0, last); err != nil {
		t.Error(err)
	}
	if good := m.list().Good; len(good) != 1 || good[0].Database != last.Database {
		t.Errorf("left %+v, want the last one", good)
	}
}

// SET-04: what another installation made, what was changed or renamed, and what is damaged is nobody's to remove, and
// counts for nothing.
func TestForeignBackups(t *testing.T) {
	m := newMaker(t)
	b := m.make()
	manifest := filepath.Join(m.Path, strings.TrimSuffix(b.Database.Name, ".db")+".json")
	raw, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	other := backups.Folder{Path: m.Path, Voucher: sealer(t, 'b')}
	if l, err := other.List(); err != nil || len(l.Good)+len(l.Damaged)+len(l.Partial) != 0 {
		t.Errorf("another installation: %+v, %v", l, err)
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(m.Path, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string][]byte{
		"another file named": bytes.Replace(raw, []byte(b.Database.Name), []byte("../../etc/passwd"), 1),
		"another digest":     bytes.Replace(raw, []byte(b.Database.SHA256[:8]), []byte("00000000"), 1),
		"no JSON":            []byte("nothing"),
	} {
		write(filepath.Base(manifest), text)
		if l := m.list(); len(l.Good) != 0 {
			t.Errorf("%s: %+v", name, l)
		}
	}
	write(filepath.Base(manifest), raw)
	write("ssobridge-20200101T000000.000Z.json", raw) // renamed: it would be the oldest
	if l := m.list(); len(l.Good) != 1 {
		t.Errorf("with a renamed manifest: %+v", l)
	}
	// What only has such a name: a pipe, which nobody writes, a folder, and a link.
	for name, make := range map[string]func(path string) error{
		"ssobridge-20200102T000000.000Z.json": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"ssobridge-20200103T000000.000Z.json": func(path string) error { return os.Mkdir(path, 0o700) },
		"ssobridge-20200104T000000.000Z.json": func(path string) error { return os.Symlink(manifest, path) },
	} {
		if err := make(filepath.Join(m.Path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if l := m.list(); len(l.Good) != 1 || len(l.Damaged)+len(l.Partial) != 0 {
		t.Errorf("with what is no file: %+v", l)
	}
	if err := os.Truncate(m.DatabaseOf(b), 100); err != nil {
		t.Fatal(err)
	}
	m.now = m.now.Add(time.Hour)
	last := m.make()
	l := m.list()
	if len(l.Good) != 1 || len(l.Damaged) != 1 || !strings.Contains(l.Damaged[0], "it has 100 bytes") {
		t.Errorf("with a damaged one: %+v", l)
	}
	if gone, err := m.Keep(l, 1, last); err != nil || len(gone) != 0 {
		t.Errorf("gone %+v, %v", gone, err)
	}
	if _, err := os.Stat(m.DatabaseOf(b)); err != nil {
		t.Errorf("the damaged one: %v", err)
	}
}

// SET-04: a backup that does not pass its check leaves nothing, in clear least of all.
func TestBackupRefused(t *testing.T) {
	m := newMaker(t)
	m.o.Check = func(context.Context, *store.Copy) error { return errors.New("a key does not open") }
	if _, err := m.Make(t.Context(), m.o); err == nil || !strings.Contains(err.Error(), "a key does not open") {
		t.Errorf("got %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	m.o.Check = func(context.Context, *store.Copy) error { stop(); return nil }
	if _, err := m.Make(ctx, m.o); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	if names := m.names(); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	if left, err := os.ReadDir(m.o.Work); err != nil || len(left) > 0 {
		t.Errorf("left where it was made: %v, %v", left, err)
	}
}

// SET-04: of two at once, each would keep its own and remove the other's, so that none was left. The second is refused.
func TestOneAtATime(t *testing.T) {
	work := t.TempDir()
	unlock, err := backups.Lock(work)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backups.Lock(work); !errors.Is(err, backups.ErrRunning) {
		t.Errorf("the second: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = backups.Lock(work); err != nil {
		t.Fatalf("after it: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
