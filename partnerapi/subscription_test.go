package partnerapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"ssobridge/partnerapi"
)

func TestSubscribeURIs(t *testing.T) {
	var sent string
	r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in map[string]string
		_ = json.Unmarshal(body, &in)
		sent = in["hook_uri"]
		_ = json.NewEncoder(w).Encode(map[string]any{"topic_id": 1, "hook_uri": sent})
	})
	c, _ := newClient(t, r, nil)
	for _, uri := range []string{
		"https://bridge.example/hook", "https://bridge.example:8443/webhooks/constant-contact/0123abc?x=1&y=%20",
		"https://192.0.2.7/", "HTTPS://bridge.example",
		"http://localhost:8080/hook", "http://127.0.0.1:8080/hook", "http://127.9.9.9/", "http://[::1]:8080/hook",
		"https://b.example/" + strings.Repeat("a", 1982),
	} {
		got, err := c.Subscribe(t.Context(), partnerapi.PriorityPlan, 1, uri)
		if err != nil || sent != uri || got.HookURI != uri {
			t.Errorf("%.80s: got %+v, sent %.80q, %v", uri, got, sent, err)
		}
	}
	for _, uri := range []string{
		"", "bridge.example/hook", "//bridge.example/hook", "http://bridge.example/hook", "http://192.0.2.7/hook",
		"http://localhost.example/hook",
		"http://127.0.0.1.example/hook", "ftp://bridge.example/hook", "javascript:alert(1)", "https:hook", "https://",
		"https:///hook", "https://:443/hook",
		"https://me@bridge.example/hook", "https://me:you@bridge.example/hook", "https://bridge.example/hook#x",
		"https://bridge.example/hook#",
		"https://bridge.example/a b", " https://bridge.example/hook", "https://bridge.example/hook\n",
		"https://bridge.example/h\u00f6\u00f6k",
		"https://bridge.example/%zz", "https://b.example/" + strings.Repeat("a", 1983),
	} {
		sent = ""
		_, err := c.Subscribe(t.Context(), partnerapi.PriorityPlan, 1, uri)
		e := wantKind(t, err, partnerapi.BadRequest)
		if f, ok := errors.AsType[*partnerapi.FieldError](e); !ok || f.Field != "hook_uri" || sent != "" {
			t.Errorf("%.80q: got %v, sent %q, want a fault of hook_uri", uri, err, sent)
		}
		if len(uri) > 12 && strings.Contains(err.Error(), uri) {
			t.Errorf("the error quotes the address: %v", err)
		}
	}
}

// The address has a secret in it. An answer that quotes it must not carry it into a log.
func TestSubscribeKeepsTheAddressToItself(t *testing.T) {
	const uri, key = "https://bridge.example/webhooks/constant-contact/0123456789abcdef0123456789abcdef",
		"0123456789abcdef"
	said, status := "", 400
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode([]map[string]string{{"error_key": "hook.refused", "error_message": said}})
	})
	var log bytes.Buffer
	c, _ := newClient(t, r, func(o *partnerapi.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for _, said = range []string{
		uri + " does not answer", "no success from /webhooks/constant-contact/" + strings.TrimPrefix(uri,
			"https://bridge.example/webhooks/constant-contact/"),
		strings.Repeat("x", 430) + " " + uri, // the end of which would be cut
	} {
		_, err := c.Subscribe(t.Context(), partnerapi.PriorityPlan, 1, uri)
		e := wantKind(t, err, partnerapi.BadRequest)
		if e.Key != "hook.refused" || !strings.Contains(e.Message, "***") {
			t.Errorf("got key %q and message %q", e.Key, e.Message)
		}
		if strings.Contains(err.Error()+log.String(), key) {
			t.Errorf("the address is told: %v, log %s", err, &log)
		}
	}
	status = 200 // and an answer that can't be read
	_, err := c.Subscribe(t.Context(), partnerapi.PriorityPlan, 1, uri)
	wantKind(t, err, partnerapi.Unknown)
	if strings.Contains(err.Error()+log.String(), key) {
		t.Errorf("the address is told: %v, log %s", err, &log)
	}
}

func TestRemoveSubscription(t *testing.T) {
	for status, want := range map[int]partnerapi.Kind{204: "", 404: "", 400: partnerapi.BadRequest,
		403: partnerapi.Forbidden, 500: partnerapi.Unknown, 200: partnerapi.Unknown} {
		r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodDelete || r.URL.Path != "/v3/partner/webhooks/subscriptions/4" {
				t.Errorf("got %s %s", r.Method, r.URL)
			}
			w.WriteHeader(status)
		})
		c, _ := newClient(t, r, nil)
		err := c.RemoveSubscription(t.Context(), partnerapi.PriorityPlan, partnerapi.TopicDisabled)
		if got := partnerapi.KindOf(err); got != want {
			t.Errorf("answered by %d: got %q (%v), want %q", status, got, err, want)
		}
	}
}
