package partnerapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"ssobridge/partnerapi"
)

func TestOperationValidate(t *testing.T) {
	type op = partnerapi.Operation
	const method, path, payload = "account_operation_method", "account_operation_url", "account_operation_payload"
	params := func(n int) (list []partnerapi.Param) {
		for i := range n {
			list = append(list, partnerapi.Param{Key: fmt.Sprint("k", i), Value: "v"})
		}
		return list
	}
	one := func(key, value string) []partnerapi.Param { return []partnerapi.Param{{Key: key, Value: value}} }
	tests := []struct {
		name string
		op   op
		want []string
	}{
		{"read", op{Method: "GET", URL: "/contacts"}, nil},
		{"deep", op{Method: "DELETE", URL: "/v3/emails/activities/0a-1_b.c~d"}, nil},
		{"write", op{Method: "POST", URL: "/contacts", Payload: `{"email_address":{"address":"a@b.test"}}`}, nil},
		{"a payload that is no object", op{Method: "PATCH", URL: "/contacts", Payload: ` [1, null] `}, nil},
		{"largest payload", op{Method: "PUT", URL: "/contacts", Payload: `"` + strings.Repeat("a", 256<<10-2) + `"`}, nil},
		{"placeholders", op{Method: "GET", URL: "/a/{x}/b/{y_1}", Path: append(one("x", "1"), one("y_1", "a@b.test")...)},
			nil},
		{"query and headers", op{Method: "GET", URL: "/a", Query: append(one("q", "a b&c=d/../é"), one("empty", "")...),
			Headers: one("Accept-Language", "en, de;q=0.5")}, nil},
		{"most of each", op{Method: "GET", URL: "/a", Query: params(50), Headers: params(50)}, nil},
		{"longest value", op{Method: "GET", URL: "/a", Query: one(strings.Repeat("k", 100), strings.Repeat("é", 2000))}, nil},

		{"nothing", op{}, []string{method, path}},
		{"method in small letters", op{Method: "get", URL: "/a"}, []string{method}},
		{"another method", op{Method: "TRACE", URL: "/a"}, []string{method}},
		{"no slash", op{Method: "GET", URL: "contacts"}, []string{path}},
		{"only a slash", op{Method: "GET", URL: "/"}, []string{path}},
		{"URL", op{Method: "GET", URL: "https://evil.example/contacts"}, []string{path}},
		{"host without scheme", op{Method: "GET", URL: "//evil.example/contacts"}, []string{path}},
		{"host behind a backslash", op{Method: "GET", URL: `/\evil.example`}, []string{path}},
		{"query", op{Method: "GET", URL: "/contacts?limit=1"}, []string{path}},
		{"fragment", op{Method: "GET", URL: "/contacts#x"}, []string{path}},
		{"dot segment", op{Method: "GET", URL: "/contacts/../account"}, []string{path}},
		{"dot segment at the end", op{Method: "GET", URL: "/contacts/.."}, []string{path}},
		{"single dot", op{Method: "GET", URL: "/./contacts"}, []string{path}},
		{"escaped dots", op{Method: "GET", URL: "/contacts/%2e%2e/account"}, []string{path}},
		{"empty segment", op{Method: "GET", URL: "/contacts//account"}, []string{path}},
		{"slash at the end", op{Method: "GET", URL: "/contacts/"}, []string{path}},
		{"line break", op{Method: "GET", URL: "/contacts\r\nX: y"}, []string{path}},
		{"line break at the end", op{Method: "GET", URL: "/contacts\n"}, []string{path}},
		{"brace that is open", op{Method: "GET", URL: "/contacts/{x"}, []string{path}},
		{"too long", op{Method: "GET", URL: "/" + strings.Repeat("a", 2000)}, []string{path}},

		{"payload that is no JSON", op{Method: "POST", URL: "/a", Payload: `{"a":`}, []string{payload}},
		{"two payloads", op{Method: "POST", URL: "/a", Payload: `{}{}`}, []string{payload}},
		{"payload that is no UTF-8", op{Method: "POST", URL: "/a", Payload: "\"\xff\""}, []string{payload}},
		{"too large a payload", op{Method: "POST", URL: "/a", Payload: `"` + strings.Repeat("a", 256<<10) + `"`},
			[]string{payload}},
		{"payload to read", op{Method: "GET", URL: "/a", Payload: `{}`}, []string{payload}},

		{"too many", op{Method: "GET", URL: "/a", Query: params(51), Headers: params(51)},
			[]string{"account_operation_query_parameters", "account_operation_headers"}},
		{"no key", op{Method: "GET", URL: "/a", Query: one("", "v")}, []string{"account_operation_query_parameters[0]"}},
		{"long key", op{Method: "GET", URL: "/a", Query: one(strings.Repeat("k", 101), "v")},
			[]string{"account_operation_query_parameters[0]"}},
		{"long value", op{Method: "GET", URL: "/a", Query: one("k", strings.Repeat("v", 2001))},
			[]string{"account_operation_query_parameters[0]"}},
		{"line break in a value", op{Method: "GET", URL: "/a", Query: one("k", "v\r\nw")},
			[]string{"account_operation_query_parameters[0]"}},
		{"line break in a header", op{Method: "GET", URL: "/a", Headers: one("k", "v\r\nX: y")},
			[]string{"account_operation_headers[0]"}},
		{"line break after a header", op{Method: "GET", URL: "/a", Headers: one("k", "v\n")},
			[]string{"account_operation_headers[0]"}},
		{"line break in a header's name", op{Method: "GET", URL: "/a", Headers: one("k\r\nX", "v")},
			[]string{"account_operation_headers[0]"}},
		{"header's name that is none", op{Method: "GET", URL: "/a", Headers: one("a b", "v")},
			[]string{"account_operation_headers[0]"}},
		{"other credentials", op{Method: "GET", URL: "/a", Headers: append(one("AUTHORIZATION", "Bearer x"),
			one("X-Api-Key", "x")...)},
			[]string{"account_operation_headers[0]", "account_operation_headers[1]"}},
		{"another host by header", op{Method: "GET", URL: "/a", Headers: one("Host", "evil.example")},
			[]string{"account_operation_headers[0]"}},

		{"value that is a path", op{Method: "GET", URL: "/a/{x}", Path: one("x", "b/c")},
			[]string{"account_operation_path_parameters[0]"}},
		{"no placeholder", op{Method: "GET", URL: "/a", Path: one("x", "1")},
			[]string{"account_operation_path_parameters[0]"}},
		{"no value", op{Method: "GET", URL: "/a/{x}"}, []string{"account_operation_path_parameters"}},
		{"given twice", op{Method: "GET", URL: "/a/{x}", Path: append(one("x", "1"), one("x", "2")...)},
			[]string{"account_operation_path_parameters[1]"}},
	}
	for _, value := range []string{"", ".", "..", "a?b", "a#b", `a\b`, "%2e%2e", "{x}", "a b", "a\nb"} {
		tests = append(tests, struct {
			name string
			op   op
			want []string
		}{"path value " + value, op{Method: "GET", URL: "/a/{x}", Path: one("x", value)},
			[]string{"account_operation_path_parameters[0]"}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.op.Validate()
			wantFields(t, err, tt.want...)
			if err != nil && (strings.Contains(err.Error(), "evil") || strings.Contains(err.Error(), "Bearer")) {
				t.Errorf("the error quotes what it refuses: %v", err)
			}
		})
	}
}

func TestOperateGivesWhatCameBack(t *testing.T) {
	body := ""
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	c, _ := newClient(t, r, nil)
	read := partnerapi.Operation{Method: "GET", URL: "/contacts"}
	for _, body = range []string{"", "{}", "[1]", "no JSON", `"` + strings.Repeat("a", 1<<20-2) + `"`} {
		got, err := c.Operate(t.Context(), partnerapi.PriorityPlan, account, read)
		if err != nil || string(got) != body {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(body))
		}
	}
	body = strings.Repeat("a", 1<<20+1)
	_, err := c.Operate(t.Context(), partnerapi.PriorityPlan, account, read)
	wantKind(t, err, partnerapi.Unknown)
}

func TestUnsubscriptionValidate(t *testing.T) {
	const addresses = "email_addresses"
	many := func(n int) []string {
		return strings.Split(strings.TrimSuffix(strings.Repeat("a@b.test,", n), ","), ",")
	}
	bad := make([]string, 500)
	tests := []struct {
		name string
		u    partnerapi.Unsubscription
		want []string
	}{
		{"one", partnerapi.Unsubscription{EmailAddresses: many(1), UpdateSource: "Account"}, nil},
		{"most", partnerapi.Unsubscription{EmailAddresses: many(500), UpdateSource: "Contact",
			OptOutReason: strings.Repeat("ü", 255)}, nil},
		{"none", partnerapi.Unsubscription{UpdateSource: "System"}, []string{addresses}},
		{"one too many", partnerapi.Unsubscription{EmailAddresses: many(501), UpdateSource: "System"}, []string{addresses}},
		{"no source", partnerapi.Unsubscription{EmailAddresses: many(1)}, []string{"update_source"}},
		{"source in small letters", partnerapi.Unsubscription{EmailAddresses: many(1), UpdateSource: "system"},
			[]string{"update_source"}},
		{"second is none", partnerapi.Unsubscription{EmailAddresses: []string{"a@b.test", "no address", "c@d.test"},
			UpdateSource: "System"}, []string{addresses + "[1]"}},
		{"too long an address", partnerapi.Unsubscription{EmailAddresses: []string{strings.Repeat("a", 80) + "@b.test"},
			UpdateSource: "System"}, []string{addresses + "[0]"}},
		{"reason too long", partnerapi.Unsubscription{EmailAddresses: many(1), UpdateSource: "System",
			OptOutReason: strings.Repeat("a", 256)}, []string{"opt_out_reason"}},
		{"reason with a line break", partnerapi.Unsubscription{EmailAddresses: many(1), UpdateSource: "System",
			OptOutReason: "a\nb"}, []string{"opt_out_reason"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFields(t, tt.u.Validate(), tt.want...) })
	}
	if n := len(faultyFields(t, partnerapi.Unsubscription{EmailAddresses: bad,
		UpdateSource: "System"}.Validate())); n != 11 {
		t.Errorf("a list of nothing but faults names %d of them, want 11 at most", n)
	}
}
