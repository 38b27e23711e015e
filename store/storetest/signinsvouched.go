package storetest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// testVouchedSignIns: whoever writes into the database gains no sign-in by it, nor another service provider, account,
// browser or life of one, and has none answered again (row ID-17).
func testVouchedSignIns(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, raw := open(t, o), rawDB(t, o)
	s := db.SignIns()
	exec := func(statement string, args ...any) {
		t.Helper()
		_, err := raw.Exec(statement, args...)
		must(t, err)
	}
	begun := func(id string) store.SignIn {
		in := signIn(id)
		in.Browser, in.RequestID, in.Account, in.Session, in.Data = hash("b"), "_"+id, "a1", hash("session"),
			[]byte("acs and relay state")
		in.CreatedAt = time.Now()
		return in
	}
	another := []byte("another")
	for i, c := range []struct {
		column string
		value  any
	}{
		{"id", "changed"},
		{"browser", another},
		{"browser", nil},
		{"entity_id", "https://evil.example"},
		{"request_id", "_another"},
		{"account", "a2"},
		{"session", another},
		{"data", another},
		{"created_at", time.Now().Add(-time.Minute).UnixMicro()},
		{"expires_at", time.Now().Add(240 * time.Hour).UnixMicro()},
		{"finished_at", time.Now().UnixMicro()},
		{"mac", []byte{}},
		{"mac", make([]byte, 36)},
	} {
		t.Run(fmt.Sprint(c.column, i), func(t *testing.T) {
			id := fmt.Sprint("changed", i)
			must(t, s.Begin(ctx, begun(id)))
			if _, err := s.Get(ctx, id); err != nil {
				t.Fatalf("before: %v", err)
			}
			exec(`UPDATE sign_ins SET `+c.column+` = $1 WHERE id = $2`, c.value, id)
			if c.column == "id" {
				id = "changed"
			}
			again := begun(id)
			for what, err := range map[string]error{
				"get":    func() error { _, err := s.Get(ctx, id); return err }(),
				"bind":   s.Bind(ctx, id, hash("b")),
				"update": s.Update(ctx, again, event("bad")),
				"finish": s.Finish(ctx, store.Issue{SignIn: id, Events: []store.Event{event("bad")}}),
			} {
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: %v, want ErrNotFound", what, err)
				}
			}
			// Nor does one that has travelled sealed go on with it.
			if err := s.Finish(ctx, store.Issue{Begins: &again, Events: []store.Event{event("bad")}}); !errors.Is(err,
				store.ErrConflict) {
				t.Errorf("begin: %v, want ErrConflict", err)
			}
		})
	}
	t.Run("answered again", func(t *testing.T) {
		must(t, s.Begin(ctx, begun("once")))
		must(t, s.Finish(ctx, store.Issue{SignIn: "once"}))
		if err := s.Finish(ctx, store.Issue{SignIn: "once"}); !errors.Is(err, store.ErrFinished) {
			t.Fatalf("a second time: %v", err)
		}
		exec(`UPDATE sign_ins SET finished_at = 0 WHERE id = 'once'`)
		if err := s.Finish(ctx, store.Issue{SignIn: "once", Events: []store.Event{event("bad")}}); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("taken back: %v, want ErrNotFound", err)
		}
	})
	t.Run("a row of one's own", func(t *testing.T) {
		insertOldSignIn(t, raw, "own", hash("b"))
		if _, err := s.Get(ctx, "own"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("without a MAC: %v, want ErrNotFound", err)
		}
		must(t, s.Begin(ctx, begun("ours")))
		exec(`UPDATE sign_ins SET mac = (SELECT mac FROM sign_ins WHERE id = 'ours') WHERE id = 'own'`)
		if _, err := s.Get(ctx, "own"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("with the MAC of another row: %v, want ErrNotFound", err)
		}
	})
	t.Run("changes by ours are vouched for", func(t *testing.T) {
		must(t, s.Create(ctx, signIn("way"), store.Caps{}))
		must(t, s.Bind(ctx, "way", hash("b")))
		in, err := s.Get(ctx, "way")
		must(t, err)
		in.Account, in.Session, in.Data = "a2", hash("session"), []byte("more")
		must(t, s.Update(ctx, in))
		if got, err := s.Get(ctx, "way"); err != nil || got.Account != "a2" || string(got.Data) != "more" {
			t.Errorf("updated: %+v, %v", got, err)
		}
		must(t, s.Finish(ctx, store.Issue{SignIn: "way"}))
		if got, err := s.Get(ctx, "way"); err != nil || got.FinishedAt.IsZero() {
			t.Errorf("finished: %+v, %v", got, err)
		}
	})
	if n := events(t, db, "bad"); n != 0 {
		t.Errorf("%d refused changes have left an event", n)
	}
	// All of it is one event, whatever was tried.
	var n int
	must(t, raw.QueryRow(`SELECT COUNT(*) FROM audit_events WHERE action = 'foreign-rows' AND subject = 'sign_ins'`).Scan(
		&n))
	if n != 1 {
		t.Errorf("%d events of foreign rows, want 1", n)
	}
	t.Run("no note of one's own lets rows without a MAC count", func(t *testing.T) {
		exec(`DELETE FROM older_replicas`)
		exec(`INSERT INTO older_replicas (id, seen_at, mac) VALUES (1, $1, $2)`, time.Now().UnixMicro(), make([]byte, 32))
		insertOldSignIn(t, raw, "noted", hash("b"))
		replica := open(t, o)
		if _, err := replica.SignIns().Get(ctx, "noted"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
		if replica.OlderReplicas(ctx) {
			t.Error("a note that nobody vouched for is believed")
		}
	})
}

// testSignInsOfTheVersionBefore: while it runs, and an hour longer, what it stored and changed goes on, in both
// programs; what is stored for it until then goes on for another hour.
func testSignInsOfTheVersionBefore(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	if strings.HasPrefix(o.DSN, "sqlite:") {
		t.Skip("nothing runs beside the program on SQLite: see TestUpgradeOfStartedSignIns")
	}
	now := time.Now()
	o.Now = func() time.Time { return now }
	raw := rawDB(t, o)
	must(t, open(t, o).Close()) // the schema is there
	u, err := url.Parse(o.DSN)
	must(t, err)
	q := u.Query()
	q.Set("application_name", "ssobridge") // as the version before calls itself
	u.RawQuery = q.Encode()
	older := rawDB(t, store.Options{DSN: u.String()})
	older.SetMaxOpenConns(1)
	must(t, older.Ping())

	db := open(t, o)
	if !db.OlderReplicas(ctx) {
		t.Fatal("the replica of the version before is not seen")
	}
	insertOldSignIn(t, older, "theirs", nil)
	must(t, db.SignIns().Bind(ctx, "theirs", hash("b")))
	in, err := db.SignIns().Get(ctx, "theirs")
	must(t, err)
	in.Data = []byte("ours by now")
	must(t, db.SignIns().Update(ctx, in))
	ours := signIn("ours")
	ours.Browser, ours.Data = hash("b"), []byte("data")
	must(t, db.SignIns().Create(ctx, ours, store.Caps{}))
	// It goes on with what is ours, and this program after it.
	for _, id := range []string{"theirs", "ours"} {
		_, err = older.Exec(`
			UPDATE sign_ins SET account = $1, session = $2, data = $3
			 WHERE id = $4 AND finished_at = 0 AND expires_at > $5`, "a1", hash("session"), []byte("theirs again"), id, now.UnixMicro())
		must(t, err)
		got, err := db.SignIns().Get(ctx, id)
		if err != nil || string(got.Data) != "theirs again" {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	must(t, db.SignIns().Finish(ctx, store.Issue{SignIn: "ours"}))
	insertOldSignIn(t, older, "left", hash("b"))
	insertOldSignIn(t, older, "late", hash("b"))
	must(t, older.Close())
	// It is gone: for an hour what it left goes on, at a replica that has just started as well.
	_, err = raw.Exec(`
		SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ssobridge'`)
	must(t, err)
	must(t, open(t, o).SignIns().Finish(ctx, store.Issue{SignIn: "left"}))
	// Until the hour is over this program stores sign-ins for one that may come back. Who began one then goes on with it
	// afterwards.
	now = now.Add(55 * time.Minute)
	last := signIn("last")
	last.CreatedAt, last.ExpiresAt, last.Browser = now, now.Add(time.Hour), hash("b")
	must(t, open(t, o).SignIns().Create(ctx, last, store.Caps{}))
	now = now.Add(6 * time.Minute)
	after := open(t, o)
	if after.OlderReplicas(ctx) {
		t.Error("an hour later, sign-ins are still stored for the version before")
	}
	if _, err := after.SignIns().Get(ctx, "last"); err != nil {
		t.Errorf("an hour later, of a sign-in that was begun within it: %v", err)
	}
	var n int
	must(t, raw.QueryRow(`SELECT COUNT(*) FROM audit_events WHERE action = 'foreign-rows'`).Scan(&n))
	if n != 0 {
		t.Errorf("%d events call what this program stored foreign", n)
	}
	now = now.Add(time.Hour)
	_, err = raw.Exec(`UPDATE sign_ins SET expires_at = $1 WHERE id = 'late'`, now.Add(time.Hour).UnixMicro())
	must(t, err)
	after = open(t, o)
	if _, err := after.SignIns().Get(ctx, "late"); !errors.Is(err, store.ErrNotFound) || after.OlderReplicas(ctx) {
		t.Errorf("two hours later: %v, want ErrNotFound", err)
	}
}

// insertOldSignIn stores a sign-in as the version before does.
func insertOldSignIn(tb testing.TB, raw *sql.DB, id string, browser []byte) {
	tb.Helper()
	_, err := raw.Exec(`
		INSERT INTO sign_ins (id, browser, address, entity_id, request_id, account,
		    session, counted, data, created_at, expires_at, finished_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		id, browser, "192.0.2.1", "https://sp.example", "", "", nil, false, []byte("{}"), time.Now().UnixMicro(),
		time.Now().Add(time.Hour).UnixMicro(), 0)
	must(tb, err)
}
