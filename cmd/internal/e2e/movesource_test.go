package e2e_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBrowserMoveSource: somebody who was created by the directory is moved to the partner's application and comes by a
// signed launch: the same user at Constant Contact, and no second call (ID-76). Commands and console say what is known
// of them, before and after (ID-74).
func TestBrowserMoveSource(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{mappings: [][]string{{"--person", "bob", "--account", books, "--role",
		"account_manager"}}})
	portal := withPortal(t, w, portalBounds)
	b := newBrowser(t)
	b.open(w.launch(books))
	b.login("bob", password)
	b.sees("Bob Brandt", books)
	if n := w.creations(); n != 1 {
		t.Fatalf("got %d creating calls, want 1", n)
	}
	before := w.command(t, "users", "list", "--json")

	file := filepath.Join(t.TempDir(), "people.csv")
	write := func(lines string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("login,subject\n"+lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	move := func(args ...string) (string, error) {
		return w.tryCommand(append([]string{"users", "move-source", file, "--source", "portal"}, args...)...)
	}
	// Each fault is named by its line, and nothing is moved.
	write("bob,customer-1001\nnobody,customer-1\neve,customer-2\nalice,customer-1OO1\n")
	out, err := move("--yes")
	if err == nil || !strings.Contains(out, "line 5, subject: line 2 has the same subject, or one that looks like it") ||
		!strings.Contains(out, `there is no person "nobody"`) || !strings.Contains(out, "has no user at Constant Contact") {
		t.Errorf("a file with faults: %v\n%s", err, out)
	}
	write("bob,customer-1001\n")
	if out, err := move("--preview"); err != nil || !strings.Contains(out, "1 person to move") {
		t.Errorf("dry run: %v\n%s", err, out)
	}
	if after := w.command(t, "users", "list", "--json"); after != before {
		t.Errorf("a dry run has changed the ledger:\n%s", after)
	}
	if out, err := move("--yes"); err != nil || !strings.Contains(out, "moved 1 person to source portal") {
		t.Fatalf("move: %v\n%s", err, out)
	}
	if out, err := move("--yes"); err != nil || !strings.Contains(out, "moved before") {
		t.Errorf("again: %v\n%s", err, out)
	}
	if out := w.command(t, "explain", "--user", "portal:customer-1001"); !strings.Contains(out,
		"has not come from source portal yet") {
		t.Errorf("before the first token:\n%s", out)
	}
	// The directory creates nobody in their place.
	c := newBrowser(t)
	c.open(w.launch(books))
	c.login("bob", password)
	if text := c.text(); strings.Contains(text, books) {
		t.Errorf("after the move, a login by the directory gets in:\n%s", text)
	}
	if n := w.creations(); n != 1 {
		t.Errorf("after a login by the directory: %d creating calls, want still 1", n)
	}

	d := newBrowser(t)
	d.open(portal.URL)
	d.press("Open Constant Contact as Frida")
	d.press("Sign in")
	d.sees("Bob Brandt", books, "account_manager") // whom Constant Contact has by this external id
	if n := w.creations(); n != 1 {
		t.Errorf("after the launch: %d creating calls, want still 1", n)
	}
	if out := w.command(t, "explain", "--user", "portal:customer-1001"); !strings.HasPrefix(out,
		"Frida Flores can sign in to ") || !strings.Contains(out, "signed_launch") && !strings.Contains(out, "portal") {
		t.Errorf("after the launch:\n%s", out)
	}
	if out := w.command(t, "preview", "--user", "portal:customer-1001", "--sp", w.providerID()); !strings.Contains(out,
		"the person comes from source portal") {
		t.Errorf("preview:\n%s", out)
	}
	out = w.command(t, "audit", "list", "--action", "move-to-source")
	if strings.Count(out, "move-to-source") != 2 {
		t.Errorf("audit:\n%s", out)
	}
	a := w.enter(t, consoleAdmin)
	p := a.get(w.url + "/admin/people?find=frida")
	p.says("Frida Flores", "portal:customer-1001")
}

// TestConsoleSourcePerson: every tab of the page of somebody of a source shows what is known of them.
func TestConsoleSourcePerson(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	portal := withPortal(t, w, portalBounds)
	b := newBrowser(t)
	b.open(portal.URL)
	b.press("Open Constant Contact as Frida")
	b.press("Sign in")
	b.sees("Frida Flores", books)
	a := w.enter(t, consoleAdmin)
	p := a.get(w.url + "/admin/people?find=frida")
	m := regexp.MustCompile(`href="(/admin/people/of/[^"]+)"`).FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("nobody found:\n%s", p.text())
	}
	a.get(w.url+m[1]).says("Frida Flores can sign in to", "They come from source portal", "Source portal itself")
	for _, tab := range []string{"groups", "security", "history", "more"} {
		if p := a.get(w.url + m[1] + "?tab=" + tab); p.Status != 200 {
			t.Errorf("tab %s: %d\n%s", tab, p.Status, p.text())
		}
	}
	a.get(w.url + m[1] + "/preview?sp=" + url.QueryEscape(w.providerID())).says("portal")
	w.command(t, "sources", "disable", "portal")
	a.get(w.url + m[1]).says("source portal is disabled")
}
