package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// is asks the page a question of yes or no.
func (b *browser) is(js string) bool {
	b.t.Helper()
	yes, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return yes
}

// warns tells whether the browser would ask before the page is left.
func (b *browser) warns() bool {
	b.t.Helper()
	return b.is(`(e => { dispatchEvent(e); return e.defaultPrevented })(new Event("beforeunload", {cancelable: true}))`)
}

// A form that was changed warns before it is left, one that was not or is a search does not; what was sent does not
// either.
func TestConsoleUnsavedForms(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, apiSetting())
	b := w.console(t, consoleAdmin, "/admin/tokens/new")
	b.sees("Valid for days")
	if b.warns() {
		t.Error("a form that nobody touched warns")
	}
	b.fill("name", "Billing")
	if !b.warns() {
		t.Error("a text that was typed does not warn")
	}
	if !b.is(`(e => { e.value = ""; return true })(document.querySelector("[name=name]"))`) || b.warns() {
		t.Error("a text that was taken back warns")
	}
	b.do("tick", chromedp.Click(chromedp.CSS(`[name="scope-status:read"]`)))
	if !b.warns() {
		t.Error("a tick does not warn")
	}
	b.fill("name", "Billing")
	b.press("Create token")
	b.sees("Copy the token now")
	if b.warns() {
		t.Error("what was sent warns")
	}
	b.open(w.url + "/admin/people")
	b.fill("find", "ali")
	b.sees("Alice Anders")
	if b.warns() {
		t.Error("a search warns")
	}

	// What takes something away asks in a dialogue of the same page, which Escape and Cancel close.
	b.open(w.url + "/admin/tokens")
	for _, closing := range []func(){
		func() { b.press("Cancel") }, func() { b.do("Escape", chromedp.KeyEvent(kb.Escape)) },
	} {
		b.press("Revoke")
		b.sees("Revoke the token")
		if !b.is(`document.querySelector("dialog[open]")?.contains(document.activeElement) === true`) {
			t.Error("the focus is not in the dialogue")
		}
		closing()
		if !eventually(func() bool { return b.is(`!document.querySelector("dialog")`) }) {
			t.Fatal("the dialogue does not close")
		}
		if !strings.HasSuffix(b.location(), "/admin/tokens") {
			t.Errorf("closing it leads to %s", b.location())
		}
	}
	b.sees("Active")
	b.press("Revoke")
	b.sees("Revoke the token")
	b.do("confirm", chromedp.Click(chromedp.CSS("dialog button[type=submit]")))
	b.sees("The token is revoked")
}

// At 200 % zoom on a screen of 1280 pixels no page scrolls sideways, and in the reader's own colours states are drawn.
func TestConsoleZoomAndForcedColors(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	b := w.console(t, consoleAdmin, "/admin/")
	pages := []string{"/admin/", "/admin/trace", "/admin/people?find=ali", "/admin/mappings", "/admin/accounts",
		"/admin/provisioning", "/admin/providers", "/admin/keys", "/admin/tokens", "/admin/tokens/new", "/admin/notices/new",
		"/admin/audit", "/admin/settings"}
	b.do("zoom", chromedp.EmulateViewport(640, 512))
	for _, page := range pages {
		b.open(w.url + page)
		if !b.is(`document.documentElement.scrollWidth <= innerWidth`) {
			t.Errorf("%s scrolls sideways at 200 %%", page)
		}
	}
	b.do("forced colours", chromedp.EmulateViewport(1280, 900), chromedp.Func(func(ctx context.Context,
		_ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
		return err
	}))
	b.open(w.url + "/admin/")
	if !b.is(`matchMedia("(forced-colors: active)").matches`) {
		t.Fatal("the browser shows its own colours")
	}
	for _, what := range []string{".strip > li", `.menu a[aria-current]`} {
		if !b.is(fmt.Sprintf(`(e => !!e && getComputedStyle(e).borderTopStyle === "solid" &&
			parseFloat(getComputedStyle(e).borderTopWidth) > 0)(document.querySelector(%q))`, what)) {
			t.Errorf("%s has no border in forced colours", what)
		}
	}
	if !b.is(`getComputedStyle(document.querySelector(".strip .dot")).forcedColorAdjust === "none"`) {
		t.Error("the dot of a state loses its colour")
	}
}
