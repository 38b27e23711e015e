package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// What is given in the place of a backup is named for what it is (REAL-79).
func TestRestoreNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	db := openStore(t, store.Options{DSN: "sqlite:" + path("store.db"), Voucher: storetest.Voucher("kinds")})
	fill(t, db)
	for _, name := range []string{"good", "cut", "newer"} {
		if err := db.Backup(t.Context(), path(name)); err != nil {
			t.Fatal(err)
		}
	}
	wal, err := os.ReadFile(path("store.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	shm, err := os.ReadFile(path("store.db-shm"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path("good"))
	if err != nil {
		t.Fatal(err)
	}
	for file, statement := range map[string]string{
		"newer":   `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`,
		"other":   `CREATE TABLE anything (x)`,
		"migrant": `CREATE TABLE goose_db_version (version_id INTEGER, is_applied INTEGER)`,
	} {
		raw, err := sql.Open("sqlite3", path(file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(statement); err != nil {
			t.Fatal(err)
		}
		if file == "migrant" {
			if _, err := raw.Exec(`INSERT INTO goose_db_version VALUES (3, 1)`); err != nil {
				t.Fatal(err)
			}
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(path("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ content, want string }{
		"empty":       {"", "is an empty file"},
		"gzip":        {"\x1f\x8b\x08\x00rest", "is packed by gzip"},
		"zstd":        {"\x28\xb5\x2f\xfdrest", "is packed by zstd"},
		"zip":         {"PK\x03\x04rest", "is a ZIP archive"},
		"tar":         {strings.Repeat("\x00", 257) + "ustar\x0000", "is a tar archive"},
		"pg_dump -Fc": {"PGDMP\x01\x0e", "is a dump of a PostgreSQL database"},
		"pg_dump":     {"--\n-- PostgreSQL database dump\n--\n", "is a dump of a PostgreSQL database"},
		".dump":       {"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;", "is a dump of an SQLite database as SQL"},
		"age":         {"age-encryption.org/v1\n", "is encrypted by age"},
		"key":         {"-----BEGIN PRIVATE KEY-----\n", "is a key or a certificate"},
		"wal":         {string(wal), "is the -wal file beside a database"},
		"shm":         {string(shm), "is the -shm file beside a database"},
		"users":       {"person_id,account\n", "is a list of users"},
		"text":        {strings.Repeat("grün ", 1000), "is a text file"},
		"random":      {"\x01\x02\xff\xfe\x00\x99", "is no SQLite database"},
		"cut":         {string(whole[:len(whole)/2]), "is damaged, or was cut off"},
		"header":      {string(whole[:100]), "is damaged, or was cut off"},
		"folder":      {"", "is a folder"},
		"newer":       {"", "is a store of a newer version"},
		"other":       {"", "is an SQLite database of another program"},
		"migrant":     {"", "is an SQLite database of another program"},
		"store.db":    {"", "is the database in use itself"},
	} {
		if tc.content != "" || name == "empty" {
			if err := os.WriteFile(path(name), []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := store.Restore(t.Context(), path(name), "sqlite:"+path("store.db"), nil)
		if no, ok := errors.AsType[*store.NotCopyError](err); !ok || !strings.HasPrefix(no.Error(), tc.want) {
			t.Errorf("%s: got %v, want: %s", name, err, tc.want)
		}
	}
	if _, err := store.Restore(t.Context(), path("good"), "sqlite:"+path("store.db"), nil); err != nil {
		t.Errorf("a good copy: %v", err)
	}
}
