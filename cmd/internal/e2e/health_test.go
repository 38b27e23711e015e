package e2e_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// TestHealthAgrees breaks each part in turn, and sees overview, check, metrics and /readyz say the same, and that they
// say so again once it is well (OPS-01).
func TestHealthAgrees(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	metrics := "127.0.0.1:" + freePort(t)
	set := map[string]string{"metrics.listen": metrics, "directory.cooldown": "1s", "directory_cache.ttl": "1s",
		"sign_in.login_failures": "2", // below the sample directory's own limit, which check looks at
		"console.viewer_group":   slapd.GroupDN("emea"), "second_factor.console": "off"}
	w := newWorld(t, setting{quick: true, directory: slapdSettings(slapd), set: set,
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	execute := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	// change changes the configuration behind the program's back.
	change := func(statement string, args ...any) {
		t.Helper()
		execute(statement, args...)
		execute(`UPDATE counters SET value = value + 1 WHERE name = 'changes'`)
	}
	h := &healthViews{world: w, t: t, metrics: metrics, viewer: w.enter(t, consoleViewer),
		due: func() { execute(`UPDATE health SET at = at - 30000000`) }}
	first := newClient(t) // before somebody signed in, the overview speaks of the set-up
	first.deliver(first.goOn(first.login(first.get(w.launch(books)), "alice", password)))
	if !within(90*time.Second, func() bool {
		return !strings.Contains(h.viewer.get(h.url+"/admin/").text(), "Set-up is not finished")
	}) {
		t.Error("somebody signed in, and the overview still speaks of the set-up")
	}
	h.agree("all is well", "", "ok", true)

	slapd.Stop(t)
	h.agree("directory down", "directory", "down", true)
	slapd.Start(t)
	h.agree("directory back", "directory", "ok", true)

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownAPI})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownToken})
	w.sandbox.ForgetTokens()
	c := newClient(t)
	c.login(c.get(w.launch(bakery)), "alice", password) // a real call, for the first user
	h.agree("Constant Contact down", "constant_contact", "down", true)
	w.sandbox.ClearFaults()
	c.deliver(c.goOn(c.get(w.launch(bakery))))
	h.agree("Constant Contact back", "constant_contact", "ok", true)

	w.command(t, "sp", "set", w.providerID(), "enabled=false")
	h.agree("service provider off", "service_providers", "down", true)
	w.command(t, "sp", "set", w.providerID(), "enabled=true")
	h.agree("service provider on", "service_providers", "ok", true)

	const encryption = `UPDATE service_providers SET record = json_set(record, '$.encryption', $1)`
	change(encryption, "required")
	h.agree("no key to encrypt by", "service_providers", "down", true)
	change(encryption, "off")
	h.agree("encryption off", "service_providers", "ok", true)

	cert := filepath.Join(t.TempDir(), "sp.crt")
	if err := os.WriteFile(cert, endsIn(t, 10*24*time.Hour), 0o600); err != nil {
		t.Fatal(err)
	}
	w.command(t, "sp", "set", w.providerID(), "certificates="+cert)
	h.agree("a certificate ends soon", "expiry", "warning", true)
	w.command(t, "sp", "set", w.providerID(), "certificates=")
	h.agree("no certificate ends", "expiry", "ok", true)

	change(`UPDATE signing_keys SET state = 'next' WHERE state = 'active' AND key_use = 'signing'`)
	h.agree("no active key", "keys", "down", false)
	change(`UPDATE signing_keys SET state = 'active' WHERE state = 'next' AND key_use = 'signing'`)
	h.agree("the key is back", "keys", "ok", true)

	w.command(t, "provision", "hold")
	h.agree("provisioning paused", "provisioning", "warning", true)
	w.command(t, "provision", "release")
	h.agree("provisioning goes on", "provisioning", "ok", true)

	// Who holds the only lock of the database keeps the bridge from writing.
	held, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	h.storeIsDown()
	if _, err := held.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	h.agree("store back", "store", "ok", true)

	execute(`INSERT INTO audit_events (at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)
		VALUES ($1, '', 'mallory', 'login', 'x', '', '', '', 'ok', '', '')`, time.Now().UnixMicro())
	h.agree("a foreign audit event", "audit", "down", true)
	out, _ := w.tryCommand("audit", "verify") // it exits with 3
	found := regexp.MustCompile(`ssobridge audit acknowledge ([0-9]+) --reason`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("audit verify names no break:\n%s", out)
	}
	w.command(t, "audit", "acknowledge", found[1], "--reason", "a trial")
	h.agree("it is acknowledged", "audit", "ok", true)
}

// healthViews are the places that show how the bridge stands.
type healthViews struct {
	*world
	t       *testing.T
	metrics string
	viewer  *client
	due     func() // has the next snapshot made at once
}

var statePattern = regexp.MustCompile(`(?m)^ssobridge_health_state\{part="([a-z_]+)"\} ([0-9]+)$`)

// states are those of the metrics.
func (h *healthViews) states(body string) map[string]string {
	all := map[string]string{}
	for _, m := range statePattern.FindAllStringSubmatch(body, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil || n > 2 {
			h.t.Fatalf("state %q", m[2])
		}
		all[m[1]] = []string{"ok", "warning", "down"}[n]
	}
	return all
}

// agree waits until the metrics say that a part is in this state, and wants all other places to say the same. A part of
// "" is every part.
func (h *healthViews) agree(what, part, state string, ready bool) {
	h.t.Helper()
	h.due()
	var body string
	if !within(90*time.Second, func() bool {
		body = newClient(h.t).get("http://" + h.metrics + "/metrics").Body
		states := h.states(body)
		if part == "" {
			for _, s := range states {
				if s != state {
					return false
				}
			}
			return len(states) > 10
		}
		return states[part] == state && strings.Contains(body, "\nssobridge_ready 1\n") == ready
	}) {
		h.t.Fatalf("%s: the metrics do not say that %s is %s, and ready %t:\n%s", what, part, state, ready,
			strings.Join(statePattern.FindAllString(body, -1), "\n"))
	}
	status := newClient(h.t).get(h.url + "/readyz").Status
	if got := status == http.StatusOK; got != ready {
		h.t.Errorf("%s: /readyz %d, want ready %t", what, status, ready)
	}
	mark := map[string]string{"ok": "ok  ", "warning": "WARN", "down": "FAIL"}[state]
	running, _ := h.tryCommand("check", "--running")
	if part != "" && !regexp.MustCompile(`(?m)^`+mark+`  `+part+`, since `).MatchString(running) {
		h.t.Errorf("%s: check --running does not say that %s is %s:\n%s", what, part, state, running)
	}
	// By itself, and with the marks alone: its steps have other names.
	out, err := h.tryCommand("check")
	wants, fails := strings.Contains(running, "FAIL"), err != nil
	if wants != fails || fails != strings.Contains(out, "FAIL") {
		h.t.Errorf("%s: check fails %t, and the running bridge says %t:\n%s\n%s", what, fails, wants, out, running)
	}
	if p := h.viewer.get(h.url + "/admin/"); p.Status == http.StatusOK {
		h.overviewAgrees(what, p, h.states(body))
		name := map[string]string{"store": "Database", "directory": "Directory", "constant_contact": "Constant Contact",
			"service_providers": "Service providers", "keys": "Signing keys", "provisioning": "Provisioning",
			"audit": "Audit log", "expiry": "Expiry dates"}[part]
		word := map[string]string{"ok": "OK", "warning": "Warning", "down": "Down"}[state]
		if part != "" && !regexp.MustCompile(name+`\s+`+word+`\s`).MatchString(p.text()) {
			h.t.Errorf("%s: the overview does not say that %s is %s:\n%s", what, name, word, p.text())
		}
	} else if ready {
		h.t.Errorf("%s: the overview answers %d:\n%s", what, p.Status, p.text())
	}
}

// tiles are the parts of the health snapshot that each tile of the overview stands for.
var tiles = map[string][]string{
	"Directory":             {"directory"},
	"Constant Contact":      {"constant_contact", "budget", "provisioning"},
	"Single sign-on":        {"service_providers", "clock"},
	"Keys and certificates": {"keys", "expiry"},
	"Store":                 {"store", "revocation_journal", "backup"},
	"Audit log":             {"audit", "log"},
	"Notices":               {"notices"},
}

// overviewAgrees wants strip, first sentence and list of the overview to say what the metrics say.
func (h *healthViews) overviewAgrees(what string, p *page, states map[string]string) {
	h.t.Helper()
	strip, _, _ := strings.Cut(p.text(), "All checks")
	known, worst := 0, 0
	level := map[string]int{"ok": 0, "warning": 1, "down": 2}
	for tile, parts := range tiles {
		of := 0
		for _, part := range parts {
			of = max(of, level[states[part]])
			known++
		}
		worst = max(worst, of)
		word := []string{"OK", "Warning", "Down"}[of]
		if !regexp.MustCompile(tile + `\s+` + word + `\s`).MatchString(strip) {
			h.t.Errorf("%s: the strip does not say that %s is %s:\n%s", what, tile, word, strip)
		}
	}
	if known != len(states) {
		h.t.Errorf("the tiles stand for %d parts, and the metrics have %d", known, len(states))
	}
	if well := strings.Contains(strip, "Everything is working. No action needed."); well != (worst == 0) {
		h.t.Errorf("%s: the overview says that all is well: %t\n%s", what, well, strip)
	}
	if listed := strings.Contains(strip, "Action needed"); worst == 2 && !listed {
		h.t.Errorf("%s: what is down is no action needed:\n%s", what, strip)
	}
}

// storeIsDown wants every place to say that the store can't be written, as far as it can say anything.
func (h *healthViews) storeIsDown() {
	h.t.Helper()
	var body string
	if !within(90*time.Second, func() bool {
		body = newClient(h.t).get("http://" + h.metrics + "/metrics").Body
		return h.states(body)["store"] == "down" && strings.Contains(body, "\nssobridge_ready 0\n")
	}) {
		h.t.Errorf("the metrics do not say that the store is down: %v", h.states(body))
	}
	if status := newClient(h.t).get(h.url + "/readyz").Status; status == http.StatusOK {
		h.t.Error("/readyz says that it is ready without a store")
	}
	if p := h.viewer.get(h.url + "/admin/"); strings.Contains(p.text(), "Everything is working. No action needed.") {
		h.t.Errorf("the overview says that all is well without a store:\n%s", p.text())
	}
}
