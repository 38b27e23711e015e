package store_test

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

var update = flag.Bool("update", false, "write the files that are compared")

// released are the migrations that a release has. None of them changes any more: a database that one of them made would
// not be what a later program takes it for. A release adds the sums of its own.
const released = 3

// Migrations that were released never change (REAL-87).
func TestReleasedMigrations(t *testing.T) {
	var sums strings.Builder
	for _, folder := range []string{"postgres", "sqlite"} {
		names, err := fs.Glob(os.DirFS("migrations"), folder+"/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		if len(names) < released || len(names) > released+1 {
			t.Errorf("%s has %d migrations: what is not released yet is one of them at most", folder, len(names))
		}
		for _, name := range names[:released] {
			text, err := os.ReadFile(filepath.Join("migrations", name))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), name)
		}
	}
	const file = "migrations/released.sha256"
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != sums.String() { // there is no -update: a new release adds its lines by hand
		t.Errorf("a migration that was released has changed: put it back, and write a new one. %s should be\n%s", file, &sums)
	}
}

// The list of columns is that of the migrations, version by version. One that is not released yet may have more than
// the list: they are looked for from the release on, which writes them down.
func TestColumnsOfMigrations(t *testing.T) {
	latest, err := store.LatestVersion("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	before := map[string]bool{}
	for version := int64(1); version <= latest; version++ {
		db := schemaOf(t, storetest.SQLite(t), version)
		var names string // none holds a comma
		if err := db.QueryRow(`
			SELECT GROUP_CONCAT(n, ',') FROM (SELECT t.name || ' ' || c.name AS n
			  FROM sqlite_master t JOIN pragma_table_info(t.name) c
			 WHERE t.type = 'table' AND t.name NOT LIKE 'goose%' AND t.name NOT LIKE 'sqlite%' ORDER BY 1)`).
			Scan(&names); err != nil {
			t.Fatal(err)
		}
		now := map[string]bool{}
		all := strings.Split(names, ",")
		slices.Sort(all)
		for _, name := range all {
			now[name] = true
			if !before[name] {
				fmt.Fprintf(&list, "%d %s\n", version, name)
			}
		}
		for name := range before {
			if !now[name] {
				fmt.Fprintf(&list, "%d -%s\n", version, name)
			}
		}
		before = now
	}
	const file = "migrations/columns.txt"
	if *update {
		if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	missing, listed := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		listed[line] = true
	}
	for line := range strings.Lines(list.String()) {
		missing[line] = !listed[line]
		delete(listed, line)
	}
	for line, is := range missing {
		if version, _, _ := strings.Cut(line, " "); is && version <= fmt.Sprint(released) { // there are fewer than ten
			t.Errorf("%s lacks %q: go test ./store -run ColumnsOfMigrations -update", file, line)
		}
	}
	for line := range listed {
		t.Errorf("%s has %q, and no migration: go test ./store -run ColumnsOfMigrations -update", file, line)
	}
}

// A database that a state of the program between two releases wrote is named, and not served (REAL-87).
func TestDevelopmentState(t *testing.T) {
	latest, err := store.LatestVersion("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		version int64
		change  string
		want    string
	}{
		"a column of the version before": {latest - 1, `ALTER TABLE audit_chain RENAME COLUMN salt TO pepper`,
			"it has schema version 3, and lacks audit_chain.salt"},
		"a table of the version before": {latest - 1, `DROP TABLE used_forms`, "lacks used_forms.id, used_forms.used_at"},
		"of the newest version":         {latest, `DROP TABLE used_forms`, "schema version 4, and lacks used_forms.id"},
	} {
		t.Run(name, func(t *testing.T) {
			o := storetest.SQLite(t)
			db := schemaOf(t, o, tc.version)
			if _, err := db.Exec(tc.change); err != nil {
				t.Fatal(err)
			}
			_, err := store.Open(t.Context(), o)
			if !errors.Is(err, store.ErrDevelopment) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			var version int64
			if err := db.QueryRow(`SELECT MAX(version_id) FROM goose_db_version`).Scan(&version); err != nil ||
				version != tc.version {
				t.Errorf("it was migrated to version %d, %v", version, err)
			}
		})
	}
}
