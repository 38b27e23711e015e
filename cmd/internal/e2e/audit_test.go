package e2e_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // what somebody with the database file has
)

// The audit is sealed while the bridge runs, also outside of the database; killed and started again, it is whole.
// Somebody who rewrites the database is found out.
func TestAuditSeals(t *testing.T) {
	t.Parallel()
	sink := filepath.Join(t.TempDir(), "seals.jsonl")
	w := newWorld(t, setting{set: map[string]string{"audit.sink": sink}})
	c := newClient(t)
	c.login(c.get(w.launch(club)), "bob", "wrong")
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
	sealed := func() string {
		data, _ := os.ReadFile(sink)
		return string(data)
	}
	if !eventually(func() bool { return strings.Contains(sealed(), `"signature"`) }) {
		t.Fatal("no seal within half a minute")
	}
	w.logs(t, `"msg":"audit seal"`) // which is written after the sink
	// The database itself is made to lie about an event as it is written: the chain believes it, and the bridge does not.
	lying, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lying.Exec("CREATE TRIGGER lie AFTER INSERT ON audit_events WHEN NEW.outcome = 'refused' BEGIN UPDATE " +
		"audit_events SET outcome = 'ok' WHERE id = NEW.id; END"); err != nil {
		t.Fatal(err)
	}
	d := newClient(t)
	d.login(d.get(w.launch(club)), "bob", "wrong")
	w.logs(t, "THE AUDIT LOG HAS BEEN TAMPERED WITH")
	if _, err := lying.Exec("DROP TRIGGER lie"); err != nil {
		t.Fatal(err)
	}
	_ = lying.Close()
	w.kill(t)
	before := strings.Count(sealed(), `"signature"`)
	w.start(t)
	c.deliver(c.goOn(c.get(w.launch(club))))
	if !eventually(func() bool { return strings.Count(sealed(), `"signature"`) > before }) {
		t.Fatal("nobody seals after a replica was killed")
	}
	c.deliver(c.goOn(c.get(w.launch(club))))
	w.stop(t) // seals what is left
	// The chain is whole, and holds the event that the database lied about as none of ours.
	out, err := w.tryCommand("audit", "verify", "--checkpoints", sink)
	if err == nil || !strings.Contains(out, "events are unchanged") || strings.Contains(out, "in no checkpoint yet") ||
		!strings.Contains(out, "NOT WRITTEN BY SSOBRIDGE: 1 event,") || strings.Contains(out, "no MAC") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	// Events name people by their id alone.
	export := w.command(t, "audit", "export")
	for _, action := range []string{`"login"`, `"create-user"`, `"sign-in"`, "bad_credentials"} {
		if !strings.Contains(export, action) {
			t.Errorf("the audit has no %s", action)
		}
	}
	if strings.Contains(strings.ToLower(export), "bob") || strings.Contains(export, "@") ||
		strings.Contains(export, "sso-") {
		t.Errorf("the audit tells who somebody is:\n%s", export)
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte(w.out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// The event that the database lied about makes this an error too, and nothing else does.
	if out, err := w.tryCommand("audit", "verify", "--checkpoints", log); err == nil || !strings.Contains(out,
		"events are unchanged") ||
		!strings.Contains(out, "NOT WRITTEN BY SSOBRIDGE: 1 event,") {
		t.Errorf("verify by the log: %v\n%s", err, out)
	}

	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("DELETE FROM audit_events WHERE action = 'sign-in'"); err != nil {
		t.Fatal(err)
	}
	if out, err := w.tryCommand("audit", "verify"); err == nil || !strings.Contains(out, "its event is missing") {
		t.Errorf("with a sign-in removed: %v, %s", err, out)
	}
	// All of it removed: only what was kept outside still knows.
	if _, err := db.Exec("DELETE FROM audit_events; DELETE FROM audit_chain; DELETE FROM audit_seals"); err != nil {
		t.Fatal(err)
	}
	if out, err := w.tryCommand("audit", "verify", "--checkpoints", sink); err == nil || !strings.Contains(out,
		"it is missing, with all up to the sealed entry") {
		t.Errorf("with everything removed: %v, %s", err, out)
	}
	if out, err := w.tryCommand("audit", "verify", "--checkpoints", os.DevNull); err == nil || !strings.Contains(out,
		"has no checkpoint") {
		t.Errorf("a file without seals: %v, %s", err, out)
	}
}

// ID-26: what is older than the defaults say goes, guesses first; the chain is cut where all has gone, and
// verification, by command and in the console, goes on from there.
func TestAuditEnds(t *testing.T) {
	t.Parallel()
	sink := filepath.Join(t.TempDir(), "seals.jsonl")
	w := newConsoleWorld(t, setting{set: map[string]string{"audit.sink": sink}})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
	d := newClient(t)
	d.login(d.get(w.launch(club)), "bob", "wrong")
	c.deliver(c.goOn(c.get(w.launch(club)))) // the newest event of all is never purged
	w.stop(t)
	// All of that was 600 days ago, as the version before left it, and the refused login 100 days.
	for _, statement := range []string{
		"DELETE FROM audit_chain", "DELETE FROM audit_seals", "DELETE FROM counters WHERE name = 'audit_vouched_from'",
		"UPDATE audit_events SET at = at - 600 * 86400000000, mac = x''",
		"UPDATE audit_events SET at = at + 500 * 86400000000 WHERE action = 'login' AND outcome = 'refused'",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(sink); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	w.stop(t)                        // seals it
	w.command(t, "keys", "generate") // an entry behind the seal
	w.start(t)
	w.stop(t)
	w.start(t)
	w.logs(t, `"msg":"audit chain cut"`)
	admin := w.enter(t, consoleAdmin)
	admin.submitForm(admin.get(w.url+"/admin/audit"), "/admin/audit/verify").status(http.StatusOK).says(
		"no event was changed", "Chain starts at, older events were purged", "older entries: ")
	w.stop(t)
	if out := w.command(t, "audit", "verify", "--checkpoints", sink); !strings.Contains(out,
		"the chain begins at its cut") ||
		strings.Contains(out, "before the cut") {
		t.Errorf("verify after the cut:\n%s", out)
	}
	if out := w.command(t, "audit", "list", "--action", "login"); strings.Contains(out, "bad_credentials") {
		t.Errorf("the refused login is still there:\n%s", out)
	}
}

// ID-30: where the clock has jumped, or nothing ran for long, nothing is deleted for its age until it is put right or
// accepted. That it is asked for once more after the next jump, and not otherwise.
func TestRetentionWaitsForTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
	// Old by the clock: what the store deletes by its own time, and what the audit does by audit.keep.
	age := func(clock time.Duration) {
		t.Helper()
		w.stop(t)
		for _, statement := range []string{
			"DELETE FROM audit_chain", "DELETE FROM audit_seals", "DELETE FROM counters WHERE name = 'audit_vouched_from'",
			"UPDATE audit_events SET at = at - 600 * 86400000000, mac = x''", "UPDATE traces SET at = at - 600 * 86400000000",
		} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Exec("UPDATE counters SET value = $1 WHERE name = 'clock_seen'",
			time.Now().Add(-clock).UnixMicro()); err != nil {
			t.Fatal(err)
		}
		w.start(t)
		w.stop(t)                        // seals it
		w.command(t, "keys", "generate") // the newest event is never purged
		w.start(t)
	}
	left := func() (n int) {
		t.Helper()
		if err := db.QueryRow("SELECT COUNT(*) FROM audit_events WHERE action = 'login' AND at < $1", time.Now().AddDate(0, 0,
			-400).UnixMicro()).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	traces := func() (n int) {
		t.Helper()
		if err := db.QueryRow("SELECT COUNT(*) FROM traces WHERE at < $1", time.Now().AddDate(0, 0, -400).UnixMicro()).Scan(
			&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	age(600 * 24 * time.Hour)
	w.logs(t, "NOTHING IS DELETED FOR ITS AGE")
	if left() == 0 || traces() == 0 {
		t.Fatalf("after a jump %d logins and %d traces are left", left(), traces())
	}
	if out, err := w.tryCommand("check"); err == nil ||
		!regexp.MustCompile(`FAIL  retention: the clock says .*\n.*ssobridge clock accept`).MatchString(out) {
		t.Errorf("check: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("clock", "accept"); err == nil || !strings.Contains(out, "it was") {
		t.Errorf("accept without a yes: %v\n%s", err, out)
	}
	w.command(t, "clock", "accept", "--yes")
	if out := w.command(t, "clock", "accept", "--yes"); !strings.Contains(out, "nothing to accept") {
		t.Errorf("accept again:\n%s", out)
	}
	w.stop(t)
	w.start(t) // it deletes when it starts, and each minute
	if !eventually(func() bool { return left() == 0 && traces() == 0 }) {
		t.Errorf("after it was accepted %d logins and %d traces are left", left(), traces())
	}
	if out := w.command(t, "audit", "list", "--action", "clock-accept"); !strings.Contains(out, "retention") {
		t.Errorf("the audit says nothing of it:\n%s", out)
	}
	if out := w.command(t, "audit", "verify"); !strings.Contains(out, "purged") {
		t.Errorf("verify:\n%s", out)
	}
}

// ID-26: while a replica of the version before uses the database, nothing is purged by outcome or cut: its verification
// knows neither.
func TestAuditWaitsForTheUpgrade(t *testing.T) {
	t.Parallel()
	dsn := postgres(t)(t)
	w := newWorld(t, setting{env: []string{"SSOBRIDGE_STORE_DSN=" + dsn, "SSOBRIDGE_STATE_DIR=" + t.TempDir()}})
	c := newClient(t)
	c.login(c.get(w.launch(club)), "bob", "wrong")
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
	w.stop(t)
	// The version before goes by the bare name.
	before, err := sql.Open("pgx", dsn+"&application_name=ssobridge")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = before.Close() }()
	before.SetMaxOpenConns(1)
	for _, statement := range []string{
		"DELETE FROM audit_chain", "DELETE FROM audit_seals", "DELETE FROM counters WHERE name = 'audit_vouched_from'",
		"UPDATE audit_events SET at = at - 600 * 86400000000, mac = ''",
	} {
		if _, err := before.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	w.start(t)
	w.stop(t) // seals it
	w.command(t, "keys", "generate")
	seals := func() int { return strings.Count(w.out.String(), `"msg":"audit seal"`) }
	kept := seals()
	w.start(t)
	// It seals and then purges when it starts, and seals again after that what came in between.
	if !eventually(func() bool { return seals() > kept }) {
		t.Fatal("nothing is sealed")
	}
	kept = seals()
	c.deliver(c.goOn(c.get(w.launch(club))))
	if !eventually(func() bool { return seals() > kept }) {
		t.Fatal("nothing is sealed after the purge")
	}
	if out := w.command(t, "audit", "verify"); strings.Contains(out, "purged") || strings.Contains(out, "cut") {
		t.Errorf("beside the version before:\n%s", out)
	}
	if out := w.command(t, "audit", "list", "--action", "login"); !strings.Contains(out, "bad_credentials") {
		t.Errorf("the refused login is gone:\n%s", out)
	}
}
