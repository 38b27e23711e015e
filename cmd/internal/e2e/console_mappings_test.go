package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

func TestConsoleMappings(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	slapd := directorytest.SharedSlapd(t)
	c := w.enter(t, consoleAdmin)
	const fresh = "/admin/mappings/new"
	c.submitForm(c.get(w.url+"/admin/accounts"), "/admin/accounts/refresh")

	// The picker: by the name of the group, its members, and on to the form.
	p := c.get(w.url + fresh + "?find=marketing")
	if !strings.Contains(p.text(), "Choose <i>Marketing</i> & Söhne") {
		t.Fatalf("the picker:\n%s", p.text())
	}
	group := slapd.GroupDN("<i>Marketing</i> & Söhne")
	p = c.submitForm(p, fresh, "kind", "group", "group", "cn=nothing,"+slapd.BaseDN, "account", bakery, "role",
		"campaign_creator")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="`+bakery+`"`) {
		t.Errorf("a group that is not there: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, fresh, "group", group, "account", "nosuchaccount")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-account"`) {
		t.Errorf("an account that is not there: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, fresh, "account", bakery)
	if p.Status != http.StatusOK || !strings.Contains(p.text(), "What would change") || !strings.Contains(p.text(),
		"Eve") || strings.Contains(w.command(t, "mapping", "list"), "Marketing") {
		t.Fatalf("the effects: %d\n%s", p.Status, p.text())
	}
	// Back from the preview, everything is as it was typed.
	if p = c.submitForm(p, fresh, "do", "edit"); !strings.Contains(p.Body, `value="`+bakery+`"`) ||
		strings.Contains(p.text(), "What would change") {
		t.Errorf("back to the form: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, fresh).says("What would change")
	p = c.submitForm(p, fresh)
	if !strings.Contains(p.text(), "Mapping added. It applies from the next sign-in on") {
		t.Fatalf("saved: %d\n%s", p.Status, p.text())
	}
	own := p.URL.Path
	// The list names the client account, and finds its mappings by that name.
	c.get(w.url + "/admin/mappings?find=JUNIPER").says("Juniper Bakery")
	if p := c.get(w.url + "/admin/mappings?find=harbour"); strings.Contains(p.text(), "Juniper Bakery") {
		t.Errorf("mappings of another client account:\n%s", p.text())
	}
	d := newClient(t)
	d.deliver(d.goOn(d.login(d.get(w.launch(bakery)), "eve", password))).says("Eve")

	// Off: no access, at once. On again, moved, removed, and back by one click; each is shown first.
	step := func(text string, values ...string) *page {
		t.Helper()
		p := c.submitForm(c.get(w.url+own), own, values...)
		if !strings.Contains(p.text(), "What would change") {
			t.Fatalf("%v: %d\n%s", values, p.Status, p.text())
		}
		if p = c.submitForm(p, own); !strings.Contains(p.text(), text) {
			t.Fatalf("%v: %d\n%s", values, p.Status, p.text())
		}
		return p
	}
	step("State off", "do", "off")
	d.get(w.launch(bakery)).status(http.StatusForbidden)
	step("State on", "do", "on")
	d.deliver(d.goOn(d.get(w.launch(bakery)))).says("Eve")
	p = step("Priority 77", "do", "set", "priority", "77")
	if p = c.submitForm(p, own, "do", "set", "priority", "seven"); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.Body, `value="seven"`) {
		t.Errorf("a priority that is none: %d\n%s", p.Status, p.text())
	}
	step("Mapping saved.", "do", "exchange", "other", "1")
	if q := c.submitForm(c.get(w.url+own), own, "do", "exchange", "other",
		"4711"); q.Status != http.StatusUnprocessableEntity || !strings.Contains(q.text(), "there is no other mapping 4711") {
		t.Errorf("an exchange with none: %d\n%s", q.Status, q.text())
	}
	step("Priority 77", "do", "exchange", "other", "1")
	// A change is undone by one click, and not once more, nor over another change (row WEB-10).
	p = step("Priority 78", "do", "set", "priority", "78")
	p.says("This mapping was changed")
	stale := p
	if p = c.submitForm(p, own+"/undo"); !strings.Contains(p.text(), "Undone. The change was taken back.") ||
		!strings.Contains(p.text(), "Priority 77") {
		t.Errorf("undone: %d\n%s", p.Status, p.text())
	}
	c.submitForm(stale, own+"/undo", "once", "another").status(http.StatusConflict).says("was changed again")
	c.get(w.url + "/admin/audit?action=mapping-set").says("undoing the change before")
	v := w.enter(t, consoleViewer)
	if text := v.get(w.url + own).text(); strings.Contains(text, "Undo") {
		t.Errorf("who may change nothing is offered to undo:\n%s", text)
	}
	// Somebody else was faster: what was shown is not what would be done.
	p = c.submitForm(c.get(w.url+own), own, "do", "set", "priority", "88")
	w.command(t, "mapping", "set", strings.TrimPrefix(own, "/admin/mappings/of/"), "--priority", "99")
	if p = c.submitForm(p, own); !strings.Contains(p.text(), "What would change") || !strings.Contains(p.text(), "99") {
		t.Errorf("over somebody else's change: %d\n%s", p.Status, p.text())
	}

	// In the list, a mapping goes before or behind its neighbour by a button, which shows first what that changes.
	id := strings.TrimPrefix(own, "/admin/mappings/of/")
	before := w.command(t, "mapping", "list")
	p = c.submitForm(c.get(w.url+"/admin/mappings"), own, "other", "1").says("What would change")
	p = c.submitForm(p, own).says("Mapping saved.", "This mapping was changed")
	if p.URL.Path != "/admin/mappings" || w.command(t, "mapping", "list") == before {
		t.Errorf("put in order: %s\n%s", p.URL, p.text())
	}
	c.submitForm(p, own+"/undo").says("Undone.")
	if got := w.command(t, "mapping", "list"); got != before {
		t.Errorf("after the undo of mapping %s:\n%s\nwant\n%s", id, got, before)
	}

	b := w.console(t, consoleAdmin, "/admin/mappings")
	b.sees("Mappings", "ctct-{account}-{role}")
	b.sees("counted by the first plan")
	w.command(t, "provision", "plan")
	b.open(w.url + "/admin/mappings")
	b.sees("People are counted by each plan")
	b.inspect("mappings")
	b.dragMapping(t, w)
	b.open(w.url + fresh)
	b.fill("find", "ring")
	b.sees("Choose ring-a")
	b.inspect("mappings-new")
	b.open(w.url + fresh + "?kind=group_pattern")
	b.inspect("mappings-new-pattern")
	b.open(w.url + "/admin/mappings/group?dn=" + strings.ReplaceAll(slapd.GroupDN("sales"), ",", "%2C"))
	b.sees("emea", "bob")
	b.inspect("mappings-group")
	b.open(w.url + own)
	b.sees("History")
	b.inspect("mappings-one")
	b.open(w.url + "/admin/mappings/history")
	b.sees("Alice Anders")
	b.inspect("mappings-history")
	b.open(w.url + "/admin/mappings/import")
	b.inspect("mappings-import")

	p = step("This mapping was removed", "do", "remove")
	d.get(w.launch(bakery)).status(http.StatusForbidden)
	c.submitForm(p, own+"/undo").says("Undone.", "State on")
	d.deliver(d.goOn(d.get(w.launch(bakery)))).says("Eve")
	b.open(w.url + own)
	b.sees("This mapping was added", "Undo")
	b.inspect("mappings-one-undo")
	step("This mapping was removed", "do", "remove")
	d.get(w.launch(bakery)).status(http.StatusForbidden)
	p = c.get(w.url + own)
	version := ""
	for v := range strings.SplitSeq(p.Body, `name="version" value="`) {
		version, _, _ = strings.Cut(v, `"`) // the last one is the oldest: as it was added
	}
	p = c.submitForm(p, own, "do", "return", "version", version)
	if p = c.submitForm(p, own); !strings.Contains(p.text(), "Mapping saved.") || strings.Contains(p.text(),
		"You can restore it from its history") {
		t.Errorf("returned: %d\n%s", p.Status, p.text())
	}
	d.deliver(d.goOn(d.get(w.launch(bakery)))).says("Eve")

	// A whole file: faults with their place, the difference first, then the set.
	const file = "/admin/mappings/import"
	p = c.get(w.url + file)
	if q := c.submitForm(p, file); !strings.Contains(q.text(), "The mappings already match the file") {
		t.Errorf("the file as it is: %d\n%s", q.Status, q.text())
	}
	if q := c.submitForm(c.get(w.url+file), file, "file",
		"mappings: [{group: x, person: y}]"); q.Status != http.StatusUnprocessableEntity || !strings.Contains(q.text(),
		"exactly one of") {
		t.Errorf("a faulty file: %d\n%s", q.Status, q.text())
	}
	p = c.submitForm(c.get(w.url+file), file, "file",
		"mappings:\n  - group_pattern: ctct-{account}-{role}\n    group_base: ou=groups,"+
			directorytest.SharedSlapd(t).BaseDN+"\n")
	if !strings.Contains(p.text(), "lose access") {
		t.Fatalf("the difference: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, file); !strings.Contains(p.text(), "The mappings now match the file") ||
		!strings.Contains(p.text(), "1 mapping in total") {
		t.Errorf("applied: %d\n%s", p.Status, p.text())
	}
	if p = c.get(w.url + "/admin/mappings/export.yaml"); !strings.Contains(p.Body,
		"group_pattern: ctct-{account}-{role}") {
		t.Errorf("export: %d\n%s", p.Status, p.Body)
	}
}
