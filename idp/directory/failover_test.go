package directory_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jimlambrt/gldap"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// quick are timeouts short enough for tests that wait for them.
func quick(o directory.Options, c *clock) directory.Options {
	o.DialTimeout, o.OpTimeout, o.Timeout, o.Cooldown = time.Second, time.Second, 6*time.Second, 30*time.Second
	if c != nil {
		o.Now = c.Now
	}
	return o
}

// LDAP-06: when the first server fails, in whichever way, the second one serves; after the cool-down the first one does
// again.
func TestLDAP06FailoverAndReturn(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	for _, mode := range []string{"refuse", "reset", "hang"} {
		for _, warm := range []string{"cold", "warm"} {
			t.Run(mode+" "+warm, func(t *testing.T) {
				first, second := startProxy(t, s.Address()), startProxy(t, s.Address())
				c := newClock()
				o := quick(s.Options(), c)
				o.URLs = []string{"ldaps://" + first.address, "ldaps://" + second.address}
				d := open(t, o)
				sign := func(what string) {
					t.Helper()
					if _, err := d.Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				if warm == "warm" {
					sign("before")
					if first.accepted() == 0 || second.accepted() != 0 {
						t.Fatalf("got %d and %d connections, want all at the first server", first.accepted(), second.accepted())
					}
				}
				address := first.address
				switch mode {
				case "refuse":
					first.refuse()
				case "reset":
					first.set("reset")
					first.cut()
				default:
					first.set(mode)
				}
				sign("first server failed")
				if second.accepted() == 0 {
					t.Fatal("the second server was not used")
				}
				tried := first.accepted()
				c.Advance(29 * time.Second)
				sign("cooling down")
				if first.accepted() != tried {
					t.Error("the first server was tried within its cool-down")
				}
				c.Advance(2 * time.Second)
				sign("cool-down over, first server still failing")
				if mode != "refuse" && first.accepted() == tried {
					t.Error("the first server was not tried after its cool-down")
				}
				if mode == "refuse" {
					first.listen(t, address)
				}
				first.cut()
				first.set("pass")
				c.Advance(31 * time.Second)
				tried, before := first.accepted(), second.accepted()
				sign("first server back")
				sign("first server back")
				if first.accepted() == tried || second.accepted() != before {
					t.Error("the first server is not used again")
				}
			})
		}
	}
}

// LDAP-06: a connection that has been idle for long is looked at before use; that it was lost does not count against
// the server.
func TestLDAP06IdleConnections(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	first, second := startProxy(t, s.Address()), startProxy(t, s.Address())
	c := newClock()
	o := quick(s.Options(), c)
	o.URLs = []string{"ldaps://" + first.address, "ldaps://" + second.address}
	d := open(t, o)
	for _, stall := range []bool{false, false, true} {
		c.Advance(time.Minute)
		if stall {
			first.stall()
		}
		if _, err := d.Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
			t.Fatal(err)
		}
	}
	if second.accepted() != 0 {
		t.Error("the first server was given up for a lost connection")
	}
}

// LDAP-06: a server that takes connections and says that it is busy or going down counts as failed too.
func TestLDAP06BusyServer(t *testing.T) {
	for _, code := range []int{gldap.ResultBusy, gldap.ResultUnavailable} {
		first, second := startFake(t), startFake(t)
		for _, f := range []*fake{first, second} {
			f.person("CN=Alice,dc=fake", adPerson(nil))
		}
		first.set(func() { first.searchErr = code })
		c := newClock()
		o := quick(first.options("active_directory"), c)
		o.URLs = []string{first.url, second.url}
		d := open(t, o)
		for range 3 {
			if _, err := d.Authenticate(t.Context(), "alice", "right"); err != nil {
				t.Errorf("result code %d: %v", code, err)
			}
		}
		first.mu.Lock()
		asked := len(first.searches)
		first.mu.Unlock()
		if asked != 1 {
			t.Errorf("result code %d: the first server was asked %d times within its cool-down, want 1", code, asked)
		}
		first.set(func() { first.searchErr = 0 })
		c.Advance(31 * time.Second)
		if _, err := d.Authenticate(t.Context(), "alice", "right"); err != nil ||
			len(first.bindsOf("CN=Alice,dc=fake")) == 0 {
			t.Errorf("result code %d: the first server is not used again; %v", code, err)
		}
	}
}

// LDAP-06, LDAP-09: a single server that is down is Unavailable, never a wrong password, and is used again as soon as
// it is back.
func TestLDAP09Outage(t *testing.T) {
	s := directorytest.StartSlapd(t)
	d := open(t, quick(s.Options(), nil))
	e, err := d.Authenticate(t.Context(), "alice", directorytest.Password)
	if err != nil {
		t.Fatal(err)
	}
	down := func(how string) {
		t.Helper()
		start := time.Now()
		_, err := d.Authenticate(t.Context(), "alice", directorytest.Password)
		wantProblem(t, err, directory.Unavailable)
		_, err = d.Authenticate(t.Context(), "nobody", "wrong")
		wantProblem(t, err, directory.Unavailable)
		_, err = d.Read(t.Context(), e.ID)
		wantProblem(t, err, directory.Unavailable)
		_, err = d.Group(t.Context(), s.GroupDN("staff"))
		wantProblem(t, err, directory.Unavailable)
		if took := time.Since(start); took > 26*time.Second {
			t.Errorf("%s: four calls took %v", how, took)
		}
	}
	up := func(how string) {
		t.Helper()
		if _, err := d.Authenticate(t.Context(), "alice", directorytest.Password); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
	s.Stop(t)
	down("stopped")
	s.Start(t)
	up("started")
	s.Freeze(t)
	down("frozen")
	s.Thaw(t)
	up("thawed")
	// Both pools now hold connections that a restart kills: one retry on a fresh one.
	s.Restart(t)
	up("restarted")
}

// LDAP-06: every wait heeds the caller's context, also the wait for a place in the pool.
func TestLDAP06Context(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	p := startProxy(t, s.Address())
	o := s.Options()
	o.URLs, o.PoolSize = []string{"ldaps://" + p.address}, 1
	o.DialTimeout, o.OpTimeout, o.Timeout = 20*time.Second, 20*time.Second, time.Minute
	d := open(t, o)
	if _, err := d.Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
		t.Fatal(err)
	}
	p.set("hang")
	holding, release := context.WithCancel(t.Context())
	held := make(chan error, 1)
	go func() {
		_, err := d.Find(holding, "carol")
		held <- err
	}()
	for range 3 { // whichever of the two calls has the only place, each ends with its context
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		_, err := d.Find(ctx, "carol")
		cancel()
		wantProblem(t, err, directory.Unavailable)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline in the chain", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v to heed a deadline of 50 ms", took)
		}
	}
	release()
	if err := <-held; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation in the chain", err)
	}
	// Callers who gave up are no fault of the server: it is not cooling down.
	p.set("pass")
	if _, err := d.Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
		t.Error(err)
	}
}

// A wrong service password is a fault of the set-up with its own cause, and is not tried over and over, since that
// would lock the account.
func TestServiceBindRefused(t *testing.T) {
	f := startFake(t)
	f.person("uid=alice,dc=fake", map[string][]string{"uid": {"alice"},
		"entryUUID": {"11111111-1111-1111-1111-111111111111"}})
	c := newClock()
	o := quick(f.options("openldap"), c)
	o.BindPassword = "not-the-service-password"
	d := open(t, o)
	for range 5 {
		_, err := d.Authenticate(t.Context(), "alice", "right")
		wantProblem(t, err, directory.Unavailable)
		if !strings.Contains(err.Error(), "bind_password") || strings.Contains(err.Error(), "not-the-service-password") {
			t.Errorf("got %v, want an error that names bind_password and does not hold it", err)
		}
	}
	if n := len(f.bindsOf(fakeService)); n != 1 {
		t.Errorf("the service account was tried %d times within the cool-down, want 1", n)
	}
	c.Advance(31 * time.Second)
	_, err := d.Authenticate(t.Context(), "alice", "right")
	wantProblem(t, err, directory.Unavailable)
	if n := len(f.bindsOf(fakeService)); n != 2 {
		t.Errorf("got %d service binds after the cool-down, want 2", n)
	}
}

func TestClosed(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	d := open(t, s.Options())
	if _, err := d.Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := d.Authenticate(t.Context(), "carol", directorytest.Password)
	wantProblem(t, err, directory.Unavailable)
}
