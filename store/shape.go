package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrDevelopment says that the tables are not those of the version that the database names: a state of the program
// between two releases wrote it. A migration that was released never changes, so no later program can know them.
var ErrDevelopment = errors.New("the database was written by a development state of the program")

// columnsFile lists the columns that each migration adds, the same on both databases: its number, table and column; a
// minus before the table where it removes one.
const columnsFile = "migrations/columns.txt"

// columnsAt are the columns of a version of the schema, as "table.column".
func columnsAt(version int64) (map[string]bool, error) {
	text, err := migrations.ReadFile(columnsFile)
	if err != nil {
		return nil, fmt.Errorf("read the list of columns: %w", err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("the list of columns has the line %q", line)
		}
		n, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the list of columns: %w", err)
		}
		table, removed := strings.CutPrefix(f[1], "-")
		switch name := table + "." + f[2]; {
		case n > version:
		case removed:
			delete(all, name)
		default:
			all[name] = true
		}
	}
	return all, nil
}

// checkShape refuses a database without a column that its version has.
func (s schema) checkShape(ctx context.Context, version int64) (err error) {
	want, err := columnsAt(version)
	if err != nil {
		return err
	}
	rows, err := s.db.QueryContext(ctx, s.columns)
	if err != nil {
		return fmt.Errorf("read the columns of the schema: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return fmt.Errorf("read the columns of the schema: %w", err)
		}
		delete(want, table+"."+column)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the columns of the schema: %w", err)
	}
	if len(want) == 0 {
		return nil
	}
	var lacks []string
	for name := range want {
		lacks = append(lacks, name)
	}
	slices.Sort(lacks)
	more := ""
	if left := len(lacks) - 3; left > 0 {
		lacks, more = lacks[:3], fmt.Sprintf(" and %d more", left)
	}
	return fmt.Errorf("%w: it has schema version %d, and lacks %s%s", ErrDevelopment, version,
		strings.Join(lacks, ", "), more)
}

const (
	sqliteColumns = `
		SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'`
	postgresColumns = `
		SELECT t.relname, c.attname
		  FROM pg_catalog.pg_attribute c JOIN pg_catalog.pg_class t ON t.oid = c.attrelid
		 WHERE t.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = to_regclass('goose_db_version'))
		   AND t.relkind IN ('r', 'p') AND c.attnum > 0 AND NOT c.attisdropped`
)
