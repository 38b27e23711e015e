package partnerapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"ssobridge/partnerapi"
)

// roundTrip answers without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// refusal is what the client makes of an error answer.
func refusal(t testing.TB, status int, body []byte) *partnerapi.Error {
	t.Helper()
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		answer := &http.Response{StatusCode: status, Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(body)), Request: r}
		if r.URL.Path == "/token" {
			answer.StatusCode, answer.Body = 200, io.NopCloser(strings.NewReader(`{"access_token":"t","expires_in":3600}`))
		}
		return answer, nil
	})
	s := source(t, partnerapi.TokenOptions{URL: "https://example.test/token", Transport: transport})
	c, err := partnerapi.New(partnerapi.Options{BaseURL: "https://example.test/v3", APIKey: apiKey, Tokens: s,
		Budget: &budget{}, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	var e *partnerapi.Error
	if err := c.CreateSSOUser(context.Background(), partnerapi.PrioritySignIn, account, somebody()); !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return e
}

func TestErrorBodies(t *testing.T) {
	long := strings.Repeat("ü", 400)
	tests := []struct {
		name, body, key, message string
	}{
		{"array", `[{"error_key":"a","error_message":"b"}]`, "a", "b"},
		{"two", `[{"error_key":"a","error_message":"b"},{"error_key":"c","error_message":"d"}]`, "a", "b; d"},
		{"object", ` {"error_key":"a","error_message":"b"}`, "a", "b"},
		{"OAuth", `{"error":"a","error_description":"b"}`, "a", "b"},
		{"gateway", `{"message":"b"}`, "", "b"},
		{"empty array", `[]`, "", ""},
		{"text", `nothing`, "", ""},
		{"null", `null`, "", ""},
		{"numbers for words", `[{"error_key":7}]`, "7", ""},
		{"control characters", `[{"error_key":"a\nb","error_message":"c\u001b[31m\r\nd"}]`, "a b", "c [31m  d"},
		{"long", `[{"error_key":"` + long + `","error_message":"` + long + `"}]`, strings.Repeat("ü", 100),
			strings.Repeat("ü", 250)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := refusal(t, 400, []byte(tt.body))
			if e.Key != tt.key || e.Message != tt.message {
				t.Errorf("got %q, %q; want %q, %q", e.Key, e.Message, tt.key, tt.message)
			}
		})
	}
}

// Whatever a server or somebody in between answers: the status decides, and what is kept of the body is
// short, printable and valid UTF-8.
func FuzzErrorBody(f *testing.F) {
	for _, seed := range []string{
		`[{"error_key":"throttled","error_message":"m"}]`, `{"error_key":"quota_exceeded"}`, ``, `<html>`,
		"[{\"error_key\":\"x\x00\xff",
		`[[[[{}]]]]`, `{"error":"a","error_description":{"x":1}}`, `[{"error_key":"` + strings.Repeat("é", 150) + `"}]`,
	} {
		f.Add(429, []byte(seed))
		f.Add(400, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 400 || status > 599 || status == 401 {
			t.Skip()
		}
		e := refusal(t, status, body)
		if len(e.Key) > 200 || len(e.Message) > 500 {
			t.Errorf("key of %d and message of %d bytes", len(e.Key), len(e.Message))
		}
		for _, text := range []string{e.Key, e.Message} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("not printable: %q", text)
			}
		}
		// A verdict on the person is in JSON, by one of the published statuses; an empty 409 is nobody else's.
		verdict := slices.Contains([]partnerapi.Kind{partnerapi.BadRequest, partnerapi.Forbidden, partnerapi.NotFound,
			partnerapi.Conflict}, e.Kind)
		if verdict && (!slices.Contains([]int{400, 403, 404, 409, 422}, status) || !json.Valid(body) &&
			!(status == 409 && len(bytes.TrimSpace(body)) == 0) && !bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) &&
			!bytes.HasPrefix(body, []byte("\xff\xfe")) && !bytes.HasPrefix(body, []byte("\xfe\xff"))) {
			t.Errorf("status %d with %q is of kind %s", status, body, e.Kind)
		}
		if !verdict && status != 429 && e.Kind != partnerapi.Unknown {
			t.Errorf("status %d with %q is of kind %s", status, body, e.Kind)
		}
		if e.Kind == partnerapi.QuotaExceeded && !bytes.Contains(bytes.ToLower(body), []byte("quota")) &&
			!bytes.Contains(body, []byte(`\u`)) {
			t.Errorf("quota exceeded out of %q", body)
		}
	})
}
