package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// logLimit is what the file of the log is cut to when it is begun anew.
const logLimit = 64 << 20

// TestCheckpoints: the write-ahead log is copied into the file beside the writer, and stays bounded; while somebody
// reads an old state it grows, nobody waits, and it is cut after that.
func TestCheckpoints(t *testing.T) { // row COST-33
	ctx := t.Context()
	open := func(t *testing.T) (*store.DB, string) {
		o := storetest.SQLite(t)
		db, path := openStore(t, o), strings.TrimPrefix(o.DSN, "sqlite:")
		must(t, db.WriteRaw(ctx, func(exec func(string, ...any) error) error { return exec(`CREATE TABLE filler (b BLOB)`) }))
		return db, path
	}
	write := func(t *testing.T, db *store.DB, megabytes int) {
		t.Helper()
		for range megabytes * 4 {
			must(t, db.WriteRaw(ctx, func(exec func(string, ...any) error) error {
				return exec(`INSERT INTO filler (b) VALUES (randomblob(262144))`)
			}))
		}
	}
	size := func(t *testing.T, path string) int64 {
		t.Helper()
		info, err := os.Stat(path + "-wal")
		must(t, err)
		return info.Size()
	}
	// cut writes little until the log was begun anew.
	cut := func(t *testing.T, db *store.DB, path string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); size(t, path) > logLimit; {
			if time.Now().After(end) {
				t.Fatalf("the log still has %d bytes", size(t, path))
			}
			must(t, db.Ping(ctx))
			must(t, db.WriteRaw(ctx,
				func(exec func(string, ...any) error) error { return exec(`INSERT INTO filler (b) VALUES (x'00')`) }))
		}
	}

	t.Run("bounded", func(t *testing.T) {
		db, path := open(t)
		largest := int64(0)
		for range 30 {
			write(t, db, 10)
			largest = max(largest, size(t, path))
		}
		t.Logf("300 MB were written, the log had %d bytes at most", largest)
		if largest > 2*logLimit {
			t.Errorf("the log grew to %d bytes", largest)
		}
		cut(t, db, path)
	})
	t.Run("long reader", func(t *testing.T) {
		db, path := open(t)
		reader, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
		must(t, err)
		defer reader.Close()
		tx, err := reader.BeginTx(ctx, nil)
		must(t, err)
		count := func() (n int) {
			must(t, tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM filler`).Scan(&n))
			return n
		}
		before := count()
		write(t, db, 100)
		if got := count(); got != before {
			t.Errorf("a reader sees %d rows, and saw %d before", got, before)
		}
		if n := size(t, path); n < logLimit {
			t.Errorf("the log has %d bytes: what the reader needs was overwritten", n)
		}
		must(t, tx.Rollback())
		cut(t, db, path)
	})
	t.Run("backup meanwhile, crash after", func(t *testing.T) {
		db, path := open(t)
		done := make(chan error, 1)
		write(t, db, 40)
		copied := filepath.Join(t.TempDir(), "copy")
		go func() { done <- db.Backup(context.WithoutCancel(ctx), copied) }()
		write(t, db, 40)
		must(t, <-done)
		sound(t, copied)
		// What a process leaves that is killed: file and log. The log first: what is copied from it into the file meanwhile
		// stands in both then.
		left := filepath.Join(t.TempDir(), "left")
		for _, suffix := range []string{"-wal", ""} {
			data, err := os.ReadFile(path + suffix)
			must(t, err)
			must(t, os.WriteFile(left+suffix, data, 0o600))
		}
		sound(t, left)
	})
}

// sound looks through a whole file.
func sound(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	must(t, err)
	defer db.Close()
	var text string
	if err := db.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&text); err != nil || text != "ok" {
		t.Errorf("%s: %q, %v", path, text, err)
	}
}

// TestOptimize: statistics are made when a program begins to serve, and again when a table has grown, also of one that
// the writing connection never looks into. Of a small table there are none: they would speak for reading all of it when
// it has grown. What plans they lead to is looked at by the planner test.
func TestOptimize(t *testing.T) { // row COST-34
	o := storetest.SQLite(t)
	db := openStore(t, o)
	write := func(text string, args ...any) {
		t.Helper()
		must(t, db.WriteRaw(t.Context(), func(exec func(string, ...any) error) error { return exec(text, args...) }))
	}
	raw, err := sql.Open("sqlite3", "file:"+strings.TrimPrefix(o.DSN, "sqlite:")+"?mode=ro")
	must(t, err)
	defer raw.Close()
	optimize := func() (rows int64) {
		t.Helper()
		must(t, db.Optimize(t.Context()))
		must(t, raw.QueryRowContext(t.Context(), `
			SELECT COALESCE(MAX(CAST(stat AS INTEGER)), 0) FROM sqlite_stat1 WHERE tbl = 'filler'`).Scan(&rows))
		return rows
	}
	grow := func(by int) {
		t.Helper()
		write(`
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO filler (a, b) SELECT i % 1000, hex(zeroblob(i % 29)) FROM n`, by)
	}
	write(`CREATE TABLE filler (a INTEGER, b TEXT)`)
	write(`CREATE INDEX filler_a ON filler (a)`)
	grow(100)
	if n := optimize(); n != 0 {
		t.Errorf("of a table with 100 rows there are statistics, which tell of %d", n)
	}
	grow(29_900)
	first := optimize()
	if first < 15_000 || first > 60_000 {
		t.Errorf("statistics tell of %d rows, want about 30,000", first)
	}
	grow(470_000)
	if n := optimize(); n < 5*first {
		t.Errorf("statistics tell of %d rows, want about 500,000", n)
	}
}
