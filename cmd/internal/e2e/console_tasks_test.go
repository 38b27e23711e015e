package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// maxClicks is how many clicks a task of every day may take, from the overview on.
const maxClicks = 5

// tasks counts the clicks of one task. What is typed is none.
type tasks struct {
	*browser

	clicks int
}

// tap clicks a button or link by its text, like press; what is folded away has to be opened first, by a click more.
func (k *tasks) tap(text string) {
	k.t.Helper()
	js := fmt.Sprintf(`(() => { const e = [...document.querySelectorAll("button, a")]
		.find(e => (e.innerText || e.textContent || "").trim().includes(%q)); if (!e) return 0;
		const folded = e.closest("details:not([open])"); if (folded) folded.open = true;
		e.click(); return folded ? 2 : 1 })()`, text)
	before, clicks := k.location(), 0
	if !eventually(func() bool {
		n, err := chromedp.Run(k.ctx, chromedp.Evaluate[int](js))
		clicks = n
		return err == nil && n > 0
	}) {
		k.t.Fatalf("no button or link %q at %s:\n%s", text, before, k.text())
	}
	k.clicks += clicks

}

// TestTasksTakeFewClicks does what administrators do on most days, each from the overview on, and counts the clicks:
// five at most, and as many as docs/design-system.md says.
func TestTasksTakeFewClicks(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{bare: true})
	b := w.console(t, consoleAdmin, "/admin/")
	documented, err := os.ReadFile("../../../docs/design-system.md")
	if err != nil {
		t.Fatal(err)
	}
	refused := ""
	for _, task := range []struct {
		name string
		do   func(k *tasks)
	}{
		{"Register Constant Contact", func(k *tasks) {
			k.tap("Register Constant Contact")
			k.sees("Entity ID")
			k.fill("cc_entity_id", w.sandbox.EntityID())
			k.fill("cc_acs", w.sandbox.ACS())
			k.tap("Register Constant Contact")
			k.sees("Saved.")
		}},
		{"Print the hand-over sheet", func(k *tasks) {
			k.tap("Service providers")
			k.tap("Hand-over sheet")
			k.sees("BEGIN CERTIFICATE")
			w.trust(w.sandbox)
		}},
		{"Read the list of client accounts anew", func(k *tasks) {
			k.tap("Client accounts")
			k.tap("Refresh list")
			k.sees("Juniper Bakery")
		}},
		{"Find out why somebody could not sign in", func(k *tasks) {
			c := newClient(t)
			p := c.login(c.get(w.launch("")), "bob", password)
			if m := refPattern.FindStringSubmatch(p.text()); m != nil {
				refused = m[1]
			}
			k.tap("Sign-ins")
			k.fill("ref", "Reference "+refused)
			k.tap("Open sign-in")
			k.sees("No mapping gives this person a client account")
		}},
		{"Map a group", func(k *tasks) {
			k.tap("Mappings")
			k.tap("Add a mapping")
			k.fill("find", "ring")
			k.tap("Choose ring-a")
			if !eventually(func() bool { return strings.Contains(k.location(), "group=") }) {
				t.Fatalf("the group was not taken: %s", k.location())
			}
			k.fill("account", club)
			k.choose("role", "campaign_creator")
			k.tap("Preview changes")
			k.sees("What would change")
			k.tap("Save mapping")
			k.sees("Mapping added.")
		}},
		{"Begin a plan of who would be created", func(k *tasks) {
			k.tap("Provisioning")
			k.tap("Make a plan")
			k.sees("Plan 1")
		}},
		{"See where a person can sign in", func(k *tasks) {
			k.tap("People")
			k.fill("find", "bob")
			k.sees("Bob Brandt")
			k.tap("Bob Brandt")
			k.sees("Bob Brandt can sign in to Northside Cycling Club.")
		}},
		{"Generate the next signing key", func(k *tasks) {
			k.tap("Keys")
			k.sees("Generate a key")
			k.tap("Generate a key")
			k.sees("Publish")
		}},
		{"Export the audit log of a week", func(k *tasks) {
			k.tap("Audit log")
			k.sees("Export CSV")
			k.tap("Export CSV")
		}},
		{"Read the console in another language", func(k *tasks) {
			k.tap("Español")
			k.sees("Resumen")
		}},
	} {
		b.open(w.url + "/admin/")
		b.sees("Overview")
		k := &tasks{browser: b}
		task.do(k)
		if k.clicks > maxClicks {
			t.Errorf("%s takes %d clicks", task.name, k.clicks)
		}
		if row := fmt.Sprintf("| %s | %d |", task.name, k.clicks); !strings.Contains(string(documented), row) {
			t.Errorf("docs/design-system.md has no row %s", row)
		}
	}
}
