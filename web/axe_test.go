package web_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe is axe-core, which make install puts into .tools.
func axe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("..", ".tools", "interop", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("this test needs axe-core; make install puts it there: %v", err)
	}
	return string(script)
}

// view is how somebody may look at a page.
type view struct {
	language string
	scheme   string
	width    int64
}

// TestAccessibility has axe look at every page, on a phone and on a screen, light and dark, by the rules of WCAG 2.2 A
// and AA. axe must have looked at something and find nothing. Spanish has longer words, so that a phone is where they
// would not fit. TestAcceptancePages has every view of them.
func TestAccessibility(t *testing.T) {
	accessible(t, view{"en", "light", 1600}, view{"en", "dark", 360}, view{"es", "light", 360})
}

// TestAcceptancePages is TestAccessibility in every view: size, colour scheme and language (row COST-72).
func TestAcceptancePages(t *testing.T) {
	var all []view
	for _, language := range []string{"en", "es"} {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{360, 1600} {
				all = append(all, view{language, scheme, width})
			}
		}
	}
	accessible(t, all...)
}

func accessible(t *testing.T, views ...view) {
	t.Helper()
	script := axe(t)
	ctx := chromium(t)
	r := newRig(t, nil)
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			url := r.srv.URL + s.prepare(r)
			for _, v := range views {
				if _, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
					UserAgent: "Mozilla/5.0", AcceptLanguage: v.language,
				}); err != nil {
					t.Fatal(err)
				}
				if err := look(ctx, v.scheme, v.width, r.srv.URL, url); err != nil {
					t.Fatalf("open %+v: %v", v, err)
				}
				for _, fault := range faults(ctx, t, script) {
					if goesOn(s.name) && strings.HasPrefix(fault, "meta-refresh:") {
						continue
					}
					t.Errorf("%+v: %s", v, fault)
				}
				// Or axe would see English twice.
				if lang, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.documentElement.lang")); err != nil ||
					lang != v.language {
					t.Errorf("the page is in %q: %v, want %s", lang, err, v.language)
				}
			}
		})
	}
}

// goesOn tells which pages go on by themselves without script: there is nothing to
// fill in, going on is what they are for, and nobody loses anything by it, so that
// WCAG 2.2.1 (time limits) has nothing to extend. axe takes every refresh for a fault.
func goesOn(page string) bool {
	return strings.HasPrefix(page, "waiting") || strings.HasPrefix(page, "signingout")
}

// TestAccessibilityFindsFaults: the check above can fail.
func TestAccessibilityFindsFaults(t *testing.T) {
	ctx := chromium(t)
	page := `data:text/html,<html><body style="color:%23888;background:%23999">word<img src="x"><input></body></html>`
	if err := chromedp.Do(ctx, chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(faults(ctx, t, axe(t)), "\n")
	for _, rule := range []string{"color-contrast", "image-alt", "label", "html-has-lang", "document-title"} {
		if !strings.Contains(got, rule) {
			t.Errorf("axe does not find %s; it finds\n%s", rule, got)
		}
	}
}

// faults is what axe finds on the page that is open, and pages that are wider than
// the window. The script comes by the browser's own tools, which no policy of the
// page concerns.
func faults(ctx context.Context, t *testing.T, script string) []string {
	t.Helper()
	// Pages are opened without their scripts, so that none leaves for the next; axe
	// needs them on.
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](script+`;
		axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(function (r) {
			var all = r.violations.map(function (v) { return v.id + ": " + v.nodes.map(function (n) { return n.html; }).join(" "); });
			if (r.passes.length === 0) { all.push("axe looked at nothing"); }
			if (document.documentElement.scrollWidth > innerWidth) { all.push("wider than the window"); }
			return all;
		})`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("run axe: %v", err)
	}
	return found
}
