package e2e_test

import (
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
		return strings.Contains(c.get(w.url+"/admin/").text(), "1 user is in conflict with another one")
	}) {
		t.Errorf("the conflict is not shown:\n%s", c.get(w.url+"/admin/").text())
	}
	b := w.console(t, consoleViewer, "/admin/")
	// By itself, without a script that asks, and under the page's own policy.
	b.sees("Action needed", "All checks", "Directory", "Constant Contact", "Checked", "Calls to Constant Contact today")
	b.inspect("overview")
}
