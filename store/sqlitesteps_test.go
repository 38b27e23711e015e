package store_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// COST-82: what the driver gives comes into variables as database/sql would put it there, types of our own included;
// what does not fit is an error and never something else; the errors of a statement that returns rows are not lost.
func TestSQLiteSteps(t *testing.T) {
	db := openStore(t, storetest.Migrated(t))
	ctx := t.Context()
	var (
		text   string
		person store.PersonID
		n      int64
		class  store.Priority
		small  int8
		yes    bool
		b      []byte
	)
	read := func(query string, args []any, dest ...any) (bool, error) {
		return store.ReadStep(ctx, db, false, query, args, dest...)
	}
	if found, err := read(`SELECT $1, $2, $3, $4, 1 = 1, NULL, x''`, []any{"äb", store.PersonID("p"), 7, store.Priority(2)},
		&text, &person, &n, &class, &yes, &b, new([]byte)); err != nil || !found {
		t.Fatal(found, err)
	}
	if text != "äb" || person != "p" || n != 7 || class != 2 || !yes || b != nil {
		t.Errorf("got %q %q %d %d %v %v", text, person, n, class, yes, b)
	}
	if found, err := read(`SELECT $1, $2`, []any{[]byte{0, 1}, true}, &b, &yes); err != nil || !found ||
		!bytes.Equal(b, []byte{0, 1}) || !yes {
		t.Errorf("got %v %v, %v", b, yes, err)
	}
	if found, err := read(`SELECT 1 WHERE 1 = 0`, nil, &n); err != nil || found {
		t.Errorf("no row: got %v, %v", found, err)
	}
	for name, err := range map[string]error{
		"NULL into a text":           second(read(`SELECT NULL`, nil, &text)),
		"a number into a text":       second(read(`SELECT 1`, nil, &text)),
		"a text into a number":       second(read(`SELECT '1'`, nil, &n)),
		"a number that is too large": second(read(`SELECT 300`, nil, &small)),
		"2 for yes or no":            second(read(`SELECT 2`, nil, &yes)),
		"a fraction into a number":   second(read(`SELECT 1.5`, nil, &n)),
		"two columns into one":       second(read(`SELECT 1, 2`, nil, &n)),
		"no statement":               second(read(`SELEKT 1`, nil, &n)),
		"too few parameters":         second(read(`SELECT $1, $2`, []any{1}, &n, &n)),
		"a parameter of no type":     second(read(`SELECT $1`, []any{struct{}{}}, &n)),
	} {
		if err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	const participation = `INSERT INTO participations (token_hash, entity_id, name_id, session_index, name_id_format, issued_at, registered)
		VALUES ($1, 'e', 'n', 's', 'f', 1, 1) RETURNING issued_at`
	if _, err := store.ReadStep(ctx, db, true, participation, []any{[]byte("no session")}, &n); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("a row that belongs to none: got %v, want ErrNotFound", err)
	}
	if found, err := read(`SELECT 1 FROM participations`, nil, &n); err != nil || found {
		t.Errorf("it stands there all the same: %v, %v", found, err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := store.ReadStep(ended, db, false, `SELECT 1`, nil, &n); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its request: got %v", err)
	}
}

func second(_ bool, err error) error { return err }
