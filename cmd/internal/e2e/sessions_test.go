package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestOwnSessions: a person with two browsers sees both, ends the other, and a third
// person's session is not touched.
func TestOwnSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	office, home, stranger := newClient(t), newClient(t), newClient(t)
	for c, login := range map[*client]string{office: "alice", home: "alice", stranger: "bob"} {
		c.login(c.get(w.launch("")), login, password)
	}
	list := home.get(w.url+"/sessions").status(http.StatusOK).says("This browser", "Another browser", "alice")

	// What stands on one person's page does nothing in another's hands.
	var id string
	for part := range strings.SplitSeq(list.Body, `name="session" value="`) {
		if value, rest, found := strings.Cut(part, `"`); found && strings.Contains(rest, "Sign out there") {
			id = value
		}
	}
	if id == "" {
		t.Fatal("the page names no other session")
	}
	stranger.submit(stranger.get(w.url+"/sessions"), "csrf", "session", id)
	office.get(w.url + "/").says("You are signed in as alice.")

	home.submit(list, "csrf", "session", id).status(http.StatusOK).says("This browser")
	office.get(w.url + "/").says("You are not signed in.")
	office.get(w.launch("")).says("Password")
	home.get(w.url + "/").says("You are signed in as alice.")
	stranger.get(w.url + "/").says("You are signed in as bob.")
}
