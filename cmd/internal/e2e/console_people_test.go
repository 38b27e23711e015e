package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestConsolePeople(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	c := w.enter(t, consoleAdmin)
	find := func(text string) string {
		t.Helper()
		m := regexp.MustCompile(`href="(/admin/people/of/[^"]+)"`).FindStringSubmatch(c.get(w.url +
			"/admin/people?find=" + text).Body)
		if m == nil {
			t.Fatalf("nobody found by %q:\n%s", text, c.get(w.url+"/admin/people?find="+text).text())
		}
		return m[1]
	}
	if p := c.get(w.url + "/admin/people?find=*%29%28uid%3D*"); !strings.Contains(p.text(), "No people found") {
		t.Errorf("a filter as a name:\n%s", p.text())
	}
	if p := c.get(w.url + "/admin/people?find=a"); !strings.Contains(p.text(), "type 2 to 100 characters") {
		t.Errorf("one character:\n%s", p.text())
	}
	if p := c.get(w.url + "/admin/people/of/nobody"); p.Status != http.StatusNotFound {
		t.Errorf("nobody: %d", p.Status)
	}

	// Created now, at the head of the queue; suspended, and out; let go on, and in.
	bob := find("bob+bra")
	p := c.get(w.url + bob)
	p.says("Bob Brandt can sign in to ", "Can sign in", "not created yet")
	c.get(w.url+bob+"?tab=groups").says("Bob Brandt can sign in to ", "is a direct member of the group", "direct member")
	c.get(w.url + bob + "?tab=none").says("not created yet")
	if p = c.submitForm(p, bob+"/user", "do", "provision"); !strings.Contains(p.text(), "The user is being created") {
		t.Fatalf("create now: %d\n%s", p.Status, p.text())
	}
	if !eventually(func() bool { return strings.Contains(c.get(w.url+bob).text(), "active can sign in") }) {
		t.Fatalf("bob is not created:\n%s", c.get(w.url+bob).text())
	}
	if n := w.creations(); n != 1 {
		t.Errorf("%d creations, want 1", n)
	}
	if p = c.submitForm(c.get(w.url+bob), bob+"/user", "do", "suspend"); !strings.Contains(p.text(),
		"Suspended: this person") {
		t.Fatalf("suspend: %d\n%s", p.Status, p.text())
	}
	p.says("Bob Brandt can't sign in to ", "Can't sign in")
	d := newClient(t)
	d.goOn(d.login(d.get(w.launch(club)), "bob", password)).status(http.StatusForbidden)
	// By mistake: undone, and suspended again.
	if p = c.submitForm(p, bob+"/undo"); !strings.Contains(p.text(), "Undone. The user can sign in again") {
		t.Fatalf("undo: %d\n%s", p.Status, p.text())
	}
	d.deliver(d.goOn(d.get(w.launch(club)))).says("Bob Brandt")
	c.get(w.url + "/admin/audit?action=resume-user").says("undoing the change before")
	p = c.submitForm(c.get(w.url+bob), bob+"/user", "do", "suspend")
	stale := p
	if p = c.submitForm(c.get(w.url+bob), bob+"/user", "do", "resume"); !strings.Contains(p.text(),
		"The user was resumed") {
		t.Fatalf("resume: %d\n%s", p.Status, p.text())
	}
	d.deliver(d.goOn(d.login(d.get(w.launch(club)), "bob", password))).says("Bob Brandt")
	// A button that a stale page offers is refused.
	c.submitForm(stale, bob+"/undo").status(http.StatusConflict).says("is not suspended any more")
	if p = c.submitForm(c.get(w.url+bob), bob+"/user", "do", "resume"); p.Status != http.StatusConflict {
		t.Errorf("resume once more: %d\n%s", p.Status, p.text())
	}
	// A user who is missing at Constant Contact is created again (REAL-68); bob is there after all, and gets in.
	c.submitForm(c.get(w.url+bob), bob+"/user", "do", "again").says("The user is being created again")
	d.deliver(d.goOn(d.get(w.launch(club)))).says("Bob Brandt")
	p = c.get(w.url + bob + "/preview?sp=" + w.sandbox.EntityID())
	if !strings.Contains(p.text(), "unsigned, not sent and marked as invalid") || !strings.Contains(p.text(),
		"bob@example.test") {
		t.Errorf("preview: %d\n%s", p.Status, p.text())
	}
	// What another identity provider sent is held against it (REAL-30).
	captured := d.goOn(d.get(w.launch(club))).form("SAMLResponse").Fields.Get("SAMLResponse")
	p = c.submitForm(p, bob+"/preview", "captured", captured)
	if text := p.text(); p.Status != http.StatusOK || !strings.Contains(text, "Comparison") ||
		strings.Contains(text, "differs") {
		t.Errorf("our own Response differs from the preview: %d\n%s", p.Status, text)
	}
	if p = c.submitForm(p, bob+"/preview", "captured", "<html>"); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.text(), "can't be read") {
		t.Errorf("what is no Response: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(c.get(w.url+bob+"?tab=security"), bob+"/end"); !strings.Contains(p.text(),
		"All sessions of this person were ended") {
		t.Errorf("end sessions: %d\n%s", p.Status, p.text())
	}
	if p := d.get(w.url + "/"); strings.Contains(p.text(), "You are signed in") {
		t.Errorf("after the end of all sessions:\n%s", p.text())
	}

	// Somebody whose user was there before the bridge.
	zoe := find("zoe")
	p = c.get(w.url + zoe + "?tab=more")
	if p = c.submitForm(p, zoe+"/adopt", "account", "not an account!", "external_id",
		"z-1"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="z-1"`) {
		t.Errorf("adopt into no account: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, zoe+"/adopt", "account", bakery, "external_id", "z-1"); !strings.Contains(p.text(),
		"The user was imported.") {
		t.Errorf("adopt: %d\n%s", p.Status, p.text())
	}

	// Zoe's user was told by mistake, and was never there: everything goes, when her id was typed.
	zoeID := strings.TrimPrefix(zoe, "/admin/people/of/")
	p = c.submitForm(c.get(w.url+zoe+"?tab=more"), zoe+"/forget", "typed", "zoe", "deleted",
		"1").status(http.StatusUnprocessableEntity).says("That is not the id of this person")
	p = c.submitForm(p, zoe+"/forget", "typed", zoeID).status(http.StatusUnprocessableEntity).says(bakery)
	c.submitForm(p, zoe+"/forget", "typed", zoeID, "deleted",
		"1").status(http.StatusOK).says("Nothing here identifies this person any more", "The directory still has this person")
	for _, u := range w.ledger(t) {
		if u.Person == zoeID {
			t.Errorf("the ledger still has %+v", u)
		}
	}

	// ID-24: an invitation is for those who have a role in the console.
	carol := find("carol")
	c.get(w.url+carol).says("Carol Castle can't sign in to any client account: no mapping applies", "Add mapping")
	c.submitForm(c.get(w.url+carol+"?tab=security"), carol+"/factors", "what",
		"invite").status(http.StatusConflict).says("the person has no role in the admin console")
	c.submitForm(c.get(w.url+bob+"?tab=security"), bob+"/factors", "what",
		"invite").status(http.StatusOK).says("Single use, valid until")

	// Names that are HTML come out harmless: the browser runs none of it.
	eve := find("eve")
	b := w.console(t, consoleAdmin, eve)
	b.sees("<script>alert(1)</script>")
	b.inspect("people-one")
	for _, tab := range []string{"groups", "security", "history", "more"} {
		b.open(w.url + eve + "?tab=" + tab)
		if tab == "groups" {
			b.sees("<i>Marketing</i>")
		}
		b.inspect("people-one-" + tab)
	}
	b.open(w.url + "/admin/people")
	b.fill("find", "ali")
	b.sees("Alice Anders") // while typing
	b.inspect("people")
	b.open(w.url + bob + "/preview?sp=" + w.sandbox.EntityID())
	b.inspect("people-preview")
}
