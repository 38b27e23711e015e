package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// A database file that was removed or replaced while it is open is noticed; what others rightly do with it is not taken
// for that (REAL-86).
func TestInPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		do    func(t *testing.T, path string)
		moved bool
	}{
		"nothing": {func(*testing.T, string) {}, false},
		"a command beside it": {func(t *testing.T, path string) {
			db := openStore(t, store.Options{DSN: "sqlite:" + path})
			if err := errors.Join(db.Ping(t.Context()), db.Backup(t.Context(), path+".copy"), db.Close()); err != nil {
				t.Fatal(err)
			}
		}, false},
		"removed": {func(t *testing.T, path string) { must(t, os.Remove(path)) }, true},
		"renamed": {func(t *testing.T, path string) { must(t, os.Rename(path, path+".old")) }, true},
		"replaced": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".new", []byte("x"), 0o600))
			must(t, os.Rename(path+".new", path))
		}, true},
		"its log removed": {func(t *testing.T, path string) { must(t, os.Remove(path+"-wal")) }, true},
		"its folder renamed": {func(t *testing.T, path string) {
			must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+"-"))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			must(t, os.Mkdir(dir, 0o700))
			path := filepath.Join(dir, "store.db")
			db := openStore(t, store.Options{DSN: "sqlite:" + path})
			for range 3 {
				must(t, db.Audit().Add(t.Context(), store.Event{Action: "x"}))
				must(t, db.Optimize(t.Context()))
				must(t, db.InPlace())
			}
			tc.do(t, path)
			if err := db.InPlace(); errors.Is(err, store.ErrMoved) != tc.moved {
				t.Errorf("got %v, moved is %t", err, tc.moved)
			}
			if err := db.Ping(t.Context()); errors.Is(err, store.ErrMoved) != tc.moved {
				t.Errorf("ping: %v, moved is %t", err, tc.moved)
			}
		})
	}
}

// One program serves an SQLite file, and commands go on beside it (REAL-86).
func TestServeAlone(t *testing.T) {
	o := storetest.SQLite(t)
	first, second := openStore(t, o), openStore(t, o)
	must(t, first.ServeAlone(t.Context()))
	if err := second.ServeAlone(t.Context()); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second one: %v, want ErrInUse", err)
	}
	must(t, second.Ping(t.Context()))
	must(t, first.Close())
	must(t, second.ServeAlone(t.Context()))
}

// Whatever name leads to an SQLite file, it is one file: nobody serves it beside another one, and restore neither
// replaces it below one nor replaces the link. A second hard link is refused, since SQLite has a log for each name
// (REAL-86).
func TestServeAloneByEveryName(t *testing.T) {
	top := t.TempDir()
	data := filepath.Join(top, "data")
	must(t, os.Mkdir(data, 0o700))
	path := filepath.Join(data, "store.db")
	first := openStore(t, store.Options{DSN: "sqlite:" + path})
	must(t, first.ServeAlone(t.Context()))
	must(t, first.Audit().Add(t.Context(), store.Event{Action: "before"}))
	backup := filepath.Join(top, "backup.db")
	must(t, first.Backup(t.Context(), backup))
	must(t, os.Symlink(path, filepath.Join(top, "link.db")))
	must(t, os.Symlink("link.db", filepath.Join(top, "link of a link.db")))
	must(t, os.Symlink(data, filepath.Join(top, "folder")))
	must(t, os.Symlink("gone.db", filepath.Join(data, "dangling.db")))
	t.Chdir(top)
	names := []string{"link.db", "link of a link.db", filepath.Join(top, "link.db"), "folder/store.db",
		"data/../folder/../data/store.db", "./data//store.db"}
	for _, name := range names {
		dsn := "sqlite:" + name
		second := openStore(t, store.Options{DSN: dsn, Existing: true})
		if err := second.ServeAlone(t.Context()); !errors.Is(err, store.ErrInUse) {
			t.Errorf("%s: served beside another one: %v, want ErrInUse", name, err)
		}
		must(t, second.Audit().Add(t.Context(), store.Event{Action: "by another name"}))
		must(t, second.InPlace())
		must(t, second.Close())
		if _, err := store.Restore(t.Context(), backup, dsn, nil); !errors.Is(err, store.ErrInUse) {
			t.Errorf("%s: restored below a program that serves: %v, want ErrInUse", name, err)
		}
	}
	must(t, first.InPlace())
	_, err := store.Open(t.Context(), store.Options{DSN: "sqlite:data/dangling.db"})
	if !errors.Is(err, store.ErrNoStore) {
		t.Errorf("a link that leads nowhere: %v, want ErrNoStore", err)
	}
	// So is a folder that is not there, as where a volume is not mounted; a new store is not what is missing.
	_, err = store.Open(t.Context(), store.Options{DSN: "sqlite:unmounted/store.db", Existing: true})
	if !errors.Is(err, store.ErrNoStore) || !strings.Contains(err.Error(), filepath.Join(top, "unmounted")) {
		t.Errorf("a folder that is not there: %v, want ErrNoStore, which names it", err)
	}
	// What is no file gets no locks beside it either.
	must(t, os.Mkdir("folder.db", 0o700))
	if _, err := store.Open(t.Context(), store.Options{DSN: "sqlite:folder.db"}); err == nil {
		t.Error("a folder was opened")
	}
	if litter, _ := filepath.Glob("folder.db.*"); len(litter) > 0 {
		t.Errorf("beside what is no file stands %q", litter)
	}
	hard := filepath.Join(data, "hard.db")
	must(t, os.Link(path, hard))
	for _, name := range []string{hard, path} {
		if _, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + name}); !errors.Is(err, store.ErrTwoNames) ||
			!strings.Contains(err.Error(), filepath.Base(hard)) {
			t.Errorf("open %s: %v, want ErrTwoNames, which names the other", name, err)
		}
		if name == hard {
			if _, err := store.Restore(t.Context(), backup, "sqlite:"+name, nil); !errors.Is(err, store.ErrTwoNames) {
				t.Errorf("restore %s: %v, want ErrTwoNames", name, err)
			}
		}
	}
	must(t, os.Remove(hard))
	must(t, first.Close())
	kept, err := store.Restore(t.Context(), backup, "sqlite:link.db", nil)
	must(t, err)
	if info, err := os.Lstat("link.db"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if filepath.Dir(kept) != data {
		t.Errorf("the former database is %s, want it in %s", kept, data)
	}
	restored := openStore(t, store.Options{DSN: "sqlite:" + path, Existing: true})
	events, err := restored.Audit().List(t.Context(), store.Filter{Action: "by another name", Limit: 10})
	if err != nil || len(events) != 0 {
		t.Errorf("after the restore: %d events of after the backup, %v", len(events), err)
	}
}

// A file that is no database, or half of one, is named as such, and left as it is (REAL-85).
func TestDamagedStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	o := store.Options{DSN: "sqlite:" + path}
	db, err := store.Open(t.Context(), o)
	must(t, err)
	must(t, db.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	for name, data := range map[string][]byte{"a text": []byte("hello, this is no database\n"), "cut off": whole[:5000],
		"another head": append([]byte("no database here"), whole[16:]...)} {
		must(t, os.WriteFile(path, data, 0o600))
		if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want ErrDamaged, which names the file", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
}

// Where there is no store none is made, unless it is asked for, and nothing is left behind (REAL-85).
func TestNoStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	o := store.Options{DSN: "sqlite:" + path, Existing: true}
	refused := func(name, want string) {
		t.Helper()
		if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNoStore) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want: %s", name, err, want)
		}
	}
	refused("no file", "store.db does not exist")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	must(t, os.WriteFile(path, nil, 0o600))
	refused("an empty file", "store.db is an empty file")
	must(t, os.Remove(path))
	raw := beside(t, o)
	if _, err := raw.Exec(`CREATE TABLE anything (x)`); err != nil {
		t.Fatal(err)
	}
	refused("another program's", "no tables of ours")
	must(t, os.Remove(path))
	o.Existing = false
	must(t, openStore(t, o).Close())
	o.Existing = true
	must(t, openStore(t, o).Close())
}

// A restore that is cut off between setting the database aside and putting the copy in its place is taken back by the
// next start, with what was in the log alone (REAL-86). A second name that it did not give is refused as before.
func TestRestoreCutOff(t *testing.T) {
	// killed leaves a database whose last event is in its log alone, as a program that was killed does.
	killed := func(t *testing.T) (path string) {
		t.Helper()
		dir := t.TempDir()
		path = filepath.Join(dir, "store.db")
		db := openStore(t, store.Options{DSN: "sqlite:" + path})
		must(t, db.Audit().Add(t.Context(), store.Event{Action: "in the log alone"}))
		other := filepath.Join(t.TempDir(), "store.db")
		for _, tail := range []string{"", "-wal"} {
			raw, err := os.ReadFile(path + tail)
			must(t, err)
			must(t, os.WriteFile(other+tail, raw, 0o600))
		}
		if info, err := os.Stat(other + "-wal"); err != nil || info.Size() == 0 {
			t.Fatalf("nothing is in the log alone: %v", err)
		}
		return other
	}
	const aside = ".before-20261130T041500Z"
	for name, c := range map[string]struct {
		cut  func(t *testing.T, path string)
		fine bool
	}{
		"after the link": {func(t *testing.T, path string) { must(t, os.Link(path, path+aside)) }, true},
		"after the log was set aside": {func(t *testing.T, path string) {
			must(t, os.Link(path, path+aside))
			must(t, os.Rename(path+"-wal", path+aside+"-wal"))
		}, true},
		"while it was taken back": {func(t *testing.T, path string) {
			must(t, os.Link(path, path+aside+"-2"))
			must(t, os.Rename(path+"-wal", path+aside+"-2-wal"))
			must(t, os.Rename(path+aside+"-2-wal", path+"-wal"))
		}, true},
		"a name of somebody else's": {func(t *testing.T, path string) { must(t, os.Link(path, path+".before-yesterday")) },
			false},
		"a third name": {func(t *testing.T, path string) {
			must(t, os.Link(path, path+aside))
			must(t, os.Link(path, path+".copy"))
		}, false},
		"a log under both names": {func(t *testing.T, path string) {
			must(t, os.Link(path, path+aside))
			must(t, os.WriteFile(path+aside+"-wal", []byte("x"), 0o600))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := killed(t)
			c.cut(t, path)
			db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + path, Existing: true})
			if !c.fine {
				if !errors.Is(err, store.ErrTwoNames) {
					t.Errorf("got %v, want ErrTwoNames", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			events, err := db.Audit().List(t.Context(), store.Filter{Action: "in the log alone", Limit: 10})
			if err != nil || len(events) != 1 {
				t.Errorf("%d events of the log, %v", len(events), err)
			}
			if left, _ := filepath.Glob(path + ".before-*"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}
