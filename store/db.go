package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options for Open.
type Options struct {
	// DSN is "sqlite:PATH", where the folder of PATH must exist, or a
	// PostgreSQL URL "postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full".
	DSN string
	// Insecure allows connections to PostgreSQL over a network that are not encrypted.
	Insecure bool
	// Existing has Open refuse with ErrNoStore where there is no store, instead of making one: a database that was lost
	// must not come back empty, as if nobody had ever been there.
	Existing bool
	// AsIs has Open refuse with ErrOlderSchema a store of an older schema, instead of bringing it up: whoever only looks
	// must not change what a program of the version before goes on with.
	AsIs bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger hears of migrations and of trouble that no caller is told; nil means nobody.
	Logger *slog.Logger
	// Voucher vouches for rows that grant access. Without one no session is stored, and none that is stored counts: a
	// tool that looks at other tables needs none.
	Voucher Voucher
	// Journal gets what is revoked, before its commit; nil means nobody.
	Journal Journal
	// Span begins a span within the one of ctx: a transaction, or a statement. end takes the method of this package that
	// it stands in, never a value of it; it is nil where nothing is recorded. Default nil: no spans.
	Span func(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error))
}

// DB is the open database. One small type for each concern hangs off it; each
// may be used by any number of goroutines.
type DB struct {
	engine  engine
	now     func() time.Time
	changes counterCache
	alive   healthCache
	own     ownEventsWritten
	voucher Voucher
	log     *slog.Logger
	foreign foreignRows
	journal Journal
	older   olderReplicas
	work    workCounter
	large   largeCounts
	session string // the statement of Sessions.Get
	// how many batches of the audit's chain were full one after the other, so that the next one comes soon
	chaining atomic.Int32
	before   beforeSeen
	purged   purgedUpTo
	closing  sync.Once
	closed   error
}

// Open opens the database, or makes it (see Options.Existing), and, under a lock, brings its schema up to this
// program's. A schema one version newer than the program's is served as it is;
// one still newer is refused with ErrNewerSchema.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	kind, rest, err := splitDSN(o.DSN)
	if err != nil {
		return nil, err
	}
	var upgraded bool
	db := &DB{now: o.Now, voucher: o.Voucher, journal: o.Journal, log: o.Logger}
	db.large.counting = make(chan struct{}, 1)
	switch kind {
	case "sqlite":
		db.engine, upgraded, err = openSQLite(ctx, rest, o)
	default:
		db.engine, upgraded, err = openPostgres(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db.engine = newCounted(db.engine, &db.work, o.Span)
	db.session = sessionStatement(db.engine)
	if observe != nil {
		db.engine = observe(db.engine)
	}
	db.before.seen = o.Now()
	if upgraded { // what the version before was asked for a moment ago goes on
		if err := db.noteOlder(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open store: %w", err), db.Close())
		}
	}
	return db, nil
}

// observe is set by tests alone: it puts something in front of an engine that sees each statement.
var observe func(engine) engine

// splitDSN tells which database is meant. Its error does not repeat the DSN,
// which may hold a password.
func splitDSN(dsn string) (kind, rest string, err error) {
	kind, rest, found := strings.Cut(dsn, ":")
	switch {
	case found && kind == "sqlite" && rest != "":
		return kind, rest, nil
	case found && (kind == "postgres" || kind == "postgresql") && strings.HasPrefix(rest, "//"):
		return "postgres", rest, nil
	}
	return "", "", errors.New(`store DSN: want "sqlite:PATH" or "postgres://…"`)
}

// Close lets the writes that wait finish, and closes. Later calls fail with an error.
func (db *DB) Close() error {
	db.closing.Do(func() {
		if err := db.engine.close(); err != nil {
			db.closed = fmt.Errorf("close store: %w", err)
		}
	})
	return db.closed
}

// Ping proves that the store can be read and written, by a small durable write.
// An answer serves all who ask within the same second, so that a health check
// open to everybody can't load the disk.
func (db *DB) Ping(ctx context.Context) error {
	return db.alive.check(func() error {
		if err := db.InPlace(); err != nil { // which a write would not notice
			return err
		}
		return db.write(ctx, "write to the store", func(ctx context.Context, tx querier) error {
			n, err := rowsAffected(ctx, tx, `
				UPDATE counters SET value = value + 1 WHERE name = 'alive'`)
			if err == nil && n != 1 {
				err = errors.New("table counters has lost its rows")
			}
			return err
		})
	})
}

// Optimize has the database look at how its tables have changed, for the plans of statements. It is called once when a
// program that serves begins, and every hour.
func (db *DB) Optimize(ctx context.Context) error {
	return db.explain("renew the planner's statistics", db.engine.optimize(ctx))
}

// healthCache keeps the last good answer of a check for a second.
type healthCache struct {
	mu   sync.Mutex
	good time.Time // monotonic; an age, not a rule about time
}

func (p *healthCache) check(try func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.good.IsZero() && time.Since(p.good) < time.Second {
		return nil
	}
	if err := try(); err != nil {
		p.good = time.Time{}
		return err
	}
	p.good = time.Now()
	return nil
}
