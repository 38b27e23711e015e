package store

import (
	"context"
)

// WriteRaw runs fn as one change, for tests of what happens to changes that share a commit.
func (db *DB) WriteRaw(ctx context.Context, fn func(exec func(string, ...any) error) error) error {
	return db.write(ctx, "write raw", func(ctx context.Context, tx querier) error {
		return fn(func(query string, args ...any) error {
			_, err := tx.ExecContext(ctx, query, args...)
			return err
		})
	})
}

// LatestVersion is the highest number among the migrations of "sqlite" or "postgres".
func LatestVersion(folder string) (int64, error) { return latestVersion("migrations/" + folder) }

// NextItemQuery finds the plan item to be claimed next.
const NextItemQuery = nextItemQuery

// Queries of the queue, for a look at how they are run.
const (
	NextDueQuery  = nextDueQuery
	EarliestQuery = earliestQuery
)

// ExternalIDQuery looks for an external id in another letter case.
const ExternalIDQuery = externalIDQuery

// EncodeEvent is what is hashed of an event: its content, and its entry in the chain.
func EncodeEvent(before []byte, e Event, salt []byte) (content, entry []byte) {
	l := Link{Event: e.ID, At: e.At, Action: e.Action, Content: contentHash(e, salt)}
	return encodeContent(e, salt), l.encode(before)
}

// EntryHash is the hash of an event's entry, behind none.
func EntryHash(e Event) []byte {
	l := Link{Event: e.ID, At: e.At, Action: e.Action, Content: contentHash(e, nil)}
	return l.hash(nil)
}

// PostgresRoutes is what a DSN would dial.
func PostgresRoutes(dsn string, insecure bool) ([]Route, error) {
	_, routes, err := postgresConfig(dsn, insecure)
	return routes, err
}
