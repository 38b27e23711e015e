package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// TestAlertsFire stages faults on the running program, and has Prometheus' own tool judge what /metrics says of them by
// the rules of docs/alerts.yaml: each fires after its time, and none of all while everything is well (OPS-05).
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs("../../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", rules).CombinedOutput(); err != nil {
		t.Fatalf("promtool (Debian package prometheus) does not accept the rules: %v\n%s", err, out)
	}
	slapd := directorytest.StartSlapd(t)
	metrics := "127.0.0.1:" + freePort(t)
	w := newWorld(t, setting{quick: true, directory: slapdSettings(slapd), set: map[string]string{
		"metrics.listen": metrics, "directory.cooldown": "1s", "directory_cache.ttl": "1s",
	}, mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a := &alerts{t: t, rules: rules, url: "http://" + metrics + "/metrics", db: db}

	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(books)), "alice", password)))
	a.wait("all is well", `ssobridge_health_state{part="expiry"} 0`)
	a.wait("somebody signed in", "\nssobridge_last_sign_in_timestamp_seconds ")
	well := a.scrape()
	a.judge(well, well, "2h", "none", `count(ALERTS{alertstate="firing"}) or vector(0)`, 0)
	a.fires(well, well, "80h", "NobodySignsIn")

	slapd.Stop(t)
	fresh := newClient(t)
	fresh.login(fresh.get(w.launch(books)), "eve", password).status(http.StatusServiceUnavailable)
	a.wait("directory down", "ssobridge_directory_up 0")
	down := a.scrape()
	a.fires(well, down, "5m", "DirectoryDown")
	a.fires(well, down, "5m", "SignInsUnavailable")
	slapd.Start(t)
	a.wait("directory up", "ssobridge_directory_up 1")

	// Two accounts with one mail address: a conflict, which waits for an administrator.
	w.sandbox.SetEmailRule(sandbox.EmailEverywhere)
	if !eventually(func() bool { c.get(w.launch(bakery)); return a.has(`ssobridge_sso_users{state="conflict"} 1`) }) {
		t.Errorf("no conflict:\n%s", a.scrape())
	}
	a.fires(well, a.scrape(), "20m", "UsersNeedAttention")

	w.command(t, "provision", "hold")
	a.wait("paused", `ssobridge_health_state{part="provisioning"} 1`)
	held := a.scrape()
	a.fires(well, held, "65m", "ProvisioningPaused")
	a.fires(well, held, "65m", "PartWarns")
	w.command(t, "provision", "release")

	a.execute(`UPDATE budget SET used = 9500`)
	a.fires(well, a.scrape(), "5m", "BudgetNearlyUsed")
	a.execute(`UPDATE budget SET used = 10`)

	old := time.Now().Add(-2 * 365 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(w.dir, "partner_secret"), old, old); err != nil {
		t.Fatal(err)
	}
	a.fires(well, a.scrape(), "5m", "SecretIsOld")

	cert := filepath.Join(t.TempDir(), "sp.crt")
	if err := os.WriteFile(cert, endsIn(t, 10*24*time.Hour), 0o600); err != nil {
		t.Fatal(err)
	}
	w.command(t, "sp", "set", w.providerID(), "certificates="+cert)
	if !within(90*time.Second, func() bool { return a.has(`use="sp_signing"`) }) {
		t.Error("the certificate is not in the metrics")
	}
	a.fires(well, a.scrape(), "15m", "CertificateEnds")

	change := func(statement string) {
		a.execute(statement)
		a.execute(`UPDATE counters SET value = value + 1 WHERE name = 'changes'`)
	}
	change(`UPDATE signing_keys SET state = 'next' WHERE state = 'active' AND key_use = 'signing'`)
	a.wait("no key", "ssobridge_ready 0")
	a.wait("keys down", `ssobridge_health_state{part="keys"} 2`)
	keys := a.scrape()
	a.fires(well, keys, "5m", "NotReady")
	a.fires(well, keys, "5m", "PartDown")
	change(`UPDATE signing_keys SET state = 'active' WHERE state = 'next' AND key_use = 'signing'`)
	a.wait("ready", "ssobridge_ready 1")

	// A table that is gone makes sign-ins fail.
	a.execute(`ALTER TABLE name_ids RENAME TO name_ids_gone`)
	for range 3 {
		c.get(w.launch(books))
	}
	failed := a.scrape()
	a.execute(`ALTER TABLE name_ids_gone RENAME TO name_ids`)
	a.fires(well, failed, "5m", "SignInsFail")
	a.fires(well, failed, "10m", "ServerErrors")

	// Somebody else has the lease and makes no checkpoint.
	until := time.Now().Add(20 * time.Hour).UnixMicro()
	a.execute(`INSERT INTO leases (name, holder, held_until) VALUES ('audit-seal', 'x', $1)
		ON CONFLICT (name) DO UPDATE SET holder = 'x', held_until = excluded.held_until`, until)
	a.execute(`INSERT INTO audit_events
		(at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)
		VALUES ($1, '', 'x', 'login', 'x', '', '', '', 'ok', '', '')`, time.Now().Add(-10*time.Minute).UnixMicro())
	if !within(90*time.Second, func() bool {
		a.due()
		return a.has("ssobridge_audit_uncovered_seconds 6")
	}) {
		t.Error("no event is uncovered")
	}
	a.fires(well, a.scrape(), "5m", "AuditUncovered")

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownAPI})
	other := newClient(t)
	other.login(other.get(w.launch(books)), "eve", password)
	a.wait("Constant Contact down", "ssobridge_constant_contact_up 0")
	a.fires(well, a.scrape(), "10m", "ConstantContactDown")

	a.execute(`INSERT INTO leases (name, holder, held_until) VALUES ('health', 'x', $1)
		ON CONFLICT (name) DO UPDATE SET holder = 'x', held_until = excluded.held_until`, until)
	a.execute(`UPDATE health SET at = at - 600000000`)
	if !within(30*time.Second, func() bool { return a.has("ssobridge_health_age_seconds 6") }) {
		t.Errorf("the snapshot is not old:\n%s", a.scrape())
	}
	a.fires(well, a.scrape(), "5m", "HealthUnknown")

	w.stop(t)
	if _, err := newClient(t).try(http.MethodGet, a.url, nil); err == nil {
		t.Error("metrics of a stopped bridge")
	}
	a.fires(well, "up 0\n", "5m", "BridgeDown")
}

// alerts judges scrapes by the rules.
type alerts struct {
	t     *testing.T
	rules string
	url   string
	db    *sql.DB
	every time.Duration // how often as much more is counted, while the fault lasts; default each minute
}

func (a *alerts) scrape() string {
	a.t.Helper()
	return "up 1\n" + newClient(a.t).get(a.url).status(http.StatusOK).Body
}

func (a *alerts) has(text string) bool { return strings.Contains(a.scrape(), text) }

func (a *alerts) execute(statement string, args ...any) {
	a.t.Helper()
	if _, err := a.db.ExecContext(a.t.Context(), statement, args...); err != nil {
		a.t.Fatal(err)
	}
}

// due has the next health snapshot made at once.
func (a *alerts) due() { a.execute(`UPDATE health SET at = at - 30000000`) }

func (a *alerts) wait(what, text string) {
	a.t.Helper()
	a.due()
	if !within(90*time.Second, func() bool { return a.has(text) }) {
		a.t.Fatalf("%s: /metrics does not say %q:\n%s", what, text, a.scrape())
	}
}

// fires wants an alert to fire at a time after the fault.
func (a *alerts) fires(before, after, at, name string) {
	a.t.Helper()
	a.judge(before, after, at, name, fmt.Sprintf(`count(ALERTS{alertname=%q,alertstate="firing"}) > bool 0`, name), 1)
}

// judge has promtool evaluate the rules over two scrapes: what was before for the first minute, and from then on what
// came after. A counter goes on rising by as much each minute, as while a fault lasts. Timestamps are brought to the
// time of promtool, which begins at 0.
func (a *alerts) judge(before, after, at, name, expr string, want float64) {
	a.t.Helper()
	length, err := time.ParseDuration(at)
	if err != nil {
		a.t.Fatal(err)
	}
	step := time.Minute
	if length > 3*time.Hour {
		step = 5 * time.Minute // as long as Prometheus looks back
	}
	was, is := a.series(before), a.series(after)
	var b bytes.Buffer
	fmt.Fprintf(&b, "rule_files: [%s]\nevaluation_interval: %s\ntests:\n- interval: %s\n  input_series:\n", a.rules, step,
		step)
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	for name, v := range is {
		first, rise := was[name], 0.0 // 0 for one that was not there
		if base, _, _ := strings.Cut(name, "{"); strings.HasSuffix(base, "_total") || strings.HasSuffix(base, "_count") ||
			strings.HasSuffix(base, "_bucket") {
			rise = v - first
		}
		if a.every > step && rise != 0 {
			fmt.Fprintf(&b, "  - series: '%s'\n    values: '%s", name, number(first))
			for at := time.Duration(0); at <= length+2*step; at += step {
				fmt.Fprintf(&b, " %s", number(v+rise*float64(at/a.every)))
			}
			b.WriteString("'\n")
			continue
		}
		fmt.Fprintf(&b, "  - series: '%s'\n    values: '%s %s%+fx%d'\n", name, number(first), number(v), rise,
			int(length/step)+2)
	}
	fmt.Fprintf(&b, "  promql_expr_test:\n  - expr: '%s'\n    eval_time: %s\n    exp_samples: [{labels: '{}', value: %s}]\n",
		expr, at, number(want))
	file := filepath.Join(a.t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		a.t.Fatal(err)
	}
	if out, err := exec.CommandContext(a.t.Context(), "promtool", "test", "rules", file).CombinedOutput(); err != nil {
		a.t.Errorf("%s after %s: %v\n%s", name, at, err, out)
	}
}

// series are those of a scrape with their values, but for those of Go and the process.
func (a *alerts) series(body string) map[string]float64 {
	now, all := float64(time.Now().Unix()), map[string]float64{}
	for line := range strings.Lines(body) {
		cut := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if cut < 0 || !strings.HasPrefix(line, "ssobridge_") && !strings.HasPrefix(line, "up ") {
			continue
		}
		name := line[:cut]
		v, err := strconv.ParseFloat(strings.TrimSpace(line[cut:]), 64)
		if err != nil {
			a.t.Fatalf("a line of /metrics: %s", line)
		}
		base, labels, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		if strings.HasSuffix(base, "_timestamp_seconds") || strings.HasSuffix(base, "_not_after_seconds") {
			v -= now
		}
		if labels != "" {
			labels += ","
		}
		all[base+"{"+labels+`instance="one",job="ssobridge"}`] = v
	}
	return all
}

// endsIn is a certificate that ends after so long, in PEM.
func endsIn(t *testing.T, left time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "sp"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(left),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
