package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

// testUndo: what was changed last becomes what it was, within ten minutes and while nobody has changed it since
// (row WEB-10).
func testUndo(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	ahead := func(t *testing.T) (*store.DB, *atomic.Int64) {
		t.Helper()
		var ahead atomic.Int64
		o := fresh(t)
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		return open(t, o), &ahead
	}
	by := func(ref, action string) store.Event {
		e := event(ref)
		e.Action = action
		return e
	}
	rename := func(t *testing.T, db *store.DB, name string, e store.Event) {
		t.Helper()
		must(t, db.ServiceProviders().Change(ctx, "sp", func(sp *store.ServiceProvider) (store.Event, error) {
			sp.Name = name
			return e, nil
		}))
	}
	added := store.ServiceProvider{EntityID: "sp", Kind: store.PlainSAML, Name: "first", Enabled: true,
		Groups: []string{"cn=staff"}}

	t.Run("change of a service provider", func(t *testing.T) {
		db, ahead := ahead(t)
		s := db.ServiceProviders()
		must(t, s.Put(ctx, added, by("put", "sp-add")))
		if _, err := s.Former(ctx, "sp"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that was only added: %v, want ErrNotFound", err)
		}
		was, err := s.Get(ctx, "sp")
		must(t, err)
		rename(t, db, "second", by("set", "sp-set"))
		u, err := s.Former(ctx, "sp")
		must(t, err)
		if diff := cmp.Diff(was, u.Before); diff != "" || u.Removed {
			t.Errorf("former, removed %t (-want +got):\n%s", u.Removed, diff)
		}
		if err := s.Undo(ctx, "sp", u.ChangedAt.Add(-time.Microsecond), event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("undo of another change: %v, want ErrConflict", err)
		}
		must(t, s.Undo(ctx, "sp", u.ChangedAt, by("undo", "sp-set")))
		if got, err := s.Get(ctx, "sp"); err != nil || got.Name != "first" || events(t, db, "undo") != 1 {
			t.Errorf("undone: %+v, %v", got, err)
		}
		if err := s.Undo(ctx, "sp", u.ChangedAt, event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("undone twice: %v, want ErrConflict", err)
		}

		rename(t, db, "third", by("set", "sp-set"))
		u, err = s.Former(ctx, "sp")
		must(t, err)
		// What the bridge reads by itself is no change to undo, and comes in between.
		rename(t, db, "read", store.Event{Action: "sp-refresh", Outcome: "ok"})
		if _, err := s.Former(ctx, "sp"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("after a refresh: %v, want ErrConflict", err)
		}
		if err := s.Undo(ctx, "sp", u.ChangedAt, event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("undo of what was changed since: %v, want ErrConflict", err)
		}

		rename(t, db, "fourth", by("set", "sp-set"))
		u, err = s.Former(ctx, "sp")
		must(t, err)
		ahead.Store(int64(store.UndoFor + time.Second))
		if err := s.Undo(ctx, "sp", u.ChangedAt, event("no")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ten minutes later: %v, want ErrNotFound", err)
		}
		if got, err := s.Get(ctx, "sp"); err != nil || got.Name != "fourth" || events(t, db, "no") != 0 {
			t.Errorf("after what was refused: %+v, %v", got, err)
		}
		if n, err := s.PurgeUndo(ctx); n != 1 || err != nil {
			t.Errorf("purged %d, %v, want 1", n, err)
		}
	})

	t.Run("removal of a service provider", func(t *testing.T) {
		db, _ := ahead(t)
		s := db.ServiceProviders()
		for _, id := range []string{"a", "b"} {
			must(t, db.Keys().Add(ctx, store.SigningKey{ID: id, Use: "signing", State: "active", Private: []byte("sealed")},
				event("key")))
		}
		must(t, s.Put(ctx, added, by("put", "sp-add")))
		choose := func(key string) {
			t.Helper()
			must(t, db.Keys().Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
				r.Choices["sp"] = store.KeyChoice{EntityID: "sp", Key: key}
				return nil, nil
			}))
		}
		chosen := func() string {
			t.Helper()
			all, err := db.Keys().Choices(ctx)
			must(t, err)
			if len(all) == 0 {
				return ""
			}
			return all[0].Key
		}
		choose("b")
		must(t, s.Remove(ctx, "sp", by("remove", "sp-remove")))
		list, err := s.Removed(ctx)
		if err != nil || len(list) != 1 || list[0].Before.EntityID != "sp" || chosen() != "" {
			t.Fatalf("removed: %+v, %v, key %q", list, err, chosen())
		}
		must(t, s.Undo(ctx, "sp", list[0].ChangedAt, by("undo", "sp-add")))
		if got, err := s.Get(ctx, "sp"); err != nil || got.Name != "first" || !got.Enabled || chosen() != "b" {
			t.Errorf("back: %+v, %v, key %q", got, err, chosen())
		}
		if list, err := s.Removed(ctx); err != nil || len(list) != 0 {
			t.Errorf("removed, when it is back: %+v, %v", list, err)
		}

		// Another one of this name was registered since.
		must(t, s.Remove(ctx, "sp", by("remove", "sp-remove")))
		list, err = s.Removed(ctx)
		must(t, err)
		must(t, s.Put(ctx, store.ServiceProvider{EntityID: "sp", Kind: store.PlainSAML, Name: "new"}, by("put", "sp-add")))
		if err := s.Undo(ctx, "sp", list[0].ChangedAt, event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("over another one: %v, want ErrConflict", err)
		}

		// The key that signed for it is retired.
		choose("b")
		must(t, s.Remove(ctx, "sp", by("remove", "sp-remove")))
		list, err = s.Removed(ctx)
		must(t, err)
		must(t, db.Keys().Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
			for i := range r.Keys {
				if r.Keys[i].ID == "b" {
					r.Keys[i].State = "retired"
				}
			}
			return nil, nil
		}))
		if err := s.Undo(ctx, "sp", list[0].ChangedAt, event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("with a retired key: %v, want ErrConflict", err)
		}
		if _, err := s.Get(ctx, "sp"); !errors.Is(err, store.ErrNotFound) || events(t, db, "no") != 0 {
			t.Errorf("after what was refused: %v", err)
		}
	})

	t.Run("suspension", func(t *testing.T) {
		db, _ := ahead(t)
		l := db.Ledger()
		row := inState(t, l, "anna", store.Active, false)
		k := keyOf(row)
		suspend := func() time.Time {
			t.Helper()
			must(t, l.Suspend(ctx, k, event("suspend")))
			return stored(t, l, k).UpdatedAt
		}
		at := suspend()
		if err := l.UndoSuspension(ctx, k, at.Add(-time.Microsecond), event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("undo of another suspension: %v, want ErrConflict", err)
		}
		must(t, l.UndoSuspension(ctx, k, at, event("undo")))
		if got := stored(t, l, k); got.State != store.Active || events(t, db, "undo") != 1 {
			t.Errorf("undone: %+v", got)
		}
		if err := l.UndoSuspension(ctx, k, at, event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("undone twice: %v, want ErrConflict", err)
		}
		at = suspend()
		must(t, l.SetRole(ctx, k, store.AccountManager, event("role")))
		if err := l.UndoSuspension(ctx, k, at, event("no")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("undo of what was changed since: %v, want ErrConflict", err)
		}
		if err := l.UndoSuspension(ctx, store.UserKey{Person: "nobody", Account: k.Account}, at,
			event("no")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("undo for nobody: %v, want ErrNotFound", err)
		}
		if events(t, db, "no") != 0 || stored(t, l, k).State != store.Suspended {
			t.Errorf("after what was refused: %+v", stored(t, l, k))
		}
	})
}
