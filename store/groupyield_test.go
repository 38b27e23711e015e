package store

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// turns counts the transactions of a group: each holds it once.
type turns struct {
	mu sync.Mutex
	n  int
}

func (l *turns) Lock()   { l.mu.Lock(); l.n++ }
func (l *turns) Unlock() { l.mu.Unlock() }

// oneProcessor leaves the test a single one, as a busy machine does.
func oneProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// A change waits for those that come while its transaction runs, yet not for as many as can come one by one.
func TestGroupLetsOthersGoFirstForAMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	file, err := createOwned(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	db := openSQLiteWriter(path)
	defer db.Close()
	var (
		held turns
		wait sync.WaitGroup
		in   = map[int]int{} // how many changes a transaction had
	)
	g := newGroup(db, &held, func(error) bool { return false }, func() {})
	defer g.close()
	oneProcessor(t)
	for range 2 * groupSize {
		for began := time.Now(); time.Since(began) < groupYield/2; { // somebody else's work
		}
		wait.Go(func() {
			if err := g.write(t.Context(), func(context.Context, querier) error {
				in[held.n]++
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		runtime.Gosched()
	}
	wait.Wait()
	for turn, n := range in {
		if n > groupSize/2 {
			t.Errorf("transaction %d has %d changes: the first waited for work that takes %s each", turn, n, groupYield/2)
		}
	}
}

// A transaction that can't begin is told to those who wait, and not to who comes after that: each try is one.
func TestGroupTriesAnew(t *testing.T) {
	db := openSQLiteWriter(filepath.Join(t.TempDir(), "x.db"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var held turns
	g := newGroup(db, &held, func(error) bool { return false }, func() {})
	oneProcessor(t)
	const tries = 10
	for range tries {
		if g.write(t.Context(), func(context.Context, querier) error { return nil }) == nil {
			t.Fatal("a change went into a closed file")
		}
	}
	g.close()
	if held.n != tries {
		t.Errorf("%d tries of one after the other began %d transactions", tries, held.n)
	}
}
