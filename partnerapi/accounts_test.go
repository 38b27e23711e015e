package partnerapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
)

func TestAccountsFollowsThePages(t *testing.T) {
	for _, n := range []int{0, 1, 50, 51, 120} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var accounts []sandbox.Account
			for i := range n {
				accounts = append(accounts, sandbox.Account{ID: fmt.Sprintf("a07e%08d", i), OrganizationName: fmt.Sprintf("Shop %d",
					i), SiteOwnerName: "Owner", BillingStatus: "Something new", SubscriberCount: int64(i)})
			}
			sb, err := sandbox.Start("127.0.0.1:0", sandbox.Options{Accounts: accounts, PerSecond: sandbox.Unlimited})
			if err != nil {
				t.Fatal(err)
			}
			defer sb.Close()
			b := &budget{}
			c, err := partnerapi.New(partnerapi.Options{BaseURL: sb.BaseURL(), APIKey: sandbox.DefaultAPIKey,
				Tokens: source(t, sb.TokenOptions()), Budget: b})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Accounts(t.Context(), partnerapi.PriorityPlan)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != n || b.reserved != max(1, (n+49)/50) {
				t.Fatalf("got %d accounts with %d calls, want %d", len(got), b.reserved, n)
			}
			for i, a := range got {
				want := partnerapi.Account{EncodedAccountID: accounts[i].ID, OrganizationName: accounts[i].OrganizationName,
					SiteOwnerName: "Owner", BillingStatus: "Something new", SubscriberCount: int64(i)}
				if a != want {
					t.Fatalf("got %+v, want %+v", a, want)
				}
			}
		})
	}
}

func TestAccountsRefusals(t *testing.T) {
	page := func(href string) string {
		return `{"site_owner_list":[{"encoded_account_id":"a1"},{"encoded_account_id":""}],"_links":{"next":{"href":"` +
			href + `"}}}`
	}
	tests := []struct {
		name, body string
		calls      int32
	}{
		{"another host", page("https://evil.example/v3/partner/accounts?offset=1"), 1},
		{"another host without scheme", page("//evil.example/v3/partner/accounts"), 1},
		{"another port", page("http://127.0.0.1:1/v3/partner/accounts"), 1},
		{"user in the URL", page("http://me@HOST/v3/partner/accounts?offset=1"), 1},
		{"another path", page("/v3/partner/webhooks"), 1},
		{"path that climbs", page("/v3/partner/accounts/../webhooks"), 1},
		{"another version", page("/v4/partner/accounts?offset=1"), 1},
		{"no URL", page("http://[::1"), 1},
		{"circle", page("/v3/partner/accounts?offset=MTA*"), 2},
		{"first page again", page("/v3/partner/accounts?limit=50"), 1},
		{"HTML", "<html>", 1},
		{"garbage", `{"site_owner_list":[{`, 1},
		{"no list", `{}`, 1},
		{"null for a list", `{"site_owner_list":null}`, 1},
		{"an error with status 200", `{"error_key":"x"}`, 1},
		{"other types", `{"site_owner_list":{"a":1}}`, 1},
		{"endless", `{"site_owner_list":[` + strings.Repeat(" ", 2<<20) + `]}`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int32
			r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				_, _ = io.WriteString(w, strings.ReplaceAll(tt.body, "HOST", r.Host))
			})
			c, _ := newClient(t, r, nil)
			got, err := c.Accounts(t.Context(), partnerapi.PriorityPlan)
			wantKind(t, err, partnerapi.Unknown)
			if got != nil || calls.Load() != tt.calls {
				t.Errorf("got %d accounts after %d calls, want none after %d", len(got), calls.Load(), tt.calls)
			}
		})
	}
}

func TestAccountsBoundedPages(t *testing.T) {
	var calls atomic.Int32
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"site_owner_list":[],"_links":{"next":{"href":"/v3/partner/accounts?offset=%d"}}}`, calls.Add(1))
	})
	c, _ := newClient(t, r, nil)
	_, err := c.Accounts(t.Context(), partnerapi.PriorityPlan)
	wantKind(t, err, partnerapi.Unknown)
	if n := calls.Load(); n != 2000 {
		t.Errorf("got %d calls, want the bound of 2000", n)
	}
}

func TestAccountsThrottledPageOnceMore(t *testing.T) {
	var calls atomic.Int32
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			http.Error(w, `[{"error_key":"throttled"}]`, http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, `{"site_owner_list":[{"encoded_account_id":"a1"},{"encoded_account_id":"a1"}]}`)
	})
	c, b := newClient(t, r, nil)
	got, err := c.Accounts(t.Context(), partnerapi.PriorityPlan)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v, want one account", got, err)
	}
	if b.throttled != 1 || b.reserved != 2 {
		t.Errorf("budget told %d times, %d slots; want 1, 2", b.throttled, b.reserved)
	}

	calls.Store(0)
	ctx, cancel := context.WithCancel(t.Context())
	c, _ = newClient(t, r, func(o *partnerapi.Options) { o.Budget = cancelling{b, cancel} })
	_, err = c.Accounts(ctx, partnerapi.PriorityPlan)
	var e *partnerapi.Error
	if !errors.As(err, &e) || e.Kind != partnerapi.Throttled {
		t.Errorf("given up while waiting: got %v, want throttled", err)
	}
}

// cancelling gives up as soon as the budget is told.
type cancelling struct {
	*budget
	cancel func()
}

func (b cancelling) Throttled(context.Context) error { b.cancel(); return nil }
