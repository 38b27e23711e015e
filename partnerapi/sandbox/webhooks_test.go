package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

const subscriptions = "/partner/webhooks/subscriptions"

// event is the body of a webhook.
type event struct {
	URL  string `json:"url"`
	Key  string `json:"api_key"`
	Type string `json:"event_type"`
}

// subscriber takes webhooks and answers them by status, one for each post; the last one goes for all that follow.
type subscriber struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	posts    []event
}

func newSubscriber(t testing.TB, statuses ...int) *subscriber {
	t.Helper()
	u := &subscriber{statuses: statuses}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e event
		if err := json.Unmarshal(body, &e); err != nil || r.Method != http.MethodPost ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s %s", r.Method, body)
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		status := u.statuses[min(len(u.posts), len(u.statuses)-1)]
		u.posts = append(u.posts, e)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *subscriber) got() []event {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.posts)
}

// subscribed is a sandbox that posts all topics to u.
func subscribed(t testing.TB, u *subscriber, change func(*sandbox.Options)) (*sandbox.Sandbox, *caller) {
	t.Helper()
	s := start(t, func(o *sandbox.Options) {
		withForeign(o)
		o.WebhookRetry, o.WebhookFor = 5*time.Millisecond, 15*time.Millisecond
		if change != nil {
			change(o)
		}
	})
	c := newCaller(t, s)
	for topic := 1; topic <= 4; topic++ {
		body := fmt.Sprintf(`{"hook_uri":"%s/hook/a-secret"}`, u.URL)
		if status, answer := c.do("PUT", fmt.Sprintf("%s/%d", subscriptions, topic), body); status != 200 {
			t.Fatalf("subscribe: %d, %s", status, answer)
		}
	}
	return s, c
}

// settled waits until the sandbox has made up its mind about n webhooks, and gives them.
func settled(t testing.TB, s *sandbox.Sandbox, n int) []sandbox.Webhook {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		list := s.Webhooks()
		open := slices.ContainsFunc(list, func(w sandbox.Webhook) bool { return !w.Answered && !w.GivenUp })
		if len(list) == n && !open {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("got webhooks %+v, want %d that have ended", list, n)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	const hook = "https://bridge.example.test/hook/a-secret"
	tests := []struct {
		method, path, body string
		want               int
		answer             string
	}{
		{"GET", "", "", 200, `"topic_id":4`},
		{"GET", "/1", "", 200, `"hook_uri":""`},
		{"PUT", "/1", `{"hook_uri":"` + hook + `"}`, 200, `"hook_uri":"` + hook + `"`},
		{"GET", "/1", "", 200, `"hook_uri":"` + hook + `"`},
		{"GET", "", "", 200, hook},
		{"GET", "/2", "", 200, `"hook_uri":""`},
		{"PUT", "/2", `{"hook_uri":"http://127.0.0.1:1/hook"}`, 200, `"topic_id":2`},
		{"PUT", "/2", `{"hook_uri":"http://localhost/hook"}`, 200, `"topic_id":2`},
		{"PUT", "/2", `{"hook_uri":"http://bridge.example.test/hook"}`, 400, "hook_uri"},
		{"PUT", "/2", `{"hook_uri":"ftp://127.0.0.1/hook"}`, 400, "hook_uri"},
		{"PUT", "/2", `{"hook_uri":"/hook"}`, 400, "hook_uri"},
		{"PUT", "/2", `{"hook_uri":"https:///hook"}`, 400, "hook_uri"},
		{"PUT", "/2", `{"hook_uri":"https://u:p@bridge.example.test/"}`, 400, "hook_uri"},
		{"PUT", "/2", `{"hook_uri":"https://` + strings.Repeat("a", 2000) + `"}`, 400, "hook_uri"},
		{"PUT", "/2", `{"hook_uri":""}`, 400, "hook_uri"},
		{"PUT", "/2", `{}`, 400, "hook_uri"},
		{"PUT", "/2", ``, 400, "JSON"},
		{"PUT", "/2", `{"hook_uri":"` + hook + `","topic_id":2}`, 400, "none"},
		{"GET", "/5", "", 404, "topic.not_found"},
		{"GET", "/0", "", 404, "topic.not_found"},
		{"GET", "/one", "", 400, "topic_id"},
		{"GET", "/01", "", 400, "topic_id"},
		{"PUT", "/5", `{"hook_uri":"` + hook + `"}`, 404, "topic.not_found"},
		{"DELETE", "/5", "", 404, "topic.not_found"},
		{"DELETE", "/x", "", 400, "topic_id"},
		{"POST", "/5/tests", "", 404, "topic.not_found"},
		{"POST", "/x/tests", "", 400, "topic_id"},
		{"POST", "/3/tests", "", 404, "topic.not_subscribed"},
		{"GET", "/1/tests", "", 405, "method_not_allowed"},
		{"POST", "/1", "", 405, "method_not_allowed"},
		{"GET", "/1/tests/more", "", 404, "not_found"},
		{"DELETE", "/1", "", 204, ""},
		{"DELETE", "/1", "", 204, ""},
		{"GET", "/1", "", 200, `"hook_uri":""`},
		{"GET", "/2", "", 200, "localhost"},
	}
	for _, tt := range tests {
		status, body := c.do(tt.method, subscriptions+tt.path, tt.body)
		if status != tt.want || !strings.Contains(body, tt.answer) || (status >= 400 && !isErrors(body)) ||
			(status == 204 && body != "") {
			t.Errorf("%s %s %.80s: got %d, %s; want %d with %q", tt.method, tt.path, tt.body, status, body, tt.want, tt.answer)
		}
	}
	if list := s.Webhooks(); len(list) != 0 {
		t.Errorf("posted %+v", list)
	}
}

// What happens to an account is told to who has subscribed, once, and what is no change to nobody.
func TestWebhooks(t *testing.T) {
	cancel := func(t *testing.T, c *caller, path string) {
		if status, body := c.do("PUT", path+"/status/cancel", ""); status != 200 && path != foreign {
			t.Fatalf("cancel: %d, %s", status, body)
		}
	}
	tests := []struct {
		name string
		do   func(*testing.T, *sandbox.Sandbox, *caller) error
		want string
	}{
		{"cancelled by call", func(t *testing.T, _ *sandbox.Sandbox, c *caller) error { cancel(t, c, harbour); return nil },
			sandbox.EventCancelled},
		{"cancelled by switch", func(_ *testing.T, s *sandbox.Sandbox, _ *caller) error {
			return s.SetBillingStatus("a07e1lxqqqo0", "Canceled")
		}, sandbox.EventCancelled},
		{"disabled", func(_ *testing.T, s *sandbox.Sandbox, _ *caller) error {
			return s.SetBillingStatus("a07e1lxqqqo0", "Disabled")
		}, sandbox.EventDisabled},
		{"tier up", func(_ *testing.T, s *sandbox.Sandbox, _ *caller) error { return s.SetTier("a07e1lxqqqo0", 3) },
			"tier.increase"},
		{"tier down", func(_ *testing.T, s *sandbox.Sandbox, _ *caller) error { return s.SetTier("a07e1lxqqqo0", 1) },
			sandbox.EventTierDown},
		{"test", func(t *testing.T, _ *sandbox.Sandbox, c *caller) error {
			if status, body := c.do("POST", subscriptions+"/1/tests", ""); status != 201 || !strings.Contains(body,
				`"topic_id":1`) {
				t.Errorf("test: %d, %s", status, body)
			}
			return nil
		}, "tier.increase"},
		{"same status", func(_ *testing.T, s *sandbox.Sandbox, _ *caller) error {
			return s.SetBillingStatus("a07e1lxqqqo0", "Open")
		}, ""},
		{"same tier", func(_ *testing.T, s *sandbox.Sandbox, _ *caller) error { return s.SetTier("a07e1lxqqqo0", 2) }, ""},
		{"another partner's", func(_ *testing.T, s *sandbox.Sandbox, _ *caller) error { return s.SetTier("a07e1zzzzzx8", 5) },
			""},
		{"another partner's, by call", func(t *testing.T, _ *sandbox.Sandbox, c *caller) error {
			cancel(t, c,
				foreign)
			return nil
		}, ""},
		{"not subscribed any more", func(t *testing.T, s *sandbox.Sandbox, c *caller) error {
			if status, _ := c.do("DELETE", subscriptions+"/4", ""); status != 204 {
				t.Errorf("got %d", status)
			}
			return s.SetBillingStatus("a07e1lxqqqo0", "Disabled")
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newSubscriber(t, 204)
			s, c := subscribed(t, u, nil)
			if err := tt.do(t, s, c); err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if list := s.Webhooks(); len(list) != 0 {
					t.Errorf("posted %+v", list)
				}
				return
			}
			list := settled(t, s, 1)
			want := event{s.BaseURL() + harbour + "/plan", sandbox.DefaultAPIKey, tt.want}
			if got := u.got(); len(got) != 1 || got[0] != want || !list[0].Answered || len(list[0].Attempts) != 1 {
				t.Errorf("got %+v and record %+v; want %+v", got, list[0], want)
			}
			_, shown := exchange(t, http.DefaultClient, request(t, "GET", s.URL()+"/_sandbox/webhooks", ""))
			if !strings.Contains(shown, tt.want) || strings.Contains(shown, "a-secret") || strings.Contains(shown,
				sandbox.DefaultAPIKey) {
				t.Errorf("records: got %s", shown)
			}
		})
	}
}

// A cancellation whose date comes while nobody calls is told as well.
func TestWebhookAtItsDate(t *testing.T) {
	u := newSubscriber(t, 200)
	clock := &clock{now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
	s, c := subscribed(t, u, func(o *sandbox.Options) { o.Now = clock.Now })
	if status, body := c.do("PUT", harbour+"/status/cancel", `{"effective_date":"2026-11-24T10:00:01Z"}`); status != 200 {
		t.Fatalf("%d, %s", status, body)
	}
	if got := s.Webhooks(); len(got) != 0 {
		t.Errorf("posted before the date: %+v", got)
	}
	clock.Set(clock.Now().Add(time.Minute)) // the timer runs by the real clock: a second
	if got := settled(t, s, 1); got[0].Event != sandbox.EventCancelled {
		t.Errorf("got %+v", got)
	}
}

// Only success ends the posts; a redirect is none and is not followed.
func TestWebhookRetries(t *testing.T) {
	tests := []struct {
		name     string
		statuses []int
		want     []int
		answered bool
	}{
		{"at once", []int{200}, []int{200}, true},
		{"at last", []int{500, 404, 204}, []int{500, 404, 204}, true},
		{"redirect", []int{302}, []int{302, 302, 302, 302}, false},
		{"never", []int{500}, []int{500, 500, 500, 500}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newSubscriber(t, tt.statuses...)
			s, _ := subscribed(t, u, nil)
			if err := s.SetTier("a07e1lxqqqo0", 3); err != nil {
				t.Fatal(err)
			}
			got := settled(t, s, 1)[0]
			var statuses []int
			for _, a := range got.Attempts {
				statuses = append(statuses, a.Status)
			}
			if !slices.Equal(statuses, tt.want) || got.Answered != tt.answered || got.GivenUp == tt.answered ||
				len(u.got()) != len(tt.want) {
				t.Errorf("got %+v and %d posts, want statuses %v", got, len(u.got()), tt.want)
			}
			if sum := s.Summary(); sum.WebhooksPosted != 1 || (sum.WebhooksAnswered == 1) != tt.answered {
				t.Errorf("got summary %+v", sum)
			}
		})
	}

	t.Run("nobody there", func(t *testing.T) {
		u := newSubscriber(t, 200)
		s, _ := subscribed(t, u, nil)
		u.Close()
		if err := s.SetTier("a07e1lxqqqo0", 3); err != nil {
			t.Fatal(err)
		}
		got := settled(t, s, 1)[0]
		if !got.GivenUp || got.Attempts[0].Status != 0 || got.Attempts[0].Error == "" ||
			strings.Contains(got.Attempts[0].Error, "a-secret") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("closed while it waits", func(t *testing.T) {
		u := newSubscriber(t, 500)
		s, _ := subscribed(t, u, func(o *sandbox.Options) { o.WebhookRetry, o.WebhookFor = time.Hour, 2*time.Hour })
		if err := s.SetTier("a07e1lxqqqo0", 3); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); len(u.got()) == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // the post is made by another goroutine
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := settled(t, s, 1)[0]; !got.GivenUp {
			t.Errorf("got %+v", got)
		}
		if err := s.SetTier("a07e1lxqqqo0", 4); err != nil {
			t.Fatal(err)
		}
		if got := settled(t, s, 2)[1]; !got.GivenUp || len(got.Attempts) != 0 {
			t.Errorf("posted by a closed sandbox: %+v", got)
		}
	})
}
