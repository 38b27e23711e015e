package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ssobridge/store"
)

// testAdopt: telling the ledger of users that exist, API-03.
func testAdopt(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	told := func(name string, s store.State, change func(*store.SSOUser)) store.SSOUser {
		u := ssoUser(name)
		u.State, u.Role, u.LoginName = s, store.AccountManager, "told-"+name
		if change != nil {
			change(&u)
		}
		return u
	}
	otherID := func(u *store.SSOUser) { u.ExternalID = "another" }
	t.Run("rows in each state", func(t *testing.T) {
		for _, c := range []struct {
			name   string
			state  store.State // "": no row; then suspended
			susp   bool
			told   store.State
			change func(*store.SSOUser)
			want   store.Adoption
			after  store.State
		}{
			{"new", "", false, store.Active, nil, store.Adopted, store.Active},
			{"new, assumed", "", false, store.Assumed, otherID, store.Adopted, store.Assumed},
			{"wanted", store.Wanted, false, store.Active, otherID, store.Changed, store.Active},
			{"unknown", store.Unknown, false, store.Assumed, nil, store.Changed, store.Assumed},
			{"conflict", store.Conflict, false, store.Active, otherID, store.Changed, store.Active},
			{"refused", store.Refused, false, store.Active, nil, store.Changed, store.Active},
			{"sending", store.Sending, false, store.Active, nil, store.TakenPerson, store.Sending},
			{"active", store.Active, false, store.Active, nil, store.Unchanged, store.Active},
			{"active, assumed told", store.Active, false, store.Assumed, nil, store.Unchanged, store.Active},
			{"assumed", store.Assumed, false, store.Active, nil, store.Confirmed, store.Active},
			{"assumed twice", store.Assumed, false, store.Assumed, nil, store.Unchanged, store.Assumed},
			{"active, another id", store.Active, false, store.Active, otherID, store.TakenPerson, store.Active},
			{"assumed, another id", store.Assumed, false, store.Active, otherID, store.TakenPerson, store.Assumed},
			{"suspended", store.Assumed, true, store.Active, nil, store.Unchanged, store.Suspended},
			{"suspended, another id", store.Active, true, store.Active, otherID, store.TakenPerson, store.Suspended},
		} {
			t.Run(c.name, func(t *testing.T) {
				db := open(t, fresh(t))
				l := db.Ledger()
				var before store.SSOUser
				if c.state != "" {
					before = inState(t, l, "anna", c.state, c.state == store.Unknown)
				}
				if c.susp {
					must(t, l.Suspend(ctx, keyOf(before), event("x")))
					before = stored(t, l, keyOf(before))
				}
				u := told("anna", c.told, c.change)
				became, err := l.Adopt(ctx, []store.SSOUser{u}, event("adopt"))
				must(t, err)
				got := stored(t, l, keyOf(u))
				if len(became) != 1 || became[0] != c.want || got.State != c.after {
					t.Fatalf("became %v, %+v, want %s and %s", became, got, c.want, c.after)
				}
				changed := c.want == store.Adopted || c.want == store.Changed
				if changed && (got.ExternalID != u.ExternalID || got.LoginName != u.LoginName || got.Role != u.Role ||
					got.ErrorText != "") {
					t.Errorf("got %+v, want it as told", got)
				}
				if !changed && (got.ExternalID != before.ExternalID || got.LoginName != before.LoginName ||
					got.Role != before.Role || got.Before != before.Before) {
					t.Errorf("got %+v, want it as it was: %+v", got, before)
				}
				if n := events(t, db, "adopt"); (n == 1) != (changed || c.want == store.Confirmed) {
					t.Errorf("%d events", n)
				}
				if _, err := l.NextDue(ctx, store.PlanPriority); (err == nil) != (c.after == store.Sending) {
					t.Errorf("due after it: %v", err)
				}
			})
		}
	})
	t.Run("left alone", func(t *testing.T) {
		db := open(t, fresh(t))
		l := db.Ledger()
		inState(t, l, "anna", store.Active, false)
		inState(t, l, "bert", store.Wanted, false)
		became, err := l.Adopt(ctx, []store.SSOUser{
			told("carl", store.Active, func(u *store.SSOUser) { u.ExternalID = "x-anna" }),
			told("carl", store.Active, func(u *store.SSOUser) { u.LoginName = "login-anna" }),
			told("bert", store.Active, func(u *store.SSOUser) { u.ExternalID = "x-anna" }),
			told("carl", store.Active, func(u *store.SSOUser) { u.ExternalID = "" }),
			told("carl", store.Wanted, nil),
			told("carl", store.Active, func(u *store.SSOUser) { u.Role = "king" }),
			told("carl", store.Active, func(u *store.SSOUser) { u.Person = "" }),
			told("carl", store.Active, func(u *store.SSOUser) { u.FirstName = "a\x00b" }),
			told("carl", store.Active, func(u *store.SSOUser) { u.LoginName = "\xff" }),
			told("carl", store.Active, func(u *store.SSOUser) { u.LastName = strings.Repeat("x", 1001) }),
			told("carl", store.Active, nil),
			told("carl", store.Active, nil),
		}, event("adopt"))
		must(t, err)
		want := []store.Adoption{store.TakenID, store.TakenID, store.TakenID, store.NotAdoptable, store.NotAdoptable,
			store.NotAdoptable,
			store.NotAdoptable, store.NotAdoptable, store.NotAdoptable, store.NotAdoptable, store.Adopted, store.Unchanged}
		if fmt.Sprint(became) != fmt.Sprint(want) {
			t.Errorf("became %v, want %v", became, want)
		}
		if row := stored(t, l, keyOf(ssoUser("bert"))); row.State != store.Wanted || row.ExternalID != "x-bert" {
			t.Errorf("the row that wanted another's id: %+v", row)
		}
		if n := events(t, db, "adopt"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		if _, err := l.Adopt(ctx, make([]store.SSOUser, 1001), event("adopt")); err == nil {
			t.Error("1001 users: accepted")
		}
	})
	t.Run("what is not told stays", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		row := inState(t, l, "anna", store.Refused, false)
		_, err := l.Adopt(ctx, []store.SSOUser{{Person: row.Person, Account: row.Account, ExternalID: "told",
			Role: store.AccountManager, State: store.Active}}, event("x"))
		must(t, err)
		if got := stored(t, l, keyOf(row)); got.ExternalID != "told" || got.ExternalProvider != row.ExternalProvider ||
			got.LoginName != row.LoginName ||
			got.ContactEmail != row.ContactEmail || got.LastName != row.LastName {
			t.Errorf("got %+v, want the rest of %+v", got, row)
		}
	})
	t.Run("at once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.Ledger{open(t, o).Ledger(), open(t, o).Ledger()}
		var (
			mu    sync.Mutex
			count = map[store.Adoption]int{}
		)
		// Everybody tells of the same twenty, each second one with the id of another person.
		for _, err := range all(8, func(i int) error {
			var users []store.SSOUser
			for n := range 20 {
				users = append(users, told(fmt.Sprint(i*(n%2), "-", n), store.Active,
					func(u *store.SSOUser) { u.ExternalID = fmt.Sprint("x", n); u.LoginName = "" }))
			}
			became, err := replicas[i%2].Adopt(ctx, users, event("adopt"))
			mu.Lock()
			defer mu.Unlock()
			for _, a := range became {
				count[a]++
			}
			return err
		}) {
			must(t, err)
		}
		if count[store.Adopted] != 20 || count[store.Unchanged] != 70 || count[store.TakenID] != 70 {
			t.Errorf("%v, want 20 adopted, 70 unchanged and 70 ids taken", count)
		}
	})
}

// testConfirm: assumed rows that an admin has looked at.
func testConfirm(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	l := db.Ledger()
	const assumed = 1005 // more than one batch
	var users []store.SSOUser
	for i := range assumed {
		u := ssoUser(fmt.Sprint(i))
		u.State = store.Assumed
		users = append(users, u)
	}
	for _, some := range [][]store.SSOUser{users[:1000], users[1000:]} {
		_, err := l.Adopt(ctx, some, event("x"))
		must(t, err)
	}
	refused := inState(t, l, "refused", store.Refused, false)
	if n, err := l.Confirm(ctx, []store.UserKey{}, event("c")); err != nil || n != 0 {
		t.Errorf("confirmed none: %d, %v", n, err)
	}
	n, err := l.Confirm(ctx, []store.UserKey{keyOf(users[0]), keyOf(users[1]), keyOf(users[0]), keyOf(refused),
		{Person: "nobody", Account: "a1"}}, event("c"))
	if err != nil || n != 2 {
		t.Errorf("confirmed %d, %v, want 2", n, err)
	}
	if got := stored(t, l, keyOf(users[1])); got.State != store.Active {
		t.Errorf("confirmed row %+v", got)
	}
	if got := stored(t, l, keyOf(refused)); got.State != store.Refused {
		t.Errorf("a refused row became %+v", got)
	}
	if n := events(t, db, "c"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	must(t, l.Suspend(ctx, keyOf(users[2]), event("x")))
	if n, err := l.Confirm(ctx, nil, event("all")); err != nil || n != assumed-3 {
		t.Errorf("confirmed all: %d, %v, want %d", n, err, assumed-3)
	}
	found, err := db.Audit().List(ctx, store.Filter{Ref: "all", Limit: 1000})
	must(t, err)
	if len(found) != 1000 || found[0].Subject == "" || found[0].Account != "a1" {
		t.Errorf("%d events, the first %+v, want one for each row", len(found), found[0])
	}
	if n, err := l.Confirm(ctx, nil, event("all")); err != nil || n != 0 {
		t.Errorf("confirmed again: %d, %v", n, err)
	}
}

// testHold: creations by plans are held.
func testHold(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	l := db.Ledger()
	hold := func(want store.ProvisioningPause) {
		t.Helper()
		h, err := l.ProvisioningPause(ctx)
		must(t, err)
		if h.Since.IsZero() != (want.Reason == "") || h.By != want.By || h.Reason != want.Reason {
			t.Errorf("hold %+v, want %+v", h, want)
		}
	}
	hold(store.ProvisioningPause{})
	must(t, l.SetProvisioningPause(ctx, "", event("h"))) // nothing to lift
	must(t, l.SetProvisioningPause(ctx, "ledger-lost", event("h")))
	hold(store.ProvisioningPause{By: "tester", Reason: "ledger-lost"})
	other := event("h")
	other.Actor = "another"
	must(t, l.SetProvisioningPause(ctx, "admin", other))
	hold(store.ProvisioningPause{By: "tester", Reason: "ledger-lost"})
	must(t, l.SetProvisioningPause(ctx, "", event("h")))
	hold(store.ProvisioningPause{})
	if n := events(t, db, "h"); n != 2 {
		t.Errorf("%d events, want one for its begin and one for its end", n)
	}
	if at, err := l.Restored(ctx); err != nil || !at.IsZero() {
		t.Errorf("restored %v, %v", at, err)
	}
	if _, err := l.Get(ctx, "nobody", "a1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
}
