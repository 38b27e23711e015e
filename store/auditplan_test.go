package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// ID-26: purging and cutting the audit reads what goes, not the whole of it, with and without ANALYZE.
func TestAuditPlans(t *testing.T) {
	const events, links = `
		INSERT INTO audit_events (at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)
		SELECT i, '', '', CASE WHEN i %% 3 = 0 THEN 'login' ELSE 'sign-in' END, '', '', '', '', CASE WHEN i %% 2 = 0 THEN 'ok' ELSE 'refused' END, '', ''
		  FROM %s`, `
		INSERT INTO audit_chain (seq, event, at, action, salt, content, hash) SELECT id, id, at, action, %[1]s, %[1]s, %[1]s FROM audit_events`
	run := func(t *testing.T, o store.Options, series, empty, explain, scan string) {
		openStore(t, o)
		raw := beside(t, o)
		for _, statement := range []string{fmt.Sprintf(events, series), fmt.Sprintf(links, empty)} {
			if _, err := raw.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, state := range []string{"without ANALYZE", "with ANALYZE"} {
			if state == "with ANALYZE" {
				if _, err := raw.Exec("ANALYZE"); err != nil {
					t.Fatal(err)
				}
			}
			for name, q := range store.AuditQueries() {
				plan := planOf(t, raw, explain+q.Text, q.Args...)
				for _, table := range []string{"audit_events", "audit_chain", "e", "c"} {
					if strings.Contains(plan, scan+table+"\n") || strings.Contains(plan, scan+table+" ") {
						t.Errorf("%s, %s: reads all of %s:\n%s", name, state, table, plan)
					}
				}
			}
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		run(t, store.Options{DSN: "sqlite:" + filepath.Join(t.TempDir(), "store.db"),
			Voucher: storetest.Voucher("key of the tests")},
			`(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i FROM n)`, `x''`,
			"EXPLAIN QUERY PLAN ", "SCAN ")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		run(t, storetest.Postgres(t)(t), "generate_series(1, 50000) AS i", `''::bytea`, "EXPLAIN ", "Seq Scan on ")
	})
}

// planOf is what a database says of how it would run a statement.
func planOf(t *testing.T, raw *sql.DB, query string, args ...any) string {
	t.Helper()
	rows, err := raw.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		line := make([]any, len(columns))
		for i := range line {
			line[i] = new(any)
		}
		if err := rows.Scan(line...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, *line[len(line)-1].(*any))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
