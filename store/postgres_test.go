package store_test

import (
	"fmt"
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

// A server that stops, starts or is too busy, and refuses therefore to say where it stands, is no other place: that
// would end all sessions. One that never says is known by the rest.
func TestPostgresPlace(t *testing.T) {
	o := storetest.PostgresMigrated(t, storetest.Postgres(t))(t)
	db := openStore(t, o)
	known, err := db.Revocations().Standing(t.Context())
	if err != nil || known.Place == "" {
		t.Fatalf("where it stands: %+v, %v", known, err)
	}
	// Another function is found before the server's own from the next connection on.
	run := func(query string) {
		t.Helper()
		if err := db.WriteRaw(t.Context(), func(exec func(string, ...any) error) error { return exec(query) }); err != nil {
			t.Fatal(err)
		}
	}
	run(`DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
	END $$`)
	for code, passes := range map[string]bool{"57P01": true, "57P03": true, "57014": true, "53300": true, "42501": false,
		"42883": false, "0A000": false} {
		run(fmt.Sprintf(`CREATE OR REPLACE FUNCTION public.pg_control_system(OUT system_identifier BIGINT) LANGUAGE plpgsql
			AS $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '%s'; END $$`, code))
		st, err := openStore(t, o).Revocations().Standing(t.Context())
		if err != nil || passes != (st.Place == "") || st.Moved() == passes || st.WasAt != known.Place {
			t.Errorf("%s: %+v, %v", code, st, err)
		}
	}
}
