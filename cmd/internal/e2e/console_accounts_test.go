package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestConsoleAccounts(t *testing.T) {
	w := newConsoleWorld(t, setting{})
	c := w.enter(t, consoleAdmin)
	p := c.get(w.url + "/admin/accounts")
	p = c.submitForm(p, "/admin/accounts/refresh")
	if p.Status != http.StatusOK || !strings.Contains(p.text(), "Juniper Bakery") || !strings.Contains(p.text(), "Harbour <Books> & Co") {
		t.Fatalf("after reading the list: %d\n%s", p.Status, p.text())
	}
	if p = c.get(w.url + "/admin/accounts?find=juniper"); strings.Contains(p.text(), "Harbour") || !strings.Contains(p.text(), bakery) {
		t.Errorf("searched for juniper:\n%s", p.text())
	}

	// Nothing is created before the order was seen, and what is wrong stands beside its field.
	p = c.submitForm(c.get(w.url+"/admin/accounts/new"), "/admin/accounts/new", "owner", "nobody-of-that-name", "organization_name", "New & Co", "country_code", "us", "state_code", "MA")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-owner"`) || !strings.Contains(p.Body, `value="New &amp; Co"`) {
		t.Errorf("an owner who is not there: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, "/admin/accounts/new", "owner", "bob", "country_code", "usa!")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-country_code"`) {
		t.Errorf("a country that is none: %d\n%s", p.Status, p.text())
	}
	before := len(w.sandbox.Calls())
	p = c.submitForm(p, "/admin/accounts/new", "owner", "bob", "country_code", "us")
	if p.Status != http.StatusOK || !strings.Contains(p.text(), "This is what would be sent") || len(w.sandbox.Calls()) != before {
		t.Fatalf("the order: %d\n%s", p.Status, p.text())
	}
	sent := p
	p = c.submitForm(p, "/admin/accounts/new")
	if !strings.Contains(p.text(), "The client account was created") || !strings.Contains(p.text(), "New & Co") {
		t.Fatalf("created: %d\n%s", p.Status, p.text())
	}
	own := p.URL.Path
	if p = c.submitForm(sent, "/admin/accounts/new"); p.Status != http.StatusConflict || !strings.Contains(p.text(), "nothing is done twice") {
		t.Errorf("the same form once more: %d\n%s", p.Status, p.text())
	}

	p = c.submitForm(c.get(w.url+own), own+"/plan", "plan", "GOLD", "billing_day", "40")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-billing_day"`) {
		t.Errorf("a day that is none: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, own+"/plan", "plan", "GOLD", "billing_day", "3"); !strings.Contains(p.text(), "The plan was changed") || !strings.Contains(p.text(), "GOLD") {
		t.Errorf("the plan: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, own+"/cancel", "typed", bakery); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), "Nothing was cancelled") {
		t.Errorf("cancel with another id typed: %d\n%s", p.Status, p.text())
	}
	id := strings.TrimPrefix(own, "/admin/accounts/of/")
	if p = c.submitForm(p, own+"/cancel", "typed", id, "reason_id", "1"); !strings.Contains(p.text(), "The account is cancelled") {
		t.Errorf("cancel: %d\n%s", p.Status, p.text())
	}

	b := w.console(t, consoleAdmin, "/admin/accounts")
	b.inspect("accounts")
	b.open(w.url + own)
	b.sees("Launch link")
	b.inspect("accounts-one")
	b.open(w.url + "/admin/accounts/new")
	b.sees("Look at it first")
	b.inspect("accounts-new")
}
