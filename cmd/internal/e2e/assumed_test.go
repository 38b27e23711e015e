package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"ssobridge/partnerapi/sandbox"
)

// Users that were taken as there after a restore, and whose call finds out: who is missing is created once, who is
// there stays, and both get in.
func TestAssumedIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	w.command(t, "provision", "plan")
	w.command(t, "users", "adopt", "--plan", "--yes")
	var bob, eve ledgerUser
	for _, u := range w.ledger(t) {
		switch {
		case u.Account == club:
			bob = u
		case u.Account == books && bob.Person != u.Person && eve.Person == "":
			eve = u
		}
		if u.State != "assumed" {
			t.Fatalf("%s in %s is %s, want assumed", u.Person, u.Account, u.State)
		}
	}
	if err := w.sandbox.AddUser(sandbox.User{
		Account: eve.Account, FirstName: "There", LastName: "Before", RoleName: eve.Role,
		ContactEmail: "there.before@example.test",
		LoginName:    eve.LoginName, ExternalID: eve.ExternalID, ExternalProvider: w.sandbox.ExternalProvider(),
	}); err != nil {
		t.Fatal(err)
	}
	if out := w.command(t, "provision", "retry"); !strings.Contains(out, "0 users") {
		t.Errorf("unasked: %s", out)
	}
	if n := w.creations(); n != 0 {
		t.Fatalf("%d calls were made unasked", n)
	}
	w.command(t, "provision", "retry", "--state", "assumed", "--account", club)
	w.command(t, "provision", "retry", "--state", "assumed", "--person", eve.Person, "--account", books)
	state := func(of ledgerUser) string {
		for _, u := range w.ledger(t) {
			if u.Person == of.Person && u.Account == of.Account {
				return u.State
			}
		}
		return "gone"
	}
	if !eventually(func() bool { return state(bob) == "active" && w.creations() == 2 && state(eve) == "assumed" }) {
		t.Fatalf("who was missing is %s, who was there is %s", state(bob), state(eve))
	}
	if created := w.sandbox.Created(); len(created) != 1 || created[0].ExternalID != bob.ExternalID {
		t.Errorf("created: %+v, want who was missing, once", created)
	}
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).status(http.StatusOK).says(club)
	if n := w.creations(); n != 2 {
		t.Errorf("%d calls, want one for each", n)
	}
}
