package store_test

import (
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// TestPostgresCountsByIndex (COST-46): where nearly everybody is active, counting those in the states that nobody is in
// reads no table, by plans for any state as well. What was read is asked of PostgreSQL itself.
func TestPostgresCountsByIndex(t *testing.T) {
	const users = 5000
	o := storetest.Postgres(t)(t)
	openStore(t, o)
	conn := beside(t, o)
	if _, err := conn.ExecContext(t.Context(), `
		INSERT INTO sso_users (person_id, account, external_id, external_provider, login_name, contact_email, first_name, last_name,
		    role, mapping, state, maybe_sent, attempts, next_attempt, lease_until, due_at, error_key, error_text, created_at, updated_at)
		SELECT 'p' || i, 'a', 'x' || i, 'p', 'l' || i, '', '', '', 'account_manager', 1, 'active', FALSE, 0, 0, 0, 0, '', '', 0, 0
		  FROM generate_series(1, $1::bigint) AS i`, users); err != nil {
		t.Fatal(err)
	}
	// No VACUUM: of rows that have just changed, as after a plan, the index alone does not say whether they are there.
	if _, err := conn.ExecContext(t.Context(), "ANALYZE sso_users"); err != nil {
		t.Fatal(err)
	}
	for _, plans := range []string{"force_generic_plan", "force_custom_plan"} {
		// It counts on connections that end, since a server's session reports what it has read at its end.
		count := func() (read int) {
			with := o
			with.DSN += "&application_name=counts&plan_cache_mode=" + plans
			db := openStore(t, with)
			if all, err := db.Ledger().CountByState(t.Context()); err != nil || all[store.Active] != users || len(all) != 1 {
				t.Fatalf("got %v, %v, want %d active ones alone", all, err, users)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			for open := 1; open > 0; {
				if err := conn.QueryRowContext(t.Context(), `
					SELECT (SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'counts'), seq_tup_read
					  FROM pg_stat_user_tables WHERE relname = 'sso_users'`).Scan(&open, &read); err != nil {
					t.Fatal(err)
				}
				<-time.After(time.Millisecond)
			}
			return read
		}
		before := count()
		if after := count(); after != before {
			t.Errorf("%s: the counts read %d rows of the table, want none", plans, after-before)
		}
	}
}
