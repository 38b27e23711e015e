package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ssobridge/store"
)

// statements are what a suite made the store run: each text with some of its arguments, and rows of each table, which
// larger tables are made of.
type statements struct {
	mu    sync.Mutex
	args  map[string][][]any
	sites map[string]bool // lines that a statement came from
	each  map[string]bool // texts that are planned for their arguments each time
	rows  map[string][][]any
}

const (
	argsKept = 6
	rowsKept = 12
)

// watchStatements sees all that runs in stores opened until the test ends.
func watchStatements(t *testing.T, tables string) *statements {
	t.Helper()
	s := &statements{args: map[string][][]any{}, sites: map[string]bool{}, each: map[string]bool{},
		rows: map[string][][]any{}}
	store.Observe(s.see, func(read func(string, ...any) (*sql.Rows, error)) { s.keep(read, tables) })
	t.Cleanup(func() { store.Observe(nil, nil) })
	return s
}

func (s *statements) see(one store.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, site := range one.Sites {
		s.sites[site] = true
	}
	if one.Each {
		s.each[one.Text] = true
	}
	kept := s.args[one.Text]
	if len(kept) < argsKept && !slices.ContainsFunc(kept, func(a []any) bool { return reflect.DeepEqual(a, one.Args) }) {
		s.args[one.Text] = append(kept, one.Args)
	} else if kept == nil {
		s.args[one.Text] = [][]any{}
	}
}

// keep takes some rows of each table of a database that is about to close.
func (s *statements) keep(read func(string, ...any) (*sql.Rows, error), tables string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, table := range texts(read(tables)) {
		rows, err := read("SELECT * FROM " + table + " LIMIT " + strconv.Itoa(rowsKept))
		// A store that was closed twice, or damaged on purpose, has none.
		_ = eachRow(rows, err, func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			row, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			if err = errors.Join(err, rows.Scan(into...)); err == nil && len(s.rows[table]) < rowsKept {
				s.rows[table] = append(s.rows[table], row)
			}
			return err
		})
	}
}

// eachRow reads all rows of a query.
func eachRow(rows *sql.Rows, err error, do func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// texts are the first columns of all rows, as far as they can be read.
func texts(rows *sql.Rows, err error) (all []string) {
	_ = eachRow(rows, err, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		if err == nil {
			all = append(all, text)
		}
		return err
	})
	return all
}

var blanks = regexp.MustCompile(`\s+`)

func flat(text string) string { return strings.TrimSpace(blanks.ReplaceAllString(text, " ")) }

// allSeen walks the source: every place of this package that runs a statement was passed, and every statement that is
// written down ran.
func (s *statements) allSeen(t *testing.T, excepted map[string]string) {
	t.Helper()
	var seen []string
	for text := range s.args {
		seen = append(seen, flat(text))
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	used := map[string]bool{}
	missing := func(where, function, what string) {
		file, _, _ := strings.Cut(where, ":")
		for _, key := range []string{file, file + " " + function, what} {
			if _, ok := excepted[key]; ok {
				used[key] = true
				return
			}
		}
		t.Errorf("%s: no test of the suite runs %.200s", where, what)
	}
	places := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		function := ""
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				function = n.Name.Name
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"ExecContext", "QueryContext", "QueryRowContext"}, sel.Sel.Name) {
					return true
				}
				places++
				from, to := set.Position(n.Pos()).Line, set.Position(n.End()).Line
				for line := from; line <= to; line++ {
					if s.sites[fmt.Sprintf("%s:%d", name, line)] {
						return true
					}
				}
				missing(fmt.Sprintf("%s:%d", name, from), function, sel.Sel.Name)
			case ast.Expr:
				pieces, ok := sqlPieces(n)
				if !ok {
					return true
				}
				places++
				if !slices.ContainsFunc(seen, func(text string) bool { return inOrder(text, pieces) }) {
					missing(fmt.Sprintf("%s:%d", name, set.Position(n.Pos()).Line), function, strings.Join(pieces, " … "))
				}
				return false
			}
			return true
		})
	}
	if places < 300 {
		t.Errorf("only %d places found", places)
	}
	for key := range excepted {
		if !used[key] {
			t.Errorf("the exception for %q is not needed", key)
		}
	}
}

var statementStart = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\s`)

// sqlPieces are the literal parts of an expression that a statement begins with.
func sqlPieces(e ast.Expr) (pieces []string, ok bool) {
	var walk func(ast.Expr)
	walk = func(e ast.Expr) {
		switch e := e.(type) {
		case *ast.BinaryExpr:
			walk(e.X)
			walk(e.Y)
		case *ast.BasicLit:
			if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
				pieces = append(pieces, text)
			}
		}
	}
	switch e.(type) {
	case *ast.BinaryExpr, *ast.BasicLit:
		walk(e)
	}
	if len(pieces) == 0 || !statementStart.MatchString(pieces[0]) {
		return nil, false
	}
	for i := range pieces {
		pieces[i] = flat(pieces[i])
	}
	return pieces, true
}

func inOrder(text string, pieces []string) bool {
	for _, p := range pieces {
		_, rest, found := strings.Cut(text, p)
		if !found {
			return false
		}
		text = rest
	}
	return true
}
