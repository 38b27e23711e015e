package notices_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
	"ssobridge/web/notices"
)

// signs tells whether one of the signatures of a message is by a secret, as its receiver checks it by Standard
// Webhooks.
func signs(t *testing.T, secret string, r received) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 {
		t.Fatalf("the secret %q: %v", secret, err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.id() + "." + r.header.Get("Webhook-Timestamp") + "." + string(r.body)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return slices.Contains(strings.Split(r.header.Get("Webhook-Signature"), " "), want)
}

// A webhook gets ids alone, signed, once; names only where they were asked for (rows NTC-02, NTC-06).
func TestWebhook(t *testing.T) {
	to := newReceiver(t, nil)
	r := newRig(t, to)
	secret := r.webhook("billing", to, "account.*", "user.created")
	names := true
	url := to.URL + "/named"
	r.add("named", admin.NoticeWebhook, admin.NoticeInput{URL: &url, Names: &names}, "account.*")
	if err := r.db.Accounts().ReplaceAll(t.Context(), []store.Account{{ID: "a1", Name: "Harbour Books",
		BillingStatus: "Open"}},
		store.Event{Action: "list"}); err != nil {
		t.Fatal(err)
	}
	if err := r.db.Accounts().ReplaceAll(t.Context(), []store.Account{{ID: "a1", Name: "Harbour Books",
		BillingStatus: "Canceled"}}, store.Event{Action: "list"}); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.look()
	got := to.all()
	if len(got) != 2 {
		t.Fatalf("%d messages, want one for each subscription", len(got))
	}
	for _, m := range got {
		p := payload(t, m.body)
		data := p["data"].(map[string]any)
		if p["type"] != "account.cancelled" || p["id"] != m.id() || data["account"] != "a1" ||
			data["link"] != "https://sso.example.test/admin/accounts/of/a1" ||
			fmt.Sprint(data["detail"]) != "map[is:Canceled was:Open]" {
			t.Errorf("payload %s", m.body)
		}
		if named := strings.Contains(string(m.body), "Harbour"); named != (m.path == "/named") {
			t.Errorf("%s: %s", m.path, m.body)
		}
		if ours := signs(t, secret, m); ours != (m.path == "/billing") {
			t.Errorf("%s: signed by the secret of billing: %t", m.path, ours)
		}
		if at := m.header.Get("Webhook-Timestamp"); at != fmt.Sprint(r.now.now().Unix()) {
			t.Errorf("timestamp %s", at)
		}
	}
	if d := r.deliveries("billing"); len(d) != 1 || d[0].State != "sent" || d[0].Answer != "200" ||
		d[0].Message != got[0].id() {
		t.Errorf("deliveries %+v", d)
	}
}

// While a secret is rolled over, both sign; then the new one alone (row NTC-02).
func TestWebhookSecretRollOver(t *testing.T) {
	to := newReceiver(t, nil)
	r := newRig(t, to)
	was := r.webhook("billing", to, "user.created")
	_, is, err := r.admin.Set(t.Context(), admin.Everything(), "billing", admin.NoticeInput{NewSecret: true},
		store.Event{Actor: "admin:test"})
	if err != nil || is == was || is == "" {
		t.Fatalf("secret %q, %v", is, err)
	}
	for _, c := range []struct {
		after  time.Duration
		former bool
	}{{0, true}, {23 * time.Hour, true}, {2 * time.Hour, false}} {
		r.now.pass(c.after)
		r.happens(store.NoticeRecord{Class: store.NoticeUserCreated})
		r.look()
		all := to.all()
		last := all[len(all)-1]
		if !signs(t, is, last) || signs(t, was, last) != c.former {
			t.Errorf("after %v: signed by the new secret %t, by the former %t", c.after, signs(t, is, last), signs(t, was, last))
		}
	}
	if n := len(to.all()); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
}

// A receiver that fails gets the same message again, until it takes it. Others do not wait for it.
func TestWebhookIsTriedAgain(t *testing.T) {
	bad, good := newReceiver(t, nil), newReceiver(t, nil)
	r := newRig(t, bad, good)
	secret := r.webhook("bad", bad, "*")
	r.webhook("good", good, "*")
	bad.answers(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "out of order <b>", 500) })
	r.happens(store.NoticeRecord{Class: store.NoticeUserCreated, Subject: "p1"})
	r.look()
	if len(bad.all()) != 1 || len(good.all()) != 1 {
		t.Fatalf("%d and %d messages", len(bad.all()), len(good.all()))
	}
	if d := r.deliveries("bad")[0]; d.State != "waiting" || d.Answer != "500 out of order <b>" || d.Tries != 1 {
		t.Errorf("delivery %+v", d)
	}
	r.look()
	if n := len(bad.all()); n != 1 {
		t.Errorf("tried again at once: %d", n)
	}
	bad.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(503)
	})
	r.now.pass(11 * time.Second)
	r.look()
	r.now.pass(time.Minute)
	r.look()
	if n := len(bad.all()); n != 2 {
		t.Errorf("%d tries: it asked not to be tried for two minutes", n)
	}
	bad.answers(nil)
	r.now.pass(61 * time.Second)
	r.look()
	all := bad.all()
	if len(all) != 3 || all[0].id() != all[2].id() || string(all[0].body) != string(all[2].body) || !signs(t, secret,
		all[2]) {
		t.Errorf("%d messages, the last %s", len(all), all[len(all)-1].id())
	}
	if d := r.deliveries("bad")[0]; d.State != "sent" || d.Tries != 3 {
		t.Errorf("delivery %+v", d)
	}
	if s := r.subscription("bad"); s.Failures != 0 || s.SentAt.IsZero() {
		t.Errorf("it stands %+v", s)
	}
}

// After three days a notice is given up, and that is reported by another way (row NTC-03).
func TestGivenUp(t *testing.T) {
	bad, good := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), newReceiver(t, nil)
	r := newRig(t, bad, good)
	r.webhook("bad", bad, "*")
	r.webhook("good", good, "notice.*")
	r.happens(store.NoticeRecord{Class: store.NoticeUserCreated, Subject: "p1"})
	for range 100 { // hours
		r.look()
		r.now.pass(time.Hour)
	}
	d := r.deliveries("bad")
	if len(d) != 1 || d[0].State != "dead" || d[0].Tries < 12 || d[0].Tries > 30 {
		t.Fatalf("deliveries %+v", d)
	}
	if d[0].TriedAt.Sub(d[0].At) < 71*time.Hour || d[0].TriedAt.Sub(d[0].At) > 78*time.Hour {
		t.Errorf("given up %v after it happened", d[0].TriedAt.Sub(d[0].At))
	}
	all := good.all()
	if len(all) != 1 || payload(t, all[0].body)["type"] != "notice.given_up" {
		t.Errorf("the other way got %d messages", len(all))
	}
	if n := len(r.deliveries("good")); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

// Where a webhook may lead: to no internal address that is not listed, by no redirect, and nowhere without TLS (row
// NTC-02).
func TestWebhookAddresses(t *testing.T) {
	inside := newReceiver(t, nil)
	to := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, inside.URL+"/inside", http.StatusTemporaryRedirect)
	})
	r := newRig(t, to, inside)
	r.webhook("redirects", to, "*")
	r.happens(store.NoticeRecord{Class: store.NoticeUserCreated})
	r.look()
	if d := r.deliveries("redirects")[0]; d.State != "waiting" || !strings.HasPrefix(d.Answer, "307") ||
		len(inside.all()) != 0 {
		t.Errorf("delivery %+v; %d arrived behind the redirect", d, len(inside.all()))
	}
	// The same receiver, where loopback is not listed.
	roots := x509.NewCertPool()
	roots.AddCert(inside.Certificate())
	o := r.o
	o.Post = r.client(roots).Post
	r.engine = notices.New(o)
	r.webhook("internal", inside, "*")
	r.happens(store.NoticeRecord{Class: store.NoticeUserCreated})
	r.look()
	if d := r.deliveries("internal")[0]; !strings.Contains(d.Answer,
		"internal address that notices.internal_receivers does not") ||
		len(inside.all()) != 0 || strings.Contains(d.Answer, "/internal") {
		t.Errorf("delivery %+v; %d arrived", d, len(inside.all()))
	}
	for _, address := range []string{"http://example.test/x", "https://user:pass@example.test/", "ftp://example.test/",
		"https://example.test/#x", "/x", ""} {
		name := "x"
		if _, _, err := r.admin.Add(t.Context(), admin.Everything(), admin.NoticeInput{Name: &name, Kind: admin.NoticeWebhook,
			URL: &address, Classes: []string{"*"}}, store.Event{}); err == nil {
			t.Errorf("%q was taken", address)
		} else if e, ok := admin.AsError(err); !ok || e.Field != "url" || strings.Contains(e.Error(), "pass@") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A receiver that takes more than its time has not taken the message.
func TestWebhookTimesOut(t *testing.T) {
	ends := make(chan struct{})
	to := newReceiver(t, func(_ http.ResponseWriter, q *http.Request) {
		select {
		case <-q.Context().Done():
		case <-ends:
		}
	})
	defer close(ends)
	r := newRig(t, to)
	r.webhook("slow", to, "*")
	r.happens(store.NoticeRecord{Class: store.NoticeUserCreated})
	began := time.Now()
	r.look()
	if d := r.deliveries("slow")[0]; d.State != "waiting" || time.Since(began) > 25*time.Second ||
		strings.Contains(d.Answer, "/slow") {
		t.Errorf("after %v: %+v", time.Since(began), d)
	}
}
