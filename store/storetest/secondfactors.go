package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testSecondFactors: who enrols, proves and removes what; of two who do the same at once,
// one.
func testSecondFactors(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	ctx, s := t.Context(), db.SecondFactors()
	is := func(want error, got error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	// Each change is made in a session of its own that may make it.
	a := &actor{tb: t, db: db, now: o.Now}
	act := a.act
	enrol := func(person store.PersonID, e store.Enrolment) error {
		e.Act, e.By = act(person), store.ByPassword
		return s.Enrol(ctx, person, e)
	}
	remove := func(person store.PersonID, id, alone string) error {
		return s.Remove(ctx, person, store.Removal{Act: act(person), ID: id, Alone: alone})
	}
	code := func(id string) store.SecondFactor {
		return store.SecondFactor{ID: id, Person: "p", Kind: "code", Sealed: []byte{1, 2}}
	}

	is(store.ErrNotFound, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("a")}, Invite: []byte("wrong")}))
	is(nil, s.Invite(ctx, "p", []byte("hash"), time.Hour, false))
	is(store.ErrNotFound, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("a")}, Invite: []byte("wrong")}))
	is(store.ErrNotFound, enrol("q", store.Enrolment{Factors: []store.SecondFactor{code("a")}, Invite: []byte("hash")}))
	// the empty one is none
	is(store.ErrNotFound, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("a")}, Invite: []byte{}}))
	ahead.Store(int64(time.Hour))
	is(store.ErrNotFound, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("a")}, Invite: []byte("hash")}))
	ahead.Store(0)

	// Of many who enrol a first factor at once, one does.
	var (
		wait  sync.WaitGroup
		first atomic.Int64
	)
	acts := make([]store.Act, 8)
	for i := range acts {
		acts[i] = act("p")
	}
	for i := range 8 {
		wait.Go(func() {
			err := s.Enrol(ctx, "p", store.Enrolment{Act: acts[i], Factors: []store.SecondFactor{code(string(rune('a' + i)))},
				First: true, Invite: []byte("hash")})
			switch {
			case err == nil:
				first.Add(1)
			case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	all, err := s.OfPerson(ctx, "p")
	if err != nil || len(all) != 1 || first.Load() != 1 {
		t.Fatalf("%d enrolled, and the person has %d factors, want 1: %v", first.Load(), len(all), err)
	}
	// used up
	is(store.ErrNotFound, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("z")}, Invite: []byte("hash")}))
	is(store.ErrConflict, s.Invite(ctx, "p", []byte("other"), time.Hour, false))

	// Of many who use the same reading of it, one does.
	first.Store(0)
	for i := range acts {
		wait.Go(func() {
			f := all[0]
			f.Sealed = []byte{3}
			proof := store.ProvedFactor{Factor: f, Session: store.Session{TokenHash: hash(fmt.Sprint("proved", i)),
				EndsAt: time.Now().Add(time.Hour)}, Old: acts[i].Session}
			switch err := s.Prove(ctx, proof); {
			case err == nil:
				first.Add(1)
			case !errors.Is(err, store.ErrConflict):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	used, err := s.OfPerson(ctx, "p")
	if err != nil || first.Load() != 1 || used[0].UsedAt.IsZero() || string(used[0].Sealed) != "\x03" ||
		used[0].Version != 2 {
		t.Fatalf("%d used it: %+v, %v", first.Load(), used, err)
	}
	other := used[0]
	other.Person = "q"
	is(store.ErrConflict, s.Prove(ctx, store.ProvedFactor{Factor: other, Session: store.Session{TokenHash: hash("q"),
		EndsAt: time.Now().Add(time.Hour)}, Old: act("q").Session}))

	// Codes for a lost one are replaced together, and go with the last other one.
	spare := store.SecondFactor{ID: "spare", Person: "p", Kind: "spare"}
	is(nil, enrol("p", store.Enrolment{Factors: []store.SecondFactor{spare}}))
	spare.ID = "spare2"
	is(nil, enrol("p", store.Enrolment{Factors: []store.SecondFactor{spare}, Replaces: "spare"}))
	is(store.ErrNotFound, remove("q", used[0].ID, "spare"))
	is(nil, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("y")}}))
	is(nil, remove("p", "y", "spare"))
	if all, err = s.OfPerson(ctx, "p"); err != nil || len(all) != 2 || all[1].ID != "spare2" {
		t.Fatalf("got %+v, %v, want the first and spare2", all, err)
	}
	is(nil, remove("p", used[0].ID, "spare"))
	if all, err = s.OfPerson(ctx, "p"); err != nil || len(all) != 0 {
		t.Fatalf("got %+v, %v, want none", all, err)
	}

	var many store.Enrolment
	for i := range 20 {
		many.Factors = append(many.Factors, code("m"+string(rune('a'+i))))
	}
	is(nil, enrol("p", many))
	is(store.ErrLimit, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("more")}}))

	// With all factors the sessions go that may rest on one.
	session := store.Session{TokenHash: []byte("session"), Person: "p", Methods: []string{"password"},
		AuthenticatedAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}
	mark, err := db.Sessions().Mark(ctx)
	is(nil, err)
	session.Mark = mark
	is(nil, db.Sessions().Create(ctx, session, nil))
	is(nil, s.Invite(ctx, "p", []byte("again"), time.Hour, true))
	_, err = db.Sessions().Get(ctx, session.TokenHash, 0)
	is(store.ErrNotFound, err)
	is(nil, enrol("p", store.Enrolment{Factors: []store.SecondFactor{code("a")}, First: true, Invite: []byte("again")}))
	if n, err := s.RemoveAll(ctx, "p"); n != 1 || err != nil {
		t.Fatalf("removed %d, %v, want 1", n, err)
	}

	if at, err := s.Delayed(ctx, "p"); err != nil || !at.IsZero() {
		t.Fatalf("put off at %s, %v, want never", at, err)
	}
	is(nil, s.Delay(ctx, "p"))
	if at, err := s.Delayed(ctx, "p"); err != nil || at.IsZero() {
		t.Fatalf("put off at %s, %v", at, err)
	}

	before, err := db.Changes(ctx)
	is(nil, err)
	is(nil, s.SetPolicy(ctx, "one", "required", store.Event{Actor: "admin", Action: "set"}))
	is(nil, s.SetPolicy(ctx, "two", "off", store.Event{Actor: "admin", Action: "set"}))
	is(nil, s.SetPolicy(ctx, "one", "", store.Event{Actor: "admin", Action: "set"}))
	after, err := db.Changes(ctx)
	is(nil, err)
	if policies, err := s.Policies(ctx); err != nil || len(policies) != 1 || policies["two"] != "off" ||
		after != before+3 {
		t.Errorf("policies %v, %v after %d changes", policies, err, after-before)
	}
}
