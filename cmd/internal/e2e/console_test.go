package e2e_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"ssobridge/idp"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/store"
	"ssobridge/web/console"
)

// Who has which role in the console of newConsoleWorld. Carol has none.
const (
	consoleViewer   = "heidi"
	consoleOperator = "bob"
	consoleAdmin    = "alice"
	consoleNobody   = "carol"
)

// newConsoleWorld is newWorld with a console.
func newConsoleWorld(t testing.TB, s setting) *world {
	t.Helper()
	slapd := directorytest.SharedSlapd(t)
	set := map[string]string{
		"console.viewer_group":   slapd.GroupDN("emea"),
		"console.operator_group": slapd.GroupDN("ring-a"),
		"console.admin_group":    slapd.GroupDN("ctct-a07e1lxqqqo1-campaign_creator"),
		"second_factor.console":  "off", // tests of second factors set it; to the others it would be one page more
	}
	maps.Copy(set, s.set)
	s.set = set
	w := newWorld(t, s)
	t.Cleanup(func() { w.actsNameTheirOrigin(t) })
	return w
}

// actsNameTheirOrigin looks at all that was done in the console by a test: each audit event of a person names the
// address that the act came from and the reference of its request (row ID-18).
func (w *world) actsNameTheirOrigin(t testing.TB) {
	t.Helper()
	out, err := w.tryCommand("audit", "export")
	if err != nil {
		t.Errorf("ssobridge audit export: %v\n%s", err, out)
		return
	}
	for line := range strings.Lines(out) {
		var e store.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("a line of the export: %v\n%s", err, line)
			continue
		}
		if e.Actor == "" || e.Actor == "worker" || e.Actor == "watch" || strings.HasPrefix(e.Actor, "admin:") {
			continue // nobody's act, or one by command
		}
		if e.Action == "create-user-wanted" && strings.HasPrefix(e.Reason, "plan") {
			continue // the worker's, of a plan that the person started: the event of that names where it came from
		}
		if strings.HasPrefix(e.Actor, store.SelfOrderPrefix) {
			continue // the worker's, of an order that a person made: the event of that names where it came from
		}
		if e.Ref == "" || e.Address == "" {
			t.Errorf("an act of a person does not say where it came from: %s", line)
		}
	}
}

// enter signs somebody in to the console by its own way.
func (w *world) enter(t testing.TB, login string) *client {
	t.Helper()
	c := newClient(t)
	c.login(c.get(w.url+"/admin/"), login, password)
	return c
}

// console opens a path of the console in a real browser, signed in.
func (w *world) console(t testing.TB, login, path string) *browser {
	t.Helper()
	b := newBrowser(t)
	b.open(w.url + path)
	b.login(login, password)
	b.sees("Admin console")
	return b
}

// begins tells whether a stream begins, or ends at once for want of what it tells of.
func (c *client) begins(target string) bool {
	c.t.Helper()
	res, err := c.http.Get(target)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode != http.StatusForbidden
}

// submitForm sends the form of a page that goes to this path.
func (c *client) submitForm(p *page, path string, values ...string) *page {
	c.t.Helper()
	for _, f := range p.Forms {
		if f.Method != "post" && f.Method != "POST" || p.resolve(f.Action) != p.resolve(path) {
			continue
		}
		fields := url.Values{}
		for k, v := range f.Fields {
			fields[k] = slices.Clone(v)
		}
		for i := 0; i+1 < len(values); i += 2 {
			fields.Set(values[i], values[i+1])
		}
		return c.post(p.resolve(f.Action), fields)
	}
	c.t.Fatalf("no form to %s at %s:\n%s", path, p.URL, p.text())
	return nil
}

// look is how somebody may look at a page.
type look struct {
	scheme string
	width  int64
}

// looks are light and dark, on a phone and on a screen. Each commit has the first two; make acceptance all of them.
func looks(t testing.TB) []look {
	all := []look{{"light", 1600}, {"dark", 360}, {"dark", 1600}, {"light", 360}}
	if strings.HasPrefix(t.Name(), "TestAcceptance") {
		return all
	}
	return all[:2]
}

// inspect has axe look at the page that is open, as it is, and takes a picture of each look at it.
func (b *browser) inspect(name string) {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		b.t.Fatalf("this test needs axe-core; make install puts it there: %v", err)
	}
	for _, l := range looks(b.t) {
		b.do("set the size", chromedp.EmulateViewport(l.width, 900), chromedp.Func(setScheme(l.scheme)))
		// The script is half a megabyte, and stays in a page that has it.
		there, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`typeof axe !== "undefined"`))
		run := axeRun
		if err == nil && !there {
			run = script + ";" + run
		}
		var found []string
		if err == nil {
			found, err = chromedp.Run(b.ctx, chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise))
		}
		if err != nil {
			b.t.Fatalf("run axe: %v", err)
		}
		for _, fault := range found {
			b.t.Errorf("%s, %s, %d px wide: %s", name, l.scheme, l.width, fault)
		}
		b.shot(fmt.Sprintf("console-%s-%s-%d", name, l.scheme, l.width))
	}
	b.do("set the size back", chromedp.EmulateViewport(1000, 760), chromedp.Func(setScheme("light")))
}

// axeRun has axe look at a page by the rules of WCAG 2.2 A and AA.
const axeRun = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(function (r) {
	var all = r.violations.map(function (v) { return v.id + ": " + v.nodes.map(function (n) { return n.html; }).join(" "); });
	if (r.passes.length === 0) { all.push("axe looked at nothing"); }
	if (document.documentElement.scrollWidth > innerWidth) { all.push("wider than the window"); }
	return all;
})`

// axe is axe-core, which make install puts into .tools.
var axe = sync.OnceValues(func() (string, error) {
	script, err := os.ReadFile(filepath.Join("..", "..", "..", ".tools", "interop", "node_modules",
		"axe-core", "axe.min.js"))
	return string(script), err
})

// TestConsoleRoles walks every route of the console as everybody: who may not, gets
// 403 and no more, and nothing is done.
func TestConsoleRoles(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	params := regexp.MustCompile(`:[a-z_]+`)
	for _, who := range []struct {
		login string
		role  idp.ConsoleRole
	}{{"", idp.NoConsole}, {consoleNobody, idp.NoConsole}, {consoleViewer, idp.Viewer}, {consoleOperator, idp.Operator},
		{consoleAdmin, idp.Admin}} {
		t.Run(who.role.String()+who.login, func(t *testing.T) {
			c := newClient(t)
			c.get(w.url + "/launch") // a browser cookie
			if who.login != "" {
				c.login(c.get(w.launch("")), who.login, password)
			}
			csrf := ""
			if p := c.get(w.url + "/logout"); who.login != "" {
				csrf = p.form("csrf").Fields.Get("csrf")
			}
			routes := console.Routes()
			if len(routes) < 1 {
				t.Fatal("the console has no routes")
			}
			for _, r := range routes {
				path := w.url + params.ReplaceAllString(r.Path, "nothing-of-that-name")
				fields := url.Values(nil)
				if r.Method == http.MethodPost {
					fields = url.Values{"csrf": {csrf}, "once": {rand.Text()}}
				}
				if r.Stream {
					if got, want := c.begins(path), who.role >= r.Role; got != want {
						t.Errorf("%s: the stream begins: %v, want %v", r.Path, got, want)
					}
					continue
				}
				p := c.send(r.Method, path, fields)
				switch {
				case who.login == "" && r.Method == http.MethodGet && p.Status == http.StatusOK:
					if !strings.Contains(p.Body, `name="password"`) {
						t.Errorf("%s %s: a stranger sees\n%s", r.Method, r.Path, p.text())
					}
				case who.role < r.Role && p.Status != http.StatusForbidden:
					t.Errorf("%s %s: got %d, want 403: it is for %s", r.Method, r.Path, p.Status, r.Role)
				case who.role >= r.Role && (p.Status == http.StatusForbidden || p.Status >= 500):
					t.Errorf("%s %s: got %d for %s, whose it is:\n%s", r.Method, r.Path, p.Status, who.role, p.text())
				}
				if r.Role == idp.NoConsole {
					t.Errorf("%s %s has no role", r.Method, r.Path)
				}
				// Nothing without the token of our own form.
				if r.Method == http.MethodPost && who.role == idp.Admin {
					if p := c.send(r.Method, path, url.Values{"once": {rand.Text()}}); p.Status != http.StatusForbidden {
						t.Errorf("%s %s without its token: got %d, want 403", r.Method, r.Path, p.Status)
					}
				}
			}
		})
	}
}

// A session that ends, a person who leaves the group: out at once. A form of before
// is not taken.
func TestConsoleEntry(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	c := newClient(t)
	p := c.get(w.url + "/admin/settings?x=1")
	if p = c.login(p, consoleViewer, "wrong"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong password: got %d, want 422", p.Status)
	}
	p = c.login(p, consoleViewer, password)
	if p.URL.Path != "/admin/settings" || p.URL.RawQuery != "x=1" || !strings.Contains(p.text(), "heidi (viewer)") {
		t.Errorf("after the login at %s:\n%s", p.URL, p.text())
	}
	for _, secret := range []string{w.sandbox.TokenOptions().ClientSecret, password} {
		if strings.Contains(p.Body, secret) {
			t.Errorf("the settings show the secret %q", secret)
		}
	}
	if h := p.Header.Get("Content-Security-Policy"); !strings.Contains(h, "script-src 'self'") ||
		strings.Contains(h, "unsafe") {
		t.Errorf("content security policy %q", h)
	}
	c.submit(c.get(w.url+"/logout"), "csrf")
	if p = c.get(w.url + "/admin/settings"); !strings.Contains(p.Body, `name="password"`) {
		t.Errorf("after signing out:\n%s", p.text())
	}
	if p = c.login(p, consoleNobody, password); p.Status != http.StatusForbidden || !strings.Contains(p.text(),
		"No access to the admin console") {
		t.Errorf("somebody without a role: got %d\n%s", p.Status, p.text())
	}
	// An address elsewhere is never where the login leads.
	for _, evil := range []string{"/admin//evil.example/", "/admin/../../evil", `/admin/\evil.example`} {
		c := newClient(t)
		p := c.get(w.url + evil)
		if strings.Contains(p.Body, `name="password"`) {
			p = c.login(p, consoleViewer, password)
		}
		if p.URL.Host != strings.TrimPrefix(w.url, "http://") {
			t.Errorf("%s leads to %s", evil, p.URL)
		}
	}
}

func TestConsoleIsOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	if p := newClient(t).get(w.url + "/admin/"); p.Status != http.StatusNotFound {
		t.Errorf("without groups the console answers %d, want 404", p.Status)
	}
}

func TestConsoleSettings(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	b := w.console(t, consoleViewer, "/admin/settings")
	b.sees("public_url", w.url, "***", "configuration file", "Sign out")
	b.inspect("settings")
}
