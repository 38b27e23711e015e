package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// TestRestoreHolds: after a restore creations are held, and nothing goes on that other programs were doing when the
// copy was made.
func TestRestoreHolds(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	o := storetest.SQLite(t)
	db := openStore(t, o)
	l := db.Ledger()
	suspended := store.UserKey{Person: "suspended", Account: "a1"}
	plan, planErr := db.Plans().Create(ctx, store.Plan{Kind: "admin"})
	_, readyErr := db.Plans().Ready(ctx, plan, 1, store.Event{})
	_, _, wantErr := l.Enqueue(ctx, store.SSOUser{Person: suspended.Person, Account: suspended.Account, ExternalID: "x",
		LoginName: "l", Role: store.AccountManager}, store.Event{})
	_, leaseErr := db.Leases().Take(ctx, "watch", "one", time.Hour)
	accountErr := db.Accounts().Put(ctx, store.Account{ID: "a1", Name: "One", BillingStatus: "Open"}, store.Event{})
	_, hintErr := db.Accounts().AccountChanged(ctx, "a1", "tier.increase", 0)
	if err := errors.Join(planErr, readyErr, wantErr, leaseErr, accountErr, hintErr,
		db.Plans().SetState(ctx, plan, store.PlanReady, store.PlanApplying, store.PlanChange{}, store.Event{}),
		l.Suspend(ctx, suspended, store.Event{}),
		l.SetProvisioningPause(ctx, "admin", store.Event{Actor: "admin:anna"}),
		db.Breaker().Trip(ctx, "credentials", store.Event{}),
		db.Backup(ctx, filepath.Join(dir, "copy.db")),
	); err != nil {
		t.Fatal(err)
	}
	target := store.Options{DSN: "sqlite:" + filepath.Join(dir, "restored.db")}
	if _, err := store.Restore(ctx, filepath.Join(dir, "copy.db"), target.DSN, nil); err != nil {
		t.Fatal(err)
	}
	db = openStore(t, target)
	l = db.Ledger()
	if h, err := l.ProvisioningPause(ctx); err != nil || h.Reason != "restore" || h.By != "restore" ||
		time.Since(h.Since) > time.Minute {
		t.Errorf("hold %+v, %v, want one of the restore, since just now", h, err)
	}
	if at, err := l.Restored(ctx); err != nil || time.Since(at) > time.Minute {
		t.Errorf("restored at %v, %v", at, err)
	}
	if s, err := db.Breaker().State(ctx); err != nil || s.Cause != "" {
		t.Errorf("breaker %+v, %v, want it closed", s, err)
	}
	if got, err := db.Leases().Take(ctx, "watch", "two", time.Hour); err != nil || !got {
		t.Errorf("lease of a program that is gone: %t, %v", got, err)
	}
	if p, err := db.Plans().Get(ctx, plan); err != nil || p.State != store.PlanPaused || p.Reason != "restore" {
		t.Errorf("plan %+v, %v, want it paused", p, err)
	}
	if id, err := db.Accounts().NextChanged(ctx, 100); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a reading of %s is due, %v", id, err)
	}
	if u, err := l.Get(ctx, suspended.Person, suspended.Account); err != nil || !u.MaybeSent ||
		u.State != store.Suspended || u.Before != store.Wanted {
		t.Errorf("suspended row %+v, %v, want it maybe sent", u, err)
	}
	// Lifted once, it stays so.
	if err := l.SetProvisioningPause(ctx, "", store.Event{}); err != nil {
		t.Fatal(err)
	}
	if h, err := openStore(t, target).Ledger().ProvisioningPause(ctx); err != nil || h != (store.ProvisioningPause{}) {
		t.Errorf("lifted hold %+v, %v", h, err)
	}
}

// TestRestoreOfFirstSchema: a copy that the program before this one made is restored too, and held.
func TestRestoreOfFirstSchema(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	from := filepath.Join(dir, "copy.db")
	raw := firstSchema(t, store.Options{DSN: "sqlite:" + from})
	oldRow(t, raw, "waiting", store.Wanted, 1)
	oldRow(t, raw, "active", store.Active, 0)
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	target := store.Options{DSN: "sqlite:" + filepath.Join(dir, "restored.db")}
	if _, err := store.Restore(ctx, from, target.DSN, nil); err != nil {
		t.Fatal(err)
	}
	l := openStore(t, target).Ledger()
	if h, err := l.ProvisioningPause(ctx); err != nil || h.Reason != "restore" || h.By != "restore" ||
		time.Since(h.Since) > time.Minute {
		t.Errorf("hold %+v, %v, want one of the restore", h, err)
	}
	for person, maybe := range map[store.PersonID]bool{"waiting": true, "active": false} {
		if u, err := l.Get(ctx, person, "a1"); err != nil || u.MaybeSent != maybe {
			t.Errorf("%s: %+v, %v, want it maybe sent: %t", person, u, err, maybe)
		}
	}
}

// TestRestoreTwice: who restores again within the same second keeps each database that was there.
func TestRestoreTwice(t *testing.T) {
	dir := t.TempDir()
	o := store.Options{DSN: "sqlite:" + filepath.Join(dir, "store.db"), Voucher: storetest.Voucher("twice")}
	db := openStore(t, o)
	copied := filepath.Join(dir, "copy.db")
	if err := errors.Join(db.Backup(t.Context(), copied), db.Close()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 5 {
		kept, err := store.Restore(t.Context(), copied, o.DSN, nil)
		if err != nil || seen[kept] {
			t.Fatalf("kept %s: %v", kept, err)
		}
		seen[kept] = true
	}
}
