package storetest

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ssobridge/store"
)

// creation is an item for the user of this name.
func creation(name string) store.PlanItem {
	u := ssoUser(name)
	return store.PlanItem{Kind: store.ItemCreate, Person: u.Person, Account: u.Account, Login: name, Name: "Änne " + name,
		Role: u.Role, Mapping: 7, Why: "cn=a"}
}

// plan stores a plan of this kind with these items, ready.
func plan(tb testing.TB, db *store.DB, kind string, items ...store.PlanItem) store.Plan {
	tb.Helper()
	id, err := db.Plans().Create(tb.Context(), store.Plan{Kind: kind, Mappings: "digest", CreatedBy: "admin:x"})
	must(tb, err)
	for len(items) > 0 {
		n := min(len(items), 1000)
		must(tb, db.Plans().Add(tb.Context(), id, items[:n]))
		items = items[n:]
	}
	p, err := db.Plans().Ready(tb.Context(), id, 10, event("ready"))
	must(tb, err)
	return p
}

// applying stores a plan and begins to apply it.
func applying(tb testing.TB, db *store.DB, items ...store.PlanItem) store.Plan {
	tb.Helper()
	p := plan(tb, db, "admin", items...)
	move(tb, db, p.ID, store.PlanReady, store.PlanApplying)
	return p
}

func move(tb testing.TB, db *store.DB, id int64, from, to store.PlanState) {
	tb.Helper()
	if err := db.Plans().SetState(tb.Context(), id, from, to, store.PlanChange{By: "admin:y"}, event("move")); err != nil {
		tb.Fatalf("plan %d from %s to %s: %v", id, from, to, err)
	}
}

func getPlan(tb testing.TB, db *store.DB, id int64) store.Plan {
	tb.Helper()
	p, err := db.Plans().Get(tb.Context(), id)
	must(tb, err)
	return p
}

// testPlans: making, states, and which plans stay.
func testPlans(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("made and read back", func(t *testing.T) { testPlanMade(t, open(t, fresh(t))) })
	t.Run("only while it is made", func(t *testing.T) {
		db := open(t, fresh(t))
		s := db.Plans()
		p := plan(t, db, "admin")
		if err := s.Add(ctx, p.ID, []store.PlanItem{creation("late")}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("item for a plan that is ready: %v, want ErrConflict", err)
		}
		if _, err := s.Ready(ctx, p.ID, 1, event("bad")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("ready twice: %v, want ErrConflict", err)
		}
		for name, err := range map[string]error{
			"add":   s.Add(ctx, 999, []store.PlanItem{creation("x")}),
			"state": s.SetState(ctx, 999, store.PlanReady, store.PlanApplying, store.PlanChange{}, event("bad")),
			"work":  s.SetManualTasks(ctx, 999),
		} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s of no plan: %v, want ErrNotFound", name, err)
			}
		}
		if _, err := s.Get(ctx, 999); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get: %v, want ErrNotFound", err)
		}
		if _, err := s.Ready(ctx, 999, 1, event("bad")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ready: %v, want ErrNotFound", err)
		}
		if err := s.Add(ctx, p.ID, make([]store.PlanItem, 1001)); err == nil || errors.Is(err, store.ErrConflict) {
			t.Errorf("1001 items at once: %v, want a refusal of the number", err)
		}
		if _, err := s.Create(ctx, store.Plan{Kind: "odd"}); err == nil {
			t.Error("a plan of an unheard kind was stored")
		}
		for _, limit := range []int{0, -1, 1001} {
			if _, err := s.List(ctx, limit); err == nil {
				t.Errorf("list of %d was answered", limit)
			}
			if _, err := s.Items(ctx, p.ID, store.ItemFilter{Limit: limit}); err == nil && limit != 0 {
				t.Errorf("%d items were answered", limit)
			}
		}
		if n := events(t, db, "bad"); n != 0 {
			t.Errorf("%d events of refusals", n)
		}
	})
	t.Run("states", func(t *testing.T) { testPlanStates(t, fresh) })
	t.Run("applied at once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.DB{open(t, o), open(t, o)}
		plans := []store.Plan{plan(t, replicas[0], "admin"), plan(t, replicas[1], "watch")}
		began := 0
		for _, err := range all(8, func(i int) error {
			return replicas[i%2].Plans().SetState(ctx, plans[i/2%2].ID, store.PlanReady, store.PlanApplying, store.PlanChange{},
				event("apply"))
		}) {
			if err == nil {
				began++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Errorf("apply: %v", err)
			}
		}
		if n := events(t, replicas[0], "apply"); began != 1 || n != 1 {
			t.Errorf("%d plans began, %d events, want 1", began, n)
		}
	})
	t.Run("plans that stay", func(t *testing.T) {
		db := open(t, fresh(t))
		s := db.Plans()
		paused := applying(t, db, creation("a"))
		move(t, db, paused.ID, store.PlanApplying, store.PlanPaused)
		first := plan(t, db, "admin", creation("a"), creation("b"))
		watch := plan(t, db, "watch")
		cut, err := s.Create(ctx, store.Plan{Kind: "admin"}) // its walk was cut off
		must(t, err)
		second := plan(t, db, "admin")
		for id, want := range map[int64]store.PlanState{paused.ID: store.PlanPaused, first.ID: store.PlanDropped,
			watch.ID: store.PlanReady,
			cut:      store.PlanDropped, second.ID: store.PlanReady} {
			if p := getPlan(t, db, id); p.State != want || (want == store.PlanDropped) == p.FinishedAt.IsZero() {
				t.Errorf("plan %d is %s (ended %v), want %s", id, p.State, p.FinishedAt, want)
			}
		}
		for range 18 {
			plan(t, db, "watch")
		}
		if items, err := s.Items(ctx, first.ID, store.ItemFilter{}); err != nil || len(items) != 0 {
			t.Errorf("items of the deleted plan: %d, %v", len(items), err)
		}
		if _, err := s.Get(ctx, first.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the oldest dropped plan: %v, want it deleted", err)
		}
		if p := getPlan(t, db, paused.ID); p.State != store.PlanPaused {
			t.Errorf("the paused one is %s", p.State)
		}
		list, err := s.List(ctx, 1000)
		must(t, err)
		if len(list) != 21 || list[0].ID < list[20].ID || list[20].ID != paused.ID {
			t.Errorf("%d plans stay, want the newest 20 and the paused one", len(list))
		}
	})
}

func testPlanMade(t *testing.T, db *store.DB) {
	ctx := t.Context()
	s := db.Plans()
	if _, err := s.Applying(ctx); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("applying: %v, want ErrNotFound", err)
	}
	items := []store.PlanItem{creation("a"), creation("b"),
		{Kind: store.ItemLeaver, Person: "p3", Account: "a1", Login: "c", Current: store.Owner, Why: "is gone"},
		{Kind: store.ItemDrift, Person: "p4", Account: "a2", Role: store.AccountManager, Current: store.CampaignCreator},
		{Kind: store.ItemBlocked, Person: "p5", Account: "a1", Name: "odd \x00 \xff name", Why: "no mail"}}
	id, err := s.Create(ctx, store.Plan{Kind: "admin", Mappings: "digest", CreatedBy: "admin:x"})
	must(t, err)
	must(t, s.Add(ctx, id, nil))
	must(t, s.Add(ctx, id, items[:1]))
	must(t, s.Add(ctx, id, items[1:]))
	counts := map[int64]int{1: 0, 7: 12}
	must(t, s.SetMapped(ctx, id, counts))
	if m, err := s.Mapped(ctx); err != nil || !m.At.IsZero() || m.People != nil {
		t.Errorf("counts of a plan that is being made: %+v, %v", m, err)
	}
	p, err := s.Ready(ctx, id, 42, event("ready"))
	must(t, err)
	if m, err := s.Mapped(ctx); err != nil || !m.At.Equal(p.CreatedAt) || !maps.Equal(m.People, counts) {
		t.Errorf("counts: %+v, %v, want %v of %v", m, err, counts, p.CreatedAt)
	}
	if err := s.SetMapped(ctx, id, nil); !errors.Is(err, store.ErrConflict) {
		t.Errorf("counts of a plan that was made: %v, want ErrConflict", err)
	}
	if err := s.SetMapped(ctx, 99999, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("counts of no plan: %v, want ErrNotFound", err)
	}
	want := store.Plan{ID: id, Kind: "admin", State: store.PlanReady, Mappings: "digest", People: 42, Creations: 2,
		Leavers: 1, Drifted: 1,
		Blocked: 1, CreatedBy: "admin:x"}
	if diff := cmp.Diff(want, p, cmpopts.IgnoreFields(store.Plan{}, "CreatedAt")); diff != "" || p.CreatedAt.IsZero() {
		t.Errorf("made at %v (-want +got):\n%s", p.CreatedAt, diff)
	}
	if diff := cmp.Diff(p, getPlan(t, db, id)); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	items[4].Name = "odd \uFFFD \uFFFD name"
	for i := range items {
		items[i].Plan, items[i].Position, items[i].State = id, int64(i+1), store.ItemOpen
	}
	for _, c := range []struct {
		name   string
		filter store.ItemFilter
		want   []store.PlanItem
	}{
		{"all", store.ItemFilter{}, items},
		{"page", store.ItemFilter{After: 1, Limit: 2}, items[1:3]},
		{"kind", store.ItemFilter{Kind: store.ItemDrift}, items[3:4]},
		{"account", store.ItemFilter{Account: "a2"}, items[3:4]},
		{"state", store.ItemFilter{State: store.ItemDone}, nil},
		{"both", store.ItemFilter{Kind: store.ItemCreate, State: store.ItemOpen, After: 1}, items[1:2]},
	} {
		got, err := s.Items(ctx, id, c.filter)
		must(t, err)
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(store.PlanItem{}, "UpdatedAt")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if n := events(t, db, "ready"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func testPlanStates(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	every := []store.PlanState{store.PlanMaking, store.PlanReady, store.PlanApplying, store.PlanPaused, store.PlanStopped,
		store.PlanDone, store.PlanDropped}
	good := map[string]bool{"making dropped": true, "ready applying": true, "ready stopped": true, "ready dropped": true,
		"applying applying": true,
		"applying paused":   true, "applying stopped": true, "paused applying": true, "paused dropped": true,
		"stopped applying": true, "stopped dropped": true}
	o := fresh(t)
	db, raw := open(t, o), rawDB(t, o)
	s := db.Plans()
	p := plan(t, db, "admin")
	for _, from := range every {
		for _, to := range every {
			name := fmt.Sprintf("%s %s", from, to)
			_, err := raw.Exec(`UPDATE plans SET state = $1 WHERE id = $2`, string(from), p.ID)
			must(t, err)
			err = s.SetState(ctx, p.ID, from, to, store.PlanChange{}, event(name))
			if (err == nil) != good[name] {
				t.Errorf("%s: %v, want it to work: %t", name, err, good[name])
			}
			if want := map[bool]store.PlanState{true: to, false: from}[good[name]]; getPlan(t, db, p.ID).State != want {
				t.Errorf("%s: it is %s", name, getPlan(t, db, p.ID).State)
			}
			if n := events(t, db, name); (n == 1) != good[name] {
				t.Errorf("%s: %d events", name, n)
			}
		}
	}

	p = plan(t, db, "admin")
	if err := s.SetState(ctx, p.ID, store.PlanPaused, store.PlanApplying, store.PlanChange{},
		event("bad")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("from another state: %v, want ErrConflict", err)
	}
	if err := s.SetState(ctx, p.ID, store.PlanReady, store.PlanApplying, store.PlanChange{MaxCreate: -1},
		event("bad")); err == nil {
		t.Error("a cap below 0 was stored")
	}
	must(t, s.SetState(ctx, p.ID, store.PlanReady, store.PlanApplying, store.PlanChange{By: "admin:y", MaxCreate: 7,
		MaxSkipped: 3, Mappings: "newer"}, event("m")))
	got, err := s.Applying(ctx)
	must(t, err)
	if got.ID != p.ID || got.MaxCreate != 7 || got.MaxSkipped != 3 || got.Mappings != "newer" ||
		got.AppliedBy != "admin:y" || got.AppliedAt.IsZero() {
		t.Errorf("applied %+v", got)
	}
	must(t, s.SetState(ctx, p.ID, store.PlanApplying, store.PlanStopped,
		store.PlanChange{Reason: "cap_reached"}, event("m")))
	if got := getPlan(t, db, p.ID); got.Reason != "cap_reached" || got.MaxCreate != 7 {
		t.Errorf("stopped %+v", got)
	}
	must(t, s.SetState(ctx, p.ID, store.PlanStopped, store.PlanApplying, store.PlanChange{MaxCreate: 9}, event("m")))
	if got := getPlan(t, db, p.ID); got.Reason != "" || got.MaxCreate != 9 || got.Mappings != "newer" {
		t.Errorf("goes on as %+v, want the reason gone and the mappings kept", got)
	}
	if n := events(t, db, "bad"); n != 0 {
		t.Errorf("%d events of refusals", n)
	}
}

// testPlanItems: each creation is begun once, whoever dies on the way.
func testPlanItems(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("one way through", func(t *testing.T) {
		o := fresh(t)
		db, raw := open(t, o), rawDB(t, o)
		s := db.Plans()
		p := plan(t, db, "admin", store.PlanItem{Kind: store.ItemBlocked, Person: "b", Account: "a1"}, creation("anna"),
			creation("bert"), creation("carl"))
		claim := func(want string) store.PlanItem {
			t.Helper()
			i, err := s.Claim(ctx, time.Minute)
			if want == "" {
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("claim: %v, want ErrNotFound", err)
				}
				return i
			}
			must(t, err)
			if i.Login != want || i.State != store.ItemClaimed || i.Plan != p.ID || !i.LeaseUntil.After(time.Now()) {
				t.Errorf("claimed %+v, want %s", i, want)
			}
			return i
		}
		claim("") // it is not being applied
		move(t, db, p.ID, store.PlanReady, store.PlanApplying)
		anna := claim("anna")
		if done, err := s.Finish(ctx, p.ID, event("bad")); err != nil || done {
			t.Errorf("finished with open items: %t, %v", done, err)
		}
		other := ssoUser("bert")
		if _, err := s.Begin(ctx, anna, other, time.Minute, event("bad")); err == nil {
			t.Error("an item was begun with another's row")
		}
		u := ssoUser("anna")
		u.Attempts, u.MaybeSent, u.ErrorKey, u.State = 5, true, "x", store.Active
		row, err := s.Begin(ctx, anna, u, time.Minute, event("begin"))
		must(t, err)
		want := ssoUser("anna")
		want.State, want.Attempts = store.Sending, 1
		if diff := cmp.Diff(want, row, cmpopts.IgnoreFields(store.SSOUser{}, "Priority", "Plan", "CreatedAt", "UpdatedAt",
			"LeaseUntil")); diff != "" || !row.LeaseUntil.After(time.Now()) {
			t.Errorf("begun, lease until %v (-want +got):\n%s", row.LeaseUntil, diff)
		}
		if stored, err := db.Ledger().Get(ctx, u.Person, u.Account); err != nil || cmp.Diff(row, stored) != "" {
			t.Errorf("stored %+v, %v, want %+v", stored, err, row)
		}
		var class, of int64
		must(t, raw.QueryRow(`SELECT class, plan FROM sso_users WHERE person_id = 'person-anna'`).Scan(&class, &of))
		if class != int64(store.PlanPriority) || of != p.ID {
			t.Errorf("row of class %d and plan %d", class, of)
		}
		if _, err := s.Begin(ctx, anna, u, time.Minute, event("bad")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("begun twice: %v, want ErrConflict", err)
		}
		if err := s.Skip(ctx, anna, "changed"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("skipped after it was begun: %v, want ErrConflict", err)
		}
		bert := claim("bert")
		must(t, s.Skip(ctx, bert, "changed"))
		if err := s.Skip(ctx, bert, "changed"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("skipped twice: %v, want ErrConflict", err)
		}
		if _, err := s.Begin(ctx, bert, ssoUser("bert"), time.Minute, event("bad")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("begun after it was skipped: %v, want ErrConflict", err)
		}
		if _, err := db.Ledger().Get(ctx, "person-bert", "a1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a refusal has left a row: %v", err)
		}
		row.State = store.Active
		must(t, db.Ledger().Settle(ctx, row, event("settle")))
		carl := claim("carl")
		claim("")
		row, err = s.Begin(ctx, carl, ssoUser("carl"), time.Minute, event("begin"))
		must(t, err)
		if done, err := s.Finish(ctx, p.ID, event("bad")); err != nil || done {
			t.Errorf("finished while one is being sent: %t, %v", done, err)
		}
		row.State = store.Refused
		must(t, db.Ledger().Settle(ctx, row, event("settle")))
		if done, err := s.Finish(ctx, p.ID, event("finish")); err != nil || !done {
			t.Errorf("not finished: %v", err)
		}
		if done, err := s.Finish(ctx, p.ID, event("bad")); err != nil || done {
			t.Errorf("finished twice: %t, %v", done, err)
		}
		if got := getPlan(t, db, p.ID); got.State != store.PlanDone || got.Done != 1 || got.Failed != 1 || got.Skipped != 1 ||
			got.FinishedAt.IsZero() {
			t.Errorf("at the end %+v, want one of each", got)
		}
		states(t, db, p.ID, "open", "done", "skipped changed", "failed")
		if a, b, c := events(t, db, "begin"), events(t, db, "finish"), events(t, db, "bad"); a != 2 || b != 1 || c != 0 {
			t.Errorf("%d, %d and %d events, want 2, 1 and 0", a, b, c)
		}
	})
	t.Run("refused to begin", func(t *testing.T) {
		for name, row := range map[string]func(*store.SSOUser){
			"person and account": func(*store.SSOUser) {},
			"external id":        func(u *store.SSOUser) { u.Person, u.LoginName = "other", "other" },
			"login name":         func(u *store.SSOUser) { u.Person, u.ExternalID = "other", "other" },
		} {
			db := open(t, fresh(t))
			applying(t, db, creation("anna"))
			taken := ssoUser("anna")
			row(&taken)
			_, _, err := db.Ledger().Enqueue(ctx, taken, event("w"))
			must(t, err)
			i, err := db.Plans().Claim(ctx, time.Minute)
			must(t, err)
			if _, err := db.Plans().Begin(ctx, i, ssoUser("anna"), time.Minute, event("bad")); !errors.Is(err,
				store.ErrConflict) {
				t.Errorf("%s is taken: %v, want ErrConflict", name, err)
			}
			if n := events(t, db, "bad"); n != 0 {
				t.Errorf("%s is taken: %d events", name, n)
			}
			must(t, db.Plans().Skip(ctx, i, "exists"))
		}
		db := open(t, fresh(t))
		p := applying(t, db, creation("anna"))
		i, err := db.Plans().Claim(ctx, time.Minute)
		must(t, err)
		move(t, db, p.ID, store.PlanApplying, store.PlanPaused)
		if _, err := db.Plans().Begin(ctx, i, ssoUser("anna"), time.Minute, event("bad")); !errors.Is(err,
			store.ErrConflict) {
			t.Errorf("paused: %v, want ErrConflict", err)
		}
		if _, err := db.Ledger().Get(ctx, "person-anna", "a1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("paused, but the row is there: %v", err)
		}
		must(t, db.Plans().Skip(ctx, i, "changed")) // what was looked at before the pause counts
	})
	t.Run("worker dies", func(t *testing.T) {
		db := open(t, fresh(t))
		s := db.Plans()
		p := applying(t, db, creation("anna"), creation("bert"))
		dead, err := s.Claim(ctx, -time.Second) // died before it began
		must(t, err)
		bert, err := s.Claim(ctx, time.Minute)
		must(t, err)
		anna, err := s.Claim(ctx, time.Minute)
		must(t, err)
		if bert.Login != "bert" || anna.Login != "anna" || !anna.LeaseUntil.After(dead.LeaseUntil) {
			t.Errorf("claimed %+v and %+v, want what is open, then what was given up", bert, anna)
		}
		if err := s.Skip(ctx, dead, "changed"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the dead worker skipped: %v, want ErrConflict", err)
		}
		if _, err := s.Begin(ctx, dead, ssoUser("anna"), time.Minute, event("bad")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the dead worker began: %v, want ErrConflict", err)
		}
		if _, err := s.Begin(ctx, anna, ssoUser("anna"), -time.Second, event("begin")); err != nil { // dies after it began
			t.Fatal(err)
		}
		must(t, s.Skip(ctx, bert, "changed"))
		if _, err := s.Claim(ctx, time.Minute); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was begun is claimed as an item: %v", err)
		}
		row := claimRow(t, db)
		if row.Person != anna.Person || row.Attempts != 2 || !row.MaybeSent {
			t.Errorf("taken over %+v, want the second attempt, maybe sent", row)
		}
		row.State = store.Assumed
		must(t, db.Ledger().Settle(ctx, row, event("s")))
		if done, err := s.Finish(ctx, p.ID, event("f")); err != nil || !done {
			t.Errorf("finish: %t, %v", done, err)
		}
		if got := getPlan(t, db, p.ID); got.Done != 1 || got.Skipped != 1 || got.Failed != 0 {
			t.Errorf("at the end %+v", got)
		}
	})
	t.Run("clock that stands still", func(t *testing.T) {
		o := fresh(t)
		at := time.Now()
		o.Now = func() time.Time { return at }
		db := open(t, o)
		applying(t, db, creation("anna"))
		first, err := db.Plans().Claim(ctx, -time.Hour)
		must(t, err)
		second, err := db.Plans().Claim(ctx, -time.Hour)
		must(t, err)
		if err := db.Plans().Skip(ctx, first, "changed"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the first claim ended the second: %v", err)
		}
		must(t, db.Plans().Skip(ctx, second, "changed"))
	})
	t.Run("settled by other means", func(t *testing.T) {
		o := fresh(t)
		db, raw := open(t, o), rawDB(t, o)
		s := db.Plans()
		var items []store.PlanItem
		for _, name := range []string{"active", "assumed", "conflict", "refused", "suspended", "gone", "unknown"} {
			items = append(items, creation(name))
		}
		p := applying(t, db, items...)
		for range items {
			i, err := s.Claim(ctx, time.Minute)
			must(t, err)
			_, err = s.Begin(ctx, i, ssoUser(i.Login), time.Minute, event("b"))
			must(t, err)
			_, err = raw.Exec(`UPDATE sso_users SET state = $1, due_at = 0 WHERE person_id = $2 AND $1 <> 'gone'`, i.Login,
				string(i.Person))
			must(t, err)
		}
		_, err := raw.Exec(`DELETE FROM sso_users WHERE person_id = 'person-gone'`)
		must(t, err)
		for range 2 {
			if done, err := s.Finish(ctx, p.ID, event("bad")); err != nil || done {
				t.Errorf("finished while one is unknown: %t, %v", done, err)
			}
			states(t, db, p.ID, "done", "done", "failed", "failed", "skipped suspended", "skipped gone", "sending")
			if got := getPlan(t, db, p.ID); got.Done != 2 || got.Failed != 2 || got.Skipped != 2 {
				t.Errorf("counted %+v, want 2 of each", got)
			}
		}
		_, err = raw.Exec(`DELETE FROM sso_users`)
		must(t, err)
		if done, err := s.Finish(ctx, p.ID, event("f")); err != nil || !done {
			t.Errorf("finish: %t, %v", done, err)
		}
	})
	t.Run("no creations", func(t *testing.T) {
		db := open(t, fresh(t))
		p := applying(t, db)
		if done, err := db.Plans().Finish(ctx, p.ID, event("f")); err != nil || !done {
			t.Errorf("finish: %t, %v", done, err)
		}
	})
}

// states checks the items of a plan: state and, where there is one, reason.
func states(tb testing.TB, db *store.DB, id int64, want ...string) {
	tb.Helper()
	items, err := db.Plans().Items(tb.Context(), id, store.ItemFilter{})
	must(tb, err)
	var got []string
	for _, i := range items {
		if i.Reason != "" {
			i.State += " " + i.Reason
		}
		got = append(got, i.State)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("items (-want +got):\n%s", diff)
	}
}
