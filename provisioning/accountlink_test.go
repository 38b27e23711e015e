package provisioning_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// TestLinkOfAnother: while the list is read for one order, another one of the same organization comes to its client
// account, by another replica. That account is in the list, and not the first one's.
func TestLinkOfAnother(t *testing.T) {
	w := accountWorld(t, settings{})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultAcceptLater, Path: "partner/accounts", Method: http.MethodPost,
		Times: 1, Delay: 10 * time.Minute})
	alices, err := w.CreateAccount(t.Context(), w.order(), "admin:test")
	if err != nil || alices.State != store.RequestAccepted {
		t.Fatalf("CreateAccount: got %s, %v, want accepted", alices.State, err)
	}
	var (
		once sync.Once
		bobs store.AccountRequest
	)
	tokens := w.sandbox.TokenOptions()
	tokens.Now, tokens.MinInterval = w.now, time.Nanosecond
	client, err := partnerapi.New(partnerapi.Options{
		BaseURL: w.sandbox.BaseURL(), APIKey: sandbox.DefaultAPIKey, Now: w.now, Budget: w.db.Budget(w.limits),
		Tokens: must(partnerapi.NewTokenSource(tokens))(t),
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/partner/accounts") {
				once.Do(func() {
					order := w.order(func(o *provisioning.AccountOrder) { o.Owner = "bob" })
					bobs = must(w.CreateAccount(t.Context(), order, "admin:test"))(t)
				})
			}
			return http.DefaultTransport.RoundTrip(r)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.serve(w.db, client).RetryAccount(t.Context(), alices.ID, "", "admin:test")
	if bobs.State != store.RequestCreated {
		t.Fatalf("the other order: %+v", bobs)
	}
	if r := w.request(alices.ID); r.State != store.RequestAccepted || r.Account != "" {
		t.Errorf("the order is %s as %s (%v), which is the other's", r.State, r.Account, err)
	}
}

// TestLinkOfOldSelfOrder: who has ordered for themselves chose the name, and does not wait for ever for somebody else's
// client account of that name.
func TestLinkOfOldSelfOrder(t *testing.T) {
	for later, want := range map[time.Duration]string{
		12 * time.Hour: store.RequestCreated, 25 * time.Hour: store.RequestAccepted,
	} {
		w := selfWorld(t, 0)
		r := w.request(w.orderSelf(person("alice")).Request)
		w.move(r, store.RequestWanted, store.RequestSending, "")
		w.move(r, store.RequestSending, store.RequestAccepted, "")
		w.advance(later)
		w.send(w.order(func(o *provisioning.AccountOrder) { o.Owner, o.LoginName = "bob", "another-shop" }))
		if err := w.RefreshAccounts(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r = w.request(r.ID); r.State != want {
			t.Errorf("%s later the order is %s as %s, want %s", later, r.State, r.Account, want)
		}
	}
}
