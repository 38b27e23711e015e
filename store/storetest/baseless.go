package storetest

import (
	"errors"
	"testing"
	"time"

	"ssobridge/store"
)

// testBaseless: when a pattern without a base was first named stays, and each place is noted once, with its event.
// ID-04.
func testBaseless(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	o := fresh(t)
	o.Now = func() time.Time { return now }
	db := open(t, o)
	add := func(m store.Mapping) int64 {
		t.Helper()
		id, err := db.Mappings().Add(ctx, m, nil, event("m"))
		must(t, err)
		return id
	}
	old := add(store.Mapping{Kind: store.GroupPattern, Pattern: "ctct-{account}-{role}", Priority: 10})
	based := add(store.Mapping{Kind: store.GroupPattern, Pattern: "x-{account}-{role}", GroupDN: "ou=x", Priority: 20})
	group := add(store.Mapping{Kind: store.GroupMapping, GroupID: "g", GroupDN: "cn=g", Account: "a1",
		Role: store.CampaignCreator, Priority: 30})
	for _, id := range []int64{based, group, 4711} {
		if err := db.Mappings().Notice(ctx, id, store.NoticeByCheck, event("named")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("mapping %d: %v, want ErrNotFound", id, err)
		}
	}
	if err := db.Mappings().Notice(ctx, old, "elsewhere", event("named")); err == nil {
		t.Error("a place that is none was noted")
	}
	first := now
	other := open(t, o)
	for _, err := range all2(db, other, 4, func(db *store.DB, _ int) error {
		return db.Mappings().Notice(ctx, old, store.NoticeByCheck, event("named"))
	}) {
		must(t, err)
	}
	now = now.Add(time.Hour)
	for range 2 {
		must(t, db.Mappings().Notice(ctx, old, store.NoticeByCheck, event("named")))
		must(t, db.Mappings().Notice(ctx, old, store.NoticeInConsole, event("named")))
	}
	notices, err := db.Mappings().Notices(ctx)
	must(t, err)
	if n := notices[old]; len(notices) != 1 || !n.ByCheck.Equal(first) || !n.InConsole.Equal(now) {
		t.Errorf("noted: %+v", notices)
	}
	if n := events(t, db, "named"); n != 2 {
		t.Errorf("%d events, want one for each place", n)
	}
}
