package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An import of users is of 2,000 lines at most, and one runs at a time. REST-15
func TestAPIImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	p := w.caller(t, allScopes())
	send := func(query, text string) reply {
		return p.call(http.MethodPost, "/users/import"+query, text, "Content-Type", "text/csv")
	}
	const head = "login,account,external_id\n"
	line := "alice," + books + ",alice-known\n"
	var many strings.Builder
	many.WriteString(head)
	for i := range 2001 {
		fmt.Fprintf(&many, "nobody-%d,%s,x-%d\n", i, books, i)
	}
	for _, query := range []string{"", "?dry_run=true"} {
		r := send(query, many.String())
		p.refused("2,001 lines", r, http.StatusUnprocessableEntity, "invalid")
		if !strings.Contains(string(r.body), "2001 lines") {
			t.Errorf("refused for another reason: %s", r.body)
		}
	}
	var done struct {
		Lines    int
		Outcomes map[string]int
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("INSERT INTO leases (name, holder, held_until) VALUES ('import-users', 'another', $1)",
		time.Now().Add(time.Hour).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	r := send("", head+line)
	p.refused("while another one runs", r, http.StatusConflict, "import_running")
	if r.header.Get("Retry-After") == "" {
		t.Error("it is not said when to try again")
	}
	// Its process has died: the lease runs out.
	if _, err := db.Exec("UPDATE leases SET held_until = $1 WHERE name = 'import-users'",
		time.Now().Add(-time.Second).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	p.into(send("?dry_run=true", head+line), http.StatusOK, &done)
	p.refused("a faulty line", send("", head+"nobody-here,"+books+",y\n"), http.StatusUnprocessableEntity, "invalid")
	p.into(send("", head+line), http.StatusOK, &done) // the refused one has given its turn back
	if done.Lines != 1 || done.Outcomes["adopted"] != 1 {
		t.Errorf("imported: %+v", done)
	}
}
