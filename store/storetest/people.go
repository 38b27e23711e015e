package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testPeople: whoever logged in is called as the directory said then, until they have not logged in for a long time.
func testPeople(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db, ctx := open(t, o), t.Context()
	login := func(mark string, p store.PersonID, login, name string) {
		t.Helper()
		must(t, db.Sessions().Create(ctx, store.Session{TokenHash: hash(mark), Person: p, Login: login, Name: name,
			Browser: hash("browser"), EndsAt: o.Now().Add(time.Hour)}, nil))
	}
	called := func(people ...store.PersonID) map[store.PersonID]store.Called {
		t.Helper()
		names, err := db.People().Called(ctx, people)
		must(t, err)
		return names
	}
	login("1", "p1", "ada", "Ada Lovelace")
	login("2", "p2", "bob", "")
	got := called("p1", "p2", "p3")
	if len(got) != 2 || got["p1"] != (store.Called{Person: "p1", Login: "ada", Name: "Ada Lovelace"}) ||
		got["p2"].Login != "bob" {
		t.Errorf("after the logins: %v", got)
	}
	login("3", "p1", "ada", "Ada King")
	if got := called("p1")["p1"].Name; got != "Ada King" {
		t.Errorf("after another login: %q, want the new name", got)
	}
	if got := called(); len(got) != 0 {
		t.Errorf("of nobody: %v", got)
	}
	login("5", "p4", "ADA", "")
	for login, want := range map[string]string{"Ada": "[p1 p4]", "bob": "[p2]", "nobody": "[]", "%": "[]"} {
		if got, err := db.People().ByLogin(ctx, login); err != nil || fmt.Sprint(got) != want {
			t.Errorf("who had the login %q: got %v, %v, want %s", login, got, err, want)
		}
	}
	many := make([]store.PersonID, 1001)
	for i := range many {
		many[i] = store.PersonID(fmt.Sprint("p", i))
	}
	if got, err := db.People().Called(ctx, many); err == nil {
		t.Errorf("more than 1000 at once: got %d and no error", len(got))
	}

	ahead.Store(int64(300 * 24 * time.Hour))
	login("4", "p2", "bob", "") // the same name: only the time moves
	ahead.Store(int64(401 * 24 * time.Hour))
	if n, err := db.People().Purge(ctx); n != 2 || err != nil {
		t.Errorf("purge: got %d, %v, want 1: who logged in 100 days ago stays", n, err)
	}
	if got := called("p1", "p2"); len(got) != 1 || got["p2"].Login != "bob" {
		t.Errorf("after the purge: %v", got)
	}
}
