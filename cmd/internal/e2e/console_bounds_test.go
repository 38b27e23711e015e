package e2e_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/store"
)

// ID-28: what people who are in the console can't do: hold the server by live pages, take a part of the audit for the
// whole, or read the addresses of other systems, which may hold a secret.
func TestConsoleBounds(t *testing.T) {
	t.Parallel()
	w := newWorldWithConsole(t)
	t.Run("live pages", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		open := func(ctx context.Context, c *client) int {
			t.Helper()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/admin/provisioning/live", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := c.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = res.Body.Close() })
			return res.StatusCode
		}
		viewer, again := w.enter(t, consoleViewer), w.enter(t, consoleViewer)
		for i := range 6 {
			if got := open(ctx, []*client{viewer, again}[i%2]); got != http.StatusOK {
				t.Fatalf("live page %d: %d", i+1, got)
			}
		}
		// Another browser of the same person is no way around it.
		for _, c := range []*client{viewer, again, w.enter(t, consoleViewer)} {
			if got := open(ctx, c); got != http.StatusTooManyRequests {
				t.Errorf("one more: %d", got)
			}
		}
		if got := open(ctx, w.enter(t, consoleOperator)); got != http.StatusOK {
			t.Errorf("of another person: %d", got)
		}
		end()
		if !eventually(func() bool { return open(t.Context(), viewer) == http.StatusOK }) {
			t.Error("none is opened after the others ended")
		}
	})
	t.Run("addresses of other systems", func(t *testing.T) {
		const other = "http://127.0.0.1:9/their-secret"
		w.command(t, "webhooks", "set", "3", "--url", other)
		const hooks = "/admin/accounts/webhooks"
		if p := w.enter(t, consoleAdmin).get(w.url + hooks); !strings.Contains(p.Body, "their-secret") {
			t.Errorf("an administrator does not see it:\n%s", p.text())
		}
		c := w.enter(t, consoleOperator)
		p := c.get(w.url + hooks).status(http.StatusOK)
		if strings.Contains(p.Body, "their-secret") {
			t.Errorf("an operator sees it:\n%s", p.text())
		}
		for _, path := range []string{"/admin/audit", "/admin/audit/export?format=jsonl"} {
			if p := c.get(w.url + path); strings.Contains(p.Body, "their-secret") {
				t.Errorf("%s shows it", path)
			}
		}
		w.enter(t, consoleViewer).get(w.url + hooks).status(http.StatusForbidden)
	})
	t.Run("an export that breaks off", func(t *testing.T) {
		c := w.enter(t, consoleOperator)
		export := func(format string) (string, error) {
			t.Helper()
			res, err := c.http.Get(w.url + "/admin/audit/export?format=" + format)
			if err != nil {
				return "", err
			}
			defer func() { _ = res.Body.Close() }()
			body, err := io.ReadAll(res.Body)
			return string(body), err
		}
		for _, format := range []string{"jsonl", "csv"} {
			if body, err := export(format); err != nil || !strings.Contains(body, store.ExportEnd) {
				t.Errorf("whole, %s: %v", format, err)
			}
		}
		db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		// In its middle, by an event that can't be written.
		if _, err := db.Exec(
			"UPDATE audit_events SET detail = '{' WHERE id = (SELECT MAX(id) FROM audit_events)"); err != nil {
			t.Fatal(err)
		}
		if body, err := export("jsonl"); err == nil || !strings.Contains(body, `"action":"login"`) || strings.Contains(body,
			store.ExportEnd) {
			t.Errorf("broken off in the middle: it looks whole: %v\n%s", err, body)
		}
		// And where the database fails.
		if _, err := db.Exec("ALTER TABLE audit_chain RENAME TO audit_chain_away"); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"jsonl", "csv"} {
			if body, err := export(format); err == nil || strings.Contains(body, store.ExportEnd) {
				t.Errorf("broken off, %s: it looks whole: %v", format, err)
			}
		}
		if out, err := w.tryCommand("audit", "export"); err == nil || strings.Contains(out, store.ExportEnd) {
			t.Errorf("by command: %v", err)
		}
	})
}

// newWorldWithConsole is newConsoleWorld without its last look at the audit, which a test has broken.
func newWorldWithConsole(t *testing.T) *world {
	t.Helper()
	return newWorld(t, setting{set: consoleGroups(t)})
}

// consoleGroups are the settings that give the sample directory's groups a role in the console.
func consoleGroups(t *testing.T) map[string]string {
	t.Helper()
	slapd := directorytest.SharedSlapd(t).GroupDN
	return map[string]string{
		"console.viewer_group": slapd("emea"), "console.operator_group": slapd("ring-a"),
		"console.admin_group": slapd("ctct-a07e1lxqqqo1-campaign_creator"), "second_factor.console": "off",
	}
}
