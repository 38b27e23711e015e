package e2e_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestConsoleAudit(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	d := newClient(t)
	d.deliver(d.goOn(d.login(d.get(w.launch(club)), "bob", password)))
	// A stranger's text in an event: it is shown, and runs nowhere, in no spreadsheet either.
	evil := `=HYPERLINK("http://evil.example")<script>alert(1)</script>`
	newClient(t).get(w.url + "/launch/sp?entity_id=" + url.QueryEscape(evil))
	refused := d.goOn(d.get(w.launch(books)))
	ref := regexp.MustCompile(`[0-9A-Z]{10}`).FindString(refused.text()[strings.Index(refused.text(), "Reference"):])

	c := w.enter(t, consoleOperator)
	p := c.get(w.url + "/admin/audit")
	for _, want := range []string{"sign-in", "Bob Brandt", "console-enter"} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("the audit does not show %q:\n%s", want, p.text())
		}
	}
	if strings.Contains(w.command(t, "audit", "list", "--json"), "Brandt") {
		t.Error("an event holds a person's name")
	}
	p = c.get(w.url + "/admin/audit?ref=" + strings.ToLower(ref))
	if !strings.Contains(p.text(), "not_this_account") || strings.Contains(p.text(), "console-enter") {
		t.Errorf("by reference %s:\n%s", ref, p.text())
	}
	if p = c.get(w.url + "/admin/audit?person=bob&action=sign-in"); !strings.Contains(p.text(), "Bob Brandt") ||
		strings.Contains(p.text(), "console-enter") {
		t.Errorf("by person and action:\n%s", p.text())
	}
	if p = c.get(w.url + "/admin/audit?until=2001-01-01"); !strings.Contains(p.text(), "No matching events") {
		t.Errorf("long ago:\n%s", p.text())
	}
	p = c.get(w.url + "/admin/audit?since=yesterday&before=x&account=%3Cb%3E")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-since"`) || !strings.Contains(p.Body,
		`id="e-account"`) || !strings.Contains(p.Body, `value="yesterday"`) || strings.Contains(p.text(), "console-enter") {
		t.Errorf("what can't be read: %d\n%s", p.Status, p.text())
	}
	c.submitForm(c.get(w.url+"/admin/audit"), "/admin/audit/verify").status(http.StatusOK).says("no event was changed")
	p = c.get(w.url + "/admin/audit/export?format=csv&person=bob")
	rows, err := csv.NewReader(strings.NewReader(p.Body)).ReadAll()
	if err != nil || len(rows) < 2 || rows[0][1] != "at" ||
		!strings.Contains(p.Header.Get("Content-Disposition"), "audit.csv") {
		t.Errorf("CSV: %d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.HasPrefix(cell, "=") {
				t.Errorf("a cell is a formula: %s", cell)
			}
		}
	}
	if p = c.get(w.url + "/admin/audit/export?format=jsonl"); !strings.Contains(p.Body, `"action":"audit-export"`) {
		t.Errorf("JSON lines:\n%.500s", p.Body)
	}
	if p = w.enter(t, consoleViewer).get(w.url + "/admin/audit/export?format=csv"); p.Status != http.StatusForbidden {
		t.Errorf("a viewer's export: %d, want 403", p.Status)
	}
	b := w.console(t, consoleViewer, "/admin/audit")
	b.sees("sign-in")
	b.inspect("audit")
}
