package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testMoveToSource: a person's users go to their id at a source as they are, once, and nobody is created by the former
// id any more; what has changed since it was shown, or is known already, is refused and changes nothing.
func testMoveToSource(t *testing.T, fresh func(testing.TB) store.Options) {
	o := fresh(t)
	db, other := open(t, o), open(t, o) // two replicas
	ctx := t.Context()
	known(t, db, "p1", "mover") // with users in w1, which waits, and a1, which is there
	if names, err := db.NameIDs().Get(ctx, hash("name of mover")); err != nil || names.Person != "p1" {
		t.Fatalf("NameID: %+v, %v", names, err)
	}
	move := store.SourceMove{From: "p1", Owner: hash("owner of the new id"),
		To:    store.SourcePerson{Person: "source-portal.p1", Source: "portal", Login: "portal:one"},
		Users: map[store.AccountID]store.Role{"w1": store.AccountManager, "a1": store.AccountManager}}
	refuse := func(name string, want error, change func(*store.SourceMove)) {
		t.Helper()
		m := move
		change(&m)
		before := dump(t, o)
		if did, err := db.Ledger().MoveToSource(ctx, m, event("move-to-source")); did || !errors.Is(err, want) {
			t.Errorf("%s: %v, %v, want %v", name, did, err, want)
		}
		if after := dump(t, o); fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("%s: something was changed", name)
		}
	}
	refuse("nobody", store.ErrNotFound, func(m *store.SourceMove) { m.From = "p9" })
	refuse("another role", store.ErrStale, func(m *store.SourceMove) {
		m.Users = map[store.AccountID]store.Role{"w1": store.AccountManager, "a1": store.CampaignCreator}
	})
	refuse("another account", store.ErrStale, func(m *store.SourceMove) {
		m.Users = map[store.AccountID]store.Role{"a1": store.AccountManager}
	})
	there := ssoUser("x")
	there.Person = "source-portal.there"
	_, _, err := db.Ledger().Enqueue(ctx, there, event("w"))
	must(t, err)
	refuse("to somebody with a user", store.ErrConflict, func(m *store.SourceMove) { m.To.Person = there.Person })
	must(t, db.Sessions().Create(ctx, store.Session{TokenHash: hash("came"), Person: "source-portal.came",
		EndsAt: time.Now().Add(time.Hour),
		SourcePerson: &store.SourcePerson{Person: "source-portal.came", Source: "portal",
			Login: "portal:came", Claims: []byte("{}")}}, nil))
	refuse("to somebody who came", store.ErrConflict, func(m *store.SourceMove) { m.To.Person = "source-portal.came" })
	lease := time.Now().Add(time.Minute).UnixMicro()
	sql := rawDB(t, o)
	_, err = sql.Exec(`UPDATE sso_users SET state = 'sending', lease_until = $1 WHERE account = 'w1'`, lease)
	must(t, err)
	refuse("while a call is under way", store.ErrBusy, func(*store.SourceMove) {})
	_, err = sql.Exec(`UPDATE sso_users SET state = 'wanted', lease_until = 0 WHERE account = 'w1'`)
	must(t, err)

	// An order that is on its way to the API, whose end would store the owner by the former id.
	if open, err := db.Ledger().Ordered(ctx, "p1"); err != nil || len(open) != 0 {
		t.Errorf("orders: %v, %v, want none", open, err)
	}
	order, err := db.Accounts().WantAccount(ctx, store.AccountRequest{LoginName: "shop-of-mover", OrganizationName: "Shop",
		Body: []byte("{}"), Person: "p1", ExternalID: "owner-of-shop"}, event("order"))
	must(t, err)
	if open, err := db.Ledger().Ordered(ctx, "p1"); err != nil || len(open) != 1 || open[0] != order.ID {
		t.Errorf("orders: %v, %v, want %d", open, err, order.ID)
	}
	refuse("while a client account is ordered for them", store.ErrOrdered, func(*store.SourceMove) {})
	_, err = sql.Exec(`UPDATE account_requests SET state = 'refused' WHERE id = $1`, order.ID)
	must(t, err)

	late := plan(t, db, "watch", func() store.PlanItem {
		i := leaverItem("mover")
		i.Person, i.Account = "p1", "a1"
		return i
	}())
	before, err := db.Ledger().Person(ctx, "p1")
	must(t, err)
	var (
		wait  sync.WaitGroup
		moved atomic.Int64
	)
	for i := range 8 {
		on := db
		if i%2 == 1 {
			on = other
		}
		wait.Go(func() {
			did, err := on.Ledger().MoveToSource(ctx, move, event("move-to-source"))
			if err != nil {
				t.Error(err)
			}
			if did {
				moved.Add(1)
			}
		})
	}
	wait.Wait()
	if moved.Load() != 1 {
		t.Errorf("%d of eight have moved the person, want 1", moved.Load())
	}
	after, err := db.Ledger().Person(ctx, "source-portal.p1")
	if err != nil || len(after) != len(before) {
		t.Fatalf("after it: %+v, %v, want %d users", after, err, len(before))
	}
	for i := range after {
		was := before[i]
		was.Person = "source-portal.p1"
		if fmt.Sprint(after[i]) != fmt.Sprint(was) {
			t.Errorf("user %+v, was %+v", after[i], was)
		}
	}
	if left, err := db.Ledger().Person(ctx, "p1"); err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
	if n, err := db.NameIDs().Get(ctx, hash("name of mover")); err != nil || n.Person != "source-portal.p1" ||
		string(n.Owner) != string(move.Owner) {
		t.Errorf("NameID: %+v, %v, want it with the new id", n, err)
	}
	if all, err := db.Sessions().OfPerson(ctx, "p1", 0); err != nil || len(all) != 0 {
		t.Errorf("sessions: %+v, %v, want none", all, err)
	}
	if to, err := db.Ledger().MovedTo(ctx, "p1", "p2"); err != nil || len(to) != 1 || to["p1"] != "source-portal.p1" {
		t.Errorf("moved: %v, %v", to, err)
	}
	if to, err := db.Ledger().MovedTo(ctx); err != nil || len(to) != 0 {
		t.Errorf("of nobody: %v, %v", to, err)
	}
	if one, err := db.SourcePeople().Get(ctx, "source-portal.p1"); err != nil || one.Login != "portal:one" ||
		one.Claims != nil {
		t.Errorf("known at the source: %+v, %v", one, err)
	}
	if events, err := db.Audit().List(ctx, store.Filter{Ref: "move-to-source"}); err != nil || len(events) != 1 {
		t.Errorf("events: %+v, %v, want one", events, err)
	}
	back := ssoUser("y")
	back.Person = "p1"
	if _, _, err := db.Ledger().Enqueue(ctx, back, event("w")); !errors.Is(err, store.ErrMovedAway) {
		t.Errorf("a new user by the former id: %v, want ErrMovedAway", err)
	}
	told := ssoUser("told")
	told.Person, told.State, told.Role = "p1", store.Active, store.AccountManager
	if became, err := db.Ledger().Adopt(ctx, []store.SSOUser{told}, event("adopt-user")); err != nil ||
		became[0] != store.MovedAway {
		t.Errorf("told of the former id: %v, %v, want %s", became, err, store.MovedAway)
	}
	if left, err := db.Ledger().Person(ctx, "p1"); err != nil || len(left) != 0 {
		t.Errorf("left after it was told: %+v, %v", left, err)
	}
	// What was begun before the move and comes to the store after it: an order, and the tasks of a plan.
	_, err = db.Accounts().WantAccount(ctx, store.AccountRequest{LoginName: "late-shop", OrganizationName: "Shop",
		Body: []byte("{}"), Person: "p1", ExternalID: "owner-of-late-shop"}, event("order"))
	if !errors.Is(err, store.ErrMovedAway) {
		t.Errorf("an order for the former id: %v, want ErrMovedAway", err)
	}
	must(t, db.Plans().SetManualTasks(ctx, late.ID))
	if tasks, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{}); err != nil ||
		slices.ContainsFunc(tasks, func(w store.ManualTask) bool { return w.Person == "p1" }) {
		t.Errorf("tasks: %+v, %v, want none for the former id", tasks, err)
	}
	if from, err := db.Ledger().MovedFrom(ctx, "source-portal.p1"); err != nil || from != "p1" {
		t.Errorf("moved from: %q, %v, want p1", from, err)
	}
	if from, err := db.Ledger().MovedFrom(ctx, "p1"); err != nil || from != "" {
		t.Errorf("moved from: %q, %v, want nobody", from, err)
	}
	refuse("elsewhere", store.ErrConflict, func(m *store.SourceMove) { m.To.Person = "source-portal.p2" })
	second := ssoUser("z")
	second.Person = "p3"
	_, _, err = db.Ledger().Enqueue(ctx, second, event("w"))
	must(t, err)
	refuse("two to one", store.ErrConflict, func(m *store.SourceMove) {
		m.From, m.Users = "p3", map[store.AccountID]store.Role{second.Account: second.Role}
	})

	// Forgetting the former id ends the refusal, also where nothing else is kept of it any more.
	third := ssoUser("t")
	third.Person = "p5"
	_, _, err = db.Ledger().Enqueue(ctx, third, event("w"))
	must(t, err)
	gone := store.SourceMove{From: "p5", To: store.SourcePerson{Person: "source-portal.p5", Source: "portal",
		Login: "portal:five"}, Users: map[store.AccountID]store.Role{third.Account: third.Role}}
	if did, err := db.Ledger().MoveToSource(ctx, gone, event("move-to-source")); !did || err != nil {
		t.Fatalf("moved %v, %v", did, err)
	}
	bare := func(login string) string { return login }
	done, _, err := db.Ledger().ForgetPerson(ctx, store.Forget{Person: "p5", Bare: bare}, event("forget"))
	if err != nil || done.Moves != 1 {
		t.Errorf("forgotten: %+v, %v, want one move", done, err)
	}
	third.ExternalID += "-again"
	third.LoginName += "-again"
	if _, isNew, err := db.Ledger().Enqueue(ctx, third, event("w")); err != nil || !isNew {
		t.Errorf("by the former id, when it was forgotten: %v, %v", isNew, err)
	}

	// An owner's user stays when the mapping goes that told of it: that names the former id.
	owner := ssoUser("owner")
	owner.Person, owner.Account = "p6", "a6"
	m := store.Mapping{Kind: store.PersonMapping, Person: "p6", Account: "a6", Role: store.Owner, Priority: 60}
	m.ID, err = db.Mappings().Add(ctx, m, &owner, event("own"))
	must(t, err)
	owns := store.SourceMove{From: "p6", To: store.SourcePerson{Person: "source-portal.p6", Source: "portal",
		Login: "portal:six"}, Users: map[store.AccountID]store.Role{"a6": store.Owner}}
	if did, err := db.Ledger().MoveToSource(ctx, owns, event("move-to-source")); !did || err != nil {
		t.Fatalf("owner moved: %v, %v", did, err)
	}
	m, err = db.Mappings().Get(ctx, m.ID)
	must(t, err)
	must(t, db.Mappings().Remove(ctx, m, event("unmap")))
	if all, err := db.Ledger().Person(ctx, "source-portal.p6"); err != nil || len(all) != 1 || all[0].Role != store.Owner {
		t.Errorf("the owner's user: %+v, %v", all, err)
	}
}

// testMoveRaces: an order and a move of its owner at the same time, on two replicas: one of the two is refused.
func testMoveRaces(t *testing.T, fresh func(testing.TB) store.Options) {
	o := fresh(t)
	db, other := open(t, o), open(t, o)
	ctx := t.Context()
	for i := range 10 {
		p := store.PersonID(fmt.Sprint("racer", i))
		u := ssoUser(string(p))
		u.Person = p
		_, _, err := db.Ledger().Enqueue(ctx, u, event("w"))
		must(t, err)
		m := store.SourceMove{From: p, To: store.SourcePerson{Person: "source-portal." + p, Source: "portal",
			Login: "portal:" + string(p)}, Users: map[store.AccountID]store.Role{u.Account: u.Role}}
		did := all(2, func(n int) error {
			if n == 0 {
				_, err := db.Ledger().MoveToSource(ctx, m, event("move-to-source"))
				return err
			}
			_, err := other.Accounts().WantAccount(ctx, store.AccountRequest{LoginName: "shop-" + string(p),
				OrganizationName: "Shop", Body: []byte("{}"), Person: p, ExternalID: "owner-" + string(p)}, event("order"))
			return err
		})
		moved, ordered := did[0] == nil, did[1] == nil
		switch {
		case moved && errors.Is(did[1], store.ErrMovedAway), ordered && errors.Is(did[0], store.ErrOrdered):
		default:
			t.Errorf("moved: %v, ordered: %v, want one of them", did[0], did[1])
		}
	}
}

// testMoveLost: a move that a restored backup does not have is known by the journal. Nobody is created by either id
// until it is made again, as it was; users that were suspended since are suspended again.
func testMoveLost(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	const to = store.PersonID("source-portal.p1")
	prepare := func(db *store.DB) store.SourceMove {
		for _, account := range []store.AccountID{"a1", "a2"} {
			u := ssoUser("mover" + string(account))
			u.Person, u.Account, u.State, u.Role = "p1", account, store.Active, store.AccountManager
			became, err := db.Ledger().Adopt(ctx, []store.SSOUser{u}, event("adopt"))
			must(t, err)
			if became[0] != store.Adopted {
				t.Fatal(became)
			}
		}
		return store.SourceMove{From: "p1", To: store.SourcePerson{Person: to, Source: "portal", Login: "portal:one"},
			Users: map[store.AccountID]store.Role{"a1": store.AccountManager, "a2": store.AccountManager}}
	}
	oj := fresh(t)
	j := &journal{}
	oj.Journal = j
	now := open(t, oj)
	if _, err := now.Ledger().MoveToSource(ctx, prepare(now), event("move-to-source")); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(j.before, "move revoked") {
		t.Errorf("the journal has %q, want the move", j.before)
	}
	must(t, now.Ledger().Suspend(ctx, store.UserKey{Person: to, Account: "a2"}, event("suspend")))
	words, err := now.Revocations().After(ctx, 0, 1000)
	must(t, err)

	o := fresh(t)
	db := open(t, o)
	move := prepare(db)
	done, err := db.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Event: event("settle")})
	must(t, err)
	if done.Moves != 1 {
		t.Errorf("settled: %+v, want 1 move", done)
	}
	again, err := db.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Event: event("settle")})
	if err != nil || again.Moves != 0 {
		t.Errorf("settled twice: %+v, %v", again, err)
	}
	moved, err := db.Ledger().MovedTo(ctx, "p1", "p2", to, "source-portal.p2")
	must(t, err)
	if want := map[store.PersonID]store.PersonID{"p1": store.LostMove(to), to: store.MoveLost}; fmt.Sprint(moved) !=
		fmt.Sprint(want) {
		t.Errorf("moved: %v, want %v", moved, want)
	}
	// They come from the source before anybody has looked.
	must(t, db.Sessions().Create(ctx, store.Session{TokenHash: hash("came"), Person: to,
		EndsAt: time.Now().Add(time.Hour),
		SourcePerson: &store.SourcePerson{Person: to, Source: "portal", Login: "portal:ana",
			Claims: []byte(`{"a":1}`)}}, nil))
	for _, p := range []store.PersonID{"p1", to} {
		u := ssoUser("second")
		u.Person, u.Account = p, "a9"
		if _, _, err := db.Ledger().Enqueue(ctx, u, event("w")); !errors.Is(err, store.ErrMovedAway) {
			t.Errorf("a new user of %s: %v, want ErrMovedAway", p, err)
		}
	}
	refuse := func(name string, m store.SourceMove) {
		t.Helper()
		if did, err := db.Ledger().MoveToSource(ctx, m, event("m")); did || !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, %v, want ErrConflict", name, did, err)
		}
	}
	wrong := move
	wrong.To.Person = "source-portal.p2"
	refuse("to somebody else", wrong)
	told := ssoUser("third")
	told.Person, told.Account, told.State, told.Role = "p3", "a1", store.Active, store.AccountManager
	_, err = db.Ledger().Adopt(ctx, []store.SSOUser{told}, event("adopt"))
	must(t, err)
	refuse("somebody else there", store.SourceMove{From: "p3", To: move.To,
		Users: map[store.AccountID]store.Role{"a1": store.AccountManager}})
	if did, err := db.Ledger().MoveToSource(ctx, move, event("m")); !did || err != nil {
		t.Fatalf("made again: %v, %v", did, err)
	}
	users, err := db.Ledger().Person(ctx, to)
	if err != nil || len(users) != 2 || users[0].State != store.Active || users[1].State != store.Suspended {
		t.Errorf("users: %+v, %v, want the second one suspended", users, err)
	}
	if one, err := db.SourcePeople().Get(ctx, to); err != nil || string(one.Claims) != `{"a":1}` {
		t.Errorf("what the token said: %+v, %v", one, err)
	}
	if moved, err = db.Ledger().MovedTo(ctx, "p1", to); err != nil || len(moved) != 1 || moved["p1"] != to {
		t.Errorf("moved: %v, %v", moved, err)
	}

	// Forgetting either side of a lost move ends it.
	for _, p := range []store.PersonID{"p1", to} {
		db := open(t, fresh(t))
		_, err := db.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Event: event("settle")})
		must(t, err)
		bare := func(login string) string { return login }
		if done, _, err := db.Ledger().ForgetPerson(ctx, store.Forget{Person: p, Bare: bare}, event("f")); err != nil ||
			done.Moves != 1 {
			t.Errorf("forget %s: %+v, %v", p, done, err)
		}
		if moved, err := db.Ledger().MovedTo(ctx, "p1", to); err != nil || len(moved) != 0 {
			t.Errorf("forgotten: %v, %v", moved, err)
		}
		if said, err := db.Revocations().After(ctx, 0, 1000); err != nil || said[len(said)-1].Word != store.Allowed {
			t.Errorf("last word: %+v, %v", said, err)
		}
	}
}

// testMoveKnown: a move that the database has is none that was lost, also where its word was purged and the journal, or
// its copy in the audit's sink, still has it.
func testMoveKnown(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	const to = store.PersonID("source-portal.p1")
	u := ssoUser("mover")
	u.Person, u.State = "p1", store.Active
	_, err := db.Ledger().Adopt(ctx, []store.SSOUser{u}, event("adopt"))
	must(t, err)
	_, err = db.Ledger().MoveToSource(ctx, store.SourceMove{From: "p1",
		To:    store.SourcePerson{Person: to, Source: "portal", Login: "portal:one"},
		Users: map[store.AccountID]store.Role{u.Account: u.Role}}, event("move-to-source"))
	must(t, err)
	// The last word stays.
	must(t, db.Ledger().Suspend(ctx, store.UserKey{Person: to, Account: u.Account}, event("suspend")))
	words, err := db.Revocations().After(ctx, 0, 1000)
	must(t, err)
	if n, err := db.Revocations().Purge(ctx, time.Now().Add(time.Hour)); err != nil || n == 0 {
		t.Fatalf("purged: %d, %v", n, err)
	}
	for _, restored := range []bool{false, true} {
		done, err := db.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: restored, Event: event("settle")})
		if err != nil || done.Moves != 0 {
			t.Errorf("settled (restored: %v): %+v, %v, want no move", restored, done, err)
		}
	}
	if moved, err := db.Ledger().MovedTo(ctx, "p1", to); err != nil || len(moved) != 1 || moved["p1"] != to {
		t.Errorf("moved: %v, %v, want p1 to %s alone", moved, err, to)
	}
	second := ssoUser("second")
	second.Person, second.Account = to, "a9"
	if _, _, err := db.Ledger().Enqueue(ctx, second, event("w")); err != nil {
		t.Errorf("a user in another client account: %v", err)
	}
	// That it was forgotten is said, though no word is known that it was made.
	later := time.Now().Add(time.Hour)
	must(t, db.Ledger().Suspend(ctx, store.UserKey{Person: to, Account: "a9"}, event("suspend")))
	_, err = db.Revocations().Purge(ctx, later)
	must(t, err)
	bare := func(login string) string { return login }
	_, _, err = db.Ledger().ForgetPerson(ctx, store.Forget{Person: "p1", Bare: bare}, event("forget"))
	must(t, err)
	said, err := db.Revocations().After(ctx, 0, 1000)
	if last := said[len(said)-1]; err != nil || last.Kind != store.MoveObject || last.Word != store.Allowed {
		t.Errorf("the last word is %+v, %v, want that the move is allowed", last, err)
	}
}

// testMoveLostAdopted: of a lost move, users who are younger than the backup are adopted by the new id. The same move
// ends what stands against both ids then, whether the backup has other users of the person or none.
func testMoveLostAdopted(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	const to = store.PersonID("source-portal.p1")
	user := func(p store.PersonID, a store.AccountID) store.SSOUser {
		u := ssoUser("of " + string(a))
		u.Person, u.Account, u.State, u.Role = p, a, store.Active, store.AccountManager
		return u
	}
	adopt := func(db *store.DB, u store.SSOUser) {
		t.Helper()
		became, err := db.Ledger().Adopt(ctx, []store.SSOUser{u}, event("adopt"))
		must(t, err)
		if became[0] != store.Adopted {
			t.Fatal(became)
		}
	}
	move := func(accounts ...store.AccountID) store.SourceMove {
		m := store.SourceMove{From: "p1", To: store.SourcePerson{Person: to, Source: "portal", Login: "portal:one"},
			Users: map[store.AccountID]store.Role{}}
		for _, a := range accounts {
			m.Users[a] = store.AccountManager
		}
		return m
	}
	now := open(t, fresh(t))
	adopt(now, user("p1", "a1"))
	_, err := now.Ledger().MoveToSource(ctx, move("a1"), event("move-to-source"))
	must(t, err)
	words, err := now.Revocations().After(ctx, 0, 1000)
	must(t, err)
	for name, had := range map[string][]store.AccountID{"no user": nil, "another user": {"a1"}} {
		db := open(t, fresh(t))
		for _, a := range had {
			adopt(db, user("p1", a))
		}
		_, err := db.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Event: event("settle")})
		must(t, err)
		if len(had) == 0 {
			if _, err := db.Ledger().MoveToSource(ctx, move(), event("m")); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s, and none adopted: %v, want ErrNotFound", name, err)
			}
		}
		adopt(db, user(to, "a2"))
		if did, err := db.Ledger().MoveToSource(ctx, move(had...), event("m")); !did || err != nil {
			t.Errorf("%s: made again: %v, %v", name, did, err)
		}
		if moved, err := db.Ledger().MovedTo(ctx, "p1", to); err != nil || len(moved) != 1 || moved["p1"] != to {
			t.Errorf("%s: moved: %v, %v", name, moved, err)
		}
		if users, err := db.Ledger().Person(ctx, to); err != nil || len(users) != len(had)+1 {
			t.Errorf("%s: users: %+v, %v", name, users, err)
		}
		if _, _, err := db.Ledger().Enqueue(ctx, user("p1", "a9"), event("w")); !errors.Is(err, store.ErrMovedAway) {
			t.Errorf("%s: a new user of p1: %v, want ErrMovedAway", name, err)
		}
		if _, _, err := db.Ledger().Enqueue(ctx, user(to, "a9"), event("w")); err != nil {
			t.Errorf("%s: a new user of %s: %v", name, to, err)
		}
	}
	// A user of both in one client account is for an administrator to look at.
	db := open(t, fresh(t))
	adopt(db, user("p1", "a1"))
	_, err = db.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Event: event("settle")})
	must(t, err)
	other := user(to, "a1")
	other.ExternalID, other.LoginName = "another", "another"
	adopt(db, other)
	if did, err := db.Ledger().MoveToSource(ctx, move("a1"), event("m")); did || !errors.Is(err, store.ErrConflict) {
		t.Errorf("two users in one client account: %v, %v, want ErrConflict", did, err)
	}
}

// testMoveLostResumed: who was suspended by the former id and resumed by the new one stays resumed when a lost move is
// made again, unless somebody has suspended them since.
func testMoveLostResumed(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	const to = store.PersonID("source-portal.p1")
	u := ssoUser("mover")
	u.Person, u.State, u.Role = "p1", store.Active, store.AccountManager
	from, now := store.UserKey{Person: "p1", Account: u.Account}, store.UserKey{Person: to, Account: u.Account}
	move := store.SourceMove{From: "p1", To: store.SourcePerson{Person: to, Source: "portal", Login: "portal:one"},
		Users: map[store.AccountID]store.Role{u.Account: u.Role}}
	began := func() *store.DB {
		t.Helper()
		db := open(t, fresh(t))
		_, err := db.Ledger().Adopt(ctx, []store.SSOUser{u}, event("adopt"))
		must(t, err)
		return db
	}
	db := began()
	must(t, db.Ledger().Suspend(ctx, from, event("suspend")))
	_, err := db.Ledger().MoveToSource(ctx, move, event("move"))
	must(t, err)
	must(t, db.Ledger().Resume(ctx, now, event("resume")))
	words, err := db.Revocations().After(ctx, 0, 1000)
	must(t, err)
	for want, then := range map[store.State]func(*store.DB){
		store.Active: func(*store.DB) {},
		store.Suspended: func(db *store.DB) {
			must(t, db.Ledger().Resume(ctx, from, event("resume")))
			must(t, db.Ledger().Suspend(ctx, from, event("suspend")))
		},
	} {
		db := began()
		_, err := db.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Event: event("settle")})
		must(t, err)
		then(db)
		_, err = db.Ledger().MoveToSource(ctx, move, event("move"))
		must(t, err)
		if u, err := db.Ledger().Get(ctx, to, u.Account); err != nil || u.State != want {
			t.Errorf("the user is %s, %v, want %s", u.State, err, want)
		}
	}
}
