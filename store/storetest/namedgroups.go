package storetest

import (
	"errors"
	"testing"
	"time"

	"ssobridge/store"
)

// testNamedGroups: the first answer to a DN stays whoever else answers, later ones change no id, and only an accepted
// group takes the place of another. Each change raises the change counter and leaves its event.
func testNamedGroups(t *testing.T, fresh func(testing.TB) store.Options) {
	db := open(t, fresh(t))
	ctx, s := t.Context(), db.NamedGroups()
	one := func() store.NamedGroup {
		t.Helper()
		all, err := s.List(ctx)
		must(t, err)
		if len(all) != 1 {
			t.Fatalf("got %+v, want one group", all)
		}
		return all[0]
	}
	before, err := db.Changes(ctx)
	must(t, err)
	must(t, s.Resolve(ctx, store.NamedGroup{Written: "cn=a", ID: "1", DN: "cn=A"}, event("group-resolved")))
	must(t, s.Resolve(ctx, store.NamedGroup{Written: "cn=a", ID: "2", DN: "cn=A"}, event("group-resolved")))
	first := one()
	if after, err := db.Changes(ctx); err != nil || after == before {
		t.Errorf("the change counter stands at %d, before at %d, %v", after, before, err)
	}
	if first.ID != "1" || first.DN != "cn=A" || first.ResolvedAt.IsZero() || !first.GoneAt.IsZero() ||
		events(t, db, "group-resolved") != 1 {
		t.Errorf("after two first answers: %+v", first)
	}

	gone := first
	gone.GoneAt = time.Now().UTC().Truncate(time.Microsecond)
	must(t, s.Note(ctx, first, gone, event("group-gone")))
	if got := one(); !got.GoneAt.Equal(gone.GoneAt) || got.ID != "1" {
		t.Errorf("gone: %+v", got)
	}
	// An id that is known is never changed by an answer.
	other := first
	other.ID = "2"
	must(t, s.Note(ctx, gone, other, event("changed-id")))
	if got := one(); got.ID != "1" || events(t, db, "changed-id") != 0 {
		t.Errorf("an answer changed the id: %+v", got)
	}
	taken := first
	taken.OtherID, taken.OtherDN = "2", "cn=a"
	must(t, s.Note(ctx, gone, taken, event("group-replaced")))
	must(t, s.Note(ctx, gone, first, event("late"))) // of a replica that saw it before
	if got := one(); got.OtherID != "2" || got.ID != "1" || !got.GoneAt.IsZero() || events(t, db, "late") != 0 {
		t.Errorf("another has the DN: %+v", got)
	}
	for _, wrong := range []string{"", "1", "3"} {
		if err := s.Accept(ctx, "cn=a", wrong, event("group-accept")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("accept %q: %v", wrong, err)
		}
	}
	if err := s.Accept(ctx, "cn=b", "2", event("group-accept")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("accept for another DN: %v", err)
	}
	must(t, s.Accept(ctx, "cn=a", "2", event("group-accept")))
	if got := one(); got.ID != "2" || got.DN != "cn=a" || got.OtherID != "" || events(t, db, "group-accept") != 1 {
		t.Errorf("accepted: %+v", got)
	}

	// Where no id was shown, the first one that is shown is taken.
	must(t, s.Resolve(ctx, store.NamedGroup{Written: "cn=b", DN: "cn=b"}, event("group-resolved")))
	must(t, s.Note(ctx, store.NamedGroup{Written: "cn=b"}, store.NamedGroup{Written: "cn=b", ID: "7", DN: "cn=b"},
		event("group-found")))
	if all, err := s.List(ctx); err != nil || len(all) != 2 || all[1].ID != "7" {
		t.Errorf("got %+v, %v", all, err)
	}
}
