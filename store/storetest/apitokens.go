package storetest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

func apiToken(id string, life time.Duration) store.APIToken {
	return store.APIToken{
		ID: id, Name: "the partner's server", Hash: hash(id), Scopes: []string{"accounts:read", "users:write"},
		Accounts: []store.AccountID{"a07e1n4i8vp"}, Networks: []string{"192.0.2.0/24"}, CreatedAt: time.Now(),
		CreatedBy: "admin:x", VouchedBy: "p1", ExpiresAt: time.Now().Add(life),
	}
}

// testAPITokens: a token is what was stored, is used to a minute, is rotated once, is revoked for good, and a row that
// somebody else wrote or changed is none. REST-05
func testAPITokens(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	ctx, s := t.Context(), db.APITokens()
	must(t, s.Add(ctx, apiToken("one", time.Hour), event("token-create")))
	if err := s.Add(ctx, apiToken("one", time.Hour), event("token-create")); !errors.Is(err, store.ErrConflict) ||
		events(t, db, "token-create") != 1 {
		t.Errorf("the same id again: %v, %d events", err, events(t, db, "token-create"))
	}
	got, err := s.Get(ctx, "one")
	want := apiToken("one", time.Hour)
	if err != nil || string(got.Hash) != string(want.Hash) || !slices.Equal(got.Scopes, want.Scopes) ||
		!slices.Equal(got.Accounts, want.Accounts) || !slices.Equal(got.Networks, want.Networks) ||
		got.VouchedBy != "p1" || !got.Live(time.Now()) || got.Live(time.Now().Add(time.Hour)) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := s.Get(ctx, "two"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another id: %v", err)
	}

	must(t, s.Used(ctx, got, "192.0.2.7"))
	used, err := s.Get(ctx, "one")
	must(t, err)
	must(t, s.Used(ctx, used, "192.0.2.8"))
	again, err := s.Get(ctx, "one")
	if err != nil || used.UsedAt.IsZero() || !again.UsedAt.Equal(used.UsedAt) || again.UsedFrom != "192.0.2.7" {
		t.Errorf("uses within a minute: %v %s, then %v %s, %v", used.UsedAt, used.UsedFrom, again.UsedAt, again.UsedFrom, err)
	}

	// Uses from elsewhere leave an event at once, and then one an hour that sums them up.
	for range 3 {
		must(t, s.Refused(ctx, "one", 1, store.Event{Actor: "token:one", Reason: "network"}))
	}
	ahead.Add(int64(store.RefusedEvery))
	must(t, s.Refused(ctx, "one", 5, store.Event{Actor: "token:one", Reason: "network"}))
	refusals, err := db.Audit().List(ctx, store.Filter{Action: "token-refused"})
	if err != nil || len(refusals) != 2 || string(refusals[1].Detail) != `{"uses":1}` ||
		string(refusals[0].Detail) != `{"uses":7}` || refusals[0].Subject != "one" || refusals[0].Reason != "network" {
		t.Errorf("events about uses from elsewhere: %+v, %v", refusals, err)
	}
	ahead.Add(-int64(store.RefusedEvery))
	if err := s.Refused(ctx, "nosuch", 1, store.Event{Actor: "token:x"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of no token: %v", err)
	}

	// Within that minute nothing is written at all: whoever else writes is not waited for.
	taken, err := rawDB(t, o).Begin()
	must(t, err)
	_, err = taken.Exec(`UPDATE api_tokens SET name = name`)
	must(t, err)
	short, cancel := context.WithTimeout(ctx, time.Second)
	if err := s.Used(short, again, "192.0.2.9"); err != nil {
		t.Errorf("a use within the minute waits for a writer: %v", err)
	}
	cancel()
	must(t, taken.Rollback())

	must(t, s.Rotate(ctx, "one", apiToken("two", time.Hour), time.Now().Add(time.Minute), event("token-rotate")))
	old, err := s.Get(ctx, "one")
	if err != nil || old.Replaced != "two" || !old.Live(time.Now()) || old.Live(time.Now().Add(2*time.Minute)) {
		t.Errorf("the old one in the overlap: %+v, %v", old, err)
	}
	if err := s.Rotate(ctx, "one", apiToken("three", time.Hour), time.Now(), event("x")); !errors.Is(err,
		store.ErrConflict) {
		t.Errorf("rotated twice: %v", err)
	}
	must(t, s.Rotate(ctx, "two", apiToken("three", time.Hour), time.Now().Add(-time.Second), event("token-rotate")))
	if old, err := s.Get(ctx, "two"); err != nil || old.Live(time.Now()) || len(old.Hash) != 0 {
		t.Errorf("the old one without an overlap: %+v, %v", old, err)
	}
	must(t, s.Revoke(ctx, "three", event("token-revoke")))
	must(t, s.Revoke(ctx, "three", event("token-revoke")))
	if err := s.Revoke(ctx, "four", event("token-revoke")); !errors.Is(err, store.ErrNotFound) ||
		events(t, db, "token-revoke") != 1 {
		t.Errorf("revoked nothing: %v, %d events", err, events(t, db, "token-revoke"))
	}
	if err := s.Rotate(ctx, "three", apiToken("five", time.Hour), time.Now(), event("x")); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("rotated a revoked one: %v", err)
	}
	words, err := db.Revocations().After(ctx, 0, 10)
	if err != nil || len(words) != 3 {
		t.Errorf("words: %+v, %v", words, err)
	}

	raw := rawDB(t, o)
	alter := func(statement string) {
		t.Helper()
		_, err := raw.Exec(statement)
		must(t, err)
	}
	must(t, s.Add(ctx, apiToken("grown", time.Hour), event("")))
	alter(`UPDATE api_tokens SET scopes = 'keys:write' WHERE id = 'grown'`)
	if _, err := s.Get(ctx, "grown"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that was given more scopes: %v", err)
	}
	alter(`UPDATE api_tokens SET revoked_at = 0, hash = (SELECT hash FROM api_tokens WHERE id = 'one') WHERE id = 'three'`)
	if _, err := s.Get(ctx, "three"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a revoked token that somebody gave a hash again: %v", err)
	}
	all, err := s.List(ctx)
	if err != nil || len(all) != 2 {
		t.Errorf("listed %d, %v, want the two that hold", len(all), err)
	}
	ahead.Store(int64(store.APITokenKept + 2*time.Hour))
	if n, err := s.Purge(ctx); n != 4 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}
