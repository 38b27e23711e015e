package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var refPattern = regexp.MustCompile(`Reference ([0-9A-Z]{10})`)

// Each outcome is found by the reference on the person's page, with its exact reason,
// and nothing secret stands in it.
func TestConsoleTrace(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	a := w.enter(t, consoleViewer)
	// find opens a sign-in by its reference, as support would.
	find := func(ref string) string {
		t.Helper()
		var text string
		if !eventually(func() bool {
			p := a.get(w.url + "/admin/trace?ref=" + url.QueryEscape("Reference: "+strings.ToLower(ref)+"."))
			text = p.text()
			return p.Status == http.StatusOK && strings.Contains(text, "Step by step")
		}) {
			t.Fatalf("no trace of %s:\n%s", ref, text)
		}
		return text
	}
	shown := func(p *page) string {
		t.Helper()
		m := refPattern.FindStringSubmatch(p.text())
		if m == nil {
			t.Fatalf("no reference on the page:\n%s", p.text())
		}
		return m[1]
	}
	wants := func(what, text string, all ...string) {
		t.Helper()
		for _, want := range all {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the trace does not tell %q:\n%s", what, want, text)
			}
		}
	}

	// A wrong password, then the right one and no mapping: one sign-in, all of it under the last reference.
	c := newClient(t)
	p := c.login(c.get(w.launch("")), "carol", "not-the-password")
	p = c.login(p, "carol", password)
	wants("no mapping", find(shown(p)), "no_assignment", "bad_credentials", "Directory", "Groups", "Mappings", "refused")

	// She has no user at Constant Contact, and is called by her name all the same.
	for _, at := range []string{"/admin/trace?outcome=refused", "/admin/audit?action=refusal"} {
		if text := a.get(w.url + at).text(); !strings.Contains(text, "Carol Castle") {
			t.Errorf("%s does not name who was refused:\n%s", at, text)
		}
	}

	// A link to nobody.
	p = newClient(t).get(w.url + "/launch/sp?entity_id=https%3A%2F%2Fnobody.example%2F%3Cb%3E")
	wants("unknown service provider", find(shown(p)), "unknown_provider", "Request checked", "unknown")

	// Not this account; then in.
	c = newClient(t)
	p = c.goOn(c.login(c.get(w.launch(books)), "bob", password))
	wants("not this account", find(shown(p)), "not_this_account", books)
	c.deliver(c.goOn(c.get(w.launch(club))))
	var ref string
	if !eventually(func() bool {
		m := regexp.MustCompile(`/admin/trace/of/([0-9A-Z]{10})`).FindStringSubmatch(a.get(w.url +
			"/admin/trace?person=bob&outcome=ok").Body)
		if m != nil {
			ref = m[1]
		}
		return m != nil
	}) {
		t.Fatalf("bob's sign-in is not listed:\n%s", a.get(w.url+"/admin/trace?person=bob").text())
	}
	text := find(ref)
	wants("in", text, "Assertion", "signed by key", "mapping 1: account "+club, w.sandbox.ACS())
	var external string
	for _, u := range w.ledger(t) {
		if u.Account == club {
			external = u.ExternalID
		}
	}
	all := w.command(t, "trace", "list", "--json") + w.command(t, "trace", "show", ref, "--json") + text
	for _, secret := range []string{password, "not-the-password", "bob@example.test", external} {
		if secret == "" || strings.Contains(all, secret) {
			t.Errorf("a trace holds %q", secret)
		}
	}
	if p := a.get(w.url + "/admin/trace/of/NOSUCHREF0"); p.Status != http.StatusNotFound || !strings.Contains(p.text(),
		"No sign-in with the reference NOSUCHREF0") {
		t.Errorf("an unknown reference: %d\n%s", p.Status, p.text())
	}
	if p := a.get(w.url + "/admin/trace?until=2001-01-01"); !strings.Contains(p.text(), "No matching sign-ins") {
		t.Errorf("long ago:\n%s", p.text())
	}
	for _, field := range []string{"account", "since", "until"} {
		p := a.get(w.url + "/admin/trace?" + field + "=%3Cb%3Enone")
		if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-`+field+`"`) ||
			!strings.Contains(p.Body, `value="&lt;b&gt;none"`) || strings.Contains(p.Body, "/admin/trace/of/") {
			t.Errorf("a filter that can't be read, %s: %d\n%s", field, p.Status, p.text())
		}
	}

	// An admin has bob's assertions captured for a while; a viewer is shown none.
	d := w.enter(t, consoleAdmin)
	person := regexp.MustCompile(`/admin/people/of/([0-9a-f-]{36})`).FindStringSubmatch(a.get(w.url +
		"/admin/trace/of/" + ref).Body)[1]
	bob := "/admin/people/of/" + person
	d.submitForm(d.get(w.url+bob+"?tab=more"), bob+"/capture", "do", "begin", "minutes", "15").says("are being captured",
		"Captured until")
	d.submitForm(d.get(w.url+bob+"?tab=more"), bob+"/capture", "do", "begin", "minutes", "61").status(http.StatusNotFound)
	c.deliver(c.goOn(c.get(w.launch(club))))
	capturedRef := ""
	if !eventually(func() bool {
		m := regexp.MustCompile(`/admin/trace/of/([0-9A-Z]{10})`).FindStringSubmatch(a.get(w.url +
			"/admin/trace?person=bob&outcome=ok").Body)
		if m != nil {
			capturedRef = m[1]
		}
		return capturedRef != "" && capturedRef != ref
	}) {
		t.Fatal("the second sign-in is not listed")
	}
	if strings.Contains(a.get(w.url+"/admin/trace/of/"+capturedRef).text(), "Show the assertion captured") {
		t.Error("a viewer is offered the captured assertion")
	}
	p = d.get(w.url + "/admin/trace/of/" + capturedRef).says("Show the assertion captured")
	d.submitForm(p, "/admin/trace/of/"+capturedRef+"/captured").says("<saml:Assertion", external)
	if out := w.command(t, "trace", "show", capturedRef, "--captured"); !strings.Contains(out, external) {
		t.Errorf("trace show --captured:\n%s", out)
	}
	if out := w.command(t, "audit", "list", "--json"); strings.Count(out, "capture-read") != 2 {
		t.Errorf("two looks left %d events", strings.Count(out, "capture-read"))
	}
	d.submitForm(d.get(w.url+bob+"?tab=more"), bob+"/capture", "do", "end").says("Capture stopped")

	b := w.console(t, consoleViewer, "/admin/trace")
	b.sees("Bob Brandt was refused at Harbour <Books> & Co: ", "Carol Castle was refused at", "not_this_account")
	b.inspect("trace")

	// New sign-ins come by themselves, though not under the pointer or the keyboard of somebody who reads.
	b.open(w.url + "/admin/trace?outcome=refused")
	b.sees("New sign-ins appear by themselves")
	refused := func() int { return strings.Count(b.text(), "no_assignment") }
	before := refused()
	refuse := func() {
		c := newClient(t)
		c.login(c.get(w.launch("")), "carol", password).status(http.StatusForbidden)
	}
	refuse()
	if !eventually(func() bool { return refused() == before+1 }) {
		t.Errorf("a new sign-in does not appear:\n%s", b.text())
	}
	b.do("focus a row", chromedp.Focus(chromedp.CSS(`[data-live] a[href^="/admin/trace/of/"]`)))
	refuse()
	if within(5*time.Second, func() bool { return refused() != before+1 }) {
		t.Error("the list changes under the keyboard")
	}
	b.do("leave the row", chromedp.Focus(chromedp.CSS(`.find input`)))
	if !eventually(func() bool { return refused() == before+2 }) {
		t.Errorf("what waited does not appear:\n%s", b.text())
	}
	if p := a.get(w.url + "/admin/trace/live?since=yesterday"); p.Status != http.StatusNotFound {
		t.Errorf("a live list by a filter that can't be read: %d", p.Status)
	}
	b.open(w.url + "/admin/trace")
	b.open(w.url + "/admin/trace/of/" + ref)
	b.sees("Step by step")
	b.inspect("trace-one")
	b.open(w.url + "/admin/trace/refusals")
	b.sees("Counted only")
	b.inspect("trace-refusals")
}
