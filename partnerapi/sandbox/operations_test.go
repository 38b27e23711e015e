package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const operations = "/account_operations/sync"

// operating is the body of a call on behalf of an account.
func operating(method, url string, change ...any) string {
	return object(map[string]any{"account_operation_method": method, "account_operation_url": url}, change...)
}

func unsubscribing(addresses ...string) string {
	return object(map[string]any{"email_addresses": addresses, "update_source": "Account"})
}

func TestOperations(t *testing.T) {
	const payload = "account_operation_payload"
	add := `{"email_address":{"address":"kim@example.test"}}`
	path := func(value string) []any {
		return []any{"account_operation_path_parameters", []map[string]string{{"path_param_key": "contact_id",
			"path_param_value": value}}}
	}
	many := make([]map[string]string, 51)
	for i := range many {
		many[i] = map[string]string{"header_key": "a", "header_value": "b"}
	}
	tests := []struct {
		name, path, body string
		want             int
		answer           string // part of it
	}{
		{"no contacts", harbour, operating("GET", "/contacts"), 200, `"contacts_count":0`},
		{"add one", harbour, operating("POST", "/contacts", payload, add), 200, `"kim@example.test"`},
		{"the same again", harbour, operating("POST", "/v3/contacts", payload, add), 400, "contacts.api.conflict"},
		{"one contact", harbour, operating("GET", "/v3/contacts", "account_operation_query_parameters",
			[]map[string]string{{"query_param_key": "limit", "query_param_value": "5"}}, "account_operation_headers",
			[]map[string]string{{"header_key": "Accept", "header_value": "application/json"}}), 200, `"contacts_count":1`},
		{"of another account", juniper, operating("GET", "/contacts"), 200, `"contacts_count":0`},
		{"summary", harbour, operating("GET", "/account/summary"), 200, "Harbour Books"},
		{"unknown contact", harbour, operating("GET", "/contacts/{contact_id}", path("none")...), 404, "not_found"},
		{"unknown path", harbour, operating("GET", "/emails"), 404, "not_found"},
		{"unknown method there", harbour, operating("DELETE", "/contacts"), 404, "not_found"},
		{"no address in the payload", harbour, operating("POST", "/contacts", payload, `{}`), 400, "contacts.api"},
		{"no payload", harbour, operating("POST", "/contacts"), 400, "contacts.api"},
		{"payload no JSON", harbour, operating("POST", "/contacts", payload, `{`), 400, "payload"},
		{"large payload", harbour, operating("POST", "/contacts", payload, `"`+strings.Repeat("a", 256<<10)+`"`),
			400, "too large"},
		{"no value for a placeholder", harbour, operating("GET", "/contacts/{contact_id}"), 400, "path_parameters"},
		{"value with a slash", harbour, operating("GET", "/contacts/{contact_id}", path("a/b")...), 400, "path_param_value"},
		{"value of dots", harbour, operating("GET", "/contacts/{contact_id}", path("..")...), 400, "path_param_value"},
		{"other method", harbour, operating("HEAD", "/contacts"), 400, "method"},
		{"method in small letters", harbour, operating("get", "/contacts"), 400, "method"},
		{"whole address", harbour, operating("GET", "https://evil.test/contacts"), 400, "url"},
		{"without a slash", harbour, operating("GET", "contacts"), 400, "url"},
		{"with a query", harbour, operating("GET", "/contacts?limit=1"), 400, "url"},
		{"with dots", harbour, operating("GET", "/contacts/../account"), 400, "url"},
		{"long", harbour, operating("GET", "/"+strings.Repeat("a", 2000)), 400, "url"},
		{"without url", harbour, operating("GET", "", "account_operation_url", nil), 400, "url"},
		{"without method", harbour, operating("", "/contacts", "account_operation_method", nil), 400, "method"},
		{"too many headers", harbour, operating("GET", "/contacts", "account_operation_headers", many), 400, "entries"},
		{"header without a value", harbour, operating("GET", "/contacts", "account_operation_headers",
			[]map[string]string{{"header_key": "a"}}), 400, "header_value"},
		{"line break in a header", harbour, operating("GET", "/contacts", "account_operation_headers",
			[]map[string]string{{"header_key": "a", "header_value": "b\r\nc: d"}}), 400, "header_value"},
		{"unknown field inside", harbour, operating("GET", "/contacts", "account_operation_headers",
			[]map[string]string{{"key": "a"}}), 400, "none"},
		{"null inside", harbour,
			`{"account_operation_method":"GET","account_operation_url":"/contacts","account_operation_headers":[null]}`, 400,
			"null"},
		{"empty", harbour, "", 400, "JSON"},
		{"unknown account", nowhere, operating("GET", "/contacts"), 404, "account.not_found"},
		{"another partner's", foreign, operating("GET", "/contacts"), 400, "account.not_yours"},
	}
	s := start(t, withForeign)
	c := newCaller(t, s)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(s.Operations())
			status, body := c.do("POST", tt.path+operations, tt.body)
			if status != tt.want || !strings.Contains(body, tt.answer) || (status != 200 && !isErrors(body)) {
				t.Errorf("got %d, %s; want %d with %q", status, body, tt.want, tt.answer)
			}
			// What reached the V3 API is recorded, and nothing else.
			reached := status == 200 || strings.Contains(body, `"contacts.api`) || strings.Contains(body,
				"not_found\",\"error_message\":\"the sandbox")
			if got := len(s.Operations()) - before; got != map[bool]int{true: 1}[reached] {
				t.Errorf("got %d operations recorded for %s", got, body)
			}
		})
	}

	_, body := c.do("POST", harbour+operations, operating("GET", "/contacts"))
	var list struct {
		Contacts []struct {
			ID string `json:"contact_id"`
		} `json:"contacts"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Contacts) != 1 {
		t.Fatalf("got %s", body)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if status, body := c.do("POST", harbour+operations, operating(method, "/contacts/{contact_id}",
			path(list.Contacts[0].ID)...)); status != 200 {
			t.Errorf("%s of the contact: %d, %s", method, status, body)
		}
	}
	all := s.Operations()
	if last := all[len(all)-1]; last.Method != "DELETE" || last.Path != "/contacts/"+list.Contacts[0].ID ||
		last.Account != "a07e1lxqqqo0" || last.Status != 200 {
		t.Errorf("got record %+v", last)
	}
}

func TestUnsubscribe(t *testing.T) {
	const unsubscribe = "/contacts/unsubscribe"
	addresses := make([]string, 501)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("a%d@example.test", i)
	}
	one := func(change ...any) string {
		return object(map[string]any{"email_addresses": []string{"a@example.test"}, "update_source": "System"}, change...)
	}
	tests := []struct {
		name, path, body string
		want             int
		answer           string
	}{
		{"two, and one of them twice", harbour, unsubscribing("kim@example.test", "lou@example.test", "KIM@example.test"),
			200, `{"unsubscribed_count":2}`},
		{"again", harbour, unsubscribing("kim@example.test", "ned@example.test"), 200, `{"unsubscribed_count":1}`},
		{"in another account", juniper, unsubscribing("kim@example.test"), 200, `{"unsubscribed_count":1}`},
		{"500", harbour, unsubscribing(addresses[:500]...), 200, `{"unsubscribed_count":500}`},
		{"all fields", harbour, one("opt_out_reason", strings.Repeat("r", 255), "delete_contacts", true, "global_unsubscribe",
			false), 200, `{"unsubscribed_count":1}`},
		{"deleted, so not known", harbour, one(), 200, `{"unsubscribed_count":1}`},
		{"501", harbour, unsubscribing(addresses...), 400, "email_addresses"},
		{"none", harbour, unsubscribing(), 400, "email_addresses"},
		{"no list", harbour, one("email_addresses", nil), 400, "email_addresses"},
		{"one as text", harbour, one("email_addresses", "a@example.test"), 400, "email_addresses"},
		{"null among them", harbour, one("email_addresses", []any{nil}), 400, "email_addresses"},
		{"no address", harbour, unsubscribing("kim"), 400, "email_addresses"},
		{"long address", harbour, unsubscribing(strings.Repeat("a", 70) + "@example.test"), 400, "email_addresses"},
		{"no source", harbour, one("update_source", nil), 400, "update_source"},
		{"other source", harbour, one("update_source", "Partner"), 400, "update_source"},
		{"long reason", harbour, one("opt_out_reason", strings.Repeat("r", 256)), 400, "opt_out_reason"},
		{"text as truth", harbour, one("delete_contacts", "yes"), 400, "form"},
		{"unknown field", harbour, one("all", true), 400, "none"},
		{"unknown account", nowhere, one(), 404, "account.not_found"},
		{"another partner's", foreign, one(), 400, "account.not_yours"},
	}
	s := start(t, withForeign)
	c := newCaller(t, s)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := c.do("POST", tt.path+unsubscribe, tt.body)
			if status != tt.want || !strings.Contains(body, tt.answer) || (status != 200 && !isErrors(body)) {
				t.Errorf("got %d, %s; want %d with %q", status, body, tt.want, tt.answer)
			}
		})
	}
}
