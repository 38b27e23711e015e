package storetest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ssobridge/store"
)

// migratedFile is a SQLite file of the newest schema with nothing in it. Migrating takes a quarter of a second of
// processor time under the race detector, copying it next to none.
var migratedFile = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "ssobridge-schema-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "store.db")
	db, err := store.Open(context.Background(), store.Options{DSN: "sqlite:" + path})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil { // writes what is in the log into the file
		return nil, err
	}
	return os.ReadFile(path)
})

// Migrated is [SQLite] with a file that has the newest schema already.
func Migrated(tb testing.TB) store.Options {
	tb.Helper()
	o := SQLite(tb)
	file, err := migratedFile()
	if err != nil {
		tb.Fatalf("make a SQLite file to copy: %v", err)
	}
	if err := os.WriteFile(strings.TrimPrefix(o.DSN, "sqlite:"), file, 0o600); err != nil {
		tb.Fatal(err)
	}
	return o
}

// PostgresMigrated makes databases on the same server as empty does, which have the newest schema already: copies of
// one.
func PostgresMigrated(tb testing.TB, empty func(testing.TB) store.Options) func(testing.TB) store.Options {
	tb.Helper()
	o := empty(tb)
	db, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatalf("make a database to copy: %v", err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	u, err := url.Parse(o.DSN)
	if err != nil {
		tb.Fatal(err)
	}
	template := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	return func(tb testing.TB) store.Options {
		tb.Helper()
		return store.Options{DSN: createDatabase(tb, u.String(), template), Voucher: o.Voucher}
	}
}
