package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// object runs a command with --json and returns the one object that it prints.
func (w *world) object(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out, err := w.tryCommand(append(args, "--json")...)
	var one map[string]any
	if err != nil {
		t.Fatalf("ssobridge %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if err := json.Unmarshal([]byte(out), &one); err != nil || len(one) == 0 {
		t.Fatalf("ssobridge %s prints no object: %v\n%s", strings.Join(args, " "), err, out)
	}
	return one
}

// TestCommandsThatSucceedPrintJSON runs with --json what scripts can't bring to success: what needs a running bridge, a
// plan that is being made or applied, an order that Constant Contact has put off.
func TestCommandsThatSucceedPrintJSON(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	w := newWorld(t, setting{quick: true, directory: slapdSettings(slapd), set: map[string]string{
		"directory.op_timeout": "20s", "directory.timeout": "30s"},
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	w.object(t, "health", w.url)
	// The first look of a bridge that has just started is stored a moment after its first answer.
	if !within(30*time.Second, func() bool { _, err := w.tryCommand("check", "--running"); return err == nil }) {
		t.Error("check --running: the bridge that runs has not looked")
	}
	if got := w.object(t, "check", "--running"); got["state"] == "" {
		t.Errorf("check --running: %v", got)
	}

	// The directory does not answer, so the plan is still being made.
	slapd.Freeze(t)
	made := make(chan string, 1)
	go func() {
		out, _ := w.tryCommand("provision", "plan")
		made <- out
	}()
	var cancelled string
	if !within(30*time.Second, func() bool {
		out, err := w.tryCommand("provision", "cancel", "--json")
		cancelled = out
		return err == nil
	}) {
		t.Errorf("no plan was cancelled: %s", cancelled)
	}
	slapd.Thaw(t)
	<-made
	if !json.Valid([]byte(cancelled)) || !strings.Contains(cancelled, `"cancelled"`) {
		t.Errorf("provision cancel: %s", cancelled)
	}

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultSlow, Path: "users/sso", Delay: 2 * time.Second})
	w.command(t, "provision", "plan")
	w.command(t, "provision", "apply", "--yes", "--detach")
	if got := w.object(t, "provision", "pause"); got["state"] != "paused" {
		t.Errorf("provision pause: %v", got)
	}
	w.sandbox.ClearFaults()

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultAcceptLater, Delay: 500 * time.Millisecond})
	w.command(t, "accounts", "create", "--owner", "bob", "--organization", "Heron Shop", "--country", "us",
		"--state", "MA",
		"--yes")
	if !within(30*time.Second, func() bool { return w.object(t, "accounts", "retry", "1")["state"] == "created" }) {
		t.Errorf("accounts retry: %v", w.object(t, "accounts", "retry", "1"))
	}

	// What was sent is what would be sent; where it is not, the exit code says so, with the same object.
	w.sandbox.ClearFaults()
	response := filepath.Join(t.TempDir(), "response.txt")
	c := newClient(t)
	sent := c.goOn(c.login(c.get(w.launch(books)), "alice", password)).form("SAMLResponse").Fields.Get("SAMLResponse")
	if err := os.WriteFile(response, []byte(sent), 0o600); err != nil {
		t.Fatal(err)
	}
	w.object(t, "compare", response, "--user", "alice", "--account", books)
	out, err := w.tryCommand("compare", response, "--user", "eve", "--account", books, "--json")
	if exitCodeOf(err) != 3 || !json.Valid([]byte(strings.Split(out, "\n{\"error\"")[0])) {
		t.Errorf("compare with somebody else's: %v\n%s", err, out)
	}
}
