package e2e_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

const hookSecret = "0123456789abcdef0123456789abcdef"

// hook posts what Constant Contact would, and returns the status.
func (w *world) hook(t testing.TB, secret, body string) int {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/webhooks/constant-contact/"+secret,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// readings counts the calls that read an account's plan.
func (w *world) readings(account string) int {
	n := 0
	for _, c := range w.sandbox.Calls() {
		if c.Method == http.MethodGet && strings.HasSuffix(c.Path, "/accounts/"+account+"/plan") {
			n++
		}
	}
	return n
}

// A webhook is a hint: the state is read again from the API, and nothing that it says is believed.
func TestWebhook(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "webhook_secret")
	if err := os.WriteFile(file, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// While held, Constant Contact answers no reading.
	held := make(chan struct{})
	w := newWorld(t, setting{set: map[string]string{"constant_contact.webhook.secret_file": file,
		"constant_contact.timeout": "50s"}, around: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/plan") {
				<-held
			}
			next.ServeHTTP(rw, r)
		})
	}})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	w.command(t, "accounts", "list", "--refresh")
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).says("Bob Brandt")

	genuine := func(account, key, event string) string {
		return `{"url":"https://elsewhere.example/v3/partner/accounts/` + account + `/plan","api_key":"` + key +
			`","event_type":"` + event + `"}`
	}
	key := sandbox.DefaultAPIKey
	// Refused before anything is read or called: a wrong secret is any unknown path.
	for name, r := range map[string]struct {
		secret, body string
		want         int
	}{
		"wrong secret": {strings.Repeat("f", 32), genuine(club, key, "tier.increase"), http.StatusNotFound},
		"no secret":    {"", genuine(club, key, "tier.increase"), http.StatusNotFound},
		"wrong key":    {hookSecret, genuine(club, "another-key", "tier.increase"), http.StatusForbidden},
		"no key":       {hookSecret, genuine(club, "", "tier.increase"), http.StatusForbidden},
		"no JSON":      {hookSecret, "account=" + club, http.StatusBadRequest},
		"no account": {hookSecret, `{"url":"https://x.example/","api_key":"` + key +
			`","event_type":"tier.increase"}`, http.StatusBadRequest},
		"an event of HTML": {hookSecret, genuine(club, key, "<script>"), http.StatusBadRequest},
		"more than it takes": {hookSecret, strings.Repeat(" ", 17<<10) + genuine(club, key, "tier.increase"),
			http.StatusRequestEntityTooLarge},
	} {
		if got := w.hook(t, r.secret, r.body); got != r.want {
			t.Errorf("%s: got %d, want %d", name, got, r.want)
		}
	}
	// None of ours is a success without a call, so that it does not come again for an hour.
	if got := w.hook(t, hookSecret, genuine("a0nothingofours", key, "tier.increase")); got != http.StatusNoContent {
		t.Errorf("an account that is none of ours: got %d", got)
	}

	// None of these had anything read: a genuine one is read within moments.
	<-time.After(2 * time.Second)
	if n := w.readings(club) + w.readings("a0nothingofours"); n != 0 {
		t.Errorf("%d readings for what was refused", n)
	}

	// It says that the account is cancelled, and it is not: it is read, once however often it comes, and bob still gets
	// in.
	for range 5 {
		if got := w.hook(t, hookSecret, genuine(club, key, "account.canceled")); got != http.StatusNoContent {
			t.Errorf("a genuine one: got %d, want 204", got)
		}
	}
	// They were answered while Constant Contact holds the reading back, for longer than anybody here waits for an answer.
	if n := w.readings(club); n != 0 {
		t.Errorf("the answers waited for %d readings", n)
	}
	release()
	if !eventually(func() bool { return w.readings(club) == 1 }) {
		t.Fatalf("%d readings, want 1", w.readings(club))
	}
	<-time.After(2 * time.Second)
	if n := w.readings(club); n != 1 {
		t.Errorf("%d readings within a minute, want 1", n)
	}
	if n := w.readings("a0nothingofours"); n != 0 {
		t.Errorf("an account that is none of ours was read %d times", n)
	}
	c.deliver(c.goOn(c.get(w.launch(club)))).says("Bob Brandt")

	// Another one is cancelled in truth, and the word for it is a friendly one: the API's counts.
	if err := w.sandbox.SetBillingStatus(books, "Canceled"); err != nil {
		t.Fatal(err)
	}
	if got := w.hook(t, hookSecret, genuine(books, key, "tier.increase")); got != http.StatusNoContent {
		t.Errorf("a genuine one: got %d, want 204", got)
	}
	if !eventually(func() bool { return strings.Contains(w.command(t, "accounts", "list"), "Canceled") }) {
		t.Fatalf("the state was not read:\n%s", w.command(t, "accounts", "list"))
	}
	d := newClient(t)
	d.goOn(d.login(d.get(w.launch(books)), "eve", password)).status(http.StatusForbidden).says("This account is closed")
	if n := w.creations(); n != 1 {
		t.Errorf("%d creations, want that of bob alone", n)
	}

	// The whole way: subscribed by the command, a third account is cancelled, and Constant Contact posts by itself.
	if out := w.command(t, "webhooks", "set"); !strings.Contains(out, "topic 3 is posted to "+w.url) ||
		strings.Contains(out, hookSecret) {
		t.Errorf("webhooks set:\n%s", out)
	}
	if err := w.sandbox.SetBillingStatus(bakery, "Canceled"); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return strings.Count(w.command(t, "accounts", "list"), "Canceled") == 2 }) {
		t.Errorf("what Constant Contact posted was not followed:\n%s", w.command(t, "accounts", "list"))
	}
	// Neither the secret nor the key stands in the log.
	if log := w.out.String(); strings.Contains(log, hookSecret) || strings.Contains(log, key) {
		t.Error("the log has the webhook's secret or the API key")
	}
}
