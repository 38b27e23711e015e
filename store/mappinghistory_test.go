package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"ssobridge/store"
)

// A mapping that the version before this one added has no history: its first change
// writes down what it was.
func TestMappingOfTheVersionBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mappings.db")
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	raw, err := sql.Open("sqlite3", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(
		`INSERT INTO mappings (kind, group_id, group_dn, attribute, pattern, person_id, account, role, priority, created_at, created_by)
		VALUES ('group', '', 'cn=a', '', '', '', 'a1', 'account_manager', 10, 1000000, 'admin:before')`); err != nil {
		t.Fatal(err)
	}
	list, err := db.Mappings().List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("got %+v, %v", list, err)
	}
	m := list[0]
	m.Priority = 20
	if err := db.Mappings().Set(t.Context(), list[0], m, store.Event{Actor: "admin:now",
		Action: "mapping-set"}); err != nil {
		t.Fatal(err)
	}
	history, err := db.Mappings().History(t.Context(), m.ID, 0, 10)
	if err != nil || len(history) != 2 || history[1].What != store.MappingAdded || history[1].By != "admin:before" ||
		history[1].State.Priority != 10 || history[0].State.Priority != 20 {
		t.Errorf("history: %+v, %v", history, err)
	}
}
