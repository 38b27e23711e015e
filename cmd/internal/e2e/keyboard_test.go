package e2e_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"ssobridge/idp/directory/directorytest"
)

// reach numbers what a keyboard has to reach on the page that is open: links and controls that can be seen, of a group
// of radio buttons one.
const reach = `(() => {
	let n = 0;
	const groups = new Set();
	for (const e of document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0'], summary")) {
		if (e.disabled || e.type === "hidden" || e.tabIndex < 0 || !e.checkVisibility({visibilityProperty: true})) continue;
		if (e.type === "radio") { if (groups.has(e.name)) continue; groups.add(e.name); }
		e.dataset.reach = String(n++);
	}
	document.activeElement.blur();
	return n;
})()`

// focused tells which of these has the focus, and what can't be seen of that.
const focused = `(() => {
	const e = document.activeElement, s = getComputedStyle(e);
	if (e === document.body) return "";
	const group = e.type === "radio" ? document.querySelector("input[name='" + e.name + "'][data-reach]") : e;
	const seen = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
	return (group ? group.dataset.reach : "?") + " " + (seen ? "seen" : "unseen") + " " + e.outerHTML.slice(0, 120);
})()`

// byKeyboard walks the page by the Tab key: everything is reached, and everybody sees where they are.
func (b *browser) byKeyboard(name string) {
	b.t.Helper()
	ask := func(js string) string {
		b.t.Helper()
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](js))
		if err != nil {
			b.t.Fatalf("%s: %v", name, err)
		}
		return got
	}
	want, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](reach))
	if err != nil || want == 0 {
		b.t.Fatalf("%s: %d things to reach, %v", name, want, err)
	}
	reached := map[string]bool{}
	for range 2*want + 20 {
		b.do("press Tab", chromedp.KeyEvent(kb.Tab))
		at := ask(focused)
		if at == "" {
			continue // between the end of the page and its beginning
		}
		number, rest, _ := strings.Cut(at, " ")
		if strings.HasPrefix(rest, "unseen") {
			b.t.Errorf("%s: the focus can't be seen at %s", name, rest)
		}
		if number != "?" && number != "undefined" {
			reached[number] = true
		}
		if len(reached) == want {
			return
		}
	}
	// What is no more on the page was replaced by something newer meanwhile.
	for _, missed := range strings.Split(
		ask(`[...document.querySelectorAll("[data-reach]")].map(e => e.dataset.reach + " " + e.outerHTML.slice(0, 120).replaceAll("\n", " ")).join("\n")`), "\n") {
		if number, rest, _ := strings.Cut(missed, " "); rest != "" && !reached[number] {
			b.t.Errorf("%s: the keyboard does not reach %s", name, rest)
		}
	}
}

// TestByKeyboard: whoever uses no mouse gets everywhere, and sees where they are. A mapping is made by keys alone.
func TestByKeyboard(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	w.command(t, "provision", "plan")
	b := newBrowser(t)
	b.open(w.launch(""))
	b.byKeyboard("login")
	b = w.console(t, consoleAdmin, "/admin/")
	for _, page := range []string{
		"/admin/", "/admin/mappings", "/admin/mappings/new?find=ring", "/admin/mappings/of/1", "/admin/mappings/import",
		"/admin/people?find=ali", "/admin/trace", "/admin/accounts/of/" + club,
		"/admin/accounts/new", "/admin/accounts/webhooks", "/admin/provisioning", "/admin/provisioning/plans/1",
		"/admin/provisioning/users/tell", "/admin/provisioning/work", "/admin/providers", "/admin/keys",
		"/admin/tokens/new", "/admin/notices/new",
		"/admin/audit", "/admin/settings", "/sessions",
	} {
		b.open(w.url + page)
		b.byKeyboard(page)
	}

	press := func(keys string) {
		t.Helper()
		b.do("type", chromedp.KeyEvent(keys))
	}
	to := func(selector string) {
		t.Helper()
		for range 80 {
			press(kb.Tab)
			at, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.activeElement.matches("`+selector+`")`))
			if err != nil {
				t.Fatal(err)
			}
			if at {
				return
			}
		}
		t.Fatalf("Tab does not lead to %s", selector)
	}
	b.open(w.url + "/admin/mappings/new?group=" + strings.ReplaceAll(directorytest.SharedSlapd(t).GroupDN("emea"), ",",
		"%2C"))
	to("[name=account]")
	press(club)
	to("select[name=role]")
	press("C") // Campaign creator, by its first letter
	to("main form button[type=submit]")
	press(kb.Enter)
	b.sees("What would change")
	to("main form button[type=submit]")
	press(kb.Enter)
	b.sees("Mapping added. It applies from the next sign-in on")
}
