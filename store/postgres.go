package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	postgresConns = 16
	// postgresTries bounds how often a transaction is run that lost to another one. Where all are serializable, of those
	// that want the same row one wins in each turn and the others lose: there must be more turns than callers.
	postgresTries = 100
	longestRetry  = 100 * time.Millisecond
	// changesStaleness saves a round trip for each sign-in; caches may be a second old.
	changesStaleness = 250 * time.Millisecond
)

// postgres is a pool of connections. Transactions are read committed; what must
// hold over several rows takes a row lock first.
//
// Databases that speak PostgreSQL's protocol and are distributed lack some of what PostgreSQL has, or run every
// transaction serializable. Nothing here needs more than they have: row locks are taken by an UPDATE of nothing (not
// FOR UPDATE … SKIP LOCKED); there are no advisory locks, which some refuse and others grant to everybody; no LISTEN,
// no xmin or ctid, no sequence that must be without gaps, no temporary tables, no triggers; and a transaction that lost
// to another one, which they say more often, is run again. What stays is that the migrations change tables within
// transactions, none twice under the same name: where a database can't do that, they fail as a whole, and nothing has
// changed.
type postgres struct {
	db    *sql.DB
	level sql.IsolationLevel // of transactions

	olderName string // under which the version before this one shows in pg_stat_activity
	routes    []Route
}

const (
	applicationName = "application_name"
	// nameSuffix sets this program's connections apart from those of the version before it, which goes by the bare name.
	nameSuffix = "/4"
	maxName    = 63 // of PostgreSQL's names, in bytes
)

// ownName is the application name of this program's connections.
func ownName(older string) string {
	return older[:min(len(older), maxName-len(nameSuffix))] + nameSuffix
}

// neverSays tells a refusal that will be the same each time: of class 42 (there is no such table, column or function,
// or not for us) or 0A (a feature that is not there). All others may pass.
func neverSays(e *pgconn.PgError) bool {
	return strings.HasPrefix(e.Code, "42") || strings.HasPrefix(e.Code, "0A")
}

// older looks for connections under the name that the version before this one goes by, of the same user to the same
// database.
func (p *postgres) older(ctx context.Context) (found bool, err error) {
	err = p.db.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity
		                WHERE datname = current_database() AND usename = current_user AND application_name = $1)`,
		p.olderName).Scan(&found)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && neverSays(refused) {
		err = fmt.Errorf("%w: %w", errNeverSays, err)
	}
	return found, err
}

// isolation is the parameter that says how transactions are kept apart.
const isolation = "default_transaction_isolation"

var isolations = map[string]sql.IsolationLevel{
	"serializable": sql.LevelSerializable, "repeatable read": sql.LevelRepeatableRead, // all else is read committed
}

func openPostgres(ctx context.Context, o Options) (_ *postgres, upgraded bool, err error) {
	config, routes, err := postgresConfig(o.DSN, o.Insecure)
	if err != nil {
		return nil, false, err
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	plain := config.Copy()
	olderName := cmp.Or(config.RuntimeParams[applicationName], "ssobridge")
	config.RuntimeParams[applicationName] = ownName(olderName)
	plain.RuntimeParams[applicationName] = ownName(olderName)
	for name, value := range map[string]string{
		"statement_timeout":                   "15s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "60s",
	} {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
	// Transactions may be serializable, if the DSN says so: they are run again. Single statements, which only read, are
	// not: there is nothing that they could cross with, and a refusal would reach their caller.
	level := isolations[config.RuntimeParams[isolation]]
	config.RuntimeParams[isolation] = "read committed"
	p := &postgres{db: stdlib.OpenDB(*config), level: level, olderName: olderName, routes: routes}
	p.db.SetMaxOpenConns(postgresConns)
	p.db.SetMaxIdleConns(postgresConns)
	p.db.SetConnMaxIdleTime(5 * time.Minute)

	locker, err := p.migrationLock()
	if err != nil {
		return nil, false, errors.Join(err, p.db.Close())
	}
	if upgraded, err = migrate(ctx, schema{
		folder:  "migrations/postgres",
		dialect: postgresDialect,
		exists:  `SELECT COUNT(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('goose_db_version')`,
		columns: postgresColumns,
		db:      p.db,
		// Without the time limits of requests: a migration may take longer.
		open:     func() (*sql.DB, error) { return stdlib.OpenDB(*plain), nil },
		options:  []goose.ProviderOption{goose.WithLocker(locker)},
		logger:   o.Logger,
		existing: o.Existing, asIs: o.AsIs,
	}); err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "3D000" { // invalid_catalog_name
			err = fmt.Errorf("%w: %w", ErrNoStore, err)
		}
		if slices.ContainsFunc(routes, func(r Route) bool { return r.Raised }) {
			err = fmt.Errorf("%w (the DSN demands no TLS; over the network it is demanded all the same)", err)
		}
		return nil, false, errors.Join(err, p.db.Close())
	}
	return p, upgraded, nil
}

const (
	migrationLease = 15 * time.Second
	migrationBeat  = 3 * time.Second
)

// migrationLock is for replicas that start at once: the first migrates, the others wait. It is a row with a lease, in a
// table that goose makes, since session locks are not to be had everywhere, nor behind a pool that hands connections on
// between transactions. The lease of one that was killed runs out while the others wait. If the lock were held by two
// after all, one of their transactions would fail.
func (p *postgres) migrationLock() (lock.Locker, error) {
	return lock.NewPostgresTableLocker(
		lock.WithTableLeaseDuration(migrationLease),
		lock.WithTableHeartbeatInterval(migrationBeat),
		lock.WithTableLockTimeout(time.Second, uint64(lockPatience.Seconds())),
		lock.WithTableUnlockTimeout(time.Second, 10),
		lock.WithTableLogger(slog.New(slog.DiscardHandler)),
		// What the server refuses for good is not asked for again; that another has the lock is no error of the server.
		lock.WithTableRetryPolicy(func(err error) bool {
			var refused *pgconn.PgError
			return !errors.As(err, &refused) || p.fault(err) == passing
		}),
	)
}

// write runs fn in a transaction, and again when it lost to another one. An
// error of the commit itself is returned and not retried unless the server
// says that it rolled back.
func (p *postgres) write(ctx context.Context, fn work) error {
	for try := 1; ; try++ {
		err := p.once(ctx, fn)
		if errors.Is(err, driver.ErrBadConn) && try <= postgresConns && ctx.Err() == nil {
			// The connection had ended before anything was sent on it. After a restart of the server all that wait in the
			// pool have.
			continue
		}
		if err == nil || p.fault(err) != passing || try == postgresTries {
			return err
		}
		// Spread, so that those who lost together do not come again together.
		wait := time.NewTimer(rand.N(min(time.Duration(try)*5*time.Millisecond, longestRetry)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

func (p *postgres) reader() querier { return postgresReader{p.db} }

func (p *postgres) lister() querier { return plannedEach{p.db} }

// plannedEach has each query planned for its arguments. A prepared one is planned for any after a while, and a list of
// what is rare is then looked for along all rows, as if it were common.
type plannedEach struct{ *sql.DB }

func (p plannedEach) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.DB.QueryContext(ctx, query, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}

// clock is the server's, read at the call and not at the start of the
// transaction: the transaction may have waited for a row lock since.
func (p *postgres) clock(ctx context.Context, q querier) (time.Time, error) {
	var n int64
	err := q.QueryRowContext(ctx, `
		SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint`).Scan(&n)
	return fromMicros(n), err
}

// unseen is the parameter itself: which plan is taken does not depend on a random one.
func (p *postgres) unseen(param string) string { return param }

func (p *postgres) staleness() time.Duration { return changesStaleness }

func (p *postgres) fault(err error) fault {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return otherFault
	}
	switch e.Code {
	case "23505": // unique_violation
		return duplicate
	case "23503": // foreign_key_violation
		return dangling
	case "22021": // character_not_in_repertoire
		return unstorable
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return passing
	}
	return otherFault
}

func (p *postgres) file() bool { return false }

func (p *postgres) reached() []Route { return p.routes }

// optimize is left to autovacuum.
func (p *postgres) optimize(context.Context) error { return nil }

// backup is left to the tools of PostgreSQL, which know roles, versions and replicas.
func (p *postgres) backup(context.Context, string) error {
	return fmt.Errorf("%w: use pg_dump for PostgreSQL", ErrUnsupported)
}

func (p *postgres) close() error { return p.db.Close() }
