package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ssobridge/store"
)

func ssoUser(name string) store.SSOUser {
	return store.SSOUser{
		Person: "person-" + store.PersonID(name), Account: "a1", ExternalID: "x-" + name, ExternalProvider: "partner",
		LoginName: "login-" + name, ContactEmail: name + "@example.com", FirstName: "Änne", LastName: name,
		Role: store.CampaignCreator, Mapping: 7,
	}
}

// testLedger: the states of a row, API-03.
func testLedger(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("want", func(t *testing.T) {
		db := open(t, fresh(t))
		l := db.Ledger()
		u := ssoUser("anna")
		row, isNew, err := l.Enqueue(ctx, u, event("w"))
		must(t, err)
		want := u
		want.State = store.Wanted
		if diff := cmp.Diff(want, row, cmpopts.IgnoreFields(store.SSOUser{}, "CreatedAt", "UpdatedAt")); diff != "" ||
			!isNew {
			t.Errorf("new %t (-want +got):\n%s", isNew, diff)
		}
		changed := u
		changed.LoginName = "other"
		if row, isNew, err := l.Enqueue(ctx, changed, event("w")); err != nil || isNew || row.LoginName != u.LoginName {
			t.Errorf("wanted again: %+v, new %t, %v, want the row as it stands", row, isNew, err)
		}
		for name, change := range map[string]func(*store.SSOUser){
			"external id": func(u *store.SSOUser) { u.ExternalID = "x-anna" },
			"login name":  func(u *store.SSOUser) { u.LoginName = "login-anna" },
		} {
			other := ssoUser("other")
			change(&other)
			if _, _, err := l.Enqueue(ctx, other, event("w")); !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s of another: %v, want ErrConflict", name, err)
			}
		}
		second := ssoUser("second")
		second.Person = u.Person
		second.Account = "a2"
		_, _, err = l.Enqueue(ctx, second, event("w"))
		must(t, err)
		if list, err := l.Person(ctx, u.Person); err != nil || len(list) != 2 || list[0].Account != "a1" ||
			list[1].Account != "a2" {
			t.Errorf("of the person: %+v, %v, want two", list, err)
		}
		if n := events(t, db, "w"); n != 2 {
			t.Errorf("%d events, want one for each new row", n)
		}
		if _, err := l.Get(ctx, "nobody", "a1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get nobody: %v", err)
		}
	})
	t.Run("want at once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.Ledger{open(t, o).Ledger(), open(t, o).Ledger()}
		var (
			mu    sync.Mutex
			fresh int
		)
		for _, err := range all(30, func(i int) error {
			_, isNew, err := replicas[i%2].Enqueue(ctx, ssoUser("anna"), event("w"))
			mu.Lock()
			defer mu.Unlock()
			if isNew {
				fresh++
			}
			return err
		}) {
			must(t, err)
		}
		if fresh != 1 {
			t.Errorf("%d calls made the row, want 1", fresh)
		}
	})
	t.Run("claim and settle", func(t *testing.T) {
		db := open(t, fresh(t))
		l := db.Ledger()
		if _, err := l.Claim(ctx, time.Minute, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("claim of nothing: %v, want ErrNotFound", err)
		}
		if _, err := l.NextDue(ctx, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("next due of nothing: %v, want ErrNotFound", err)
		}
		_, _, err := l.Enqueue(ctx, ssoUser("anna"), event("w"))
		must(t, err)
		row, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		if row.State != store.Sending || row.Attempts != 1 || row.MaybeSent || !row.LeaseUntil.After(time.Now()) {
			t.Errorf("claimed %+v, want it sending, first attempt, surely not sent", row)
		}
		if _, err := l.Claim(ctx, time.Minute, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("claimed twice: %v, want ErrNotFound", err)
		}
		if due, err := l.NextDue(ctx, store.PlanPriority); err != nil || !due.Equal(row.LeaseUntil) {
			t.Errorf("next due %v, %v, want the end of the lease", due, err)
		}
		stranger := row
		stranger.State, stranger.Attempts = store.Active, 2
		if err := l.Settle(ctx, stranger, event("bad")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("settled under another attempt: %v, want ErrConflict", err)
		}
		stranger = row
		stranger.State, stranger.LeaseUntil = store.Active, row.LeaseUntil.Add(time.Second)
		if err := l.Settle(ctx, stranger, event("bad")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("settled under another lease: %v, want ErrConflict", err)
		}
		if err := l.Settle(ctx, row, event("bad")); err == nil {
			t.Error("sending is no outcome, but was stored")
		}

		// Unknown: due again, later, and it may have been sent.
		row.State, row.MaybeSent, row.ErrorKey, row.ErrorText = store.Unknown, true, "k", "word: text"
		row.Cause = "cause"
		row.NextAttempt = time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		must(t, l.Settle(ctx, row, event("s")))
		if err := l.Settle(ctx, row, event("bad")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("settled twice: %v, want ErrConflict", err)
		}
		if _, err := l.Claim(ctx, time.Minute, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("claimed before its time: %v", err)
		}
		if due, err := l.NextDue(ctx, store.PlanPriority); err != nil || !due.Equal(row.NextAttempt) {
			t.Errorf("next due %v, %v, want %v", due, err, row.NextAttempt)
		}
		got, err := l.Get(ctx, row.Person, row.Account)
		must(t, err)
		if got.State != store.Unknown || !got.MaybeSent || got.ErrorKey != "k" || got.ErrorText != "word: text" ||
			got.Cause != "cause" || !got.LeaseUntil.IsZero() {
			t.Errorf("unknown row %+v", got)
		}
		if good, bad := events(t, db, "s"), events(t, db, "bad"); good != 1 || bad != 0 {
			t.Errorf("%d and %d events, want 1 and 0", good, bad)
		}
	})
	t.Run("resent with the same body until active", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		_, _, err := l.Enqueue(ctx, ssoUser("anna"), event("w"))
		must(t, err)
		first, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		first.State, first.MaybeSent = store.Unknown, true
		must(t, l.Settle(ctx, first, event("s")))
		second, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		if diff := cmp.Diff(first, second, cmpopts.IgnoreFields(store.SSOUser{}, "State", "Attempts", "LeaseUntil",
			"UpdatedAt")); diff != "" {
			t.Errorf("the second attempt differs (-first +second):\n%s", diff)
		}
		if second.Attempts != 2 || !second.MaybeSent {
			t.Errorf("second attempt %+v", second)
		}
		second.State, second.NextAttempt = store.Active, time.Time{}
		must(t, l.Settle(ctx, second, event("s")))
		if _, err := l.NextDue(ctx, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an active row is due: %v", err)
		}
		counts, err := l.CountByState(ctx)
		must(t, err)
		if diff := cmp.Diff(map[store.State]int{store.Active: 1}, counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
	t.Run("wanted again when surely not sent", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		_, _, err := l.Enqueue(ctx, ssoUser("anna"), event("w"))
		must(t, err)
		first, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		first.State = store.Wanted
		must(t, l.Settle(ctx, first, event("s")))
		second, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		if second.MaybeSent {
			t.Error("a row that surely was not sent counts as maybe sent")
		}
	})
	t.Run("lease that ran out", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		_, _, err := l.Enqueue(ctx, ssoUser("anna"), event("w"))
		must(t, err)
		dead, err := l.Claim(ctx, -time.Second, store.PlanPriority) // its worker died
		must(t, err)
		alive, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		if !alive.MaybeSent || alive.Attempts != 2 {
			t.Errorf("taken over %+v, want maybe sent, second attempt", alive)
		}
		dead.State = store.Refused
		if err := l.Settle(ctx, dead, event("s")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the dead worker settled: %v, want ErrConflict", err)
		}
		alive.State = store.Assumed
		must(t, l.Settle(ctx, alive, event("s")))
	})
	t.Run("want again", func(t *testing.T) {
		for _, c := range []struct {
			state store.State
			maybe bool
			again bool
		}{
			{store.Refused, false, true}, {store.Conflict, false, true},
			{store.Refused, true, false}, {store.Conflict, true, false},
			{store.Active, false, false}, {store.Assumed, true, false}, {store.Unknown, true, false},
		} {
			t.Run(fmt.Sprint(c.state, c.maybe), func(t *testing.T) {
				db := open(t, fresh(t))
				l := db.Ledger()
				_, _, err := l.Enqueue(ctx, ssoUser("anna"), event("w"))
				must(t, err)
				row, err := l.Claim(ctx, time.Minute, store.PlanPriority)
				must(t, err)
				row.State, row.MaybeSent, row.NextAttempt = c.state, c.maybe, time.Now().Add(time.Hour)
				row.ErrorKey = "key"
				must(t, l.Settle(ctx, row, event("s")))
				fixed := ssoUser("anna")
				fixed.LoginName = "fixed"
				must(t, l.WantAgain(ctx, fixed, event("again")))
				got, err := l.Get(ctx, row.Person, row.Account)
				must(t, err)
				if again := got.State == store.Wanted && got.LoginName == "fixed" && got.ErrorKey == "" &&
					got.Attempts == 0; again != c.again {
					t.Errorf("after WantAgain %+v, want it wanted again: %t", got, c.again)
				}
				if n := events(t, db, "again"); (n == 1) != c.again {
					t.Errorf("%d events", n)
				}
				if _, err := l.Claim(ctx, time.Minute, store.PlanPriority); (err == nil) != c.again {
					t.Errorf("claim: %v", err)
				}
			})
		}
	})
	t.Run("want again with another's name", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		_, _, err := l.Enqueue(ctx, ssoUser("anna"), event("w"))
		must(t, err)
		row, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		row.State = store.Refused
		must(t, l.Settle(ctx, row, event("s")))
		_, _, err = l.Enqueue(ctx, ssoUser("bert"), event("w"))
		must(t, err)
		fixed := ssoUser("anna")
		fixed.LoginName = "login-bert"
		if err := l.WantAgain(ctx, fixed, event("w")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
	})
	t.Run("queue", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		start := time.Now().Add(-time.Minute)
		for i, name := range []string{"anna", "bert", "carl"} {
			u := ssoUser(name)
			u.NextAttempt = start.Add(time.Duration(i) * time.Second)
			_, _, err := l.Enqueue(ctx, u, event("w"))
			must(t, err)
		}
		for i, name := range []string{"anna", "bert", "carl"} {
			if place, err := l.Queue(ctx, ssoUser(name).Person, "a1"); err != nil || place != i+1 {
				t.Errorf("%s: place %d, %v, want %d", name, place, err, i+1)
			}
		}
		row, err := l.Claim(ctx, time.Minute, store.PlanPriority)
		must(t, err)
		if row.Person != ssoUser("anna").Person {
			t.Errorf("%s came first, want the oldest", row.Person)
		}
		if place, err := l.Queue(ctx, ssoUser("bert").Person, "a1"); err != nil || place != 2 {
			t.Errorf("bert: place %d, %v, want 2: who is being sent is still before him", place, err)
		}
		row.State = store.Active
		must(t, l.Settle(ctx, row, event("s")))
		if _, err := l.Queue(ctx, ssoUser("anna").Person, "a1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("place of one that does not wait: %v, want ErrNotFound", err)
		}
	})
	t.Run("never restored", func(t *testing.T) {
		if at, err := open(t, fresh(t)).Ledger().Restored(ctx); err != nil || !at.IsZero() {
			t.Errorf("restored at %v, %v, want never", at, err)
		}
	})
}

// testLedgerWorkers: each row goes to one worker.
func testLedgerWorkers(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	replicas := []*store.DB{open(t, o), open(t, o)}
	const rows = 60
	for i := range rows {
		_, _, err := replicas[0].Ledger().Enqueue(ctx, ssoUser(fmt.Sprint(i)), event("w"))
		must(t, err)
	}
	var (
		mu   sync.Mutex
		seen = map[store.PersonID]int{}
	)
	for _, err := range all(8, func(i int) error {
		l := replicas[i%2].Ledger()
		for {
			row, err := l.Claim(ctx, time.Minute, store.PlanPriority)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			seen[row.Person]++
			mu.Unlock()
			row.State = store.Active
			if err := l.Settle(ctx, row, event("s")); err != nil {
				return err
			}
		}
	}) {
		must(t, err)
	}
	if len(seen) != rows {
		t.Errorf("%d rows were claimed, want %d", len(seen), rows)
	}
	for p, n := range seen {
		if n != 1 {
			t.Errorf("%s was claimed %d times", p, n)
		}
	}
}
