package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// TestQueueIndexes: what is done for each call and each page is a search of an index, however many rows there are.
func TestQueueIndexes(t *testing.T) {
	o := storetest.Migrated(t)
	openStore(t, o)
	raw := beside(t, o)
	const due = "SEARCH sso_users USING INDEX sso_users_queue (class=? AND due_at>? AND due_at<?)"
	for _, c := range []struct {
		name, statement, want string
		times                 int
	}{
		{"claim", store.NextDueQuery, due, 3},
		{"next due", store.EarliestQuery, "SEARCH sso_users USING COVERING INDEX sso_users_queue (class=? AND due_at>?)", 3},
		{"list", `SELECT role FROM sso_users WHERE (person_id, account) > ($1, $2) ORDER BY person_id, account LIMIT 1`,
			"SEARCH sso_users USING INDEX sqlite_autoindex_sso_users_1 ((person_id,account)>(?,?))", 1},
		{"list of a state", `SELECT role FROM sso_users WHERE (person_id, account) > ($1, $2) AND state = $3 ORDER BY person_id, account LIMIT 1`,
			"SEARCH sso_users USING INDEX sso_users_by_state (state=? AND (person_id,account)>(?,?))", 1},
		{"list of an account",
			`SELECT role FROM sso_users WHERE (person_id, account) > ($1, $2) AND account = $3 ORDER BY person_id, account LIMIT 1`,
			"SEARCH sso_users USING INDEX sso_users_account (account=? AND person_id>?)", 1},
		{"people", `SELECT role FROM sso_users WHERE person_id IN ($1, $2) ORDER BY person_id, account`,
			"SEARCH sso_users USING INDEX sqlite_autoindex_sso_users_1 (person_id=?)", 1},
		{"external id in any case", store.ExternalIDQuery, "SEARCH sso_users USING INDEX sso_users_external_lower (<expr>=?)",
			1},
		{"counts", `SELECT state, COUNT(*) FROM sso_users GROUP BY state`, "COVERING INDEX sso_users_by_state", 1},
	} {
		all := strings.Join(explainPlan(t, raw, c.statement), "; ")
		if strings.Count(all, c.want) != c.times {
			t.Errorf("%s: %q, want %d times %q", c.name, all, c.times, c.want)
		}
	}
}

// TestPostgresQueueIndexes: the same for the queue on PostgreSQL, whose planner goes by what there is.
func TestPostgresQueueIndexes(t *testing.T) {
	o := storetest.Postgres(t)(t)
	openStore(t, o)
	raw := beside(t, o)
	if _, err := raw.Exec(`
		INSERT INTO sso_users SELECT 'p' || i, 'a1', 'x' || i, 'partner', 'l' || i, 'm', 'F', 'L', 'account_manager', 1,
		       CASE WHEN i % 10 = 0 THEN 'wanted' ELSE 'active' END, FALSE, 1, 0, 0, CASE WHEN i % 10 = 0 THEN i ELSE 0 END, '', '', i, i, 1
		  FROM generate_series(1, 50000) AS i`); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(`ANALYZE sso_users`); err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{
		"claim":    strings.NewReplacer("$1", "1000000", "$2", "2").Replace(store.NextDueQuery),
		"next due": strings.NewReplacer("$1", "2").Replace(store.EarliestQuery),
	} {
		plan := postgresPlan(t, raw, query)
		if strings.Contains(plan, "Seq Scan") || strings.Count(plan, "sso_users_queue") != 3 {
			t.Errorf("%s: want three searches of sso_users_queue:\n%s", name, plan)
		}
	}
	query := strings.NewReplacer("$1", "'x7'", "$2", "'X7'", "$3", "'x7'", "$4", "'X7'", "$5", "'partner'", "$6", "'p1'",
		"$7", "'a1'").Replace(store.ExternalIDQuery)
	if plan := postgresPlan(t, raw, query); strings.Contains(plan, "Seq Scan") || !strings.Contains(plan,
		"sso_users_external_lower") {
		t.Errorf("external id in any case: want a search of sso_users_external_lower:\n%s", plan)
	}
}

func postgresPlan(t *testing.T, raw *sql.DB, query string) string {
	t.Helper()
	rows, err := raw.Query("EXPLAIN " + query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all.String()
}
