package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/partnerapi/sandbox"
)

func TestConsoleAccounts(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "webhook_secret")
	if err := os.WriteFile(secret, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newConsoleWorld(t, setting{set: map[string]string{"constant_contact.webhook.secret_file": secret,
		"constant_contact.operations": "GET /contacts,POST /contacts"},
		// a busy machine makes calls bunch; what a limit does is tested elsewhere
		sandbox: sandbox.Options{PerSecond: manyPerSecond},
	})
	c := w.enter(t, consoleAdmin)
	p := c.get(w.url + "/admin/accounts")
	p = c.submitForm(p, "/admin/accounts/refresh")
	if p.Status != http.StatusOK || !strings.Contains(p.text(), "Juniper Bakery") || !strings.Contains(p.text(),
		"Harbour <Books> & Co") {
		t.Fatalf("after reading the list: %d\n%s", p.Status, p.text())
	}
	if p = c.get(w.url + "/admin/accounts?find=juniper"); strings.Contains(p.text(), "Harbour") ||
		!strings.Contains(p.text(), bakery) {
		t.Errorf("searched for juniper:\n%s", p.text())
	}

	// Nothing is created before the order was seen, and what is wrong stands beside its field.
	p = c.submitForm(c.get(w.url+"/admin/accounts/new"), "/admin/accounts/new", "owner", "nobody-of-that-name",
		"organization_name", "New & Co", "country_code", "us", "state_code", "MA")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-owner"`) || !strings.Contains(p.Body,
		`value="New &amp; Co"`) {
		t.Errorf("an owner who is not there: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, "/admin/accounts/new", "owner", "bob", "country_code", "usa!")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-country_code"`) {
		t.Errorf("a country that is none: %d\n%s", p.Status, p.text())
	}
	before := len(w.sandbox.Calls())
	p = c.submitForm(p, "/admin/accounts/new", "owner", "bob", "country_code", "us")
	if p.Status != http.StatusOK || !strings.Contains(p.text(), "This will be sent") || len(w.sandbox.Calls()) != before {
		t.Fatalf("the order: %d\n%s", p.Status, p.text())
	}
	sent := p
	p = c.submitForm(p, "/admin/accounts/new")
	if !strings.Contains(p.text(), "The client account was created") || !strings.Contains(p.text(), "New & Co") {
		t.Fatalf("created: %d\n%s", p.Status, p.text())
	}
	own := p.URL.Path
	if p = c.submitForm(sent, "/admin/accounts/new"); p.Status != http.StatusConflict || !strings.Contains(p.text(),
		"nothing is done twice") {
		t.Errorf("the same form once more: %d\n%s", p.Status, p.text())
	}

	p = c.submitForm(c.get(w.url+own), own+"/plan", "plan", "GOLD", "billing_day", "40")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `id="e-billing_day"`) {
		t.Errorf("a day that is none: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, own+"/plan", "plan", "GOLD", "billing_day", "3"); !strings.Contains(p.text(),
		"The plan was changed") || !strings.Contains(p.text(), "GOLD") {
		t.Errorf("the plan: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, own+"/cancel", "typed", bakery); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.text(), "nothing was cancelled") {
		t.Errorf("cancel with another id typed: %d\n%s", p.Status, p.text())
	}
	id := strings.TrimPrefix(own, "/admin/accounts/of/")
	if p = c.submitForm(p, own+"/cancel", "typed", id, "reason_id", "1"); !strings.Contains(p.text(),
		"The account is cancelled") {
		t.Errorf("cancel: %d\n%s", p.Status, p.text())
	}

	// Contacts are unsubscribed, and calls on behalf of an account made, as far as the configuration lists them.
	club := "/admin/accounts/of/" + club
	if p = c.submitForm(c.get(w.url+club), club+"/unsubscribe", "addresses",
		"no address"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "no address</textarea>") ||
		!strings.Contains(p.Body, `id="e-addresses"`) {
		t.Errorf("addresses that are none: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, club+"/unsubscribe", "addresses", "a@example.com\nb@example.com", "source",
		"Contact"); !strings.Contains(p.text(), "The contacts were unsubscribed.") {
		t.Errorf("unsubscribed: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(c.get(w.url+club), club+"/call", "method", "GET", "path", "/contacts", "query",
		"limit=10"); p.Status != http.StatusOK || !strings.Contains(p.text(), "Answer") {
		t.Errorf("a call: %d\n%s", p.Status, p.text())
	}
	calls := len(w.sandbox.Calls())
	for name, k := range map[string]struct{ method, path, query, writes, says string }{
		"not listed":      {"DELETE", "/contacts", "", "1", "does not list DELETE /contacts"},
		"up and away":     {"GET", "/contacts/../account", "", "", "has the part . or .."},
		"a query of text": {"GET", "/contacts", "limit", "", "want KEY=VALUE"},
		"unticked":        {"POST", "/contacts", "", "", "Tick the box"},
	} {
		p = c.submitForm(c.get(w.url+club), club+"/call", "method", k.method, "path", k.path, "query", k.query,
			"writes", k.writes)
		if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), k.says) || !strings.Contains(p.Body,
			`value="`+k.path+`"`) {
			t.Errorf("%s: %d\n%s", name, p.Status, p.text())
		}
	}
	if n := len(w.sandbox.Calls()); n != calls {
		t.Errorf("%d calls went out that are not allowed", n-calls)
	}

	// Webhooks are posted here and end; the secret in their address is never shown.
	const hooks = "/admin/accounts/webhooks"
	p = c.get(w.url + hooks).says("nowhere")
	p = c.submitForm(p, hooks, "topic", "3", "do", "set").says("This topic is now sent to the bridge.", "this bridge")
	if strings.Contains(p.Body, hookSecret) {
		t.Error("the page shows the secret of the webhook")
	}
	p = c.submitForm(p, hooks, "topic", "3", "do", "test").says("sending a test")
	c.submitForm(p, hooks, "topic", "3", "do", "remove").says("no longer sent")
	c.submitForm(c.get(w.url+hooks), hooks, "topic", "9", "do", "set").status(http.StatusNotFound)

	b := w.console(t, consoleAdmin, "/admin/accounts")
	b.open(w.url + hooks)
	b.sees("Sent to")
	b.inspect("accounts-webhooks")
	b.open(w.url + "/admin/accounts/adoption")
	b.sees("Juniper Bakery", "Entitled, as far as known", "Signed in within 30 days")
	b.inspect("accounts-adoption")
	c.get(w.url + "/admin/accounts/adoption?find=juniper").says(bakery)
	file := c.get(w.url + "/admin/accounts/adoption/file?find=juniper")
	if want := "account,name,role,entitled,created,signed_in_30_days\n" + bakery + ",Juniper Bakery,,0,0,0\n"; file.Body !=
		want {
		t.Errorf("the file of the adoption is %q, want %q", file.Body, want)
	}
	b.open(w.url + "/admin/accounts")
	b.inspect("accounts")
	b.open(w.url + own)
	b.sees("Launch link")
	b.inspect("accounts-one")
	b.open(w.url + "/admin/accounts/new")
	b.sees("Review")
	b.inspect("accounts-new")
}
