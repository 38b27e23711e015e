package storetest

import (
	"slices"
	"testing"
	"time"

	"ssobridge/store"
)

func testSecretKeys(t *testing.T, fresh func(testing.TB) store.Options) {
	o := fresh(t)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	db, ctx := open(t, o), t.Context()
	events := func() int {
		all, err := db.Audit().List(ctx, store.Filter{Limit: 100})
		must(t, err)
		return len(all)
	}
	must(t, db.SecretKeys().Use(ctx, "aa", event("secret-key-use")))
	must(t, db.SecretKeys().Use(ctx, "aa", event("secret-key-use")))
	now = now.Add(time.Hour)
	must(t, db.SecretKeys().Use(ctx, "bb", event("secret-key-use")))
	if n := events(); n != 2 {
		t.Errorf("two keys, one of them noted twice: %d events, want 2", n)
	}
	got, err := db.SecretKeys().List(ctx)
	must(t, err)
	want := []store.SecretKey{{ID: "aa", FirstUsed: now.Add(-time.Hour)}, {ID: "bb", FirstUsed: now}}
	if !slices.EqualFunc(got, want, func(a, b store.SecretKey) bool {
		return a.ID == b.ID && a.FirstUsed.Equal(b.FirstUsed)
	}) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func testReplicas(t *testing.T, fresh func(testing.TB) store.Options) {
	db, ctx := open(t, fresh(t)), t.Context()
	must(t, db.Replicas().Announce(ctx, store.Replica{ID: "one", SecretKeys: []string{"aa", "bb"},
		EntityID: "https://one.example"}))
	must(t, db.Replicas().Announce(ctx, store.Replica{ID: "two", SecretKeys: []string{"aa"}}))
	must(t, db.Replicas().Announce(ctx, store.Replica{ID: "two", SecretKeys: []string{"bb"}}))
	all, err := db.Replicas().Running(ctx)
	if err != nil || len(all) != 2 || !slices.Equal(all[0].SecretKeys, []string{"aa", "bb"}) || !all[1].Knows("bb") ||
		all[1].Knows("aa") || all[0].EntityID != "https://one.example" {
		t.Errorf("got %+v, %v", all, err)
	}
	must(t, db.Replicas().Leave(ctx, "one"))
	must(t, db.Replicas().Leave(ctx, "none"))
	if all, err = db.Replicas().Running(ctx); err != nil || len(all) != 1 || all[0].ID != "two" {
		t.Errorf("one has stopped: got %+v, %v", all, err)
	}
	if err := db.Replicas().Announce(ctx, store.Replica{ID: "three", SecretKeys: []string{"a b"}}); err == nil {
		t.Error("an id with a blank: got no error")
	}
}
