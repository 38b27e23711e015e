package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// both runs a test on SQLite and on PostgreSQL.
func both(t *testing.T, test func(*testing.T, store.Options)) {
	t.Run("SQLite", func(t *testing.T) { test(t, storetest.SQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, storetest.Postgres(t)(t)) })
}

// beside opens the database beside the store.
func beside(t *testing.T, o store.Options) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", o.DSN
	if path, found := strings.CutPrefix(o.DSN, "sqlite:"); found {
		driver, dsn = "sqlite3", "file:"+path+"?_busy_timeout=5000&_txlock=immediate"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// firstSchema makes an empty database of schema 1.
func firstSchema(t *testing.T, o store.Options) *sql.DB { t.Helper(); return schemaOf(t, o, 1) }

// schemaOf makes an empty database of a schema.
func schemaOf(t *testing.T, o store.Options, version int64) *sql.DB {
	t.Helper()
	db := beside(t, o)
	dialect, folder := goose.DialectPostgres, "migrations/postgres"
	if strings.HasPrefix(o.DSN, "sqlite:") {
		dialect, folder = goose.DialectSQLite3, "migrations/sqlite"
	}
	p, err := goose.NewProvider(dialect, db, os.DirFS(folder), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return db
}

// Statements of the program before this one, which knows schema 1 and runs on schema 2 while replicas are upgraded one
// after the other. They stand here as they were written there, and must go on working until schema 3.
const (
	oldInsert = `
		INSERT INTO sso_users (person_id, account, external_id, external_provider, login_name, contact_email,
		    first_name, last_name, role, mapping, state, maybe_sent, attempts, next_attempt, lease_until,
		    error_key, error_text, created_at, updated_at, due_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT (person_id, account) DO NOTHING`
	oldDue = `
		SELECT person_id, account, due_at FROM sso_users
		 WHERE due_at > 0 AND due_at <= $1
		 ORDER BY due_at, created_at LIMIT 1`
	oldClaim = `
		UPDATE sso_users SET
		       maybe_sent = maybe_sent OR state <> 'wanted', state = 'sending',
		       attempts = attempts + 1, lease_until = $1, due_at = $1, updated_at = $2
		 WHERE person_id = $3 AND account = $4 AND due_at = $5
		RETURNING person_id, account, external_id, external_provider, login_name, contact_email,
		    first_name, last_name, role, mapping, state, maybe_sent, attempts, next_attempt, lease_until,
		    error_key, error_text, created_at, updated_at`
	oldSettle = `
		UPDATE sso_users SET state = $1, maybe_sent = $2, next_attempt = $3, lease_until = 0,
		       due_at = $4, error_key = $5, error_text = $6, updated_at = $7
		 WHERE person_id = $8 AND account = $9 AND state = 'sending'
		   AND attempts = $10 AND lease_until = $11`
	oldWantAgain = `
		UPDATE sso_users SET external_id = $1, external_provider = $2, login_name = $3,
		       contact_email = $4, first_name = $5, last_name = $6, role = $7, mapping = $8,
		       state = 'wanted', attempts = 0, next_attempt = $9, lease_until = 0, due_at = $10,
		       error_key = '', error_text = '', updated_at = $11
		 WHERE person_id = $12 AND account = $13
		   AND state IN ('refused', 'conflict') AND NOT maybe_sent`
	oldQueue = `
		SELECT (SELECT COUNT(*) FROM sso_users o
		         WHERE o.due_at > 0
		           AND (o.due_at < u.due_at OR (o.due_at = u.due_at AND o.created_at <= u.created_at))),
		       (SELECT COUNT(*) FROM sso_users WHERE due_at > 0)
		  FROM sso_users u
		 WHERE u.person_id = $1 AND u.account = $2 AND u.due_at > 0`
	oldBudgetLock = `
		UPDATE budget SET used = used WHERE id = 1
		RETURNING next_slot, day, used, exhausted_day`
	oldBudgetSave = `
		UPDATE budget SET next_slot = $1, day = $2, used = $3, exhausted_day = $4 WHERE id = 1`
	oldAccount = `
		INSERT INTO accounts (id, name, billing_status, seen_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, billing_status = excluded.billing_status, seen_at = excluded.seen_at`
)

// oldRow inserts a row as the program before this one does.
func oldRow(t *testing.T, db *sql.DB, person string, s store.State, due int64) {
	t.Helper()
	if _, err := db.Exec(oldInsert, person, "a1", "x-"+person, "partner", "l-"+person, "m@example.com", "First", "Last",
		"account_manager", 1,
		string(s), false, 0, 0, 0, "", "", time.Now().UnixMicro(), time.Now().UnixMicro(), due); err != nil {
		t.Fatalf("insert of %s: %v", person, err)
	}
}

// TestOldProgramBeside: the program before this one works on the schema of this one, and each goes on with what the
// other stored.
func TestOldProgramBeside(t *testing.T) {
	both(t, func(t *testing.T, o store.Options) {
		ctx := t.Context()
		db := openStore(t, o)
		raw := beside(t, o)
		l := db.Ledger()
		now := func() int64 { return time.Now().UnixMicro() }

		// Stored by the old, created by the new.
		oldRow(t, raw, "anna", store.Wanted, now())
		row, err := l.Claim(ctx, time.Minute, store.SignInPriority)
		if err != nil || row.Person != "anna" || row.Priority != store.SignInPriority || row.Plan != 0 {
			t.Fatalf("claimed %+v, %v, want anna in the first class", row, err)
		}
		// The cause is the one of the text that stands there, whichever program wrote it last.
		row.State, row.ErrorText, row.Cause = store.Unknown, "quota: used up", "quota"
		if err := l.Settle(ctx, row, store.Event{}); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.ExecContext(ctx,
			`UPDATE sso_users SET error_text = 'throttled: slower', updated_at = updated_at + 1, due_at = 1 WHERE person_id = 'anna'`); err != nil {
			t.Fatal(err)
		}
		if row, err = l.Claim(ctx, time.Minute, store.SignInPriority); err != nil || row.Cause != "throttled" {
			t.Fatalf("claimed %+v, %v, want the cause that the old program wrote", row, err)
		}
		row.State, row.ErrorText, row.Cause = store.Active, "", ""
		if err := l.Settle(ctx, row, store.Event{}); err != nil {
			t.Fatal(err)
		}

		// Stored by the new, even in a later class, created by the old.
		if _, _, err := l.Enqueue(ctx, store.SSOUser{Person: "bert", Account: "a1", ExternalID: "x-bert",
			Role: store.AccountManager, Priority: store.PlanPriority, Plan: 7}, store.Event{}); err != nil {
			t.Fatal(err)
		}
		var (
			person, account string
			due, lease      int64
		)
		if err := raw.QueryRow(oldDue, now()).Scan(&person, &account, &due); err != nil || person != "bert" {
			t.Fatalf("the old program finds %s, %v, want bert", person, err)
		}
		lease = now() + 60_000_000
		res, err := raw.Exec(oldClaim, lease, now(), person, account, due)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("the old program claimed %d rows, %v", n, err)
		}
		if _, err := l.Claim(ctx, time.Minute, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("claimed beside the old program: %v", err)
		}
		var place, total int
		if err := raw.QueryRow(oldQueue, "bert", "a1").Scan(&place, &total); err != nil || place != 1 || total != 1 {
			t.Errorf("place %d of %d, %v", place, total, err)
		}
		if _, err := raw.Exec(oldSettle, "refused", false, 0, 0, "k", "text", now(), "bert", "a1", 1, lease); err != nil {
			t.Fatal(err)
		}
		if row, err = l.Get(ctx, "bert", "a1"); err != nil || row.State != store.Refused ||
			row.Priority != store.PlanPriority ||
			row.Plan != 7 || !row.LeaseUntil.IsZero() {
			t.Errorf("settled by the old program: %+v, %v", row, err)
		}
		if _, err := raw.Exec(oldWantAgain, "x2", "partner", "l2", "m", "F", "L", "account_manager", 1, 0, now(), now(),
			"bert", "a1"); err != nil {
			t.Fatal(err)
		}
		if row, err = l.Claim(ctx, time.Minute, store.PlanPriority); err != nil || row.Person != "bert" ||
			row.ExternalID != "x2" {
			t.Errorf("wanted again by the old program: %+v, %v", row, err)
		}

		// What the new one suspends, the old one leaves alone.
		if err := l.Suspend(ctx, store.UserKey{Person: "bert", Account: "a1"}, store.Event{}); err != nil {
			t.Fatal(err)
		}
		if err := raw.QueryRow(oldDue, now()+3600_000_000).Scan(&person, &account, &due); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("the old program finds %s, %v, want nothing", person, err)
		}

		// One budget.
		b := db.Budget(store.BudgetLimits{PerSecond: 4, PerDay: 10000, Reserve: 0.2})
		if _, _, err := b.Reserve(ctx, "retry"); err != nil {
			t.Fatal(err)
		}
		var next, day, used, exhausted int64
		if err := raw.QueryRow(oldBudgetLock).Scan(&next, &day, &used, &exhausted); err != nil || used != 1 {
			t.Fatalf("the old program reads %d used, %v", used, err)
		}
		if _, err := raw.Exec(oldBudgetSave, next+255_000, day, used+1, exhausted); err != nil {
			t.Fatal(err)
		}
		if wait, outcome, err := b.Reserve(ctx, "sign-in"); err != nil || outcome != "taken" || wait < 400*time.Millisecond {
			t.Errorf("after two slots: wait %v, %s, %v", wait, outcome, err)
		}
		if s, err := b.Status(ctx); err != nil || s.Used != 3 || s.UsedRetry != 1 || s.Rate != 4 {
			t.Errorf("status %+v, %v", s, err)
		}

		if _, err := raw.Exec(oldAccount, "a1", "One", "Open", now()); err != nil {
			t.Error(err)
		}
	})
}

// TestUpgrade: what schema 1 holds is there after the migration, which several may begin at once, and a restore is a
// hold.
func TestUpgrade(t *testing.T) {
	both(t, func(t *testing.T, o store.Options) {
		ctx := t.Context()
		raw := firstSchema(t, o)
		states := []store.State{store.Wanted, store.Unknown, store.Active, store.Assumed, store.Conflict, store.Refused}
		for _, s := range states {
			due := int64(0)
			if s == store.Wanted || s == store.Unknown {
				due = 1
			}
			oldRow(t, raw, string(s), s, due)
		}
		restored := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
		if _, err := raw.Exec(`UPDATE counters SET value = $1 WHERE name = 'restored'`, restored.UnixMicro()); err != nil {
			t.Fatal(err)
		}
		var opened sync.WaitGroup
		for range 4 {
			opened.Go(func() {
				if db, err := store.Open(ctx, o); err != nil {
					t.Errorf("open: %v", err)
				} else if err := db.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		opened.Wait()
		l := openStore(t, o).Ledger()
		for _, s := range states {
			if row, err := l.Get(ctx, store.PersonID(s), "a1"); err != nil || row.State != s || row.ExternalID != "x-"+
				string(s) || row.Priority != store.SignInPriority || row.Before != "" {
				t.Errorf("%s: %+v, %v", s, row, err)
			}
		}
		if h, err := l.ProvisioningPause(ctx); err != nil || h.Reason != "restore" || !h.Since.Equal(restored) {
			t.Errorf("hold %+v, %v, want one since the restore", h, err)
		}
		if err := l.Suspend(ctx, store.UserKey{Person: "active", Account: "a1"}, store.Event{}); err != nil {
			t.Errorf("the new state: %v", err)
		}
	})
}

// Whoever only looks at a database of the version before leaves it as it is.
func TestOpenAsIs(t *testing.T) {
	both(t, func(t *testing.T, o store.Options) {
		raw := schemaOf(t, o, 3)
		look := o
		look.Existing, look.AsIs = true, true
		if db, err := store.Open(t.Context(), look); !errors.Is(err, store.ErrOlderSchema) {
			t.Errorf("opened: %v, %v, want ErrOlderSchema", db, err)
		}
		if version, _ := schemaIs(t, raw); version != 3 {
			t.Errorf("it has schema %d now", version)
		}
		openStore(t, o)
		if db, err := store.Open(t.Context(), look); err != nil {
			t.Errorf("of our own schema: %v", err)
		} else if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// schemaIs tells the version of a schema, and whether a table of schema 2 is there.
func schemaIs(t *testing.T, raw *sql.DB) (version int64, hold bool) {
	t.Helper()
	if err := raw.QueryRow(`SELECT MAX(version_id) FROM goose_db_version`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	_, err := raw.Exec(`UPDATE hold SET since = since`)
	return version, err == nil
}

// opener starts a process that opens the store, and so migrates it.
func opener(t *testing.T, o store.Options) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), "SSOBRIDGE_STORE_TEST_CHILD="+o.DSN)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	return child
}

// until looks again and again until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !so() {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestMigrationKilled: a migration that was killed leaves nothing half, and the next program does it.
func TestMigrationKilled(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		o := storetest.SQLite(t)
		raw := firstSchema(t, o)
		const rows = 200_000
		if _, err := raw.Exec(`
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO sso_users SELECT 'p' || i, 'a1', 'x' || i, 'partner', 'l' || i, 'm', 'F', 'L', 'account_manager', 1, 'active',
			    0, 1, 0, 0, 0, '', '', i, i FROM n`, rows); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(`PRAGMA journal_mode = WAL`); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
			t.Fatal(err)
		}
		child := opener(t, o)
		wal := strings.TrimPrefix(o.DSN, "sqlite:") + "-wal"
		until(t, "the migration", func() bool { // some of the copied rows are written
			info, err := os.Stat(wal)
			return err == nil && info.Size() > 1<<20
		})
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed
		version, hold := schemaIs(t, raw)
		if version != 1 || hold {
			t.Errorf("after the kill: version %d, new tables %t, want 1 and none", version, hold)
		}
		_ = raw.Close()
		openStore(t, o)
		var n int
		if err := beside(t, o).QueryRow(`SELECT COUNT(*) FROM sso_users WHERE class = 0`).Scan(&n); err != nil || n != rows {
			t.Errorf("%d rows after the migration, %v, want %d", n, err, rows)
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		o := storetest.Postgres(t)(t)
		raw := firstSchema(t, o)
		// The migration comes to this table after it has made others, and waits.
		block, err := raw.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = block.Rollback() }()
		if _, err := block.Exec(`LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE`); err != nil {
			t.Fatal(err)
		}
		child := opener(t, o)
		waits := func(n int) func() bool {
			return func() bool {
				var got int
				err := raw.QueryRow(`
					SELECT COUNT(*) FROM pg_stat_activity
					 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%ALTER TABLE accounts%'`).Scan(&got)
				return err == nil && got == n
			}
		}
		until(t, "the migration", waits(1))
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed
		if err := block.Rollback(); err != nil {
			t.Fatal(err)
		}
		until(t, "the end of its session", waits(0))
		if version, hold := schemaIs(t, raw); version != 1 || hold {
			t.Errorf("after the kill: version %d, new tables %t, want 1 and none", version, hold)
		}
		// Its lock runs out.
		openStore(t, o)
		if version, hold := schemaIs(t, raw); version < 2 || !hold {
			t.Errorf("after the next start: version %d, new tables %t", version, hold)
		}
	})
}

// TestPostgresWithoutAdvisoryLocks: a role that may not take them migrates all the same.
func TestPostgresWithoutAdvisoryLocks(t *testing.T) {
	o := storetest.Postgres(t)(t)
	admin := beside(t, o)
	role := fmt.Sprintf("plain_%d", os.Getpid())
	if _, err := admin.Exec(fmt.Sprintf(`
		CREATE ROLE %[1]s LOGIN PASSWORD 'only-on-loopback';
		GRANT ALL ON SCHEMA public TO %[1]s;
		REVOKE EXECUTE ON FUNCTION pg_try_advisory_lock(bigint), pg_advisory_lock(bigint), pg_advisory_unlock(bigint),
		    pg_try_advisory_xact_lock(bigint), pg_advisory_xact_lock(bigint) FROM PUBLIC`, role)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role); err != nil {
			t.Errorf("drop role: %v", err)
		}
	})
	_, after, _ := strings.Cut(o.DSN, "@")
	plain := store.Options{DSN: "postgres://" + role + ":only-on-loopback@" + after}
	if _, err := beside(t, plain).Exec(`SELECT pg_try_advisory_lock(1)`); err == nil {
		t.Fatal("the role may take advisory locks")
	}
	var opened sync.WaitGroup
	for range 3 {
		opened.Go(func() {
			if db, err := store.Open(t.Context(), plain); err != nil {
				t.Errorf("open: %v", err)
			} else if err := errors.Join(db.Ping(t.Context()), db.Close()); err != nil {
				t.Errorf("use: %v", err)
			}
		})
	}
	opened.Wait()
	// One that may make no tables is told so at once.
	if _, err := admin.Exec(`CREATE DATABASE ` + role); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP DATABASE ` + role + ` WITH (FORCE)`); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	before, _, _ := strings.Cut(plain.DSN[len("postgres://"):], "/")
	start := time.Now()
	if db, err := store.Open(t.Context(), store.Options{DSN: "postgres://" + before + "/" + role +
		"?sslmode=disable"}); err == nil {
		_ = db.Close()
		t.Error("opened a database in which no table can be made")
	} else if !strings.Contains(err.Error(), "permission denied") || time.Since(start) > 10*time.Second {
		t.Errorf("after %v: %v, want a refusal at once", time.Since(start), err)
	}
}

// TestPostgresWithoutActivity: where a role may not see who is connected, none of the version before is: the program
// starts, and secret keys are rotated.
func TestPostgresWithoutActivity(t *testing.T) {
	o := storetest.Postgres(t)(t)
	admin := beside(t, o)
	role := fmt.Sprintf("blind_%d", os.Getpid())
	if _, err := admin.Exec(fmt.Sprintf(`
		CREATE ROLE %[1]s LOGIN PASSWORD 'only-on-loopback';
		GRANT ALL ON SCHEMA public TO %[1]s;
		REVOKE ALL ON pg_catalog.pg_stat_activity FROM PUBLIC`, role)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role); err != nil {
			t.Errorf("drop role: %v", err)
		}
	})
	_, after, _ := strings.Cut(o.DSN, "@")
	blind := store.Options{DSN: "postgres://" + role + ":only-on-loopback@" + after}
	if _, err := beside(t, blind).Exec(`SELECT 1 FROM pg_stat_activity`); err == nil {
		t.Fatal("the role may see who is connected")
	}
	db := openStore(t, blind)
	if found, err := db.OlderReplicaNow(t.Context()); found || err != nil {
		t.Errorf("a replica of the version before: %t, %v, want none", found, err)
	}
	// Any other error is one.
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := db.OlderReplicaNow(ended); err == nil {
		t.Error("a question that got no answer was taken for a no")
	}
}

// TestUpgradeOfStartedSignIns: what people had started goes on behind an upgrade by stopping the version before, and
// what is written into the database two hours later counts for nothing (row ID-17).
func TestUpgradeOfStartedSignIns(t *testing.T) {
	both(t, func(t *testing.T, o store.Options) {
		raw := schemaOf(t, o, 3)
		now := time.Now()
		o.Now = func() time.Time { return now }
		for _, id := range []string{"started", "late"} {
			if _, err := raw.Exec(`
				INSERT INTO sign_ins (id, browser, address, entity_id, request_id, account, session, counted, data, created_at, expires_at, finished_at)
				VALUES ($1, $2, '', 'sp', '', '', NULL, $3, $4, $5, $6, 0)`,
				id, []byte("browser"), false, []byte("{}"), now.UnixMicro(), now.Add(3*time.Hour).UnixMicro()); err != nil {
				t.Fatal(err)
			}
		}
		o.Voucher = storetest.Voucher("upgrade")
		db := openStore(t, o)
		s := db.SignIns()
		if _, err := s.Get(t.Context(), "started"); err != nil {
			t.Errorf("started before the upgrade: %v", err)
		}
		if err := s.Finish(t.Context(), store.Issue{SignIn: "started"}); err != nil {
			t.Errorf("finished behind the upgrade: %v", err)
		}
		if file := strings.HasPrefix(o.DSN, "sqlite:"); db.OlderReplicas(t.Context()) == file {
			t.Errorf("older replicas may be running: %t", !file)
		}
		now = now.Add(121 * time.Minute)
		if _, err := openStore(t, o).SignIns().Get(t.Context(), "late"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("two hours later: %v, want ErrNotFound", err)
		}
	})
}
