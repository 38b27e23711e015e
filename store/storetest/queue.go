package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ssobridge/store"
)

// keyOf names the row of a user.
func keyOf(u store.SSOUser) store.UserKey {
	return store.UserKey{Person: u.Person, Account: u.Account}
}

// wanted stores the intention to create ssoUser(name) in a class.
func wanted(tb testing.TB, l *store.Ledger, name string, c store.Priority) store.SSOUser {
	tb.Helper()
	u := ssoUser(name)
	u.Priority = c
	row, _, err := l.Enqueue(tb.Context(), u, event("w"))
	must(tb, err)
	return row
}

// inState brings a new row of ssoUser(name) into a state, by the way that it takes in life.
func inState(tb testing.TB, l *store.Ledger, name string, s store.State, maybeSent bool) store.SSOUser {
	tb.Helper()
	row := wanted(tb, l, name, store.SignInPriority)
	if s == store.Wanted {
		return row
	}
	claimed, err := l.Claim(tb.Context(), time.Hour, store.PlanPriority)
	must(tb, err)
	if claimed.Person != row.Person {
		tb.Fatalf("claimed %s, want %s", claimed.Person, row.Person)
	}
	if s == store.Sending {
		return claimed
	}
	claimed.State, claimed.MaybeSent = s, maybeSent
	if s == store.Unknown {
		claimed.NextAttempt = time.Now().Add(time.Hour)
	}
	must(tb, l.Settle(tb.Context(), claimed, event("s")))
	return stored(tb, l, keyOf(row))
}

func stored(tb testing.TB, l *store.Ledger, k store.UserKey) store.SSOUser {
	tb.Helper()
	row, err := l.Get(tb.Context(), k.Person, k.Account)
	must(tb, err)
	return row
}

// testQueue: the classes of the queue, and what moves a row in it.
func testQueue(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	claims := func(t *testing.T, l *store.Ledger, upTo store.Priority, want ...string) {
		t.Helper()
		for _, name := range want {
			row, err := l.Claim(ctx, time.Hour, upTo)
			must(t, err)
			if row.Person != ssoUser(name).Person {
				t.Fatalf("claimed %s, want %s", row.Person, name)
			}
		}
		if row, err := l.Claim(ctx, time.Hour, upTo); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("claimed %s as well, %v", row.Person, err)
		}
	}
	t.Run("lowest class first, in it who came first", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		for i, c := range []store.Priority{store.PlanPriority, store.RetryPriority, store.PlanPriority, store.SignInPriority,
			store.RetryPriority, store.SignInPriority} {
			wanted(t, l, fmt.Sprint(i), c)
		}
		for i, want := range []int{5, 3, 6, 1, 4, 2} {
			if place, err := l.Queue(ctx, ssoUser(fmt.Sprint(i)).Person, "a1"); err != nil || place != want {
				t.Errorf("row %d: place %d, %v, want %d", i, place, err, want)
			}
		}
		claims(t, l, store.PlanPriority, "3", "5", "1", "4", "0", "2")
	})
	t.Run("up to a class", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		wanted(t, l, "plan", store.PlanPriority)
		wanted(t, l, "retry", store.RetryPriority)
		for _, c := range []struct {
			upTo store.Priority
			due  bool
		}{{store.SignInPriority, false}, {store.RetryPriority, true}, {store.PlanPriority, true}} {
			if _, err := l.NextDue(ctx, c.upTo); (err == nil) != c.due || (err != nil && !errors.Is(err, store.ErrNotFound)) {
				t.Errorf("next due up to %s: %v, want one: %t", c.upTo, err, c.due)
			}
		}
		claims(t, l, store.SignInPriority)
		claims(t, l, store.RetryPriority, "retry")
		claims(t, l, store.PlanPriority, "plan")
	})
	t.Run("who waits for a next attempt keeps nobody up", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		later := ssoUser("later")
		later.NextAttempt = time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		_, _, err := l.Enqueue(ctx, later, event("w"))
		must(t, err)
		wanted(t, l, "plan", store.PlanPriority)
		if due, err := l.NextDue(ctx, store.SignInPriority); err != nil || !due.Equal(later.NextAttempt) {
			t.Errorf("next due of the sign-ins %v, %v, want %v", due, err, later.NextAttempt)
		}
		if due, err := l.NextDue(ctx, store.PlanPriority); err != nil || time.Until(due) > time.Second {
			t.Errorf("next due of all %v, %v, want now", due, err)
		}
		claims(t, l, store.PlanPriority, "plan")
	})
	t.Run("order of arrival through a passing refusal", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		for i := range 4 {
			wanted(t, l, fmt.Sprint(i), store.SignInPriority)
		}
		row, err := l.Claim(ctx, time.Hour, store.PlanPriority)
		must(t, err)
		row.State = store.Wanted
		must(t, l.Settle(ctx, row, event("s"))) // due now, after all others
		claims(t, l, store.PlanPriority, "0", "1", "2", "3")
	})
	t.Run("raise", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		for _, c := range []struct {
			state  store.State
			raised bool
		}{
			{store.Wanted, true}, {store.Unknown, true}, {store.Sending, false},
			{store.Active, false}, {store.Assumed, false}, {store.Refused, false}, {store.Conflict, false},
		} {
			row := inState(t, l, string(c.state), store.Wanted, false)
			if c.state != store.Wanted {
				claimed, err := l.Claim(ctx, time.Hour, store.PlanPriority)
				must(t, err)
				if c.state != store.Sending {
					claimed.State, claimed.Priority, claimed.NextAttempt = c.state, store.PlanPriority, time.Now().Add(time.Hour)
					must(t, l.Settle(ctx, claimed, event("s")))
				}
			} else {
				must(t, intoPlanClass(t, l, row))
			}
			before := stored(t, l, keyOf(row))
			must(t, l.Prioritize(ctx, keyOf(row), store.SignInPriority))
			got := stored(t, l, keyOf(row))
			want := before
			if c.raised {
				want.Priority, want.NextAttempt = store.SignInPriority, before.EarliestPriority()
			}
			if got != want {
				t.Errorf("%s: got %+v, want %+v", c.state, got, want)
			}
			must(t, l.Prioritize(ctx, keyOf(row), store.PlanPriority)) // never later
			if again := stored(t, l, keyOf(row)); again != want {
				t.Errorf("%s, raised to a later class: got %+v, want %+v", c.state, again, want)
			}
		}
		must(t, l.Prioritize(ctx, store.UserKey{Person: "nobody", Account: "a1"}, store.SignInPriority))
	})
	t.Run("raise brings the time forward", func(t *testing.T) {
		testRaiseTime(t, fresh)
	})
	t.Run("again", func(t *testing.T) {
		for _, c := range []struct {
			state store.State
			maybe bool
			did   bool
			after store.State
		}{
			{store.Wanted, false, true, store.Wanted}, {store.Unknown, true, true, store.Unknown},
			{store.Refused, false, true, store.Wanted}, {store.Conflict, false, true, store.Wanted},
			{store.Refused, true, false, store.Refused}, {store.Conflict, true, false, store.Conflict},
			{store.Sending, false, false, store.Sending}, {store.Active, false, false, store.Active},
			{store.Assumed, true, false, store.Assumed},
		} {
			t.Run(fmt.Sprint(c.state, c.maybe), func(t *testing.T) {
				db := open(t, fresh(t))
				l := db.Ledger()
				before := inState(t, l, "anna", c.state, c.maybe)
				did, err := l.RequeueNow(ctx, keyOf(before), store.RetryPriority, event("again"))
				must(t, err)
				got := stored(t, l, keyOf(before))
				if did != c.did || got.State != c.after || got.ExternalID != before.ExternalID ||
					got.MaybeSent != before.MaybeSent {
					t.Errorf("did %t, %+v, want %t and state %s with the same data", did, got, c.did, c.after)
				}
				if n := events(t, db, "again"); (n == 1) != c.did {
					t.Errorf("%d events", n)
				}
				if !c.did {
					if got != before {
						t.Errorf("got %+v, want it as it was", got)
					}
					return
				}
				if got.Priority != store.RetryPriority || !got.NextAttempt.IsZero() || got.Attempts != 0 || got.ErrorText != "" {
					t.Errorf("got %+v, want it due at once as a retry, without errors", got)
				}
				claims(t, l, store.PlanPriority, "anna")
			})
		}
		t.Run("nobody", func(t *testing.T) {
			db := open(t, fresh(t))
			if did, err := db.Ledger().RequeueNow(ctx, store.UserKey{Person: "nobody", Account: "a1"}, store.RetryPriority,
				event("again")); did || err != nil {
				t.Errorf("did %t, %v", did, err)
			}
			if n := events(t, db, "again"); n != 0 {
				t.Errorf("%d events", n)
			}
		})
	})
}

// testRaiseTime: a person who comes does not wait for a back-off, yet neither brings anything forward past what the
// outcome allows, nor past the least pause; and who asks again and again moves nothing.
func testRaiseTime(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	const now = time.Duration(-1)
	for _, c := range []struct {
		name                  string
		state                 store.State
		ago, next, earliest   time.Duration // since the outcome; from it to the next attempt, and to the earliest
		want                  time.Duration // from the outcome; now: at once
		class                 store.Priority
		unchanged, claimedNow bool
	}{
		{name: "long back-off", state: store.Unknown, ago: time.Minute, next: time.Hour, want: now, claimedNow: true},
		{name: "surely not sent", state: store.Wanted, ago: time.Minute, next: time.Hour, want: now, claimedNow: true},
		{name: "nobody waited", state: store.Unknown, ago: time.Minute, next: time.Hour, want: now,
			class:      store.RetryPriority,
			claimedNow: true},
		{name: "outcome of just now", state: store.Unknown, next: time.Hour, want: 10 * time.Second},
		{name: "earliest ahead", state: store.Unknown, ago: time.Minute, next: time.Hour, earliest: 5 * time.Minute,
			want: 5 * time.Minute},
		{name: "earliest over", state: store.Unknown, ago: 10 * time.Minute, next: time.Hour, earliest: 5 * time.Minute,
			want: now, claimedNow: true},
		{name: "as asked for", state: store.Wanted, ago: time.Minute, next: time.Hour, earliest: time.Hour, want: time.Hour,
			unchanged: true},
		{name: "sooner than the pause", state: store.Unknown, next: 2 * time.Second, want: 2 * time.Second, unchanged: true},
		{name: "due already", state: store.Unknown, ago: time.Hour, next: time.Minute, want: time.Minute, unchanged: true,
			claimedNow: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := fresh(t)
			l := open(t, o).Ledger()
			row := inState(t, l, "anna", store.Sending, false)
			outcome := row.UpdatedAt.Add(-c.ago)
			row.State, row.Priority, row.NextAttempt = c.state, c.class, outcome.Add(c.next)
			if c.earliest > 0 {
				row.Earliest = outcome.Add(c.earliest)
			}
			must(t, l.Settle(ctx, row, event("s")))
			_, err := rawDB(t, o).Exec(`UPDATE sso_users SET updated_at = $1`, outcome.UnixMicro())
			must(t, err)
			before := stored(t, l, keyOf(row))
			must(t, l.Prioritize(ctx, keyOf(row), store.SignInPriority))
			got := stored(t, l, keyOf(row))
			if c.want == now {
				if late := time.Since(got.NextAttempt); late < 0 || late > time.Minute {
					t.Errorf("next attempt %v, want now", got.NextAttempt)
				}
			} else if want := outcome.Add(c.want); !got.NextAttempt.Equal(want) {
				t.Errorf("next attempt %v, want %v", got.NextAttempt, want)
			}
			if got.Priority != store.SignInPriority || c.unchanged && got != before {
				t.Errorf("got %+v, want class sign-in and unchanged: %t", got, c.unchanged)
			}
			if due, err := l.NextDue(ctx, store.SignInPriority); err != nil || !due.Equal(got.NextAttempt) {
				t.Errorf("due %v, %v, want the next attempt", due, err)
			}
			for range 3 {
				must(t, l.Prioritize(ctx, keyOf(row), store.SignInPriority))
			}
			if again := stored(t, l, keyOf(row)); again != got {
				t.Errorf("asked again: got %+v, want %+v", again, got)
			}
			if _, err := l.Claim(ctx, time.Hour, store.SignInPriority); (err == nil) != c.claimedNow {
				t.Errorf("claim: %v, want it claimed: %t", err, c.claimedNow)
			}
		})
	}
}

// testDoubt: only an assumed user that a call could be made for is doubted, and then it is due at once.
func testDoubt(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	for _, state := range []store.State{store.Wanted, store.Unknown, store.Sending, store.Active, store.Assumed,
		store.Refused, store.Conflict} {
		t.Run(string(state), func(t *testing.T) {
			db := open(t, fresh(t))
			l := db.Ledger()
			before := inState(t, l, "anna", state, state != store.Wanted)
			did, err := l.Doubt(ctx, keyOf(before), store.RetryPriority, event("doubt"))
			must(t, err)
			got := stored(t, l, keyOf(before))
			if want := state == store.Assumed; did != want || (events(t, db, "doubt") == 1) != want {
				t.Errorf("did %t, want %t", did, want)
			}
			if !did {
				if got != before {
					t.Errorf("got %+v, want it as it was", got)
				}
				return
			}
			if got.State != store.Unknown || !got.MaybeSent || got.Priority != store.RetryPriority ||
				got.ExternalID != before.ExternalID {
				t.Errorf("got %+v, want it unknown, with the same data", got)
			}
			if claimed, err := l.Claim(ctx, time.Minute, store.RetryPriority); err != nil || claimed.Person != before.Person ||
				!claimed.MaybeSent {
				t.Errorf("claim: got %+v, %v", claimed, err)
			}
		})
	}
	t.Run("without data", func(t *testing.T) {
		db := open(t, fresh(t))
		l := db.Ledger()
		for i, change := range []func(*store.SSOUser){
			func(u *store.SSOUser) { u.Role = store.Owner },
			func(u *store.SSOUser) { u.LoginName = "" },
			func(u *store.SSOUser) { u.ContactEmail = "" },
		} {
			u := store.SSOUser{
				Person: store.PersonID(fmt.Sprint("p", i)), Account: "a1", ExternalID: fmt.Sprint("x", i), ExternalProvider: "prov",
				LoginName:    fmt.Sprint("login", i),
				ContactEmail: "a@b.test", Role: store.AccountManager, State: store.Assumed,
			}
			change(&u)
			if _, err := l.Adopt(ctx, []store.SSOUser{u}, event("adopt")); err != nil {
				t.Fatal(err)
			}
			if did, err := l.Doubt(ctx, keyOf(u), store.RetryPriority, event("doubt")); did || err != nil {
				t.Errorf("%d: did %t, %v", i, did, err)
			}
		}
	})
}

// testCreateAgain: only a user who is taken to be there is created again, with new data under the same ids; with the
// same role an answer that they exist is no conflict, with another one it is.
func testCreateAgain(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	for _, state := range []store.State{store.Wanted, store.Unknown, store.Sending, store.Active, store.Assumed,
		store.Refused, store.Conflict} {
		for _, role := range []store.Role{store.AccountManager, store.CampaignCreator} {
			t.Run(string(state)+" as "+string(role), func(t *testing.T) {
				db := open(t, fresh(t))
				l := db.Ledger()
				before := inState(t, l, "anna", state, state != store.Wanted)
				u := before
				u.ExternalID, u.LoginName, u.ContactEmail, u.LastName = "another", "another", "new@example.test", "Married"
				u.Role, u.Priority, u.Mapping = role, store.RetryPriority, 99
				did, err := l.CreateAgain(ctx, u, event("again"))
				must(t, err)
				got := stored(t, l, keyOf(before))
				if want := state == store.Active || state == store.Assumed; did != want ||
					(events(t, db, "again") == 1) != want {
					t.Errorf("did %t, want %t", did, want)
				}
				if !did {
					if got != before {
						t.Errorf("got %+v, want it as it was", got)
					}
					return
				}
				if got.ExternalID != before.ExternalID || got.LoginName != before.LoginName ||
					!got.CreatedAt.Equal(before.CreatedAt) || got.Attempts != before.Attempts {
					t.Errorf("got %+v, want the ids and the history of %+v", got, before)
				}
				if got.ContactEmail != u.ContactEmail || got.LastName != u.LastName || got.Role != role || got.Mapping != 99 {
					t.Errorf("got %+v, want the new data", got)
				}
				if same := role == before.Role; got.MaybeSent != same || (got.State == store.Unknown) != same {
					t.Errorf("got %s, maybe sent %t, with the same role %t", got.State, got.MaybeSent, same)
				}
				if claimed, err := l.Claim(ctx, time.Minute, store.RetryPriority); err != nil || claimed.Person != before.Person {
					t.Errorf("claim: got %+v, %v", claimed, err)
				}
			})
		}
	}
	db := open(t, fresh(t))
	owner := store.SSOUser{Person: "o", Account: "a1", ExternalID: "x", ExternalProvider: "prov", Role: store.Owner,
		State: store.Active}
	if _, err := db.Ledger().Adopt(ctx, []store.SSOUser{owner}, event("adopt")); err != nil {
		t.Fatal(err)
	}
	owner.Role = store.AccountManager
	if did, err := db.Ledger().CreateAgain(ctx, owner, event("again")); did || err != nil {
		t.Errorf("an owner: did %t, %v", did, err)
	}
}

// intoPlanClass puts a waiting row into class plan, by way of an attempt that surely did not arrive.
func intoPlanClass(tb testing.TB, l *store.Ledger, row store.SSOUser) error {
	tb.Helper()
	claimed, err := l.Claim(tb.Context(), time.Hour, store.PlanPriority)
	must(tb, err)
	if claimed.Person != row.Person {
		tb.Fatalf("claimed %s, want %s", claimed.Person, row.Person)
	}
	claimed.State, claimed.Priority, claimed.NextAttempt = store.Wanted, store.PlanPriority, time.Now().Add(time.Hour)
	return l.Settle(tb.Context(), claimed, event("s"))
}

// testClaims: renewal, and what a claim is worth after somebody else had the row.
func testClaims(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("renew", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		row := inState(t, l, "anna", store.Sending, false)
		until, err := l.Renew(ctx, row, 2*time.Hour)
		must(t, err)
		if left := time.Until(until); left < 119*time.Minute || left > 121*time.Minute {
			t.Errorf("the lease lasts %v more, want two hours", left)
		}
		if due, err := l.NextDue(ctx, store.PlanPriority); err != nil || !due.Equal(until) {
			t.Errorf("next due %v, %v, want the new end", due, err)
		}
		if _, err := l.Renew(ctx, row, time.Hour); !errors.Is(err, store.ErrConflict) {
			t.Errorf("renewed under the old lease: %v, want ErrConflict", err)
		}
		row.State = store.Active
		if err := l.Settle(ctx, row, event("s")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("settled under the old lease: %v, want ErrConflict", err)
		}
		row.LeaseUntil = until
		must(t, l.Settle(ctx, row, event("s")))
		if _, err := l.Renew(ctx, row, time.Hour); !errors.Is(err, store.ErrConflict) {
			t.Errorf("renewed after the outcome: %v, want ErrConflict", err)
		}
	})
	t.Run("renewed too late", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		wanted(t, l, "anna", store.SignInPriority)
		slow, err := l.Claim(ctx, -time.Second, store.PlanPriority)
		must(t, err)
		until, err := l.Renew(ctx, slow, -time.Second) // nobody has it yet
		must(t, err)
		slow.LeaseUntil = until
		if _, err := l.Claim(ctx, time.Hour, store.PlanPriority); err != nil {
			t.Fatalf("take over: %v", err)
		}
		if _, err := l.Renew(ctx, slow, time.Hour); !errors.Is(err, store.ErrConflict) {
			t.Errorf("renewed after it was taken over: %v, want ErrConflict", err)
		}
	})
	t.Run("died", func(t *testing.T) {
		// Claims whose process died are attempts, and no failures: what the back-off depends on is settled alone.
		l := open(t, fresh(t)).Ledger()
		wanted(t, l, "anna", store.SignInPriority)
		for range 20 {
			_, err := l.Claim(ctx, -time.Second, store.PlanPriority)
			must(t, err)
		}
		row, err := l.Claim(ctx, time.Hour, store.PlanPriority)
		must(t, err)
		if row.Attempts != 21 || row.Failures != 0 || !row.MaybeSent {
			t.Errorf("after 20 claims that died: %+v, want 21 attempts, no failures, possibly sent", row)
		}
		row.State, row.Failures, row.NextAttempt = store.Unknown, 1, time.Now().Add(time.Hour)
		row.Earliest = time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
		must(t, l.Settle(ctx, row, event("s")))
		if got := stored(t, l, keyOf(row)); got.Failures != 1 || !got.Earliest.Equal(row.Earliest) {
			t.Errorf("settled: got %d failures and earliest %v, want those of the outcome", got.Failures, got.Earliest)
		}
		if _, err := l.RequeueNow(ctx, keyOf(row), store.RetryPriority, event("again")); err != nil {
			t.Fatal(err)
		}
		if got := stored(t, l, keyOf(row)); got.Failures != 0 || !got.Earliest.IsZero() {
			t.Errorf("tried again: got %d failures and earliest %v, want neither", got.Failures, got.Earliest)
		}
	})
	t.Run("suspended", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		row := inState(t, l, "anna", store.Sending, false)
		must(t, l.Suspend(ctx, keyOf(row), event("x")))
		if _, err := l.Renew(ctx, row, time.Hour); !errors.Is(err, store.ErrConflict) {
			t.Errorf("renewed while suspended: %v, want ErrConflict", err)
		}
	})
	t.Run("no outcome", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		row := inState(t, l, "anna", store.Sending, false)
		for _, s := range []store.State{store.Sending, store.Suspended, "", "else"} {
			row.State = s
			if err := l.Settle(ctx, row, event("s")); err == nil || errors.Is(err, store.ErrConflict) {
				t.Errorf("outcome %q: %v, want a refusal of the state", s, err)
			}
		}
	})
	t.Run("item of a plan", func(t *testing.T) {
		for _, c := range []struct {
			outcome              store.State
			item                 string
			done, failed         int
			suspended, otherPlan bool
		}{
			{outcome: store.Active, item: store.ItemDone, done: 1},
			{outcome: store.Assumed, item: store.ItemDone, done: 1},
			{outcome: store.Conflict, item: store.ItemFailed, failed: 1},
			{outcome: store.Refused, item: store.ItemFailed, failed: 1},
			{outcome: store.Unknown, item: store.ItemSending},
			{outcome: store.Wanted, item: store.ItemSending},
			{outcome: store.Active, item: store.ItemSending, suspended: true},
		} {
			t.Run(fmt.Sprint(c.outcome, c.suspended), func(t *testing.T) {
				db := open(t, fresh(t))
				l := db.Ledger()
				p := applying(t, db, creation("anna"), creation("bert"))
				i, err := db.Plans().Claim(ctx, time.Hour)
				must(t, err)
				row, err := db.Plans().Begin(ctx, i, ssoUser("anna"), time.Hour, event("b"))
				must(t, err)
				if row.Plan != p.ID || row.Priority != store.PlanPriority {
					t.Fatalf("begun row %+v, want it of the plan", row)
				}
				if c.suspended {
					must(t, l.Suspend(ctx, keyOf(row), event("x")))
				}
				row.State, row.MaybeSent = c.outcome, c.outcome == store.Unknown
				must(t, l.Settle(ctx, row, event("s")))
				states(t, db, p.ID, c.item, store.ItemOpen)
				if got := getPlan(t, db, p.ID); got.Done != c.done || got.Failed != c.failed || got.Skipped != 0 {
					t.Errorf("plan %+v, want %d done and %d failed", got, c.done, c.failed)
				}
				if err := l.Settle(ctx, row, event("s")); !errors.Is(err, store.ErrConflict) {
					t.Errorf("settled twice: %v", err)
				}
				if got := getPlan(t, db, p.ID); got.Done != c.done || got.Failed != c.failed {
					t.Errorf("counted twice: %+v", got)
				}
			})
		}
	})
}
