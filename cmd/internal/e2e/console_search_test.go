package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestConsoleSearch: one box finds people, groups, client accounts, sign-ins by what people paste, pages and actions;
// as a page without script, and as a layer by Ctrl-K.
func TestConsoleSearch(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	d := newClient(t)
	refused := d.login(d.get(w.launch("")), "carol", password)
	m := refPattern.FindStringSubmatch(refused.text())
	if m == nil {
		t.Fatalf("no reference:\n%s", refused.text())
	}
	ref := m[1]
	c := w.enter(t, consoleViewer)
	find := func(text string) string {
		t.Helper()
		return c.get(w.url + "/admin/search?" + url.Values{"q": {text}}.Encode()).status(http.StatusOK).Body
	}
	// Traces are written behind the request.
	if !eventually(func() bool { return strings.Contains(find(ref), "/admin/trace/of/"+ref) }) {
		t.Errorf("the reference %s is not found:\n%s", ref, c.get(w.url+"/admin/search?q="+ref).text())
	}
	for _, one := range []struct{ name, text, leads string }{
		{"a person by the beginning of a name", "Bra", "Bob Brandt"},
		{"a group", "ring-a", "/admin/mappings/new?group="},
		{"a client account by a part of its name", "cycling", "/admin/accounts/of/" + club},
		{"a client account by its id", club, "Northside Cycling Club"},
		{"a page", "audit", `href="/admin/audit"`},
		{"an action", "lockouts", "/admin/people/lockouts"},
		{"a reference", ref, "/admin/trace/of/" + ref},
		{"a reference as it is read out", strings.ToLower(ref[:4] + " " + ref[4:8] + "-" + ref[8:]),
			"/admin/trace/of/" + ref},
		{"a reference in a mail", "Hello, I can't sign in.\nReference: " + ref + " Thanks", "/admin/trace/of/" + ref},
		{"nothing", "zzzzzz", "Nothing was found for zzzzzz"},
		{"what is too short", "zz", "Nothing was found for zz"},
		{"markup", "<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"},
	} {
		if body := find(one.text); !strings.Contains(body, one.leads) {
			t.Errorf("%s: %q does not lead to %q", one.name, one.text, one.leads)
		}
	}
	if body := find("Add"); strings.Contains(body, "/admin/mappings/new\"") {
		t.Error("a viewer is offered what they may not do")
	}
	if body := find(strings.Repeat("7", 10)); strings.Contains(body, "/admin/trace/of/7777777777") {
		t.Error("a reference that nobody has leads somewhere")
	}

	b := w.console(t, consoleAdmin, "/admin/")
	b.sees("Ctrl K") // it is there once the script runs
	b.do("press Ctrl-K", chromedp.KeyEvent("k", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	b.do("type", chromedp.KeyEvent("Bra"))
	b.sees("Bob Brandt")
	b.inspect("palette")
	b.do("press Enter", chromedp.KeyEvent(kb.Enter))
	if !eventually(func() bool { return strings.Contains(b.location(), "/admin/people/of/") }) {
		t.Errorf("the first hit leads to %s", b.location())
	}
	b.open(w.url + "/admin/search?q=ring")
	b.inspect("search")
}
