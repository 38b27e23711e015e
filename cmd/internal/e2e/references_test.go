package e2e_test

import (
	"fmt"
	"testing"
)

// TestReferencesTellNoLogins: past the strangers' bound, the answer to a wrong password has a reference of the same
// form for a login that exists and for one that does not (row COST-03).
func TestReferencesTellNoLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	c := newClient(t)
	guess := func(name string) string {
		t.Helper()
		return c.login(c.get(w.launch("")), name, "wrong").Header.Get("X-Request-Id")
	}
	for i := range 25 { // more than the bound, also where a minute ends meanwhile
		guess(fmt.Sprintf("nobody%d", i))
	}
	for i, known := range []string{"alice", "bob", "dora"} {
		unknown, known := guess(fmt.Sprintf("nobody-else%d", i)), guess(known)
		if len(known) != 10 || len(unknown) != 10 {
			t.Errorf("a login that exists is answered under %q, another one under %q", known, unknown)
		}
	}
}
