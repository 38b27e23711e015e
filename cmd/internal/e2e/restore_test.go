package e2e_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// A backup that is 5,000 creations old is restored. The first people sign in before anybody has done anything: Constant
// Contact answers that they exist, and they are taken as the persons' own. Then an admin marks everybody else by a
// plan, without any call. All sign in, none is created twice, and the ledger ends up saying what the sandbox says.
func TestCrowdRestore(t *testing.T) {
	const (
		people = 5000
		early  = 300
	)
	w := newWorld(t, crowd(t, people))
	backup := filepath.Join(t.TempDir(), "old.db")
	w.command(t, "backup", backup)
	w.command(t, "provision", "plan")
	w.command(t, "provision", "apply", "--max", fmt.Sprint(people), "--yes", "--detach")
	w.settledPlan(t)
	w.agree(t, people)
	before := w.creations()

	w.stop(t)
	w.command(t, "restore", backup)
	w.start(t)
	if out := w.command(t, "provision", "status"); !strings.Contains(out, "PAUSED") {
		t.Errorf("after the restore provisioning is not paused:\n%s", out)
	}
	if out, err := w.tryCommand("provision", "plan"); err != nil {
		t.Fatalf("provision plan: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("provision", "apply", "--max", fmt.Sprint(people), "--yes"); err == nil ||
		!strings.Contains(out, "is paused since") {
		t.Errorf("a plan was applied during the hold: %v\n%s", err, out)
	}

	if err := enterAll(t, w.launch(books), logins(0, early), 8); err != nil {
		t.Errorf("right after the restore: %v", err)
	}
	if n := w.creations() - before; n != early {
		t.Errorf("%d calls for %d people whom the backup did not know, want one each", n, early)
	}
	before = w.creations()
	w.command(t, "provision", "plan")
	w.command(t, "users", "adopt", "--plan", "--yes")
	if err := enterAll(t, w.launch(books), logins(early, people), 8); err != nil {
		t.Errorf("after users adopt --plan: %v", err)
	}
	if n := w.creations() - before; n != 0 {
		t.Errorf("%d calls after users adopt --plan, want none", n)
	}
	w.agree(t, people)
	if n := strings.Count(w.command(t, "users", "list", "--state", "assumed", "--json", "--limit", "1000"),
		"\n"); n != 1000 {
		t.Errorf("an admin sees %d assumed users on the first page, want 1000", n)
	}
	w.command(t, "users", "confirm", "--all", "--yes")
	w.command(t, "provision", "release")
	for _, u := range w.ledger(t) {
		if u.State != "active" {
			t.Fatalf("after users confirm, %s is %s", u.Person, u.State)
		}
	}
	w.command(t, "provision", "plan")
	if p := w.plan(t); p.Creations != 0 {
		t.Errorf("a plan would create %d users after all", p.Creations)
	}
}

// settledPlan waits until the newest plan is done, with nobody failed or skipped.
func (w *world) settledPlan(t testing.TB) {
	t.Helper()
	var p planStatus
	if !within(10*patience, func() bool { p = w.plan(t); return p.State != "applying" }) || p.State != "done" ||
		p.Done != p.Creations {
		t.Fatalf("the plan stands at %+v\n%s", p, w.command(t, "provision", "status"))
	}
}
