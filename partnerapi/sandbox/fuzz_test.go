package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ssobridge/partnerapi/sandbox"
)

// kinds of JSON value.
type kind int

const (
	text kind = iota
	number
	truth
	list
)

// shape is the documented form of a body, told another way than the sandbox does.
type shape struct {
	method, path string
	fields       map[string]kind
	required     []string
	longest      map[string]int
}

var bodyShapes = []shape{
	{"POST", creations,
		map[string]kind{"first_name": text, "last_name": text, "role_name": text, "contact_email": text, "login_name": text,
			"external_id": text, "external_provider": text},
		[]string{"first_name", "last_name", "role_name", "contact_email", "login_name", "external_id", "external_provider"},
		map[string]int{"first_name": 80, "last_name": 80, "contact_email": 80, "login_name": 50, "external_id": 255,
			"external_provider": 80}},
	{"POST", accounts,
		map[string]kind{"contact_email": text, "contact_phone": text, "country_code": text, "organization_name": text,
			"organization_phone": text, "state_code": text,
			"time_zone_id": text, "website": text, "login_name": text, "password": text, "first_name": text, "last_name": text,
			"partner_account_id": text,
			"billing_locale":     text, "managed_site_owner": truth, "enable_single_billing": truth, "gdpr_opt_out": truth,
			"external_id": text, "external_provider": text},
		[]string{"contact_email", "country_code", "login_name", "state_code"},
		map[string]int{"contact_email": 80, "contact_phone": 25, "country_code": 3, "organization_name": 50,
			"organization_phone": 25, "login_name": 50, "password": 80,
			"first_name": 80, "last_name": 80, "partner_account_id": 80, "external_id": 255, "external_provider": 80}},
	{"PUT", harbour + "/plan", map[string]kind{"plan_type": text, "plan_group_id": number, "billing_day_of_month": number},
		[]string{"plan_type"}, nil},
	{"PUT", harbour + "/status/cancel", map[string]kind{"reason_id": number, "effective_date": text}, nil, nil},
	{"POST", harbour + operations,
		map[string]kind{"account_operation_url": text, "account_operation_method": text, "account_operation_payload": text,
			"account_operation_query_parameters": list, "account_operation_path_parameters": list,
			"account_operation_headers": list},
		[]string{"account_operation_url", "account_operation_method"}, map[string]int{"account_operation_method": 6}},
	{"POST", harbour + "/contacts/unsubscribe",
		map[string]kind{"email_addresses": list, "update_source": text, "opt_out_reason": text, "delete_contacts": truth,
			"global_unsubscribe": truth},
		[]string{"email_addresses", "update_source"}, map[string]int{"opt_out_reason": 255}},
	{"PUT", subscriptions + "/1", map[string]kind{"hook_uri": text}, []string{"hook_uri"},
		map[string]int{"hook_uri": 2000}},
}

// fits tells whether a body has the documented form, as far as it is told here.
func (s shape) fits(body []byte) bool {
	if len(body) == 0 {
		return len(s.required) == 0 && s.method == "PUT"
	}
	var fields map[string]any
	if !utf8.Valid(body) || json.Unmarshal(body, &fields) != nil || fields == nil {
		return false
	}
	for _, name := range s.required {
		if _, there := fields[name]; !there {
			return false
		}
	}
	for name, value := range fields {
		want, known := s.fields[name]
		got := kind(-1)
		switch v := value.(type) {
		case string:
			got = text
			if most, bound := s.longest[name]; bound && utf8.RuneCountInString(v) > most {
				return false
			}
		case float64:
			got = number
		case bool:
			got = truth
		case []any:
			got = list
		}
		if !known || got != want {
			return false
		}
	}
	return true
}

// FuzzBodies sends anything as a body. Nothing panics, a refusal is always the published array of errors, and what has
// not the documented form is never taken.
func FuzzBodies(f *testing.F) {
	seeds := []string{
		user(), newAccount(), newAccount("external_id", nil, "external_provider", nil, "password", "longenough"),
		`{"plan_type":"GOLD","billing_day_of_month":3}`,
		`{"reason_id":1,"effective_date":"2999-01-01T00:00:00Z"}`, operating("GET", "/contacts/{id}",
			"account_operation_path_parameters",
			[]map[string]string{{"path_param_key": "id", "path_param_value": "x"}}), operating("POST", "/contacts",
			"account_operation_payload", `{"email_address":{"address":"a@b.test"}}`),
		unsubscribing("a@example.test"), `{"hook_uri":"https://a.test/"}`, ``, `null`, `[]`, `{}`, `{"plan_type":null}`,
		`{"Plan_Type":"GOLD"}`, "\xff", `{"a":{"b":[[[]]]}}`,
		user() + "x", strings.Replace(user(), "Zo", "\\u0000", 1),
	}
	for i := range bodyShapes {
		for _, body := range seeds {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		s, err := sandbox.New(sandbox.Options{
			PublicURL: "http://127.0.0.1:1", Accounts: sandbox.SampleAccounts(), PerSecond: sandbox.Unlimited,
			TokensPerSecond: sandbox.Unlimited,
			Transport:       unreachable{}, WebhookRetry: time.Millisecond, WebhookFor: time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		shape := bodyShapes[int(which)%len(bodyShapes)]
		header := http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {sandbox.DefaultAPIKey},
			"Authorization": {"Bearer " + tokenOf(t, s)}}
		r := httptest.NewRequest(shape.method, "/v3"+shape.path, strings.NewReader(string(body)))
		r.Header = header
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		answer := w.Body.String()
		switch {
		case w.Code >= 500:
			t.Errorf("%s %s: got %d, %s for %q", shape.method, shape.path, w.Code, answer, body)
		case w.Code >= 400 && !isErrors(answer):
			t.Errorf("%s %s: got %d, %s for %q, want an array of errors", shape.method, shape.path, w.Code, answer, body)
		case w.Code < 300 && !shape.fits(body):
			t.Errorf("%s %s: got %d for %q, which has not the documented form", shape.method, shape.path, w.Code, body)
		case w.Code >= 300 && w.Code < 400:
			t.Errorf("%s %s: got %d", shape.method, shape.path, w.Code)
		case w.Code >= 400 && (len(s.Users()) > 0 || len(s.Accounts()) > 3):
			t.Errorf("%s %s: refused, and something was created by %q", shape.method, shape.path, body)
		}
	})
}

// unreachable is a network with nobody in it.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }

// tokenOf asks for a token without a network.
func tokenOf(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	r := httptest.NewRequest("POST", sandbox.TokenPath+"?grant_type=client_credentials", http.NoBody)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(sandbox.DefaultClientID, sandbox.DefaultClientSecret)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Token == "" {
		t.Fatalf("token: %d, %s", w.Code, w.Body)
	}
	return answer.Token
}
