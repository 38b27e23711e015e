package store

import (
	"context"
	"time"
)

// browserInUse is how long ago the last login in a browser may be for it to count as one that the person still uses.
const browserInUse = 30 * 24 * time.Hour

// useBrowser notes a login of a person in a browser.
func useBrowser(p PersonID, browser []byte, now time.Time) step {
	return step{
		text: `
			INSERT INTO person_browsers (person_id, browser, first_at, seen_at) VALUES ($1, $2, $3, $3)
			ON CONFLICT (person_id, browser) DO UPDATE SET seen_at = excluded.seen_at`,
		args: []any{string(p), browser, micros(now)},
	}
}

// longestUsed tells whether no other browser that the person still uses has been theirs for longer. One of a thief
// never is, as long as the person goes on using theirs: neither waiting nor a second browser makes it older than those
// of the time before.
func longestUsed(ctx context.Context, q querier, p PersonID, browser []byte, now time.Time) (longest bool, err error) {
	if len(browser) == 0 {
		return false, nil
	}
	err = q.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM person_browsers mine
		                WHERE mine.person_id = $1 AND mine.browser = $2
		                  AND NOT EXISTS (SELECT 1 FROM person_browsers other
		                                   WHERE other.person_id = $1 AND other.first_at < mine.first_at AND other.seen_at >= $3))`,
		string(p), browser, micros(now.Add(-browserInUse))).Scan(&longest)
	return longest, err
}
