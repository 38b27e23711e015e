package e2e_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// selfService is a world in which the members of a group may order, without an approval.
func selfService(t testing.TB, more ...string) setting {
	s, slapd := apiSetting(), directorytest.SharedSlapd(t)
	for k, v := range map[string]string{"self_service.enabled": "true", "self_service.country": "us",
		"self_service.groups":   fmt.Sprintf("[%q, %q]", slapd.GroupDN("sales"), slapd.GroupDN("emea")),
		"self_service.approval": "false", "self_service.plan": "GOLD"} {
		s.set[k] = v
	}
	for _, one := range more {
		k, v, _ := strings.Cut(one, "=")
		s.set[k] = v
	}
	return s
}

// orders fills in the form of an order, and sends it.
func (c *client) orders(p *page, organization string) *page {
	c.t.Helper()
	return c.submit(p, "organization", "organization", organization, "state", "MA", "mail", "owner@example.test")
}

// becomes follows the page of an order until it leads on to the client account, and hands the person over as its owner.
func (c *client) becomes(p *page) {
	c.t.Helper()
	within(patience, func() bool {
		if !strings.HasPrefix(p.URL.Path, "/order") {
			return true
		}
		p = c.get(p.URL.String())
		return false
	})
	c.deliver(c.goOn(p)).says("owner")
}

// A person orders a client account, waits, and is its owner. REST-20
func TestSelfServiceOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, selfService(t))
	c := newClient(t)
	// Who has no account yet is led on.
	p := c.login(c.get(w.launch("")), "heidi", password)
	p.status(http.StatusForbidden).says("You have no access yet", "Order an account")
	p = c.get(w.url + "/order")
	p.status(http.StatusOK).says("Order your account", "owner of the new account")
	c.becomes(c.orders(p, "Heidi Books"))
	if n := made(w.sandbox.Accounts(), "Heidi Books"); n != 1 {
		t.Errorf("%d client accounts, want 1", n)
	}
	if !eventually(func() bool {
		for _, a := range w.sandbox.Accounts() {
			if a.OrganizationName == "Heidi Books" && a.PlanType == "GOLD" {
				return true
			}
		}
		return false
	}) {
		t.Errorf("the plan was not set: %+v", w.sandbox.Accounts())
	}
	// There is one for each person.
	if again := c.get(w.url + "/order"); strings.Contains(again.text(), "Order your account") {
		t.Errorf("a second form: %s", again.text())
	}
	// A page of the partner shows it by the person's id.
	var order struct{ Person, State string }
	out := w.command(t, "accounts", "orders", "list", "--json")
	if err := json.Unmarshal([]byte(out), &order); err != nil || order.State != "created" {
		t.Fatalf("%v: %s", err, out)
	}
	var button struct{ State, Account string }
	w.caller(t, allScopes()).get("/accounts/"+order.Person+"/button", &button)
	if button.State != "open" || button.Account == "" {
		t.Errorf("button %+v, want an open one", button)
	}
}

// A double click, two tabs and a reload are one call. REST-20
func TestSelfServiceClicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, selfService(t))
	c := newClient(t)
	p := c.login(c.get(w.url+"/order"), "bob", password)
	f := p.form("organization")
	var wait sync.WaitGroup
	seen := make([]*page, 8)
	for i := range seen {
		fields := url.Values{}
		for k, v := range f.Fields {
			fields[k] = v
		}
		fields.Set("organization", fmt.Sprintf("Clicked Books %d", i%2))
		fields.Set("state", "MA")
		wait.Go(func() { seen[i], _ = c.try(http.MethodPost, p.resolve(f.Action), fields) })
	}
	wait.Wait()
	c.becomes(c.get(w.url + "/order"))
	if n := made(w.sandbox.Accounts(), "Clicked Books 0") + made(w.sandbox.Accounts(), "Clicked Books 1"); n != 1 {
		t.Errorf("%d client accounts, want 1", n)
	}
	calls := 0
	for _, call := range w.sandbox.Calls() {
		if call.Method == http.MethodPost && strings.HasSuffix(call.Path, "/partner/accounts") {
			calls++
		}
	}
	if calls != 1 {
		t.Errorf("%d calls that create a client account, want 1", calls)
	}
}

// Who has no right, or comes when the limit of the day is reached, orders nothing. REST-21
func TestSelfServiceRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, selfService(t, "self_service.per_day=1"))
	stranger := newClient(t)
	p := stranger.login(stranger.get(w.url+"/order"), "alice", password)
	p.status(http.StatusForbidden).says("You can't order an account")
	// A form of somebody else's page does not help, whatever right its owner has.
	bob := newClient(t)
	form := bob.login(bob.get(w.url+"/order"), "bob", password)
	f := form.form("organization")
	f.Fields.Set("organization", "Stolen Books")
	f.Fields.Set("state", "MA")
	stranger.post(form.resolve(f.Action), f.Fields).status(http.StatusForbidden)
	// Nor does one that another site sends.
	bob.crossSite = true
	bob.post(form.resolve(f.Action), f.Fields).status(http.StatusForbidden)
	// What Constant Contact would refuse is refused here.
	bob.submit(form, "organization", "organization", strings.Repeat("x", 51), "state", "MA", "mail", "no address").
		status(http.StatusUnprocessableEntity).says("Please correct them")
	bob.becomes(bob.orders(bob.get(w.url+"/order"), "Bob Books"))
	heidi := newClient(t)
	heidi.orders(heidi.login(heidi.get(w.url+"/order"), "heidi", password), "Late Books").
		status(http.StatusConflict).says("No more accounts can be ordered today")
	if n := made(w.sandbox.Accounts(), "Stolen Books") + made(w.sandbox.Accounts(), "Late Books"); n != 0 {
		t.Errorf("%d client accounts were created, want none", n)
	}
}

// An order waits for an administrator, and nothing is sent before. What is refused, late, or lost meanwhile is never
// sent. REST-21
func TestSelfServiceApproval(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	s := selfService(t, "self_service.approval=true", "directory_cache.ttl=1s")
	s.directory = slapdSettings(slapd)
	s.set["self_service.groups"] = fmt.Sprintf("[%q, %q]", slapd.GroupDN("sales"), slapd.GroupDN("emea"))
	s.mappings = [][]string{{"--group-pattern", "ctct-{account}-{role}"}}
	w := newWorld(t, s)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	c := newClient(t)
	p := c.login(c.get(w.url+"/order"), "heidi", password)
	waiting := func(organization string) int64 {
		t.Helper()
		c.orders(c.get(w.url+"/order"), organization).status(http.StatusOK).says("waits for approval")
		var order struct {
			Order int64
			State string
		}
		out := w.command(t, "accounts", "orders", "list", "--waiting", "--json")
		if err := json.Unmarshal([]byte(out), &order); err != nil || order.State != "waiting" {
			t.Fatalf("%v: %s", err, out)
		}
		return order.Order
	}
	ends := func(what string) {
		t.Helper()
		if !eventually(func() bool { return strings.Contains(c.get(w.url+"/order?n="+lastOrder(t, db)).text(), what) }) {
			t.Errorf("the page does not say %q: %s", what, c.get(w.url+"/order?n="+lastOrder(t, db)).text())
		}
	}
	p.says("Order your account", "has to approve")

	refused := waiting("Refused Books")
	if out, _ := w.tryCommand("check"); !strings.Contains(out, "1 order waits for approval since") {
		t.Errorf("check does not name the order that waits:\n%s", out)
	}
	w.command(t, "accounts", "orders", "refuse", fmt.Sprint(refused), "--reason", "no contract")
	ends("was not approved")

	late := waiting("Late Books")
	if _, err := db.Exec("UPDATE self_orders SET expires_at = 1 WHERE id = $1", late); err != nil {
		t.Fatal(err)
	}
	ends("in time")
	if out, err := w.tryCommand("accounts", "orders", "approve", fmt.Sprint(late)); err == nil ||
		!strings.Contains(out, "wait for approval any more") {
		t.Errorf("an order that has expired was approved: %s", out)
	}

	// Approved after the person's sessions were ended.
	revoked := waiting("Revoked Books")
	w.command(t, "sessions", "end", "heidi")
	if out, err := w.tryCommand("accounts", "orders", "approve", fmt.Sprint(revoked)); err == nil ||
		!strings.Contains(out, "was revoked") {
		t.Errorf("an order was approved whose person was revoked: %s", out)
	}
	c.login(c.get(w.url+"/order"), "heidi", password)

	// The person left the group between the order and its approval.
	lost := waiting("Lost Books")
	member := "dn: " + slapd.GroupDN("emea") + "\nchangetype: modify\n%s: member\nmember: " +
		slapd.PersonDN("heidi") + "\n"
	slapd.Apply(t, "dn: "+slapd.GroupDN("emea")+"\nchangetype: modify\nadd: member\nmember: "+slapd.PersonDN("frank")+"\n")
	slapd.Apply(t, fmt.Sprintf(member, "delete"))
	w.command(t, "accounts", "orders", "approve", fmt.Sprint(lost))
	ends("your access has changed")
	slapd.Apply(t, fmt.Sprintf(member, "add"))
	<-time.After(2 * time.Second) // the reading is a second old at most

	done := waiting("Heidi Books")
	for _, name := range []string{"Refused Books", "Late Books", "Revoked Books", "Lost Books", "Heidi Books"} {
		if n := made(w.sandbox.Accounts(), name); n != 0 {
			t.Errorf("%d client accounts of %s, want none", n, name)
		}
	}
	// A program approves it under a key: asked again, it gets the same answer. Without one it is refused.
	p2 := w.caller(t, allScopes())
	var first, again struct{ State string }
	approve := fmt.Sprintf("/orders/%d/approve", done)
	p2.into(p2.call(http.MethodPost, approve, nil, "Idempotency-Key", "approve"), http.StatusOK, &first)
	r := p2.call(http.MethodPost, approve, nil, "Idempotency-Key", "approve")
	if p2.into(r, http.StatusOK, &again); r.header.Get("Idempotency-Replayed") != "true" || again != first ||
		first.State != "ordered" {
		t.Errorf("approved %+v, then %+v %v", first, again, r.header)
	}
	p2.refused("approved again", p2.call(http.MethodPost, approve, nil), http.StatusConflict, "conflict")
	if out := w.command(t, "audit", "list", "--action", "self-order", "--json"); !strings.Contains(out, `"waiting"`) {
		t.Errorf("the order's event does not say that it waits: %s", out)
	}
	c.becomes(c.get(w.url + "/order?n=" + fmt.Sprint(done)))
}

// lastOrder is the number of the newest order.
func lastOrder(t testing.TB, db *sql.DB) string {
	t.Helper()
	var n int64
	if err := db.QueryRow("SELECT MAX(id) FROM self_orders").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(n)
}

// Killed at each step between order and client account: there is one in the end, and the person lands in it. REST-20
func TestSelfServiceKilledAtEachStep(t *testing.T) {
	t.Parallel()
	k := &killer{path: "/partner/accounts"}
	s := selfService(t, "self_service.plan=", "self_service.per_person=10")
	s.around = k.around
	s.sandbox.TokenLife = 2 * time.Second // so that an order begins with asking for a token
	w := newWorld(t, s)
	w.command(t, "accounts", "list", "--refresh")
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for i, step := range []string{stepStored, stepArrived, stepActed, stepAnswered} {
		t.Run(step, func(t *testing.T) {
			<-time.After(s.sandbox.TokenLife)
			name := fmt.Sprintf("Killed Books %d", i)
			c := newClient(t)
			p := c.login(c.get(w.url+"/order"), "heidi", password)
			f := p.form("organization")
			f.Fields.Set("organization", name)
			f.Fields.Set("state", "MA")
			fired := k.arm(step, func() { _ = w.cmd.Process.Kill() })
			_, _ = c.try(http.MethodPost, p.resolve(f.Action), f.Fields)
			select {
			case <-fired:
			case <-time.After(patience):
				t.Fatal("no order came that far")
			}
			_ = w.cmd.Wait()
			w.cmd = nil
			w.start(t)
			page := w.url + "/order?n=" + lastOrder(t, db)
			if !within(2*time.Minute, func() bool {
				// As if the time had passed after which a killed process surely sends nothing any more.
				_, err := db.Exec("UPDATE account_requests SET updated_at = updated_at - $1 WHERE state <> 'created'",
					(10 * time.Minute).Microseconds())
				return err != nil || made(w.sandbox.Accounts(), name) == 1 && !strings.HasPrefix(c.get(page).URL.Path, "/order")
			}) {
				t.Fatalf("the order came to %s", c.get(page).text())
			}
			c.deliver(c.goOn(c.get(page))).says("owner")
			if n := made(w.sandbox.Accounts(), name); n != 1 {
				t.Errorf("%d client accounts were created, want 1", n)
			}
		})
	}
}

// An administrator approves and refuses in the console; axe looks at the page. REST-21
func TestConsoleOrdersOfPeople(t *testing.T) {
	t.Parallel()
	s := selfService(t, "self_service.approval=true")
	w := newConsoleWorld(t, s)
	ordered := func(login, organization string) *client {
		c := newClient(t)
		c.orders(c.login(c.get(w.url+"/order"), login, password), organization).says("waits for approval")
		return c
	}
	bob := ordered("bob", "Bob Books")
	heidi := ordered("heidi", "Heidi <Books>")
	b := newBrowser(t)
	const page = "/admin/accounts/orders"
	b.open(w.url + page)
	b.login(consoleAdmin, password)
	b.sees("Waiting for approval", "Bob Books", "Heidi <Books>")
	b.inspect("accounts-orders")
	b.open(w.url + "/admin/provisioning/work")
	b.sees("2 orders for client accounts wait for approval")
	b.open(w.url + page)
	b.press("Approve order")
	b.sees("The order is approved.")
	bob.becomes(bob.get(w.url + "/order"))
	b.press("Refuse order")
	b.sees("The order is refused.", "No order waits for approval.", "Was refused by an administrator")
	b.inspect("accounts-orders")
	heidi.get(w.url + "/order?n=2").says("was not approved")
}
