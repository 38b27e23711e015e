package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/web"
)

const (
	hookSecret = "0123456789abcdef0123456789abcdef"
	hookPath   = "/webhooks/constant-contact/" + hookSecret
	hookKey    = "key-of-the-application"
	hookGood   = `{"url":"https://api.cc.email/v3/partner/accounts/a07e1lxqqqo0/plan","api_key":"` + hookKey +
		`","event_type":"tier.increase"}`
)

// hints is who takes the hints of webhooks.
type hints struct {
	taken []string
	err   error
	slow  bool
}

func (h *hints) hint(ctx context.Context, account, event string) (bool, error) {
	if h.slow {
		<-ctx.Done()
		return false, ctx.Err()
	}
	if h.err != nil {
		return false, h.err
	}
	h.taken = append(h.taken, account+" "+event)
	return account == "a07e1lxqqqo0", nil
}

func newHookRig(t testing.TB) (*rig, *hints) {
	h := &hints{}
	return newRig(t, func(o *web.Options) {
		o.Webhook = &web.Webhook{Secret: hookSecret, APIKeys: []string{"another-key", hookKey}, Hint: h.hint}
	}), h
}

func (r *rig) post(path, body string, headers ...string) response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.srv.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return r.send(req)
}

func TestWebhookGivesAHint(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"as published": {hookGood, "a07e1lxqqqo0 tier.increase"},
		"no host":      {strings.Replace(hookGood, "https://api.cc.email", "", 1), "a07e1lxqqqo0 tier.increase"},
		"a host of somebody's": {strings.Replace(hookGood, "api.cc.email", "evil.example:99", 1),
			"a07e1lxqqqo0 tier.increase"},
		"an account without a plan": {strings.Replace(hookGood, "/plan", "", 1), "a07e1lxqqqo0 tier.increase"},
		"another thing of it":       {strings.Replace(hookGood, "/plan", "/status/cancel", 1), "a07e1lxqqqo0 tier.increase"},
		"another event": {strings.Replace(hookGood, "tier.increase", "ACCOUNT_Cancelled-2", 1),
			"a07e1lxqqqo0 ACCOUNT_Cancelled-2"},
		"further fields": {strings.Replace(hookGood, `{`, `{"new":{"a":[1]},`, 1), "a07e1lxqqqo0 tier.increase"},
		// once is enough
		"none of ours": {strings.Replace(hookGood, "a07e1lxqqqo0", "z99", 1), "z99 tier.increase"},
	} {
		t.Run(name, func(t *testing.T) {
			r, h := newHookRig(t)
			resp := r.post(hookPath, c.body)
			wantStatus(t, resp, http.StatusNoContent)
			if resp.body != "" || len(resp.Cookies()) != 0 {
				t.Errorf("answer: got %q with cookies %v, want nothing", resp.body, resp.Cookies())
			}
			if len(h.taken) != 1 || h.taken[0] != c.want {
				t.Errorf("hints: got %q, want %q", h.taken, c.want)
			}
		})
	}
}

func TestWebhookRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"wrong key":                {strings.Replace(hookGood, hookKey, "other", 1), 403},
		"key that is longer":       {strings.Replace(hookGood, hookKey, hookKey+"x", 1), 403},
		"key that is shorter":      {strings.Replace(hookGood, hookKey, hookKey[1:], 1), 403},
		"empty key":                {strings.Replace(hookGood, hookKey, "", 1), 403},
		"no key":                   {`{"url":"/v3/partner/accounts/a07e1lxqqqo0/plan","event_type":"tier.increase"}`, 403},
		"no body":                  {"", 400},
		"no JSON":                  {"url=x", 400},
		"an array":                 {"[" + hookGood + "]", 400},
		"two objects":              {hookGood + hookGood, 400},
		"a number for a text":      {strings.Replace(hookGood, `"tier.increase"`, "7", 1), 400},
		"no event":                 {strings.Replace(hookGood, "tier.increase", "", 1), 400},
		"event with HTML":          {strings.Replace(hookGood, "tier.increase", "<b>", 1), 400},
		"event with a line break":  {strings.Replace(hookGood, "tier.increase", `a\nlevel=ERROR`, 1), 400},
		"long event":               {strings.Replace(hookGood, "tier.increase", strings.Repeat("a", 65), 1), 400},
		"no account":               {strings.Replace(hookGood, "accounts/a07e1lxqqqo0/plan", "accounts", 1), 400},
		"climbing account":         {strings.Replace(hookGood, "a07e1lxqqqo0", "..", 1), 400},
		"escaped account":          {strings.Replace(hookGood, "a07e1lxqqqo0", "a07e1lxqqqo0%2F..", 1), 400},
		"account in the query":     {strings.Replace(hookGood, "/v3/partner", "?/v3/partner", 1), 400},
		"account that is too long": {strings.Replace(hookGood, "a07e1lxqqqo0", strings.Repeat("a", 65), 1), 400},
		"no URL":                   {strings.Replace(hookGood, "https://", "http://[::1", 1), 400},
		"long URL":                 {strings.Replace(hookGood, "/plan", "/"+strings.Repeat("p", 2000), 1), 400},
		"16 KiB and more":          {`{"pad":"` + strings.Repeat("a", 16<<10) + `",` + hookGood[1:], 413},
	} {
		t.Run(name, func(t *testing.T) {
			r, h := newHookRig(t)
			resp := r.post(hookPath, c.body)
			wantStatus(t, resp, c.status)
			if len(h.taken) != 0 {
				t.Errorf("hints: got %q, want none", h.taken)
			}
			if strings.Contains(resp.body, "<") {
				t.Errorf("answer: got a page, want plain text\n%.200s", resp.body)
			}
		})
	}
}

// A wrong secret looks like any path that is not there, whatever is posted to it; so does the right one where webhooks
// are off.
func TestWebhookWrongSecretIsAnUnknownPath(t *testing.T) {
	r, h := newHookRig(t)
	ref := regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{10}`)
	unknown := r.post("/no/such/path", hookGood)
	wantStatus(t, unknown, http.StatusNotFound)
	off := newRig(t, nil)
	for name, resp := range map[string]response{
		"another": r.post("/webhooks/constant-contact/"+strings.Repeat("0", 32), hookGood),
		"shorter": r.post(hookPath[:len(hookPath)-1], hookGood),
		"longer":  r.post(hookPath+"0", hookGood),
		"case":    r.post("/webhooks/constant-contact/"+strings.ToUpper(hookSecret), hookGood),
		"rubbish": r.post("/webhooks/constant-contact/x", strings.Repeat("a", 1<<20)),
		"none":    r.post("/webhooks/constant-contact/", hookGood),
		"off":     off.post(hookPath, hookGood),
	} {
		t.Run(name, func(t *testing.T) {
			wantStatus(t, resp, http.StatusNotFound)
			if got, want := ref.ReplaceAllString(resp.body, "REF"), ref.ReplaceAllString(unknown.body,
				"REF"); name != "off" && got != want {
				t.Errorf("page differs from that of an unknown path:\n%s", resp.body)
			}
			for _, header := range []string{"Content-Type", "Content-Security-Policy", "Cache-Control"} {
				if name != "off" && len(resp.Header[header]) != len(unknown.Header[header]) {
					t.Errorf("%s: got %q, want %q", header, resp.Header[header], unknown.Header[header])
				}
			}
		})
	}
	if len(h.taken) != 0 {
		t.Errorf("hints: got %q, want none", h.taken)
	}
	if r.get(hookPath).StatusCode == http.StatusOK {
		t.Error("GET is answered, want POST alone")
	}
}

// The secret and the key stand in no log, however a request ends.
func TestWebhookSecretsStayOutOfTheLog(t *testing.T) {
	r, h := newHookRig(t)
	r.post(hookPath, hookGood)
	r.post(hookPath, strings.Replace(hookGood, hookKey, hookKey+"-wrong", 1))
	r.post(hookPath, hookGood[:len(hookGood)-3])
	r.post(hookPath+"0", hookGood)
	r.post(hookPath+"/more", hookGood)
	r.get(hookPath)
	h.err = errDown
	wantStatus(t, r.post(hookPath, hookGood), http.StatusServiceUnavailable)
	logged := r.logged()
	for _, secret := range []string{hookSecret, hookKey, "cc.email"} {
		if strings.Contains(logged, secret) {
			t.Errorf("the log has %q:\n%s", secret, logged)
		}
	}
	for _, want := range []string{`"route":"/webhooks/constant-contact/:secret"`, `"account":"a07e1lxqqqo0"`,
		`"event":"tier.increase"`, `"reason":"wrong_api_key"`, "database is locked"} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log has no %q:\n%s", want, logged)
		}
	}
}

// Constant Contact is another site, and sends no cookie. Other posts from there are still refused.
func TestWebhookIsExemptFromCrossOriginChecks(t *testing.T) {
	r, h := newHookRig(t)
	foreign := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}
	wantStatus(t, r.post(hookPath, hookGood, foreign...), http.StatusNoContent)
	wantStatus(t, r.post("/login", "", foreign...), http.StatusForbidden)
	if len(h.taken) != 1 {
		t.Errorf("hints: got %q, want one", h.taken)
	}
	// The public name still counts.
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://elsewhere.example"+hookPath,
		strings.NewReader(hookGood))
	w := httptest.NewRecorder()
	r.srv.Config.Handler.ServeHTTP(w, req)
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("another host: got %d, want 421", w.Code)
	}
}

// A store that does not answer holds nobody up for long, and what it did not take comes again.
func TestWebhookWaitsAtMostASecond(t *testing.T) {
	r, h := newHookRig(t)
	h.slow = true
	began := time.Now()
	resp := r.post(hookPath, hookGood)
	wantStatus(t, resp, http.StatusServiceUnavailable)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the answer took %s, want about a second", took)
	}
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestWebhookOptions(t *testing.T) {
	take := func(context.Context, string, string) (bool, error) { return true, nil }
	for name, c := range map[string]struct {
		hook web.Webhook
		want string
	}{
		"short secret": {web.Webhook{Secret: hookSecret[1:], APIKeys: []string{"k"}, Hint: take}, "32 to 128"},
		"no hex":       {web.Webhook{Secret: strings.Repeat("g", 32), APIKeys: []string{"k"}, Hint: take}, "32 to 128"},
		"no key":       {web.Webhook{Secret: hookSecret, Hint: take}, "API keys"},
		"empty key":    {web.Webhook{Secret: hookSecret, APIKeys: []string{"k", ""}, Hint: take}, "is empty"},
		"nobody":       {web.Webhook{Secret: hookSecret, APIKeys: []string{"k"}}, "takes hints"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := web.New(web.Options{IdP: newFakeIdP(), PublicURL: "https://sso.example", CSRFKey: make([]byte, 32),
				Webhook: &c.hook})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), c.hook.Secret) {
				t.Errorf("the error has the secret: %v", err)
			}
		})
	}
}

// FuzzWebhook posts whatever: no input is our failure, and a hint is only given with the right key, for an account that
// can be one.
func FuzzWebhook(f *testing.F) {
	f.Add(hookGood)
	f.Add(strings.Replace(hookGood, hookKey, "other", 1))
	f.Add(strings.Replace(hookGood, "a07e1lxqqqo0", "%2e%2e", 1))
	f.Add(`{"url":"//\u0000/partner/accounts/a/plan","API_KEY":"` + hookKey + `","event_type":"x"}`)
	f.Add(`{"api_key":"other","api_key":"` + hookKey + `","url":"/partner/accounts/a","event_type":"x"}`)
	f.Add("{}")
	f.Add("null")
	h := &hints{}
	s, err := web.New(web.Options{
		IdP: newFakeIdP(), PublicURL: "https://sso.example", CSRFKey: bytes.Repeat([]byte{7}, 32),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		Webhook: &web.Webhook{Secret: hookSecret, APIKeys: []string{hookKey}, Hint: h.hint},
	})
	if err != nil {
		f.Fatal(err)
	}
	account := regexp.MustCompile(`^[A-Za-z0-9]{1,64} [A-Za-z0-9._-]{1,64}$`)
	f.Fuzz(func(t *testing.T, body string) {
		h.taken = nil
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://sso.example"+hookPath,
			strings.NewReader(body)))
		switch {
		case w.Code >= 500:
			t.Errorf("status %d for %q", w.Code, body)
		case (w.Code == http.StatusNoContent) != (len(h.taken) == 1):
			t.Errorf("status %d with hints %q for %q", w.Code, h.taken, body)
		case len(h.taken) == 1 && (!account.MatchString(h.taken[0]) || !spells(body, hookKey)):
			t.Errorf("hint %q for %q", h.taken, body)
		}
	})
}

// spells tells whether the key may stand in a body, be it in escapes.
func spells(body, key string) bool { return strings.Contains(body, key) || strings.Contains(body, `\`) }
