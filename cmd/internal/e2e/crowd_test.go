package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/store/storetest"
)

// Tests of many people raise the limits on both sides: the sandbox allows a little more than the bridge uses, so that a
// busy machine, which makes calls bunch, is not taken for a bridge that calls too fast.
const (
	manyPerSecond = 200
	manyPerDay    = 1_000_000
)

// crowd are settings for n people, user00001 and so on, who are all to be users of the account books. The bridge's
// programs run without the race detector: other tests have it.
func crowd(t testing.TB, n int) setting {
	t.Helper()
	slapd := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Empty: true, People: n})
	return setting{
		directory: slapdSettings(slapd), quick: true, algorithm: "p-256",
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}},
		sandbox:  sandbox.Options{PerSecond: manyPerSecond * 5 / 4, PerDay: manyPerDay},
		set: map[string]string{
			"constant_contact.limits.per_second": fmt.Sprint(manyPerSecond),
			"constant_contact.limits.per_day":    fmt.Sprint(manyPerDay),
			"constant_contact.timeout":           "2s", "provisioning.lease": "1s",
			"sign_in.pending_per_address": "20000", // all these people sit on one machine
		},
	}
}

// onPostgres has every process of the world use a fresh database of a real PostgreSQL.
func (s setting) onPostgres(t testing.TB, fresh func(testing.TB) string) setting {
	t.Helper()
	s.env = append(s.env, "SSOBRIDGE_STORE_DSN="+fresh(t))
	return s
}

// postgres makes databases on the one server of all tests: each call of the returned function makes one.
func postgres(t testing.TB) func(testing.TB) string {
	t.Helper()
	admin, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	fresh := storetest.PostgresAt(admin)
	return func(tb testing.TB) string { return fresh(tb).DSN }
}

// onBothDatabases runs a test on SQLite and on PostgreSQL.
func onBothDatabases(t *testing.T, test func(t *testing.T, on func(setting) setting)) {
	t.Run("SQLite", func(t *testing.T) { test(t, func(s setting) setting { return s }) })
	t.Run("PostgreSQL", func(t *testing.T) {
		fresh := postgres(t)
		test(t, func(s setting) setting { return s.onPostgres(t, fresh) })
	})
}

// errNotIn says that somebody did not get in, and what they saw.
type errNotIn struct{ login, saw string }

func (e *errNotIn) Error() string { return e.login + " did not get in, but saw: " + e.saw }

// enter signs somebody in by the link and hands the Response over, waiting on the page as a browser does. waited is
// what the page said while it was the waiting page.
func (c *client) enter(link, login string, limit time.Duration) (waited []string, err error) {
	p, err := c.reload(http.MethodGet, link, nil)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(p.Body, `name="password"`) {
		return nil, &errNotIn{login, p.text()}
	}
	f := p.form("password")
	f.Fields.Set("login", login)
	f.Fields.Set("password", password)
	if p, err = c.reload(http.MethodPost, p.resolve(f.Action), f.Fields); err != nil {
		return nil, err
	}
	for end := time.Now().Add(limit); strings.Contains(p.text(), "Setting up your access") && time.Now().Before(end); {
		waited = append(waited, p.text())
		<-time.After(time.Second)
		next, err := c.reload(http.MethodGet, p.URL.String(), nil)
		if err != nil {
			return waited, err
		}
		p = next
	}
	return waited, c.handOver(p, login)
}

// reload sends a request, and again where a balancer says that the replica it had chosen was cut off: as people do. A
// killed process takes connections until the kernel has closed its socket, so that may happen more than once within
// moments.
func (c *client) reload(method, target string, fields url.Values) (*page, error) {
	p, err := c.try(method, target, fields)
	for n := 0; n < 10 && err == nil && p.Status == http.StatusBadGateway; n++ {
		<-time.After(200 * time.Millisecond)
		p, err = c.try(method, target, fields)
	}
	return p, err
}

// handOver submits the form with the Response and wants to be let in.
func (c *client) handOver(p *page, login string) error {
	if !p.delivers() {
		return &errNotIn{login, p.text()}
	}
	f := p.form("SAMLResponse")
	landing, err := c.try(http.MethodPost, p.resolve(f.Action), f.Fields)
	if err != nil {
		return err
	}
	if landing.Status != http.StatusOK || !strings.Contains(landing.text(), "User "+login) {
		return &errNotIn{login, landing.text()}
	}
	return nil
}

// enterAll signs people in, so many at a time, and returns the errors.
func enterAll(t testing.TB, link string, logins []string, parallel int) error {
	t.Helper()
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
		next = make(chan string)
	)
	for range parallel {
		wg.Go(func() {
			for login := range next {
				if _, err := newClient(t).enter(link, login, time.Minute); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, login := range logins {
		next <- login
	}
	close(next)
	wg.Wait()
	if len(errs) > 5 {
		errs = append(errs[:5], fmt.Errorf("and %d more", len(errs)-5))
	}
	return errors.Join(errs...)
}

// logins are those of the people from i to below j.
func logins(i, j int) []string {
	var list []string
	for ; i < j; i++ {
		list = append(list, directorytest.LoadLogin(i))
	}
	return list
}

// ledgerUser is a row of the ledger as `users list --json` and `users export` tell it.
type ledgerUser struct {
	Person     string    `json:"person_id"`
	Account    string    `json:"account"`
	State      string    `json:"state"`
	ExternalID string    `json:"external_id"`
	LoginName  string    `json:"login_name"`
	Role       string    `json:"role"`
	Attempts   int       `json:"attempts"`
	CreatedAt  time.Time `json:"created_at"`
}

// ledger reads the whole ledger by the commands, page by page.
func (w *world) ledger(t testing.TB) []ledgerUser {
	t.Helper()
	var all []ledgerUser
	for after := ""; ; {
		args := []string{"users", "list", "--json", "--limit", "1000"}
		if after != "" {
			args = append(args, "--after", after)
		}
		n := 0
		for line := range strings.Lines(w.command(t, args...)) {
			var u ledgerUser
			if err := json.Unmarshal([]byte(line), &u); err != nil {
				t.Fatalf("users list --json: %v: %s", err, line)
			}
			all = append(all, u)
			n++
		}
		if n < 1000 {
			return all
		}
		after = all[len(all)-1].Person + "/" + all[len(all)-1].Account
	}
}

// agree fails unless ledger and sandbox say the same of n people: each exists once, with the same external id, login
// name and role, and can sign in.
func (w *world) agree(t testing.TB, n int) {
	t.Helper()
	there := map[string]sandbox.User{}
	for _, u := range w.sandbox.Created() {
		if _, twice := there[u.ExternalID]; twice {
			t.Errorf("external_id %s exists twice at the sandbox", u.ExternalID)
		}
		there[u.ExternalID] = u
	}
	if len(there) != n {
		t.Errorf("the sandbox has %d users, want %d", len(there), n)
	}
	rows := w.ledger(t)
	if len(rows) != n {
		t.Errorf("the ledger has %d users, want %d", len(rows), n)
	}
	wrong := 0
	for _, r := range rows {
		u, ok := there[r.ExternalID]
		if ok && u.LoginName == r.LoginName && u.RoleName == r.Role && u.Account == r.Account && (r.State == "active" ||
			r.State == "assumed") {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("the ledger says %+v, the sandbox %+v", r, u)
		}
	}
	if wrong > 5 {
		t.Errorf("and so for %d more", wrong-5)
	}
}

// planStatus is what provision status tells of the newest plan.
type planStatus struct {
	ID        int64  `json:"id"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
	Creations int    `json:"creations"`
	Done      int    `json:"done"`
	Failed    int    `json:"failed"`
	Skipped   int    `json:"skipped"`
}

func (w *world) plan(t testing.TB) planStatus {
	t.Helper()
	var status struct {
		Plans []planStatus `json:"plans"`
	}
	out := w.command(t, "provision", "status", "--json")
	if err := json.Unmarshal([]byte(out), &status); err != nil || len(status.Plans) == 0 {
		t.Fatalf("provision status --json: %v\n%s", err, out)
	}
	return status.Plans[0]
}

func decodeJSON(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
