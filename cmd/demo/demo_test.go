package main

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/cmd/internal/sample"
)

// output is where the demo writes; ready is closed when the welcome is there.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(p)
	if bytes.Contains(o.text.Bytes(), []byte("Ctrl-C")) {
		select {
		case <-o.ready:
		default:
			close(o.ready)
		}
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs the demo until the test ends and returns where to sign in.
func start(t *testing.T, args ...string) (launch string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, log := &output{ready: make(chan struct{})}, &output{ready: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, out, log) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	select {
	case <-out.ready:
	case err := <-done:
		t.Fatalf("the demo did not start: %v\n%s", err, log)
	case <-time.After(30 * time.Second):
		t.Fatalf("the demo is not ready after 30 s\n%s", log)
	}
	t.Cleanup(stop)
	return regexp.MustCompile(`http://\S+/launch`).FindString(out.String()), stop
}

// browser is a client that keeps cookies and submits the forms of the sign-in.
type browser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	status int
	body   string
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{}}}
}

func (b *browser) do(req *http.Request) {
	b.t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.body = res.Request.URL, res.StatusCode, string(body)
}

func (b *browser) get(address string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(req)
}

var (
	formPattern  = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	inputPattern = regexp.MustCompile(`<(?:input|button)[^>]*\bname="([^"]*)"[^>]*\bvalue="([^"]*)"`)
)

// submit sends the page's form whose action begins with this path, with these fields beside its own.
func (b *browser) submit(action string, fields map[string]string) {
	b.t.Helper()
	for _, form := range formPattern.FindAllStringSubmatch(b.body, -1) {
		target, err := b.at.Parse(html.UnescapeString(form[1]))
		if err != nil || !strings.HasSuffix(target.Path, action) {
			continue
		}
		values := url.Values{}
		for _, input := range inputPattern.FindAllStringSubmatch(form[2], -1) {
			values.Set(input[1], html.UnescapeString(input[2]))
		}
		for name, value := range fields {
			values.Set(name, value)
		}
		req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, target.String(),
			strings.NewReader(values.Encode()))
		if err != nil {
			b.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
		b.do(req)
		return
	}
	b.t.Fatalf("no form for %s on this page (%s, status %d):\n%s", action, b.at, b.status, b.body)
}

// signIn goes from the launch link to the landing page, or to where it is refused.
func (b *browser) signIn(launch string, p sample.Person, account string) {
	b.t.Helper()
	b.get(launch)
	b.submit("/login", map[string]string{"login": p.Login, "password": p.Password})
	if strings.Contains(b.body, "/login/account") {
		b.submit("/login/account", map[string]string{"account": account})
	}
	for range 100 { // the page that waits goes on by itself in a browser
		if strings.Contains(b.body, "SAMLResponse") || b.status != http.StatusOK {
			break
		}
		b.get(b.at.String())
	}
	if strings.Contains(b.body, "SAMLResponse") {
		b.submit("/sso/saml2", nil)
	}
}

func person(t *testing.T, login string) sample.Person {
	t.Helper()
	for _, p := range sample.People() {
		if p.Login == login {
			return p
		}
	}
	t.Fatalf("no sample person %s", login)
	return sample.Person{}
}

// TestDemo signs every sample person in, each with what the welcome promises.
func TestDemo(t *testing.T) {
	launch, _ := start(t, "-listen", "localhost:0", "-sandbox-listen", "127.0.0.1:0")
	for _, tc := range []struct {
		login, account string
		want           []string
		not            []string
	}{
		{"alice", "", []string{"Alice Anders", "a07e1lxqqqo0", "account_manager"}, nil},
		{"bob", "a07e1lxqqqp1", []string{"Bob Brandt", "a07e1lxqqqp1", "campaign_creator"}, nil},
		{"bob", "a07e1lxqqqo0", []string{"Bob Brandt", "a07e1lxqqqo0", "campaign_creator"}, nil},
		{"carol", "", []string{"no access"}, []string{"SAMLResponse"}},
		{"dave", "", []string{"/login"}, []string{"SAMLResponse"}},
		{"erin", "", []string{"&lt;b&gt;Erin&lt;/b&gt;", "a07e1lxqqqp1"}, []string{"<b>Erin</b>"}},
	} {
		t.Run(tc.login+tc.account, func(t *testing.T) {
			b := newBrowser(t)
			b.signIn(launch, person(t, tc.login), tc.account)
			for _, want := range tc.want {
				if !strings.Contains(b.body, want) {
					t.Errorf("the last page (%s, status %d) has no %q:\n%s", b.at, b.status, want, b.body)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(b.body, not) {
					t.Errorf("the last page (%s) has %q", b.at, not)
				}
			}
		})
	}
}

// TestDemoKeepsItsFolder starts twice on one folder: what was there is there again.
func TestDemoKeepsItsFolder(t *testing.T) {
	folder := t.TempDir()
	args := []string{"-data", folder, "-listen", "localhost:0", "-sandbox-listen", "127.0.0.1:0"}
	for _, run := range []string{"first", "second"} {
		launch, stop := start(t, args...)
		b := newBrowser(t)
		b.signIn(launch, person(t, "alice"), "")
		if !strings.Contains(b.body, "Alice Anders") {
			t.Errorf("alice does not land in the %s run (%s, status %d):\n%s", run, b.at, b.status, b.body)
		}
		stop()
	}
}

func TestDemoRefusesBadInput(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown flag":     {"-frobnicate"},
		"unknown argument": {"now"},
		"not on loopback":  {"-listen", "0.0.0.0:8080"},
		"no port":          {"-sandbox-listen", "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), args, io.Discard, io.Discard)
			var usage usageError
			if !errors.As(err, &usage) || exitCode(err) != 2 {
				t.Errorf("got %v, want bad input with exit code 2", err)
			}
		})
	}
}
