package e2e_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// ID-03, ID-04: the console shows which groups give access by DN, and a group that has taken the name of another has
// none until an administrator has compared both and accepted it, by the button as by the command; the audit log says
// who did.
func TestConsoleNamedGroups(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	admins, viewers, mapped := slapd.GroupDN("ring-b"), slapd.GroupDN("console viewers"), slapd.GroupDN("bakery people")
	group := func(dn, login string) string {
		return "dn: " + dn + "\nchangetype: add\nobjectClass: groupOfNames\nmember: " + slapd.PersonDN(login) + "\n\n"
	}
	remake := func(dn, login string) {
		t.Helper()
		slapd.Apply(t, "dn: "+dn+"\nchangetype: delete\n\n"+group(dn, login))
	}
	slapd.Apply(t, group(viewers, "zoe")+group(mapped, "zoe")+
		"dn: "+admins+"\nchangetype: modify\nadd: member\nmember: "+slapd.PersonDN(consoleAdmin)+"\n\n")
	w := newWorld(t, setting{
		directory: slapdSettings(slapd), set: map[string]string{
			"console.admin_group": admins, "console.viewer_group": viewers, "second_factor.console": "off",
		},
		mappings: [][]string{
			{"--group", mapped, "--account", bakery, "--role", "campaign_creator"}, {"--group-pattern", "ctct-{account}-{role}"},
		},
	})
	t.Cleanup(func() { w.actsNameTheirOrigin(t) })
	w.command(t, "console", "groups", "list")
	c := w.enter(t, consoleAdmin)
	const page, look = "/admin/mappings/named", "/admin/mappings/named/look"
	p := c.get(w.url + page)
	if p.Status != http.StatusOK || !strings.Contains(p.text(), "console:viewer") || strings.Contains(p.text(),
		"Another group has this name") {
		t.Fatalf("the groups: %d\n%s", p.Status, p.text())
	}

	// A group of the console is made again: it has nothing, and the console shows both.
	remake(viewers, "mallory")
	remake(mapped, "mallory")
	p = c.submitForm(c.get(w.url+page), look)
	text := p.text()
	for _, want := range []string{"All groups were looked up in the directory", "Another group has this name now",
		"no longer in the directory", "1, mallory"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	shown := p.form("id").Fields.Get("id")
	if len(shown) != 36 || !strings.Contains(text, shown) {
		t.Errorf("the form names the group %q", shown)
	}
	// Made again a second time since it was shown: what was not looked at is not accepted.
	remake(viewers, "zoe")
	if q := c.submitForm(p, page); q.Status != http.StatusConflict || !strings.Contains(q.text(),
		"it is another group now") {
		t.Errorf("another group than the one shown: %d\n%s", q.Status, q.text())
	}
	if inside := newClient(t); strings.Contains(inside.login(inside.get(w.url+"/admin/"), "zoe", password).text(),
		"Admin console") {
		t.Error("a group that was not accepted opens the console")
	}
	if q := c.submitForm(c.get(w.url+page), page, "group", "cn=unnamed,"+slapd.BaseDN); q.Status != http.StatusNotFound {
		t.Errorf("a group that nothing names: %d", q.Status)
	}

	b := w.console(t, consoleAdmin, page)
	b.sees("Another group has this name now")
	b.inspect("mappings-named")
	b.open(w.url + page + "?mappings=1")
	b.sees("bakery people")
	b.inspect("mappings-named-compared")
	own := "/admin/mappings/of/1"
	b.open(w.url + own)
	b.sees("Another group has this name now", "mallory")
	b.inspect("mappings-one-changed")

	if q := c.submitForm(c.get(w.url+page), page); !strings.Contains(q.text(), "The group was accepted") ||
		strings.Contains(q.text(), "Another group has this name") {
		t.Errorf("accepted: %d\n%s", q.Status, q.text())
	}
	inside := newClient(t)
	if q := inside.login(inside.get(w.url+page), "zoe", password); q.Status != http.StatusOK || !strings.Contains(q.text(),
		"console:viewer") || strings.Contains(q.Body, look) {
		t.Errorf("a viewer: %d\n%s", q.Status, q.text())
	}

	// The group of a mapping.
	p = c.get(w.url + own)
	if !strings.Contains(p.text(), "1, mallory") {
		t.Fatalf("the mapping:\n%s", p.text())
	}
	remake(mapped, "zoe")
	if q := c.submitForm(p, own, "do", "accept-group"); q.Status != http.StatusConflict || !strings.Contains(q.text(),
		"is another one now") {
		t.Errorf("another group than the one shown: %d\n%s", q.Status, q.text())
	}
	if q := c.submitForm(c.get(w.url+own), own, "do", "accept-group"); !strings.Contains(q.text(),
		"The group was accepted") {
		t.Errorf("accepted: %d\n%s", q.Status, q.text())
	}
	if q := c.submitForm(c.get(w.url+own), own, "do", "accept-group"); q.Status != http.StatusConflict {
		t.Errorf("accepted twice: %d", q.Status)
	}
	if q := c.get(w.url + page + "?mappings=1"); !strings.Contains(q.text(), "Each mapped group still has its DN") {
		t.Errorf("the mappings:\n%s", q.text())
	}
	d := newClient(t)
	d.deliver(d.goOn(d.login(d.get(w.launch(bakery)), "zoe", password))).says("Zoë")
	for _, action := range []string{"group-accept", "mapping-accept-group"} {
		if out := w.command(t, "audit", "list", "--action", action); !strings.Contains(out, "ok") ||
			strings.Contains(out, "admin:") {
			t.Errorf("audit of %s:\n%s", action, out)
		}
	}
}

// ID-04: the base of a pattern is set and changed in the console with the refusals of the command, and what the right
// to create groups there means is said wherever the pattern is shown. So is a NameID that people can change themselves.
func TestConsoleGroupBase(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	slapd := directorytest.SharedSlapd(t)
	c := w.enter(t, consoleAdmin)
	const fresh, warning = "/admin/mappings/new", "anybody who may create or rename a group below"
	add := func(base string) *page {
		return c.submitForm(c.get(w.url+fresh), fresh, "kind", "group_pattern", "group_pattern", "team-{account}-{role}",
			"group_base", base, "account", "", "role", "")
	}
	for _, base := range []string{"", slapd.BaseDN, "ou=nowhere," + slapd.BaseDN, "groups"} {
		if p := add(base); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("base %q: %d\n%s", base, p.Status, p.text())
		}
	}
	p := add("OU=Groups, " + slapd.BaseDN)
	if p.Status != http.StatusOK || !strings.Contains(p.text(), warning) {
		t.Fatalf("the effects: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, fresh)
	own := p.URL.Path
	if !strings.Contains(p.text(), warning) || !strings.Contains(p.text(), "ou=groups,"+slapd.BaseDN) {
		t.Fatalf("the mapping at %s:\n%s", own, p.text())
	}
	for _, base := range []string{"", slapd.BaseDN, "ou=nowhere," + slapd.BaseDN} {
		q := c.submitForm(c.get(w.url+own), own, "do", "set", "group_base", base)
		if q.Status != http.StatusUnprocessableEntity || !strings.Contains(q.Body, `id="e-group_base"`) {
			t.Errorf("another base %q: %d\n%s", base, q.Status, q.text())
		}
	}
	p = c.submitForm(c.get(w.url+own), own, "do", "set", "group_base", "OU=People,"+slapd.BaseDN)
	if !strings.Contains(p.text(), "What would change") {
		t.Fatalf("the effects of another base: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, own); !strings.Contains(p.text(), "Mapping saved.") || !strings.Contains(p.text(),
		"below ou=people,"+slapd.BaseDN) {
		t.Errorf("another base: %d\n%s", p.Status, p.text())
	}
	if !strings.Contains(c.get(w.url+"/admin/mappings").text(), "Security warning") {
		t.Error("the list says nothing of patterns")
	}

	metadata := filepath.Join(t.TempDir(), "sp.xml")
	if err := os.WriteFile(metadata, []byte(strings.ReplaceAll(revokedMetadata, "REVOKED", "https://notes.example/saml")),
		0o600); err != nil {
		t.Fatal(err)
	}
	out := w.command(t, "sp", "add", metadata, "--yes", "--name", "Notes", "--group", slapd.GroupDN("emea"),
		"--name-id", "{mail}")
	if !strings.Contains(out, "people can often edit") {
		t.Errorf("sp add:\n%s", out)
	}
	const notes = "/admin/providers/one?id=https%3A%2F%2Fnotes.example%2Fsaml"
	if p = c.get(w.url + notes); !strings.Contains(p.text(), "its NameID is made of mail, which people can often edit") {
		t.Errorf("the service provider:\n%s", p.text())
	}
	b := w.console(t, consoleAdmin, own)
	b.sees("Security:")
	b.inspect("mappings-one-pattern")
	b.open(w.url + notes)
	b.sees("its NameID is made of mail")
	b.inspect("providers-one-editable")
}

// ID-04: a pattern from before bases is named in the console, once an administrator looks; when check has named it too,
// both say on which day it stops, and after that day nobody comes in by it.
func TestConsoleBaselessPattern(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	change := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), `UPDATE counters SET value = value + 1 WHERE name = 'changes'`); err != nil {
			t.Fatal(err)
		}
	}
	change(`UPDATE mappings SET group_dn = ''`) // as the version before stores it
	const list, own, open = "/admin/mappings", "/admin/mappings/of/1",
		"30 days after both check and the console have named it"
	noticed := func(want int) {
		t.Helper()
		if n := strings.Count(w.command(t, "audit", "list", "--action", "mapping-notice"), "mapping-notice"); n != want {
			t.Errorf("%d notices, want %d", n, want)
		}
	}
	viewer := w.enter(t, consoleViewer)
	if p := viewer.get(w.url + list); !strings.Contains(p.text(), open) {
		t.Errorf("the list for a viewer:\n%s", p.text())
	}
	noticed(0) // who can't change it was not given notice
	c := w.enter(t, consoleAdmin)
	for range 2 {
		if p := c.get(w.url + list); !strings.Contains(p.text(), open) {
			t.Errorf("the list:\n%s", p.text())
		}
	}
	noticed(1)
	if out, _ := w.tryCommand("check"); !strings.Contains(out, "it stops giving access on") {
		t.Errorf("check:\n%s", out)
	}
	noticed(2)
	if p := c.get(w.url + own); !strings.Contains(p.text(), "it stops giving access on") {
		t.Errorf("the mapping:\n%s", p.text())
	}
	d := newClient(t)
	d.login(d.get(w.launch("")), "zoe", password).status(http.StatusOK)

	change(`UPDATE baseless_patterns SET check_at = 1, console_at = 1`)
	d.get(w.launch("")).status(http.StatusForbidden)
	b := w.console(t, consoleAdmin, own)
	b.sees("It has no group base: it stopped giving access on")
	b.inspect("mappings-one-stopped")
	b.open(w.url + list)
	b.sees("stopped giving access on")
	b.inspect("mappings-stopped")
	p := c.submitForm(c.get(w.url+own), own, "do", "set", "group_base", "ou=groups,"+directorytest.SharedSlapd(t).BaseDN)
	if p = c.submitForm(p, own); !strings.Contains(p.text(), "Mapping saved.") {
		t.Errorf("with a base: %d\n%s", p.Status, p.text())
	}
	d.get(w.launch("")).status(http.StatusOK)
}
