package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "github.com/mattn/go-sqlite3" // stores a million rows in one statement
)

// bulkSQLite opens the SQLite store of a bridge that is stopped and lets fill store many rows in tables. Their indexes
// are dropped before and made again after it: row by row they would take ten times as long.
func bulkSQLite(ctx context.Context, path string, tables []string, fill func(*sql.Tx) error) (err error) {
	// Without a journal: what goes wrong here is thrown away. The program takes up its own again.
	db, err := sql.Open("sqlite3", "file:"+path+
		"?_journal_mode=OFF&_synchronous=OFF&_cache_size=-200000&_busy_timeout=30000")
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	return bulk(ctx, db, sqliteIndexes, tables, fill)
}

// bulk stores many rows by fill, without the indexes of the tables in between. list finds the indexes of a table.
func bulk(ctx context.Context, db *sql.DB, list string, tables []string, fill func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store many rows: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // says nothing new after the commit
	var again []string
	for _, table := range tables {
		indexes, err := indexesOf(ctx, tx, list, table)
		if err != nil {
			return fmt.Errorf("find the indexes of %s: %w", table, err)
		}
		for _, i := range indexes {
			if _, err := tx.ExecContext(ctx, "DROP INDEX "+i.name); err != nil { // a name of our own schema
				return fmt.Errorf("drop %s: %w", i.name, err)
			}
			again = append(again, i.text)
		}
	}
	if err := fill(tx); err != nil {
		return err
	}
	for _, text := range again {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store many rows: %w", err)
	}
	return nil
}

// The indexes of a table that were made by a statement of their own, each with that statement.
const (
	sqliteIndexes   = `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL`
	postgresIndexes = `
		SELECT c.relname, pg_get_indexdef(i.indexrelid)
		  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		 WHERE i.indrelid = CAST($1 AS regclass)
		   AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)`
)

type index struct{ name, text string }

func indexesOf(ctx context.Context, tx *sql.Tx, list, table string) (all []index, err error) {
	rows, err := tx.QueryContext(ctx, list, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i index
		if err := rows.Scan(&i.name, &i.text); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, rows.Err()
}
