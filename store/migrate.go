package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

const (
	sqliteDialect   = goose.DialectSQLite3
	postgresDialect = goose.DialectPostgres
)

// schema is a database whose schema is to be brought up.
type schema struct {
	folder  string
	dialect goose.Dialect
	exists  string // 0 or 1: whether goose's table is there
	columns string // all tables with their columns
	db      *sql.DB
	open    func() (*sql.DB, error) // a handle of its own for the migrations
	options []goose.ProviderOption
	logger  *slog.Logger

	existing bool // see Options.Existing
	asIs     bool // see Options.AsIs
}

// migrate runs the pending migrations. A program runs on its own schema and on the next one, so that replicas can be
// upgraded one after the other; what is two versions ahead may lack what this program needs. upgraded says that a
// program of another version worked on the database until now.
func migrate(ctx context.Context, s schema) (upgraded bool, err error) {
	latest, err := latestVersion(s.folder)
	if err != nil {
		return false, err
	}
	version, err := s.version(ctx)
	if err != nil {
		return false, err
	}
	if version == 0 && s.existing {
		return false, fmt.Errorf("%w: the database has no tables of ours", ErrNoStore)
	}
	if version > latest { // what its tables are like, the newer program knows
		return false, supported(version, latest)
	}
	if version > 0 {
		if err := s.checkShape(ctx, version); err != nil || version == latest {
			return false, err
		}
	}
	if s.asIs {
		return false, fmt.Errorf("%w: it has version %d, and this program has %d", ErrOlderSchema, version, latest)
	}
	db, err := s.open()
	if err != nil {
		return false, fmt.Errorf("migrate: %w", err)
	}
	files, err := fs.Sub(migrations, s.folder)
	if err != nil {
		return false, errors.Join(fmt.Errorf("migrate: %w", err), db.Close())
	}
	provider, err := goose.NewProvider(s.dialect, db, files, append([]goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}, s.options...)...)
	if err != nil {
		return false, errors.Join(fmt.Errorf("migrate: %w", err), db.Close())
	}
	done, err := provider.Up(ctx)
	if err := errors.Join(err, db.Close()); err != nil {
		// Another program may have migrated further while we waited for the lock.
		if version, verr := s.version(ctx); verr == nil && version > latest {
			return false, supported(version, latest)
		}
		return false, fmt.Errorf("migrate from version %d: %w", version, err)
	}
	for _, m := range done {
		s.logger.InfoContext(ctx, "database migrated", "version", m.Source.Version, "duration", m.Duration)
	}
	return version > 0 && len(done) > 0, nil
}

// version reads the schema's version, 0 for an empty database, without any lock:
// each migration is a transaction, so the number is always a true one.
func (s schema) version(ctx context.Context) (int64, error) {
	var tables, version int64
	if err := s.db.QueryRowContext(ctx, s.exists).Scan(&tables); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	if err := s.db.QueryRowContext(ctx, `
		SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return version, nil
}

func supported(version, latest int64) error {
	if version > latest+1 {
		return fmt.Errorf("%w: the database has version %d, this program knows %d; run the newer program",
			ErrNewerSchema, version, latest)
	}
	return nil
}

// latestVersion is the highest number among the embedded migrations.
func latestVersion(folder string) (int64, error) {
	names, err := fs.Glob(migrations, folder+"/*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no migrations in %s: %w", folder, err)
	}
	var latest int64
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", name, err)
		}
		latest = max(latest, n)
	}
	return latest, nil
}
