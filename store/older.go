package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// olderFresh is how long it is taken to be so whether a replica of the version before is running.
const olderFresh = 3 * time.Second

// upgrade is how far an upgrade from the version before this one has come.
type upgrade struct {
	// a replica of the version before uses this database, or did lately: it knows only what is stored, and no MAC
	running bool
	lately  bool // what was stored without a MAC, by one of them or for one of them, may still be under way
}

// olderReplicas keeps the last answer of whether a replica of the version before this one is running.
type olderReplicas struct {
	mu     sync.Mutex
	asked  time.Time // monotonic; an age, not a rule about time
	found  upgrade
	failed bool
}

// olderGrace is how long after the last one was seen replicas of the version before may come back: an upgrade that is
// taken back must not lose what people have started.
const olderGrace = time.Hour

// olderWay is how long a sign-in that was stored without a MAC goes on: until the grace ends this program stores such
// ones too, and whoever stands on a login page at that moment must not be sent away.
const olderWay = time.Hour

// OlderReplicas tells whether a replica of the version before this one uses this database, or did within the last hour,
// which knows only what is stored. The answer may be a few seconds old. Where the database can't say, as some that
// speak PostgreSQL's protocol can't, there is none: whoever meets such a replica then starts again, and strangers store
// nothing.
func (db *DB) OlderReplicas(ctx context.Context) bool { return db.upgrade(ctx).running }

// errNeverSays: the database has no way to say which programs are connected, or none for this role.
var errNeverSays = errors.New("the database does not say who is connected")

// OlderReplicaNow asks whether a replica of the version before this one is connected at this moment. One that lost its
// connections a moment ago is not seen: what can't be taken back goes by OlderReplicas as well. As there, a database
// that never says has none; one that gave no answer this time is an error. One that is connected is noted, for
// OlderReplicas. It must not be called in a transaction.
func (db *DB) OlderReplicaNow(ctx context.Context) (bool, error) {
	found, err := db.engine.older(ctx)
	if errors.Is(err, errNeverSays) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for replicas of the version before this one: %w", err)
	}
	if found { // for an hour from now the upgrade can be taken back
		return true, db.noteOlder(ctx)
	}
	return false, nil
}

// upgrade is OlderReplicas with what else follows. It must not be called in a transaction.
func (db *DB) upgrade(ctx context.Context) upgrade {
	o := &db.older
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.asked.IsZero() && time.Since(o.asked) < olderFresh {
		return o.found
	}
	running, err := db.engine.older(ctx)
	var found upgrade
	if err == nil {
		found, err = db.olderLately(ctx, running)
	}
	if ctx.Err() != nil {
		return o.found // the next one asks
	}
	if err != nil && !o.failed {
		db.log.WarnContext(ctx, "the database does not say whether an older version is running", "cause", err)
	}
	if found.running != o.found.running && err == nil {
		db.log.InfoContext(ctx, "replicas of the version before this one", "running", found.running)
	}
	if err != nil {
		found = upgrade{}
	}
	o.found, o.failed, o.asked = found, err != nil, time.Now()
	return o.found
}

// olderPurpose is that of the MAC of the note of when a replica of the version before was last seen. Without it,
// whoever can write the database could have rows count that nobody vouched for.
const olderPurpose = "version before seen"

// olderLately notes that one is running, for all replicas and for those that start later, or looks when one was seen.
func (db *DB) olderLately(ctx context.Context, running bool) (upgrade, error) {
	var (
		at  int64
		mac []byte
	)
	if err := db.engine.reader().QueryRowContext(ctx, `
		SELECT seen_at, mac FROM older_replicas WHERE id = 1`).Scan(&at, &mac); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return upgrade{}, err
	}
	now, seen := db.now(), time.Time{}
	if db.vouched(mac, olderPurpose, number(at)) {
		seen = fromMicros(at)
	}
	if running && !now.Before(seen.Add(time.Minute)) {
		if err := db.noteOlder(ctx); err != nil {
			return upgrade{}, err
		}
		seen = now
	}
	if db.engine.file() { // none runs beside this one: nothing has to be stored for one
		return upgrade{running: running, lately: running || now.Before(seen.Add(olderWay))}, nil
	}
	running = running || now.Before(seen.Add(olderGrace))
	return upgrade{running: running, lately: running || now.Before(seen.Add(olderGrace+olderWay))}, nil
}

// noteOlder notes that a program of the version before uses this database, or did until now.
func (db *DB) noteOlder(ctx context.Context) error {
	at := micros(db.now())
	if db.voucher == nil {
		return nil // nobody would believe it
	}
	return db.write(ctx, "note an older replica", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO older_replicas (id, seen_at, mac) VALUES (1, $1, $2)
			ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, mac = excluded.mac`,
			at, db.voucher.MAC(olderPurpose, number(at)))
		return err
	})
}
