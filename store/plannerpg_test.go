package store_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ssobridge/store"
)

const postgresTables = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`

// fewBuffers is how many pages a statement may look at for each row that it looks at, each value that it was given (a
// list of keys is looked up one by one), and for 20 more.
const fewBuffers = 60

var postgresDialect = dialect{
	own: " OVERRIDING SYSTEM VALUE",
	value: func(n int, kind string) string {
		return fmt.Sprintf("$%d::%s", n, map[string]string{"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea",
			"BOOLEAN": "boolean"}[kind])
	},
	bytes:  func(value, i string) string { return value + " || convert_to('-' || " + i + ", 'UTF8')" },
	source: func(n int) string { return fmt.Sprintf("generate_series(0::bigint, %d) AS i", n-1) },
}

// testPostgresPlans runs each statement with the arguments that the suite had, over large tables, by a plan for any
// arguments and by one for these, and takes it back: it looks at few rows that it has no use for, and at few pages.
func testPostgresPlans(t *testing.T, s *statements, o store.Options) {
	openStore(t, o)
	db := beside(t, o)
	ctx := t.Context()
	conn, err := db.Conn(ctx)
	must(t, err)
	defer conn.Close()
	run := func(text string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(ctx, text, args...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	run("SET session_replication_role = replica") // no foreign keys
	run("SET synchronous_commit = off")
	for _, name := range texts(conn.QueryContext(ctx, postgresTables)) {
		tb := postgresTable(t, conn, name)
		for _, c := range tb.referring {
			if !slices.ContainsFunc(slices.Collect(maps.Values(tb.indexes)),
				func(ix index) bool { return len(ix.columns) > 0 && ix.columns[0] == c }) {
				t.Errorf("no index of %s begins with %s, which points to another table: a removal there reads all", name, c)
			}
		}
		if smallTables[name] != "" {
			continue
		}
		templates := s.rows[name]
		if len(templates) == 0 {
			t.Errorf("no test stores a row in %s", name)
			continue
		}
		for i, fill := range tb.fills(templates, postgresDialect) {
			args := slices.Clone(templates[i])
			for j, c := range tb.columns {
				if n, ok := args[j].(int64); ok && c.kind == "BOOLEAN" {
					args[j] = n != 0
				}
				if b, ok := args[j].([]byte); ok && c.kind == "TEXT" {
					args[j] = string(b)
				}
			}
			run(fill+" ON CONFLICT DO NOTHING", args...)
		}
		var n int
		if err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+name).Scan(&n); err != nil || n < manyRows/2 {
			t.Errorf("%s was filled with %d rows only: %v", name, n, err)
		}
	}
	run("SET session_replication_role = DEFAULT")
	run("VACUUM ANALYZE")
	for _, plans := range []string{"force_generic_plan", "force_custom_plan"} {
		t.Run(plans, func(t *testing.T) {
			for _, text := range slices.Sorted(maps.Keys(s.args)) {
				if mayScan(text) != "" || statementStart.FindString(text) == "" || strings.Contains(text, "pg_") ||
					plans == "force_generic_plan" && s.each[text] {
					continue
				}
				for _, args := range append(s.args[text], nil)[:max(1, len(s.args[text]))] {
					if !judgePostgres(ctx, t, conn, plans, text, args) {
						break
					}
				}
			}
		})
	}
}

type explained struct {
	Plan planNode `json:"Plan"`
}

type planNode struct {
	Type      string     `json:"Node Type"`
	Relation  string     `json:"Relation Name"`
	Index     string     `json:"Index Name"`
	Rows      float64    `json:"Actual Rows"`
	Loops     float64    `json:"Actual Loops"`
	Filtered  float64    `json:"Rows Removed by Filter"`
	Rechecked float64    `json:"Rows Removed by Index Recheck"`
	Joined    float64    `json:"Rows Removed by Join Filter"`
	Hit       int        `json:"Shared Hit Blocks"`
	Read      int        `json:"Shared Read Blocks"`
	Plans     []planNode `json:"Plans"`
}

func (n planNode) walk(visit func(planNode)) {
	visit(n)
	for _, p := range n.Plans {
		p.walk(visit)
	}
}

var planned atomic.Int64

func judgePostgres(ctx context.Context, t *testing.T, conn *sql.Conn, plans, text string, args []any) bool {
	t.Helper()
	tx, err := conn.BeginTx(ctx, nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	name := fmt.Sprintf("planned_%d", planned.Add(1)) // it outlives the transaction
	if _, err := tx.ExecContext(ctx, "SET LOCAL plan_cache_mode = "+plans); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, "PREPARE "+name+" AS "+text); err != nil {
		t.Errorf("%s: %v", flat(text), err)
		return false
	}
	var literals []string
	for _, a := range args {
		literals = append(literals, literal(a))
	}
	list := ""
	if len(literals) > 0 {
		list = "(" + strings.Join(literals, ", ") + ")"
	}
	var raw []byte
	if err := tx.QueryRowContext(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE "+
		name+list).Scan(&raw); err != nil {
		if strings.Contains(err.Error(), "SQLSTATE 23") { // it would break a constraint: a row of this key is there
			return true
		}
		t.Errorf("%s%s: %v", flat(text), list, err)
		return false
	}
	var all []explained
	if err := json.Unmarshal(raw, &all); err != nil || len(all) != 1 {
		t.Fatalf("%v: %s", err, raw)
	}
	top := all[0].Plan
	useless, rows := 0.0, 0.0
	var steps []string
	top.walk(func(n planNode) {
		if smallTables[n.Relation] != "" {
			return
		}
		useless += (n.Filtered + n.Rechecked + n.Joined) * n.Loops
		rows = max(rows, n.Rows*n.Loops)
		if n.Relation != "" {
			steps = append(steps, fmt.Sprintf("%s %s %s: %.0f rows, %.0f useless", n.Type, n.Relation, n.Index, n.Rows*n.Loops,
				(n.Filtered+n.Rechecked)*n.Loops))
		}
	})
	pages := top.Hit + top.Read
	returned := top.Rows * top.Loops
	if n := len(top.Plans); strings.HasPrefix(top.Type, "ModifyTable") && n > 0 {
		returned = max(returned, top.Plans[0].Rows)
	}
	if useless > fewRows || rows > fewRows+returned || float64(pages) > fewBuffers*(20+rows+float64(len(args))) {
		t.Errorf("%s%s\n  looks at %.0f rows in vain, %.0f rows and %d pages for %.0f: %s", short(flat(text)), short(list), useless, rows,
			pages, returned, strings.Join(steps, "; "))
		return false
	}
	return true
}

// short leaves out the middle of a long list of values.
func short(text string) string {
	if len(text) <= 1000 {
		return text
	}
	return text[:700] + " ... " + text[len(text)-300:]
}

// literal is an argument as PostgreSQL reads it.
func literal(a any) string {
	switch v := reflect.ValueOf(a); {
	case a == nil:
		return "NULL"
	case v.Kind() == reflect.String:
		return "'" + strings.NewReplacer("'", "''", "\x00", "").Replace(strings.ToValidUTF8(v.String(), "")) + "'"
	case v.Kind() == reflect.Slice:
		return `'\x` + hex.EncodeToString(v.Bytes()) + "'"
	}
	return fmt.Sprint(a)
}

func postgresTable(t *testing.T, conn *sql.Conn, name string) table {
	t.Helper()
	ctx := t.Context()
	tb := table{name: name, indexes: map[string]index{}}
	kinds := map[string]string{"bigint": "INTEGER", "integer": "INTEGER", "text": "TEXT", "bytea": "BLOB",
		"boolean": "BOOLEAN"}
	rows, err := conn.QueryContext(ctx, `
		SELECT column_name, data_type FROM information_schema.columns
		 WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`, name)
	must(t, eachRow(rows, err, func(rows *sql.Rows) error {
		var c column
		err := rows.Scan(&c.name, &c.kind)
		c.kind = kinds[c.kind]
		tb.columns = append(tb.columns, c)
		return err
	}))
	rows, err = conn.QueryContext(ctx, `
		SELECT c.relname, i.indisunique, array_to_string(ARRAY(
		           SELECT a.attname FROM unnest(i.indkey) WITH ORDINALITY k(n, at)
		             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n ORDER BY k.at), ',')
		  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		 WHERE i.indrelid = to_regclass($1) ORDER BY NOT i.indisprimary, c.relname`, name)
	must(t, eachRow(rows, err, func(rows *sql.Rows) error {
		var (
			found, columns string
			unique         bool
		)
		err := rows.Scan(&found, &unique, &columns)
		ix := index{columns: strings.Split(columns, ",")}
		tb.indexes[found] = ix
		if unique {
			tb.unique = append(tb.unique, ix.columns)
		}
		return err
	}))
	tb.referring = texts(conn.QueryContext(ctx, `
		SELECT a.attname FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
		 WHERE f.contype = 'f' AND f.conrelid = to_regclass($1)`, name))
	return tb
}
