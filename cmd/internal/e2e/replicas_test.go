package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

// cluster is several replicas over one PostgreSQL, with a balancer before them.
type cluster struct {
	*world   // its bridge is the first replica
	balancer *balancer
	replicas []*bridge
}

// balancer hands each request to the next replica that answers, as the partner's own would: a replica that refuses the
// connection is passed over, and nobody notices.
type balancer struct {
	next     atomic.Int64
	replicas atomic.Pointer[[]string] // addresses
	sticky   atomic.Bool              // a browser stays with its replica as long as that is there
}

// stickyCookie names a browser's replica.
const stickyCookie = "balancer"

func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, 1<<20)); err != nil {
			return nil, err
		}
	}
	all := *b.replicas.Load()
	first := b.next.Add(1)
	if stuck, err := r.Cookie(stickyCookie); err == nil && b.sticky.Load() {
		if i := slices.Index(all, stuck.Value); i >= 0 {
			first = int64(i)
		}
	}
	var err error
	for i := range int64(len(all)) {
		out := r.Clone(r.Context())
		out.URL.Host, out.Body = all[(first+i)%int64(len(all))], io.NopCloser(bytes.NewReader(body))
		var res *http.Response
		if res, err = direct.RoundTrip(out); err == nil {
			if b.sticky.Load() {
				res.Header.Add("Set-Cookie", (&http.Cookie{Name: stickyCookie, Value: out.URL.Host, Path: "/"}).String())
			}
			return res, nil
		}
		// Another one is tried only where nothing can have arrived.
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
	}
	return nil, err
}

// direct makes a connection for each request, so that one to a replica that is gone is refused and not cut.
var direct = &http.Transport{Proxy: nil, DisableKeepAlives: true}

// newCluster sets up n replicas that share one configuration but for the port they listen on.
func newCluster(t testing.TB, s setting, n int) *cluster {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Transport: b,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "replica"})
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
	}, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	_, s.public, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.set["trusted_proxies"] = "127.0.0.1"
	c := &cluster{world: newWorld(t, s), balancer: b}
	c.replicas = []*bridge{c.bridge}
	for range n - 1 {
		port := freePort(t)
		r := *c.bridge
		r.listen, r.cmd, r.out = "http://127.0.0.1:"+port, nil, &output{}
		r.env = append(r.env[:len(r.env):len(r.env)], "SSOBRIDGE_LISTEN=127.0.0.1:"+port)
		r.start(t)
		c.replicas = append(c.replicas, &r)
		t.Cleanup(func() {
			r.stop(t)
			if t.Failed() {
				t.Logf("log of the replica at %s:\n%s", port, r.out)
			}
		})
	}
	c.balance(c.replicas...)
	return c
}

// balance says which replicas get requests.
func (c *cluster) balance(replicas ...*bridge) {
	var all []string
	for _, r := range replicas {
		all = append(all, strings.TrimPrefix(r.listen, "http://"))
	}
	c.balancer.replicas.Store(&all)
}

// Two and three replicas: they share sessions, pending sign-ins, the queue and the budget, to the call. One that is
// killed leaves its work to the others within its lease, and nobody who signs in notices.
func TestCrowdReplicas(t *testing.T) {
	fresh := postgres(t)
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			const people = 60
			s := crowd(t, people).onPostgres(t, fresh)
			s.sandbox.PerSecond, s.sandbox.PerDay = 8, 1000 // calls bunch on a busy machine; the pace is looked at below
			s.set["constant_contact.limits.per_second"], s.set["constant_contact.limits.per_day"] = "4", "1000"
			s.set["provisioning.lease"] = "2s"
			c := newCluster(t, s, n)

			// A plan runs while people come; then a replica dies in the middle of its calls.
			c.command(t, "provision", "plan")
			c.command(t, "provision", "apply", "--yes", "--detach")
			done := make(chan error, 1)
			go func() { done <- enterAll(t, c.launch(books), logins(0, people/2), 6) }()
			if !eventually(func() bool { return len(c.sandbox.Created()) >= people/6 }) {
				t.Fatal("nobody is created")
			}
			c.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultActAndHang, Path: "users/sso", Times: 1})
			dead := c.replicas[n-1]
			<-time.After(300 * time.Millisecond)
			dead.kill(t)
			if err := <-done; err != nil {
				t.Errorf("while a replica died: %v", err)
			}
			c.settled(t, people)
			c.agree(t, people)
			// Over ten seconds a call that went out late counts for nothing.
			if most := c.sandbox.CallsIn(10 * time.Second); most > 42 {
				t.Errorf("%d calls within ten seconds, want about 40 of all replicas together", most)
			}
			status := c.sandbox.Summary()
			if over := status.ByStatus[http.StatusTooManyRequests]; over > 0 {
				t.Errorf("%d calls were answered 429", over)
			}
			// What the budget counts is what the sandbox counted, give or take calls that died with the replica.
			used := c.budgetUsed(t)
			if used < status.Calls || used > status.Calls+16 {
				t.Errorf("the budget has %d calls, the sandbox counted %d", used, status.Calls)
			}
			if err := enterAll(t, c.launch(books), logins(people/2, people), 6); err != nil {
				t.Errorf("with one replica less: %v", err)
			}
		})
	}
}

// The day's budget holds for all replicas together, and its reserve is for sign-ins: the plan stops where the reserve
// begins.
func TestCrowdSharesTheDay(t *testing.T) {
	const people = 40
	s := crowd(t, people).onPostgres(t, postgres(t))
	s.sandbox.PerDay = 30
	s.set["constant_contact.limits.per_day"], s.set["constant_contact.limits.reserve"] = "30", "0.5"
	c := newCluster(t, s, 2)
	c.command(t, "provision", "plan")
	c.command(t, "provision", "apply", "--yes", "--detach")
	if !eventually(func() bool { return c.budgetUsed(t) >= 15 }) {
		t.Fatalf("the plan used %d calls", c.budgetUsed(t))
	}
	<-time.After(2 * time.Second)
	if used := c.budgetUsed(t); used > 15 {
		t.Errorf("the plan used %d of 30 calls, want no more than the 15 that are not kept for sign-ins", used)
	}
	var left []string
	there := map[string]bool{}
	for _, u := range c.sandbox.Created() {
		there[u.ContactEmail] = true
	}
	for _, login := range logins(0, people) {
		if !there[login+"@example.test"] {
			left = append(left, login)
		}
	}
	if err := enterAll(t, c.launch(books), left[:8], 4); err != nil {
		t.Errorf("the reserve is not there for sign-ins: %v", err)
	}
	if n := c.sandbox.Summary().ByStatus[http.StatusTooManyRequests]; n > 0 {
		t.Errorf("%d calls were answered 429", n)
	}
}

// budgetUsed is what the budget command counts.
func (w *world) budgetUsed(t testing.TB) int {
	t.Helper()
	var b struct {
		Used int `json:"used"`
	}
	decodeJSON(t, w.command(t, "budget", "--json"), &b)
	return b.Used
}
