package partnerapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
)

// contractCall is a call of the client with good data. What it gives is compared with what the document's example says.
type contractCall struct {
	operation string // of the document
	success   int
	path      string // as a fault of the sandbox names it
	make      func(context.Context, *partnerapi.Client, string) (any, error)
	want      any // read out of the example
}

var cancelAt = time.Date(2099, 12, 31, 0, 0, 0, 0, time.UTC)

func newAccount(n int) partnerapi.NewAccount {
	return partnerapi.NewAccount{
		ContactEmail: "ada@example.test", ContactPhone: "+1 781 555 0100", CountryCode: "us",
		OrganizationName:  "Corner Books",
		OrganizationPhone: "55512", StateCode: "MA", TimeZoneID: "US/Eastern", Website: "https://books.example.test",
		BillingLocale: "en_US",
		LoginName:     fmt.Sprintf("owner-%06d", n), FirstName: "Ada", LastName: "Marsh", PartnerAccountID: "acme-1",
		ManagedSiteOwner:    true,
		EnableSingleBilling: true, GDPROptOut: true, ExternalID: fmt.Sprintf("owner-%d", n), ExternalProvider: "acme",
	}
}

// contractCalls has every exported method of the client by its name. n makes data that can be used once only.
func contractCalls(n int) map[string]contractCall {
	const class = partnerapi.PriorityPlan
	hook := partnerapi.Subscription{
		TopicID: 1, HookURI: "https://bridge.example/hook", Name: "tier.increase",
		Description: "A client account moves to a higher tier",
	}
	plan := partnerapi.Plan{
		PlanType: "BRONZE", BillingStatus: "Open", BillingDayOfMonth: 15,
		Tiers: []partnerapi.Tier{{UsageType: "CONTACTS", CurrentUsage: 412, Tier: 1, TierMax: 500, Price: 20,
			CurrencyCode: "USD"}},
	}
	return map[string]contractCall{
		"Accounts": {"listAccounts", 200, "/v3/partner/accounts", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			return c.Accounts(ctx, class)
		}, []partnerapi.Account{
			{EncodedAccountID: "a07e1lxqqqo0", OrganizationName: "Corner Books", SiteOwnerName: "Ada Marsh",
				BillingStatus: "Open", SubscriberCount: 412},
			{EncodedAccountID: "a07e1lxqqqo1", OrganizationName: "Harbour Yoga", SiteOwnerName: "Ben Ito",
				BillingStatus: "Trial"},
		}},
		"Probe": {"listAccounts", 200, "/v3/partner/accounts", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			err := c.Probe(ctx, class)
			return err == nil, err // it reads nothing
		}, true},
		"CreateAccount": {"createAccount", 201, "/v3/partner/accounts", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			return c.CreateAccount(ctx, class, newAccount(n))
		}, partnerapi.CreatedAccount{EncodedAccountID: "a07e1lxqqqp5",
			ProvisionUUID: "0b1f5d8e-6d0c-4b67-9a55-2f6d0f4b7c11"}},
		"Plan": {"readPlan", 200, "/plan", func(ctx context.Context, c *partnerapi.Client, id string) (any, error) {
			return c.Plan(ctx, class, id)
		}, plan},
		"SetPlan": {"changePlan", 200, "/plan", func(ctx context.Context, c *partnerapi.Client, id string) (any, error) {
			return c.SetPlan(ctx, class, id, partnerapi.PlanChange{PlanType: "BRONZE", PlanGroupID: 1, BillingDayOfMonth: 15})
		}, plan},
		"CancelAccount": {"cancelAccount", 200, "/cancel", func(ctx context.Context, c *partnerapi.Client,
			id string) (any, error) {
			return c.CancelAccount(ctx, class, id, partnerapi.Cancellation{ReasonID: 11, EffectiveDate: cancelAt})
		}, partnerapi.Cancellation{ReasonID: 11, EffectiveDate: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}},
		"Operate": {"operateAccount", 200, "/sync", func(ctx context.Context, c *partnerapi.Client, id string) (any, error) {
			raw, err := c.Operate(ctx, class, id, partnerapi.Operation{
				Method: "GET", URL: "/{what}", Path: []partnerapi.Param{{Key: "what", Value: "contacts"}},
				Query:   []partnerapi.Param{{Key: "limit", Value: "10"}},
				Headers: []partnerapi.Param{{Key: "Accept-Language", Value: "en"}},
			})
			var v map[string]any
			if err == nil {
				err = json.Unmarshal(raw, &v)
			}
			return v, err
		}, map[string]any{"contacts": []any{}, "contacts_count": 0.0}},
		"CreateSSOUser": {"createSSOUser", 201, "/users/sso", func(ctx context.Context, c *partnerapi.Client,
			id string) (any, error) {
			u := somebody()
			u.ExternalID, u.LoginName = fmt.Sprintf("person-%d", n), fmt.Sprintf("sso-%d", n)
			return nil, c.CreateSSOUser(ctx, class, id, u)
		}, nil},
		"UnsubscribeContacts": {"unsubscribeContacts", 200, "/unsubscribe", func(ctx context.Context, c *partnerapi.Client,
			id string) (any, error) {
			return c.UnsubscribeContacts(ctx, class, id, partnerapi.Unsubscription{
				EmailAddresses: []string{"a@example.test", "b@example.test"}, UpdateSource: "Contact", OptOutReason: "asked to",
				DeleteContacts: true, GlobalUnsubscribe: true,
			})
		}, 2},
		"Subscriptions": {"listSubscriptions", 200, "/subscriptions", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			return c.Subscriptions(ctx, class)
		}, []partnerapi.Subscription{hook, {TopicID: 2, Name: "tier.decrease",
			Description: "A client account moves to a lower tier"}}},
		"Subscription": {"readSubscription", 200, "/subscriptions/1", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			return c.Subscription(ctx, class, partnerapi.TopicTierUp)
		}, hook},
		"Subscribe": {"subscribe", 200, "/subscriptions/1", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			return c.Subscribe(ctx, class, partnerapi.TopicTierUp, hook.HookURI)
		}, partnerapi.Subscription{TopicID: 1, HookURI: hook.HookURI}},
		"RemoveSubscription": {"unsubscribe", 204, "/subscriptions/1", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			return nil, c.RemoveSubscription(ctx, class, partnerapi.TopicTierUp)
		}, nil},
		"TestSubscription": {"testSubscription", 201, "/tests", func(ctx context.Context, c *partnerapi.Client,
			_ string) (any, error) {
			return c.TestSubscription(ctx, class, partnerapi.TopicTierUp)
		}, hook},
	}
}

// A method that is added needs its place in the document, and a call in these tests.
func TestContractCoversTheClient(t *testing.T) {
	doc := document(t, "https://api.example")
	calls := contractCalls(1)
	client := reflect.TypeFor[*partnerapi.Client]()
	var methods []string
	for m := range client.Methods() {
		if m.Name != "SetAPIKey" { // which makes no call
			methods = append(methods, m.Name)
		}
	}
	if got := slices.Sorted(maps.Keys(calls)); !slices.Equal(got, methods) {
		t.Errorf("the contract has calls for %v, the client has %v", got, methods)
	}
	used := map[string]bool{"issueToken": true} // the token source's
	for _, call := range calls {
		used[call.operation] = true
	}
	for _, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			if !used[o.OperationID] {
				t.Errorf("the document has %s %q, which nobody makes", method, o.OperationID)
			}
			for _, status := range []string{"400", "401", "429"} {
				if o.Responses.Value(status) == nil {
					t.Errorf("%s has no answer %s", o.OperationID, status)
				}
			}
			delete(used, o.OperationID)
		}
	}
	for operation := range used {
		t.Errorf("the document has no operation %s", operation)
	}
}

// The client reads what the document shows as answers.
func TestContractExamples(t *testing.T) {
	for name, call := range contractCalls(1) {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t, teapot)
			doc := document(t, r.URL)
			var example []byte
			for _, item := range doc.Paths.Map() {
				for _, o := range item.Operations() {
					if o.OperationID != call.operation {
						continue
					}
					for _, media := range o.Responses.Status(call.success).Value.Content {
						example, _ = json.Marshal(media.Example)
					}
				}
			}
			if want := call.want != nil; want != (example != nil) {
				t.Fatalf("got example %s, want one: %t", example, want)
			}
			answering := newContract(t, r.URL, answerer(func(*http.Request) (int, string, []byte) {
				return call.success,
					"application/json", example
			}))
			c, _ := newClient(t, r, func(o *partnerapi.Options) { o.Transport = answering })
			got, err := call.make(t.Context(), c, account)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(call.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			wantKept(t, answering)
			if answering.count(call.operation, call.success) != 1 {
				t.Errorf("the call is not %s: %v", call.operation, answering.seen)
			}
		})
	}
}

// answerer answers by itself.
type answerer func(*http.Request) (status int, contentType string, body []byte)

func (a answerer) RoundTrip(r *http.Request) (*http.Response, error) {
	status, contentType, body := a(r)
	h := http.Header{}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// contractSandbox starts a sandbox and a client of it, all of whose traffic is held against the document, the token's
// included.
func contractSandbox(t testing.TB) (*sandbox.Sandbox, *partnerapi.Client, *contract) {
	t.Helper()
	sb, err := sandbox.Start("127.0.0.1:0", sandbox.Options{
		Accounts: append(sandbox.SampleAccounts(), sandbox.OtherPartnersAccounts()...), PerSecond: sandbox.Unlimited,
		PerDay:          sandbox.Unlimited,
		TokensPerSecond: sandbox.Unlimited, ExternalProvider: "acme",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sb.Close() })
	k := newContract(t, strings.TrimSuffix(sb.BaseURL(), "/v3"), &http.Transport{DisableKeepAlives: true})
	k.closed = true
	return sb, contractClient(t, sb, k, sandbox.DefaultAPIKey), k
}

func contractClient(t testing.TB, sb *sandbox.Sandbox, k *contract, key string) *partnerapi.Client {
	t.Helper()
	to := sb.TokenOptions()
	to.MinInterval, to.Transport = time.Millisecond, k
	c, err := partnerapi.New(partnerapi.Options{
		BaseURL: sb.BaseURL(), APIKey: key, Tokens: source(t, to), Budget: &budget{}, Timeout: 10 * time.Second, Transport: k,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// contractOrder leaves for later what ends what others need.
var contractOrder = []string{
	"Accounts", "Probe", "CreateAccount", "Plan", "SetPlan", "Operate", "CreateSSOUser", "UnsubscribeContacts",
	"Subscribe", "Subscriptions", "Subscription",
	"TestSubscription", "RemoveSubscription", "CancelAccount",
}

// Every call works against the sandbox and keeps to the document on both sides.
func TestContractWithTheSandbox(t *testing.T) {
	_, c, k := contractSandbox(t)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	calls := contractCalls(1)
	if len(contractOrder) != len(calls) {
		t.Fatalf("the order has %d of %d calls", len(contractOrder), len(calls))
	}
	for _, name := range contractOrder {
		if name == "TestSubscription" { // posts; the address of the others is nobody's
			if _, err := c.Subscribe(t.Context(), partnerapi.PriorityPlan, partnerapi.TopicTierUp, receiver.URL+
				"/hook"); err != nil {
				t.Fatal(err)
			}
		}
		got, err := calls[name].make(t.Context(), c, account)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if calls[name].want != nil && reflect.ValueOf(got).IsZero() && name != "UnsubscribeContacts" {
			t.Errorf("%s gave nothing: %#v", name, got)
		}
		if k.count(calls[name].operation, calls[name].success) == 0 {
			t.Errorf("%s made no %s that was answered by %d", name, calls[name].operation, calls[name].success)
		}
		wantKept(t, k)
	}
	if k.count("issueToken", 200) != 1 {
		t.Errorf("got %d tokens, want one", k.count("issueToken", 200))
	}
}

// Every call fails as the document says, in each shape that it allows.
func TestContractOfRefusals(t *testing.T) {
	sb, c, k := contractSandbox(t)
	stranger := contractClient(t, sb, k, "another-key")
	n := 100
	for _, shape := range []sandbox.Shape{sandbox.ShapePublished, sandbox.ShapeArray, sandbox.ShapeObject,
		sandbox.ShapeEmpty} {
		for _, name := range contractOrder {
			t.Run(string(shape)+" "+name, func(t *testing.T) {
				n++
				call := contractCalls(n)[name]
				fail := func(kind sandbox.FaultKind, c *partnerapi.Client, want partnerapi.Kind, status int) {
					t.Helper()
					sb.ClearFaults()
					sb.SetErrorShape(shape)
					if kind != "" {
						sb.Fault(sandbox.Fault{Kind: kind, Times: 1})
					}
					before := k.count(call.operation, status)
					_, err := call.make(t.Context(), c, account)
					if want == "" && err != nil {
						t.Fatal(err)
					}
					if want != "" {
						e := wantKind(t, err, want)
						if e.Status != status || (e.Key == "") != (shape == sandbox.ShapeEmpty) {
							t.Errorf("got status %d and key %q, want %d", e.Status, e.Key, status)
						}
					}
					if k.count(call.operation, status) == before {
						t.Errorf("no answer %d was seen", status)
					}
					wantKept(t, k)
				}
				if name != "Accounts" { // asks for a throttled page once more
					fail(sandbox.FaultThrottle, c, partnerapi.Throttled, 429)
				}
				if shape != sandbox.ShapeEmpty { // only the key tells it from throttled
					fail(sandbox.FaultQuota, c, partnerapi.QuotaExceeded, 429)
				}
				fail(sandbox.FaultFailBefore, c, partnerapi.Unknown, 500)
				forbidden := partnerapi.Forbidden
				if shape == sandbox.ShapeEmpty && name == "CreateSSOUser" {
					forbidden = partnerapi.Unknown // a gateway may say nothing as well: no verdict on a person
				}
				fail("", stranger, forbidden, 403)
				if name == "CreateAccount" {
					fail(sandbox.FaultAcceptLater, c, partnerapi.Accepted, 503)
					n++
					call = contractCalls(n)[name] // the other name is taken by the order
				}
				if name != "TestSubscription" { // would post to an address that is nobody's
					fail(sandbox.FaultForgetTokens, c, "", 401)
				}
			})
		}
	}
}

// What concerns the data: unknown accounts, others' accounts, what is taken, what has ended.
func TestContractOfRefusedData(t *testing.T) {
	sb, c, k := contractSandbox(t)
	ctx, others := t.Context(), sandbox.OtherPartnersAccounts()[0].ID
	const class = partnerapi.PriorityPlan
	for _, shape := range []sandbox.Shape{sandbox.ShapePublished, sandbox.ShapeObject, sandbox.ShapeEmpty} {
		sb.SetErrorShape(shape)
		for _, name := range []string{"Plan", "SetPlan", "CancelAccount", "Operate", "CreateSSOUser", "UnsubscribeContacts"} {
			call := contractCalls(7)[name]
			unknown, foreign := partnerapi.NotFound, partnerapi.BadRequest
			if shape == sandbox.ShapeEmpty && name == "CreateSSOUser" {
				unknown, foreign = partnerapi.Unknown, partnerapi.Unknown // of a person the API has to say it
			}
			_, err := call.make(ctx, c, "a07e1none")
			if e := wantKind(t, err, unknown); e.Status != 404 {
				t.Errorf("%s: got status %d", name, e.Status)
			}
			_, err = call.make(ctx, c, others)
			if e := wantKind(t, err, foreign); e.Status != 400 {
				t.Errorf("%s: got status %d", name, e.Status)
			}
		}
		wantKept(t, k)
	}
	sb.ClearFaults()

	taken := newAccount(7)
	if _, err := c.CreateAccount(ctx, class, taken); err != nil {
		t.Fatal(err)
	}
	taken.ExternalID = "somebody else"
	_, err := c.CreateAccount(ctx, class, taken)
	wantKind(t, err, partnerapi.Conflict)
	user := somebody()
	user.LoginName = taken.LoginName
	wantKind(t, c.CreateSSOUser(ctx, class, account, user), partnerapi.Conflict)
	_, err = c.Subscription(ctx, class, 99)
	wantKind(t, err, partnerapi.NotFound)
	_, err = c.Subscribe(ctx, class, 99, "https://bridge.example/hook")
	wantKind(t, err, partnerapi.NotFound)
	_, err = c.TestSubscription(ctx, class, partnerapi.TopicDisabled) // nobody has subscribed
	wantKind(t, err, partnerapi.NotFound)
	if err := c.RemoveSubscription(ctx, class, partnerapi.TopicDisabled); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
	if err := c.RemoveSubscription(ctx, class, 99); err != nil { // answered by 404
		t.Errorf("remove what can't be there: %v", err)
	}
	_, err = c.Operate(ctx, class, account, partnerapi.Operation{Method: "POST", URL: "/contacts",
		Payload: `{"email_address":{"address":"none"}}`})
	wantKind(t, err, partnerapi.BadRequest)
	_, err = c.Operate(ctx, class, account, partnerapi.Operation{Method: "DELETE", URL: "/nothing/here"})
	wantKind(t, err, partnerapi.NotFound)
	if _, err = c.CancelAccount(ctx, class, account, partnerapi.Cancellation{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.CreateSSOUser(ctx, class, account, somebody()), partnerapi.BadRequest)
	plan, err := c.Plan(ctx, class, account)
	if err != nil || plan.BillingStatus != "Canceled" {
		t.Errorf("got %+v, %v, want a cancelled account", plan, err)
	}
	wantKept(t, k)

	wrong := sb.TokenOptions()
	wrong.ClientSecret, wrong.Transport = "no", k
	if _, err := source(t, wrong).Token(ctx); partnerapi.KindOf(err) != partnerapi.Unauthorized {
		t.Errorf("got %v", err)
	}
	if k.count("issueToken", 401) != 1 {
		t.Error("no refusal of the token server was seen")
	}
	wantKept(t, k)
}
