package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestConsoleSetUp goes the whole way from an empty store to the first person signed in by the set-up alone, and counts
// what it takes: at most 8 pages and 14 fields.
func TestConsoleSetUp(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{bare: true})
	b := newBrowser(t)
	b.open(w.url + "/admin/setup")
	b.login(consoleAdmin, password)
	pages, fields := 1, 0
	goes := func(to string, sees ...string) {
		t.Helper()
		b.press(to)
		b.sees(sees...)
		pages++
	}
	fill := func(name, value string) {
		t.Helper()
		b.fill(name, value)
		fields++
	}
	b.sees("Set-up", "Each step checks itself", "Register Constant Contact")
	b.inspect("setup-empty")
	goes("Register Constant Contact", "Entity ID")
	fill("cc_entity_id", w.sandbox.EntityID())
	fill("cc_acs", w.sandbox.ACS())
	goes("Register Constant Contact", "Saved.", "Set-up", "Give its support engineer the hand-over sheet")
	w.trust(w.sandbox) // what the support engineer does with the sheet
	if strings.Contains(b.text(), "Read the list of your client accounts") {
		goes("Refresh list", "The list of client accounts was read")
	}
	goes("Add mapping", "Find a group")
	fill("find", "ring")
	b.press("Choose ring-a")
	if !eventually(func() bool { return strings.Contains(b.location(), "group=") }) {
		t.Fatalf("the group was not taken: %s", b.location())
	}
	fill("account", club)
	b.choose("role", "campaign_creator")
	fields++
	goes("Preview changes", "What would change")
	goes("Save mapping", "Mapping added", "Set-up")

	// Who would be refused is told so before they try.
	fill("login", consoleNobody)
	goes("Preview sign-in", "can't sign in to Constant Contact")
	b.inspect("setup-refused")
	fill("login", "bob")
	goes("Preview sign-in", "Bob Brandt can sign in to Constant Contact", "Northside Cycling Club", "Launch")
	b.inspect("setup-test")
	if pages-1 > 8 || fields-1 > 14 { // one was the person who is refused
		t.Errorf("the set-up took %d pages and %d fields, want at most 8 and 14", pages-1, fields-1)
	}

	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
	v := w.enter(t, consoleViewer)
	var p *page
	if !eventually(func() bool {
		p = v.get(w.url + "/admin/setup")
		return strings.Contains(p.text(), "Everything is set up.")
	}) {
		t.Errorf("somebody signed in, and the set-up is not done:\n%s", p.text())
	}

	// Who is missing says so, and who can't change anything is offered nothing.
	p = v.get(w.url + "/admin/setup?login=nobody-of-that-name").status(http.StatusOK)
	if !strings.Contains(p.Body, `aria-invalid="true"`) || strings.Contains(p.text(), "can sign in to") {
		t.Errorf("somebody who is not there:\n%s", p.text())
	}
	w.command(t, "sp", "remove", w.sandbox.EntityID())
	p = v.get(w.url + "/admin/").status(http.StatusOK)
	if !strings.Contains(p.text(), "Set-up is not finished: 5 of 6 steps are done.") {
		t.Errorf("the record is missing again:\n%s", p.text())
	}
	if p = v.get(w.url + "/admin/setup"); strings.Contains(p.Body, "/admin/providers/new") {
		t.Errorf("a viewer is offered what they may not:\n%s", p.text())
	}
}
