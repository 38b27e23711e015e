package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// ID-29: behind a balancer that takes each request to the other of two replicas, one of the version before and one of
// this, everybody gets in with one login, whichever serves which step, and comes again without another. The sessions
// that the version before makes count at this one no more than ever.
func TestUpgradeBehindAlternatingBalancer(t *testing.T) {
	t.Parallel()
	former := buildBefore(t)
	current, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	s := setting{binary: former}.onPostgres(t, postgres(t))
	s.set = map[string]string{}
	c := newCluster(t, s, 2)
	c.replicas[1].stop(t)
	c.replicas[1].binary = current
	c.replicas[1].start(t)

	for name, person := range map[string]struct{ login, path, account string }{
		"one account":                  {"bob", club, ""},
		"several accounts, one chosen": {"alice", "", books},
	} {
		for _, first := range []int64{0, 1, 0, 1} {
			t.Run(name, func(t *testing.T) {
				cl := newClient(t)
				c.balancer.next.Store(first)
				for range 3 { // comes again, from either replica on
					steps, logins := 0, 0
					p := cl.get(c.launch(person.path))
					for ; !p.delivers() && steps < 20; steps++ {
						switch {
						case strings.Contains(p.Body, `name="password"`):
							logins++
							p = cl.login(p, person.login, password)
						case strings.Contains(p.Body, `name="account"`):
							p = cl.submit(p, "account", "account", person.account)
						case strings.Contains(p.text(), "Setting up your access"):
							<-time.After(time.Second) // a person reads the page
							p = cl.get(p.URL.String())
						default:
							t.Fatalf("%d at %s\n%s", p.Status, p.URL, p.text())
						}
					}
					if !p.delivers() || logins > 1 {
						t.Fatalf("%d logins in %d steps, and then %d at %s\n%s", logins, steps, p.Status, p.URL, p.text())
					}
					c.balancer.next.Add(1)
				}
			})
		}
	}

	// With the version before gone, its sessions are none.
	cl := newClient(t)
	c.balance(c.replicas[0])
	cl.deliver(cl.login(cl.get(c.launch(club)), "bob", password))
	c.balance(c.replicas[1])
	if p := cl.get(c.launch(club)); p.Status != http.StatusOK || !strings.Contains(p.Body, `name="password"`) {
		t.Errorf("a session of the version before: %d\n%s", p.Status, p.text())
	}
}
