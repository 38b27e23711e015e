package storetest

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"ssobridge/store"
)

// testOpen: two programs that start at once migrate once; what was stored is
// there after a restart; a schema that is too new is refused.
func testOpen(t *testing.T, fresh func(testing.TB) store.Options) {
	t.Run("several at once on an empty database", func(t *testing.T) {
		o := fresh(t)
		for _, err := range all(4, func(int) error {
			db, err := store.Open(t.Context(), o)
			if err != nil {
				return err
			}
			return errors.Join(db.Ping(t.Context()), db.Close())
		}) {
			if err != nil {
				t.Errorf("open: %v", err)
			}
		}
	})
	t.Run("none is made where one should be", func(t *testing.T) {
		o := fresh(t)
		o.Existing = true
		if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNoStore) {
			t.Errorf("an empty database: %v, want ErrNoStore", err)
		}
		o.Existing = false
		open(t, o)
		o.Existing = true
		db := open(t, o)
		must(t, db.InPlace())
		must(t, db.ServeAlone(t.Context()))
	})
	t.Run("restart", func(t *testing.T) {
		o := fresh(t)
		db, err := store.Open(t.Context(), o)
		must(t, err)
		must(t, db.SignIns().Create(t.Context(), signIn("kept"), store.Caps{}))
		must(t, db.Close())
		must(t, db.Close()) // twice is fine
		if err := db.SignIns().Create(t.Context(), signIn("late"), store.Caps{}); err == nil {
			t.Error("a closed store accepted a sign-in")
		}
		if _, err := open(t, o).SignIns().Get(t.Context(), "kept"); err != nil {
			t.Errorf("after the restart: %v", err)
		}
	})
	t.Run("newer schema", func(t *testing.T) {
		o := fresh(t)
		db, err := store.Open(t.Context(), o)
		must(t, err)
		must(t, db.Close())
		raw := rawDB(t, o)
		var version int
		must(t, raw.QueryRow(`SELECT MAX(version_id) FROM goose_db_version`).Scan(&version))
		add := func(v int) {
			_, err := raw.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, $2)`, v, true)
			must(t, err)
		}
		add(version + 1)
		next, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatalf("one version newer: %v, want it to open", err)
		}
		must(t, next.Close())
		add(version + 2)
		if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("two versions newer: %v, want ErrNewerSchema", err)
		}
	})
	t.Run("ping", func(t *testing.T) {
		db := open(t, fresh(t))
		must(t, db.Ping(t.Context()))
		must(t, db.Ping(t.Context()))
	})
}

// rawDB opens the database beside the store, for what no method does.
func rawDB(tb testing.TB, o store.Options) *sql.DB {
	tb.Helper()
	driver, dsn := "pgx", o.DSN
	if path, found := strings.CutPrefix(o.DSN, "sqlite:"); found {
		driver, dsn = "sqlite3", "file:"+path+"?_busy_timeout=5000"
	}
	db, err := sql.Open(driver, dsn)
	must(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// testChanges: the counter moves with each kind of configuration, and own
// changes are seen at once.
func testChanges(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, other := open(t, o), open(t, o)
	last, err := db.Changes(ctx)
	must(t, err)
	var mapping int64
	for _, c := range []struct {
		name  string
		moves bool
		do    func() error
	}{
		{"put provider", true, func() error {
			return db.ServiceProviders().Put(ctx, store.ServiceProvider{EntityID: "a", Kind: store.PlainSAML}, event("c"))
		}},
		{"remove provider", true, func() error { return db.ServiceProviders().Remove(ctx, "a", event("c")) }},
		{"add key", true, func() error {
			return db.Keys().Add(ctx, store.SigningKey{ID: "k", Use: "signing", State: "active"}, event("c"))
		}},
		{"add mapping", true, func() (err error) {
			mapping, err = db.Mappings().Add(ctx, store.Mapping{Kind: store.GroupMapping, GroupDN: "cn=a",
				Account: "a1", Role: store.AccountManager}, nil, event("c"))
			return err
		}},
		{"rename group", true, func() error { return db.Mappings().SetGroupDN(ctx, mapping, "cn=b") }},
		{"remove mapping", true, func() error { return db.Mappings().Remove(ctx, switchedOn(t, db)[0], event("c")) }},
		{"accounts", true, func() error {
			return db.Accounts().ReplaceAll(ctx, []store.Account{{ID: "a1", Name: "One"}}, event("c"))
		}},
		{"the same accounts", false, func() error {
			return db.Accounts().ReplaceAll(ctx, []store.Account{{ID: "a1", Name: "One"}}, event("c"))
		}},
		{"sign-in", false, func() error { return db.SignIns().Create(ctx, signIn("s"), store.Caps{}) }},
		{"refused change", false, func() error {
			if err := db.Mappings().Remove(ctx, store.Mapping{ID: 999}, event("c")); !errors.Is(err, store.ErrNotFound) {
				return errors.New("no refusal")
			}
			return nil
		}},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		now, err := db.Changes(ctx)
		must(t, err)
		if moved := now > last; moved != c.moves {
			t.Errorf("%s: counter from %d to %d, want it to move: %t", c.name, last, now, c.moves)
		}
		last = now
	}
	testOneReading(t, db, last)
	last, err = db.Changes(ctx)
	must(t, err)
	// The other replica has not asked yet, so it has nothing old to answer with.
	if n, err := other.Changes(ctx); err != nil || n != last {
		t.Errorf("other replica: got %d, %v, want %d", n, err, last)
	}
}

// testOneReading: a request compares with one reading, but for its own changes and where it asks anew (row COST-32).
func testOneReading(t *testing.T, db *store.DB, last int64) {
	t.Helper()
	ctx := t.Context()
	request := store.OneReading(ctx)
	change := func(ctx context.Context, name string) {
		t.Helper()
		must(t, db.ServiceProviders().Put(ctx, store.ServiceProvider{EntityID: name, Kind: store.PlainSAML}, event("c")))
	}
	is := func(ctx context.Context, want int64, when string) {
		t.Helper()
		if n, err := db.Changes(ctx); n != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", when, n, err, want)
		}
	}
	is(request, last, "before")
	change(ctx, "of another request")
	is(store.NewReading(request), last+1, "asked anew")
	is(ctx, last+1, "without a request")
	change(request, "of its own")
	is(request, last+2, "after a change of its own")
}

// switchedOn are the mappings that are on.
func switchedOn(t *testing.T, db *store.DB) []store.Mapping {
	t.Helper()
	all, err := db.Mappings().List(t.Context())
	must(t, err)
	return all
}
