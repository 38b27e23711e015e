package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ssobridge/store"
)

// testUsers: what admins do with single rows.
func testUsers(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("suspend and resume", func(t *testing.T) {
		for _, c := range []struct {
			state  store.State
			maybe  bool
			before store.State
			due    bool
		}{
			{store.Wanted, false, store.Wanted, true}, {store.Unknown, true, store.Unknown, true},
			{store.Active, false, store.Active, false}, {store.Assumed, true, store.Assumed, false},
			{store.Conflict, false, store.Conflict, false}, {store.Refused, true, store.Refused, false},
		} {
			t.Run(string(c.state), func(t *testing.T) {
				db := open(t, fresh(t))
				l := db.Ledger()
				row := inState(t, l, "anna", c.state, c.maybe)
				k := keyOf(row)
				if err := l.Resume(ctx, k, event("bad")); !errors.Is(err, store.ErrConflict) {
					t.Errorf("resumed what is not suspended: %v", err)
				}
				must(t, l.Suspend(ctx, k, event("suspend")))
				got := stored(t, l, k)
				if got.State != store.Suspended || got.Before != c.before || got.MaybeSent != c.maybe {
					t.Errorf("suspended %+v, want it suspended from %s", got, c.before)
				}
				if _, err := l.Claim(ctx, time.Hour, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("claimed while suspended: %v", err)
				}
				if _, err := l.Queue(ctx, k.Person, k.Account); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("waits while suspended: %v", err)
				}
				if err := l.Suspend(ctx, k, event("bad")); !errors.Is(err, store.ErrConflict) {
					t.Errorf("suspended twice: %v", err)
				}
				if did, err := l.RequeueNow(ctx, k, store.RetryPriority, event("bad")); did || err != nil {
					t.Errorf("tried again while suspended: %t, %v", did, err)
				}
				must(t, l.WantAgain(ctx, ssoUser("anna"), event("bad")))
				if again, isNew, err := l.Enqueue(ctx, ssoUser("anna"), event("bad")); err != nil || isNew ||
					again.State != store.Suspended {
					t.Errorf("wanted while suspended: %+v, %t, %v", again, isNew, err)
				}
				must(t, l.Resume(ctx, k, event("resume")))
				if got := stored(t, l, k); got.State != c.before || got.Before != "" || got.ExternalID != row.ExternalID ||
					got.MaybeSent != c.maybe {
					t.Errorf("resumed %+v, want %s", got, c.before)
				}
				if _, err := l.Claim(ctx, time.Hour, store.PlanPriority); (err == nil) != c.due {
					t.Errorf("claim after resuming: %v, want it due: %t", err, c.due)
				}
				if s, r, bad := events(t, db, "suspend"), events(t, db, "resume"), events(t, db, "bad"); s != 1 ||
					r != 1 || bad != 0 {
					t.Errorf("%d, %d and %d events, want 1, 1 and 0", s, r, bad)
				}
			})
		}
	})
	t.Run("suspended while it is sent", func(t *testing.T) {
		for _, outcome := range []store.State{store.Active, store.Wanted, store.Unknown, store.Conflict} {
			l := open(t, fresh(t)).Ledger()
			row := inState(t, l, "anna", store.Sending, false)
			must(t, l.Suspend(ctx, keyOf(row), event("x")))
			if got := stored(t, l, keyOf(row)); got.State != store.Suspended || got.Before != store.Unknown || !got.MaybeSent {
				t.Errorf("suspended %+v, want it unknown before, maybe sent", got)
			}
			row.State, row.MaybeSent, row.ErrorText = outcome, outcome == store.Unknown, "said"
			must(t, l.Settle(ctx, row, event("s")))
			got := stored(t, l, keyOf(row))
			if got.State != store.Suspended || got.Before != outcome || got.MaybeSent != row.MaybeSent ||
				got.ErrorText != "said" || !got.LeaseUntil.IsZero() {
				t.Errorf("settled %+v, want it suspended from %s", got, outcome)
			}
			if _, err := l.NextDue(ctx, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("due while suspended: %v", err)
			}
			must(t, l.Resume(ctx, keyOf(row), event("x")))
			if got := stored(t, l, keyOf(row)); got.State != outcome {
				t.Errorf("resumed %+v, want %s", got, outcome)
			}
		}
	})
	t.Run("resumed while it is sent", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		row := inState(t, l, "anna", store.Sending, false)
		must(t, l.Suspend(ctx, keyOf(row), event("x")))
		must(t, l.Resume(ctx, keyOf(row), event("x")))
		if _, err := l.Claim(ctx, time.Hour, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a second call beside the first: %v", err)
		}
		row.State = store.Active
		must(t, l.Settle(ctx, row, event("s")))
		if got := stored(t, l, keyOf(row)); got.State != store.Active {
			t.Errorf("settled %+v, want active", got)
		}
	})
	t.Run("resumed after its lease", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		wanted(t, l, "anna", store.SignInPriority)
		row, err := l.Claim(ctx, -time.Second, store.PlanPriority)
		must(t, err)
		must(t, l.Suspend(ctx, keyOf(row), event("x")))
		must(t, l.Resume(ctx, keyOf(row), event("x")))
		if got := stored(t, l, keyOf(row)); got.State != store.Unknown || !got.MaybeSent || !got.LeaseUntil.IsZero() {
			t.Errorf("resumed %+v, want it unknown", got)
		}
		row.State = store.Refused
		if err := l.Settle(ctx, row, event("s")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the old worker settled: %v", err)
		}
	})
	t.Run("forget and note a role", func(t *testing.T) {
		for _, c := range []struct {
			state       store.State
			maybe       bool
			forget, set bool
		}{
			{store.Wanted, false, true, false}, {store.Unknown, true, true, false}, {store.Sending, false, false, false},
			{store.Active, false, true, true}, {store.Assumed, true, true, true},
			{store.Refused, false, true, false}, {store.Conflict, true, true, false},
		} {
			for _, suspended := range []bool{false, true} {
				t.Run(fmt.Sprint(c.state, suspended), func(t *testing.T) {
					db := open(t, fresh(t))
					l := db.Ledger()
					row := inState(t, l, "anna", c.state, c.maybe)
					k := keyOf(row)
					if suspended {
						must(t, l.Suspend(ctx, k, event("x")))
					}
					err := l.SetRole(ctx, k, store.AccountManager, event("role"))
					if c.set != (err == nil) || (err != nil && !errors.Is(err, store.ErrConflict)) {
						t.Errorf("note role: %v, want it done: %t", err, c.set)
					}
					if got := stored(t, l, k); (got.Role == store.AccountManager) != c.set {
						t.Errorf("role %s after it", got.Role)
					}
					err = l.Forget(ctx, k, event("forget"))
					if c.forget != (err == nil) || (err != nil && !errors.Is(err, store.ErrConflict)) {
						t.Errorf("forget: %v, want it done: %t", err, c.forget)
					}
					if _, err := l.Get(ctx, k.Person, k.Account); errors.Is(err, store.ErrNotFound) != c.forget {
						t.Errorf("after forgetting: %v", err)
					}
					if r, f := events(t, db, "role"), events(t, db, "forget"); (r == 1) != c.set || (f == 1) != c.forget {
						t.Errorf("%d and %d events", r, f)
					}
				})
			}
		}
	})
	t.Run("of nobody", func(t *testing.T) {
		db := open(t, fresh(t))
		l, k := db.Ledger(), store.UserKey{Person: "nobody", Account: "a1"}
		for name, err := range map[string]error{
			"suspend": l.Suspend(ctx, k, event("bad")), "resume": l.Resume(ctx, k, event("bad")),
			"forget": l.Forget(ctx, k, event("bad")), "role": l.SetRole(ctx, k, store.AccountManager, event("bad")),
		} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
		if err := l.SetRole(ctx, k, "king", event("bad")); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("a role that there is not: %v", err)
		}
		if n := events(t, db, "bad"); n != 0 {
			t.Errorf("%d events", n)
		}
	})
	t.Run("lists", func(t *testing.T) { testUserLists(t, open(t, fresh(t)).Ledger()) })
}

func testUserLists(t *testing.T, l *store.Ledger) {
	ctx := t.Context()
	var told []store.SSOUser
	for i := range 60 {
		u := ssoUser(fmt.Sprintf("%02d", i/2))
		u.Account = store.AccountID(fmt.Sprint("a", i%2))
		u.ExternalID, u.LoginName, u.State = fmt.Sprint("x", i), fmt.Sprint("l", i), store.Active
		if i%3 == 0 {
			u.State = store.Assumed
		}
		told = append(told, u)
	}
	became, err := l.Adopt(ctx, told, event("x"))
	must(t, err)
	if slices.ContainsFunc(became, func(a store.Adoption) bool { return a != store.Adopted }) {
		t.Fatalf("adopted %v", became)
	}
	keys := func(pick func(store.SSOUser) bool) (all []store.UserKey) {
		for _, u := range told {
			if pick(u) {
				all = append(all, keyOf(u))
			}
		}
		return all
	}
	for name, c := range map[string]struct {
		filter store.UserFilter
		pick   func(store.SSOUser) bool
	}{
		"all": {store.UserFilter{}, func(store.SSOUser) bool { return true }},
		"a state": {store.UserFilter{States: []store.State{store.Assumed}},
			func(u store.SSOUser) bool { return u.State == store.Assumed }},
		"states": {store.UserFilter{States: []store.State{store.Assumed, store.Active, store.Active, store.Refused}},
			func(store.SSOUser) bool { return true }},
		"no such state": {store.UserFilter{States: []store.State{store.Refused}},
			func(store.SSOUser) bool { return false }},
		"an account": {store.UserFilter{Account: "a1"}, func(u store.SSOUser) bool { return u.Account == "a1" }},
		"a person": {store.UserFilter{Person: "person-07"},
			func(u store.SSOUser) bool { return u.Person == "person-07" }},
		"all three": {store.UserFilter{Person: "person-06", Account: "a0", States: []store.State{store.Assumed}},
			func(u store.SSOUser) bool { return keyOf(u) == keyOf(told[12]) }},
		"account, states": {store.UserFilter{Account: "a0", States: []store.State{store.Assumed, store.Active}},
			func(u store.SSOUser) bool { return u.Account == "a0" }},
	} {
		for _, limit := range []int{0, 7, 1} {
			c.filter.Limit, c.filter.After = limit, store.UserKey{}
			var got []store.UserKey
			for {
				page, err := l.List(ctx, c.filter)
				must(t, err)
				if len(page) == 0 {
					break
				}
				for _, u := range page {
					got = append(got, keyOf(u))
				}
				c.filter.After = got[len(got)-1]
			}
			if want := keys(c.pick); !slices.Equal(got, want) {
				t.Errorf("%s in pages of %d: got %v, want %v", name, limit, got, want)
			}
		}
	}
	for _, f := range []store.UserFilter{{Limit: -1}, {Limit: 1001}, {States: make([]store.State, 21)}} {
		if _, err := l.List(ctx, f); err == nil {
			t.Errorf("limit %d, %d states: accepted", f.Limit, len(f.States))
		}
	}
	people, err := l.People(ctx, []store.PersonID{"person-03", "person-01", "nobody"})
	must(t, err)
	var got []store.UserKey
	for _, u := range people {
		got = append(got, keyOf(u))
	}
	if want := keys(func(u store.SSOUser) bool {
		return u.Person == "person-01" ||
			u.Person == "person-03"
	}); !slices.Equal(got, want) {
		t.Errorf("people: got %v, want %v", got, want)
	}
	if none, err := l.People(ctx, nil); err != nil || len(none) != 0 {
		t.Errorf("of no people: %v, %v", none, err)
	}
	if _, err := l.People(ctx, make([]store.PersonID, 1001)); err == nil {
		t.Error("1001 people: accepted")
	}
	if most, err := l.People(ctx, make([]store.PersonID, 1000)); err != nil || len(most) != 0 {
		t.Errorf("1000 people: %d, %v", len(most), err)
	}
}
