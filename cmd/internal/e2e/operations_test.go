package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// What an admin asks the program: check, explain, lists, metrics, backup and
// restore, all against a bridge that serves.
func TestOperations(t *testing.T) {
	t.Parallel()
	metrics := "127.0.0.1:" + freePort(t)
	// One of the directory's policies locks at three wrong passwords.
	w := newWorld(t, setting{apart: true, set: map[string]string{"metrics.listen": metrics,
		"sign_in.login_failures": "2"}})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).says("Bob Brandt")

	t.Run("check", func(t *testing.T) {
		out := w.command(t, "check", "--accounts")
		if strings.Contains(out, "FAIL") {
			t.Errorf("check fails:\n%s", out)
		}
	})
	t.Run("explain", func(t *testing.T) {
		out := w.command(t, "explain", "--user", "bob")
		for _, want := range []string{"ring-a", club, "campaign_creator", "active"} {
			if !strings.Contains(out, want) {
				t.Errorf("explain does not tell %q:\n%s", want, out)
			}
		}
		calls := w.creations()
		for _, want := range []string{books, "account_manager", bakery} {
			if out := w.command(t, "explain", "--user", "alice"); !strings.Contains(out, want) {
				t.Errorf("explain does not tell %q:\n%s", want, out)
			}
		}
		if w.creations() != calls {
			t.Error("explain made a call")
		}
	})
	t.Run("metrics", func(t *testing.T) {
		body := newClient(t).get("http://" + metrics + "/metrics").status(http.StatusOK).Body
		for _, want := range []string{`ssobridge_sso_users{state="active"} 1`, "ssobridge_sign_ins_total",
			"ssobridge_budget_used"} {
			if !strings.Contains(body, want) {
				t.Errorf("/metrics has no %s:\n%s", want, body)
			}
		}
		if p := c.get(w.url + "/metrics"); p.Status != http.StatusNotFound {
			t.Errorf("the pages' own listener answers /metrics with %d", p.Status)
		}
	})
	t.Run("log", func(t *testing.T) {
		for line := range strings.Lines(w.out.String()) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Errorf("a log line is no JSON: %s", line)
			}
		}
		for what, secret := range map[string]string{
			"password": password, "bind password": directorytest.SharedSlapd(t).BindPassword,
			"partner secret": w.sandbox.TokenOptions().ClientSecret,
			"API key":        sandbox.DefaultAPIKey, "NameID": w.sandbox.Created()[0].ExternalID, "assertion": "<saml",
		} {
			if strings.Contains(w.out.String(), secret) {
				t.Errorf("the log has the %s", what)
			}
		}
	})
	t.Run("backup and restore", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "copy.db")
		w.command(t, "backup", file)
		if out, err := w.tryCommand("restore", file); err == nil {
			t.Errorf("a backup was restored under a running bridge:\n%s", out)
		}
		w.command(t, "mapping", "add", "--person", "carol", "--account", bakery, "--role", "campaign_creator")
		w.stop(t)
		w.command(t, "restore", file)
		if out := w.command(t, "mapping", "list"); strings.Contains(out, bakery) {
			t.Errorf("after the restore, what came after the backup is still there:\n%s", out)
		}
		w.start(t)
		again := newClient(t)
		again.deliver(again.login(again.get(w.launch(club)), "bob", password)).says("Bob Brandt")
		if n := w.creations(); n != 1 {
			t.Errorf("got %d calls, want the one from before the backup", n)
		}
	})
}

// What an admin changes by command holds for the running program within a second:
// a mapping that is taken away ends access, whatever session there is.
func TestMappingRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).says("Bob Brandt")
	w.command(t, "mapping", "remove", "1")
	if !eventually(func() bool { return c.get(w.launch(club)).Status == http.StatusForbidden }) {
		t.Error("the mapping is gone, and bob still gets in")
	}
}

// Bad input to the commands: the field, the fault, the fix; exit code 2; nothing changed.
func TestCommandRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{apart: true})
	before := w.command(t, "mapping", "list")
	groups := "ou=groups," + directorytest.SharedSlapd(t).BaseDN
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"wrong role", []string{"mapping", "add", "--group-pattern", "x-{account}", "--group-base", groups, "--role",
			"king"}, "role"},
		{"unknown account", []string{"mapping", "add", "--person", "bob", "--account", "zzzzzz", "--role",
			"account_manager"}, "account"},
		{"malformed DN", []string{"mapping", "add", "--group", "cn=a,,b", "--account", club, "--role",
			"account_manager"}, "DN"},
		{"owner for a group", []string{"mapping", "add", "--group-pattern", "x-{account}", "--group-base", groups, "--role",
			"owner"}, "owner"},
		{"pattern without a base", []string{"mapping", "add", "--group-pattern", "x-{account}", "--role",
			"account_manager"}, "group base"},
		{"pattern over everything", []string{"mapping", "add", "--group-pattern", "x-{account}", "--group-base",
			directorytest.SharedSlapd(t).BaseDN, "--role", "account_manager"}, "holds all of"},
		{"unknown person", []string{"mapping", "add", "--person", "nobody-here", "--account", club, "--role",
			"account_manager"}, "nobody-here"},
		{"unknown command", []string{"frobnicate"}, "frobnicate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := w.tryCommand(c.args...)
			if exitCodeOf(err) != 2 {
				t.Errorf("got %v, want exit code 2\n%s", err, out)
			}
			if !strings.Contains(out, "ssobridge: error: ") || !strings.Contains(out, c.says) {
				t.Errorf("the message does not name %q:\n%s", c.says, out)
			}
		})
	}
	if after := w.command(t, "mapping", "list"); after != before {
		t.Errorf("refused commands changed the mappings:\n%s", after)
	}
}

// A person whose data the templates can't make a name of is refused before any call
// (row API-01); a template that could never fit stops the start.
func TestNamesThatDoNotFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{set: map[string]string{"provisioning.login_name": "{last_name}.{key}"}})
	c := newClient(t)
	p := c.goOn(c.login(c.get(w.launch(books)), "eve", password)).status(http.StatusForbidden).says(
		"Your details don't fit")
	w.logs(t, reference(t, p))
	w.logs(t, "login_name")
	if n := w.creations(); n != 0 {
		t.Errorf("got %d calls, want none", n)
	}
	config := filepath.Join(w.dir, "ssobridge.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.ReplaceAll(string(text), "{last_name}.{key}", "{person_id}.{person_id}.{account}")
	if err := os.WriteFile(config, []byte(long+"\nno_such_key: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := w.tryCommand("check")
	if exitCodeOf(err) != 2 {
		t.Errorf("got %v, want exit code 2", err)
	}
	for _, want := range []string{"provisioning.login_name", "longer than 50", "no_such_key"} { // all faults at once
		if !strings.Contains(out, want) {
			t.Errorf("the message does not name %q:\n%s", want, out)
		}
	}
}

// SIGTERM while a call to Constant Contact runs: it is finished, its outcome is stored.
func TestStopFinishesTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultSlow, Path: "users/sso", Delay: 2 * time.Second, Times: 1})
	c := newClient(t)
	waiting := c.login(c.get(w.launch(club)), "bob", password).says("Setting up your access")
	w.stop(t)
	if out := w.command(t, "explain", "--user", "bob"); !strings.Contains(out, "active") {
		t.Errorf("after the stop the outcome is not stored:\n%s", out)
	}
	w.start(t)
	c.deliver(c.get(waiting.URL.String())).says("Bob Brandt")
	if n := w.creations(); n != 1 {
		t.Errorf("got %d calls, want 1", n)
	}
}

// Another service provider than Constant Contact: no provisioning, a plain group
// check, and launches with an allowed RelayState by its id.
func TestPlainServiceProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	other := startSandbox(t, sandbox.Options{Profile: sandbox.Lenient})
	w.trust(other)
	if err := other.AddUser(sandbox.User{
		Account: club, FirstName: "Heidi", LastName: "Nested", RoleName: "account_manager",
		ContactEmail: "heidi@example.test",
		LoginName:    "heidi", ExternalID: "heidi@example.test", ExternalProvider: other.ExternalProvider(),
	}); err != nil {
		t.Fatal(err)
	}
	metadata := filepath.Join(t.TempDir(), "sp.xml")
	if err := os.WriteFile(metadata, []byte(newClient(t).get(other.URL()+sandbox.SPMetadata).Body), 0o600); err != nil {
		t.Fatal(err)
	}
	w.command(t, "sp", "add", metadata, "--yes", "--name", "Wiki", "--group", directorytest.SharedSlapd(t).GroupDN("emea"),
		"--name-id", "{mail}", "--name-id-format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", "--attribute",
		"email={mail}")
	link := w.url + "/launch/sp?entity_id=" + url.QueryEscape(other.EntityID())

	heidi := newClient(t)
	heidi.deliver(heidi.login(heidi.get(link), "heidi", password)).says("Heidi Nested")
	bob := newClient(t)
	bob.login(bob.get(link), "bob", password).status(http.StatusForbidden).says("not among the people who may use Wiki")
	// Her session opens Wiki only, and a launch still knows which service it means.
	heidi.get(w.launch(club)).status(http.StatusForbidden)
	if w.creations() != 0 {
		t.Error("a plain service provider made a call to Constant Contact")
	}
}
