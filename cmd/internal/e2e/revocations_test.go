package e2e_test

import (
	"bytes"
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"ssobridge/idp/directory/directorytest"
)

// revoker is a world in which things were revoked after a copy of its database was made.
type revoker struct {
	*world
	t       testing.TB
	session *client // signed in before the copy was made
	spare   []string
	key     string // retired since
	mapping string // removed since
}

const (
	revokedSP       = "https://revoked.example.com/saml"
	revokedMetadata = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="REVOKED"><SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
		`<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://revoked.example.com/acs" index="0"/></SPSSODescriptor></EntityDescriptor>`
)

var spareCode = regexp.MustCompile(`<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>`)

// grant sets up what is revoked later.
func grant(t testing.TB, w *world) *revoker {
	t.Helper()
	r := &revoker{world: w, t: t, session: newClient(t)}
	w.command(t, "accounts", "set-factor", club, "required")
	w.command(t, "accounts", "set-factor", books, "required")
	p := r.session.login(r.session.get(w.launch(club)), "bob", password)
	_, kept := r.session.enrolApp(p)
	for _, m := range spareCode.FindAllStringSubmatch(kept.Body, -1) {
		r.spare = append(r.spare, m[1])
	}
	if len(r.spare) != 10 {
		t.Fatalf("recovery codes %q", r.spare)
	}
	r.arrives(r.session, club)
	other := newClient(t)
	p = other.login(other.get(w.launch(books)), "alice", password)
	other.enrolApp(p)
	r.arrives(other, books)
	w.command(t, "sp", "add", writeFile(t, "sp.xml", []byte(strings.ReplaceAll(revokedMetadata, "REVOKED", revokedSP))),
		"--yes", "--name", "Old wiki",
		"--name-id", "{mail}", "--name-id-format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
	out := w.command(t, "mapping", "add", "--group", directorytest.SharedSlapd(t).GroupDN("emea"), "--account", bakery,
		"--role", "account_manager", "--priority", "70")
	if r.mapping = regexp.MustCompile(`mapping ([0-9]+)`).FindString(out); r.mapping == "" {
		t.Fatalf("mapping add: %s", out)
	}
	r.mapping = strings.TrimPrefix(r.mapping, "mapping ")
	r.key = regexp.MustCompile(`key ([0-9a-f]{16})`).FindStringSubmatch(w.command(t, "keys", "generate"))[1]
	w.command(t, "keys", "publish", r.key)
	w.invite(t, "heidi")
	return r
}

// arrives waits until the visitor's user is created.
func (r *revoker) arrives(c *client, account string) {
	r.t.Helper()
	p := c.get(r.launch(account))
	for end := time.Now().Add(patience); !p.delivers() && time.Now().Before(end); p = c.get(r.launch(account)) {
		<-time.After(100 * time.Millisecond)
	}
	c.deliver(p).says("Signed in")
}

// revoke takes it away, and gives one thing back.
func (r *revoker) revoke() {
	r.t.Helper()
	r.command(r.t, "admin", "reset", "alice", "--yes")
	c := newClient(r.t)
	c.deliver(c.submit(c.login(c.get(r.launch(club)), "bob", password), "code", "code", r.spare[0])).says("Signed in")
	r.command(r.t, "admin", "invite", "heidi") // another one takes the place of the first
	r.command(r.t, "sp", "remove", revokedSP)
	r.command(r.t, "mapping", "remove", r.mapping)
	r.command(r.t, "keys", "retire", r.key, "--yes")
	r.command(r.t, "users", "suspend", "alice", books)
	r.command(r.t, "users", "suspend", "bob", club)
	r.command(r.t, "users", "resume", "bob", club)
}

// stillRevoked looks after a restore.
func (r *revoker) stillRevoked() {
	r.stillRevokedByCommands()
	t := r.t
	t.Helper()
	r.session.get(r.launch(club)).says("Sign in")
	c := newClient(t)
	c.submit(c.login(c.get(r.launch(club)), "bob", password), "code", "code",
		r.spare[0]).status(http.StatusUnprocessableEntity).says("That was not right")
}

// stillRevokedByCommands is the part that commands can see.
func (r *revoker) stillRevokedByCommands() {
	t := r.t
	t.Helper()
	lines := func(args ...string) string { t.Helper(); return r.command(t, args...) }
	if out := lines("admin", "factors", "alice"); strings.Contains(out, "totp") {
		t.Errorf("the removed factor is back:\n%s", out)
	}
	if out := lines("admin", "factors", "bob"); !strings.Contains(out, "totp") || !strings.Contains(out, "9 left") {
		t.Errorf("bob's factors, want the app and nine codes:\n%s", out)
	}
	if out := lines("sp", "list"); strings.Contains(out, revokedSP) {
		t.Errorf("the removed service provider is back:\n%s", out)
	}
	if out := lines("mapping", "list"); strings.Contains(out, bakery) {
		t.Errorf("the removed mapping is back:\n%s", out)
	}
	for _, line := range strings.Split(lines("keys", "list"), "\n") {
		if strings.Contains(line, r.key) && !strings.Contains(line, "retired") {
			t.Errorf("the retired key is back: %s", line)
		}
	}
	if out := lines("users", "list", "--state", "suspended"); !strings.Contains(out, books) ||
		strings.Contains(out, club) {
		t.Errorf("suspended users, want alice alone:\n%s", out)
	}
	if out := lines("provision", "status"); !strings.Contains(out, "PAUSED") {
		t.Errorf("provisioning is not paused:\n%s", out)
	}
}

func (r *revoker) database() string { return filepath.Join(r.dir, "data", "ssobridge.db") }

// putBack copies a file over the database, as an admin in a hurry does.
func (r *revoker) putBack(backup string) {
	r.t.Helper()
	raw, err := os.ReadFile(backup)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, tail := range []string{"-wal", "-shm"} {
		_ = os.Remove(r.database() + tail)
	}
	if err := os.WriteFile(r.database(), raw, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// refusesToServe starts the program, which must end by itself.
func (r *revoker) refusesToServe(texts ...string) {
	r.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*patience)
	defer stop()
	out, err := r.program(ctx, "serve", "--config", filepath.Join(r.dir, "ssobridge.yaml")).CombinedOutput()
	if err == nil || ctx.Err() != nil {
		r.t.Errorf("it served: %v\n%s", err, out)
	}
	for _, text := range texts {
		if !bytes.Contains(out, []byte(text)) {
			r.t.Errorf("%q is not said:\n%s", text, out)
		}
	}
}

// ID-16: what was revoked after a backup was made stays revoked, whichever way it is put back; and where nobody
// knows any more what was revoked, an admin is asked.
func TestRevocationsOutliveARestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{set: map[string]string{"console.viewer_group": directorytest.SharedSlapd(t).GroupDN("emea")}})
	r := grant(t, w)
	backup := filepath.Join(t.TempDir(), "old.db")
	w.command(t, "backup", backup)
	r.revoke()
	// Other steps of it may fail with the directory of the tests.
	if out, _ := w.tryCommand("check"); !strings.Contains(out, "ok    revocation journal: ") {
		t.Errorf("check says nothing of the journal:\n%s", out)
	}
	journal := filepath.Join(w.dir, "data", "revocations.jsonl")
	raw, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob", club, revokedSP, r.spare[0]} {
		if bytes.Contains(raw, []byte(name)) {
			t.Errorf("the journal names %s", name)
		}
	}

	w.stop(t)
	out := w.command(t, "restore", backup)
	if !strings.Contains(out, "recovery codes of 2 people, 1 invitation, 1 suspended user, 1 key, 1 mapping, 1 "+
		"service provider,") {
		t.Errorf("restore says:\n%s", out)
	}
	w.start(t)
	r.stillRevoked()
	if out := w.command(t, "restore"); !strings.Contains(out, "was not restored") {
		t.Errorf("settled, and restore says:\n%s", out)
	}

	// A file that was copied back is noticed at the start.
	w.stop(t)
	r.putBack(backup)
	if out, err := w.tryCommand("check"); err == nil || !strings.Contains(out, "the database was restored") {
		t.Errorf("check: %v\n%s", err, out)
	}
	w.start(t)
	w.logs(t, "the database was restored")
	r.stillRevoked()

	// Somebody has changed a line of the journal: nothing is replaced before an admin has seen the list.
	w.stop(t)
	raw, err = os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, bytes.Replace(raw, []byte(`"word":"revoked"`), []byte(`"word":"allowed"`), 1),
		0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := w.tryCommand("restore", backup); err == nil || !strings.Contains(out, "line ") || !strings.Contains(out,
		revokedSP) || !strings.Contains(out, r.key) {
		t.Errorf("restore with a journal that was changed: %v\n%s", err, out)
	}
	if out := w.command(t, "sp", "list"); strings.Contains(out, revokedSP) {
		t.Errorf("the refused restore replaced something:\n%s", out)
	}

	// The journal is gone: the start notices that the database is behind, and serves nobody.
	if err := os.Remove(journal); err != nil {
		t.Fatal(err)
	}
	r.putBack(backup)
	r.refusesToServe("the database was restored", "there is no revocation journal", "ssobridge restore --yes")
	out, err = w.tryCommand("restore")
	if err == nil || !strings.Contains(out, "2 invitations") && !strings.Contains(out, "1 invitation,") ||
		!strings.Contains(out, "LAST CHANGE") {
		t.Errorf("restore: %v\n%s", err, out)
	}
	r.refusesToServe("the database was restored") // looking accepts nothing
	w.command(t, "restore", "--yes")
	w.start(t)
	c := newClient(t)
	p := c.login(c.get(w.launch(club)), "bob", password)
	c.submit(p, "code", "code", r.spare[5]).status(http.StatusUnprocessableEntity) // void, used or not
	if out := w.command(t, "admin", "factors", "bob"); !strings.Contains(out, "totp") || strings.Contains(out, "left") {
		t.Errorf("bob's factors, want the app alone:\n%s", out)
	}
	if out := w.command(t, "sp", "list"); !strings.Contains(out, revokedSP) {
		t.Errorf("what the admin said yes to is not there:\n%s", out)
	}
	// From here on there is a journal again.
	w.command(t, "sp", "remove", revokedSP)
	w.stop(t)
	r.putBack(backup)
	w.start(t)
	if out := w.command(t, "sp", "list"); strings.Contains(out, revokedSP) {
		t.Errorf("after the journal was begun anew:\n%s", out)
	}
}

// ID-16 on PostgreSQL: a dump that is read into a new database is noticed by where that stands, and the journal of
// each of two replicas is whole.
func TestRevocationsOutliveADump(t *testing.T) {
	t.Parallel()
	fresh := postgres(t)
	dsn := fresh(t)
	state := []string{t.TempDir(), t.TempDir()}
	s := setting{set: map[string]string{"console.viewer_group": directorytest.SharedSlapd(t).GroupDN("emea")}}
	s.env = append(s.env, "SSOBRIDGE_STORE_DSN="+dsn, "SSOBRIDGE_STATE_DIR="+state[0])
	w := newWorld(t, s)
	second := *w.bridge
	port := freePort(t)
	second.listen, second.cmd, second.out = "http://127.0.0.1:"+port, nil, &output{}
	second.env = append(append([]string(nil), w.env...), "SSOBRIDGE_LISTEN=127.0.0.1:"+port,
		"SSOBRIDGE_STATE_DIR="+state[1])
	second.start(t)
	t.Cleanup(func() { second.stop(t) })
	// The sslmode in force is named (row ID-25). Other steps may fail with the directory of the tests.
	if out, _ := w.tryCommand("check"); !strings.Contains(out,
		"ok    store connection: loopback (127.0.0.1), sslmode disable") {
		t.Errorf("check does not name the sslmode:\n%s", out)
	}
	r := grant(t, w)
	dump := filepath.Join(t.TempDir(), "dump")
	tool := func(name string, args ...string) {
		t.Helper()
		ctx, stop := context.WithTimeout(context.Background(), 4*patience)
		defer stop()
		if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	tool("pg_dump", "--format=custom", "--file="+dump, dsn)
	r.revoke()
	// The second replica, which revoked nothing itself, has read of all of it.
	lines := func(dir string) int {
		raw, err := os.ReadFile(filepath.Join(dir, "revocations.jsonl"))
		if err != nil {
			return 0
		}
		return bytes.Count(raw, []byte("\n"))
	}
	if !within(4*patience, func() bool { return lines(state[1]) > 8 && lines(state[0]) == lines(state[1]) }) {
		t.Fatalf("journals of %d and %d lines", lines(state[0]), lines(state[1]))
	}
	// Another installation with a copy of the secret key must not serve the same database.
	other := second
	other.env = append(slices.Clone(second.env), "SSOBRIDGE_LISTEN=127.0.0.1:"+freePort(t),
		"SSOBRIDGE_STATE_DIR="+t.TempDir(), "SSOBRIDGE_ENTITY_ID=https://staging.example.test/saml/metadata")
	(&revoker{world: &world{bridge: &other, t: t}, t: t}).refusesToServe("another installation runs on this database",
		"https://staging.example.test/saml/metadata")
	w.stop(t)
	second.stop(t)

	restored := fresh(t)
	tool("pg_restore", "--no-owner", "--dbname="+restored, dump)
	// The first replica and its folder are gone with the old server.
	second.env = append(second.env, "SSOBRIDGE_STORE_DSN="+restored)
	w.bridge = &second
	second.start(t)
	second.logs(t, "dumped and read in")
	r.stillRevokedByCommands()
	// REAL-93: it is held as a restored SQLite file is, so that nobody is created twice.
	if out := second.command(t, "provision", "status"); !strings.Contains(out, "(restore)") &&
		!strings.Contains(out, "restore:") && !strings.Contains(out, "by restore") {
		t.Errorf("creations by plans go on after the restore:\n%s", out)
	}

	// A replica whose folder is empty, at a database that was read in once more: nobody is served.
	second.stop(t)
	again := fresh(t)
	tool("pg_restore", "--no-owner", "--dbname="+again, dump)
	second.env = append(second.env, "SSOBRIDGE_STORE_DSN="+again, "SSOBRIDGE_STATE_DIR="+t.TempDir())
	r.refusesToServe("dumped and read in", "there is no revocation journal")
	second.command(t, "restore", "--yes")
	second.start(t)

	// A server at which databases change their names: the running replica ends, the next start serves nobody, and all is
	// well with the right database.
	admin, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	name := func(dsn string) string {
		t.Helper()
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(u.Path, "/")
	}
	swap := func() {
		t.Helper()
		server, err := sql.Open("pgx", admin)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		a, b := name(again), name(restored)
		for _, statement := range []string{
			`ALTER DATABASE "` + a + `" ALLOW_CONNECTIONS false`, `ALTER DATABASE "` + b + `" ALLOW_CONNECTIONS false`,
			`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN ('` + a + `', '` + b + `')`,
			`ALTER DATABASE "` + a + `" RENAME TO "` + a + `-aside"`, `ALTER DATABASE "` + b + `" RENAME TO "` + a + `"`,
			`ALTER DATABASE "` + a + `-aside" RENAME TO "` + b + `"`,
			`ALTER DATABASE "` + a + `" ALLOW_CONNECTIONS true`, `ALTER DATABASE "` + b + `" ALLOW_CONNECTIONS true`,
		} {
			if _, err := server.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	swap()
	ended := make(chan error, 1)
	go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(second.cmd)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended as if nothing were wrong")
		}
		second.cmd = nil
	case <-time.After(4 * patience):
		t.Fatal("it goes on with another database")
	}
	second.logs(t, "the database was restored while the program ran")
	r.refusesToServe("it is another database than the one whose revocations state_dir has", "compare store.dsn")
	swap()
	second.start(t)
}

// ID-16: a revocation that is killed between the journal and the commit is made at the next start, unless
// something was said since.
func TestRevocationCutOff(t *testing.T) {
	t.Parallel()
	fresh := postgres(t)
	dsn := fresh(t)
	state := t.TempDir()
	s := setting{set: map[string]string{}}
	s.env = append(s.env, "SSOBRIDGE_STORE_DSN="+dsn, "SSOBRIDGE_STATE_DIR="+state)
	w := newWorld(t, s)
	c := newClient(t)
	c.login(c.get(w.launch(club)), "bob", password)
	(&revoker{world: w, t: t}).arrives(c, club)
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// The commit itself takes a minute: the words are in the journal by then.
	if _, err := db.Exec(`
		CREATE FUNCTION wait_for_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON revocations DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_for_it()`); err != nil {
		t.Fatal(err)
	}
	cmd := w.program(context.Background(), "users", "suspend", "bob", club, "--config",
		filepath.Join(w.dir, "ssobridge.yaml"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool {
		raw, _ := os.ReadFile(filepath.Join(state, "revocations.jsonl"))
		return bytes.Contains(raw, []byte(`"kind":"user"`))
	}) {
		t.Fatal("nothing is in the journal")
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := db.Exec(`
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid();
		DROP TRIGGER cut ON revocations`); err != nil {
		t.Fatal(err)
	}
	if out := w.command(t, "users", "list", "--state", "suspended"); strings.Contains(out, club) {
		t.Fatalf("it was committed:\n%s", out)
	}
	w.stop(t)
	w.start(t)
	w.logs(t, "cut off before their commit")
	if out := w.command(t, "users", "list", "--state", "suspended"); strings.Count(out, club) != 1 {
		t.Errorf("after the next start:\n%s", out)
	}
	if out := w.command(t, "provision", "status"); strings.Contains(out, "PAUSED") {
		t.Errorf("it was no restore, and creations are held:\n%s", out)
	}
	// Resumed since: the old word counts no more.
	w.command(t, "users", "resume", "bob", club)
	w.stop(t)
	w.start(t)
	if out := w.command(t, "users", "list", "--state", "suspended"); strings.Contains(out, club) {
		t.Errorf("suspended again:\n%s", out)
	}
}
