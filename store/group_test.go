package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// holdWriter keeps the file's write lock, as another process would, until the
// returned function is called.
func holdWriter(t *testing.T, o store.Options) (release func()) {
	t.Helper()
	other, err := sql.Open("sqlite3", "file:"+strings.TrimPrefix(o.DSN, "sqlite:")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := other.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	release = func() {
		once.Do(func() {
			_ = tx.Rollback()
			_ = other.Close()
		})
	}
	t.Cleanup(release)
	return release
}

func openStore(t *testing.T, o store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestGroupCommitIsolation: of changes that gather behind a held lock and
// share a commit, one that fails or panics takes nothing of the others along.
func TestGroupCommitIsolation(t *testing.T) {
	o := storetest.Migrated(t)
	db := openStore(t, o)
	release := holdWriter(t, o)
	failure := errors.New("by itself")
	const n = 30
	var (
		group    sync.WaitGroup
		started  sync.WaitGroup
		errs     [n]error
		panicked [n]any
	)
	started.Add(n)
	for i := range n {
		group.Go(func() {
			defer func() { panicked[i] = recover() }()
			started.Done()
			errs[i] = db.WriteRaw(t.Context(), func(exec func(string, ...any) error) error {
				if err := exec(`INSERT INTO counters (name, value) VALUES ($1, 1)`, fmt.Sprint("n", i)); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return failure
				case 2:
					panic(fmt.Sprint("panic of ", i))
				}
				return nil
			})
		})
	}
	started.Wait()
	release()
	group.Wait()
	raw, err := sql.Open("sqlite3", strings.TrimPrefix(o.DSN, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for i := range n {
		var stored bool
		if err := raw.QueryRow(`SELECT EXISTS (SELECT 1 FROM counters WHERE name = $1)`,
			fmt.Sprint("n", i)).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		var wantPanic any
		if i%3 == 2 {
			wantPanic = fmt.Sprint("panic of ", i)
		}
		wantErr := map[int]error{1: failure}[i%3]
		if !errors.Is(errs[i], wantErr) || panicked[i] != wantPanic || stored != (i%3 == 0) {
			t.Errorf("change %d: error %v, panic %v, stored %t", i, errs[i], panicked[i], stored)
		}
	}
}

// TestGroupCommitFailure: a commit that fails fails every change in it. A
// deferred foreign key is checked by the commit itself.
func TestGroupCommitFailure(t *testing.T) {
	db := openStore(t, storetest.Migrated(t))
	err := db.WriteRaw(t.Context(), func(exec func(string, ...any) error) error {
		if err := exec(`PRAGMA defer_foreign_keys = ON`); err != nil {
			return err
		}
		return exec(`INSERT INTO participations (token_hash, entity_id, name_id, session_index, name_id_format, issued_at)
			VALUES (x'00', '', '', '', '', 0)`)
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v, want the commit to fail for the missing session", err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("the writer after it: %v", err)
	}
}

// TestQueuedWriteCancelled: a change whose caller goes before its turn never runs.
func TestQueuedWriteCancelled(t *testing.T) {
	o := storetest.Migrated(t)
	db := openStore(t, o)
	release := holdWriter(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	var ran bool
	answer := make(chan error, 1)
	go func() {
		answer <- db.WriteRaw(ctx, func(func(string, ...any) error) error { ran = true; return nil })
	}()
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled while the lock is still held", err)
	}
	release()
	if err := db.Ping(t.Context()); err != nil { // runs after it in the queue
		t.Fatal(err)
	}
	if ran {
		t.Error("it ran all the same")
	}
}

// TestLockedByAnother: while another process keeps the write lock, a deadline is
// heeded, reading goes on, and the store works again afterwards.
func TestLockedByAnother(t *testing.T) {
	o := storetest.Migrated(t)
	db := openStore(t, o)
	release := holdWriter(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping with a deadline: %v", err)
	}
	if _, err := db.Sessions().Count(t.Context()); err != nil {
		t.Errorf("reading while another writes: %v", err)
	}
	release()
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}
