package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

func TestSQLite(t *testing.T) {
	seen := watchStatements(t, sqliteTables)
	storetest.Run(t, storetest.Suite{Fresh: storetest.Migrated, Empty: storetest.SQLite})
	t.Run("Counts", func(t *testing.T) { testCounts(t, storetest.Migrated(t)) })
	t.Run("Statements", func(t *testing.T) { seen.allSeen(t, unseen) })
	t.Run("Planner", func(t *testing.T) { testSQLitePlans(t, seen, storetest.SQLite(t)) })
}

// testCounts: few rows are counted as they are, many in batches, and again a minute later.
func testCounts(t *testing.T, o store.Options) {
	t.Cleanup(store.SetCountBatch(3))
	ctx, db := t.Context(), openStore(t, o)
	adopt := func(n int, state store.State) {
		t.Helper()
		var all []store.SSOUser
		for i := range n {
			id := fmt.Sprint(state, i)
			all = append(all, store.SSOUser{Person: store.PersonID(id), Account: "a1", ExternalID: id,
				ExternalProvider: "partner", Role: store.AccountManager, State: state})
		}
		if _, err := db.Ledger().Adopt(ctx, all, store.Event{Actor: "admin:x", Action: "adopt", Outcome: "ok"}); err != nil {
			t.Fatal(err)
		}
	}
	adopt(2, store.Assumed)
	adopt(9, store.Active)
	for i := range 7 {
		must(t, db.Sessions().Create(ctx, store.Session{
			TokenHash: []byte{byte(i)}, Person: "p", AuthenticatedAt: time.Now(), Methods: []string{"password"},
			ReadAt: time.Now(),
			EndsAt: time.Now().Add(time.Duration(i+1) * time.Hour),
		}, nil))
	}
	for range 2 {
		counts, err := db.Ledger().CountByState(ctx)
		if diff := cmp.Diff(map[store.State]int{store.Assumed: 2, store.Active: 9}, counts); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		uses, err := db.Ledger().Use(ctx, "a1")
		if diff := cmp.Diff([]store.RoleUse{{Role: store.AccountManager, Entitled: 11, Created: 11}}, uses); err != nil ||
			diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if n, err := db.Sessions().Count(ctx); n != 7 || err != nil {
			t.Errorf("%d sessions, %v, want 7", n, err)
		}
		adopt(2, store.Assumed)
	}

	// What is counted once a minute is new, also where a request would get what is remembered.
	more := func(from, n int) {
		t.Helper()
		for i := from; i < from+n; i++ {
			must(t, db.Sessions().Create(ctx, store.Session{TokenHash: []byte{byte(i)}, Person: "p", ReadAt: time.Now(),
				AuthenticatedAt: time.Now(), Methods: []string{"password"}, EndsAt: time.Now().Add(time.Hour)}, nil))
		}
	}
	more(100, 2)
	if n, err := db.Sessions().Count(ctx); n != 7 || err != nil {
		t.Errorf("%d sessions, %v, want the 7 that were counted before", n, err)
	}
	must(t, db.Recount(ctx))
	if n, err := db.Sessions().Count(ctx); n != 9 || err != nil {
		t.Errorf("%d sessions, %v, want 9", n, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unseen are files, and statements, that the suite does not run, with the reason.
var unseen = map[string]string{
	"noticesubscriptions.go Claim": "its last statement is for two processes that claim within one moment",
	"backup.go":                    "of SQLite, see TestBackup",
	"checkpoint.go":                "see TestCheckpoints and TestOptimize",
	"counted.go":                   "it passes on what others run",
	"group.go":                     "savepoints",
	"steps.go":                     "it runs what stands elsewhere",
	"sqlitesteps.go":               "it runs what stands elsewhere",
	"migrate.go":                   "before the store is open, see testOpen",
	"shape.go":                     "before the store is open, see TestDevelopmentState",
	"postgres.go":                  "what PostgreSQL alone has",
	"postgrestx.go":                "what PostgreSQL alone has",
	"restore.go":                   "before the store is open, see TestRestore",
	"sqlite.go":                    "before the store is open",
	"older.go noteOlder":           "a program of the version before has to run, see TestCrowdUpgrade",
	"revocations.go Standing":      "where SQLite stands is not known",
	"revocations.go place":         "what PostgreSQL alone has",
}

func TestPostgres(t *testing.T) {
	empty := storetest.Postgres(t)
	fresh := storetest.PostgresMigrated(t, empty)
	seen := watchStatements(t, postgresTables)
	storetest.Run(t, storetest.Suite{Fresh: fresh, Empty: empty})
	t.Run("Planner", func(t *testing.T) { testPostgresPlans(t, seen, fresh(t)) })
	t.Run("Counts", func(t *testing.T) { testCounts(t, fresh(t)) })
	t.Run("SameSchema", func(t *testing.T) { sameSchema(t, empty(t)) })
	t.Run("Backup", func(t *testing.T) {
		if err := openStore(t, fresh(t)).Backup(t.Context(), t.TempDir()+"/copy"); !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("%v, want ErrUnsupported", err)
		}
	})
}

// sameSchema: the migrations of both databases end in the same tables and
// columns, since one SQL text serves both.
func sameSchema(t *testing.T, postgres store.Options) {
	sqlite := storetest.SQLite(t)
	openStore(t, sqlite)
	openStore(t, postgres)
	columns := func(driver, dsn, query string) (all []string) {
		t.Helper()
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			all = append(all, name)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	a := columns("sqlite3", strings.TrimPrefix(sqlite.DSN, "sqlite:"), `
		SELECT m.name || '.' || c.name || CASE WHEN c."notnull" THEN '' ELSE '?' END AS n
		  FROM sqlite_master m, pragma_table_info(m.name) c
		 WHERE m.type = 'table' AND m.name NOT LIKE 'goose%' AND m.name NOT LIKE 'sqlite%' AND c.name <> 'id'
		UNION SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1`)
	b := columns("pgx", postgres.DSN, `
		SELECT (table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN '' ELSE '?' END) COLLATE "C" AS n
		  FROM information_schema.columns
		 WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' AND column_name <> 'id'
		UNION SELECT indexname COLLATE "C" FROM pg_indexes
		 WHERE schemaname = 'public' AND indexname NOT LIKE '%_pkey' ORDER BY 1`)
	if len(a) < 50 {
		t.Fatalf("only %d columns found", len(a))
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("schemas differ (-sqlite +postgres):\n%s", diff)
	}
	for _, folder := range []string{"sqlite", "postgres"} {
		if n, err := store.LatestVersion(folder); err != nil || n < 1 {
			t.Errorf("latest migration of %s: %d, %v", folder, n, err)
		}
	}
	s, _ := store.LatestVersion("sqlite")
	p, _ := store.LatestVersion("postgres")
	if s != p {
		t.Errorf("sqlite has migration %d, postgres %d", s, p)
	}
}
