package partnerapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi"
)

// answers is a client whose calls are all answered so.
func answers(t testing.TB, status int, header map[string]string, body string) *partnerapi.Client {
	t.Helper()
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	c, _ := newClient(t, r, func(o *partnerapi.Options) { o.Random = func() float64 { return 0 } })
	return c
}

// REAL-55: what is not the API's own JSON verdict leaves open what was done: it is none on the person.
func TestOnlyTheAPIJudgesAPerson(t *testing.T) {
	bodies := map[string]string{
		"HTML":                  "<html><body><h1>Sign in to the network</h1></body></html>",
		"nothing":               "",
		"text":                  "upstream connect error or disconnect/reset before headers",
		"a gateway's JSON":      `{"message":"Forbidden"}`,
		"with its number":       `{"message":"no Route matched","request_id":"7f"}`,
		"with a fault":          `{"fault":{"faultstring":"Body buffer overflow","detail":{"errorcode":"protocol.http.X"}}}`,
		"broken JSON":           `[{"error_key":"x"`,
		"a string":              `"Bad Request"`,
		"published JSON and no": `[{"error_key":"contacts.x","error_message":"m"}]`,
	}
	verdicts := map[int]bool{400: true, 401: true, 403: true, 404: true, 409: true, 422: true, 429: true}
	for status := 300; status < 600; status++ {
		if http.StatusText(status) == "" && status != 599 && status != 444 && status != 499 && status != 520 {
			continue
		}
		for name, body := range bodies {
			if verdicts[status] && (strings.HasPrefix(name, "published") || status == 429 || status == 401) {
				continue // the API's own, and below
			}
			if status == 409 && (name == "nothing" || strings.HasPrefix(body, "{")) {
				continue // no gateway knows of a conflict
			}
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				e := wantKind(t, create(t, answers(t, status, map[string]string{"Location": "/portal"}, body)), partnerapi.Unknown)
				if e.Status != status {
					t.Errorf("got status %d, want %d", e.Status, status)
				}
			})
		}
	}
	own := `[{"error_key":"users.sso.bad","error_message":"no"}]`
	for _, tt := range []struct {
		status int
		body   string
		want   partnerapi.Kind
	}{
		{400, own, partnerapi.BadRequest},
		{422, own, partnerapi.BadRequest},
		{400, `{"timestamp":"2026-11-29T12:00:00Z","status":400,"error":"Bad Request","message":"first_name is odd"}`,
			partnerapi.BadRequest},
		{400, "\xef\xbb\xbf" + own, partnerapi.BadRequest},
		{400, `{"type":"about:blank","title":"Bad data","detail":"first_name is odd"}`, partnerapi.BadRequest},
		{403, own, partnerapi.Forbidden},
		{403, `{"error_key":"unauthorized","error_message":"no"}`, partnerapi.Forbidden},
		{404, own, partnerapi.NotFound},
		{409, own, partnerapi.Conflict},
		{409, "", partnerapi.Conflict},
		{409, `[{"code":"dup","field":"login_name"}]`, partnerapi.Conflict},
		{409, `{"message":"exists"}`, partnerapi.Conflict},
		{401, own, partnerapi.Unauthorized},
		{401, "<html>", partnerapi.Unknown},
		{429, "<html>", partnerapi.Throttled},
		{429, own, partnerapi.Throttled},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.want, " ", tt.body), func(t *testing.T) {
			wantKind(t, create(t, answers(t, tt.status, nil, tt.body)), tt.want)
		})
	}
}

// REAL-55: what refuses a request before it came to the API has created nothing, and says so; what may have been passed
// on does not.
func TestRefusedUnseen(t *testing.T) {
	unseen := map[int]bool{}
	for _, status := range []int{300, 301, 302, 305, 307, 308, 400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 421,
		422, 425, 426, 428, 431, 451, 501, 505, 511} {
		unseen[status] = true
	}
	for status := 200; status < 600; status++ {
		if status == 201 || status == 204 || status == 429 {
			continue // taken, without a body by its definition, and throttled
		}
		for _, body := range []string{"<html>", `{"message":"Forbidden"}`} {
			if (status == 409 || status == 401) && body[0] == '{' {
				continue // a verdict
			}
			e := wantKind(t, create(t, answers(t, status, map[string]string{"Location": "/portal"}, body)), partnerapi.Unknown)
			if e.NotProcessed != unseen[status] {
				t.Errorf("%d %s: not processed %t, want %t", status, body, e.NotProcessed, unseen[status])
			}
		}
	}
	if e := wantKind(t, create(t, answers(t, 403, nil, "")), partnerapi.Unknown); !e.NotProcessed {
		t.Error("403 without a body: may have been processed")
	}
	// The API's own refusals have kinds of their own.
	if e := wantKind(t, create(t, answers(t, 403, nil, `[{"error_key":"no"}]`)), partnerapi.Forbidden); e.NotProcessed {
		t.Error("403 of the API: taken for a gateway's")
	}
}

// REAL-55: the order of a client account is accepted for later by the API, and by no gateway that is overloaded.
func TestOnlyTheAPIAcceptsForLater(t *testing.T) {
	for body, want := range map[string]partnerapi.Kind{
		"<html>":                            partnerapi.Unknown,
		"upstream connect error":            partnerapi.Unknown,
		`{"message":"Service Unavailable"}`: partnerapi.Unknown,
		`[{"error_key":"later","error_message":"it is created later"}]`: partnerapi.Accepted,
		"": partnerapi.Accepted,
	} {
		_, err := answers(t, 503, nil, body).CreateAccount(t.Context(), partnerapi.PriorityPlan, newAccount(1))
		wantKind(t, err, want)
	}
}

// REAL-57: what the API says in its own words is kept, whichever way it says it.
func TestMessagesOfTheAPI(t *testing.T) {
	for _, tt := range []struct{ name, body, key, message string }{
		{"published", `[{"error_key":"a","error_message":"b"}]`, "a", "b"},
		{"unknown key", `[{"error_key":"users.sso.what","error_message":"b","field":"login_name"}]`, "users.sso.what", "b"},
		{"a framework's", `{"timestamp":1,"status":400,"error":"Bad Request","message":"b","path":"/v3"}`, "Bad Request", "b"},
		{"a sentence for a key", `{"error":"The login name jane is taken","message":"b"}`, "", "The login name jane is taken; b"},
		{"an address for a key", `[{"error_key":"taken:jane@example.com","error_message":"b"}]`, "",
			"taken:jane@example.com; b"},
		{"problem details", `{"type":"about:blank","title":"c","detail":"b"}`, "", "b"},
		{"nested object", `{"error":{"code":"a","message":"b"}}`, "a", "b"},
		{"nested list", `{"errors":[{"error_key":"a","error_message":"b"},{"error_key":"c","error_message":"d"}]}`, "a",
			"b; d"},
		{"list of texts", `["b","d"]`, "", "b; d"},
		{"numbers", `[{"error_key":4711,"error_message":12}]`, "4711", "12"},
		{"null beside it", `[{"error_key":null,"error_message":"b"},null]`, "", "b"},
		{"mark before it", "\xef\xbb\xbf[{\"error_key\":\"a\",\"error_message\":\"b\"}]", "a", "b"},
		{"UTF-16", "\xff\xfe[\x00{\x00\"\x00m\x00e\x00s\x00s\x00a\x00g\x00e\x00\"\x00:\x00\"\x00b\x00\"\x00}\x00]\x00",
			"", "b"},
		{"control characters", `[{"error_message":"a\u0000b\u001b[2Jc\u202ed"}]`, "", "a b [2Jc d"},
		{"deep", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := refusal(t, 409, []byte(tt.body))
			if e.Key != tt.key || e.Message != tt.message {
				t.Errorf("got %q, %q; want %q, %q", e.Key, e.Message, tt.key, tt.message)
			}
		})
	}
}

// REAL-56: answers are read with an open mind: numbers in quotes, null, unknown fields, a mark before them, a charset.
func TestLenientAnswers(t *testing.T) {
	charset := map[string]string{"Content-Type": "application/json; charset=ISO-8859-1"}
	const bom = "\xef\xbb\xbf"
	t.Run("accounts", func(t *testing.T) {
		c := answers(t, 200, charset, bom+`{"site_owner_list":[
			{"encoded_account_id":"a1","organization_name":1848,"billing_status":null,"subscriber_count":"12"},
			{"encoded_account_id":"a2","organization_name":null,"subscriber_count":12.0,"new":{"x":[1]}},
			{"encoded_account_id":"a3","subscriber_count":"many"},{"encoded_account_id":null}],
			"_links":[],"page":null}`)
		got, err := c.Accounts(t.Context(), partnerapi.PriorityPlan)
		if err != nil || len(got) != 3 || got[0].OrganizationName != "1848" || got[0].SubscriberCount != 12 ||
			got[1].SubscriberCount != 12 || got[2].SubscriberCount != 0 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("no account of the list has an id", func(t *testing.T) {
		c := answers(t, 200, nil, `{"site_owner_list":[{"id":"a1"},{"id":"a2"}]}`)
		_, err := c.Accounts(t.Context(), partnerapi.PriorityPlan)
		wantKind(t, err, partnerapi.Unknown)
	})
	for name, next := range map[string]string{"null": `null`, "empty": `{}`, "no address": `{"href":null}`} {
		t.Run("next page "+name, func(t *testing.T) {
			c := answers(t, 200, nil, `{"site_owner_list":[{"encoded_account_id":"a1"}],"_links":{"next":`+next+`}}`)
			if got, err := c.Accounts(t.Context(), partnerapi.PriorityPlan); err != nil || len(got) != 1 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	t.Run("links that are none", func(t *testing.T) {
		c := answers(t, 200, nil, `{"site_owner_list":[{"encoded_account_id":"a1"}],"_links":"soon"}`)
		_, err := c.Accounts(t.Context(), partnerapi.PriorityPlan)
		wantKind(t, err, partnerapi.Unknown)
	})
	t.Run("plan", func(t *testing.T) {
		c := answers(t, 200, charset, bom+`{"plan_type":"GOLD","billing_status":null,"billing_day_of_month":"7",
			"current_tiers":[{"tier":"2","price":"9.50","tier_max":null,"usage_type":"email"}],"other":true}`)
		got, err := c.Plan(t.Context(), partnerapi.PriorityPlan, account)
		if err != nil || got.BillingDayOfMonth != 7 || len(got.Tiers) != 1 || got.Tiers[0].Tier != 2 ||
			got.Tiers[0].Price != 9.5 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("unsubscribed", func(t *testing.T) {
		c := answers(t, 200, nil, `{"unsubscribed_count":"1"}`)
		n, err := c.UnsubscribeContacts(t.Context(), partnerapi.PriorityPlan, account,
			partnerapi.Unsubscription{EmailAddresses: []string{"a@example.test"}, UpdateSource: "Account"})
		if err != nil || n != 1 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

// REAL-56: how long a token lives may be written in any way, or not at all.
func TestLenientTokens(t *testing.T) {
	for life, seconds := range map[string]float64{
		`"3600"`: 3600, `3600`: 3600, `3600.5`: 3600.5, `"3600.0"`: 3600, `" 3600 "`: 3600, `3.6e3`: 3600,
		`null`: 300, `"soon"`: 300, `0`: 300, `-1`: 300, `[]`: 300, `"NaN"`: 300, `true`: 300,
	} {
		t.Run(life, func(t *testing.T) {
			for _, body := range []string{
				`{"access_token":"abc","token_type":"bearer","expires_in":` + life + `,"scope":null,"more":[1]}`,
				"\xef\xbb\xbf" + `{"expires_in":` + life + `,"access_token":"abc","token_type":null}`,
			} {
				asked := 0
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					asked++
					w.Header().Set("Content-Type", "application/json; charset=utf-8")
					_, _ = io.WriteString(w, body)
				}))
				defer server.Close()
				now := newClock()
				s := source(t, partnerapi.TokenOptions{URL: server.URL, Now: now.Now, MinInterval: time.Nanosecond,
					RenewBefore: time.Nanosecond})
				token := func() {
					t.Helper()
					if got, err := s.Token(t.Context()); got != "abc" || err != nil {
						t.Fatalf("got %q, %v", got, err)
					}
				}
				token()
				now.Advance(time.Duration(seconds*float64(time.Second)) - time.Second)
				token()
				if asked != 1 {
					t.Errorf("a second before its end: asked %d times, want once", asked)
				}
				now.Advance(2 * time.Second)
				token()
				if asked != 2 {
					t.Errorf("after its end: asked %d times, want twice", asked)
				}
			}
		})
	}
}

// REAL-61: what a server asks to wait is kept, in seconds or until a date.
func TestRetryAfter(t *testing.T) {
	at := time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return at.Add(d).Format(http.TimeFormat) }
	for value, want := range map[string]time.Duration{
		"": time.Second, "0": time.Second, "-3": time.Second, "soon": time.Second, "90": 90 * time.Second,
		" 5 ": 5 * time.Second, "2.5": 2500 * time.Millisecond, "99999999": 10 * time.Minute,
		"999999999": 10 * time.Minute, "1e300": 10 * time.Minute, date(24 * time.Hour): 10 * time.Minute,
		date(30 * time.Second): 30 * time.Second,
		date(-time.Hour):       time.Second,
	} {
		c := answers(t, 429, map[string]string{"Retry-After": value, "Date": date(0)}, "<html>")
		if e := wantKind(t, create(t, c), partnerapi.Throttled); e.Wait != want {
			t.Errorf("Retry-After %q: got %v, want %v", value, e.Wait, want)
		}
	}
	c := answers(t, 503, map[string]string{"Retry-After": "120"}, "<html>")
	if e := wantKind(t, create(t, c), partnerapi.Unknown); e.Wait != 2*time.Minute {
		t.Errorf("503: got %v, want 2m", e.Wait)
	}
}
