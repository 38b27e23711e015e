package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/partnerapi/sandbox"
)

func TestConsoleOverview(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	// Alice's second account is a conflict, which needs a hand.
	w.sandbox.SetEmailRule(sandbox.EmailEverywhere)
	d := newClient(t)
	d.deliver(d.goOn(d.login(d.get(w.launch(books)), "alice", password)))
	d.get(w.launch(bakery))
	c := w.enter(t, consoleViewer)
	if !eventually(func() bool {
		return strings.Contains(c.get(w.url+"/admin/").text(), "users in conflict with another one")
	}) {
		t.Errorf("the conflict is not shown:\n%s", c.get(w.url+"/admin/").text())
	}
	b := w.console(t, consoleViewer, "/admin/")
	// By itself, through htmx and under the page's own policy.
	b.sees("directory: connect to", "OK", "partner token", "signing key", "Calls to Constant Contact today")
	b.inspect("overview")
	b.open(w.url + "/admin/overview/probe")
	b.sees("Admin console", "OK")

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultDownToken})
	w.sandbox.ForgetTokens()
	if p := c.get(w.url + "/admin/overview/probe"); p.Status != http.StatusOK || !strings.Contains(p.text(),
		"partner token") {
		t.Errorf("with the token server down: %d\n%s", p.Status, p.text())
	}
}
