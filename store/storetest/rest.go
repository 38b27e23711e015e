package storetest

import (
	"errors"
	"testing"
	"time"

	"ssobridge/store"
)

// testBegun: how many creations of a plan were begun, and how a claimed one is given back.
func testBegun(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx, db := t.Context(), open(t, fresh(t))
	p := applying(t, db, creation("a"), creation("b"), creation("c"))
	counts := func(begun, claimed int) {
		t.Helper()
		b, c, err := db.Plans().Begun(ctx, p.ID)
		if err != nil || b != begun || c != claimed {
			t.Errorf("begun %d, claimed %d, %v; want %d, %d", b, c, err, begun, claimed)
		}
	}
	counts(0, 0)
	first, err := db.Plans().Claim(ctx, time.Minute)
	must(t, err)
	counts(0, 1)
	_, err = db.Plans().Begin(ctx, first, ssoUser(first.Login), time.Minute, event("b"))
	must(t, err)
	second, err := db.Plans().Claim(ctx, time.Minute)
	must(t, err)
	counts(1, 1)
	must(t, db.Plans().Release(ctx, second))
	counts(1, 0)
	must(t, db.Plans().Release(ctx, second)) // it is nobody's now
	if again, err := db.Plans().Claim(ctx, time.Minute); err != nil || again.Position != second.Position {
		t.Errorf("claimed %d, %v, want %d: it is open again", again.Position, err, second.Position)
	}
}

// testReseal: factors are walked through in pages, and none is sealed again that has changed since it was read.
func testReseal(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.SecondFactors()
	a := &actor{tb: t, db: db, now: time.Now}
	for _, id := range []string{"f1", "f2", "f3"} {
		f := store.SecondFactor{ID: id, Person: "person-" + store.PersonID(id), Kind: "code", Sealed: []byte("old")}
		must(t, s.Enrol(ctx, f.Person, store.Enrolment{Act: a.act(f.Person), By: store.ByPassword,
			Factors: []store.SecondFactor{f}}))
	}
	page, err := s.After(ctx, "", 2)
	must(t, err)
	rest, err := s.After(ctx, page[len(page)-1].ID, 2)
	must(t, err)
	if len(page) != 2 || len(rest) != 1 || rest[0].ID != "f3" {
		t.Fatalf("pages %v and %v", page, rest)
	}
	f := rest[0]
	f.Sealed = []byte("new")
	for i, want := range []bool{true, false} { // the second time it is another version
		if changed, err := s.Reseal(ctx, f); err != nil || changed != want {
			t.Errorf("time %d: changed %t, %v, want %t", i+1, changed, err, want)
		}
	}
	if now, err := s.After(ctx, "f2", 2); err != nil || string(now[0].Sealed) != "new" {
		t.Errorf("%v, %v", now, err)
	}
}

// testVoid: invitations and recovery codes are made void once, and only as they were read.
func testVoid(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.SecondFactors()
	must(t, s.Invite(ctx, "p", []byte("old"), time.Hour, false))
	must(t, s.Invite(ctx, "q", []byte("kept"), time.Hour, false))
	read, err := s.Invitations(ctx)
	if err != nil || len(read) != 2 || read[0].Person != "p" {
		t.Fatalf("invitations %+v, %v", read, err)
	}
	must(t, s.Invite(ctx, "q", []byte("new"), time.Hour, false)) // replaced since
	for i, want := range []bool{true, false} {
		if done, err := s.VoidInvitation(ctx, read[i], event("void")); err != nil || done != want {
			t.Errorf("invitation of %s: %t, %v, want %t", read[i].Person, done, err, want)
		}
	}
	a := &actor{tb: t, db: db, now: time.Now}
	codes := store.SecondFactor{ID: "codes", Person: "r", Kind: "recovery", Sealed: []byte("old")}
	must(t, s.Enrol(ctx, "r", store.Enrolment{Act: a.act("r"), By: store.ByPassword,
		Factors: []store.SecondFactor{codes}}))
	all, err := s.After(ctx, "", 10)
	if err != nil || len(all) != 1 {
		t.Fatalf("factors %+v, %v", all, err)
	}
	used := all[0]
	used.Version++
	for _, c := range []struct {
		name string
		f    store.SecondFactor
		want bool
	}{{"changed since", used, false}, {"as they were read", all[0], true}, {"gone", all[0], false}} {
		if done, err := s.VoidCodes(ctx, c.f, event("void")); err != nil || done != c.want {
			t.Errorf("%s: %t, %v, want %t", c.name, done, err, c.want)
		}
	}
	if events(t, db, "void") != 2 {
		t.Errorf("%d events, want one for each that was made void", events(t, db, "void"))
	}
}

// testLockouts: row ID-21. Who is locked is listed, and lifting gives back what is to be given back.
func testLockouts(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	th := db.Throttle()
	block := []store.Block{{Name: "192.0.2.1", Limit: 1000}}
	for range 3 {
		_, _, err := th.Take(ctx, store.TakeTry{Person: "anna", Limit: 5, Window: time.Hour, Blocks: block,
			BlockWindow: time.Hour, Pace: time.Second})
		must(t, err)
		must(t, th.Settle(ctx, store.EndedTry{Person: "anna", Blocks: block, Result: store.TryFailed}, event("wrong")))
	}
	locked := func(person, address, want int) {
		t.Helper()
		if all, err := th.Locked(ctx, person, 100, address, 10); err != nil || len(all) != want {
			t.Errorf("locked %+v, %v, want %d", all, err, want)
		}
	}
	locked(3, 100, 1)
	locked(4, 100, 0)
	locked(3, 3, 2)
	if all, err := th.CountersOf(ctx, "anna"); err != nil || len(all) != 1 || all[0].Taken != 3 {
		t.Errorf("counters %+v, %v", all, err)
	}
	if given, err := th.Lift(ctx, "anna", 1, func(int) store.Event { return event("lift") }); err != nil || given != 2 {
		t.Errorf("gave back %d, %v, want 2: one stays", given, err)
	}
	if _, err := th.Lift(ctx, "anna", 1, func(int) store.Event { return event("none") }); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("lifted again: %v", err)
	}
	if given, err := th.Lift(ctx, "192.0.2.1", 0, func(int) store.Event { return event("lift") }); err != nil ||
		given != 3 {
		t.Errorf("gave back %d of the address, %v, want 3", given, err)
	}
	if events(t, db, "lift") != 2 || events(t, db, "none") != 0 {
		t.Error("want an event for each lift, and none for nothing")
	}
}

// testStanding: how far the store has come.
func testStanding(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	before, err := db.Revocations().Standing(ctx)
	must(t, err)
	must(t, db.Audit().Add(ctx, event("one")))
	now, err := db.Revocations().Standing(ctx)
	must(t, err)
	if before.Seq != 0 || now.Seq != 0 || now.Newest.Before(before.Newest) || now.Newest.IsZero() || now.Moved() {
		t.Errorf("before %+v, now %+v", before, now)
	}
	if entries, err := db.Revocations().Entries(ctx); err != nil || len(entries) != 0 {
		t.Errorf("entries %v, %v", entries, err)
	}
}
