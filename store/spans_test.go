package store_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"ssobridge/store"
)

// TestSpansNameMethods: spans are named by the method that a statement stands in, also where another goroutine runs it,
// and stand within their transaction.
func TestSpansNameMethods(t *testing.T) {
	type key struct{}
	var mu sync.Mutex
	var got []string
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(t.TempDir(), "s.db"),
		Span: func(ctx context.Context, name string) (context.Context, func(of, result string, err error)) {
			within, _ := ctx.Value(key{}).(string)
			return context.WithValue(ctx, key{}, name), func(of, _ string, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("%s of %s failed: %v", name, of, err)
				}
				got = append(got, within+">"+name+" "+of)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Audit().Add(t.Context(), store.Event{Actor: "cli", Action: "x", Subject: "x",
		Outcome: "ok"}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Ledger().Get(t.Context(), "nobody", "nowhere"); err == nil {
		t.Error("a user that is not there")
	}
	for _, want := range []string{">store.transaction Audit.Add", "store.transaction>store.statements Audit.Add",
		">store.statements Ledger.Get"} {
		if !slices.Contains(got, want) {
			t.Errorf("no span %q: %q", want, got)
		}
	}
}
