package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// errNoPostgres says why something is left out.
var errNoPostgres = errors.New("no initdb found (Debian: postgresql)")

// cluster is a PostgreSQL server of our own, which listens on a socket in its folder alone. Nobody else gets into that
// folder, so that nobody is asked for a password.
type cluster struct {
	bin, dir string
	as       []string // how to run a program as the user who may run it
	begun    bool     // it was started, or may have been
	pid      int      // of the server, once it is known
}

// newCluster finds PostgreSQL and makes the folder for it, which goes at the end.
func (b *bench) newCluster() (*cluster, error) {
	c := &cluster{}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	switch {
	case err == nil && len(found) > 0:
		c.bin = filepath.Dir(found[len(found)-1])
	default:
		path, err := exec.LookPath("initdb")
		if err != nil {
			return nil, errNoPostgres
		}
		c.bin = filepath.Dir(path)
	}
	// Not below the benchmark's folder, into which the user postgres may not look.
	if c.dir, err = os.MkdirTemp("", "ssobridge-bench-postgres-"); err != nil {
		return nil, fmt.Errorf("folder for PostgreSQL: %w", err)
	}
	b.cleanup(func() error { return os.RemoveAll(c.dir) })
	if os.Getuid() == 0 { // whom PostgreSQL refuses
		if _, err := user.Lookup("postgres"); err != nil {
			return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
		}
		c.as = []string{"runuser", "-u", "postgres", "--"}
	}
	return c, c.own()
}

// own gives the folder to the user who runs the server.
func (c *cluster) own() error {
	if c.as == nil {
		return nil
	}
	return runQuietly(exec.Command("chown", "-R", "postgres:", c.dir))
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

// program runs one of PostgreSQL's.
func (c *cluster) program(ctx context.Context, name string, args ...string) error {
	argv := append(append([]string(nil), c.as...), filepath.Join(c.bin, name))
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = c.dir
	return runQuietly(cmd)
}

// runQuietly runs a command. What it says goes to a file: a server that it leaves behind keeps that open, and a pipe
// would be waited for.
func runQuietly(cmd *exec.Cmd) error {
	said, err := os.CreateTemp("", "ssobridge-bench-said-")
	if err != nil {
		return err
	}
	defer func() { _, _ = said.Close(), os.Remove(said.Name()) }()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(text))
	}
	return nil
}

// start starts the server with settings, name=value.
func (c *cluster) start(ctx context.Context, settings ...string) error {
	options := fmt.Sprintf("-c listen_addresses='' -k %s -c max_connections=100 -c shared_buffers=256MB", c.dir)
	for _, s := range settings {
		options += " -c " + s
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// Not ended with ctx: a starter that is killed leaves a server behind. It gives up by itself.
	c.begun = true
	err := c.program(context.WithoutCancel(ctx), "pg_ctl", "-D", c.data(), "-w", "-t", "120", "-l",
		filepath.Join(c.dir, "log"), "-o", options, "start")
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	c.pid, err = c.server()
	return err
}

// server is the id of the server that runs on the data.
func (c *cluster) server() (pid int, err error) {
	text, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err == nil {
		line, _, _ := strings.Cut(string(text), "\n")
		pid, err = strconv.Atoi(line)
	}
	if err != nil {
		return 0, fmt.Errorf("find the server of PostgreSQL: %w", err)
	}
	return pid, nil
}

// stop ends the server by its id and waits until it is gone. It does nothing when none runs.
func (c *cluster) stop() error {
	if !c.begun {
		return nil
	}
	c.begun = false
	// Also after a start that failed: the server may have come up later than was waited for.
	pid, err := c.server()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// SIGINT is its fast shutdown: nobody is waited for, everything is kept.
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		if _, err := os.Stat(filepath.Join(c.data(), "postmaster.pid")); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		_ = pause(context.Background(), 20*time.Millisecond, nil)
	}
	return errors.New("stop PostgreSQL: it goes on after 2 minutes")
}

// dsn is the address of a database.
func (c *cluster) dsn(database string) string {
	return "postgres://app@/" + database + "?host=" + url.QueryEscape(c.dir) + "&sslmode=disable"
}

// open opens a database.
func (c *cluster) open(database string) (*sql.DB, error) { return sql.Open("pgx", c.dsn(database)) }

// The databases of the part history.
const (
	emptyDatabase = "store_empty"
	fullDatabase  = "store_full"
)

// filledPostgres is a running server with an empty and a full store, made from what is kept, or made and kept.
func (b *bench) filledPostgres(ctx context.Context, cache string) (*cluster, error) {
	c, err := b.newCluster()
	if err != nil {
		return nil, err
	}
	b.cleanup(c.stop)
	kept := filepath.Join(cache, "postgres")
	if _, err := os.Stat(kept); errors.Is(err, os.ErrNotExist) {
		b.progress("  filling PostgreSQL with %d rows of each kind", b.o.rows)
		if err := b.fillPostgres(ctx, c, kept); err != nil {
			return nil, err
		}
	} else if err := runQuietly(exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", kept, c.data())); err != nil {
		return nil, fmt.Errorf("copy the filled store: %w", err)
	} else if err := c.own(); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil { // durable, as in life
		return nil, err
	}
	b.helpers = append(b.helpers, c.pid)
	return c, nil
}

// fillPostgres makes both stores and keeps a copy.
func (b *bench) fillPostgres(ctx context.Context, c *cluster, kept string) error {
	if err := c.program(ctx, "initdb", "-D", c.data(), "-U", "app", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
		"--no-sync"); err != nil {
		return fmt.Errorf("set PostgreSQL up: %w", err)
	}
	if err := c.start(ctx, "fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=4GB",
		"maintenance_work_mem=512MB",
		"autovacuum=off"); err != nil {
		return err
	}
	for _, name := range []string{emptyDatabase, fullDatabase} {
		if err := c.exec(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
			return err
		}
		if err := migrate(ctx, c.dsn(name)); err != nil {
			return err
		}
	}
	db, err := c.open(fullDatabase)
	if err != nil {
		return err
	}
	err = bulk(ctx, db, postgresIndexes, filledTables, func(tx *sql.Tx) error {
		return fillHistory(ctx, tx,
			postgresDialect, b.o.rows)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("fill PostgreSQL: %w", err)
	}
	if err := c.exec(ctx, fullDatabase, "VACUUM ANALYZE"); err != nil {
		return err
	}
	if err := c.stop(); err != nil {
		return err
	}
	// The server wrote without waiting for the disk, and the copy has to outlive the machine's fall.
	if err := c.program(ctx, "initdb", "--sync-only", "-D", c.data()); err != nil {
		return err
	}
	if err := runQuietly(exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", c.data(), kept+".part")); err != nil {
		return fmt.Errorf("keep the filled store: %w", err)
	}
	return os.Rename(kept+".part", kept)
}

func (c *cluster) exec(ctx context.Context, database, statement string) error {
	db, err := c.open(database)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// pages is how many pages the server looked into for a database so far, wherever it found them.
func (c *cluster) pages(ctx context.Context, database string) (n float64, err error) {
	db, err := c.open("postgres")
	if err != nil {
		return 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT blks_read + blks_hit FROM pg_stat_database WHERE datname = $1",
		database).Scan(&n)
	if err = errors.Join(err, db.Close()); err != nil {
		return 0, fmt.Errorf("count pages of PostgreSQL: %w", err)
	}
	return n, nil
}
