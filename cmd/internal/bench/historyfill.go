package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ssobridge/store"
)

// fillVersion goes up with what the statements below store.
const fillVersion = "2"

// dialect is what differs between the databases in a statement that fills.
type dialect struct {
	blob func(text string) string // a text as octets
	no   string
}

var (
	sqliteDialect   = dialect{func(text string) string { return "CAST(" + text + " AS BLOB)" }, "0"}
	postgresDialect = dialect{func(text string) string { return "convert_to(" + text + ", 'UTF8')" }, "FALSE"}
)

// filledTables are those that fillHistory fills.
var filledTables = []string{"sso_users", "sessions", "sign_ins", "audit_events", "audit_chain", "traces"}

// fillHistory stores what years of use leave behind: rows of each kind, and five times as many audit events, which are
// in the chain already. Nothing of it ends by itself in the next years. What stands for a secret key is missing: the
// events count as of the version before, and the sessions open nothing.
func fillHistory(ctx context.Context, tx *sql.Tx, d dialect, rows int) error {
	const (
		series = `WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS BIGINT))`
		// People in no order.
		person = `'p' || ((i * 2654435761) % 4294967296) || '-' || i`
	)
	var (
		now    = time.Now()
		micros = time.Time.UnixMicro
		began  = micros(now.Add(-40 * 24 * time.Hour))
		ended  = micros(now.Add(-10 * 24 * time.Hour))
		far    = micros(now.AddDate(20, 0, 0))
		events = 5 * rows
		step   = func(rows int) int64 { return (ended - began) / int64(rows) }
	)
	for _, s := range []struct {
		what, text string
		args       []any
	}{
		{"an account", `INSERT INTO accounts (id, name, billing_status, seen_at) VALUES ('filler', 'Filler', 'Open', 1)`,
			nil},
		{"SSO users", series + `
			INSERT INTO sso_users (person_id, account, external_id, external_provider, login_name, contact_email, first_name, last_name,
			    role, mapping, state, maybe_sent, attempts, next_attempt, lease_until, due_at, error_key, error_text, created_at, updated_at)
			SELECT ` + person + ` AS person, 'filler', 'filler-' || i, 'filler', 'filler-' || i, 'filler@example.test', 'Fill', 'Er',
			    'account_manager', 1, 'active', ` + d.no + `, 1, 0, 0, 0, '', '', CAST($2 AS BIGINT), CAST($2 AS BIGINT)
			  FROM n ORDER BY person`, []any{rows, began}},
		{"sessions", series + `
			INSERT INTO sessions (token_hash, person_id, login, browser, authenticated_at, methods, reading, read_at, seen_at, ends_at)
			SELECT ` + d.blob(`((i * 2654435761) % 4294967296) || '-session-of-nobody-' || i`) + ` AS hash, ` + person + `, 'filler' || i,
			    ` + d.blob(`'browser-' || i`) + `, CAST($2 AS BIGINT), 'password', ` + d.blob(`'`+strings.Repeat("x", 300)+`'`) + `,
			    CAST($2 AS BIGINT), CAST($3 AS BIGINT) + i, CAST($3 AS BIGINT) + i
			  FROM n ORDER BY hash`, []any{rows, began, far}},
		{"replay records", series + `
			INSERT INTO sign_ins (id, browser, address, entity_id, request_id, account, session, counted, data, created_at, expires_at, finished_at)
			SELECT ((i * 2654435761) % 4294967296) || '-sign-in-' || i AS name, ` + d.blob(`'browser-' || i`) + `, '192.0.2.1', 'https://sp.example/',
			    '_' || ((i * 40503) % 1000003) || '-' || i, '', NULL, ` + d.no + `, NULL, CAST($2 AS BIGINT), CAST($3 AS BIGINT) + i, CAST($2 AS BIGINT)
			  FROM n ORDER BY name`, []any{rows, began, far}},
		{"audit events", series + `
			INSERT INTO audit_events (at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)
			SELECT CAST($2 AS BIGINT) + i * CAST($3 AS BIGINT), 'R' || ((i * 2654435761) % 4294967296), ` + person + `,
			    CASE WHEN i % 10 = 0 THEN 'refusal' ELSE 'sign-in' END, ` + person + `, 'filler', 'https://sp.example/', '192.0.2.1',
			    CASE WHEN i % 10 = 0 THEN 'refused' ELSE 'ok' END, CASE WHEN i % 10 = 0 THEN 'no_assignment' ELSE '' END, ''
			  FROM n ORDER BY i`, []any{events, began, step(events)}},
		{"the audit's chain", `
			INSERT INTO audit_chain (seq, event, at, action, salt, content, hash)
			SELECT id, id, at, action, ` + d.blob("'0123456789abcdef'") + `, ` + d.blob("'0123456789abcdef0123456789abcdef'") + `,
			    ` + d.blob("'0123456789abcdef0123456789abcdef'") + `
			  FROM audit_events ORDER BY id`, nil},
		{"sums of events", `
			INSERT INTO event_sums (at, action, outcome, reason, sp, events)
			SELECT at - at % 900000000, action, outcome, reason, sp, COUNT(*) FROM audit_events
			 GROUP BY at - at % 900000000, action, outcome, reason, sp`, nil},
		{"how far events are summed up",
			`UPDATE counters SET value = (SELECT MAX(seq) FROM audit_chain) WHERE name = 'events_summed'`, nil},
		{"traces", series + `
			INSERT INTO traces (sign_in, ref, started_at, at, newest, stranger, person, account, sp, outcome, reason, steps)
			SELECT 's' || ((i / 3 * 2654435761) % 4294967296), 'T' || ((i * 2654435761) % 4294967296), CAST($2 AS BIGINT) + i * CAST($3 AS BIGINT),
			    CAST($2 AS BIGINT) + i * CAST($3 AS BIGINT), CASE WHEN i % 3 = 2 THEN 1 ELSE 0 END, 0, ` + person + `, 'filler', 'https://sp.example/',
			    CASE WHEN i % 10 = 0 THEN 'refused' ELSE 'ok' END, '', '[` + strings.Repeat(" ", 300) + `]'
			  FROM n ORDER BY i`, []any{rows, began, step(rows)}},
	} {
		if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("store %s: %w", s.what, err)
		}
	}
	return nil
}

// historyCache is where filled databases are kept from run to run: one folder for each schema and number of rows. What
// was there for others is removed.
func (b *bench) historyCache(ctx context.Context) (dir string, err error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	base = filepath.Join(base, "ssobridge-bench")
	schema, err := b.schema(ctx)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("history-%s-%s-%d", schema, fillVersion, b.o.rows)
	dir = filepath.Join(base, name)
	if err := removeOthers(base, name, b.o.rows); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	b.progress("  filled databases are kept in %s", dir)
	return dir, roomFor(dir, b.o.rows)
}

// removeOthers removes what is kept for other schemas with as many rows, and what was not finished.
func removeOthers(base, name string, rows int) error {
	found, err := filepath.Glob(filepath.Join(base, "history-*"))
	if err != nil {
		return err
	}
	for _, old := range found {
		if filepath.Base(old) != name && strings.HasSuffix(old, fmt.Sprintf("-%d", rows)) {
			if err := os.RemoveAll(old); err != nil {
				return fmt.Errorf("remove a filled database of another schema: %w", err)
			}
		}
	}
	parts, err := filepath.Glob(filepath.Join(base, name, "*.part"))
	for _, part := range parts {
		err = errors.Join(err, os.RemoveAll(part))
	}
	return err
}

// roomFor looks whether both databases have room, kept and in use.
func roomFor(dir string, rows int) error {
	const each = 28_000 // bytes for a row of each kind, kept and in use, in both
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("room in %s: %w", dir, err)
	}
	if free, want := float64(fs.Bavail)*float64(fs.Bsize), float64(rows)*each; free < want {
		return fmt.Errorf("%s has room for %.0f GB, want %.0f GB; --rows makes it less", dir, free/1e9, want/1e9)
	}
	return nil
}

// schema names the schema of the program's store: a hash of all its statements.
func (b *bench) schema(ctx context.Context) (name string, err error) {
	path := filepath.Join(b.dir, "schema.db")
	if err := migrate(ctx, "sqlite:"+path); err != nil {
		return "", err
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		return "", fmt.Errorf("read the schema: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
	if err != nil {
		return "", fmt.Errorf("read the schema: %w", err)
	}
	defer rows.Close()
	sum := sha256.New()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return "", fmt.Errorf("read the schema: %w", err)
		}
		fmt.Fprintln(sum, text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6]), rows.Err()
}

// migrate makes an empty store, or brings one to the program's schema.
func migrate(ctx context.Context, dsn string) error {
	db, err := store.Open(ctx, store.Options{DSN: dsn})
	if err != nil {
		return err
	}
	return db.Close()
}

// filledSQLite is the file of a filled store, which is made unless it is kept.
func (b *bench) filledSQLite(ctx context.Context, cache string) (string, error) {
	path := filepath.Join(cache, "ssobridge.db")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	b.progress("  filling SQLite with %d rows of each kind", b.o.rows)
	dir := path + ".part"
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a folder for the filled store: %w", err)
	}
	next := filepath.Join(dir, "ssobridge.db")
	if err := migrate(ctx, "sqlite:"+next); err != nil {
		return "", err
	}
	err := bulkSQLite(ctx, next, filledTables, func(tx *sql.Tx) error {
		return fillHistory(ctx, tx,
			sqliteDialect, b.o.rows)
	})
	if err != nil {
		return "", fmt.Errorf("fill SQLite: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return "", fmt.Errorf("keep the filled store: %w", err)
	}
	return path, os.RemoveAll(dir)
}
