package e2e_test

import (
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// newSecret makes a file new_key with a new secret key. The returned function writes secret_keys into the
// configuration.
func (w *world) newSecret(t *testing.T) (keys func(names string)) {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	if err := os.WriteFile(filepath.Join(w.dir, "new_key"), []byte(base64.StdEncoding.EncodeToString(secret)+"\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.dir, "ssobridge.yaml")
	line := regexp.MustCompile(`(?m)^secret_keys?(_file)?: .*$`)
	return func(names string) {
		t.Helper()
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !line.Match(raw) {
			t.Fatalf("no secret key in\n%s", raw)
		}
		if err := os.WriteFile(file, line.ReplaceAll(raw, []byte("secret_keys: ["+names+"]")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// ID-32: beside a replica of the version before, which knows one secret key alone, nothing is made with another one: no
// replica starts with it, and rotate and remove are refused and change nothing.
func TestSecretKeyBesideTheVersionBefore(t *testing.T) {
	t.Parallel()
	dsn := postgres(t)(t)
	w := newWorld(t, setting{env: []string{"SSOBRIDGE_STORE_DSN=" + dsn, "SSOBRIDGE_STATE_DIR=" + t.TempDir()}})
	keys := w.newSecret(t)
	old := regexp.MustCompile(`(?m)^([0-9a-f]{8}) +in use`).FindStringSubmatch(w.command(t, "secrets", "status"))[1]
	w.stop(t)
	// The version before goes by the bare name.
	before, err := sql.Open("pgx", dsn+"&application_name=ssobridge")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = before.Close() }()
	before.SetMaxOpenConns(1)
	if err := before.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys("secret_key, new_key")
	w.start(t) // it goes on with the one that both know
	w.stop(t)
	keys("new_key, secret_key")
	status := w.command(t, "secrets", "status")
	for _, args := range [][]string{{"secrets", "rotate"}, {"secrets", "remove", old},
		{"secrets", "remove", old, "--void"}} {
		out, err := w.tryCommand(args...)
		if err == nil || !strings.Contains(out, "a replica of the version before") || !strings.Contains(out,
			"upgrade every replica") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if out := w.command(t, "secrets", "status"); out != status {
		t.Errorf("a refused command has changed something:\n%s\nwas\n%s", out, status)
	}
	if out, err := w.tryCommand("check"); err == nil ||
		!regexp.MustCompile(`FAIL  secret keys: .*version before`).MatchString(out) {
		t.Errorf("check: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("serve"); err == nil || !strings.Contains(out, "upgrade every replica first") {
		t.Errorf("serve: %v\n%s", err, out)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	// Within the hour the upgrade can still be taken back.
	if out, err := w.tryCommand("secrets", "rotate"); err == nil || !strings.Contains(out, "within the last hour") {
		t.Errorf("within the hour: %v\n%s", err, out)
	}
}

// ID-17: the secret key is replaced on two replicas, and the old one removed, while people stay signed in. What it has
// made is made anew, or refuses the removal.
func TestSecretKeyIsReplaced(t *testing.T) {
	t.Parallel()
	c := newCluster(t, setting{set: map[string]string{"console.viewer_group": directorytest.SharedSlapd(t).GroupDN(
		"emea")}}.onPostgres(t, postgres(t)), 2)
	w := c.world
	w.command(t, "accounts", "set-factor", club, "required")
	keys := w.newSecret(t)
	restart := func() {
		t.Helper()
		for _, r := range c.replicas {
			r.stop(t)
			r.start(t)
		}
	}
	id := func(state string) string {
		t.Helper()
		m := regexp.MustCompile(`(?m)^([0-9a-f]{8}) +` + state).FindStringSubmatch(w.command(t, "secrets", "status"))
		if m == nil {
			t.Fatalf("no secret key that is %s", state)
		}
		return m[1]
	}
	old := id("in use")

	// Made with the old one: a session with a second factor and its recovery codes, a sign-in under way, a revocation.
	bob := newClient(t)
	p := bob.login(bob.get(c.launch(club)), "bob", password)
	app, kept := bob.enrolApp(p)
	spare := spareCode.FindStringSubmatch(kept.Body)
	r := &revoker{world: w, t: t}
	r.arrives(bob, club)
	alice := newClient(t)
	choose := alice.login(alice.get(c.launch("")), "alice", password).says("Choose an account")
	stranger := newClient(t)
	waiting := stranger.get(c.launch(books)).says("Password")
	added := w.command(t, "mapping", "add", "--person", "zoe", "--account", bakery, "--role", "account_manager",
		"--priority", "70")
	w.command(t, "mapping", "remove", strings.TrimPrefix(regexp.MustCompile(`mapping ([0-9]+)`).FindString(added),
		"mapping "))

	w.invite(t, consoleViewer)

	keys("secret_key, new_key")
	restart()
	if out, err := w.tryCommand("secrets", "remove", old); err == nil || !strings.Contains(out, "is the one in use") {
		t.Errorf("remove the one in use: %v\n%s", err, out)
	}
	// One replica is behind: it would go on making things with the old one.
	keys("new_key, secret_key")
	c.replicas[1].stop(t)
	c.replicas[1].start(t)
	if out, err := w.tryCommand("secrets", "remove", old); err == nil || !strings.Contains(out,
		"still uses secret key "+old) {
		t.Errorf("remove one that a replica uses: %v\n%s", err, out)
	}
	restart()
	bob.get(c.url + "/").says("You are signed in as bob.")
	out, err := w.tryCommand("secrets", "remove", old)
	if err == nil || !strings.Contains(out, "is still needed by 1 set of recovery codes, 1 invitation to enrol a second "+
		"factor") || !strings.Contains(out, "/factors") {
		t.Errorf("remove with recovery codes: %v\n%s", err, out)
	}
	invitation := w.invite(t, consoleViewer) // in place of the other one, by the new secret key
	if out := w.command(t, "secrets", "status"); !regexp.MustCompile(`(?m)^` + old +
		` +known +[0-9-]+ +1 set of recovery codes$`).MatchString(out) {
		t.Errorf("status:\n%s", out)
	}
	out = w.command(t, "secrets", "remove", old, "--void")
	if !strings.Contains(out, "ended: 1 set of recovery codes, 0 invitations") || !strings.Contains(out,
		old+" is removed") {
		t.Errorf("remove:\n%s", out)
	}
	keys("new_key")
	restart()

	bob.get(c.url + "/").says("You are signed in as bob.")
	bob.deliver(bob.get(c.launch(club))).says("Signed in")
	alice.deliver(alice.goOn(alice.submit(alice.get(choose.URL.String()), "account", "account", books))).says("Signed in")
	again := newClient(t)
	p = again.login(again.get(c.launch(club)), "bob", password)
	again.submit(p, "code", "code", spare[1]).status(http.StatusUnprocessableEntity) // void
	if p = again.submit(p, "code", "code", appCode(t, app, 0)); p.Status == http.StatusUnprocessableEntity {
		p = again.submit(p, "code", "code", appCode(t, app, 1)) // the step that enrolled it was taken
	}
	again.deliver(p).says("Signed in")
	// A page from before is not read any more: it is said, and starting again is one step.
	if p = stranger.login(waiting, "alice", password); p.Status < 400 || p.delivers() {
		t.Errorf("a sign-in that the removed secret key has sealed: status %d\n%s", p.Status, p.text())
	}
	stranger.deliver(stranger.goOn(stranger.login(stranger.get(c.launch(books)), "alice", password))).says("Signed in")

	viewer := newClient(t)
	p = viewer.login(viewer.get(c.url+"/admin/"), consoleViewer, password)
	_, kept = viewer.enrolApp(p, "invite", invitation)
	kept.says("Keep these codes")

	out = ""
	if !within(patience, func() bool {
		out, err = w.tryCommand("audit", "verify")
		return err == nil && !strings.Contains(out, "in no checkpoint yet")
	}) || strings.Contains(out, "NOT WRITTEN") || strings.Contains(out, "no MAC") {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
	if out, _ := w.tryCommand("check"); !strings.Contains(out, "ok    revocation journal: ") || !strings.Contains(out,
		"ok    secret keys: ") {
		t.Errorf("check:\n%s", out)
	}
	if out := w.command(t, "audit", "list", "--since",
		time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)); strings.Contains(out, "foreign-rows") ||
		!strings.Contains(out, "secret-key-remove") {
		t.Errorf("audit list:\n%s", out)
	}
}
