package e2e_test

import (
	"database/sql"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// trouble is one that is staged, and what the overview has to say of it: its first sentence, the one item that needs
// attention, and the page that the item's button opens.
type trouble struct {
	name               string
	stage, end         func()
	sentence, item, to string
}

var (
	overviewSentence = regexp.MustCompile(`(?s)<p class="lead sentence">.*?</span>(.*?)</p>`)
	overviewItems    = regexp.MustCompile(`(?s)<ul class="todos">(.*?)</ul>`)
	overviewItem     = regexp.MustCompile(`(?s)<li>.*?<p>(.*?)</p>(.*?)</li>`)
	overviewButton   = regexp.MustCompile(`<a class="button quiet" href="([^"]*)">([^<]+)</a>`)
)

// TestOverviewNamesTroubles stages troubles one by one, and none before and after them: the overview's first sentence
// and its one button are the trouble's, and without one it raises no alarm.
func TestOverviewNamesTroubles(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	w := newWorld(t, setting{quick: true, directory: slapdSettings(slapd), set: map[string]string{
		"directory.cooldown": "1s", "directory_cache.ttl": "1s", "console.viewer_group": slapd.GroupDN("emea"),
		"second_factor.console": "off"}, mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	execute := func(statements ...string) func() {
		return func() {
			t.Helper()
			for _, s := range append(statements, `UPDATE counters SET value = value + 1 WHERE name = 'changes'`) {
				if _, err := db.Exec(s); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	command := func(args ...string) func() { return func() { t.Helper(); w.command(t, args...) } }
	viewer := w.enter(t, consoleViewer)
	first := newClient(t)
	first.deliver(first.goOn(first.login(first.get(w.launch(books)), "alice", password)))
	cert := filepath.Join(t.TempDir(), "sp.crt")
	if err := os.WriteFile(cert, endsIn(t, 10*24*time.Hour), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		works = "Everything is working. 1 item needs your attention."
		user  = `UPDATE sso_users SET state = `
	)
	own := "/admin/providers/one?" + url.Values{"id": {w.providerID()}}.Encode()

	// look waits until the overview says what it should, and returns its items.
	look := func(name, sentence, item string) (items [][]string) {
		t.Helper()
		execute(`UPDATE health SET at = at - 30000000`)() // the next snapshot is due
		var said string
		if !within(35*time.Second, func() bool {
			body := viewer.get(w.url + "/admin/").Body
			if m := overviewSentence.FindStringSubmatch(body); m != nil {
				said = html.UnescapeString(m[1])
			}
			items = nil
			if m := overviewItems.FindStringSubmatch(body); m != nil {
				items = overviewItem.FindAllStringSubmatch(m[1], -1)
			}
			return said == sentence && (item == "" && len(items) == 0 ||
				len(items) == 1 && strings.Contains(html.UnescapeString(items[0][1]), item))
		}) {
			t.Errorf("%s: the overview says %q and has the items %q, want %q and %q", name, said, items, sentence, item)
			return nil
		}
		return items
	}
	none := func(when string) { t.Helper(); look(when, "Everything is working. No action needed.", "") }
	none("before all troubles")
	for _, c := range []trouble{
		{"no mapping", execute(`CREATE TABLE kept AS SELECT * FROM mappings`, `DELETE FROM mappings`),
			execute(`INSERT INTO mappings SELECT * FROM kept`, `DROP TABLE kept`),
			"Set-up is not finished: 5 of 6 steps are done.", "There is no mapping yet", "/admin/mappings/new"},
		{"a conflict", execute(user + `'conflict'`), execute(user + `'active'`), works,
			"1 user is in conflict with another one", "/admin/provisioning/users?state=conflict"},
		{"refused data", execute(user + `'refused'`), execute(user + `'active'`), works,
			"Constant Contact refuses the data of 1 user", "/admin/provisioning/users?state=refused"},
		{"a leaver", execute(`INSERT INTO manual_work (person_id, account, kind, login, name, told, role, why, since, plan,
			done_at, done_by) VALUES ('p', 'a', 'leaver', 'bob', 'Bob', '', '', 'is gone', 1, 1, 0, '')`),
			execute(`DELETE FROM manual_work`), works, "1 person has left", "/admin/provisioning/work?kind=leaver"},
		{"provisioning is paused", command("provision", "hold"), command("provision", "release"),
			"1 part has a warning: Constant Contact. 1 item needs your attention.", "Provisioning is paused",
			"/admin/provisioning"},
		{"the service provider is off", command("sp", "set", w.providerID(), "enabled=false"),
			command("sp", "set", w.providerID(), "enabled=true"),
			"Set-up is not finished: 5 of 6 steps are done.", "Constant Contact is registered and switched off", own},
		{"a certificate ends", command("sp", "set", w.providerID(), "certificates="+cert),
			command("sp", "set", w.providerID(), "certificates="),
			"1 part has a warning: Keys and certificates. 1 item needs your attention.", "ertificate of", own},
		{"no key signs", execute(`UPDATE signing_keys SET state = 'next' WHERE state = 'active' AND key_use = 'signing'`),
			execute(`UPDATE signing_keys SET state = 'active' WHERE state = 'next' AND key_use = 'signing'`),
			"1 part is down: Keys and certificates. 1 item needs your attention.", "no active signing key", "/admin/keys"},
		{"Constant Contact is down", func() {
			w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownAPI})
			w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownToken})
			w.sandbox.ForgetTokens()
			c := newClient(t)
			c.login(c.get(w.launch(bakery)), "alice", password)
		}, func() {
			w.sandbox.ClearFaults()
			c := newClient(t)
			c.deliver(c.goOn(c.login(c.get(w.launch(bakery)), "alice", password)))
		}, "1 part is down: Constant Contact. 1 item needs your attention.", "Partner API", "/admin/provisioning"},
		{"the directory is down", func() { slapd.Stop(t) }, func() { slapd.Start(t) },
			"1 part is down: Directory. 1 item needs your attention.", "Directory", "/admin/settings"},
		{"a foreign event", execute(`INSERT INTO audit_events (at, ref, actor, action, subject, account, sp, address,
			outcome, reason, detail) VALUES (1900000000000000, '', 'mallory', 'login', 'x', '', '', '', 'ok', '', '')`),
			func() {
				out, _ := w.tryCommand("audit", "verify")
				found := regexp.MustCompile(`ssobridge audit acknowledge ([0-9]+) --reason`).FindStringSubmatch(out)
				if found == nil {
					t.Fatalf("audit verify names no break:\n%s", out)
				}
				w.command(t, "audit", "acknowledge", found[1], "--reason", "a trial")
			}, "1 part is down: Audit log. 1 item needs your attention.", "events that the bridge did not write",
			"/admin/audit"},
	} {
		c.stage()
		if items := look(c.name, c.sentence, c.item); items != nil {
			button := overviewButton.FindStringSubmatch(items[0][2])
			if button == nil || !strings.HasPrefix(html.UnescapeString(button[1]), c.to) {
				t.Errorf("%s: the button is %q, want one to %s", c.name, button, c.to)
			} else if p := viewer.get(w.url + html.UnescapeString(button[1])); p.Status >= 400 && p.Status != 403 {
				t.Errorf("%s: the button leads to a page with status %d", c.name, p.Status)
			}
		}
		c.end()
	}
	none("after all troubles")
}
