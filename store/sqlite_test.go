package store_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv("SSOBRIDGE_STORE_TEST_CHILD"); dsn != "" {
		writeForever(dsn)
	}
	os.Exit(m.Run())
}

// writeForever is the child process of TestKilled: it prints the id of each
// sign-in once it was answered.
func writeForever(dsn string) {
	ctx := context.Background()
	// that of the parent
	db, err := store.Open(ctx, store.Options{DSN: dsn, Voucher: storetest.Voucher("key of the tests")})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	ids := make(chan string)
	for worker := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", worker, i)
				if err := db.SignIns().Create(ctx, store.SignIn{ID: id, ExpiresAt: time.Now().Add(time.Hour)},
					store.Caps{}); err != nil {
					id = "error: " + err.Error()
				}
				ids <- id
			}
		}()
	}
	for id := range ids {
		fmt.Println(id)
	}
}

// TestKilled: what was answered is there after the process was killed at any moment.
func TestKilled(t *testing.T) {
	o := storetest.SQLite(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), "SSOBRIDGE_STORE_TEST_CHILD="+o.DSN)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var answered []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		answered = append(answered, lines.Text())
		if len(answered) == 300 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // killed
	if len(answered) < 300 {
		t.Fatalf("the child answered %d times: %v", len(answered), answered)
	}
	db := openStore(t, o)
	for _, id := range answered {
		if _, err := db.SignIns().Get(t.Context(), strings.TrimSpace(id)); err != nil {
			t.Errorf("sign-in %s was answered: %v", id, err)
		}
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("no database, but long enough to be taken for one by its size alone\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, dsn, want string }{
		{"empty", "", "want \"sqlite:PATH\""},
		{"no kind", dir + "/x.db", "want \"sqlite:PATH\""},
		{"no path", "sqlite:", "want \"sqlite:PATH\""},
		{"other database", "mysql://root:hunter2@host/db", "want \"sqlite:PATH\""},
		{"in memory", "sqlite::memory:", "path of a file"},
		{"no folder", "sqlite:" + dir + "/none/x.db", "folder of the sqlite file"},
		{"a file as folder", "sqlite:" + file + "/x.db", "folder of the sqlite file"},
		{"a folder as file", "sqlite:" + dir, "not a regular file"},
		{"no database", "sqlite:" + file, "not a database"},
		{"unreadable postgres URL", "postgres://app:hunter2@host:notaport/db", "postgres DSN"},
		{"postgres not there", "postgres://app:hunter2@127.0.0.1:1/db?connect_timeout=1", "connect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, err := store.Open(t.Context(), store.Options{DSN: c.dsn})
			if err == nil {
				_ = db.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password stands in %q", err)
			}
		})
	}
}

// TestFileModes: the database and what SQLite puts beside it are its owner's alone.
func TestFileModes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "odd name?#%20ü.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	db := openStore(t, store.Options{DSN: "sqlite:" + path})
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", e.Name(), info.Mode())
		}
		if !strings.HasPrefix(e.Name(), "odd name?#%20ü.db") {
			t.Errorf("%s was made for the path %s", e.Name(), path)
		}
	}
}

// TestFloodStaysSmall: WEB-09, far more fresh AuthnRequests than the caps allow
// leave a small file.
func TestFloodStaysSmall(t *testing.T) {
	o := storetest.SQLite(t)
	now := time.Now()
	o.Now = func() time.Time { return now }
	db := openStore(t, o)
	caps := store.Caps{PerAddress: 50, Total: 1000}
	refused, stored := 0, 0
	for i := range 20000 {
		if i%2000 == 0 {
			now = now.Add(10 * time.Minute) // the earlier ones expire
		}
		err := db.SignIns().Create(t.Context(), store.SignIn{
			ID: fmt.Sprint("id", i), Address: fmt.Sprint("192.0.2.", i%200), EntityID: "https://sp.example",
			RequestID: fmt.Sprint("_r", i), Data: make([]byte, 1024), ExpiresAt: now.Add(9 * time.Minute),
		}, caps)
		switch {
		case err == nil:
			stored++
		case errors.Is(err, store.ErrLimit):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if share := caps.Total - caps.Total/4; stored != 10*share {
		t.Errorf("stored %d and refused %d, want %d in each of ten rounds", stored, refused, share)
	}
	// The log is copied into the file then; how long it gets meanwhile is for TestCheckpoints.
	must(t, db.Close())
	var size int64
	for _, tail := range []string{"", "-wal"} {
		if info, err := os.Stat(strings.TrimPrefix(o.DSN, "sqlite:") + tail); err == nil {
			size += info.Size()
		}
	}
	if size > 15<<20 {
		t.Errorf("the flood left %d bytes", size)
	}
}

func fill(t *testing.T, db *store.DB) {
	t.Helper()
	ctx := t.Context()
	token := sha256.Sum256([]byte("anna"))
	_, _, wantErr := db.Ledger().Enqueue(ctx, store.SSOUser{Person: "p1", Account: "a1", ExternalID: "x1",
		LoginName: "l1", Role: store.AccountManager}, store.Event{Ref: "want", Action: "create-user"})
	if err := errors.Join(
		db.SignIns().Create(ctx, store.SignIn{ID: "pending", ExpiresAt: time.Now().Add(time.Hour)}, store.Caps{}),
		db.Sessions().Create(ctx, store.Session{TokenHash: token[:], EndsAt: time.Now().Add(time.Hour)}, nil),
		db.Keys().Add(ctx, store.SigningKey{ID: "k1", Use: "signing", State: "active", Private: []byte("sealed")},
			store.Event{Action: "key-add"}),
		wantErr,
	); err != nil {
		t.Fatal(err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	o := store.Options{DSN: "sqlite:" + filepath.Join(dir, "store.db"), Voucher: storetest.Voucher("backup")}
	db := openStore(t, o)
	fill(t, db)
	copyPath := filepath.Join(dir, "copy.db")

	// Another handle backs up while this one goes on writing.
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
				if err := db.Audit().Add(ctx, store.Event{Ref: fmt.Sprint(i), Action: "noise"}); err != nil {
					stopped <- err
					return
				}
			}
		}
	}()
	other := openStore(t, o)
	if err := other.Backup(ctx, copyPath); err != nil {
		t.Fatal(err)
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Errorf("writing during the backup: %v", err)
	}
	info, err := os.Stat(copyPath)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v, %v, want mode 0600", info.Mode(), err)
	}
	if err := other.Backup(ctx, copyPath); !errors.Is(err, fs.ErrExist) {
		t.Errorf("backup over a file: %v, want a refusal", err)
	}
	if err := other.Backup(ctx, filepath.Join(dir, "none", "copy.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("backup into no folder: %v", err)
	}
	if after, err := os.Stat(copyPath); err != nil || after.Size() != info.Size() {
		t.Errorf("the refused backup changed the file: %v, %v", after, err)
	}

	if _, err := store.Restore(ctx, copyPath, o.DSN, nil); !errors.Is(err, store.ErrInUse) {
		t.Errorf("restore under an open store: %v, want ErrInUse", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(ctx, copyPath, o.DSN, nil); !errors.Is(err, store.ErrInUse) {
		t.Errorf("restore while one still has it open: %v, want ErrInUse", err)
	}
	_, _, err = db.Ledger().Enqueue(ctx, store.SSOUser{Person: "later", Account: "a1", ExternalID: "x2",
		LoginName: "l2", Role: store.AccountManager}, store.Event{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	kept, err := store.Restore(ctx, copyPath, o.DSN, nil)
	if err != nil {
		t.Fatal(err)
	}
	restored := openStore(t, o)
	if _, err := restored.Ledger().Get(ctx, "later", "a1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what came after the copy: %v, want ErrNotFound", err)
	}
	u, err := restored.Ledger().Get(ctx, "p1", "a1")
	if err != nil || !u.MaybeSent || u.State != store.Wanted {
		t.Errorf("waiting SSO user after the restore: %+v, %v, want it maybe sent", u, err)
	}
	if keys, err := restored.Keys().List(ctx); err != nil || len(keys) != 1 || string(keys[0].Private) != "sealed" {
		t.Errorf("keys after the restore: %+v, %v", keys, err)
	}
	if n, err := restored.Sessions().Count(ctx); err != nil || n != 0 {
		t.Errorf("%d sessions live again, %v", n, err)
	}
	if _, err := restored.SignIns().Get(ctx, "pending"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a pending sign-in lives again: %v", err)
	}
	if at, err := restored.Ledger().Restored(ctx); err != nil || time.Since(at) > time.Minute {
		t.Errorf("restored at %v, %v, want just now", at, err)
	}
	old := openStore(t, store.Options{DSN: "sqlite:" + kept})
	if _, err := old.Ledger().Get(ctx, "later", "a1"); err != nil {
		t.Errorf("the old database beside it: %v", err)
	}
}

// TestRestoreRefusals: a copy that is none leaves everything as it was.
func TestRestoreRefusals(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	o := store.Options{DSN: "sqlite:" + filepath.Join(dir, "store.db"), Voucher: storetest.Voucher("backup")}
	db := openStore(t, o)
	fill(t, db)
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"good", "newer", "cut", "garbled"} {
		if err := db.Backup(ctx, path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	change := func(name, statement string) {
		t.Helper()
		raw, err := sql.Open("sqlite3", path(name))
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		if _, err := raw.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	change("newer", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
	change("other", `CREATE TABLE anything (x)`)
	whole, err := os.ReadFile(path("good"))
	if err != nil {
		t.Fatal(err)
	}
	garbled := append([]byte(nil), whole...)
	for i := 8192; i < len(garbled)-4096; i += 97 {
		garbled[i] ^= 0x5a
	}
	for name, content := range map[string][]byte{
		"cut": whole[:len(whole)/2], "garbled": garbled, "empty": nil, "text": []byte(strings.Repeat("no database\n", 1000)),
	} {
		if err := os.WriteFile(path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		from string
		want error // nil: any
	}{
		{"none", fs.ErrNotExist}, {"newer", store.ErrNewerSchema}, {"other", nil}, {"cut", nil},
		{"garbled", nil}, {"empty", nil}, {"text", nil}, {".", nil},
	} {
		_, err := store.Restore(ctx, path(c.from), o.DSN, nil)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("restore from %s: %v, want a refusal", c.from, err)
		}
	}
	if _, err := store.Restore(ctx, path("good"), "postgres://app@127.0.0.1/db", nil); !errors.Is(err,
		store.ErrUnsupported) {
		t.Errorf("restore to PostgreSQL: %v, want ErrUnsupported", err)
	}
	again := openStore(t, o)
	if _, err := again.SignIns().Get(ctx, "pending"); err != nil {
		t.Errorf("after the refused restores: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.Contains(e.Name(), "before") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
	// Onto an empty place, as on a new machine.
	newer := "sqlite:" + path("elsewhere.db")
	if kept, err := store.Restore(ctx, path("good"), newer, nil); err != nil || kept != "" {
		t.Errorf("restore onto nothing: kept %q, %v", kept, err)
	}
	if _, err := openStore(t, store.Options{DSN: newer}).Ledger().Get(ctx, "p1", "a1"); err != nil {
		t.Errorf("the restored store: %v", err)
	}
}

// TestFolderOwner: files that root makes belong to the owner of the folder, or
// the program that runs as that user could not open them.
func TestFolderOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	db := openStore(t, store.Options{DSN: "sqlite:" + filepath.Join(dir, "store.db")})
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), filepath.Join(dir, "copy.db")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(t.Context(), filepath.Join(dir, "copy.db"), "sqlite:"+filepath.Join(dir, "restored.db"),
		nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != nobody {
			t.Errorf("%s belongs to %v, want the folder's owner", e.Name(), info.Sys())
		}
	}
}
