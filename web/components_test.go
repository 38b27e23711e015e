package web_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ssobridge/idp"
	"ssobridge/store/storetest"
	"ssobridge/web"
	"ssobridge/web/admin"
	"ssobridge/web/console"
)

// withComponents is a console with the page of all parts of its design system, or without it.
func withComponents(t *testing.T, shown bool) *rig {
	t.Helper()
	f := &consoleIdP{fakeIdP: newFakeIdP(), in: true,
		who: idp.Administrator{Person: "p1", Login: "anna", Role: idp.Viewer}}
	db := storetest.Open(t)
	return newRig(t, func(o *web.Options) {
		o.IdP = f
		o.Console = consoleOver(db, "")
		o.Console.Pages = console.New(console.Options{Store: db, People: admin.People{Store: db}, Components: shown})
	})
}

// TestComponents has axe look at every part of the console's design system, in every view (COST-72): each area shows
// what it has in these.
func TestComponents(t *testing.T) {
	r := withComponents(t, true)
	wantStatus(t, r.get("/admin/components"), http.StatusOK)
	script := axe(t)
	ctx := chromium(t)
	for _, v := range []view{{"en", "light", 1600}, {"en", "dark", 1600}, {"en", "light", 360}, {"en", "dark", 360}} {
		for _, path := range []string{"/admin/components", "/admin/components/confirm"} {
			if err := look(ctx, v.scheme, v.width, r.srv.URL, r.srv.URL+path); err != nil {
				t.Fatal(err)
			}
			for _, fault := range faults(ctx, t, script) {
				t.Errorf("%s %+v: %s", path, v, fault)
			}
			if os.Getenv("SSOBRIDGE_SCREENSHOTS") == "" {
				continue
			}
			picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			name := "console" + strings.ReplaceAll(path, "/", "-") + "-" + v.scheme + "-" + map[bool]string{true: "360",
				false: "1600"}[v.width < 500] + ".png"
			if err := os.WriteFile(filepath.Join("..", ".screenshots", name), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestComponentsAreOfTheDemo: who runs the bridge has no page of invented data.
func TestComponentsAreOfTheDemo(t *testing.T) {
	wantStatus(t, withComponents(t, false).get("/admin/components"), http.StatusNotFound)
	for _, route := range console.Routes() {
		if strings.Contains(route.Path, "components") {
			t.Errorf("%s is a page of the product", route.Path)
		}
	}
}
