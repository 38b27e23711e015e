package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// REAL-68: a user whom the ledger has and Constant Contact has not any more is created again, under the same external
// id, and signs in. Who is there after all stays who they are.
func TestCreateAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	file := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(file, []byte("login,account,external_id\nbob,"+club+",bobs-own-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.command(t, "users", "adopt", "--yes", file)
	// The ledger takes bob to be there, and Constant Contact refuses him.
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).status(http.StatusForbidden)
	before := w.ledger(t)[0]

	w.command(t, "users", "suspend", "bob", club)
	if out, err := w.tryCommand("users", "create-again", "bob", club); err == nil ||
		!strings.Contains(out, "is not taken to be at Constant Contact") {
		t.Errorf("a suspended user: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("users", "create-again", "bob"); err == nil ||
		!strings.Contains(out, "no SSO user who is") {
		t.Errorf("nobody to be created: %v\n%s", err, out)
	}
	w.command(t, "users", "resume", "bob", club)
	if out, err := w.tryCommand("users", "create-again", "alice", club); err == nil ||
		!strings.Contains(out, "has no SSO user in account") {
		t.Errorf("who has none: %v\n%s", err, out)
	}

	if out := w.command(t, "users", "create-again", "bob"); !strings.Contains(out, "is created again") {
		t.Errorf("create-again:\n%s", out)
	}
	is := func(state string, calls int) bool {
		u := w.ledger(t)[0]
		return u.State == state && w.creations() == calls
	}
	if !eventually(func() bool { return is("active", 1) }) {
		t.Fatalf("bob is %+v", w.ledger(t))
	}
	if after := w.ledger(t)[0]; after.ExternalID != before.ExternalID || !after.CreatedAt.Equal(before.CreatedAt) {
		t.Errorf("got %+v, want the history of %+v", after, before)
	}
	c = newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).status(http.StatusOK).says(club)

	// Nobody was missing: the user stays, and gets in.
	w.command(t, "users", "create-again", "bob", club)
	if !eventually(func() bool { return is("assumed", 2) }) {
		t.Fatalf("bob, who is there, is %+v", w.ledger(t))
	}
	c.deliver(c.goOn(c.get(w.launch(club)))).status(http.StatusOK).says(club)

	// A user in a client account that no mapping gives any more is not created, and of several one has to be named.
	if err := os.WriteFile(file, []byte("login,account,external_id,role\nbob,"+books+",bobs-own-2,campaign_creator\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	w.command(t, "users", "adopt", "--yes", file)
	if out, err := w.tryCommand("users", "create-again", "bob", books); err == nil ||
		!strings.Contains(out, "not created again: not_this_account") {
		t.Errorf("without a mapping: %v\n%s", err, out)
	}
	if out, err := w.tryCommand("users", "create-again", "bob"); err == nil ||
		!strings.Contains(out, "several SSO users") {
		t.Errorf("one of several: %v\n%s", err, out)
	}
	if out := w.command(t, "audit", "list", "--action", "create-again"); strings.Count(out, "admin:") != 2 {
		t.Errorf("audit:\n%s", out)
	}
}
