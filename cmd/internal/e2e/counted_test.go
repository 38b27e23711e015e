package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

var anyRefPattern = regexp.MustCompile(`Reference ([0-9A-Z]{14}|[0-9A-Z]{10})\b`)

// shownRef is the reference on a page.
func shownRef(t testing.TB, p *page) string {
	t.Helper()
	m := anyRefPattern.FindStringSubmatch(p.text())
	if m == nil {
		t.Fatalf("no reference on the page:\n%s", p.text())
	}
	return m[1]
}

// flooded has many browsers at once ask for a page that refuses them, and returns the references of those that were
// kept and of those that were only counted.
func flooded(t testing.TB, n int, target string, clients ...*client) (kept, counted []string) {
	t.Helper()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	next := make(chan int)
	for i := range clients {
		wg.Go(func() {
			for range next {
				p, err := clients[i].try(http.MethodGet, target, nil)
				if err != nil {
					t.Error(err)
					continue
				}
				m := anyRefPattern.FindStringSubmatch(p.text())
				mu.Lock()
				switch {
				case m == nil:
					t.Errorf("no reference on the page:\n%s", p.text())
				case len(m[1]) == 10:
					kept = append(kept, m[1])
				default:
					counted = append(counted, m[1])
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return kept, counted
}

// answered is what trace show says of a reference, once the counts are written.
func answered(t testing.TB, b *bridge, ref string, want int) {
	t.Helper()
	var q struct {
		Reason   string
		Requests int
		From, To time.Time
		Cause    string
	}
	if !eventually(func() bool {
		if err := json.Unmarshal([]byte(b.command(t, "trace", "show", ref, "--json")), &q); err != nil {
			t.Fatal(err)
		}
		return q.Requests == want
	}) || q.Reason != "unknown_provider" || q.Cause == "" || !q.From.Before(q.To) {
		t.Errorf("reference %s is answered by %+v, want %d requests", ref, q, want)
	}
}

// TestFloodsAreCounted: a flood leaves its first refusals in traces and log lines and the rest in a count, which
// answers the references of all, also after a restart (rows COST-01 and COST-03).
func TestFloodsAreCounted(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	refusing := w.url + "/launch/sp?entity_id=" + url.QueryEscape("https://nobody.example/")
	var strangers []*client
	for range 8 {
		strangers = append(strangers, newClient(t))
	}
	began := time.Now()
	kept, counted := flooded(t, 300, refusing, strangers...)
	minutes := int(time.Since(began)/time.Minute) + 2
	if len(kept) < 10 || len(kept) > minutes*30 {
		t.Errorf("%d of 300 refusals from one address are kept, want 10 to %d", len(kept), minutes*30)
	}
	// In the middle of it: somebody's refusal for another reason, from the same address.
	other := shownRef(t, newClient(t).get(w.url+"/launch/sp?entity_id="+url.QueryEscape(w.providerID())+
		"&relay_state=none"))
	if len(other) != 10 {
		t.Errorf("the reference of another kind is %s", other)
	}
	for _, ref := range append(kept[:3:3], other) {
		if !eventually(func() bool {
			out, err := w.tryCommand("trace", "show", ref)
			return err == nil && strings.Contains(out, "request")
		}) {
			t.Errorf("the trace of %s, which was kept, is not found", ref)
		}
	}
	if len(counted) == 0 {
		t.Fatal("nothing was only counted")
	}
	answered(t, w.bridge, counted[0], len(counted))
	answered(t, w.bridge, strings.ToLower(counted[len(counted)-1]), len(counted))

	// People who are known, too: one with a session asks again and again.
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
	began = time.Now()
	keptOf, countedOf := flooded(t, 600, refusing, c, c, c, c, c, c, c, c)
	// As long as a stranger could be kept too, nobody looks who it is.
	if most := 10*(int(time.Since(began)/time.Second)+2) + 30*(int(time.Since(began)/time.Minute)+2); len(keptOf) > most {
		t.Errorf("%d of 600 refusals of one person are kept, want at most %d", len(keptOf), most)
	}
	all := len(counted) + len(countedOf)
	lines := strings.Count(w.out.String(), `"unknown_provider"`)
	if most := 3 * (len(kept) + len(keptOf)); lines > most {
		t.Errorf("the log has %d lines about %d kept refusals", lines, len(kept)+len(keptOf))
	}
	c.get(w.launch(books)).status(http.StatusForbidden) // a refusal that the audit log has
	// Whoever is next is signed in and traced.
	c = newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password)))
	if !eventually(func() bool { return strings.Contains(w.command(t, "trace", "list", "--person", "bob"), "ok") }) {
		t.Error("a sign-in beside the flood has no trace")
	}

	// What was counted a moment ago is written at the end, and answered by the next program and in the console.
	w.stop(t)
	w.start(t)
	last := append(counted, countedOf...)[all-1]
	answered(t, w.bridge, last, all)
	sentence := fmt.Sprintf("One of %d requests refused for unknown_provider between ", all)
	if out := w.command(t, "trace", "show", last); !strings.Contains(out, sentence) || !strings.Contains(out,
		"No service provider with this entity ID") {
		t.Errorf("trace show says:\n%s", out)
	}
	if out, err := w.tryCommand("audit", "list", "--ref", strings.ToLower(last)); err == nil ||
		!strings.Contains(out, "only counted") || !strings.Contains(out, "ssobridge trace show") {
		t.Errorf("audit list --ref of a request that was only counted: %v\n%s", err, out)
	}
	a := w.enter(t, consoleViewer)
	a.get(w.url+"/admin/trace?ref="+strings.ToLower(last)).says(sentence, "No service provider with this entity ID",
		"No steps were kept")

	var out string
	if !eventually(func() bool {
		out = w.command(t, "trace", "refusals")
		return strings.Contains(out, "unknown_provider") && strings.Contains(out, "not_this_account")
	}) {
		t.Errorf("trace refusals says:\n%s", out)
	}
	a.get(w.url+"/admin/trace/refusals").says("unknown_provider", "not_this_account", "Counted only")

	// A reference that was never given is not found, whatever it looks like.
	for _, made := range []string{"0" + last[1:], last[:13] + "0", last[:13] + "1", last[:12], "NOSUCHREF0"} {
		if made == last || made == counted[0] {
			continue
		}
		if out, err := w.tryCommand("trace", "show", made); err == nil || !strings.Contains(out,
			"no sign-in with the reference") {
			t.Errorf("a made-up reference %s: %v\n%s", made, err, out)
		}
		if p := a.get(w.url + "/admin/trace/of/" + made); p.Status != http.StatusNotFound {
			t.Errorf("a made-up reference %s in the console: %d\n%s", made, p.Status, p.text())
		}
	}
}

// TestFloodsOfReplicas: what two replicas counted adds up.
func TestFloodsOfReplicas(t *testing.T) {
	t.Parallel()
	c := newCluster(t, setting{set: map[string]string{}}.onPostgres(t, postgres(t)), 2)
	var strangers []*client
	for range 8 {
		strangers = append(strangers, newClient(t))
	}
	_, counted := flooded(t, 300, c.url+"/launch/sp?entity_id="+url.QueryEscape("https://nobody.example/"), strangers...)
	if len(counted) < 100 {
		t.Fatalf("%d were counted, want most", len(counted))
	}
	answered(t, c.bridge, counted[0], len(counted))
}

// TestCrowdIsTraced: however many sign in at the same time from one address, each of them has a trace; nothing is left
// out but pages that were shown to nobody known (row COST-02).
func TestCrowdIsTraced(t *testing.T) {
	const people = 120
	w := newWorld(t, crowd(t, people))
	for range 2 { // the first time they are created
		if err := enterAll(t, w.launch(books), logins(0, people), 24); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		n := 0
		for line := range strings.Lines(w.command(t, "trace", "list", "--outcome", "ok", "--limit", "1000", "--json")) {
			var one store.Trace
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatal(err)
			}
			if one.Person != "" && !one.Stranger && len(one.Steps) > 0 {
				n++
			}
		}
		return n
	}
	if !eventually(func() bool { return count() == 2*people }) {
		t.Errorf("%d of %d sign-ins have a trace that says ok", count(), 2*people)
	}
	if strings.Contains(w.out.String(), "sign-in traces were left out") {
		t.Error("traces were left out")
	}
}
