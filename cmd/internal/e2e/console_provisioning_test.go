package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/partnerapi/sandbox"
)

// planned makes a plan, which goes on in the background, and returns its page when it is made. The page loads itself
// again where no script runs.
func (w *world) planned(t *testing.T, c *client) *page {
	t.Helper()
	p := c.submitForm(c.get(w.url+"/admin/provisioning"), "/admin/provisioning/plan")
	p.says("The plan is being made. It creates nobody.")
	own := p.URL.Path
	if !eventually(func() bool {
		p = c.get(w.url + own)
		making := strings.Contains(p.text(), "being made")
		if making && !strings.Contains(p.Body, `http-equiv="refresh" content="3;url=`+own+`?by_itself=1"`) {
			t.Fatalf("a plan that is being made has no refresh:\n%s", p.Body)
		}
		return !making
	}) {
		t.Fatalf("the plan is not made:\n%s", p.text())
	}
	return p
}

func TestConsoleProvisioning(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"provisioning.max_create": "2"}})
	c := w.enter(t, consoleOperator)
	p := w.planned(t, c)
	if !strings.Contains(p.text(), "Alice Anders") || w.creations() != 0 {
		t.Fatalf("a plan: %d, %d creations\n%s", p.Status, w.creations(), p.text())
	}
	own := p.URL.Path
	if p = c.get(w.url + own + "?kind=leaver"); strings.Contains(p.text(), "Alice Anders") || !strings.Contains(p.text(),
		"No matching lines") {
		t.Errorf("leavers alone:\n%s", p.text())
	}
	if p = c.submitForm(p, own+"/apply", "max_create", "none"); p.Status != http.StatusConflict ||
		!strings.Contains(p.Body, `id="e-max_create"`) || !strings.Contains(p.Body, `value="none"`) {
		t.Errorf("a cap that is no number: %d\n%s", p.Status, p.text())
	}
	// A run that would reach its cap asks, and goes on when that was accepted.
	p = c.submitForm(p, own+"/apply", "max_create", "")
	if p.Status != http.StatusConflict || !strings.Contains(p.text(), "Continue anyway") {
		t.Fatalf("more than the cap of two: %d\n%s", p.Status, p.text())
	}
	if w.creations() != 0 {
		t.Errorf("%d were created before anybody said so", w.creations())
	}
	w.sandbox.SetEmailRule(sandbox.EmailEverywhere) // alice, who is to be in two accounts, is a conflict in the second
	if p = c.submitForm(p, own+"/apply", "max_create", "10"); !strings.Contains(p.text(), "The plan is being applied") {
		t.Fatalf("applied: %d\n%s", p.Status, p.text())
	}

	b := w.console(t, consoleOperator, own)
	b.sees("done") // by itself: the page follows
	b.inspect("provisioning-plan")
	b.open(w.url + "/admin/provisioning")
	b.sees("Calls today")
	b.inspect("provisioning")
	b.open(w.url + "/admin/provisioning/users")
	b.sees("conflict")
	b.inspect("provisioning-users")
	b.open(w.url + "/admin/provisioning/work")
	b.inspect("provisioning-work")

	// What failed is tried again by its box; none chosen is said.
	users := "/admin/provisioning/users"
	p = c.get(w.url + users)
	if p = c.submitForm(p, users); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.text(),
		"Select at least one user") {
		t.Errorf("nobody chosen: %d\n%s", p.Status, p.text())
	}
	box := ""
	for name := range strings.SplitSeq(p.Body, `name="`) {
		if strings.HasPrefix(name, "user:") {
			box, _, _ = strings.Cut(name, `"`)
		}
	}
	w.sandbox.SetEmailRule(sandbox.EmailOff)
	if p = c.submitForm(p, users, box, "1", "do", "retry"); !strings.Contains(p.text(), "are being retried") {
		t.Errorf("retry: %d\n%s", p.Status, p.text())
	}
	if !eventually(func() bool { return strings.Contains(c.get(w.url+users).text(), "No matching users") }) {
		t.Errorf("the chosen one is not created:\n%s", c.get(w.url+users).text())
	}

	// A hold stops plans; a viewer sees it and can't lift it.
	if p = c.submitForm(c.get(w.url+"/admin/provisioning"), "/admin/provisioning/hold"); !strings.Contains(p.text(),
		"Provisioning is paused") {
		t.Errorf("hold: %d\n%s", p.Status, p.text())
	}
	if strings.Contains(w.enter(t, consoleViewer).get(w.url+"/admin/provisioning").Body,
		`<form method="post" action="/admin/provisioning`) {
		t.Error("a viewer is offered what they may not do")
	}
	a := w.enter(t, consoleAdmin)
	if p = a.submitForm(a.get(w.url+"/admin/provisioning"), "/admin/provisioning/release"); !strings.Contains(p.text(),
		"Provisioning was resumed") {
		t.Errorf("release: %d\n%s", p.Status, p.text())
	}
}

// Users who exist already are told by a file, the whole ledger is exported and imported, and a lost one is made good by
// a plan.
func TestConsoleTellsUsers(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	const tell = "/admin/provisioning/users/tell"
	c := w.enter(t, consoleAdmin)
	p := c.submitForm(c.get(w.url+tell), tell, "file", "shoe_size\n42\n", "do", "look")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), "shoe_size") || !strings.Contains(p.Body,
		"42\n</textarea>") {
		t.Errorf("a file with another column: %d\n%s", p.Status, p.text())
	}
	file := "login,account,external_id,role\nbob," + club + ",bob-at-club,campaign_creator\nnobody-of-that-name," + club +
		",x,campaign_creator\n"
	p = c.submitForm(p, tell, "file", file, "do", "look").says("Preview", "1 line has errors", "bob-at-club")
	if rows := w.ledger(t); len(rows) != 0 {
		t.Errorf("looking stored %+v", rows)
	}
	// Another file than the one that was looked at is looked at first.
	c.submitForm(p, tell, "file", file+"eve,"+books+",eve-at-books,campaign_creator\n", "do",
		"tell").says("eve-at-books", "Preview")
	p = c.submitForm(c.get(w.url+tell), tell, "file", file, "do", "look")
	c.submitForm(p, tell, "do", "tell").says("new in the ledger")
	if rows := w.ledger(t); len(rows) != 1 || rows[0].ExternalID != "bob-at-club" || rows[0].State != "active" {
		t.Errorf("told: %+v", rows)
	}
	if n := len(w.sandbox.Created()); n != 0 {
		t.Errorf("%d were created", n)
	}
	export := c.get(w.url + "/admin/provisioning/users/export.csv")
	if !strings.Contains(export.Body, "bob-at-club") {
		t.Errorf("export: %d\n%s", export.Status, export.Body)
	}
	c.submitForm(c.get(w.url+tell), tell, "file", export.Body, "do", "import").says("already known")

	// A lost ledger: all whom a plan would create are taken as created, when its number was typed.
	p = w.planned(t, c)
	own := p.URL.Path
	number := strings.TrimPrefix(own, "/admin/provisioning/plans/")
	p = c.submitForm(p, own+"/adopt", "typed", "0").status(http.StatusUnprocessableEntity).says(
		"That is not the number of this plan")
	c.submitForm(p, own+"/adopt", "typed", number).says("new in the ledger")
	assumed := 0
	for _, u := range w.ledger(t) {
		if u.State == "assumed" {
			assumed++
		}
	}
	if assumed == 0 || w.creations() != 0 {
		t.Errorf("%d assumed, %d creations", assumed, w.creations())
	}

	b := w.console(t, consoleAdmin, tell)
	b.sees("Choose a file")
	b.inspect("provisioning-tell")
}
