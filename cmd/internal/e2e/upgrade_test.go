package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// buildBefore compiles the program as it was before the migration that is the newest now: the commit before the one
// that added it. It needs the repository's history.
func buildBefore(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s\nThis test builds the former version from the repository's history: use a clone that has "+
				"it, not an archive.", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	migrations, err := filepath.Glob(filepath.Join(root, "store/migrations/postgres/*.sql"))
	if err != nil || len(migrations) < 2 {
		t.Fatalf("migrations: %v, %v", migrations, err)
	}
	newest, err := filepath.Rel(root, migrations[len(migrations)-1])
	if err != nil {
		t.Fatal(err)
	}
	added := git("-c", "safe.directory="+root, "log", "--diff-filter=A", "--format=%H", "--", newest)
	before := "HEAD" // while it is not committed yet
	if added != "" {
		before = strings.Fields(added)[0] + "^"
	}
	source := filepath.Join(t.TempDir(), "before")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "before.tar")
	git("-c", "safe.directory="+root, "archive", "-o", archive, before)
	if out, err := exec.Command("tar", "-xf", archive, "-C", source).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	binary := filepath.Join(t.TempDir(), "ssobridge-before")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "./cmd/ssobridge")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the former version: %v\n%s", err, out)
	}
	return binary
}

// An upgrade under load, one replica after the other, and back again: the former version and this one on one
// PostgreSQL. Nobody's sign-in fails, whether they have their user or get it on the way; while both versions serve,
// some log in more than once. Browsers stay with their replica here; TestUpgradeBehindAlternatingBalancer is about
// those that don't.
func TestCrowdUpgrade(t *testing.T) {
	const people = 240
	former := buildBefore(t)
	s := crowd(t, people).onPostgres(t, postgres(t))
	// The former version knows none of the new keys; what it would refuse to read comes by the environment of this one
	// alone.
	delete(s.set, "provisioning.lease")
	s.binary = former
	c := newCluster(t, s, 2)
	c.balancer.sticky.Store(true)
	current, err := quick()
	if err != nil {
		t.Fatal(err)
	}

	var (
		wg    sync.WaitGroup
		stop  = make(chan struct{})
		mu    sync.Mutex
		count int
		again int // logins beyond the first of a sign-in
		swaps atomic.Int64
	)
	// Replicas are exchanged one at a time: after the first, third and fifth time, and while one is exchanged, the two may
	// have two versions. Each exchange counts twice, when it begins and when it is over.
	mixed := func(swaps int64) bool { return swaps%4 != 0 }
	for i := range 4 {
		wg.Go(func() {
			// Each of these comes back again and again, with new people between.
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				login := logins(0, people)[(i+4*n)%people]
				before := swaps.Load()
				times, err := newClient(t).comeIn(c.launch(books), login)
				if err != nil {
					t.Errorf("during the upgrade: %v", err)
					return
				}
				if after := swaps.Load(); times > 1 && before == after && !mixed(after) {
					t.Errorf("%s logged in %d times though all replicas had one version", login, times)
				}
				mu.Lock()
				count++
				again += times - 1
				mu.Unlock()
			}
		})
	}
	signedIn := func() int { mu.Lock(); defer mu.Unlock(); return count }
	more := func(what string) {
		before := signedIn()
		if !eventually(func() bool { return signedIn() >= before+20 }) {
			t.Errorf("%s: nobody signs in", what)
		}
	}
	swap := func(r *bridge, binary, what string) {
		// As a careful balancer does: no new requests, then SIGTERM.
		var rest []*bridge
		for _, other := range c.replicas {
			if other != r {
				rest = append(rest, other)
			}
		}
		c.balance(rest...)
		swaps.Add(1)
		r.stop(t)
		r.binary = binary
		r.start(t)
		c.balance(c.replicas...)
		swaps.Add(1)
		more(what)
	}
	more("former version alone")
	swap(c.replicas[0], current, "one replica upgraded")
	swap(c.replicas[1], current, "both upgraded")
	swap(c.replicas[0], former, "one back at the former version")
	swap(c.replicas[1], former, "both back at the former version")
	swap(c.replicas[0], current, "upgraded once more")
	close(stop)
	wg.Wait()

	c.replicas[1].stop(t)
	c.replicas[1].binary = current
	c.replicas[1].start(t)
	c.bridge.binary = current
	rows := c.ledger(t)
	c.settled(t, len(rows))
	c.agree(t, len(rows))
	if len(rows) < 20 {
		t.Errorf("%d people signed in, too few to prove anything", len(rows))
	}
	t.Logf("%d sign-ins of %d people during two upgrades and one way back, with %d logins more", signedIn(),
		len(rows), again)
}

// comeIn is enter where replicas of two versions serve: to this version a session that the former one made is none, so
// people who come from there to here log in once more, and again while the balancer takes their logins there and the
// next page here. times is how often they did.
func (c *client) comeIn(link, login string) (times int, err error) {
	p, err := c.reload(http.MethodGet, link, nil)
	for end := time.Now().Add(patience); err == nil; {
		switch {
		case p.delivers():
			return times, c.handOver(p, login)
		case strings.Contains(p.Body, `name="password"`) && time.Now().Before(end):
			times++
			f := p.form("password")
			f.Fields.Set("login", login)
			f.Fields.Set("password", password)
			p, err = c.reload(http.MethodPost, p.resolve(f.Action), f.Fields)
		case strings.Contains(p.text(), "Setting up your access") && time.Now().Before(end):
			<-time.After(time.Second)
			p, err = c.reload(http.MethodGet, p.URL.String(), nil)
		default:
			return times, &errNotIn{login, p.text()}
		}
	}
	return times, err
}
