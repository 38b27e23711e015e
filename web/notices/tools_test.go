package notices_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"crypto/x509"
	"errors"

	"ssobridge/certs"
	"ssobridge/idp/fetch"
	"ssobridge/store"
	"ssobridge/store/storetest"
	"ssobridge/web/admin"
	"ssobridge/web/notices"
)

// received is one request that a receiver got.
type received struct {
	header http.Header
	body   []byte
	path   string
}

func (r received) id() string { return r.header.Get("Webhook-Id") }

// receiver is a program that takes notices over TLS.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(w http.ResponseWriter, r *http.Request) // nil: 200
}

func newReceiver(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, received{q.Header.Clone(), body, q.URL.Path})
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func (r *receiver) answers(f func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// rig is a store with what delivers from it. The store's clock is the rig's.
type rig struct {
	t      *testing.T
	db     *store.DB
	sealer *certs.Sealer
	admin  admin.Notices
	engine *notices.Engine
	now    *clock
	mails  []notices.Letter
	o      notices.Options
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newRig(t *testing.T, receivers ...*receiver) *rig {
	t.Helper()
	r := &rig{t: t, now: &clock{at: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}}
	so := storetest.SQLite(t)
	so.Now = r.now.now
	var err error
	if r.db, err = store.Open(t.Context(), so); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	if r.sealer, err = certs.NewSealer([]byte("a secret key of the tests, 32 by")); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	for _, s := range receivers {
		roots.AddCert(s.Certificate())
	}
	client := r.client(roots, netip.MustParsePrefix("127.0.0.0/8"))
	r.admin = admin.Notices{Store: r.db, Sealer: r.sealer, Now: r.now.now, Check: client.CheckSecret, Mails: true}
	r.o = notices.Options{
		Notices: r.db.Notices(), People: r.db.People(), Accounts: r.db.Accounts(), Open: r.admin.Open, Post: client.Post,
		Mail: func(_ context.Context, l notices.Letter) error { r.mails = append(r.mails, l); return nil },
		MailOf: func(_ context.Context, p store.PersonID) (string, error) {
			if p == "gone" {
				return "", nil
			}
			return string(p) + "@example.test", nil
		},
		ConsoleURL: "https://sso.example.test", Bridge: "Example sign-in", Holder: "replica-1", Now: r.now.now,
		Logger: slog.New(slog.DiscardHandler),
	}
	r.engine = notices.New(r.o)
	return r
}

func (r *rig) client(roots *x509.CertPool, internal ...netip.Prefix) *fetch.Client {
	return fetch.New(fetch.Options{What: "a notice", MaxBytes: 1, TooLarge: errors.New("too large"),
		Internal: append([]netip.Prefix{}, internal...), Setting: "notices.internal_receivers", Roots: roots})
}

// add adds a subscription, and returns the secret of a webhook.
func (r *rig) add(name, kind string, in admin.NoticeInput, classes ...string) string {
	r.t.Helper()
	in.Name, in.Kind, in.Classes = &name, kind, classes
	_, secret, err := r.admin.Add(r.t.Context(), admin.Everything(), in, store.Event{Actor: "admin:test"})
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

// webhook adds a webhook of this name at a receiver.
func (r *rig) webhook(name string, at *receiver, classes ...string) (secret string) {
	r.t.Helper()
	url := at.URL + "/" + name
	return r.add(name, admin.NoticeWebhook, admin.NoticeInput{URL: &url}, classes...)
}

// happens stores notices.
func (r *rig) happens(all ...store.NoticeRecord) {
	r.t.Helper()
	for _, n := range all {
		if err := r.db.Notices().Add(r.t.Context(), n); err != nil {
			r.t.Fatal(err)
		}
	}
}

// look has what is due delivered.
func (r *rig) look() {
	r.t.Helper()
	if err := r.engine.Look(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.engine.Wait()
}

func (r *rig) subscription(name string) admin.NoticeSubscription {
	r.t.Helper()
	list, err := r.admin.List(r.t.Context(), admin.Everything())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("there is no subscription %s", name)
	return admin.NoticeSubscription{}
}

// deliveries are what became of the notices of a subscription, the newest first.
func (r *rig) deliveries(name string) []admin.NoticeDelivery {
	r.t.Helper()
	list, err := r.admin.Deliveries(r.t.Context(), admin.Everything(), admin.DeliveryFilter{Name: name,
		Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// payload reads what a program gets.
func payload(t *testing.T, body []byte) (p map[string]any) {
	t.Helper()
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return p
}
