package store_test

import (
	"net/url"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// serializable makes every transaction serializable, as databases do that are distributed.
func serializable(tb testing.TB, o store.Options) store.Options {
	tb.Helper()
	u, err := url.Parse(o.DSN)
	if err != nil {
		tb.Fatal(err)
	}
	q := u.Query()
	q.Set("default_transaction_isolation", "serializable")
	u.RawQuery = q.Encode()
	o.DSN = u.String()
	return o
}

// TestPostgresSerializable: the same suite where PostgreSQL runs every transaction serializable, and so refuses those
// that cross.
func TestPostgresSerializable(t *testing.T) {
	empty := storetest.Postgres(t)
	fresh := storetest.PostgresMigrated(t, empty)
	if err := openStore(t, serializable(t, fresh(t))).WriteRaw(t.Context(), func(exec func(string, ...any) error) error {
		return exec(`SELECT 1 / (CASE current_setting('transaction_isolation') WHEN 'serializable' THEN 1 ELSE 0 END)`)
	}); err != nil {
		t.Fatalf("transactions are not serializable: %v", err)
	}
	storetest.Run(t, storetest.Suite{
		Fresh:    func(tb testing.TB) store.Options { return serializable(tb, fresh(tb)) },
		Empty:    func(tb testing.TB) store.Options { return serializable(tb, empty(tb)) },
		Parallel: true, // no part knows another one's database
	})
}
