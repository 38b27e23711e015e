package partnerapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
)

// tampering changes requests before the contract sees them.
type tampering struct {
	*contract
	change func(*http.Request)
}

func (t tampering) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	t.change(r)
	return t.contract.RoundTrip(r)
}

// edit changes the body of a request.
func edit(change func(map[string]any)) func(*http.Request) {
	return func(r *http.Request) {
		var fields map[string]any
		if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
			panic(err)
		}
		change(fields)
		body, err := json.Marshal(fields)
		if err != nil {
			panic(err)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
}

func set(field string, value any) func(*http.Request) {
	return edit(func(fields map[string]any) { fields[field] = value })
}

func omit(field string) func(*http.Request) {
	return edit(func(fields map[string]any) { delete(fields, field) })
}

// The check of requests can fail: each of these is one that the client must never send.
func TestContractFindsTamperedRequests(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			if r.Header.Set(name, value); value == "" {
				r.Header.Del(name)
			}
		}
	}
	target := func(change func(*url.URL)) func(*http.Request) {
		return func(r *http.Request) {
			u := *r.URL
			change(&u)
			r.URL = &u
		}
	}
	tests := []struct {
		name, call string
		change     func(*http.Request)
		broken     bool
	}{
		{"untouched", "CreateSSOUser", func(*http.Request) {}, false},
		{"an edit that changes nothing", "CreateSSOUser", edit(func(map[string]any) {}), false},
		{"no API key", "CreateSSOUser", header("x-api-key", ""), true},
		{"no token", "CreateSSOUser", header("Authorization", ""), true},
		{"a token of another kind", "Plan", header("Authorization", "Basic eA=="), true},
		{"no content type", "CreateSSOUser", header("Content-Type", ""), true},
		{"another content type", "SetPlan", header("Content-Type", "text/plain"), true},
		{"field missing", "CreateSSOUser", omit("external_provider"), true},
		{"field too many", "CreateSSOUser", set("password", "secret"), true},
		{"field of another type", "CreateSSOUser", set("login_name", 7), true},
		{"field too long", "CreateSSOUser", set("external_id", strings.Repeat("x", 256)), true},
		{"field empty", "CreateSSOUser", set("first_name", ""), true},
		{"field null", "CreateAccount", set("website", nil), true},
		{"role that is none", "CreateSSOUser", set("role_name", "owner"), true},
		{"a password for an owner", "CreateAccount", set("password", "correct horse"), true},
		{"short login of an owner", "CreateAccount", set("login_name", "short"), true},
		{"owner without SSO", "CreateAccount", omit("external_id"), true},
		{"back to a trial", "SetPlan", set("plan_type", "TRIAL"), true},
		{"32nd of the month", "SetPlan", set("billing_day_of_month", 32), true},
		{"reason that is none", "CancelAccount", set("reason_id", 4), true},
		{"date without time", "CancelAccount", set("effective_date", "2099-12-31"), true},
		{"method that is none", "Operate", set("account_operation_method", "TRACE"), true},
		{"URL with host", "Operate", set("account_operation_url", "https://evil.example/"), true},
		{"payload that is no text", "Operate", set("account_operation_payload", map[string]any{"a": 1}), true},
		{"header with other names", "Operate", set("account_operation_headers",
			[]any{map[string]any{"key": "a", "value": "b"}}), true},
		{"source that is none", "UnsubscribeContacts", set("update_source", "account"), true},
		{"nobody to unsubscribe", "UnsubscribeContacts", set("email_addresses", []string{}), true},
		{"too many to unsubscribe", "UnsubscribeContacts",
			set("email_addresses", strings.Split(strings.Repeat("a@b.test,", 500)+"a@b.test", ",")), true},
		{"hook that is no URL", "Subscribe", set("hook_uri", "bridge.example/hook"), true},
		{"body where there is none", "Plan", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}")) }, true},
		{"path that is none", "Plan", target(func(u *url.URL) { u.Path += "s" }), true},
		{"account that is none", "Plan", target(func(u *url.URL) { u.Path = strings.Replace(u.Path, account, "a.b", 1) }),
			true},
		{"topic that is none", "Subscription", target(func(u *url.URL) { u.Path += "x" }), true},
		{"page too small", "Accounts", target(func(u *url.URL) { u.RawQuery = "limit=5" }), true},
		{"page that is no number", "Accounts", target(func(u *url.URL) { u.RawQuery = "limit=many" }), true},
		{"parameter that is none", "Accounts", target(func(u *url.URL) { u.RawQuery = "limit=50&sort=name" }), true},
		{"another method", "Plan", func(r *http.Request) { r.Method = http.MethodPatch }, true},
		{"another host", "Plan", target(func(u *url.URL) { u.Host = "evil.example" }), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRemote(t, teapot)
			k := newContract(t, r.URL, answerer(func(*http.Request) (int, string, []byte) { return 500, "", nil }))
			c, _ := newClient(t, r, func(o *partnerapi.Options) { o.Transport = tampering{k, tt.change} })
			_, err := contractCalls(1)[tt.call].make(t.Context(), c, account)
			wantKind(t, err, partnerapi.Unknown)
			broken := k.take()
			if tt.broken != (len(broken) > 0) {
				t.Errorf("got %v, want a broken contract: %t", broken, tt.broken)
			}
			for _, err := range broken {
				if !strings.HasPrefix(err.Error(), "request ") {
					t.Errorf("found in the wrong place: %v", err)
				}
			}
		})
	}
}

// The check of answers can fail: each of these is one that the sandbox must never give, save where it is told to.
func TestContractFindsTamperedAnswers(t *testing.T) {
	const single = `{"error_key":"k","error_message":"m"}`
	tests := []struct {
		name, call string
		status     int
		kind, body string
		broken     bool
	}{
		{"closed: a list of errors", "Plan", 400, "application/json", "[" + single + "]", false},
		{"closed: one error", "Plan", 400, "application/json", single, false},
		{"closed: an error with more", "Plan", 400, "application/json", `[{"error_key":"k","error_message":"m","hint":"h"}]`,
			true},
		{"closed: a plan", "Plan", 200, "application/json", `{"plan_type":"GOLD","current_tiers":[{"tier":1}]}`, false},
		{"closed: a plan with more", "Plan", 200, "application/json",
			`{"plan_type":"GOLD","current_tiers":[{"tier":1},{"level":1}]}`, true},
		{"closed: a topic by another name", "Subscriptions", 200, "application/json", `[{"topic_id":1,"name":"x"}]`, true},
		{"closed: whatever a call gives", "Operate", 200, "application/json", `{"a":[{"b":1}]}`, false},
		{"a list of errors", "Plan", 400, "application/json", "[" + single + "]", false},
		{"one error", "Plan", 400, "application/json; charset=utf-8", single, false},
		{"an error without a word", "Plan", 400, "", "", false},
		{"a billing status that is new", "Plan", 200, "application/json",
			`{"plan_type":"DIAMOND","billing_status":"Paused","new_field":{}}`, false},
		{"an account status that is new", "Accounts", 200, "application/json",
			`{"site_owner_list":[{"encoded_account_id":"a","billing_status":"Paused"}]}`, false},
		{"a status that the document has not", "Plan", 418, "application/json", "[" + single + "]", true},
		{"503 for another call", "Plan", 503, "application/json", "[" + single + "]", true},
		{"503 for a creation", "CreateAccount", 503, "application/json", "[" + single + "]", false},
		{"a list of nothing", "Plan", 400, "application/json", "[]", true},
		{"errors by other names", "Plan", 400, "application/json", `[{"key":"k","message":"m"}]`, true},
		{"an error that is a text", "Plan", 400, "application/json", `"no"`, true},
		{"HTML", "Plan", 500, "text/html", "<html></html>", true},
		{"HTML that says it is JSON", "Plan", 500, "application/json", "<html></html>", true},
		{"JSON that says it is text", "Plan", 500, "text/plain", "[" + single + "]", true},
		{"half of an answer", "Plan", 400, "application/json", `[{"error_key":`, true},
		{"success without a body", "Plan", 200, "application/json", "", true},
		{"a body with a user", "CreateSSOUser", 201, "application/json", "{}", true},
		{"a body with what was removed", "RemoveSubscription", 204, "application/json", "{}", true},
		{"a number as a text", "Plan", 200, "application/json", `{"billing_day_of_month":"15"}`, true},
		{"no list of accounts", "Accounts", 200, "application/json", `{}`, true},
		{"an account without id", "CreateAccount", 201, "application/json", `{"provision_uuid":"x"}`, true},
		{"a list in place of a topic", "Subscription", 200, "application/json", `[{"topic_id":1}]`, true},
		{"a topic in place of a list", "Subscriptions", 200, "application/json", `{"topic_id":1}`, true},
		{"a negative count", "UnsubscribeContacts", 200, "application/json", `{"unsubscribed_count":-1}`, true},
		{"a date that is none", "CancelAccount", 200, "application/json", `{"effective_date":"tomorrow"}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRemote(t, teapot)
			k := newContract(t, r.URL, answerer(func(*http.Request) (int, string, []byte) {
				return tt.status, tt.kind,
					[]byte(tt.body)
			}))
			k.closed = strings.HasPrefix(tt.name, "closed: ")
			c, _ := newClient(t, r, func(o *partnerapi.Options) { o.Transport = k })
			_, _ = contractCalls(1)[tt.call].make(t.Context(), c, account) // what the client makes of it is for other tests
			broken := k.take()
			if tt.broken != (len(broken) > 0) {
				t.Errorf("got %v, want a broken contract: %t", broken, tt.broken)
			}
			for _, err := range broken {
				if !strings.HasPrefix(err.Error(), "answer ") {
					t.Errorf("found in the wrong place: %v", err)
				}
			}
		})
	}
}

// The sandbox can give answers that no document allows. The contract finds them, and the client knows by the status
// what they mean.
func TestContractFindsForeignShapes(t *testing.T) {
	sb, c, k := contractSandbox(t)
	for _, shape := range []sandbox.Shape{sandbox.ShapeHTML, sandbox.ShapeGarbage} {
		for _, name := range []string{"Plan", "CreateAccount", "Subscriptions", "RemoveSubscription"} {
			sb.SetErrorShape(shape)
			sb.Fault(sandbox.Fault{Kind: sandbox.FaultThrottle, Times: 1})
			_, err := contractCalls(1)[name].make(t.Context(), c, account)
			if e := wantKind(t, err, partnerapi.Throttled); e.Key != "" {
				t.Errorf("%s %s: got key %q", shape, name, e.Key)
			}
			if broken := k.take(); len(broken) != 1 {
				t.Errorf("%s %s: got %v, want one broken contract", shape, name, broken)
			}
		}
	}
}
