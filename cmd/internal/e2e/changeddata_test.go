package e2e_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// REAL-72: a name and mail address that change in the directory become a manual task at the next sign-in, on the
// console's list and by command, and are done in the console.
func TestChangedDataIsAManualTask(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	w := newConsoleWorld(t, setting{directory: slapdSettings(slapd), set: map[string]string{"directory_cache.ttl": "1s"},
		mappings: [][]string{{"--group-pattern", "ctct-{account}-{role}"}}})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(books)), "eve", password)))
	slapd.Apply(t, "dn: "+slapd.PersonDN("eve")+"\nchangetype: modify\nreplace: sn\nsn: <b>Novak\n-\n"+
		"replace: mail\nmail: eve.novak@example.test\n")
	if !eventually(func() bool {
		c.deliver(c.get(w.launch(books)))
		return strings.Contains(w.command(t, "users", "work", "--kind", "data"), "eve.novak@example.test")
	}) {
		t.Fatalf("no manual task:\n%s", w.command(t, "users", "work"))
	}

	operator := w.enter(t, consoleOperator)
	p := operator.get(w.url + "/admin/provisioning/work?kind=data")
	p.says("Change the last name from", "to <b>Novak", "Change the mail address from eve@example.test to "+
		"eve.novak@example.test")
	operator.get(w.url + "/admin").says("another name or mail address")
	b := w.console(t, consoleOperator, "/admin/provisioning/work")
	b.sees("Change the mail address")
	b.inspect("provisioning-work-data")
	operator.submitForm(p, "/admin/provisioning/work").says("Marked as done")
	operator.get(w.url + "/admin/provisioning/work").says("No manual tasks")
	operator.get(w.url+"/admin/provisioning/work?done_work=1").says("<b>Novak", "Change the mail address")
	c.deliver(c.get(w.launch(books)))
	if out := w.command(t, "users", "work"); strings.Contains(out, "novak") {
		t.Errorf("done, and found again:\n%s", out)
	}
}
