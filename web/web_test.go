package web_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"ssobridge/web"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// now is the clock of all tests.
var now = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

// rig is a server under test with a browser in front of it.
type rig struct {
	t   testing.TB
	idp *fakeIdP
	srv *httptest.Server
	log *bytes.Buffer
	mu  sync.Mutex

	observed []observation
	client   *http.Client
}

type observation struct {
	route  string
	status int
}

func newRig(t testing.TB, change func(*web.Options)) *rig {
	t.Helper()
	r := &rig{t: t, idp: newFakeIdP(), log: &bytes.Buffer{}}
	r.srv = httptest.NewUnstartedServer(nil)
	o := web.Options{
		IdP: r.idp, PublicURL: "http://" + r.srv.Listener.Addr().String(), SelfService: true, CSRFKey: bytes.Repeat([]byte{7}, 32),
		Now: func() time.Time { return now },
		Branding: web.Branding{
			Name: "Acme Partners", HelpURL: "https://help.example/", ForgotPasswordURL: "https://password.example/",
		},
		Logger: slog.New(slog.NewJSONHandler(&lockedWriter{w: r.log, mu: &r.mu},
			&slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(route string, status int, _ time.Duration) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.observed = append(r.observed, observation{route, status})
		},
	}
	if change != nil {
		change(&o)
	}
	s, err := web.New(o)
	if err != nil {
		t.Fatalf("new server: %v", err)
	}
	r.srv.Config.Handler = s.Handler()
	r.srv.Start()
	t.Cleanup(r.srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return r
}

type lockedWriter struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// response with its body read.
type response struct {
	*http.Response
	body string
}

func (r *rig) do(method, path string, form url.Values, headers ...string) response {
	r.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.srv.URL+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	return r.send(req)
}

func (r *rig) send(req *http.Request) response {
	r.t.Helper()
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response{resp, string(body)}
}

func (r *rig) get(path string, headers ...string) response {
	r.t.Helper()
	return r.do(http.MethodGet, path, nil, headers...)
}

// follow goes on to the page that a 303 names.
func (r *rig) follow(resp response) response {
	r.t.Helper()
	if resp.StatusCode != http.StatusSeeOther {
		r.t.Fatalf("status = %d, want 303\n%s", resp.StatusCode, resp.body)
	}
	return r.get(resp.Header.Get("Location"))
}

// node is a parsed page.
type node struct{ *html.Node }

func (r response) page(t testing.TB) node {
	t.Helper()
	n, err := html.Parse(strings.NewReader(r.body))
	if err != nil {
		t.Fatalf("parse page: %v", err)
	}
	return node{n}
}

// all elements of this name whose attributes are as given.
func (n node) all(name string, attrs ...string) []node {
	var found []node
	for e := range n.Descendants() {
		if e.Type != html.ElementNode || e.Data != name {
			continue
		}
		fits := true
		for i := 0; i+1 < len(attrs); i += 2 {
			fits = fits && node{e}.attr(attrs[i]) == attrs[i+1]
		}
		if fits {
			found = append(found, node{e})
		}
	}
	return found
}

func (n node) one(t testing.TB, name string, attrs ...string) node {
	t.Helper()
	found := n.all(name, attrs...)
	if len(found) != 1 {
		t.Fatalf("%d elements %s %v, want 1", len(found), name, attrs)
	}
	return found[0]
}

func (n node) attr(name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func (n node) text() string {
	var b strings.Builder
	for e := range n.Descendants() {
		if e.Type == html.TextNode {
			b.WriteString(e.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// fill reads the one form with this action as a browser would send it.
func (r response) fill(t testing.TB, action string, pairs ...string) url.Values {
	t.Helper()
	form := r.page(t).one(t, "form", "action", action)
	v := url.Values{}
	for _, in := range form.all("input") {
		v.Set(in.attr("name"), in.attr("value"))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func wantStatus(t testing.TB, r response, want int) {
	t.Helper()
	if r.StatusCode != want {
		t.Fatalf("%s %s: status = %d, want %d\n%.600s", r.Request.Method, r.Request.URL.Path, r.StatusCode, want, r.body)
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, x := range texts {
		all = append(all, netip.MustParsePrefix(x))
	}
	return all
}

func TestNewNamesEveryFault(t *testing.T) {
	good := func() web.Options {
		return web.Options{IdP: newFakeIdP(), PublicURL: "https://sso.example", CSRFKey: make([]byte, 32)}
	}
	for name, c := range map[string]struct {
		change func(*web.Options)
		want   string
	}{
		"no idp":          {func(o *web.Options) { o.IdP = nil }, "no identity provider"},
		"short key":       {func(o *web.Options) { o.CSRFKey = make([]byte, 16) }, "16 bytes: want 32"},
		"plain http":      {func(o *web.Options) { o.PublicURL = "http://sso.example" }, "use https"},
		"path":            {func(o *web.Options) { o.PublicURL = "https://sso.example/a" }, "a path is not possible"},
		"user":            {func(o *web.Options) { o.PublicURL = "https://u@sso.example" }, "nothing more"},
		"no URL":          {func(o *web.Options) { o.PublicURL = "" }, "want https://host"},
		"ftp":             {func(o *web.Options) { o.PublicURL = "ftp://sso.example" }, "want https"},
		"colour":          {func(o *web.Options) { o.Branding.Color = "red" }, "want #rrggbb"},
		"style injection": {func(o *web.Options) { o.Branding.Color = "#fff;}x" }, "want #rrggbb"},
		"script link":     {func(o *web.Options) { o.Branding.HelpURL = "javascript:alert(1)" }, "help URL"},
		"plain forgot": {func(o *web.Options) { o.Branding.ForgotPasswordURL = "http://x.example" },
			"forgotten-password URL"},
		"mail forgot": {func(o *web.Options) { o.Branding.ForgotPasswordURL = "mailto:x@x.example" },
			"forgotten-password URL"},
		"logo type": {func(o *web.Options) {
			o.Branding.Logo, o.Branding.LogoType = []byte("x"),
				"text/html"
		}, "logo: type"},
		"logo size": {func(o *web.Options) { o.Branding.Logo, o.Branding.LogoType = make([]byte, 1<<20), "image/png" },
			"want at most"},
		"long name":    {func(o *web.Options) { o.Branding.Name = strings.Repeat("n", 81) }, "at most 80"},
		"session life": {func(o *web.Options) { o.SessionLife = -1 }, "session life"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good()
			c.change(&o)
			if _, err := web.New(o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
	if _, err := web.New(good()); err != nil {
		t.Errorf("good options: %v", err)
	}
	_, err := web.New(web.Options{PublicURL: "http://x.example"})
	for _, want := range []string{"identity provider", "CSRF key", "use https"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want all faults, %q too", err, want)
		}
	}
}

var errDown = errors.New("store: database is locked, secret-detail")
