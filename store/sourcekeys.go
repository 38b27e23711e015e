package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// SourceKeys keeps the public keys that were last fetched for each source of people, so that they serve after a start
// as well, and on each replica. What is in it is its caller's. It is vouched for: whoever can write into the database,
// and has no secret key, can't have tokens of their own verified.
type SourceKeys struct{ db *DB }

// SourceKeys returns those of this database.
func (db *DB) SourceKeys() *SourceKeys { return &SourceKeys{db} }

const sourceKeysPurpose = "source keys"

// keptAhead is how far the clock of a replica that keeps something may be ahead of ours.
const keptAhead = time.Minute

// Load returns what is kept of a source, and when it was fetched; a zero time: nothing is that can be trusted.
func (s *SourceKeys) Load(ctx context.Context, source string) (content []byte, fetched time.Time, err error) {
	var (
		at  int64
		mac []byte
	)
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT content, fetched_at, mac FROM source_keys WHERE source = $1`, source).Scan(&content, &at, &mac)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, time.Time{}, nil
	case err != nil:
		return nil, time.Time{}, s.db.explain("load the keys of a source", err)
	}
	// One of a secret key that was removed since is none, like a forged one: the next fetch replaces it.
	fetched = fromMicros(at)
	if !s.db.vouched(mac, sourceKeysPurpose, []byte(source), content, number(at)) ||
		fetched.After(s.db.now().Add(keptAhead)) {
		return nil, time.Time{}, nil
	}
	return content, fetched, nil
}

// Keep keeps what was fetched for a source, unless something younger is kept.
func (s *SourceKeys) Keep(ctx context.Context, source string, content []byte, fetched time.Time) error {
	const what = "keep the keys of a source"
	mac, err := s.db.vouch(sourceKeysPurpose, []byte(source), content, number(micros(fetched)))
	if err != nil {
		return s.db.explain(what, err)
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		// What a clock that ran ahead has kept gives way.
		_, err := tx.ExecContext(ctx, `
			INSERT INTO source_keys (source, content, fetched_at, mac) VALUES ($1, $2, $3, $4)
			ON CONFLICT (source) DO UPDATE SET content = excluded.content, fetched_at = excluded.fetched_at, mac = excluded.mac
			 WHERE source_keys.fetched_at < excluded.fetched_at OR source_keys.fetched_at > $5`,
			source, blob(content), micros(fetched), blob(mac), micros(s.db.now().Add(keptAhead)))
		return err
	})
}
