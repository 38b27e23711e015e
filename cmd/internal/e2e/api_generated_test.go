package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/internal/testkind"
	"ssobridge/web/api"
)

// A client that another program has generated from the API's document takes a bridge from its empty store to the first
// people who sign in: Constant Contact is registered, a client account ordered, a person mapped and created. REST-19
func TestAcceptanceGeneratedClient(t *testing.T) {
	testkind.Starts(t, "go")
	program := generatedClient(t)
	// No console world: what a token has ordered is done in the background, whose events have no address.
	w := newWorld(t, setting{bare: true, set: map[string]string{"second_factor.console": "required", "api.enabled": "true",
		"console.admin_group": directorytest.SharedSlapd(t).GroupDN("ctct-a07e1lxqqqo1-campaign_creator")}})
	admin := newClient(t)
	_, kept := admin.enrolApp(admin.login(admin.get(w.url+"/admin/"), consoleAdmin, password), "invite",
		w.invite(t, consoleAdmin))
	spare := regexp.MustCompile(`<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>`).FindStringSubmatch(kept.Body)
	if spare == nil {
		t.Fatal("no recovery codes")
	}
	p := w.caller(t, allScopes()+",providers:write", "--login", consoleAdmin, "--code", spare[1])
	run := func(v any, args ...string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "BRIDGE="+w.url, "TOKEN="+p.token, "no_proxy=*")
		var out, failed bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &failed
		if err := cmd.Run(); err != nil {
			t.Fatalf("apiclient %v: %v\n%s", args, err, failed.String())
		}
		if err := json.Unmarshal(out.Bytes(), v); err != nil {
			t.Fatalf("apiclient %v: %v\n%s", args, err, out.String())
		}
	}
	var made struct{ Account, Launch string }
	run(&made, "open", w.sandbox.EntityID(), w.sandbox.ACS(), "alice", "bob")
	run(&made, "open", w.sandbox.EntityID(), w.sandbox.ACS(), "alice", "bob") // the same keys: the same things
	w.trust(w.sandbox)
	for range 2 {
		for _, login := range []string{"alice", "bob"} {
			c := newClient(t)
			page := c.goOn(c.login(c.get(made.Launch), login, password))
			f := page.form("SAMLResponse")
			if landing := c.send(http.MethodPost, page.resolve(f.Action), f.Fields); landing.Status != http.StatusOK {
				t.Errorf("%s at Constant Contact: %d\n%s", login, landing.Status, landing.text())
			}
		}
	}
	type use struct {
		Entitled     int
		Created      int
		SignedIn     int `json:"signed_in"`
		FirstSignIns int `json:"first_sign_ins"`
	}
	var got use
	if want := (use{2, 2, 2, 2}); !eventually(func() bool { run(&got, "look", made.Account); return got == want }) {
		t.Errorf("used by %+v, want %+v", got, want)
	}
}

// generatedClient generates the client from the document as it is, and builds the program around it.
func generatedClient(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "generate.yaml", "main.go"} {
		text, err := os.ReadFile(filepath.Join("apiclient", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	document, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "openapi.json"), document, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"tool", "oapi-codegen", "-config", "generate.yaml", "openapi.json"},
		{"build", "-o", "apiclient", "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	return filepath.Join(folder, "apiclient")
}
