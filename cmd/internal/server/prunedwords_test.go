package server_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/journal"
	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

// TestPrunedWords: words that are older than the audit is kept stand in audit.sink for good. A start does not take them
// for revocations that were cut off before their commit: who was resumed since would be suspended at each of them.
func TestPrunedWords(t *testing.T) {
	ctx := t.Context()
	sealer, err := certs.NewSealer(bytes.Repeat([]byte("a"), certs.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	j := journal.New(journal.Options{Dir: dir, Sink: filepath.Join(dir, "sink.jsonl"), Voucher: sealer, Now: time.Now,
		Logger: slog.New(slog.DiscardHandler)})
	o := storetest.SQLite(t)
	o.Journal = j
	db, err := store.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(j.Begin(ctx, time.Now().Add(-time.Hour)))
	e := store.Event{Actor: "admin:test", Action: "test"}
	key := func(person string) store.UserKey { return store.UserKey{Person: store.PersonID(person), Account: "a1"} }
	for _, person := range []string{"ana", "ben"} {
		_, err := db.Ledger().Adopt(ctx, []store.SSOUser{{Person: store.PersonID(person), Account: "a1", ExternalID: person,
			LoginName: person, Role: store.AccountManager, State: store.Active}}, e)
		must(err)
		must(db.Ledger().Suspend(ctx, key(person), e))
	}
	must(j.Follow(ctx, db.Revocations()))
	later := time.Now().Add(time.Minute)
	if n, err := j.Prune(ctx, later); n != 1 || err != nil {
		t.Fatalf("pruned: %d, %v", n, err)
	}
	if n, err := db.Revocations().Purge(ctx, later); n != 1 || err != nil {
		t.Fatalf("purged: %d, %v", n, err)
	}
	if r, err := server.LookForRestore(ctx, j, db, ""); err != nil || r.Cut || r.Noticed != "" {
		t.Errorf("cut %v, noticed %q, words %+v, %v", r.Cut, r.Noticed, r.Content.Words, err)
	}
	// A word that was cut off is made all the same, and nothing beside it.
	must(db.Ledger().Resume(ctx, key("ana"), e))
	must(j.Before(ctx, []store.Revocation{{Seq: 3, Entry: "cut", Kind: store.TokenObject, Object: "t", Word: store.Revoked,
		At: later.Add(time.Second)}}))
	r, err := server.LookForRestore(ctx, j, db, "")
	if err != nil || !r.Cut || r.Noticed != "" {
		t.Errorf("cut %v, noticed %q, %v", r.Cut, r.Noticed, err)
	}
	if _, err := db.Revocations().Settle(ctx, store.Settlement{Words: r.Content.Words, Event: e}); err != nil {
		t.Fatal(err)
	}
	if u, err := db.Ledger().Get(ctx, "ana", "a1"); err != nil || u.State != store.Active {
		t.Errorf("ana is %s, %v, want %s", u.State, err, store.Active)
	}
}
