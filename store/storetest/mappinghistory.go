package storetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testMappingHistory: a mapping keeps its number whatever is done to it, each change
// needs the state that it was made from, and what it was can be told afterwards.
func testMappingHistory(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.Mappings()
	first := store.Mapping{Kind: store.GroupMapping, GroupDN: "cn=a", Account: "a1", Role: store.AccountManager,
		Priority: 10, CreatedBy: "admin:x", CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	id, err := s.Add(ctx, first, nil, store.Event{Actor: "admin:x", Action: "mapping-add"})
	must(t, err)
	first.ID = id
	second := store.Mapping{Kind: store.GroupMapping, GroupDN: "cn=b", Account: "a1", Role: store.CampaignCreator,
		Priority: 20, CreatedAt: first.CreatedAt}
	second.ID, err = s.Add(ctx, second, nil, event("mapping-add"))
	must(t, err)
	only := func(what string, want ...int64) {
		t.Helper()
		list, err := s.List(ctx)
		must(t, err)
		var got []int64
		for _, m := range list {
			got = append(got, m.ID)
		}
		if len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
			t.Errorf("%s: mappings %v are on, want %v", what, got, want)
		}
	}

	t.Run("off and on", func(t *testing.T) {
		must(t, s.Switch(ctx, first, event("mapping-off")))
		only("switched off", second.ID)
		off, err := s.ListOff(ctx)
		must(t, err)
		if len(off) != 1 || off[0].ID != id || !off[0].Off || off[0].GroupDN != "cn=a" {
			t.Errorf("off: got %+v", off)
		}
		if got, err := s.Get(ctx, id); err != nil || got != off[0] {
			t.Errorf("read one that is off: got %+v, %v, want %+v", got, err, off[0])
		}
		if got, err := s.Get(ctx, second.ID); err != nil || got != second {
			t.Errorf("read one that is on: got %+v, %v, want %+v", got, err, second)
		}
		if got, err := s.Get(ctx, second.ID+100); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("read one that never was: got %+v, %v, want ErrNotFound", got, err)
		}
		if err := s.Switch(ctx, first, event("again")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("off once more: got %v, want ErrConflict", err)
		}
		if n := events(t, db, "again"); n != 0 {
			t.Errorf("%d events of what was refused", n)
		}
		must(t, s.Switch(ctx, off[0], event("mapping-on")))
		only("switched on", id, second.ID)
	})
	t.Run("set", func(t *testing.T) {
		moved := first
		moved.Priority = 20
		if err := s.Set(ctx, first, moved, event("clash")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the other one's priority: got %v, want ErrConflict", err)
		}
		only("after a clash", id, second.ID)
		moved.Priority = 30
		must(t, s.Set(ctx, first, moved, event("mapping-set")))
		only("moved", second.ID, id)
		if err := s.Set(ctx, first, moved, event("stale")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("from a state that is over: got %v, want ErrConflict", err)
		}
		gone := first
		gone.ID = 4711
		if err := s.Set(ctx, gone, gone, event("gone")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that never was: got %v, want ErrNotFound", err)
		}
		first = moved
	})
	t.Run("exchange", func(t *testing.T) {
		must(t, s.Exchange(ctx, first, second, event("mapping-set"), event("mapping-set")))
		only("exchanged", id, second.ID)
		if err := s.Exchange(ctx, first, second, event("stale")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("from a state that is over: got %v, want ErrConflict", err)
		}
		if err := s.Exchange(ctx, switchedOn(t, db)[0], store.Mapping{ID: 4711}, event("gone")); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("with one that never was: got %v, want ErrNotFound", err)
		}
		only("after refusals", id, second.ID)
		if err := s.Remove(ctx, first, event("stale")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("removed from a state that is over: got %v, want ErrConflict", err)
		}
		list := switchedOn(t, db)
		must(t, s.Exchange(ctx, list[0], list[1]))
		only("exchanged back", second.ID, id)
	})
	t.Run("two editors", func(t *testing.T) {
		var won atomic.Int64
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				m := first
				m.Priority = 100 + i
				switch err := s.Set(ctx, first, m, event("race")); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if won.Load() != 1 || events(t, db, "race") != 1 {
			t.Errorf("%d editors won, want 1", won.Load())
		}
	})
	t.Run("history", func(t *testing.T) {
		on := switchedOn(t, db)
		must(t, s.Remove(ctx, on[slices.IndexFunc(on, func(m store.Mapping) bool { return m.ID == id })],
			event("mapping-remove")))
		list, err := s.History(ctx, id, 0, 100)
		must(t, err)
		if page, err := s.History(ctx, id, list[2].ID, 2); err != nil || len(page) != 2 || page[0].ID != list[3].ID ||
			page[1].ID != list[4].ID {
			t.Errorf("the page after the third: %+v, %v", page, err)
		}
		var words []string
		for _, v := range list {
			words = append(words, v.What)
		}
		if got := len(words); got != 8 || words[0] != store.MappingRemoved || words[7] != store.MappingAdded ||
			list[7].By != "admin:x" || list[7].State.Priority != 10 {
			t.Errorf("history: got %v, %+v", words, list)
		}
		v, err := s.Version(ctx, list[7].ID)
		must(t, err)
		must(t, s.Return(ctx, v.State, event("mapping-return")))
		only("returned", id, second.ID)
		if err := s.Return(ctx, v.State, event("twice")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("returned twice: got %v, want ErrConflict", err)
		}
		// Numbers are never given again.
		third := second
		third.GroupDN, third.Account = "cn=c", "a2"
		next, err := s.Add(ctx, third, nil, event("mapping-add"))
		must(t, err)
		if next == id || next == second.ID {
			t.Errorf("a new mapping got the number %d", next)
		}
	})
}
