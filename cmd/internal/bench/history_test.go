package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// TestFilledStoreIsOne (COST-45): what fillHistory stores is a store that the program goes on with: the events are
// chained and summed up, nothing of it ends by itself but the traces, and every index is there again.
func TestFilledStoreIsOne(t *testing.T) {
	const rows = 1000
	fillSQLite := func(ctx context.Context, dsn string) error {
		return bulkSQLite(ctx, dsn[len("sqlite:"):], filledTables, func(tx *sql.Tx) error {
			return fillHistory(ctx, tx,
				sqliteDialect, rows)
		})
	}
	t.Run("SQLite", func(t *testing.T) {
		dsn := "sqlite:" + filepath.Join(t.TempDir(), "store.db")
		testFilled(t, dsn, rows, func() (*sql.DB, error) {
			return sql.Open("sqlite3", "file:"+dsn[len("sqlite:"):]+
				"?mode=ro")
		}, sqliteIndexes, fillSQLite)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := storetest.Postgres(t)(t).DSN
		open := func() (*sql.DB, error) { return sql.Open("pgx", dsn) }
		testFilled(t, dsn, rows, open, postgresIndexes, func(ctx context.Context, _ string) error {
			db, err := open()
			if err != nil {
				return err
			}
			defer db.Close()
			return bulk(ctx, db, postgresIndexes, filledTables, func(tx *sql.Tx) error {
				return fillHistory(ctx, tx,
					postgresDialect, rows)
			})
		})
	})
}

func testFilled(t *testing.T, dsn string, rows int, open func() (*sql.DB, error), list string,
	fill func(context.Context, string) error) {
	t.Helper()
	ctx := t.Context()
	if err := migrate(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	before := namesOfIndexes(t, open, list)
	if err := fill(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	if after := namesOfIndexes(t, open, list); !slices.Equal(before, after) || len(after) < len(filledTables) {
		t.Errorf("indexes are %v, want %v as before", after, before)
	}
	db, err := store.Open(ctx, store.Options{DSN: dsn, Voucher: storetest.Voucher("key of the tests")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if c, err := db.Audit().Chain(ctx); err != nil || c.More || c.Head.Seq != int64(5*rows) || len(c.Foreign) != 0 {
		t.Errorf("chain: got head %d, more %v, foreign %v, %v; want all %d events in it", c.Head.Seq, c.More,
			c.Foreign, err, 5*rows)
	}
	if n, err := db.Sessions().Purge(ctx, time.Hour); err != nil || n != 0 {
		t.Errorf("sessions: %d were purged, %v", n, err)
	}
	if n, err := db.SignIns().Purge(ctx); err != nil || n != 0 {
		t.Errorf("replay records: %d were purged, %v", n, err)
	}
	if n, err := db.Traces().Purge(ctx, 365*24*time.Hour); err != nil || n != 0 {
		t.Errorf("traces of a month: %d were purged by a year, %v", n, err)
	}
	if all, err := db.Traces().List(ctx, store.TraceFilter{Limit: 10}); err != nil || len(all) != 10 {
		t.Errorf("traces: got %d, %v, want 10", len(all), err)
	}
	if n, err := db.Traces().Purge(ctx, time.Hour); err != nil || n != rows {
		t.Errorf("traces: %d were purged by an hour, %v, want %d", n, err, rows)
	}
}

func namesOfIndexes(t *testing.T, open func() (*sql.DB, error), list string) (names []string) {
	t.Helper()
	db, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, table := range filledTables {
		all, err := indexesOf(t.Context(), tx, list, table)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all {
			names = append(names, i.name+": "+i.text)
		}
	}
	slices.Sort(names)
	return names
}

// TestOldFilledStoresAreRemoved (COST-45): those of another schema with as many rows, and what was not finished;
// nothing else.
func TestOldFilledStoresAreRemoved(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{
		"history-aaa-1-1000/ssobridge.db", "history-bbb-1-1000/ssobridge.db", "history-bbb-1-1000/postgres.part/PG_VERSION",
		"history-aaa-1-5000/ssobridge.db", "other/file",
	} {
		file := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeOthers(base, "history-bbb-1-1000", 1000); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, pattern := range []string{"*", "history-bbb-1-1000/*"} {
		found, err := filepath.Glob(filepath.Join(base, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			name, err := filepath.Rel(base, f)
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, name)
		}
	}
	want := []string{"history-aaa-1-5000", "history-bbb-1-1000", "other", "history-bbb-1-1000/ssobridge.db"}
	if !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	if err := roomFor(base, 1_000_000_000_000); err == nil {
		t.Error("no machine has room for a million million rows")
	}
}

// TestHistoryComparesWithinTurns (COST-45): the turn in the middle counts for processor time, all turns for the tail.
func TestHistoryComparesWithinTurns(t *testing.T) {
	all := []turns{
		{turn{each: 100, took: times{1, 2}}, turn{each: 110, took: times{3, 9}}},
		{turn{each: 300, took: times{7, 8}}, turn{each: 315, took: times{4, 5}}},
		{turn{each: 100, took: times{3, 4}}, turn{each: 300, took: times{6, 7}}},
	}
	if got := median(all, turns.ratio).ratio(); got != 1.1 {
		t.Errorf("got %v, want 1.1", got)
	}
	empty, full := timesOf(all)
	if !slices.Equal(empty, times{1, 2, 3, 4, 7, 8}) || !slices.Equal(full, times{3, 4, 5, 6, 7, 9}) {
		t.Errorf("got %v and %v, want all times in order", empty, full)
	}
}
