package store_test

import (
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ssobridge/store"
)

const (
	manyRows = 100_000
	// fewRows is how many rows a statement may look at that no LIMIT stops.
	fewRows = 1000

	sqliteTables = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%'`
)

// smallTables don't grow with people and sign-ins: some of them are read as a whole.
var smallTables = map[string]string{
	"api_tokens":             "500 at most can be used, and those that ended within a month",
	"account_requests":       "one for each client account that was ordered",
	"audit_seals":            "one a day, and those of the last day",
	"trace_captures":         "the people who are captured at present",
	"account_hints":          "one for each client account at most",
	"accounts":               "client accounts, thousands at most",
	"audit_acknowledged":     "breaks of the audit log that an administrator has acknowledged: none in most",
	"audit_retention":        "one for each setting there was",
	"baseless_patterns":      "patterns that the version before stored",
	"breaker":                "one row",
	"budget":                 "one row",
	"departures":             "the calls of the last seconds, less than a hundred",
	"counters":               "a fixed number",
	"source_keys":            "one for each source of people with a key set",
	"sources":                "one for each source of people that an administrator has disabled or revoked",
	"event_sums":             "tens for a quarter of an hour, a month",
	"request_counts":         "as many for a quarter of an hour as there were reasons, a month",
	"figures":                "four kinds, 96 a day for a month",
	"health":                 "one row",
	"hold":                   "one row",
	"leases":                 "one for each kind of work",
	"login_failures":         "only the version before writes it",
	"mapping_history":        "changes that admins made",
	"mappings":               "thousands at most",
	"mappings_off":           "thousands at most",
	"name_id_key":            "one row",
	"named_groups":           "those of the configuration",
	"notice_subscriptions":   "fifty at most",
	"older_replicas":         "one row",
	"plans":                  "those that were not purged",
	"replicas":               "the running programs",
	"second_factor_policies": "one for each client account at most",
	"secret_keys":            "a few",
	"provider_undo":          "one for each service provider at most",
	"service_providers":      "hundreds at most",
	"signing_keys":           "a few for each year",
	"sp_keys":                "one for each service provider at most",
	"store_place":            "one row",
}

// different are columns of large tables that differ from row to row though no index says so, and in how many rows each
// of their values stands.
var different = map[string]int{
	"traces.sign_in": 3, "traces.ref": 1, "traces.person": 500,
	"audit_events.ref": 2, "audit_events.subject": 500, "audit_events.actor": 500,
	"sessions.person_id": 5, "participations.name_id": 5, "sign_ins.session": 3, "sign_ins.address": 50,
	"logouts.browser": 3, "known_browsers.browser": 3, "plan_items.person_id": 3,
	"name_ids.person_id": 5, "second_factors.person_id": 5, "account_requests.person_id": 5, "self_orders.request": 3,
	"trace_captured.ref": 1, "access_tokens.client": 40,
	"trace_captured.person": 100, "revocations.object": 3, "manual_work.person_id": 3,
	"sso_users.account": 2_000, "source_sessions.person_id": 5, "plan_items.plan": 20_000, "source_people.find_login": 1,
	"source_people.find_first": 100, "source_people.find_last": 20, "source_people.find_mail": 1,
}

// timeColumn tells columns that hold a time.
var timeColumn = regexp.MustCompile(`(_at|^at|_until|^since|next_attempt)$`)

// table is what the catalog says of one.
type table struct {
	name      string
	columns   []column
	unique    [][]string // the key first
	indexes   map[string]index
	referring []string // columns that point to other tables
}

type column struct{ name, kind string }

type index struct {
	columns []string // or expressions
	where   string
}

// dialect is how a database writes what makes rows differ. Columns are INTEGER, TEXT, BLOB or of another kind.
type dialect struct {
	own    string                          // lets a row have a number of its own
	value  func(n int, kind string) string // the parameter n
	bytes  func(value, i string) string    // other bytes for each i
	source func(n int) string              // rows of a number i, from 0 to n-1
}

var sqliteDialect = dialect{
	value: func(n int, _ string) string { return fmt.Sprintf("$%d", n) },
	bytes: func(value, i string) string { return "CAST(" + value + " || '-' || " + i + " AS BLOB)" },
	source: func(n int) string {
		return fmt.Sprintf("(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n)",
			n-1)
	},
}

// fills are statements that put many rows into a table, made of those that tests put there: nine in ten look like the
// first of these.
func (tb table) fills(templates [][]any, d dialect) (all []string) {
	changed := map[string]int{}
	for i, key := range tb.unique {
		// A later key may have got a differing column by an earlier one.
		if !slices.ContainsFunc(key, func(c string) bool { return changed[c] > 0 }) {
			changed[key[len(key)-1]] = 1
			if i == 0 {
				changed[key[len(key)-1]] = 0
				changed[key[0]] = 1
			}
		}
	}
	for i, row := range templates {
		n := manyRows / 10 / max(1, len(templates)-1)
		if i == 0 {
			n = manyRows - manyRows/10
		}
		if len(templates) == 1 {
			n = manyRows
		}
		var names, values []string
		for j, c := range tb.columns {
			names = append(names, c.name)
			at := d.value(j+1, c.kind)
			every, differs := different[tb.name+"."+c.name]
			if changed[c.name] == 1 {
				every, differs = 1, true
			}
			turn := fmt.Sprintf("((%d + i) / %d)", i*manyRows, max(1, every))
			switch {
			case row[j] == nil:
				values = append(values, at)
			case differs && c.kind == "INTEGER":
				values = append(values, fmt.Sprintf("%s + %s", at, turn))
			case differs && c.kind == "TEXT":
				values = append(values, at+" || '-' || "+turn)
			case differs && c.kind == "BLOB":
				values = append(values, d.bytes(at, turn))
			case c.kind == "INTEGER" && timeColumn.MatchString(c.name) && row[j] != int64(0):
				values = append(values, fmt.Sprintf("%s + (%d + i) * 1000000", at, i*manyRows))
			default:
				values = append(values, at)
			}
		}
		all = append(all, fmt.Sprintf("INSERT INTO %s (%s)%s SELECT %s FROM %s", tb.name,
			strings.Join(names, ", "), d.own, strings.Join(values, ", "), d.source(n)))
	}
	return all
}

// testSQLitePlans: SQLite finds what each statement wants without reading through a table, with and without statistics,
// and with those of a smaller table.
func testSQLitePlans(t *testing.T, s *statements, o store.Options) {
	openStore(t, o)
	db := beside(t, o)
	db.SetMaxOpenConns(1)
	run := func(text string, args ...any) {
		t.Helper()
		if _, err := db.Exec(text, args...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	run("PRAGMA foreign_keys = off")
	run("PRAGMA synchronous = off")
	tables := map[string]table{}
	for _, name := range texts(db.Query(sqliteTables)) {
		tb := sqliteTable(t, db, name)
		tables[name] = tb
		if smallTables[name] != "" {
			continue
		}
		templates := s.rows[name]
		if len(templates) == 0 {
			t.Errorf("no test stores a row in %s", name)
			continue
		}
		fills := tb.fills(templates, sqliteDialect)
		for i, fill := range fills {
			run(strings.Replace(fill, "INSERT", "INSERT OR IGNORE", 1), templates[i]...)
		}
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM " + name).Scan(&n); err != nil || n < manyRows/2 {
			t.Errorf("%s was filled with %d rows only: %v", name, n, err)
		}
	}
	for name, tb := range tables {
		for _, c := range texts(db.Query(`SELECT "from" FROM pragma_foreign_key_list($1) WHERE seq = 0`, name)) {
			if !slices.ContainsFunc(slices.Collect(maps.Values(tb.indexes)),
				func(ix index) bool { return len(ix.columns) > 0 && ix.columns[0] == c }) {
				t.Errorf("no index of %s begins with %s, which points to another table: a removal there reads all", name, c)
			}
		}
	}
	// A connection goes by the statistics of the time when it opened, and tables have grown since.
	for _, statistics := range []string{"without", "with estimated", "with", "with outgrown"} {
		switch statistics {
		case "with estimated":
			run(store.OptimizePragma)
			// A connection reads the statistics when it opens.
			db = beside(t, o)
		case "with":
			run("ANALYZE")
			db = beside(t, o)
		case "with outgrown":
			outgrow(t, db)
			db = beside(t, o)
		}
		t.Run(statistics+" statistics", func(t *testing.T) {
			groups := map[string]int{}
			for _, text := range slices.Sorted(maps.Keys(s.args)) {
				judgeSQLite(t, db, tables, groups, text, s.args[text])
			}
		})
	}
}

// outgrow makes of the statistics those of the time when each table had as many rows as are the least that statistics
// are kept of.
func outgrow(t *testing.T, db *sql.DB) {
	t.Helper()
	type key struct{ table, index string }
	then := map[key]string{}
	found, err := db.Query(`SELECT tbl, COALESCE(idx, ''), stat FROM sqlite_stat1`)
	if err := eachRow(found, err, func(row *sql.Rows) error {
		var of key
		var text string
		if err := row.Scan(&of.table, &of.index, &text); err != nil {
			return err
		}
		fields := strings.Fields(text)
		rows := 0
		for i, field := range fields {
			n, err := strconv.Atoi(field)
			switch {
			case err != nil: // a word, such as unordered
				continue
			case i == 0:
				rows = n
			}
			if rows > store.StatisticsFrom {
				fields[i] = strconv.Itoa(max(1, n*store.StatisticsFrom/rows))
			}
		}
		then[of] = strings.Join(fields, " ")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for of, text := range then {
		if _, err := db.Exec(`UPDATE sqlite_stat1 SET stat = $1 WHERE tbl = $2 AND COALESCE(idx, '') = $3`, text, of.table,
			of.index); err != nil {
			t.Fatal(err)
		}
	}
}

func sqliteTable(t *testing.T, db *sql.DB, name string) table {
	t.Helper()
	tb := table{name: name, indexes: map[string]index{}}
	key := map[int]string{}
	rows, err := db.Query(`SELECT name, type, pk FROM pragma_table_info($1)`, name)
	must(t, eachRow(rows, err, func(rows *sql.Rows) error {
		var (
			c  column
			pk int
		)
		err := rows.Scan(&c.name, &c.kind, &pk)
		tb.columns = append(tb.columns, c)
		if pk > 0 {
			key[pk] = c.name
		}
		return err
	}))
	var primary []string
	for i := 1; key[i] != ""; i++ {
		primary = append(primary, key[i])
	}
	tb.unique = append(tb.unique, primary)
	tb.indexes["PRIMARY KEY"] = index{columns: primary}
	for _, list := range texts(db.Query(`SELECT name || '|' || "unique" FROM pragma_index_list($1)`, name)) {
		found, unique, _ := strings.Cut(list, "|")
		ix := index{columns: texts(db.Query(`SELECT COALESCE(name, '') FROM pragma_index_info($1) ORDER BY seqno`, found))}
		if all := texts(db.Query(`SELECT sql FROM sqlite_master WHERE name = $1 AND sql IS NOT NULL`, found)); len(all) == 1 {
			_, ix.where, _ = strings.Cut(all[0], " WHERE ")
			if slices.Contains(ix.columns, "") { // an expression
				list := all[0][strings.Index(all[0], "(")+1:]
				ix.columns = []string{list[:strings.LastIndex(list, ")")]}
			}
		}
		tb.indexes[found] = ix
		if unique == "1" && !slices.Equal(ix.columns, primary) {
			tb.unique = append(tb.unique, ix.columns)
		}
	}
	return tb
}

var (
	planStep = regexp.MustCompile(
		`^(SCAN|SEARCH) (\S+)(?: USING (?:(AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?INDEX (\S+)|(INTEGER PRIMARY KEY|PRIMARY KEY)))?(?: \((.*)\))?`)
	tableNames = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|INTO|UPDATE|,)\s+([a-z_]+)(?:\s+(?:AS\s+)?([a-z_]+))?`)
	equality   = regexp.MustCompile(`(?:^|\s|\()(<expr>|[a-z_]+)(?:=\?| IS \?)`)
)

// judgeSQLite fails where a statement may look at many rows: the largest group of rows that its equalities leave is
// counted.
func judgeSQLite(t *testing.T, db *sql.DB, tables map[string]table, groups map[string]int, text string, args [][]any) {
	t.Helper()
	if reason := mayScan(text); reason != "" {
		return
	}
	var with []any
	if len(args) > 0 {
		with = args[0]
	}
	var steps []string
	rows, err := db.Query("EXPLAIN QUERY PLAN "+text, with...)
	if err := eachRow(rows, err, func(rows *sql.Rows) error {
		var (
			id, parent, unused int
			step               string
		)
		err := rows.Scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	}); err != nil {
		t.Errorf("%s: %v", flat(text), err)
		return
	}
	names := map[string]string{}
	for _, m := range tableNames.FindAllStringSubmatch(flat(text), -1) {
		if _, ok := tables[m[1]]; ok {
			names[m[1]] = m[1]
			if m[2] != "" {
				names[m[2]] = m[1]
			}
		}
	}
	upper := strings.ToUpper(text)
	stops := (strings.Contains(upper, "LIMIT ") || strings.Contains(upper, "EXISTS") || strings.Contains(upper, "MIN(")) &&
		!slices.ContainsFunc(steps, func(s string) bool { return strings.HasPrefix(s, "USE TEMP B-TREE FOR ORDER BY") })
	for _, step := range steps {
		m := planStep.FindStringSubmatch(step)
		if m == nil || names[m[2]] == "" || smallTables[names[m[2]]] != "" {
			continue
		}
		tb := tables[names[m[2]]]
		n := manyRows
		if m[1] == "SEARCH" && m[3] == "" {
			switch equal := len(equality.FindAllString(m[6], -1)); {
			case m[6] == "":
				n = 1 // the smallest or largest of an index
			case m[5] == "INTEGER PRIMARY KEY" && strings.Contains(m[6], "rowid=?"):
				n = 1
			case m[4] != "" || equal > 0: // a range without equality may be the whole index, which may be a part of the table
				n = tb.largest(t, db, groups, m[4]+strings.TrimPrefix(m[5], "INTEGER "), equal)
			}
		}
		if n > fewRows && !stops {
			t.Errorf("%s\n  reads %d rows of %s: %s", flat(text), n, tb.name, strings.Join(steps, "; "))
			return
		}
	}
}

// largest counts the largest group of rows that are the same in the first columns of an index.
func (tb table) largest(t *testing.T, db *sql.DB, known map[string]int, name string, columns int) int {
	t.Helper()
	ix, ok := tb.indexes[name]
	if !ok {
		t.Errorf("%s has no index %q", tb.name, name)
		return manyRows
	}
	list := strings.Join(ix.columns[:min(columns, len(ix.columns))], ", ")
	key := tb.name + " " + name + " " + list
	if n, ok := known[key]; ok {
		return n
	}
	where := ""
	if ix.where != "" {
		where = " WHERE " + ix.where
	}
	if list != "" {
		where += " GROUP BY " + list
	}
	var n int
	if err := db.QueryRow(fmt.Sprintf("SELECT COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM %s%s)", tb.name,
		where)).Scan(&n); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	known[key] = n
	return n
}

// scans are statements that may read through a large table, by what stands in them, with the reason.
var scans = map[string]string{
	"UPDATE notice_deliveries SET due_at = $1 WHERE subscription": "at most 1,000 notices wait at a subscription",
	"FROM plan_items WHERE person_id = $1 AND (login":             "forgets a person: read outside of the writer",
	"SELECT id FROM sign_ins WHERE session IN (":                  "forgets a person: read outside of the writer",
	"SELECT COUNT(*) FROM sessions":                               "after a restore, once, before anybody signs in",
	"WHERE class IN (0, 1, 2) AND due_at > 0 AND due_at > $2":     "users who wait, at a start and after the clock was put back",
	"DELETE FROM sso_users WHERE mapping = $1 AND role = 'owner'": "removes as many as were stored with the mapping",
	") AS few": "counts in batches",
	"AND NOT EXISTS (SELECT 1 FROM audit_chain WHERE event > $1 AND event = audit_events.id)": "from the last chained event on, and some before it",
	"FROM traces WHERE newest = 1 AND outcome = $1 AND outcome <> 'ok' ORDER BY":              "what is pending was mostly superseded, which no statistics tell",
	"FROM traces WHERE 1 = 1":             "a search looks at 2,000 sign-ins at most, the newest of one index",
	"FROM sso_users WHERE person_id IN (": "up to a thousand people at once",
	"DELETE FROM manual_work WHERE (person_id, account) > ($1, $2) AND (person_id, account) <= ($3, $4)": "its bounds are those of a batch",
	" WHERE substr(purge_mac, 1, 4) = $1":                                                          "an admin asks what still needs an old secret key",
	"DELETE FROM audit_chain WHERE seq >= $1 AND seq <= $2":                                        "its bounds are those of a batch",
	" WHERE substr(mac, 1, 4) = $1":                                                                "an admin asks what still needs an old secret key",
	"SELECT token_hash FROM sessions WHERE (substr(mac, 1, 4) = $1":                                "makes anew what an old secret key vouches for, in pages, at a command",
	"SELECT COUNT(*) FROM audit_events WHERE NOT EXISTS":                                           "verifies the whole audit",
	"AND NOT EXISTS (SELECT 1 FROM audit_chain WHERE event = audit_events.id) ORDER BY id LIMIT 1": "verifies the whole audit",
	"FROM second_factors WHERE confirmed_at > 0":                                                   "after a restore, once",
	"SELECT person_id, invite FROM second_factor_people WHERE invite_ends_at >":                    "after a restore, once",
	"SELECT LOWER(external_id) FROM sso_users GROUP BY LOWER(external_id)":                         "check looks for clashes",
	"AND ($5 = '' OR kind = $5) ORDER BY since":                                                    "there are two kinds, and what is done by hand is not much",
	"SELECT entry FROM revocations":                                                                "compares a journal with the store, at the start of a replica",
	"UPDATE sso_users SET maybe_sent = TRUE WHERE due_at > 0":                                      "after a restore, once, before anybody signs in",
	"UPDATE sso_users SET maybe_sent = TRUE WHERE state = 'suspended'":                             "after a restore, once, before anybody signs in",
	"SELECT due_at FROM ( SELECT * FROM (SELECT due_at":                                            "sorts three rows, each the first of its index",
}

func mayScan(text string) string {
	text = flat(text)
	for piece, reason := range scans {
		if strings.Contains(text, piece) {
			return reason
		}
	}
	return ""
}
