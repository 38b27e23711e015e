package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is a buffer that one goroutine writes and another reads.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// served runs the program on a free port until the test ends and gives its URL.
func served(t *testing.T, stdin string, args ...string) (url string, out *output, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out = &output{}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"--listen=127.0.0.1:0"}, args...), strings.NewReader(stdin), out, io.Discard)
	}()
	t.Cleanup(cancel)
	find := regexp.MustCompile(`serves on (http://[0-9.:]+)\n(?s:.*)external_provider `)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		if m := find.FindStringSubmatch(out.String()); m != nil {
			return m[1], out, func() error { cancel(); return <-ended }
		}
		select {
		case err := <-ended:
			t.Fatalf("ended with %v: %s", err, out)
		case <-deadline:
			t.Fatalf("no URL after 10 s: %s", out)
		case <-tick.C:
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestServesTheSample(t *testing.T) {
	url, out, stop := served(t, "", "--fault=slow@users/sso=2:1s", "--error-shape=html")
	for _, want := range []string{"(for play)", "/v3", "/sso/saml2", "partner_secret"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not told: %s", want, out)
		}
	}
	if page := get(t, url+"/"); !strings.Contains(page, "a07e1lxqqqo0") || !strings.Contains(page, "taken@example.test") {
		t.Errorf("got %s", page)
	}
	if state := get(t, url+"/_sandbox/faults"); !strings.Contains(state, `"delay": "1s"`) ||
		!strings.Contains(state, `"html"`) {
		t.Errorf("got %s", state)
	}
	if err := run(t.Context(), []string{"--health=" + url}, nil, io.Discard, io.Discard); err != nil {
		t.Errorf("health: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if err := run(t.Context(), []string{"--health=" + url}, nil, io.Discard, io.Discard); exitCode(io.Discard, err) != 1 {
		t.Errorf("health of a stopped one: %v", err)
	}
}

// What benchmarks and crash tests set reaches the sandbox.
func TestLimitsAndNetwork(t *testing.T) {
	url, _, _ := served(t, "", "--per-second=40", "--per-day=100000", "--window=fixed", "--jitter=1ms", "--foreign=50",
		"--webhook-retry=1s", "--webhook-for=10s", "--later-lists=2", "--fault=act_then_cut@users/sso=3~0.5")
	if state := get(t, url+"/_sandbox/faults"); !strings.Contains(state, `"share": 0.5`) || !strings.Contains(state,
		`"act_then_cut"`) {
		t.Errorf("got %s", state)
	}
	if accounts := get(t, url+"/_sandbox/accounts"); !strings.Contains(accounts, `"other_partner": true`) {
		t.Errorf("no account of another partner: %s", accounts)
	}
	deadline := time.Now().Add(10 * time.Second)
	for strings.Contains(get(t, url+"/_sandbox/summary"), `"foreign_calls": 0,`) {
		if time.Now().After(deadline) {
			t.Fatal("the other program makes no calls")
		}
	}
}

func TestOwnCredentialsAndAccounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("not-to-be-told\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, out, _ := served(t, `{"accounts":[{"encoded_account_id":"mine1","organization_name":"Mine"}]}`,
		"--accounts=-", "--client-id=acme", "--client-secret-file="+file, "--api-key-file="+file,
		"--external-provider=acme-sso")
	if text := out.String(); strings.Contains(text, "for play") || strings.Contains(text, "not-to-be-told") ||
		!strings.Contains(text, "acme-sso") {
		t.Errorf("got %s", text)
	}
	if page := get(t, url+"/"); !strings.Contains(page, "mine1") || strings.Contains(page, "a07e1lxqqqo0") {
		t.Errorf("got %s", page)
	}
}

func TestWrongUse(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"--lissen=x"}, "--lissen"},
		{"unknown fault", []string{"--fault=nonsense"}, "--fault"},
		{"unknown profile", []string{"--profile=strictest"}, "--profile"},
		{"no number", []string{"--per-day=many"}, "--per-day"},
		{"limit of nought", []string{"--per-second=0"}, "--per-second"},
		{"negative limit", []string{"--per-day=-2"}, "--per-day"},
		{"unknown window", []string{"--window=open"}, "--window"},
		{"long jitter", []string{"--jitter=2m"}, "jitter"},
		{"negative foreign calls", []string{"--foreign=-1"}, "foreign"},
		{"too many foreign calls", []string{"--foreign=1e9"}, "foreign"},
		{"share over 1", []string{"--fault=throttle~2"}, "--fault"},
		{"no webhook interval", []string{"--webhook-retry=0s"}, "--webhook-retry"},
		{"countless posts", []string{"--webhook-retry=1ns"}, "webhooks"},
		{"negative lists", []string{"--later-lists=-1"}, "list"},
		{"no life", []string{"--token-life=0s"}, "--token-life"},
		{"no such file", []string{"--accounts=/nonexistent"}, "--accounts"},
		{"no JSON", []string{"--accounts=" + empty}, "--accounts"},
		{"empty secret", []string{"--client-secret-file=" + empty}, "--client-secret-file"},
		{"public URL", []string{"--public-url=localhost"}, "public URL"},
		{"metadata", []string{"--idp-metadata-file=" + empty}, empty},
		{"argument", []string{"extra"}, "extra"},
		{"two keys", []string{"--api-key=a", "--api-key-file=" + empty}, "--api-key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), append([]string{"--listen=127.0.0.1:0"}, tt.args...), strings.NewReader(""),
				io.Discard, io.Discard)
			var stderr bytes.Buffer
			if code := exitCode(&stderr, err); code != 2 || !strings.Contains(stderr.String(), tt.want) ||
				!strings.Contains(stderr.String(), "hint: ") {
				t.Errorf("got exit code %d, %s; want 2 and %q", code, &stderr, tt.want)
			}
		})
	}
}

func TestListenTaken(t *testing.T) {
	url, _, _ := served(t, "")
	err := run(t.Context(), []string{"--listen=" + strings.TrimPrefix(url, "http://")}, nil, io.Discard, io.Discard)
	if code := exitCode(io.Discard, err); code != 1 {
		t.Errorf("got exit code %d, %v; want 1", code, err)
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Examples:", "Exit codes:", "--fault", "--idp-metadata-url", "--window", "--jitter",
		"--foreign", "/_sandbox/summary", "~SHARE"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the help", want)
		}
	}
}
