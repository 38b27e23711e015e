package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

// testExternalIDs: two external ids that differ in letter case only are never stored, whichever way they come; those
// that the version before stored go on, and are listed.
func testExternalIDs(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	const id = "Anna@Example.test"
	// user is somebody with this external id.
	user := func(name, externalID string) store.SSOUser {
		u := ssoUser(name)
		u.ExternalID = externalID
		return u
	}
	refused := func(t *testing.T, way string, err error) {
		t.Helper()
		clash, ok := errors.AsType[*store.CaseClashError](err)
		if !ok || !errors.Is(err, store.ErrConflict) || clash.Other != keyOf(ssoUser("anna")) {
			t.Errorf("%s: %v, want a clash with anna in letter case, which is an ErrConflict", way, err)
		}
	}
	// world has anna's row, and returns the number of rows.
	world := func(t *testing.T) (*store.DB, *store.Ledger) {
		t.Helper()
		db := open(t, fresh(t))
		_, _, err := db.Ledger().Enqueue(ctx, user("anna", id), event("w"))
		must(t, err)
		return db, db.Ledger()
	}
	t.Run("forms", func(t *testing.T) {
		for _, c := range []struct {
			first, second string
			clash         bool
		}{
			{"abc", "ABC", true}, {"ABC", "abc", true}, {"aBc", "AbC", true},
			{"änne", "Änne", true}, {"ÄNNÉ", "änné", true}, {"änné", "ÄNNÉ", true}, {"Ännö", "ännö", true},
			{"Ännö", "ÄNNÖ", true},
			{"abc", "abd", false}, {"abc", "abc ", false}, {"a_c", "abc", false}, {"a%c", "abc", false}, {"anne", "änne", false},
		} {
			t.Run(c.first+"/"+c.second, func(t *testing.T) {
				l := open(t, fresh(t)).Ledger()
				_, _, err := l.Enqueue(ctx, user("anna", c.first), event("w"))
				must(t, err)
				_, _, err = l.Enqueue(ctx, user("bert", c.second), event("w"))
				if c.clash {
					refused(t, "want", err)
				} else if err != nil {
					t.Errorf("want: %v", err)
				}
			})
		}
	})
	t.Run("own row", func(t *testing.T) {
		_, l := world(t)
		if _, isNew, err := l.Enqueue(ctx, user("anna", strings.ToUpper(id)), event("w")); isNew || err != nil {
			t.Errorf("anna again: new %t, %v", isNew, err)
		}
	})
	t.Run("other provider", func(t *testing.T) {
		_, l := world(t)
		u := user("bert", strings.ToUpper(id))
		u.ExternalProvider = "other"
		if _, _, err := l.Enqueue(ctx, u, event("w")); err != nil {
			t.Errorf("another provider's id: %v", err)
		}
		u = user("carl", id)
		u.ExternalProvider = strings.ToUpper(u.ExternalProvider)
		_, _, err := l.Enqueue(ctx, u, event("w"))
		refused(t, "the provider in another case", err)
	})
	t.Run("ways", func(t *testing.T) {
		db, l := world(t)
		claimed, err := l.Claim(ctx, time.Hour, store.SignInPriority)
		must(t, err)
		claimed.State = store.Active
		must(t, l.Settle(ctx, claimed, event("s")))

		refusedRow := inState(t, l, "carl", store.Refused, false)
		refusedRow.ExternalID = strings.ToLower(id)
		refused(t, "want again", l.WantAgain(ctx, refusedRow, event("w")))
		if got := stored(t, l, keyOf(refusedRow)); got.State != store.Refused || got.ExternalID == refusedRow.ExternalID {
			t.Errorf("after it: %+v, want it as it was", got)
		}

		told := user("dora", strings.ToUpper(id))
		told.State = store.Active
		told2 := user("carl", strings.ToLower(id))
		told2.State = store.Assumed
		exact := user("emil", id)
		exact.State = store.Active
		fine := user("fred", "fred")
		fine.State = store.Active
		same := user("gina", "FRED") // of the same file
		same.State = store.Active
		became, err := l.Adopt(ctx, []store.SSOUser{told, told2, exact, fine, same}, event("adopt"))
		must(t, err)
		want := []store.Adoption{store.TakenCase, store.TakenCase, store.TakenID, store.Adopted, store.TakenCase}
		if fmt.Sprint(became) != fmt.Sprint(want) {
			t.Errorf("adopted: %v, want %v", became, want)
		}

		owner := store.SSOUser{Person: "owner", Account: "a1", ExternalID: strings.ToUpper(id),
			ExternalProvider: told.ExternalProvider, Role: store.Owner}
		_, err = db.Mappings().Add(ctx, store.Mapping{Kind: store.PersonMapping, Person: "owner", Account: "a1",
			Role: store.Owner, Priority: 1}, &owner, event("m"))
		refused(t, "owner", err)
		if all, err := db.Mappings().List(ctx); err != nil || len(all) != 0 {
			t.Errorf("mappings: %v, %v, want none", all, err)
		}

		applying(t, db, creation("hans"))
		item, err := db.Plans().Claim(ctx, time.Hour)
		must(t, err)
		_, err = db.Plans().Begin(ctx, item, user("hans", strings.ToUpper(id)), time.Hour, event("b"))
		refused(t, "plan", err)
		if _, err := l.Get(ctx, ssoUser("hans").Person, "a1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("row of the plan: %v, want none", err)
		}
		if all, err := l.CaseClashes(ctx, 10); err != nil || len(all) != 0 {
			t.Errorf("clashes: %v, %v, want none", all, err)
		}
	})
	t.Run("all at once", func(t *testing.T) {
		l := open(t, fresh(t)).Ledger()
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			added int
		)
		for i := range 16 {
			wg.Go(func() {
				form := []byte("abcd")
				for bit := range form {
					if i>>bit&1 == 1 {
						form[bit] -= 'a' - 'A'
					}
				}
				_, isNew, err := l.Enqueue(ctx, user(fmt.Sprint("p", i), string(form)), event("w"))
				mu.Lock()
				defer mu.Unlock()
				if isNew {
					added++
				}
				if _, clash := errors.AsType[*store.CaseClashError](err); err != nil && !clash {
					t.Errorf("%s: %v", form, err)
				}
			})
		}
		wg.Wait()
		if added != 1 {
			t.Errorf("%d rows were added, want 1", added)
		}
	})
	t.Run("of the version before", func(t *testing.T) {
		o := fresh(t)
		l := open(t, o).Ledger()
		for _, name := range []string{"anna", "bert", "carl"} {
			wanted(t, l, name, store.SignInPriority)
		}
		raw := rawDB(t, o)
		for name, id := range map[string]string{"anna": "same", "bert": "SAME"} {
			_, err := raw.Exec(`UPDATE sso_users SET external_id = $1 WHERE person_id = $2`, id, string(ssoUser(name).Person))
			must(t, err)
		}
		all, err := l.CaseClashes(ctx, 10)
		if err != nil || len(all) != 2 || all[0].Person != ssoUser("anna").Person || all[1].Person != ssoUser("bert").Person {
			t.Errorf("clashes: %+v, %v, want anna and bert", all, err)
		}
		for range 3 { // they go on
			row, err := l.Claim(ctx, time.Hour, store.SignInPriority)
			must(t, err)
			row.State = store.Active
			must(t, l.Settle(ctx, row, event("s")))
		}
		if _, isNew, err := l.Enqueue(ctx, user("bert", "SAME"), event("w")); isNew || err != nil {
			t.Errorf("bert again: new %t, %v", isNew, err)
		}
	})
}
