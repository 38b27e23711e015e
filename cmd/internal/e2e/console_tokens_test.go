package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"html"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

var tokenText = regexp.MustCompile(`ssob_[a-z2-7]+_[a-z2-7]+`)

// tokenIn is the token that a page shows.
func (p *page) tokenIn() string {
	p.t.Helper()
	text := tokenText.FindString(p.Body)
	if text == "" {
		p.t.Fatalf("%s shows no token:\n%s", p.URL.Path, p.text())
	}
	return text
}

// works tells whether a token opens the REST API.
func (w *world) works(t testing.TB, token string) bool {
	t.Helper()
	r, err := (&caller{t: t, url: w.url, token: token}).try(http.MethodGet, "/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.status == http.StatusOK
}

// A token is created, rotated and revoked in the console: shown once, with what a thief could do beside each scope; a
// privileged scope needs a second factor, and an id that nobody has is refused.
func TestConsoleTokens(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, apiSetting())
	b := w.console(t, consoleAdmin, "/admin/tokens")
	b.sees("No tokens")
	b.inspect("tokens-none")
	b.press("Create token")
	b.sees("Somebody who steals the token could")
	b.inspect("tokens-new")

	c := w.enter(t, consoleAdmin)
	form := c.get(w.url + "/admin/tokens/new")
	refused := c.submitForm(form, "/admin/tokens/new", "name", "", "days", "9000", "from", "everywhere")
	if refused.Status != http.StatusUnprocessableEntity || tokenText.MatchString(refused.Body) {
		t.Errorf("a token of nothing: %d\n%s", refused.Status, refused.text())
	}
	refused.says("the token has no name", "the token has no scope", "is neither an address nor a network", "can't be")
	refused = c.submitForm(c.get(w.url+"/admin/tokens/new"), "/admin/tokens/new", "name", "Shop", "days", "10",
		"scope-providers:write", "1")
	if refused.Status != http.StatusForbidden || tokenText.MatchString(refused.Body) {
		t.Errorf("a privileged scope without a second factor: %d\n%s", refused.Status, refused.text())
	}
	refused.says("needs a second factor")

	form = c.get(w.url + "/admin/tokens/new")
	made := c.submitForm(form, "/admin/tokens/new", "name", "Billing <b>", "days", "10", "scope-status:read", "1", "from",
		"127.0.0.0/8\n::1")
	made.status(http.StatusOK).says("Copy the token now", "Billing <b>")
	first := made.tokenIn()
	if !w.works(t, first) {
		t.Error("the token that was created opens nothing")
	}
	if again := c.submitForm(form, "/admin/tokens/new", "name", "Billing <b>", "days", "10", "scope-status:read",
		"1"); tokenText.MatchString(again.Body) {
		t.Errorf("a form that is sent twice makes two tokens:\n%s", again.text())
	}
	list := c.get(w.url + "/admin/tokens")
	list.says("1 token can use the REST API.", "Billing <b>", "Active", "status:read")
	if strings.Contains(list.Body, first) {
		t.Error("the list shows the token")
	}

	id := regexp.MustCompile(`/admin/tokens/of/([a-z2-7]+)/rotate`).FindStringSubmatch(list.Body)[1]
	rotate := "/admin/tokens/of/" + id + "/rotate"
	refused = c.submitForm(c.get(w.url+rotate), rotate, "overlap", "100000")
	if refused.Status != http.StatusUnprocessableEntity || tokenText.MatchString(refused.Body) {
		t.Errorf("an overlap of years: %d\n%s", refused.Status, refused.text())
	}
	second := c.submitForm(c.get(w.url+rotate), rotate, "overlap", "1", "days", "10").status(http.StatusOK).tokenIn()
	if second == first || !w.works(t, second) || !w.works(t, first) {
		t.Errorf("rotated: the new one works: %v, the old one within its overlap: %v", w.works(t, second), w.works(t, first))
	}
	c.get(w.url + rotate).status(http.StatusNotFound) // it was rotated already

	b.open(w.url + "/admin/tokens")
	b.sees("Rotated", "Active")
	b.inspect("tokens")
	revoke := "/admin/tokens/of/" + id + "/revoke"
	question := c.get(w.url + revoke)
	question.says("The next call with this token is refused")
	if !w.works(t, first) {
		t.Error("the question alone has revoked it")
	}
	c.submitForm(question, revoke).says("The token is revoked")
	if w.works(t, first) || !w.works(t, second) {
		t.Errorf("revoked: the old one works: %v, the new one: %v", w.works(t, first), w.works(t, second))
	}
	c.get(w.url + "/admin/tokens/of/nothing/revoke").status(http.StatusNotFound)
	if out := w.command(t, "audit", "list", "--action", "token-revoke"); !strings.Contains(out, id) {
		t.Errorf("the audit log has no revocation of %s:\n%s", id, out)
	}

	// A viewer sees what there is, and no button.
	seen := w.enter(t, consoleViewer).get(w.url + "/admin/tokens").says("Billing <b>")
	if strings.Contains(seen.Body, "/revoke") || strings.Contains(seen.Body, "/new") {
		t.Error("a viewer is offered what they may not do")
	}
}

// With a second factor of the same login, a privileged scope is given, for 30 days at most.
func TestConsolePrivilegedToken(t *testing.T) {
	t.Parallel()
	s := apiSetting()
	s.set["second_factor.console"] = "required"
	w := newConsoleWorld(t, s)
	c := newClient(t)
	enrol := c.login(c.get(w.url+"/admin/"), consoleAdmin, password)
	c.enrolApp(enrol, "invite", w.invite(t, consoleAdmin))
	p := c.submitForm(c.get(w.url+"/admin/tokens/new"), "/admin/tokens/new", "name", "Operations", "days", "31",
		"scope-providers:write", "1")
	if p.Status != http.StatusUnprocessableEntity || tokenText.MatchString(p.Body) {
		t.Errorf("31 days with a privileged scope: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(c.get(w.url+"/admin/tokens/new"), "/admin/tokens/new", "name", "Operations", "days", "30",
		"scope-providers:write", "1")
	p.status(http.StatusOK).tokenIn()
	if out := w.command(t, "tokens", "list", "--json"); !strings.Contains(out, `"vouched_by"`) {
		t.Errorf("nobody vouches for the token:\n%s", out)
	}
}

// A subscription is added, tested, changed and removed in the console; the secret of a webhook is shown once, a
// receiver that refuses is named with its answer, and no page shows the address of a chat.
func TestConsoleNotices(t *testing.T) {
	t.Parallel()
	r, caFile := newNoticeReceiver(t)
	w := newConsoleWorld(t, setting{set: map[string]string{"notices.ca_file": caFile,
		"notices.internal_receivers": "127.0.0.0/8"}})
	b := w.console(t, consoleAdmin, "/admin/notices")
	b.sees("No subscriptions")
	b.inspect("notices-none")
	b.press("Add subscription")
	b.sees("Quiet hours")
	b.inspect("notices-new")

	c := w.enter(t, consoleAdmin)
	const path = "/admin/notices/new"
	refused := c.submitForm(c.get(w.url+path), path, "name", "billing", "kind", "webhook", "url", "http://127.0.0.1/x",
		"class-account.*", "1")
	if refused.Status != http.StatusUnprocessableEntity {
		t.Errorf("an address without TLS: %d\n%s", refused.Status, refused.text())
	}
	refused.says("its scheme is http")
	refused = c.submitForm(c.get(w.url+path), path, "name", "billing", "kind", "webhook", "url", r.URL+"/hook")
	if refused.Status != http.StatusUnprocessableEntity || strings.Contains(refused.Body, r.URL) {
		t.Errorf("no class: %d, or the page shows the address\n%s", refused.Status, refused.text())
	}
	added := c.submitForm(c.get(w.url+path), path, "name", "billing & co", "kind", "webhook", "url", r.URL+"/hook",
		"class-account.*", "1", "quiet", "22:00-06:00")
	added.status(http.StatusOK).says("Copy the secret now")
	secret := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(html.UnescapeString(added.Body))
	if secret == "" {
		t.Fatalf("no secret is shown:\n%s", added.text())
	}
	chat := "/services/T000/" + strings.Repeat("s3cret", 3)
	c.submitForm(c.get(w.url+path), path, "name", "chat", "kind", "slack", "url", r.URL+chat, "classes",
		"directory.down").says("The subscription is added")

	list := c.get(w.url + "/admin/notices")
	list.says("billing & co", "account.*", "Quiet 22:00-06:00 UTC", "chat", "directory.down")
	if strings.Contains(list.Body, "s3cret") || strings.Contains(list.Body, secret) {
		t.Error("the list shows a secret")
	}
	tested := c.submitForm(list, "/admin/notices/test", "name", "billing & co")
	tested.status(http.StatusOK).says("The test arrived")
	if id := r.next(t, patience); id == "" {
		t.Error("a test without an id")
	}

	const one = "/admin/notices/one"
	edit := c.get(w.url + one + "?name=billing+%26+co").says("22:00-06:00")
	changed := c.submitForm(edit, one, "quiet", "", "secret", "1")
	changed.status(http.StatusOK).says("Copy the secret now", "signs as well until")
	if again := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(html.UnescapeString(changed.Body)); again == "" || again == secret {
		t.Error("no new secret is shown")
	}
	c.get(w.url + one + "?name=nobody").status(http.StatusNotFound)
	// Who has the page of before does not undo what another has stored, and sees it.
	before, leaving := c.get(w.url+one+"?name=chat"), c.get(w.url+"/admin/notices/remove?name=chat")
	w.command(t, "notices", "set", "chat", "--quiet", "01:00-02:00")
	late := c.submitForm(before, one, "classes", "budget.low")
	late.status(http.StatusConflict).
		says("was changed by somebody else meanwhile")
	if !strings.Contains(late.Body, `value="01:00-02:00"`) {
		t.Error("the form does not show what is stored now")
	}
	if out := w.command(t, "notices", "list", "--json"); strings.Contains(out, "budget.low") {
		t.Errorf("it was overwritten: %s", out)
	}
	c.submitForm(leaving, "/admin/notices/remove").status(http.StatusConflict).
		says("was changed by somebody else meanwhile")
	c.submitForm(late, one, "quiet", "").says("The subscription is changed")
	b.open(w.url + "/admin/notices")
	b.sees("billing & co", "Send test")
	b.inspect("notices")
	b.open(w.url + one + "?name=chat")
	b.sees("Leave empty to keep")
	b.inspect("notices-one")

	// What has arrived is sent once more by its button, under the same id.
	w.command(t, "accounts", "list", "--refresh")
	if err := w.sandbox.SetBillingStatus(books, "Canceled"); err != nil {
		t.Fatal(err)
	}
	w.command(t, "accounts", "list", "--refresh")
	first := r.next(t, patience)
	var delivered *page
	if !eventually(func() bool {
		delivered = c.get(w.url + "/admin/notices/deliveries?name=billing+%26+co")
		return strings.Contains(delivered.text(), "Delivered")
	}) {
		t.Fatalf("not delivered:\n%s", delivered.text())
	}
	c.submitForm(delivered, "/admin/notices/resend").says("The notices are sent again")
	if again := r.next(t, patience); again != first {
		t.Errorf("sent again as %s, want %s", again, first)
	}

	r.Close() // nobody answers any more
	failed := c.submitForm(c.get(w.url+"/admin/notices"), "/admin/notices/test", "name", "billing & co")
	if failed.Status != http.StatusBadGateway {
		t.Errorf("a receiver that is gone: %d\n%s", failed.Status, failed.text())
	}
	failed.says("the test did not arrive")
	c.get(w.url + "/admin/notices/deliveries?undelivered=1").says("No undelivered notices")
	b.open(w.url + "/admin/notices/deliveries")
	b.sees("Deliveries")
	b.inspect("notices-deliveries")

	question := c.get(w.url + "/admin/notices/remove?name=chat").says("gets no more notices")
	c.submitForm(question, "/admin/notices/remove").says("The subscription is removed")
	if out := w.command(t, "notices", "list"); strings.Contains(out, "chat") {
		t.Errorf("it is still there:\n%s", out)
	}
}

// A client with a key is created and rotated in the console: no token is shown, since there is none. REST-22
func TestConsoleClients(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, apiSetting())
	c := w.enter(t, consoleAdmin)
	key := func() string {
		one, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(publicKeyFile(t, one))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	create := func(key string) *page {
		return c.submitForm(c.get(w.url+"/admin/tokens/new"), "/admin/tokens/new", "name", "CRM", "days", "10",
			"scope-status:read", "1", "key", key)
	}
	refused := create("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	if refused.Status != http.StatusUnprocessableEntity {
		t.Errorf("a private key: %d", refused.Status)
	}
	refused.says("the public key can't be used")
	first := key()
	made := create(first).status(http.StatusOK).says("The client is created", "ES256", w.url+"/api/v1/token")
	if tokenText.MatchString(made.Body) {
		t.Error("a client with a key has a token")
	}
	list := c.get(w.url + "/admin/tokens").says("Proves itself by a key (ES256); no access token is active")
	id := regexp.MustCompile(`/admin/tokens/of/([a-z2-7]+)/rotate`).FindStringSubmatch(list.Body)[1]
	rotate := "/admin/tokens/of/" + id + "/rotate"
	for what, text := range map[string]string{"no key": "", "the same key": first} {
		if p := c.submitForm(c.get(w.url+rotate), rotate, "overlap", "1", "days", "10", "key", text); p.Status !=
			http.StatusUnprocessableEntity {
			t.Errorf("rotated with %s: %d", what, p.Status)
		}
	}
	c.submitForm(c.get(w.url+rotate), rotate, "overlap", "1", "days", "10", "key", key()).status(http.StatusOK).says(
		"The client is created")
}
