package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

func leaverItem(name string) store.PlanItem {
	i := creation(name)
	i.Kind, i.Role, i.Current, i.Why = store.ItemLeaver, "", i.Role, "is gone"
	return i
}

func driftItem(name string) store.PlanItem {
	i := creation(name)
	i.Kind, i.Role, i.Current = store.ItemDrift, store.AccountManager, store.CampaignCreator
	return i
}

// testWork: what an admin does by hand, from the plans that name it to its end.
func testWork(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	at := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	setUp := func(t *testing.T) (*store.DB, func(...store.PlanItem)) {
		at = at.Truncate(time.Hour)
		o := fresh(t)
		o.Now = func() time.Time { return at }
		db := open(t, o)
		return db, func(items ...store.PlanItem) {
			t.Helper()
			at = at.Add(time.Minute)
			must(t, db.Plans().SetManualTasks(ctx, plan(t, db, "watch", items...).ID))
		}
	}
	list := func(t *testing.T, db *store.DB, f store.ManualTaskFilter) []string {
		t.Helper()
		all, err := db.Plans().ManualTasks(ctx, f)
		must(t, err)
		var names []string
		for _, w := range all {
			names = append(names, w.Kind+" "+w.Login)
		}
		return names
	}
	active := func(t *testing.T, db *store.DB, name string) store.UserKey {
		t.Helper()
		u := ssoUser(name)
		_, _, err := db.Ledger().Enqueue(ctx, u, event("w"))
		must(t, err)
		row := claimRow(t, db)
		row.State = store.Active
		must(t, db.Ledger().Settle(ctx, row, event("s")))
		return store.UserKey{Person: u.Person, Account: u.Account}
	}
	same := func(t *testing.T, what string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}

	t.Run("from plan to plan", func(t *testing.T) {
		db, set := setUp(t)
		set(leaverItem("b"), creation("x"), driftItem("a"))
		first, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{})
		must(t, err)
		want := []store.ManualTask{
			{Person: "person-a", Account: "a1", Kind: store.ItemDrift, Login: "a", Name: "Änne a",
				Current: store.CampaignCreator,
				Role:    store.AccountManager, Why: "cn=a", Since: at},
			{Person: "person-b", Account: "a1", Kind: store.ItemLeaver, Login: "b", Name: "Änne b",
				Current: store.CampaignCreator,
				Why:     "is gone", Since: at},
		}
		if diff := cmp.Diff(want, first); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		since := at
		changed := driftItem("a")
		changed.Login = "anna"
		set(driftItem("c"), changed, leaverItem("b"), leaverItem("b")) // one is named twice
		same(t, "second plan", list(t, db, store.ManualTaskFilter{}), "drift anna", "leaver b", "drift c")
		if again, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{}); err != nil || !again[0].Since.Equal(since) ||
			!again[1].Since.Equal(since) || !again[2].Since.Equal(at) {
			t.Errorf("since %v, %v, want what is known to keep its time", again, err)
		}
		same(t, "kind", list(t, db, store.ManualTaskFilter{Kind: store.ItemLeaver}), "leaver b")
		same(t, "page", list(t, db, store.ManualTaskFilter{After: first[0], Limit: 1}), "leaver b")
		same(t, "behind another time", list(t, db, store.ManualTaskFilter{After: first[1]}), "drift c")
		set(driftItem("c"))
		same(t, "third plan", list(t, db, store.ManualTaskFilter{}), "drift c")
		set()
		same(t, "plan without work", list(t, db, store.ManualTaskFilter{}))
	})
	t.Run("changed data stands beside", func(t *testing.T) {
		db, set := setUp(t)
		var keys []store.UserKey
		for _, name := range []string{"a", "b", "c"} {
			keys = append(keys, active(t, db, name))
		}
		note := func(now store.UserData, keys ...store.UserKey) {
			t.Helper()
			at = at.Add(time.Minute)
			var all []store.ChangedUser
			for _, k := range keys {
				row, err := db.Ledger().Get(ctx, k.Person, k.Account)
				must(t, err)
				all = append(all, store.ChangedUser{UserKey: k, Given: row.Data(), Now: now})
			}
			must(t, db.Plans().NoteChanged(ctx, all))
		}
		set(leaverItem("b"), driftItem("a"))
		note(store.UserData{LastName: "New"}, keys...)
		kinds := func(f store.ManualTaskFilter) (all []string) {
			t.Helper()
			list, err := db.Plans().ManualTasks(ctx, f)
			must(t, err)
			for _, w := range list {
				all = append(all, w.Kind+" "+string(w.Person))
			}
			return all
		}
		all := []string{"drift person-a", "leaver person-b", "data person-a", "data person-b", "data person-c"}
		same(t, "all", kinds(store.ManualTaskFilter{}), all...)
		same(t, "kind", kinds(store.ManualTaskFilter{Kind: store.ItemData}), all[2:]...)
		same(t, "other kind", kinds(store.ManualTaskFilter{Kind: store.ItemDrift}), all[0])
		var paged []string
		for f := (store.ManualTaskFilter{Limit: 1}); ; {
			list, err := db.Plans().ManualTasks(ctx, f)
			must(t, err)
			if len(list) == 0 {
				break
			}
			paged = append(paged, list[0].Kind+" "+string(list[0].Person))
			f.After = list[0]
		}
		same(t, "by pages", paged, all...)

		first, err := db.Ledger().Get(ctx, keys[0].Person, keys[0].Account)
		must(t, err)
		if first.Changed == nil || first.Changed.Now.LastName != "New" {
			t.Fatalf("row %+v, want its open task", first)
		}
		before, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{Kind: store.ItemData, Limit: 1})
		must(t, err)
		note(store.UserData{LastName: "Newer"}, keys[0])
		must(t, db.Plans().DropChanged(ctx, []store.ManualTask{*first.Changed})) // found anew since
		list, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{Kind: store.ItemData, Limit: 1})
		must(t, err)
		if w := list[0]; w.Person != keys[0].Person || w.Now.LastName != "Newer" || !w.Since.Equal(before[0].Since) ||
			w.Given.ContactEmail == "" {
			t.Errorf("changed twice: %+v, want it open since %v", w, before[0].Since)
		}
		must(t, db.Plans().ManualTaskDone(ctx, keys[0], store.ItemData, "admin:x", event("data done")))
		must(t, db.Plans().DropChanged(ctx, list))
		same(t, "done", kinds(store.ManualTaskFilter{Done: true}), "data person-a")
		if again, err := db.Ledger().Get(ctx, keys[0].Person, keys[0].Account); err != nil || again.LastName != "Newer" ||
			again.Changed != nil {
			t.Errorf("the row of a task that is done: %+v, %v", again, err)
		}
		again := ssoUser("b")
		if did, err := db.Ledger().CreateAgain(ctx, again, event("again")); err != nil || !did {
			t.Fatalf("create again: %v, %v", did, err)
		}
		must(t, db.Ledger().Forget(ctx, keys[2], event("gone")))
		same(t, "created again, and gone", kinds(store.ManualTaskFilter{Kind: store.ItemData}))
		if err := db.Plans().ManualTaskDone(ctx, keys[2], store.ItemData, "x", event("bad")); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("a task that went with its user: %v, want ErrNotFound", err)
		}
	})
	t.Run("ticked off", func(t *testing.T) {
		db, set := setUp(t)
		gone, drifted := active(t, db, "gone"), active(t, db, "drifted")
		set(leaverItem("gone"), driftItem("drifted"))
		for name, k := range map[string]store.UserKey{"other kind": drifted, "nobody": {Person: "x", Account: "a1"}} {
			if err := db.Plans().ManualTaskDone(ctx, k, store.ItemLeaver, "admin:x", event("bad")); !errors.Is(err,
				store.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
		at = at.Add(time.Minute)
		must(t, db.Plans().ManualTaskDone(ctx, gone, store.ItemLeaver, "admin:x", event("done")))
		must(t, db.Plans().ManualTaskDone(ctx, drifted, store.ItemDrift, "admin:x", event("done")))
		if err := db.Plans().ManualTaskDone(ctx, gone, store.ItemLeaver, "admin:x", event("bad")); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("ticked off twice: %v, want ErrNotFound", err)
		}
		if _, err := db.Ledger().Get(ctx, gone.Person, gone.Account); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the leaver's row: %v, want it gone", err)
		}
		if row, err := db.Ledger().Get(ctx, drifted.Person, drifted.Account); err != nil ||
			row.Role != store.AccountManager || row.State != store.Active {
			t.Errorf("the drifted row: %+v, %v, want its new role", row, err)
		}
		same(t, "open", list(t, db, store.ManualTaskFilter{}))
		same(t, "done", list(t, db, store.ManualTaskFilter{Done: true}), "drift drifted", "leaver gone")
		if done, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{Done: true}); err != nil ||
			done[0].DoneBy != "admin:x" ||
			!done[0].DoneAt.Equal(at) {
			t.Errorf("done %+v, %v", done, err)
		}
		set(driftItem("drifted"))
		same(t, "named again", list(t, db, store.ManualTaskFilter{}), "drift drifted")
		same(t, "still done", list(t, db, store.ManualTaskFilter{Done: true}), "leaver gone")
		if open, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{}); err != nil || !open[0].Since.Equal(at) ||
			!open[0].DoneAt.IsZero() || open[0].DoneBy != "" {
			t.Errorf("open anew %+v, %v, want it to begin now", open, err)
		}
		if good, bad := events(t, db, "done"), events(t, db, "bad"); good != 2 || bad != 0 {
			t.Errorf("%d and %d events, want 2 and 0", good, bad)
		}
	})
	t.Run("ticked off while the plan was made", func(t *testing.T) {
		db, set := setUp(t)
		k := active(t, db, "gone")
		set(leaverItem("gone"))
		id, err := db.Plans().Create(ctx, store.Plan{Kind: "admin"})
		must(t, err)
		must(t, db.Plans().Add(ctx, id, []store.PlanItem{leaverItem("gone")}))
		if err := db.Plans().SetManualTasks(ctx, id); !errors.Is(err, store.ErrConflict) {
			t.Errorf("work of half a plan: %v, want ErrConflict", err)
		}
		at = at.Add(time.Second)
		must(t, db.Plans().ManualTaskDone(ctx, k, store.ItemLeaver, "admin:x", event("d")))
		_, err = db.Plans().Ready(ctx, id, 1, event("r"))
		must(t, err)
		must(t, db.Plans().SetManualTasks(ctx, id))
		same(t, "open", list(t, db, store.ManualTaskFilter{}))
	})
	t.Run("row that is being sent, or gone", func(t *testing.T) {
		db, set := setUp(t)
		set(leaverItem("a"), driftItem("a"), leaverItem("b"), driftItem("b"))
		_, _, err := db.Ledger().Enqueue(ctx, ssoUser("a"), event("w"))
		must(t, err)
		row := claimRow(t, db)
		key := func(name string) store.UserKey { return store.UserKey{Person: ssoUser(name).Person, Account: "a1"} }
		for _, kind := range []string{store.ItemLeaver, store.ItemDrift} {
			if err := db.Plans().ManualTaskDone(ctx, key("a"), kind, "x", event("bad")); !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s of a row that is being sent: %v, want ErrConflict", kind, err)
			}
			must(t, db.Plans().ManualTaskDone(ctx, key("b"), kind, "x", event("d")))
		}
		if got, err := db.Ledger().Get(ctx, row.Person, row.Account); err != nil || cmp.Diff(row, got) != "" {
			t.Errorf("the row has changed: %+v, %v", got, err)
		}
		same(t, "open", list(t, db, store.ManualTaskFilter{}), "drift a", "leaver a")
		if n := events(t, db, "bad"); n != 0 {
			t.Errorf("%d events of refusals", n)
		}
	})
	t.Run("many", func(t *testing.T) {
		db, set := setUp(t)
		const n = 4500 // more than two batches
		items := make([]store.PlanItem, n)
		for i := range items {
			items[i] = leaverItem(fmt.Sprint(i))
		}
		count := func() (total int) {
			t.Helper()
			f := store.ManualTaskFilter{Limit: 1000}
			for {
				page, err := db.Plans().ManualTasks(ctx, f)
				must(t, err)
				if total += len(page); len(page) < f.Limit {
					return total
				}
				f.After = page[len(page)-1]
			}
		}
		set(items...)
		if got := count(); got != n {
			t.Errorf("%d are open, want %d", got, n)
		}
		set(items[:n-300]...)
		if got := count(); got != n-300 {
			t.Errorf("%d are open, want %d", got, n-300)
		}
		set(items[n-300:]...)
		if got := count(); got != 300 {
			t.Errorf("%d are open, want 300", got)
		}
	})
	t.Run("bounds", func(t *testing.T) {
		db := open(t, fresh(t))
		for _, limit := range []int{-1, 1001} {
			if _, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{Limit: limit}); err == nil {
				t.Errorf("limit %d was accepted", limit)
			}
		}
	})
	t.Run("ticked off at once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.DB{open(t, o), open(t, o)}
		must(t, replicas[0].Plans().SetManualTasks(ctx, plan(t, replicas[0], "admin", leaverItem("a")).ID))
		done := 0
		for _, err := range all(8, func(i int) error {
			return replicas[i%2].Plans().ManualTaskDone(ctx, store.UserKey{Person: "person-a", Account: "a1"}, store.ItemLeaver,
				"x", event("d"))
		}) {
			if err == nil {
				done++
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		}
		if n := events(t, replicas[0], "d"); done != 1 || n != 1 {
			t.Errorf("done %d times with %d events, want once", done, n)
		}
	})
}

// claimRow takes the row that is due.
func claimRow(tb testing.TB, db *store.DB) store.SSOUser {
	tb.Helper()
	row, err := db.Ledger().Claim(tb.Context(), time.Minute, store.PlanPriority)
	must(tb, err)
	return row
}
