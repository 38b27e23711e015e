package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/mattn/go-sqlite3"
)

// On SQLite, steps go to the driver's connection. To find a row there takes less than what database/sql does around it:
// a goroutine for each query whose context can end, and a copy of each value. What a sign-in does is written as steps
// for that; everything else goes by database/sql.

// sqliteReader reads with any connection.
type sqliteReader struct{ *sql.DB }

func (r sqliteReader) steps(ctx context.Context, all []step) error {
	conn, err := r.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return direct(conn, func(c *sqlite3.SQLiteConn) error { return directSteps(ctx, c, all) })
}

// sqliteTx is a transaction of the writer.
type sqliteTx struct{ *sql.Conn }

func (t sqliteTx) steps(ctx context.Context, all []step) error {
	return direct(t.Conn, func(c *sqlite3.SQLiteConn) error { return directSteps(ctx, c, all) })
}

// free gives the connection back.
func (t sqliteTx) free() {
	if t.Conn != nil {
		_ = t.Close() // it can only be closed already
	}
}

// end commits or rolls back. A transaction that can't be committed is rolled back, so that the connection is free for
// the next one.
func (t sqliteTx) end(statement string) error {
	err := t.run(statement)
	if err != nil && statement == commitStatement {
		_ = t.run(rollbackStatement) // the error of the commit is the one to tell
	}
	return err
}

const (
	beginStatement    = "BEGIN IMMEDIATE"
	commitStatement   = "COMMIT"
	rollbackStatement = "ROLLBACK"
	savepoint         = "SAVEPOINT one"
	releaseSavepoint  = "RELEASE one"
)

// run runs a statement without parameters as a query: the driver keeps those, and parses again what is executed without
// parameters.
func (t sqliteTx) run(statement string) error {
	return direct(t.Conn, func(c *sqlite3.SQLiteConn) error {
		return step{text: statement}.direct(context.Background(), c)
	})
}

func direct(conn *sql.Conn, do func(*sqlite3.SQLiteConn) error) error {
	return conn.Raw(func(c any) error { return do(c.(*sqlite3.SQLiteConn)) })
}

func directSteps(ctx context.Context, c *sqlite3.SQLiteConn, all []step) error {
	for _, s := range all {
		if err := s.direct(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// direct runs the statement to its end: some of its errors are found there.
func (s step) direct(ctx context.Context, c *sqlite3.SQLiteConn) (err error) {
	args := make([]driver.NamedValue, len(s.args))
	for i, arg := range s.args {
		value, err := driver.DefaultParameterConverter.ConvertValue(arg)
		if err != nil {
			return fmt.Errorf("parameter $%d: %w", i+1, err)
		}
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	rows, err := c.QueryContext(ctx, s.text, args)
	if err != nil {
		return err
	}
	defer func() {
		if closed := rows.Close(); err == nil {
			err = closed
		}
	}()
	row := make(directRow, len(rows.Columns()))
	for found := false; ; found = true {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF) && s.row != nil && !found:
			return s.answered(sql.ErrNoRows)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch {
		case s.each != nil:
			err = s.each(row)
		case s.row != nil && !found:
			err = s.answered(s.row(row))
		}
		if err != nil {
			return err
		}
	}
}

// directRow is a row as the driver gives it. Its values are copies.
type directRow []driver.Value

// Scan is that of sql.Rows, for what rows are read into here.
func (r directRow) Scan(dest ...any) error {
	if len(dest) != len(r) {
		return fmt.Errorf("%d columns are read into %d variables", len(r), len(dest))
	}
	for i, to := range dest {
		if err := assign(to, r[i]); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}

func assign(to any, value driver.Value) error {
	switch to := to.(type) {
	case *string:
		if text, ok := value.(string); ok {
			*to = text
			return nil
		}
	case *int64:
		if n, ok := value.(int64); ok {
			*to = n
			return nil
		}
	case *[]byte:
		switch value := value.(type) {
		case nil:
			*to = nil
			return nil
		case []byte:
			*to = value
			return nil
		}
	}
	return assignKind(reflect.ValueOf(to).Elem(), value)
}

// assignKind is for numbers of any size, and for types of our own.
func assignKind(to reflect.Value, value driver.Value) error {
	switch value := value.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(value)
			return nil
		}
	case int64:
		switch {
		case to.CanInt() && !to.OverflowInt(value):
			to.SetInt(value)
			return nil
		case to.Kind() == reflect.Bool && (value == 0 || value == 1):
			to.SetBool(value == 1)
			return nil
		}
	case bool:
		if to.Kind() == reflect.Bool {
			to.SetBool(value)
			return nil
		}
	}
	return fmt.Errorf("a %T can't be read into a %s", value, to.Type())
}
