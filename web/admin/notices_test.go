package admin_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// Where notices go is bound to its subscription, sealed anew with another secret key, and lost with the last one that
// opens it (row NTC-04).
func TestNoticesAreSealed(t *testing.T) {
	w := newWorld(t)
	ctx, all := t.Context(), admin.Everything()
	former, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{8}, 32), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	event := store.Event{At: time.Now(), Actor: "ann", Outcome: "ok"}
	notices := admin.Notices{Store: w.db, Sealer: former, Now: time.Now, Check: func(string) error { return nil }}
	for _, name := range []string{"one", "two"} {
		url := "https://hooks.example.test/" + name + "/SECRET"
		if _, _, err := notices.Add(ctx, all, admin.NoticeInput{Name: &name, Kind: admin.NoticeSlack, URL: &url,
			Classes: []string{"*"}}, event); err != nil {
			t.Fatal(err)
		}
	}
	list, err := w.db.Notices().Subscriptions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	moved := list[0]
	moved.Sealed = list[1].Sealed
	if _, err := notices.Open(moved); err == nil {
		t.Error("a target opens at another subscription")
	}
	moved = list[0]
	moved.Kind = admin.NoticeWebhook // whose address would be shown
	if _, err := notices.Open(moved); err == nil {
		t.Error("a target opens as that of another kind")
	}
	secrets := admin.Secrets{Store: w.db, Sealer: sealer, IdP: w.idpWith(t, sealer),
		Audit:   admin.Audit{Store: w.db, Sealer: sealer, Now: time.Now},
		Lacking: func(context.Context) ([]string, error) { return nil, nil },
		Chain:   func(context.Context) error { return nil }, Journal: func(context.Context) error { return nil }}
	status, err := secrets.Status(ctx, all)
	if err != nil || len(status.Keys[1].NeededBy) != 1 ||
		status.Keys[1].NeededBy[0].Text() != "2 subscriptions to notices" {
		t.Fatalf("status %+v, %v", status, err)
	}
	if err := w.db.SecretKeys().Use(ctx, status.Keys[1].ID, event); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := secrets.Rotate(ctx, all, event); err != nil || changed != 2 {
		t.Errorf("rotated %d, %v", changed, err)
	}
	notices.Sealer = sealer
	for _, name := range []string{"one", "two"} {
		shown, err := notices.Get(ctx, all, name)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := notices.Open(shown.Subscription); err != nil ||
			opened.URL != "https://hooks.example.test/"+name+"/SECRET" ||
			shown.Target != "https://hooks.example.test/…" {
			t.Errorf("%s: %+v, shown %q, %v", name, opened, shown.Target, err)
		}
	}
	notices.Sealer = former
	shown, err := notices.List(ctx, all)
	if err != nil || len(shown) != 2 || !shown[0].Unreadable || shown[0].Target != "" {
		t.Errorf("without the secret key: %+v, %v", shown, err)
	}
	_, _, err = notices.Set(ctx, all, "one", admin.NoticeInput{Classes: []string{"user.created"}}, event)
	refused(t, "changed without the secret key", err, admin.Input, "name", admin.NoAct, "can't be opened")
	if err := notices.Remove(ctx, all, "one", event); err != nil {
		t.Errorf("removed without the secret key: %v", err)
	}
	// Subscriptions are about all client accounts.
	some := admin.Accounts(harbour)
	_, _, addErr := notices.Add(ctx, some, admin.NoticeInput{Kind: admin.NoticeSlack}, event)
	_, _, setErr := notices.Set(ctx, some, "two", admin.NoticeInput{}, event)
	for what, err := range map[string]error{"add": addErr, "set": setErr, "list": second(notices.List(ctx, some)),
		"get": second(notices.Get(ctx, some, "two")), "remove": notices.Remove(ctx, some, "two", event),
		"test": second(notices.Test(ctx, some, "two")), "deliveries": second(notices.Deliveries(ctx, some, admin.DeliveryFilter{Limit: 10})), "resend": second(notices.Resend(ctx, some, "two", nil,
			event))} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
	events, err := w.db.Audit().List(ctx, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if strings.Contains(string(e.Detail)+e.Subject, "SECRET") {
			t.Errorf("event %+v", e)
		}
	}
}

// Health says what does not arrive.
func TestHealthOfNotices(t *testing.T) {
	s, at := healthOf(t)
	ctx := t.Context()
	look := func(want admin.Level, detail string) {
		t.Helper()
		p, ok := s.LookForHealth(ctx, admin.Health{}).Part(admin.PartNotices)
		if !ok || p.Level != want || !strings.Contains(p.Worst().Detail, detail) {
			t.Errorf("notices: %+v, want level %d and %q", p, want, detail)
		}
	}
	look(admin.OK, "")
	n := s.Store.Notices()
	if err := n.Subscribe(ctx, store.Subscription{ID: "s1", Name: "billing", Kind: admin.NoticeWebhook,
		Classes: []string{"*"},
		Sealed:  []byte("x")}, store.Event{Action: "notices-add"}); err != nil {
		t.Fatal(err)
	}
	look(admin.OK, "")
	fail := func(dead bool) {
		t.Helper()
		if err := n.Add(ctx, store.NoticeRecord{Class: store.NoticeBudgetLow}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Spread(ctx); err != nil {
			t.Fatal(err)
		}
		c, ok, err := n.Claim(ctx, "s1", "r", time.Minute)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		r := store.DeliveryResult{Subscription: "s1", Holder: "r", Notices: []int64{c.Due[0].ID}, Answer: "500 no",
			Failures: c.Failures + 1, RetryAt: c.Now.Add(time.Hour)}
		if dead {
			r.Dead = r.Notices
		}
		if err := n.Settle(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	fail(false)
	look(admin.OK, "")
	fail(false)
	fail(false)
	look(admin.Warning, "the last 3 tries failed; the last answer: 500 no")
	fail(true)
	look(admin.Warning, "given up after three days; the last answer: 500 no")
	at.Time = at.Add(25 * time.Hour)
	look(admin.Warning, "the last 4 tries failed")
}
