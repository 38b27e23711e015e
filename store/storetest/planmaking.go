package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ssobridge/store"
)

// testPlanMaking: one plan is made at a time, whoever begins it; what a process leaves behind is dropped; whose users
// are created at the first sign-in is kept with a mapping.
func testPlanMaking(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.Plans()
	started := func(int64) store.Event { return event("started") }
	start := func(maker string) (int64, error) {
		return s.Start(ctx, store.Plan{Kind: "admin", Mappings: "digest", CreatedBy: "admin:x", Maker: maker},
			time.Hour, started)
	}

	// Of many that begin at once, one does.
	ids := make([]int64, 6)
	errs := all(len(ids), func(i int) (err error) {
		ids[i], err = start(fmt.Sprint("maker", i))
		return err
	})
	first, maker := int64(0), ""
	for i, err := range errs {
		switch {
		case err == nil && first == 0:
			first, maker = ids[i], fmt.Sprint("maker", i)
		case !errors.Is(err, store.ErrConflict):
			t.Errorf("start %d: got plan %d, %v, want ErrConflict", i, ids[i], err)
		}
	}
	if first == 0 || events(t, db, "started") != 1 {
		t.Fatalf("started: plan %d, %d events, want one", first, events(t, db, "started"))
	}
	if p, err := s.Making(ctx); err != nil || p.ID != first || p.State != store.PlanMaking || p.Maker != maker {
		t.Errorf("Making: got %+v, %v", p, err)
	}

	must(t, s.Progress(ctx, first, maker, store.PlanSeen{People: 5, Groups: 4, AtSignIn: 3}, time.Hour))
	if p := getPlan(t, db, first); p.People != 5 || p.Groups != 4 || p.AtSignIn != 3 {
		t.Errorf("progress: got %+v", p)
	}
	if err := s.Progress(ctx, first, "another", store.PlanSeen{}, time.Hour); !errors.Is(err, store.ErrConflict) {
		t.Errorf("progress by another: got %v, want ErrConflict", err)
	}
	must(t, s.Drop(ctx, first, store.MakingCancelled, "", event("cancelled")))
	if p := getPlan(t, db, first); p.State != store.PlanDropped || p.Reason != store.MakingCancelled ||
		p.FinishedAt.IsZero() {
		t.Errorf("cancelled: got %+v", p)
	}
	for what, err := range map[string]error{
		"progress":    s.Progress(ctx, first, maker, store.PlanSeen{}, time.Hour),
		"drop again":  s.Drop(ctx, first, store.MakingFailed, "why", event("never")),
		"make ready":  func() error { _, err := s.Ready(ctx, first, 1, event("never")); return err }(),
		"add to it":   s.Add(ctx, first, []store.PlanItem{creation("late")}),
		"start a new": func() error { _, err := start("another"); return err }(), // whoever made it has not noticed yet
	} {
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s after the cancellation: got %v, want ErrConflict", what, err)
		}
	}
	if err := s.Drop(ctx, 999, store.MakingFailed, "", event("never")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("drop none: got %v, want ErrNotFound", err)
	}
	if n := events(t, db, "never"); n != 0 {
		t.Errorf("%d events of what was not done", n)
	}
	if _, err := s.Making(ctx); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Making after the cancellation: got %v, want ErrNotFound", err)
	}
	must(t, s.ReleaseMaking(ctx, "another")) // does nothing
	must(t, s.ReleaseMaking(ctx, maker))

	// A process that died: its lease is over, and the next one drops what it left. What the version before makes is let
	// alone.
	left, err := start("dead")
	must(t, err)
	older, err := s.Create(ctx, store.Plan{Kind: "watch", Mappings: "digest", CreatedBy: "watch"})
	must(t, err)
	must(t, s.ReleaseMaking(ctx, "dead"))
	if _, err := s.Making(ctx); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Making of the dead: got %v, want ErrNotFound", err)
	}
	next, err := start("next")
	must(t, err)
	if p := getPlan(t, db, left); p.State != store.PlanDropped || p.Reason != store.MakingInterrupted {
		t.Errorf("left behind: got %+v", p)
	}
	if p := getPlan(t, db, older); p.State != store.PlanMaking {
		t.Errorf("of the version before: got %+v", p)
	}
	must(t, s.Drop(ctx, next, store.MakingFailed, "the directory\x00 does not answer", event("failed")))
	if p := getPlan(t, db, next); p.Reason != store.MakingFailed || p.Fault == "" {
		t.Errorf("failed: got %+v", p)
	}
	for _, bad := range []struct {
		maker string
		ttl   time.Duration
	}{{"", time.Hour}, {"x", 0}, {"x", 25 * time.Hour}} {
		if _, err := s.Start(ctx, store.Plan{Kind: "admin", Maker: bad.maker}, bad.ttl, started); err == nil ||
			errors.Is(err, store.ErrConflict) {
			t.Errorf("start by %q for %v: got %v, want it refused", bad.maker, bad.ttl, err)
		}
	}

	testAtSignIn(t, db)
}

func testAtSignIn(t *testing.T, db *store.DB) {
	ctx := t.Context()
	s := db.Mappings()
	m := store.Mapping{Kind: store.GroupMapping, GroupID: "g1", GroupDN: "cn=g", Account: "a1", Role: store.AccountManager,
		Priority: 10, AtSignIn: true}
	var err error
	m.ID, err = s.Add(ctx, m, nil, event("add"))
	must(t, err)
	stored := func(off bool) store.Mapping {
		t.Helper()
		list, err := s.List(ctx)
		if off {
			list, err = s.ListOff(ctx)
		}
		if err != nil || len(list) != 1 {
			t.Fatalf("list, off %t: %+v, %v", off, list, err)
		}
		return list[0]
	}
	is := stored(false)
	if !is.AtSignIn {
		t.Errorf("added: got %+v", is)
	}
	// The same rule is the same, whenever its users are created.
	m.AtSignIn, m.Priority = false, 20
	if _, err := s.Add(ctx, m, nil, event("add")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same rule again: got %v, want ErrConflict", err)
	}
	wrong := is
	wrong.AtSignIn = false
	if err := s.Switch(ctx, wrong, event("switch")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("switched as it is not: got %v, want ErrConflict", err)
	}
	must(t, s.Switch(ctx, is, event("switch")))
	if is = stored(true); !is.AtSignIn {
		t.Errorf("switched off: got %+v", is)
	}
	must(t, s.Switch(ctx, is, event("switch")))
	is = stored(false)
	now := is
	now.AtSignIn = false
	must(t, s.Set(ctx, is, now, event("set")))
	if is = stored(false); is.AtSignIn {
		t.Errorf("set: got %+v", is)
	}
	must(t, s.Replace(ctx, []store.Mapping{is}, []store.Mapping{{Kind: store.GroupMapping, GroupID: "g2", GroupDN: "cn=h",
		Account: "a1", Role: store.AccountManager, Priority: 10, AtSignIn: true}}, nil, nil))
	if is = stored(false); !is.AtSignIn {
		t.Errorf("replaced: got %+v", is)
	}
	history, err := s.History(ctx, m.ID, 0, 10)
	must(t, err)
	if len(history) != 5 || history[1].State.AtSignIn || !history[2].State.AtSignIn {
		t.Errorf("history: got %+v", history)
	}
}
