package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

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

// A person orders a client account, waits, and is its owner. REST-18
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
	w.command(t, "accounts", "orders", "list")
}

// A double click, two tabs and a reload are one call. REST-18
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
