package cli_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	_ "github.com/mattn/go-sqlite3" // what somebody with the database file has
	"github.com/rogpeppe/go-internal/testscript"

	"ssobridge/cmd/internal/cli"
	"ssobridge/partnerapi/sandbox"
)

// startSandbox starts a stand-in Constant Contact with two client accounts for one script.
func startSandbox(env *testscript.Env) error {
	s, err := sandbox.Start("127.0.0.1:0", sandbox.Options{
		Accounts: []sandbox.Account{
			{ID: "a07e1lxqqqo0", OrganizationName: "Harbour Books", BillingStatus: "Open"},
			{ID: "a07e1lxqqqo1", OrganizationName: "Juniper Bakery", BillingStatus: "Trial"},
		},
		TokensPerSecond: sandbox.Unlimited, PerSecond: sandbox.Unlimited,
	})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = s.Close() })
	env.Setenv("SANDBOX_URL", s.URL())
	return nil
}

// setupCommand writes a working configuration by `ssobridge init`, as an admin would.
func setupCommand(ts *testscript.TestScript, neg bool, _ []string) {
	if neg {
		ts.Fatalf("setup can't be negated")
	}
	ts.Check(ts.Exec("ssobridge", "init", "conf", "--public-url", "http://localhost:8080", "--algorithm", "p-256",
		"--set", "listen=127.0.0.1:0",
		"--set", "directory.preset=openldap",
		"--set", "directory.urls="+ts.Getenv("LDAP_URL"),
		"--set", "directory.ca_file="+ts.Getenv("LDAP_CA"),
		"--set", "directory.bind_dn="+ts.Getenv("LDAP_BIND_DN"),
		"--set", "directory.bind_password_file=bind_password",
		"--set", "directory.base_dn="+ts.Getenv("LDAP_BASE_DN"),
		"--set", "sign_in.login_failures=2", // one of the directory's policies locks at three
		"--set", "constant_contact.base_url="+ts.Getenv("SANDBOX_URL")+sandbox.APIPath,
		"--set", "constant_contact.token_url="+ts.Getenv("SANDBOX_URL")+sandbox.TokenPath,
		"--set", "constant_contact.partner_client_id="+ts.Getenv("SANDBOX_CLIENT_ID"),
		"--set", "constant_contact.partner_secret_file=partner_secret",
		"--set", "constant_contact.api_key_file=api_key",
		"--set", "constant_contact.external_provider="+sandbox.DefaultExternalProvider,
	))
	for name, text := range map[string]string{
		"bind_password": ts.Getenv("LDAP_BIND_PASSWORD"), "partner_secret": ts.Getenv("SANDBOX_SECRET"),
		"api_key": ts.Getenv("SANDBOX_API_KEY"),
	} {
		ts.Check(os.WriteFile(ts.MkAbs("conf/"+name), []byte(text+"\n"), 0o600))
	}
	ts.Setenv("SSOBRIDGE_CONFIG", ts.MkAbs("conf/ssobridge.yaml"))
}

// sandboxCommand changes the stand-in Constant Contact: sandbox JSON, as its own page for faults takes it.
func sandboxCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sandbox JSON")
	}
	res, err := http.Post(ts.Getenv("SANDBOX_URL")+"/_sandbox/faults", "application/json", strings.NewReader(args[0]))
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("the sandbox answers %s", res.Status)
	}
}

// keysCommand sets the variables OLDEST and NEWEST to the ids of the signing keys,
// as keys list shows them, and AT to a time in a day.
func keysCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: keys")
	}
	ts.Check(ts.Exec("ssobridge", "keys", "list"))
	found := regexp.MustCompile(`(?m)^([0-9a-f]{16}) +signing `).FindAllStringSubmatch(ts.ReadFile("stdout"), -1)
	if len(found) == 0 {
		ts.Fatalf("there are no keys")
	}
	ts.Setenv("OLDEST", found[0][1])
	ts.Setenv("NEWEST", found[len(found)-1][1])
	ts.Setenv("AT", time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
}

// secretsCommand sets the variables OLD_SECRET and NEW_SECRET to the ids of the first two secret keys that secrets
// status shows, the newer one first.
func secretsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: secrets")
	}
	ts.Check(ts.Exec("ssobridge", "secrets", "status"))
	found := regexp.MustCompile(`(?m)^([0-9a-f]{8}) +(?:in use|known|missing) `).FindAllStringSubmatch(
		ts.ReadFile("stdout"), -1)
	if len(found) < 2 {
		ts.Fatalf("there are not two secret keys")
	}
	ts.Setenv("NEW_SECRET", found[0][1])
	ts.Setenv("OLD_SECRET", found[1][1])
}

// tokenCommand sets the variable TOKEN to the id of the live API token of a name.
func tokenCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: token NAME")
	}
	ts.Check(ts.Exec("ssobridge", "tokens", "list"))
	found := regexp.MustCompile(`(?m)^([a-z2-7]{10}) +` + regexp.QuoteMeta(args[0]) + ` +live `).FindStringSubmatch(
		ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("there is no such token")
	}
	ts.Setenv("TOKEN", found[1])
}

// softHSMCommand writes SoftHSM's configuration and sets SOFTHSM to its library.
func softHSMCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: softhsm")
	}
	for _, file := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(file); err == nil {
			ts.Setenv("SOFTHSM", file)
			ts.Check(os.WriteFile(ts.Getenv("SOFTHSM2_CONF"), []byte("directories.tokendir = "+ts.MkAbs("tokens")+
				"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600))
			return
		}
	}
	ts.Fatalf("softhsm2-util is here and its library is not")
}

// codeCommand runs a command and asserts on its exit code: code 2 ssobridge …
func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command …")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// serveLog is where logs of the bridge since the last change by sql stand.
const serveLog = "serve.log"

// serveCommand runs the bridge until TEXT stands in its log, at level debug, and then stops it in order. With "lately"
// a start since the last change by sql may have logged it too: how far one comes before it is stopped is not said.
// serve [TEXT [lately]]
func serveCommand(ts *testscript.TestScript, neg bool, args []string) {
	const ready = `"msg":"ready"`
	text := ready
	switch {
	case neg || len(args) > 2 || len(args) == 2 && args[1] != "lately":
		ts.Fatalf("usage: serve [text [lately]]")
	case len(args) > 0:
		text = args[0]
	}
	if len(args) == 2 {
		if before, err := os.ReadFile(ts.MkAbs(serveLog)); err == nil && strings.Contains(string(before), text) {
			text = ready
		}
	}
	environ := []string{"SSOBRIDGE_LOG_LEVEL=debug"}
	for _, name := range []string{"SSOBRIDGE_CONFIG", "SSOBRIDGE_AUDIT_KEEP", "SSOBRIDGE_AUDIT_SINK"} {
		if value := ts.Getenv(name); value != "" {
			environ = append(environ, name+"="+value)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	log, done := &buffer{}, make(chan int, 1)
	go func() {
		done <- cli.Main(ctx, []string{"serve"}, environ, strings.NewReader(""), io.Discard, log)
	}()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !strings.Contains(log.String(), text) {
		select {
		case <-look.C:
		case code := <-done:
			ts.Fatalf("serve ended with code %d before its log had %s:\n%s", code, text, log)
		}
	}
	stop()
	if code := <-done; code != 0 {
		ts.Fatalf("serve ended with code %d:\n%s", code, log)
	}
	before, err := os.ReadFile(ts.MkAbs(serveLog))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		ts.Fatalf("%v", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(serveLog), append(before, log.String()...), 0o600))
}

// sqlCommand does what somebody can who has the database file: sql 'statement' …
func sqlCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: sql statement …")
	}
	db, err := sql.Open("sqlite3", "file:"+ts.MkAbs("conf/data/ssobridge.db"))
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	for _, statement := range args {
		_, err := db.Exec(statement)
		ts.Check(err)
	}
	if err := os.Remove(ts.MkAbs(serveLog)); err != nil && !errors.Is(err, os.ErrNotExist) {
		ts.Fatalf("%v", err)
	}
}

// modeCommand asserts on a file's permission bits: mode 0600 FILE
func modeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode 0600 file")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// ageKeyCommand writes a private key of age into a file, as age-keygen does, and sets AGE_RECIPIENT to its public key.
func ageKeyCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: agekey file")
	}
	key, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("# made by a test\n"+key.String()+"\n"), 0o600))
	ts.Setenv("AGE_RECIPIENT", key.Recipient().String())
}
