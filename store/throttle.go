package store

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"
)

// Throttle counts tries to log in before they are judged (rows LDAP-10, ID-08), by person and by address, and remembers
// which browser each login was used from.
type Throttle struct{ db *DB }

// Throttle returns the counts of this database.
func (db *DB) Throttle() *Throttle { return &Throttle{db} }

// browserMemory is how long a browser stays known to a login that is not used from it.
const browserMemory = 180 * 24 * time.Hour

// KnownBrowser tells whether this login succeeded from this browser before.
func (t *Throttle) KnownBrowser(ctx context.Context, login string, browser []byte) (known bool, err error) {
	if !storable(login) {
		return false, nil
	}
	err = inSteps(ctx, t.db.engine.reader(), knownBrowser(login, browser, &known))
	return known, t.db.explain("look up known browser", err)
}

func knownBrowser(login string, browser []byte, known *bool) step {
	return step{
		text: `
			SELECT EXISTS (SELECT 1 FROM known_browsers WHERE login = $1 AND browser = $2)`,
		args: []any{login, blob(browser)},
		row:  func(row scanner) error { return row.Scan(known) },
	}
}

// storable tells whether PostgreSQL can have a text in a row.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

// Purge deletes counts whose window is over and browsers not used for half a
// year, in small batches; it returns how many.
func (t *Throttle) Purge(ctx context.Context) (int, error) {
	now, old := micros(t.db.now()), micros(t.db.now().Add(-browserMemory))
	total := 0
	for _, what := range []struct {
		name, text string
		before     int64
	}{
		// The program of the version before counts in this table.
		{"login failures", `
			DELETE FROM login_failures WHERE ends_at <= $1 AND key_hash IN
			    (SELECT key_hash FROM login_failures WHERE ends_at <= $1 ORDER BY ends_at LIMIT ` + inSweep + `)`, now},
		{"tries", `
			DELETE FROM tries WHERE ends_at <= $1 AND (kind, subject, browser) IN
			    (SELECT kind, subject, browser FROM tries WHERE ends_at <= $1 ORDER BY ends_at LIMIT ` + inSweep + `)`, now},
		{"known browsers", `
			DELETE FROM known_browsers WHERE seen_at <= $1 AND (login, browser) IN
			    (SELECT login, browser FROM known_browsers WHERE seen_at <= $1 ORDER BY seen_at LIMIT ` + inSweep + `)`, old},
		{"browsers that proved a factor", `
			DELETE FROM proved_browsers WHERE seen_at <= $1 AND (person_id, browser) IN
			    (SELECT person_id, browser FROM proved_browsers WHERE seen_at <= $1 ORDER BY seen_at LIMIT ` + inSweep + `)`, old},
		{"browsers of people", `
			DELETE FROM person_browsers WHERE seen_at <= $1 AND (person_id, browser) IN
			    (SELECT person_id, browser FROM person_browsers WHERE seen_at <= $1 ORDER BY seen_at LIMIT ` + inSweep + `)`, old},
		{"wrong codes", `
			DELETE FROM wrong_codes WHERE last_at <= $1 AND (person_id, browser) IN
			    (SELECT person_id, browser FROM wrong_codes WHERE last_at <= $1 ORDER BY last_at LIMIT ` + inSweep + `)`, old},
	} {
		n, err := t.db.inBatches(ctx, "purge "+what.name, sweep, func(ctx context.Context, tx querier) (int, error) {
			n, err := rowsAffected(ctx, tx, what.text, what.before)
			return int(n), err
		})
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
