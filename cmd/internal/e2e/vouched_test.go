package e2e_test

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// ID-17: somebody who can write into the database changes a sign-in under way, or writes one of their own. Neither is
// gone on with, and one event of the audit says so.
func TestForeignSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	write := func(statement string) {
		t.Helper()
		if result, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		} else if n, err := result.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%s: %d rows, %v", statement, n, err)
		}
	}
	c := newClient(t)
	choose := c.login(c.get(w.launch("")), "alice", password).says("Choose an account")
	at := choose.URL.String()
	if !strings.Contains(at, "/login?s=") {
		t.Fatalf("the sign-in is not stored: %s", at)
	}
	write(`INSERT INTO sign_ins SELECT 'written', browser, address, entity_id, request_id, account, session, counted, data, created_at, expires_at, finished_at, mac FROM sign_ins`)
	c.get(w.url + "/login?s=written").status(http.StatusNotFound)
	write(`DELETE FROM sign_ins WHERE id = 'written'`)
	write(`UPDATE sign_ins SET account = '` + books + `'`)
	if p := c.get(at).status(http.StatusNotFound); p.delivers() {
		t.Error("a sign-in that was changed in the database was answered")
	}
	c.submit(choose, "account", "account", books).status(http.StatusNotFound)
	// The person starts again, and is in.
	c.deliver(c.goOn(c.get(w.launch(books)))).says("Signed in")
	if out := w.command(t, "audit", "list", "--action", "foreign-rows"); strings.Count(out, "sign_ins") != 1 {
		t.Errorf("events of foreign rows:\n%s", out)
	}
	w.logs(t, "rows in the database that this program did not write are ignored")
}
