package idp_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

// TestID21Lockouts: lockouts are listed with who it is and until when; lifting gives back as many tries as the
// directory leaves, is audited, and says when the directory itself has locked.
func TestID21Lockouts(t *testing.T) {
	ctx := context.Background()
	const alice = "11111111-aaaa-4bbb-8ccc-000000000001"
	there, down := directory.Lockout{Counted: true}, false
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Lockout = func(_ context.Context, person string) (directory.Lockout, error) {
			switch {
			case down:
				return directory.Lockout{}, &directory.Error{Problem: directory.Unavailable, Op: "read",
					Err: errors.New("connection refused")}
			case person != alice:
				return directory.Lockout{}, &directory.Error{Problem: directory.BadData, Op: "read", Err: directory.ErrNotFound}
			}
			return there, nil
		}
	})
	v := visitor("outsider")
	login := func(password string) (in bool) {
		t.Helper()
		a, err := f.Login(ctx, pendingLogin(t, f, v), "alice", password, v)
		if err != nil {
			t.Fatal(err)
		}
		f.Drain()
		return a.NewSession != ""
	}
	lockOut := func() {
		t.Helper()
		for range 5 {
			login("wrong")
		}
		if login("correct horse") {
			t.Fatal("not locked out")
		}
	}
	event := store.Event{At: now.Now(), Ref: "REF9", Actor: "admin:x", Address: "192.0.2.9"}

	if all, err := f.Lockouts(ctx); err != nil || len(all) != 0 {
		t.Errorf("nobody is locked out: %+v, %v", all, err)
	}
	if n, err := f.LockedOut(ctx); n != 0 || err != nil {
		t.Errorf("%d are locked out, %v", n, err)
	}
	lockOut()
	if n, err := f.LockedOut(ctx); n != 1 || err != nil {
		t.Errorf("%d are locked out, %v; want one", n, err)
	}
	all, err := f.Lockouts(ctx)
	if err != nil || len(all) != 1 {
		t.Fatalf("got %+v, %v, want one", all, err)
	}
	if l := all[0]; l.Kind != store.TryPerson || l.Person != alice || l.Login != "alice" || l.Tries != 3 ||
		l.Limit != 5 || l.Everybody ||
		!l.Until.Equal(now.Now().Add(15*time.Minute)) {
		t.Errorf("got %+v", l)
	}
	if of, err := f.LockoutsOf(ctx, alice); err != nil || len(of) != 1 {
		t.Errorf("of alice: %+v, %v", of, err)
	}
	if of, err := f.LockoutsOf(ctx, "11111111-aaaa-4bbb-8ccc-000000000002"); err != nil || len(of) != 0 {
		t.Errorf("of bob: %+v, %v", of, err)
	}

	t.Run("the directory is down", func(t *testing.T) {
		down = true
		defer func() { down = false }()
		if _, err := f.LiftPerson(ctx, alice, event); err == nil {
			t.Error("lifted unseen")
		}
	})
	t.Run("the directory leaves none", func(t *testing.T) {
		there = directory.Lockout{Counted: true, Failures: 5, Policy: &directory.LockoutPolicy{Threshold: 6}}
		l, err := f.LiftPerson(ctx, alice, event)
		if !errors.Is(err, idp.ErrNotLocked) || l.Given != 0 || l.Left != 0 || login("correct horse") {
			t.Errorf("got %+v, %v", l, err)
		}
	})
	t.Run("the directory has locked", func(t *testing.T) {
		there.Locked = true
		l, err := f.LiftPerson(ctx, alice, event)
		if !errors.Is(err, idp.ErrNotLocked) || l.Directory == nil || !l.Directory.Locked || login("correct horse") {
			t.Errorf("got %+v, %v", l, err)
		}
		there.Locked = false
	})
	t.Run("the directory leaves some", func(t *testing.T) {
		there.Failures, there.Policy.Threshold = 3, 8 // four more: one of five stays
		l, err := f.LiftPerson(ctx, alice, event)
		if err != nil || l.Given != 2 || l.Left != 4 {
			t.Errorf("got %+v, %v", l, err)
		}
		e := f.events(t)[0]
		var detail map[string]int
		if err := json.Unmarshal(e.Detail, &detail); err != nil || e.Action != "lockout-lift" || e.Subject != alice ||
			e.Actor != "admin:x" || e.Address != "192.0.2.9" ||
			e.Ref != "REF9" || detail["given_back"] != 2 {
			t.Errorf("event %+v, %v", e, err)
		}
		if !login("correct horse") {
			t.Error("still locked out")
		}
	})
	t.Run("nobody locks there", func(t *testing.T) {
		lockOut()
		there = directory.Lockout{Counted: true, Failures: 50, Policy: &directory.LockoutPolicy{}}
		if l, err := f.LiftPerson(ctx, alice, event); err != nil || l.Given != 5 || l.Left != 5 || !login("correct horse") {
			t.Errorf("got %+v, %v", l, err)
		}
		if _, err := f.LiftPerson(ctx, alice, event); !errors.Is(err, idp.ErrNotLocked) {
			t.Errorf("a second time: %v", err)
		}
	})
	t.Run("codes", func(t *testing.T) {
		for range 6 {
			if _, err := f.db.Throttle().TakeGuess(ctx, store.Guess{Person: alice, Browser: []byte("b"), Limit: 5,
				Window: time.Hour}); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := f.LockoutsOf(ctx, alice); err != nil || len(all) != 1 || all[0].Kind != store.TryCode ||
			all[0].Browser {
			t.Errorf("got %+v, %v", all, err)
		}
		if l, err := f.LiftPerson(ctx, alice, event); err != nil || l.Given != 5 {
			t.Errorf("got %+v, %v", l, err)
		}
	})
	t.Run("addresses", func(t *testing.T) {
		blocks := []store.Block{{Name: "2001:db8:1:2::/64", Limit: 300}, {Name: "2001:db8:1::/56", Limit: 1200}}
		for range 300 {
			if _, _, err := f.db.Throttle().Take(ctx, store.TakeTry{Person: "x", Limit: 1000, Window: time.Hour, Blocks: blocks,
				BlockWindow: time.Hour}); err != nil {
				t.Fatal(err)
			}
		}
		all, err := f.Lockouts(ctx)
		if err != nil || len(all) != 2 { // the person x too
			t.Fatalf("got %+v, %v", all, err)
		}
		for _, l := range all {
			if l.Kind == store.TryAddress && (l.Address != "2001:db8:1:2::/64" || l.Tries != 300 || l.Limit != 300) {
				t.Errorf("got %+v", l)
			}
		}
		if l, err := f.LiftAddress(ctx, "2001:db8:1:2::7", event); err != nil || l.Given != 600 {
			t.Errorf("got %+v, %v", l, err)
		}
		if _, err := f.LiftAddress(ctx, "2001:db8:1:2::/64", event); !errors.Is(err, idp.ErrNotLocked) {
			t.Errorf("a second time: %v", err)
		}
		if _, err := f.db.Throttle().TakeGuess(ctx, store.Guess{Person: "gone", Limit: 5, Window: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if l, err := f.LiftPerson(ctx, "gone", event); err != nil || l.Given != 1 {
			t.Errorf("somebody who left the directory: %+v, %v", l, err)
		}
	})
}
