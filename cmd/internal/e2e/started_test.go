package e2e_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// Limits of nginx as it is installed: large_client_header_buffers 4 8k for requests, a client_max_body_size of 1m, and
// a proxy_buffer_size of 4k for an answer's header.
const (
	proxyLine   = 8 << 10
	proxyHeader = 4 * proxyLine
	proxyBody   = 1 << 20
	proxyAnswer = 4 << 10
)

// proxied forwards requests as nginx does, which reads a request's body whole before it sends it
// (proxy_request_buffering on). Without that, Go's server closes the body of a request whose answer is under way, Go's
// transport then finds no end of the body that it has sent already, and cuts the connection that the answer comes from.
func proxied(forward *httputil.ReverseProxy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		longest, all := headerSize(r.Header)
		switch line := len(r.Method) + len(r.RequestURI) + len("  HTTP/1.1\r\n"); {
		case line > proxyLine:
			http.Error(w, "414", http.StatusRequestURITooLong)
			return
		case longest > proxyLine, line+all > proxyHeader:
			http.Error(w, "400 Request Header Or Cookie Too Large", http.StatusBadRequest)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, proxyBody))
		if err != nil {
			http.Error(w, "413", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		forward.ServeHTTP(w, r)
	})
}

// behindProxy has a proxy with these limits stand before the bridge.
func behindProxy(t testing.TB, s setting) *world {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := &url.URL{Scheme: "http"}
	forward := &httputil.ReverseProxy{
		Transport: direct,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			if _, all := headerSize(r.Header); all > proxyAnswer {
				return fmt.Errorf("upstream sent too big a header: %d bytes", all)
			}
			return nil
		},
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: proxied(forward)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	if _, s.public, err = net.SplitHostPort(listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if s.set == nil {
		s.set = map[string]string{}
	}
	s.set["trusted_proxies"] = "127.0.0.1"
	w := newWorld(t, s)
	target.Host = strings.TrimPrefix(w.listen, "http://")
	return w
}

// An answer that is on its way when the proxy has yet to see the end of a request's body comes whole.
func TestProxyBuffersRequests(t *testing.T) {
	t.Parallel()
	answer := strings.Repeat("x", 8<<20)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(backend.Close)
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	underway := make(chan struct{})
	proxy := httptest.NewServer(proxied(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: lateEnd{direct, underway},
	}))
	t.Cleanup(proxy.Close)

	res, err := http.Post(proxy.URL, "application/x-www-form-urlencoded", strings.NewReader(strings.Repeat("a", 24<<10)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	close(underway)
	rest, err := io.ReadAll(res.Body)
	if err != nil || len(rest)+1 != len(answer) {
		t.Errorf("%d of %d bytes came: %v", len(rest)+1, len(answer), err)
	}
}

// lateEnd is a transport that looks for the end of a request's body only when the answer is under way.
type lateEnd struct {
	http.RoundTripper
	underway <-chan struct{}
}

func (l lateEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Body = &lateBody{r.Body, r.ContentLength, l.underway}
	return l.RoundTripper.RoundTrip(out)
}

type lateBody struct {
	io.ReadCloser
	left     int64
	underway <-chan struct{}
}

func (b *lateBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		<-b.underway
		return b.ReadCloser.Read(p)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func headerSize(h http.Header) (longest, all int) {
	for name, values := range h {
		for _, v := range values {
			n := len(name) + len(v) + 4
			longest, all = max(longest, n), all+n
		}
	}
	return longest, all
}

// through presses the button of the page that a long request is carried on by, as a browser's script does by itself.
func (c *client) through(p *page) *page {
	c.t.Helper()
	for _, f := range p.Forms {
		if strings.HasSuffix(f.Action, "/login/start") && p.Status == http.StatusOK {
			return c.post(p.resolve(f.Action), f.Fields)
		}
	}
	return p
}

// Rows ID-10, REQ-20 and WEB-03: a RelayState of any length that is taken comes back, by both bindings, with and
// without a session, also behind a proxy with the usual limits. Nothing that is sealed stands in an address.
func TestStartedRelayStates(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]*world{"direct": newWorld(t, setting{quick: true}),
		"proxy": behindProxy(t, setting{quick: true})} {
		for _, size := range []int{0, 80, 1500, 8192} {
			for _, binding := range []string{"redirect", "post"} {
				for _, session := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%d/%s/session %t", name, size, binding, session), func(t *testing.T) {
						c := newClient(t)
						if session {
							c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
						}
						r := newRequest(w)
						state := strings.Repeat("<a&b> \"'", size/8)
						p := c.authnRequest(w, r, binding, state)
						if name == "proxy" && binding == "redirect" && size == 8192 {
							p.status(http.StatusRequestURITooLong) // the proxy's own answer: no such request gets past it
							return
						}
						p = c.through(p)
						if !session {
							if strings.Contains(p.URL.RawQuery, ".") || len(p.URL.RawQuery) > 200 {
								t.Errorf("the address is %s", p.URL)
							}
							p = c.login(p.says("Sign in"), "bob", "wrong")
							p = c.goOn(c.login(p, "bob", password))
						}
						if !p.delivers() {
							t.Fatalf("no Response at %s (%d):\n%s", p.URL, p.Status, p.text())
						}
						f := p.form("SAMLResponse")
						if got := f.Fields.Get("RelayState"); got != state {
							t.Errorf("RelayState of %d bytes came back as %d: %.60q", len(state), len(got), got)
						}
						text, err := base64.StdEncoding.DecodeString(f.Fields.Get("SAMLResponse"))
						if err != nil || !strings.Contains(string(text), `InResponseTo="`+r.id+`"`) {
							t.Errorf("the Response answers another request: %v", err)
						}
					})
				}
			}
		}
	}
}

// Rows ID-10 and ID-11: six tabs, each with a request of its own, by the post of another site; each comes to its own
// Response, in whatever order. In another browser none of their pages is good for anything.
func TestStartedTabs(t *testing.T) {
	t.Parallel()
	w := behindProxy(t, setting{quick: true})
	c := newClient(t)
	var requests []request
	var tabs []*page
	for i := range 6 {
		r := newRequest(w)
		requests = append(requests, r)
		tabs = append(tabs, c.through(c.authnRequest(w, r, "post", strings.Repeat("x", 200*i))).says("Sign in"))
	}
	thief := newClient(t)
	thief.get(w.launch(club))
	for i := len(tabs) - 1; i >= 0; i-- {
		f := tabs[i].form("password")
		own := thief.get(w.launch(club)).form("password").Fields.Get("csrf")
		stolen := url.Values{"s": f.Fields["s"], "csrf": {own}, "login": {"bob"}, "password": {password}}
		if p := thief.post(w.url+"/login", stolen); p.Status != http.StatusForbidden || p.delivers() {
			t.Errorf("tab %d: another browser got %d for its form:\n%s", i, p.Status, p.text())
		}
		p := c.goOn(c.login(tabs[i], "bob", password))
		if !p.delivers() {
			t.Fatalf("tab %d: no Response:\n%s", i, p.text())
		}
		text, _ := base64.StdEncoding.DecodeString(p.form("SAMLResponse").Fields.Get("SAMLResponse"))
		if !strings.Contains(string(text), `InResponseTo="`+requests[i].id+`"`) {
			t.Errorf("tab %d got the Response to another request", i)
		}
		// Its form once more: the sign-in is used up (row SP-07).
		if p := c.post(w.url+"/login", f.Fields); p.delivers() {
			t.Errorf("tab %d got a second Response", i)
		}
	}
}

// Rows WEB-09 and REAL-82: 200 posts that other sites cause, and as many launches, such as a monitor's, keep nobody of
// the same address out.
func TestStartedByOtherSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{quick: true, set: map[string]string{"sign_in.pending_per_address": "20",
		"sign_in.pending_total": "40"}})
	victim := newClient(t)
	for range 200 {
		victim.authnRequest(w, newRequest(w), "post", "").says("Sign in")
		newClient(t).get(w.launch(club)).status(http.StatusOK)
	}
	victim.deliver(victim.goOn(victim.login(victim.get(w.launch(club)), "bob", password))).says("Bob Brandt")
	c := newClient(t)
	p := c.authnRequest(w, newRequest(w), "post", "").says("Sign in")
	if p = c.goOn(c.login(p, "bob", password)); !p.delivers() {
		t.Errorf("no Response:\n%s", p.text())
	}
}
